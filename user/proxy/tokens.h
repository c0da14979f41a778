/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our MPTCP sessions by token, with the subflows that joined them, from the path manager's events.
 * One thread, the daemon's own; workers never look here.
 */
#ifndef MG_PROXY_TOKENS_H
#define MG_PROXY_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/pm.h"

struct mg_token_entry;

struct mg_tokens {
	struct mg_token_entry **buckets;
	size_t n_buckets, n;
	uint64_t joins;
};

int mg_tokens_init(struct mg_tokens *t);
void mg_tokens_free(struct mg_tokens *t);

/* `ours` tells a session that began at one of our listeners from others of this host. */
void mg_tokens_event(struct mg_tokens *t, const struct mg_pm_event *ev,
		     bool (*ours)(void *ctx, const struct mg_ep *local), void *ctx);

/* What is known from elsewhere, after events were lost: a session, and what has joined it. */
void mg_tokens_created(struct mg_tokens *t, uint32_t token);
void mg_tokens_joined(struct mg_tokens *t, uint32_t token, const struct mg_ep *local,
		      const struct mg_ep *remote);
/* Every subflow that is known. */
void mg_tokens_each(const struct mg_tokens *t,
		    void (*fn)(void *ctx, uint32_t token, const struct mg_ep *local,
			       const struct mg_ep *remote),
		    void *ctx);

/* Whether the peer asked for this subflow as a backup. */
bool mg_tokens_backup(const struct mg_tokens *t, uint32_t token, const struct mg_ep *local,
		      const struct mg_ep *remote);

#endif
