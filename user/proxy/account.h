/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker counts, and a session as it is shown. Plain numbers: only the worker's own thread
 * writes and reads them.
 */
#ifndef MG_PROXY_ACCOUNT_H
#define MG_PROXY_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/session.h"
#include "proxy/spread.h"
#include "sys/mptcp.h"

enum {
#define X(sym, code, label, text) MG_ERROR_INDEX_##sym,
	MG_CONVERT_ERRORS(X)
#undef X
		MG_ERROR_COUNT
};

struct mg_stats {
	uint64_t accepted;  /* connections, whatever became of them */
	uint64_t active;    /* sessions now */
	uint64_t requests;  /* whole Convert messages */
	uint64_t connected; /* requests whose server accepted */
	uint64_t errors[MG_ERROR_COUNT];
	uint64_t opened, closed;
	uint64_t bytes_up, bytes_down;
	uint64_t closed_by[MG_CLOSE_COUNT];
	uint64_t fallbacks; /* sessions that began as MPTCP and are TCP */
	/* SYNs that were held, by what became of them; how many were, the kernel counts. */
	uint64_t hold_replayed;	 /* let in */
	uint64_t hold_passed;	 /* handed back, whyever */
	uint64_t hold_refused;	 /* answered by RST or ICMP */
	uint64_t hold_timed_out; /* met silence */
	uint64_t hold_gave_up;	 /* ended by the client */
	uint64_t probes;	 /* servers asked whether they speak MPTCP */
	/* Of shared addresses */
	uint64_t no_ports;	/* sessions refused, as no address or port was left for them */
	uint64_t proxy_headers; /* servers that were told of their clients */
	uint64_t header_bytes;	/* sent for that */
};

void mg_stats_add(struct mg_stats *sum, const struct mg_stats *one);

/* One session, for people and programs. */
struct mg_session_row {
	uint64_t id;
	enum mg_session_state state;
	enum mg_hold_kind kind;
	struct mg_ep client, converter, server, source;
	bool has_server, has_source;
	bool mptcp, fallback, server_mptcp;
	uint32_t token;		/* 0: none */
	uint32_t counted_token; /* by which its subflows are charged; 0: they are not */
	struct mg_ticket ticket;
	char policy[MG_MEMBER_NAME]; /* its name */
	struct mg_mptcp_subflow subflows[MG_MPTCP_SUBFLOWS_MAX];
	struct mg_spread_row spread[MG_MPTCP_SUBFLOWS_MAX]; /* of each of them */
	int n_subflows;
	enum mg_steering steering;
	bool gives_way;
	uint64_t bytes_up, bytes_down;
	uint64_t age_ms, idle_ms;
	uint32_t held_bytes; /* in our buffers, both directions */
};

void mg_session_describe(struct mg_session *s, struct mg_session_row *row);

/* Looks whether the session's MPTCP became TCP, and counts it the first time. */
void mg_account_fallback(struct mg_session *s);
void mg_account_error(struct mg_session *s, unsigned int code);
/* A connection that was closed before it became a session. */
void mg_account_turned_away(struct mg_worker *w);

#endif
