/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which SYNs are held, map mg_held, and how many of whom, mg_held_subs. Who deletes an entry of the
 * first gives its place in the second back: deleting succeeds once.
 */
#ifndef MG_BPF_HELD_H
#define MG_BPF_HELD_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi/hold.h"

#define MG_CHARGE_TRIES 4

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_HELD_MAX);
	__type(key, struct mg_tuple);
	__type(value, struct mg_hold);
} mg_held SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_HELD_MAX);
	__type(key, struct mg_subscriber);
	__type(value, __u32);
} mg_held_subs SEC(".maps");

static __always_inline void mg_subscriber_of(struct mg_subscriber *sub, const __u8 *ip)
{
	const __u32 *from = (const __u32 *)ip;
	__u32 *to = (__u32 *)sub->ip;

	to[0] = from[0];
	to[1] = from[1];
	to[2] = to[3] = 0;
	if (!from[0] && !from[1] && from[2] == bpf_htonl(0xffff)) {
		to[2] = from[2];
		to[3] = from[3];
	}
}

/* Only who turns the last 0 into "gone" deletes; who comes in between tries again. */
static __always_inline void mg_give_back(const struct mg_subscriber *sub, __u32 *held)
{
	if (__sync_fetch_and_add(held, -1) == 1 &&
	    __sync_val_compare_and_swap(held, 0, MG_SUBSCRIBER_GONE) == 0)
		bpf_map_delete_elem(&mg_held_subs, sub);
}

static __always_inline void mg_discharge(const __u8 *ip)
{
	struct mg_subscriber sub;
	__u32 *held;

	mg_subscriber_of(&sub, ip);
	held = bpf_map_lookup_elem(&mg_held_subs, &sub);
	if (held)
		mg_give_back(&sub, held);
}

/* One more SYN of this client: 0, or -1 if it has `limit` already. */
static __always_inline int mg_charge(const __u8 *ip, __u32 limit)
{
	struct mg_subscriber sub;

	mg_subscriber_of(&sub, ip);
	for (int i = 0; i < MG_CHARGE_TRIES; i++) {
		__u32 *held = bpf_map_lookup_elem(&mg_held_subs, &sub), none = 0, had;

		if (!held) {
			bpf_map_update_elem(&mg_held_subs, &sub, &none, BPF_NOEXIST);
			held = bpf_map_lookup_elem(&mg_held_subs, &sub);
			if (!held)
				return -1;
		}
		had = __sync_fetch_and_add(held, 1);
		if (had < limit)
			return 0;
		mg_give_back(&sub, held);
		if (had < MG_SUBSCRIBER_GONE)
			return -1;
	}
	return -1;
}

static __always_inline struct mg_hold *mg_held_find(const struct mg_tuple *tuple)
{
	return bpf_map_lookup_elem(&mg_held, tuple);
}

/* True for the one caller that it was held for. */
static __always_inline bool mg_held_forget(const struct mg_tuple *tuple)
{
	if (bpf_map_delete_elem(&mg_held, tuple))
		return false;
	mg_discharge(tuple->client.ip);
	return true;
}

enum mg_held_put { MG_HELD_PUT, MG_HELD_ALREADY, MG_HELD_FULL };

static __always_inline enum mg_held_put mg_held_put(const struct mg_tuple *tuple,
						    const struct mg_hold *hold, __u32 limit)
{
	if (mg_charge(tuple->client.ip, limit))
		return MG_HELD_FULL;
	if (!bpf_map_update_elem(&mg_held, tuple, hold, BPF_NOEXIST))
		return MG_HELD_PUT;
	mg_discharge(tuple->client.ip);
	return mg_held_find(tuple) ? MG_HELD_ALREADY : MG_HELD_FULL;
}

#endif
