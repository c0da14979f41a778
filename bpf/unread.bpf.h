/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP that hides what it is: fragments, headers beyond the first buffer, more tags or extension
 * headers than are walked, headers that lie. The kernel takes much of that, a SYN too. Elsewhere it
 * passes; from third-party access it does not get to an address of ours, as it would have got round
 * admission.
 *
 * Nothing here is for packets as they should be, so it walks anew, and by loads, slow as they are.
 */
#ifndef MG_BPF_UNREAD_H
#define MG_BPF_UNREAD_H

#include "parse.bpf.h"
#include "gate.bpf.h"

/* The kernel takes off priority tags (VLAN 0) as long as there are any, so no number is enough:
 * what fits a frame of 64 KiB. */
#define MG_UNREAD_TAGS 16384
#define MG_UNREAD_TYPE 12 /* where the first ethertype is */

struct mg_unread_tags {
	struct xdp_md *ctx;
	__u32 offset; /* of the next ethertype; in the end, of what is behind the last */
	__u32 type;   /* in the end; 0: none was found */
};

/* Might that be TCP which the classes say nothing of? */
static __always_inline bool mg_unread_is_suspect(__u32 class, __u32 reason)
{
	if (class == MG_CLASS_OTHER)
		return reason != MG_REASON_NOT_IP && reason != MG_REASON_NOT_TCP;
	return class == MG_CLASS_MALFORMED;
}

static long mg_unread_tag(__u32 index, struct mg_unread_tags *t)
{
	__be16 type;

	if (bpf_xdp_load_bytes(t->ctx, t->offset, &type, sizeof(type)))
		return 1;
	if (type != bpf_htons(MG_ETH_P_8021Q) && type != bpf_htons(MG_ETH_P_8021AD)) {
		t->offset += sizeof(type);
		t->type = bpf_ntohs(type);
		return 1;
	}
	t->offset += 2 * sizeof(type);
	return 0;
}

static __always_inline bool mg_unread_ipv4(struct xdp_md *ctx, __u32 offset, struct mg_tuple *tuple)
{
	struct iphdr ip;

	if (bpf_xdp_load_bytes(ctx, offset, &ip, sizeof(ip)))
		return false;
	mg_ip_copy(tuple->client.ip, &ip, false, true);
	mg_ip_copy(tuple->server.ip, &ip, false, false);
	return ip.protocol == IPPROTO_TCP;
}

/* What a fragment is of, its header says; what is behind too many headers may be anything. */
static __always_inline bool mg_unread_ipv6(struct xdp_md *ctx, __u32 offset, struct mg_tuple *tuple)
{
	struct ipv6hdr ip;
	__u8 next, head[2];

	if (bpf_xdp_load_bytes(ctx, offset, &ip, sizeof(ip)))
		return false;
	mg_ip_copy(tuple->client.ip, &ip, true, true);
	mg_ip_copy(tuple->server.ip, &ip, true, false);
	next = ip.nexthdr;
	offset += sizeof(ip);
	for (int i = 0; i < MG_EXT_HEADERS_MAX && mg_is_extension(next); i++) {
		if (bpf_xdp_load_bytes(ctx, offset, head, sizeof(head)))
			return false;
		if (next == MG_NEXT_FRAGMENT) {
			next = head[0];
			break;
		}
		offset += next == MG_NEXT_AUTH ? (head[1] + 2) * 4 : (head[1] + 1) * 8;
		next = head[0];
	}
	return next == IPPROTO_TCP || mg_is_extension(next);
}

/*
 * 1: it may be TCP, and the gate's SYN says from where and to where, without ports. A function of
 * its own to the verifier.
 */
__noinline int mg_unread_look(struct xdp_md *ctx)
{
	struct mg_unread_tags tags = {
		.ctx = ctx,
		/* Verifiers before 6.7 must not know: mg_opaque_zero */
		.offset = MG_UNREAD_TYPE + mg_opaque_zero,
		.type = mg_opaque_zero,
	};
	struct mg_gate *g = mg_gate();

	if (!g)
		return 0;
	g->syn.tuple.client.port = g->syn.tuple.server.port = 0;
	g->syn.tuple.client.pad = g->syn.tuple.server.pad = 0;
	g->ifindex = ctx->ingress_ifindex;
	g->message_bytes = 0;
	bpf_loop(MG_UNREAD_TAGS, mg_unread_tag, &tags, 0);
	if (tags.type == MG_ETH_P_IP)
		return mg_unread_ipv4(ctx, tags.offset, &g->syn.tuple);
	return tags.type == MG_ETH_P_IPV6 && mg_unread_ipv6(ctx, tags.offset, &g->syn.tuple);
}

/* What was looked at goes to an address of ours: is it from a third party? */
static __always_inline bool mg_unread_is_refused(struct xdp_md *ctx, const struct mg_gate *g)
{
	return mg_gate_meet(ctx, MG_GATE_SERVER) && g->who.trust == MG_TRUST_THIRD_PARTY;
}

#endif
