/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The data plane as the daemon sees it: the BPF programs, loaded, pinned, attached, and their maps.
 * Everything BPF ends at this header; nothing above it knows a map.
 */
#ifndef MG_SYS_DP_H
#define MG_SYS_DP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/maps.h"
#include "abi/verdict.h"
#include "base/addr.h"
#include "config/config.h"

struct mg_admission;
struct mg_dp;
struct mg_holder;

struct mg_dp_interface {
	char name[IFNAMSIZ];
	enum mg_role role;
	const char *xdp_mode; /* "native", "native+dispatcher", "generic", "generic+dispatcher",
				 "off", "lost" */
	uint32_t prog_id;     /* 0 when off or lost */
};

struct mg_dp_counters {
	uint64_t class[MG_CLASS_COUNT];
	uint64_t verdict[MG_VERDICT_COUNT];
	uint64_t reason[MG_REASON_COUNT];
	uint64_t events_lost;
};

/* A SYN to a converter address, as the ring buffer tells it. */
struct mg_dp_syn {
	struct mg_ep client;
	struct mg_ep converter;
	enum mg_class class;
	bool mp_capable;
	uint32_t payload_bytes;
};

/*
 * Mounts a bpffs when there is none, loads, pins under cfg->bpffs, attaches to every interface
 * (XDP; TC where SYNs are held, and on core interfaces where packets to clients' addresses come in)
 * and to the daemon's cgroup (sockops). What a killed daemon counted and learned is taken over, its
 * other left-overs are replaced; a living one's interface gives -EBUSY. Every error is logged here.
 * All or nothing: after an error nothing stays attached, but on a gateway that was steering before.
 * That goes on meanwhile, by the maps that are pinned, and after an error too.
 */
int mg_dp_open(struct mg_dp **out, const struct mg_config *cfg);
/* Lets pass what is held still, and no worker has seen. Detaches, unpins, and takes the bpffs away
 * if an mpgated mounted it; a gateway that steers goes on without us, its program attached and its
 * maps pinned. NULL is allowed. */
void mg_dp_close(struct mg_dp *dp);

/* What daemons of this configuration left, none of which lives: programs, pins, a bpffs of ours. 0
 * or -errno, logged; -EBUSY: one does live. */
int mg_dp_detach(const struct mg_config *cfg);

/*
 * Capabilities once it is open: CAP_BPF for what reads and writes maps, CAP_NET_ADMIN and CAP_BPF
 * for close. What close needs beyond them, as bits: CAP_SYS_ADMIN to unmount a bpffs of ours or to
 * leave a dispatcher (found by its id), CAP_DAC_OVERRIDE to remove a cgroup of ours.
 */
uint64_t mg_dp_extra_caps(const struct mg_dp *dp);

/* Sees whether all is attached still, and warns of what is lost, once. It stays lost. */
void mg_dp_look(struct mg_dp *dp);

/* How many workers the configuration asks for; 0 there: one per CPU. */
unsigned int mg_dp_workers(const struct mg_config *cfg);

/*
 * For sys/hold.h; NULL: no SYN is held, because nothing in the configuration asks for it, or only
 * `converter.reply: after-connect` does, and this kernel, or another mpgated in this network
 * namespace, stands against it.
 */
struct mg_holder *mg_dp_holder(struct mg_dp *dp);
/* A reload: mode, ports, limits, times, what is done on overload and on failure. 0 or -errno,
 * logged. */
int mg_dp_set_intercept(struct mg_dp *dp, const struct mg_config *cfg);

/* Nothing is held from here on; what is held already is still to be decided about. NULL is allowed.
 */
void mg_dp_stop_holding(struct mg_dp *dp);
/* Could this kernel, whatever the configuration asks for? */
bool mg_dp_can_hold(const struct mg_dp *dp);

/*
 * For sys/admission.h; never NULL. What the configuration says of policies is in force before the
 * first program is attached, but for groups of proxies that only get their numbers then:
 * mg_admission_apply, called once these are known, puts that right.
 */
struct mg_admission *mg_dp_admission(struct mg_dp *dp);

/*
 * The addresses SYNs to which are classed `convert`, and those of this host that are for joins
 * only, none of the former; replaces both sets at once. -E2BIG beyond MG_CONVERTERS_MAX of both.
 */
int mg_dp_set_converters(struct mg_dp *dp, const struct mg_ep *eps, size_t n,
			 const struct mg_ep *joins, size_t n_joins);

size_t mg_dp_interfaces(const struct mg_dp *dp, const struct mg_dp_interface **list);
int mg_dp_counters_read(struct mg_dp *dp, struct mg_dp_counters *out);

/* True when the sockops program runs, so that mg_dp_synack_take can know something. */
bool mg_dp_has_synack(const struct mg_dp *dp);
/*
 * The options of the SYN+ACK that opened local -> peer, verbatim (0..40 bytes, 4-aligned), and
 * forgets them. Returns their length, or -ENOENT. Any thread.
 */
int mg_dp_synack_take(struct mg_dp *dp, const struct mg_ep *local, const struct mg_ep *peer,
		      uint8_t opts[40]);

/* Ring buffer: an fd for epoll, and what to call when it is readable; records told, or -errno. */
int mg_dp_events_fd(const struct mg_dp *dp);
int mg_dp_events_poll(struct mg_dp *dp, void (*on_syn)(void *ctx, const struct mg_dp_syn *syn),
		      void *ctx);

/* SO_MARK that TC puts on return packets of preserved-source sessions; see sys/route.h. */
#define MG_DP_MARK MG_ABI_MARK

#endif
