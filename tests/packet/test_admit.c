// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whose sessions are let in, and what is charged and given back for them: every refusal, and limits
 * that change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "admit_world.h"

static void test_charged_once(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a[2], again;

	(void)state;
	admit_terms(t, 1)->sessions = 10;
	admit_terms(t, 1)->subflows = 20;
	admit_put(&admit_world_run, t);
	admit_open_n(a, 2, UE);
	assert_int_not_equal(a[0].ticket.serial, a[1].ticket.serial);
	assert_int_equal(admit_account_of(UE).sessions, 2);
	assert_int_equal(admit_account_of(UE).subflows, 2);
	assert_int_equal(admit_account_of(UE).sessions_limit, 10);
	assert_int_equal(admit_account_of(UE).subflows_limit, 20);
	assert_int_equal(admit_account_of(UE).policy, 1);
	assert_int_equal(a[1].account.sessions, 2);
	assert_int_equal(a[1].service_sessions, 2);
	assert_int_equal(a[1].service_subscriber_sessions, 2);
	assert_int_equal(a[1].proxy_sessions, 2);
	assert_int_equal(admit_u32(admit_world_run.skel->maps.mg_svc_count, SERVICE), 2);
	assert_int_equal(admit_counted(&admit_world_run, MG_ADMITTED), 2);
	again = a[0];
	admit_close_n(a, 1);
	assert_int_equal(admit_account_of(UE).sessions, 1);
	/* the same ticket once more: it is closed */
	admit_close_n(&again, 1);
	admit_close_n(a, 1);
	assert_int_equal(admit_account_of(UE).sessions, 1);
	admit_close_n(a + 1, 1);
	admit_assert_nothing(&admit_world_run);
}

static void test_without_policies(void **state)
{
	struct mg_admit a[3];

	(void)state;
	admit_proxy_limit(&admit_world_run, 3);
	assert_int_equal(admit_look(UE, SERVER, 0), MG_ADMITTED);
	admit_open_n(a, 3, UE6);
	assert_int_equal(admit_account_of("2001:db8:1:2::").sessions, 3);
	assert_int_equal(admit_open(&admit_world_run, &(struct mg_admit){ 0 }, UE, SERVER),
			 MG_REFUSAL_OVER_PROXY);
	admit_close_n(a, 3);
	admit_assert_nothing(&admit_world_run);
}

static void test_denied(void **state)
{
	struct admit_tables *t = admit_world();

	(void)state;
	admit_terms(t, 1)->deny = 1;
	admit_put(&admit_world_run, t);
	admit_assert_refused(UE, MG_REFUSAL_DENIED);
	assert_int_equal(admit_look("192.0.2.1", SERVER, 0), MG_ADMITTED);
}

static void test_over_sessions(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a[3], o[1];

	(void)state;
	admit_terms(t, 1)->sessions = 3;
	admit_put(&admit_world_run, t);
	admit_open_n(a, 3, UE);
	admit_assert_refused(UE, MG_REFUSAL_OVER_SESSIONS);
	admit_open_n(o, 1, OTHER);
	admit_close_n(a, 1);
	admit_open_n(a, 1, UE);
	admit_assert_refused(UE, MG_REFUSAL_OVER_SESSIONS);
	admit_close_n(a, 3);
	admit_close_n(o, 1);
	admit_assert_nothing(&admit_world_run);
}

/* All addresses of a /64, and all of an identity, count as one. */
static void test_who_counts_as_one(void **state)
{
	const struct mg_feed_entry same = { .identity = 77 };
	struct admit_tables *t = admit_world();
	struct mg_admit a[4];

	(void)state;
	admit_terms(t, 1)->sessions = 2;
	admit_put(&admit_world_run, t);
	admit_open_n(a, 1, "2001:db8:1:2::1");
	admit_open_n(a + 1, 1, "2001:db8:1:2:ffff::9");
	assert_int_equal(admit_look("2001:db8:1:2::3", SERVER, 0), MG_REFUSAL_OVER_SESSIONS);
	admit_open_n(a + 2, 1, "2001:db8:1:3::1");
	admit_close_n(a, 3);
	admit_feed(&admit_world_run, "10.1.0.1/32", &same);
	admit_feed(&admit_world_run, "2001:db8:9::/64", &same);
	admit_open_n(a, 1, UE);
	admit_open_n(a + 1, 1, "2001:db8:9::7");
	assert_int_equal(admit_look(UE, SERVER, 0), MG_REFUSAL_OVER_SESSIONS);
	assert_int_equal(admit_look("2001:db8:9::8", SERVER, 0), MG_REFUSAL_OVER_SESSIONS);
	assert_int_equal(admit_look(OTHER, SERVER, 0), MG_ADMITTED);
	admit_close_n(a, 2);
	admit_assert_nothing(&admit_world_run);
}

static void test_over_subflows(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a[2];

	(void)state;
	admit_terms(t, 1)->subflows = 2;
	admit_put(&admit_world_run, t);
	admit_open_n(a, 2, UE);
	admit_assert_refused(UE, MG_REFUSAL_OVER_SUBFLOWS);
	admit_close_n(a, 2);
	admit_assert_nothing(&admit_world_run);
}

