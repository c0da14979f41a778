// SPDX-License-Identifier: BSD-2-Clause
/*
 * The law that holds a split, against links that are only numbers: each sends what its cap and its
 * capacity allow, and the kernel's scheduler gives what waits, 64 KiB at a time, to the path that
 * would be done with what it has first.
 */
#include "mg_test.h"

#include <string.h>

#include "proxy/split.h"

#define MBIT	    125000.0
#define STEP_US	    1000
#define LOOK_US	    50000
#define BURST_BYTES 65536.0
#define BUFFER	    4e6

struct world {
	struct mg_split split;
	double capacity[2], queue[2], sent[2];
	double source; /* bytes a second; 0: as much as goes */
	double backlog;
	uint64_t now_us, next_us, look_us;
};

static struct world w;

static void begin(uint32_t a, uint32_t b, bool strict, double mbit0, double mbit1, double source)
{
	memset(&w, 0, sizeof(w));
	w.split.n = 2;
	w.split.strict = strict;
	w.split.path[0] = (struct mg_split_path){ .weight = a, .usable = true };
	w.split.path[1] = (struct mg_split_path){ .weight = b, .usable = true };
	w.capacity[0] = mbit0 * MBIT;
	w.capacity[1] = mbit1 * MBIT;
	w.source = source * MBIT;
	w.now_us = 1000000;
	w.look_us = LOOK_US;
}

static double pace(unsigned int i)
{
	double cwnd = 1.2 * w.capacity[i];

	return (double)w.split.path[i].cap < cwnd ? (double)w.split.path[i].cap : cwnd;
}

/* As sk_stream_memory_free() says of a subflow that is kept short (bpf/pace.bpf.h). */
static bool has_room(unsigned int i)
{
	double most = w.split.path[i].cap == MG_SPLIT_NO_CAP ? 1e6 : pace(i) / 16;

	return w.queue[i] < (most < 16384 ? 16384 : most);
}

static void schedule(void)
{
	for (;;) {
		unsigned int i = w.queue[0] / pace(0) <= w.queue[1] / pace(1) ? 0 : 1;
		double bytes = w.backlog < BURST_BYTES ? w.backlog : BURST_BYTES;

		if (bytes < 1 || !has_room(i))
			return;
		w.queue[i] += bytes;
		w.backlog -= bytes;
	}
}

static void send_some(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		double rate = pace(i) < w.capacity[i] ? pace(i) : w.capacity[i];
		double bytes = rate * STEP_US / 1e6;

		if (bytes > w.queue[i])
			bytes = w.queue[i];
		w.queue[i] -= bytes;
		w.sent[i] += bytes;
	}
}

static void look(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		w.split.path[i].sent_bytes = (uint64_t)w.sent[i];
		w.split.path[i].held_bytes = (uint64_t)w.queue[i];
	}
	mg_split_look(&w.split, w.now_us,
		      w.backlog > 1 ||
			      w.queue[0] + w.queue[1] >
				      0.02 * (w.split.path[0].rate + w.split.path[1].rate) + 1);
}

static void run_us(uint64_t us)
{
	for (uint64_t end = w.now_us + us; w.now_us < end; w.now_us += STEP_US) {
		if (w.now_us >= w.next_us) {
			look();
			w.next_us = w.now_us + w.look_us;
		}
		w.backlog += w.source > 0 ? w.source * STEP_US / 1e6 : BUFFER - w.backlog;
		schedule();
		send_some();
	}
}

static double run_bytes(double bytes)
{
	double until = w.sent[0] + w.sent[1] + bytes;
	uint64_t began_us = w.now_us;

	while (w.sent[0] + w.sent[1] < until && w.now_us - began_us < 600000000)
		run_us(10 * STEP_US);
	return bytes / ((double)(w.now_us - began_us) / 1e6) / MBIT;
}

static double share_of_first(void)
{
	return 100 * w.sent[0] / (w.sent[0] + w.sent[1]);
}

#define assert_between(what, low, high)                                                        \
	do {                                                                                   \
		double got = (what);                                                           \
		if (got < (low) || got > (high))                                               \
			fail_msg("%s is %.2f, wanted %.2f to %.2f", #what, got, (double)(low), \
				 (double)(high));                                              \
	} while (0)

static const uint32_t ratios[][2] = { { 50, 50 }, { 60, 40 }, { 70, 30 }, { 80, 20 },
				      { 90, 10 }, { 30, 70 }, { 10, 90 } };

static void test_holds_where_links_could_carry_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ratios) / sizeof(*ratios); i++) {
		begin(ratios[i][0], ratios[i][1], false, 60, 60, 40);
		double mbit = run_bytes(100e6);

		assert_between(share_of_first(), ratios[i][0] - 2.0, ratios[i][0] + 2.0);
		assert_between(mbit, 39, 40.5);
		assert_false(w.split.gives_way);
	}
}

static void test_strict_holds_whatever_links_carry(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ratios) / sizeof(*ratios); i++) {
		begin(ratios[i][0], ratios[i][1], true, 50, 20, 0);
		run_bytes(100e6);
		assert_between(share_of_first(), ratios[i][0] - 2.0, ratios[i][0] + 2.0);
		assert_false(w.split.gives_way);
	}
}

static void test_gives_way(void **state)
{
	(void)state;
	begin(20, 80, false, 50, 20, 0);
	assert_between(run_bytes(100e6), 0.95 * 70, 70);
	assert_true(w.split.gives_way);
	begin(90, 10, false, 10, 40, 0);
	assert_between(run_bytes(100e6), 0.95 * 50, 50);
}

