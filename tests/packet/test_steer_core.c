// SPDX-License-Identifier: BSD-2-Clause
/*
 * What comes in on a core interface: from proxies, it passes, and teaches whose sessions towards
 * servers are whose; from servers, it follows those. ICMP errors follow the flow they are about,
 * wherever they come in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rows.h"
#include "steer_world.h"

#define ISN 4000

static struct world w;

static int fresh(void **state)
{
	(void)state;
	world_reset(&w);
	return 0;
}

/* From the client to the server: as the client sends it, or a proxy in its name */
static struct frame up(bool v6, uint8_t flags)
{
	return (struct frame){
		.v6 = v6,
		.dst = v6 ? SERVER6 : SERVER4,
		.dport = 80,
		.flags = flags,
		.seq = ISN,
		.opts = opt_plain,
	};
}

/* …and back */
static struct frame down(const struct frame *f, uint8_t flags)
{
	return (struct frame){
		.v6 = f->v6,
		.src = f->dst,
		.dst = f->src  ? f->src
		       : f->v6 ? UE6
			       : UE4,
		.sport = f->dport ? f->dport : 5124,
		.dport = 40000,
		.flags = flags,
		.seq = 9,
		.ack = f->seq + 1,
		.opts = opt_times,
	};
}

static void put_flow(const struct frame *f, uint16_t proxy, uint8_t flags)
{
	const struct mg_steer_flow flow = { .proxy = proxy, .flags = flags, .isn = ISN };
	const struct mg_tuple tuple = steer_tuple(f);

	steer_put_flow(&w.run, &tuple, &flow);
}

static void assert_flow(const struct frame *f, uint16_t proxy, uint8_t flags, uint32_t isn)
{
	struct mg_steer_flow flow;

	assert_true(world_flow(&w, f, &flow));
	assert_int_equal(flow.proxy, proxy);
	assert_int_equal(flow.second, 0);
	assert_int_equal(flow.flags, flags);
	assert_int_equal(flow.isn, isn);
}

/* ---- downlink -------------------------------------------------------------------------------- */

static void test_downlink(void **state)
{
	static const struct {
		uint8_t flags;
		bool steered;
	} kinds[] = {
		{ MG_FLOW_INTERCEPT | MG_FLOW_CAPABLE, true },
		{ MG_FLOW_INTERCEPT | MG_FLOW_JOIN, true },
		{ MG_FLOW_UPSTREAM, true },
		{ MG_FLOW_UPSTREAM | MG_FLOW_INTERCEPT, true },
		{ 0, false },
		{ MG_FLOW_CAPABLE, false },
		{ MG_FLOW_JOIN, false },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct frame f = up(i % 2, F_SYN), back = down(&f, F_ACK);
		struct want want =
			kinds[i / 2].steered ? GOES(DOWNLINK, DOWNLINK, 2) : PASSES(NOT_OURS);

		world_reset(&w);
		put_flow(&f, 2, kinds[i / 2].flags);
		world_expect(&w, MG_SIDE_CORE, &back, want);
		back.flags = F_RST;
		world_expect(&w, MG_SIDE_CORE, &back, want);
		back.flags = F_SYN | F_ACK;
		world_expect(&w, MG_SIDE_CORE, &back, want);
		/* A server does not open a connection that is there already. */
		back.flags = F_SYN;
		world_expect(&w, MG_SIDE_CORE, &back, PASSES(NOT_OURS));
		/* One that the proxy sends is never steered back to it. */
		world_neighbour(&w, 2);
		back.flags = F_ACK;
		world_expect(&w, MG_SIDE_CORE, &back, PASSES(FROM_PROXY));
		world_neighbour(&w, 0);
		world_expect(&w, MG_SIDE_CORE, &back, PASSES(FROM_PROXY));
	}
}

