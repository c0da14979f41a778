// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tokens learned from handshakes in passing: the right one, once per connection, not more a second
 * than wanted, and never instead of what a proxy told.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "abi/sha256.h"
#include "rows.h"
#include "steer_world.h"

#define ISN   0xfffffff0
#define TOKEN 0xe3881c92 /* of key_a */

static const uint8_t key_a[] = { 0xaf, 0x7e, 0x91, 0xbb, 0x31, 0x75, 0x0c, 0x9f };
static const uint8_t key_b[] = { 0xe2, 0x8a, 0x8e, 0xee, 0x04, 0x3b, 0x34, 0x0b };

static struct world w;

static int fresh(void **state)
{
	(void)state;
	world_reset(&w);
	return 0;
}

static struct frame syn(bool v6)
{
	return (struct frame){
		.v6 = v6,
		.dst = v6 ? VIRTUAL6 : VIRTUAL4,
		.flags = F_SYN,
		.seq = ISN,
		.opts = opt_capable,
	};
}

/* The third ACK of it, which shows this key as the proxy's */
static struct frame third(const struct frame *f, const uint8_t *key)
{
	struct frame ack = *f;

	ack.flags = F_ACK;
	ack.seq = f->seq + 1;
	ack.opts = opt_keys(key, 0);
	return ack;
}

static void begin(const struct frame *f)
{
	world_expect(&w, MG_SIDE_ACCESS, f, GOES(RING, NEW, 1));
}

/* The packet goes its way, wherever that is; true if it taught something. */
static bool teaches(const struct frame *f)
{
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t len = frame_build(frame, f), out_len;
	uint64_t learned;

	steer_run_look(&w.run);
	steer_run_bytes(&w.run, MG_SIDE_ACCESS, frame, len, out, &out_len);
	learned = steer_run_counted(&w.run, MG_STEER_COUNT_LEARNED);
	assert_true(learned <= 1);
	steer_run_look(&w.run);
	return learned;
}

static void assert_learned(uint32_t token, uint16_t proxy, uint16_t second)
{
	struct mg_owners owners = { 0 };

	assert_true(world_is_learned(&w, token, &owners));
	assert_int_equal(owners.proxy, proxy);
	assert_int_equal(owners.second, second);
}

static uint32_t entries(int map)
{
	uint32_t key, n = 0;
	void *at = NULL;

	for (; !bpf_map_get_next_key(map, at, &key); at = &key)
		n++;
	return n;
}

static uint64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

static void assert_none_learned(void)
{
	assert_int_equal(entries(STEER_MAP(&w.run, mg_learned)), 0);
}

/* ---- what teaches ---------------------------------------------------------------------------- */

/* The keys of the published example; and the join that follows, on any path, finds its session. */
static void published(bool v6, const uint8_t *key, uint32_t token)
{
	struct frame f = syn(v6), ack = third(&f, key), join = f;
	struct mg_steer_flow flow;
	struct mg_owners owners;

	assert_int_equal(mg_mptcp_token(key), token);
	begin(&f);
	world_expect(&w, MG_SIDE_ACCESS, &ack, GOES(FLOW, FLOW, 1));
	assert_learned(token, 1, 0);
	assert_true(world_is_learned(&w, token, &owners));
	assert_in_range(owners.since_s, now_s() - 5, now_s());
	assert_false(world_is_pushed(&w, token, &owners));
	assert_true(world_flow(&w, &f, &flow));
	assert_int_equal(flow.flags, MG_FLOW_CAPABLE | MG_FLOW_LEARNED);
	world_ring(&w, GROUP, 2, 1);
	join.sport = 50000;
	join.opts = opt_join(token);
	world_expect(&w, MG_SIDE_ACCESS, &join, GOES(TOKEN_LEARNED, TOKEN_LEARNED, 1));
}

static void test_published(void **state)
{
	(void)state;
	published(false, key_a, TOKEN);
	world_reset(&w);
	published(true, key_a, TOKEN);
	world_reset(&w);
	published(false, key_b, 0xc783daac);
}

