/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole converter in the test's own process and network namespace, without a data plane, and the
 * two peers of a session played by the test.
 *
 *   client (10.9.1.1) ── converter (10.9.0.1:5124, [fd09::1]:5124) ── server (10.9.2.1:80)
 *
 * The policy's list of own addresses is the test's. Time is the test's, too: rig_advance moves the
 * workers' clock, nobody waits for a time-out. After every test all descriptors, buffers, timers
 * and counters must be back.
 */
#ifndef MG_TESTS_SESSION_RIG_H
#define MG_TESTS_SESSION_RIG_H

#include "fake_admission.h"
#include "peers.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/proxy.h"
#include "sys/sock.h"

#define NO_ERROR      (-1)
#define PATTERN_BYTES 8192

struct rig {
	struct mg_proxy proxy;
	struct mg_dp *dp; /* NULL, or something that the test's own calls take for one */
	struct mg_policy policy;
	struct mg_config config;
	struct mg_ep listen[2];
	struct in6_addr own;
	bool running;
	size_t fds_before;
	struct mg_stats last; /* as of the last rig_ends() */
	int listener;	      /* of the server */
	int client, server;   /* -1: none */
	size_t acked;	 /* bytes the broken side sent and the converter has, see the reset tests */
	const void *arg; /* of the test */
	bool counts_alone; /* without admission in the kernel */
};

/* ---- the workers' clock --------------------------------------------------------------------- */

static _Thread_local bool test_thread;
static _Atomic uint64_t clock_ahead_ms;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int err = __real_clock_gettime(id, ts);

	if (!test_thread)
		ts->tv_sec += (time_t)(atomic_load(&clock_ahead_ms) / 1000);
	return err;
}

/* ---- the worker, asked on its own thread ----------------------------------------------------- */

static inline void rig_nothing(void *arg)
{
	(void)arg;
}

/* What was under way when this is called is over when it returns. */
static inline void rig_sync(struct rig *r)
{
	for (unsigned int i = 0; i < r->proxy.n_workers; i++)
		mg_loop_call(&r->proxy.workers[i].loop, rig_nothing, NULL);
}

static inline void rig_advance(struct rig *r, uint64_t s)
{
	atomic_fetch_add(&clock_ahead_ms, s * 1000);
	rig_sync(r);
	rig_sync(r);
}

struct rig_kept {
	struct mg_worker *w;
	size_t lent, timers, sessions, ready, held;
};

static inline size_t rig_list_length(struct mg_list *head)
{
	struct mg_list *node;
	size_t n = 0;

	mg_list_for_each (node, head)
		n++;
	return n;
}

static inline void rig_look(void *arg)
{
	struct rig_kept *k = arg;

	k->lent = k->w->pool.n_lent;
	/* Those of sessions; the worker has its own for what is held. */
	k->timers = k->w->loop.timers.n - mg_timer_armed(&k->w->held.beat) -
		    mg_timer_armed(&k->w->ports.age);
	k->held = k->w->held.n;
	k->sessions = rig_list_length(&k->w->sessions);
	k->ready = rig_list_length(&k->w->ready);
}

/* Nothing is kept for sessions that are over. */
static inline void rig_assert_empty(struct rig *r)
{
	for (unsigned int i = 0; i < r->proxy.n_workers; i++) {
		struct rig_kept k = { .w = &r->proxy.workers[i] };

		mg_loop_call(&k.w->loop, rig_look, &k);
		assert_int_equal(k.lent, 1); /* the worker's own */
		assert_int_equal(k.timers, 0);
		assert_int_equal(k.sessions, 0);
		assert_int_equal(k.ready, 0);
		assert_int_equal(k.held, 0);
	}
	for (size_t i = 0; i < MG_PENDING_SHARDS; i++)
		assert_int_equal(r->proxy.pending.shard[i].n, 0);
	assert_int_equal(atomic_load(&r->proxy.sessions), 0);
	fake_assert_empty();
}

static inline struct mg_stats rig_stats(struct rig *r)
{
	struct mg_stats s;

	mg_proxy_stats(&r->proxy, &s);
	return s;
}

/* Since the last time n sessions ended, all for this reason, and each counted `code` once (or no
 * error at all); nothing is left of them. */
static inline void rig_ends_n(struct rig *r, unsigned int n, enum mg_close_reason reason, int code)
{
	struct mg_stats now;

	if (!wait_until((now = rig_stats(r), now.closed >= r->last.closed + n && !now.active)))
		fail_msg("no end: %llu closed, %llu active", (unsigned long long)now.closed,
			 (unsigned long long)now.active);
	assert_int_equal(now.opened, now.closed);
	assert_int_equal(now.closed, r->last.closed + n);
	for (int i = 0; i < MG_CLOSE_COUNT; i++) {
		if (now.closed_by[i] - r->last.closed_by[i] != (i == (int)reason ? n : 0))
			fail_msg("%llu sessions closed by %s, expected %s",
				 (unsigned long long)(now.closed_by[i] - r->last.closed_by[i]),
				 mg_close_reason_label((enum mg_close_reason)i),
				 mg_close_reason_label(reason));
	}
	for (int i = 0; i < MG_ERROR_COUNT; i++)
		assert_int_equal(now.errors[i] - r->last.errors[i],
				 code >= 0 && i == mg_convert_error_index((unsigned int)code) ? n
											      : 0);
	rig_assert_empty(r);
	r->last = now;
}

static inline void rig_ends(struct rig *r, enum mg_close_reason reason, int code)
{
	rig_ends_n(r, 1, reason, code);
}

