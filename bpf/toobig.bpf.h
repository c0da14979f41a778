/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Answers a packet that the tunnel to its proxy has no room for, as the router does that we are to
 * its sender: "fragmentation needed" (RFC 1191) or "packet too big" (RFC 4443 section 3.2), made of
 * the packet itself.
 */
#ifndef MG_BPF_TOOBIG_H
#define MG_BPF_TOOBIG_H

#include "arrive.bpf.h"
#include "frame.bpf.h"
#include "outcome.bpf.h"
#include "paths.bpf.h"
#include "proxies.bpf.h"

#define MG_ANSWERS_PER_SECOND 1000 /* of a CPU */
#define MG_SECOND_NS	      1000000000ULL

/*
 * How much of the packet goes back. RFC 1812 section 4.3.2.3 and RFC 4443 want as much as fits into
 * the least MTU, 576 and 1280 bytes; helpers want constants, and the tunnel of the least MTU has no
 * room for as much.
 */
#define MG_QUOTE4_BYTES 512
#define MG_QUOTE6_BYTES 1200
#define MG_SUM_BYTES	400 /* of one bpf_csum_diff(), which takes no more than 512 */

#define MG_ICMP_TOS 0xc0 /* RFC 1812 section 4.3.2.5 */

struct mg_answers {
	__u64 since_ns;
	__u32 n;
	__u32 pad;
	__u8 quote[MG_QUOTE6_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_answers);
} mg_answers SEC(".maps");

struct mg_icmp4_answer {
	struct iphdr ip;
	struct mg_icmp_error icmp;
};

struct mg_icmp6_answer {
	struct ipv6hdr ip;
	struct mg_icmp_error icmp;
};

/* RFC 4443 section 2.3 */
struct mg_pseudo6 {
	__u8 from[16];
	__u8 to[16];
	__be32 bytes;
	__be32 next;
};

static __always_inline bool mg_answer_allowed(struct mg_answers *answers)
{
	__u64 now_ns = bpf_ktime_get_coarse_ns();

	if (now_ns - answers->since_ns >= MG_SECOND_NS) {
		answers->since_ns = now_ns;
		answers->n = 0;
	}
	if (answers->n >= MG_ANSWERS_PER_SECOND)
		return false;
	answers->n++;
	return true;
}

/* RFC 1122 section 3.2.2: not to what is no single host. */
static __always_inline bool mg_ip_is_host(const __u8 *ip)
{
	if (!mg_ip_is_v4(ip))
		return ip[0] != 0xff && !mg_ip_is_none(ip);
	return ip[12] && ip[12] != 127 && ip[12] < 224;
}

/* The frame is cut to what is quoted, and room made for `bytes` of headers before it. */
static __always_inline int mg_answer_frame(struct xdp_md *ctx, const struct mg_arrival *a,
					   int bytes, __u32 quote_bytes)
{
	int longer = a->ip_offset + quote_bytes - bpf_xdp_get_buff_len(ctx);
	struct mg_macs macs;

	__builtin_memcpy(macs.to, a->smac, sizeof(macs.to));
	__builtin_memcpy(macs.from, a->dmac, sizeof(macs.from));
	if (longer > 0 || (longer && bpf_xdp_adjust_tail(ctx, longer)))
		return -1;
	return mg_frame_open(ctx, &macs, bytes);
}

static __always_inline int mg_answer4(struct xdp_md *ctx, const struct mg_arrival *a,
				      const __u8 *from, __u8 *quote, __u32 mtu)
{
	struct mg_icmp4_answer h = {
		.ip = {
			.version = 4,
			.ihl = 5,
			.tos = MG_ICMP_TOS,
			.tot_len = bpf_htons(sizeof(h) + MG_QUOTE4_BYTES),
			.frag_off = bpf_htons(0x4000),
			.ttl = 64,
			.protocol = IPPROTO_ICMP,
			.saddr = mg_ip4_of(from),
			.daddr = mg_ip4_of(a->tuple.client.ip),
		},
		.icmp = {
			.type = MG_ICMP_UNREACH,
			.code = MG_ICMP_TOO_BIG,
			.mtu = bpf_htons(mtu),
		},
	};
	__wsum sum;

	if (bpf_xdp_load_bytes(ctx, a->ip_offset, quote, MG_QUOTE4_BYTES))
		return -1;
	sum = bpf_csum_diff(NULL, 0, (__be32 *)quote, MG_QUOTE4_BYTES, 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&h.icmp, sizeof(h.icmp), sum);
	h.icmp.checksum = ~mg_sum_fold(sum);
	mg_ip4_sum(&h.ip);
	if (mg_answer_frame(ctx, a, sizeof(h), MG_QUOTE4_BYTES))
		return -1;
	return bpf_xdp_store_bytes(ctx, a->ip_offset, &h, sizeof(h));
}

