// SPDX-License-Identifier: BSD-2-Clause
#include "steer_world.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "abi/sha256.h"
#include "rows.h"

const struct bytes opt_capable = B(LINUX_SYN, MPC_V1);
const struct bytes opt_plain = B(LINUX_SYN);
const struct bytes opt_times = B(NOP, NOP, TIMESTAMPS);
const struct bytes convert_message = B(CONVERT);

#define OPTIONS_MAX 40
#define BUFFERS	    16

int world_open(struct world *w)
{
	return steer_run_open(&w->run);
}

void world_close(struct world *w)
{
	steer_run_close(&w->run);
}

/* ---- what there is --------------------------------------------------------------------------- */

static struct mg_steer_proxy proxy(const struct world *w, uint16_t n)
{
	struct mg_steer_proxy p = {
		.used = 1,
		.deliver = n == HERE ? MG_DELIVER_LOCAL : MG_DELIVER_L2,
		.ifindex = w->run.px1,
		.dmac = PX_MAC((uint8_t)n),
		.smac = { 2, 0, 0, 0, 8, 1 },
	};
	char ip[INET6_ADDRSTRLEN];

	snprintf(ip, sizeof(ip), "10.3.1.%u", 10U + n);
	steer_ip(p.ip, ip);
	steer_ip(p.source, "10.3.1.1");
	return p;
}

void world_state(struct world *w, uint16_t n, enum mg_member_state state)
{
	struct mg_steer_proxy p = proxy(w, n);

	p.state = (uint8_t)state;
	steer_put_proxy(&w->run, n, &p);
}

void world_group(struct world *w, uint16_t group, uint8_t hash, bool closed, uint32_t n_up)
{
	struct mg_steer_group g = { .used = 1, .hash = hash, .closed = closed, .n_up = n_up };
	uint32_t at = group;

	steer_put(STEER_MAP(&w->run, mg_groups), &at, &g);
}

void world_ring(struct world *w, uint16_t group, uint16_t current, uint16_t previous)
{
	static struct mg_slot slots[MG_RING_SLOTS];
	static uint32_t at[MG_RING_SLOTS];
	__u32 n = MG_RING_SLOTS;

	for (uint32_t i = 0; i < MG_RING_SLOTS; i++) {
		at[i] = (uint32_t)group * MG_RING_SLOTS + i;
		slots[i] = (struct mg_slot){ .current = current, .previous = previous };
	}
	assert_int_equal(bpf_map_update_batch(STEER_MAP(&w->run, mg_ring), at, slots, &n, NULL), 0);
}

void world_slot(struct world *w, uint16_t group, uint32_t slot, uint16_t current, uint16_t previous)
{
	struct mg_slot s = { .current = current, .previous = previous };
	uint32_t at = (uint32_t)group * MG_RING_SLOTS + slot;

	steer_put(STEER_MAP(&w->run, mg_ring), &at, &s);
}

static void put_virtual(struct world *w, const char *ip, uint32_t group)
{
	struct mg_endpoint ep = { .port = 5124 };

	steer_ip(ep.ip, ip);
	steer_put(STEER_MAP(&w->run, mg_virtual), &ep, &group);
	ep.port = 0;
	group = 0;
	steer_put(STEER_MAP(&w->run, mg_virtual), &ep, &group);
}

void world_gateway(struct world *w)
{
	steer_put_gateway(&w->run, &w->gateway);
}

void world_reset(struct world *w)
{
	steer_run_reset(&w->run);
	w->gateway = (struct mg_gateway){
		.steers = 1,
		.learn = 1,
		.unknown_join = MG_UNKNOWN_DROP,
		.learn_per_second = 1000,
	};
	steer_ip(w->gateway.ip4, "10.3.1.1");
	steer_ip(w->gateway.ip6, "fd00:3::1");
	world_gateway(w);
	for (uint16_t n = 1; n <= HERE; n++)
		world_state(w, n, MG_MEMBER_UP);
	world_group(w, GROUP, MG_HASH_SUBSCRIBER, false, 1);
	world_group(w, GROUP_BY_FLOW, MG_HASH_FLOW, false, 1);
	world_group(w, GROUP_OTHER, MG_HASH_SUBSCRIBER, false, 1);
	world_ring(w, GROUP, 1, 0);
	world_ring(w, GROUP_BY_FLOW, 2, 0);
	world_ring(w, GROUP_OTHER, 3, 0);
	put_virtual(w, VIRTUAL4, GROUP);
	put_virtual(w, VIRTUAL6, GROUP);
	put_virtual(w, BY_FLOW4, GROUP_BY_FLOW);
	put_virtual(w, BY_FLOW6, GROUP_BY_FLOW);
	steer_run_look(&w->run);
}