/* Two may have the session: both are asked. A proxy that is no more is not. */
static void test_downlink_second(void **state)
{
	struct frame f = up(false, F_SYN), back = down(&f, F_ACK);
	struct want want = GOES(DOWNLINK, DOWNLINK, 2);
	const struct mg_tuple tuple = steer_tuple(&f);
	struct mg_steer_flow flow = { .proxy = 2, .second = 3, .flags = MG_FLOW_INTERCEPT };

	(void)state;
	steer_put_flow(&w.run, &tuple, &flow);
	want.second = 3;
	world_expect(&w, MG_SIDE_CORE, &back, want);
	flow.proxy = 77;
	steer_put_flow(&w.run, &tuple, &flow);
	world_expect(&w, MG_SIDE_CORE, &back, PASSES(NOT_OURS));
}

/* ---- what proxies send ----------------------------------------------------------------------- */

static void upstream(bool v6)
{
	struct frame f = up(v6, F_SYN), back = down(&f, F_SYN | F_ACK);

	world_neighbour(&w, 2);
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(FROM_PROXY));
	assert_flow(&f, 2, MG_FLOW_UPSTREAM, ISN);
	/* From the server's side, which is another neighbour. */
	steer_run_reset(&w.run);
	world_reset(&w);
	put_flow(&f, 2, MG_FLOW_UPSTREAM);
	world_expect(&w, MG_SIDE_CORE, &back, GOES(DOWNLINK, DOWNLINK, 2));
	/* The client does not follow it: that is not its connection. */
	f.flags = F_ACK;
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	f.flags = F_SYN;
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	assert_flow(&f, 2, MG_FLOW_UPSTREAM, ISN);
}

static void test_upstream(void **state)
{
	(void)state;
	upstream(false);
	world_reset(&w);
	upstream(true);
}

static void test_upstream_not(void **state)
{
	struct frame f = up(false, F_SYN);
	struct mg_steer_flow flow;

	(void)state;
	/* whose, nobody can say */
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(NOT_OURS));
	world_neighbour(&w, 0);
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(FROM_PROXY));
	world_neighbour(&w, 77);
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(FROM_PROXY));
	assert_false(world_flow(&w, &f, &flow));
	/* not its opening */
	world_neighbour(&w, 2);
	f.flags = F_ACK;
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(FROM_PROXY));
	f.flags = F_SYN | F_ACK;
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(FROM_PROXY));
	assert_false(world_flow(&w, &f, &flow));
	/* in its own name */
	f.flags = F_SYN;
	f.src = "10.3.1.12";
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(FROM_PROXY));
	assert_false(world_flow(&w, &f, &flow));
	/* to an address that is itself steered */
	f = up(false, F_SYN);
	f.dst = VIRTUAL4;
	f.dport = 5124;
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(FROM_PROXY));
	assert_false(world_flow(&w, &f, &flow));
}

/* An intercepted session, whose proxy connects to the server from the client's address and port:
 * one name for two connections. */
static void test_upstream_of_intercepted(void **state)
{
	struct frame f = up(false, F_SYN), data;
	const uint8_t flags = MG_FLOW_CAPABLE | MG_FLOW_INTERCEPT;

	(void)state;
	put_flow(&f, 2, flags);
	world_neighbour(&w, 2);
	f.seq = 5;
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(FROM_PROXY));
	assert_flow(&f, 2, flags | MG_FLOW_UPSTREAM, ISN);
	data = f;
	data.flags = F_ACK;
	data.opts = opt_times;
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(FLOW, FLOW, 2));
	/* It turns out to be another's, who was asked second. */
	world_neighbour(&w, 3);
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(FROM_PROXY));
	assert_flow(&f, 3, flags | MG_FLOW_UPSTREAM, ISN);
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(FLOW, FLOW, 3));
	/* A flow to a virtual address is no such thing: it ends where the proxy's begins. */
	put_flow(&f, 2, MG_FLOW_UPSTREAM);
	world_expect(&w, MG_SIDE_CORE, &f, PASSES(FROM_PROXY));
	assert_flow(&f, 3, MG_FLOW_UPSTREAM, 5);
}

