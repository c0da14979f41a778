// SPDX-License-Identifier: BSD-2-Clause
/*
 * Gateways with policies: by whose group sessions are steered, what is refused before a
 * flow is stored, what is asked of that and changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/bpf.h>

#include "admit_run.h"
#include "gate_run.h"
#include "lab.h"
#include "rows.h"
#include "steer_world.h"

#define TOKEN	0xe3881c92
#define POLICY	5
#define ANSWERS 4

static struct world w;
static struct admit_run admit;

static int fresh(void **state)
{
	(void)state;
	world_reset(&w);
	admit_run_reset(&admit);
	return 0;
}

/* All sessions are of policy 5. */
static struct admit_tables *tables(void)
{
	struct admit_tables *t = admit_tables();

	admit_prefix(t, MG_TABLE_CLASS, "10.1.0.0/16", 1);
	admit_cell(t, 1, 0, 0, POLICY);
	admit_cell(t, 1, 0, 1, POLICY);
	admit_terms(t, POLICY)->mode = MG_TERMS_MODE_DEFAULT;
	return t;
}

static struct admit_tables *third_party(void)
{
	struct admit_tables *t = tables();

	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 1);
	t->set.access[1].trust = MG_TRUST_THIRD_PARTY;
	return t;
}

static struct frame to_virtual(void)
{
	return (struct frame){ .dst = VIRTUAL4,
			       .flags = F_SYN,
			       .seq = 1000,
			       .opts = opt_capable,
			       .payload = convert_message };
}

static struct frame to_server(void)
{
	return (struct frame){
		.dst = SERVER4, .dport = 443, .flags = F_SYN, .seq = 1000, .opts = opt_capable
	};
}

static bool has_flow(const struct frame *f)
{
	struct mg_steer_flow flow;

	return world_flow(&w, f, &flow);
}

static enum mg_class class_of(const struct frame *f)
{
	return f->opts.data == opt_capable.data ? MG_CLASS_MP_CAPABLE
	       : f->opts.len == opt_plain.len	? MG_CLASS_SYN
						: MG_CLASS_MP_JOIN;
}

static enum mg_reason reason_of(enum mg_refusal refusal)
{
	return (enum mg_reason)(MG_REASON_DENIED + ((int)refusal - MG_REFUSAL_DENIED));
}

/* Located or not, it is refused; it leaves no flow. `how` other than to pass */
static void expect_refused(const struct frame *f, enum mg_refusal refusal, enum mg_steer_do what,
			   uint16_t tcprst)
{
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	struct mg_decision d = steer_run_locate(&w.run, MG_SIDE_ACCESS, f);
	size_t len = frame_build(frame, f), out_len;
	uint64_t counted = admit_counted(&admit, refusal);
	int action;

	assert_int_equal(d.what, what);
	assert_int_equal(d.why, MG_STEER_REFUSED);
	assert_int_equal(d.reason, reason_of(refusal));
	assert_int_equal(d.refusal, refusal);
	assert_int_equal(d.policy, POLICY);
	steer_run_look(&w.run);
	action = steer_run_bytes(&w.run, MG_SIDE_ACCESS, frame, len, out, &out_len);
	assert_int_equal(action, what == MG_STEER_RESET ? XDP_TX : XDP_DROP);
	if (what == MG_STEER_RESET)
		gate_assert_reset(out, out_len, frame, tcprst);
	steer_run_expect(&w.run, class_of(f),
			 what == MG_STEER_RESET ? MG_VERDICT_ANSWER : MG_VERDICT_DROP,
			 reason_of(refusal));
	assert_int_equal(admit_counted(&admit, refusal), counted + 1);
	assert_false(has_flow(f));
}

/* ---- by whose group -------------------------------------------------------------------------- */

static void test_group_over_virtual(void **state)
{
	struct admit_tables *t = tables();
	struct frame f = to_virtual();
	struct mg_decision d;

	(void)state;
	admit_put(&admit, t);
	d = world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
	assert_int_equal(d.policy, POLICY);
	assert_int_equal(d.group, GROUP);
	t->terms[POLICY].group = GROUP_OTHER;
	admit_put(&admit, t);
	/* What was steered stays where it is. */
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(FLOW, FLOW, 1));
	f.seq++;
	d = world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 3));
	assert_int_equal(d.group, GROUP_OTHER);
	assert_int_equal(d.admitted, 1);
	/* one that is no more */
	t->terms[POLICY].group = 9;
	admit_put(&admit, t);
	f.seq++;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
	f.src = "10.2.0.1"; /* of no such policy */
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
}

static void test_group_selects(void **state)
{
	struct admit_tables *t = tables();
	struct frame f = to_server();
	struct mg_steer_flow flow;
	struct mg_decision d;

	(void)state;
	admit_put(&admit, t);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	t->terms[POLICY].group = GROUP_OTHER;
	admit_put(&admit, t);
	d = world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 3));
	assert_int_equal(d.rule, 0);
	assert_true(world_flow(&w, &f, &flow));
	assert_int_equal(flow.flags, MG_FLOW_CAPABLE | MG_FLOW_INTERCEPT);
	f.opts = opt_plain;
	f.seq++;
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	f = to_server();
	f.dst = "10.3.1.11"; /* a proxy's own address */
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
}

