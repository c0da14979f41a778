// SPDX-License-Identifier: BSD-2-Clause
/* The access feed: what is said of prefixes, for how long, of whom, and what reloads make of it. */
#include "access_rig.h"

#include "access/classes.h"
#include "access/deadlines.h"
#include "access/text.h"

static struct mg_loop loop;
static struct mg_feed *feed;

static int up(void **state)
{
	(void)state;
	rig_reset();
	assert_int_equal(mg_loop_init(&loop, NULL, NULL), 0);
	loop.now_ms = mg_clock_ms();
	assert_int_equal(mg_feed_open(&feed, &loop, admission, &config), 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	mg_feed_close(feed);
	mg_loop_free(&loop);
	return 0;
}

static int say(const char *prefix, const char *access, const char *subscriber, uint64_t ttl_ms)
{
	struct mg_feed_word word = {
		.prefix = prefix_of(prefix),
		.access = access,
		.identity = mg_feed_identify(feed, subscriber, strlen(subscriber)),
		.source = MG_FEED_COMMAND,
		.when.at_ms = mg_clock_ms(),
		.ttl_ms = ttl_ms,
	};
	int err = mg_feed_set(feed, &word);

	mg_feed_release(feed, word.identity);
	return err;
}

static void pass(uint64_t ms)
{
	loop.now_ms += ms;
	mg_timers_run(&loop.timers, loop.now_ms);
}

/* What was logged of it, and the address it has of a pool, outlive the daemon. */
static void an_identity_has_its_number_for_good(void **state)
{
	uint64_t alice = mg_feed_identity_number(feed, "262010000000001");

	assert_true(alice && alice != mg_feed_identity_number(feed, "262010000000002"));
	down(state);
	up(state);
	assert_true(mg_feed_identity_number(feed, "262010000000001") == alice);
}

static void a_word_is_written_through(void **state)
{
	struct mg_prefix p = prefix_of("10.1.2.3/32");
	uint64_t epoch = mg_feed_epoch(feed);

	(void)state;
	assert_int_equal(say("10.1.2.3", "wlan", "", 0), 0);
	assert_int_equal(row_of("10.1.2.3")->access, 1);
	assert_true(row_of("10.1.2.3")->identity == 0);
	assert_true(mg_feed_epoch(feed) > epoch);
	epoch = mg_feed_epoch(feed);
	assert_int_equal(say("10.1.2.3", "cellular", "bob", 0), 0);
	assert_int_equal(n_rows, 1);
	assert_int_equal(row_of("10.1.2.3")->access, 2);
	assert_true(row_of("10.1.2.3")->identity == mg_feed_identity_number(feed, "bob"));
	assert_true(mg_feed_epoch(feed) > epoch);
	assert_int_equal(mg_feed_del(feed, &p), 0);
	assert_int_equal(n_rows, 0);
	assert_int_equal(mg_feed_del(feed, &p), -ENOENT);
}

static void prefixes_are_masked(void **state)
{
	struct mg_prefix p = prefix_of("2001:db8::/48");

	(void)state;
	p.ip.s6_addr[15] = 1;
	assert_int_equal(mg_feed_set(feed, &(struct mg_feed_word){ .prefix = p, .access = "wlan" }),
			 0);
	assert_non_null(row_of("2001:db8::/48"));
	assert_int_equal(mg_feed_del(feed, &(struct mg_prefix){ .ip = ip_of("2001:db8::7"), 48 }),
			 0);
}

static void what_fails_leaves_what_was(void **state)
{
	(void)state;
	set_error = -ENOSPC;
	assert_int_equal(say("10.0.0.1", "wlan", "a", 1000), -ENOSPC);
	assert_int_equal(mg_feed_count(feed), 0);
	pass(2000);
	assert_int_equal(say("10.0.0.1", "wlan", "a", 1000), 0);
	set_error = -ENOSPC;
	assert_int_equal(say("10.0.0.1", "cellular", "b", 0), -ENOSPC);
	assert_int_equal(row_of("10.0.0.1")->access, 1);
	pass(1100);
	assert_int_equal(n_rows, 0);
}

static void words_end(void **state)
{
	(void)state;
	assert_int_equal(say("10.0.0.1", "wlan", "", 500), 0);
	assert_int_equal(say("10.0.0.2", "wlan", "", 1500), 0);
	assert_int_equal(say("10.0.0.3", "wlan", "", 0), 0);
	assert_true(row_of("10.0.0.1")->ttl_ms == 500);
	pass(400);
	assert_int_equal(n_rows, 3);
	pass(200);
	assert_int_equal(n_rows, 2);
	/* Said again: longer, and then for ever */
	assert_int_equal(say("10.0.0.2", "wlan", "", 5000), 0);
	pass(2000);
	assert_int_equal(n_rows, 2);
	assert_int_equal(say("10.0.0.2", "wlan", "", 0), 0);
	pass(100000);
	assert_int_equal(n_rows, 2);
}

static void many_that_end_at_once_are_spread(void **state)
{
	char text[32];

	(void)state;
	for (int i = 0; i < 60; i++) {
		snprintf(text, sizeof(text), "10.0.1.%d", i);
		assert_int_equal(say(text, "wlan", "", 100), 0);
	}
	pass(200);
	assert_int_equal(n_rows, 0);
	assert_int_equal(mg_feed_count(feed), 0);
}

static void an_older_word_of_another_is_none(void **state)
{
	struct mg_feed_word word = { .prefix = prefix_of("10.0.0.9"),
				     .access = "wlan",
				     .owner = 1,
				     .when = { .at_ms = 50000, .clock = 7, .event_s = 100 } };

	(void)state;
	assert_int_equal(mg_feed_set(feed, &word), 0);
	word.owner = 2;
	word.when.event_s = 99;
	assert_int_equal(mg_feed_set(feed, &word), -ESTALE);
	word.when.clock = 8; /* another clock: when it came decides */
	assert_int_equal(mg_feed_set(feed, &word), 0);
	word.owner = 3;
	word.when.clock = 0;
	word.when.at_ms = 48000;
	assert_int_equal(mg_feed_set(feed, &word), -ESTALE);
	word.when.at_ms = 49500; /* told in seconds */
	assert_int_equal(mg_feed_set(feed, &word), 0);
	assert_false(mg_feed_del_owned(feed, &word.prefix, 2));
	assert_true(mg_feed_del_owned(feed, &word.prefix, 3));
}

static void identities_keep_their_numbers(void **state)
{
	uint64_t number = mg_feed_identity_number(feed, "bob"), other;
	char text[4];

	(void)state;
	other = mg_feed_identity_number(feed, "bobby");
	assert_true(number && other && number != other);
	assert_null(mg_feed_identity_text(feed, number));
	say("10.0.0.1", "wlan", "bob", 0);
	say("10.0.0.2", "cellular", "bob", 0);
	assert_true(row_of("10.0.0.1")->identity == number);
	assert_true(row_of("10.0.0.2")->identity == number);
	mg_feed_del(feed, &(struct mg_prefix){ .ip = ip_of("10.0.0.1"), 128 });
	mg_feed_del(feed, &(struct mg_prefix){ .ip = ip_of("10.0.0.2"), 128 });
	/* Its sessions may still be charged: the name is not forgotten at once. */
	assert_string_equal(mg_feed_identity_text(feed, number), "bob");
	assert_true(mg_feed_identity_copy(feed, number, text, sizeof(text)));
	assert_string_equal(text, "bob");
	assert_false(mg_feed_identity_copy(feed, number, text, 3));
	assert_false(mg_feed_identity_copy(feed, number + 1, text, sizeof(text)));
	say("10.0.0.3", "wlan", "bob", 0);
	assert_true(row_of("10.0.0.3")->identity == number);
}

static void idle_identities_are_bounded(void **state)
{
	uint64_t first = mg_feed_identity_number(feed, "n0");
	char text[16];

	(void)state;
	for (int i = 0; i <= MG_IDENTITIES_IDLE_MAX; i++) {
		snprintf(text, sizeof(text), "n%d", i);
		mg_feed_release(feed, mg_feed_identify(feed, text, strlen(text)));
	}
	assert_null(mg_feed_identity_text(feed, first));
	assert_string_equal(mg_feed_identity_text(feed, mg_feed_identity_number(feed, "n1")), "n1");
	assert_true(mg_feed_identity_number(feed, "n0") == first);
}

static void classes_are_by_identity(void **state)
{
	static const struct {
		const char *identity;
		uint32_t class;
	} cases[] = {
		{ "alice", 3 }, /* of two, the first */
		{ "alice2", 0 },  { "00101", 3 }, { "001010123456789", 3 },
		{ "001019", 4 }, /* the longer beginning */
		{ "0010199", 4 }, { "0010", 0 },  { "", 0 },
		{ "001018", 3 },  { "zzz", 0 },	  { "AAA", 0 },
	};
	struct mg_classes *c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t class;

		assert_int_equal(
			mg_classes_make(&c, &config.policies,
					(mg_class_number_fn *)__wrap_mg_admission_class_number,
					NULL),
			0);
		class = mg_classes_of(c, cases[i].identity);
		mg_classes_free(c);
		if (class != cases[i].class)
			fail_msg("%s is of class %u", cases[i].identity, class);
	}
	say("10.0.0.1", "wlan", "001019", 0);
	assert_int_equal(row_of("10.0.0.1")->class, 4);
}

