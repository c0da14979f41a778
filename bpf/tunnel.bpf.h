/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Second room of steering: takes packets out of the tunnels that gateways sent them through.
 *
 * A tunnel is a plain IPv4 or IPv6 header before the packet. A second one between the two names
 * whom to ask next, if the connection is not here: it is itself a packet to that host, and sent on
 * as one. There are no more than two.
 */
#ifndef MG_BPF_TUNNEL_H
#define MG_BPF_TUNNEL_H

#include "arrive.bpf.h"
#include "frame.bpf.h"
#include "here.bpf.h"
#include "outcome.bpf.h"
#include "paths.bpf.h"
#include "peers.bpf.h"
#include "proxies.bpf.h"
#include "route.bpf.h"

#define MG_ECN_MASK 3
#define MG_ECN_CE   3

/* A header that wraps another packet */
struct mg_tunnel {
	__u8 from[16];
	__u8 to[16];
	__u32 ip_offset; /* in the frame */
	__u32 ip_bytes;
	__u32 inner_offset;
	__u8 v6;
	__u8 inner_v6;
	__u8 pad[2];
};

struct mg_tunnels {
	struct mg_tunnel outer;
	struct mg_tunnel second;
};

/* Where the two are kept while what is inside is looked at: maps take their keys from it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_tunnels);
} mg_tunnel_room SEC(".maps");

static __always_inline struct mg_tunnels *mg_tunnels(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mg_tunnel_room, &zero);
}

static __always_inline bool mg_is_tunnel(const struct mg_arrival *a)
{
	return !a->is_tunnel && !a->is_icmp &&
	       (a->protocol == MG_IPPROTO_IPIP || a->protocol == MG_IPPROTO_IPV6);
}

/* What gateways send through tunnels */
static __always_inline bool mg_is_cargo(const struct mg_arrival *a)
{
	return a->is_tcp || a->is_icmp;
}

static __always_inline void mg_tunnel_keep(const struct mg_arrival *a, struct mg_tunnel *t)
{
	__builtin_memcpy(t->from, a->tuple.client.ip, sizeof(t->from));
	__builtin_memcpy(t->to, a->tuple.server.ip, sizeof(t->to));
	t->ip_offset = a->ip_offset;
	t->ip_bytes = a->ip_bytes;
	t->inner_offset = a->tcp_offset;
	t->v6 = a->v6;
	t->inner_v6 = a->protocol == MG_IPPROTO_IPV6;
}

/*
 * The arrival is one: the arrival is then of what is inside. 0, or -1 if that is more than the
 * outer header covers.
 */
static __always_inline int mg_tunnel_enter(struct xdp_md *ctx, struct mg_arrival *a,
					   struct mg_tunnel *t)
{
	mg_tunnel_keep(a, t);
	mg_arrive_inside(ctx, t->inner_offset, t->inner_v6);
	if (mg_is_opening(a))
		mg_arrive_options(ctx);
	return a->ip_offset + a->ip_bytes <= t->ip_offset + t->ip_bytes ? 0 : -1;
}

/* ---- out of the tunnel ----------------------------------------------------------------------- */

/*
 * RFC 6040 section 4.2: congestion that the outer header met is the inner one's, whose sender can
 * be told.
 */
static __always_inline int mg_congestion_carry(struct xdp_md *ctx, __u32 offset, bool v6)
{
	__u8 class = mg_traffic_class(ctx, offset, v6), head[2];
	__be16 sum;

	if (!(class & MG_ECN_MASK) || (class & MG_ECN_MASK) == MG_ECN_CE)
		return 0;
	if (bpf_xdp_load_bytes(ctx, offset, head, sizeof(head)))
		return -1;
	if (v6) {
		head[1] |= MG_ECN_CE << 4;
		return bpf_xdp_store_bytes(ctx, offset, head, sizeof(head));
	}
	if (bpf_xdp_load_bytes(ctx, offset + 10, &sum, sizeof(sum)))
		return -1;
	sum = bpf_htons(mg_sum_change(bpf_ntohs(sum), head[0] << 8 | class,
				      head[0] << 8 | class | MG_ECN_CE));
	head[1] |= MG_ECN_CE;
	if (bpf_xdp_store_bytes(ctx, offset, head, sizeof(head)))
		return -1;
	return bpf_xdp_store_bytes(ctx, offset + 10, &sum, sizeof(sum));
}