/* The first data repeats both keys (RFC 8684 figure 4): with its length, and with a checksum. */
static void test_data(void **state)
{
	(void)state;
	for (size_t more = 2; more <= 4; more += 2) {
		struct frame f = syn(false), data = third(&f, key_a);

		world_reset(&w);
		begin(&f);
		data.opts = opt_keys(key_a, more);
		data.payload = convert_message;
		assert_true(teaches(&data));
		assert_learned(TOKEN, 1, 0);
	}
}

/* A SYN may bring data: so many bytes behind it are still its handshake. */
static void test_window(void **state)
{
	static const struct {
		uint32_t behind;
		bool learns;
	} windows[] = { { 1, true },
			{ 0xffff, true },
			{ 0x10000, false },
			{ 0x7fffffff, false },
			{ (uint32_t)-1, false } };

	(void)state;
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		struct frame f = syn(false), ack = third(&f, key_a);

		world_reset(&w);
		begin(&f);
		ack.seq = ISN + windows[i].behind;
		assert_int_equal(teaches(&ack), windows[i].learns);
	}
	assert_none_learned();
}

/* ---- what does not --------------------------------------------------------------------------- */

static const uint8_t of_v0[] = { 30, 20, 0, 0x81, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t flag_b[] = { 30, 20, 1, 0x41, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t one_key[] = { 30, 12, 1,	1,   1,	  2,   3,   4,	 5,   6,
				   7,  8,  NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP };
static const uint8_t too_long[] = { NOP, NOP, NOP, NOP, 30, 20, 1, 1, 1, 2,
				    3,	 4,   5,   6,	7,  8,	1, 2, 3, 4 };
static const uint8_t lies[] = { 30, 20, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8,
				1,  2,	3, 4, 5, 6, 7, 8, 5, 9, 1, 1 };

static void test_forged_options(void **state)
{
	const struct bytes bad[] = { { of_v0, sizeof(of_v0) },	   { flag_b, sizeof(flag_b) },
				     { one_key, sizeof(one_key) }, { too_long, sizeof(too_long) },
				     { lies, sizeof(lies) },	   opt_times };
	struct frame f = syn(false), ack = third(&f, key_a);

	(void)state;
	begin(&f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ack.opts = bad[i];
		assert_false(teaches(&ack));
	}
	ack = third(&f, key_a);
	ack.flags = F_RST | F_ACK;
	assert_false(teaches(&ack));
	ack.flags = F_SYN | F_ACK;
	assert_false(teaches(&ack));
	ack.flags = 0;
	assert_false(teaches(&ack));
	assert_none_learned();
	/* The true one is learned all the same. */
	ack.flags = F_ACK;
	assert_true(teaches(&ack));
}

static void test_forged_flows(void **state)
{
	struct frame f = syn(false), ack = third(&f, key_a);

	(void)state;
	assert_false(teaches(&ack)); /* there is no flow */
	f.opts = opt_plain;
	begin(&f);
	assert_false(teaches(&ack)); /* it is plain TCP */
	world_push(&w, 1, 2, 0);
	f.sport = ack.sport = 40001;
	f.opts = opt_join(1);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(TOKEN_PUSHED, TOKEN_PUSHED, 2));
	assert_false(teaches(&ack)); /* it joined another */
	f = syn(false);
	f.sport = 40002;
	ack.sport = 40003;
	begin(&f);
	assert_false(teaches(&ack)); /* it is another's */
	assert_none_learned();
}

/* One token per connection: who forges the second ACK is late, and the first is what it was. */
static void test_once(void **state)
{
	struct frame f = syn(false), ack = third(&f, key_a), late = third(&f, key_b);

	(void)state;
	begin(&f);
	assert_true(teaches(&ack));
	assert_false(teaches(&late));
	assert_false(teaches(&ack));
	assert_int_equal(entries(STEER_MAP(&w.run, mg_learned)), 1);
	/* A new connection from the same port may teach anew. */
	f.seq += 100000;
	late = third(&f, key_b);
	begin(&f);
	assert_true(teaches(&late));
	assert_learned(0xc783daac, 1, 0);
}

static void test_not_wanted(void **state)
{
	struct frame f = syn(false), ack = third(&f, key_a);

	(void)state;
	w.gateway.learn = 0;
	world_gateway(&w);
	begin(&f);
	assert_false(teaches(&ack));
	assert_none_learned();
}

/* ---- what is known already ------------------------------------------------------------------- */

/* Whatever is learned, true or forged: what was told is not changed, and asked first. */
static void test_pushed(void **state)
{
	struct frame f = syn(false), ack = third(&f, key_a), join = f;
	struct want want = GOES(TOKEN_PUSHED, TOKEN_PUSHED, 2);
	struct mg_owners owners;

	(void)state;
	world_push(&w, TOKEN, 2, 0);
	begin(&f);
	assert_true(teaches(&ack));
	assert_learned(TOKEN, 1, 0);
	assert_true(world_is_pushed(&w, TOKEN, &owners));
	assert_int_equal(owners.proxy, 2);
	assert_int_equal(owners.second, 0);
	assert_int_equal(entries(STEER_MAP(&w.run, mg_pushed)), 1);
	join.opts = opt_join(TOKEN);
	for (uint16_t port = 50000; port < 50016; port++) {
		join.sport = port;
		want.second = 1;
		world_expect(&w, MG_SIDE_ACCESS, &join, want);
	}
}

/* What is learned of two is asked in the order it was learned. */
static void test_collision(void **state)
{
	struct mg_steer_proxy none = { 0 };

	(void)state;
	for (uint16_t proxy = 1; proxy <= 3; proxy++) {
		struct frame f = syn(false), ack;

		f.sport = (uint16_t)(40000 + proxy);
		ack = third(&f, key_a);
		world_ring(&w, GROUP, proxy, 0);
		world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, proxy));
		assert_true(teaches(&ack));
		assert_learned(TOKEN, 1, proxy == 1 ? 0 : proxy);
	}
	/* The first is no more: its place is free. */
	steer_put_proxy(&w.run, 1, &none);
	world_ring(&w, GROUP, 4, 0);
	{
		struct frame f = syn(false), ack;

		f.sport = 41000;
		ack = third(&f, key_a);
		world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 4));
		assert_true(teaches(&ack));
		assert_learned(TOKEN, 4, 0);
	}
}

