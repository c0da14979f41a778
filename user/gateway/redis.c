// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/redis.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/redis_bytes.h"
#include "gateway/resolve.h"

#define RETRY_FIRST_MS 100
#define RETRY_LAST_MS  2000
#define ANSWER_MS      3000 /* connected or asked, and nothing came: it is away */
#define WATCH_MS       500
#define STABLE_MS      1000 /* up for so long, it is worth a line, and the next try comes soon */
#define READ_BYTES     65536

enum state { RESTING, RESOLVING, CONNECTING, GREETING, UP };

struct mg_redis {
	struct mg_loop *loop;
	struct mg_store_url url;
	struct mg_redis_face face;
	bool logs;
	enum state state;
	uint32_t tries;

	struct mg_resolve *resolve;
	struct mg_ep eps[MG_RESOLVE_MAX];
	size_t n_eps, next_ep;

	struct mg_io io;
	bool waits_to_write;
	bool wants_room;
	struct mg_timer timer; /* next try, time-outs, watch */
	struct mg_timer flush; /* once a round, whatever was said in it */
	struct mg_redis_out out;
	struct mg_redis_in in;
	struct mg_redis_asked asked;
	uint64_t up_ms;
	uint64_t heard_ms; /* or when we began to wait for a word */

	bool broken; /* to be taken down by whoever is outermost */
	bool suspected;
	bool told; /* that it is up */
	char why[128];
	char logged[128]; /* the reason told last; "" once it was back */
};

