/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The corridor of admission in XDP: an opening SYN that would be a session or subflow of ours, or
 * of a proxy we steer to; who it is from, what it asks for, whether it is let in, and how it is
 * refused. Where there are no policies nobody comes by here.
 *
 * What is asked lies in a map, one per CPU: there the verifier forgets by which of many ways it was
 * filled in, and maps take their keys from it.
 */
#ifndef MG_BPF_GATE_H
#define MG_BPF_GATE_H

#include "message.bpf.h"
#include "admit.bpf.h"
#include "cookies.bpf.h"
#include "mode.bpf.h"
#include "beats.bpf.h"
#include "servers.bpf.h"
#include "held.bpf.h"
#include "route.bpf.h"
#include "refuse.bpf.h"

enum mg_gate_kind {
	MG_GATE_CONVERTER, /* to a converter, this host's or one that is steered to */
	MG_GATE_SERVER,	   /* MP_CAPABLE on its way to a server */
	MG_GATE_JOIN,
};

struct mg_gate {
	struct mg_reset syn;	/* the SYN, as an answer to it wants it */
	struct mg_endpoint ask; /* whom it is for: the server, or a Convert message's peer */
	struct mg_request request;
	struct mg_who who;
	__u32 ifindex;
	__u32 token;
	__u32 message_offset; /* in the frame */
	__u32 message_bytes;  /* 0: without a Convert message */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_gate);
} mg_gate_room SEC(".maps");

static __always_inline struct mg_gate *mg_gate(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mg_gate_room, &zero);
}

/* Are there any policies? All that an opening SYN costs if there are none. */
static __always_inline bool mg_gate_is_manned(void)
{
	__u32 zero = 0, set;
	const __u32 *now = bpf_map_lookup_elem(&mg_policy_now, &zero);
	const struct mg_policy_set *s;

	if (!now)
		return false;
	set = *now;
	s = bpf_map_lookup_elem(&mg_policy_set, &set);
	return s && s->active;
}

/* Whom the gate's SYN is from, by what it asks for. A function of its own to the verifier. */
__noinline int mg_gate_meet(struct xdp_md *ctx, __u32 kind)
{
	struct mg_gate *g = mg_gate();

	if (!g)
		return 0;
	mg_request_read(ctx, &g->request, g->message_offset,
			kind == MG_GATE_CONVERTER ? g->message_bytes : 0);
	g->ask = kind == MG_GATE_CONVERTER ? g->request.peer : g->syn.tuple.server;
	return mg_who_is(&g->who, &g->syn.tuple.client, &g->ask, g->ifindex);
}

/* ---- is it let in? --------------------------------------------------------------------------- */

/* Refusals that nobody hears of: who says that it comes from there need not be there. */
static __always_inline bool mg_gate_is_untrusted(enum mg_refusal refusal)
{
	return refusal == MG_REFUSAL_NO_COOKIE || refusal == MG_REFUSAL_BAD_COOKIE ||
	       refusal == MG_REFUSAL_NO_TOKEN || refusal == MG_REFUSAL_TRANSIT ||
	       refusal == MG_REFUSAL_UNREADABLE;
}

/* A session, by who was met: enum mg_refusal. Nothing is charged. */
__noinline int mg_gate_session(__u32 kind)
{
	struct mg_gate *g = mg_gate();
	__u32 flags = 0;

	if (!g)
		return MG_ADMITTED;
	if (g->who.trust == MG_TRUST_THIRD_PARTY) {
		if (kind == MG_GATE_SERVER)
			return g->who.drop_transit ? MG_REFUSAL_TRANSIT : MG_ADMITTED;
		if (!g->request.has_cookie)
			return MG_REFUSAL_NO_COOKIE;
		if (!mg_cookie_ok(&g->syn.tuple.client,
				  (const struct mg_cookie *)g->request.cookie))
			return MG_REFUSAL_BAD_COOKIE;
		flags = MG_ADMIT_COOKIE;
	}
	return mg_admit_look(&g->who, flags);
}

/* Is it a session of this host? */
static __always_inline bool mg_gate_has_session(__u32 token)
{
	return bpf_map_lookup_elem(&mg_sessions, &token) != NULL;
}

/*
 * A join whose session is not this host's, by who was met: enum mg_refusal. known: as somebody
 * else's.
 */
__noinline int mg_gate_join(__u32 known)
{
	struct mg_gate *g = mg_gate();
	const struct mg_terms *terms;

	if (!g)
		return MG_ADMITTED;
	terms = mg_terms_of(&g->who);
	if (terms && terms->deny)
		return MG_REFUSAL_DENIED;
	return g->who.trust == MG_TRUST_THIRD_PARTY && !known ? MG_REFUSAL_NO_TOKEN : MG_ADMITTED;
}

