/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel tells about one MPTCP connection (SOL_MPTCP). */
#ifndef MG_SYS_MPTCP_H
#define MG_SYS_MPTCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define MG_MPTCP_SUBFLOWS_MAX 16

struct mg_mptcp_state {
	bool fallback;	/* speaks plain TCP by now */
	uint32_t token; /* ours: what MP_JOIN SYNs towards us carry (RFC 8684 section 3.2) */
};

struct mg_mptcp_subflow {
	struct mg_ep local, remote;
};

/* What one subflow did since it began, and does. */
struct mg_mptcp_path {
	struct mg_mptcp_subflow ends;
	uint64_t sent_bytes, resent_bytes, received_bytes; /* resent ones were sent twice */
	uint64_t held_bytes; /* its to deliver: not sent yet, or not acknowledged */
	uint64_t unsent_bytes;
	uint32_t rtt_us;
	uint32_t timeouts;  /* in a row, without an acknowledgement */
	uint32_t silent_ms; /* since the last one */
};

/* 0, or -errno (-EOPNOTSUPP for a TCP socket). */
int mg_mptcp_read(int fd, struct mg_mptcp_state *state);
/*
 * What a connection that is plain TCP since its handshake, and at its end now, received in
 * sequence: payload bytes, the end not counted. 0, or -errno where that cannot be told.
 */
int mg_mptcp_received_bytes(int fd, uint64_t *bytes);
/* How many there are, at most `max` of them stored; or -errno. A plain TCP socket has one. */
int mg_mptcp_subflows(int fd, struct mg_mptcp_subflow *list, size_t max);
/* The same with what they do; 0 if the kernel does not tell now, or the socket is plain TCP. */
int mg_mptcp_paths(int fd, struct mg_mptcp_path *list, size_t max);
/* What the session has to send that no subflow was given yet. */
uint64_t mg_mptcp_unsent_bytes(int fd);
/* How much it may have to send, or not acknowledged: from then on the kernel no longer decides. */
int mg_mptcp_set_send_buffer(int fd, uint32_t bytes);

#endif
