// SPDX-License-Identifier: BSD-2-Clause
/* Accounting sessions: whose word on an address counts, and until when. */
#include "access_rig.h"

#include "access/accounting.h"
#include "access/duplicates.h"

static struct mg_loop loop;
static struct mg_feed *feed;
static struct mg_accounting *accounting;
static struct in6_addr client;
static uint64_t now_ms;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	if (!now_ms)
		return __real_clock_gettime(id, ts);
	*ts = (struct timespec){ (time_t)(now_ms / 1000), (long)(now_ms % 1000) * 1000000 };
	return 0;
}

static void pass(uint64_t ms)
{
	now_ms += ms;
	loop.now_ms = now_ms;
	mg_timers_run(&loop.timers, now_ms);
}

static int up(void **state)
{
	(void)state;
	rig_reset();
	now_ms = 1000000;
	client = ip_of("192.0.2.1");
	assert_int_equal(mg_loop_init(&loop, NULL, NULL), 0);
	loop.now_ms = now_ms;
	assert_int_equal(mg_feed_open(&feed, &loop, admission, &config), 0);
	assert_int_equal(mg_accounting_open(&accounting, &loop, feed, &config), 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	mg_accounting_close(accounting);
	mg_feed_close(feed);
	mg_loop_free(&loop);
	now_ms = 0;
	return 0;
}

static struct mg_span span(const char *text)
{
	return (struct mg_span){ .data = (const uint8_t *)text, .len = strlen(text) };
}

static struct mg_radius_request request(uint32_t status, const char *session)
{
	return (struct mg_radius_request){ .status = status, .session_id = span(session) };
}

static void add(struct mg_radius_request *r, const char *prefix, uint8_t attribute)
{
	r->prefixes[r->n_prefixes].prefix = prefix_of(prefix);
	r->prefixes[r->n_prefixes++].attribute = attribute;
}

static int apply(const struct mg_radius_request *r)
{
	return mg_accounting_apply(accounting, &client, r);
}

/* A request about one IPv4 address of a user on Wi-Fi; "" for none of each */
static int tell(uint32_t status, const char *session, const char *address, const char *user)
{
	struct mg_radius_request r = request(status, session);

	if (*address)
		add(&r, address, 8);
	r.user_name = span(user);
	r.has_nas_port_type = status != MG_RADIUS_STOP;
	r.nas_port_type = 19;
	return apply(&r);
}

static const char *who(const char *prefix)
{
	const struct mg_feed_row *row = row_of(prefix);

	return row ? mg_feed_identity_text(feed, row->identity) : NULL;
}

static void a_session_comes_and_goes(void **state)
{
	(void)state;
	assert_int_equal(tell(MG_RADIUS_START, "1", "10.0.0.1", "bob"), 0);
	assert_int_equal(row_of("10.0.0.1")->access, 1);
	assert_string_equal(who("10.0.0.1"), "bob");
	assert_int_equal(mg_accounting_sessions(accounting), 1);
	/* What a Stop says of addresses does not matter. */
	assert_int_equal(tell(MG_RADIUS_STOP, "1", "", ""), 0);
	assert_int_equal(n_rows, 0);
	assert_int_equal(mg_accounting_sessions(accounting), 0);
}

static void a_late_stop_takes_nothing_from_the_next(void **state)
{
	(void)state;
	tell(MG_RADIUS_START, "old", "10.0.0.1", "bob");
	tell(MG_RADIUS_START, "new", "10.0.0.1", "carol");
	assert_int_equal(tell(MG_RADIUS_STOP, "old", "10.0.0.1", "bob"), 0);
	assert_string_equal(who("10.0.0.1"), "carol");
	/* Nor does an Interim that only repeats itself, nor one that is late. */
	tell(MG_RADIUS_START, "older", "10.0.0.2", "bob");
	tell(MG_RADIUS_START, "newer", "10.0.0.2", "carol");
	tell(MG_RADIUS_INTERIM, "older", "10.0.0.2", "bob");
	assert_string_equal(who("10.0.0.2"), "carol");
	tell(MG_RADIUS_STOP, "newer", "", "");
	assert_null(row_of("10.0.0.2"));
	tell(MG_RADIUS_INTERIM, "older", "10.0.0.2", "bob");
	assert_string_equal(who("10.0.0.2"), "bob");
}

static void an_interim_after_its_stop_is_late(void **state)
{
	(void)state;
	tell(MG_RADIUS_START, "1", "10.0.0.1", "bob");
	tell(MG_RADIUS_STOP, "1", "", "");
	assert_int_equal(tell(MG_RADIUS_INTERIM, "1", "10.0.0.1", "bob"), 0);
	assert_int_equal(n_rows, 0);
	assert_int_equal(mg_accounting_counters(accounting)->late, 1);
	/* A Stop that is quicker than its Start, which says it is older */
	tell(MG_RADIUS_STOP, "2", "", "");
	{
		struct mg_radius_request r = request(MG_RADIUS_START, "2");

		add(&r, "10.0.0.2", 8);
		r.has_delay = true;
		r.delay_s = 5;
		assert_int_equal(apply(&r), 0);
		assert_int_equal(n_rows, 0);
	}
	/* The identifier is used again */
	tell(MG_RADIUS_START, "1", "10.0.0.1", "dave");
	assert_string_equal(who("10.0.0.1"), "dave");
	/* What is remembered of an ended session is forgotten. */
	pass(MG_ACCOUNTING_ENDED_MS + 1000);
	tell(MG_RADIUS_INTERIM, "2", "10.0.0.2", "erin");
	assert_string_equal(who("10.0.0.2"), "erin");
}

static void time_of_the_same_nas_decides(void **state)
{
	struct mg_radius_request r = request(MG_RADIUS_START, "a");

	(void)state;
	add(&r, "10.0.0.1", 8);
	r.nas_identifier = span("ggsn");
	r.has_event_time = true;
	r.event_time_s = 1000;
	r.user_name = span("bob");
	assert_int_equal(apply(&r), 0);
	r.session_id = span("b");
	r.event_time_s = 999;
	r.user_name = span("carol");
	assert_int_equal(apply(&r), 0);
	assert_string_equal(who("10.0.0.1"), "bob");
	/* Another NAS has another clock. */
	r.session_id = span("c");
	r.nas_identifier = span("other");
	assert_int_equal(apply(&r), 0);
	assert_string_equal(who("10.0.0.1"), "carol");
	/* A Stop of before the last Start, of the same session */
	r.event_time_s = 998;
	r.status = MG_RADIUS_STOP;
	assert_int_equal(apply(&r), 0);
	assert_string_equal(who("10.0.0.1"), "carol");
}

static void an_interim_may_move_and_add(void **state)
{
	struct mg_radius_request r = request(MG_RADIUS_START, "1");

	(void)state;
	add(&r, "10.0.0.1", 8);
	r.imsi = span("001010123456789");
	r.user_name = span("bob");
	r.has_rat_type = r.has_nas_port_type = true;
	r.rat_type = 6;
	r.nas_port_type = 19; /* the RAT type is the better word */
	assert_int_equal(apply(&r), 0);
	assert_int_equal(row_of("10.0.0.1")->access, 2);
	assert_int_equal(row_of("10.0.0.1")->class, 3);
	r = request(MG_RADIUS_INTERIM, "1");
	add(&r, "2001:db8:1::/64", 97);
	r.has_rat_type = true;
	r.rat_type = 3;
	assert_int_equal(apply(&r), 0);
	assert_int_equal(row_of("10.0.0.1")->access, 1);
	assert_int_equal(row_of("2001:db8:1::/64")->access, 1);
	assert_string_equal(who("2001:db8:1::/64"), "001010123456789");
	assert_true(row_of("10.0.0.1")->identity == row_of("2001:db8:1::/64")->identity);
	/* Another address in the place of the first */
	r = request(MG_RADIUS_INTERIM, "1");
	add(&r, "10.0.0.7", 8);
	assert_int_equal(apply(&r), 0);
	assert_null(row_of("10.0.0.1"));
	assert_int_equal(row_of("10.0.0.7")->access, 1);
	assert_int_equal(n_rows, 2);
	/* A Start says all there is. */
	r.status = MG_RADIUS_START;
	assert_int_equal(apply(&r), 0);
	assert_int_equal(n_rows, 1);
}

static void two_addresses_are_one_subscriber(void **state)
{
	struct mg_radius_request r = request(MG_RADIUS_START, "1");

	(void)state;
	add(&r, "10.1.0.2", 8);
	r.imsi = span("001010000000001");
	r.calling_station = span("49170");
	apply(&r);
	r.session_id = span("2");
	r.prefixes[0].prefix = prefix_of("10.2.0.2");
	r.calling_station = span("aa-bb");
	apply(&r);
	assert_true(row_of("10.1.0.2")->identity == row_of("10.2.0.2")->identity);
	r = request(MG_RADIUS_START, "3");
	add(&r, "10.3.0.2", 8);
	r.calling_station = span("49170");
	r.user_name = span("bob");
	apply(&r);
	assert_string_equal(who("10.3.0.2"), "49170");
}

static void on_and_off_are_of_one_nas(void **state)
{
	struct mg_radius_request r = request(MG_RADIUS_START, "1");

	(void)state;
	add(&r, "10.0.0.1", 8);
	r.nas_identifier = span("a");
	apply(&r);
	r.session_id = span("2");
	r.nas_identifier = span("b");
	r.prefixes[0].prefix = prefix_of("10.0.0.2");
	apply(&r);
	client = ip_of("192.0.2.2");
	r.session_id = span("3");
	r.nas_identifier = span("a");
	r.prefixes[0].prefix = prefix_of("10.0.0.3");
	apply(&r);
	client = ip_of("192.0.2.1");
	r = request(MG_RADIUS_ON, "");
	r.nas_identifier = span("a");
	assert_int_equal(apply(&r), 0);
	assert_null(row_of("10.0.0.1"));
	assert_int_equal(n_rows, 2);
	r.status = MG_RADIUS_OFF;
	r.nas_identifier.len = 0;
	assert_int_equal(apply(&r), 0);
	assert_int_equal(n_rows, 1);
	assert_non_null(row_of("10.0.0.3"));
	client = ip_of("192.0.2.2");
	mg_accounting_forget(accounting, &client);
	assert_int_equal(n_rows, 0);
}

/* However many they are, others have their turn in between; and who starts meanwhile stays. */
static void a_restart_ends_them_piece_by_piece(void **state)
{
	enum { MANY = 20000 };
	struct mg_radius_request r = request(MG_RADIUS_ON, "");
	char id[16];
	size_t n;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof(id), "%d", i);
		assert_int_equal(tell(MG_RADIUS_START, id, i < 8 ? "10.0.0.1" : "", "bob"), 0);
	}
	assert_int_equal(apply(&r), 0);
	n = mg_accounting_sessions(accounting);
	assert_in_range(n, MANY / 2, MANY - 1);
	/* Which of them are over already, nobody can tell. */
	for (int i = 0; i < MANY; i += 100) {
		snprintf(id, sizeof(id), "%d", i);
		assert_int_equal(tell(i % 200 ? MG_RADIUS_START : MG_RADIUS_INTERIM, id,
				      i ? "" : "10.0.0.2", "carol"),
				 0);
	}
	assert_int_equal(apply(&(struct mg_radius_request){ .status = MG_RADIUS_ON,
							    .nas_identifier = span("other") }),
			 0);
	tell(MG_RADIUS_START, "late", "10.0.0.3", "dave");
	for (int i = 0; i < 100; i++)
		pass(1);
	assert_int_equal(mg_accounting_sessions(accounting), 1);
	assert_int_equal(n_rows, 1);
	assert_string_equal(who("10.0.0.3"), "dave");
	r.status = MG_RADIUS_OFF;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(apply(&r), 0);
	assert_int_equal(n_rows, 0);
}

