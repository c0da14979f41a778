// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a tunnel has no room for: where the limit is, the ICMP answer, and how many there are.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver_limit.h"

#define ANSWERS_PER_SECOND 1000

static uint8_t frame[FRAME_MAX], out[FRAME_MAX];

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
		struct frame f = limit_segment(v6, room, tags);

		limit_fresh(&f, &way, 1500);
		limit_fits(&f);
		f = limit_segment(v6, room + 1, tags);
		limit_answer(&f, (uint32_t)room);
	}
}

/* The second's own path counts with its own header only. */
static void test_second_is_narrower(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .v6 = true, .second = 4 };
	struct frame f = limit_segment(false, 1400, 0);

	(void)state;
	limit_fresh(&f, &way, 1500);
	rig.proxy[2].mtu_bytes = 1420;
	deliver_proxy_put(2);
	limit_fits(&f);
	f = limit_segment(false, 1401, 0);
	limit_answer(&f, 1400);
	/* …unless the way to the first is */
	rig.proxy[1].mtu_bytes = 1450;
	deliver_proxy_put(1);
	f = limit_segment(false, 1391, 0);
	limit_answer(&f, 1390);
}

/* No limit is known, and none asked for; up to what IP can say. */
static void test_no_limit(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = limit_segment(false, 9000, 0);

	(void)state;
	limit_fresh(&f, &way, 0);
	limit_fits(&f);
}

/* A packet that may be cut to pieces is not: it could not be put together again. */
static void test_without_df(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = limit_segment(false, 1481, 2);

	(void)state;
	f.frag = 0;
	limit_fresh(&f, &way, 1500);
	limit_answer(&f, 1480);
}

/* Not in one piece in memory, it is cut all the same. */
static void test_jumbo(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };

	(void)state;
	for (size_t ip_bytes = 3000; ip_bytes < 9100; ip_bytes += 471) {
		for (int v6 = 0; v6 <= 1; v6++) {
			struct frame f = limit_segment(v6, ip_bytes, (int)ip_bytes % 3);

			limit_fresh(&f, &way, 1500);
			limit_answer(&f, 1480);
		}
	}
}

/* Below what every IPv6 host may send whatever it is told, it is told no less. */
static void test_least_ip6(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .v6 = true };
	struct frame f = limit_segment(true, 1241, 0);

	(void)state;
	limit_fresh(&f, &way, 1280);
	limit_answer(&f, 1280);
	f = limit_segment(true, 1240, 0);
	limit_fits(&f);
	/* too short to quote from: nothing to say that would help */
	limit_fresh(&f, &way, 1200);
	f = limit_segment(true, 1199, 0);
	limit_silence(&f, MG_CLASS_DATA);
}

/* An MTU that is none lets nothing through, and does no harm. */
static void test_absurd_mtu(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .second = 6 };

	(void)state;
	for (uint32_t mtu = 1; mtu <= 100; mtu += 33) {
		struct frame f = limit_segment(false, 400, 0);

		limit_fresh(&f, &way, mtu);
		limit_silence(&f, MG_CLASS_DATA);
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
		f = limit_segment(false, 1481, 0);
		f.src = sources[i];
		limit_fresh(&f, &way, 1500);
		limit_silence(&f, MG_CLASS_DATA);
	}
	for (size_t i = 0; i < sizeof(sources6) / sizeof(sources6[0]); i++) {
		f = limit_segment(true, 1481, 0);
		f.src = sources6[i];
		limit_fresh(&f, &way, 1500);
		limit_silence(&f, MG_CLASS_DATA);
	}
	for (int v6 = 0; v6 <= 1; v6++) {
		f = limit_segment(v6, 1481, 0);
		limit_fresh(&f, &way, 1500);
		steer_put_gateway(&rig.run, &none);
		limit_silence(&f, MG_CLASS_DATA);
	}
}

static void test_icmp_is_not_answered(void **state)
{
	static const uint8_t payload[1440];
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame quoted = { .flags = F_ACK,
				.src = "10.3.0.2",
				.dst = "10.1.0.1",
				.sport = 5124,
				.dport = 40000,
				.payload = { payload, sizeof(payload) } };
	struct frame f = { .protocol = 1, .src = "10.1.0.9" }, uplink = { 0 };
	uint8_t body[FRAME_MAX] = { 3, 1 };
	size_t len;

	(void)state;
	len = frame_build(frame, &quoted) - 14;
	memcpy(body + 8, frame + 14, len);
	f.body = (struct bytes){ body, 8 + len };
	limit_fresh(&uplink, &way, 1500);
	limit_silence(&f, MG_CLASS_OTHER);
}

/* So many a second, then silence, then as many again. */
static void test_rate(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = limit_segment(false, 1481, 0);
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
		limit_fresh(&f, &way, 1500);
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
	};

	return cmocka_run_group_tests(tests, deliver_set_up, deliver_tear_down);
}
