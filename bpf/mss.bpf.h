/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one field that steering rewrites: the MSS of a SYN or SYN+ACK, so that what answers it fits
 * into the tunnel.
 */
#ifndef MG_BPF_MSS_H
#define MG_BPF_MSS_H

#include "arrival.bpf.h"
#include "frame.bpf.h"
#include "options.bpf.h"

#define MG_TCP_BYTES	   20
#define MG_TCP_SUM_OFFSET  16
#define MG_MSS_LEAST	   64 /* a path of less is no path */
#define MG_MTU_UNKNOWN	   1500
#define MG_TCP_OPTIONS_MAX 40

static __always_inline __u16 mg_swapped(__u16 v, bool swap)
{
	return swap ? __builtin_bswap16(v) : v;
}

/* The MSS at `at` in the options. Where that is odd, its bytes are halves of two words of the sum.
 */
static __always_inline int mg_mss_lower(struct xdp_md *ctx, const struct mg_arrival *a, __u32 at,
					__u16 limit)
{
	__u32 offset = a->tcp_offset + MG_TCP_BYTES + at;
	__be16 mss, sum, lower = bpf_htons(limit);
	bool odd = at & 1;

	if (bpf_xdp_load_bytes(ctx, offset, &mss, sizeof(mss)) || bpf_ntohs(mss) <= limit ||
	    bpf_xdp_load_bytes(ctx, a->tcp_offset + MG_TCP_SUM_OFFSET, &sum, sizeof(sum)) ||
	    bpf_xdp_store_bytes(ctx, offset, &lower, sizeof(lower)))
		return -1;
	/* Network order on both sides: the sum is the same in either. */
	sum = mg_sum_change(sum, mg_swapped(mss, odd), mg_swapped(lower, odd));
	if (bpf_xdp_store_bytes(ctx, a->tcp_offset + MG_TCP_SUM_OFFSET, &sum, sizeof(sum)))
		return -1;
	mg_steer_count(MG_STEER_COUNT_MSS_CLAMPED);
	return 0;
}

/*
 * The scratch's arrival is a SYN or SYN+ACK; what answers it has `room` bytes for IP. 0: its MSS
 * was lowered; -1: it was not, and need not be. A function of its own to the verifier.
 */
__noinline int mg_mss_fit(struct xdp_md *ctx, __u32 room)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	struct mg_options o = {};
	__u32 headers;

	if (!s || !s->arrival.is_tcp)
		return -1;
	headers = (s->arrival.v6 ? MG_IP6_BYTES : MG_IP4_BYTES) + MG_TCP_BYTES;
	mg_options_of_xdp(&o, ctx, s->arrival.tcp_offset + MG_TCP_BYTES, s->arrival.options_bytes);
	if (!o.mss_at || room > 0xffff || room < headers + MG_MSS_LEAST)
		return -1;
	return mg_mss_lower(ctx, &s->arrival, o.mss_at, room - headers);
}

#endif
