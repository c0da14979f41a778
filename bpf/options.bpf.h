/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The options of a TCP header, walked on a copy, which a door loads: from XDP and TC alike. MPTCP
 * options as in RFC 8684 section 3.
 */
#ifndef MG_BPF_OPTIONS_H
#define MG_BPF_OPTIONS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define MG_OPT_EOL	     0
#define MG_OPT_NOP	     1
#define MG_OPT_MSS	     2
#define MG_OPT_WSCALE	     3
#define MG_OPT_MD5	     19 /* RFC 2385 */
#define MG_OPT_AO	     29 /* RFC 5925 */
#define MG_OPT_MPTCP	     30
#define MG_OPT_MSS_BYTES     4
#define MG_OPT_WSCALE_BYTES  3
#define MG_TCP_OPTIONS_BYTES 40

#define MG_MPTCP_CAPABLE       0
#define MG_MPTCP_JOIN	       1
#define MG_MPTCP_CAPABLE_BYTES 4
#define MG_MPTCP_JOIN_BYTES    12
#define MG_MPTCP_VERSION       1
#define MG_CAPABLE_FLAG_B      0x40 /* "must be 0, else ignore the option" */
#define MG_CAPABLE_FLAG_H      0x01 /* HMAC-SHA256, the only algorithm there is */

/* MP_CAPABLE behind the SYN: with the sender's key, or both, and data-level fields behind them */
#define MG_MPTCP_CAPABLE_KEY_BYTES  12
#define MG_MPTCP_CAPABLE_KEYS_BYTES 20
#define MG_MPTCP_RECEIVER_KEY	    12 /* offset in the option */
#define MG_MPTCP_JOIN_TOKEN	    4

/* What was seen among the options of a SYN */
#define MG_SEEN_CAPABLE	  0x1
#define MG_SEEN_JOIN	  0x2
#define MG_SEEN_VERSION	  0x4 /* MP_CAPABLE of another version */
#define MG_SEEN_INVALID	  0x8
#define MG_SEEN_OVERRUN	  0x10 /* an option of impossible length */
#define MG_SEEN_PROTECTED 0x20 /* TCP-AO or TCP-MD5 */
/* …and of what comes behind it */
#define MG_SEEN_KEY  0x40 /* MP_CAPABLE with the sender's key: a SYN+ACK's */
#define MG_SEEN_KEYS 0x80 /* with both: a third ACK's, or that of the first data */

/*
 * The walk takes a step per bpf_loop() call: unrolled, the verifier would follow every combination
 * of options one by one.
 */
struct mg_options {
	__u8 byte[64]; /* 40, and slack for offsets bounded by a mask */
	__u32 total;
	__u32 at;
	__u32 seen;
	__u32 mptcp_at; /* where the last MPTCP option stands, if any was seen */
	__u32 mss_at;	/* where the last MSS stands, behind its kind and length; 0: nowhere */
	__u8 window_scale;
};

/*
 * 0, which the verifier does not know. Those before 6.7 follow a callback for one round, and would
 * conclude that what takes two, say MP_CAPABLE and a window scale, cannot be: code for it they
 * remove as dead.
 */
static volatile __u32 mg_opaque_zero;

static __always_inline __u8 mg_option_byte(const struct mg_options *o, __u32 offset)
{
	return o->byte[(o->at + offset) & 63];
}

/* MP_CAPABLE of `bytes`, whose version is ours */
static __always_inline __u32 mg_capable_option(__u32 bytes, __u8 flags)
{
	if ((flags & MG_CAPABLE_FLAG_B) || !(flags & MG_CAPABLE_FLAG_H))
		return MG_SEEN_INVALID;
	if (bytes == MG_MPTCP_CAPABLE_BYTES)
		return MG_SEEN_CAPABLE;
	if (bytes == MG_MPTCP_CAPABLE_KEY_BYTES)
		return MG_SEEN_INVALID | MG_SEEN_KEY;
	if (bytes >= MG_MPTCP_CAPABLE_KEYS_BYTES)
		return MG_SEEN_INVALID | MG_SEEN_KEYS;
	return MG_SEEN_INVALID;
}

