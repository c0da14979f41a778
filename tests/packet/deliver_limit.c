// SPDX-License-Identifier: BSD-2-Clause
#include "deliver_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wrap.h"

#define QUOTE4 512
#define QUOTE6 1200

static uint8_t frame[FRAME_MAX], out[FRAME_MAX], payload[9216];

static uint32_t get(const uint8_t *at, int n)
{
	uint32_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | at[i];
	return v;
}

/* A data segment of so many bytes of IP */
struct frame limit_segment(bool v6, size_t ip_bytes, int tags)
{
	struct frame f = { .v6 = v6, .flags = F_ACK, .frag = 0x4000 };

	for (size_t i = 0; !payload[1] && i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 13 + i / 256);
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

void limit_fits(const struct frame *f)
{
	size_t out_len = 0;

	assert_int_equal(run(f, &out_len), XDP_REDIRECT);
	steer_run_expect(&rig.run, MG_CLASS_DATA, MG_VERDICT_STEER, MG_REASON_TCP_SEGMENT);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_TOO_BIG), 0);
	steer_run_look(&rig.run);
}

void limit_silence(const struct frame *f, enum mg_class class)
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

void limit_answer(const struct frame *f, uint32_t mtu)
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

void limit_fresh(const struct frame *f, const struct deliver_way *way, uint32_t mtu)
{
	deliver_fresh(NULL);
	deliver_way_put(way);
	rig.proxy[1].mtu_bytes = mtu;
	deliver_proxy_put(1);
	deliver_flow_put(f, way->second);
	steer_run_look(&rig.run);
}
