/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose session a join belongs to: mg_pushed, told by the proxies, and mg_learned, hints from
 * handshakes in passing. The two never mix: no hint, true or forged, changes what was told.
 */
#ifndef MG_BPF_TOKENS_H
#define MG_BPF_TOKENS_H

#include "proxies.bpf.h"

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

/* Is the session of this token one of `proxy`, as told or as learned? */
static __always_inline bool mg_token_is_of(__u32 token, __u32 proxy)
{
	const struct mg_owners *o = bpf_map_lookup_elem(&mg_pushed, &token);

	if (o && (o->proxy == proxy || o->second == proxy))
		return true;
	o = bpf_map_lookup_elem(&mg_learned, &token);
	return o && (o->proxy == proxy || o->second == proxy);
}

/* Who may own the session of a token: nobody, one, or two */
struct mg_candidates {
	__u16 proxy;
	__u16 second;
	bool proxy_is_pushed;
	bool second_is_pushed;
};

static __always_inline void mg_candidate_add(struct mg_candidates *c, __u16 proxy, bool is_pushed,
					     bool down_too)
{
	const struct mg_steer_proxy *p = proxy ? mg_proxy_find(proxy) : NULL;

	if (!p || (!down_too && p->state == MG_MEMBER_DOWN))
		return;
	if (!c->proxy) {
		c->proxy = proxy;
		c->proxy_is_pushed = is_pushed;
	} else if (!c->second && proxy != c->proxy) {
		c->second = proxy;
		c->second_is_pushed = is_pushed;
	}
}

/* What was told goes before what was learned; who is down counts only if nobody else is left. */
static __always_inline void mg_token_owners(__u32 token, struct mg_candidates *c)
{
	const struct mg_owners *o = bpf_map_lookup_elem(&mg_pushed, &token);
	struct mg_owners pushed = {}, learned = {};

	if (o)
		pushed = *o;
	o = bpf_map_lookup_elem(&mg_learned, &token);
	if (o)
		learned = *o;
	for (int down_too = 0; down_too < 2 && !c->proxy; down_too++) {
		mg_candidate_add(c, pushed.proxy, true, down_too);
		mg_candidate_add(c, pushed.second, true, down_too);
		mg_candidate_add(c, learned.proxy, false, down_too);
		mg_candidate_add(c, learned.second, false, down_too);
	}
}

/* A hint: what was learned of another stays, and is asked first. */
static __always_inline void mg_token_learn(__u32 token, __u16 proxy, __u32 now_s)
{
	struct mg_owners *old = bpf_map_lookup_elem(&mg_learned, &token);
	struct mg_owners owners = { .proxy = proxy, .since_s = now_s };

	if (!old || !mg_proxy_find(old->proxy)) {
		bpf_map_update_elem(&mg_learned, &token, &owners, BPF_ANY);
		return;
	}
	if (old->proxy != proxy)
		old->second = proxy;
	old->since_s = now_s;
}

#endif
