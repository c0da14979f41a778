// SPDX-License-Identifier: BSD-2-Clause
/*
 * Proxies with policies: what comes out of the tunnels of gateways is admitted here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/bpf.h>

#include "admit_run.h"
#include "gate_run.h"
#include "steer_world.h"
#include "wrap.h"

#define TOKEN  0xe3881c92
#define POLICY 5

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

static struct frame to_virtual(void)
{
	return (struct frame){ .dst = VIRTUAL4,
			       .flags = F_SYN,
			       .seq = 1000,
			       .opts = opt_capable,
			       .payload = convert_message };
}

static bool has_flow(const struct frame *f)
{
	struct mg_steer_flow flow;

	return world_flow(&w, f, &flow);
}

static int in_tunnel(const struct frame *f, uint8_t *out, size_t *out_len)
{
	static uint8_t frame[FRAME_MAX];
	size_t len = wrap_frame(frame, frame_build(frame, f), "10.3.1.5", "10.3.1.2");

	steer_run_look(&w.run);
	return steer_run_bytes(&w.run, MG_SIDE_CORE, frame, len, out, out_len);
}

static void be_proxy(void)
{
	struct mg_peer_key peer = { .bits = 128 };
	struct mg_gateway g = { .learn = 1, .learn_per_second = 1000, .self = HERE };
	struct mg_endpoint virtual = { .port = 5124 };
	struct mg_converter c = { 0 };
	uint8_t mine[16], one = 1;

	steer_ip(mine, "10.3.1.2");
	steer_ip(peer.ip, "10.3.1.5");
	steer_ip(virtual.ip, VIRTUAL4);
	steer_put(STEER_MAP(&w.run, mg_mine), mine, &one);
	steer_put(STEER_MAP(&w.run, mg_peers), &peer, &one);
	steer_put(STEER_MAP(&w.run, mg_converters), &virtual, &c);
	steer_put_gateway(&w.run, &g);
}

static void test_unwrapped(void **state)
{
	static uint8_t out[FRAME_MAX];
	struct admit_tables *t = tables();
	struct frame f = to_virtual();
	uint8_t frame[FRAME_MAX];
	size_t out_len;

	(void)state;
	be_proxy();
	admit_put(&admit, t);
	assert_int_equal(in_tunnel(&f, out, &out_len), XDP_PASS);
	steer_run_expect(&w.run, MG_CLASS_CONVERT, MG_VERDICT_PASS, MG_REASON_CONVERT_SYN);
	assert_true(has_flow(&f));
	f.sport = 41000;
	t->terms[POLICY].deny = 1;
	t->terms[POLICY].refuse_join = MG_REFUSE_RESET;
	t->set.answers_per_s = 0;
	admit_put(&admit, t);
	assert_int_equal(in_tunnel(&f, out, &out_len), XDP_DROP);
	steer_run_expect(&w.run, MG_CLASS_CONVERT, MG_VERDICT_DROP, MG_REASON_DENIED);
	assert_false(has_flow(&f));
	/* a join: the answer goes back without the tunnel */
	f.payload.len = 0;
	f.opts = opt_join(TOKEN);
	assert_int_equal(in_tunnel(&f, out, &out_len), XDP_TX);
	frame_build(frame, &f);
	gate_assert_reset(out, out_len, frame, 0x8003);
	steer_run_expect(&w.run, MG_CLASS_MP_JOIN, MG_VERDICT_ANSWER, MG_REASON_DENIED);
}

/* Its sessions' joins are charged here, and once. */
static void test_unwrapped_joins(void **state)
{
	const struct mg_subscriber who = admit_subscriber(UE4);
	static uint8_t out[FRAME_MAX];
	struct admit_tables *t = tables();
	struct mg_admit ask = { 0 };
	struct frame f = to_virtual();
	size_t out_len;

	(void)state;
	be_proxy();
	t->terms[POLICY].subflows_per_session = 2;
	t->terms[POLICY].refuse_join = MG_REFUSE_DROP;
	admit_put(&admit, t);
	assert_int_equal(admit_open(&admit, &ask, UE4, SERVER4), MG_ADMITTED);
	assert_int_equal(admit_token(&admit, &ask, TOKEN), 0);
	f.payload.len = 0;
	f.opts = opt_join(TOKEN);
	f.sport = 41000;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(in_tunnel(&f, out, &out_len), XDP_PASS);
		assert_int_equal(admit_account(&admit, &who).subflows, 2);
	}
	f.sport++;
	assert_int_equal(in_tunnel(&f, out, &out_len), XDP_DROP);
	steer_run_expect(&w.run, MG_CLASS_MP_JOIN, MG_VERDICT_DROP,
			 MG_REASON_OVER_SESSION_SUBFLOWS);
	/* Asked where it would go, nothing is charged. */
	t->terms[POLICY].subflows_per_session = 0;
	admit_put(&admit, t);
	fresh(NULL);
	admit_put(&admit, t);
	assert_int_equal(admit_open(&admit, &ask, UE4, SERVER4), MG_ADMITTED);
	assert_int_equal(admit_token(&admit, &ask, TOKEN), 0);
	world_push(&w, TOKEN, HERE, 0);
	steer_run_locate(&w.run, MG_SIDE_ACCESS, &f);
	assert_int_equal(admit_account(&admit, &who).subflows, 1);
	assert_int_equal(steer_run_frame(&w.run, MG_SIDE_ACCESS, &f), XDP_PASS);
	assert_int_equal(admit_account(&admit, &who).subflows, 2);
}

static int set_up(void **state)
{
	int err = admit_run_open(&admit);

	(void)state;
	steer_run_from = err ? NULL : admit.skel->obj;
	if (!err)
		err = world_open(&w);
	return err;
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
		cmocka_unit_test_setup(test_unwrapped, fresh),
		cmocka_unit_test_setup(test_unwrapped_joins, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
