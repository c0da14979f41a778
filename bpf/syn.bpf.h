/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An opening SYN that stays on this host: what it is, whether it is let in, and if it is for a
 * converter, its window mended and the daemon told.
 */
#ifndef MG_BPF_SYN_H
#define MG_BPF_SYN_H

#include "packet.bpf.h"
#include "classify.bpf.h"
#include "converters.bpf.h"
#include "window.bpf.h"
#include "events.bpf.h"
#include "gate.bpf.h"

/* What mg_opening_look() returns */
#define MG_LOOK_REASON(look)	      ((look)&0xff)
#define MG_LOOK_CLASS(look)	      ((look) >> 8 & 0xff)
#define MG_LOOK_WINDOW_SCALE(look)    ((look) >> 16 & 0xff)
#define MG_LOOK_CAPABLE		      (1 << 24)
#define MG_LOOK_CONVERTER	      (1 << 25) /* it is for a converter of this host */
#define MG_LOOK_FOR_JOINS	      (1 << 26) /* only joins have any business where it goes */
#define MG_LOOK(class, reason, scale) ((reason) | (class) << 8 | (scale) << 16)

static __always_inline void mg_message_of(struct mg_message *m, struct xdp_md *ctx,
					  const struct mg_syn *syn)
{
	m->valid = syn->payload_bytes >= sizeof(m->header) &&
		   !bpf_xdp_load_bytes(ctx, syn->options_offset + syn->options_bytes, m->header,
				       sizeof(m->header));
}

/* Whose session a join belongs to, for the gate, should there be one */
static __always_inline void mg_opening_token(const struct mg_options *o)
{
	struct mg_gate *g = mg_gate();
	__u32 token = 0;

	for (__u32 i = 0; i < sizeof(token); i++)
		token = token << 8 | o->byte[(o->mptcp_at + MG_MPTCP_JOIN_TOKEN + i) & 63];
	if (g)
		g->token = token;
}

/*
 * What an opening SYN is. A function of its own to the verifier, which so checks it once and not
 * once per way a SYN can be wrapped.
 */
__noinline int mg_opening_look(struct xdp_md *ctx, const struct mg_syn *syn)
{
	struct mg_classification c = {};
	struct mg_options options = {};
	struct mg_message message = {};
	__u32 look = 0;

	if (!syn)
		return 0;
	mg_options_of_xdp(&options, ctx, syn->options_offset, syn->options_bytes);
	mg_classify_options(&c, &options);
	if (c.class != MG_CLASS_MALFORMED && mg_is_converter(&syn->to)) {
		look = MG_LOOK_CONVERTER;
		mg_message_of(&message, ctx, syn);
		mg_classify_convert(&c, syn->payload_bytes, &message);
	}
	if (c.class == MG_CLASS_MP_JOIN)
		mg_opening_token(&options);
	else if (mg_is_for_joins(&syn->to))
		look |= MG_LOOK_FOR_JOINS;
	if (c.mp_capable)
		look |= MG_LOOK_CAPABLE;
	return look | MG_LOOK(c.class, c.reason, c.window_scale);
}

/* Is it let in? An outcome. */
static __always_inline int mg_opening_gate(struct xdp_md *ctx, const struct mg_syn *syn, __u32 look)
{
	struct mg_gate *g = mg_gate();
	__u32 where = 0;

	if (!g)
		return MG_OUTCOME_PASS;
	g->syn.tuple.client = syn->from;
	g->syn.tuple.server = syn->to;
	g->syn.ip_offset = syn->ip_offset;
	g->syn.tcp_offset = syn->options_offset - sizeof(struct tcphdr);
	g->syn.seq = syn->seq;
	g->syn.payload_bytes = syn->payload_bytes;
	g->syn.v6 = syn->v6;
	g->ifindex = ctx->ingress_ifindex;
	g->message_offset = syn->options_offset + syn->options_bytes;
	g->message_bytes = MG_LOOK_CLASS(look) == MG_CLASS_CONVERT ? syn->payload_bytes : 0;
	if (look & MG_LOOK_CONVERTER)
		where |= MG_GATE_TO_CONVERTER;
	if (look & MG_LOOK_FOR_JOINS)
		where |= MG_GATE_FOR_JOINS;
	if (syn->from_access)
		where |= MG_GATE_FROM_ACCESS;
	return mg_gate_stay(ctx, g, MG_LOOK_CLASS(look), where);
}

/* It goes to a converter of this host. */
__noinline int mg_opening_tell(struct xdp_md *ctx, const struct mg_syn *syn, __u32 look)
{
	struct mg_event_syn event = {
		.class = MG_LOOK_CLASS(look),
		.reason = MG_LOOK_REASON(look),
		.mp_capable = !!(look & MG_LOOK_CAPABLE),
	};

	if (!syn)
		return 0;
	event.client = syn->from;
	event.converter = syn->to;
	event.payload_bytes = syn->payload_bytes;
	if (event.class == MG_CLASS_CONVERT && event.mp_capable)
		mg_window_mend(ctx, syn, MG_LOOK_WINDOW_SCALE(look));
	mg_event_syn_send(&event, ctx->ingress_ifindex);
	return 0;
}

/* All of the above, and the answer if there is one: an outcome. What it is, *c says. */
static __always_inline int mg_opening_syn(struct xdp_md *ctx, const struct mg_syn *syn,
					  struct mg_classification *c)
{
	__u32 look = mg_opening_look(ctx, syn);
	int outcome = MG_OUTCOME_PASS;

	c->class = MG_LOOK_CLASS(look);
	c->reason = MG_LOOK_REASON(look);
	if (c->class == MG_CLASS_MALFORMED)
		return outcome;
	if (!syn->admitted && mg_gate_is_manned())
		outcome = mg_opening_gate(ctx, syn, look);
	if (outcome != MG_OUTCOME_PASS)
		return mg_gate_answer(ctx, outcome);
	if (look & MG_LOOK_CONVERTER)
		mg_opening_tell(ctx, syn, look);
	return outcome;
}

#endif
