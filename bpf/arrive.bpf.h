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

/* Ports and sequence number, at the front of what ICMP quotes */
struct mg_quoted_tcp {
	__be16 source;
	__be16 dest;
	__be32 seq;
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
	a->is_tcp = a->is_icmp = 0;
	a->has_syn = a->has_ack = a->has_fin = a->has_rst = 0;
	a->protocol = 0;
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
	return 0;
}

#endif