void world_rules(struct world *w, const struct mg_rule *rules, size_t n)
{
	for (uint32_t i = 0; i < n; i++)
		steer_put(STEER_MAP(&w->run, mg_rules), &i, &rules[i]);
	w->gateway.n_rules = (uint16_t)n;
	world_gateway(w);
}

void world_prefix(uint8_t ip[16], uint8_t *bits, const char *text, uint8_t prefix_bits)
{
	steer_ip(ip, text);
	*bits = (uint8_t)(strchr(text, ':') ? prefix_bits : prefix_bits + 96);
}

static void put_owners(int map, uint32_t token, uint16_t proxy, uint16_t second)
{
	struct mg_owners owners = { .proxy = proxy, .second = second };

	steer_put(map, &token, &owners);
}

void world_push(struct world *w, uint32_t token, uint16_t proxy, uint16_t second)
{
	put_owners(STEER_MAP(&w->run, mg_pushed), token, proxy, second);
}

void world_learned(struct world *w, uint32_t token, uint16_t proxy, uint16_t second)
{
	put_owners(STEER_MAP(&w->run, mg_learned), token, proxy, second);
}

bool world_is_learned(struct world *w, uint32_t token, struct mg_owners *owners)
{
	return !bpf_map_lookup_elem(STEER_MAP(&w->run, mg_learned), &token, owners);
}

bool world_is_pushed(struct world *w, uint32_t token, struct mg_owners *owners)
{
	return !bpf_map_lookup_elem(STEER_MAP(&w->run, mg_pushed), &token, owners);
}

bool world_flow(struct world *w, const struct frame *f, struct mg_steer_flow *flow)
{
	struct mg_tuple tuple = steer_tuple(f);

	return !bpf_map_lookup_elem(STEER_MAP(&w->run, mg_flows), &tuple, flow);
}

void world_neighbour(struct world *w, uint32_t n)
{
	struct mg_neighbour at = { .ifindex = w->run.px1, .mac = { 2, 0, 0, 0, 0, 1 } };

	steer_put(STEER_MAP(&w->run, mg_neighbours), &at, &n);
}

/* ---- what becomes of a packet ---------------------------------------------------------------- */

/* Class and reason of the frames these tests make */
static void classify(const struct frame *f, enum mg_class *class, enum mg_reason *reason)
{
	const uint8_t *o = f->opts.data;
	size_t at = 0;

	*class = f->protocol ? MG_CLASS_OTHER : MG_CLASS_DATA;
	*reason = f->protocol ? MG_REASON_NOT_TCP : MG_REASON_TCP_SEGMENT;
	if (f->protocol || !(f->flags & F_SYN))
		return;
	*reason = MG_REASON_TCP_SYNACK;
	if (f->flags & F_ACK)
		return;
	*class = MG_CLASS_SYN;
	*reason = MG_REASON_PLAIN_SYN;
	for (; at + 1 < f->opts.len; at += o[at] <= 1 ? 1 : o[at + 1]) {
		if (o[at] != 30)
			continue;
		*class = o[at + 2] >> 4 ? MG_CLASS_MP_JOIN : MG_CLASS_MP_CAPABLE;
		*reason = o[at + 2] >> 4 ? MG_REASON_MP_JOIN : MG_REASON_MP_CAPABLE;
	}
}

static void assert_counted(struct world *w, const struct frame *f, const struct want *want)
{
	static const enum mg_verdict verdicts[] = { MG_VERDICT_PASS, MG_VERDICT_DROP,
						    MG_VERDICT_STEER };
	enum mg_reason reason;
	enum mg_class class;

	classify(f, &class, &reason);
	steer_run_expect(&w->run, class, want->passes ? MG_VERDICT_PASS : verdicts[want->what],
			 want->what == MG_STEER_DROP ? want->reason : reason);
	for (int i = 0; i < MG_STEER_COUNTER_COUNT; i++) {
		uint64_t n = steer_run_counted(&w->run, (enum mg_steer_counter)i);

		/* These come on top, and have their own tests. */
		if (i != MG_STEER_COUNT_ENCAP && i != MG_STEER_COUNT_LEARNED &&
		    i != MG_STEER_COUNT_LEARN_LIMITED)
			assert_int_equal(n, i == want->counter);
	}
}

