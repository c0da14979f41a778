/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is steered at all: what goes to an address in mg_virtual, and MPTCP that a rule in mg_rules
 * selects on its way to a server.
 */
#ifndef MG_BPF_RULES_H
#define MG_BPF_RULES_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/steer.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * MG_VIRTUAL_MAX); /* old and new set at once */
	__type(key, struct mg_endpoint);
	__type(value, __u32);
} mg_virtual SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MG_RULES_MAX);
	__type(key, __u32);
	__type(value, struct mg_rule);
} mg_rules SEC(".maps");

/* The group an address stands for; 0: it is not a virtual one. */
static __always_inline __u32 mg_virtual_group(const struct mg_endpoint *ep)
{
	const __u32 *group = bpf_map_lookup_elem(&mg_virtual, ep);

	return group ? *group : 0;
}

#endif
