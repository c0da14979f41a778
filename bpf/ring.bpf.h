/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who takes new sessions: the groups of proxies, map mg_groups, and their rings, mg_ring, which the
 * daemon fills and a packet's hash points into.
 */
#ifndef MG_BPF_RING_H
#define MG_BPF_RING_H

#include "arrival.bpf.h"

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

static __always_inline bool mg_group_is_up(__u32 group)
{
	const struct mg_steer_group *g = mg_group_find(group);

	return g && g->n_up;
}

/*
 * The scratch's arrival in the ring of a group: its slot, by a hash of enum mg_group_hash. A
 * function of its own to the verifier, as the hash is long. reversed: it goes to the client.
 */
__noinline int mg_ring_number(__u32 hash, __u32 reversed)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	struct mg_tuple tuple;

	if (!s)
		return 0;
	if (reversed) {
		tuple.client = s->arrival.tuple.server;
		tuple.server = s->arrival.tuple.client;
	} else {
		tuple = s->arrival.tuple;
	}
	return mg_steer_slot(&tuple, hash);
}

/* NULL if the map has none for it. */
static __always_inline const struct mg_slot *mg_ring_slot(__u32 group, __u32 slot)
{
	__u32 at = group * MG_RING_SLOTS + slot;

	return bpf_map_lookup_elem(&mg_ring, &at);
}

#endif
