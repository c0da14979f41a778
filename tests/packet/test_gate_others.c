// SPDX-License-Identifier: BSD-2-Clause
/*
 * What mg_xdp leaves alone where there are policies; and joins, which it charges.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/bpf.h>

#include "gate_run.h"
#include "rows.h"

#define RST_RESOURCES 0x8102 /* MP_TCPRST's flags, subtype and reason: RFC 8684 section 3.6 */

#define BYTES(array) ((struct bytes){ (array), sizeof(array) })

static struct gate_run r;

static const uint8_t plain_bytes[] = { LINUX_SYN };
static const uint8_t strange_bytes[] = { JOIN };

static struct admit_tables *tables(void)
{
	struct admit_tables *t = admit_tables();

	gate_run_reset(&r);
	t->terms[0].mode = MG_TERMS_MODE_DEFAULT;
	t->terms[0].refuse = MG_REFUSE_RESET;
	t->terms[0].refuse_join = MG_REFUSE_RESET;
	return t;
}

static void denied(void)
{
	struct admit_tables *t = tables();

	admit_put(&r.admit, t);
	gate_open_session(&r, UE4, PEER4);
	t->terms[0].deny = 1;
	admit_put(&r.admit, t);
}

static struct admit_tables *over_sessions(void)
{
	struct admit_tables *t = tables();

	t->terms[0].sessions = 1;
	admit_put(&r.admit, t);
	gate_open_session(&r, UE4, PEER4);
	return t;
}

/* ---- who is left alone ----------------------------------------------------------------------- */

static void test_not_ours(void **state)
{
	struct frame f = gate_syn(SERVER_SYN, false);

	(void)state;
	denied();
	/* no MPTCP; an address of this host; behind the SYN */
	f.opts = BYTES(plain_bytes);
	gate_expect_pass(&r, &f);
	f = gate_syn(SERVER_SYN, false);
	f.dst = CONVERTER4;
	gate_expect_pass(&r, &f);
	f = gate_syn(SERVER_SYN, false);
	f.flags = F_ACK;
	gate_expect_pass(&r, &f);
	/* A join of no session of ours, in passing */
	f = gate_syn(JOIN_SYN, false);
	f.dst = FAR4;
	f.opts = BYTES(strange_bytes);
	gate_expect_pass(&r, &f);
	/* Nothing is intercepted, or nobody is there to do it. */
	f = gate_syn(SERVER_SYN, false);
	gate_run_want(&r, MG_MODE_TRANSPARENT);
	gate_expect_reset(&r, &f, MG_REFUSAL_DENIED, 0); /* as `deny` is the mode */
	gate_run_reset(&r);
	gate_expect_pass(&r, &f);
}

static void test_modes(void **state)
{
	struct frame f = gate_syn(SERVER_SYN, false);
	struct admit_tables *t = over_sessions();
	const struct mg_endpoint server = admit_ep(FAR4, 443);
	struct mg_server known = { .expires_ns = UINT64_MAX, .mptcp = 1 };
	uint64_t none = 0;
	uint32_t word = 443 / 64, zero = 0;

	(void)state;
	gate_run_want(&r, MG_MODE_TRANSPARENT);
	gate_expect_pass(&r, &f);
	gate_run_want(&r, MG_MODE_HYBRID);
	gate_expect_reset(&r, &f, MG_REFUSAL_OVER_SESSIONS, 0);
	/* A server that speaks MPTCP has its sessions to itself, but for those taken over anyway.
	 */
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(r.side[0]->maps.mg_servers), &server,
					     &known, BPF_ANY),
			 0);
	gate_expect_pass(&r, &f);
	admit_terms(t, 0)->mode = MG_MODE_TAKE_OVER;
	admit_put(&r.admit, t);
	gate_expect_reset(&r, &f, MG_REFUSAL_OVER_SESSIONS, 0);
	/* a port that is not intercepted; a daemon that is dead */
	bpf_map_update_elem(bpf_map__fd(r.side[0]->maps.mg_ports), &word, &none, BPF_ANY);
	gate_expect_pass(&r, &f);
	gate_run_want(&r, MG_MODE_TAKE_OVER);
	gate_expect_reset(&r, &f, MG_REFUSAL_OVER_SESSIONS, 0);
	bpf_map_update_elem(bpf_map__fd(r.side[0]->maps.mg_beats), &zero, &none, BPF_ANY);
	gate_expect_pass(&r, &f);
}

