/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The subflows of one session, as spread.c looks at them: which path each belongs to, whether it
 * works, what it sent; and how fast it may be, told to the kernel where that changes.
 */
#ifndef MG_PROXY_SUBFLOWS_H
#define MG_PROXY_SUBFLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/modes.h"
#include "proxy/split.h"
#include "sys/mptcp.h"

struct mg_session;

struct mg_subflow_now {
	struct mg_mptcp_path now;
	bool seen;
	size_t access;
	uint64_t access_ms; /* when that was looked up */
	unsigned int path;
	int former_path; /* before paths were told apart anew; -1: there was none */
	enum mg_health health;
	bool asked, asked_backup; /* asked: at least once */
	uint64_t cap;		  /* as told; UINT64_MAX: none, or not told */
	bool told;
	/* losses */
	bool lost_before; /* in the window before */
	uint64_t window_ms, window_sent, window_resent, lossy_until_ms;
	/* for shares */
	uint64_t last_sent;
	double lately;
};

/* A path is what is in one access network; what is in none that has a name, by its address. */
struct mg_subflows_now {
	const struct mg_session *session;
	struct mg_subflow_now sub[MG_MPTCP_SUBFLOWS_MAX];
	unsigned int n;
	size_t access[MG_SPLIT_PATHS_MAX]; /* of each path: an index into the configuration's */
	unsigned int n_paths;
	uint64_t unsent_bytes; /* of the session, that no subflow was given yet */
};

/* All of them as they are now; false: that cannot be told now. */
bool mg_subflows_see(struct mg_subflows_now *all, uint64_t now_ms);
/* The next look begins to tell paths apart anew; each subflow knows which was its path before. */
void mg_subflows_forget_paths(struct mg_subflows_now *all);
/* What was sent since the last time goes into each one's share. */
void mg_subflows_note_shares(struct mg_subflows_now *all);
bool mg_subflows_any_busy(const struct mg_subflows_now *all);

/* Bytes a second; UINT64_MAX: no cap. */
void mg_subflows_pace(struct mg_subflows_now *all, struct mg_subflow_now *sub, uint64_t cap);
/* Of all of a path together. */
void mg_subflows_pace_path(struct mg_subflows_now *all, unsigned int path, uint64_t cap);
void mg_subflows_pace_none(struct mg_subflows_now *all);
/* The session ends: nothing is kept for it. */
void mg_subflows_free(struct mg_subflows_now *all);

#endif
