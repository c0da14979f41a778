// SPDX-License-Identifier: BSD-2-Clause
/*
 * Joins follow their session by its token: what proxies told, then what was learned, then the
 * policy for the unknown; and the rules that select sessions on their way to servers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rows.h"
#include "steer_world.h"

#define ISN   77
#define TOKEN 0xe3881c92

static struct world w;

static int fresh(void **state)
{
	(void)state;
	world_reset(&w);
	return 0;
}

static struct frame join(bool v6, const char *dst)
{
	return (struct frame){
		.v6 = v6,
		.dst = dst,
		.flags = F_SYN,
		.seq = ISN,
		.opts = opt_join(TOKEN),
	};
}

static struct frame capable(bool v6, const char *dst)
{
	return (struct frame){
		.v6 = v6,
		.dst = dst,
		.flags = F_SYN,
		.seq = ISN,
		.opts = opt_capable,
	};
}

/* ---- whose token it is ----------------------------------------------------------------------- */

struct owners_row {
	const char *name;
	uint16_t pushed, pushed_second, learned, learned_second;
	uint16_t down[2];
	uint16_t proxy, second; /* 0: nobody knows it */
	bool is_pushed;
	bool either_way; /* the order depends on the flow */
};

static const struct owners_row owners_rows[] = {
	{ "pushed", .pushed = 2, .proxy = 2, .is_pushed = true },
	{ "learned", .learned = 3, .proxy = 3 },
	{ "learned of two", .learned = 3, .learned_second = 4, .proxy = 3, .second = 4 },
	{ "pushed goes before learned", .pushed = 2, .learned = 3, .proxy = 2, .second = 3,
	  .is_pushed = true },
	{ "pushed and learned agree", .pushed = 2, .learned = 2, .proxy = 2, .is_pushed = true },
	{ "pushed, and learned of another as well", .pushed = 2, .learned = 2, .learned_second = 3,
	  .proxy = 2, .second = 3, .is_pushed = true },
	{ "pushed of two", .pushed = 2, .pushed_second = 3, .proxy = 2, .second = 3,
	  .is_pushed = true, .either_way = true },
	{ "pushed of two, and learned", .pushed = 2, .pushed_second = 3, .learned = 4, .proxy = 2,
	  .second = 3, .is_pushed = true, .either_way = true },
	{ "the only one, down", .pushed = 2, .down = { 2 }, .proxy = 2, .is_pushed = true },
	{ "pushed is down, another is learned", .pushed = 2, .learned = 3, .down = { 2 },
	  .proxy = 3 },
	{ "the first of two is down", .pushed = 2, .pushed_second = 3, .down = { 2 }, .proxy = 3,
	  .is_pushed = true },
	{ "the second of two is down", .pushed = 2, .pushed_second = 3, .down = { 3 }, .proxy = 2,
	  .is_pushed = true },
	{ "one of two pushed is down, a third learned", .pushed = 2, .pushed_second = 3,
	  .learned = 4, .down = { 3 }, .proxy = 2, .second = 4, .is_pushed = true },
	{ "both of two are down", .pushed = 2, .learned = 3, .down = { 2, 3 }, .proxy = 2,
	  .second = 3, .is_pushed = true },
	{ "of a proxy that is no more", .pushed = 77 },
	{ "of one that is no more, and learned", .pushed = 77, .learned = 3, .proxy = 3 },
	{ "nobody's" },
};

static struct want owners_want(const struct owners_row *row)
{
	struct want want = row->is_pushed ? GOES(TOKEN_PUSHED, TOKEN_PUSHED, row->proxy)
					  : GOES(TOKEN_LEARNED, TOKEN_LEARNED, row->proxy);

	want.second = row->second;
	return row->proxy ? want : DROPPED(UNKNOWN_JOIN, UNKNOWN_JOIN, UNKNOWN_JOIN);
}

static void owners(const struct owners_row *row, bool v6)
{
	struct frame f = join(v6, v6 ? VIRTUAL6 : VIRTUAL4), data = f;
	struct want want = owners_want(row);
	struct mg_steer_flow flow;
	struct mg_decision d;

	if (row->pushed)
		world_push(&w, TOKEN, row->pushed, row->pushed_second);
	if (row->learned)
		world_learned(&w, TOKEN, row->learned, row->learned_second);
	for (int i = 0; i < 2 && row->down[i]; i++)
		world_state(&w, row->down[i], MG_MEMBER_DOWN);
	if (row->either_way && steer_run_locate(&w.run, MG_SIDE_ACCESS, &f).proxy == row->second) {
		want.proxy = row->second;
		want.second = row->proxy;
	}
	d = world_expect(&w, MG_SIDE_ACCESS, &f, want);
	assert_int_equal(d.token, TOKEN);
	assert_int_equal(world_flow(&w, &f, &flow), row->proxy != 0);
	if (!row->proxy)
		return;
	assert_int_equal(flow.flags, MG_FLOW_JOIN);
	want.why = MG_STEER_FLOW;
	want.counter = MG_STEER_COUNT_FLOW;
	data.flags = F_ACK;
	data.opts = opt_times;
	world_expect(&w, MG_SIDE_ACCESS, &data, want);
}