static void silence_ends_sessions(void **state)
{
	(void)state;
	config.policies.radius.stale_s = 60;
	tell(MG_RADIUS_START, "1", "10.0.0.1", "bob");
	assert_true(row_of("10.0.0.1")->ttl_ms == 60000);
	pass(40000);
	tell(MG_RADIUS_INTERIM, "1", "", "");
	pass(40000);
	assert_int_equal(n_rows, 1);
	pass(21000);
	assert_int_equal(n_rows, 0);
	assert_int_equal(mg_accounting_sessions(accounting), 0);
	assert_int_equal(mg_accounting_counters(accounting)->stale, 1);
	/* An Interim alone is enough: its Start may have been another daemon's. */
	tell(MG_RADIUS_INTERIM, "1", "10.0.0.1", "bob");
	assert_int_equal(n_rows, 1);
	/* Sessions stop to be stale with a reload. */
	config.policies.radius.stale_s = 0;
	mg_accounting_reload(accounting, &config);
	pass(1000000);
	assert_int_equal(n_rows, 1);
}

static void a_command_and_radius_take_turns(void **state)
{
	struct mg_feed_word word = { .prefix = prefix_of("10.0.0.1"),
				     .access = "cellular",
				     .source = MG_FEED_COMMAND,
				     .when.at_ms = now_ms };

	(void)state;
	tell(MG_RADIUS_START, "1", "10.0.0.1", "bob");
	assert_int_equal(mg_feed_set(feed, &word), 0);
	assert_int_equal(row_of("10.0.0.1")->access, 2);
	tell(MG_RADIUS_INTERIM, "1", "10.0.0.1", "bob");
	assert_int_equal(row_of("10.0.0.1")->access, 2);
	tell(MG_RADIUS_STOP, "1", "10.0.0.1", "bob");
	assert_int_equal(row_of("10.0.0.1")->access, 2);
	tell(MG_RADIUS_START, "2", "10.0.0.1", "bob");
	assert_int_equal(row_of("10.0.0.1")->access, 1);
}

