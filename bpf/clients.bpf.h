/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The decision about what comes from clients: opening SYNs, which admission is asked about before a
 * flow is stored, and what follows them.
 */
#ifndef MG_BPF_CLIENTS_H
#define MG_BPF_CLIENTS_H

#include "decision.bpf.h"
#include "rules.bpf.h"
#include "flows.bpf.h"
#include "tokens.bpf.h"
#include "learn.bpf.h"
#include "peers.bpf.h"
#include "gate.bpf.h"

/*
 * Is that address of this host or a proxy's own? Then it is meant, and no server: a proxy's
 * announced address leads there whatever is known. For SYNs that a rule selects.
 */
__noinline int mg_decide_is_host(void)
{
	struct mg_steer_scratch *s = mg_steer_scratch();

	if (!s)
		return 0;
	return mg_ip_is_mine(s->arrival.tuple.server.ip) || mg_proxy_at(s->arrival.tuple.server.ip);
}

/* The group that takes MPTCP towards a server: the rule's, or its fallback while that has nobody */
static __always_inline __u32 mg_decide_rule(struct mg_decision *d, const struct mg_gateway *g)
{
	__u32 selected = mg_rule_select(g->n_rules);
	const struct mg_rule *rule;

	rule = selected ? mg_rule_find(selected) : NULL;
	if (!rule || mg_decide_is_host())
		return 0;
	d->rule = selected;
	if (!mg_group_is_up(rule->group) && mg_group_is_up(rule->fallback))
		return rule->fallback;
	return rule->group;
}

/* A SYN like one before: it goes the same way, unless nobody there can have answered. */
static __always_inline bool mg_decide_repeated(struct mg_decision *d, const struct mg_arrival *a,
					       __u32 dry)
{
	const struct mg_steer_flow *flow = mg_flow_find(&a->tuple);
	const struct mg_steer_proxy *p;

	if (!flow || flow->isn != a->seq || !mg_flow_is_uplink(flow))
		return false;
	p = mg_proxy_find(flow->proxy);
	if (!p || p->state == MG_MEMBER_DOWN)
		return false;
	mg_decide_deliver(d, MG_STEER_FLOW, flow->proxy, flow->second);
	mg_decide_count(dry, MG_STEER_COUNT_FLOW);
	return true;
}

static __always_inline void mg_decide_remember(const struct mg_steer_scratch *s, __u8 flags,
					       bool is_virtual, __u32 dry)
{
	struct mg_steer_flow flow = {
		.proxy = s->decision.proxy,
		.second = s->decision.second,
		.flags = is_virtual ? flags : flags | MG_FLOW_INTERCEPT,
		.isn = s->arrival.seq,
	};

	if (!dry)
		mg_flow_store(&s->arrival.tuple, &flow);
}

/* ---- admission ------------------------------------------------------------------------------- */

static __always_inline void mg_decide_show(const struct mg_arrival *a, struct mg_gate *gate)
{
	gate->syn.tuple = a->tuple;
	gate->syn.ip_offset = a->ip_offset;
	gate->syn.tcp_offset = a->tcp_offset;
	gate->syn.seq = a->seq;
	gate->syn.payload_bytes = a->payload_bytes;
	gate->syn.v6 = a->v6;
	gate->ifindex = a->ifindex;
	gate->token = a->token;
	gate->message_offset = a->tcp_offset + sizeof(struct tcphdr) + a->options_bytes;
	gate->message_bytes = a->payload_bytes;
}

/* Sessions: what they are to admission; -1: none that anybody would take */
static __always_inline int mg_decide_kind(const struct mg_arrival *a)
{
	if (a->class == MG_CLASS_MP_JOIN)
		return MG_GATE_JOIN;
	if (mg_virtual_group(&a->tuple.server))
		return MG_GATE_CONVERTER;
	return a->class == MG_CLASS_MP_CAPABLE ? MG_GATE_SERVER : -1;
}

/*
 * Whom the arrival, an opening SYN, is from. False: there are no policies. In the door itself, as
 * the others below it are in need of room.
 */
static __always_inline bool mg_decide_meet(struct xdp_md *ctx, struct mg_steer_scratch *s)
{
	struct mg_gate *gate = mg_gate();
	int kind;

	if (!gate || !mg_gate_is_manned())
		return false;
	kind = mg_decide_kind(&s->arrival);
	if (kind < 0)
		return false;
	mg_decide_show(&s->arrival, gate);
	if (!mg_gate_meet(ctx, kind))
		return false;
	s->decision.policy = gate->who.policy;
	return true;
}

