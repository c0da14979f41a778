/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of one connection to a store, and their bounds: what is to be sent, what came, and who
 * waits for an answer. Of gateway/redis.c.
 */
#ifndef MG_GATEWAY_REDIS_BYTES_H
#define MG_GATEWAY_REDIS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "gateway/redis.h"

/* Commands on their way to the socket */
struct mg_redis_out {
	char *bytes;
	size_t from, len, room; /* bytes[from..len) are to be sent */
};
/* 0, or -ENOBUFS: the other side takes nothing; or -ENOMEM */
int mg_redis_out_add(struct mg_redis_out *o, int argc, const char **argv, const size_t *lens);
/* 0: all went; -EAGAIN: the socket is full; or -errno */
int mg_redis_out_write(struct mg_redis_out *o, int fd);
bool mg_redis_out_low(const struct mg_redis_out *o);
void mg_redis_out_free(struct mg_redis_out *o);

/* Answers: of so many bytes and elements each, and no more */
struct mg_redis_in {
	redisReader *reader;
	size_t bytes; /* of the answer that is coming */
	size_t elements;
	int err;
};
int mg_redis_in_init(struct mg_redis_in *in);
void mg_redis_in_feed(struct mg_redis_in *in, const char *bytes, size_t len);
/* 0, *reply NULL: not whole yet; else the caller's, for freeReplyObject. -EPROTO */
int mg_redis_in_next(struct mg_redis_in *in, struct redisReply **reply);
const char *mg_redis_in_error(const struct mg_redis_in *in);
void mg_redis_in_free(struct mg_redis_in *in);

/* Questions, in the order in which they will be answered */
#define MG_REDIS_ASKED_MAX 2048
struct mg_redis_asked {
	struct {
		mg_redis_fn *fn;
		uint64_t arg;
	} of[MG_REDIS_ASKED_MAX];
	size_t first, n;
};
/* 0 or -ENOBUFS */
int mg_redis_asked_add(struct mg_redis_asked *a, mg_redis_fn *fn, uint64_t arg);
/* 0 or -ENOENT */
int mg_redis_asked_take(struct mg_redis_asked *a, mg_redis_fn **fn, uint64_t *arg);
bool mg_redis_asked_any(const struct mg_redis_asked *a);
bool mg_redis_asked_low(const struct mg_redis_asked *a);
void mg_redis_asked_clear(struct mg_redis_asked *a);

#endif