/* ---- how it is refused ----------------------------------------------------------------------- */

static __always_inline enum mg_reason mg_gate_reason(enum mg_refusal refusal)
{
	return MG_REASON_DENIED + (refusal - MG_REFUSAL_DENIED);
}

/* RFC 8684 section 3.6; what is only too much now may be tried again. */
static __always_inline void mg_gate_say_why(struct mg_reset *r, enum mg_refusal refusal)
{
	r->transient = refusal != MG_REFUSAL_DENIED && !mg_gate_is_untrusted(refusal);
	r->tcprst = r->transient ? MG_TCPRST_RESOURCES : MG_TCPRST_PROHIBITED;
}

/*
 * An outcome, and a count. To be answered with a RST is one that the door carries out, by
 * mg_gate_answer: there is no room for it below here. A function of its own to the verifier.
 */
__noinline int mg_gate_refuse(__u32 kind, __u32 refusal, __u32 how)
{
	struct mg_gate *g = mg_gate();

	if (!g)
		return MG_OUTCOME_PASS;
	mg_admit_refused(&g->who, refusal);
	g->syn.reason = mg_gate_reason(refusal);
	g->syn.tcprst = 0;
	if (kind == MG_GATE_JOIN)
		mg_gate_say_why(&g->syn, refusal);
	if (how != MG_REFUSE_RESET || mg_gate_is_untrusted(refusal))
		return MG_OUTCOME_DROP(g->syn.reason);
	return MG_OUTCOME(XDP_TX, MG_VERDICT_ANSWER, g->syn.reason);
}

static __always_inline int mg_gate_answer(struct xdp_md *ctx, int outcome)
{
	struct mg_gate *g = mg_gate();

	if (!g || mg_outcome_action(outcome) != XDP_TX)
		return outcome;
	return mg_refuse_reset(ctx, &g->syn);
}

/* What only the interface tells, whoever comes behind has to be told. */
static __always_inline void mg_gate_note(const struct mg_gate *g)
{
	if (g->who.by_interface)
		mg_seen_at_put(g->syn.tuple.client.ip, g->who.access);
}

/* ---- what stays on this host ----------------------------------------------------------------- */

/* Was it held, or let pass, or taken by a socket before, so that it is no new one? */
static __always_inline bool mg_gate_is_repeated(struct xdp_md *ctx, const struct mg_gate *g)
{
	const struct mg_passed *passed = mg_passed_find(&g->syn.tuple);
	const struct mg_hold *hold = mg_held_find(&g->syn.tuple);
	__u32 state;

	if ((hold && hold->isn == g->syn.seq) || (passed && passed->isn == g->syn.seq))
		return true;
	state = mg_socket_state(ctx, &g->syn.tuple.server, &g->syn.tuple.client, g->syn.v6);
	return state && state != BPF_TCP_LISTEN && state != BPF_TCP_TIME_WAIT;
}

/* Three functions of their own to the verifier, for who was met; each returns an outcome. */
__noinline int mg_gate_converter(struct xdp_md *ctx)
{
	enum mg_refusal refusal = mg_gate_session(MG_GATE_CONVERTER);
	struct mg_gate *g = mg_gate();

	if (!g)
		return MG_OUTCOME_PASS;
	if (refusal && (mg_gate_is_untrusted(refusal) ||
			(!mg_gate_is_repeated(ctx, g) && !mg_admit_answered(&g->who))))
		return mg_gate_refuse(MG_GATE_CONVERTER, refusal, MG_REFUSE_DROP);
	mg_gate_note(g);
	return MG_OUTCOME_PASS;
}

/* Would TC hold it, and the daemon attend to it? Else it is no session of ours. */
static __always_inline bool mg_gate_is_held(const struct mg_gate *g)
{
	const struct mg_intercept *wanted = mg_intercept_wanted();
	__u64 now_ns = bpf_ktime_get_ns();
	enum mg_mode mode;

	if (!wanted || !wanted->n_workers || !mg_port_is_wanted(g->syn.tuple.server.port))
		return false;
	mode = mg_mode_of(wanted, &g->who);
	if (!mg_mode_intercepts(mode) || !mg_beats_fresh(wanted, 0, now_ns))
		return false;
	return mode != MG_MODE_HYBRID ||
	       mg_server_known(&g->syn.tuple.server, now_ns) != MG_KNOWN_MPTCP;
}

