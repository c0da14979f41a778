/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A room for TC: does a socket of this host hold the connection that a packet belongs to, though
 * the packet may be addressed to somebody else? ICMP errors count to the connection they are about.
 */
#ifndef MG_BPF_OWN_H
#define MG_BPF_OWN_H

#include "parse.bpf.h"

#define MG_TC_UNSPEC   (-1) /* the next filter, or the stack */
#define MG_TC_SHOT     2    /* dropped, and counted so by the kernel */
#define MG_TC_CONSUMED 4    /* gone, nothing is amiss */

/* Enough for two tags, IP with options and a TCP header, or an ICMP error with as much inside */
#define MG_TC_PULL_BYTES 256

/* The ports, all that is needed here, and at the front of what ICMP quotes */
struct mg_ports_field {
	__be16 source;
	__be16 destination;
	__u32 sequence;
};

#define MG_ICMP_BYTES	  8
#define MG_ICMP_UNREACH	  3
#define MG_ICMP_TIME	  11
#define MG_ICMP_PARAM	  12
#define MG_ICMP6_UNREACH  1
#define MG_ICMP6_PARAM	  4
#define MG_IPPROTO_ICMPV6 58

/* The state of the socket that holds this connection, 0 if none but a listener does. */
static __always_inline __u32 mg_own_state(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
					  __u32 bytes)
{
	struct bpf_sock *sk = bpf_skc_lookup_tcp(skb, tuple, bytes, BPF_F_CURRENT_NETNS, 0);
	__u32 state;

	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state == BPF_TCP_LISTEN ? 0 : state;
}

/* The segment at p's cursor; `sent`: it is one this host sent, quoted back by ICMP. */
static __always_inline __u32 mg_own_segment(struct __sk_buff *skb, struct mg_packet *p, bool sent)
{
	const struct mg_ports_field *ports = mg_take(&p->at, sizeof(*ports));
	struct bpf_sock_tuple tuple = {};
	__be16 sport, dport;

	if (!ports)
		return 0;
	sport = sent ? ports->destination : ports->source;
	dport = sent ? ports->source : ports->destination;
	if (p->v6) {
		const struct ipv6hdr *ip = p->ip;

		__builtin_memcpy(tuple.ipv6.saddr, sent ? &ip->daddr : &ip->saddr, 16);
		__builtin_memcpy(tuple.ipv6.daddr, sent ? &ip->saddr : &ip->daddr, 16);
		tuple.ipv6.sport = sport;
		tuple.ipv6.dport = dport;
		return mg_own_state(skb, &tuple, sizeof(tuple.ipv6));
	}
	tuple.ipv4.saddr = sent ? ((struct iphdr *)p->ip)->daddr : ((struct iphdr *)p->ip)->saddr;
	tuple.ipv4.daddr = sent ? ((struct iphdr *)p->ip)->saddr : ((struct iphdr *)p->ip)->daddr;
	tuple.ipv4.sport = sport;
	tuple.ipv4.dport = dport;
	return mg_own_state(skb, &tuple, sizeof(tuple.ipv4));
}

static __always_inline struct mg_packet mg_packet_at(struct __sk_buff *skb, __u32 offset)
{
	struct mg_packet p = {
		.at = {
			.pos = (void *)(long)skb->data + offset,
			.end = (void *)(long)skb->data_end,
			.left = skb->len - offset,
			.offset = offset,
		},
	};

	return p;
}

/* Makes the headers readable; -1 if that fails. */
static __always_inline int mg_pull(struct __sk_buff *skb)
{
	__u32 wanted = skb->len < MG_TC_PULL_BYTES ? skb->len : MG_TC_PULL_BYTES;

	if ((void *)(long)skb->data + wanted > (void *)(long)skb->data_end &&
	    bpf_skb_pull_data(skb, wanted))
		return -1;
	return 0;
}

static __always_inline bool mg_icmp_quotes(const __u8 *icmp, bool v6)
{
	if (v6)
		return icmp[0] >= MG_ICMP6_UNREACH && icmp[0] <= MG_ICMP6_PARAM;
	return icmp[0] == MG_ICMP_UNREACH || icmp[0] == MG_ICMP_TIME || icmp[0] == MG_ICMP_PARAM;
}

/*
 * An ICMP error at `offset` of the frame: is it about one of our connections? A function of its own
 * to the verifier, which so checks it once and not once per way ICMP can be wrapped.
 */
__noinline int mg_icmp_is_ours(struct __sk_buff *skb, __u32 offset, __u32 v6)
{
	struct mg_packet p;
	__u8 *icmp;

	if (offset > MG_TC_PULL_BYTES)
		return 0;
	p = mg_packet_at(skb, offset);
	icmp = mg_take(&p.at, MG_ICMP_BYTES);
	if (!icmp || !mg_icmp_quotes(icmp, v6))
		return 0;
	p.quoted = true;
	if ((v6 ? mg_parse_ipv6(&p) : mg_parse_ipv4(&p)) != MG_PARSED || p.protocol != IPPROTO_TCP)
		return 0;
	return mg_own_segment(skb, &p, true) != 0;
}

/* Something other than TCP: an ICMP error of ours? */
static __always_inline bool mg_own_icmp(struct __sk_buff *skb, const struct mg_packet *p)
{
	return p->protocol == (p->v6 ? MG_IPPROTO_ICMPV6 : IPPROTO_ICMP) &&
	       mg_icmp_is_ours(skb, p->at.offset, p->v6);
}

#endif
