// SPDX-License-Identifier: BSD-2-Clause
/* The store is away, slow, or comes back without memory: nothing is forgotten, all is mended. */
#include "store_rig.h"

#include <malloc.h>

#define PX1 "px1"

/* Two gateways, a proxy with tokens 0 … 999, another that is drained */
struct net {
	struct redis_rig r;
	struct host px, gw[2];
};

static void net_up(struct net *n)
{
	redis_up(&n->r, NULL);
	gateway_up(&n->gw[0], n->r.url);
	gateway_up(&n->gw[1], n->r.url);
	proxy_up(&n->px, n->r.url, PX1);
	host_own(&n->px, 0, 1000, true);
	for (int i = 0; i < 2; i++)
		assert_true(wait_until(host_knows(&n->gw[i], PX1, 0, 1000) &&
				       host_told(&n->gw[i], PX1).alive));
	assert_int_equal(host_drains(&n->gw[0], "px2", true), 0);
	assert_true(wait_until(host_told(&n->gw[1], "px2").drained));
}

static void net_down(struct net *n)
{
	host_down(&n->px);
	host_down(&n->gw[0]);
	host_down(&n->gw[1]);
	redis_down(&n->r);
}

static bool none_reaches(struct net *n)
{
	return !host_reaches(&n->px) && !host_reaches(&n->gw[0]) && !host_reaches(&n->gw[1]);
}

/* What they knew before, they know still. */
static void assert_nothing_forgotten(struct net *n)
{
	for (int i = 0; i < 2; i++) {
		assert_true(host_knows(&n->gw[i], PX1, 0, 1000));
		assert_true(host_told(&n->gw[i], PX1).alive);
		assert_true(host_told(&n->gw[i], "px2").drained);
		assert_int_equal(host_told(&n->gw[i], PX1).deaths, 0);
	}
}

static void assert_mended(struct net *n)
{
	for (int i = 0; i < 2; i++) {
		assert_true(wait_until(host_reaches(&n->gw[i])));
		assert_true(wait_until(host_knows(&n->gw[i], PX1, 200, 1000)));
		assert_true(wait_until(host_told(&n->gw[i], "px2").drained));
		assert_true(wait_until(host_told(&n->gw[i], "px3").drained));
		assert_true(host_told(&n->gw[i], PX1).alive);
		assert_int_equal(host_told(&n->gw[i], PX1).deaths, 0);
		assert_true(host_status(&n->gw[i]).reconnects >= 1);
	}
	assert_int_equal(redis_ask(&n->r, "SCARD mpgate:tokens:px1"), 1000);
	assert_true(wait_until(redis_ask(&n->r, "SCARD mpgate:drain") == 2));
}

/* Meanwhile 200 go, 200 come, and one more proxy is drained. */
static void go_on_without(struct net *n)
{
	host_own(&n->px, 0, 200, false);
	host_own(&n->px, 1000, 200, true);
	assert_int_equal(host_drains(&n->gw[1], "px3", true), 0);
	assert_true(host_told(&n->gw[1], "px3").drained);
	assert_nothing_forgotten(n);
}

static void test_a_store_that_hangs(void **state)
{
	static struct net n;
	struct log_rig log;
	int lines;

	(void)state;
	net_up(&n);
	log_catch(&log);
	kill(n.r.pid, SIGSTOP);
	assert_true(wait_until(none_reaches(&n)));
	go_on_without(&n);
	kill(n.r.pid, SIGCONT);
	assert_mended(&n);
	assert_true(wait_until(log_lines(&log, "is back") == 3));
	/* A line each, or two if what is wrong changed: it does not answer, then takes nobody. */
	lines = log_lines(&log, "cannot be used");
	log_release(&log);
	assert_in_range(lines, 3, 6);
	net_down(&n);
}

static void test_a_store_that_died_and_is_empty(void **state)
{
	static struct net n;

	(void)state;
	net_up(&n);
	redis_kill(&n.r);
	assert_true(wait_until(none_reaches(&n)));
	go_on_without(&n);
	redis_run(&n.r, NULL);
	assert_mended(&n);
	net_down(&n);
}

