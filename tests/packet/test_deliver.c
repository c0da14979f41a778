// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets to proxies: the bytes that leave, for every way to deliver, every mix of families, every
 * number of tags; and that the proxy gets back what the gateway got.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deliver_rig.h"
#include "rows.h"
#include "wrap.h"

#define CLASS 0x2a /* AF11 and ECT(0) */

static const uint8_t data[] = "of forty-nine bytes, an odd number, is this segment";
static uint8_t frame[FRAME_MAX], out[FRAME_MAX], wanted[FRAME_MAX];

/* What travels: a name, and the frame without family and tags. */
static const struct cargo {
	const char *name;
	struct frame frame;
	enum mg_class class;
	enum mg_reason reason;
} cargoes[] = {
	{ "data",
	  { .flags = F_ACK, .payload = { data, sizeof(data) - 1 } },
	  MG_CLASS_DATA,
	  MG_REASON_TCP_SEGMENT },
	{ "ACK, padded", { .flags = F_ACK, .pad = 6 }, MG_CLASS_DATA, MG_REASON_TCP_SEGMENT },
	{ "RST", { .flags = F_RST }, MG_CLASS_DATA, MG_REASON_TCP_SEGMENT },
	{ "SYN without MSS",
	  { .flags = F_SYN, .opts = B(MPC_V1) },
	  MG_CLASS_MP_CAPABLE,
	  MG_REASON_MP_CAPABLE },
};

/* All ways there are, one after the other; false behind the last. */
static bool way_of(struct deliver_way *way, unsigned int n)
{
	const int seconds[] = { 0, 4, 6 };

	*way = (struct deliver_way){ .deliver = n % 2 ? MG_DELIVER_IPIP : MG_DELIVER_L2,
				     .v6 = n / 2 % 2,
				     .second = seconds[n / 4 % 3] };
	return n < 12;
}

static void vlans(struct frame *f, int n)
{
	memset(f->vlan, 0, sizeof(f->vlan));
	if (n)
		f->vlan[n - 1] = 0x8100;
	if (n == 2)
		f->vlan[0] = 0x88a8;
}

static size_t build(const struct frame *f)
{
	size_t len = frame_build(frame, f), link;
	bool v6;

	link = wrap_link(frame, &v6);
	wrap_tcp(frame + link);
	wrap_set_class(frame + link, CLASS);
	return len;
}

static void name(char to[128], const struct cargo *c, const struct frame *f,
		 const struct deliver_way *way, int tags)
{
	snprintf(to, 128, "%s, IPv%d, %d tags, %s to IPv%d, second %d", c->name, f->v6 ? 6 : 4,
		 tags, way->deliver == MG_DELIVER_IPIP ? "ipip" : "l2", way->v6 ? 6 : 4,
		 way->second);
}

/* The proxies' side of the same program: what came out goes in there. */
static void unwrap(const char *what, size_t len, const struct deliver_way *way)
{
	const enum mg_side side = MG_SIDE_CORE;
	size_t back_len = 0, sent_len = len;
	static uint8_t back[FRAME_MAX], sent[FRAME_MAX];

	memcpy(sent, frame, len);
	wrap_set_macs(sent, rig.proxy[1].dmac, rig.proxy[1].smac);
	len = deliver_expected(frame, len, way);
	assert_int_equal(steer_run_bytes(&rig.run, side, frame, len, back, &back_len), XDP_PASS);
	deliver_same(what, back, back_len, sent, sent_len);
}

/* Both proxies are this host now, and nothing is known of the flow. */
static void become_proxy(const struct frame *f, const struct deliver_way *way)
{
	struct mg_tuple tuple = steer_tuple(f);
	struct mg_gateway g = { .self = 1 };
	uint8_t one = 1, ip[16];

	bpf_map__delete_elem(rig.run.side[0]->maps.mg_flows, &tuple, sizeof(tuple), 0);
	steer_put_gateway(&rig.run, &g);
	for (int i = 1; i <= 2; i++) {
		steer_ip(ip, deliver_address(i, i == 1 ? way->v6 : way->second == 6));
		steer_put(STEER_MAP(&rig.run, mg_mine), ip, &one);
	}
	for (int v6 = 0; v6 <= 1; v6++) {
		struct mg_peer_key key = { .bits = 128 };

		steer_ip(key.ip, deliver_source(v6));
		steer_put(STEER_MAP(&rig.run, mg_peers), &key, &one);
	}
}

