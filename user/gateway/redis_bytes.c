// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/redis_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

/* Who has much to say stops at the first; the rest is for who has little. */
#define OUT_LOW_BYTES (256 * 1024)
#define OUT_MAX_BYTES (4 * 1024 * 1024)
#define ASKED_LOW     (MG_REDIS_ASKED_MAX / 2)

/* The longest honest answer is a page of SSCAN, some thousand tokens. */
#define ANSWER_BYTES	(4 * 1024 * 1024)
#define ANSWER_ELEMENTS 131072

static int make_room(struct mg_redis_out *o, size_t len)
{
	size_t want = o->len - o->from + len;
	char *bytes;

	if (want > OUT_MAX_BYTES)
		return -ENOBUFS;
	if (o->from && o->len + len > o->room) {
		memmove(o->bytes, o->bytes + o->from, o->len - o->from);
		o->len -= o->from;
		o->from = 0;
	}
	if (o->len + len <= o->room)
		return 0;
	want = want < 4096 ? 4096 : want * 2;
	bytes = realloc(o->bytes, want);
	if (!bytes)
		return -ENOMEM;
	o->bytes = bytes;
	o->room = want;
	return 0;
}

int mg_redis_out_add(struct mg_redis_out *o, int argc, const char **argv, const size_t *lens)
{
	char *command = NULL;
	int len = redisFormatCommandArgv(&command, argc, argv, lens);
	int err;

	if (len < 0)
		return -ENOMEM;
	err = make_room(o, (size_t)len);
	if (!err) {
		memcpy(o->bytes + o->len, command, (size_t)len);
		o->len += (size_t)len;
	}
	redisFreeCommand(command);
	return err;
}

int mg_redis_out_write(struct mg_redis_out *o, int fd)
{
	while (o->from < o->len) {
		ssize_t n = send(fd, o->bytes + o->from, o->len - o->from, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		o->from += (size_t)n;
	}
	/* What an outage piled up is given back. */
	if (o->room > OUT_LOW_BYTES)
		mg_redis_out_free(o);
	o->from = o->len = 0;
	return 0;
}

bool mg_redis_out_low(const struct mg_redis_out *o)
{
	return o->len - o->from < OUT_LOW_BYTES;
}

void mg_redis_out_free(struct mg_redis_out *o)
{
	free(o->bytes);
	*o = (struct mg_redis_out){ 0 };
}

/* hiredis makes as large an array as the other side announces. */
static redisReplyObjectFunctions functions;
static void *(*make_array)(const redisReadTask *task, int n);

static void *bounded_array(const redisReadTask *task, int n)
{
	struct mg_redis_in *in = task->privdata;

	if (n < 0 || (size_t)n > ANSWER_ELEMENTS - in->elements)
		return NULL;
	in->elements += (size_t)n;
	return make_array(task, n);
}

int mg_redis_in_init(struct mg_redis_in *in)
{
	*in = (struct mg_redis_in){ .reader = redisReaderCreate() };
	if (!in->reader)
		return -ENOMEM;
	if (!make_array) {
		functions = *in->reader->fn;
		make_array = functions.createArray;
		functions.createArray = bounded_array;
	}
	in->reader->fn = &functions;
	in->reader->privdata = in;
	return 0;
}

void mg_redis_in_feed(struct mg_redis_in *in, const char *bytes, size_t len)
{
	in->bytes += len;
	if (in->bytes > ANSWER_BYTES || redisReaderFeed(in->reader, bytes, len) != REDIS_OK)
		in->err = -EPROTO;
}

int mg_redis_in_next(struct mg_redis_in *in, struct redisReply **reply)
{
	void *got = NULL;

	*reply = NULL;
	if (!in->err && redisReaderGetReply(in->reader, &got) != REDIS_OK)
		in->err = -EPROTO;
	if (in->err || !got)
		return in->err;
	in->bytes = in->reader->len - in->reader->pos;
	in->elements = 0;
	*reply = got;
	return 0;
}

const char *mg_redis_in_error(const struct mg_redis_in *in)
{
	return in->bytes > ANSWER_BYTES ? "an answer without end" : in->reader->errstr;
}

void mg_redis_in_free(struct mg_redis_in *in)
{
	if (in->reader)
		redisReaderFree(in->reader);
	in->reader = NULL;
}

int mg_redis_asked_add(struct mg_redis_asked *a, mg_redis_fn *fn, uint64_t arg)
{
	size_t at = (a->first + a->n) % MG_REDIS_ASKED_MAX;

	if (a->n == MG_REDIS_ASKED_MAX)
		return -ENOBUFS;
	a->of[at].fn = fn;
	a->of[at].arg = arg;
	a->n++;
	return 0;
}

int mg_redis_asked_take(struct mg_redis_asked *a, mg_redis_fn **fn, uint64_t *arg)
{
	if (!a->n)
		return -ENOENT;
	*fn = a->of[a->first].fn;
	*arg = a->of[a->first].arg;
	a->first = (a->first + 1) % MG_REDIS_ASKED_MAX;
	a->n--;
	return 0;
}

bool mg_redis_asked_any(const struct mg_redis_asked *a)
{
	return a->n > 0;
}

bool mg_redis_asked_low(const struct mg_redis_asked *a)
{
	return a->n < ASKED_LOW;
}

void mg_redis_asked_clear(struct mg_redis_asked *a)
{
	a->first = a->n = 0;
}