static void test_owners(void **state)
{
	const struct owners_row *row = *state;

	world_reset(&w);
	owners(row, false);
	world_reset(&w);
	owners(row, true);
}

/* Two have the same token: who tries again, from another port, meets the other one in the end. */
static void test_flip(void **state)
{
	int first[2] = { 0 };

	(void)state;
	world_push(&w, TOKEN, 2, 3);
	for (uint16_t port = 40000; port < 40064; port += 2) {
		struct frame f = join(false, VIRTUAL4);
		struct mg_decision d;

		f.sport = port;
		d = steer_run_locate(&w.run, MG_SIDE_ACCESS, &f);
		assert_int_equal(d.proxy + d.second, 5);
		first[d.proxy - 2]++;
	}
	assert_true(first[0] >= 8 && first[1] >= 8);
}

/* The same SYN again, when the token's owner has changed: as before. */
static void test_repeated(void **state)
{
	struct frame f = join(false, VIRTUAL4);

	(void)state;
	world_push(&w, TOKEN, 2, 0);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(TOKEN_PUSHED, TOKEN_PUSHED, 2));
	world_push(&w, TOKEN, 3, 0);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(FLOW, FLOW, 2));
	f.seq++;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(TOKEN_PUSHED, TOKEN_PUSHED, 3));
	/* The other subflow's port is now a session's. */
	f = capable(false, VIRTUAL4);
	f.seq = ISN + 2;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
}

static void test_unknown(void **state)
{
	struct want by_ring = GOES(UNKNOWN_JOIN, UNKNOWN_JOIN, 1);
	struct frame four = join(false, VIRTUAL4), six = join(true, VIRTUAL6);
	struct mg_steer_flow flow;

	(void)state;
	w.gateway.unknown_join = MG_UNKNOWN_PASS;
	world_gateway(&w);
	world_expect(&w, MG_SIDE_ACCESS, &four, PASSES_COUNTED(UNKNOWN_JOIN, UNKNOWN_JOIN));
	world_expect(&w, MG_SIDE_ACCESS, &six, PASSES_COUNTED(UNKNOWN_JOIN, UNKNOWN_JOIN));
	assert_false(world_flow(&w, &four, &flow));
	w.gateway.unknown_join = MG_UNKNOWN_RING;
	world_gateway(&w);
	world_expect(&w, MG_SIDE_ACCESS, &four, by_ring);
	world_expect(&w, MG_SIDE_ACCESS, &six, by_ring);
	assert_true(world_flow(&w, &four, &flow));
	assert_int_equal(flow.flags, MG_FLOW_JOIN);
	/* None that a proxy's own traffic would name */
	w.gateway.unknown_join = MG_UNKNOWN_DROP;
	world_gateway(&w);
	four.dst = SERVER4;
	world_expect(&w, MG_SIDE_ACCESS, &four, PASSES(NOT_OURS));
}

/* ---- rules ----------------------------------------------------------------------------------- */

enum rule_by { ANY, INTERFACE, OTHER_INTERFACE, CLIENT4, CLIENT6, SERVICE4, SERVICE6, PORT };

static struct mg_rule rule(enum rule_by by, uint16_t group)
{
	struct mg_rule r = { .group = group };

	if (by == INTERFACE || by == OTHER_INTERFACE)
		r.ifindex = by == INTERFACE ? w.run.px0 : w.run.px1;
	else if (by == CLIENT4)
		world_prefix(r.client, &r.client_bits, "10.1.0.0", 31);
	else if (by == CLIENT6)
		world_prefix(r.client, &r.client_bits, "fd00:1::", 127);
	else if (by == SERVICE4)
		world_prefix(r.service, &r.service_bits, "10.4.0.0", 16);
	else if (by == SERVICE6)
		world_prefix(r.service, &r.service_bits, "fd00:4::", 33);
	else if (by == PORT)
		r.port = 443;
	return r;
}

