/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames that grow and shrink between their link header, which is the Ethernet header with its VLAN
 * tags, and IP; and the checksums of what changes. Every length a helper is given is a constant:
 * verifiers of 6.1 bound no other.
 */
#ifndef MG_BPF_FRAME_H
#define MG_BPF_FRAME_H

#include "packet.bpf.h"
#include "prefix.bpf.h"

#define MG_LINK_BYTES	  14
#define MG_LINK_TAG_BYTES 4
#define MG_LINK_BYTES_MAX (MG_LINK_BYTES + 2 * MG_LINK_TAG_BYTES)
#define MG_IP4_BYTES	  20
#define MG_IP6_BYTES	  40

struct mg_macs {
	__u8 to[6];
	__u8 from[6];
};

static __always_inline int mg_frame_type(struct xdp_md *ctx, __u32 link_bytes, bool v6)
{
	__be16 type = bpf_htons(v6 ? 0x86dd : 0x0800);

	return bpf_xdp_store_bytes(ctx, link_bytes - sizeof(type), &type, sizeof(type)) ? -1 : 0;
}

/*
 * `bytes` of room between the link header and IP, no less than 20, as the link header is written
 * with what followed the shorter ones. -1: no room, nothing is changed. What is there now is for
 * the caller to fill.
 */
static __always_inline int mg_frame_open(struct xdp_md *ctx, const struct mg_macs *macs, int bytes)
{
	__u8 link[MG_LINK_BYTES_MAX];

	if (bpf_xdp_load_bytes(ctx, 0, link, sizeof(link)) || bpf_xdp_adjust_head(ctx, -bytes))
		return -1;
	__builtin_memcpy(link, macs, sizeof(*macs));
	return bpf_xdp_store_bytes(ctx, 0, link, sizeof(link)) ? -1 : 0;
}

/* Takes `bytes` away behind the link header; what then follows is IPv6 or not. 0 or -1 */
static __always_inline int mg_frame_strip(struct xdp_md *ctx, __u32 link_bytes, int bytes, bool v6)
{
	__u8 link[MG_LINK_BYTES_MAX];

	if (bpf_xdp_load_bytes(ctx, 0, link, sizeof(link)) || bpf_xdp_adjust_head(ctx, bytes) ||
	    bpf_xdp_store_bytes(ctx, 0, link, MG_LINK_BYTES))
		return -1;
	if (link_bytes > MG_LINK_BYTES &&
	    bpf_xdp_store_bytes(ctx, MG_LINK_BYTES, link + MG_LINK_BYTES, MG_LINK_TAG_BYTES))
		return -1;
	if (link_bytes > MG_LINK_BYTES + MG_LINK_TAG_BYTES &&
	    bpf_xdp_store_bytes(ctx, MG_LINK_BYTES + MG_LINK_TAG_BYTES,
				link + MG_LINK_BYTES + MG_LINK_TAG_BYTES, MG_LINK_TAG_BYTES))
		return -1;
	return mg_frame_type(ctx, link_bytes, v6);
}

static __always_inline __u16 mg_sum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* RFC 1624: HC' = ~(~HC + ~m + m'), all in one byte order */
static __always_inline __u16 mg_sum_change(__u16 sum, __u16 from, __u16 to)
{
	return ~mg_sum_fold((__u16)~sum + (__u16)~from + to);
}

/* Fills in the checksum of an IPv4 header without options. */
static __always_inline void mg_ip4_sum(struct iphdr *ip)
{
	ip->check = 0;
	ip->check = ~mg_sum_fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

/* Traffic class of the IP header at `offset`; 0 if it cannot be read */
static __always_inline __u8 mg_traffic_class(struct xdp_md *ctx, __u32 offset, bool v6)
{
	__u8 head[2];

	if (bpf_xdp_load_bytes(ctx, offset, head, sizeof(head)))
		return 0;
	return v6 ? head[0] << 4 | head[1] >> 4 : head[1];
}

static __always_inline bool mg_ip_is_none(const __u8 *ip)
{
	const __u32 *word = (const __u32 *)ip;

	return !(word[0] | word[1] | word[2] | word[3]);
}

static __always_inline __u32 mg_ip4_of(const __u8 *ip)
{
	return ((const __u32 *)ip)[3];
}

#endif
