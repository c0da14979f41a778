// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who is let in, and what is charged and given back for it: every refusal, rates, reservations,
 * subflows, cookies, limits that change.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "admit_run.h"
#include "base/addr.h"
#include "wire/cookie.h"

#define UE	 "10.1.0.1"
#define OTHER	 "10.1.0.2"
#define UE6	 "2001:db8:1:2::3"
#define SERVER	 "203.0.113.1"
#define TOKEN	 0xcafe0001U
#define SERVICE	 3
#define NS_PER_S 1000000000ULL

static struct admit_run run;

static int set_up(void **state)
{
	(void)state;
	return admit_run_open(&run);
}

static int tear_down(void **state)
{
	(void)state;
	admit_run_close(&run);
	return 0;
}

static int fresh(void **state)
{
	(void)state;
	admit_run_reset(&run);
	return 0;
}

/* Policy 1 for 10.1.0.0/16 and 2001:db8::/32, its limits to be set; service 3 at SERVER. */
static struct admit_tables *world(void)
{
	static const struct mg_port_range all[] = { { 0, 65535, SERVICE }, { 0 } };
	struct admit_tables *t = admit_tables();

	admit_prefix(t, MG_TABLE_CLASS, "10.1.0.0/16", 1);
	admit_prefix(t, MG_TABLE_CLASS, "2001:db8::/32", 1);
	admit_service(t, SERVER, all);
	for (uint32_t s = 0; s < ADMIT_SERVICE; s++)
		for (uint32_t a = 0; a < ADMIT_ACCESS; a++)
			admit_cell(t, 1, s, a, 1);
	admit_terms(t, 1)->refuse_join = MG_REFUSE_RESET;
	return t;
}

static struct mg_account account(const char *ip)
{
	struct mg_subscriber who = admit_subscriber(ip);

	return admit_account(&run, &who);
}

static uint64_t refused(const char *ip, uint32_t refusal)
{
	struct mg_subscriber who = admit_subscriber(ip);

	return admit_refused(&run, &who, refusal);
}

static int look(const char *client, const char *server, uint32_t flags)
{
	struct mg_question q = { .tuple = { .client = admit_ep(client, 1),
					    .server = admit_ep(server, 443) },
				 .flags = flags };

	return admit_ask(run.doors->progs.mg_ask_look, &q);
}

/* XDP and the daemon's program say the same, dry or not; nothing is charged. */
static void assert_refused(const char *client, uint32_t why)
{
	uint64_t counted = admit_counted(&run, why), of_client = refused(client, why);
	struct mg_account before = account(client), after;
	uint32_t service = admit_u32(run.skel->maps.mg_svc_count, SERVICE);
	uint32_t proxy = admit_u32(run.skel->maps.mg_proxy_count, 0);
	struct mg_admit dry = { .flags = MG_ADMIT_DRY }, ask = { 0 };

	assert_int_equal(look(client, SERVER, 0), why);
	assert_int_equal(admit_open(&run, &dry, client, SERVER), why);
	assert_int_equal(admit_counted(&run, why), counted);
	assert_int_equal(admit_open(&run, &ask, client, SERVER), why);
	assert_int_equal(ask.ticket.charged, 0);
	assert_int_equal(admit_counted(&run, why), counted + 1);
	assert_int_equal(refused(client, why), of_client + 1);
	after = account(client);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(admit_u32(run.skel->maps.mg_svc_count, SERVICE), service);
	assert_int_equal(admit_u32(run.skel->maps.mg_proxy_count, 0), proxy);
	/* a ticket of nothing gives nothing back */
	assert_int_equal(admit_close(&run, &ask), 0);
	after = account(client);
	assert_memory_equal(&before, &after, sizeof(before));
}

static void open_n(struct mg_admit *asks, unsigned int n, const char *client)
{
	for (unsigned int i = 0; i < n; i++) {
		asks[i] = (struct mg_admit){ 0 };
		assert_int_equal(admit_open(&run, &asks[i], client, SERVER), MG_ADMITTED);
		assert_int_equal(asks[i].ticket.charged, 1);
	}
}

