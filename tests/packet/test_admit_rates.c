// SPDX-License-Identifier: BSD-2-Clause
/*
 * How many sessions a second are let in, how many of those refused hear why, and what is held in
 * advance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "admit_world.h"

/* ---- rates ----------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void set_rate(struct mg_terms *terms, uint64_t interval_ns, uint64_t burst)
{
	terms->interval_ns = interval_ns;
	terms->burst_ns = (burst - 1) * interval_ns;
}

static void test_over_rate(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a[5], ask = { 0 };

	(void)state;
	set_rate(admit_terms(t, 1), 3600 * NS_PER_S, 5);
	admit_put(&admit_world_run, t);
	admit_open_n(a, 5, UE);
	admit_assert_refused(UE, MG_REFUSAL_OVER_RATE);
	assert_int_equal(admit_open(&admit_world_run, &ask, UE, SERVER), MG_REFUSAL_OVER_RATE);
	assert_in_range(ask.wait_ns, 3590 * NS_PER_S, 3600 * NS_PER_S);
	/* an end is no start */
	admit_close_n(a, 5);
	admit_assert_refused(UE, MG_REFUSAL_OVER_RATE);
	assert_int_equal(admit_look(OTHER, SERVER, 0), MG_ADMITTED);
	admit_assert_nothing(&admit_world_run);
}

/* Over three intervals the burst and three more come in, however often is asked. */
static void test_rate_over_time(void **state)
{
	const uint64_t interval_ns = 50000000;
	struct admit_tables *t = admit_world();
	unsigned int admitted = 0;
	uint64_t start, end;

	(void)state;
	set_rate(admit_terms(t, 1), interval_ns, 4);
	admit_put(&admit_world_run, t);
	start = now_ns();
	do {
		struct mg_admit ask = { 0 };
		int ret = admit_open(&admit_world_run, &ask, UE, SERVER);

		end = now_ns();
		admitted += ret == MG_ADMITTED;
		assert_true(ret == MG_ADMITTED || ret == MG_REFUSAL_OVER_RATE);
		if (ret) {
			assert_in_range(ask.wait_ns, 1, interval_ns);
			assert_true(admitted >= 4);
		}
		admit_close(&admit_world_run, &ask);
	} while (end - start < 3 * interval_ns + interval_ns / 2);
	assert_true(admitted <= 4 + (end - start) / interval_ns);
	assert_true(admitted >= 4 + 3);
}

/* Who is refused for something else has lost no token. */
static void test_rate_is_not_taken(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a[3];

	(void)state;
	set_rate(admit_terms(t, 1), 3600 * NS_PER_S, 3);
	admit_terms(t, 1)->sessions = 2;
	admit_put(&admit_world_run, t);
	admit_open_n(a, 2, UE);
	for (int i = 0; i < 10; i++)
		assert_int_equal(admit_open(&admit_world_run, &(struct mg_admit){ 0 }, UE, SERVER),
				 MG_REFUSAL_OVER_SESSIONS);
	admit_close_n(a, 1);
	admit_open_n(a, 1, UE);
	assert_int_equal(admit_look(UE, SERVER, 0), MG_REFUSAL_OVER_SESSIONS);
	admit_close_n(a, 1);
	admit_assert_refused(UE, MG_REFUSAL_OVER_RATE);
	admit_close_n(a + 1, 1);
	admit_assert_nothing(&admit_world_run);
}

static unsigned int answered(const char *client, unsigned int asks)
{
	struct mg_question q = { .tuple = { .client = admit_ep(client, 1),
					    .server = admit_ep(SERVER, 443) } };
	unsigned int n = 0;

	for (unsigned int i = 0; i < asks; i++)
		n += admit_ask(admit_world_run.doors->progs.mg_ask_answered, &q) == 1;
	return n;
}

static void test_answered(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a;
	uint64_t second;
	unsigned int n;

	(void)state;
	admit_put(&admit_world_run, t);
	do { /* all within one second */
		admit_run_reset(&admit_world_run);
		admit_put(&admit_world_run, t);
		second = now_ns() / NS_PER_S;
		n = answered(UE, 20);
	} while (now_ns() / NS_PER_S != second);
	assert_int_equal(n, 4);
	assert_int_equal(answered(OTHER, 3), 3);
	while (now_ns() / NS_PER_S == second)
		usleep(1000);
	assert_in_range(answered(UE, 20), 4, 8);
	/* it did not cost a session */
	set_rate(admit_terms(t, 1), 3600 * NS_PER_S, 1);
	admit_put(&admit_world_run, t);
	admit_open_n(&a, 1, UE);
	admit_close_n(&a, 1);
	t->set.answers_per_s = 0;
	admit_put(&admit_world_run, t);
	assert_int_equal(answered("10.1.0.9", 5), 0);
}

/* ---- reservations ---------------------------------------------------------------------------- */

