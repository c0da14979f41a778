/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Learning in passing: the ACK that ends an MP_CAPABLE handshake, and the first data, show the key
 * of whom the client talks to (RFC 8684 section 3.1), and with it the token of its session. Once
 * per connection, and no more a second than the daemon wants, over all CPUs and interfaces:
 * mg_learn_rate.
 */
#ifndef MG_BPF_LEARN_H
#define MG_BPF_LEARN_H

#include "arrival.bpf.h"
#include "options.bpf.h"
#include "proxies.bpf.h"
#include "flows.bpf.h"
#include "tokens.bpf.h"

#include "abi/sha256.h"

#define MG_LEARN_TRIES 16 /* against other CPUs */
#define MG_NS_PER_S    1000000000ULL

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_learn_rate);
} mg_learn_rate SEC(".maps");

/* True if one more is allowed in this second, and then it is counted. */
static __always_inline bool mg_learn_allowed(__u32 per_second, __u64 now_s)
{
	__u32 zero = 0;
	struct mg_learn_rate *rate = bpf_map_lookup_elem(&mg_learn_rate, &zero);

	for (int i = 0; rate && i < MG_LEARN_TRIES; i++) {
		__u64 old = *(volatile __u64 *)&rate->second_and_count;
		__u64 second = old >> 32, learned = 0;

		if (second >= now_s) /* or another CPU's clock is ahead */
			learned = (__u32)old;
		else
			second = now_s;
		if (learned >= per_second)
			return false;
		if (__sync_val_compare_and_swap(&rate->second_and_count, old,
						second << 32 | (learned + 1)) == old)
			return true;
	}
	return false;
}

/* Could this segment of the flow teach its token? A cheap look, as all data comes by here. */
static __always_inline bool mg_may_teach(const struct mg_arrival *a,
					 const struct mg_steer_flow *flow)
{
	return (flow->flags & (MG_FLOW_CAPABLE | MG_FLOW_LEARNED)) == MG_FLOW_CAPABLE &&
	       mg_is_of_syn(a->seq, flow->isn) && a->has_ack && !a->has_syn && !a->has_rst &&
	       a->options_bytes >= MG_MPTCP_CAPABLE_KEYS_BYTES;
}

/* The scratch's arrival, of a flow that it may teach about */
__noinline int mg_learn(struct xdp_md *ctx)
{
	const struct mg_gateway *g = mg_gateway_wanted();
	struct mg_steer_scratch *s = mg_steer_scratch();
	struct mg_steer_flow *flow;
	struct mg_options o = {};
	__u8 key[MG_MPTCP_KEY_BYTES];
	__u64 now_s = bpf_ktime_get_ns() / MG_NS_PER_S;

	if (!s || !g || !g->learn)
		return 0;
	mg_options_of_xdp(&o, ctx, s->arrival.tcp_offset + sizeof(struct tcphdr),
			  s->arrival.options_bytes);
	flow = mg_flow_find(&s->arrival.tuple);
	if ((o.seen & (MG_SEEN_KEYS | MG_SEEN_OVERRUN)) != MG_SEEN_KEYS || !flow ||
	    !mg_flow_learn(flow))
		return 0;
	if (!mg_learn_allowed(g->learn_per_second, now_s)) {
		mg_flow_unlearn(flow);
		mg_steer_count(MG_STEER_COUNT_LEARN_LIMITED);
		return 0;
	}
	for (__u32 i = 0; i < sizeof(key); i++)
		key[i] = o.byte[(o.mptcp_at + MG_MPTCP_RECEIVER_KEY + i) & 63];
	mg_token_learn(mg_mptcp_token(key), flow->proxy, now_s);
	mg_steer_count(MG_STEER_COUNT_LEARNED);
	return 0;
}

#endif