static void what_cannot_be_applied_is_tried_again(void **state)
{
	(void)state;
	set_error = -ENOSPC;
	assert_int_equal(tell(MG_RADIUS_START, "1", "10.0.0.1", "bob"), -ENOSPC);
	assert_int_equal(mg_accounting_counters(accounting)->failed, 1);
	assert_int_equal(tell(MG_RADIUS_START, "1", "10.0.0.1", "bob"), 0);
	assert_int_equal(n_rows, 1);
	assert_int_equal(mg_accounting_sessions(accounting), 1);
	/* What it no longer has does not stay for that. */
	set_error = -ENOSPC;
	assert_int_equal(tell(MG_RADIUS_START, "1", "10.0.0.2", "bob"), -ENOSPC);
	assert_int_equal(tell(MG_RADIUS_STOP, "1", "", ""), 0);
	assert_int_equal(n_rows, 0);
}

static void types_change_with_a_reload(void **state)
{
	struct mg_config next = config;
	struct mg_config_radius_type other = { .access = 0,
					       .nas_port_types = { 19 },
					       .n_nas_port_types = 1 };

	(void)state;
	tell(MG_RADIUS_START, "1", "10.0.0.1", "bob");
	assert_int_equal(row_of("10.0.0.1")->access, 1);
	next.policies.radius.types = &other;
	next.policies.radius.n_types = 1;
	mg_accounting_reload(accounting, &next);
	assert_int_equal(row_of("10.0.0.1")->access, 2);
	next.policies.radius.n_types = 0;
	mg_accounting_reload(accounting, &next);
	assert_int_equal(row_of("10.0.0.1")->access, 0);
	assert_string_equal(who("10.0.0.1"), "bob");
}

