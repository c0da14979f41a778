/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames for tests: from a description to bytes. A field left out makes a correct frame, from
 * 10.1.0.1:40000 (or fd00:1::1) to 10.3.0.2:5124 (or fd00:3::2); one that is set may well lie.
 * Checksums stay zero: the data plane reads none.
 */
#ifndef MG_TESTS_PACKET_H
#define MG_TESTS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 16384

struct bytes {
	const uint8_t *data;
	size_t len;
};
/* B(1, 2, 3): the bytes 1, 2, 3 */
#define B(...)                                                                             \
	{                                                                                  \
		(const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
	}

#define F_FIN 0x01
#define F_SYN 0x02
#define F_RST 0x04
#define F_ACK 0x10

/* An IPv6 extension header of len bytes, a multiple of 8 (of 4 for AH, kind 51) */
struct extension {
	uint8_t kind;
	uint16_t len;
	uint16_t frag; /* fragment header: offset and flags, host order */
};

struct frame {
	uint16_t vlan[3];   /* tag protocols, outermost first; 0 ends */
	uint16_t ethertype; /* instead of what fits */
	bool v6;
	uint8_t version;
	uint8_t ihl;		 /* in words */
	struct bytes ip_opts;	 /* a multiple of 4 */
	uint16_t ip_len;	 /* total length (v4) or payload length (v6) */
	bool ip_len_zero;	 /* the same, 0 */
	uint16_t frag;		 /* IPv4 flags and offset, host order */
	struct extension ext[8]; /* len 0 ends */
	uint8_t protocol;	 /* instead of TCP */
	const char *src, *dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags; /* of TCP */
	uint8_t doff;  /* in words */
	bool doff_zero;
	struct bytes opts; /* of TCP; padded with EOL to a word */
	struct bytes payload;
	struct bytes body; /* instead of a TCP segment */
	size_t cut;	   /* frame ends after so many bytes */
	size_t pad;	   /* so many bytes behind what IP covers */
};

/* Bytes written to buf, which has FRAME_MAX. */
size_t frame_build(uint8_t *buf, const struct frame *f);

#endif