/* Not MG_ADMITTED: what stands against it. What is refused but may pass, TC finds out by itself. */
static __always_inline enum mg_refusal mg_gate_against(const struct mg_gate *g, enum mg_refuse *how)
{
	const struct mg_terms *terms = mg_terms_of(&g->who);
	enum mg_refusal refusal;

	*how = MG_REFUSE_DROP;
	if (g->who.trust == MG_TRUST_THIRD_PARTY)
		return mg_gate_session(MG_GATE_SERVER);
	if (!terms || terms->refuse == MG_REFUSE_PASS || !mg_gate_is_held(g))
		return MG_ADMITTED;
	*how = terms->refuse;
	refusal = mg_gate_session(MG_GATE_SERVER);
	if (!refusal && terms->held && mg_held_has(&g->who.subscriber, terms->held))
		return MG_REFUSAL_OVER_HELD;
	return refusal;
}

__noinline int mg_gate_server(struct xdp_md *ctx)
{
	struct mg_gate *g = mg_gate();
	enum mg_refusal refusal;
	enum mg_refuse how;

	if (!g)
		return MG_OUTCOME_PASS;
	refusal = mg_gate_against(g, &how);
	if (!refusal || !mg_route_leads_on(ctx, &g->syn.tuple, g->syn.v6, ctx->ingress_ifindex) ||
	    (!mg_gate_is_untrusted(refusal) && mg_gate_is_repeated(ctx, g)))
		return MG_OUTCOME_PASS;
	return mg_gate_refuse(MG_GATE_SERVER, refusal, how);
}

/*
 * No join, though to where only joins go: the kernel, which listens there, would answer, and keep
 * for ever what nobody takes from it.
 */
__noinline int mg_gate_for_joins(void)
{
	struct mg_gate *g = mg_gate();

	if (!g || g->who.trust != MG_TRUST_THIRD_PARTY)
		return MG_OUTCOME_PASS;
	return mg_gate_refuse(MG_GATE_SERVER, MG_REFUSAL_NO_COOKIE, MG_REFUSE_DROP);
}

#define MG_GATE_TO_CONVERTER 0x1
#define MG_GATE_FROM_ACCESS  0x2 /* it came in where clients are */
#define MG_GATE_FOR_JOINS    0x4 /* to an address of ours that is for joins only */

/*
 * A join of no session of this host: what passes through belongs to one that is none of ours, but
 * to this host a third party has no business with it.
 */
static __always_inline int mg_gate_stranger(struct xdp_md *ctx, const struct mg_gate *g,
					    __u32 where, int refusal)
{
	if ((where & MG_GATE_TO_CONVERTER) ||
	    !mg_route_leads_on(ctx, &g->syn.tuple, g->syn.v6, ctx->ingress_ifindex))
		return refusal;
	return g->who.drop_transit && (where & MG_GATE_FROM_ACCESS) ? MG_REFUSAL_TRANSIT
								    : MG_ADMITTED;
}

/* refusal: as from mg_admit_join() */
__noinline int mg_gate_joined(struct xdp_md *ctx, __u32 where, int refusal)
{
	struct mg_gate *g = mg_gate();

	if (!g)
		return MG_OUTCOME_PASS;
	if (!refusal) {
		mg_gate_note(g);
		return MG_OUTCOME_PASS;
	}
	if (refusal == MG_E_NOENT)
		refusal = mg_gate_join(0);
	if (refusal > 0 && !mg_gate_has_session(g->token))
		refusal = mg_gate_stranger(ctx, g, where, refusal);
	if (refusal < 0)
		return MG_OUTCOME_DROP(0);
	if (refusal)
		return mg_gate_refuse(MG_GATE_JOIN, refusal, g->who.refuse_join);
	return MG_OUTCOME_PASS;
}

/*
 * The gate's SYN stays on this host, or is routed: an outcome. In the door itself, as what charges
 * joins needs all the room there is.
 */
static __always_inline int mg_gate_stay(struct xdp_md *ctx, struct mg_gate *g, __u32 class,
					__u32 where)
{
	if (class == MG_CLASS_MP_JOIN) {
		if (!mg_gate_meet(ctx, MG_GATE_JOIN))
			return MG_OUTCOME_PASS;
		return mg_gate_joined(ctx, where,
				      mg_admit_join(&g->who, &g->syn.tuple, g->token, g->ifindex));
	}
	if (where & MG_GATE_TO_CONVERTER)
		return mg_gate_meet(ctx, MG_GATE_CONVERTER) ? mg_gate_converter(ctx)
							    : MG_OUTCOME_PASS;
	if (where & MG_GATE_FOR_JOINS)
		return mg_gate_meet(ctx, MG_GATE_SERVER) ? mg_gate_for_joins() : MG_OUTCOME_PASS;
	if (class != MG_CLASS_MP_CAPABLE || !(where & MG_GATE_FROM_ACCESS))
		return MG_OUTCOME_PASS;
	return mg_gate_meet(ctx, MG_GATE_SERVER) ? mg_gate_server(ctx) : MG_OUTCOME_PASS;
}

#endif
