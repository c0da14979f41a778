// SPDX-License-Identifier: BSD-2-Clause
/* The store of one process, where a store is, the set of tokens, and the words between hosts. */
#include "store_rig.h"

#include "wire/news.h"
#include "wire/store_url.h"

/* ---- memory ---------------------------------------------------------------------------------- */

static void test_memory(void **state)
{
	static struct host h;
	struct mg_store_status s;

	(void)state;
	host_up(&h, "memory", "here", true);
	assert_true(host_reaches(&h));
	assert_true(host_told(&h, "here").alive);
	host_own(&h, 0, 1000, true);
	assert_true(host_knows(&h, "here", 0, 1000));
	host_own(&h, 0, 500, false);
	/* Again, which changes nothing */
	host_own(&h, 0, 600, false);
	host_own(&h, 500, 100, true);
	assert_true(host_knows(&h, "here", 500, 500));
	host_own_all(&h, 900, 200);
	assert_true(host_knows(&h, "here", 900, 200));
	assert_int_equal(host_told(&h, "here").resyncs, 1);
	assert_true(wait_until(host_told(&h, "here").sessions == 200));
	assert_int_equal(host_drains(&h, "px1", true), 0);
	assert_true(host_told(&h, "px1").drained);
	assert_int_equal(host_drains(&h, "px1", false), 0);
	assert_false(host_told(&h, "px1").drained);
	assert_int_equal(host_drains(&h, "p\tx", true), -EINVAL);
	s = host_status(&h);
	assert_string_equal(s.kind, "memory");
	assert_true(s.reachable);
	host_down(&h);
}

static void drain_many(void *arg)
{
	struct host *h = arg;
	char name[16];

	h->result = 0;
	for (int i = 0; i < 5000 && !h->result; i++) {
		snprintf(name, sizeof(name), "px%d", i);
		h->result = mg_store_drain(h->store, name, true);
	}
}

/* Whoever may drain cannot fill our memory. */
static void test_flags_are_bounded(void **state)
{
	static struct host h;

	(void)state;
	gateway_up(&h, "memory");
	mg_loop_call(&h.loop, drain_many, &h);
	assert_int_equal(h.result, -ENOSPC);
	host_down(&h);
}

static void test_joins_that_are_none(void **state)
{
	struct mg_loop loop;
	struct mg_store *s;
	char longest[MG_MEMBER_NAME] = "", too_long[MG_MEMBER_NAME + 1] = "";

	(void)state;
	memset(longest, 'n', sizeof(longest) - 1);
	memset(too_long, 'n', sizeof(too_long) - 1);
	assert_int_equal(mg_loop_init(&loop, NULL, NULL), 0);
	assert_int_equal(mg_store_open(&s, &loop, "memory", NULL), 0);
	/* No member yet: nothing of its own */
	mg_store_own(s, 1, true);
	mg_store_own_all(s, NULL, 0);
	assert_int_equal(mg_store_join(s, "px1", 0), -EINVAL);
	assert_int_equal(mg_store_join(s, "", 100), -EINVAL);
	assert_int_equal(mg_store_join(s, "two words", 100), -EINVAL);
	assert_int_equal(mg_store_join(s, too_long, 100), -EINVAL);
	assert_int_equal(mg_store_join(s, NULL, 100), 0);
	assert_int_equal(mg_store_join(s, longest, 100), 0);
	assert_int_equal(mg_store_join(s, "px1", 100), -EINVAL);
	mg_store_close(s);
	mg_store_close(NULL);
	assert_int_equal(mg_store_open(&s, &loop, "redis://", NULL), -EINVAL);
	assert_int_equal(mg_store_open(&s, &loop, "rediss://h", NULL), -EPROTONOSUPPORT);
	/* Closed while a name server is asked, or before anything was tried */
	assert_int_equal(mg_store_open(&s, &loop, "redis://nowhere.invalid", NULL), 0);
	mg_store_close(s);
	mg_loop_free(&loop);
}