static void ended_sessions_are_bounded(void **state)
{
	char text[16];

	(void)state;
	for (int i = 0; i < MG_ACCOUNTING_ENDED_MAX + 100; i++) {
		snprintf(text, sizeof(text), "s%d", i);
		assert_int_equal(tell(MG_RADIUS_STOP, text, "", ""), 0);
	}
	tell(MG_RADIUS_INTERIM, "s0", "10.0.0.1", "bob");    /* forgotten */
	tell(MG_RADIUS_INTERIM, "s1000", "10.0.0.2", "bob"); /* not */
	assert_int_equal(n_rows, 1);
}

static void duplicates_are_answered_for_a_while(void **state)
{
	static const uint8_t authenticator[16] = { 1 }, other[16] = { 2 };
	struct mg_radius_request r = { .id = 7, .authenticator = authenticator };
	struct mg_ep from = ep_of("192.0.2.1:5000"), elsewhere = ep_of("192.0.2.1:5001");
	struct mg_duplicates d;

	(void)state;
	assert_int_equal(mg_duplicates_init(&d), 0);
	assert_int_equal(mg_duplicates_find(&d, &from, &r, 1000).len, 0);
	mg_duplicates_note(&d, &from, &r, span("answer"), 1000);
	assert_int_equal(mg_duplicates_find(&d, &from, &r, 30000).len, 6);
	assert_int_equal(mg_duplicates_find(&d, &elsewhere, &r, 30000).len, 0);
	r.authenticator = other;
	assert_int_equal(mg_duplicates_find(&d, &from, &r, 30000).len, 0);
	mg_duplicates_note(&d, &from, &r, span("another"), 30000);
	assert_int_equal(d.n, 1);
	assert_int_equal(mg_duplicates_find(&d, &from, &r, 59999).len, 7);
	assert_int_equal(mg_duplicates_find(&d, &from, &r, 60000).len, 0);
	assert_int_equal(d.n + d.bytes, 0);
	for (uint32_t i = 0; i < MG_DUPLICATES_MAX + 10; i++) {
		memcpy(&from.ip.s6_addr[8], &i, sizeof(i));
		mg_duplicates_note(&d, &from, &r, span("12345678901234567890"), 70000);
	}
	assert_int_equal(d.n, MG_DUPLICATES_MAX);
	mg_duplicates_free(&d);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
		T(a_session_comes_and_goes),
		T(a_late_stop_takes_nothing_from_the_next),
		T(an_interim_after_its_stop_is_late),
		T(time_of_the_same_nas_decides),
		T(an_interim_may_move_and_add),
		T(two_addresses_are_one_subscriber),
		T(on_and_off_are_of_one_nas),
		T(a_restart_ends_them_piece_by_piece),
		T(silence_ends_sessions),
		T(a_command_and_radius_take_turns),
		T(what_cannot_be_applied_is_tried_again),
		T(types_change_with_a_reload),
		T(ended_sessions_are_bounded),
		cmocka_unit_test(duplicates_are_answered_for_a_while),
	};

	return cmocka_run_group_tests_name("accounting", tests, NULL, NULL);
}
