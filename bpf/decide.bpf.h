/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The corridor of steering: from the scratch's arrival to its decision. A dry run, of who only asks
 * where a packet would go, stores nothing, learns nothing and counts nothing.
 */
#ifndef MG_BPF_DECIDE_H
#define MG_BPF_DECIDE_H

#include "arrive.bpf.h"
#include "decision.bpf.h"
#include "clients.bpf.h"
#include "converters.bpf.h"
#include "neighbours.bpf.h"
#include "unread.bpf.h"

/* ---- from servers, and from proxies ---------------------------------------------------------- */

static __always_inline void mg_reverse(struct mg_tuple *reversed, const struct mg_tuple *tuple)
{
	reversed->client = tuple->server;
	reversed->server = tuple->client;
}

/* A proxy, the only one behind that neighbour, opens a connection in the name of a client. */
static __always_inline void mg_decide_upstream(const struct mg_arrival *a, __u16 proxy)
{
	const struct mg_steer_proxy *p = mg_proxy_find(proxy);

	if (p && !mg_ip_equal(a->tuple.client.ip, p->ip) && !mg_virtual_group(&a->tuple.server))
		mg_flow_upstream(&a->tuple, proxy, a->seq);
}

/* The answer to a SYN that was steered: the client's segments have to fit the tunnel it will use.
 */
static __always_inline __u32 mg_decide_clamp(struct mg_steer_scratch *s,
					     const struct mg_steer_flow *flow)
{
	struct mg_decision unused = {};
	__u16 previous;
	__u32 group;

	if (flow)
		return flow->proxy;
	group = mg_virtual_group(&s->arrival.tuple.client);
	return group ? mg_decide_slot(&unused, mg_group_find(group), group, &previous, true) : 0;
}

/* A server answers another SYN than the proxy's that the flow is of: the port is the client's now.
 */
static __always_inline bool mg_decide_is_old(const struct mg_arrival *a,
					     const struct mg_steer_flow *flow)
{
	return a->has_syn && !mg_flow_is_uplink(flow) && !mg_is_of_syn(a->ack, flow->isn);
}

/* TCP that comes in on a core interface */
__noinline int mg_decide_core(__u32 dry)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	const struct mg_steer_flow *flow;
	struct mg_tuple tuple;
	__s64 neighbour;

	if (!s)
		return 0;
	neighbour = mg_neighbour_of(&s->arrival);
	if (neighbour >= 0)
		s->decision.why = MG_STEER_FROM_PROXY;
	if (mg_is_opening(&s->arrival)) {
		if (neighbour > 0 && !dry)
			mg_decide_upstream(&s->arrival, neighbour);
		/* What the server sends comes down through the tunnel to the proxy. */
		flow = neighbour >= 0 ? mg_flow_find(&s->arrival.tuple) : NULL;
		s->clamp = flow && mg_flow_is_downlink(flow) ? flow->proxy : 0;
		return 0;
	}
	mg_reverse(&tuple, &s->arrival.tuple);
	flow = mg_flow_find(&tuple);
	if (neighbour < 0 && flow && mg_decide_is_old(&s->arrival, flow)) {
		if (!dry)
			mg_flow_forget(&tuple);
		return 0;
	}
	if (neighbour < 0 && flow && mg_flow_is_downlink(flow) && mg_proxy_find(flow->proxy)) {
		mg_decide_deliver(&s->decision, MG_STEER_DOWNLINK, flow->proxy, flow->second);
		mg_decide_count(dry, MG_STEER_COUNT_DOWNLINK);
		return 0;
	}
	if (s->arrival.has_syn)
		s->clamp = mg_decide_clamp(s, flow);
	return 0;
}

/* ---- ICMP errors ----------------------------------------------------------------------------- */

/*
 * About what a proxy sent: to a client, or to a server in a client's name. Both have its flow, seen
 * from the one end or from the other.
 */
__noinline int mg_decide_icmp(__u32 dry)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	const struct mg_steer_flow *flow;
	struct mg_tuple tuple;

	if (!s)
		return 0;
	if (mg_side == MG_SIDE_CORE && mg_neighbour_of(&s->arrival) >= 0) {
		s->decision.why = MG_STEER_FROM_PROXY;
		return 0;
	}
	mg_reverse(&tuple, &s->arrival.tuple);
	flow = mg_flow_find(&tuple);
	if (!flow || !mg_flow_is_uplink(flow)) {
		flow = mg_flow_find(&s->arrival.tuple);
		if (!flow || !mg_flow_is_downlink(flow))
			return 0;
	}
	if (!mg_proxy_find(flow->proxy))
		return 0;
	mg_decide_deliver(&s->decision, MG_STEER_ICMP, flow->proxy, flow->second);
	mg_decide_count(dry, MG_STEER_COUNT_ICMP);
	return 0;
}

