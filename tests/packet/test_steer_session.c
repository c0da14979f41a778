// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sessions that go to a virtual address: the ring's slot for the first packet, the flow for what
 * follows, and the slot's owners where a gateway knows of no flow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rows.h"
#include "steer_world.h"

#define ISN 1000000

static struct world w;

static int fresh(void **state)
{
	(void)state;
	world_reset(&w);
	return 0;
}

static struct frame syn(bool v6)
{
	return (struct frame){
		.v6 = v6,
		.dst = v6 ? VIRTUAL6 : VIRTUAL4,
		.flags = F_SYN,
		.seq = ISN,
		.opts = opt_capable,
		.payload = convert_message,
	};
}

static struct frame behind(const struct frame *f)
{
	struct frame data = *f;

	data.flags = F_ACK;
	data.seq = ISN + 100;
	data.opts = opt_times;
	return data;
}

/* In this family, and the SYN is of this kind; what follows is the same for all. */
static void follow(bool v6, struct bytes opts, uint8_t flags)
{
	struct frame f = syn(v6), data;
	struct mg_steer_flow flow;
	struct mg_decision d;

	f.opts = opts;
	data = behind(&f);
	d = world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
	assert_int_equal(d.group, GROUP);
	assert_true(d.has_slot);
	assert_true(world_flow(&w, &f, &flow));
	assert_int_equal(flow.proxy, 1);
	assert_int_equal(flow.second, 0);
	assert_int_equal(flow.flags, flags);
	assert_int_equal(flow.isn, ISN);
	/* The ring changes; what began stays where it is: its data, and the SYN said again. */
	world_ring(&w, GROUP, 2, 1);
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(FLOW, FLOW, 1));
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(FLOW, FLOW, 1));
	data.flags = F_FIN | F_ACK;
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(FLOW, FLOW, 1));
	data.flags = F_RST;
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(FLOW, FLOW, 1));
	/* Another SYN from the same port is another session. */
	f.seq++;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 2));
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(FLOW, FLOW, 2));
}

static void test_capable(void **state)
{
	(void)state;
	follow(false, opt_capable, MG_FLOW_CAPABLE);
	world_reset(&w);
	follow(true, opt_capable, MG_FLOW_CAPABLE);
}

static void test_plain(void **state)
{
	(void)state;
	follow(false, opt_plain, 0);
	world_reset(&w);
	follow(true, opt_plain, 0);
}

/* Signed SYNs to a virtual address have nowhere else to go. */
static void test_signed(void **state)
{
	const struct bytes md5 = B(19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
	struct frame f = syn(false);

	(void)state;
	f.opts = md5;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
}

/* The slot is the one that the daemon's own code names, so that all gateways agree. */
static void test_slot(bool v6, bool by_flow)
{
	const char *const hosts[2][3] = { { "10.1.0.1", "10.1.0.2", "192.0.2.77" },
					  { "fd00:1::1", "fd00:1:0:1::1", "2001:db8:5:6:7::8" } };
	const uint16_t group = by_flow ? GROUP_BY_FLOW : GROUP;
	struct frame f = syn(v6);

	if (by_flow)
		f.dst = v6 ? BY_FLOW6 : BY_FLOW4;
	for (size_t i = 0; i < 9; i++) {
		struct mg_tuple tuple;
		struct mg_decision d;
		uint32_t slot;

		f.src = hosts[v6][i % 3];
		f.sport = (uint16_t)(1025 + i);
		tuple = steer_tuple(&f);
		slot = mg_steer_slot(&tuple, by_flow ? MG_HASH_FLOW : MG_HASH_SUBSCRIBER);
		world_ring(&w, group, 1, 0);
		world_slot(&w, group, slot, 4, 0);
		d = world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 4));
		assert_int_equal(d.slot, slot);
		assert_int_equal(d.group, group);
	}
}

static void test_slots(void **state)
{
	(void)state;
	test_slot(false, false);
	test_slot(true, false);
	test_slot(false, true);
	test_slot(true, true);
}

/* One subscriber is one slot: an IPv4 address, the /64 of an IPv6 one. */
static void test_subscribers(void **state)
{
	struct frame f = syn(true);
	struct mg_tuple a, b;

	(void)state;
	f.src = "fd00:1:2:3::1";
	a = steer_tuple(&f);
	f.src = "fd00:1:2:3:ffff::9";
	f.sport = 999;
	b = steer_tuple(&f);
	assert_int_equal(mg_steer_slot(&a, MG_HASH_SUBSCRIBER),
			 mg_steer_slot(&b, MG_HASH_SUBSCRIBER));
	f.src = "fd00:1:2:4::1";
	b = steer_tuple(&f);
	assert_int_not_equal(mg_steer_slot(&a, MG_HASH_SUBSCRIBER),
			     mg_steer_slot(&b, MG_HASH_SUBSCRIBER));
	f = syn(false);
	a = steer_tuple(&f);
	f.src = "10.1.0.2";
	b = steer_tuple(&f);
	assert_int_not_equal(mg_steer_slot(&a, MG_HASH_SUBSCRIBER),
			     mg_steer_slot(&b, MG_HASH_SUBSCRIBER));
}