static void test_over_service(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a[3], other = { 0 };

	(void)state;
	t->limits[SERVICE] = (struct mg_service_limits){ 3, 2 };
	admit_put(&admit_world_run, t);
	admit_open_n(a, 2, UE);
	admit_assert_refused(UE, MG_REFUSAL_OVER_SERVICE_SUBSCRIBER);
	admit_open_n(a + 2, 1, OTHER);
	admit_assert_refused(OTHER, MG_REFUSAL_OVER_SERVICE);
	/* of another service, there is room */
	assert_int_equal(admit_open(&admit_world_run, &other, UE, "198.51.100.1"), MG_ADMITTED);
	admit_close_n(&other, 1);
	admit_close_n(a, 3);
	admit_assert_nothing(&admit_world_run);
}

static void test_over_proxy(void **state)
{
	struct mg_admit a[2];

	(void)state;
	admit_put(&admit_world_run, admit_world());
	admit_proxy_limit(&admit_world_run, 2);
	admit_open_n(a, 2, UE);
	admit_assert_refused(OTHER, MG_REFUSAL_OVER_PROXY);
	admit_close_n(a, 1);
	admit_open_n(a, 1, OTHER);
	admit_close_n(a, 2);
	admit_assert_nothing(&admit_world_run);
}

static void test_third_party(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a = { 0 }, with = { .flags = MG_ADMIT_COOKIE };

	(void)state;
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/24", 2);
	t->set.access[2] = (struct mg_access_network){ .used = 1, .trust = MG_TRUST_THIRD_PARTY };
	admit_terms(t, 1)->deny = 1; /* is not said to who may have made up his address */
	admit_put(&admit_world_run, t);
	admit_assert_refused(UE, MG_REFUSAL_NO_COOKIE);
	assert_int_equal(admit_look(UE, SERVER, MG_ADMIT_COOKIE), MG_REFUSAL_DENIED);
	admit_terms(t, 1)->deny = 0;
	admit_put(&admit_world_run, t);
	admit_assert_refused(UE, MG_REFUSAL_NO_COOKIE);
	assert_int_equal(admit_open(&admit_world_run, &a, UE, SERVER), MG_REFUSAL_NO_COOKIE);
	assert_int_equal(admit_open(&admit_world_run, &with, UE, SERVER), MG_ADMITTED);
	assert_int_equal(with.ticket.trust, MG_TRUST_THIRD_PARTY);
	admit_close_n(&with, 1);
	admit_assert_nothing(&admit_world_run);
}

/* Nobody is thrown out by a lower limit, and nobody let in until there is room. */
static void test_lowered(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a[5];

	(void)state;
	admit_terms(t, 1)->sessions = 5;
	admit_put(&admit_world_run, t);
	admit_open_n(a, 5, UE);
	admit_terms(t, 1)->sessions = 2;
	admit_put(&admit_world_run, t);
	assert_int_equal(admit_account_of(UE).sessions, 5);
	for (int i = 0; i < 3; i++) {
		admit_assert_refused(UE, MG_REFUSAL_OVER_SESSIONS);
		admit_close_n(a + i, 1);
	}
	admit_assert_refused(UE, MG_REFUSAL_OVER_SESSIONS);
	admit_close_n(a + 3, 1);
	admit_open_n(a, 1, UE);
	assert_int_equal(admit_account_of(UE).sessions_limit, 2);
	admit_close_n(a, 1);
	admit_close_n(a + 4, 1);
	admit_assert_nothing(&admit_world_run);
}

/* What was charged by old policies is given back by new ones, or by none. */
static void test_closed_under_others(void **state)
{
	struct mg_admit a[2];

	(void)state;
	admit_put(&admit_world_run, admit_world());
	admit_open_n(a, 2, UE6);
	admit_put(&admit_world_run, admit_tables());
	admit_close_n(a, 1);
	struct admit_tables *t = admit_tables();
	t->set.active = 0;
	t->set.key_bits[MG_FAMILY_V6] = 128;
	admit_put(&admit_world_run, t);
	admit_close_n(a + 1, 1);
	admit_assert_nothing(&admit_world_run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_charged_once, admit_world_fresh),
		cmocka_unit_test_setup(test_without_policies, admit_world_fresh),
		cmocka_unit_test_setup(test_denied, admit_world_fresh),
		cmocka_unit_test_setup(test_over_sessions, admit_world_fresh),
		cmocka_unit_test_setup(test_who_counts_as_one, admit_world_fresh),
		cmocka_unit_test_setup(test_over_subflows, admit_world_fresh),
		cmocka_unit_test_setup(test_over_service, admit_world_fresh),
		cmocka_unit_test_setup(test_over_proxy, admit_world_fresh),
		cmocka_unit_test_setup(test_third_party, admit_world_fresh),
		cmocka_unit_test_setup(test_lowered, admit_world_fresh),
		cmocka_unit_test_setup(test_closed_under_others, admit_world_fresh),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, admit_world_set_up, admit_world_tear_down);
}
