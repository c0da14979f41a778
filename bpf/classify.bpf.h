/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Second room: what a parsed TCP packet is. MPTCP options as in RFC 8684 sections 3.1 and 3.2, the
 * Convert fixed header as in RFC 8803 section 6.1.
 */
#ifndef MG_BPF_CLASSIFY_H
#define MG_BPF_CLASSIFY_H

#include "packet.bpf.h"

#define MG_OPT_EOL	     0
#define MG_OPT_NOP	     1
#define MG_OPT_WSCALE	     3
#define MG_OPT_MPTCP	     30
#define MG_OPT_WSCALE_BYTES  3
#define MG_TCP_OPTIONS_BYTES 40

#define MG_MPTCP_CAPABLE       0
#define MG_MPTCP_JOIN	       1
#define MG_MPTCP_CAPABLE_BYTES 4
#define MG_MPTCP_JOIN_BYTES    12
#define MG_MPTCP_VERSION       1
#define MG_CAPABLE_FLAG_B      0x40 /* "must be 0, else ignore the option" */
#define MG_CAPABLE_FLAG_H      0x01 /* HMAC-SHA256, the only algorithm there is */

#define MG_CONVERT_HEADER_BYTES	  4
#define MG_CONVERT_HEADER_VERSION 1
#define MG_CONVERT_HEADER_MAGIC	  0x2263

struct mg_classification {
	enum mg_class class;
	enum mg_reason reason;
	bool mp_capable;   /* with a valid MP_CAPABLE */
	__u8 window_scale; /* as its option says; 0 without one */
};

/* MPTCP options seen in a SYN */
#define MG_SEEN_CAPABLE 0x1
#define MG_SEEN_JOIN	0x2
#define MG_SEEN_VERSION 0x4 /* MP_CAPABLE of another version */
#define MG_SEEN_INVALID 0x8
#define MG_SEEN_OVERRUN 0x10 /* an option of impossible length */

/*
 * The walk works on a copy of the options and takes a step per bpf_loop() call: unrolled, the
 * verifier would follow every combination of options one by one.
 */
struct mg_options {
	__u8 byte[64]; /* 40, and slack for offsets bounded by a mask */
	__u32 total;
	__u32 at;
	__u32 seen;
	__u8 window_scale;
};

static __always_inline __u8 mg_option_byte(const struct mg_options *o, __u32 offset)
{
	return o->byte[(o->at + offset) & 63];
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
		if (bytes != MG_MPTCP_CAPABLE_BYTES || (flags & MG_CAPABLE_FLAG_B) ||
		    !(flags & MG_CAPABLE_FLAG_H))
			return MG_SEEN_INVALID;
		return MG_SEEN_CAPABLE;
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
	if (kind == MG_OPT_MPTCP)
		o->seen |= mg_mptcp_option(o, bytes);
	else if (kind == MG_OPT_WSCALE && bytes == MG_OPT_WSCALE_BYTES)
		o->window_scale = mg_option_byte(o, 2);
	o->at += bytes;
	return 0;
}

/* MG_SEEN_* of a SYN's options */
static __always_inline __u32 mg_walk_options(struct mg_classification *c, struct xdp_md *ctx,
					     const struct mg_syn *syn)
{
	struct mg_options o = { .total = syn->options_bytes };
	__u32 last = o.total - 1;

	if (!o.total)
		return 0;
	/* Verifiers of 6.1 learn nothing from "not zero": show them a length that begins at 1. */
	barrier_var(last);
	if (last >= MG_TCP_OPTIONS_BYTES ||
	    bpf_xdp_load_bytes(ctx, syn->options_offset, o.byte, last + 1))
		return MG_SEEN_OVERRUN;
	bpf_loop(MG_TCP_OPTIONS_BYTES, mg_option_step, &o, 0);
	c->window_scale = o.window_scale;
	return o.seen;
}

/* What kind of SYN its options make it. */
static __always_inline void mg_classify_options(struct mg_classification *c, struct xdp_md *ctx,
						const struct mg_syn *syn)
{
	__u32 seen = mg_walk_options(c, ctx, syn);

	c->class = MG_CLASS_SYN;
	if (seen & MG_SEEN_OVERRUN) {
		c->class = MG_CLASS_MALFORMED;
		c->reason = MG_REASON_TCP_OPTION_OVERRUN;
	} else if ((seen & MG_SEEN_CAPABLE) && (seen & MG_SEEN_JOIN)) {
		c->reason = MG_REASON_MPTCP_IGNORED;
	} else if (seen & MG_SEEN_CAPABLE) {
		c->class = MG_CLASS_MP_CAPABLE;
		c->reason = MG_REASON_MP_CAPABLE;
		c->mp_capable = true;
	} else if (seen & MG_SEEN_JOIN) {
		c->class = MG_CLASS_MP_JOIN;
		c->reason = MG_REASON_MP_JOIN;
	} else if (seen & MG_SEEN_VERSION) {
		c->reason = MG_REASON_MPTCP_VERSION;
	} else if (seen & MG_SEEN_INVALID) {
		c->reason = MG_REASON_MPTCP_IGNORED;
	} else {
		c->reason = MG_REASON_PLAIN_SYN;
	}
}

/*
 * An opening SYN to a converter: does it bring the message along? A join belongs to a session that
 * is open already, whatever it carries.
 */
static __always_inline void mg_classify_convert(struct mg_classification *c, struct xdp_md *ctx,
						const struct mg_syn *syn)
{
	__u8 header[MG_CONVERT_HEADER_BYTES];

	if (c->class == MG_CLASS_MP_JOIN)
		return;
	if (!syn->payload_bytes) {
		c->reason = MG_REASON_CONVERT_NO_PAYLOAD;
		return;
	}
	c->reason = MG_REASON_CONVERT_BAD_HEADER;
	if (syn->payload_bytes < sizeof(header) ||
	    bpf_xdp_load_bytes(ctx, syn->options_offset + syn->options_bytes, header,
			       sizeof(header)))
		return;
	if (header[0] != MG_CONVERT_HEADER_VERSION || header[1] == 0 ||
	    header[2] != MG_CONVERT_HEADER_MAGIC >> 8 ||
	    header[3] != (MG_CONVERT_HEADER_MAGIC & 0xff))
		return;
	c->class = MG_CLASS_CONVERT;
	c->reason = MG_REASON_CONVERT_SYN;
}

/* What a TCP header's flags say; false for an opening SYN, which needs a closer look. */
static __always_inline bool mg_classify_flags(struct mg_classification *c, const struct tcphdr *tcp)
{
	if (!tcp->syn) {
		c->class = MG_CLASS_DATA;
		c->reason = MG_REASON_TCP_SEGMENT;
	} else if (tcp->fin || tcp->rst) {
		c->class = MG_CLASS_MALFORMED;
		c->reason = MG_REASON_TCP_BAD_FLAGS;
	} else if (tcp->ack) {
		c->class = MG_CLASS_DATA;
		c->reason = MG_REASON_TCP_SYNACK;
	} else {
		return false;
	}
	return true;
}

/* A packet that parsing gave up on. */
static __always_inline void mg_classify_unparsed(struct mg_classification *c, enum mg_reason reason)
{
	c->class = mg_reason_is_malformed(reason) ? MG_CLASS_MALFORMED : MG_CLASS_OTHER;
	c->reason = reason;
}

#endif
