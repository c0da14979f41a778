// SPDX-License-Identifier: BSD-2-Clause
/*
 * Gateways and proxies in the configuration, where goldens cannot reach: defaults, what names and
 * expectations become, checks against this host, reloads.
 */
#include <sched.h>

#include "config_rig.h"

#define ACCESS "interfaces: [ { name: a0, role: access } ]\n"
#define PROXIES                                                                      \
	"proxies:\n"                                                                 \
	"  - { name: far, address: 10.3.0.2 }\n"                                     \
	"  - { name: farther, address: 10.3.0.3, location: moon }\n"                 \
	"  - { name: east, address: 10.3.0.4, location: east, kind: on-path }\n"     \
	"  - { name: west, address: '2001:db8::5', location: west, kind: on-path,\n" \
	"      deliver: l2, weight: 7 }\n"
#define GROUPS                                                                     \
	"groups:\n"                                                                \
	"  - { name: west, members: [ west ] }\n"                                  \
	"  - { name: anchor, members: [ far ], hash: flow, on_failure: closed,\n"  \
	"      check: { by: tcp, port: 9, interval_ms: 10, rise: 1, fall: 4 } }\n" \
	"  - { name: moon, members: [ far, farther ] }\n"                          \
	"  - { name: east, members: [ east ] }\n"
#define VIRTUAL	 "virtual: [ { address: '10.9.0.1:5124', group: anchor } ]\n"
#define STEERING "node: n\n" ACCESS PROXIES GROUPS VIRTUAL

static void test_defaults(void **state)
{
	struct mg_config *c = parse(LISTEN);
	const struct mg_config_steer *s = &c->steer;

	(void)state;
	assert_false(s->is_gateway);
	assert_int_equal(s->gateway.flows_max, 1048576);
	assert_int_equal(s->gateway.tokens_max, 1048576);
	assert_int_equal(s->gateway.unknown_join, MG_UNKNOWN_DROP);
	assert_true(s->gateway.learn);
	assert_int_equal(s->gateway.learn_per_second, 20000);
	assert_string_equal(s->gateway.location, "");
	assert_int_equal(s->n_proxies + s->n_groups + s->n_virtuals + s->n_rules + s->n_gateways,
			 0);
	assert_string_equal(s->store, "memory");
	assert_int_equal(s->store_heartbeat_ms, 1000);
	assert_int_equal(c->converter.n_signal, 0);
	assert_false(c->converter.deny_initial_joins);
	mg_config_free(c);
}

static void test_defaults_of_items(void **state)
{
	struct mg_config *c = parse(STEERING);
	const struct mg_config_proxy *p = &c->steer.proxies[0];
	const struct mg_config_group *g = &c->steer.groups[0];

	(void)state;
	assert_true(c->steer.is_gateway);
	assert_int_equal(p->weight, 1);
	assert_string_equal(p->location, "");
	assert_int_equal(p->kind, MG_PROXY_OFF_PATH);
	assert_int_equal(p->deliver, MG_DELIVER_IPIP);
	assert_int_equal(g->hash, MG_HASH_SUBSCRIBER);
	assert_int_equal(g->on_failure, MG_FAILURE_OPEN);
	assert_int_equal(g->check.by, MG_CHECK_CONVERT);
	assert_int_equal(g->check.port, 0);
	assert_int_equal(g->check.interval_ms, 300);
	assert_int_equal(g->check.rise, 2);
	assert_int_equal(g->check.fall, 3);
	mg_config_free(c);
}

static void test_items_in_their_places(void **state)
{
	struct mg_config *c = parse(STEERING "gateways: [ 10.0.0.0/8, '2001:db8::/64' ]\n"
					     "converter: { listen: [ '10.9.0.1:5124' ],\n"
					     "  signal: [ '10.3.0.9:5125', '[2001:db8::9]:1' ],\n"
					     "  deny_initial_joins: true }\n"
					     "store: redis://h:1/2\nstore_heartbeat_ms: 200\n");
	const struct mg_config_steer *s = &c->steer;
	char text[MG_PREFIX_STRLEN];

	(void)state;
	assert_string_equal(s->proxies[3].name, "west");
	assert_string_equal(mg_ip_format(text, &s->proxies[3].address), "2001:db8::5");
	assert_string_equal(s->proxies[3].location, "west");
	assert_int_equal(s->proxies[3].kind, MG_PROXY_ON_PATH);
	assert_int_equal(s->proxies[3].deliver, MG_DELIVER_L2);
	assert_int_equal(s->proxies[3].weight, 7);
	assert_int_equal(s->groups[1].hash, MG_HASH_FLOW);
	assert_int_equal(s->groups[1].on_failure, MG_FAILURE_CLOSED);
	assert_int_equal(s->groups[1].check.by, MG_CHECK_TCP);
	assert_int_equal(s->groups[1].check.port, 9);
	assert_int_equal(s->groups[1].check.interval_ms, 10);
	assert_int_equal(s->groups[1].check.rise, 1);
	assert_int_equal(s->groups[1].check.fall, 4);
	assert_int_equal(s->groups[2].n_members, 2);
	assert_int_equal(s->groups[2].members[0], 0);
	assert_int_equal(s->groups[2].members[1], 1);
	assert_int_equal(s->virtuals[0].group, 1);
	assert_string_equal(mg_ep_format(text, &s->virtuals[0].address), "10.9.0.1:5124");
	assert_int_equal(s->n_gateways, 2);
	assert_string_equal(mg_prefix_format(text, &s->gateways[1]), "2001:db8::/64");
	assert_string_equal(s->store, "redis://h:1/2");
	assert_int_equal(s->store_heartbeat_ms, 200);
	assert_int_equal(c->converter.n_signal, 2);
	assert_string_equal(mg_ep_format(text, &c->converter.signal[1]), "[2001:db8::9]:1");
	assert_true(c->converter.deny_initial_joins);
	mg_config_free(c);
}

