// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a tunnel has no room for: where the limit is, the ICMP answer field by field, how many there
 * are, and what ICMP teaches about tunnels of our own.
 */
#include <arpa/inet.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "deliver_rig.h"
#include "wrap.h"

#define ANSWERS_PER_SECOND 1000
#define QUOTE4		   512
#define QUOTE6		   1200

static uint8_t frame[FRAME_MAX], out[FRAME_MAX], payload[9216];

static uint32_t get(const uint8_t *at, int n)
{
	uint32_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | at[i];
	return v;
}

/* A data segment of so many bytes of IP */
static struct frame segment(bool v6, size_t ip_bytes, int tags)
{
	struct frame f = { .v6 = v6, .flags = F_ACK, .frag = 0x4000 };

	f.payload = (struct bytes){ payload, ip_bytes - (v6 ? 60 : 40) };
	for (int i = 0; i < tags; i++)
		f.vlan[i] = 0x8100;
	return f;
}

static int run(const struct frame *f, size_t *out_len)
{
	size_t len = frame_build(frame, f);

	return deliver_bytes(frame, len, out, out_len);
}

static void expect_fits(const struct frame *f)
{
	size_t out_len = 0;

	assert_int_equal(run(f, &out_len), XDP_REDIRECT);
	steer_run_expect(&rig.run, MG_CLASS_DATA, MG_VERDICT_STEER, MG_REASON_TCP_SEGMENT);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_TOO_BIG), 0);
	steer_run_look(&rig.run);
}

static void expect_silence(const struct frame *f, enum mg_class class)
{
	size_t out_len = 0;

	assert_int_equal(run(f, &out_len), XDP_DROP);
	steer_run_expect(&rig.run, class, MG_VERDICT_DROP, MG_REASON_TUNNEL_TOO_BIG);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_TOO_BIG), 0);
}

/* out: to who sent it, from the gateway, in the tags it came in */
static void check_answer_ip(const struct frame *f, size_t out_len, size_t link)
{
	const uint8_t *ip = out + link;
	uint8_t from[16], to[16];

	assert_memory_equal(out, frame + 6, 6);
	assert_memory_equal(out + 6, frame, 6);
	assert_memory_equal(out + 12, frame + 12, link - 12);
	steer_ip(from, f->v6 ? GATEWAY6 : GATEWAY4);
	if (f->v6) {
		assert_int_equal(out_len, link + 48 + QUOTE6);
		assert_int_equal(get(ip, 4), 0x6c000000);
		assert_int_equal(get(ip + 4, 2), 8 + QUOTE6);
		assert_int_equal(ip[6], 58);
		assert_int_equal(ip[7], 64);
		memcpy(to, frame + link + 8, 16);
		assert_memory_equal(ip + 8, from, 16);
		assert_memory_equal(ip + 24, to, 16);
		return;
	}
	assert_int_equal(out_len, link + 28 + QUOTE4);
	assert_int_equal(get(ip, 2), 0x45c0);
	assert_int_equal(get(ip + 2, 2), 28 + QUOTE4);
	assert_int_equal(get(ip + 4, 4), 0x4000);
	assert_int_equal(get(ip + 8, 2), 64 << 8 | 1);
	assert_memory_equal(ip + 12, from + 12, 4);
	assert_memory_equal(ip + 16, frame + link + 12, 4);
	assert_int_equal(wrap_fold(wrap_add(0, ip, 20)), 0xffff);
}

static void expect_answer(const struct frame *f, uint32_t mtu)
{
	size_t out_len = 0, link;
	int action = run(f, &out_len);
	const uint8_t *icmp;
	bool v6;

	if (action != XDP_TX)
		fprintf(stderr, "# action %d\n", action);
	assert_int_equal(action, XDP_TX);
	steer_run_expect(&rig.run, MG_CLASS_DATA, MG_VERDICT_ANSWER, MG_REASON_TUNNEL_TOO_BIG);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_TOO_BIG), 1);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_ENCAP), 0);
	link = wrap_link(frame, &v6);
	check_answer_ip(f, out_len, link);
	icmp = out + link + (f->v6 ? 40 : 20);
	assert_int_equal(get(icmp, 2), f->v6 ? 0x0200 : 0x0304);
	assert_int_equal(get(icmp + 4, 4), mtu);
	assert_memory_equal(icmp + 8, frame + link, f->v6 ? QUOTE6 : QUOTE4);
	if (f->v6)
		assert_int_equal(wrap_sum(out + link, 58), 0xffff);
	else
		assert_int_equal(wrap_fold(wrap_add(0, icmp, 8 + QUOTE4)), 0xffff);
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

