// SPDX-License-Identifier: BSD-2-Clause
/*
 * The corridor between configuration, checks, ways and the store on the one side and the maps on
 * the other: numbers that stay, rings that follow states, drains.
 */
#include "gateway_rig.h"

static void test_from_nothing(void **state)
{
	(void)state;
	open_gate(two);
	assert_string_equal(maps.proxies[1].name, "px1");
	assert_string_equal(maps.proxies[2].name, "px2");
	assert_int_equal(maps.proxies[1].state, MG_MEMBER_DOWN);
	assert_int_equal(maps.proxies[1].deliver, MG_DELIVER_IPIP);
	assert_int_equal(maps.proxies[2].deliver, MG_DELIVER_L2);
	assert_int_equal(maps.proxies[1].ifindex, 5);
	assert_int_equal(maps.proxies[1].dmac[5], 2);
	assert_int_equal(maps.proxies[1].ip[15], 2);
	assert_int_equal(maps.proxies[1].source[15], 1);
	assert_string_equal(maps.groups[1].name, "metro");
	assert_int_equal(maps.groups[1].n_up, 0);
	assert_int_equal(slots(1, 0), MG_RING_SLOTS);
	assert_int_equal(maps.n_virtuals, 1);
	assert_int_equal(maps.virtual_groups[0], 1);
	assert_true(maps.gateway.steers);
	assert_int_equal(maps.gateway.self, 0);
	assert_int_equal(maps.gateway.unknown_join, MG_UNKNOWN_PASS);
	assert_int_equal(maps.gateway.learn_per_second, 7);
	/* What faces proxies, before other addresses; none of a family there is none of. */
	assert_int_equal(maps.gateway.ip4[13], 3);
	assert_int_equal(maps.gateway.ip6[15], 0);
	assert_int_equal(maps.n_mine, 1);
	assert_int_equal(maps.n_neighbours, 2);
	assert_int_equal(maps.neighbour_proxies[0], 1);
	set_up("10.3.0.2:5124", true);
	assert_int_equal(maps.groups[1].n_up, 1);
	assert_int_equal(slots(1, 1), MG_RING_SLOTS);
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
	assert_in_range(slots(1, 2), MG_RING_SLOTS * 3 / 4 - 2, MG_RING_SLOTS * 3 / 4 + 2);
}

static void test_restart_moves_nothing(void **state)
{
	static struct mg_slot before[MG_RING_SLOTS];

	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	set_up("10.3.0.3:5124", true);
	memcpy(before, maps.rings[1], sizeof(before));
	close_gate();
	open_gate(HEAD "proxies: [ " PX3 ", " PX2 ", " PX1 " ]\n"
		       "groups: [ { name: first, members: [ px3 ] },"
		       " { name: metro, members: [ px2, px1 ] } ]\n"
		       "virtual: [ { address: '10.9.0.1:5124', group: metro },"
		       " { address: '10.9.0.2:5124', group: first } ]\n");
	assert_string_equal(maps.proxies[1].name, "px1");
	assert_string_equal(maps.proxies[2].name, "px2");
	assert_string_equal(maps.proxies[3].name, "px3");
	assert_int_equal(maps.proxies[1].state, MG_MEMBER_UP);
	assert_int_equal(maps.proxies[3].state, MG_MEMBER_DOWN);
	assert_memory_equal(before, maps.rings[1], sizeof(before));
	assert_int_equal(maps.virtual_groups[0], 1);
	assert_int_equal(maps.virtual_groups[1], 2);
	assert_string_equal(maps.groups[2].name, "first");
}

static void test_reload_keeps_numbers(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	set_up("10.3.0.3:5124", true);
	reload(HEAD "proxies: [ " PX2 ", " PX3 " ]\n"
		    "groups: [ { name: metro, members: [ px3, px2 ] } ]\n" LED);
	assert_int_equal(maps.proxies[1].used, 0);
	assert_string_equal(maps.proxies[2].name, "px2");
	assert_string_equal(maps.proxies[3].name, "px3");
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
	assert_int_equal(n_checks, 2);
	assert_int_equal(slots(1, 2), MG_RING_SLOTS);
	/* It comes back to its number, and to what it had. */
	reload(two);
	assert_string_equal(maps.proxies[1].name, "px1");
	assert_int_equal(maps.proxies[1].used, 1);
	assert_int_equal(maps.proxies[3].used, 0);
	assert_int_equal(maps.proxies[1].state, MG_MEMBER_DOWN);
}