/* Another gateway opened it: whoever has the slot is asked, then who had it before. */
static void test_without_flow(bool v6)
{
	struct frame f = syn(v6), data = behind(&f);
	struct want both = GOES(RING_PREVIOUS, PREVIOUS, 2);
	struct mg_steer_flow flow;

	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(RING_PREVIOUS, PREVIOUS, 1));
	world_ring(&w, GROUP, 2, 1);
	both.second = 1;
	world_expect(&w, MG_SIDE_ACCESS, &data, both);
	assert_false(world_flow(&w, &f, &flow));
	world_state(&w, 1, MG_MEMBER_DRAINING);
	world_expect(&w, MG_SIDE_ACCESS, &data, both);
	world_state(&w, 1, MG_MEMBER_DOWN);
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(RING_PREVIOUS, PREVIOUS, 2));
	world_ring(&w, GROUP, 2, 2);
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(RING_PREVIOUS, PREVIOUS, 2));
	world_ring(&w, GROUP, 2, 77); /* there is none of this number */
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(RING_PREVIOUS, PREVIOUS, 2));
	/* All drain: nobody takes new ones, but what lives goes on. */
	world_state(&w, 1, MG_MEMBER_DRAINING);
	world_ring(&w, GROUP, 0, 1);
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(RING_PREVIOUS, PREVIOUS, 1));
	world_state(&w, 1, MG_MEMBER_DOWN);
	world_expect(&w, MG_SIDE_ACCESS, &data, PASSES_COUNTED(NO_MEMBER, NO_PROXY));
}

static void test_flowless(void **state)
{
	(void)state;
	test_without_flow(false);
	world_reset(&w);
	test_without_flow(true);
}

/* Nobody is up: by the group's wish, that passes or is dropped. */
static void test_nobody(void **state)
{
	struct frame f = syn(false), data = behind(&f);
	struct mg_steer_flow flow;

	(void)state;
	world_ring(&w, GROUP, 0, 0);
	world_group(&w, GROUP, MG_HASH_SUBSCRIBER, false, 0);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES_COUNTED(NO_MEMBER, NO_PROXY));
	world_expect(&w, MG_SIDE_ACCESS, &data, PASSES_COUNTED(NO_MEMBER, NO_PROXY));
	world_group(&w, GROUP, MG_HASH_SUBSCRIBER, true, 0);
	world_expect(&w, MG_SIDE_ACCESS, &f, DROPPED(NO_MEMBER, NO_PROXY, NO_PROXY));
	world_expect(&w, MG_SIDE_ACCESS, &data, DROPPED(NO_MEMBER, NO_PROXY, NO_PROXY));
	assert_false(world_flow(&w, &f, &flow));
	/* A slot of a proxy that is no longer there is nobody's. */
	world_ring(&w, GROUP, 77, 0);
	world_expect(&w, MG_SIDE_ACCESS, &f, DROPPED(NO_MEMBER, NO_PROXY, NO_PROXY));
}

/* The way to the proxy is not known: dropped by who delivers, as its sessions are there. */
static void test_no_way(void **state)
{
	struct mg_steer_proxy p = { .used = 1, .deliver = MG_DELIVER_L2 };
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	struct frame f = syn(false);
	size_t len = frame_build(frame, &f), out_len;

	(void)state;
	steer_put_proxy(&w.run, 1, &p);
	assert_int_equal(steer_run_bytes(&w.run, MG_SIDE_ACCESS, frame, len, out, &out_len),
			 XDP_DROP);
	steer_run_expect(&w.run, MG_CLASS_MP_CAPABLE, MG_VERDICT_DROP, MG_REASON_NO_PROXY);
	assert_int_equal(steer_run_counted(&w.run, MG_STEER_COUNT_NO_PROXY), 1);
}

/* What is established follows its flow, whatever state the proxy is in; a SYN that was not answered
 * and says itself again does not go to one that is down. */
static void test_states(void **state)
{
	struct frame f = syn(false), data = behind(&f);

	(void)state;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
	world_state(&w, 1, MG_MEMBER_DRAINING);
	world_ring(&w, GROUP, 2, 1);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(FLOW, FLOW, 1));
	world_state(&w, 1, MG_MEMBER_DOWN);
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(FLOW, FLOW, 1));
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 2));
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(FLOW, FLOW, 2));
}

/* A proxy was taken out of the configuration: its flows are as if they were not known. */
static void test_removed(void **state)
{
	struct mg_steer_proxy none = { 0 };
	struct frame f = syn(false), data = behind(&f);

	(void)state;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
	steer_put_proxy(&w.run, 1, &none);
	world_ring(&w, GROUP, 2, 1);
	world_expect(&w, MG_SIDE_ACCESS, &data, GOES(RING_PREVIOUS, PREVIOUS, 2));
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 2));
}