/* The first reason counts; bytes of the other side are shown as text. */
static void fail(struct mg_redis *r, const char *what, const char *why)
{
	if (r->broken)
		return;
	r->broken = true;
	snprintf(r->why, sizeof(r->why), "%s%s%s", what, *why ? ": " : "", why);
	for (char *c = r->why; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
}

static const char *where(const struct mg_redis *r, char buf[MG_STORE_URL_STRLEN])
{
	return mg_store_url_format(buf, &r->url);
}

static void tell_away(struct mg_redis *r)
{
	char buf[MG_STORE_URL_STRLEN];

	if (!r->logs || strcmp(r->logged, r->why) == 0) {
		mg_debug("store: %s: %s", where(r, buf), r->why);
		return;
	}
	mg_warn("store: %s cannot be used, and is tried again: %s", where(r, buf), r->why);
	snprintf(r->logged, sizeof(r->logged), "%s", r->why);
}

static void tell_back(struct mg_redis *r)
{
	char buf[MG_STORE_URL_STRLEN];

	if (r->logs && (!r->told || r->logged[0]))
		mg_info("store: %s is %s", where(r, buf), r->told ? "back" : "in use");
	r->told = true;
	r->logged[0] = '\0';
	r->tries = 0;
}

/* Half of the delay is chance, so that hosts do not all come back at once. */
static void arm_retry(struct mg_redis *r)
{
	uint32_t ms = RETRY_LAST_MS;

	if (r->tries < 5 && RETRY_FIRST_MS << r->tries < RETRY_LAST_MS)
		ms = RETRY_FIRST_MS << r->tries++;
	mg_timer_arm(&r->loop->timers, &r->timer,
		     mg_clock_ms() + ms / 2 + arc4random_uniform(ms / 2));
}

static void hang_up(struct mg_redis *r)
{
	if (r->io.fd >= 0) {
		mg_loop_remove(r->loop, &r->io);
		close(r->io.fd);
	}
	r->io.fd = -1;
	r->waits_to_write = false;
	mg_timer_disarm(&r->loop->timers, &r->flush);
	mg_timer_disarm(&r->loop->timers, &r->timer);
	mg_redis_in_free(&r->in);
	mg_redis_out_free(&r->out);
	mg_redis_asked_clear(&r->asked);
}

static void take_down(struct mg_redis *r)
{
	bool was_up = r->state == UP;

	hang_up(r);
	r->state = RESTING;
	r->broken = r->wants_room = r->suspected = false;
	tell_away(r);
	arm_retry(r);
	if (was_up)
		r->face.down(r->face.ctx);
}

static void settle(struct mg_redis *r)
{
	if (r->broken)
		take_down(r);
}

static void want_write(struct mg_redis *r, bool on)
{
	if (r->waits_to_write == on)
		return;
	r->waits_to_write = on;
	mg_loop_remove(r->loop, &r->io);
	if (mg_loop_add(r->loop, &r->io, on ? EPOLLIN | EPOLLOUT : EPOLLIN))
		fail(r, "epoll", strerror(errno));
}

static void write_out(struct mg_redis *r)
{
	int err = mg_redis_out_write(&r->out, r->io.fd);

	if (err && err != -EAGAIN)
		fail(r, "write", strerror(-err));
	else
		want_write(r, err == -EAGAIN);
}

static void tell_room(struct mg_redis *r)
{
	if (!r->broken && r->wants_room && mg_redis_has_room(r)) {
		r->wants_room = false;
		r->face.room(r->face.ctx);
	}
}

static void flush(struct mg_timer *t)
{
	struct mg_redis *r = mg_container_of(t, struct mg_redis, flush);

	if (!r->broken && !r->waits_to_write)
		write_out(r);
	tell_room(r);
	settle(r);
}

static void say(struct mg_redis *r, mg_redis_fn *fn, uint64_t arg, int argc, const char **argv,
		const size_t *lens)
{
	int err;

	if (!mg_redis_asked_any(&r->asked) && !r->face.heard)
		r->heard_ms = mg_clock_ms();
	err = mg_redis_out_add(&r->out, argc, argv, lens);
	if (!err && (!r->face.heard || r->state == GREETING))
		err = mg_redis_asked_add(&r->asked, fn, arg);
	if (err)
		fail(r, "it takes too little of what it is told", "");
	/* In this round if it is no timer's turn yet, or a millisecond later. */
	if (!mg_timer_armed(&r->flush) && mg_timer_arm(&r->loop->timers, &r->flush, 0))
		fail(r, "timer", strerror(ENOMEM));
}

static void greeted(void *ctx, uint64_t arg, const struct redisReply *reply)
{
	struct mg_redis *r = ctx;

	(void)arg;
	(void)reply;
	r->state = UP;
	r->up_ms = r->heard_ms = mg_clock_ms();
	mg_timer_arm(&r->loop->timers, &r->timer, r->up_ms + WATCH_MS);
	r->face.up(r->face.ctx);
}

static void greet(struct mg_redis *r)
{
	const char *auth[] = { "AUTH", r->url.user, r->url.password };
	const char *old_auth[] = { "AUTH", r->url.password };
	const char *ping[] = { "PING" };
	char db[16];
	const char *select[] = { "SELECT", db };

	r->state = GREETING;
	snprintf(db, sizeof(db), "%u", r->url.db);
	/* The form without a user is the one that all versions know. */
	if (r->url.auth && r->url.user[0])
		say(r, NULL, 0, 3, auth, NULL);
	else if (r->url.auth)
		say(r, NULL, 0, 2, old_auth, NULL);
	if (r->url.db)
		say(r, NULL, 0, 2, select, NULL);
	say(r, greeted, 0, 1, ping, NULL);
}

static void heard(struct mg_redis *r, const struct redisReply *reply)
{
	mg_redis_fn *fn;
	uint64_t arg;

	r->heard_ms = mg_clock_ms();
	if (reply->type == REDIS_REPLY_ERROR) {
		fail(r, "it says", reply->str);
		return;
	}
	if (r->state == UP && r->face.heard) {
		r->face.heard(r->face.ctx, reply);
		return;
	}
	if (mg_redis_asked_take(&r->asked, &fn, &arg))
		fail(r, "it answers what was not asked", "");
	else if (fn)
		fn(r->state == GREETING ? r : r->face.ctx, arg, reply);
}

static void take(struct mg_redis *r)
{
	char bytes[READ_BYTES];
	struct redisReply *reply;
	ssize_t n = read(r->io.fd, bytes, sizeof(bytes));
	int err = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(r, n ? "read" : "it closed the connection", n ? strerror(errno) : "");
		return;
	}
	mg_redis_in_feed(&r->in, bytes, (size_t)n);
	while (!r->broken) {
		err = mg_redis_in_next(&r->in, &reply);
		if (err || !reply)
			break;
		heard(r, reply);
		freeReplyObject(reply);
	}
	if (err)
		fail(r, "it does not speak as Redis does", mg_redis_in_error(&r->in));
}

static void connected(struct mg_redis *r)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(r->io.fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err) {
		fail(r, "connect", strerror(err));
		return;
	}
	want_write(r, false);
	greet(r);
}

