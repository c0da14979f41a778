// SPDX-License-Identifier: BSD-2-Clause
/* The ring of a group: shares, what moves when something changes, and what never does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "gateway/ring.h"

#define MEMBERS_MAX (MG_PROXIES_MAX - 1)

static char names[MEMBERS_MAX][MG_MEMBER_NAME];
static struct mg_ring_member members[MEMBERS_MAX];
static uint16_t before[MG_RING_SLOTS], after[MG_RING_SLOTS], other[MG_RING_SLOTS];

static void set_members(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "px%zu", i + 1);
		members[i] = (struct mg_ring_member){
			.name = names[i], .proxy = (uint16_t)(i + 1), .weight = 1, .takes = true
		};
	}
}

static size_t share_of(const uint16_t *owners, uint16_t proxy)
{
	size_t n = 0;

	for (size_t i = 0; i < MG_RING_SLOTS; i++)
		n += owners[i] == proxy;
	return n;
}

static void assert_share(const uint16_t *owners, uint16_t proxy, double want, double percent)
{
	double got = (double)share_of(owners, proxy);

	if (got < want * (1 - percent / 100) || got > want * (1 + percent / 100))
		fail_msg("proxy %u has %.0f slots, not %.1f", proxy, got, want);
}

static void test_balance(void **state)
{
	(void)state;
	set_members(10);
	assert_int_equal(mg_ring_fill(before, members, 10), 0);
	for (uint16_t p = 1; p <= 10; p++)
		assert_share(before, p, MG_RING_SLOTS / 10.0, 0.02);
}

static void test_weights(void **state)
{
	static const uint32_t weights[] = { 1, 2, 3, 10, 100, 0 };

	(void)state;
	set_members(6);
	for (size_t i = 0; i < 6; i++)
		members[i].weight = weights[i];
	assert_int_equal(mg_ring_fill(before, members, 6), 0);
	for (uint16_t p = 1; p <= 6; p++)
		assert_share(before, p, MG_RING_SLOTS * (double)weights[p - 1] / 116, 1);
	/* And without the heaviest, what is left goes by weight. */
	members[4].takes = false;
	assert_int_equal(mg_ring_fill(before, members, 6), 0);
	for (uint16_t p = 1; p <= 4; p++)
		assert_share(before, p, MG_RING_SLOTS * (double)weights[p - 1] / 16, 1);
	assert_int_equal(share_of(before, 5), 0);
	assert_int_equal(share_of(before, 6), 0);
}

/* Weights up to what the type holds neither overflow nor loop. */
static void test_large_weights(void **state)
{
	(void)state;
	set_members(3);
	members[0].weight = UINT32_MAX;
	members[1].weight = UINT32_MAX / 2;
	members[2].weight = 1;
	assert_int_equal(mg_ring_fill(before, members, 3), 0);
	assert_share(before, 1, MG_RING_SLOTS * 2 / 3.0, 1);
	assert_share(before, 2, MG_RING_SLOTS / 3.0, 1);
	members[0].takes = members[1].takes = false;
	assert_int_equal(mg_ring_fill(before, members, 3), 0);
	assert_int_equal(share_of(before, 3), MG_RING_SLOTS);
}

static size_t moved(const uint16_t *from, const uint16_t *to)
{
	size_t n = 0;

	for (size_t i = 0; i < MG_RING_SLOTS; i++)
		n += from[i] != to[i];
	return n;
}

static void test_one_goes_and_comes_back(void **state)
{
	(void)state;
	for (size_t n = 2; n <= 20; n += 3) {
		set_members(n);
		assert_int_equal(mg_ring_fill(before, members, n), 0);
		for (size_t gone = 0; gone < n; gone++) {
			members[gone].takes = false;
			assert_int_equal(mg_ring_fill(after, members, n), 0);
			for (size_t i = 0; i < MG_RING_SLOTS; i++) {
				if (before[i] == gone + 1)
					assert_int_not_equal(after[i], gone + 1);
				else
					assert_int_equal(after[i], before[i]);
			}
			for (size_t p = 1; p <= n; p++) {
				if (p != gone + 1)
					assert_share(after, (uint16_t)p,
						     MG_RING_SLOTS / (double)(n - 1), 0.1);
			}
			members[gone].takes = true;
			assert_int_equal(mg_ring_fill(other, members, n), 0);
			assert_memory_equal(other, before, sizeof(before));
		}
	}
}

/* In whatever order they go and come, only slots of the one that changes do. */
static void test_many_go_and_come_back(void **state)
{
	uint32_t lot = 4711;
	size_t left = 10;

	(void)state;
	set_members(10);
	assert_int_equal(mg_ring_fill(before, members, 10), 0);
	for (int round = 0; round < 60; round++) {
		struct mg_ring_member *m;

		lot = lot * 1103515245 + 12345;
		m = &members[(lot >> 16) % 10];
		if (left == 1 && m->takes)
			continue;
		m->takes = !m->takes;
		left += m->takes ? 1 : -1;
		assert_int_equal(mg_ring_fill(after, members, 10), 0);
		for (size_t i = 0; i < MG_RING_SLOTS; i++) {
			if (m->takes ? after[i] != m->proxy : before[i] != m->proxy)
				assert_int_equal(before[i], after[i]);
		}
		for (size_t p = 0; p < 10; p++) {
			if (members[p].takes)
				assert_share(after, (uint16_t)(p + 1),
					     (double)MG_RING_SLOTS / (double)left, 4);
		}
		memcpy(before, after, sizeof(before));
	}
}

