/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection to a Redis or Valkey, kept up for good: connects, says who we are, asks, hands
 * answers back in order; begins anew, each time a little later, when anything goes wrong. hiredis
 * reads what comes; sockets and waiting are the loop's. Memory is bounded in both directions,
 * whatever the other side does or does not do.
 *
 * An error as an answer ends the connection, as there is none that we could go on with: what was
 * meant to be stored is not.
 */
#ifndef MG_GATEWAY_REDIS_H
#define MG_GATEWAY_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "base/loop.h"
#include "wire/store_url.h"

struct mg_redis;

/* `r` is no error, and only there during the call. */
typedef void mg_redis_fn(void *ctx, uint64_t arg, const struct redisReply *r);

struct mg_redis_face {
	void *ctx;
	void (*up)(void *ctx);
	void (*down)(void *ctx); /* after up; what was not answered will not be */
	void (*room)(void *ctx); /* after mg_redis_has_room said no */
	/* Makes it a subscriber: all that comes goes here, and no fn is ever called. */
	void (*heard)(void *ctx, const struct redisReply *r);
};

/* 0 or -errno. Of two connections to one store it is enough that one logs. */
int mg_redis_open(struct mg_redis **out, struct mg_loop *loop, const struct mg_store_url *url,
		  const struct mg_redis_face *face, bool logs);
/* What is still to be sent is given to the socket if that takes it at once. NULL is fine. */
void mg_redis_close(struct mg_redis *r);

bool mg_redis_up(const struct mg_redis *r);
/* Whether it is a good moment for more: asked by whoever has much to say. */
bool mg_redis_has_room(struct mg_redis *r);
/* fn NULL: the answer does not matter. lens NULL: strings. Nothing happens unless it is up. */
void mg_redis_send(struct mg_redis *r, mg_redis_fn *fn, uint64_t arg, int argc, const char **argv,
		   const size_t *lens);
/* The other side made no sense: begins anew. */
void mg_redis_distrust(struct mg_redis *r, const char *why);

#endif
