// SPDX-License-Identifier: BSD-2-Clause
/* The health checker against servers on loopback that answer, are slow, silent, gone, or mad. */
#include "check_server.h"

#define INTERVAL_MS 200 /* less, and a busy machine is late for three in a row */
#define RISE	    2
#define FALL	    3

static struct mg_check *check;
static unsigned int changes;
static uint64_t changed_ms; /* the last time */
static struct mg_timer stop_timer, tick_timer;
static uint64_t stalled_ms; /* so late the machine let us run, in all */

static void changed(void *ctx)
{
	(void)ctx;
	changes++;
	changed_ms = mg_clock_ms();
}

static void stop_now(struct mg_timer *t)
{
	(void)t;
	loop.stop = true;
}

#define TICK_MS 5

static void tick(struct mg_timer *t)
{
	uint64_t late_ms = mg_clock_ms() - t->deadline_ms;

	if (late_ms >= TICK_MS)
		stalled_ms += late_ms;
	mg_timer_arm(&loop.timers, t, mg_clock_ms() + TICK_MS);
}

static void run(uint64_t ms)
{
	loop.stop = false;
	mg_timer_arm(&loop.timers, &tick_timer, mg_clock_ms() + TICK_MS);
	mg_timer_arm(&loop.timers, &stop_timer, mg_clock_ms() + ms);
	mg_loop_run(&loop);
}

/* It comes; how soon is asked afterwards, where that matters. */
#define RUN_UNTIL(condition)                                                   \
	do {                                                                   \
		for (int i_ = 0; !(condition) && i_ < 100 * INTERVAL_MS; i_++) \
			run(1);                                                \
		assert_true(condition);                                        \
	} while (0)

static void begin_as(const struct mg_config_check *how, enum mg_check_presumed presumed)
{
	const struct mg_check_options options = {
		.to = server.ep,
		.how = *how,
		.presumed = presumed,
		.changed = changed,
	};

	loop.now_ms = mg_clock_ms();
	assert_int_equal(mg_check_open(&check, &loop, &options), 0);
}

static void begin(enum mg_check_by by, enum mg_check_presumed presumed)
{
	const struct mg_config_check how = {
		.by = by, .interval_ms = INTERVAL_MS, .rise = RISE, .fall = FALL
	};

	begin_as(&how, presumed);
}

static struct mg_check_state look(void)
{
	struct mg_check_state s;

	mg_check_state(check, &s);
	return s;
}

static int start(void **state)
{
	(void)state;
	memset(&server, 0, sizeof(server));
	server.io.fd = -1;
	changes = 0;
	check = NULL;
	assert_int_equal(mg_loop_init(&loop, NULL, NULL), 0);
	stop_timer = (struct mg_timer){ .fire = stop_now };
	tick_timer = (struct mg_timer){ .fire = tick };
	start_server("127.0.0.1:1");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	mg_check_close(check);
	for (size_t i = 0; i < server.n; i++)
		hang_up(&server.conns[i], false);
	stop_server();
	mg_loop_free(&loop);
	return 0;
}

static void test_up_with_the_first_answer(void **state)
{
	(void)state;
	begin(MG_CHECK_CONVERT, MG_CHECK_UNKNOWN);
	assert_false(look().up);
	RUN_UNTIL(look().answered == 1);
	assert_true(look().up);
	assert_int_equal(changes, 1);
	run(10 * INTERVAL_MS);
	assert_true(look().up);
	assert_int_equal(changes, 1);
	assert_true(look().answered >= 8);
	assert_int_equal(look().failed, 0);
}

static void test_down_takes_rise(void **state)
{
	(void)state;
	begin(MG_CHECK_CONVERT, MG_CHECK_DOWN);
	RUN_UNTIL(look().answered == 1);
	assert_false(look().up);
	RUN_UNTIL(look().answered == 2);
	assert_true(look().up);
	assert_int_equal(changes, 1);
}

