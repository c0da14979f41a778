// SPDX-License-Identifier: BSD-2-Clause
/* Tokens and their owners: what the store tells, what the map then says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/directory.h"

#define PATIENCE_MS 5000
#define MAP_MAX	    4096

static struct mg_loop loop;
static struct mg_directory *dir;

/* The map, as the kernel would have it. */
static struct {
	uint32_t token;
	struct mg_owners owners;
} map[MAP_MAX];
static size_t map_n, map_max, pushes;

static int push(void *ctx, uint32_t token, const struct mg_owners *owners)
{
	size_t i = 0;

	(void)ctx;
	pushes++;
	while (i < map_n && map[i].token != token)
		i++;
	if (!owners) {
		if (i == map_n)
			return -ENOENT;
		map[i] = map[--map_n];
		return 0;
	}
	if (i == map_n && map_n == map_max)
		return -ENOSPC;
	map[i].token = token;
	map[i].owners = *owners;
	map_n += i == map_n;
	return 0;
}

static void assert_owners(uint32_t token, uint16_t proxy, uint16_t second)
{
	for (size_t i = 0; i < map_n; i++) {
		if (map[i].token != token)
			continue;
		assert_int_equal(map[i].owners.proxy, proxy);
		assert_int_equal(map[i].owners.second, second);
		return;
	}
	if (proxy)
		fail_msg("token %08x is not in the map", token);
}

static void pass(uint64_t ms)
{
	loop.now_ms += ms;
	mg_timers_run(&loop.timers, loop.now_ms);
}

static void member(const char *name, bool alive, uint64_t sessions)
{
	const struct mg_store_member m = { .name = name, .sessions = sessions, .alive = alive };

	mg_directory_member(dir, &m);
}

static size_t known_tokens(void)
{
	struct mg_directory_status s;

	mg_directory_status(dir, &s);
	return s.tokens;
}

static size_t collisions(void)
{
	struct mg_directory_status s;

	mg_directory_status(dir, &s);
	return s.collisions;
}

static void open_with(size_t tokens_max)
{
	const struct mg_directory_options options = { .push = push,
						      .tokens_max = tokens_max,
						      .patience_ms = PATIENCE_MS };

	assert_int_equal(mg_directory_open(&dir, &loop, &options), 0);
	assert_int_equal(mg_directory_set_proxy(dir, "px1", 1), 0);
	assert_int_equal(mg_directory_set_proxy(dir, "px2", 2), 0);
	assert_int_equal(mg_directory_set_proxy(dir, "px3", 3), 0);
}