static void ready(struct mg_io *io, uint32_t events)
{
	struct mg_redis *r = mg_container_of(io, struct mg_redis, io);

	if (r->state == CONNECTING) {
		connected(r);
	} else {
		if (events & EPOLLOUT)
			write_out(r);
		if (!r->broken && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
			take(r);
		tell_room(r);
	}
	settle(r);
}

static socklen_t address_of(struct mg_redis *r, struct sockaddr_storage *ss)
{
	struct sockaddr_un *un = (struct sockaddr_un *)ss;

	if (r->url.kind == MG_STORE_TCP)
		return mg_ep_to_sockaddr(&r->eps[r->next_ep++ % r->n_eps], ss);
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(un->sun_path, sizeof(un->sun_path), "%.*s", (int)sizeof(un->sun_path) - 1,
		 r->url.address);
	return sizeof(*un);
}

static void dial(struct mg_redis *r)
{
	struct sockaddr_storage ss;
	socklen_t len = address_of(r, &ss);
	int err = mg_redis_in_init(&r->in), one = 1;

	r->state = CONNECTING;
	mg_timer_arm(&r->loop->timers, &r->timer, mg_clock_ms() + ANSWER_MS);
	r->io.fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->io.fd < 0 || err) {
		fail(r, "socket", strerror(err ? -err : errno));
		return;
	}
	r->waits_to_write = true;
	/* What is told comes in small pieces, and each is news. Fails for a Unix socket, rightly.
	 */
	setsockopt(r->io.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(r->io.fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS)
		fail(r, "connect", strerror(errno));
	else if (mg_loop_add(r->loop, &r->io, EPOLLIN | EPOLLOUT))
		fail(r, "epoll", strerror(errno));
}

static void resolved(void *ctx, const struct mg_ep *eps, size_t n, const char *why)
{
	struct mg_redis *r = ctx;

	r->resolve = NULL;
	r->n_eps = n;
	memcpy(r->eps, eps, n * sizeof(*eps));
	if (n)
		dial(r);
	else
		fail(r, "its name", why);
	settle(r);
}

/* Each time anew: a store that moved has another address. */
static void begin(struct mg_redis *r)
{
	int err;

	if (r->url.kind == MG_STORE_UNIX) {
		dial(r);
		return;
	}
	if (mg_ip_parse(&r->eps[0].ip, r->url.address) == 0) {
		r->eps[0].port = htons(r->url.port);
		r->n_eps = 1;
		dial(r);
		return;
	}
	r->state = RESOLVING;
	err = mg_resolve_start(&r->resolve, r->loop, r->url.address, r->url.port, resolved, r);
	if (err)
		fail(r, "its name", strerror(-err));
}

static void watch(struct mg_redis *r, uint64_t now_ms)
{
	const char *ping[] = { "PING" };
	bool silent = (r->face.heard || mg_redis_asked_any(&r->asked)) &&
		      now_ms - r->heard_ms > ANSWER_MS;

	/* Maybe it was us who did not listen: what has come is read before the second look. */
	if (silent && r->suspected) {
		fail(r, "it does not answer", "");
		return;
	}
	r->suspected = silent;
	if (now_ms - r->up_ms >= STABLE_MS)
		tell_back(r);
	if (r->face.heard)
		mg_redis_send(r, NULL, 0, 1, ping, NULL);
	mg_timer_arm(&r->loop->timers, &r->timer, now_ms + WATCH_MS);
}

static void timed(struct mg_timer *t)
{
	struct mg_redis *r = mg_container_of(t, struct mg_redis, timer);

	if (r->state == RESTING)
		begin(r);
	else if (r->state == UP)
		watch(r, mg_clock_ms());
	else
		fail(r, "it does not answer", "");
	settle(r);
}

int mg_redis_open(struct mg_redis **out, struct mg_loop *loop, const struct mg_store_url *url,
		  const struct mg_redis_face *face, bool logs)
{
	struct mg_redis *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->loop = loop;
	r->url = *url;
	r->face = *face;
	r->logs = logs;
	r->io = (struct mg_io){ .fd = -1, .ready = ready };
	r->timer.fire = timed;
	r->flush.fire = flush;
	err = mg_timer_arm(&loop->timers, &r->timer, 0);
	if (err)
		free(r);
	else
		*out = r;
	return err;
}

void mg_redis_close(struct mg_redis *r)
{
	if (!r)
		return;
	if (r->state == UP)
		mg_redis_out_write(&r->out, r->io.fd);
	mg_resolve_cancel(r->resolve);
	hang_up(r);
	free(r);
}

bool mg_redis_up(const struct mg_redis *r)
{
	return r && r->state == UP && !r->broken;
}

bool mg_redis_has_room(struct mg_redis *r)
{
	if (mg_redis_up(r) && mg_redis_out_low(&r->out) && mg_redis_asked_low(&r->asked))
		return true;
	r->wants_room = true;
	return false;
}

void mg_redis_send(struct mg_redis *r, mg_redis_fn *fn, uint64_t arg, int argc, const char **argv,
		   const size_t *lens)
{
	if (mg_redis_up(r))
		say(r, fn, arg, argc, argv, lens);
}

void mg_redis_distrust(struct mg_redis *r, const char *why)
{
	if (!mg_redis_up(r))
		return;
	fail(r, "it answers with something else", why);
	mg_timer_arm(&r->loop->timers, &r->flush, 0);
}
