/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tokens of this host's own sessions, from the kernel's path-manager events, for whoever brings
 * joins here. At the start, and after events were lost, all sessions of the network namespace are
 * asked for: what is told then is everything. Runs on the loop.
 */
#ifndef MG_GATEWAY_PUBLISH_H
#define MG_GATEWAY_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "sys/pm.h"

struct mg_publish;

struct mg_publish_to {
	void *ctx;
	void (*own)(void *ctx, uint32_t token, bool owned);
	void (*own_all)(void *ctx, const uint32_t *tokens, size_t n);
};

/* Tells all there are, in the loop's next round. 0 or -errno. */
int mg_publish_open(struct mg_publish **out, struct mg_loop *loop, const struct mg_publish_to *to);
void mg_publish_close(struct mg_publish *p);

/* Each event, in order; NULL is allowed for p. `ours`: it began at one of our listeners, though
 * the kernel does not say so (server_side). */
void mg_publish_event(struct mg_publish *p, const struct mg_pm_event *ev, bool ours);

#endif
