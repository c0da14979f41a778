// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which policy holds: by prefix, service, access network, feed and interface, in the set in force.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "admit_run.h"

#define WLAN_IF 7

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

/* Every cell has a policy of its own, so that the policy tells the cell. */
static uint32_t cell_policy(uint32_t c, uint32_t s, uint32_t a)
{
	return 1 + (c * ADMIT_SERVICE + s) * ADMIT_ACCESS + a;
}

static struct admit_tables *world(void)
{
	static const struct mg_port_range video[] = {
		{ 22, 22, 5 }, { 80, 90, 2 }, { 443, 443, 1 }, { 0 }
	};
	static const struct mg_port_range host[] = {
		{ 1, 79, 6 }, { 80, 90, 2 }, { 443, 443, 3 }, { 65535, 65535, 4 }, { 0 }
	};
	static const struct mg_port_range anywhere[] = { { 22, 22, 5 }, { 0 } };
	static const struct mg_port_range six[] = { { 0, 65535, 7 }, { 0 } };
	struct admit_tables *t = admit_tables();

	admit_prefix(t, MG_TABLE_CLASS, "10.1.0.0/16", 1);
	admit_prefix(t, MG_TABLE_CLASS, "10.1.16.0/20", 2);
	admit_prefix(t, MG_TABLE_CLASS, "10.1.16.5/32", 3);
	admit_prefix(t, MG_TABLE_CLASS, "2001:db8::/32", 4);
	admit_prefix(t, MG_TABLE_CLASS, "2001:db8:1::/48", 5);
	admit_prefix(t, MG_TABLE_CLASS, "2001:db8:1::7/128", 6);
	admit_service(t, "203.0.113.0/24", video);
	admit_service(t, "203.0.113.9/32", host);
	admit_service(t, "0.0.0.0/0", anywhere);
	admit_service(t, "2001:db8:ffff::/48", six);
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 1);
	admit_prefix(t, MG_TABLE_ACCESS, "2001:db8::/32", 1);
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.16.0/20", 3);
	t->set.n_interfaces = 1;
	t->set.interfaces[0] = (struct mg_access_interface){ .ifindex = WLAN_IF, .access = 2 };
	t->set.access[1] = (struct mg_access_network){ .used = 1 };
	t->set.access[2] = (struct mg_access_network){ .used = 1,
						       .trust = MG_TRUST_THIRD_PARTY,
						       .drop_transit = 1 };
	t->set.access[3] = (struct mg_access_network){ .used = 1 };
	for (uint32_t c = 0; c < ADMIT_CLASSES; c++)
		for (uint32_t s = 0; s < ADMIT_SERVICE; s++)
			for (uint32_t a = 0; a < ADMIT_ACCESS; a++)
				admit_cell(t, c, s, a, cell_policy(c, s, a));
	return t;
}

static int fresh(void **state)
{
	(void)state;
	admit_run_reset(&run);
	admit_put(&run, world());
	return 0;
}

struct row {
	const char *client, *server;
	uint16_t port;
	uint32_t ifindex;
	uint32_t class, service, access;
};

static struct mg_ticket ask(const char *client, const char *server, uint16_t port, uint32_t ifindex)
{
	struct mg_admit a = { .client = admit_ep(client, 1),
			      .server = admit_ep(server, port),
			      .ifindex = ifindex,
			      .flags = MG_ADMIT_DRY | MG_ADMIT_COOKIE };

	assert_int_equal(admit_do(run.skel->progs.mg_session_open, &a), MG_ADMITTED);
	assert_int_equal(a.ticket.charged, 0);
	return a.ticket;
}

static void assert_row(const struct row *row)
{
	struct mg_ticket t = ask(row->client, row->server, row->port, row->ifindex);

	if (t.class != row->class || t.service != row->service || t.access != row->access)
		print_error("%s to %s:%u by %u\n", row->client, row->server, row->port,
			    row->ifindex);
	assert_int_equal(t.class, row->class);
	assert_int_equal(t.service, row->service);
	assert_int_equal(t.access, row->access);
	assert_int_equal(t.policy, cell_policy(row->class, row->service, row->access));
}

