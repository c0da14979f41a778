// SPDX-License-Identifier: BSD-2-Clause
/* Hosts with a Redis between them that is always there: tokens, members, drain flags, access. */
#include "store_rig.h"

#define MANY 100000

static void test_tokens_reach_others(void **state)
{
	static struct redis_rig r;
	static struct host px, gw;

	(void)state;
	redis_up(&r, NULL);
	gateway_up(&gw, r.url);
	proxy_up(&px, r.url, "px1");
	host_own(&px, 1, 3, true);
	assert_true(wait_until(host_knows(&gw, "px1", 1, 3)));
	host_own(&px, 3, 1, false);
	assert_true(wait_until(host_knows(&gw, "px1", 1, 2)));
	assert_int_equal(redis_ask(&r, "SCARD mpgate:tokens:px1"), 2);
	assert_int_equal(redis_ask(&r, "SISMEMBER mpgate:tokens:px1 %08x", token_of(2)), 1);
	assert_true(host_status(&gw).reachable);
	assert_true(host_status(&gw).received >= 1);
	assert_int_equal(host_status(&gw).ignored, 0);
	/* Counted with the next heartbeat */
	assert_true(wait_until(host_told(&gw, "px1").sessions == 2));
	/* What came back of our own words is not taken for another's. */
	assert_int_equal(host_status(&px).received, 0);
	host_down(&px);
	host_down(&gw);
	redis_down(&r);
}

/* One that listens hears of its own at once, from itself, and not a second time. */
static void test_own_are_told_at_home(void **state)
{
	static struct redis_rig r;
	static struct host both;

	(void)state;
	redis_up(&r, NULL);
	host_up(&both, r.url, "both", true);
	host_own(&both, 1, 10, true);
	assert_true(host_knows(&both, "both", 1, 10));
	assert_true(wait_until(redis_ask(&r, "SCARD mpgate:tokens:both") == 10));
	host_own_all(&both, 5, 10);
	assert_true(host_knows(&both, "both", 5, 10));
	assert_true(
		wait_until(redis_ask(&r, "SISMEMBER mpgate:tokens:both %08x", token_of(14)) == 1));
	assert_int_equal(redis_ask(&r, "SCARD mpgate:tokens:both"), 10);
	assert_int_equal(redis_ask(&r, "EXISTS mpgate:rewrite:both"), 0);
	assert_int_equal(host_status(&both).received, 0);
	assert_true(host_told(&both, "both").alive);
	host_down(&both);
	redis_down(&r);
}

static void test_many(void **state)
{
	static struct redis_rig r;
	static struct host px, gw, late;
	uint64_t at_ms;

	(void)state;
	redis_up(&r, NULL);
	gateway_up(&gw, r.url);
	proxy_up(&px, r.url, "px1");
	assert_true(wait_until(host_told(&gw, "px1").alive));
	at_ms = mg_clock_ms();
	host_own(&px, 0, MANY, true);
	assert_true(wait_until(host_knows(&gw, "px1", 0, MANY)));
	print_message("# %d tokens told in %llu ms\n", MANY,
		      (unsigned long long)(mg_clock_ms() - at_ms));
	at_ms = mg_clock_ms();
	gateway_up(&late, r.url);
	assert_true(wait_until(host_knows(&late, "px1", 0, MANY)));
	print_message("# …and read by another in %llu ms, %ld bytes each at the store\n",
		      (unsigned long long)(mg_clock_ms() - at_ms),
		      redis_ask(&r, "MEMORY USAGE mpgate:tokens:px1 SAMPLES 0") / MANY);
	/* In batches: the set is written with a few hundred words, not with a hundred thousand. */
	assert_in_range(redis_info(&r, "commandstats", "cmdstat_sadd:calls="), 1, MANY / 100);
	assert_in_range(redis_info(&r, "commandstats", "cmdstat_publish:calls="), 1, MANY / 100);
	at_ms = mg_clock_ms();
	host_own(&px, 0, MANY, false);
	assert_true(wait_until(host_knows(&gw, "px1", 0, 0)));
	assert_true(wait_until(host_knows(&late, "px1", 0, 0)));
	print_message("# …and taken back in %llu ms\n",
		      (unsigned long long)(mg_clock_ms() - at_ms));
	host_down(&px);
	host_down(&gw);
	host_down(&late);
	redis_down(&r);
}

/* Sessions come and go while a gateway reads the set: it ends with what is true. */
static void test_sync_under_changes(void **state)
{
	static struct redis_rig r;
	static struct host px, gw;

	(void)state;
	redis_up(&r, NULL);
	proxy_up(&px, r.url, "px1");
	host_own(&px, 0, MANY, true);
	assert_true(wait_until(redis_ask(&r, "SCARD mpgate:tokens:px1") == MANY));
	gateway_up(&gw, r.url);
	for (uint32_t i = 0; i < 50; i++) {
		host_own(&px, i * 500, 500, false);
		host_own(&px, MANY + i * 500, 500, true);
	}
	assert_true(wait_until(host_knows(&gw, "px1", 25000, MANY)));
	assert_true(host_told(&gw, "px1").resyncs >= 1);
	host_own_all(&px, 7, 1000);
	assert_true(wait_until(host_knows(&gw, "px1", 7, 1000)));
	host_down(&px);
	host_down(&gw);
	redis_down(&r);
}

