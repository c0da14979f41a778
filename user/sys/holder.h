/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What holding SYNs takes: programs, maps, rings, the TAP device. holder.c makes and removes it,
 * hold.c uses it. Inside of dp.c.
 */
#ifndef MG_SYS_HOLDER_H
#define MG_SYS_HOLDER_H

#include <stdatomic.h>
#include <sys/types.h>

#include "sys/announce.h"
#include "sys/bpffs.h"
#include "sys/hold.h"
#include "sys/hold_maps.h"
#include "sys/tap.h"
#include "sys/tc.h"

struct bpf_object;
struct mg_hold_bpf;
struct ring_buffer;

/* One worker's; touched by that worker alone once all is up. */
struct mg_hold_ring {
	struct mg_holder *holder;
	unsigned int worker;
	struct ring_buffer *ring;
	int map;
	struct mg_frame *frame; /* room for the longest */
	void (*fn)(void *ctx, const struct mg_held_syn *syn);
	void *ctx;
	int n_read, left; /* of this call of mg_hold_read */
};

struct mg_holder {
	struct mg_hold_bpf *bpf;
	struct mg_hold_maps maps;
	int release; /* the program */
	int claim;
	int beacon; /* a listener that nobody connects to: MG_BEACON_V4 */
	uint16_t beacon_port;
	pid_t rival; /* who has the claim, if it was refused; 0 if that is not known */
	struct mg_announce *announce; /* the daemon's; NULL: nothing is announced */
	struct mg_tap tap;
	struct mg_tc replay;
	bool broken; /* the device is lost for good */
	uint64_t *beats;
	size_t beats_bytes;
	_Atomic uint64_t learn_ttl_ns;
	unsigned int n_workers;
	struct mg_hold_ring *rings;
};

/* hold.c: what a ring (struct mg_hold_ring *) hands its records to. */
int mg_hold_on_record(void *ctx, void *record, size_t len);

/* Is there anything in the configuration for which SYNs are held? */
bool mg_holder_is_wanted(const struct mg_config *cfg);
/* On access interfaces? */
bool mg_holder_is_for_access(const struct mg_config *cfg);
/* Is there anything that does not work without it? */
bool mg_holder_is_needed(const struct mg_config *cfg);

/* Before it is loaded: the object whose maps XDP reads gets those of held SYNs in their size; what
 * a killed daemon learned of servers stays. 0 or -errno. */
int mg_holder_prepare(struct bpf_object *shared, const struct mg_config *cfg,
		      const struct mg_bpffs *bpffs);

/*
 * Claims, loads, makes the device, and says what the configuration wants; nothing is held before
 * the programs are attached and workers beat. `shared` is the object whose maps XDP reads. 0 or
 * -errno, logged except for -EBUSY, where `rival` tells; *h is to be closed in any case.
 */
int mg_holder_open(struct mg_holder *h, const struct mg_config *cfg, const struct mg_bpffs *bpffs,
		   const struct bpf_object *shared);
void mg_holder_close(struct mg_holder *h);
/* The device, should somebody have taken it away, is made again; else nothing is held. */
void mg_holder_look(struct mg_holder *h);
/* The configuration anew: mode, ports, limits, times, what happens on overload and failure. */
int mg_holder_set(struct mg_holder *h, const struct mg_config *cfg);

/* Nothing is held from here on. */
void mg_holder_stop(struct mg_holder *h);
/* What is in the rings, unread, goes on its way; with the workers gone and the programs attached.
 */
void mg_holder_pass_all(struct mg_holder *h);
/* Does this kernel take the programs? */
bool mg_holder_loads(void);

#endif