static __always_inline __wsum mg_answer6_sum(const struct mg_icmp6_answer *h, __u8 *quote)
{
	struct mg_pseudo6 pseudo = {
		.bytes = bpf_htonl(sizeof(h->icmp) + MG_QUOTE6_BYTES),
		.next = bpf_htonl(MG_IPPROTO_ICMPV6),
	};
	__wsum sum;

	__builtin_memcpy(pseudo.from, &h->ip.saddr, sizeof(pseudo.from));
	__builtin_memcpy(pseudo.to, &h->ip.daddr, sizeof(pseudo.to));
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&h->icmp, sizeof(h->icmp), sum);
	for (__u32 at = 0; at < MG_QUOTE6_BYTES; at += MG_SUM_BYTES)
		sum = bpf_csum_diff(NULL, 0, (__be32 *)(quote + at), MG_SUM_BYTES, sum);
	return sum;
}

static __always_inline int mg_answer6(struct xdp_md *ctx, const struct mg_arrival *a,
				      const __u8 *from, __u8 *quote, __u32 mtu)
{
	struct mg_icmp6_answer h = {
		.ip = {
			.version = 6,
			.priority = MG_ICMP_TOS >> 4,
			.payload_len = bpf_htons(sizeof(h.icmp) + MG_QUOTE6_BYTES),
			.nexthdr = MG_IPPROTO_ICMPV6,
			.hop_limit = 64,
		},
		.icmp = {
			.type = MG_ICMP6_TOO_BIG,
			.mtu = bpf_htons(mtu),
		},
	};

	__builtin_memcpy(&h.ip.saddr, from, 16);
	__builtin_memcpy(&h.ip.daddr, a->tuple.client.ip, 16);
	if (bpf_xdp_load_bytes(ctx, a->ip_offset, quote, MG_QUOTE6_BYTES))
		return -1;
	h.icmp.checksum = ~mg_sum_fold(mg_answer6_sum(&h, quote));
	if (mg_answer_frame(ctx, a, sizeof(h), MG_QUOTE6_BYTES))
		return -1;
	return bpf_xdp_store_bytes(ctx, a->ip_offset, &h, sizeof(h));
}

/*
 * The scratch's arrival, for which there are but `room` bytes: an outcome. No answer to what is an
 * ICMP error itself, nor below what a host has to take whatever the path, nor too often.
 */
__noinline int mg_too_big(struct xdp_md *ctx, __u32 room)
{
	const struct mg_gateway *g = mg_gateway_wanted();
	struct mg_steer_scratch *s = mg_steer_scratch();
	const struct mg_arrival *a;
	struct mg_answers *answers;
	__u32 zero = 0;
	int err;

	answers = bpf_map_lookup_elem(&mg_answers, &zero);
	if (!g || !s || !answers)
		return MG_OUTCOME_DROP(MG_REASON_TUNNEL_TOO_BIG);
	a = &s->arrival;
	if (!a->is_tcp || mg_ip_is_none(a->v6 ? g->ip6 : g->ip4) ||
	    !mg_ip_is_host(a->tuple.client.ip) || !mg_answer_allowed(answers))
		return MG_OUTCOME_DROP(MG_REASON_TUNNEL_TOO_BIG);
	if (a->v6)
		err = mg_answer6(ctx, a, g->ip6, answers->quote,
				 room > MG_PATH_MIN6_BYTES ? room : MG_PATH_MIN6_BYTES);
	else
		err = mg_answer4(ctx, a, g->ip4, answers->quote, room);
	if (err)
		return MG_OUTCOME_DROP(MG_REASON_TUNNEL_TOO_BIG);
	mg_steer_count(MG_STEER_COUNT_TOO_BIG);
	return MG_OUTCOME(XDP_TX, MG_VERDICT_ANSWER, MG_REASON_TUNNEL_TOO_BIG);
}

#endif