/* Every phase of the interval: the worst one is to be within the bound. */
static void dies(enum mode mode, bool refuses)
{
	uint64_t died_ms, took_ms;

	for (uint64_t phase = 0; phase < INTERVAL_MS; phase += 66) {
		server.mode = ANSWER;
		if (server.io.fd < 0)
			start_server("127.0.0.1:1");
		changes = 0;
		begin(MG_CHECK_CONVERT, MG_CHECK_UNKNOWN);
		run(3 * INTERVAL_MS + phase);
		assert_true(look().up);
		assert_int_equal(changes, 1);
		stalled_ms = 0;
		server.mode = mode;
		if (refuses)
			stop_server();
		died_ms = mg_clock_ms();
		RUN_UNTIL(changes == 2);
		assert_false(look().up);
		took_ms = changed_ms - died_ms;
		if (took_ms > FALL * INTERVAL_MS + 100 + stalled_ms)
			fail_msg("it took %llu ms", (unsigned long long)took_ms);
		/* No single failure does it. */
		assert_true(took_ms + stalled_ms + 50 > (FALL - 1) * INTERVAL_MS);
		mg_check_close(check);
		check = NULL;
		run(20);
		assert_int_equal(server.open, 0);
	}
}

static void test_silent(void **state)
{
	(void)state;
	dies(SILENT, false);
}

/* The newest question does not get an interval's time, where that is long. */
static void test_silent_and_seldom(void **state)
{
	const struct mg_config_check how = {
		.by = MG_CHECK_CONVERT, .interval_ms = 5 * INTERVAL_MS, .rise = 1, .fall = 1
	};
	uint64_t died_ms;

	(void)state;
	begin_as(&how, MG_CHECK_UNKNOWN);
	run(INTERVAL_MS);
	assert_true(look().up);
	stalled_ms = 0;
	server.mode = SILENT;
	died_ms = mg_clock_ms();
	run(7 * INTERVAL_MS);
	assert_false(look().up);
	assert_in_range(changed_ms - died_ms, 3 * INTERVAL_MS, 5 * INTERVAL_MS + stalled_ms);
}

static void test_refuses(void **state)
{
	(void)state;
	dies(ANSWER, true);
}

static void test_talks_nonsense_or_hangs_up(void **state)
{
	(void)state;
	dies(GARBAGE, false);
	dies(RESET, false);
	dies(END, false);
}

/* Later than an interval, but before the last of `fall` has had its chance. */
static void test_slow_is_alive(void **state)
{
	(void)state;
	server.delay_ms = 2 * INTERVAL_MS;
	begin(MG_CHECK_CONVERT, MG_CHECK_UNKNOWN);
	run(20 * INTERVAL_MS);
	assert_true(look().up);
	assert_int_equal(changes, 1);
	assert_int_equal(look().failed, 0);
	assert_true(look().answer_ms >= 2 * INTERVAL_MS);
}

static void test_slower_than_that(void **state)
{
	(void)state;
	server.delay_ms = FALL * INTERVAL_MS + 50;
	begin(MG_CHECK_CONVERT, MG_CHECK_UP);
	run(12 * INTERVAL_MS);
	assert_false(look().up);
	assert_int_equal(changes, 1);
}

/* One good answer in `fall` is enough. */
static void test_one_of_three(void **state)
{
	(void)state;
	begin(MG_CHECK_CONVERT, MG_CHECK_UNKNOWN);
	run(INTERVAL_MS / 2);
	for (int i = 0; i < 5; i++) {
		server.mode = RESET;
		run(2 * INTERVAL_MS);
		server.mode = ANSWER;
		run(INTERVAL_MS);
	}
	assert_true(look().up);
	assert_int_equal(changes, 1);
	assert_true(look().failed >= 8);
}