/* The proxy comes back long after the gateways: until then they keep what they have. */
static void test_a_proxy_that_comes_back_late(void **state)
{
	static struct net n;
	uint64_t end_ms;

	(void)state;
	net_up(&n);
	host_freeze(&n.px);
	redis_kill(&n.r);
	redis_run(&n.r, NULL);
	assert_true(wait_until(host_reaches(&n.gw[0]) && host_status(&n.gw[0]).reconnects));
	end_ms = mg_clock_ms() + 5 * BEAT_MS;
	while (mg_clock_ms() < end_ms) {
		assert_true(host_knows(&n.gw[0], PX1, 0, 1000));
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	n.px.loop.stop = false;
	assert_int_equal(pthread_create(&n.px.thread, NULL, host_loop, &n.px), 0);
	assert_true(wait_until(redis_ask(&n.r, "SCARD mpgate:tokens:px1") == 1000));
	assert_int_equal(host_told(&n.gw[0], PX1).deaths, 0);
	/* One that does not come back at all is missed in the end. */
	host_freeze(&n.px);
	assert_true(wait_until(!host_told(&n.gw[0], PX1).alive));
	n.px.loop.stop = false;
	assert_int_equal(pthread_create(&n.px.thread, NULL, host_loop, &n.px), 0);
	assert_true(wait_until(host_told(&n.gw[0], PX1).alive));
	net_down(&n);
}

/* Without a connection lost: somebody emptied it. */
static void test_a_store_that_was_emptied(void **state)
{
	static struct net n;

	(void)state;
	net_up(&n);
	redis_ask(&n.r, "FLUSHALL");
	assert_true(wait_until(redis_ask(&n.r, "SCARD mpgate:tokens:px1") == 1000));
	assert_true(wait_until(redis_ask(&n.r, "SISMEMBER mpgate:drain px2") == 1));
	assert_nothing_forgotten(&n);
	net_down(&n);
}

/* It expired while the proxy was stopped, and what it told since makes a set again: not enough. */
static void test_a_set_that_lost_some(void **state)
{
	static struct net n;

	(void)state;
	net_up(&n);
	redis_ask(&n.r, "DEL mpgate:tokens:px1");
	host_own(&n.px, 1000, 200, true);
	host_own(&n.px, 0, 200, false);
	assert_true(wait_until(redis_ask(&n.r, "SCARD mpgate:tokens:px1") == 1000));
	redis_ask(&n.r, "SREM mpgate:tokens:px1 %08x", token_of(700));
	assert_true(wait_until(redis_ask(&n.r, "SISMEMBER mpgate:tokens:px1 %08x", token_of(700)) ==
			       1));
	assert_true(wait_until(host_knows(&n.gw[0], PX1, 200, 1000)));
	net_down(&n);
}

/* A flag taken off while a gateway was away stays off. */
static void test_undrained_meanwhile(void **state)
{
	static struct net n;

	(void)state;
	net_up(&n);
	host_freeze(&n.gw[1]);
	assert_int_equal(host_drains(&n.gw[0], "px2", false), 0);
	assert_true(wait_until(redis_ask(&n.r, "EXISTS mpgate:drain") == 0));
	redis_ask(&n.r, "CLIENT KILL TYPE normal SKIPME yes");
	redis_ask(&n.r, "CLIENT KILL TYPE pubsub");
	n.gw[1].loop.stop = false;
	assert_int_equal(pthread_create(&n.gw[1].thread, NULL, host_loop, &n.gw[1]), 0);
	assert_true(wait_until(!host_told(&n.gw[1], "px2").drained));
	assert_true(wait_until(host_reaches(&n.gw[0])));
	assert_false(host_told(&n.gw[0], "px2").drained);
	assert_int_equal(redis_ask(&n.r, "EXISTS mpgate:drain"), 0);
	net_down(&n);
}

/* A slow reader's news are dropped by Redis, connection and all: the set is read anew. */
static void test_a_subscriber_cut_off(void **state)
{
	static struct net n;
	uint32_t resyncs;

	(void)state;
	net_up(&n);
	resyncs = host_told(&n.gw[0], PX1).resyncs;
	assert_true(redis_ask(&n.r, "CLIENT KILL TYPE pubsub") >= 2);
	assert_true(wait_until(host_told(&n.gw[0], PX1).resyncs > resyncs));
	assert_true(wait_until(host_knows(&n.gw[0], PX1, 0, 1000)));
	assert_int_equal(host_told(&n.gw[0], PX1).deaths, 0);
	net_down(&n);
}

static size_t memory_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* A million changes while it takes nothing: memory stays where it was, and the end is true. */
static void test_a_store_that_takes_nothing(void **state)
{
	static struct net n;
	size_t before;
	ssize_t more;

	(void)state;
	net_up(&n);
	kill(n.r.pid, SIGSTOP);
	before = memory_bytes();
	for (uint32_t i = 0; i < 1000; i++) {
		host_own(&n.px, 2000 + i * 1000, 1000, true);
		host_own(&n.px, 2000 + i * 1000, 1000, false);
	}
	more = (ssize_t)(memory_bytes() - before);
	print_message("# %zd KiB more after 2,000,000 changes\n", more / 1024);
	assert_true(more < 8 * 1024 * 1024);
	kill(n.r.pid, SIGCONT);
	host_own(&n.px, 0, 200, false);
	host_own(&n.px, 1000, 200, true);
	assert_true(wait_until(host_knows(&n.gw[0], PX1, 200, 1000)));
	assert_true(wait_until(redis_ask(&n.r, "SCARD mpgate:tokens:px1") == 1000));
	net_down(&n);
}

/* Full, it refuses to store: one line, and as soon as it has room, all is there. */
static void test_a_store_that_is_full(void **state)
{
	static struct net n;
	struct log_rig log;

	(void)state;
	net_up(&n);
	log_catch(&log);
	redis_ask(&n.r, "CONFIG SET maxmemory 1");
	host_own(&n.px, 1000, 200, true);
	assert_true(wait_until(log_lines(&log, "cannot be used") > 0 && !host_reaches(&n.px)));
	host_own(&n.px, 0, 200, false);
	redis_ask(&n.r, "CONFIG SET maxmemory 0");
	assert_true(wait_until(host_knows(&n.gw[0], PX1, 200, 1000)));
	assert_true(log_lines(&log, "OOM") >= 1);
	log_release(&log);
	net_down(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_store_that_hangs),
		cmocka_unit_test(test_a_store_that_died_and_is_empty),
		cmocka_unit_test(test_a_proxy_that_comes_back_late),
		cmocka_unit_test(test_a_store_that_was_emptied),
		cmocka_unit_test(test_a_set_that_lost_some),
		cmocka_unit_test(test_undrained_meanwhile),
		cmocka_unit_test(test_a_subscriber_cut_off),
		cmocka_unit_test(test_a_store_that_takes_nothing),
		cmocka_unit_test(test_a_store_that_is_full),
	};

	/* mallinfo2 looks at one arena. */
	mallopt(M_ARENA_MAX, 1);
	return cmocka_run_group_tests(tests, own_network, NULL);
}
