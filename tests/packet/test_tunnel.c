// SPDX-License-Identifier: BSD-2-Clause
/*
 * What comes through tunnels: who is trusted, what is taken out, what is left alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deliver_rig.h"
#include "rows.h"
#include "wrap.h"

#define SELF4	"10.8.0.1"
#define SELF6	"fd00:8::1"
#define OTHER4	"10.8.0.2"
#define STRANGE "10.66.0.1"

static uint8_t frame[FRAME_MAX], out[FRAME_MAX], wanted[FRAME_MAX];
static const uint8_t data[] = "a segment that travels";

static void put_peer(const char *ip, uint32_t bits)
{
	struct mg_peer_key key = { .bits = bits };
	uint8_t one = 1;

	steer_ip(key.ip, ip);
	steer_put(STEER_MAP(&rig.run, mg_peers), &key, &one);
}

static void put_mine(const char *text)
{
	uint8_t ip[16], one = 1;

	steer_ip(ip, text);
	steer_put(STEER_MAP(&rig.run, mg_mine), ip, &one);
}

/* A proxy that one gateway may send to */
static int proxy_fresh(void **state)
{
	struct mg_gateway g = { .self = 1 };

	deliver_fresh(state);
	steer_put_gateway(&rig.run, &g);
	put_mine(SELF4);
	put_mine(SELF6);
	put_peer(GATEWAY4, 128);
	put_peer(GATEWAY6, 128);
	return 0;
}

static struct frame segment(bool v6)
{
	return (struct frame){ .v6 = v6, .flags = F_ACK, .payload = { data, sizeof(data) } };
}

static int run(enum mg_side side, size_t len, size_t *out_len)
{
	steer_run_look(&rig.run);
	return steer_run_bytes(&rig.run, side, frame, len, out, out_len);
}

static void expect_untouched(const char *what, enum mg_side side, size_t len)
{
	size_t out_len = 0;
	int action = run(side, len, &out_len);

	if (action != XDP_PASS)
		fprintf(stderr, "# %s: action %d\n", what, action);
	assert_int_equal(action, XDP_PASS);
	deliver_same(what, out, out_len, frame, len);
	steer_run_expect(&rig.run, MG_CLASS_OTHER, MG_VERDICT_PASS, MG_REASON_NOT_TCP);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_DECAP), 0);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_FORGED), 0);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), 0);
}

static void expect_forged(const char *what, enum mg_side side, size_t len)
{
	size_t out_len = 0;
	int action = run(side, len, &out_len);

	if (action != XDP_DROP)
		fprintf(stderr, "# %s: action %d\n", what, action);
	assert_int_equal(action, XDP_DROP);
	steer_run_expect(&rig.run, MG_CLASS_OTHER, MG_VERDICT_DROP, MG_REASON_TUNNEL_FORGED);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_FORGED), 1);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_DECAP), 0);
}

/* frame is wrapped; `wanted`, of wanted_len, has to come out. */
static void expect_unwrapped(const char *what, enum mg_side side, size_t len, size_t wanted_len)
{
	size_t out_len = 0;

	assert_int_equal(run(side, len, &out_len), XDP_PASS);
	deliver_same(what, out, out_len, wanted, wanted_len);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_DECAP), 1);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_FORGED), 0);
}

/* ---- trust ----------------------------------------------------------------------------------- */

