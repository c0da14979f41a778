/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the Convert message of a SYN asks for: the peer of its Connect TLV, and its Cookie (RFC 8803
 * sections 6.2.5 and 6.2.7). Only what admission needs, of what is there; whether the message is
 * well-formed is the daemon's to say.
 */
#ifndef MG_BPF_MESSAGE_H
#define MG_BPF_MESSAGE_H

#include "packet.bpf.h"
#include "classify.bpf.h"

#define MG_REQUEST_TLVS_MAX   8 /* a client has reason to send four, each once */
#define MG_REQUEST_CONNECT    0x0a
#define MG_REQUEST_COOKIE     0x16
#define MG_REQUEST_TLV_BYTES  2 /* type and length, before the value */
#define MG_REQUEST_WORD_BYTES 4
#define MG_REQUEST_COOKIE_BYTES                                           \
	12 /* of ours; what follows is padding, which the daemon looks at \
	    */

struct mg_request {
	struct mg_endpoint peer;
	__u8 cookie[MG_REQUEST_COOKIE_BYTES];
	__u8 has_peer;
	__u8 has_cookie;
	__u8 pad[2];
};

struct mg_connect_tlv {
	__u8 type, words;
	__be16 port;
	__u8 ip[16];
};

/* Type, length, two bytes that are zero */
struct mg_cookie_tlv {
	__u8 head[4];
	__u8 cookie[MG_REQUEST_COOKIE_BYTES];
};

/* The TLV at `offset` of the frame, `bytes` long; of two of a kind the first counts. */
static __always_inline void mg_request_take(struct xdp_md *ctx, struct mg_request *r, __u8 type,
					    __u32 offset, __u32 bytes)
{
	struct mg_connect_tlv connect;
	struct mg_cookie_tlv cookie;

	if (type == MG_REQUEST_CONNECT && !r->has_peer && bytes >= sizeof(connect) &&
	    !bpf_xdp_load_bytes(ctx, offset, &connect, sizeof(connect))) {
		__builtin_memcpy(r->peer.ip, connect.ip, sizeof(r->peer.ip));
		r->peer.port = bpf_ntohs(connect.port);
		r->has_peer = 1;
	} else if (type == MG_REQUEST_COOKIE && !r->has_cookie && bytes >= sizeof(cookie) &&
		   !bpf_xdp_load_bytes(ctx, offset, &cookie, sizeof(cookie))) {
		__builtin_memcpy(r->cookie, cookie.cookie, sizeof(r->cookie));
		r->has_cookie = 1;
	}
}

/*
 * Of a message at `offset` of the frame, `bytes` of which are there, should it be one. A function
 * of its own to the verifier, which so follows the TLVs once.
 */
__noinline int mg_request_read(struct xdp_md *ctx, struct mg_request *r, __u32 offset, __u32 bytes)
{
	__u8 header[MG_CONVERT_HEADER_BYTES], tlv[MG_REQUEST_TLV_BYTES];
	__u32 at = sizeof(header), end, size;

	if (!r)
		return 0;
	__builtin_memset(r, 0, sizeof(*r));
	if (bytes < sizeof(header) || bpf_xdp_load_bytes(ctx, offset, header, sizeof(header)) ||
	    header[0] != MG_CONVERT_HEADER_VERSION || header[2] != MG_CONVERT_HEADER_MAGIC >> 8 ||
	    header[3] != (MG_CONVERT_HEADER_MAGIC & 0xff))
		return 0;
	end = header[1] * MG_REQUEST_WORD_BYTES;
	if (end > bytes)
		end = bytes;
	for (int i = 0; i < MG_REQUEST_TLVS_MAX; i++) {
		if (at + sizeof(tlv) > end ||
		    bpf_xdp_load_bytes(ctx, offset + at, tlv, sizeof(tlv)))
			break;
		size = tlv[1] * MG_REQUEST_WORD_BYTES;
		if (!size || at + size > end)
			break;
		mg_request_take(ctx, r, tlv[0], offset + at, size);
		at += size;
	}
	return 0;
}

#endif
