/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of an address from elsewhere: by command or RADIUS, maps mg_feed and
 * mg_feed_lengths; by the interface its packets came in on, map mg_seen_at.
 */
#ifndef MG_BPF_FEED_H
#define MG_BPF_FEED_H

#include "prefix.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_FEED_MAX);
	__uint(map_flags, 1 /* BPF_F_NO_PREALLOC */);
	__type(key, struct mg_prefix_key);
	__type(value, struct mg_feed_entry);
} mg_feed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_feed_lengths);
} mg_feed_lengths SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MG_SEEN_AT_MAX);
	__type(key, struct mg_subscriber); /* as long as an address, which it is here */
	__type(value, __u32);
} mg_seen_at SEC(".maps");

struct mg_feed_query {
	__u8 ip[16];
	__u64 identity;
	__u32 access;
	__u32 class;
};

/*
 * Fills in what the longest prefix that is not out of date says of q->ip: 1, or 0 for none. A
 * function of its own to the verifier, as the loop is long.
 */
__noinline int mg_feed_find(struct mg_feed_query *q)
{
	struct mg_prefix_key key = { .table = MG_TABLE_ACCESS };
	const struct mg_feed_lengths *lengths;
	const struct mg_feed_entry *entry;
	const struct mg_lengths *l;
	__u32 zero = 0;

	if (!q)
		return 0;
	lengths = bpf_map_lookup_elem(&mg_feed_lengths, &zero);
	if (!lengths)
		return 0;
	l = mg_ip_is_v4(q->ip) ? &lengths->family[MG_FAMILY_V4] : &lengths->family[MG_FAMILY_V6];
	for (__u32 i = 0; i < MG_LENGTHS_MAX && i < l->n; i++) {
		key.bits = l->bits[i];
		mg_ip_cut(key.ip, q->ip, key.bits);
		entry = bpf_map_lookup_elem(&mg_feed, &key);
		if (entry && (!entry->expires_ns || entry->expires_ns > bpf_ktime_get_ns())) {
			q->identity = entry->identity;
			q->access = entry->access;
			q->class = entry->class;
			return 1;
		}
	}
	return 0;
}

/* The access network that packets of this address came in from when they were last let in; 0: not
 * known. */
static __always_inline __u32 mg_seen_at_find(const __u8 *ip)
{
	struct mg_subscriber key;
	const __u32 *access;

	mg_ip_copy16(key.ip, ip);
	access = bpf_map_lookup_elem(&mg_seen_at, &key);
	return access ? *access : 0;
}

static __always_inline void mg_seen_at_put(const __u8 *ip, __u32 access)
{
	struct mg_subscriber key;
	__u32 *old;

	mg_ip_copy16(key.ip, ip);
	old = bpf_map_lookup_elem(&mg_seen_at, &key);
	if (!old || *old != access)
		bpf_map_update_elem(&mg_seen_at, &key, &access, BPF_ANY);
}

#endif