static void test_trust(void **state)
{
	static const struct {
		const char *from, *to;
		int what; /* 0: untouched, 1: forged, 2: unwrapped */
	} rows_of_trust[] = {
		{ GATEWAY4, SELF4, 2 },
		{ GATEWAY6, SELF6, 2 },
		{ "10.8.0.253", SELF4, 1 },
		{ "fd00:8::fd", SELF6, 1 },
		{ SELF4, SELF4, 1 },
		{ STRANGE, OTHER4, 0 },
		{ "fd00:66::1", "fd00:8::2", 0 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(rows_of_trust) / sizeof(rows_of_trust[0]); i++) {
		const char *from = rows_of_trust[i / 2].from, *to = rows_of_trust[i / 2].to;
		struct frame f = segment(i % 2);
		size_t inner = frame_build(frame, &f), len;

		memcpy(wanted, frame, inner);
		len = wrap_frame(frame, inner, from, to);
		for (int side = 0; side <= 1; side++) {
			if (rows_of_trust[i / 2].what == 0)
				expect_untouched(from, side, len);
			else if (rows_of_trust[i / 2].what == 1)
				expect_forged(from, side, len);
			else
				expect_unwrapped(from, side, len, inner);
		}
	}
}

static void test_peers_are_prefixes(void **state)
{
	struct frame f = segment(false);
	size_t inner = frame_build(frame, &f);

	(void)state;
	put_peer("10.7.0.0", 96 + 16);
	put_peer("fd00:7::", 64);
	memcpy(wanted, frame, inner);
	expect_unwrapped("inside", MG_SIDE_ACCESS, wrap_frame(frame, inner, "10.7.255.1", SELF4),
			 inner);
	frame_build(frame, &f);
	expect_forged("outside", MG_SIDE_ACCESS, wrap_frame(frame, inner, "10.6.255.255", SELF4));
	frame_build(frame, &f);
	expect_unwrapped("inside", MG_SIDE_ACCESS,
			 wrap_frame(frame, inner, "fd00:7::ffff:1", SELF6), inner);
	frame_build(frame, &f);
	expect_forged("outside", MG_SIDE_ACCESS, wrap_frame(frame, inner, "fd00:7:0:1::1", SELF6));
}

/* A UE speaks for no gateway: on its side of one, nobody's tunnel leads to a proxy. */
static void test_access_side(void **state)
{
	struct mg_gateway g = { .steers = 1 };
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = segment(false);
	size_t inner, len;

	(void)state;
	steer_put_gateway(&rig.run, &g);
	deliver_way_put(&way);
	for (int i = 0; i < 2; i++) {
		const char *from = i ? "10.1.0.1" : GATEWAY4;

		inner = frame_build(frame, &f);
		len = wrap_frame(frame, inner, from, OTHER4);
		expect_forged(from, MG_SIDE_ACCESS, len);
	}
	/* from the core's side, and to anybody else, it is none of our business */
	expect_untouched("not a proxy", MG_SIDE_ACCESS,
			 wrap_frame(frame, frame_build(frame, &f), "10.1.0.1", "10.8.0.3"));
	expect_untouched("from the core", MG_SIDE_CORE,
			 wrap_frame(frame, frame_build(frame, &f), "10.1.0.1", OTHER4));
	rig.proxy[2].used = 0;
	deliver_proxy_put(2);
	expect_untouched("no proxy any more", MG_SIDE_ACCESS,
			 wrap_frame(frame, frame_build(frame, &f), "10.1.0.1", OTHER4));
	/* the last number there is */
	rig.proxy[2].used = 1;
	steer_put_proxy(&rig.run, MG_PROXIES_MAX - 1, &rig.proxy[2]);
	expect_forged("last proxy", MG_SIDE_ACCESS,
		      wrap_frame(frame, frame_build(frame, &f), "10.1.0.1", OTHER4));
}

/* ---- what is inside -------------------------------------------------------------------------- */

/* Nothing but what gateways send is taken out: what does not parse stays as it is, for the kernel.
 */
static const struct {
	const char *name;
	struct frame frame;
} malformed[] = {
	{ "UDP", { .protocol = 17, .body = B(0, 53, 0, 53, 0, 8, 0, 0) } },
	{ "GRE", { .protocol = 47, .body = B(0, 0, 8, 0) } },
	{ "echo request", { .protocol = 1, .body = B(8, 0, 0, 0, 0, 1, 0, 1) } },
	{ "ICMP error about nothing", { .protocol = 1, .body = B(3, 1, 0, 0, 0, 0, 0, 0) } },
	{ "ICMP error about UDP",
	  { .protocol = 1,
	    .body = B(3, 1, 0, 0, 0, 0, 0, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 3, 0, 2,
		      10, 1, 0, 1, 0, 53, 0, 53) } },
	{ "first fragment", { .flags = F_ACK, .frag = 0x2000 } },
	{ "later fragment", { .flags = F_ACK, .frag = 0x0010 } },
	{ "header of four words", { .flags = F_ACK, .ihl = 4 } },
	{ "header longer than the packet", { .flags = F_ACK, .ihl = 15, .ip_len = 40 } },
	{ "total length below the header", { .flags = F_ACK, .ip_len = 19 } },
	{ "total length beyond the packet", { .flags = F_ACK, .ip_len = 41 } },
	{ "total length zero", { .flags = F_ACK, .ip_len_zero = true } },
	{ "TCP data offset beyond the packet", { .flags = F_ACK, .doff = 15 } },
	{ "TCP data offset zero", { .flags = F_ACK, .doff_zero = true } },
	{ "TCP header cut short", { .flags = F_ACK, .ip_len = 39 } },
	{ "version 6 in a header of 4", { .flags = F_ACK, .version = 6 } },
	{ "version 0", { .flags = F_ACK, .version = 15 } },
};

static void test_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		for (int v6 = 0; v6 <= 1; v6++) {
			const char *from = v6 ? GATEWAY6 : GATEWAY4, *to = v6 ? SELF6 : SELF4;
			struct frame honest = malformed[i].frame;
			size_t len, honest_len, link = 14;
			uint8_t *ip = frame + link;

			/* the outer header tells the truth, whatever the inner says */
			honest.ip_len = 0;
			honest.ip_len_zero = false;
			honest.version = 0;
			honest_len = frame_build(frame, &honest);
			len = wrap_frame(frame, honest_len, from, to);
			frame_build(wanted, &malformed[i].frame);
			memcpy(ip + (v6 ? 40 : 20), wanted + link, honest_len - link);
			expect_untouched(malformed[i].name, MG_SIDE_ACCESS, len);
		}
	}
}

