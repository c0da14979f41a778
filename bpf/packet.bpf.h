/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms hand each other: a packet, and the cursor that walks it. Serves XDP and TC alike.
 *
 * Every byte goes through a cursor that knows two ends: `end`, where the buffer ends and up to
 * where the verifier lets us read, and `left`, what the innermost length field still promises.
 */
#ifndef MG_BPF_PACKET_H
#define MG_BPF_PACKET_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi/maps.h"

struct mg_cursor {
	void *pos;
	void *end;
	__u32 left;
	__u32 offset; /* of pos in the frame */
};

/* pos stays where it was when NULL is returned */
static __always_inline void *mg_take(struct mg_cursor *c, __u32 bytes)
{
	void *at = c->pos;

	if (bytes > c->left || at + bytes > c->end)
		return NULL;
	c->pos = at + bytes;
	c->left -= bytes;
	c->offset += bytes;
	return at;
}

/* Why a take failed: the packet ends there, or only its first buffer does. */
static __always_inline enum mg_reason mg_short(const struct mg_cursor *c, __u32 bytes,
					       enum mg_reason truncated)
{
	return bytes > c->left ? truncated : MG_REASON_NOT_LINEAR;
}

struct mg_packet {
	struct mg_cursor at; /* behind what was parsed */
	void *ip;	     /* 20 or 40 bytes are readable */
	__u32 ip_offset;     /* in the frame */
	struct tcphdr *tcp;  /* 20 bytes are readable */
	bool v6;
	bool quoted;   /* by an ICMP error: cut short whatever its lengths say */
	__u8 protocol; /* behind IPv4 options and IPv6 extension headers */
	__u32 options_bytes;
	__u32 payload_bytes;
};

static __always_inline void mg_ip_copy(__u8 to[16], const void *ip, bool v6, bool source)
{
	__u32 *words = (__u32 *)to;

	if (v6) {
		const struct ipv6hdr *ip6 = ip;
		const struct in6_addr *from = source ? &ip6->saddr : &ip6->daddr;

		__builtin_memcpy(to, from, sizeof(*from));
		return;
	}
	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = source ? ((const struct iphdr *)ip)->saddr : ((const struct iphdr *)ip)->daddr;
}

static __always_inline void mg_packet_endpoints(const struct mg_packet *p, struct mg_endpoint *from,
						struct mg_endpoint *to)
{
	mg_ip_copy(from->ip, p->ip, p->v6, true);
	from->port = bpf_ntohs(p->tcp->source);
	from->pad = 0;
	mg_ip_copy(to->ip, p->ip, p->v6, false);
	to->port = bpf_ntohs(p->tcp->dest);
	to->pad = 0;
}

/* All there is to know about an opening SYN, without a pointer into it. */
struct mg_syn {
	struct mg_endpoint from;
	struct mg_endpoint to;
	__u32 options_offset; /* in the frame; the payload comes right after the options */
	__u32 options_bytes;
	__u32 payload_bytes;
	__u32 ip_offset; /* in the frame */
	__u32 seq;	 /* host order */
	__u8 v6;
	__u8 admitted;	  /* 1: admission was asked already */
	__u8 from_access; /* 1: it came in where clients are */
	__u8 pad;
};

static __always_inline void mg_packet_syn(const struct mg_packet *p, struct mg_syn *syn)
{
	mg_packet_endpoints(p, &syn->from, &syn->to);
	syn->options_offset = p->at.offset;
	syn->options_bytes = p->options_bytes;
	syn->payload_bytes = p->payload_bytes;
	syn->ip_offset = p->ip_offset;
	syn->seq = bpf_ntohl(p->tcp->seq);
	syn->v6 = p->v6;
	syn->admitted = syn->pad = 0;
}

/*
 * Does `at`, a number of the other side's or of a RST, belong to a SYN of this sequence number? It
 * may have brought data.
 */
static __always_inline bool mg_is_of_syn(__u32 at, __u32 isn)
{
	return at - isn <= 0xffff;
}

#endif
