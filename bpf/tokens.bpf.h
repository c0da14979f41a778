/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose session a join belongs to: mg_pushed, told by the proxies, and mg_learned, hints from
 * handshakes in passing. The two never mix: no hint, true or forged, changes what was told.
 */
#ifndef MG_BPF_TOKENS_H
#define MG_BPF_TOKENS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/steer.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_STEER_TOKENS_MAX);
	__uint(map_flags, 1 /* BPF_F_NO_PREALLOC */);
	__type(key, __u32);
	__type(value, struct mg_owners);
} mg_pushed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MG_STEER_TOKENS_MAX);
	__type(key, __u32);
	__type(value, struct mg_owners);
} mg_learned SEC(".maps");

/* How many were learned in this second; of all interfaces, as the limit is the gateway's */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_learn_rate);
} mg_learn_rate SEC(".maps");

/* Is the session of this token one of `proxy`, as told or as learned? */
static __always_inline bool mg_token_is_of(__u32 token, __u32 proxy)
{
	const struct mg_owners *o = bpf_map_lookup_elem(&mg_pushed, &token);

	if (o && (o->proxy == proxy || o->second == proxy))
		return true;
	o = bpf_map_lookup_elem(&mg_learned, &token);
	return o && (o->proxy == proxy || o->second == proxy);
}

#endif