/* On core interfaces: what goes to a converter, and joins of our sessions, but no server's own. */
static void test_core(void **state)
{
	struct frame f = gate_syn(SERVER_SYN, false);

	(void)state;
	denied();
	f.dst = "10.3.0.9";
	assert_int_equal(gate_run_frame(&r, MG_SIDE_CORE, &f)->action, XDP_PASS);
	f = gate_syn(JOIN_SYN, false);
	assert_int_equal(gate_run_frame(&r, MG_SIDE_CORE, &f)->action, XDP_TX);
}

/* The SYN of a session that is being made, once more: the session itself is in its way by then. */
static void test_repeated_session(void **state)
{
	struct frame f = gate_syn(SERVER_SYN, false);
	struct mg_tuple tuple = { .client = admit_ep(UE4, 40000), .server = admit_ep(FAR4, 443) };
	struct mg_hold hold = { .isn = GATE_ISN };
	struct mg_passed passed = { .isn = GATE_ISN };
	int held = bpf_map__fd(r.side[0]->maps.mg_held);

	(void)state;
	over_sessions();
	gate_expect_reset(&r, &f, MG_REFUSAL_OVER_SESSIONS, 0);
	assert_int_equal(bpf_map_update_elem(held, &tuple, &hold, BPF_ANY), 0);
	gate_expect_pass(&r, &f);
	f.seq++;
	gate_expect_reset(&r, &f, MG_REFUSAL_OVER_SESSIONS, 0);
	f.seq--;
	assert_int_equal(bpf_map_delete_elem(held, &tuple), 0);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(r.side[0]->maps.mg_passed), &tuple,
					     &passed, BPF_ANY),
			 0);
	gate_expect_pass(&r, &f);
}

/* ---- joins ----------------------------------------------------------------------------------- */

static void test_joins_charge_once(void **state)
{
	const struct mg_subscriber who = admit_subscriber(UE4);
	struct admit_tables *t = tables();
	struct frame f = gate_syn(JOIN_SYN, false);

	(void)state;
	admit_terms(t, 0)->subflows_per_session = 3;
	admit_put(&r.admit, t);
	gate_open_session(&r, UE4, PEER4);
	for (int i = 0; i < 3; i++) {
		gate_expect_pass(&r, &f);
		assert_int_equal(admit_account(&r.admit, &who).subflows, 2);
	}
	f.sport = 40001;
	gate_expect_pass(&r, &f);
	assert_int_equal(admit_account(&r.admit, &who).subflows, 3);
	f.sport = 40002;
	gate_expect_reset(&r, &f, MG_REFUSAL_OVER_SESSION_SUBFLOWS, RST_RESOURCES);
	/* from another address too, as it is the session's own */
	f.src = "10.1.0.2";
	assert_int_equal(gate_run_frame(&r, MG_SIDE_ACCESS, &f)->action, XDP_TX);
	assert_int_equal(admit_account(&r.admit, &who).subflows, 3);
	assert_int_equal(admit_part(&r.admit, UE4, 40001), 0);
	gate_expect_pass(&r, &f);
}