/* However much is learned, and however many flows there are: what was told stays. */
static void test_pressure(void **state)
{
	struct mg_owners owners;

	(void)state;
	for (uint32_t token = 0; token < 100; token++)
		world_push(&w, token, 2, 0);
	for (uint32_t i = 0; i < 3 * STEER_FLOWS; i++)
		world_learned(&w, 1000 + i, 1, 0);
	assert_true(entries(STEER_MAP(&w.run, mg_learned)) <= STEER_FLOWS);
	for (uint32_t token = 0; token < 100; token++)
		assert_true(world_is_pushed(&w, token, &owners));
	assert_int_equal(entries(STEER_MAP(&w.run, mg_pushed)), 100);
}

/* ---- how many -------------------------------------------------------------------------------- */

static void put_rate(uint64_t second, uint32_t learned)
{
	struct mg_learn_rate rate = { .second_and_count = second << 32 | learned };
	uint32_t zero = 0;

	steer_put(STEER_MAP(&w.run, mg_learn_rate), &zero, &rate);
}

/* Second by second; a connection that was too much may teach with its first data. */
static void test_rate(void **state)
{
	struct frame f = syn(false), ack = third(&f, key_a);

	(void)state;
	w.gateway.learn_per_second = 5;
	world_gateway(&w);
	begin(&f);
	put_rate(now_s() + 1000, 5); /* a second that does not end */
	world_expect(&w, MG_SIDE_ACCESS, &ack, GOES(FLOW, FLOW, 1));
	assert_none_learned();
	steer_run_look(&w.run);
	assert_false(teaches(&ack));
	put_rate(now_s() + 1000, 4);
	assert_true(teaches(&ack));
	assert_learned(TOKEN, 1, 0);

	f.sport++;
	ack = third(&f, key_b);
	begin(&f);
	put_rate(now_s() - 1, 5); /* one that is over */
	assert_true(teaches(&ack));
}