/* ---- where it is ----------------------------------------------------------------------------- */

static const struct {
	const char *text, *user, *password, *address, *shown;
	uint16_t port;
	uint32_t db;
} good[] = {
	{ "redis://h", "", "", "h", "redis://h:6379", 6379, 0 },
	{ "redis://10.3.0.9:6380/", "", "", "10.3.0.9", "redis://10.3.0.9:6380", 6380, 0 },
	{ "redis://h/7", "", "", "h", "redis://h:6379/7", 6379, 7 },
	{ "redis://:pw@h", "", "pw", "h", "redis://h:6379", 6379, 0 },
	{ "redis://u:p%2Fw:x@[fd00::1]:1/15", "u", "p/w:x", "fd00::1", "redis://[fd00::1]:1/15", 1,
	  15 },
	{ "redis://u:p@ss@h", "u", "p@ss", "h", "redis://h:6379", 6379, 0 },
	{ "redis://u:a/b@h/2", "u", "a/b", "h", "redis://h:6379/2", 6379, 2 },
	{ "redis+unix:///run/r.sock", "", "", "/run/r.sock", "redis+unix:///run/r.sock", 0, 0 },
	{ "redis+unix://u:p@/r?db=3", "u", "p", "/r", "redis+unix:///r?db=3", 0, 3 },
};

static const char *const bad[] = {
	"",
	"Memory",
	"redis:/h",
	"redis://",
	"redis:///1",
	"redis://@h",
	"redis://:@h",
	"redis://h:",
	"redis://h:0",
	"redis://h:65536",
	"redis://h:1x",
	"redis://h/x",
	"redis://h/65536",
	"redis://h/1/2",
	"redis://h h",
	"redis://fd00::1",
	"redis://[10.0.0.1]",
	"redis://[fd00::1",
	"redis://u:%0@h",
	"redis://u:%00@h",
	"redis://u:%gg@h",
	"redis+unix://",
	"redis+unix://relative",
	"redis+unix:///r?x=1",
	"redis+unix:///r?db=",
	"unix:///r",
};

static void test_url_without_secrets(void **state)
{
	static const char *const texts[][2] = {
		{ "memory", "memory" },
		{ "redis://h:1/2", "redis://h:1/2" },
		{ "redis://:pw@h", "redis://***@h" },
		{ "redis://u:p@ss@h:6380/7", "redis://***@h:6380/7" },
		{ "redis+unix://u:p@/r?db=3", "redis+unix://***@/r?db=3" },
		{ "redis://u:p@", "" },
	};
	char buf[MG_STORE_URL_STRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_string_equal(mg_store_url_hide(buf, texts[i][0]), texts[i][1]);
}

static void test_urls(void **state)
{
	struct mg_store_url url;
	char buf[MG_STORE_URL_STRLEN], text[512];
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(mg_store_url_parse(&url, good[i].text, &why), 0);
		assert_string_equal(url.user, good[i].user);
		assert_string_equal(url.password, good[i].password);
		assert_string_equal(url.address, good[i].address);
		assert_int_equal(url.port, good[i].port);
		assert_int_equal(url.db, good[i].db);
		assert_string_equal(mg_store_url_format(buf, &url), good[i].shown);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (mg_store_url_parse(&url, bad[i], &why) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
		assert_non_null(why);
	}
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "redis://", 8);
	assert_int_equal(mg_store_url_parse(&url, text, &why), -EINVAL);
	memcpy(text, "redis+unix:///", 14);
	assert_int_equal(mg_store_url_parse(&url, text, &why), -EINVAL);
	assert_int_equal(mg_store_url_parse(&url, "rediss://h", &why), -EPROTONOSUPPORT);
	assert_non_null(strstr(why, "TLS"));
}

/* ---- the set of tokens ----------------------------------------------------------------------- */

#define SPACE 4096

