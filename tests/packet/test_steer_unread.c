// SPDX-License-Identifier: BSD-2-Clause
/*
 * mg_steer and TCP to a virtual address, or a converter's, that cannot be looked into, or lies:
 * from third-party access it is dropped, on a gateway as on what unwraps; otherwise it passes.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/bpf.h>

#include "admit_run.h"
#include "steer_world.h"
#include "unread.h"

#define FAR6 "fd00:4::9"

static struct world w;
static struct admit_run admit;

static int fresh(void **state)
{
	(void)state;
	world_reset(&w);
	admit_run_reset(&admit);
	return 0;
}

static void put(enum mg_trust trust)
{
	struct admit_tables *t = admit_tables();

	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 1);
	admit_prefix(t, MG_TABLE_ACCESS, "fd00:1::/64", 1);
	t->set.access[1].trust = (uint8_t)trust;
	admit_put(&admit, t);
}

static struct frame to(const struct unread *u, const char *v4, const char *v6)
{
	struct frame f = u->frame;

	f.dst = f.v6 ? v6 : v4;
	return f;
}

static enum mg_class class_of(const struct unread *u)
{
	if (u->reason == MG_REASON_TCP_SEGMENT)
		return MG_CLASS_DATA;
	return mg_reason_is_malformed(u->reason) ? MG_CLASS_MALFORMED : MG_CLASS_OTHER;
}

/* Asked first, which counts nothing. */
static void expect_dropped(const struct unread *u, const struct frame *f, enum mg_side side)
{
	uint64_t counted = admit_counted(&admit, MG_REFUSAL_UNREADABLE);

	/* mg_locate is given one buffer. */
	if (u->reason != MG_REASON_NOT_LINEAR) {
		const struct mg_decision d = steer_run_locate(&w.run, side, f);

		assert_int_equal(d.what, MG_STEER_DROP);
		assert_int_equal(d.why, MG_STEER_REFUSED);
		assert_int_equal(d.refusal, MG_REFUSAL_UNREADABLE);
		assert_int_equal(admit_counted(&admit, MG_REFUSAL_UNREADABLE), counted);
	}
	steer_run_look(&w.run);
	assert_int_equal(steer_run_frame(&w.run, side, f), XDP_DROP);
	steer_run_expect(&w.run, class_of(u), MG_VERDICT_DROP, MG_REASON_UNREADABLE);
	assert_int_equal(admit_counted(&admit, MG_REFUSAL_UNREADABLE), counted + 1);
}

static void expect_left(const struct unread *u, const struct frame *f)
{
	steer_run_look(&w.run);
	assert_int_equal(steer_run_frame(&w.run, MG_SIDE_ACCESS, f), XDP_PASS);
	steer_run_expect(&w.run, class_of(u), MG_VERDICT_PASS, u->reason);
}

static void put_converter(void)
{
	struct mg_endpoint ep = { .port = 0 };
	struct mg_converter c = { 0 };

	steer_ip(ep.ip, "10.3.0.2");
	steer_put(STEER_MAP(&w.run, mg_converters), &ep, &c);
	steer_ip(ep.ip, "fd00:3::2");
	steer_put(STEER_MAP(&w.run, mg_converters), &ep, &c);
}

static void test_virtual(void **state)
{
	(void)state;
	put(MG_TRUST_THIRD_PARTY);
	for (size_t i = 0; i < n_unread; i++) {
		const struct frame f = to(&unread[i], VIRTUAL4, VIRTUAL6);

		expect_dropped(&unread[i], &f, MG_SIDE_ACCESS);
		expect_dropped(&unread[i], &f, MG_SIDE_CORE);
	}
}

/* A host that only unwraps */
static void test_converter(void **state)
{
	(void)state;
	put(MG_TRUST_THIRD_PARTY);
	put_converter();
	w.gateway.steers = 0;
	world_gateway(&w);
	for (size_t i = 0; i < n_unread; i++) {
		const struct frame f = to(&unread[i], "10.3.0.2", "fd00:3::2");

		expect_dropped(&unread[i], &f, MG_SIDE_ACCESS);
	}
}

static void test_left_alone(void **state)
{
	(void)state;
	put_converter();
	for (size_t i = 0; i < n_unread; i++) {
		struct frame f = to(&unread[i], VIRTUAL4, VIRTUAL6);

		/* Without policies, and from who is trusted, what lies is nobody's. */
		admit_run_reset(&admit);
		expect_left(&unread[i], &f);
		put(MG_TRUST_TRUSTED);
		expect_left(&unread[i], &f);
		put(MG_TRUST_THIRD_PARTY);
		f = to(&unread[i], SERVER4, FAR6);
		expect_left(&unread[i], &f);
	}
}

static void test_not_tcp(void **state)
{
	(void)state;
	put(MG_TRUST_THIRD_PARTY);
	put_converter();
	for (size_t i = 0; i < n_unread_others; i++) {
		const struct frame f = to(&unread_others[i], "10.3.0.2", "fd00:3::2");

		expect_left(&unread_others[i], &f);
	}
}

/* Whose flow it pretends to be goes on. */
static void test_flow_stays(void **state)
{
	struct frame f = { .dst = VIRTUAL4, .flags = F_SYN, .seq = 7, .opts = opt_capable };
	const struct unread *bad = &unread[0];
	struct mg_steer_flow flow;
	struct frame forged;

	(void)state;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
	put(MG_TRUST_THIRD_PARTY);
	forged = to(bad, VIRTUAL4, VIRTUAL6);
	expect_dropped(bad, &forged, MG_SIDE_ACCESS);
	assert_true(world_flow(&w, &f, &flow));
}

static int set_up(void **state)
{
	int err = admit_run_open(&admit);

	(void)state;
	steer_run_from = err ? NULL : admit.skel->obj;
	return err ? err : world_open(&w);
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
		cmocka_unit_test_setup(test_virtual, fresh),
		cmocka_unit_test_setup(test_converter, fresh),
		cmocka_unit_test_setup(test_left_alone, fresh),
		cmocka_unit_test_setup(test_not_tcp, fresh),
		cmocka_unit_test_setup(test_flow_stays, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
