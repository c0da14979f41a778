// SPDX-License-Identifier: BSD-2-Clause
/*
 * The MSS of SYNs that go through a tunnel: lowered to what fits, never raised, the checksum right;
 * and nothing else changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deliver_rig.h"
#include "rows.h"
#include "wrap.h"

static uint8_t frame[FRAME_MAX], out[FRAME_MAX], wanted[FRAME_MAX];

#define MSS_OF(n) 2, 4, (n) >> 8, (n)&0xff

/* What to expect of options; `at` is where the MSS stands in them, 0 in `lowered` means untouched
 */
struct mss_row {
	const char *name;
	struct bytes opts;
	size_t at;
	bool lowered;
};

static size_t build(const struct frame *f)
{
	size_t len = frame_build(frame, f), link;
	bool v6;

	link = wrap_link(frame, &v6);
	wrap_tcp(frame + link);
	assert_int_equal(wrap_sum(frame + link, 6), 0xffff);
	return len;
}

/* The frame as built, but with this MSS and the sum that goes with it. */
static void set_mss(uint8_t *to, size_t at, uint16_t mss)
{
	bool v6;
	size_t link = wrap_link(to, &v6), tcp = link + (v6 ? 40 : 20);

	to[tcp + 20 + at] = (uint8_t)(mss >> 8);
	to[tcp + 20 + at + 1] = (uint8_t)mss;
	wrap_tcp(to + link);
}

static void fresh(const struct frame *f, const struct deliver_way *way, uint32_t mtu)
{
	deliver_fresh(NULL);
	deliver_way_put(way);
	rig.proxy[1].mtu_bytes = mtu;
	deliver_proxy_put(1);
	deliver_flow_put(f, way->second);
	steer_run_look(&rig.run);
}

/* Sends the frame; with MSS `mss` at `at` it has to arrive, or as it was for 0. */
static void one_syn(const char *what, const struct frame *f, const struct deliver_way *way,
		    size_t at, uint16_t mss)
{
	size_t len = build(f), out_len = 0, wanted_len;

	memcpy(wanted, frame, len);
	if (mss)
		set_mss(wanted, at, mss);
	wanted_len = deliver_expected(wanted, len, way);
	assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_REDIRECT);
	deliver_same(what, out, out_len, wanted, wanted_len);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_MSS_CLAMPED), mss != 0);
}

static const struct mss_row rows_of_options[] = {
	{ "first", B(MSS_OF(1460), SACK_OK, MPC_V1), 2, true },
	{ "as Linux has it", B(LINUX_SYN, MPC_V1), 2, true },
	{ "behind a NOP", B(NOP, MSS_OF(1460), SACK_OK), 3, true },
	{ "behind three", B(NOP, NOP, NOP, MSS_OF(1460)), 5, true },
	{ "last of forty",
	  B(TIMESTAMPS, TIMESTAMPS, TIMESTAMPS, SACK_OK, SACK_OK, NOP, NOP, MSS_OF(1460)), 38,
	  true },
	{ "one off the last",
	  B(TIMESTAMPS, TIMESTAMPS, TIMESTAMPS, SACK_OK, SACK_OK, NOP, MSS_OF(1460), NOP), 37,
	  true },
	{ "largest there is", B(MSS_OF(65535)), 2, true },
	{ "of two the last", B(MSS_OF(1000), MSS_OF(1460)), 6, true },
	{ "absent", B(MPC_V1), 0, false },
	{ "no options at all", { NULL, 0 }, 0, false },
	{ "low already", B(MSS_OF(536)), 0, false },
	{ "zero", B(MSS_OF(0)), 0, false },
	{ "behind the end of options", B(EOL, MSS_OF(1460)), 0, false },
	{ "of the wrong length", B(2, 3, 0xff, NOP), 0, false },
	{ "of a longer length", B(2, 5, 0x5, 0xb4, 0, NOP, NOP, NOP), 0, false },
	{ "inside of another", B(254, 6, MSS_OF(1460), NOP, NOP), 0, false },
};

static void test_options(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };

	(void)state;
	for (size_t i = 0; i < sizeof(rows_of_options) / sizeof(rows_of_options[0]); i++) {
		const struct mss_row *row = &rows_of_options[i];

		for (int v6 = 0; v6 <= 1; v6++) {
			struct frame f = { .v6 = v6, .flags = F_SYN, .opts = row->opts };
			char what[128];

			snprintf(what, sizeof(what), "%s, IPv%d", row->name, v6 ? 6 : 4);
			fresh(&f, &way, 1500);
			one_syn(what, &f, &way, row->at, row->lowered ? v6 ? 1420 : 1440 : 0);
		}
	}
}

