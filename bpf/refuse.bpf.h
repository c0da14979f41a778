/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Answers an opening SYN with a RST, made of the SYN itself: RFC 9293 section 3.5.2; that of a join
 * says why in an MP_TCPRST option, RFC 8684 section 3.6.
 */
#ifndef MG_BPF_REFUSE_H
#define MG_BPF_REFUSE_H

#include "packet.bpf.h"
#include "frame.bpf.h"
#include "outcome.bpf.h"

#define MG_RESET_HOPS	       64
#define MG_TCPRST_RESOURCES    2 /* "lack of resources" */
#define MG_TCPRST_PROHIBITED   3 /* "administratively prohibited" */
#define MG_TCPRST_SUBTYPE      0x80
#define MG_TCPRST_TRANSIENT    0x01 /* flag T: it may be tried again */
#define MG_TCPRST_BYTES	       4
#define MG_TCPRST_OPTION_MPTCP 30

/* The SYN, and what is said to it */
struct mg_reset {
	struct mg_tuple tuple;
	__u32 ip_offset; /* in the frame */
	__u32 tcp_offset;
	__u32 seq; /* host order */
	__u32 payload_bytes;
	__u8 v6;
	__u8 tcprst; /* the reason, MG_TCPRST_…; 0: without the option */
	__u8 transient;
	__u8 reason; /* enum mg_reason, as it is counted */
};

struct mg_reset_segment {
	struct tcphdr tcp;
	__u8 option[MG_TCPRST_BYTES];
};

struct mg_reset4 {
	struct iphdr ip;
	struct mg_reset_segment segment;
};

struct mg_reset6 {
	struct ipv6hdr ip;
	struct mg_reset_segment segment;
};

/* RFC 8200 section 8.1; of IPv4-mapped addresses the sum is as that of IPv4's own pseudo header. */
struct mg_reset_pseudo {
	__u8 from[16];
	__u8 to[16];
	__be32 bytes;
	__be32 next;
};

/* RFC 1122 sections 3.2.1.3 and 3.3.6: one host asks, and one is asked. */
static __always_inline bool mg_reset_is_due(struct mg_macs *macs, const struct mg_tuple *t)
{
	const __u8 *ip = t->client.ip;

	if ((macs->to[0] | macs->from[0]) & 1)
		return false;
	if (!mg_ip_is_v4(ip))
		return ip[0] != 0xff && !mg_ip_is_none(ip);
	return ip[12] && ip[12] != 127 && ip[12] < 224;
}

static __always_inline __u32 mg_reset_bytes(const struct mg_reset *r)
{
	return sizeof(struct tcphdr) + (r->tcprst ? MG_TCPRST_BYTES : 0);
}

static __always_inline void mg_reset_segment(struct mg_reset_segment *s, const struct mg_reset *r)
{
	struct mg_reset_pseudo pseudo = {
		.bytes = bpf_htonl(mg_reset_bytes(r)),
		.next = bpf_htonl(IPPROTO_TCP),
	};
	__wsum sum;

	s->tcp.source = bpf_htons(r->tuple.server.port);
	s->tcp.dest = bpf_htons(r->tuple.client.port);
	s->tcp.ack_seq = bpf_htonl(r->seq + 1 + r->payload_bytes);
	s->tcp.rst = 1;
	s->tcp.ack = 1;
	s->tcp.doff = mg_reset_bytes(r) / 4;
	if (r->tcprst) {
		s->option[0] = MG_TCPRST_OPTION_MPTCP;
		s->option[1] = MG_TCPRST_BYTES;
		s->option[2] = MG_TCPRST_SUBTYPE | (r->transient ? MG_TCPRST_TRANSIENT : 0);
		s->option[3] = r->tcprst;
	}
	__builtin_memcpy(pseudo.from, r->tuple.server.ip, sizeof(pseudo.from));
	__builtin_memcpy(pseudo.to, r->tuple.client.ip, sizeof(pseudo.to));
	/* Of a segment without the option, the zeros in its place add nothing. */
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)s, sizeof(*s), sum);
	s->tcp.check = ~mg_sum_fold(sum);
}

static __always_inline int mg_reset_put4(struct xdp_md *ctx, const struct mg_reset *r)
{
	struct mg_reset4 h = {
		.ip = {
			.version = 4,
			.ihl = 5,
			.tot_len = bpf_htons(sizeof(h.ip) + mg_reset_bytes(r)),
			.frag_off = bpf_htons(0x4000),
			.ttl = MG_RESET_HOPS,
			.protocol = IPPROTO_TCP,
			.saddr = mg_ip4_of(r->tuple.server.ip),
			.daddr = mg_ip4_of(r->tuple.client.ip),
		},
	};

	mg_ip4_sum(&h.ip);
	mg_reset_segment(&h.segment, r);
	if (r->tcprst)
		return bpf_xdp_store_bytes(ctx, r->ip_offset, &h, sizeof(h));
	return bpf_xdp_store_bytes(ctx, r->ip_offset, &h, sizeof(h) - MG_TCPRST_BYTES);
}

static __always_inline int mg_reset_put6(struct xdp_md *ctx, const struct mg_reset *r)
{
	struct mg_reset6 h = {
		.ip = {
			.version = 6,
			.payload_len = bpf_htons(mg_reset_bytes(r)),
			.nexthdr = IPPROTO_TCP,
			.hop_limit = MG_RESET_HOPS,
		},
	};

	__builtin_memcpy(&h.ip.saddr, r->tuple.server.ip, sizeof(h.ip.saddr));
	__builtin_memcpy(&h.ip.daddr, r->tuple.client.ip, sizeof(h.ip.daddr));
	mg_reset_segment(&h.segment, r);
	if (r->tcprst)
		return bpf_xdp_store_bytes(ctx, r->ip_offset, &h, sizeof(h));
	return bpf_xdp_store_bytes(ctx, r->ip_offset, &h, sizeof(h) - MG_TCPRST_BYTES);
}

/*
 * An outcome. What cannot be answered is dropped: who is no single host, and what has IPv6
 * extension headers, whose answer would want its own. The frame stays as long as it was, and what
 * lies behind the answer is padding: since 6.12 libxdp's dispatcher takes no program that changes
 * the length of packets.
 */
__noinline int mg_refuse_reset(struct xdp_md *ctx, const struct mg_reset *r)
{
	struct mg_macs macs, back;
	int longer;

	if (!r)
		return MG_OUTCOME_DROP(0);
	longer = r->ip_offset + (r->v6 ? MG_IP6_BYTES : MG_IP4_BYTES) + mg_reset_bytes(r) -
		 bpf_xdp_get_buff_len(ctx);
	if ((r->v6 && r->tcp_offset - r->ip_offset != MG_IP6_BYTES) ||
	    bpf_xdp_load_bytes(ctx, 0, &macs, sizeof(macs)) || !mg_reset_is_due(&macs, &r->tuple) ||
	    longer > 0)
		return MG_OUTCOME_DROP(r->reason);
	__builtin_memcpy(back.to, macs.from, sizeof(back.to));
	__builtin_memcpy(back.from, macs.to, sizeof(back.from));
	if (bpf_xdp_store_bytes(ctx, 0, &back, sizeof(back)) ||
	    (r->v6 ? mg_reset_put6(ctx, r) : mg_reset_put4(ctx, r)))
		return MG_OUTCOME_DROP(r->reason);
	return MG_OUTCOME(XDP_TX, MG_VERDICT_ANSWER, r->reason);
}

#endif
