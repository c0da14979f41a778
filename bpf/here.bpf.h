/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Does this host end the connection that the scratch's arrival belongs to? Asked where two hosts
 * may: by the first of them.
 */
#ifndef MG_BPF_HERE_H
#define MG_BPF_HERE_H

#include "arrival.bpf.h"
#include "proxies.bpf.h"
#include "route.bpf.h"
#include "tokens.bpf.h"

/* A socket, other than a listener, that has this address and peer */
static __always_inline bool mg_socket_is_here(struct xdp_md *ctx, const struct mg_endpoint *local,
					      const struct mg_endpoint *peer, bool v6)
{
	__u32 state = mg_socket_state(ctx, local, peer, v6);

	return state && state != BPF_TCP_LISTEN;
}

/*
 * 1: it does. A join, whose connection is not there yet, is told by its token; an ICMP error
 * belongs to the connection of what it quotes, which its receiver sent.
 */
__noinline int mg_is_here(struct xdp_md *ctx)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	const struct mg_gateway *g = mg_gateway_wanted();
	const struct mg_arrival *a;

	if (!s || !g)
		return 0;
	a = &s->arrival;
	if (a->is_icmp)
		return mg_socket_is_here(ctx, &a->tuple.client, &a->tuple.server, a->v6);
	if (!a->is_tcp)
		return 0;
	if (mg_is_opening(a) && a->class == MG_CLASS_MP_JOIN)
		return g->self && mg_token_is_of(a->token, g->self);
	return mg_socket_is_here(ctx, &a->tuple.server, &a->tuple.client, a->v6);
}

#endif