static void one_packet(const struct cargo *c, const struct frame *f, const struct deliver_way *way,
		       int tags)
{
	bool wrapped = way->deliver == MG_DELIVER_IPIP || way->second;
	size_t len = build(f), out_len = 0, wanted_len;
	char what[128];
	int action;

	name(what, c, f, way, tags);
	deliver_fresh(NULL);
	deliver_way_put(way);
	deliver_flow_put(f, way->second);
	memcpy(wanted, frame, len);
	wanted_len = deliver_expected(wanted, len, way);
	action = deliver_bytes(frame, len, out, &out_len);
	if (action != XDP_REDIRECT)
		fprintf(stderr, "# %s: action %d\n", what, action);
	assert_int_equal(action, XDP_REDIRECT);
	deliver_same(what, out, out_len, wanted, wanted_len);
	steer_run_expect(&rig.run, c->class, MG_VERDICT_STEER, c->reason);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_ENCAP), wrapped);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_MSS_CLAMPED), 0);
	become_proxy(f, way);
	unwrap(what, len, way);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_DECAP), wrapped);
}

static void test_every_way(void **state)
{
	unsigned int n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cargoes) / sizeof(cargoes[0]); i++) {
		struct frame f = cargoes[i].frame;
		struct deliver_way way;

		for (int tags = 0; tags <= 2; tags++) {
			vlans(&f, tags);
			for (int v6 = 0; v6 <= 1; v6++) {
				f.v6 = v6;
				for (unsigned int w = 0; way_of(&way, w); w++, n++)
					one_packet(&cargoes[i], &f, &way, tags);
			}
		}
	}
	assert_int_equal(n, 4 * 3 * 2 * 12);
}

/* Inside there may be options and extension headers, and the length IP says is what counts. */
static void test_inner_headers(void **state)
{
	static const uint8_t router_alert[] = { 148, 4, 0, 0 };
	struct frame f4 = { .flags = F_ACK,
			    .ip_opts = { router_alert, sizeof(router_alert) },
			    .payload = { data, 10 },
			    .pad = 9 };
	struct frame f6 = {
		.flags = F_ACK, .v6 = true, .ext = { EXT8(0), EXT8(60) }, .payload = { data, 10 }
	};
	const struct frame *frames[] = { &f4, &f6 };
	struct deliver_way way;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		for (unsigned int w = 0; way_of(&way, w); w++) {
			size_t len = frame_build(frame, frames[i]), out_len = 0, wanted_len;

			deliver_fresh(NULL);
			deliver_way_put(&way);
			deliver_flow_put(frames[i], way.second);
			memcpy(wanted, frame, len);
			wanted_len = deliver_expected(wanted, len, &way);
			assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_REDIRECT);
			deliver_same("inner headers", out, out_len, wanted, wanted_len);
			become_proxy(frames[i], &way);
			unwrap("inner headers", len, &way);
		}
	}
}

/* Every traffic class comes through, in both directions of translation. */
static void test_traffic_class(void **state)
{
	struct deliver_way way;

	(void)state;
	for (unsigned int class = 0; class < 256; class += 5) {
		struct frame f = { .flags = F_ACK, .v6 = class & 1 };
		size_t len = frame_build(frame, &f), out_len = 0, wanted_len;

		way = (struct deliver_way){ .deliver = MG_DELIVER_IPIP, .v6 = class & 2 };
		deliver_fresh(NULL);
		deliver_way_put(&way);
		deliver_flow_put(&f, false);
		wrap_set_class(frame + 14, (uint8_t) class);
		memcpy(wanted, frame, len);
		wanted_len = deliver_expected(wanted, len, &way);
		assert_int_equal(wrap_class(wanted + 14), class);
		assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_REDIRECT);
		deliver_same("traffic class", out, out_len, wanted, wanted_len);
	}
}

/* Frames that are not in one piece grow in front, as others do. */
static void test_jumbo(void **state)
{
	static uint8_t payload[8900];
	struct frame f = { .flags = F_ACK, .payload = { payload, sizeof(payload) } };
	struct deliver_way way;

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 11);
	for (unsigned int w = 0; way_of(&way, w); w++) {
		size_t len = build(&f), out_len = 0, wanted_len;

		deliver_fresh(NULL);
		deliver_way_put(&way);
		deliver_flow_put(&f, way.second);
		memcpy(wanted, frame, len);
		wanted_len = deliver_expected(wanted, len, &way);
		assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_REDIRECT);
		deliver_same("jumbo", out, out_len, wanted, wanted_len);
		become_proxy(&f, &way);
		unwrap("jumbo", len, &way);
	}
}