static const struct bytes malformed[] = {
	B(NOP, NOP, 2, 4),
	B(NOP, NOP, NOP, 2),
	B(MSS_OF(1460), 254, 0, NOP, NOP),
	B(MSS_OF(1460), 254, 9, NOP, NOP),
};

/* Options that lie: such a SYN goes nowhere else, and as it is. */
static void test_malformed(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		struct frame f = { .flags = F_SYN, .opts = malformed[i] };

		fresh(&f, &way, 1500);
		assert_int_equal(steer_run_frame(&rig.run, MG_SIDE_ACCESS, &f), XDP_PASS);
		steer_run_expect(&rig.run, MG_CLASS_MALFORMED, MG_VERDICT_PASS,
				 MG_REASON_TCP_OPTION_OVERRUN);
	}
}

/* Every way, every number of tags; where there is no tunnel, nothing is lowered. */
static void test_every_way(void **state)
{
	static const uint8_t opts[] = { MSS_OF(9000), SACK_OK, NOP, WSCALE };
	const int seconds[] = { 0, 4, 6 };

	(void)state;
	for (unsigned int n = 0; n < 12 * 2 * 3; n++) {
		struct deliver_way way = { .deliver = n % 2 ? MG_DELIVER_IPIP : MG_DELIVER_L2,
					   .v6 = n / 2 % 2,
					   .second = seconds[n / 4 % 3] };
		struct frame f = { .v6 = n / 12 % 2,
				   .flags = F_SYN,
				   .opts = { opts, sizeof(opts) } };
		size_t room = 1400 - deliver_overhead(&way) - (f.v6 ? 60 : 40);

		for (unsigned int tags = 0; tags < n / 24; tags++)
			f.vlan[tags] = 0x8100;
		fresh(&f, &way, 1400);
		one_syn("every way", &f, &way, 2, deliver_overhead(&way) ? (uint16_t)room : 0);
	}
}

/* To the byte; and checksums of every shape */
static void test_edges(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	uint8_t opts[8] = { 1, 2, 4, 0, 0, 1, 1, 1 };
	struct frame f = { .flags = F_SYN, .opts = { opts, sizeof(opts) } };

	(void)state;
	fresh(&f, &way, 1500);
	for (unsigned int mss = 1439; mss <= 1441; mss++) {
		opts[3] = (uint8_t)(mss >> 8);
		opts[4] = (uint8_t)mss;
		one_syn("edges", &f, &way, 3, mss > 1440 ? 1440 : 0);
	}
	/* a hundred ports: as many sums, some of which carry */
	for (uint16_t port = 1; port <= 500; port++) {
		f.sport = (uint16_t)(port * 131);
		f.seq = port * 2654435761U;
		deliver_flow_put(&f, false);
		one_syn("sums", &f, &way, 3, 1440);
	}
}

/* What is known of the path counts, an unknown one is Ethernet's, an absurd one changes nothing. */
static void test_paths(void **state)
{
	static const uint8_t opts[] = { MSS_OF(1460) };
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = { .flags = F_SYN, .opts = { opts, sizeof(opts) } };
	struct mg_path path = { .mtu_bytes = 1300 };
	uint32_t one = 1;

	(void)state;
	fresh(&f, &way, 0);
	one_syn("unknown", &f, &way, 2, 1440);
	fresh(&f, &way, 9000);
	one_syn("wide", &f, &way, 2, 0);
	fresh(&f, &way, 1500);
	path.since_ns = deliver_now_ns() - 1000000000ULL;
	steer_put(STEER_MAP(&rig.run, mg_paths), &one, &path);
	one_syn("heard", &f, &way, 2, 1240);
	fresh(&f, &way, 70000);
	one_syn("wider than IP", &f, &way, 2, 0);
	fresh(&f, &way, 90);
	one_syn("absurd", &f, &way, 2, 0);
}

/* With data, and a SYN that has no room at all */
static void test_with_data(void **state)
{
	static uint8_t payload[1500];
	static const uint8_t opts[] = { MSS_OF(1460) };
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .v6 = true };
	struct frame f = { .flags = F_SYN,
			   .opts = { opts, sizeof(opts) },
			   .payload = { payload, 1416 } };
	size_t len, out_len = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 3);
	fresh(&f, &way, 1500);
	one_syn("with data", &f, &way, 2, 1420);
	f.payload.len = 1417;
	len = build(&f);
	assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_TX);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_MSS_CLAMPED), 0);
}

