/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * First room of steering: from a frame to what the others go by, the scratch's arrival. Its
 * functions are of their own to the verifier, which so checks what is behind them once and not once
 * per way a packet can be wrapped.
 */
#ifndef MG_BPF_ARRIVE_H
#define MG_BPF_ARRIVE_H

#include "arrival.bpf.h"
#include "parse.bpf.h"
#include "classify.bpf.h"

#define MG_ICMP_BYTES	  8
#define MG_ICMP_UNREACH	  3
#define MG_ICMP_TOO_BIG	  4 /* the code of "fragmentation needed" */
#define MG_ICMP_TIME	  11
#define MG_ICMP_PARAM	  12
#define MG_ICMP6_UNREACH  1
#define MG_ICMP6_TOO_BIG  2
#define MG_ICMP6_PARAM	  4
#define MG_IPPROTO_IPIP	  4
#define MG_IPPROTO_IPV6	  41
#define MG_IPPROTO_ICMPV6 58

/* An ICMP error's own header; RFC 792 and RFC 1191, RFC 4443 */
struct mg_icmp_error {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be16 unused;
	__be16 mtu; /* of IPv6 the low half, which is all of a path that takes less than jumbograms
		     */
};

/* The ports, all of TCP that is needed, and at the front of what ICMP quotes */
struct mg_quoted_ports {
	__be16 source;
	__be16 dest;
};

#define MG_ARRIVE_OFFSET_MAX 512 /* where a header may begin */

static __always_inline struct mg_packet mg_packet_of_xdp(struct xdp_md *ctx, __u32 offset)
{
	struct mg_packet p = {
		.at = {
			.pos = (void *)(long)ctx->data + offset,
			.end = (void *)(long)ctx->data_end,
			.left = bpf_xdp_get_buff_len(ctx) - offset,
			.offset = offset,
		},
	};

	return p;
}

static __always_inline void mg_arrival_addresses(struct mg_arrival *a, const struct mg_packet *p)
{
	mg_ip_copy(a->tuple.client.ip, p->ip, p->v6, true);
	mg_ip_copy(a->tuple.server.ip, p->ip, p->v6, false);
	a->tuple.client.port = a->tuple.server.port = 0;
	a->tuple.client.pad = a->tuple.server.pad = 0;
	a->v6 = p->v6;
	a->protocol = p->protocol;
}

static __always_inline void mg_arrival_tcp(struct mg_arrival *a, const struct mg_packet *p)
{
	struct mg_classification c = { .class = MG_CLASS_SYN, .reason = MG_REASON_PLAIN_SYN };

	a->tuple.client.port = bpf_ntohs(p->tcp->source);
	a->tuple.server.port = bpf_ntohs(p->tcp->dest);
	a->seq = bpf_ntohl(p->tcp->seq);
	a->ack = bpf_ntohl(p->tcp->ack_seq);
	a->has_syn = p->tcp->syn;
	a->has_ack = p->tcp->ack;
	a->has_fin = p->tcp->fin;
	a->has_rst = p->tcp->rst;
	a->options_bytes = p->options_bytes;
	a->payload_bytes = p->payload_bytes;
	a->is_tcp = 1;
	/* An opening SYN's class is that of a plain one, until its options are looked at. */
	mg_classify_flags(&c, p->tcp);
	a->class = c.class;
	a->reason = c.reason;
}

static __always_inline void mg_arrival_unparsed(struct mg_arrival *a, enum mg_reason reason)
{
	struct mg_classification c = {};

	mg_classify_unparsed(&c, reason);
	a->class = c.class;
	a->reason = c.reason;
}

/* IP behind the Ethernet header, or behind whatever else was walked; p is at its first byte. */
static __always_inline void mg_arrive_ip(struct mg_arrival *a, struct mg_packet *p, bool v6)
{
	__u32 offset = p->at.offset;
	int ret = v6 ? mg_parse_ipv6(p) : mg_parse_ipv4(p);

	a->ip_offset = offset;
	if (ret != MG_PARSED) {
		mg_arrival_unparsed(a, ret);
		return;
	}
	a->tcp_offset = p->at.offset;
	a->ip_bytes = p->at.offset + p->at.left - offset;
	mg_arrival_addresses(a, p);
	ret = mg_parse_tcp(p);
	if (ret == MG_PARSED)
		mg_arrival_tcp(a, p);
	else
		mg_arrival_unparsed(a, ret);
}

/* Forgets the packet before, but not where this one came in. */
static __always_inline void mg_arrival_clear(struct mg_arrival *a)
{
	a->is_tcp = a->is_icmp = a->is_tunnel = 0;
	a->has_syn = a->has_ack = a->has_fin = a->has_rst = 0;
	a->protocol = 0;
	a->seen = 0;
	a->token = 0;
	a->mtu_bytes = 0;
}

static __always_inline bool mg_icmp_is_error(const struct mg_icmp_error *icmp, bool v6)
{
	if (v6)
		return icmp->type >= MG_ICMP6_UNREACH && icmp->type <= MG_ICMP6_PARAM;
	return icmp->type == MG_ICMP_UNREACH || icmp->type == MG_ICMP_TIME ||
	       icmp->type == MG_ICMP_PARAM;
}