/* A store that has been there for long. */
static int start(void **state)
{
	(void)state;
	loop = (struct mg_loop){ .now_ms = 1000 };
	mg_timers_init(&loop.timers);
	map_n = pushes = 0;
	map_max = MAP_MAX;
	open_with(100000);
	mg_directory_reachable(dir, true);
	pass(PATIENCE_MS + 1);
	for (int i = 1; i <= 3; i++)
		member((const char *[]){ "px1", "px2", "px3" }[i - 1], true, 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	mg_directory_close(dir);
	mg_timers_free(&loop.timers);
	return 0;
}

static void test_come_and_go(void **state)
{
	(void)state;
	mg_directory_token(dir, "px1", 0xa1, true);
	mg_directory_token(dir, "px2", 0xa2, true);
	assert_owners(0xa1, 1, 0);
	assert_owners(0xa2, 2, 0);
	assert_int_equal(pushes, 2);
	/* Told again, nothing new. */
	mg_directory_token(dir, "px1", 0xa1, true);
	assert_int_equal(pushes, 2);
	mg_directory_token(dir, "px1", 0xa1, false);
	assert_int_equal(map_n, 1);
	/* Not its own, and never heard of. */
	mg_directory_token(dir, "px1", 0xa2, false);
	mg_directory_token(dir, "px9", 0xa2, false);
	assert_owners(0xa2, 2, 0);
	assert_int_equal(known_tokens(), 1);
}

static void test_token_zero(void **state)
{
	(void)state;
	mg_directory_token(dir, "px1", 0, true);
	assert_owners(0, 1, 0);
	mg_directory_token(dir, "px1", 0, false);
	assert_int_equal(map_n, 0);
}

static void test_collision(void **state)
{
	(void)state;
	mg_directory_token(dir, "px2", 0xc0, true);
	mg_directory_token(dir, "px1", 0xc0, true);
	assert_owners(0xc0, 2, 1);
	assert_int_equal(collisions(), 1);
	mg_directory_token(dir, "px3", 0xc0, true);
	assert_owners(0xc0, 2, 1);
	assert_int_equal(collisions(), 1);
	/* Whoever goes, those that are left are known. */
	mg_directory_token(dir, "px2", 0xc0, false);
	assert_owners(0xc0, 1, 3);
	mg_directory_token(dir, "px1", 0xc0, false);
	assert_owners(0xc0, 3, 0);
	assert_int_equal(collisions(), 0);
	mg_directory_token(dir, "px3", 0xc0, false);
	assert_int_equal(map_n, 0);
	assert_int_equal(known_tokens(), 0);
}

static void test_resync(void **state)
{
	(void)state;
	for (uint32_t t = 1; t <= 10; t++)
		mg_directory_token(dir, "px1", t, true);
	mg_directory_token(dir, "px2", 5, true);
	mg_directory_resync(dir, "px1");
	mg_directory_token(dir, "px1", 3, true);
	mg_directory_token(dir, "px1", 20, true);
	/* News come in between. */
	mg_directory_token(dir, "px1", 21, true);
	assert_int_equal(map_n, 12);
	mg_directory_resync_done(dir, "px1");
	assert_int_equal(map_n, 4);
	assert_owners(3, 1, 0);
	assert_owners(20, 1, 0);
	assert_owners(21, 1, 0);
	assert_owners(5, 2, 0);
	/* Round after round: the number that marks them comes round, too. */
	for (int i = 0; i < 600; i++) {
		mg_directory_resync(dir, "px1");
		mg_directory_token(dir, "px1", 3, true);
		mg_directory_resync_done(dir, "px1");
		assert_int_equal(map_n, 2);
	}
	mg_directory_resync(dir, "px1");
	mg_directory_resync_done(dir, "px1");
	assert_int_equal(map_n, 1);
}

static void test_overdue(void **state)
{
	uint64_t sessions;
	bool alive;

	(void)state;
	mg_directory_token(dir, "px1", 1, true);
	mg_directory_token(dir, "px1", 2, true);
	mg_directory_token(dir, "px2", 2, true);
	member("px1", true, 2);
	assert_true(mg_directory_find(dir, "px1", &sessions, &alive));
	assert_int_equal(sessions, 2);
	assert_true(alive);
	member("px1", false, 0);
	assert_int_equal(map_n, 1);
	assert_owners(2, 2, 0);
	assert_true(mg_directory_find(dir, "px1", &sessions, &alive));
	assert_int_equal(sessions, 0);
	assert_false(alive);
	assert_false(mg_directory_find(dir, "px9", &sessions, &alive));
	/* It comes back, and tells all. */
	member("px1", true, 1);
	mg_directory_resync(dir, "px1");
	mg_directory_token(dir, "px1", 1, true);
	mg_directory_resync_done(dir, "px1");
	assert_owners(1, 1, 0);
}

/* A store that is away says nothing about proxies, nor does one that is just back. */
static void test_outage_keeps_all(void **state)
{
	(void)state;
	mg_directory_token(dir, "px1", 1, true);
	mg_directory_token(dir, "px2", 2, true);
	mg_directory_reachable(dir, false);
	member("px1", false, 0);
	pass(100 * PATIENCE_MS);
	assert_int_equal(map_n, 2);
	mg_directory_reachable(dir, true);
	/* It lost everything, or heartbeats ran out meanwhile. */
	member("px1", false, 0);
	member("px2", false, 0);
	pass(PATIENCE_MS / 2);
	assert_int_equal(map_n, 2);
	member("px2", true, 1);
	pass(PATIENCE_MS / 2 - 1);
	assert_int_equal(map_n, 2);
	pass(2);
	assert_int_equal(map_n, 1);
	assert_owners(2, 2, 0);
}

static void test_outage_within_the_time_to_return(void **state)
{
	(void)state;
	mg_directory_token(dir, "px1", 1, true);
	mg_directory_reachable(dir, false);
	mg_directory_reachable(dir, true);
	pass(PATIENCE_MS - 1);
	mg_directory_reachable(dir, false);
	pass(10 * PATIENCE_MS);
	assert_owners(1, 1, 0);
	assert_int_equal(map_n, 1);
}

static void test_strangers(void **state)
{
	struct mg_directory_status s;
	char name[32];

	(void)state;
	mg_directory_token(dir, "elsewhere", 7, true);
	mg_directory_token(dir, "px1", 7, true);
	assert_owners(7, 1, 0);
	/* It becomes one of ours: what it owns is known already. */
	assert_int_equal(mg_directory_set_proxy(dir, "elsewhere", 4), 0);
	assert_owners(7, 4, 1);
	assert_int_equal(mg_directory_set_proxy(dir, "elsewhere", 0), 0);
	assert_owners(7, 1, 0);
	/* Names without end are refused, and nothing else is. */
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "stranger%d", i);
		mg_directory_token(dir, name, (uint32_t)i, true);
	}
	mg_directory_status(dir, &s);
	assert_true(s.refused > 0);
	mg_directory_token(dir, "px2", 9, true);
	assert_true(map_n == 2);
	mg_directory_token(dir, "", 9, true);
	mg_directory_token(dir, "0123456789012345678901234567890123456789012345678901234567890123",
			   9, true);
	assert_owners(9, 2, 0);
}

