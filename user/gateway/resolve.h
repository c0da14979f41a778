/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host names without waiting for a name server on the loop's thread: a thread of its own asks, and
 * is left alone with its question if nobody wants the answer any more.
 */
#ifndef MG_GATEWAY_RESOLVE_H
#define MG_GATEWAY_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/loop.h"

#define MG_RESOLVE_MAX 8

struct mg_resolve;

/* done is called once, on the loop, unless it is cancelled before; n 0: why says what was wrong.
 * 0 or -errno. */
int mg_resolve_start(struct mg_resolve **out, struct mg_loop *loop, const char *host, uint16_t port,
		     void (*done)(void *ctx, const struct mg_ep *eps, size_t n, const char *why),
		     void *ctx);
/* NULL is fine; not from within done, nor after it. */
void mg_resolve_cancel(struct mg_resolve *r);

#endif