/* The protocol number says one family, the packet is of the other; and one that is cut short. */
static void test_family_lies(void **state)
{
	(void)state;
	for (int v6 = 0; v6 <= 1; v6++) {
		struct frame f = segment(v6);
		size_t len = wrap_frame(frame, frame_build(frame, &f), GATEWAY4, SELF4);

		frame[14 + 9] = v6 ? 4 : 41;
		expect_untouched("other family", MG_SIDE_ACCESS, len);
		for (size_t inside = 0; inside < (v6 ? 60 : 40); inside++) {
			len = wrap_frame(frame, frame_build(frame, &f), GATEWAY4, SELF4);
			frame[14 + 2] = 0;
			frame[14 + 3] = (uint8_t)(20 + inside);
			/* the frame has more than the outer header covers */
			expect_untouched("not covered", MG_SIDE_ACCESS, len);
			/* …and ends there */
			expect_untouched("cut", MG_SIDE_ACCESS, 14 + 20 + inside);
		}
	}
}

/* By one byte, into what the outer header does not cover */
static void test_inner_length_lies(void **state)
{
	struct frame f = segment(false);
	size_t inner = frame_build(frame, &f), len = wrap_frame(frame, inner, GATEWAY4, SELF4);

	(void)state;
	memset(frame + len, 0, 10);
	frame[14 + 20 + 3]++;
	expect_untouched("one more", MG_SIDE_ACCESS, len + 10);
	frame[14 + 20 + 3]--;
	frame[14 + 20 + 3]--;
	/* one less is padding in the tunnel: odd, and harmless */
	memcpy(wanted, frame + 20, len);
	memcpy(wanted, frame, 14);
	expect_unwrapped("one less", MG_SIDE_ACCESS, len + 10, len + 10 - 20);
}

static void test_outer_headers(void **state)
{
	/* IPv4 with options, IPv6 with a tunnel encapsulation limit, as ip6tnl has it */
	static const uint8_t limit[8] = { 4, 0, 4, 1, 4, 1, 1, 0 }, alert[4] = { 148, 4 };
	struct frame f = segment(false);
	size_t inner = frame_build(frame, &f), len;

	(void)state;
	memcpy(wanted, frame, inner);
	len = wrap_frame(frame, inner, GATEWAY6, SELF6);
	memmove(frame + 14 + 48, frame + 14 + 40, len - 54);
	memcpy(frame + 14 + 40, limit, sizeof(limit));
	frame[14 + 5] = (uint8_t)(frame[14 + 5] + 8);
	frame[14 + 6] = 60;
	expect_unwrapped("IPv6 with options", MG_SIDE_ACCESS, len + 8, inner);
	frame_build(frame, &f);
	len = wrap_frame(frame, inner, GATEWAY4, SELF4);
	memmove(frame + 14 + 24, frame + 14 + 20, len - 34);
	memcpy(frame + 14 + 20, alert, sizeof(alert));
	frame[14] = 0x46;
	frame[14 + 3] = (uint8_t)(frame[14 + 3] + 4);
	expect_unwrapped("IPv4 with options", MG_SIDE_ACCESS, len + 4, inner);
}

/* A tunnel cut to pieces on the way is the kernel's, as any fragment. */
static void test_outer_fragment(void **state)
{
	struct frame f = segment(false);
	size_t len = wrap_frame(frame, frame_build(frame, &f), GATEWAY4, SELF4), out_len = 0;

	(void)state;
	frame[14 + 6] = 0x20;
	assert_int_equal(run(MG_SIDE_ACCESS, len, &out_len), XDP_PASS);
	deliver_same("fragment", out, out_len, frame, len);
	steer_run_expect(&rig.run, MG_CLASS_OTHER, MG_VERDICT_PASS, MG_REASON_FRAGMENT);
}