/* True once the one session there is is in this state. */
static inline bool rig_state_is(struct rig *r, enum mg_session_state state)
{
	struct mg_session_row *rows = NULL;
	long n = mg_proxy_sessions(&r->proxy, &rows);
	bool is = n == 1 && rows[0].state == state;

	free(rows);
	return is;
}

#define rig_wait_state(r, state) assert_true(wait_until(rig_state_is(r, state)))

/* ---- Convert --------------------------------------------------------------------------------- */

static inline void rig_say_message(int fd, struct mg_convert_buf *b)
{
	int len = mg_convert_end(b);

	assert_true(len > 0);
	rig_say(fd, b->data, (size_t)len);
}

static inline void rig_say_info(int fd)
{
	struct mg_convert_buf b;

	mg_convert_begin(&b);
	mg_convert_put_info(&b);
	rig_say_message(fd, &b);
}

static inline void rig_put_connect(struct mg_convert_buf *b, const char *to)
{
	struct mg_ep ep = ep_of(to);

	mg_convert_begin(b);
	mg_convert_put_connect(b, &ep, (struct mg_span){ 0 });
}

static inline void rig_ask(int fd, const char *to)
{
	struct mg_convert_buf b;

	rig_put_connect(&b, to);
	rig_say_message(fd, &b);
}

struct rig_reply {
	uint8_t bytes[MG_CONVERT_MAX_BYTES];
	struct mg_convert_msg msg;
};

/* Reads one whole message and not a byte more. */
static inline void rig_hear_message(int fd, struct rig_reply *reply)
{
	enum mg_convert_error error;
	size_t len;

	assert_int_equal(recv(fd, reply->bytes, 4, MSG_WAITALL), 4);
	len = reply->bytes[1] * 4U;
	assert_true(len > 4);
	assert_int_equal(recv(fd, reply->bytes + 4, len - 4, MSG_WAITALL), len - 4);
	assert_int_equal(
		mg_convert_parse(&reply->msg, &error, MG_FROM_CONVERTER, reply->bytes, len), len);
	assert_int_equal(error, MG_CE_NONE);
}

/* The Error TLV, then an orderly end: never a reset (RFC 8803 section 6.2.8). */
static inline void rig_hear_error(int fd, uint8_t code, struct rig_reply *reply)
{
	struct rig_reply own;

	reply = reply ? reply : &own;
	rig_hear_message(fd, reply);
	assert_true(reply->msg.error_present);
	assert_int_equal(reply->msg.error_code, code);
	rig_hear_end(fd);
}

static inline void rig_hear_connected(int fd)
{
	struct rig_reply reply;

	rig_hear_message(fd, &reply);
	assert_true(reply.msg.ext_tcp_hdr_present);
	assert_false(reply.msg.error_present);
}

/* client and server, connected and quiet */
static inline void rig_relay(struct rig *r)
{
	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(r->client, SERVER);
	r->server = rig_accept(r->listener);
	rig_hear_connected(r->client);
	rig_sync(r);
	rig_wait_state(r, MG_SESSION_RELAY);
}

/* Fails at once where the peers do not hear each other any more. */
static inline void rig_assert_relays(struct rig *r)
{
	rig_say(r->client, "up", 2);
	rig_hear(r->server, "up");
	rig_say(r->server, "down", 4);
	rig_hear(r->client, "down");
	rig_sync(r);
}

/* ---- start and end --------------------------------------------------------------------------- */

static inline size_t rig_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static inline void rig_start(struct rig *r, unsigned int workers)
{
	memset(&r->last, 0, sizeof(r->last));
	r->fds_before = rig_count_fds();
	assert_int_equal(mg_proxy_start(&r->proxy, r->dp, workers, &r->policy), 0);
	r->running = true;
	if (!r->counts_alone)
		r->proxy.admission = fake_admission();
}

static inline void rig_stop(struct rig *r)
{
	if (r->running)
		mg_proxy_stop(&r->proxy);
	r->running = false;
}

static inline int rig_setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	fake_reset(&r->config.converter.max_sessions);
	r->arg = *state;
	r->client = r->server = -1;
	r->listen[0] = ep_of(CONVERTER);
	r->listen[1] = ep_of(CONVERTER6);
	r->own = ip_of(OWN);
	r->config.converter =
		(struct mg_config_converter){ .listen = r->listen,
					      .n_listen = 2,
					      .cookie_rotate_s = 3600,
					      .server_mptcp = MG_SERVER_MPTCP_REQUESTED,
					      .connect_timeout_ms = 5000,
					      .greet_timeout_ms = 5000,
					      .idle_timeout_s = 7440,
					      .half_open_timeout_s = 240,
					      .pending_per_client = 256,
					      .max_sessions = 65536,
					      .retry_after_s = 30,
					      .fastopen_queue = 64 };
	r->policy = (struct mg_policy){
		.config = &r->config, .own = &r->own, .n_own = 1, .sack = true, .timestamps = true
	};
	r->listener = rig_listen(SERVER, 64);
	*state = r;
	rig_start(r, 1);
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct rig *r = *state;

	rig_close(&r->client);
	rig_close(&r->server);
	if (r->running)
		assert_true(wait_until(rig_stats(r).active == 0));
	rig_stop(r);
	fake_assert_empty();
	assert_int_equal(rig_count_fds(), r->fds_before);
	rig_close(&r->listener);
	free(r);
	return 0;
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

static inline bool rig_begin(void)
{
	test_thread = true;
	signal(SIGPIPE, SIG_IGN);
	mg_log_set_level(MG_LOG_ERROR);
	return rig_enter_namespace();
}

#define rig_main(name, tests)                                               \
	(rig_begin() ? cmocka_run_group_tests_name(name, tests, NULL, NULL) \
		     : (puts("1..0 # SKIP needs a network namespace of its own"), 0))

#endif
