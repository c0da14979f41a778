/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hosts that share a store, each with a loop on a thread of its own and a directory that believes
 * what it is told; with a real Redis (redis_rig.h), in a network namespace of the test's own. Hosts
 * are static records: those of a test that failed run on beside the others.
 */
#ifndef MG_TESTS_STORE_RIG_H
#define MG_TESTS_STORE_RIG_H

#include "mg_test.h"

#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/steer.h"
#include "base/log.h"
#include "base/loop.h"
#include "gateway/store.h"
#include "gateway/tokenset.h"
#include "redis_rig.h"

/* Long enough that a machine with much to do does not miss three of them. */
#define BEAT_MS 300
#define NAMES	8

/* ---- a host ---------------------------------------------------------------------------------- */

struct told {
	char name[MG_MEMBER_NAME];
	struct mg_tokenset tokens, fresh;
	bool syncing, alive, drained, member;
	uint64_t sessions;
	uint32_t resyncs, deaths;
};

struct host {
	struct mg_loop loop;
	pthread_t thread;
	struct mg_store *store;
	struct told told[NAMES];
	size_t n_told;
	bool reachable;
	uint32_t away; /* how often it became unreachable */
	bool listens;
	/* of the call under way */
	const char *url, *name;
	uint32_t first, n, heartbeat_ms;
	bool on;
	long result;
	struct mg_store_status status;
};

static inline struct told *told_of(struct host *h, const char *name)
{
	for (size_t i = 0; i < h->n_told; i++) {
		if (strcmp(h->told[i].name, name) == 0)
			return &h->told[i];
	}
	if (h->n_told == NAMES)
		return NULL;
	snprintf(h->told[h->n_told].name, MG_MEMBER_NAME, "%s", name);
	mg_tokenset_init(&h->told[h->n_told].tokens);
	mg_tokenset_init(&h->told[h->n_told].fresh);
	return &h->told[h->n_told++];
}

static inline void host_token(void *ctx, const char *proxy, uint32_t token, bool owned)
{
	struct told *t = told_of(ctx, proxy);

	if (!t)
		return;
	if (owned) {
		mg_tokenset_add(&t->tokens, token);
		mg_tokenset_add(&t->fresh, token);
	} else {
		mg_tokenset_del(&t->tokens, token);
		mg_tokenset_del(&t->fresh, token);
	}
}

static inline void host_resync(void *ctx, const char *proxy)
{
	struct told *t = told_of(ctx, proxy);

	if (!t)
		return;
	mg_tokenset_free(&t->fresh);
	t->syncing = true;
}

static inline void host_resync_done(void *ctx, const char *proxy)
{
	struct told *t = told_of(ctx, proxy);

	if (!t || !t->syncing)
		return;
	mg_tokenset_free(&t->tokens);
	t->tokens = t->fresh;
	mg_tokenset_init(&t->fresh);
	t->syncing = false;
	t->resyncs++;
}

static inline void host_member(void *ctx, const struct mg_store_member *m)
{
	struct told *t = told_of(ctx, m->name);

	if (!t)
		return;
	t->member = true;
	t->sessions = m->sessions;
	t->deaths += t->alive && !m->alive;
	t->alive = m->alive;
	if (!m->alive)
		mg_tokenset_free(&t->tokens);
}

static inline void host_drain(void *ctx, const char *proxy, bool on)
{
	struct told *t = told_of(ctx, proxy);

	if (t)
		t->drained = on;
}

static inline void host_reachable(void *ctx, bool yes)
{
	struct host *h = ctx;

	h->away += h->reachable && !yes;
	h->reachable = yes;
}

static inline void *host_loop(void *arg)
{
	mg_loop_run(&((struct host *)arg)->loop);
	return NULL;
}

static inline void host_open_call(void *arg)
{
	struct host *h = arg;
	const struct mg_store_listener all = {
		.ctx = h,
		.token = host_token,
		.resync = host_resync,
		.resync_done = host_resync_done,
		.member = host_member,
		.drain = host_drain,
		.reachable = host_reachable,
	}, deaf = { .ctx = h, .reachable = host_reachable };

	h->result = mg_store_open(&h->store, &h->loop, h->url, h->listens ? &all : &deaf);
	if (!h->result && h->heartbeat_ms)
		h->result = mg_store_join(h->store, h->name, h->heartbeat_ms);
}

/* name NULL: a gateway, which is no member. */
static inline void host_up(struct host *h, const char *url, const char *name, bool listens)
{
	*h = (struct host){ .url = url, .name = name, .heartbeat_ms = BEAT_MS, .listens = listens };
	assert_int_equal(mg_loop_init(&h->loop, NULL, NULL), 0);
	assert_int_equal(pthread_create(&h->thread, NULL, host_loop, h), 0);
	mg_loop_call(&h->loop, host_open_call, h);
	assert_int_equal(h->result, 0);
}

static inline void gateway_up(struct host *h, const char *url)
{
	host_up(h, url, NULL, true);
}

static inline void proxy_up(struct host *h, const char *url, const char *name)
{
	host_up(h, url, name, false);
}

static inline void host_stop_call(void *arg)
{
	((struct host *)arg)->loop.stop = true;
}