/* Three headers before a packet are one too many, whoever sent them. */
static void test_depth(void **state)
{
	struct frame f = segment(false);
	size_t inner = frame_build(frame, &f), len;

	(void)state;
	memcpy(wanted, frame, inner);
	len = wrap_frame(frame, inner, GATEWAY4, SELF4);
	len = wrap_frame(frame, len, GATEWAY6, SELF6);
	expect_unwrapped("two, both ours", MG_SIDE_ACCESS, len, inner);
	len = wrap_frame(frame, len, GATEWAY4, SELF4);
	expect_untouched("three", MG_SIDE_ACCESS, len);
	for (int i = 0; i < 5; i++)
		len = wrap_frame(frame, len, GATEWAY6, SELF6);
	expect_untouched("eight", MG_SIDE_ACCESS, len);
}

/* What was inside goes on as if it had come in like that. */
static void test_goes_on(void **state)
{
	static const uint8_t message[] = { CONVERT };
	struct frame f = { .flags = F_SYN,
			   .opts = B(WSCALE, NOP, MPC_V1),
			   .payload = { message, sizeof(message) } };
	struct mg_endpoint ep = { .port = 5124 };
	struct mg_converter converter = { 0 };
	size_t len = wrap_frame(frame, frame_build(frame, &f), GATEWAY4, SELF4), out_len = 0;
	uint32_t group = 1;

	(void)state;
	steer_ip(ep.ip, "10.3.0.2");
	steer_put(STEER_MAP(&rig.run, mg_converters), &ep, &converter);
	/* nor is it steered again */
	steer_put(STEER_MAP(&rig.run, mg_virtual), &ep, &group);
	assert_int_equal(run(MG_SIDE_ACCESS, len, &out_len), XDP_PASS);
	assert_int_equal(out_len, len - 20);
	steer_run_expect(&rig.run, MG_CLASS_CONVERT, MG_VERDICT_PASS, MG_REASON_CONVERT_SYN);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_DECAP), 1);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_NO_PROXY), 0);
	/* the window is mended as that of any Convert SYN */
	assert_int_equal(out[14 + 20 + 14] << 8 | out[14 + 20 + 15], 65535 >> 7);
}

/* RFC 6040: congestion met on the way through the tunnel is told; the sums stay right. */
static void test_congestion(void **state)
{
	(void)state;
	for (unsigned int n = 0; n < 4 * 4 * 4; n++) {
		uint8_t inside = (uint8_t)(0x48 | n % 4), outside = (uint8_t)(0x48 | n / 4 % 4);
		bool v6 = n / 16 % 2, outer_v6 = n / 32 % 2;
		uint8_t carried = inside;
		struct frame f = segment(v6);
		size_t inner = frame_build(frame, &f), len;

		if (n % 4 && n / 4 % 4 == 3)
			carried = 0x48 | 3;
		wrap_set_class(frame + 14, inside);
		memcpy(wanted, frame, inner);
		wrap_set_class(wanted + 14, carried);
		len = wrap_frame(frame, inner, outer_v6 ? GATEWAY6 : GATEWAY4,
				 outer_v6 ? SELF6 : SELF4);
		wrap_set_class(frame + 14, outside);
		expect_unwrapped("congestion", MG_SIDE_ACCESS, len, inner);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_trust, proxy_fresh),
		cmocka_unit_test_setup(test_peers_are_prefixes, proxy_fresh),
		cmocka_unit_test_setup(test_access_side, proxy_fresh),
		cmocka_unit_test_setup(test_malformed, proxy_fresh),
		cmocka_unit_test_setup(test_family_lies, proxy_fresh),
		cmocka_unit_test_setup(test_inner_length_lies, proxy_fresh),
		cmocka_unit_test_setup(test_outer_headers, proxy_fresh),
		cmocka_unit_test_setup(test_outer_fragment, proxy_fresh),
		cmocka_unit_test_setup(test_depth, proxy_fresh),
		cmocka_unit_test_setup(test_goes_on, proxy_fresh),
		cmocka_unit_test_setup(test_congestion, proxy_fresh),
	};

	return cmocka_run_group_tests(tests, deliver_set_up, deliver_tear_down);
}