/* ICMP errors about a flow travel whole. */
static void test_icmp_error(void **state)
{
	struct deliver_way way;

	(void)state;
	for (int v6 = 0; v6 <= 1; v6++) {
		/* the proxy sent, from the address the client knows, and a router complains */
		struct frame quoted = { .v6 = v6,
					.flags = F_ACK,
					.src = v6 ? "fd00:3::2" : NULL,
					.sport = 5124,
					.dport = 40000 };
		struct frame f = { .v6 = v6, .protocol = v6 ? 58 : 1 }, uplink = { .v6 = v6 };
		uint8_t body[128] = { v6 ? 1 : 3, 1 }, inner[FRAME_MAX];
		size_t len, out_len = 0, wanted_len;

		quoted.src = v6 ? "fd00:3::2" : "10.3.0.2";
		quoted.dst = v6 ? "fd00:1::1" : "10.1.0.1";
		len = frame_build(inner, &quoted) - 14;
		memcpy(body + 8, inner + 14, len);
		f.body = (struct bytes){ body, 8 + len };
		f.src = v6 ? "fd00:1::9" : "10.1.0.9";
		for (unsigned int w = 0; way_of(&way, w); w++) {
			len = frame_build(frame, &f);
			deliver_fresh(NULL);
			deliver_way_put(&way);
			deliver_flow_put(&uplink, way.second);
			memcpy(wanted, frame, len);
			wanted_len = deliver_expected(wanted, len, &way);
			assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_REDIRECT);
			deliver_same("ICMP error", out, out_len, wanted, wanted_len);
			steer_run_expect(&rig.run, MG_CLASS_OTHER, MG_VERDICT_STEER,
					 MG_REASON_NOT_TCP);
			become_proxy(&uplink, &way);
			unwrap("ICMP error", len, &way);
		}
	}
}

/* Out where it came in, it is sent back; without a way out, it is dropped. */
static void test_way_out(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = { .flags = F_ACK };
	size_t len = frame_build(frame, &f), out_len = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		way.deliver = i ? MG_DELIVER_L2 : MG_DELIVER_IPIP;
		deliver_way_put(&way);
		deliver_flow_put(&f, false);
		steer_run_look(&rig.run);
		rig.proxy[1].ifindex = rig.run.px0;
		deliver_proxy_put(1);
		assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_TX);
		steer_run_expect(&rig.run, MG_CLASS_DATA, MG_VERDICT_STEER, MG_REASON_TCP_SEGMENT);
		rig.proxy[1].ifindex = 0;
		deliver_proxy_put(1);
		assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_DROP);
		deliver_same("no way", out, out_len, frame, len);
		steer_run_expect(&rig.run, MG_CLASS_DATA, MG_VERDICT_DROP, MG_REASON_NO_PROXY);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_NO_PROXY), 1);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_ENCAP), !i);
	}
}

/* A second that cannot be asked is not: no number, none of that number, no address to ask from. */
static void test_second_missing(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .second = 4 }, plain = way;
	struct frame f = { .flags = F_ACK };
	size_t len = frame_build(frame, &f), out_len = 0, wanted_len;

	(void)state;
	plain.second = 0;
	deliver_way_put(&way);
	memcpy(wanted, frame, len);
	wanted_len = deliver_expected(wanted, len, &plain);
	deliver_flow_put(&f, true);
	memset(rig.proxy[2].source, 0, sizeof(rig.proxy[2].source));
	deliver_proxy_put(2);
	assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_REDIRECT);
	deliver_same("without a source", out, out_len, wanted, wanted_len);
	rig.proxy[2].used = 0;
	deliver_proxy_put(2);
	assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_REDIRECT);
	deliver_same("not in use", out, out_len, wanted, wanted_len);
	/* nor is one of two a host without mpgate, be it first or second */
	for (int plain_one = 1; plain_one <= 2; plain_one++) {
		deliver_way_put(&way);
		rig.proxy[plain_one].plain = 1;
		deliver_proxy_put(plain_one);
		assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_REDIRECT);
		deliver_same("without mpgate", out, out_len, wanted, wanted_len);
	}
	/* a number that was freed is no first, and the second is asked alone */
	deliver_way_put(&way);
	rig.proxy[1].used = 0;
	deliver_proxy_put(1);
	steer_run_look(&rig.run);
	assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_PASS);
	steer_run_expect(&rig.run, MG_CLASS_DATA, MG_VERDICT_PASS, MG_REASON_TCP_SEGMENT);
}

/* This host is the proxy: what is for it stays, untouched. */
static void test_local(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_LOCAL };
	struct frame f = { .flags = F_ACK };

	(void)state;
	deliver_way_put(&way);
	deliver_flow_put(&f, false);
	steer_run_look(&rig.run);
	assert_int_equal(steer_run_frame(&rig.run, MG_SIDE_ACCESS, &f), XDP_PASS);
	steer_run_expect(&rig.run, MG_CLASS_DATA, MG_VERDICT_PASS, MG_REASON_TCP_SEGMENT);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_ENCAP), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_way, deliver_fresh),
		cmocka_unit_test_setup(test_inner_headers, deliver_fresh),
		cmocka_unit_test_setup(test_traffic_class, deliver_fresh),
		cmocka_unit_test_setup(test_jumbo, deliver_fresh),
		cmocka_unit_test_setup(test_icmp_error, deliver_fresh),
		cmocka_unit_test_setup(test_way_out, deliver_fresh),
		cmocka_unit_test_setup(test_second_missing, deliver_fresh),
		cmocka_unit_test_setup(test_local, deliver_fresh),
	};

	return cmocka_run_group_tests(tests, deliver_set_up, deliver_tear_down);
}