static void test_who_is_silent_is_gone(void **state)
{
	static struct redis_rig r;
	static struct host px1, px2, gw;
	uint64_t at_ms;

	(void)state;
	redis_up(&r, NULL);
	gateway_up(&gw, r.url);
	proxy_up(&px1, r.url, "px1");
	proxy_up(&px2, r.url, "px2");
	host_own(&px1, 0, 100, true);
	host_own(&px2, 1000, 100, true);
	assert_true(wait_until(host_knows(&gw, "px1", 0, 100) && host_told(&gw, "px1").alive));
	assert_true(wait_until(host_knows(&gw, "px2", 1000, 100)));
	/* Patience with a store that has only just come lasts longer than that. */
	at_ms = mg_clock_ms();
	host_freeze(&px1);
	assert_true(wait_until(!host_told(&gw, "px1").alive));
	assert_true(mg_clock_ms() - at_ms >= 2 * BEAT_MS);
	assert_true(host_knows(&gw, "px1", 0, 0));
	assert_true(wait_until(!redis_ask(&r, "EXISTS mpgate:tokens:px1")));
	assert_true(host_told(&gw, "px2").alive);
	assert_true(host_knows(&gw, "px2", 1000, 100));
	assert_int_equal(host_told(&gw, "px2").deaths, 0);
	host_bury(&px1);
	/* It comes again, with other sessions. */
	proxy_up(&px1, r.url, "px1");
	host_own(&px1, 50, 10, true);
	assert_true(wait_until(host_told(&gw, "px1").alive && host_knows(&gw, "px1", 50, 10)));
	host_down(&px1);
	host_down(&px2);
	host_down(&gw);
	redis_down(&r);
}

static void test_who_leaves_is_gone_at_once(void **state)
{
	static struct redis_rig r;
	static struct host px, gw;

	(void)state;
	redis_up(&r, NULL);
	gateway_up(&gw, r.url);
	proxy_up(&px, r.url, "px1");
	host_own(&px, 0, 100, true);
	assert_true(wait_until(host_knows(&gw, "px1", 0, 100) && host_told(&gw, "px1").alive));
	host_down(&px);
	assert_true(wait_until(!host_told(&gw, "px1").alive));
	assert_true(host_knows(&gw, "px1", 0, 0));
	assert_int_equal(redis_ask(&r, "EXISTS mpgate:members mpgate:member:px1 "
				       "mpgate:tokens:px1"),
			 0);
	host_down(&gw);
	redis_down(&r);
}

static void test_drain_flags(void **state)
{
	static struct redis_rig r;
	static struct host gw[3], px;

	(void)state;
	redis_up(&r, NULL);
	gateway_up(&gw[0], r.url);
	gateway_up(&gw[1], r.url);
	proxy_up(&px, r.url, "px1");
	assert_true(wait_until(host_reaches(&gw[1])));
	assert_int_equal(host_drains(&gw[0], "px1", true), 0);
	assert_true(host_told(&gw[0], "px1").drained);
	assert_true(wait_until(host_told(&gw[1], "px1").drained));
	/* One that comes later is told as well. */
	assert_true(wait_until(redis_ask(&r, "SISMEMBER mpgate:drain px1") == 1));
	gateway_up(&gw[2], r.url);
	assert_true(wait_until(host_told(&gw[2], "px1").drained));
	assert_int_equal(host_drains(&gw[2], "px1", false), 0);
	assert_true(wait_until(!host_told(&gw[0], "px1").drained));
	assert_true(wait_until(!host_told(&gw[1], "px1").drained));
	assert_int_equal(redis_ask(&r, "EXISTS mpgate:drain"), 0);
	/* A flag that only the set has is found by looking. */
	redis_ask(&r, "SADD mpgate:drain px7");
	assert_true(wait_until(host_told(&gw[0], "px7").drained));
	redis_ask(&r, "SREM mpgate:drain px7");
	assert_true(wait_until(!host_told(&gw[0], "px7").drained));
	/* A proxy without a gateway's ears may say it, too. */
	assert_int_equal(host_drains(&px, "px1", true), 0);
	assert_true(wait_until(host_told(&gw[0], "px1").drained));
	assert_int_equal(host_drains(&gw[0], "", true), -EINVAL);
	assert_int_equal(host_drains(&gw[0], "a name", true), -EINVAL);
	for (int i = 0; i < 3; i++)
		host_down(&gw[i]);
	host_down(&px);
	redis_down(&r);
}

