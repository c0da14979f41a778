// SPDX-License-Identifier: BSD-2-Clause
/*
 * mg_xdp and TCP to a converter that cannot be looked into, or lies: from third-party access it is
 * dropped, from anywhere else, or to anybody else, it is the kernel's, as without policies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/bpf.h>

#include "gate_run.h"
#include "rows.h"
#include "unread.h"

static struct gate_run r;

static struct admit_tables *tables(enum mg_trust trust)
{
	struct admit_tables *t = admit_tables();

	gate_run_reset(&r);
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 1);
	admit_prefix(t, MG_TABLE_ACCESS, "fd00:1::/64", 1);
	t->set.access[1].trust = (uint8_t)trust;
	return t;
}

static void third_party(void)
{
	admit_put(&r.admit, tables(MG_TRUST_THIRD_PARTY));
}

static struct frame to(const struct unread *u, const char *v4, const char *v6)
{
	struct frame f = u->frame;

	f.dst = f.v6 ? v6 : v4;
	return f;
}

/* It passes, and counts as what it is. */
static void expect_left(const struct unread *u, const struct frame *f)
{
	const struct gate_said *said = gate_run_frame(&r, MG_SIDE_ACCESS, f);

	assert_int_equal(said->action, XDP_PASS);
	assert_int_equal(said->verdict, MG_VERDICT_PASS);
	assert_string_equal(mg_reason_label((unsigned int)said->reason),
			    mg_reason_label(u->reason));
}

static void test_dropped(void **state)
{
	(void)state;
	third_party();
	for (size_t i = 0; i < n_unread; i++) {
		struct frame f = to(&unread[i], CONVERTER4, CONVERTER6);

		gate_expect_drop(&r, &f, MG_REFUSAL_UNREADABLE);
		/* another port of that address: of a later fragment nobody knows which */
		f.dport = 22;
		gate_expect_drop(&r, &f, MG_REFUSAL_UNREADABLE);
	}
}

/* Addresses for joins only are addresses of ours. */
static void test_dropped_signal(void **state)
{
	(void)state;
	third_party();
	for (size_t i = 0; i < n_unread; i++) {
		struct frame f = to(&unread[i], SIGNAL4, SIGNAL6);

		gate_expect_drop(&r, &f, MG_REFUSAL_UNREADABLE);
	}
	admit_put(&r.admit, tables(MG_TRUST_TRUSTED));
	for (size_t i = 0; i < n_unread; i++) {
		struct frame f = to(&unread[i], SIGNAL4, SIGNAL6);

		expect_left(&unread[i], &f);
	}
}

/* On the core's side as well: SYNs to a converter are refused there too. */
static void test_dropped_core(void **state)
{
	(void)state;
	third_party();
	for (size_t i = 0; i < n_unread; i++) {
		const struct frame f = to(&unread[i], CONVERTER4, CONVERTER6);
		const struct gate_said *said = gate_run_frame(&r, MG_SIDE_CORE, &f);

		assert_int_equal(said->action, XDP_DROP);
		assert_int_equal(said->reason, MG_REASON_UNREADABLE);
	}
}

static void test_class_stays(void **state)
{
	(void)state;
	third_party();
	for (size_t i = 0; i < n_unread; i++) {
		const struct frame f = to(&unread[i], CONVERTER4, CONVERTER6);

		assert_int_equal(gate_run_frame(&r, MG_SIDE_ACCESS, &f)->class,
				 mg_reason_is_malformed(unread[i].reason) ? MG_CLASS_MALFORMED
									  : MG_CLASS_OTHER);
	}
}

static void test_trusted(void **state)
{
	(void)state;
	admit_put(&r.admit, tables(MG_TRUST_TRUSTED));
	for (size_t i = 0; i < n_unread; i++) {
		const struct frame f = to(&unread[i], CONVERTER4, CONVERTER6);

		expect_left(&unread[i], &f);
	}
}

static void test_without_policies(void **state)
{
	(void)state;
	gate_run_reset(&r);
	for (size_t i = 0; i < n_unread; i++) {
		const struct frame f = to(&unread[i], CONVERTER4, CONVERTER6);

		expect_left(&unread[i], &f);
	}
}

static void test_to_others(void **state)
{
	(void)state;
	third_party();
	for (size_t i = 0; i < n_unread; i++) {
		const struct frame f = to(&unread[i], FAR4, FAR6);

		expect_left(&unread[i], &f);
	}
}

static void test_not_tcp(void **state)
{
	(void)state;
	third_party();
	for (size_t i = 0; i < n_unread_others; i++) {
		const struct frame f = to(&unread_others[i], CONVERTER4, CONVERTER6);

		expect_left(&unread_others[i], &f);
	}
}

/* The kernel takes off any number of priority tags. */
static void test_tags(void **state)
{
	static uint8_t frame[FRAME_MAX];
	const struct gate_said *said;
	size_t len;

	(void)state;
	third_party();
	for (size_t tags = 3; tags <= 300; tags += 99)
		for (int v6 = 0; v6 < 2; v6++) {
			struct frame f = gate_syn(CONVERT_SYN, v6);

			len = unread_tagged(frame, &f, tags);
			said = gate_run_bytes(&r, MG_SIDE_ACCESS, frame, len);
			assert_int_equal(said->action, XDP_DROP);
			assert_int_equal(said->reason, MG_REASON_UNREADABLE);
			f.dst = v6 ? FAR6 : FAR4;
			len = unread_tagged(frame, &f, tags);
			said = gate_run_bytes(&r, MG_SIDE_ACCESS, frame, len);
			assert_int_equal(said->action, XDP_PASS);
			assert_int_equal(said->reason, MG_REASON_VLAN_DEPTH);
		}
	/* nothing but tags, to the end of the frame */
	len = unread_tagged(frame, &(struct frame){ .flags = F_SYN }, 300);
	said = gate_run_bytes(&r, MG_SIDE_ACCESS, frame, 14 + 299 * 4);
	assert_int_equal(said->action, XDP_PASS);
	assert_true(len > 14 + 300 * 4);
}

/* Port 0 is how the map names the address alone; it is no converter's port. */
static void test_port_0(void **state)
{
	static uint8_t frame[FRAME_MAX];
	struct frame f = gate_syn(CONVERT_SYN, false);
	const struct gate_said *said;
	size_t len;

	(void)state;
	gate_run_reset(&r);
	len = frame_build(frame, &f);
	frame[36] = frame[37] = 0;
	said = gate_run_bytes(&r, MG_SIDE_ACCESS, frame, len);
	assert_int_equal(said->action, XDP_PASS);
	assert_int_equal(said->class, MG_CLASS_MP_CAPABLE);
}

static int set_up(void **state)
{
	(void)state;
	return gate_run_open(&r);
}

static int tear_down(void **state)
{
	(void)state;
	gate_run_close(&r);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dropped),	       cmocka_unit_test(test_dropped_core),
		cmocka_unit_test(test_dropped_signal), cmocka_unit_test(test_class_stays),
		cmocka_unit_test(test_trusted),	       cmocka_unit_test(test_without_policies),
		cmocka_unit_test(test_to_others),      cmocka_unit_test(test_not_tcp),
		cmocka_unit_test(test_tags),	       cmocka_unit_test(test_port_0),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