/* Takes away all from the outermost header to the packet in `last`. 0, or -1: it is spoilt. */
static __always_inline int mg_tunnel_strip(struct xdp_md *ctx, const struct mg_tunnels *t,
					   const struct mg_tunnel *last)
{
	__u32 link_bytes = t->outer.ip_offset, bytes = last->inner_offset - link_bytes;
	__u8 class = mg_traffic_class(ctx, link_bytes, t->outer.v6);
	bool congested = (class & MG_ECN_MASK) == MG_ECN_CE;

	if (last != &t->outer) {
		class = mg_traffic_class(ctx, last->ip_offset, last->v6);
		congested |= (class & MG_ECN_MASK) == MG_ECN_CE;
	}
	if (bytes > 2 * MG_ARRIVE_OFFSET_MAX ||
	    mg_frame_strip(ctx, link_bytes, bytes, last->inner_v6))
		return -1;
	mg_steer_count(MG_STEER_COUNT_DECAP);
	return congested ? mg_congestion_carry(ctx, link_bytes, last->inner_v6) : 0;
}

/* ---- to whom to ask next --------------------------------------------------------------------- */

/* One hop less to live. 0; -1: that was the last, or it cannot be changed. */
static __always_inline int mg_hop_spend(struct xdp_md *ctx, __u32 offset, bool v6)
{
	__u8 hops;
	__be16 field[2]; /* of IPv4: time to live and protocol, checksum */

	if (v6) {
		if (bpf_xdp_load_bytes(ctx, offset + 7, &hops, sizeof(hops)) || hops <= 1)
			return -1;
		hops--;
		return bpf_xdp_store_bytes(ctx, offset + 7, &hops, sizeof(hops));
	}
	if (bpf_xdp_load_bytes(ctx, offset + 8, field, sizeof(field)) ||
	    bpf_ntohs(field[0]) < 2 << 8)
		return -1;
	field[1] = bpf_htons(mg_sum_change(bpf_ntohs(field[1]), bpf_ntohs(field[0]),
					   bpf_ntohs(field[0]) - (1 << 8)));
	field[0] = bpf_htons(bpf_ntohs(field[0]) - (1 << 8));
	return bpf_xdp_store_bytes(ctx, offset + 8, field, sizeof(field));
}

