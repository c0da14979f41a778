// SPDX-License-Identifier: BSD-2-Clause
#include "deliver_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "wrap.h"

struct deliver_rig rig;

static const uint8_t own_mac[6] = { 2, 0, 0, 0, 8, 0xfe };

int deliver_set_up(void **state)
{
	(void)state;
	return steer_run_open(&rig.run);
}

int deliver_tear_down(void **state)
{
	(void)state;
	steer_run_close(&rig.run);
	return 0;
}

int deliver_fresh(void **state)
{
	struct mg_gateway g = { .steers = 1 };

	(void)state;
	steer_run_reset(&rig.run);
	steer_ip(g.ip4, GATEWAY4);
	steer_ip(g.ip6, GATEWAY6);
	steer_put_gateway(&rig.run, &g);
	memset(rig.proxy, 0, sizeof(rig.proxy));
	return 0;
}

const char *deliver_address(int proxy, bool v6)
{
	static const char *const text[2][2] = { { "10.8.0.1", "fd00:8::1" },
						{ "10.8.0.2", "fd00:8::2" } };

	return text[proxy - 1][v6];
}

const char *deliver_source(bool v6)
{
	return v6 ? GATEWAY6 : GATEWAY4;
}

size_t deliver_overhead(const struct deliver_way *way)
{
	size_t n = way->deliver == MG_DELIVER_IPIP ? way->v6 ? 40 : 20 : 0;

	return n + (way->second ? way->second == 6 ? 40 : 20 : 0);
}

uint64_t deliver_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void deliver_proxy_put(int i)
{
	steer_put_proxy(&rig.run, (uint32_t)i, &rig.proxy[i]);
}

static void proxy_make(int i, enum mg_delivery deliver, bool v6)
{
	struct mg_steer_proxy *p = &rig.proxy[i];

	*p = (struct mg_steer_proxy){ .used = 1,
				      .deliver = (uint8_t)deliver,
				      .ifindex = rig.run.px1,
				      .dmac = { 2, 0, 0, 0, 8, (uint8_t)i } };
	memcpy(p->smac, own_mac, sizeof(p->smac));
	steer_ip(p->ip, deliver_address(i, v6));
	steer_ip(p->source, deliver_source(v6));
	deliver_proxy_put(i);
}

void deliver_way_put(const struct deliver_way *way)
{
	proxy_make(1, way->deliver, way->v6);
	proxy_make(2, MG_DELIVER_IPIP, way->second == 6);
}

void deliver_flow_put(const struct frame *f, bool second)
{
	struct mg_tuple tuple = steer_tuple(f);
	struct mg_steer_flow flow = { .proxy = 1, .second = second ? 2 : 0, .isn = f->seq };

	steer_put_flow(&rig.run, &tuple, &flow);
}

int deliver_bytes(const uint8_t *frame, size_t len, uint8_t *out, size_t *out_len)
{
	return steer_run_bytes(&rig.run, MG_SIDE_ACCESS, frame, len, out, out_len);
}

size_t deliver_expected(uint8_t *frame, size_t len, const struct deliver_way *way)
{
	if (way->second)
		len = wrap_frame(frame, len, deliver_source(way->second == 6),
				 deliver_address(2, way->second == 6));
	if (way->deliver == MG_DELIVER_IPIP)
		len = wrap_frame(frame, len, deliver_source(way->v6), deliver_address(1, way->v6));
	wrap_set_macs(frame, rig.proxy[1].dmac, rig.proxy[1].smac);
	return len;
}

void deliver_same(const char *what, const uint8_t *got, size_t got_len, const uint8_t *wanted,
		  size_t wanted_len)
{
	size_t at = 0;

	while (at < got_len && at < wanted_len && got[at] == wanted[at])
		at++;
	if (at == got_len && at == wanted_len)
		return;
	fprintf(stderr, "# %s: differs at byte %zu of %zu, %zu wanted\n", what, at, got_len,
		wanted_len);
	fail();
}