/* Third parties: a token that is known is enough, a strange one is dropped if it is for us. */
static void test_strangers(void **state)
{
	struct frame f = gate_syn(JOIN_SYN, false);
	struct admit_tables *t;

	(void)state;
	t = tables();
	admit_put(&r.admit, t);
	gate_open_session(&r, UE4, PEER4);
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 1);
	t->set.access[1].trust = MG_TRUST_THIRD_PARTY;
	admit_put(&r.admit, t);
	gate_expect_pass(&r, &f);
	f.opts = BYTES(strange_bytes);
	gate_expect_drop(&r, &f, MG_REFUSAL_NO_TOKEN);
	f.dst = "10.3.1.2"; /* this host's other address */
	gate_expect_drop(&r, &f, MG_REFUSAL_NO_TOKEN);
	f.dst = FAR4;
	gate_expect_pass(&r, &f);
	t->set.access[1].drop_transit = 1;
	admit_put(&r.admit, t);
	gate_expect_drop(&r, &f, MG_REFUSAL_TRANSIT);
	assert_int_equal(gate_run_frame(&r, MG_SIDE_CORE, &f)->action, XDP_PASS);
	/* from a network that is trusted they go on, to be refused by the kernel */
	f = gate_syn(JOIN_SYN, false);
	f.opts = BYTES(strange_bytes);
	f.src = "10.2.0.1";
	gate_expect_pass(&r, &f);
}

/* ---- addresses for joins only ---------------------------------------------------------------- */

static struct frame to_signal(struct frame f)
{
	f.dst = f.v6 ? SIGNAL6 : SIGNAL4;
	f.dport = 5125;
	return f;
}

static void trust(enum mg_trust trust)
{
	struct admit_tables *t = tables();

	admit_put(&r.admit, t);
	gate_open_session(&r, UE4, PEER4);
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 1);
	admit_prefix(t, MG_TABLE_ACCESS, "fd00:1::/64", 1);
	t->set.access[1].trust = (uint8_t)trust;
	admit_put(&r.admit, t);
}

/* SYNs that are no joins, the last as MP_CAPABLE and MP_JOIN do away with each other */
static const struct bytes no_joins[] = { { 0 }, B(LINUX_SYN), B(MPC_V1), B(MPC_V1, JOIN) };

static void test_signal_third_party(void **state)
{
	struct frame f;

	(void)state;
	trust(MG_TRUST_THIRD_PARTY);
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < sizeof(no_joins) / sizeof(no_joins[0]); i++) {
			f = to_signal(gate_syn(i % 2 ? CONVERT_SYN : PLAIN_SYN, v6));
			f.opts = no_joins[i];
			gate_expect_drop(&r, &f, MG_REFUSAL_NO_COOKIE);
			/* wherever it comes in */
			assert_int_equal(gate_run_frame(&r, MG_SIDE_CORE, &f)->action, XDP_DROP);
			/* another port of that address is none of ours */
			f.dport = 5124;
			gate_expect_pass(&r, &f);
		}
	f = to_signal(gate_syn(JOIN_SYN, false));
	gate_expect_pass(&r, &f);
	f.opts = BYTES(strange_bytes);
	gate_expect_drop(&r, &f, MG_REFUSAL_NO_TOKEN);
}

/* It is no converter: the message says nothing there. */
static void test_signal_trusted(void **state)
{
	(void)state;
	for (int policies = 0; policies < 2; policies++) {
		if (policies)
			trust(MG_TRUST_TRUSTED);
		else
			gate_run_reset(&r);
		for (int v6 = 0; v6 < 2; v6++)
			for (size_t i = 0; i < sizeof(no_joins) / sizeof(no_joins[0]); i++) {
				struct frame f = to_signal(gate_syn(CONVERT_SYN, v6));

				f.opts = no_joins[i];
				gate_expect_pass(&r, &f);
				assert_int_not_equal(gate_run_frame(&r, MG_SIDE_ACCESS, &f)->class,
						     MG_CLASS_CONVERT);
			}
	}
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
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_core),
		cmocka_unit_test(test_repeated_session),
		cmocka_unit_test(test_joins_charge_once),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_signal_third_party),
		cmocka_unit_test(test_signal_trusted),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
