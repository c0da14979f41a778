/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of servers, map mg_servers, and what it is learned from in passing: answers to SYNs
 * that were let pass and are remembered in mg_passed. Nobody else's SYN+ACK teaches anything.
 */
#ifndef MG_BPF_SERVERS_H
#define MG_BPF_SERVERS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/hold.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MG_SERVERS_MAX);
	__type(key, struct mg_endpoint);
	__type(value, struct mg_server);
} mg_servers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MG_PASSED_MAX);
	__type(key, struct mg_tuple);
	__type(value, struct mg_passed);
} mg_passed SEC(".maps");

static __always_inline enum mg_known mg_server_known(const struct mg_endpoint *server, __u64 now_ns)
{
	const struct mg_server *s = bpf_map_lookup_elem(&mg_servers, server);

	if (!s || s->expires_ns <= now_ns)
		return MG_KNOWN_NOTHING;
	return s->mptcp ? MG_KNOWN_MPTCP : MG_KNOWN_PLAIN;
}

static __always_inline void mg_server_learn(const struct mg_endpoint *server, bool mptcp,
					    __u64 now_ns, __u64 ttl_ns)
{
	struct mg_server *old = bpf_map_lookup_elem(&mg_servers, server);
	struct mg_server new = {
		.expires_ns = now_ns + ttl_ns,
		.mptcp = mptcp,
		.source = MG_SERVER_PASSIVE,
	};

	if (old && old->expires_ns > now_ns && old->mptcp == mptcp) {
		old->expires_ns = new.expires_ns;
		return;
	}
	bpf_map_update_elem(&mg_servers, server, &new, BPF_ANY);
}

static __always_inline bool mg_server_forget(const struct mg_endpoint *server)
{
	return !bpf_map_delete_elem(&mg_servers, server);
}

static __always_inline void mg_passed_store(const struct mg_tuple *tuple, __u32 isn,
					    enum mg_passed_why why, __u64 now_ns)
{
	struct mg_passed passed = { .since_ns = now_ns, .isn = isn, .why = why };

	bpf_map_update_elem(&mg_passed, tuple, &passed, BPF_ANY);
}

static __always_inline const struct mg_passed *mg_passed_find(const struct mg_tuple *tuple)
{
	return bpf_map_lookup_elem(&mg_passed, tuple);
}

static __always_inline void mg_passed_forget(const struct mg_tuple *tuple)
{
	bpf_map_delete_elem(&mg_passed, tuple);
}

#endif