static void close_n(struct mg_admit *asks, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(admit_close(&run, &asks[i]), 0);
		assert_int_equal(asks[i].ticket.charged, 0);
	}
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void test_charged_once(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit a[2], again;

	(void)state;
	admit_terms(t, 1)->sessions = 10;
	admit_terms(t, 1)->subflows = 20;
	admit_put(&run, t);
	open_n(a, 2, UE);
	assert_int_not_equal(a[0].ticket.serial, a[1].ticket.serial);
	assert_int_equal(account(UE).sessions, 2);
	assert_int_equal(account(UE).subflows, 2);
	assert_int_equal(account(UE).sessions_limit, 10);
	assert_int_equal(account(UE).subflows_limit, 20);
	assert_int_equal(account(UE).policy, 1);
	assert_int_equal(a[1].account.sessions, 2);
	assert_int_equal(a[1].service_sessions, 2);
	assert_int_equal(a[1].service_subscriber_sessions, 2);
	assert_int_equal(a[1].proxy_sessions, 2);
	assert_int_equal(admit_u32(run.skel->maps.mg_svc_count, SERVICE), 2);
	assert_int_equal(admit_counted(&run, MG_ADMITTED), 2);
	again = a[0];
	close_n(a, 1);
	assert_int_equal(account(UE).sessions, 1);
	/* the same ticket once more: it is closed */
	close_n(&again, 1);
	close_n(a, 1);
	assert_int_equal(account(UE).sessions, 1);
	close_n(a + 1, 1);
	admit_assert_nothing(&run);
}

static void test_without_policies(void **state)
{
	struct mg_admit a[3];

	(void)state;
	admit_proxy_limit(&run, 3);
	assert_int_equal(look(UE, SERVER, 0), MG_ADMITTED);
	open_n(a, 3, UE6);
	assert_int_equal(account("2001:db8:1:2::").sessions, 3);
	assert_int_equal(admit_open(&run, &(struct mg_admit){ 0 }, UE, SERVER),
			 MG_REFUSAL_OVER_PROXY);
	close_n(a, 3);
	admit_assert_nothing(&run);
}

static void test_denied(void **state)
{
	struct admit_tables *t = world();

	(void)state;
	admit_terms(t, 1)->deny = 1;
	admit_put(&run, t);
	assert_refused(UE, MG_REFUSAL_DENIED);
	assert_int_equal(look("192.0.2.1", SERVER, 0), MG_ADMITTED);
}

static void test_over_sessions(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit a[3], o[1];

	(void)state;
	admit_terms(t, 1)->sessions = 3;
	admit_put(&run, t);
	open_n(a, 3, UE);
	assert_refused(UE, MG_REFUSAL_OVER_SESSIONS);
	open_n(o, 1, OTHER);
	close_n(a, 1);
	open_n(a, 1, UE);
	assert_refused(UE, MG_REFUSAL_OVER_SESSIONS);
	close_n(a, 3);
	close_n(o, 1);
	admit_assert_nothing(&run);
}

/* All addresses of a /64, and all of an identity, count as one. */
static void test_who_counts_as_one(void **state)
{
	const struct mg_feed_entry same = { .identity = 77 };
	struct admit_tables *t = world();
	struct mg_admit a[4];

	(void)state;
	admit_terms(t, 1)->sessions = 2;
	admit_put(&run, t);
	open_n(a, 1, "2001:db8:1:2::1");
	open_n(a + 1, 1, "2001:db8:1:2:ffff::9");
	assert_int_equal(look("2001:db8:1:2::3", SERVER, 0), MG_REFUSAL_OVER_SESSIONS);
	open_n(a + 2, 1, "2001:db8:1:3::1");
	close_n(a, 3);
	admit_feed(&run, "10.1.0.1/32", &same);
	admit_feed(&run, "2001:db8:9::/64", &same);
	open_n(a, 1, UE);
	open_n(a + 1, 1, "2001:db8:9::7");
	assert_int_equal(look(UE, SERVER, 0), MG_REFUSAL_OVER_SESSIONS);
	assert_int_equal(look("2001:db8:9::8", SERVER, 0), MG_REFUSAL_OVER_SESSIONS);
	assert_int_equal(look(OTHER, SERVER, 0), MG_ADMITTED);
	close_n(a, 2);
	admit_assert_nothing(&run);
}

static void test_over_subflows(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit a[2];

	(void)state;
	admit_terms(t, 1)->subflows = 2;
	admit_put(&run, t);
	open_n(a, 2, UE);
	assert_refused(UE, MG_REFUSAL_OVER_SUBFLOWS);
	close_n(a, 2);
	admit_assert_nothing(&run);
}