static const struct {
	enum rule_by by;
	bool v6;
	const char *src, *dst;
	uint16_t port;
	bool fits;
} rule_rows[] = {
	{ ANY, false, UE4, SERVER4, 80, true },
	{ ANY, true, UE6, SERVER6, 80, true },
	{ INTERFACE, false, UE4, SERVER4, 80, true },
	{ OTHER_INTERFACE, false, UE4, SERVER4, 80, false },
	{ CLIENT4, false, "10.1.0.1", SERVER4, 80, true },
	{ CLIENT4, false, "10.1.0.2", SERVER4, 80, false },
	{ CLIENT4, true, UE6, SERVER6, 80, false },
	{ CLIENT6, true, "fd00:1::1", SERVER6, 80, true },
	{ CLIENT6, true, "fd00:1::2", SERVER6, 80, false },
	{ CLIENT6, false, UE4, SERVER4, 80, false },
	{ SERVICE4, false, UE4, "10.4.255.1", 80, true },
	{ SERVICE4, false, UE4, "10.5.0.1", 80, false },
	{ SERVICE6, true, UE6, "fd00:4:7fff::1", 80, true },
	{ SERVICE6, true, UE6, "fd00:4:8000::1", 80, false },
	{ PORT, false, UE4, SERVER4, 443, true },
	{ PORT, true, UE6, SERVER6, 443, true },
	{ PORT, false, UE4, SERVER4, 444, false },
};

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rule_rows) / sizeof(rule_rows[0]); i++) {
		struct frame f = capable(rule_rows[i].v6, rule_rows[i].dst), data;
		const struct mg_rule r = rule(rule_rows[i].by, GROUP_OTHER);
		struct mg_steer_flow flow;
		struct mg_decision d;

		world_reset(&w);
		world_rules(&w, &r, 1);
		f.src = rule_rows[i].src;
		f.dport = rule_rows[i].port;
		if (!rule_rows[i].fits) {
			world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
			continue;
		}
		d = world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 3));
		assert_int_equal(d.rule, 1);
		assert_int_equal(d.group, GROUP_OTHER);
		assert_true(world_flow(&w, &f, &flow));
		assert_int_equal(flow.flags, MG_FLOW_CAPABLE | MG_FLOW_INTERCEPT);
		data = f;
		data.flags = F_ACK;
		data.opts = opt_times;
		world_expect(&w, MG_SIDE_ACCESS, &data, GOES(FLOW, FLOW, 3));
	}
}

/* The first that fits, in whatever place; and none behind the last. */
static void test_order(void **state)
{
	struct mg_rule rules[MG_RULES_MAX];
	struct frame f = capable(false, SERVER4);

	(void)state;
	for (size_t i = 0; i < MG_RULES_MAX; i++)
		rules[i] = rule(PORT, GROUP);
	rules[MG_RULES_MAX - 1] = rule(ANY, GROUP_OTHER);
	world_rules(&w, rules, MG_RULES_MAX);
	f.dport = 80;
	assert_int_equal(world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 3)).rule,
			 MG_RULES_MAX);
	f.dport = 443;
	assert_int_equal(world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1)).rule, 1);
	w.gateway.n_rules = MG_RULES_MAX - 1;
	world_gateway(&w);
	f.dport = 81;
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
}

static void test_fallback(void **state)
{
	struct frame f = capable(false, SERVER4);
	struct mg_rule r = rule(ANY, GROUP_OTHER);

	(void)state;
	r.fallback = GROUP;
	world_rules(&w, &r, 1);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 3));
	world_group(&w, GROUP_OTHER, MG_HASH_SUBSCRIBER, false, 0);
	world_ring(&w, GROUP_OTHER, 0, 3);
	f.seq++;
	assert_int_equal(world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1)).group, GROUP);
	/* Nor is anybody of the fallback there: the rule's own group says what becomes of it. */
	world_group(&w, GROUP, MG_HASH_SUBSCRIBER, false, 0);
	world_group(&w, GROUP_OTHER, MG_HASH_SUBSCRIBER, true, 0);
	f.seq++;
	world_expect(&w, MG_SIDE_ACCESS, &f, DROPPED(NO_MEMBER, NO_PROXY, NO_PROXY));
}

static const struct bytes v0 = B(MPC_V0), both = B(MPC_V1, JOIN);