/* To the byte, for every way */
static void test_edges(void **state)
{
	const int seconds[] = { 0, 4, 6 };

	(void)state;
	for (unsigned int n = 0; n < 12 * 2 * 3; n++) {
		struct deliver_way way = { .deliver = n % 2 ? MG_DELIVER_IPIP : MG_DELIVER_L2,
					   .v6 = n / 2 % 2,
					   .second = seconds[n / 4 % 3] };
		bool v6 = n / 12 % 2;
		int tags = (int)(n / 24);
		size_t room = 1500 - deliver_overhead(&way);
		struct frame f = segment(v6, room, tags);

		fresh(&f, &way, 1500);
		expect_fits(&f);
		f = segment(v6, room + 1, tags);
		expect_answer(&f, (uint32_t)room);
	}
}

/* The second's own path counts with its own header only. */
static void test_second_is_narrower(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .v6 = true, .second = 4 };
	struct frame f = segment(false, 1400, 0);

	(void)state;
	fresh(&f, &way, 1500);
	rig.proxy[2].mtu_bytes = 1420;
	deliver_proxy_put(2);
	expect_fits(&f);
	f = segment(false, 1401, 0);
	expect_answer(&f, 1400);
	/* …unless the way to the first is */
	rig.proxy[1].mtu_bytes = 1450;
	deliver_proxy_put(1);
	f = segment(false, 1391, 0);
	expect_answer(&f, 1390);
}

/* No limit is known, and none asked for; up to what IP can say. */
static void test_no_limit(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = segment(false, 9000, 0);

	(void)state;
	fresh(&f, &way, 0);
	expect_fits(&f);
}

/* A packet that may be cut to pieces is not: it could not be put together again. */
static void test_without_df(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = segment(false, 1481, 2);

	(void)state;
	f.frag = 0;
	fresh(&f, &way, 1500);
	expect_answer(&f, 1480);
}

/* Not in one piece in memory, it is cut all the same. */
static void test_jumbo(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };

	(void)state;
	for (size_t ip_bytes = 3000; ip_bytes < 9100; ip_bytes += 471) {
		for (int v6 = 0; v6 <= 1; v6++) {
			struct frame f = segment(v6, ip_bytes, (int)ip_bytes % 3);

			fresh(&f, &way, 1500);
			expect_answer(&f, 1480);
		}
	}
}

/* Below what every IPv6 host may send whatever it is told, it is told no less. */
static void test_least_ip6(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .v6 = true };
	struct frame f = segment(true, 1241, 0);

	(void)state;
	fresh(&f, &way, 1280);
	expect_answer(&f, 1280);
	f = segment(true, 1240, 0);
	expect_fits(&f);
	/* too short to quote from: nothing to say that would help */
	fresh(&f, &way, 1200);
	f = segment(true, 1199, 0);
	expect_silence(&f, MG_CLASS_DATA);
}

/* An MTU that is none lets nothing through, and does no harm. */
static void test_absurd_mtu(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .second = 6 };

	(void)state;
	for (uint32_t mtu = 1; mtu <= 100; mtu += 33) {
		struct frame f = segment(false, 400, 0);

		fresh(&f, &way, mtu);
		expect_silence(&f, MG_CLASS_DATA);
	}
}

/* What must not be answered: errors, what no single host sent, and all if we have no address. */
static void test_silence(void **state)
{
	static const char *const sources[] = { "0.1.2.3", "127.0.0.1", "224.0.0.9",
					       "255.255.255.255" };
	static const char *const sources6[] = { "::", "ff02::1" };
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct mg_gateway none = { .steers = 1 };
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		f = segment(false, 1481, 0);
		f.src = sources[i];
		fresh(&f, &way, 1500);
		expect_silence(&f, MG_CLASS_DATA);
	}
	for (size_t i = 0; i < sizeof(sources6) / sizeof(sources6[0]); i++) {
		f = segment(true, 1481, 0);
		f.src = sources6[i];
		fresh(&f, &way, 1500);
		expect_silence(&f, MG_CLASS_DATA);
	}
	for (int v6 = 0; v6 <= 1; v6++) {
		f = segment(v6, 1481, 0);
		fresh(&f, &way, 1500);
		steer_put_gateway(&rig.run, &none);
		expect_silence(&f, MG_CLASS_DATA);
	}
}

static void test_icmp_is_not_answered(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame quoted = { .flags = F_ACK,
				.src = "10.3.0.2",
				.dst = "10.1.0.1",
				.sport = 5124,
				.dport = 40000,
				.payload = { payload, 1440 } };
	struct frame f = { .protocol = 1, .src = "10.1.0.9" }, uplink = { 0 };
	uint8_t body[FRAME_MAX] = { 3, 1 };
	size_t len;

	(void)state;
	len = frame_build(frame, &quoted) - 14;
	memcpy(body + 8, frame + 14, len);
	f.body = (struct bytes){ body, 8 + len };
	fresh(&uplink, &way, 1500);
	expect_silence(&f, MG_CLASS_OTHER);
}