static void test_over_service(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit a[3], other = { 0 };

	(void)state;
	t->limits[SERVICE] = (struct mg_service_limits){ 3, 2 };
	admit_put(&run, t);
	open_n(a, 2, UE);
	assert_refused(UE, MG_REFUSAL_OVER_SERVICE_SUBSCRIBER);
	open_n(a + 2, 1, OTHER);
	assert_refused(OTHER, MG_REFUSAL_OVER_SERVICE);
	/* of another service, there is room */
	assert_int_equal(admit_open(&run, &other, UE, "198.51.100.1"), MG_ADMITTED);
	close_n(&other, 1);
	close_n(a, 3);
	admit_assert_nothing(&run);
}

static void test_over_proxy(void **state)
{
	struct mg_admit a[2];

	(void)state;
	admit_put(&run, world());
	admit_proxy_limit(&run, 2);
	open_n(a, 2, UE);
	assert_refused(OTHER, MG_REFUSAL_OVER_PROXY);
	close_n(a, 1);
	open_n(a, 1, OTHER);
	close_n(a, 2);
	admit_assert_nothing(&run);
}

static void test_third_party(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit a = { 0 }, with = { .flags = MG_ADMIT_COOKIE };

	(void)state;
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/24", 2);
	t->set.access[2] = (struct mg_access_network){ .used = 1, .trust = MG_TRUST_THIRD_PARTY };
	admit_terms(t, 1)->deny = 1; /* is not said to who may have made up his address */
	admit_put(&run, t);
	assert_refused(UE, MG_REFUSAL_NO_COOKIE);
	assert_int_equal(look(UE, SERVER, MG_ADMIT_COOKIE), MG_REFUSAL_DENIED);
	admit_terms(t, 1)->deny = 0;
	admit_put(&run, t);
	assert_refused(UE, MG_REFUSAL_NO_COOKIE);
	assert_int_equal(admit_open(&run, &a, UE, SERVER), MG_REFUSAL_NO_COOKIE);
	assert_int_equal(admit_open(&run, &with, UE, SERVER), MG_ADMITTED);
	assert_int_equal(with.ticket.trust, MG_TRUST_THIRD_PARTY);
	close_n(&with, 1);
	admit_assert_nothing(&run);
}

/* Nobody is thrown out by a lower limit, and nobody let in until there is room. */
static void test_lowered(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit a[5];

	(void)state;
	admit_terms(t, 1)->sessions = 5;
	admit_put(&run, t);
	open_n(a, 5, UE);
	admit_terms(t, 1)->sessions = 2;
	admit_put(&run, t);
	assert_int_equal(account(UE).sessions, 5);
	for (int i = 0; i < 3; i++) {
		assert_refused(UE, MG_REFUSAL_OVER_SESSIONS);
		close_n(a + i, 1);
	}
	assert_refused(UE, MG_REFUSAL_OVER_SESSIONS);
	close_n(a + 3, 1);
	open_n(a, 1, UE);
	assert_int_equal(account(UE).sessions_limit, 2);
	close_n(a, 1);
	close_n(a + 4, 1);
	admit_assert_nothing(&run);
}

/* What was charged by old policies is given back by new ones, or by none. */
static void test_closed_under_others(void **state)
{
	struct mg_admit a[2];

	(void)state;
	admit_put(&run, world());
	open_n(a, 2, UE6);
	admit_put(&run, admit_tables());
	close_n(a, 1);
	struct admit_tables *t = admit_tables();
	t->set.active = 0;
	t->set.key_bits[MG_FAMILY_V6] = 128;
	admit_put(&run, t);
	close_n(a + 1, 1);
	admit_assert_nothing(&run);
}

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
	struct admit_tables *t = world();
	struct mg_admit a[5], ask = { 0 };

	(void)state;
	set_rate(admit_terms(t, 1), 3600 * NS_PER_S, 5);
	admit_put(&run, t);
	open_n(a, 5, UE);
	assert_refused(UE, MG_REFUSAL_OVER_RATE);
	assert_int_equal(admit_open(&run, &ask, UE, SERVER), MG_REFUSAL_OVER_RATE);
	assert_in_range(ask.wait_ns, 3590 * NS_PER_S, 3600 * NS_PER_S);
	/* an end is no start */
	close_n(a, 5);
	assert_refused(UE, MG_REFUSAL_OVER_RATE);
	assert_int_equal(look(OTHER, SERVER, 0), MG_ADMITTED);
	admit_assert_nothing(&run);
}