static void test_left_by_a_former_daemon(void **state)
{
	(void)state;
	assert_int_equal(mg_directory_load(dir, "px1", 1, 77), 0);
	assert_int_equal(mg_directory_load(dir, "px1", 2, 77), 0);
	assert_int_equal(mg_directory_load(dir, "px2", 2, 77), 0);
	assert_int_equal(pushes, 0);
	assert_int_equal(known_tokens(), 3);
	mg_directory_resync(dir, "px1");
	mg_directory_token(dir, "px1", 1, true);
	mg_directory_resync_done(dir, "px1");
	/* Only what changed is told to the map: px1's 2 is not its own any more. */
	assert_int_equal(pushes, 1);
	assert_owners(2, 2, 0);
}

static void test_more_than_there_is_room_for(void **state)
{
	struct mg_directory_status s;

	(void)state;
	mg_directory_close(dir);
	open_with(20);
	map_max = 10;
	mg_directory_reachable(dir, true);
	for (uint32_t t = 1; t <= 30; t++)
		mg_directory_token(dir, "px1", t, true);
	mg_directory_status(dir, &s);
	assert_int_equal(s.tokens, 20);
	assert_int_equal(s.unpushed, 10);
	assert_int_equal(s.refused, 10);
	/* Room comes: what had none gets it, after a while. */
	for (uint32_t t = 1; t <= 4; t++)
		mg_directory_token(dir, "px1", t, false);
	assert_int_equal(map_n, 6);
	pass(1001);
	assert_int_equal(map_n, 10);
	mg_directory_status(dir, &s);
	assert_int_equal(s.unpushed, 6);
	for (uint32_t t = 1; t <= 30; t++)
		mg_directory_token(dir, "px1", t, false);
	assert_int_equal(map_n, 0);
	mg_directory_status(dir, &s);
	assert_int_equal(s.unpushed, 0);
	assert_int_equal(s.tokens, 0);
}

/* Against a plain list of owners, in order of arrival. */
static void test_many_at_random(void **state)
{
	static uint8_t order[512][3];
	static const char *const names[] = { "px1", "px2", "px3" };
	uint32_t lot = 99;

	(void)state;
	memset(order, 0, sizeof(order));
	for (int i = 0; i < 200000; i++) {
		uint8_t *o, who;
		uint32_t token;
		bool owned;
		int n = 0;

		lot = lot * 1664525 + 1013904223;
		token = lot >> 8 & 511;
		who = (uint8_t)(1 + (lot >> 20) % 3);
		owned = lot >> 30 & 1;
		o = order[token];
		mg_directory_token(dir, names[who - 1], token, owned);
		while (n < 3 && o[n] && o[n] != who)
			n++;
		if (owned && n < 3 && !o[n])
			o[n] = who;
		else if (!owned && n < 3 && o[n])
			for (; n < 3; n++)
				o[n] = n < 2 ? o[n + 1] : 0;
	}
	for (uint32_t t = 0; t < 512; t++)
		assert_owners(t, order[t][0], order[t][1]);
	mg_directory_resync(dir, "px1");
	mg_directory_resync_done(dir, "px1");
	member("px2", false, 0);
	member("px3", false, 0);
	assert_int_equal(map_n, 0);
	assert_int_equal(known_tokens(), 0);
	assert_int_equal(collisions(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_come_and_go),
		TEST(test_token_zero),
		TEST(test_collision),
		TEST(test_resync),
		TEST(test_overdue),
		TEST(test_outage_keeps_all),
		TEST(test_outage_within_the_time_to_return),
		TEST(test_strangers),
		TEST(test_left_by_a_former_daemon),
		TEST(test_more_than_there_is_room_for),
		TEST(test_many_at_random),
	};

	return cmocka_run_group_tests_name("directory", tests, NULL, NULL);
}