/* It is not let in, and so not steered. */
static __always_inline void mg_decide_refuse(struct mg_decision *d, enum mg_gate_kind kind,
					     enum mg_refusal refusal, enum mg_refuse how, __u32 dry)
{
	if (!dry)
		mg_gate_refuse(kind, refusal, how);
	d->why = MG_STEER_REFUSED;
	d->proxy = d->second = 0;
	if (how == MG_REFUSE_PASS) {
		d->what = MG_STEER_PASS;
		return;
	}
	d->what = how == MG_REFUSE_RESET ? MG_STEER_RESET : MG_STEER_DROP;
	d->reason = mg_gate_reason(refusal);
}

/* The session that was met: true if it is let in, or goes on so that it hears why not. */
static __always_inline bool mg_decide_admits(struct mg_decision *d, enum mg_gate_kind kind,
					     __u32 dry)
{
	struct mg_gate *gate = mg_gate();
	enum mg_refuse how = MG_REFUSE_DROP;
	const struct mg_terms *terms;
	enum mg_refusal refusal;

	if (!gate)
		return true;
	refusal = mg_gate_session(kind);
	d->admitted = 1;
	d->refusal = refusal;
	if (!refusal || (kind == MG_GATE_CONVERTER && !mg_gate_is_untrusted(refusal) &&
			 (dry || mg_admit_answered(&gate->who)))) {
		if (!dry)
			mg_gate_note(gate);
		return true;
	}
	terms = mg_terms_of(&gate->who);
	if (kind == MG_GATE_SERVER && terms)
		how = terms->refuse;
	mg_decide_refuse(d, kind, refusal, how, dry);
	return false;
}

/* The join that was met. Nothing is charged: if its session is this host's, it stays, and is then.
 */
static __always_inline bool mg_decide_admits_join(struct mg_decision *d, bool known, __u32 dry)
{
	struct mg_gate *gate = mg_gate();
	enum mg_refusal refusal;
	enum mg_refuse how;

	if (!gate)
		return true;
	refusal = mg_gate_join(known || mg_gate_has_session(gate->token));
	if (!refusal)
		return true;
	how = mg_gate_is_untrusted(refusal) ? MG_REFUSE_DROP : gate->who.refuse_join;
	d->admitted = 1;
	d->refusal = refusal;
	mg_decide_refuse(d, MG_GATE_JOIN, refusal, how, dry);
	return false;
}

/*
 * The group that takes what was met: its policy's, else that of the address it goes to, or of a
 * rule. Third parties' sessions with servers are not taken over.
 */
static __always_inline __u32 mg_decide_group(struct mg_decision *d, const struct mg_gateway *g,
					     __u32 at_virtual, bool met)
{
	const struct mg_gate *gate = met ? mg_gate() : NULL;
	const struct mg_terms *terms = gate ? mg_terms_of(&gate->who) : NULL;

	if (gate && !at_virtual && gate->who.trust == MG_TRUST_THIRD_PARTY)
		return 0;
	if (!terms || !mg_group_find(terms->group))
		return at_virtual ? at_virtual : mg_decide_rule(d, g);
	return at_virtual || !mg_decide_is_host() ? terms->group : 0;
}

/* ---- sessions and joins ---------------------------------------------------------------------- */

/* A SYN that opens a connection of its own */
__noinline int mg_decide_session(__u32 met, __u32 dry)
{
	const struct mg_gateway *g = mg_gateway_wanted();
	struct mg_steer_scratch *s = mg_steer_scratch();
	enum mg_gate_kind kind;
	__u32 group, at_virtual;
	bool is_capable;

	if (!s || !g)
		return 0;
	if (mg_decide_repeated(&s->decision, &s->arrival, dry))
		return 0;
	is_capable = s->arrival.class == MG_CLASS_MP_CAPABLE;
	at_virtual = mg_virtual_group(&s->arrival.tuple.server);
	/* What is signed is not to be looked into by whoever takes sessions over on their way. */
	if (!at_virtual && (!is_capable || (s->arrival.seen & MG_SEEN_PROTECTED)))
		return 0;
	kind = at_virtual ? MG_GATE_CONVERTER : MG_GATE_SERVER;
	group = mg_decide_group(&s->decision, g, at_virtual, met);
	if (!group || (met && !mg_decide_admits(&s->decision, kind, dry)) ||
	    !mg_decide_ring(&s->decision, MG_STEER_RING, group, dry))
		return 0;
	mg_decide_count(dry, MG_STEER_COUNT_NEW);
	mg_decide_remember(s, is_capable ? MG_FLOW_CAPABLE : 0, at_virtual, dry);
	return 0;
}

/* Two that were told of the same token: who tries again, from another port, meets the other. */
static __always_inline void mg_decide_order(struct mg_candidates *c)
{
	__u16 first = c->proxy;

	if (!c->proxy_is_pushed || !c->second_is_pushed || !(mg_ring_number(MG_HASH_FLOW, 0) & 1))
		return;
	c->proxy = c->second;
	c->second = first;
}

