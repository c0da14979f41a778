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

/* Only who turns the last 0 into "gone" deletes; who comes in between tries again. */
static __always_inline void mg_give_back(const struct mg_subscriber *sub, __u32 *held)
{
	if (__sync_fetch_and_add(held, -1) == 1 &&
	    __sync_val_compare_and_swap(held, 0, MG_SUBSCRIBER_GONE) == 0)
		bpf_map_delete_elem(&mg_held_subs, sub);
}

static __always_inline void mg_discharge(const struct mg_subscriber *sub)
{
	__u32 *held = bpf_map_lookup_elem(&mg_held_subs, sub);

	if (held)
		mg_give_back(sub, held);
}

/* Has the subscriber as many as that? */
static __always_inline bool mg_held_has(const struct mg_subscriber *sub, __u32 limit)
{
	const __u32 *held = bpf_map_lookup_elem(&mg_held_subs, sub);

	return held && *held >= limit && *held < MG_SUBSCRIBER_GONE;
}

enum mg_held_put { MG_HELD_PUT, MG_HELD_ALREADY, MG_HELD_FULL, MG_HELD_OVER };

/* One more SYN of this subscriber: MG_HELD_PUT; MG_HELD_OVER if it has `limit` already. */
static __always_inline enum mg_held_put mg_charge(const struct mg_subscriber *sub, __u32 limit)
{
	for (int i = 0; i < MG_CHARGE_TRIES; i++) {
		__u32 *held = bpf_map_lookup_elem(&mg_held_subs, sub), none = 0, had;

		if (!held) {
			bpf_map_update_elem(&mg_held_subs, sub, &none, BPF_NOEXIST);
			held = bpf_map_lookup_elem(&mg_held_subs, sub);
			if (!held)
				return MG_HELD_FULL;
		}
		had = __sync_fetch_and_add(held, 1);
		if (had < limit)
			return MG_HELD_PUT;
		mg_give_back(sub, held);
		if (had < MG_SUBSCRIBER_GONE)
			return MG_HELD_OVER;
	}
	return MG_HELD_FULL;
}

static __always_inline struct mg_hold *mg_held_find(const struct mg_tuple *tuple)
{
	return bpf_map_lookup_elem(&mg_held, tuple);
}

/*
 * True for the one caller that it was held for. Whom it was charged to is read before, as that may
 * have changed since for others of the same address.
 */
static __always_inline bool mg_held_forget(const struct mg_tuple *tuple)
{
	const struct mg_hold *hold = mg_held_find(tuple);
	struct mg_subscriber sub;

	if (!hold)
		return false;
	sub = hold->subscriber;
	if (bpf_map_delete_elem(&mg_held, tuple))
		return false;
	mg_discharge(&sub);
	return true;
}

static __always_inline enum mg_held_put mg_held_put(const struct mg_tuple *tuple,
						    const struct mg_hold *hold, __u32 limit)
{
	enum mg_held_put charged = mg_charge(&hold->subscriber, limit);

	if (charged != MG_HELD_PUT)
		return charged;
	if (!bpf_map_update_elem(&mg_held, tuple, hold, BPF_NOEXIST))
		return MG_HELD_PUT;
	mg_discharge(&hold->subscriber);
	return mg_held_find(tuple) ? MG_HELD_ALREADY : MG_HELD_FULL;
}

#endif