static __always_inline __u32 mg_icmp_mtu(const struct mg_icmp_error *icmp, bool v6)
{
	bool too_big = v6 ? icmp->type == MG_ICMP6_TOO_BIG && !icmp->unused
			  : icmp->type == MG_ICMP_UNREACH && icmp->code == MG_ICMP_TOO_BIG;

	return too_big ? bpf_ntohs(icmp->mtu) : 0;
}

static __always_inline bool mg_ip_equal(const __u8 *a, const __u8 *b)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

/*
 * The scratch's arrival is ICMP, at `offset` of the frame. An error goes to who sent what it
 * quotes; one that says otherwise is none to go by.
 */
__noinline int mg_arrive_icmp(struct xdp_md *ctx, __u32 offset, __u32 v6)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	struct mg_quoted_ports *ports;
	struct mg_icmp_error *icmp;
	struct mg_packet p;
	__u8 to[16];

	if (!s || offset > MG_ARRIVE_OFFSET_MAX)
		return 0;
	p = mg_packet_of_xdp(ctx, offset);
	icmp = mg_take(&p.at, sizeof(*icmp));
	if (!icmp || !mg_icmp_is_error(icmp, v6))
		return 0;
	s->arrival.mtu_bytes = mg_icmp_mtu(icmp, v6);
	p.quoted = true;
	if ((v6 ? mg_parse_ipv6(&p) : mg_parse_ipv4(&p)) != MG_PARSED)
		return 0;
	mg_ip_copy(to, p.ip, v6, true);
	if (!mg_ip_equal(to, s->arrival.tuple.server.ip))
		return 0;
	ports = mg_take(&p.at, sizeof(*ports));
	if (p.protocol == IPPROTO_TCP && ports) {
		mg_arrival_addresses(&s->arrival, &p);
		s->arrival.tuple.client.port = bpf_ntohs(ports->source);
		s->arrival.tuple.server.port = bpf_ntohs(ports->dest);
		s->arrival.is_icmp = 1;
	} else if (p.protocol == MG_IPPROTO_IPIP || p.protocol == MG_IPPROTO_IPV6) {
		mg_arrival_addresses(&s->arrival, &p);
		s->arrival.is_tunnel = 1;
	}
	return 0;
}

static __always_inline void mg_arrive_not_tcp(struct xdp_md *ctx, const struct mg_arrival *a)
{
	if (a->protocol == (a->v6 ? MG_IPPROTO_ICMPV6 : IPPROTO_ICMP))
		mg_arrive_icmp(ctx, a->tcp_offset, a->v6);
}

/* The frame, into the scratch */
__noinline int mg_arrive(struct xdp_md *ctx)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	struct mg_packet p = mg_packet_of_xdp(ctx, 0);
	struct ethhdr *eth = p.at.pos;
	__u16 ethertype = 0;
	int ret;

	if (!s)
		return 0;
	mg_arrival_clear(&s->arrival);
	s->arrival.ifindex = ctx->ingress_ifindex;
	if ((void *)(eth + 1) <= p.at.end) {
		__builtin_memcpy(s->arrival.dmac, eth->h_dest, sizeof(s->arrival.dmac));
		__builtin_memcpy(s->arrival.smac, eth->h_source, sizeof(s->arrival.smac));
	}
	ret = mg_parse_ethernet(&p, &ethertype);
	if (ret == MG_PARSED && ethertype != MG_ETH_P_IP && ethertype != MG_ETH_P_IPV6)
		ret = MG_REASON_NOT_IP;
	if (ret == MG_PARSED)
		mg_arrive_ip(&s->arrival, &p, ethertype == MG_ETH_P_IPV6);
	else
		mg_arrival_unparsed(&s->arrival, ret);
	mg_arrive_not_tcp(ctx, &s->arrival);
	return 0;
}

/* The packet at `offset` of the frame, as if there were nothing before it */
__noinline int mg_arrive_inside(struct xdp_md *ctx, __u32 offset, __u32 v6)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	struct mg_packet p;

	if (!s || offset > MG_ARRIVE_OFFSET_MAX || offset > bpf_xdp_get_buff_len(ctx))
		return 0;
	p = mg_packet_of_xdp(ctx, offset);
	mg_arrival_clear(&s->arrival);
	mg_arrive_ip(&s->arrival, &p, v6);
	mg_arrive_not_tcp(ctx, &s->arrival);
	return 0;
}

/* The options of an opening SYN: its class, and the token of a join */
__noinline int mg_arrive_options(struct xdp_md *ctx)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	struct mg_classification c = {};
	struct mg_options o = {};
	__u32 token = 0;

	if (!s)
		return 0;
	mg_options_of_xdp(&o, ctx, s->arrival.tcp_offset + sizeof(struct tcphdr),
			  s->arrival.options_bytes);
	mg_classify_options(&c, &o);
	for (__u32 i = 0; i < sizeof(token); i++)
		token = token << 8 | o.byte[(o.mptcp_at + MG_MPTCP_JOIN_TOKEN + i) & 63];
	s->arrival.class = c.class;
	s->arrival.reason = c.reason;
	s->arrival.seen = o.seen;
	s->arrival.token = c.class == MG_CLASS_MP_JOIN ? token : 0;
	return 0;
}

#endif