static void test_tcp_and_names(void **state)
{
	const char *const options[] = { "--port", "6380", "--bind", "127.0.0.1", "::1", NULL };
	const char *const urls[] = { "redis://127.0.0.1:6380/2", "redis://[::1]:6380/2",
				     "redis://localhost:6380/2" };
	static struct redis_rig r;
	static struct host px, gw;

	(void)state;
	redis_up(&r, options);
	proxy_up(&px, urls[0], "px1");
	host_own(&px, 1, 5, true);
	for (size_t i = 0; i < 3; i++) {
		gateway_up(&gw, urls[i]);
		assert_true(wait_until(host_knows(&gw, "px1", 1, 5)));
		host_down(&gw);
	}
	assert_int_equal(redis_ask(&r, "EXISTS mpgate:members"), 0);
	redis_ask(&r, "SELECT 2");
	assert_int_equal(redis_ask(&r, "EXISTS mpgate:members"), 1);
	host_down(&px);
	redis_down(&r);
}

static void test_password(void **state)
{
	const char *const options[] = { "--requirepass", "right/one", NULL };
	static struct redis_rig r;
	struct log_rig log;
	char wrong[160], right[160];
	static struct host px, gw;

	(void)state;
	redis_up(&r, options);
	redis_ask(&r, "AUTH right/one");
	snprintf(wrong, sizeof(wrong), "redis+unix://:wrong@%s/redis.sock", r.dir);
	snprintf(right, sizeof(right), "redis+unix://:right%%2fone@%s/redis.sock", r.dir);
	log_catch(&log);
	proxy_up(&px, wrong, "px1");
	host_own(&px, 1, 5, true);
	assert_true(wait_until(log_lines(&log, "store: ") > 0));
	assert_true(wait_until(redis_info(&r, "commandstats", "cmdstat_auth:calls=") > 4));
	assert_false(host_reaches(&px));
	assert_int_equal(log_lines(&log, "store: "), 1);
	assert_int_equal(log_lines(&log, "WRONGPASS"), 1);
	assert_int_equal(log_lines(&log, "wrong@"), 0);
	gateway_up(&gw, right);
	assert_true(wait_until(host_reaches(&gw)));
	assert_true(host_knows(&gw, "px1", 0, 0));
	/* Mended at the other end, it works without a restart. */
	redis_ask(&r, "CONFIG SET requirepass wrong");
	assert_true(wait_until(host_reaches(&px)));
	assert_true(wait_until(host_knows(&gw, "px1", 1, 5)));
	assert_true(wait_until(log_lines(&log, "is in use") > 0));
	log_release(&log);
	host_down(&px);
	host_down(&gw);
	redis_down(&r);
}

/* The very lines of docs/operations.md, "Shared state". */
#define ACL_LINE                                                                                   \
	"resetchannels &mpgate:events ~mpgate:* -@all +auth +select +ping +hset +hget +hmget "     \
	"+pexpire +sadd +srem +scard +sscan +unlink +rename +set +get +publish +subscribe +multi " \
	"+exec"

static void test_as_little_access_as_documented(void **state)
{
	static struct redis_rig r;
	char url[160];
	static struct host px, gw;
	redisReply *reply;
	const char *argv[40] = { "ACL", "SETUSER", "mpgate", "on", ">secret" };
	char line[] = ACL_LINE, *save = NULL;
	int argc = 5;

	(void)state;
	redis_up(&r, NULL);
	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	reply = redisCommandArgv(r.c, argc, argv, NULL);
	assert_int_equal(reply->type, REDIS_REPLY_STATUS);
	freeReplyObject(reply);
	redis_ask(&r, "ACL SETUSER default off");
	snprintf(url, sizeof(url), "redis+unix://mpgate:secret@%s/redis.sock", r.dir);
	gateway_up(&gw, url);
	proxy_up(&px, url, "px1");
	host_own(&px, 1, 1000, true);
	assert_true(wait_until(host_knows(&gw, "px1", 1, 1000)));
	host_own_all(&px, 500, 1000);
	assert_true(wait_until(host_knows(&gw, "px1", 500, 1000)));
	assert_int_equal(host_drains(&gw, "px1", true), 0);
	assert_true(wait_until(host_told(&gw, "px1").sessions == 1000));
	assert_int_equal(host_status(&px).reconnects, 0);
	assert_int_equal(host_status(&gw).reconnects, 0);
	host_down(&px);
	assert_true(wait_until(!host_told(&gw, "px1").alive));
	host_down(&gw);
	redis_down(&r);
}

static void test_one_name_twice(void **state)
{
	static struct redis_rig r;
	static struct host a, b;
	struct log_rig log;

	(void)state;
	redis_up(&r, NULL);
	log_catch(&log);
	proxy_up(&a, r.url, "px1");
	proxy_up(&b, r.url, "px1");
	assert_true(wait_until(log_lines(&log, "another host tells its sessions as px1") > 0));
	log_release(&log);
	host_down(&a);
	host_down(&b);
	redis_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens_reach_others),
		cmocka_unit_test(test_own_are_told_at_home),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_sync_under_changes),
		cmocka_unit_test(test_who_is_silent_is_gone),
		cmocka_unit_test(test_who_leaves_is_gone_at_once),
		cmocka_unit_test(test_drain_flags),
		cmocka_unit_test(test_tcp_and_names),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_as_little_access_as_documented),
		cmocka_unit_test(test_one_name_twice),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