/* The MPTCP option at o->at, of `bytes`. */
static __always_inline __u32 mg_mptcp_option(const struct mg_options *o, __u32 bytes)
{
	__u8 head = mg_option_byte(o, 2), flags = mg_option_byte(o, 3);

	if (bytes < MG_MPTCP_CAPABLE_BYTES)
		return MG_SEEN_INVALID;
	if (head >> 4 == MG_MPTCP_CAPABLE) {
		if ((head & 0x0f) != MG_MPTCP_VERSION)
			return MG_SEEN_VERSION;
		return mg_capable_option(bytes, flags);
	}
	if (head >> 4 == MG_MPTCP_JOIN && bytes == MG_MPTCP_JOIN_BYTES)
		return MG_SEEN_JOIN;
	return MG_SEEN_INVALID;
}

/* One option; 1 ends the walk. */
static long mg_option_step(__u32 index, struct mg_options *o)
{
	__u8 kind = mg_option_byte(o, 0);
	__u32 bytes = mg_option_byte(o, 1);

	if (o->at >= o->total || kind == MG_OPT_EOL)
		return 1;
	if (kind == MG_OPT_NOP) {
		o->at++;
		return 0;
	}
	if (o->at + 1 >= o->total || bytes < 2 || o->at + bytes > o->total) {
		o->seen |= MG_SEEN_OVERRUN;
		return 1;
	}
	if (kind == MG_OPT_MPTCP) {
		o->seen |= mg_mptcp_option(o, bytes);
		o->mptcp_at = o->at;
	} else if (kind == MG_OPT_MD5 || kind == MG_OPT_AO) {
		o->seen |= MG_SEEN_PROTECTED;
	} else if (kind == MG_OPT_MSS && bytes == MG_OPT_MSS_BYTES) {
		o->mss_at = o->at + 2;
	} else if (kind == MG_OPT_WSCALE && bytes == MG_OPT_WSCALE_BYTES) {
		o->window_scale = mg_option_byte(o, 2);
	}
	o->at += bytes;
	return 0;
}

/*
 * The doors' ways to the bytes at `offset` of the frame. What cannot be loaded lies about its
 * length. Verifiers of 6.1 learn nothing from "not zero": they are shown a length that begins at 1.
 */
static __always_inline void mg_options_walk(struct mg_options *o, long load_err)
{
	o->at = o->seen = o->mptcp_at = o->mss_at = mg_opaque_zero;
	o->window_scale = mg_opaque_zero;
	if (load_err)
		o->seen = MG_SEEN_OVERRUN;
	else if (o->total)
		bpf_loop(MG_TCP_OPTIONS_BYTES, mg_option_step, o, 0);
}

static __always_inline void mg_options_of_xdp(struct mg_options *o, struct xdp_md *ctx,
					      __u32 offset, __u32 bytes)
{
	__u32 last = bytes - 1;
	long err = 0;

	o->total = bytes;
	barrier_var(last);
	if (bytes)
		err = last < MG_TCP_OPTIONS_BYTES
			      ? bpf_xdp_load_bytes(ctx, offset, o->byte, last + 1)
			      : -1;
	mg_options_walk(o, err);
}

static __always_inline void mg_options_of_skb(struct mg_options *o, const struct __sk_buff *skb,
					      __u32 offset, __u32 bytes)
{
	__u32 last = bytes - 1;
	long err = 0;

	o->total = bytes;
	barrier_var(last);
	if (bytes)
		err = last < MG_TCP_OPTIONS_BYTES
			      ? bpf_skb_load_bytes(skb, offset, o->byte, last + 1)
			      : -1;
	mg_options_walk(o, err);
}

#endif