static void test_what_passes(void **state)
{
	const struct frame frames[] = {
		{ .flags = F_SYN, .dst = SERVER4, .opts = B(MPC_V1) },
		{ .flags = F_SYN, .dst = SERVER6, .v6 = true, .opts = B(LINUX_SYN) },
		{ .flags = F_ACK, .dst = SERVER4 },
		{ .flags = F_SYN | F_ACK, .dst = SERVER4, .opts = B(LINUX_SYN) },
		{ .flags = F_SYN, .dst = SERVER4, .opts = B(JOIN) },
		/* the address, at another port */
		{ .flags = F_SYN, .dst = VIRTUAL4, .dport = 80, .opts = B(MPC_V1) },
		{ .flags = F_ACK, .dst = VIRTUAL6, .dport = 80, .v6 = true },
		{ .dst = VIRTUAL4, .protocol = 17, .body = B(0, 1, 20, 4, 0, 8, 0, 0) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		world_expect(&w, MG_SIDE_ACCESS, &frames[i], PASSES(NOT_OURS));
}

/* Nobody can say to which flow a fragment belongs, nor what a lying header is: they pass. */
static void test_not_looked_into(void **state)
{
	const struct {
		struct frame frame;
		enum mg_class class;
		enum mg_reason reason;
	} frames[] = {
		{ { .dst = VIRTUAL4, .flags = F_SYN, .frag = 0x2000, .opts = B(MPC_V1) },
		  MG_CLASS_OTHER,
		  MG_REASON_FRAGMENT },
		{ { .dst = VIRTUAL4, .frag = 0x0010, .body = B(1, 2, 3, 4, 5, 6, 7, 8) },
		  MG_CLASS_OTHER,
		  MG_REASON_FRAGMENT },
		{ { .dst = VIRTUAL6,
		    .v6 = true,
		    .ext = { { .kind = 44, .len = 8, .frag = 1 } },
		    .flags = F_ACK },
		  MG_CLASS_OTHER,
		  MG_REASON_FRAGMENT },
		{ { .dst = VIRTUAL4, .flags = F_SYN | F_FIN },
		  MG_CLASS_MALFORMED,
		  MG_REASON_TCP_BAD_FLAGS },
		{ { .dst = VIRTUAL4, .flags = F_SYN, .opts = B(MSS, 5, 0, 1, 1) },
		  MG_CLASS_MALFORMED,
		  MG_REASON_TCP_OPTION_OVERRUN },
		{ { .dst = VIRTUAL4, .flags = F_ACK, .doff = 4 },
		  MG_CLASS_MALFORMED,
		  MG_REASON_TCP_BAD_OFFSET },
		{ { .ethertype = 0x0806 }, MG_CLASS_OTHER, MG_REASON_NOT_IP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		assert_int_equal(steer_run_frame(&w.run, MG_SIDE_ACCESS, &frames[i].frame),
				 XDP_PASS);
		steer_run_expect(&w.run, frames[i].class, MG_VERDICT_PASS, frames[i].reason);
	}
}

/* Tags and extension headers are no different; the frame goes on with them. */
static void test_wrapped(void **state)
{
	struct frame f = syn(true);

	(void)state;
	f.vlan[0] = 0x88a8;
	f.vlan[1] = 0x8100;
	f.ext[0] = (struct extension)EXT8(0);
	f.ext[1] = (struct extension)EXT8(60);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
	f = syn(false);
	f.ip_opts = (struct bytes)B(0x94, 4, 0, 0);
	f.pad = 10;
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 1));
}

/* A host that is only steered to steers nothing. */
static void test_no_gateway(void **state)
{
	struct frame f = syn(false), data = behind(&f);

	(void)state;
	w.gateway.steers = 0;
	world_gateway(&w);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	world_expect(&w, MG_SIDE_ACCESS, &data, PASSES(NOT_OURS));
}

/* The gateway is a proxy as well: what is its own stays. */
static void test_local(void **state)
{
	struct frame f = syn(false), data = behind(&f);
	struct want want = GOES(RING, NEW, HERE);

	(void)state;
	world_ring(&w, GROUP, HERE, 0);
	want.passes = true;
	world_expect(&w, MG_SIDE_ACCESS, &f, want);
	want = GOES(FLOW, FLOW, HERE);
	want.passes = true;
	world_expect(&w, MG_SIDE_ACCESS, &data, want);
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
		cmocka_unit_test_setup(test_capable, fresh),
		cmocka_unit_test_setup(test_plain, fresh),
		cmocka_unit_test_setup(test_signed, fresh),
		cmocka_unit_test_setup(test_slots, fresh),
		cmocka_unit_test_setup(test_subscribers, fresh),
		cmocka_unit_test_setup(test_flowless, fresh),
		cmocka_unit_test_setup(test_nobody, fresh),
		cmocka_unit_test_setup(test_no_way, fresh),
		cmocka_unit_test_setup(test_states, fresh),
		cmocka_unit_test_setup(test_removed, fresh),
		cmocka_unit_test_setup(test_what_passes, fresh),
		cmocka_unit_test_setup(test_not_looked_into, fresh),
		cmocka_unit_test_setup(test_wrapped, fresh),
		cmocka_unit_test_setup(test_no_gateway, fresh),
		cmocka_unit_test_setup(test_local, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