/* So many a second, then silence, then as many again. */
static void test_rate(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = segment(false, 1481, 0);
	size_t len, out_len = 0;
	uint64_t start;
	cpu_set_t before, one;
	int answers = 0, tries = 0;

	(void)state;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	len = frame_build(frame, &f);
	/* again, if this machine was too slow for more than that in a second */
	do {
		fresh(&f, &way, 1500);
		answers = 0;
		start = deliver_now_ns();
		for (int i = 0; i < ANSWERS_PER_SECOND + 500; i++)
			answers += deliver_bytes(frame, len, out, &out_len) == XDP_TX;
	} while (deliver_now_ns() - start > 900000000ULL && ++tries < 20);
	assert_int_equal(answers, ANSWERS_PER_SECOND);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_TOO_BIG), answers);
	do {
		usleep(1000);
	} while (deliver_now_ns() - start < 1100000000ULL);
	assert_int_equal(deliver_bytes(frame, len, out, &out_len), XDP_TX);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

/* ---- what ICMP says about tunnels ------------------------------------------------------------ */

struct complaint {
	bool v6;
	uint8_t type, code;
	uint32_t mtu;
	const char *from, *quoted_from, *quoted_to;
	uint8_t protocol; /* quoted; 0: 4 */
	enum mg_side side;
};

/* An ICMP error about what the gateway sent to proxy 1, through the program; it passes. */
static void complain(const struct complaint *c)
{
	uint8_t body[8 + 68] = { c->type, c->code };
	struct frame inner = { .flags = F_ACK, .v6 = c->v6, .protocol = c->protocol };
	struct frame f = { .v6 = c->v6,
			   .protocol = c->v6 ? 58 : 1,
			   .body = { body, sizeof(body) } };
	size_t header = c->v6 ? 40 : 20;
	uint8_t made[FRAME_MAX];

	inner.protocol = c->protocol ? c->protocol : 4;
	inner.src = c->quoted_from ? c->quoted_from : c->v6 ? GATEWAY6 : GATEWAY4;
	inner.dst = c->quoted_to ? c->quoted_to : deliver_address(1, c->v6);
	inner.body = (struct bytes){ payload, 28 };
	frame_build(made, &inner);
	memcpy(body + 8, made + 14, header + 28);
	for (int i = 0; i < 4; i++)
		body[4 + i] = (uint8_t)(c->mtu >> (24 - 8 * i));
	f.body.len = 8 + header + 28;
	f.src = c->v6 ? "fd00:9::1" : "10.9.9.1";
	f.dst = c->v6 ? GATEWAY6 : GATEWAY4;
	assert_int_equal(steer_run_frame(&rig.run, c->side, &f), XDP_PASS);
}

static uint32_t heard(uint32_t proxy)
{
	struct mg_path path = { 0 };

	if (bpf_map_lookup_elem(STEER_MAP(&rig.run, mg_paths), &proxy, &path))
		return 0;
	return path.mtu_bytes;
}

#define COMPLAINT(mtu_)                                                   \
	{                                                                 \
		.type = 3, .code = 4, .mtu = (mtu_), .side = MG_SIDE_CORE \
	}

static void test_too_big_teaches(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct complaint c = COMPLAINT(1400);
	struct frame f = segment(false, 1381, 0);

	(void)state;
	fresh(&f, &way, 0);
	expect_fits(&f);
	complain(&c);
	assert_int_equal(heard(1), 1400);
	assert_int_equal(heard(2), 0);
	steer_run_look(&rig.run);
	expect_answer(&f, 1380);
	f = segment(false, 1380, 0);
	expect_fits(&f);
	/* longer is old news, shorter is not; never below what every path takes */
	c.mtu = 1450;
	complain(&c);
	assert_int_equal(heard(1), 1400);
	c.mtu = 900;
	complain(&c);
	assert_int_equal(heard(1), 900);
	c.mtu = 68;
	complain(&c);
	assert_int_equal(heard(1), 576);
	steer_run_look(&rig.run);
	f = segment(false, 556, 0);
	expect_fits(&f);
	f = segment(false, 557, 0);
	expect_answer(&f, 556);
}

