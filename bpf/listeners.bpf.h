/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The workers' listeners, which take what is addressed to others; and which worker the joins of a
 * session belong to: mg_tokens, pushed by the daemon, and mg_hints, learned from handshakes, so
 * that no join can be quicker than the daemon.
 */
#ifndef MG_BPF_LISTENERS_H
#define MG_BPF_LISTENERS_H

#include "own.bpf.h"
#include "segment.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_TOKENS_MAX);
	__uint(map_flags, 1 /* BPF_F_NO_PREALLOC */);
	__type(key, __u32);
	__type(value, struct mg_token);
} mg_tokens SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MG_HINTS_MAX);
	__type(key, __u32);
	__type(value, struct mg_token);
} mg_hints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_LISTEN_PORTS_MAX);
	__type(key, struct mg_listen_key);
	__type(value, __u32);
} mg_listen_ports SEC(".maps");

/* The worker a token belongs to, or -1. */
static __always_inline __s64 mg_token_worker(__u32 token)
{
	struct mg_token *t = bpf_map_lookup_elem(&mg_tokens, &token);

	if (!t)
		t = bpf_map_lookup_elem(&mg_hints, &token);
	return t ? t->worker : -1;
}

static __always_inline void mg_token_hint(__u32 token, __u32 worker)
{
	struct mg_token t = { .worker = worker };

	bpf_map_update_elem(&mg_hints, &token, &t, BPF_ANY);
}

static __always_inline __be16 mg_listen_port(__u32 worker, bool v6, __u16 port)
{
	struct mg_listen_key key = {
		.worker = v6 ? worker | MG_LISTEN_KEY_V6 : worker,
		.port = port,
	};
	const __u32 *other = bpf_map_lookup_elem(&mg_listen_ports, &key);

	return bpf_htons(other ? *other : port);
}

/* Is it the worker's own, and not one that listens on all addresses? */
static __always_inline bool mg_listener_is_at(const struct bpf_sock *sk,
					      const struct bpf_sock_tuple *at, bool v6)
{
	__u32 state = sk->state, ip4 = sk->src_ip4;
	__u32 ip6[4] = { sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3] };

	if (state != BPF_TCP_LISTEN)
		return false;
	if (!v6)
		return ip4 == at->ipv4.daddr;
	return ip6[0] == at->ipv6.daddr[0] && ip6[1] == at->ipv6.daddr[1] &&
	       ip6[2] == at->ipv6.daddr[2] && ip6[3] == at->ipv6.daddr[3];
}

/* The packet goes into worker's listener of its port: 0; -1: there is none. */
static __always_inline int mg_listener_take(struct __sk_buff *skb, const struct mg_segment *s,
					    __u32 worker)
{
	struct bpf_sock_tuple at = {};
	__be16 port = mg_listen_port(worker, s->v6, s->tuple.server.port);
	__u32 bytes = mg_sock_tuple_bytes(s);
	struct bpf_sock *sk;
	long err;

	if (s->v6) {
		__builtin_memcpy(at.ipv6.saddr, s->sock.ipv6.saddr, 16);
		at.ipv6.daddr[0] = bpf_htonl(MG_LISTEN_V6_HI >> 32);
		at.ipv6.daddr[1] = bpf_htonl(MG_LISTEN_V6_HI & 0xffffffff);
		at.ipv6.daddr[3] = bpf_htonl(MG_LISTEN_V6_LO + worker);
		at.ipv6.sport = s->sock.ipv6.sport;
		at.ipv6.dport = port;
	} else {
		at.ipv4.saddr = s->sock.ipv4.saddr;
		at.ipv4.daddr = bpf_htonl(MG_LISTEN_V4 + worker);
		at.ipv4.sport = s->sock.ipv4.sport;
		at.ipv4.dport = port;
	}
	sk = bpf_skc_lookup_tcp(skb, &at, bytes, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return -1;
	err = mg_listener_is_at(sk, &at, s->v6) ? bpf_sk_assign(skb, sk, 0) : -1;
	bpf_sk_release(sk);
	return err ? -1 : 0;
}

#endif
