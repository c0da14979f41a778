// SPDX-License-Identifier: BSD-2-Clause
/*
 * The first of two that are asked: what is not its own goes to the second, over real routes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "hop_rig.h"
#include "lab.h"
#include "rows.h"
#include "wrap.h"

static uint8_t frame[FRAME_MAX], out[FRAME_MAX], wanted[FRAME_MAX];
static const uint8_t join[] = { JOIN };

static void test_sent_on(void **state)
{
	(void)state;
	for (int v6 = 0; v6 <= 1; v6++) {
		struct frame f = hop_segment(v6);

		hop_sent_on(&f, NEAR4, hop_near_mac);
		hop_sent_on(&f, NEAR6, hop_near_mac);
		hop_sent_on(&f, FAR4, hop_router_mac);
		hop_sent_on(&f, FAR6, hop_router_mac);
		/* a join nobody told us of, a SYN of nobody's, an end */
		f.flags = F_SYN;
		f.opts = (struct bytes){ join, sizeof(join) };
		hop_sent_on(&f, NEAR4, hop_near_mac);
		f.opts.len = 0;
		hop_sent_on(&f, NEAR6, hop_near_mac);
		f.flags = F_RST;
		hop_sent_on(&f, NEAR4, hop_near_mac);
	}
}

/* Back out where it came in */
static void test_same_interface(void **state)
{
	struct frame f = hop_segment(false);
	size_t out_len = 0, len = hop_tunnels(frame, frame_build(frame, &f), NEAR4, false);

	(void)state;
	assert_int_equal(steer_run_bytes(&rig.run, MG_SIDE_CORE, frame, len, out, &out_len),
			 XDP_TX);
	steer_run_expect(&rig.run, MG_CLASS_DATA, MG_VERDICT_STEER, MG_REASON_TCP_SEGMENT);
	assert_memory_equal(out, hop_near_mac, 6);
	assert_memory_equal(out + 6, hop_px1_mac, 6);
}

static void test_left_to_the_kernel(void **state)
{
	static uint8_t long_data[1480];
	struct frame f = hop_segment(false);

	(void)state;
	hop_left(&f, UNKNOWN4);
	hop_left(&f, "10.78.0.1"); /* blackhole */
	hop_left(&f, "192.0.2.1"); /* no route */
	f.vlan[0] = 0x8100;
	for (int l2 = 0; l2 <= 1; l2++) {
		size_t len = frame_build(frame, &f), out_len = 0, wanted_len;

		memcpy(wanted, frame, len);
		wanted_len = wrap_frame(wanted, len, GATEWAY4, NEAR4);
		len = hop_tunnels(frame, len, NEAR4, l2);
		assert_int_equal(hop_run(frame, len, out, &out_len), XDP_PASS);
		deliver_same("tagged", out, out_len, wanted, wanted_len);
	}
	/* too long for the way to the second: the kernel knows what to say */
	f = hop_segment(false);
	f.payload = (struct bytes){ long_data, 1440 };
	hop_sent_on(&f, NEAR4, hop_near_mac);
	f.payload.len = 1441;
	hop_left(&f, NEAR4);
	assert_int_equal(lab_sh("sysctl -qw net.ipv4.conf.px0.forwarding=0"), 0);
	f = hop_segment(false);
	hop_left(&f, NEAR4);
	assert_int_equal(lab_sh("sysctl -qw net.ipv4.conf.px0.forwarding=1"), 0);
	hop_sent_on(&f, NEAR4, hop_near_mac);
}

/* The last hop's is not sent on from here; the one before is. */
static void test_hops(void **state)
{
	(void)state;
	for (int v6 = 0; v6 <= 1; v6++) {
		for (uint8_t hops = 0; hops <= 2; hops++) {
			struct frame f = hop_segment(false);
			size_t len = wrap_frame(frame, frame_build(frame, &f), deliver_source(v6),
						v6 ? NEAR6 : NEAR4);
			size_t out_len = 0;

			frame[14 + (v6 ? 7 : 8)] = hops;
			wrap_set_class(frame + 14, 0);
			memcpy(wanted, frame, len);
			if (hops > 1)
				hop_spend(wanted + 14);
			len = wrap_frame(frame, len, GATEWAY4, deliver_address(1, false));
			assert_int_equal(hop_run(frame, len, out, &out_len),
					 hops > 1 ? XDP_REDIRECT : XDP_PASS);
			assert_int_equal(out_len, len - 20);
			assert_memory_equal(out + 14, wanted + 14, out_len - 14);
		}
	}
}

