/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * First room: from the first byte of a frame to the TCP header.
 */
#ifndef MG_BPF_PARSE_H
#define MG_BPF_PARSE_H

#include "packet.bpf.h"

#define MG_ETH_P_IP	0x0800
#define MG_ETH_P_IPV6	0x86dd
#define MG_ETH_P_8021Q	0x8100
#define MG_ETH_P_8021AD 0x88a8

#define MG_VLAN_TAGS_MAX   2
#define MG_EXT_HEADERS_MAX 6
#define MG_EXT_MIN_BYTES   8
#define MG_EXT_WALK_MASK   0x3fff /* above 6 * 256 * 8 bytes, the longest walk */

/* IPv6 extension headers (IANA); the others, ESP and "no next header" included, end the walk */
#define MG_NEXT_HOP_BY_HOP 0
#define MG_NEXT_ROUTING	   43
#define MG_NEXT_FRAGMENT   44
#define MG_NEXT_AUTH	   51
#define MG_NEXT_DEST_OPTS  60

/* Each parse step: MG_PARSED, or the enum mg_reason that ends the walk. */
#define MG_PARSED (-1)

static __always_inline int mg_parse_ethernet(struct mg_packet *p, __u16 *ethertype)
{
	struct ethhdr *eth = mg_take(&p->at, sizeof(*eth));
	__be16 type;

	if (!eth)
		return mg_short(&p->at, sizeof(*eth), MG_REASON_ETH_TRUNCATED);
	type = eth->h_proto;
#pragma unroll
	for (int i = 0; i <= MG_VLAN_TAGS_MAX; i++) {
		__be16 *tag;

		if (type != bpf_htons(MG_ETH_P_8021Q) && type != bpf_htons(MG_ETH_P_8021AD)) {
			*ethertype = bpf_ntohs(type);
			return MG_PARSED;
		}
		tag = mg_take(&p->at, 2 * sizeof(*tag));
		if (!tag)
			return mg_short(&p->at, 2 * sizeof(*tag), MG_REASON_ETH_TRUNCATED);
		type = tag[1];
	}
	return MG_REASON_VLAN_DEPTH;
}

static __always_inline int mg_parse_ipv4(struct mg_packet *p)
{
	struct iphdr *ip = mg_take(&p->at, sizeof(*ip));
	__u32 total, header;

	if (!ip)
		return mg_short(&p->at, sizeof(*ip), MG_REASON_IP_TRUNCATED);
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || total < header)
		return MG_REASON_IP_BAD_HEADER;
	/* Ethernet pads short frames: what counts is what IP says, if the frame has it. */
	if (!p->quoted) {
		if (total - sizeof(*ip) > p->at.left)
			return MG_REASON_IP_TRUNCATED;
		p->at.left = total - sizeof(*ip);
	}
	if (ip->frag_off & bpf_htons(0x3fff))
		return MG_REASON_FRAGMENT;
	header -= sizeof(*ip);
	if (!mg_take(&p->at, header))
		return mg_short(&p->at, header, MG_REASON_IP_TRUNCATED);
	p->ip = ip;
	p->protocol = ip->protocol;
	return MG_PARSED;
}

static __always_inline bool mg_is_extension(__u8 next)
{
	return next == MG_NEXT_HOP_BY_HOP || next == MG_NEXT_ROUTING || next == MG_NEXT_FRAGMENT ||
	       next == MG_NEXT_AUTH || next == MG_NEXT_DEST_OPTS;
}

/*
 * The walk keeps one number, bounded by a mask, and no pointer from one header to the next: so all
 * ways through it look alike to the verifier.
 */
static __always_inline int mg_parse_extensions(struct mg_packet *p, __u8 next)
{
	__u32 walked = 0;

	for (int i = 0; i < MG_EXT_HEADERS_MAX && mg_is_extension(next); i++) {
		__u8 *ext = p->at.pos + walked;
		__u32 bytes;

		if (walked + MG_EXT_MIN_BYTES > p->at.left)
			return MG_REASON_EXT_TRUNCATED;
		if ((void *)ext + MG_EXT_MIN_BYTES > p->at.end)
			return MG_REASON_NOT_LINEAR;
		/* RFC 6946: offset 0 and no more to come is a whole packet. */
		if (next == MG_NEXT_FRAGMENT && (ext[2] || (ext[3] & 0xf9)))
			return MG_REASON_FRAGMENT;
		/* RFC 4302 counts words less 2, RFC 8200 counts 8-byte units less 1. */
		if (next == MG_NEXT_FRAGMENT)
			bytes = MG_EXT_MIN_BYTES;
		else if (next == MG_NEXT_AUTH)
			bytes = (ext[1] + 2) * 4;
		else
			bytes = (ext[1] + 1) * 8;
		next = ext[0];
		walked += bytes;
		asm volatile("" : "+r"(walked)); /* keeps the mask, which clang knows to be idle */
		walked &= MG_EXT_WALK_MASK;
	}
	if (mg_is_extension(next))
		return MG_REASON_EXT_HEADER_LIMIT;
	if (!mg_take(&p->at, walked))
		return mg_short(&p->at, walked, MG_REASON_EXT_TRUNCATED);
	p->protocol = next;
	return MG_PARSED;
}

static __always_inline int mg_parse_ipv6(struct mg_packet *p)
{
	struct ipv6hdr *ip = mg_take(&p->at, sizeof(*ip));
	__u32 payload;
	__u8 next;

	if (!ip)
		return mg_short(&p->at, sizeof(*ip), MG_REASON_IP_TRUNCATED);
	if (ip->version != 6)
		return MG_REASON_IP_BAD_HEADER;
	payload = bpf_ntohs(ip->payload_len);
	next = ip->nexthdr;
	/* RFC 2675: length 0 before a hop-by-hop header is a jumbogram; the frame has the length.
	 */
	if (!p->quoted && (payload || next != MG_NEXT_HOP_BY_HOP)) {
		if (payload > p->at.left)
			return MG_REASON_IP_TRUNCATED;
		p->at.left = payload;
	}
	p->ip = ip;
	p->v6 = true;
	return mg_parse_extensions(p, next);
}

/* From the Ethernet header up to the first byte behind IP. */
static __always_inline int mg_parse_ip(struct mg_packet *p)
{
	__u16 ethertype;
	int ret = mg_parse_ethernet(p, &ethertype);

	if (ret != MG_PARSED)
		return ret;
	p->ip_offset = p->at.offset;
	if (ethertype == MG_ETH_P_IP)
		return mg_parse_ipv4(p);
	if (ethertype == MG_ETH_P_IPV6)
		return mg_parse_ipv6(p);
	return MG_REASON_NOT_IP;
}

/* The fixed TCP header; at then stands on the options. */
static __always_inline int mg_parse_tcp(struct mg_packet *p)
{
	struct tcphdr *tcp;
	__u32 header;

	if (p->protocol != IPPROTO_TCP)
		return MG_REASON_NOT_TCP;
	tcp = mg_take(&p->at, sizeof(*tcp));
	if (!tcp)
		return mg_short(&p->at, sizeof(*tcp), MG_REASON_TCP_TRUNCATED);
	header = tcp->doff * 4;
	if (header < sizeof(*tcp) || header - sizeof(*tcp) > p->at.left)
		return MG_REASON_TCP_BAD_OFFSET;
	p->tcp = tcp;
	p->options_bytes = header - sizeof(*tcp);
	p->payload_bytes = p->at.left - p->options_bytes;
	return MG_PARSED;
}

#endif