/* Names that come and go use up no numbers, and what another left is not theirs. */
static void test_numbers_used_again(void **state)
{
	char text[1024];

	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	for (int i = 0; i < 600; i++) {
		snprintf(text, sizeof(text),
			 HEAD "proxies: [ " PX1 ", { name: other%d, address: 10.3.1.1 } ]\n"
			      "groups: [ { name: g%d, members: [ px1, other%d ] } ]\n"
			      "virtual: [ { address: '10.9.0.1:5124', group: g%d } ]\n",
			 i, i, i, i);
		reload(text);
		assert_string_equal(maps.proxies[1].name, "px1");
		assert_true(maps.proxies[1].used);
		assert_int_equal(slots(maps.virtual_groups[0], 1), MG_RING_SLOTS);
	}
}

/* Whoever is new, and wherever it stands in the list, takes no number of who stays. */
static void test_numbers_stay(void **state)
{
	char text[1024];

	(void)state;
	open_gate(HEAD "proxies: [ " PX1 ", " PX2 " ]\n"
		       "groups: [ { name: a, members: [ px1 ] }, { name: b, members: [ px2 ] },"
		       " { name: c, members: [ px1 ] }, { name: metro, members: [ px1 ] } ]\n" LED);
	set_up("10.3.0.2:5124", true);
	reload(HEAD "proxies: [ " PX1 ", " PX2 " ]\n"
		    "groups: [ { name: other, members: [ px1 ] }, { name: a, members: [ px1 ] },"
		    " { name: c, members: [ px1 ] }, { name: metro, members: [ px1 ] } ]\n" LED);
	assert_string_equal(maps.groups[1].name, "a");
	assert_string_equal(maps.groups[2].name, "other");
	assert_string_equal(maps.groups[4].name, "metro");
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text),
			 HEAD "intercept: { mode: take-over, source: shared }\n"
			      "proxies: [ { name: other%d, address: 10.3.1.1 }, " PX1 ", " PX2
			      " ]\n"
			      "groups: [ { name: metro, members: [ px1, px2, other%d ] } ]\n" LED,
			 i, i);
		reload(text);
		assert_string_equal(maps.proxies[1].name, "px1");
		assert_string_equal(maps.proxies[2].name, "px2");
		assert_string_equal(maps.proxies[maps.gateway.self].name, "gw1");
		assert_int_equal(maps.gateway.self, 4);
		assert_int_equal(maps.virtual_groups[0], 4);
	}
}

/* What was said of it while it was in no configuration holds when it is in one. */
static void test_drained_meanwhile(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	set_up("10.3.0.3:5124", true);
	assert_int_equal(mg_gate_drain(gate, "px2", true), 0);
	reload(HEAD "proxies: [ " PX1 " ]\ngroups: [ { name: metro, members: [ px1 ] } ]\n" LED);
	reload(two);
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	assert_int_equal(slots(1, 1), MG_RING_SLOTS);
	assert_int_equal(mg_gate_drain(gate, "px2", false), 0);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
	assert_true(slots(1, 2) > MG_RING_SLOTS / 2);
}

static void test_drain(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	set_up("10.3.0.3:5124", true);
	assert_int_equal(mg_gate_drain(gate, "px9", true), -ENOENT);
	assert_int_equal(mg_gate_drain(gate, "px2", true), 0);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	assert_int_equal(slots(1, 1), MG_RING_SLOTS);
	assert_int_equal(maps.groups[1].n_up, 1);
	/* Dead is more than drained. */
	set_up("10.3.0.3:5124", false);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DOWN);
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	/* A restart and a reload forget it not. */
	close_gate();
	open_gate(two);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	reload(two);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	loop.now_ms += 1000000;
	mg_timers_run(&loop.timers, loop.now_ms);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	assert_int_equal(mg_gate_drain(gate, "px2", false), 0);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
	assert_true(slots(1, 2) > MG_RING_SLOTS / 2);
}

/* What drains are for: it goes, comes back, and takes nothing, whoever was restarted meanwhile. */
static void test_drained_and_down(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	set_up("10.3.0.3:5124", true);
	assert_int_equal(mg_gate_drain(gate, "px2", true), 0);
	set_up("10.3.0.3:5124", false);
	close_gate();
	open_gate(two);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DOWN);
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	assert_int_equal(slots(1, 2), 0);
	assert_int_equal(mg_gate_drain(gate, "px2", false), 0);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
}

