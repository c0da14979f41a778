/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SYNs that TC holds for the daemon (include/abi/hold.h): reading them, and deciding about them.
 * Any function may be called from any thread; what names a worker, from that worker's alone.
 */
#ifndef MG_SYS_HOLD_H
#define MG_SYS_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/hold.h"
#include "base/addr.h"

struct mg_holder;

/* A frame as it came in: what is needed to bring it back. */
struct mg_frame {
	uint32_t ifindex;
	uint16_t vlan_tci;
	uint16_t vlan_proto; /* network order, as in the ABI; 0: no tag */
	uint16_t ip_offset, tcp_offset, payload_offset;
	uint16_t bytes;
	bool time_wait; /* what an old connection of these addresses and ports left is in the way */
	uint8_t data[];
};

/* One record of the ring. `frame` lives as long as the call it is handed to. */
struct mg_held_syn {
	enum mg_held_type type;
	enum mg_hold_kind kind;
	enum mg_mode mode;
	enum mg_known known;
	bool mp_capable;
	struct mg_ep client, server;
	uint32_t isn;
	const struct mg_frame *frame; /* NULL with MG_HELD_RESET */
};

/* The worker's ring: an fd for epoll, and what to call when it is readable. Records read, those
 * that are not told among them: damaged, or no longer held. Or -errno. */
int mg_hold_fd(const struct mg_holder *h, unsigned int worker);
int mg_hold_read(struct mg_holder *h, unsigned int worker,
		 void (*fn)(void *ctx, const struct mg_held_syn *syn), void *ctx);
/* The worker is alive; to be called every stale_ms / 4. Costs no system call. */
void mg_hold_beat(struct mg_holder *h, unsigned int worker);
/* Any thread: how long ago that was; UINT64_MAX if it never did. */
uint64_t mg_hold_beat_age_ms(const struct mg_holder *h, unsigned int worker);
/* Where worker listens for what it takes (any port): see MG_LISTEN_V4. */
void mg_hold_listen_ip(struct in6_addr *ip, unsigned int worker, bool v4);

/*
 * The worker's listener for `port` is on port `real` (0: no longer), as this host listens on `port`
 * itself, or may want to. 0 or -errno.
 */
int mg_hold_stand_in(struct mg_holder *h, unsigned int worker, bool v4, in_port_t port,
		     in_port_t real);
/* MPTCP sessions come in at such a listener, where nobody can join them: from now on further
 * subflows of all new sessions join elsewhere (sys/announce.h). Harmless when done already, and
 * without anybody who announces. */
void mg_hold_announce(struct mg_holder *h);
struct mg_announce;
/* Who does that; before the workers start. */
void mg_hold_set_announce(struct mg_holder *h, struct mg_announce *a);

/* A frame of one's own; free() it. NULL without memory. */
struct mg_frame *mg_frame_copy(const struct mg_frame *f);

/*
 * The SYN goes into the worker's listener of its port. It stays held, so that repetitions are
 * consumed, until mg_hold_release. What an old connection left in its way is removed. 0 or -errno;
 * -ESTALE: the kernel holds it no longer, and let its repetition pass.
 */
int mg_hold_take(struct mg_holder *h, const struct mg_frame *f, unsigned int worker);
/* Forgets the SYN, and lets this one, or its repetition, go on its way unchanged. */
int mg_hold_pass(struct mg_holder *h, const struct mg_ep *client, const struct mg_ep *server,
		 uint32_t isn, enum mg_passed_why why, const struct mg_frame *f);
/* Forgets the SYN. Harmless for one that is not held. */
void mg_hold_release(struct mg_holder *h, const struct mg_ep *client, const struct mg_ep *server,
		     uint32_t isn);
/* Answers the SYN as the server would: RST. */
int mg_hold_reset(struct mg_holder *h, const struct mg_frame *f);
/* Answers with the ICMP error that a router at `from` would send (NULL: the SYN's destination):
 * destination unreachable with `code`, of the SYN's family. */
int mg_hold_unreachable(struct mg_holder *h, const struct mg_frame *f, uint8_t code,
			const struct in6_addr *from);

/* What is known of servers. */
int mg_hold_learn(struct mg_holder *h, const struct mg_ep *server, bool mptcp);
int mg_hold_forget(struct mg_holder *h, const struct mg_ep *server); /* 0 or -ENOENT */
int mg_hold_forget_all(struct mg_holder *h);
struct mg_server_row {
	struct mg_ep server;
	bool mptcp;
	enum mg_server_source source;
	uint64_t expires_ms; /* from now; 0: over */
};
/* All of them, *rows is for free(); how many, or -errno. */
long mg_hold_servers(struct mg_holder *h, struct mg_server_row **rows);

/* The session that MP_JOIN SYNs with this token belong to is the worker's. */
int mg_hold_token_add(struct mg_holder *h, uint32_t token, unsigned int worker);
void mg_hold_token_del(struct mg_holder *h, uint32_t token);

int mg_hold_counters_read(struct mg_holder *h, struct mg_hold_counters *out);

#endif
