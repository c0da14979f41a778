/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which proxy a flow goes to: map mg_flows. What nobody sends for, the LRU forgets.
 */
#ifndef MG_BPF_FLOWS_H
#define MG_BPF_FLOWS_H

#include "vmlinux.h"
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

#endif