/* Maglev's section 5.3: beyond what has to move, a small part does. */
static void test_one_more(void **state)
{
	size_t n, needed;

	(void)state;
	set_members(11);
	assert_int_equal(mg_ring_fill(before, members, 10), 0);
	assert_int_equal(mg_ring_fill(after, members, 11), 0);
	n = moved(before, after);
	needed = share_of(after, 11);
	print_message("# one more beside 10: %.2f %% of the slots move, %.2f %% have to\n",
		      100.0 * (double)n / MG_RING_SLOTS, 100.0 * (double)needed / MG_RING_SLOTS);
	assert_true(n >= needed);
	assert_true(n - needed < MG_RING_SLOTS / 10);
}

static void test_order_of_the_list(void **state)
{
	(void)state;
	set_members(10);
	members[3].weight = 7;
	members[5].takes = members[7].takes = members[8].takes = false;
	assert_int_equal(mg_ring_fill(before, members, 10), 0);
	for (size_t i = 0; i < 5; i++) {
		struct mg_ring_member swap = members[i];

		members[i] = members[9 - i];
		members[9 - i] = swap;
	}
	assert_int_equal(mg_ring_fill(after, members, 10), 0);
	assert_memory_equal(before, after, sizeof(before));
}

/* Gateways of different builds have to agree: these are not to change. */
static void test_the_same_everywhere(void **state)
{
	uint64_t sum = 0;

	(void)state;
	set_members(5);
	members[1].takes = members[2].takes = false;
	assert_int_equal(mg_ring_fill(before, members, 5), 0);
	for (size_t i = 0; i < MG_RING_SLOTS; i++)
		sum = sum * 31 + before[i];
	assert_true(sum == 0x7ed1075acedbfc62);
}

static void test_nobody(void **state)
{
	(void)state;
	set_members(3);
	for (size_t i = 0; i < 3; i++)
		members[i].takes = false;
	memset(before, 0xff, sizeof(before));
	assert_int_equal(mg_ring_fill(before, members, 3), 0);
	assert_int_equal(share_of(before, 0), MG_RING_SLOTS);
	memset(before, 0xff, sizeof(before));
	assert_int_equal(mg_ring_fill(before, NULL, 0), 0);
	assert_int_equal(share_of(before, 0), MG_RING_SLOTS);
	members[1].takes = true;
	members[1].weight = 0;
	memset(before, 0xff, sizeof(before));
	assert_int_equal(mg_ring_fill(before, members, 3), 0);
	assert_int_equal(share_of(before, 0), MG_RING_SLOTS);
}

static void test_apply(void **state)
{
	static struct mg_slot slots[MG_RING_SLOTS];

	(void)state;
	for (size_t i = 0; i < MG_RING_SLOTS; i++)
		after[i] = 1;
	assert_int_equal(mg_ring_apply(slots, after, 100), MG_RING_SLOTS);
	assert_int_equal(slots[7].current, 1);
	assert_int_equal(slots[7].previous, 0);
	assert_int_equal(slots[7].changed_s, 100);
	assert_int_equal(mg_ring_apply(slots, after, 101), 0);
	assert_int_equal(slots[7].changed_s, 100);
	after[7] = 2;
	assert_int_equal(mg_ring_apply(slots, after, 102), 1);
	assert_int_equal(slots[7].current, 2);
	assert_int_equal(slots[7].previous, 1);
	assert_int_equal(slots[7].changed_s, 102);
	assert_int_equal(slots[8].changed_s, 100);
	/* Nobody for a while: the last owner stays known. */
	after[7] = 0;
	assert_int_equal(mg_ring_apply(slots, after, 103), 1);
	assert_int_equal(slots[7].current, 0);
	assert_int_equal(slots[7].previous, 2);
	after[7] = 3;
	assert_int_equal(mg_ring_apply(slots, after, 104), 1);
	assert_int_equal(slots[7].current, 3);
	assert_int_equal(slots[7].previous, 2);
}

static double fill_ms(size_t n)
{
	struct timespec from, to;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	assert_int_equal(mg_ring_fill(before, members, n), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	return (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
}

/* The loop waits for it. The limit is for machines many times slower than any that steers. */
static void test_how_long_it_takes(void **state)
{
	static const size_t counts[] = { 3, 10, MEMBERS_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		double all, half, one;

		set_members(counts[i]);
		all = fill_ms(counts[i]);
		for (size_t m = 0; m < counts[i]; m += 2)
			members[m].takes = false;
		half = fill_ms(counts[i]);
		for (size_t m = 1; m < counts[i]; m++)
			members[m].takes = false;
		members[0].takes = true;
		one = fill_ms(counts[i]);
		print_message(
			"# %zu proxies: %.1f ms; half of them gone: %.1f ms; but one: %.1f ms\n",
			counts[i], all, half, one);
		assert_true(all < 2000 && half < 2000 && one < 2000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_balance),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_large_weights),
		cmocka_unit_test(test_one_goes_and_comes_back),
		cmocka_unit_test(test_many_go_and_come_back),
		cmocka_unit_test(test_one_more),
		cmocka_unit_test(test_order_of_the_list),
		cmocka_unit_test(test_the_same_everywhere),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_how_long_it_takes),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