static void test_too_big_teaches_ip6(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .v6 = true };
	struct complaint c = {
		.v6 = true, .type = 2, .mtu = 1400, .protocol = 41, .side = MG_SIDE_CORE
	};
	struct frame f = segment(true, 1361, 0);

	(void)state;
	fresh(&f, &way, 1500);
	complain(&c);
	assert_int_equal(heard(1), 1400);
	steer_run_look(&rig.run);
	expect_answer(&f, 1360);
	c.mtu = 1000;
	complain(&c);
	assert_int_equal(heard(1), 1280);
}

/* The tunnel to the second is heard of by its own name. */
static void test_too_big_of_second(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .second = 4 };
	struct complaint c = COMPLAINT(1300);
	struct frame f = segment(false, 1281, 0);

	(void)state;
	fresh(&f, &way, 1500);
	c.quoted_to = deliver_address(2, false);
	complain(&c);
	assert_int_equal(heard(2), 1300);
	steer_run_look(&rig.run);
	expect_answer(&f, 1280);
	f = segment(false, 1280, 0);
	expect_fits(&f);
}

static void test_too_big_not_believed(void **state)
{
	static const struct complaint wrong[] = {
		{ .type = 3, .code = 3, .mtu = 1400, .side = MG_SIDE_CORE },
		{ .type = 11, .code = 0, .mtu = 1400, .side = MG_SIDE_CORE },
		{ .type = 3, .code = 4, .mtu = 0, .side = MG_SIDE_CORE },
		{ .type = 3, .code = 4, .mtu = 1400, .protocol = 17, .side = MG_SIDE_CORE },
		{ .type = 3, .code = 4, .mtu = 1400, .protocol = 47, .side = MG_SIDE_CORE },
		{ .type = 3,
		  .code = 4,
		  .mtu = 1400,
		  .quoted_to = "10.8.0.77",
		  .side = MG_SIDE_CORE },
		{ .type = 3,
		  .code = 4,
		  .mtu = 1400,
		  .quoted_from = "10.8.0.77",
		  .side = MG_SIDE_CORE },
		/* from the side of the UEs, to which the tunnel does not lead */
		{ .type = 3, .code = 4, .mtu = 1400, .side = MG_SIDE_ACCESS },
		{ .v6 = true, .type = 1, .mtu = 1400, .side = MG_SIDE_CORE },
	};
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = segment(false, 100, 0);
	struct complaint c = COMPLAINT(1400);

	(void)state;
	fresh(&f, &way, 1500);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		complain(&wrong[i]);
		assert_int_equal(heard(1), 0);
	}
	/* one interface may well be both */
	rig.proxy[1].ifindex = rig.run.px0;
	deliver_proxy_put(1);
	c.side = MG_SIDE_ACCESS;
	complain(&c);
	assert_int_equal(heard(1), 1400);
}

static void test_heard_expires(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct mg_path path = { .mtu_bytes = 1400 };
	struct frame f = segment(false, 1400, 0);
	uint64_t now = deliver_now_ns();
	uint32_t one = 1;

	(void)state;
	fresh(&f, &way, 1500);
	path.since_ns = now - MG_PATH_TTL_NS + 60000000000ULL;
	steer_put(STEER_MAP(&rig.run, mg_paths), &one, &path);
	expect_answer(&f, 1380);
	path.since_ns = now - MG_PATH_TTL_NS - 1000000000ULL;
	steer_put(STEER_MAP(&rig.run, mg_paths), &one, &path);
	expect_fits(&f);
	assert_int_equal(heard(1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_edges, deliver_fresh),
		cmocka_unit_test_setup(test_second_is_narrower, deliver_fresh),
		cmocka_unit_test_setup(test_no_limit, deliver_fresh),
		cmocka_unit_test_setup(test_without_df, deliver_fresh),
		cmocka_unit_test_setup(test_jumbo, deliver_fresh),
		cmocka_unit_test_setup(test_least_ip6, deliver_fresh),
		cmocka_unit_test_setup(test_absurd_mtu, deliver_fresh),
		cmocka_unit_test_setup(test_silence, deliver_fresh),
		cmocka_unit_test_setup(test_icmp_is_not_answered, deliver_fresh),
		cmocka_unit_test_setup(test_rate, deliver_fresh),
		cmocka_unit_test_setup(test_too_big_teaches, deliver_fresh),
		cmocka_unit_test_setup(test_too_big_teaches_ip6, deliver_fresh),
		cmocka_unit_test_setup(test_too_big_of_second, deliver_fresh),
		cmocka_unit_test_setup(test_too_big_not_believed, deliver_fresh),
		cmocka_unit_test_setup(test_heard_expires, deliver_fresh),
	};

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 13 + i / 256);
	return cmocka_run_group_tests(tests, deliver_set_up, deliver_tear_down);
}