static void test_group_over_rule(void **state)
{
	struct mg_rule rule = { .group = GROUP };
	struct admit_tables *t = tables();
	struct frame f = to_server();
	struct mg_decision d;

	(void)state;
	world_rules(&w, &rule, 1);
	admit_put(&admit, t);
	d = world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
	assert_int_equal(d.rule, 1);
	t->terms[POLICY].group = GROUP_OTHER;
	admit_put(&admit, t);
	f.seq++;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 3));
}

static void test_joins_by_policy(void **state)
{
	struct admit_tables *t = tables();
	struct frame f = to_server();

	(void)state;
	world_push(&w, TOKEN, 2, 0);
	f.opts = opt_join(TOKEN);
	t->terms[POLICY].group = GROUP_OTHER;
	admit_put(&admit, t);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	t->set.steers = 1;
	admit_put(&admit, t);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(TOKEN_PUSHED, TOKEN_PUSHED, 2));
	f.sport = 41000;
	f.opts = opt_join(TOKEN + 1);
	world_expect(&w, MG_SIDE_ACCESS, &f, DROPPED(UNKNOWN_JOIN, UNKNOWN_JOIN, UNKNOWN_JOIN));
	t->terms[POLICY].group = 0; /* another's group is none of this one's */
	admit_put(&admit, t);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
}

/* ---- what is refused ------------------------------------------------------------------------- */

/* A second that ends gives more of them. */
static void test_answers(void **state)
{
	struct admit_tables *t = tables();
	struct frame f = to_virtual();
	int n = 0;

	(void)state;
	t->terms[POLICY].deny = 1;
	admit_put(&admit, t);
	for (int i = 0; i < 3 * ANSWERS; i++) {
		struct mg_decision d = steer_run_locate(&w.run, MG_SIDE_ACCESS, &f);

		assert_int_equal(d.what, MG_STEER_DELIVER);
		assert_int_equal(d.refusal, MG_REFUSAL_DENIED);
		assert_int_equal(d.policy, POLICY);
	}
	for (uint16_t i = 0; i < 3 * ANSWERS; i++) {
		static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
		size_t out_len;
		int action;

		f.sport = (uint16_t)(1000 + i);
		action = steer_run_bytes(&w.run, MG_SIDE_ACCESS, frame, frame_build(frame, &f), out,
					 &out_len);
		assert_int_equal(has_flow(&f), action == XDP_REDIRECT);
		n += action == XDP_REDIRECT;
	}
	assert_true(n == ANSWERS || n == 2 * ANSWERS);
	assert_int_equal(admit_counted(&admit, MG_REFUSAL_DENIED), 3 * ANSWERS - n);
}

static void test_through(void **state)
{
	struct admit_tables *t = tables();
	struct frame f = to_server();

	(void)state;
	t->terms[POLICY].group = GROUP_OTHER;
	t->terms[POLICY].deny = 1;
	admit_put(&admit, t);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(REFUSED));
	assert_false(has_flow(&f));
	assert_int_equal(admit_counted(&admit, MG_REFUSAL_DENIED), 1);
	t->terms[POLICY].refuse = MG_REFUSE_RESET;
	admit_put(&admit, t);
	expect_refused(&f, MG_REFUSAL_DENIED, MG_STEER_RESET, 0);
	t->terms[POLICY].refuse = MG_REFUSE_DROP;
	admit_put(&admit, t);
	expect_refused(&f, MG_REFUSAL_DENIED, MG_STEER_DROP, 0);
}

static void test_repeated(void **state)
{
	struct admit_tables *t = tables();
	struct frame f = to_server();

	(void)state;
	t->terms[POLICY].group = GROUP_OTHER;
	t->terms[POLICY].refuse = MG_REFUSE_DROP;
	admit_put(&admit, t);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 3));
	t->terms[POLICY].deny = 1;
	admit_put(&admit, t);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(FLOW, FLOW, 3));
	f.flags = F_ACK;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(FLOW, FLOW, 3));
}

static void test_cookie(void **state)
{
	static uint8_t message[] = { 1, 10, 0x22, 0x63, 0x16, 4, 0, 0, 0, 0,	  0,
				     0, 0,  0,	  0,	0,    0, 0, 0, 0, CONNECT };
	struct gate_run keys = { .admit = admit };
	struct frame f = to_virtual();

	(void)state;
	gate_put_cookie_keys(&keys);
	admit_put(&admit, third_party());
	expect_refused(&f, MG_REFUSAL_NO_COOKIE, MG_STEER_DROP, 0);
	f.payload = (struct bytes){ message, sizeof(message) };
	gate_cookie(message + 8, UE4, 7);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
	f.sport = 41000;
	gate_cookie(message + 8, UE4, 6);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
	f.sport = 42000;
	gate_cookie(message + 8, "10.1.0.2", 7);
	expect_refused(&f, MG_REFUSAL_BAD_COOKIE, MG_STEER_DROP, 0);
	f.payload.len = 0;
	f.opts = opt_plain;
	expect_refused(&f, MG_REFUSAL_NO_COOKIE, MG_STEER_DROP, 0);
}

