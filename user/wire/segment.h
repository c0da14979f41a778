/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An opening SYN as a frame, from its Ethernet header on: is it whole, its sums put right, and the
 * answers that refuse it. Touches bytes only: no socket, no allocation, no log line.
 *
 * The frame is an Ethernet header, tags that the network device left in it, IPv4 or IPv6, TCP; what
 * the link added behind (padding) is no part of the segment.
 */
#ifndef MG_WIRE_SEGMENT_H
#define MG_WIRE_SEGMENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define MG_SEGMENT_MAC_BYTES 12 /* both addresses; a tag goes right behind them */
#define MG_SEGMENT_TAG_BYTES 4
/* What an answer may be long: the least MTU of IPv6, behind a link header with tags. */
#define MG_SEGMENT_ANSWER_MAX (1280 + 64)

struct mg_segment {
	uint8_t *frame;
	size_t ip, tcp, payload; /* offsets in the frame */
	size_t end;		 /* of the segment, behind its payload */
	bool v6;
};

/* 0, or -EBADMSG: the offsets and what the headers say do not fit each other, or the frame. */
int mg_segment_at(struct mg_segment *s, uint8_t *frame, size_t bytes, size_t ip, size_t tcp,
		  size_t payload);

/* Between whom it is, and its sequence number. */
void mg_segment_endpoints(const struct mg_segment *s, struct mg_ep *from, struct mg_ep *to);
uint32_t mg_segment_isn(const struct mg_segment *s);

/*
 * A frame that never was on a wire (veth, a virtual machine) has the sum of the pseudo-header where
 * its checksum will be; this writes the whole one. So it does when the window was mended since
 * (bpf/window.bpf.h, which keeps the difference in the sum). 0, or -EBADMSG: the segment was
 * damaged on the way, and must go nowhere.
 */
int mg_segment_sums(struct mg_segment *s);

/*
 * bpf/window.bpf.h, for the SYNs that XDP does not mend: with MP_CAPABLE, data, and a scale, the
 * window is shifted by the scale. A second time does no harm: it is never used. The checksum, which
 * must be good, stays so.
 */
void mg_segment_mend_window(struct mg_segment *s);

/* What a closed port answers (RFC 9293 section 3.10.7.1). Its length. */
size_t mg_segment_reset(uint8_t out[MG_SEGMENT_ANSWER_MAX], const struct mg_segment *s);
/*
 * Destination unreachable, ICMP or ICMPv6, with `code`, from `from` (NULL: the SYN's destination),
 * which must be of the SYN's family. Its length, or 0 if such a SYN must not be answered so (RFC
 * 1122 section 3.2.2, RFC 4443 section 2.4 (e)).
 */
size_t mg_segment_unreachable(uint8_t out[MG_SEGMENT_ANSWER_MAX], const struct mg_segment *s,
			      uint8_t code, const struct in6_addr *from);

#endif
