/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which proxy a flow goes to: map mg_flows. What nobody sends for, the LRU forgets.
 */
#ifndef MG_BPF_FLOWS_H
#define MG_BPF_FLOWS_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi/steer.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MG_FLOWS_MAX);
	__type(key, struct mg_tuple);
	__type(value, struct mg_steer_flow);
} mg_flows SEC(".maps");

static __always_inline struct mg_steer_flow *mg_flow_find(const struct mg_tuple *tuple)
{
	return bpf_map_lookup_elem(&mg_flows, tuple);
}

static __always_inline void mg_flow_store(const struct mg_tuple *tuple,
					  const struct mg_steer_flow *flow)
{
	bpf_map_update_elem(&mg_flows, tuple, flow, BPF_ANY);
}

static __always_inline void mg_flow_forget(const struct mg_tuple *tuple)
{
	bpf_map_delete_elem(&mg_flows, tuple);
}

/* May what the client sends follow it? Not if only a proxy's own connection was seen. */
static __always_inline bool mg_flow_is_uplink(const struct mg_steer_flow *flow)
{
	return !(flow->flags & MG_FLOW_UPSTREAM) || (flow->flags & MG_FLOW_INTERCEPT);
}

/* May what comes from a server follow it? */
static __always_inline bool mg_flow_is_downlink(const struct mg_steer_flow *flow)
{
	return flow->flags & (MG_FLOW_INTERCEPT | MG_FLOW_UPSTREAM);
}

/* The flags and what pads them, which is as little as an atomic operation takes */
static __always_inline __u32 *mg_flow_word(struct mg_steer_flow *flow)
{
	return (__u32 *)&flow->flags;
}

static __always_inline __u32 mg_flow_word_of(__u8 flags)
{
	return bpf_htonl((__u32)flags << 24);
}

/* True for one caller only, until mg_flow_unlearn. */
static __always_inline bool mg_flow_learn(struct mg_steer_flow *flow)
{
	__u32 flag = mg_flow_word_of(MG_FLOW_LEARNED);

	return !(__sync_fetch_and_or(mg_flow_word(flow), flag) & flag);
}

static __always_inline void mg_flow_unlearn(struct mg_steer_flow *flow)
{
	__sync_fetch_and_and(mg_flow_word(flow), ~mg_flow_word_of(MG_FLOW_LEARNED));
}

/*
 * A proxy opened this connection to a server. If it uses the client's address and port, the
 * client's own flow may have the same name: then that one says so too, and goes where the answer
 * comes from.
 */
static __always_inline void mg_flow_upstream(const struct mg_tuple *tuple, __u16 proxy, __u32 isn)
{
	struct mg_steer_flow *old = mg_flow_find(tuple);
	struct mg_steer_flow flow = { .proxy = proxy, .flags = MG_FLOW_UPSTREAM, .isn = isn };

	if (!old || !(old->flags & MG_FLOW_INTERCEPT)) {
		mg_flow_store(tuple, &flow);
		return;
	}
	__sync_fetch_and_or(mg_flow_word(old), mg_flow_word_of(MG_FLOW_UPSTREAM));
	if (old->proxy != proxy) {
		old->second = 0;
		old->proxy = proxy;
	}
}

#endif