/* That is no operator's wish: over a restart it is presumed, and it is over when it says so. */
static void test_refused_before(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	check_of("10.3.0.3:5124")->state.refuses = true;
	set_up("10.3.0.3:5124", true);
	close_gate();
	open_gate(two);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	assert_int_equal(slots(1, 2), 0);
	check_of("10.3.0.3:5124")->state.refuses = false;
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
	assert_true(slots(1, 2) > MG_RING_SLOTS / 2);
}

/* It drains itself: no new sessions, but joins. */
static void test_refuses(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	check_of("10.3.0.3:5124")->state.refuses = true;
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	assert_int_equal(slots(1, 2), 0);
	check_of("10.3.0.3:5124")->state.refuses = false;
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
}

/* Each group asks its own question; for joins it is up if it is for any. */
static void test_up_for_one_group(void **state)
{
	(void)state;
	open_gate(HEAD "proxies: [ " PX1 " ]\n"
		       "groups: [ { name: metro, members: [ px1 ], on_failure: closed },"
		       " { name: web, members: [ px1 ], check: { port: 80, by: tcp } },"
		       " { name: same, members: [ px1 ] } ]\n"
		       "virtual: [ { address: '10.9.0.1:5124', group: metro },"
		       " { address: '10.9.0.2:80', group: web },"
		       " { address: '10.9.0.3:5124', group: same } ]\n");
	assert_int_equal(n_checks, 2);
	assert_true(maps.groups[1].closed);
	assert_false(maps.groups[2].closed);
	set_up("10.3.0.2:80", true);
	assert_int_equal(maps.proxies[1].state, MG_MEMBER_UP);
	assert_int_equal(maps.groups[1].n_up, 0);
	assert_int_equal(maps.groups[2].n_up, 1);
	assert_int_equal(slots(1, 0), MG_RING_SLOTS);
	assert_int_equal(slots(2, 1), MG_RING_SLOTS);
	set_up("10.3.0.2:5124", true);
	assert_int_equal(maps.groups[1].n_up, 1);
	assert_int_equal(maps.groups[3].n_up, 1);
}

/* Who is only ever asked to accept connections may be any server, and asks nobody else. */
static void test_plain_servers(void **state)
{
	(void)state;
	open_gate(HEAD
		  "proxies: [ " PX1 ", " PX2 " ]\n"
		  "groups: [ { name: web, members: [ px1, px2 ], check: { port: 80, by: tcp } },"
		  " { name: metro, members: [ px2 ] } ]\n"
		  "virtual: [ { address: '10.9.0.2:80', group: web },"
		  " { address: '10.9.0.1:5124', group: metro } ]\n");
	set_up("10.3.0.2:80", true);
	set_up("10.3.0.3:80", true);
	assert_true(maps.proxies[1].plain);
	assert_false(maps.proxies[2].plain);
}

static void test_rules(void **state)
{
	(void)state;
	open_gate(HEAD "proxies: [ " PX1 " ]\n"
		       "groups: [ { name: metro, members: [ px1 ] } ]\n"
		       "selection:\n"
		       "  - { access: 10.1.0.0/16, service: '0.0.0.0/0:443', group: metro }\n"
		       "  - { interface: a0, group: metro }\n");
	assert_int_equal(maps.n_rules, 2);
	assert_int_equal(maps.gateway.n_rules, 2);
	assert_int_equal(maps.rules[0].client_bits, 112);
	assert_int_equal(maps.rules[0].service_bits, 96);
	assert_int_equal(maps.rules[0].port, 443);
	assert_int_equal(maps.rules[0].ifindex, 0);
	assert_int_equal(maps.rules[0].group, 1);
	assert_int_equal(maps.rules[0].fallback, 0);
	/* An interface that is not there is not any. */
	assert_int_equal(maps.rules[1].ifindex, UINT32_MAX);
	assert_int_equal(maps.rules[1].client_bits, 0);
}

static void test_ways(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	/* The neighbour is asked for again: the last way stays. */
	way_err = -EAGAIN;
	mg_gate_look(gate);
	assert_int_equal(maps.proxies[1].ifindex, 5);
	way_err = -ENETUNREACH;
	mg_gate_look(gate);
	assert_int_equal(maps.proxies[1].ifindex, 0);
	assert_int_equal(maps.n_neighbours, 0);
	way_err = 0;
	mg_gate_look(gate);
	assert_int_equal(maps.proxies[1].ifindex, 5);
	/* One MAC address for all: theirs is not known by it, and l2 has no way. */
	behind_router = true;
	mg_gate_look(gate);
	assert_int_equal(maps.proxies[1].ifindex, 5);
	assert_int_equal(maps.proxies[2].ifindex, 0);
	assert_int_equal(maps.n_neighbours, 1);
	assert_int_equal(maps.neighbour_proxies[0], 0);
}

