// SPDX-License-Identifier: BSD-2-Clause
/*
 * What mg_xdp does with opening SYNs where there are policies: each refusal for each kind of SYN,
 * and each way to refuse it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/bpf.h>

#include "gate_run.h"
#include "rows.h"

#define ANSWERS 4 /* answers_per_s */

/* MP_TCPRST's flags, subtype and reason: RFC 8684 section 3.6 */
#define RST_RESOURCES  0x8102
#define RST_PROHIBITED 0x8003

static struct gate_run r;

/* ---- each refusal, for each kind ------------------------------------------------------------- */

static void serve(struct admit_tables *t)
{
	static const struct mg_port_range any[] = { { 0, 65535, 1 }, { 0 } };

	admit_service(t, PEER4 "/32", any);
	admit_service(t, FAR4 "/32", any);
}

static void third_party(struct admit_tables *t)
{
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 1);
	t->set.access[1].trust = MG_TRUST_THIRD_PARTY;
}

/* Nothing is charged before, so that what stands in the way is what is meant. */
static void stand_in_the_way(struct admit_tables *t, enum mg_refusal refusal)
{
	struct mg_terms *terms = admit_terms(t, 0);

	switch (refusal) {
	case MG_REFUSAL_OVER_SESSIONS:
		terms->sessions = 1;
		break;
	case MG_REFUSAL_OVER_RATE:
		terms->interval_ns = 3600ULL * 1000000000;
		break;
	case MG_REFUSAL_OVER_SUBFLOWS:
		terms->subflows = 1;
		break;
	case MG_REFUSAL_OVER_SESSION_SUBFLOWS:
		terms->subflows_per_session = 1;
		break;
	case MG_REFUSAL_OVER_SERVICE:
		serve(t);
		t->limits[1].sessions = 1;
		break;
	case MG_REFUSAL_OVER_SERVICE_SUBSCRIBER:
		serve(t);
		t->limits[1].sessions_per_subscriber = 1;
		break;
	default:
		break;
	}
	admit_put(&r.admit, t);
	if (refusal == MG_REFUSAL_OVER_PROXY)
		admit_proxy_limit(&r.admit, 1);
	if (refusal != MG_REFUSAL_NO_TOKEN)
		gate_open_session(&r, UE4, PEER4);
}

/* What can only be said once the session is there */
static void stand_in_the_way_now(struct admit_tables *t, enum mg_refusal refusal)
{
	struct mg_terms *terms = admit_terms(t, 0);
	const struct mg_subscriber who = admit_subscriber(UE4);
	uint32_t one = 1;

	if (refusal == MG_REFUSAL_DENIED)
		terms->deny = 1;
	if (refusal == MG_REFUSAL_OVER_HELD) {
		terms->held = 1;
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(r.side[0]->maps.mg_held_subs),
						     &who, &one, BPF_ANY),
				 0);
	}
	if (refusal >= MG_REFUSAL_NO_COOKIE)
		third_party(t);
	t->set.access[1].drop_transit = refusal == MG_REFUSAL_TRANSIT;
	admit_put(&r.admit, t);
}

static struct admit_tables *set_up_refusal(enum mg_refusal refusal, enum mg_refuse how)
{
	struct admit_tables *t = admit_tables();
	struct mg_terms *terms = admit_terms(t, 0);

	gate_run_reset(&r);
	gate_put_cookie_keys(&r);
	terms->refuse = (uint8_t)how;
	terms->refuse_join = how == MG_REFUSE_DROP ? MG_REFUSE_DROP : MG_REFUSE_RESET;
	terms->mode = MG_TERMS_MODE_DEFAULT;
	stand_in_the_way(t, refusal);
	stand_in_the_way_now(t, refusal);
	return t;
}

static uint64_t second_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

/* So many a second go on, and hear of it from the daemon; a second that ends counts for nothing. */
static void expect_answers(const struct frame *f, enum mg_refusal refusal)
{
	uint64_t second;

	do {
		struct mg_subscriber who = admit_subscriber(UE4);

		second = second_now();
		bpf_map_delete_elem(bpf_map__fd(r.admit.skel->maps.mg_rates), &who);
		if (refusal == MG_REFUSAL_OVER_RATE) {
			struct mg_rate rate = { .due_ns = UINT64_MAX / 2 };

			assert_int_equal(
				bpf_map_update_elem(bpf_map__fd(r.admit.skel->maps.mg_rates), &who,
						    &rate, BPF_ANY),
				0);
		}
		for (int i = 0; i < ANSWERS; i++)
			gate_expect_pass(&r, f);
		if (second_now() == second)
			gate_expect_drop(&r, f, refusal);
	} while (second_now() != second);
	gate_expect_drop(&r, f, refusal);
}

/* Which of them stands in the way of which kind; the others know nothing of it. */
static bool concerns(enum gate_syn_kind kind, enum mg_refusal refusal)
{
	switch (refusal) {
	case MG_REFUSAL_DENIED:
	case MG_REFUSAL_OVER_SUBFLOWS:
		return true;
	case MG_REFUSAL_OVER_SESSION_SUBFLOWS:
	case MG_REFUSAL_NO_TOKEN:
		return kind == JOIN_SYN;
	case MG_REFUSAL_OVER_HELD:
	case MG_REFUSAL_TRANSIT:
		return kind == SERVER_SYN;
	case MG_REFUSAL_OVER_SERVICE:
	case MG_REFUSAL_OVER_SERVICE_SUBSCRIBER:
		return kind == CONVERT_SYN || kind == SERVER_SYN;
	case MG_REFUSAL_NO_COOKIE:
	case MG_REFUSAL_BAD_COOKIE:
		return kind == CONVERT_SYN || kind == PLAIN_SYN;
	default:
		return kind != JOIN_SYN;
	}
}