/* Sessions of third parties with servers are their own, and pass, or are not wanted at all. */
static void test_transit(void **state)
{
	struct admit_tables *t = third_party();
	struct frame f = to_server();

	(void)state;
	t->terms[POLICY].group = GROUP_OTHER;
	admit_put(&admit, t);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	t->set.access[1].drop_transit = 1;
	admit_put(&admit, t);
	steer_run_look(&w.run);
	assert_int_equal(steer_run_frame(&w.run, MG_SIDE_ACCESS, &f), XDP_DROP);
	steer_run_expect(&w.run, MG_CLASS_MP_CAPABLE, MG_VERDICT_DROP, MG_REASON_TRANSIT);
	f.opts = opt_plain;
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
}

static void test_joins(void **state)
{
	struct admit_tables *t = third_party();
	struct frame f = to_virtual(), g;

	(void)state;
	w.gateway.unknown_join = MG_UNKNOWN_RING;
	world_gateway(&w);
	f.payload.len = 0;
	f.opts = opt_join(TOKEN);
	admit_put(&admit, t);
	expect_refused(&f, MG_REFUSAL_NO_TOKEN, MG_STEER_DROP, 0);
	world_learned(&w, TOKEN, 2, 0);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(TOKEN_LEARNED, TOKEN_LEARNED, 2));
	g = f;
	g.sport = 41000;
	world_push(&w, TOKEN, 3, 0);
	world_expect(&w, MG_SIDE_ACCESS, &g,
		     (struct want){ .what = MG_STEER_DELIVER,
				    .why = MG_STEER_TOKEN_PUSHED,
				    .proxy = 3,
				    .second = 2,
				    .counter = MG_STEER_COUNT_TOKEN_PUSHED });
	/* from a network that is trusted, what nobody knows goes by the ring */
	g.sport = 42000;
	g.opts = opt_join(TOKEN + 1);
	t->set.access[1].trust = MG_TRUST_TRUSTED;
	admit_put(&admit, t);
	world_expect(&w, MG_SIDE_ACCESS, &g, GOES(UNKNOWN_JOIN, UNKNOWN_JOIN, 1));
	t->terms[POLICY].deny = 1;
	t->terms[POLICY].refuse_join = MG_REFUSE_RESET;
	admit_put(&admit, t);
	g.sport = 43000;
	g.opts = opt_join(TOKEN);
	expect_refused(&g, MG_REFUSAL_DENIED, MG_STEER_RESET, 0x8003);
	t->terms[POLICY].refuse_join = MG_REFUSE_DROP;
	admit_put(&admit, t);
	expect_refused(&g, MG_REFUSAL_DENIED, MG_STEER_DROP, 0);
}

/* A gateway that is a proxy as well asks once about what it keeps: else half as many would hear of
 * it. */
static void test_local(void **state)
{
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	struct mg_endpoint virtual = { .port = 5124 };
	struct admit_tables *t = tables();
	struct frame f = to_virtual();
	struct mg_converter c = { 0 };
	int n = 0;

	(void)state;
	steer_ip(virtual.ip, VIRTUAL4);
	steer_put(STEER_MAP(&w.run, mg_converters), &virtual, &c);
	world_ring(&w, GROUP, HERE, 0);
	t->terms[POLICY].deny = 1;
	admit_put(&admit, t);
	for (uint16_t i = 0; i < 3 * ANSWERS; i++) {
		size_t out_len;

		f.sport = (uint16_t)(1000 + i);
		n += steer_run_bytes(&w.run, MG_SIDE_ACCESS, frame, frame_build(frame, &f), out,
				     &out_len) == XDP_PASS;
	}
	assert_true(n == ANSWERS || n == 2 * ANSWERS);
}

static int set_up(void **state)
{
	int err = admit_run_open(&admit);

	(void)state;
	steer_run_from = err ? NULL : admit.skel->obj;
	if (!err)
		err = world_open(&w);
	return err ? err
		   : lab_sh("sysctl -qw net.ipv4.ip_forward=1 && ip route add 10.4.0.0/16 dev px1");
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	admit_run_close(&admit);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_group_over_virtual, fresh),
		cmocka_unit_test_setup(test_group_selects, fresh),
		cmocka_unit_test_setup(test_group_over_rule, fresh),
		cmocka_unit_test_setup(test_joins_by_policy, fresh),
		cmocka_unit_test_setup(test_answers, fresh),
		cmocka_unit_test_setup(test_through, fresh),
		cmocka_unit_test_setup(test_repeated, fresh),
		cmocka_unit_test_setup(test_cookie, fresh),
		cmocka_unit_test_setup(test_transit, fresh),
		cmocka_unit_test_setup(test_joins, fresh),
		cmocka_unit_test_setup(test_local, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