static void test_returns_when_the_short_one_recovers(void **state)
{
	(void)state;
	begin(50, 50, false, 50, 10, 0);
	run_us(5000000);
	assert_true(w.split.gives_way);
	w.capacity[1] = 200 * MBIT;
	w.source = 60 * MBIT;
	w.backlog = 0;
	run_us(15000000);
	assert_false(w.split.gives_way);
	w.sent[0] = w.sent[1] = 0;
	w.split.path[0].last_bytes = w.split.path[1].last_bytes = 0;
	run_us(10000000);
	assert_between(share_of_first(), 46, 54);
}

static void test_returns_when_less_is_asked_for(void **state)
{
	double sent[2];

	(void)state;
	begin(50, 50, false, 50, 10, 0);
	run_us(5000000);
	assert_true(w.split.gives_way);
	w.source = 15 * MBIT;
	w.backlog = 0;
	run_us(15000000);
	assert_false(w.split.gives_way);
	sent[0] = w.sent[0];
	sent[1] = w.sent[1];
	run_us(20000000);
	assert_between(100 * (w.sent[0] - sent[0]) / (w.sent[0] - sent[0] + w.sent[1] - sent[1]),
		       46, 54);
}

static void test_grows_quickly(void **state)
{
	(void)state;
	begin(50, 50, false, 1000, 1000, 10);
	run_us(3000000);
	w.source = 1000 * MBIT;
	run_us(1000000);
	w.sent[0] = w.sent[1] = 0;
	w.split.path[0].last_bytes = w.split.path[1].last_bytes = 0;
	run_us(1000000);
	assert_between((w.sent[0] + w.sent[1]) / MBIT, 900, 2100);
}

/* What a machine does without links that limit it, after a beginning that says little: the caps may
 * not be what it waits for. */
static void test_first_transfer_is_quick(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ratios) / sizeof(*ratios); i++) {
		begin(ratios[i][0], ratios[i][1], false, 100, 100, 0);
		w.look_us = 5000;
		run_us(30000);
		w.capacity[0] = w.capacity[1] = 2000 * MBIT;
		w.source = 2000 * MBIT;
		w.backlog = 0;
		double mbit = run_bytes(100e6);

		assert_between(mbit, 1900, 2010);
		assert_between(share_of_first(), ratios[i][0] - 2.0, ratios[i][0] + 2.0);
	}
}

/* From the next look on, and no path is without a cap meanwhile. */
static void test_holds_another_ratio_at_once(void **state)
{
	(void)state;
	begin(80, 20, false, 60, 60, 40);
	run_us(5000000);
	w.split.path[0].weight = 20;
	w.split.path[1].weight = 80;
	mg_split_change(&w.split);
	look();
	assert_true(w.split.path[0].cap < 20 * MBIT);
	assert_true(w.split.path[1].cap < 120 * MBIT);
	w.sent[0] = w.sent[1] = 0;
	w.split.path[0].last_bytes = w.split.path[1].last_bytes = 0;
	assert_between(run_bytes(100e6), 38, 40.5);
	assert_between(share_of_first(), 18, 22);
	assert_false(w.split.gives_way);
}

static void test_short_transfers_are_free(void **state)
{
	(void)state;
	begin(10, 90, true, 50, 50, 0);
	run_us(20000);
	assert_true(w.split.path[0].cap == MG_SPLIT_NO_CAP);
	assert_true(w.split.path[1].cap == MG_SPLIT_NO_CAP);
}

static void test_one_path_is_never_capped(void **state)
{
	(void)state;
	begin(10, 90, true, 50, 50, 0);
	run_us(2000000);
	assert_true(w.split.path[0].cap != MG_SPLIT_NO_CAP);
	w.split.path[1].usable = false;
	run_us(500000);
	assert_true(w.split.path[0].cap == MG_SPLIT_NO_CAP);
	w.split.path[1].usable = true;
	run_us(2000000);
	assert_true(w.split.path[0].cap != MG_SPLIT_NO_CAP);
}

static void test_weights_of_nothing(void **state)
{
	(void)state;
	begin(0, 0, true, 50, 50, 0);
	run_us(1000000);
	assert_true(w.split.path[0].cap == MG_SPLIT_NO_CAP);
	begin(100, 0, false, 50, 50, 0);
	run_us(1000000);
	assert_true(w.split.path[0].cap == MG_SPLIT_NO_CAP);
	/* Looks at the same time, and at none at all */
	mg_split_look(&w.split, w.now_us, true);
	mg_split_look(&w.split, w.now_us, true);
	mg_split_forget(&w.split);
	w.split.n = 0;
	mg_split_look(&w.split, w.now_us, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holds_where_links_could_carry_more),
		cmocka_unit_test(test_strict_holds_whatever_links_carry),
		cmocka_unit_test(test_gives_way),
		cmocka_unit_test(test_returns_when_the_short_one_recovers),
		cmocka_unit_test(test_returns_when_less_is_asked_for),
		cmocka_unit_test(test_grows_quickly),
		cmocka_unit_test(test_first_transfer_is_quick),
		cmocka_unit_test(test_holds_another_ratio_at_once),
		cmocka_unit_test(test_short_transfers_are_free),
		cmocka_unit_test(test_one_path_is_never_capped),
		cmocka_unit_test(test_weights_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
