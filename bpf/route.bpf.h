/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel's own tables say about a connection: is it sent on, does a socket here hold it.
 * For XDP and TC alike.
 */
#ifndef MG_BPF_ROUTE_H
#define MG_BPF_ROUTE_H

#include "packet.bpf.h"

#include "abi/hold.h"

#define MG_AF_INET  2
#define MG_AF_INET6 10

/* Would the stack send it on? Not what is for this host, nor what has no way to go. */
static __always_inline bool mg_route_leads_on(void *ctx, const struct mg_tuple *t, bool v6,
					      __u32 ifindex)
{
	struct bpf_fib_lookup fib = { .l4_protocol = IPPROTO_TCP, .ifindex = ifindex };
	long ret;

	if (v6) {
		fib.family = MG_AF_INET6;
		__builtin_memcpy(fib.ipv6_src, t->client.ip, 16);
		__builtin_memcpy(fib.ipv6_dst, t->server.ip, 16);
	} else {
		fib.family = MG_AF_INET;
		__builtin_memcpy(&fib.ipv4_src, t->client.ip + 12, 4);
		__builtin_memcpy(&fib.ipv4_dst, t->server.ip + 12, 4);
	}
	fib.sport = bpf_htons(t->client.port);
	fib.dport = bpf_htons(t->server.port);
	ret = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	return ret == BPF_FIB_LKUP_RET_SUCCESS || ret == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       ret == BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

/* The state of the socket that has this address and peer, a listener's too; 0: there is none. */
static __always_inline __u32 mg_socket_state(void *ctx, const struct mg_endpoint *local,
					     const struct mg_endpoint *peer, bool v6)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	__u32 state;

	if (v6) {
		__builtin_memcpy(tuple.ipv6.saddr, peer->ip, 16);
		__builtin_memcpy(tuple.ipv6.daddr, local->ip, 16);
		tuple.ipv6.sport = bpf_htons(peer->port);
		tuple.ipv6.dport = bpf_htons(local->port);
	} else {
		__builtin_memcpy(&tuple.ipv4.saddr, peer->ip + 12, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, local->ip + 12, 4);
		tuple.ipv4.sport = bpf_htons(peer->port);
		tuple.ipv4.dport = bpf_htons(local->port);
	}
	sk = bpf_skc_lookup_tcp(ctx, &tuple, v6 ? sizeof(tuple.ipv6) : sizeof(tuple.ipv4),
				BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state;
}

#endif
