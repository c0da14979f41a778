/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms behind the holding doors hand each other: a TCP segment without a pointer into it.
 * It lies in a map, one per CPU: there the verifier forgets by which of many ways it was filled in,
 * and maps take their keys from it.
 */
#ifndef MG_BPF_SEGMENT_H
#define MG_BPF_SEGMENT_H

#include "packet.bpf.h"
#include "policy.bpf.h"

#include "abi/hold.h"

struct mg_segment {
	struct mg_tuple tuple; /* client: who sent it */
	struct bpf_sock_tuple sock;
	__u32 seq; /* host order, as ack is */
	__u32 ack;
	__u32 ip_offset; /* in the frame */
	__u32 tcp_offset;
	__u32 options_bytes;
	__u32 payload_bytes;
	__u8 v6;
	__u8 has_syn, has_ack, has_fin, has_rst;
};

/* What a segment is that opens a connection */
struct mg_opening {
	__u32 class; /* enum mg_class */
	__u32 seen;  /* MG_SEEN_… */
	__u32 token; /* of a join */
	__u8 mp_capable;
	__u8 pad[3];
};

struct mg_hold_scratch {
	struct mg_segment segment;
	struct mg_opening opening;
	struct mg_who who;     /* whom an opening SYN is from */
	struct mg_held record; /* as it goes into the ring, with the frame */
	__u8 frame[MG_HELD_FRAME_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_hold_scratch);
} mg_hold_scratch SEC(".maps");

static __always_inline struct mg_hold_scratch *mg_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mg_hold_scratch, &zero);
}

static __always_inline __u32 mg_sock_tuple_bytes(const struct mg_segment *s)
{
	return s->v6 ? sizeof(s->sock.ipv6) : sizeof(s->sock.ipv4);
}

static __always_inline void mg_segment_of(struct mg_segment *s, const struct mg_packet *p)
{
	mg_packet_endpoints(p, &s->tuple.client, &s->tuple.server);
	if (p->v6) {
		const struct ipv6hdr *ip = p->ip;

		__builtin_memcpy(s->sock.ipv6.saddr, &ip->saddr, 16);
		__builtin_memcpy(s->sock.ipv6.daddr, &ip->daddr, 16);
		s->sock.ipv6.sport = p->tcp->source;
		s->sock.ipv6.dport = p->tcp->dest;
	} else {
		s->sock.ipv4.saddr = ((const struct iphdr *)p->ip)->saddr;
		s->sock.ipv4.daddr = ((const struct iphdr *)p->ip)->daddr;
		s->sock.ipv4.sport = p->tcp->source;
		s->sock.ipv4.dport = p->tcp->dest;
	}
	s->v6 = p->v6;
	s->seq = bpf_ntohl(p->tcp->seq);
	s->ack = bpf_ntohl(p->tcp->ack_seq);
	s->has_syn = p->tcp->syn;
	s->has_ack = p->tcp->ack;
	s->has_fin = p->tcp->fin;
	s->has_rst = p->tcp->rst;
	s->ip_offset = p->ip_offset;
	s->tcp_offset = p->at.offset - sizeof(struct tcphdr);
	s->options_bytes = p->options_bytes;
	s->payload_bytes = p->payload_bytes;
}

static __always_inline bool mg_opens(const struct mg_segment *s)
{
	return s->has_syn && !s->has_ack && !s->has_fin && !s->has_rst;
}

static __always_inline __u32 mg_options_offset(const struct mg_segment *s)
{
	return s->tcp_offset + sizeof(struct tcphdr);
}

static __always_inline __u32 mg_payload_offset(const struct mg_segment *s)
{
	return mg_options_offset(s) + s->options_bytes;
}

#endif
