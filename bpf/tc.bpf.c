// SPDX-License-Identifier: GPL-2.0-only
/*
 * Door for return packets on core interfaces, when sessions use the UE's own address as source:
 * such an address is not local, so a packet to it would be forwarded. Packets of a connection that
 * a socket of this host holds, and ICMP errors about one, get a mark; the routing rule for the mark
 * delivers them here. Everything else goes on untouched.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "parse.bpf.h"

#define MG_TC_UNSPEC (-1) /* the next filter, or the stack */

/* Enough for two tags, IP with options and a TCP header, or an ICMP error with as much inside */
#define MG_TC_PULL_BYTES 256

/* The ports, all that is needed here, and at the front of what ICMP quotes */
struct mg_ports {
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

/* Does a socket other than a listener hold this connection? */
static __always_inline bool mg_socket_holds(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
					    __u32 bytes)
{
	struct bpf_sock *sk = bpf_skc_lookup_tcp(skb, tuple, bytes, BPF_F_CURRENT_NETNS, 0);
	bool holds;

	if (!sk)
		return false;
	holds = sk->state != BPF_TCP_LISTEN;
	bpf_sk_release(sk);
	return holds;
}

/* The segment at p's cursor; `sent`: it is one this host sent, quoted back by ICMP. */
static __always_inline bool mg_segment_is_ours(struct __sk_buff *skb, struct mg_packet *p,
					       bool sent)
{
	const struct mg_ports *ports = mg_take(&p->at, sizeof(*ports));
	struct bpf_sock_tuple tuple = {};
	__be16 sport, dport;

	if (!ports)
		return false;
	sport = sent ? ports->destination : ports->source;
	dport = sent ? ports->source : ports->destination;
	if (p->v6) {
		const struct ipv6hdr *ip = p->ip;

		__builtin_memcpy(tuple.ipv6.saddr, sent ? &ip->daddr : &ip->saddr, 16);
		__builtin_memcpy(tuple.ipv6.daddr, sent ? &ip->saddr : &ip->daddr, 16);
		tuple.ipv6.sport = sport;
		tuple.ipv6.dport = dport;
		return mg_socket_holds(skb, &tuple, sizeof(tuple.ipv6));
	}
	tuple.ipv4.saddr = sent ? ((struct iphdr *)p->ip)->daddr : ((struct iphdr *)p->ip)->saddr;
	tuple.ipv4.daddr = sent ? ((struct iphdr *)p->ip)->saddr : ((struct iphdr *)p->ip)->daddr;
	tuple.ipv4.sport = sport;
	tuple.ipv4.dport = dport;
	return mg_socket_holds(skb, &tuple, sizeof(tuple.ipv4));
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
	return mg_segment_is_ours(skb, &p, true);
}

static __always_inline bool mg_is_ours(struct __sk_buff *skb, struct mg_packet *p)
{
	if (p->protocol == IPPROTO_TCP)
		return mg_segment_is_ours(skb, p, false);
	if (p->protocol == (p->v6 ? MG_IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return mg_icmp_is_ours(skb, p->at.offset, p->v6);
	return false;
}

SEC("tc")
int mg_tc(struct __sk_buff *skb)
{
	__u32 wanted = skb->len < MG_TC_PULL_BYTES ? skb->len : MG_TC_PULL_BYTES;
	struct mg_packet p;

	if ((void *)(long)skb->data + wanted > (void *)(long)skb->data_end &&
	    bpf_skb_pull_data(skb, wanted))
		return MG_TC_UNSPEC;
	p = mg_packet_at(skb, 0);
	if (mg_parse_ip(&p) == MG_PARSED && mg_is_ours(skb, &p))
		skb->mark = MG_ABI_MARK;
	return MG_TC_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