static void test_limited(void **state)
{
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	struct frame f = syn(false), ack = third(&f, key_a);
	size_t len = frame_build(frame, &ack), out_len;

	(void)state;
	w.gateway.learn_per_second = 0;
	world_gateway(&w);
	begin(&f);
	steer_run_bytes(&w.run, MG_SIDE_ACCESS, frame, len, out, &out_len);
	assert_int_equal(steer_run_counted(&w.run, MG_STEER_COUNT_LEARN_LIMITED), 1);
	assert_int_equal(steer_run_counted(&w.run, MG_STEER_COUNT_LEARNED), 0);
}

#define CROWD	400
#define LIMIT	150
#define THREADS 4

/* Connections of one thread's, each from a port of its own */
static void *crowd(void *first_port)
{
	uint8_t *frame = malloc(FRAME_MAX), *out = malloc(FRAME_MAX);
	uint16_t port = *(uint16_t *)first_port;

	for (int i = 0; i < CROWD; i++) {
		struct frame f = syn(false), ack = f;
		const uint8_t opts[20] = { 30,
					   20,
					   1,
					   1,
					   [12] = (uint8_t)(port >> 8),
					   [13] = (uint8_t)port,
					   [14] = (uint8_t)i };
		size_t out_len;

		f.sport = ack.sport = (uint16_t)(port + i);
		ack.flags = F_ACK;
		ack.seq++;
		ack.opts = (struct bytes){ opts, sizeof(opts) };
		steer_run_bytes(&w.run, MG_SIDE_ACCESS, frame, frame_build(frame, &f), out,
				&out_len);
		steer_run_bytes(&w.run, MG_SIDE_ACCESS, frame, frame_build(frame, &ack), out,
				&out_len);
	}
	free(frame);
	free(out);
	return NULL;
}

/* Over all CPUs, neither one more nor one less. */
static void test_exact(void **state)
{
	uint16_t ports[THREADS];
	pthread_t threads[THREADS];

	(void)state;
	w.gateway.learn_per_second = LIMIT;
	world_gateway(&w);
	put_rate(now_s() + 1000, 0);
	for (uint16_t i = 0; i < THREADS; i++) {
		ports[i] = (uint16_t)(10000 + 1000 * i);
		assert_int_equal(pthread_create(&threads[i], NULL, crowd, &ports[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(steer_run_counted(&w.run, MG_STEER_COUNT_LEARNED), LIMIT);
	assert_int_equal(steer_run_counted(&w.run, MG_STEER_COUNT_LEARN_LIMITED),
			 THREADS * CROWD - LIMIT);
	assert_int_equal(entries(STEER_MAP(&w.run, mg_learned)), LIMIT);
}

static int set_up(void **state)
{
	(void)state;
	return world_open(&w);
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_published, fresh),
		cmocka_unit_test_setup(test_data, fresh),
		cmocka_unit_test_setup(test_window, fresh),
		cmocka_unit_test_setup(test_forged_options, fresh),
		cmocka_unit_test_setup(test_forged_flows, fresh),
		cmocka_unit_test_setup(test_once, fresh),
		cmocka_unit_test_setup(test_not_wanted, fresh),
		cmocka_unit_test_setup(test_pushed, fresh),
		cmocka_unit_test_setup(test_collision, fresh),
		cmocka_unit_test_setup(test_pressure, fresh),
		cmocka_unit_test_setup(test_rate, fresh),
		cmocka_unit_test_setup(test_limited, fresh),
		cmocka_unit_test_setup(test_exact, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