static void expect_server(const struct frame *f, enum mg_refusal refusal, enum mg_refuse how)
{
	if (refusal == MG_REFUSAL_TRANSIT || how == MG_REFUSE_DROP)
		gate_expect_drop(&r, f, refusal);
	else if (how == MG_REFUSE_RESET)
		gate_expect_reset(&r, f, refusal, 0);
	else
		gate_expect_pass(&r, f);
}

static void expect_join(const struct frame *f, enum mg_refusal refusal, enum mg_refuse how)
{
	if (refusal == MG_REFUSAL_NO_TOKEN || how == MG_REFUSE_DROP)
		gate_expect_drop(&r, f, refusal);
	else
		gate_expect_reset(&r, f, refusal,
				  refusal == MG_REFUSAL_DENIED ? RST_PROHIBITED : RST_RESOURCES);
}

/* A message that shows a cookie somebody else was given */
static struct bytes stolen(void)
{
	static uint8_t message[] = { 1, 10, 0x22, 0x63, 0x16, 4, 0, 0, 0, 0,	  0,
				     0, 0,  0,	  0,	0,    0, 0, 0, 0, CONNECT };

	gate_cookie(message + 8, "10.1.0.9", 7);
	return (struct bytes){ message, sizeof(message) };
}

static void one(enum mg_refusal refusal, enum gate_syn_kind kind, enum mg_refuse how)
{
	struct frame f = gate_syn(kind, false);

	set_up_refusal(refusal, how);
	if (refusal == MG_REFUSAL_BAD_COOKIE && kind == PLAIN_SYN)
		return; /* has none to be bad */
	if (refusal == MG_REFUSAL_BAD_COOKIE && kind == CONVERT_SYN)
		f.payload = stolen();
	if (!concerns(kind, refusal)) {
		/* From a third party, SYNs to a converter have to show a cookie whatever else. */
		if (refusal < MG_REFUSAL_NO_COOKIE || kind > PLAIN_SYN)
			gate_expect_pass(&r, &f);
	} else if (kind == SERVER_SYN) {
		expect_server(&f, refusal, how);
	} else if (kind == JOIN_SYN) {
		expect_join(&f, refusal, how);
	} else if (refusal >= MG_REFUSAL_NO_COOKIE) {
		gate_expect_drop(&r, &f, refusal);
	} else {
		expect_answers(&f, refusal);
	}
}

static void test_refusal(void **state)
{
	enum mg_refusal refusal = *(const enum mg_refusal *)*state;

	for (int kind = 0; kind < KINDS; kind++)
		for (int how = 0; how < MG_REFUSE_COUNT; how++)
			one(refusal, (enum gate_syn_kind)kind, (enum mg_refuse)how);
}

/* ---- answers that are right ------------------------------------------------------------------ */

static void denied(void)
{
	set_up_refusal(MG_REFUSAL_DENIED, MG_REFUSE_RESET);
}

static void test_resets(void **state)
{
	const struct frame shapes[] = {
		{ .vlan = { 0x8100 } },
		{ .vlan = { 0x88a8, 0x8100 } },
		{ .ip_opts = B(0x94, 4, 0, 0, 1, 1, 1, 0) },
		{ .vlan = { 0x8100 }, .ip_opts = B(1, 1, 1, 0) },
		{ .pad = 10 },
		{ .payload = B(1, 2, 3, 4, 5, 6, 7) },
		{ .v6 = true },
		{ .v6 = true, .vlan = { 0x88a8, 0x8100 } },
		{ .v6 = true, .payload = B(1, 2, 3, 4, 5, 6, 7) },
		{ .src = "10.1.255.254", .sport = 65535 },
	};

	(void)state;
	denied();
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (int kind = SERVER_SYN; kind <= JOIN_SYN; kind++) {
			struct frame f = shapes[i], of = gate_syn((enum gate_syn_kind)kind, f.v6);

			f.dst = of.dst;
			f.dport = of.dport;
			f.flags = F_SYN;
			f.seq = 0xfffffffe; /* the answer's number wraps */
			f.opts = of.opts;
			gate_expect_reset(&r, &f, MG_REFUSAL_DENIED,
					  kind == JOIN_SYN ? RST_PROHIBITED : 0);
		}
}

/* RFC 1122: nobody answers who is no single host, or was not asked alone. IPv6 extension headers
 * would want their own in the answer. */
static void test_not_answered(void **state)
{
	struct frame f = gate_syn(SERVER_SYN, true);
	uint8_t bytes[FRAME_MAX];
	size_t len;

	(void)state;
	denied();
	f.ext[0] = (struct extension)EXT8(0);
	gate_expect_drop(&r, &f, MG_REFUSAL_DENIED);
	f = gate_syn(SERVER_SYN, false);
	len = frame_build(bytes, &f);
	bytes[0] |= 1;
	assert_int_equal(gate_run_bytes(&r, MG_SIDE_ACCESS, bytes, len)->action, XDP_DROP);
	f = gate_syn(JOIN_SYN, false);
	f.src = "224.0.0.5";
	gate_expect_drop(&r, &f, MG_REFUSAL_DENIED);
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
	static enum mg_refusal refusals[MG_REFUSAL_COUNT];
	static struct CMUnitTest tests[MG_REFUSAL_COUNT + 2] = {
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_not_answered),
	};
	size_t n = 2;

	/* MG_REFUSAL_UNREADABLE: test_gate_unread */
	for (unsigned int i = MG_REFUSAL_DENIED; i < MG_REFUSAL_UNREADABLE; i++) {
		refusals[i] = (enum mg_refusal)i;
		tests[n++] = (struct CMUnitTest){
			.name = mg_refusal_label(i),
			.test_func = test_refusal,
			.initial_state = &refusals[i],
		};
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