/* The answer to a steered SYN comes by: the client's segments have to fit the tunnel it uses. */
static void clamped(bool with_flow, bool from_proxy, bool tunnel)
{
	struct mg_steer_proxy p = { .used = 1, .deliver = MG_DELIVER_IPIP, .mtu_bytes = 1400 };
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	struct frame f = { .dst = VIRTUAL4, .flags = F_SYN, .seq = ISN }, back;
	size_t len, out_len, mss = 14 + 20 + 20 + 2;

	world_reset(&w);
	if (tunnel) {
		steer_ip(p.ip, "10.3.1.12");
		steer_ip(p.source, "10.3.1.1");
		steer_put_proxy(&w.run, 2, &p);
	}
	world_ring(&w, GROUP, 2, 0);
	if (with_flow)
		put_flow(&f, 2, MG_FLOW_CAPABLE);
	if (from_proxy)
		world_neighbour(&w, 2);
	back = down(&f, F_SYN | F_ACK);
	back.opts = opt_plain;
	len = frame_build(frame, &back);
	assert_int_equal(steer_run_bytes(&w.run, MG_SIDE_CORE, frame, len, out, &out_len),
			 XDP_PASS);
	assert_int_equal(out_len, len);
	assert_int_equal(out[mss] << 8 | out[mss + 1], tunnel ? 1400 - 20 - 40 : 1460);
	assert_int_equal(steer_run_counted(&w.run, MG_STEER_COUNT_MSS_CLAMPED), tunnel);
	steer_run_expect(&w.run, MG_CLASS_DATA, MG_VERDICT_PASS, MG_REASON_TCP_SYNACK);
}

static void test_clamp(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		clamped(i & 1, i & 2, i & 4);
}

/* ---- ICMP ------------------------------------------------------------------------------------ */

static struct frame icmp(const struct frame *quoted, uint8_t type, uint8_t code)
{
	return (struct frame){
		.v6 = quoted->v6,
		.src = quoted->v6 ? "fd00:9::9" : "10.9.9.9",
		.dst = quoted->src  ? quoted->src
		       : quoted->v6 ? UE6
				    : UE4,
		.protocol = icmp_protocol(quoted->v6),
		.body = icmp_about(quoted, type, code, 1400),
	};
}

/* Of both families: unreachable, time exceeded, bad parameter, too big */
static const uint8_t errors[2][4][2] = { { { 3, 1 }, { 11, 0 }, { 12, 0 }, { 3, 4 } },
					 { { 1, 4 }, { 3, 0 }, { 4, 0 }, { 2, 0 } } };

static void icmp_both(bool v6, enum mg_side side, uint8_t flags)
{
	bool is_virtual = !(flags & (MG_FLOW_INTERCEPT | MG_FLOW_UPSTREAM));
	struct frame f = up(v6, F_ACK), back, error;

	world_reset(&w);
	if (is_virtual) {
		f.dst = v6 ? VIRTUAL6 : VIRTUAL4;
		f.dport = 5124;
	}
	put_flow(&f, 2, flags);
	back = down(&f, F_ACK);
	for (int i = 0; i < 4; i++) {
		/* about what the proxy sent to the client */
		error = icmp(&back, errors[v6][i][0], errors[v6][i][1]);
		world_expect(&w, side, &error,
			     flags == MG_FLOW_UPSTREAM ? PASSES(NOT_OURS) : GOES(ICMP, ICMP, 2));
		/* about what went to the server, in the client's name */
		error = icmp(&f, errors[v6][i][0], errors[v6][i][1]);
		world_expect(&w, side, &error, is_virtual ? PASSES(NOT_OURS) : GOES(ICMP, ICMP, 2));
	}
}

static void test_icmp(void **state)
{
	static const uint8_t flags[] = { MG_FLOW_CAPABLE, MG_FLOW_INTERCEPT, MG_FLOW_UPSTREAM,
					 MG_FLOW_INTERCEPT | MG_FLOW_UPSTREAM };

	(void)state;
	for (size_t i = 0; i < sizeof(flags); i++) {
		for (int v6 = 0; v6 < 2; v6++) {
			icmp_both(v6, MG_SIDE_ACCESS, flags[i]);
			icmp_both(v6, MG_SIDE_CORE, flags[i]);
		}
	}
}