static void a_reload_looks_up_names_anew(void **state)
{
	struct mg_config next = config;
	size_t sets;

	(void)state;
	say("10.0.0.1", "cellular", "alice", 0);
	say("10.0.0.2", "wlan", "bob", 10000);
	assert_int_equal(row_of("10.0.0.1")->class, 3);
	sets = n_sets;
	assert_int_equal(mg_feed_reload(feed, &config), 0);
	assert_int_equal(n_sets, sets); /* nothing is written that is as it was */
	next.policies.n_access = 1;
	next.policies.n_subscribers = 0;
	pass(4000);
	assert_int_equal(mg_feed_reload(feed, &next), 0);
	assert_int_equal(row_of("10.0.0.1")->access, 2);
	assert_int_equal(row_of("10.0.0.1")->class, 0);
	assert_int_equal(row_of("10.0.0.2")->access, 0);
	assert_true(row_of("10.0.0.2")->ttl_ms <= 10000);
	assert_false(mg_feed_knows(feed, "wlan"));
	assert_int_equal(mg_feed_reload(feed, &config), 0);
	assert_int_equal(row_of("10.0.0.2")->access, 1);
	assert_int_equal(row_of("10.0.0.1")->class, 3);
}

static void names_are_fit_to_be_shown(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} cases[] = {
		{ "alice", 5, "alice" },
		{ "a b", 3, "a b" },
		{ "z\xc3\xbcrich", 7, "z\xc3\xbcrich" },
		{ "\xe2\x82\xac\xf0\x9f\x98\x80", 7, "\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "a\nb", 3, "a%0Ab" },
		{ "a\0b", 3, "a%00b" },
		{ "\x1b[31m x", 7, "%1B[31m%20x" },
		{ "\xc0\xaf", 2, "%C0%AF" },		   /* overlong */
		{ "\xe0\x80\xaf", 3, "%E0%80%AF" },	   /* overlong */
		{ "\xed\xa0\x80", 3, "%ED%A0%80" },	   /* a surrogate */
		{ "\xf4\x90\x80\x80", 4, "%F4%90%80%80" }, /* beyond Unicode */
		{ "\xc2\x85", 2, "%C2%85" },		   /* a control character */
		{ "\xc3", 1, "%C3" },
		{ "a\x7f", 2, "a%7F" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[64];

		mg_text_clean(out, cases[i].bytes, cases[i].len);
		assert_string_equal(out, cases[i].text);
	}
	assert_null(mg_feed_identify(feed, "", 0));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
		T(a_word_is_written_through),
		T(an_identity_has_its_number_for_good),
		T(prefixes_are_masked),
		T(what_fails_leaves_what_was),
		T(words_end),
		T(many_that_end_at_once_are_spread),
		T(an_older_word_of_another_is_none),
		T(identities_keep_their_numbers),
		T(idle_identities_are_bounded),
		T(classes_are_by_identity),
		T(a_reload_looks_up_names_anew),
		T(names_are_fit_to_be_shown),
	};

	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