static void test_rules_in_their_places(void **state)
{
	struct mg_config *c =
		parse(STEERING "selection:\n"
			       "  - { interface: a0, access: 10.1.0.0/16, "
			       "service: '192.0.2.0/24:443', group: moon }\n"
			       "  - { service: '[2001:db8::/32]:80', group: east }\n"
			       "  - { access: 10.1.0.0/16, service: 192.0.2.1, group: east }\n"
			       "  - { group: west }\n");
	const struct mg_config_rule *r = c->steer.rules;
	char text[MG_PREFIX_STRLEN];

	(void)state;
	assert_int_equal(c->steer.n_rules, 4);
	assert_string_equal(r[0].interface, "a0");
	assert_false(r[0].any_access);
	assert_false(r[0].any_service);
	assert_string_equal(mg_prefix_format(text, &r[0].access), "10.1.0.0/16");
	assert_string_equal(mg_prefix_format(text, &r[0].service), "192.0.2.0/24");
	assert_int_equal(r[0].port, 443);
	assert_int_equal(r[0].group, 2);
	assert_true(r[1].any_access);
	assert_string_equal(mg_prefix_format(text, &r[1].service), "2001:db8::/32");
	assert_int_equal(r[1].port, 80);
	assert_string_equal(mg_prefix_format(text, &r[2].service), "192.0.2.1/32");
	assert_int_equal(r[2].port, 0);
	assert_string_equal(r[3].interface, "");
	assert_true(r[3].any_access && r[3].any_service);
	for (size_t i = 0; i < 4; i++) {
		assert_true(r[i].group_is_named);
		assert_int_equal(r[i].expect, MG_EXPECT_NONE);
		assert_int_equal(r[i].fallback, MG_CONFIG_NO_GROUP);
	}
	mg_config_free(c);
}

/* `rest` completes the file; the one rule in it leads to these groups. */
static void check_rule(const char *rest, size_t group, size_t fallback)
{
	char text[2048];
	struct mg_config *c;

	snprintf(text, sizeof(text), "%s%s", "node: n\n" ACCESS PROXIES, rest);
	c = parse(text);
	assert_int_equal(c->steer.n_rules, 1);
	assert_int_equal(c->steer.rules[0].group, group);
	assert_int_equal(c->steer.rules[0].fallback, fallback);
	mg_config_free(c);
}

static void test_expectations(void **state)
{
	const char *off = "groups: [ { name: a, members: [ far ] } ]\n";
	const char *on = "groups: [ { name: a, members: [ east ] } ]\n";
	char text[512];

	(void)state;
	/* The first of a kind, where no location tells. */
	check_rule(GROUPS "selection: [ { expect: throughput } ]\n", 0, 1);
	check_rule(GROUPS "selection: [ { expect: continuity } ]\n", 1, 0);
	/* The one that is where the gateway is, also as fallback, also by its second member. */
	check_rule(GROUPS "gateway: { location: east }\nselection: [ { expect: throughput } ]\n", 3,
		   1);
	check_rule(GROUPS "gateway: { location: east }\nselection: [ { expect: continuity } ]\n", 1,
		   3);
	check_rule(GROUPS "gateway: { location: moon }\nselection: [ { expect: continuity } ]\n", 2,
		   0);
	/* A group that is named decides. */
	check_rule(GROUPS "gateway: { location: west }\n"
			  "selection: [ { expect: throughput, group: east } ]\n",
		   3, 1);
	check_rule(GROUPS "selection: [ { expect: continuity, group: moon } ]\n", 2, 0);
	/* With one kind only, that is it. */
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%sselection: [ { expect: throughput } ]\n",
			 i ? on : off);
		check_rule(text, 0, MG_CONFIG_NO_GROUP);
		snprintf(text, sizeof(text), "%sselection: [ { expect: continuity } ]\n",
			 i ? on : off);
		check_rule(text, 0, MG_CONFIG_NO_GROUP);
	}
}

