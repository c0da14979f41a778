/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which proxy owns which token, as the store and this host's own sessions tell, brought to the map
 * that steers joins. A token with two owners is a collision: both are told to the map. A proxy
 * whose heartbeat is overdue loses its tokens, but never because the store is away: while it is,
 * and for a while after, everything stays as it is.
 */
#ifndef MG_GATEWAY_DIRECTORY_H
#define MG_GATEWAY_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/steer.h"
#include "base/loop.h"
#include "gateway/store.h"

struct mg_directory;

/* owners NULL: nobody any more. 0 or -errno: mg_steer_push. */
typedef int (*mg_directory_push)(void *ctx, uint32_t token, const struct mg_owners *owners);

struct mg_directory_options {
	mg_directory_push push;
	void *ctx;
	size_t tokens_max;    /* told twice by two proxies, a token counts twice */
	uint32_t patience_ms; /* once the store is there, until who is silent is overdue */
};

int mg_directory_open(struct mg_directory **out, struct mg_loop *loop,
		      const struct mg_directory_options *options);
/* Pushes nothing. */
void mg_directory_close(struct mg_directory *d);

/* The proxy's number; 0: it is none of ours (any more), its tokens are kept but not pushed. */
int mg_directory_set_proxy(struct mg_directory *d, const char *name, uint16_t proxy);

/* As a former daemon left it in the map: stays until the proxy tells all it has, or is overdue. */
int mg_directory_load(struct mg_directory *d, const char *name, uint32_t token, uint32_t since_s);

/* What the store tells, see store.h. */
void mg_directory_token(struct mg_directory *d, const char *name, uint32_t token, bool owned);
void mg_directory_resync(struct mg_directory *d, const char *name);
void mg_directory_resync_done(struct mg_directory *d, const char *name);
void mg_directory_member(struct mg_directory *d, const struct mg_store_member *m);
void mg_directory_reachable(struct mg_directory *d, bool yes);

/* False: the store knows nothing of it. */
bool mg_directory_find(const struct mg_directory *d, const char *name, uint64_t *sessions,
		       bool *alive);

struct mg_directory_status {
	size_t tokens;	   /* a collision counts twice */
	size_t collisions; /* tokens of two owners or more */
	size_t unpushed;   /* for which the map had no room */
	uint64_t refused;  /* told, but beyond tokens_max, or by too many names */
};
void mg_directory_status(const struct mg_directory *d, struct mg_directory_status *out);

#endif