/* Over three intervals the burst and three more come in, however often is asked. */
static void test_rate_over_time(void **state)
{
	const uint64_t interval_ns = 50000000;
	struct admit_tables *t = world();
	unsigned int admitted = 0;
	uint64_t start, end;

	(void)state;
	set_rate(admit_terms(t, 1), interval_ns, 4);
	admit_put(&run, t);
	start = now_ns();
	do {
		struct mg_admit ask = { 0 };
		int ret = admit_open(&run, &ask, UE, SERVER);

		end = now_ns();
		admitted += ret == MG_ADMITTED;
		assert_true(ret == MG_ADMITTED || ret == MG_REFUSAL_OVER_RATE);
		if (ret) {
			assert_in_range(ask.wait_ns, 1, interval_ns);
			assert_true(admitted >= 4);
		}
		admit_close(&run, &ask);
	} while (end - start < 3 * interval_ns + interval_ns / 2);
	assert_true(admitted <= 4 + (end - start) / interval_ns);
	assert_true(admitted >= 4 + 3);
}

/* Who is refused for something else has lost no token. */
static void test_rate_is_not_taken(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit a[3];

	(void)state;
	set_rate(admit_terms(t, 1), 3600 * NS_PER_S, 3);
	admit_terms(t, 1)->sessions = 2;
	admit_put(&run, t);
	open_n(a, 2, UE);
	for (int i = 0; i < 10; i++)
		assert_int_equal(admit_open(&run, &(struct mg_admit){ 0 }, UE, SERVER),
				 MG_REFUSAL_OVER_SESSIONS);
	close_n(a, 1);
	open_n(a, 1, UE);
	assert_int_equal(look(UE, SERVER, 0), MG_REFUSAL_OVER_SESSIONS);
	close_n(a, 1);
	assert_refused(UE, MG_REFUSAL_OVER_RATE);
	close_n(a + 1, 1);
	admit_assert_nothing(&run);
}

static unsigned int answered(const char *client, unsigned int asks)
{
	struct mg_question q = { .tuple = { .client = admit_ep(client, 1),
					    .server = admit_ep(SERVER, 443) } };
	unsigned int n = 0;

	for (unsigned int i = 0; i < asks; i++)
		n += admit_ask(run.doors->progs.mg_ask_answered, &q) == 1;
	return n;
}