/* ---- the corridor ---------------------------------------------------------------------------- */

/* What a gateway sent here: never steered again, but this host's own sessions are learned from it.
 */
__noinline int mg_decide_unwrapped(struct xdp_md *ctx)
{
	const struct mg_gateway *g = mg_gateway_wanted();
	struct mg_steer_scratch *s = mg_steer_scratch();
	const struct mg_steer_flow *flow;

	if (!s || !g || !g->self || !g->learn || !s->arrival.is_tcp || mg_is_opening(&s->arrival))
		return 0;
	flow = mg_flow_find(&s->arrival.tuple);
	if (flow && flow->proxy == g->self && mg_may_teach(&s->arrival, flow))
		mg_learn(ctx);
	return 0;
}

/* The same, of a SYN that was let in */
__noinline int mg_decide_own(void)
{
	const __u32 mptcp = MG_SEEN_CAPABLE | MG_SEEN_JOIN | MG_SEEN_OVERRUN;
	const struct mg_gateway *g = mg_gateway_wanted();
	struct mg_steer_scratch *s = mg_steer_scratch();
	struct mg_steer_flow own = { .flags = MG_FLOW_CAPABLE };

	if (!s || !g || !g->self || !g->learn || (s->arrival.seen & mptcp) != MG_SEEN_CAPABLE)
		return 0;
	own.proxy = g->self;
	own.isn = s->arrival.seq;
	mg_flow_store(&s->arrival.tuple, &own);
	return 0;
}

static __always_inline void mg_decide_access(struct xdp_md *ctx, struct mg_steer_scratch *s,
					     __u32 dry)
{
	bool met;

	if (!mg_is_opening(&s->arrival)) {
		mg_decide_segment(ctx, dry);
		return;
	}
	met = mg_decide_meet(ctx, s);
	if (s->arrival.class == MG_CLASS_MP_JOIN)
		mg_decide_join(met, dry);
	else
		mg_decide_session(met, dry);
}

static __always_inline void mg_decide_steer(struct xdp_md *ctx, struct mg_steer_scratch *s,
					    __u32 dry)
{
	const struct mg_arrival *a = &s->arrival;

	if (a->is_icmp)
		mg_decide_icmp(dry);
	else if (!a->is_tcp || a->class == MG_CLASS_MALFORMED)
		return;
	else if (mg_side == MG_SIDE_CORE)
		mg_decide_core(dry);
	else
		mg_decide_access(ctx, s, dry);
}

/*
 * A client's SYN that is given to nobody: if its port had a flow before, what follows the SYN, and
 * what the server answers, is not that flow's. A proxy's own connection may live still: that is up
 * to what the server answers.
 */
static __always_inline void mg_decide_forget(const struct mg_steer_scratch *s)
{
	const struct mg_steer_flow *flow;

	if (mg_side != MG_SIDE_ACCESS || !s->arrival.is_tcp || !mg_is_opening(&s->arrival) ||
	    s->decision.what != MG_STEER_PASS)
		return;
	flow = mg_flow_find(&s->arrival.tuple);
	if (flow && mg_flow_is_uplink(flow))
		mg_flow_forget(&s->arrival.tuple);
}

/* What hides from admission: true if it is refused for that. */
static __always_inline bool mg_decide_unread(struct xdp_md *ctx, struct mg_decision *d, __u32 dry)
{
	const struct mg_gate *gate = mg_gate();

	if (!gate || !mg_gate_is_manned() || !mg_unread_look(ctx) ||
	    (!mg_converter_has_ip(&gate->syn.tuple.server) &&
	     !mg_virtual_has_ip(&gate->syn.tuple.server)) ||
	    !mg_unread_is_refused(ctx, gate))
		return false;
	d->policy = gate->who.policy;
	d->admitted = 1;
	d->refusal = MG_REFUSAL_UNREADABLE;
	mg_decide_refuse(d, MG_GATE_SERVER, MG_REFUSAL_UNREADABLE, MG_REFUSE_DROP, dry);
	return true;
}

static __always_inline void mg_decide(struct xdp_md *ctx, struct mg_steer_scratch *s, __u32 dry)
{
	const struct mg_gateway *g = mg_gateway_wanted();

	__builtin_memset(&s->decision, 0, sizeof(s->decision));
	s->clamp = 0;
	if (s->arrival.is_tcp && mg_is_opening(&s->arrival))
		mg_arrive_options(ctx);
	if (mg_unread_is_suspect(s->arrival.class, s->arrival.reason) &&
	    mg_decide_unread(ctx, &s->decision, dry))
		return;
	if (s->arrival.unwrapped) {
		s->decision.why = MG_STEER_UNWRAPPED;
		mg_decide_unwrapped(ctx);
	} else if (g && g->steers) {
		mg_decide_steer(ctx, s, dry);
		if (!dry)
			mg_decide_forget(s);
	}
}

#endif
