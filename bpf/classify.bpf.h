/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Second room: what a parsed TCP packet is, by its flags, its options and, with the Convert fixed
 * header of RFC 8803 section 6.1, its payload; the door hands it the bytes.
 */
#ifndef MG_BPF_CLASSIFY_H
#define MG_BPF_CLASSIFY_H

#include "packet.bpf.h"
#include "options.bpf.h"

#define MG_CONVERT_HEADER_BYTES	  4
#define MG_CONVERT_HEADER_VERSION 1
#define MG_CONVERT_HEADER_MAGIC	  0x2263

struct mg_classification {
	enum mg_class class;
	enum mg_reason reason;
	bool mp_capable;   /* with a valid MP_CAPABLE */
	__u8 window_scale; /* as its option says; 0 without one */
};

/* What kind of SYN its options make it. */
static __always_inline void mg_classify_options(struct mg_classification *c,
						const struct mg_options *o)
{
	__u32 seen = o->seen;

	c->class = MG_CLASS_SYN;
	c->window_scale = o->window_scale;
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

/* The first bytes of a payload; valid if there were as many. */
struct mg_message {
	__u8 header[MG_CONVERT_HEADER_BYTES];
	bool valid;
};

/*
 * An opening SYN to a converter: does it bring the message along? A join belongs to a session that
 * is open already, whatever it carries.
 */
static __always_inline void mg_classify_convert(struct mg_classification *c, __u32 payload_bytes,
						const struct mg_message *m)
{
	if (c->class == MG_CLASS_MP_JOIN)
		return;
	if (!payload_bytes) {
		c->reason = MG_REASON_CONVERT_NO_PAYLOAD;
		return;
	}
	c->reason = MG_REASON_CONVERT_BAD_HEADER;
	if (!m->valid || m->header[0] != MG_CONVERT_HEADER_VERSION || m->header[1] == 0 ||
	    m->header[2] != MG_CONVERT_HEADER_MAGIC >> 8 ||
	    m->header[3] != (MG_CONVERT_HEADER_MAGIC & 0xff))
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