static void test_host(void **state)
{
	(void)state;
	check_host("node: px1\n"
		   "interfaces: [ { name: lo, role: access } ]\n"
		   "proxies:\n"
		   "  - { name: px1, address: 127.0.0.1, deliver: local }\n"
		   "  - { name: px2, address: 192.0.2.1 }\n"
		   "gateways: [ 192.0.2.0/24 ]\n" LISTEN,
		   "");
	check_host("node: px1\n"
		   "interfaces: [ { name: lo, role: access } ]\n"
		   "proxies:\n"
		   "  - { name: px1, address: 192.0.2.2 }\n"
		   "  - { name: px2, address: 192.0.2.1 }\n"
		   "gateways: [ 192.0.2.0/24 ]\n"
		   "converter:\n"
		   "  listen: [ '127.0.0.1:5124' ]\n"
		   "  signal: [ '127.0.0.1:5125', '192.0.2.1:5125' ]\n",
		   "t.yaml:9: converter.signal[1]: 192.0.2.1:5125 is not an address of this host, "
		   "expected a local one\n"
		   "t.yaml:4: proxies[0].address: 192.0.2.2 is not an address of this host, "
		   "expected a local one: node is px1\n");
	check_host("node: px2\n"
		   "interfaces: [ { name: lo, role: access } ]\n"
		   "proxies: [ { name: px2, address: 127.0.0.1, deliver: local } ]\n"
		   "gateways: [ 192.0.2.0/24 ]\n" LISTEN,
		   "");
}

/* Somebody took another host's file as it was. */
static void test_host_of_another_name(void **state)
{
	struct mg_config *c = parse("node: px1\nproxies:\n  - { name: px1, address: 127.0.0.1, "
				    "deliver: local }\ngateways: [ 192.0.2.0/24 ]\n" LISTEN);
	FILE *f = findings_open();

	(void)state;
	free(c->node);
	c->node = strdup("px2");
	assert_int_equal(mg_config_check_host(c, f), -EINVAL);
	findings_are(f, "t.yaml:3: proxies[0].address: 127.0.0.1 is an address of this host, "
			"expected another host's: node is px2\n");
	mg_config_free(c);
}

static void test_reload_of_what_may_change(void **state)
{
	(void)state;
	check_reload(STEERING, STEERING, "");
	/* Other proxies, fewer groups under other names, other addresses and rules. */
	check_reload(STEERING,
		     "node: n\n" ACCESS "proxies: [ { name: new, address: 10.3.0.2 } ]\n"
		     "groups: [ { name: other, members: [ new ], hash: flow } ]\n"
		     "virtual: [ { address: '10.9.0.1:80', group: other } ]\n"
		     "selection: [ { expect: continuity } ]\n"
		     "gateway: { unknown_join: pass, learn: false, learn_per_second: 1, "
		     "location: x }\n",
		     "");
	check_reload("gateways: [ 10.0.0.0/8 ]\n" LISTEN, "gateways: [ 10.1.0.0/16 ]\n" LISTEN, "");
}

static void test_reload_of_what_may_not(void **state)
{
	(void)state;
	check_reload(STEERING,
		     STEERING "gateway:\n  flows_max: 17\n  tokens_max: 18\n"
			      "store: redis://:secret@h\nstore_heartbeat_ms: 200\n",
		     "t.yaml:17: gateway.flows_max: cannot change while running, expected 1048576 "
		     "as before\n"
		     "t.yaml:18: gateway.tokens_max: cannot change while running, expected 1048576 "
		     "as before\n"
		     "t.yaml:19: store: cannot change while running, expected the same as before\n"
		     "t.yaml:20: store_heartbeat_ms: cannot change while running, expected 1000 as "
		     "before\n");
	check_reload(STEERING,
		     "node: n\n" ACCESS PROXIES GROUPS
		     "  - { name: more, members: [ far ] }\n" VIRTUAL,
		     "t.yaml:9: groups: cannot become more while running, expected at most 4\n");
	check_reload(LISTEN, LISTEN "gateways: [ 10.0.0.0/8 ]\n",
		     "t.yaml:2: gateways: cannot change while running from or to none, expected "
		     "none as before\n");
	check_reload(LISTEN "gateways: [ 10.0.0.0/8 ]\n", LISTEN,
		     "t.yaml:1: proxies: cannot change while running from or to none, expected "
		     "some\n");
}

static void test_reload_of_signals(void **state)
{
	const char *before = "converter:\n  listen: [ '192.0.2.1:1' ]\n"
			     "  signal: [ '192.0.2.1:2' ]\n";

	(void)state;
	check_reload(
		before,
		"converter:\n  listen: [ '192.0.2.1:1' ]\n"
		"  signal: [ '192.0.2.1:3' ]\n  deny_initial_joins: true\n",
		"t.yaml:4: converter.deny_initial_joins: cannot change while running, expected "
		"false as before\n"
		"t.yaml:3: converter.signal: cannot change while running, expected the same "
		"list as before\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_defaults_of_items),
		cmocka_unit_test(test_items_in_their_places),
		cmocka_unit_test(test_rules_in_their_places),
		cmocka_unit_test(test_expectations),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_host_of_another_name),
		cmocka_unit_test(test_reload_of_what_may_change),
		cmocka_unit_test(test_reload_of_what_may_not),
		cmocka_unit_test(test_reload_of_signals),
	};

	if (unshare(CLONE_NEWNET) == 0)
		lo_up();
	return cmocka_run_group_tests_name("config_steer", tests, NULL, NULL);
}
