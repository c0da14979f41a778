/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who takes new sessions: the groups of proxies, map mg_groups, and their rings, mg_ring, which the
 * daemon fills and a packet's hash points into.
 */
#ifndef MG_BPF_RING_H
#define MG_BPF_RING_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/steer.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MG_GROUPS_MAX);
	__type(key, __u32);
	__type(value, struct mg_steer_group);
} mg_groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MG_GROUPS_MAX *MG_RING_SLOTS); /* unless there are fewer groups */
	__uint(map_flags, 1024 /* BPF_F_MMAPABLE */);
	__type(key, __u32);
	__type(value, struct mg_slot);
} mg_ring SEC(".maps");

/* NULL: there is no such group (any more). */
static __always_inline const struct mg_steer_group *mg_group_find(__u32 group)
{
	const struct mg_steer_group *g;

	if (!group)
		return NULL;
	g = bpf_map_lookup_elem(&mg_groups, &group);
	return g && g->used ? g : NULL;
}

/* Slot `slot` of a group's ring; NULL if the map has none for it. */
static __always_inline const struct mg_slot *mg_ring_slot(__u32 group, __u32 slot)
{
	__u32 at = group * MG_RING_SLOTS + slot;

	return bpf_map_lookup_elem(&mg_ring, &at);
}

#endif
