// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is told to the kernel of addresses, cookies, paces and reservations; and that the daemon's
 * privileges are enough for all of it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "admission_case.h"
#include "base/log.h"
#include "lab.h"
#include "skel/policy.skel.h"
#include "sys/admission_maps.h"
#include "sys/caps.h"

static struct mg_ep ep(const char *text)
{
	struct mg_ep e;

	assert_int_equal(mg_ep_parse(&e, text), 0);
	return e;
}

/* ---- reservations -----------------------------------------------------------------------------
 */

static void sessions_are_held_in_advance(void **state)
{
	struct mg_admit ask = rig_ask("10.1.0.1", VIDEO), more = ask;
	struct mg_account_row row;

	(void)state;
	apply();
	assert_int_equal(mg_admission_test(a, &ask), MG_ADMITTED);
	assert_int_equal(mg_admission_reserve(a, &ask.ticket, 3), MG_ADMITTED);
	assert_int_equal(mg_admission_reserve(a, &ask.ticket, 1), MG_REFUSAL_OVER_SESSIONS);
	mg_admission_account(a, &ask.ticket.subscriber, &row);
	assert_int_equal(row.account.reserved, 3);
	more.flags = 0;
	assert_int_equal(mg_admission_open_session(a, &more), MG_ADMITTED);
	mg_admission_account(a, &ask.ticket.subscriber, &row);
	assert_int_equal(row.account.reserved, 2);
	assert_true(mg_admission_reserve(a, &ask.ticket, -2) >= 0);
	mg_admission_close_session(a, &more.ticket, 0);
	mg_admission_account(a, &ask.ticket.subscriber, &row);
	assert_int_equal(row.account.sessions, 0);
}

/* ---- the feed -------------------------------------------------------------------------------- */

static int feed(const char *prefix, const char *access, uint64_t identity, const char *class,
		uint64_t ttl_ms)
{
	struct mg_feed_row row = { .access = access ? mg_admission_access_number(a, access) : 0,
				   .identity = identity,
				   .class = class ? mg_admission_class_number(a, class) : 0,
				   .ttl_ms = ttl_ms };

	assert_int_equal(mg_prefix_parse(&row.prefix, prefix), 0);
	return mg_admission_feed_set(a, &row);
}

static int unfeed(const char *prefix)
{
	struct mg_prefix p;

	assert_int_equal(mg_prefix_parse(&p, prefix), 0);
	return mg_admission_feed_del(a, &p);
}

static const char *access_of(const char *text)
{
	struct in6_addr ip;
	struct mg_admit ask = rig_ask(text, strchr(text, ':') ? "[2001:db8::1]:80" : OTHER);
	uint32_t access;

	assert_int_equal(mg_ip_parse(&ip, text), 0);
	access = mg_admission_access_of(a, &ip);
	/* Both sides say the same. */
	assert_true(mg_admission_test(a, &ask) >= 0);
	assert_int_equal(ask.ticket.access, access);
	return mg_admission_access_name(a, access);
}

static void the_feed_goes_before_prefixes(void **state)
{
	(void)state;
	apply();
	assert_string_equal(access_of("10.1.0.1"), "cellular");
	assert_string_equal(access_of("10.2.0.1"), "");
	assert_int_equal(feed("10.1.0.0/24", "wlan", 0, NULL, 0), 0);
	assert_int_equal(feed("2001:db8:7::/64", "wlan", 0, NULL, 0), 0);
	assert_string_equal(access_of("10.1.0.1"), "wlan");
	assert_string_equal(access_of("10.1.1.1"), "cellular");
	assert_string_equal(access_of("2001:db8:7::1"), "wlan");
	assert_int_equal(feed("10.1.0.1", "cellular", 0, NULL, 0), 0);
	assert_string_equal(access_of("10.1.0.1"), "cellular");
	assert_string_equal(access_of("10.1.0.2"), "wlan");
	assert_int_equal(unfeed("10.1.0.0/24"), 0);
	assert_int_equal(unfeed("10.1.0.0/24"), -ENOENT);
	assert_string_equal(access_of("10.1.0.2"), "cellular");
	assert_int_equal(feed("10.1.0.2", "wlan", 0, NULL, 30), 0);
	assert_string_equal(access_of("10.1.0.2"), "wlan");
	usleep(40000);
	assert_string_equal(access_of("10.1.0.2"), "cellular");
	assert_int_equal(unfeed("10.1.0.1"), 0);
	assert_int_equal(unfeed("10.1.0.2"), 0);
	assert_int_equal(unfeed("2001:db8:7::/64"), 0);
	assert_int_equal(a->feed_lengths.family[MG_FAMILY_V4].n, 0);
	assert_int_equal(a->feed_lengths.family[MG_FAMILY_V6].n, 0);
}