static void test_icmp_not(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct frame f = up(v6, F_ACK), back = down(&f, F_ACK), error;

		world_reset(&w);
		put_flow(&f, 2, MG_FLOW_INTERCEPT);
		/* no error: an echo; redirect, packet of a neighbour's */
		error = icmp(&back, v6 ? 128 : 8, 0);
		world_expect(&w, MG_SIDE_ACCESS, &error, PASSES(NOT_OURS));
		error = icmp(&back, v6 ? 137 : 5, 0);
		world_expect(&w, MG_SIDE_ACCESS, &error, PASSES(NOT_OURS));
		/* it goes to somebody else than who sent what it quotes */
		error = icmp(&back, v6 ? 1 : 3, 1);
		error.dst = v6 ? "fd00:7::7" : "10.7.7.7";
		world_expect(&w, MG_SIDE_ACCESS, &error, PASSES(NOT_OURS));
		/* it quotes too little, or not TCP */
		error = icmp(&back, v6 ? 1 : 3, 1);
		error.body.len = 8 + (v6 ? 40 : 20) + 3;
		world_expect(&w, MG_SIDE_ACCESS, &error, PASSES(NOT_OURS));
		error.body.len = 8 + 10;
		world_expect(&w, MG_SIDE_ACCESS, &error, PASSES(NOT_OURS));
		error.body.len = 4;
		world_expect(&w, MG_SIDE_ACCESS, &error, PASSES(NOT_OURS));
		back.protocol = 17;
		back.body = (struct bytes){ errors[0][0], 8 };
		error = icmp(&back, v6 ? 1 : 3, 1);
		world_expect(&w, MG_SIDE_ACCESS, &error, PASSES(NOT_OURS));
		/* of a flow that nobody knows */
		f.sport = 41000;
		error = icmp(&f, v6 ? 1 : 3, 1);
		world_expect(&w, MG_SIDE_ACCESS, &error, PASSES(NOT_OURS));
		/* one that a proxy sends goes on */
		f = up(v6, F_ACK);
		error = icmp(&f, v6 ? 1 : 3, 1);
		world_neighbour(&w, 2);
		world_expect(&w, MG_SIDE_CORE, &error, PASSES(FROM_PROXY));
	}
}

/* Nothing that is not TCP, nor opens anything, is looked at closer on this side. */
static void test_core_passes(void **state)
{
	const struct frame frames[] = {
		{ .src = SERVER4, .flags = F_SYN, .opts = B(MPC_V1) },
		{ .src = SERVER4, .flags = F_SYN, .dst = VIRTUAL4, .opts = B(MPC_V1) },
		{ .src = SERVER4, .flags = F_ACK, .dst = VIRTUAL4 },
		{ .src = SERVER4, .flags = F_SYN, .dst = VIRTUAL4, .opts = B(JOIN) },
		{ .src = SERVER4, .protocol = 17, .body = B(0, 80, 156, 64, 0, 8, 0, 0) },
		{ .src = SERVER6, .v6 = true, .flags = F_ACK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		world_expect(&w, MG_SIDE_CORE, &frames[i], PASSES(NOT_OURS));
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
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_downlink, fresh),
		cmocka_unit_test_setup(test_downlink_second, fresh),
		cmocka_unit_test_setup(test_upstream, fresh),
		cmocka_unit_test_setup(test_upstream_not, fresh),
		cmocka_unit_test_setup(test_upstream_of_intercepted, fresh),
		cmocka_unit_test_setup(test_clamp, fresh),
		cmocka_unit_test_setup(test_icmp, fresh),
		cmocka_unit_test_setup(test_icmp_not, fresh),
		cmocka_unit_test_setup(test_core_passes, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