static void test_comes_back(void **state)
{
	(void)state;
	server.mode = RESET;
	begin(MG_CHECK_CONVERT, MG_CHECK_UP);
	RUN_UNTIL(!look().up);
	assert_string_equal(look().last_fault, "Connection reset by peer");
	server.mode = ANSWER;
	RUN_UNTIL(look().answered == 1);
	assert_false(look().up);
	RUN_UNTIL(look().answered == 2);
	assert_true(look().up);
	assert_int_equal(changes, 2);
	assert_string_equal(look().last_fault, "");
}

static void test_errors_are_answers(void **state)
{
	(void)state;
	server.mode = TELL_ERROR;
	begin(MG_CHECK_CONVERT, MG_CHECK_UNKNOWN);
	run(5 * INTERVAL_MS);
	assert_true(look().up);
	assert_false(look().refuses);
	assert_int_equal(look().failed, 0);
}

/* While it drains it says so: up, and takes no new sessions. */
static void test_busy(void **state)
{
	(void)state;
	begin(MG_CHECK_CONVERT, MG_CHECK_UNKNOWN);
	run(INTERVAL_MS / 2);
	server.mode = TELL_BUSY;
	run(INTERVAL_MS);
	assert_true(look().up);
	assert_true(look().refuses);
	assert_int_equal(changes, 2);
	server.mode = ANSWER;
	run(INTERVAL_MS);
	assert_false(look().refuses);
	assert_int_equal(changes, 3);
}

/* As it was found before: until it says otherwise. */
static void test_was_busy(void **state)
{
	(void)state;
	begin(MG_CHECK_CONVERT, MG_CHECK_REFUSING);
	assert_true(look().up);
	assert_true(look().refuses);
	run(INTERVAL_MS / 2);
	assert_true(look().up);
	assert_false(look().refuses);
	assert_int_equal(changes, 1);
}

static void test_in_pieces(void **state)
{
	(void)state;
	server.mode = IN_PIECES;
	begin(MG_CHECK_CONVERT, MG_CHECK_UNKNOWN);
	run(5 * INTERVAL_MS);
	assert_true(look().up);
	assert_int_equal(look().failed, 0);
}

static void test_by_tcp(void **state)
{
	(void)state;
	server.mode = SILENT;
	begin(MG_CHECK_TCP, MG_CHECK_UNKNOWN);
	run(3 * INTERVAL_MS);
	assert_true(look().up);
	for (size_t i = 0; i < server.n; i++)
		assert_false(server.conns[i].asked);
	stop_server();
	run(FALL * INTERVAL_MS + 100);
	assert_false(look().up);
	assert_string_equal(look().last_fault, "Connection refused");
}

static void test_ipv6(void **state)
{
	(void)state;
	stop_server();
	start_server("[::1]:1");
	begin(MG_CHECK_CONVERT, MG_CHECK_UNKNOWN);
	run(INTERVAL_MS / 2);
	assert_true(look().up);
}

/* Where no packet can go at all: failed, not forgotten. */
static void test_no_way(void **state)
{
	(void)state;
	assert_int_equal(mg_ep_parse(&server.ep, "255.255.255.255:1"), 0);
	begin(MG_CHECK_CONVERT, MG_CHECK_UP);
	run(4 * INTERVAL_MS);
	assert_false(look().up);
	assert_true(look().failed >= FALL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_up_with_the_first_answer),
		TEST(test_down_takes_rise),
		TEST(test_silent),
		TEST(test_silent_and_seldom),
		TEST(test_refuses),
		TEST(test_talks_nonsense_or_hangs_up),
		TEST(test_slow_is_alive),
		TEST(test_slower_than_that),
		TEST(test_one_of_three),
		TEST(test_comes_back),
		TEST(test_errors_are_answers),
		TEST(test_busy),
		TEST(test_was_busy),
		TEST(test_in_pieces),
		TEST(test_by_tcp),
		TEST(test_ipv6),
		TEST(test_no_way),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