/* Which interface it was, where nothing else says it */
static void what_was_seen_is_remembered(void **state)
{
	struct in6_addr ip;
	__u32 wlan;

	(void)state;
	apply();
	wlan = mg_admission_access_number(a, "wlan");
	assert_int_equal(mg_ip_parse(&ip, "10.2.0.9"), 0);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(a->bpf->maps.mg_seen_at), &ip, &wlan, BPF_ANY), 0);
	assert_string_equal(access_of("10.2.0.9"), "wlan");
}

static void an_identity_counts_as_one(void **state)
{
	struct mg_admit one = rig_ask("10.7.0.1", OTHER),
			two = rig_ask("2001:db8:9::1", "[2001:db8::1]:80");
	struct mg_account_row row;

	(void)state;
	apply();
	assert_int_equal(feed("10.7.0.1", NULL, 0xabcdef, "gold", 0), 0);
	assert_int_equal(feed("2001:db8:9::/64", NULL, 0xabcdef, "gold", 0), 0);
	assert_int_equal(mg_admission_open_session(a, &one), MG_ADMITTED);
	assert_int_equal(mg_admission_open_session(a, &two), MG_ADMITTED);
	assert_memory_equal(&one.ticket.subscriber, &two.ticket.subscriber,
			    sizeof(one.ticket.subscriber));
	assert_int_equal(mg_admission_policy(a, one.ticket.policy), 1);
	mg_admission_account(a, &one.ticket.subscriber, &row);
	assert_int_equal(row.account.sessions, 2);
	mg_admission_close_session(a, &one.ticket, 0);
	mg_admission_close_session(a, &two.ticket, 0);
}

/* Every length there is, in any order, and a list that is in order at any time */
static void lengths_come_and_go(void **state)
{
	struct mg_feed_row row = { .access = 1 };

	(void)state;
	apply();
	assert_int_equal(mg_ip_parse(&row.prefix.ip, "10.1.2.3"), 0);
	for (unsigned int i = 0; i < 33; i++) {
		const struct mg_lengths *l = &a->feed_lengths.family[MG_FAMILY_V4];

		row.prefix.len = (unsigned char)(96 + i * 14 % 33);
		assert_int_equal(mg_admission_feed_set(a, &row), 0);
		assert_int_equal(l->n, i + 1);
		for (unsigned int j = 1; j < l->n; j++)
			assert_true(l->bits[j] < l->bits[j - 1]);
	}
	for (unsigned int i = 0; i < 33; i++) {
		const struct mg_lengths *l = &a->feed_lengths.family[MG_FAMILY_V4];

		row.prefix.len = (unsigned char)(96 + i * 5 % 33);
		assert_int_equal(mg_admission_feed_del(a, &row.prefix), 0);
		assert_int_equal(l->n, 32 - i);
		for (unsigned int j = 1; j < l->n; j++)
			assert_true(l->bits[j] < l->bits[j - 1]);
	}
	assert_int_equal(mg_ip_parse(&row.prefix.ip, "2001:db8::"), 0);
	for (unsigned char i = 0; i < MG_LENGTHS_MAX; i++) {
		row.prefix.len = 30 + i;
		assert_int_equal(mg_admission_feed_set(a, &row), 0);
	}
	row.prefix.len = 128;
	assert_int_equal(mg_admission_feed_set(a, &row), -ENOSPC);
}

/* ---- cookies, paces -------------------------------------------------------------------------- */