/* What is no SYN keeps its bytes, whatever they look like. */
static void test_not_a_syn(void **state)
{
	static const uint8_t opts[] = { MSS_OF(1460) };
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = { .flags = F_ACK, .opts = { opts, sizeof(opts) } };

	(void)state;
	fresh(&f, &way, 1500);
	one_syn("ACK", &f, &way, 2, 0);
	f.flags = F_RST;
	one_syn("RST", &f, &way, 2, 0);
}

/* The proxy's SYN+ACK, on its way back from the core, tells the client; it passes. */
static void test_syn_ack(void **state)
{
	static const uint8_t opts[] = { NOP, MSS_OF(1460), SACK_OK };
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct mg_neighbour at = { .ifindex = rig.run.px1, .mac = { 2, 0, 0, 0, 0, 1 } };
	uint32_t proxy = 1;

	(void)state;
	for (int v6 = 0; v6 <= 1; v6++) {
		struct frame uplink = { .v6 = v6, .flags = F_SYN };
		struct frame f = { .v6 = v6,
				   .flags = F_SYN | F_ACK,
				   .src = v6 ? "fd00:3::2" : "10.3.0.2",
				   .dst = v6 ? "fd00:1::1" : "10.1.0.1",
				   .sport = 5124,
				   .dport = 40000,
				   .opts = { opts, sizeof(opts) } };
		size_t len = build(&f), out_len = 0;

		fresh(&uplink, &way, 1500);
		steer_put(STEER_MAP(&rig.run, mg_neighbours), &at, &proxy);
		memcpy(wanted, frame, len);
		set_mss(wanted, 3, v6 ? 1420 : 1440);
		assert_int_equal(steer_run_bytes(&rig.run, MG_SIDE_CORE, frame, len, out, &out_len),
				 XDP_PASS);
		deliver_same("SYN+ACK", out, out_len, wanted, len);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_MSS_CLAMPED), 1);
		assert_int_equal(wrap_sum(out + 14, 6), 0xffff);
	}
}

/* A proxy's own SYN to a server, in the client's name: what the server sends comes down a tunnel.
 */
static void test_upstream(void **state)
{
	static const uint8_t opts[] = { MSS_OF(1460), SACK_OK };
	const struct deliver_way ways[] = { { .deliver = MG_DELIVER_IPIP },
					    { .deliver = MG_DELIVER_L2 } };
	struct mg_neighbour at = { .ifindex = rig.run.px1, .mac = { 2, 0, 0, 0, 0, 1 } };
	struct frame f = { .flags = F_SYN, .dst = "10.4.0.2", .opts = { opts, sizeof(opts) } };
	uint32_t proxy = 1;

	(void)state;
	for (int i = 0; i < 3; i++) {
		size_t len = build(&f), out_len = 0;

		deliver_fresh(NULL);
		deliver_way_put(&ways[i == 1]);
		rig.proxy[1].mtu_bytes = 1500;
		deliver_proxy_put(1);
		/* behind a router of several, it is known by nothing but a flow */
		proxy = i < 2;
		steer_put(STEER_MAP(&rig.run, mg_neighbours), &at, &proxy);
		steer_run_look(&rig.run);
		memcpy(wanted, frame, len);
		if (i == 0)
			set_mss(wanted, 2, 1440);
		assert_int_equal(steer_run_bytes(&rig.run, MG_SIDE_CORE, frame, len, out, &out_len),
				 XDP_PASS);
		deliver_same("upstream", out, out_len, wanted, len);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_MSS_CLAMPED), i == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_options, deliver_fresh),
		cmocka_unit_test_setup(test_malformed, deliver_fresh),
		cmocka_unit_test_setup(test_every_way, deliver_fresh),
		cmocka_unit_test_setup(test_edges, deliver_fresh),
		cmocka_unit_test_setup(test_paths, deliver_fresh),
		cmocka_unit_test_setup(test_with_data, deliver_fresh),
		cmocka_unit_test_setup(test_not_a_syn, deliver_fresh),
		cmocka_unit_test_setup(test_syn_ack, deliver_fresh),
		cmocka_unit_test_setup(test_upstream, deliver_fresh),
	};

	return cmocka_run_group_tests(tests, deliver_set_up, deliver_tear_down);
}
