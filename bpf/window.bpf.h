/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A room for SYNs that bring a Convert message to this host's converter over MPTCP: mends their
 * window.
 *
 * The window of a SYN is never scaled (RFC 7323 section 2.2). Linux (seen on 6.18) takes it for
 * scaled when it opens an MPTCP connection from a SYN with data, and so believes the client's
 * connection-level receive window to be up to 2^14 times what it is, until that much was sent. One
 * subflow still minds its own TCP window; two together overrun what the client can hold, which then
 * drops what was sent and waits for the connection-level retransmission timer, over and over.
 * Shifting the window here makes the kernel's sum come out right. Nothing else reads it: the first
 * ACK brings the next window, and MPTCP sends no data before that.
 */
#ifndef MG_BPF_WINDOW_H
#define MG_BPF_WINDOW_H

#include "packet.bpf.h"

/* Where window and checksum stand, before the end of the fixed header. */
#define MG_TCP_WINDOW_BEFORE_OPTIONS 6

static __always_inline void mg_window_mend(struct xdp_md *ctx, const struct mg_syn *syn, __u8 scale)
{
	__u32 offset = syn->options_offset - MG_TCP_WINDOW_BEFORE_OPTIONS;
	__be16 field[2]; /* window, checksum */
	__u16 window, mended;
	__u32 sum;

	if (!scale || bpf_xdp_load_bytes(ctx, offset, field, sizeof(field)))
		return;
	window = bpf_ntohs(field[0]);
	mended = window >> (scale > 14 ? 14 : scale); /* RFC 7323 section 2.3: 14 at most */
	if (!mended)
		mended = 1;
	/* RFC 1624: HC' = ~(~HC + ~m + m') */
	sum = (__u16)~bpf_ntohs(field[1]) + (__u16)~window + mended;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	field[0] = bpf_htons(mended);
	field[1] = bpf_htons((__u16)~sum);
	bpf_xdp_store_bytes(ctx, offset, field, sizeof(field));
}

#endif