static void cookies_have_their_keys(void **state)
{
	const uint8_t first[16] = { 1, 2, 3 }, second[16] = { 4, 5, 6 };
	struct mg_cookie_epochs epochs;
	struct mg_cookie_keys keys;
	__u32 zero = 0, first_at, at;
	int now = bpf_map__fd(a->bpf->maps.mg_cookie_now);
	int map = bpf_map__fd(a->bpf->maps.mg_cookie_keys);

	(void)state;
	mg_cookie_keys_init(&keys, 41, first);
	assert_int_equal(mg_admission_set_cookies(a, &keys), 0);
	assert_int_equal(bpf_map_lookup_elem(now, &zero, &first_at), 0);
	assert_int_equal(bpf_map_lookup_elem(map, &first_at, &epochs), 0);
	assert_int_equal(epochs.epoch, 41);
	assert_int_equal(epochs.n, 1);
	mg_cookie_keys_rotate(&keys, second);
	assert_int_equal(mg_admission_set_cookies(a, &keys), 0);
	assert_int_equal(bpf_map_lookup_elem(now, &zero, &at), 0);
	assert_int_equal(bpf_map_lookup_elem(map, &at, &epochs), 0);
	assert_int_equal(epochs.epoch, 42);
	assert_int_equal(epochs.n, 2);
	assert_memory_equal(epochs.key[0], second, 16);
	assert_memory_equal(epochs.key[1], first, 16);
	/* what packets read until then is not touched */
	assert_int_not_equal(at, first_at);
	assert_int_equal(bpf_map_lookup_elem(map, &first_at, &epochs), 0);
	assert_int_equal(epochs.epoch, 41);
}

static __u32 any_pace(void)
{
	__u32 zero = 0, any = 9;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(a->bpf->maps.mg_pace_now), &zero, &any),
			 0);
	return any;
}

static void paces_are_looked_for_while_there_are_any(void **state)
{
	struct mg_ep local = ep("10.3.0.2:5124"), x = ep("10.1.0.1:1"), y = ep("10.1.0.1:2");
	struct mg_connection key = { .local.port = 5124, .peer.port = 1 };
	struct mg_pace pace;

	(void)state;
	memcpy(key.local.ip, &local.ip, 16);
	memcpy(key.peer.ip, &x.ip, 16);
	assert_int_equal(any_pace(), 0);
	assert_int_equal(mg_admission_pace(a, &local, &x, 1000), 0);
	assert_int_equal(mg_admission_pace(a, &local, &x, 2000), 0);
	assert_int_equal(any_pace(), 1);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(a->bpf->maps.mg_paces), &key, &pace), 0);
	assert_true(pace.bytes_per_s == 2000);
	assert_int_equal(mg_admission_pace(a, &local, &y, UINT64_MAX), 0);
	mg_admission_pace_del(a, &local, &x);
	mg_admission_pace_del(a, &local, &x);
	assert_int_equal(any_pace(), 1);
	mg_admission_pace_del(a, &local, &y);
	assert_int_equal(any_pace(), 0);
}

/* ---- privileges ------------------------------------------------------------------------------ */

/* Last, as they do not come back: a reload, a session and a feed with those the daemon keeps */
static void what_the_daemon_keeps_is_enough(void **state)
{
	struct mg_admit ask = rig_ask("10.1.0.1", VIDEO);
	struct mg_account_row *rows;

	(void)state;
	assert_int_equal(mg_caps_drop(0), 0);
	apply();
	assert_int_equal(mg_admission_open_session(a, &ask), MG_ADMITTED);
	assert_int_equal(mg_admission_accounts(a, &rows), 1);
	free(rows);
	assert_int_equal(feed("10.1.0.1", "wlan", 0, NULL, 0), 0);
	mg_admission_sweep(a);
	mg_admission_close_session(a, &ask.ticket, 0);
	assert_string_equal(access_of("10.1.0.1"), "wlan");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_feed_goes_before_prefixes, fresh),
		cmocka_unit_test_setup(what_was_seen_is_remembered, fresh),
		cmocka_unit_test_setup(an_identity_counts_as_one, fresh),
		cmocka_unit_test_setup(lengths_come_and_go, fresh),
		cmocka_unit_test_setup(cookies_have_their_keys, fresh),
		cmocka_unit_test_setup(paces_are_looked_for_while_there_are_any, fresh),
		cmocka_unit_test_setup(sessions_are_held_in_advance, fresh),
		cmocka_unit_test_setup(what_the_daemon_keeps_is_enough, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