/* Against a plain array, with few tokens, so that they come again and collide. */
static void test_tokenset(void **state)
{
	static bool is[SPACE];
	struct chance chance = { 0x5eed };
	struct mg_tokenset s;
	size_t n = 0;

	(void)state;
	mg_tokenset_init(&s);
	assert_false(mg_tokenset_has(&s, 1));
	assert_false(mg_tokenset_del(&s, 1));
	for (int i = 0; i < 300000; i++) {
		uint32_t token = (uint32_t)chance_below(&chance, SPACE);

		if (chance_below(&chance, 100) < (size_t)(i / 50000 % 2 ? 35 : 65)) {
			assert_int_equal(mg_tokenset_add(&s, token), !is[token]);
			n += !is[token];
			is[token] = true;
		} else {
			assert_int_equal(mg_tokenset_del(&s, token), is[token]);
			n -= is[token];
			is[token] = false;
		}
		assert_int_equal(s.n, n);
	}
	for (uint32_t i = 0; i < SPACE; i++)
		assert_int_equal(mg_tokenset_has(&s, i), is[i]);
	mg_tokenset_free(&s);
}

/* What is there throughout is met, whatever else comes and goes. */
static void test_walk_of_a_changing_set(void **state)
{
	static bool met[1000];
	struct chance chance = { 0x5eed };
	struct mg_tokenset s;
	size_t left;

	(void)state;
	mg_tokenset_init(&s);
	for (uint32_t i = 0; i < 2000; i++)
		mg_tokenset_add(&s, i);
	left = s.n;
	while (left) {
		if (left > s.n)
			left = s.n;
		for (int i = 0; i < 7 && left; i++) {
			uint32_t token = s.tokens[--left];

			if (token < 1000)
				met[token] = true;
		}
		mg_tokenset_del(&s, 1000 + (uint32_t)chance_below(&chance, 3000));
		mg_tokenset_add(&s, 1000 + (uint32_t)chance_below(&chance, 3000));
	}
	for (int i = 0; i < 1000; i++)
		assert_true(met[i]);
	mg_tokenset_free(&s);
}

/* ---- news ------------------------------------------------------------------------------------ */

static void test_news(void **state)
{
	static struct mg_news news, again;
	char text[MG_NEWS_BYTES_MAX];
	size_t len;

	(void)state;
	news = (struct mg_news){ .kind = MG_NEWS_OWN, .n_tokens = MG_NEWS_TOKENS_MAX };
	memset(news.name, 'n', sizeof(news.name) - 1);
	for (uint32_t i = 0; i < MG_NEWS_TOKENS_MAX; i++)
		news.tokens[i] = (struct mg_news_token){ token_of(i), i % 2 };
	len = mg_news_format(text, &news);
	assert_int_equal(len, MG_NEWS_BYTES_MAX);
	assert_int_equal(mg_news_parse(&again, text, len), 0);
	assert_memory_equal(&news, &again, sizeof(news));
	/* Every prefix is either whole or refused. */
	for (size_t i = 0; i < len; i++) {
		if (!mg_news_parse(&again, text, i))
			assert_int_equal((i - 4 - 63) % 10, 0);
	}
	assert_int_equal(mg_news_parse(&again, "drain drain 1", 13), 0);
	assert_int_equal(again.kind, MG_NEWS_DRAIN);
	assert_string_equal(again.name, "drain");
	assert_true(again.on);
	assert_int_equal(mg_news_parse(&again, "own px1 +0123abcd -ffffffff", 27), 0);
	assert_int_equal(again.tokens[0].token, 0x0123abcd);
	assert_false(again.tokens[1].owned);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_flags_are_bounded),
		cmocka_unit_test(test_joins_that_are_none),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_url_without_secrets),
		cmocka_unit_test(test_tokenset),
		cmocka_unit_test(test_walk_of_a_changing_set),
		cmocka_unit_test(test_news),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