/* Rules select MPTCP, and nothing else. */
static void test_not_selected(void **state)
{
	static const uint8_t md5[] = { 19, 18, 1,  2,  3,  4,  5,  6,	7,   8,	    9,
				       10, 11, 12, 13, 14, 15, 16, NOP, NOP, MPC_V1 };
	static const uint8_t ao[] = {
		29, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, MPC_V1
	};
	const struct mg_rule r = rule(ANY, GROUP_OTHER);
	struct frame f = capable(false, SERVER4);

	(void)state;
	world_rules(&w, &r, 1);
	f.opts = opt_plain;
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	f.opts = (struct bytes){ md5, sizeof(md5) };
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	f.opts = (struct bytes){ ao, sizeof(ao) };
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	f.opts = opt_times;
	f.flags = F_ACK;
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	f.flags = F_SYN;
	f.opts = v0;
	assert_int_equal(steer_run_frame(&w.run, MG_SIDE_ACCESS, &f), XDP_PASS);
	f.opts = both;
	assert_int_equal(steer_run_frame(&w.run, MG_SIDE_ACCESS, &f), XDP_PASS);
}

/* A join to a server: by its token, whether a rule selects it or not, as another access network's
 * rules may have selected its session; if nobody knows the token, only where a rule does. Without
 * any rules, it is nobody's business. */
static void test_join_to_server(void **state)
{
	const struct mg_rule r = rule(ANY, GROUP_OTHER);
	struct mg_rule other = r;
	struct frame f = join(false, SERVER4);
	struct mg_steer_flow flow;
	struct mg_decision d;

	(void)state;
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	world_rules(&w, &r, 1);
	d = world_expect(&w, MG_SIDE_ACCESS, &f, DROPPED(UNKNOWN_JOIN, UNKNOWN_JOIN, UNKNOWN_JOIN));
	assert_int_equal(d.rule, 1);
	w.gateway.unknown_join = MG_UNKNOWN_RING;
	world_gateway(&w);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(UNKNOWN_JOIN, UNKNOWN_JOIN, 3));
	world_rules(&w, NULL, 0);
	world_push(&w, TOKEN, 2, 0);
	f.seq++;
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	other.port = 1;
	world_rules(&w, &other, 1);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(TOKEN_PUSHED, TOKEN_PUSHED, 2));
	assert_true(world_flow(&w, &f, &flow));
	assert_int_equal(flow.flags, MG_FLOW_JOIN | MG_FLOW_INTERCEPT);
}

/* Whoever asks a proxy at its own address, as where it announced that, or this host, means that. */
static void test_no_servers(void **state)
{
	const struct mg_rule r = rule(ANY, GROUP_OTHER);
	struct frame f = capable(false, "10.3.1.11"), j = join(false, "10.3.1.11");
	uint8_t mine[16], one = 1;

	(void)state;
	world_rules(&w, &r, 1);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	world_expect(&w, MG_SIDE_ACCESS, &j, PASSES(NOT_OURS));
	f.dst = j.dst = SERVER4;
	steer_ip(mine, SERVER4);
	steer_put(STEER_MAP(&w.run, mg_mine), mine, &one);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	world_expect(&w, MG_SIDE_ACCESS, &j, PASSES(NOT_OURS));
	world_push(&w, TOKEN, 2, 0);
	world_expect(&w, MG_SIDE_ACCESS, &j, GOES(TOKEN_PUSHED, TOKEN_PUSHED, 2));
}

/* An intercepted SYN that fell back to TCP, as its client got no answer: it is the same session. */
static void test_fallen_back(void **state)
{
	const struct mg_rule r = rule(ANY, GROUP_OTHER);
	struct frame f = capable(false, SERVER4);

	(void)state;
	world_rules(&w, &r, 1);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 3));
	f.opts = opt_plain;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(FLOW, FLOW, 3));
}

static int set_up(void **state)
{
	(void)state;
	return world_open(&w);
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

int main(void)
{
	enum { N = sizeof(owners_rows) / sizeof(owners_rows[0]), M = 10 };
	struct CMUnitTest tests[N + M] = {
		cmocka_unit_test_setup(test_flip, fresh),
		cmocka_unit_test_setup(test_repeated, fresh),
		cmocka_unit_test_setup(test_unknown, fresh),
		cmocka_unit_test_setup(test_rules, fresh),
		cmocka_unit_test_setup(test_order, fresh),
		cmocka_unit_test_setup(test_fallback, fresh),
		cmocka_unit_test_setup(test_not_selected, fresh),
		cmocka_unit_test_setup(test_join_to_server, fresh),
		cmocka_unit_test_setup(test_no_servers, fresh),
		cmocka_unit_test_setup(test_fallen_back, fresh),
	};

	for (size_t i = 0; i < N; i++)
		tests[M + i] = (struct CMUnitTest){
			.name = owners_rows[i].name,
			.test_func = test_owners,
			.initial_state = (void *)&owners_rows[i],
		};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