/* It left to the proxy's MAC address, and but for the two addresses, and a header before it if
 * there is a second, it is as it came. */
static void assert_sent(const struct want *want, const uint8_t *frame, size_t len,
			const uint8_t *out, size_t out_len)
{
	const uint8_t mac[6] = PX_MAC((uint8_t)want->proxy);
	size_t more = want->second ? 20 : 0;

	assert_memory_equal(out, mac, sizeof(mac));
	assert_int_equal(out_len, len + more);
	assert_memory_equal(out + 14 + more, frame + 14, len - 14);
	if (more) {
		const uint8_t second[4] = { 10, 3, 1, (uint8_t)(10 + want->second) };

		assert_memory_equal(out + 14 + 16, second, sizeof(second));
	}
}

struct mg_decision world_expect(struct world *w, enum mg_side side, const struct frame *f,
				struct want want)
{
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t len = frame_build(frame, f), out_len = 0;
	struct mg_decision d = steer_run_locate(&w->run, side, f);
	int action;

	assert_int_equal(d.what, want.what);
	assert_int_equal(d.why, want.why);
	assert_int_equal(d.proxy, want.proxy);
	assert_int_equal(d.second, want.second);
	if (want.what == MG_STEER_DROP)
		assert_int_equal(d.reason, want.reason);
	action = steer_run_bytes(&w->run, side, frame, len, out, &out_len);
	if (want.what == MG_STEER_DROP) {
		assert_int_equal(action, XDP_DROP);
	} else if (want.what == MG_STEER_PASS || want.passes) {
		assert_int_equal(action, XDP_PASS);
		assert_int_equal(out_len, len);
		assert_memory_equal(out, frame, len);
	} else {
		assert_int_equal(action, side == MG_SIDE_CORE ? XDP_TX : XDP_REDIRECT);
		assert_sent(&want, frame, len, out, out_len);
	}
	assert_counted(w, f, &want);
	return d;
}

/* ---- options and ICMP ------------------------------------------------------------------------ */

static uint8_t *buffer(void)
{
	static uint8_t buffers[BUFFERS][FRAME_MAX];
	static unsigned int next;

	return buffers[next++ % BUFFERS];
}

struct bytes opt_join(uint32_t token)
{
	uint8_t *o = buffer();
	const uint8_t join[] = { 4,
				 2,
				 1,
				 1,
				 30,
				 12,
				 0x10,
				 2,
				 (uint8_t)(token >> 24),
				 (uint8_t)(token >> 16),
				 (uint8_t)(token >> 8),
				 (uint8_t)token,
				 9,
				 9,
				 9,
				 9 };

	memcpy(o, join, sizeof(join));
	return (struct bytes){ o, sizeof(join) };
}

struct bytes opt_keys(const uint8_t *receiver, size_t more_bytes)
{
	static const uint8_t head[] = { 1, 1, 30, 20, 1, 1, 0xc0, 1, 2, 3, 4, 5, 6, 7 };
	uint8_t *o = buffer();

	memset(o, 0, OPTIONS_MAX);
	memcpy(o, head, sizeof(head));
	memcpy(o + sizeof(head), receiver, MG_MPTCP_KEY_BYTES);
	o[3] = (uint8_t)(o[3] + more_bytes);
	return (struct bytes){ o, sizeof(head) + MG_MPTCP_KEY_BYTES + more_bytes };
}

struct bytes icmp_about(const struct frame *quoted, uint8_t type, uint8_t code, uint16_t mtu)
{
	uint8_t frame[FRAME_MAX], *o = buffer();
	size_t len = frame_build(frame, quoted) - 14;
	const uint8_t head[] = { type, code, 0, 0, 0, 0, (uint8_t)(mtu >> 8), (uint8_t)mtu };

	/* RFC 792: the header and 8 bytes */
	if (!quoted->v6 && len > 28)
		len = 28;
	memcpy(o, head, sizeof(head));
	memcpy(o + sizeof(head), frame + 14, len);
	return (struct bytes){ o, sizeof(head) + len };
}

uint8_t icmp_protocol(bool v6)
{
	return v6 ? 58 : 1;
}
