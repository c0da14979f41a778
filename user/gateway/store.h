/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hosts share: which proxy owns which token, which proxies live, which are to be drained. One
 * narrow face, two kinds behind it: `memory` (this process only) and Redis or Valkey. Nothing
 * secret goes through: tokens and names. Everything runs on the loop's thread; nothing blocks,
 * nothing is lost while a store is away: what this host owns is told again when it is back, and
 * what others own is asked for anew.
 */
#ifndef MG_GATEWAY_STORE_H
#define MG_GATEWAY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

struct mg_store;

struct mg_store_member {
	const char *name;
	uint64_t sessions;
	bool alive; /* false: its heartbeat is overdue, its tokens have gone */
};

/* What the store tells; any may be NULL. Names are valid during the call. */
struct mg_store_listener {
	void *ctx;
	void (*token)(void *ctx, const char *proxy, uint32_t token, bool owned);
	/* A whole set follows, as calls of token(…, true); what was known of the proxy before and
	 * is not among them is stale once `done` comes. */
	void (*resync)(void *ctx, const char *proxy);
	void (*resync_done)(void *ctx, const char *proxy);
	void (*member)(void *ctx, const struct mg_store_member *m);
	void (*drain)(void *ctx, const char *proxy, bool on);
	void (*reachable)(void *ctx, bool yes);
};

/* url: "memory", or redis://[user[:password]@]host[:port][/db], or redis+unix:///path. 0 or -errno,
 * logged; a store that cannot be reached is no error, it is tried again until close. */
int mg_store_open(struct mg_store **out, struct mg_loop *loop, const char *url,
		  const struct mg_store_listener *listener);
void mg_store_close(struct mg_store *s);

/* This host becomes a member: told every heartbeat_ms, gone after three without. Before the first
 * token. self NULL: it does not, and looks for others at this pace (1000 without). -EINVAL: not a
 * name (wire/news.h), no heartbeat, or it is a member already. */
int mg_store_join(struct mg_store *s, const char *self, uint32_t heartbeat_ms);
/* One of our sessions came or went. Batched: many cost little. The listener hears of our own tokens
 * at once and from here, as of those of others, whether the store is there or not. */
void mg_store_own(struct mg_store *s, uint32_t token, bool owned);
/* All of them, after events were lost. */
void mg_store_own_all(struct mg_store *s, const uint32_t *tokens, size_t n);
/* For all gateways, this one included, which hears of it through its listener, at once; the store
 * when it is there. 0; -EINVAL: not a name; -ENOSPC: too many of them. */
int mg_store_drain(struct mg_store *s, const char *proxy, bool on);
/* Whether that is what was said last of it, as far as is known here. */
bool mg_store_drained(struct mg_store *s, const char *proxy);

struct mg_store_status {
	const char *kind; /* "memory", "redis" */
	bool reachable;
	uint64_t published, received, reconnects, resyncs;
	uint64_t connects; /* the first one, too */
	uint64_t ignored;  /* what came from the store and made no sense */
};
void mg_store_status(const struct mg_store *s, struct mg_store_status *out);

#endif