/* As kill -9: nobody hears of it. Its memory is given back by host_down. */
static inline void host_freeze(struct host *h)
{
	mg_loop_call(&h->loop, host_stop_call, h);
	pthread_join(h->thread, NULL);
}

static inline void host_close_call(void *arg)
{
	struct host *h = arg;

	mg_store_close(h->store);
	h->loop.stop = true;
}

static inline void host_forget(struct host *h)
{
	for (size_t i = 0; i < h->n_told; i++) {
		mg_tokenset_free(&h->told[i].tokens);
		mg_tokenset_free(&h->told[i].fresh);
	}
	mg_loop_free(&h->loop);
}

static inline void host_down(struct host *h)
{
	mg_loop_call(&h->loop, host_close_call, h);
	pthread_join(h->thread, NULL);
	host_forget(h);
}

/* One that was frozen */
static inline void host_bury(struct host *h)
{
	mg_store_close(h->store);
	host_forget(h);
}

/* ---- what a host does ------------------------------------------------------------------------ */

/* Tokens are numbers spread over all 32 bits. */
static inline uint32_t token_of(uint32_t i)
{
	return i * 0x9e3779b1U;
}

static inline void host_own_call(void *arg)
{
	struct host *h = arg;

	for (uint32_t i = 0; i < h->n; i++)
		mg_store_own(h->store, token_of(h->first + i), h->on);
}

static inline void host_own(struct host *h, uint32_t first, uint32_t n, bool on)
{
	h->first = first;
	h->n = n;
	h->on = on;
	mg_loop_call(&h->loop, host_own_call, h);
}

static inline void host_own_all_call(void *arg)
{
	struct host *h = arg;
	uint32_t *tokens = calloc(h->n + 1, sizeof(*tokens));

	for (uint32_t i = 0; i < h->n; i++)
		tokens[i] = token_of(h->first + i);
	mg_store_own_all(h->store, tokens, h->n);
	free(tokens);
}

static inline void host_own_all(struct host *h, uint32_t first, uint32_t n)
{
	h->first = first;
	h->n = n;
	mg_loop_call(&h->loop, host_own_all_call, h);
}

static inline void host_drain_call(void *arg)
{
	struct host *h = arg;

	h->result = mg_store_drain(h->store, h->name, h->on);
}

static inline long host_drains(struct host *h, const char *proxy, bool on)
{
	h->name = proxy;
	h->on = on;
	mg_loop_call(&h->loop, host_drain_call, h);
	return h->result;
}

/* ---- what a host knows ----------------------------------------------------------------------- */

static inline void host_exactly_call(void *arg)
{
	struct host *h = arg;
	struct told *t = told_of(h, h->name);

	h->result = t->tokens.n == h->n;
	for (uint32_t i = 0; h->result && i < h->n; i++)
		h->result = mg_tokenset_has(&t->tokens, token_of(h->first + i));
}

/* Of the proxy: these tokens and no others */
static inline bool host_knows(struct host *h, const char *proxy, uint32_t first, uint32_t n)
{
	h->name = proxy;
	h->first = first;
	h->n = n;
	mg_loop_call(&h->loop, host_exactly_call, h);
	return h->result;
}

static inline void host_told_call(void *arg)
{
	struct host *h = arg;
	struct told *t = told_of(h, h->name);

	h->result = (long)(t - h->told);
	mg_store_status(h->store, &h->status);
}

/* A copy without the sets */
static inline struct told host_told(struct host *h, const char *proxy)
{
	h->name = proxy;
	mg_loop_call(&h->loop, host_told_call, h);
	return h->told[h->result];
}

static inline struct mg_store_status host_status(struct host *h)
{
	host_told(h, "");
	return h->status;
}

static inline void host_reach_call(void *arg)
{
	struct host *h = arg;

	h->result = h->reachable;
}

static inline bool host_reaches(struct host *h)
{
	mg_loop_call(&h->loop, host_reach_call, h);
	return h->result;
}

/* ---- the log --------------------------------------------------------------------------------- */

struct log_rig {
	int stderr_fd;
	FILE *to;
};

static inline void log_catch(struct log_rig *l)
{
	fflush(stderr);
	l->stderr_fd = dup(2);
	l->to = tmpfile();
	dup2(fileno(l->to), 2);
}

/* Lines with the word; what was caught so far stays. */
static inline int log_lines(struct log_rig *l, const char *word)
{
	char line[1024];
	int n = 0;

	rewind(l->to);
	while (fgets(line, sizeof(line), l->to))
		n += strstr(line, word) != NULL;
	fseek(l->to, 0, SEEK_END);
	return n;
}

static inline void log_release(struct log_rig *l)
{
	char line[1024];

	dup2(l->stderr_fd, 2);
	close(l->stderr_fd);
	rewind(l->to);
	while (fgets(line, sizeof(line), l->to))
		fputs(line, stderr);
	fclose(l->to);
}

/* ---- the network ----------------------------------------------------------------------------- */

static inline int own_network(void **state)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, err;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	err = ioctl(fd, SIOCSIFFLAGS, &lo) ? -errno : 0;
	close(fd);
	return err;
}

#endif
