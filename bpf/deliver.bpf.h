/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Last room but one: the packet goes to the proxy of the scratch's decision. The daemon knows the
 * way; nothing is looked up here.
 *
 *   deliver   second   the frame that leaves, to the MAC address of the way to the proxy
 *   l2        -        as it came
 *   l2        yes      [ to second [ packet ] ]
 *   ipip      -        [ to proxy [ packet ] ]
 *   ipip      yes      [ to proxy [ to second [ packet ] ] ]
 */
#ifndef MG_BPF_DELIVER_H
#define MG_BPF_DELIVER_H

#include "arrive.bpf.h"
#include "frame.bpf.h"
#include "here.bpf.h"
#include "mss.bpf.h"
#include "outcome.bpf.h"
#include "paths.bpf.h"
#include "proxies.bpf.h"
#include "toobig.bpf.h"

#define MG_TUNNEL_HOPS 64

/* Whom the packet goes to, and through what */
struct mg_way {
	const struct mg_steer_proxy *proxy;
	const struct mg_steer_proxy *second; /* NULL: nobody is asked next */
	__u32 proxy_number;
	__u32 second_number;
	__u32 proxy_bytes; /* of the header to it; 0: there is none */
	__u32 second_bytes;
};

static __always_inline __u32 mg_tunnel_bytes(const struct mg_steer_proxy *p)
{
	return mg_ip_is_v4(p->ip) ? MG_IP4_BYTES : MG_IP6_BYTES;
}

/* ---- how much goes through ------------------------------------------------------------------- */

/* The longest packet that `bytes` of the kind get through with; 0: no limit is known. */
static __always_inline __u32 mg_way_room(const struct mg_way *w, __u32 bytes)
{
	__u32 all = w->proxy_bytes + w->second_bytes;
	__u32 room = mg_path_room(w->proxy_number, w->proxy->mtu_bytes, all, bytes);

	if (!w->second)
		return room;
	return mg_path_shorter(
		room, mg_path_room(w->second_number, w->second->mtu_bytes, w->second_bytes, bytes));
}

/* Lowers the MSS of the scratch's arrival to what is left of the way's MTU, or of Ethernet's. */
static __always_inline int mg_way_fit(struct xdp_md *ctx, const struct mg_way *w)
{
	__u32 all = w->proxy_bytes + w->second_bytes, room;

	if (!all)
		return -1;
	room = mg_way_room(w, MG_MTU_UNKNOWN);
	return mg_mss_fit(ctx, room ? room : MG_MTU_UNKNOWN - all);
}

/* ---- into the tunnel ------------------------------------------------------------------------- */

/*
 * What is sent to a proxy is never cut to pieces on the way: they could not be unwrapped. So its id
 * (RFC 6864 section 4.1) may be 0.
 */
static __always_inline int mg_tunnel_put4(struct xdp_md *ctx, __u32 offset,
					  const struct mg_steer_proxy *p, __u8 class, __u8 protocol,
					  __u32 inner_bytes)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tos = class,
		.tot_len = bpf_htons(sizeof(ip) + inner_bytes),
		.frag_off = bpf_htons(0x4000),
		.ttl = MG_TUNNEL_HOPS,
		.protocol = protocol,
		.saddr = mg_ip4_of(p->source),
		.daddr = mg_ip4_of(p->ip),
	};

	mg_ip4_sum(&ip);
	return bpf_xdp_store_bytes(ctx, offset, &ip, sizeof(ip));
}

static __always_inline int mg_tunnel_put6(struct xdp_md *ctx, __u32 offset,
					  const struct mg_steer_proxy *p, __u8 class, __u8 protocol,
					  __u32 inner_bytes)
{
	struct ipv6hdr ip = {
		.version = 6,
		.priority = class >> 4,
		.flow_lbl = { class << 4 },
		.payload_len = bpf_htons(inner_bytes),
		.nexthdr = protocol,
		.hop_limit = MG_TUNNEL_HOPS,
	};

	__builtin_memcpy(&ip.saddr, p->source, sizeof(ip.saddr));
	__builtin_memcpy(&ip.daddr, p->ip, sizeof(ip.daddr));
	return bpf_xdp_store_bytes(ctx, offset, &ip, sizeof(ip));
}

static __always_inline int mg_tunnel_put(struct xdp_md *ctx, __u32 offset,
					 const struct mg_steer_proxy *p, __u8 class, bool inner_v6,
					 __u32 inner_bytes)
{
	__u8 protocol = inner_v6 ? MG_IPPROTO_IPV6 : MG_IPPROTO_IPIP;

	if (mg_ip_is_v4(p->ip))
		return mg_tunnel_put4(ctx, offset, p, class, protocol, inner_bytes);
	return mg_tunnel_put6(ctx, offset, p, class, protocol, inner_bytes);
}