static void test_reserved(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit first, a[4];

	(void)state;
	admit_terms(t, 1)->sessions = 5;
	admit_put(&admit_world_run, t);
	admit_proxy_limit(&admit_world_run, 5);
	admit_open_n(&first, 1, UE);
	assert_int_equal(admit_reserve(&admit_world_run, &first, 5), MG_REFUSAL_OVER_PROXY);
	assert_int_equal(admit_account_of(UE).sessions, 1);
	admit_proxy_limit(&admit_world_run, 100);
	assert_int_equal(admit_reserve(&admit_world_run, &first, 5), MG_REFUSAL_OVER_SESSIONS);
	assert_int_equal(admit_account_of(UE).reserved, 0);
	assert_int_equal(admit_u32(admit_world_run.skel->maps.mg_proxy_count, 0), 1);
	assert_int_equal(admit_reserve(&admit_world_run, &first, 3), 0);
	assert_int_equal(admit_account_of(UE).sessions, 4);
	assert_int_equal(admit_account_of(UE).reserved, 3);
	assert_int_equal(admit_u32(admit_world_run.skel->maps.mg_proxy_count, 0), 4);
	/* what is held is let in though there is room for nobody */
	admit_proxy_limit(&admit_world_run, 4);
	admit_open_n(a, 2, UE);
	assert_int_equal(admit_account_of(UE).sessions, 4);
	assert_int_equal(admit_account_of(UE).reserved, 1);
	assert_int_equal(admit_account_of(UE).subflows, 3);
	assert_int_equal(admit_u32(admit_world_run.skel->maps.mg_proxy_count, 0), 4);
	admit_assert_refused(OTHER, MG_REFUSAL_OVER_PROXY);
	/* more than is left is not given back */
	assert_int_equal(admit_reserve(&admit_world_run, &first, -3), 1);
	assert_int_equal(admit_reserve(&admit_world_run, &first, -3), 0);
	assert_int_equal(admit_account_of(UE).sessions, 3);
	assert_int_equal(admit_u32(admit_world_run.skel->maps.mg_proxy_count, 0), 3);
	admit_close_n(a, 2);
	admit_close_n(&first, 1);
	admit_assert_nothing(&admit_world_run);
}

static void test_reserved_but_refused(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit first, ask = { 0 };

	(void)state;
	admit_terms(t, 1)->sessions = 3;
	t->limits[SERVICE].sessions_per_subscriber = 1;
	set_rate(admit_terms(t, 1), 3600 * NS_PER_S, 1);
	admit_put(&admit_world_run, t);
	admit_open_n(&first, 1, UE);
	assert_int_equal(admit_reserve(&admit_world_run, &first, 2), 0);
	admit_assert_refused(UE, MG_REFUSAL_OVER_SERVICE_SUBSCRIBER);
	assert_int_equal(admit_open(&admit_world_run, &ask, UE, "198.51.100.1"),
			 MG_REFUSAL_OVER_RATE);
	assert_int_equal(admit_account_of(UE).reserved, 2);
	/* the session that asked is over, what is held is not */
	admit_close_n(&first, 1);
	assert_int_equal(admit_account_of(UE).sessions, 2);
	assert_int_equal(admit_account_of(UE).subflows, 0);
	assert_int_equal(admit_reserve(&admit_world_run, &first, -2), 2);
	admit_assert_nothing(&admit_world_run);
	assert_int_equal(admit_reserve(&admit_world_run, &first, -2), 0);
	assert_true(admit_reserve(&admit_world_run, &first, 1 << 21) < 0);
}

/* What is held by one policy is no way around another one that lets in fewer. */
static void test_reserved_elsewhere(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit first = { 0 }, a[2] = { 0 };

	(void)state;
	admit_terms(t, 1)->sessions = 10;
	admit_terms(t, 2)->sessions = 2;
	admit_cell(t, 1, SERVICE, 0, 2);
	admit_put(&admit_world_run, t);
	assert_int_equal(admit_open(&admit_world_run, &first, UE, "198.51.100.1"), MG_ADMITTED);
	assert_int_equal(admit_reserve(&admit_world_run, &first, 5), 0);
	admit_open_n(a, 1, UE);
	admit_assert_refused(UE, MG_REFUSAL_OVER_SESSIONS);
	assert_int_equal(admit_account_of(UE).reserved, 4);
	assert_int_equal(admit_open(&admit_world_run, &a[1], UE, "198.51.100.1"), MG_ADMITTED);
	assert_int_equal(admit_account_of(UE).reserved, 3);
	admit_close_n(a, 2);
	admit_open_n(a, 1, UE);
	assert_int_equal(admit_reserve(&admit_world_run, &first, -5), 2);
	admit_close_n(a, 1);
	admit_close_n(&first, 1);
	admit_assert_nothing(&admit_world_run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_over_rate, admit_world_fresh),
		cmocka_unit_test_setup(test_rate_over_time, admit_world_fresh),
		cmocka_unit_test_setup(test_rate_is_not_taken, admit_world_fresh),
		cmocka_unit_test_setup(test_answered, admit_world_fresh),
		cmocka_unit_test_setup(test_reserved, admit_world_fresh),
		cmocka_unit_test_setup(test_reserved_but_refused, admit_world_fresh),
		cmocka_unit_test_setup(test_reserved_elsewhere, admit_world_fresh),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, admit_world_set_up, admit_world_tear_down);
}