static void test_rows(void **state)
{
	static const struct row rows[] = {
		/* the longest prefix, at its edges */
		{ "10.0.255.255", "192.0.2.1", 80, 0, 0, 0, 0 },
		{ "10.1.0.0", "192.0.2.1", 80, 0, 1, 0, 1 },
		{ "10.1.15.255", "192.0.2.1", 80, 0, 1, 0, 1 },
		{ "10.1.16.0", "192.0.2.1", 80, 0, 2, 0, 3 },
		{ "10.1.16.4", "192.0.2.1", 80, 0, 2, 0, 3 },
		{ "10.1.16.5", "192.0.2.1", 80, 0, 3, 0, 3 },
		{ "10.1.31.255", "192.0.2.1", 80, 0, 2, 0, 3 },
		{ "10.1.32.0", "192.0.2.1", 80, 0, 1, 0, 1 },
		{ "10.2.0.0", "192.0.2.1", 80, 0, 0, 0, 0 },
		/* IPv6 */
		{ "2001:db7:ffff::1", "2001:db8:fffe::1", 1, 0, 0, 0, 0 },
		{ "2001:db8::1", "2001:db8:ffff::1", 1, 0, 4, 7, 1 },
		{ "2001:db8:1::6", "2001:db8:ffff:ffff::", 0, 0, 5, 7, 1 },
		{ "2001:db8:1::7", "2001:db8:ffff::1", 65535, 0, 6, 7, 1 },
		{ "2001:db8:2::7", "2001:db9::1", 1, 0, 4, 0, 1 },
		/* IPv4 is no part of ::/0, and the other way around */
		{ "2001:db8::1", "::1", 22, 0, 4, 0, 1 },
		/* ports, at their edges; what a shorter prefix says is merged in by who fills it */
		{ "10.1.0.1", "203.0.113.1", 79, 0, 1, 0, 1 },
		{ "10.1.0.1", "203.0.113.1", 80, 0, 1, 2, 1 },
		{ "10.1.0.1", "203.0.113.1", 85, 0, 1, 2, 1 },
		{ "10.1.0.1", "203.0.113.1", 90, 0, 1, 2, 1 },
		{ "10.1.0.1", "203.0.113.1", 91, 0, 1, 0, 1 },
		{ "10.1.0.1", "203.0.113.1", 442, 0, 1, 0, 1 },
		{ "10.1.0.1", "203.0.113.1", 443, 0, 1, 1, 1 },
		{ "10.1.0.1", "203.0.113.1", 444, 0, 1, 0, 1 },
		{ "10.1.0.1", "203.0.113.1", 22, 0, 1, 5, 1 },
		{ "10.1.0.1", "203.0.113.9", 443, 0, 1, 3, 1 },
		{ "10.1.0.1", "203.0.113.9", 80, 0, 1, 2, 1 },
		{ "10.1.0.1", "203.0.113.9", 22, 0, 1, 6, 1 },
		{ "10.1.0.1", "203.0.113.9", 0, 0, 1, 0, 1 },
		{ "10.1.0.1", "203.0.113.9", 65535, 0, 1, 4, 1 },
		{ "10.1.0.1", "203.0.113.9", 65534, 0, 1, 0, 1 },
		{ "10.1.0.1", "198.51.100.1", 22, 0, 1, 5, 1 },
		/* an interface says what prefixes do not */
		{ "192.0.2.7", "198.51.100.1", 80, WLAN_IF, 0, 0, 2 },
		{ "192.0.2.7", "198.51.100.1", 80, WLAN_IF + 1, 0, 0, 0 },
		{ "10.1.0.1", "198.51.100.1", 80, WLAN_IF, 1, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_row(&rows[i]);
}

static void test_trust(void **state)
{
	struct mg_question q = { .tuple = { .client = admit_ep("192.0.2.7", 1),
					    .server = admit_ep("198.51.100.1", 80) },
				 .ifindex = WLAN_IF };

	(void)state;
	assert_int_equal(ask("192.0.2.7", "198.51.100.1", 80, WLAN_IF).trust, MG_TRUST_THIRD_PARTY);
	/* Addresses are easily made up, interfaces are not: the worse of the two counts. */
	assert_int_equal(ask("10.1.0.1", "198.51.100.1", 80, WLAN_IF).trust, MG_TRUST_THIRD_PARTY);
	assert_int_equal(ask("10.1.0.1", "198.51.100.1", 80, WLAN_IF).access, 1);
	assert_int_equal(ask("10.1.0.1", "198.51.100.1", 80, WLAN_IF + 1).trust, MG_TRUST_TRUSTED);
	assert_int_equal(ask("10.1.0.1", "198.51.100.1", 80, 0).trust, MG_TRUST_TRUSTED);
	assert_int_equal(admit_ask(run.doors->progs.mg_ask_look, &q), MG_REFUSAL_NO_COOKIE);
	assert_int_equal(q.by_interface, 1);
	assert_int_equal(q.drop_transit, 1);
	q.flags = MG_ADMIT_COOKIE;
	assert_int_equal(admit_ask(run.doors->progs.mg_ask_look, &q), MG_ADMITTED);
	q.tuple.client = admit_ep("10.1.0.1", 1);
	assert_int_equal(admit_ask(run.doors->progs.mg_ask_look, &q), MG_ADMITTED);
	assert_int_equal(q.by_interface, 0);
	assert_int_equal(q.drop_transit, 1);
	q.flags = 0;
	assert_int_equal(admit_ask(run.doors->progs.mg_ask_look, &q), MG_REFUSAL_NO_COOKIE);
	q.ifindex = WLAN_IF + 1;
	assert_int_equal(admit_ask(run.doors->progs.mg_ask_look, &q), MG_ADMITTED);
	assert_int_equal(q.drop_transit, 0);
}

/* Who is let in from an interface is known to come from there where no interface is. */
static void test_seen_at(void **state)
{
	struct mg_question q = { .tuple = { .client = admit_ep("192.0.2.7", 1),
					    .server = admit_ep("198.51.100.1", 80) },
				 .ifindex = WLAN_IF,
				 .flags = MG_ADMIT_COOKIE };

	(void)state;
	assert_int_equal(ask("192.0.2.7", "198.51.100.1", 80, 0).access, 0);
	assert_int_equal(admit_ask(run.doors->progs.mg_ask_look, &q), MG_ADMITTED);
	assert_int_equal(ask("192.0.2.7", "198.51.100.1", 80, 0).access, 2);
	assert_int_equal(ask("192.0.2.8", "198.51.100.1", 80, 0).access, 0);
	assert_int_equal(ask("192.0.2.7", "198.51.100.1", 80, WLAN_IF + 1).access, 0);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static void assert_subscriber(const struct mg_ticket *t, const uint8_t expected[16])
{
	assert_memory_equal(t->subscriber.ip, expected, 16);
}

static void test_feed(void **state)
{
	static const uint8_t identity[16] = { 0xff, 'm', 'p', 'g', 'a', 't', 'e', 'i',
					      1,    2,	 3,   4,   5,	6,   7,	  8 };
	const struct mg_feed_entry host = { .access = 2,
					    .identity = 0x0102030405060708ULL,
					    .class = 6 };
	const struct mg_feed_entry net = { .access = 3 };
	const struct mg_feed_entry only_class = { .class = 4 };
	struct mg_feed_entry old = { .access = 2, .expires_ns = now_ns() - 1 };
	struct mg_ticket t;

	(void)state;
	admit_feed(&run, "10.1.0.7/32", &host);
	admit_feed(&run, "10.1.0.0/24", &net);
	admit_feed(&run, "2001:db8:1:2::/64", &host);
	admit_feed(&run, "10.1.9.9/32", &only_class);
	t = ask("10.1.0.7", "203.0.113.1", 443, WLAN_IF);
	assert_int_equal(t.access, 2);
	assert_int_equal(t.class, 6);
	assert_int_equal(t.trust, MG_TRUST_THIRD_PARTY);
	assert_int_equal(t.policy, cell_policy(6, 1, 2));
	assert_subscriber(&t, identity);
	/* another address of the same one */
	t = ask("2001:db8:1:2::99", "203.0.113.1", 443, 0);
	assert_subscriber(&t, identity);
	assert_int_equal(t.access, 2);
	/* the shorter prefix, which says nothing of who it is */
	t = ask("10.1.0.8", "203.0.113.1", 443, 0);
	assert_int_equal(t.access, 3);
	assert_int_equal(t.class, 1);
	assert_subscriber(&t, admit_subscriber("10.1.0.8").ip);
	/* no access network: as without */
	t = ask("10.1.9.9", "203.0.113.1", 443, 0);
	assert_int_equal(t.access, 1);
	assert_int_equal(t.class, 4);
	/* out of date: the shorter one, and then none */
	admit_feed(&run, "10.1.0.7/32", &old);
	t = ask("10.1.0.7", "203.0.113.1", 443, 0);
	assert_int_equal(t.access, 3);
	assert_int_equal(t.class, 1);
	old.expires_ns = now_ns() + 60000000000ULL;
	admit_feed(&run, "10.1.0.7/32", &old);
	assert_int_equal(ask("10.1.0.7", "203.0.113.1", 443, 0).access, 2);
}

static void test_subscriber_keys(void **state)
{
	struct admit_tables *t = world();
	struct mg_ticket k;

	(void)state;
	k = ask("2001:db8:1:2:3:4:5:6", "203.0.113.1", 443, 0);
	assert_subscriber(&k, admit_subscriber("2001:db8:1:2::").ip);
	t->set.key_bits[MG_FAMILY_V4] = 96 + 24;
	t->set.key_bits[MG_FAMILY_V6] = 56;
	admit_put(&run, t);
	k = ask("2001:db8:1:22ff:3:4:5:6", "203.0.113.1", 443, 0);
	assert_subscriber(&k, admit_subscriber("2001:db8:1:2200::").ip);
	k = ask("10.1.0.7", "203.0.113.1", 443, 0);
	assert_subscriber(&k, admit_subscriber("10.1.0.0").ip);
	/* without policies, too */
	t->set.active = 0;
	t->set.key_bits[MG_FAMILY_V4] = t->set.key_bits[MG_FAMILY_V6] = 0;
	admit_put(&run, t);
	k = ask("10.1.0.7", "203.0.113.1", 443, WLAN_IF);
	assert_subscriber(&k, admit_subscriber("10.1.0.7").ip);
	assert_int_equal(k.policy + k.class + k.service + k.access, 0);
}

/* A set that is filled counts for nothing until it is in force, and then all of it does. */
static void test_sets(void **state)
{
	struct admit_tables *t = world();
	uint32_t was = run.now;

	(void)state;
	t->set.generation = 2;
	for (uint32_t i = 0; i < sizeof(t->cells) / sizeof(t->cells[0]); i++)
		t->cells[i] = 777;
	assert_int_equal(ask("10.1.0.1", "203.0.113.1", 443, 0).policy, cell_policy(1, 1, 1));
	admit_put(&run, t);
	assert_int_not_equal(run.now, was);
	assert_int_equal(ask("10.1.0.1", "203.0.113.1", 443, 0).policy, 777);
	assert_int_equal(ask("10.1.0.1", "203.0.113.1", 443, 0).generation, 2);
	admit_put(&run, world());
	assert_int_equal(run.now, was);
	assert_int_equal(ask("10.1.0.1", "203.0.113.1", 443, 0).policy, cell_policy(1, 1, 1));
}

/* Numbers beyond the bounds of the cells count as none; tables that are not there as empty. */
static void test_bounds(void **state)
{
	struct admit_tables *t = admit_tables();
	struct mg_ticket k;

	(void)state;
	admit_prefix(t, MG_TABLE_CLASS, "10.1.0.0/16", 5000);
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 70);
	admit_cell(t, 0, 0, 0, 9);
	admit_put(&run, t);
	k = ask("10.1.0.1", "203.0.113.1", 443, 0);
	assert_int_equal(k.class, 5000);
	assert_int_equal(k.policy, 9);
	t->set.n_classes = t->set.n_services = t->set.n_access = 0;
	admit_put(&run, t);
	assert_int_equal(ask("10.1.0.1", "203.0.113.1", 443, 0).policy, 9);
}

/* A prefix of every length, each within the one before: the longest that fits. */
static void test_every_length(void **state)
{
	struct admit_tables *t = admit_tables();
	char prefix[64];

	(void)state;
	for (unsigned int bits = 0; bits <= 32; bits++) {
		snprintf(prefix, sizeof(prefix), "%s/%u",
			 bits == 32 ? "255.255.255.255" : "128.0.0.0", bits);
		if (bits && bits < 32) {
			uint32_t ones = ~0U << (32 - bits);

			snprintf(prefix, sizeof(prefix), "%u.%u.%u.%u/%u", ones >> 24,
				 ones >> 16 & 255, ones >> 8 & 255, ones & 255, bits);
		}
		if (!bits)
			snprintf(prefix, sizeof(prefix), "0.0.0.0/0");
		admit_prefix(t, MG_TABLE_CLASS, prefix, bits + 1);
	}
	admit_put(&run, t);
	for (unsigned int bits = 0; bits <= 32; bits++) {
		/* as many ones as there are bits, and then a 0 */
		uint32_t ip = bits ? ~0U << (32 - bits) : 0;

		snprintf(prefix, sizeof(prefix), "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255,
			 ip >> 8 & 255, ip & 255);
		assert_int_equal(ask(prefix, "192.0.2.1", 1, 0).class, bits + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_rows, fresh),
		cmocka_unit_test_setup(test_trust, fresh),
		cmocka_unit_test_setup(test_seen_at, fresh),
		cmocka_unit_test_setup(test_feed, fresh),
		cmocka_unit_test_setup(test_subscriber_keys, fresh),
		cmocka_unit_test_setup(test_sets, fresh),
		cmocka_unit_test_setup(test_bounds, fresh),
		cmocka_unit_test_setup(test_every_length, fresh),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