/* A join whose token somebody knows: true */
static __always_inline bool mg_decide_token(struct mg_decision *d, __u32 token, __u32 dry)
{
	struct mg_candidates c = {};

	mg_token_owners(token, &c);
	if (!c.proxy)
		return false;
	mg_decide_order(&c);
	mg_decide_deliver(d, c.proxy_is_pushed ? MG_STEER_TOKEN_PUSHED : MG_STEER_TOKEN_LEARNED,
			  c.proxy, c.second);
	mg_decide_count(dry, c.proxy_is_pushed ? MG_STEER_COUNT_TOKEN_PUSHED
					       : MG_STEER_COUNT_TOKEN_LEARNED);
	return true;
}

/* A join whose token nobody knows: true if it goes to somebody all the same. */
static __always_inline bool mg_decide_unknown(struct mg_decision *d, const struct mg_gateway *g,
					      __u32 group, __u32 dry)
{
	mg_decide_count(dry, MG_STEER_COUNT_UNKNOWN_JOIN);
	d->why = MG_STEER_UNKNOWN_JOIN;
	d->group = group;
	if (g->unknown_join == MG_UNKNOWN_RING)
		return mg_decide_ring(d, MG_STEER_UNKNOWN_JOIN, group, dry);
	if (g->unknown_join == MG_UNKNOWN_DROP)
		mg_decide_drop(d, MG_STEER_UNKNOWN_JOIN, MG_REASON_UNKNOWN_JOIN);
	return false;
}

/* Have policies a group to steer to? */
static __always_inline bool mg_decide_by_policy(bool met)
{
	const struct mg_gate *gate = met ? mg_gate() : NULL;
	const struct mg_policy_set *set;
	__u32 at;

	if (!gate)
		return false;
	at = gate->who.set;
	set = bpf_map_lookup_elem(&mg_policy_set, &at);
	return set && set->steers;
}

__noinline int mg_decide_join(__u32 met, __u32 dry)
{
	const struct mg_gateway *g = mg_gateway_wanted();
	struct mg_steer_scratch *s = mg_steer_scratch();
	__u32 group = 0, at_virtual;
	bool known;

	if (!s || !g)
		return 0;
	s->decision.token = s->arrival.token;
	if (mg_decide_repeated(&s->decision, &s->arrival, dry))
		return 0;
	at_virtual = mg_virtual_group(&s->arrival.tuple.server);
	/* Nothing else is steered: a token that somebody else's session shares must not catch it.
	 */
	if (!at_virtual && !g->n_rules && !mg_decide_by_policy(met))
		return 0;
	known = mg_decide_token(&s->decision, s->arrival.token, dry);
	if (!known) {
		group = mg_decide_group(&s->decision, g, at_virtual, met);
		if (!group)
			return 0;
	}
	if (met && !mg_decide_admits_join(&s->decision, known, dry))
		return 0;
	if (!known && !mg_decide_unknown(&s->decision, g, group, dry))
		return 0;
	mg_decide_remember(s, MG_FLOW_JOIN, at_virtual, dry);
	return 0;
}

/* Without a flow: who has its slot now, and whoever had it before may serve it still */
static __always_inline void mg_decide_previous(struct mg_decision *d, __u32 group, __u32 dry)
{
	const struct mg_steer_group *g = mg_group_find(group);
	__u16 previous, current = mg_decide_slot(d, g, group, &previous, false);
	const struct mg_steer_proxy *p = mg_proxy_find(previous);

	if (!p || p->state == MG_MEMBER_DOWN || previous == current)
		previous = 0;
	if (!current && !previous) {
		mg_decide_nobody(d, g, dry);
		return;
	}
	mg_decide_deliver(d, MG_STEER_RING_PREVIOUS, current ? current : previous,
			  current ? previous : 0);
	mg_decide_count(dry, MG_STEER_COUNT_PREVIOUS);
}

/* What comes behind the opening SYN */
__noinline int mg_decide_segment(struct xdp_md *ctx, __u32 dry)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	const struct mg_steer_flow *flow;
	__u32 group;

	if (!s)
		return 0;
	flow = mg_flow_find(&s->arrival.tuple);
	if (flow && mg_flow_is_uplink(flow) && mg_proxy_find(flow->proxy)) {
		mg_decide_deliver(&s->decision, MG_STEER_FLOW, flow->proxy, flow->second);
		mg_decide_count(dry, MG_STEER_COUNT_FLOW);
		if (!dry && mg_may_teach(&s->arrival, flow))
			mg_learn(ctx);
		return 0;
	}
	group = mg_virtual_group(&s->arrival.tuple.server);
	if (group)
		mg_decide_previous(&s->decision, group, dry);
	return 0;
}

#endif