/* A second header that no gateway made stays; so does what is not of gateways inside of both. */
static void test_not_of_a_gateway(void **state)
{
	static const uint8_t dns[] = { 0, 53, 0, 53, 0, 8, 0, 0 };
	struct frame f = hop_segment(false);
	struct frame udp = { .protocol = 17, .body = { dns, sizeof(dns) } };
	size_t out_len = 0, len;

	(void)state;
	len = wrap_frame(frame, frame_build(frame, &f), "10.1.0.1", NEAR4);
	assert_int_equal(hop_run(frame, len, out, &out_len), XDP_PASS);
	deliver_same("l2", out, out_len, frame, len);
	len = wrap_frame(frame, len, GATEWAY4, deliver_address(1, false));
	assert_int_equal(hop_run(frame, len, out, &out_len), XDP_PASS);
	deliver_same("ipip", out, out_len, frame, len);
	for (int l2 = 0; l2 <= 1; l2++) {
		len = hop_tunnels(frame, frame_build(frame, &udp), NEAR4, l2);
		assert_int_equal(hop_run(frame, len, out, &out_len), XDP_PASS);
		deliver_same("UDP", out, out_len, frame, len);
	}
	/* by l2 there is one header, no more */
	len = hop_tunnels(frame, frame_build(frame, &f), NEAR4, true);
	len = wrap_frame(frame, len, GATEWAY6, NEAR6);
	assert_int_equal(hop_run(frame, len, out, &out_len), XDP_PASS);
	deliver_same("l2, two headers", out, out_len, frame, len);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), 0);
}

/* The way from the first to the second may lead through the gateway that sent it, once more. */
static void test_through_the_gateway(void **state)
{
	struct mg_gateway g = { .steers = 1 };
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = hop_segment(true);
	size_t out_len = 0, len;
	uint8_t ip[16], one = 1;

	(void)state;
	deliver_fresh(NULL);
	steer_put_gateway(&rig.run, &g);
	steer_ip(ip, GATEWAY4);
	steer_put(STEER_MAP(&rig.run, mg_mine), ip, &one);
	deliver_way_put(&way);
	steer_ip(rig.proxy[2].ip, NEAR4);
	deliver_proxy_put(2);
	len = wrap_frame(frame, frame_build(frame, &f), GATEWAY4, NEAR4);
	memcpy(wanted, frame, len);
	hop_spend(wanted + 14);
	wrap_set_macs(wanted, hop_near_mac, hop_px1_mac);
	steer_run_look(&rig.run);
	assert_int_equal(steer_run_bytes(&rig.run, MG_SIDE_CORE, frame, len, out, &out_len),
			 XDP_TX);
	deliver_same("our own", out, out_len, wanted, len);
	steer_run_expect(&rig.run, MG_CLASS_OTHER, MG_VERDICT_STEER, MG_REASON_NOT_TCP);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), 1);
	/* from the access side it is not our own; and to no proxy, or from others, not our affair
	 */
	assert_int_equal(hop_run(frame, len, out, &out_len), XDP_DROP);
	for (int i = 0; i < 2; i++) {
		len = wrap_frame(frame, frame_build(frame, &f), i ? "10.8.0.99" : GATEWAY4,
				 i ? NEAR4 : "10.3.1.79");
		assert_int_equal(steer_run_bytes(&rig.run, MG_SIDE_CORE, frame, len, out, &out_len),
				 XDP_PASS);
		deliver_same("not our own", out, out_len, frame, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sent_on, hop_fresh),
		cmocka_unit_test_setup(test_same_interface, hop_fresh),
		cmocka_unit_test_setup(test_left_to_the_kernel, hop_fresh),
		cmocka_unit_test_setup(test_hops, hop_fresh),
		cmocka_unit_test_setup(test_not_of_a_gateway, hop_fresh),
		cmocka_unit_test_setup(test_through_the_gateway, hop_fresh),
	};

	return cmocka_run_group_tests(tests, hop_set_up, deliver_tear_down);
}