static void test_answered(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit a;
	uint64_t second;
	unsigned int n;

	(void)state;
	admit_put(&run, t);
	do { /* all within one second */
		admit_run_reset(&run);
		admit_put(&run, t);
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
	admit_put(&run, t);
	open_n(&a, 1, UE);
	close_n(&a, 1);
	t->set.answers_per_s = 0;
	admit_put(&run, t);
	assert_int_equal(answered("10.1.0.9", 5), 0);
}

/* ---- reservations ---------------------------------------------------------------------------- */

static void test_reserved(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit first, a[4];

	(void)state;
	admit_terms(t, 1)->sessions = 5;
	admit_put(&run, t);
	admit_proxy_limit(&run, 5);
	open_n(&first, 1, UE);
	assert_int_equal(admit_reserve(&run, &first, 5), MG_REFUSAL_OVER_PROXY);
	assert_int_equal(account(UE).sessions, 1);
	admit_proxy_limit(&run, 100);
	assert_int_equal(admit_reserve(&run, &first, 5), MG_REFUSAL_OVER_SESSIONS);
	assert_int_equal(account(UE).reserved, 0);
	assert_int_equal(admit_u32(run.skel->maps.mg_proxy_count, 0), 1);
	assert_int_equal(admit_reserve(&run, &first, 3), 0);
	assert_int_equal(account(UE).sessions, 4);
	assert_int_equal(account(UE).reserved, 3);
	assert_int_equal(admit_u32(run.skel->maps.mg_proxy_count, 0), 4);
	/* what is held is let in though there is room for nobody */
	admit_proxy_limit(&run, 4);
	open_n(a, 2, UE);
	assert_int_equal(account(UE).sessions, 4);
	assert_int_equal(account(UE).reserved, 1);
	assert_int_equal(account(UE).subflows, 3);
	assert_int_equal(admit_u32(run.skel->maps.mg_proxy_count, 0), 4);
	assert_refused(OTHER, MG_REFUSAL_OVER_PROXY);
	/* more than is left is not given back */
	assert_int_equal(admit_reserve(&run, &first, -3), 1);
	assert_int_equal(admit_reserve(&run, &first, -3), 0);
	assert_int_equal(account(UE).sessions, 3);
	assert_int_equal(admit_u32(run.skel->maps.mg_proxy_count, 0), 3);
	close_n(a, 2);
	close_n(&first, 1);
	admit_assert_nothing(&run);
}

static void test_reserved_but_refused(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit first, ask = { 0 };

	(void)state;
	admit_terms(t, 1)->sessions = 3;
	t->limits[SERVICE].sessions_per_subscriber = 1;
	set_rate(admit_terms(t, 1), 3600 * NS_PER_S, 1);
	admit_put(&run, t);
	open_n(&first, 1, UE);
	assert_int_equal(admit_reserve(&run, &first, 2), 0);
	assert_refused(UE, MG_REFUSAL_OVER_SERVICE_SUBSCRIBER);
	assert_int_equal(admit_open(&run, &ask, UE, "198.51.100.1"), MG_REFUSAL_OVER_RATE);
	assert_int_equal(account(UE).reserved, 2);
	/* the session that asked is over, what is held is not */
	close_n(&first, 1);
	assert_int_equal(account(UE).sessions, 2);
	assert_int_equal(account(UE).subflows, 0);
	assert_int_equal(admit_reserve(&run, &first, -2), 2);
	admit_assert_nothing(&run);
	assert_int_equal(admit_reserve(&run, &first, -2), 0);
	assert_true(admit_reserve(&run, &first, 1 << 21) < 0);
}

/* ---- subflows -------------------------------------------------------------------------------- */

static void test_joins(void **state)
{
	struct admit_tables *t = world();
	struct mg_admit a;

	(void)state;
	admit_terms(t, 1)->subflows_per_session = 3;
	admit_put(&run, t);
	open_n(&a, 1, UE);
	assert_int_equal(admit_join_syn(&run, TOKEN, UE, 1001), -ENOENT);
	assert_int_equal(admit_joined(&run, TOKEN, UE, 1001), -ENOENT);
	assert_int_equal(admit_token(&run, &a, TOKEN), 0);
	assert_int_equal(account(UE).subflows, 1);
	assert_int_equal(admit_token(&run, &a, TOKEN + 1), -ENOENT);
	/* however often the SYN comes, and that it was let in is told */
	for (int i = 0; i < 3; i++)
		assert_int_equal(admit_join_syn(&run, TOKEN, OTHER, 1001), MG_ADMITTED);
	assert_int_equal(account(UE).subflows, 2);
	assert_int_equal(admit_counted(&run, MG_ADMITTED), 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(admit_joined(&run, TOKEN, OTHER, 1001), MG_ADMITTED);
	/* one that no program saw come */
	assert_int_equal(admit_joined(&run, TOKEN, UE, 1002), MG_ADMITTED);
	assert_int_equal(account(UE).subflows, 3);
	assert_int_equal(account(OTHER).subflows, 0);
	assert_int_equal(admit_join_syn(&run, TOKEN, UE, 1003), MG_REFUSAL_OVER_SESSION_SUBFLOWS);
	assert_int_equal(admit_joined(&run, TOKEN, UE, 1003), MG_REFUSAL_OVER_SESSION_SUBFLOWS);
	assert_int_equal(admit_counted(&run, MG_REFUSAL_OVER_SESSION_SUBFLOWS), 2);
	assert_int_equal(account(UE).subflows, 3);
	assert_int_equal(admit_part(&run, OTHER, 1001), 0);
	assert_int_equal(admit_part(&run, OTHER, 1001), -ENOENT);
	assert_int_equal(account(UE).subflows, 2);
	assert_int_equal(admit_join_syn(&run, TOKEN, UE, 1003), MG_ADMITTED);
	/* its end ends them all */
	close_n(&a, 1);
	assert_int_equal(admit_entries(run.skel->maps.mg_accounts), 0);
	assert_int_equal(admit_join_syn(&run, TOKEN, UE, 1004), -ENOENT);
	assert_int_equal(admit_part(&run, UE, 1002), 0);
	assert_int_equal(admit_part(&run, UE, 1003), 0);
	assert_int_equal(admit_part(&run, UE, 40000), 0);
	admit_assert_nothing(&run);
}

static void test_joins_of_a_subscriber(void **state)
{
	struct admit_tables *t = world();
	struct mg_question q = { .tuple = { .client = admit_ep(UE, 1),
					    .server = admit_ep(SERVER, 443) },
				 .token = TOKEN };
	struct mg_admit a[2];

	(void)state;
	admit_terms(t, 1)->subflows = 3;
	admit_put(&run, t);
	open_n(a, 2, UE);
	a[1].client.port++;
	assert_int_equal(admit_token(&run, &a[0], TOKEN), 0);
	assert_int_equal(admit_token(&run, &a[1], TOKEN + 1), 0);
	assert_int_equal(admit_join_syn(&run, TOKEN, UE, 1001), MG_ADMITTED);
	assert_int_equal(admit_join_syn(&run, TOKEN + 1, UE, 1002), MG_REFUSAL_OVER_SUBFLOWS);
	assert_int_equal(refused(UE, MG_REFUSAL_OVER_SUBFLOWS), 1);
	assert_int_equal(admit_ask(run.doors->progs.mg_ask_join, &q), MG_REFUSAL_OVER_SUBFLOWS);
	assert_int_equal(q.refuse_join, MG_REFUSE_RESET);
	/* limits that are reloaded hold for sessions that are there */
	admit_terms(t, 1)->subflows = 4;
	admit_put(&run, t);
	assert_int_equal(admit_join_syn(&run, TOKEN + 1, UE, 1002), MG_ADMITTED);
	assert_int_equal(admit_join_syn(&run, TOKEN + 1, UE, 1003), MG_REFUSAL_OVER_SUBFLOWS);
	admit_terms(t, 1)->deny = 1;
	admit_terms(t, 1)->subflows = 9;
	admit_put(&run, t);
	assert_int_equal(admit_join_syn(&run, TOKEN + 1, UE, 1003), MG_REFUSAL_DENIED);
	close_n(a, 2);
	assert_int_equal(admit_entries(run.skel->maps.mg_accounts), 0);
	assert_int_equal(admit_sweep(&run), 4);
	admit_assert_nothing(&run);
}

/* The port of an old session's subflow, whose end nobody told */
static void test_join_replaces(void **state)
{
	struct mg_admit a[2];

	(void)state;
	admit_put(&run, world());
	open_n(a, 2, UE);
	assert_int_equal(admit_token(&run, &a[0], TOKEN), 0);
	/* Both have the same first subflow: the first one's is gone. */
	assert_int_equal(admit_token(&run, &a[1], TOKEN + 1), 0);
	assert_int_equal(account(UE).subflows, 1);
	/* of a session that lives: that one has a subflow less */
	assert_int_equal(admit_join_syn(&run, TOKEN, UE, 1001), MG_ADMITTED);
	assert_int_equal(admit_joined(&run, TOKEN, UE, 1002), MG_ADMITTED);
	assert_int_equal(account(UE).subflows, 3);
	assert_int_equal(admit_join_syn(&run, TOKEN + 1, UE, 1001), MG_ADMITTED);
	assert_int_equal(account(UE).subflows, 3);
	/* of one that is closed */
	close_n(a, 1);
	assert_int_equal(account(UE).subflows, 2);
	assert_int_equal(admit_join_syn(&run, TOKEN + 1, UE, 1002), MG_ADMITTED);
	assert_int_equal(account(UE).subflows, 3);
	assert_int_equal(admit_part(&run, UE, 1002), 0);
	assert_int_equal(account(UE).subflows, 2);
	close_n(a + 1, 1);
	assert_int_equal(admit_sweep(&run), 2);
	admit_assert_nothing(&run);
}

/* A token that comes again while the old session's entry is there */
static void test_token_again(void **state)
{
	struct mg_admit a[2];

	(void)state;
	admit_put(&run, world());
	open_n(a, 1, UE);
	open_n(a + 1, 1, OTHER);
	assert_int_equal(admit_token(&run, &a[0], TOKEN), 0);
	assert_int_equal(admit_joined(&run, TOKEN, UE, 1001), MG_ADMITTED);
	assert_int_equal(account(UE).subflows, 2);
	assert_int_equal(admit_token(&run, &a[1], TOKEN), 0);
	assert_int_equal(account(UE).subflows, 0);
	assert_int_equal(account(UE).sessions, 1);
	assert_int_equal(account(OTHER).subflows, 1);
	assert_int_equal(admit_part(&run, UE, 1001), 0);
	assert_int_equal(account(OTHER).subflows, 1);
	close_n(a, 1);
	assert_int_equal(account(OTHER).subflows, 1);
	close_n(a + 1, 1);
	admit_sweep(&run);
	admit_assert_nothing(&run);
}

static void make_old(const char *client, uint16_t port, uint64_t by_ns)
{
	int map = bpf_map__fd(run.skel->maps.mg_subflows);
	struct mg_tuple tuple = { .client = admit_ep(client, port),
				  .server = admit_ep("10.3.0.2", 5124) };
	struct mg_subflow e;

	assert_int_equal(bpf_map_lookup_elem(map, &tuple, &e), 0);
	e.since_ns -= by_ns;
	assert_int_equal(bpf_map_update_elem(map, &tuple, &e, BPF_EXIST), 0);
}

static void test_sweep(void **state)
{
	struct mg_admit a;

	(void)state;
	admit_put(&run, world());
	open_n(&a, 1, UE);
	assert_int_equal(admit_token(&run, &a, TOKEN), 0);
	for (uint16_t port = 1001; port <= 1004; port++)
		assert_int_equal(admit_join_syn(&run, TOKEN, UE, port), MG_ADMITTED);
	assert_int_equal(admit_sweep(&run), 0);
	make_old(UE, 1001, MG_SUBFLOW_WAIT_NS);
	make_old(UE, 1002, MG_SUBFLOW_WAIT_NS);
	make_old(UE, 1003, MG_SUBFLOW_WAIT_NS - NS_PER_S);
	make_old(UE, 1004, MG_SUBFLOW_WAIT_NS);
	make_old(UE, 40000, 100 * MG_SUBFLOW_WAIT_NS);
	/* confirmed, and asked for again */
	assert_int_equal(admit_joined(&run, TOKEN, UE, 1002), MG_ADMITTED);
	assert_int_equal(admit_join_syn(&run, TOKEN, UE, 1004), MG_ADMITTED);
	assert_int_equal(account(UE).subflows, 5);
	assert_int_equal(admit_sweep(&run), 1);
	assert_int_equal(account(UE).subflows, 4);
	assert_int_equal(admit_part(&run, UE, 1001), -ENOENT);
	assert_int_equal(admit_sweep(&run), 0);
	close_n(&a, 1);
	assert_int_equal(admit_sweep(&run), 4);
	admit_assert_nothing(&run);
}

/* What a race may leave: an account of nothing */
static void test_sweep_orphans(void **state)
{
	const struct mg_account_entry nothing = { 0 };
	struct mg_admit_state orphans = { .serial = 1000, .orphans = 1 }; /* no subflows */
	struct mg_subscriber ue = admit_subscriber(UE), other = admit_subscriber(OTHER);
	struct mg_admit a;
	uint32_t zero = 0;

	(void)state;
	admit_put(&run, world());
	open_n(&a, 1, UE);
	bpf_map_update_elem(bpf_map__fd(run.skel->maps.mg_accounts), &other, &nothing, BPF_ANY);
	assert_int_equal(admit_sweep(&run), 0);
	assert_int_equal(admit_entries(run.skel->maps.mg_accounts), 2);
	bpf_map_update_elem(bpf_map__fd(run.skel->maps.mg_admit_state), &zero, &orphans, BPF_ANY);
	assert_int_equal(admit_sweep(&run), 0);
	assert_int_equal(admit_entries(run.skel->maps.mg_accounts), 1);
	assert_int_equal(admit_account(&run, &ue).sessions, 1);
	/* or somebody comes first */
	bpf_map_update_elem(bpf_map__fd(run.skel->maps.mg_accounts), &other, &nothing, BPF_ANY);
	close_n(&a, 1);
	open_n(&a, 1, OTHER);
	close_n(&a, 1);
	admit_assert_nothing(&run);
}

/* ---- cookies --------------------------------------------------------------------------------- */

static void set_keys(const struct mg_cookie_keys *k)
{
	struct mg_cookie_epochs epochs = { .epoch = k->epoch, .n = k->have_previous ? 2 : 1 };
	uint32_t zero = 0;

	memcpy(epochs.key, k->key, sizeof(epochs.key));
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(run.skel->maps.mg_cookie_keys), &zero,
					     &epochs, BPF_ANY),
			 0);
}