/* 0, or -1: the packet is spoilt. */
static __always_inline int mg_way_wrap(struct xdp_md *ctx, const struct mg_arrival *a,
				       const struct mg_way *w, const struct mg_macs *macs)
{
	__u32 second_at = a->ip_offset + w->proxy_bytes, inner_bytes = a->ip_bytes;
	__u32 all = w->proxy_bytes + w->second_bytes;
	bool inner_v6 = a->v6;
	__u8 class;

	if (a->ip_bytes + all > 0xffff)
		return -1;
	class = mg_traffic_class(ctx, a->ip_offset, inner_v6);
	if (mg_frame_open(ctx, macs, all))
		return -1;
	if (w->second) {
		if (mg_tunnel_put(ctx, second_at, w->second, class, inner_v6, inner_bytes))
			return -1;
		inner_v6 = !mg_ip_is_v4(w->second->ip);
		inner_bytes += w->second_bytes;
	}
	if (w->proxy_bytes) {
		if (mg_tunnel_put(ctx, a->ip_offset, w->proxy, class, inner_v6, inner_bytes))
			return -1;
		inner_v6 = !mg_ip_is_v4(w->proxy->ip);
	}
	mg_steer_count(MG_STEER_COUNT_ENCAP);
	return mg_frame_type(ctx, a->ip_offset, inner_v6);
}

/* ---- out ------------------------------------------------------------------------------------- */

static __always_inline int mg_way_lost(void)
{
	mg_steer_count(MG_STEER_COUNT_NO_PROXY);
	return MG_OUTCOME_DROP(MG_REASON_NO_PROXY);
}

static __always_inline int mg_way_send(struct xdp_md *ctx, const struct mg_arrival *a,
				       const struct mg_way *w)
{
	__u32 room = mg_way_room(w, a->ip_bytes), ifindex = w->proxy->ifindex;
	struct mg_macs macs;
	int err;

	if (!ifindex)
		return mg_way_lost();
	if (room && a->ip_bytes > room)
		return mg_too_big(ctx, room);
	if (a->is_tcp && a->has_syn)
		mg_way_fit(ctx, w);
	__builtin_memcpy(macs.to, w->proxy->dmac, sizeof(macs.to));
	__builtin_memcpy(macs.from, w->proxy->smac, sizeof(macs.from));
	if (w->proxy_bytes + w->second_bytes)
		err = mg_way_wrap(ctx, a, w, &macs);
	else
		err = bpf_xdp_store_bytes(ctx, 0, &macs, sizeof(macs));
	if (err)
		return MG_OUTCOME_DROP(MG_REASON_TUNNEL_TOO_BIG);
	return mg_outcome_sent(ctx, ifindex, MG_VERDICT_STEER);
}

/* The second is asked by a packet of its own, which needs an address to come from. */
static __always_inline void mg_way_headers(struct mg_way *w)
{
	w->proxy_bytes = w->proxy->deliver == MG_DELIVER_IPIP ? mg_tunnel_bytes(w->proxy) : 0;
	w->second_bytes = 0;
	if (w->second && mg_ip_is_none(w->second->source))
		w->second = NULL;
	if (w->second)
		w->second_bytes = mg_tunnel_bytes(w->second);
}

static __always_inline void mg_way_only(struct mg_way *w, bool second)
{
	if (second) {
		w->proxy = w->second;
		w->proxy_number = w->second_number;
	}
	w->second = NULL;
}

/*
 * An outcome; to pass is to be for this host. Of two, it is asked first if it is one of them, as it
 * can be at once; and not by a packet of ours, which would come from its own address.
 */
__noinline int mg_deliver(struct xdp_md *ctx)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	struct mg_way w = {};

	if (!s)
		return MG_OUTCOME_PASS;
	w.proxy_number = s->decision.proxy;
	w.second_number = s->decision.second;
	w.proxy = mg_proxy_find(w.proxy_number);
	if (w.second_number && w.second_number != w.proxy_number)
		w.second = mg_proxy_find(w.second_number);
	if (!w.proxy)
		mg_way_only(&w, true);
	if (!w.proxy)
		return mg_way_lost();
	if (w.proxy->deliver == MG_DELIVER_LOCAL) {
		if (!w.second || mg_is_here(ctx))
			return MG_OUTCOME_PASS;
		mg_steer_count(MG_STEER_COUNT_SECOND_HOP);
		mg_way_only(&w, true);
	} else if (w.second && w.second->deliver == MG_DELIVER_LOCAL) {
		/* A join of both is the first's, or who tries again would never reach it. */
		if (!mg_is_opening(&s->arrival) && mg_is_here(ctx))
			return MG_OUTCOME_PASS;
		mg_way_only(&w, false);
	}
	if (w.second && (w.proxy->plain || w.second->plain))
		mg_way_only(&w, false);
	mg_way_headers(&w);
	return mg_way_send(ctx, &s->arrival, &w);
}

/* Lowers the MSS of a SYN or SYN+ACK to what the tunnel to `proxy` has room for. */
__noinline int mg_clamp_mss(struct xdp_md *ctx, __u32 proxy)
{
	struct mg_way w = { .proxy_number = proxy, .proxy = mg_proxy_find(proxy) };

	if (!w.proxy || w.proxy->deliver == MG_DELIVER_LOCAL)
		return -1;
	mg_way_headers(&w);
	return mg_way_fit(ctx, &w);
}

#endif