static __always_inline bool mg_hop_lookup(struct xdp_md *ctx, const struct mg_tunnel *t,
					  struct bpf_fib_lookup *fib)
{
	if (t->v6) {
		fib->family = MG_AF_INET6;
		__builtin_memcpy(fib->ipv6_src, t->from, sizeof(fib->ipv6_src));
		__builtin_memcpy(fib->ipv6_dst, t->to, sizeof(fib->ipv6_dst));
	} else {
		fib->family = MG_AF_INET;
		fib->ipv4_src = mg_ip4_of(t->from);
		fib->ipv4_dst = mg_ip4_of(t->to);
	}
	fib->l4_protocol = t->inner_v6 ? MG_IPPROTO_IPV6 : MG_IPPROTO_IPIP;
	fib->tot_len = t->ip_bytes;
	fib->ifindex = ctx->ingress_ifindex;
	return !bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/*
 * The packet in the tunnel `t`, now the frame's outermost, is routed as any other. What is not
 * plain (no neighbour known yet, a tag, too long) is left to the kernel.
 */
static __always_inline int mg_hop_on(struct xdp_md *ctx, const struct mg_tunnel *t,
				     __u32 link_bytes)
{
	struct bpf_fib_lookup fib = {};
	struct mg_macs macs;

	mg_steer_count(MG_STEER_COUNT_SECOND_HOP);
	if (link_bytes != MG_LINK_BYTES || !mg_hop_lookup(ctx, t, &fib) ||
	    mg_hop_spend(ctx, link_bytes, t->v6))
		return MG_OUTCOME_PASS;
	__builtin_memcpy(macs.to, fib.dmac, sizeof(macs.to));
	__builtin_memcpy(macs.from, fib.smac, sizeof(macs.from));
	if (bpf_xdp_store_bytes(ctx, 0, &macs, sizeof(macs)))
		return MG_OUTCOME_PASS;
	return mg_outcome_sent(ctx, fib.ifindex, MG_VERDICT_STEER);
}

/* ---- the walk -------------------------------------------------------------------------------- */

static __always_inline int mg_tunnel_forged(void)
{
	mg_steer_count(MG_STEER_COUNT_FORGED);
	return MG_OUTCOME_DROP(MG_REASON_TUNNEL_FORGED);
}

static __always_inline int mg_tunnel_unwrap(struct xdp_md *ctx, struct mg_arrival *a,
					    const struct mg_tunnels *t,
					    const struct mg_tunnel *last)
{
	a->unwrapped = 1;
	return mg_tunnel_strip(ctx, t, last) ? MG_OUTCOME_DROP(0) : 1;
}

/* The arrival is what is in t->outer; whether its destination is this host, `mine` says. */
static __always_inline int mg_tunnel_inside(struct xdp_md *ctx, struct mg_arrival *a,
					    struct mg_tunnels *t, bool mine)
{
	if (mg_is_cargo(a)) {
		if (mine || mg_is_here(ctx))
			return mg_tunnel_unwrap(ctx, a, t, &t->outer);
		return mg_hop_on(ctx, &t->outer, t->outer.ip_offset);
	}
	if (!mine || !mg_is_tunnel(a) || mg_tunnel_enter(ctx, a, &t->second) ||
	    !mg_ip_is_peer(t->second.from) || !mg_is_cargo(a))
		return 0;
	if (mg_ip_is_mine(t->second.to) || mg_is_here(ctx))
		return mg_tunnel_unwrap(ctx, a, t, &t->second);
	if (mg_tunnel_strip(ctx, t, &t->outer))
		return MG_OUTCOME_DROP(0);
	return mg_hop_on(ctx, &t->second, t->outer.ip_offset);
}

/*
 * Towards a proxy. Nobody but a gateway itself, which looks at the packets first, sends that from
 * the access side. On the core's, it may be our own that comes by again, on the way from one proxy
 * to another; the kernel would take nothing from outside that has our address for a source.
 */
static __always_inline int mg_tunnel_passing(struct xdp_md *ctx, const struct mg_arrival *a,
					     struct mg_tunnel *t)
{
	if (mg_side == MG_SIDE_ACCESS)
		return mg_tunnel_forged();
	mg_tunnel_keep(a, t);
	return mg_hop_on(ctx, t, t->ip_offset);
}

/* Tunnels to this host are for gateways only. */
static __always_inline int mg_tunnel_walk(struct xdp_md *ctx, struct mg_arrival *a)
{
	const struct mg_gateway *g = mg_gateway_wanted();
	struct mg_tunnels *t = mg_tunnels();
	bool mine, peer;
	int ret = 0;

	if (!g || !t)
		return 0;
	mine = mg_ip_is_mine(a->tuple.server.ip);
	peer = mg_ip_is_peer(a->tuple.client.ip);
	if (mine && !peer)
		return mg_tunnel_forged();
	if (!mine && g->steers &&
	    (mg_side == MG_SIDE_ACCESS || mg_ip_is_mine(a->tuple.client.ip)) &&
	    mg_proxy_at(a->tuple.server.ip))
		return mg_tunnel_passing(ctx, a, &t->outer);
	if (peer && !mg_tunnel_enter(ctx, a, &t->outer))
		ret = mg_tunnel_inside(ctx, a, t, mine);
	if (!ret)
		mg_arrive(ctx);
	return ret;
}

/*
 * An ICMP error about a tunnel to a proxy. Believed if it comes from where the tunnel leads to: UEs
 * tell us nothing of our paths, and no other gateway through us, on whose core's side it would come
 * in. 0, or an outcome.
 */
static __always_inline int mg_tunnel_hear(struct xdp_md *ctx, const struct mg_arrival *a)
{
	const struct mg_gateway *g = mg_gateway_wanted();
	const struct mg_steer_proxy *p;
	__u32 proxy, least;

	proxy = mg_proxy_at(a->tuple.server.ip);
	p = proxy ? mg_proxy_find(proxy) : NULL;
	if (!g || !g->steers || !p)
		return 0;
	if (mg_side == MG_SIDE_ACCESS && p->ifindex != ctx->ingress_ifindex)
		return mg_tunnel_forged();
	if (!a->mtu_bytes || !mg_ip_equal(p->source, a->tuple.client.ip))
		return 0;
	least = a->v6 ? MG_PATH_MIN6_BYTES : MG_PATH_MIN4_BYTES;
	mg_path_learn(proxy, a->mtu_bytes > least ? a->mtu_bytes : least);
	return 0;
}

/*
 * For what is not TCP. 0: nothing was done. 1: the packet was unwrapped, and the arrival says so
 * (`unwrapped`, which the door clears for each frame); look again. Anything else is an outcome.
 */
__noinline int mg_unwrap(struct xdp_md *ctx)
{
	struct mg_steer_scratch *s = mg_steer_scratch();

	if (!s)
		return 0;
	if (s->arrival.is_tunnel)
		return mg_tunnel_hear(ctx, &s->arrival);
	return mg_is_tunnel(&s->arrival) ? mg_tunnel_walk(ctx, &s->arrival) : 0;
}

#endif