static int cookie_ok(const char *client, const uint8_t cookie[MG_COOKIE_BYTES])
{
	struct mg_question q = { .tuple.client = admit_ep(client, 1) };

	memcpy(q.cookie, cookie, sizeof(q.cookie));
	return admit_ask(run.doors->progs.mg_ask_cookie, &q);
}

static void make_cookie(uint8_t cookie[MG_COOKIE_BYTES], const struct mg_cookie_keys *k,
			const char *client)
{
	struct in6_addr ip;

	assert_int_equal(mg_ip_parse(&ip, client), 0);
	mg_cookie_make(cookie, k, &ip);
}

static void assert_forged(const uint8_t cookie[MG_COOKIE_BYTES], const char *client)
{
	for (unsigned int bit = 0; bit < 8 * MG_COOKIE_BYTES; bit++) {
		uint8_t forged[MG_COOKIE_BYTES];

		memcpy(forged, cookie, sizeof(forged));
		forged[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		assert_int_equal(cookie_ok(client, forged), 0);
	}
}

static void test_cookies(void **state)
{
	static const char *const clients[] = { UE, "255.255.255.255", UE6, "::1" };
	static const uint32_t epochs[] = { 1, 0x01020304, 0xffffffff };
	uint8_t key[3][16], first[MG_COOKIE_BYTES], second[MG_COOKIE_BYTES];
	static const uint8_t none[MG_COOKIE_BYTES];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t at = 0; at < sizeof(key[i]); at++)
			key[i][at] = (uint8_t)((16 * i + at) * 37 + 11);
	assert_int_equal(cookie_ok(UE, none), 0); /* no keys */
	for (size_t i = 0; i < 12; i++) {
		const char *client = clients[i % 4], *another = clients[(i + 1) % 4];
		struct mg_cookie_keys k;

		mg_cookie_keys_init(&k, epochs[i / 4], key[0]);
		set_keys(&k);
		make_cookie(first, &k, client);
		assert_int_equal(cookie_ok(client, first), 1);
		assert_int_equal(cookie_ok(another, first), 0);
		assert_forged(first, client);
		mg_cookie_keys_rotate(&k, key[1]);
		set_keys(&k);
		make_cookie(second, &k, client);
		assert_int_equal(cookie_ok(client, first), 1);
		assert_int_equal(cookie_ok(client, second), 1);
		assert_int_equal(cookie_ok(another, first), 0);
		assert_forged(first, client);
		assert_forged(second, client);
		mg_cookie_keys_rotate(&k, key[2]);
		set_keys(&k);
		assert_int_equal(cookie_ok(client, first), 0);
		assert_int_equal(cookie_ok(client, second), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_charged_once, fresh),
		cmocka_unit_test_setup(test_without_policies, fresh),
		cmocka_unit_test_setup(test_denied, fresh),
		cmocka_unit_test_setup(test_over_sessions, fresh),
		cmocka_unit_test_setup(test_who_counts_as_one, fresh),
		cmocka_unit_test_setup(test_over_subflows, fresh),
		cmocka_unit_test_setup(test_over_service, fresh),
		cmocka_unit_test_setup(test_over_proxy, fresh),
		cmocka_unit_test_setup(test_third_party, fresh),
		cmocka_unit_test_setup(test_lowered, fresh),
		cmocka_unit_test_setup(test_closed_under_others, fresh),
		cmocka_unit_test_setup(test_over_rate, fresh),
		cmocka_unit_test_setup(test_rate_over_time, fresh),
		cmocka_unit_test_setup(test_rate_is_not_taken, fresh),
		cmocka_unit_test_setup(test_answered, fresh),
		cmocka_unit_test_setup(test_reserved, fresh),
		cmocka_unit_test_setup(test_reserved_but_refused, fresh),
		cmocka_unit_test_setup(test_joins, fresh),
		cmocka_unit_test_setup(test_joins_of_a_subscriber, fresh),
		cmocka_unit_test_setup(test_join_replaces, fresh),
		cmocka_unit_test_setup(test_token_again, fresh),
		cmocka_unit_test_setup(test_sweep, fresh),
		cmocka_unit_test_setup(test_sweep_orphans, fresh),
		cmocka_unit_test_setup(test_cookies, fresh),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