static void test_tokens_of_a_former_daemon(void **state)
{
	const struct mg_owners px1 = { .proxy = 1 }, both = { .proxy = 2, .second = 1 },
			       nobody = { .proxy = 77 };

	(void)state;
	open_gate(two);
	close_gate();
	__wrap_mg_steer_push(NULL, 0xa1, &px1);
	__wrap_mg_steer_push(NULL, 0xb2, &both);
	__wrap_mg_steer_push(NULL, 0xc3, &nobody);
	open_gate(two);
	assert_int_equal(maps.n_pushed, 2);
	/* Without px2 its tokens go, what px1 has too stays. */
	reload(HEAD "proxies: [ " PX1 " ]\ngroups: [ { name: metro, members: [ px1 ] } ]\n" LED);
	assert_int_equal(maps.n_pushed, 2);
	assert_int_equal(maps.pushed[1].owners.proxy, 1);
	assert_int_equal(maps.pushed[1].owners.second, 0);
}

/* Not a gateway: who it is, who may send to it, and its own tokens. */
static void test_proxy_alone(void **state)
{
	const uint32_t tokens[] = { 3, 4 };

	(void)state;
	open_gate("node: px1\nconverter: { listen: [ '10.3.0.2:5124' ] }\n"
		  "interfaces: [ { name: a0, role: access } ]\n"
		  "gateways: [ 10.3.0.0/24 ]\nproxies: [ " PX1 ", " PX2 " ]\n");
	assert_false(maps.gateway.steers);
	assert_int_equal(maps.gateway.self, 1);
	assert_string_equal(maps.proxies[1].name, "px1");
	assert_int_equal(maps.proxies[1].deliver, MG_DELIVER_LOCAL);
	assert_int_equal(maps.proxies[2].used, 0);
	assert_int_equal(maps.n_peers, 1);
	assert_int_equal(maps.n_virtuals, 0);
	assert_int_equal(n_checks, 0);
	mg_gate_own(gate, 3, true);
	assert_int_equal(maps.n_pushed, 1);
	assert_int_equal(maps.pushed[0].owners.proxy, 1);
	mg_gate_own_all(gate, tokens, 2);
	assert_int_equal(maps.n_pushed, 2);
	mg_gate_own(gate, 3, false);
	assert_int_equal(maps.n_pushed, 1);
	mg_gate_own_all(gate, NULL, 0);
	assert_int_equal(maps.n_pushed, 0);
}

/* It begins to end sessions while it runs, and then tells of them. */
static void test_becomes_a_proxy(void **state)
{
	static const char after[] = HEAD "intercept: { mode: take-over, source: shared }\n"
					 "proxies: [ " PX1 ", " PX2 " ]\n"
					 "groups: [ { name: metro, members: [ px1, px2 ] } ]\n" LED;

	(void)state;
	open_gate(two);
	assert_int_equal(maps.gateway.self, 0);
	mg_gate_own(gate, 3, true);
	assert_int_equal(maps.n_pushed, 0);
	reload(after);
	assert_int_equal(maps.gateway.self, 3);
	mg_gate_own(gate, 3, true);
	assert_int_equal(maps.n_pushed, 1);
	reload(two);
	assert_int_equal(maps.gateway.self, 0);
	assert_int_equal(maps.n_pushed, 0);
	mg_gate_own(gate, 3, false);
	reload(after);
	assert_int_equal(maps.n_pushed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_from_nothing),
		TEST(test_restart_moves_nothing),
		TEST(test_reload_keeps_numbers),
		TEST(test_numbers_used_again),
		TEST(test_numbers_stay),
		TEST(test_drained_meanwhile),
		TEST(test_drain),
		TEST(test_drained_and_down),
		TEST(test_refused_before),
		TEST(test_refuses),
		TEST(test_up_for_one_group),
		TEST(test_plain_servers),
		TEST(test_rules),
		TEST(test_ways),
		TEST(test_tokens_of_a_former_daemon),
		TEST(test_proxy_alone),
		TEST(test_becomes_a_proxy),
	};

	return cmocka_run_group_tests_name("gateway", tests, NULL, NULL);
}
