// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doors of a host that steers, or is steered to: mg_steer for packets that come in on an interface,
 * mg_locate for the question where one would go. The rooms in walking order: arrive → tunnel →
 * decide (and admit) → deliver → count; and syn for what stays, as behind mg_xdp.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>

#include "arrive.bpf.h"
#include "tunnel.bpf.h"
#include "decide.bpf.h"
#include "deliver.bpf.h"
#include "syn.bpf.h"
#include "count.bpf.h"

/* Before programs of the default priority 50; they run on what passes here. */
struct {
	__uint(priority, 20);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(mg_steer);

/* It stays on this host: if it opens a connection, the converter's rooms, and admission's, see to
 * it.
 */
static __always_inline int mg_stay(struct xdp_md *ctx, struct mg_steer_scratch *s)
{
	const struct mg_arrival *a = &s->arrival;
	struct mg_syn syn = {
		.from = a->tuple.client,
		.to = a->tuple.server,
		.options_offset = a->tcp_offset + sizeof(struct tcphdr),
		.options_bytes = a->options_bytes,
		.payload_bytes = a->payload_bytes,
		.ip_offset = a->ip_offset,
		.seq = a->seq,
		.v6 = a->v6,
		.admitted = s->decision.admitted,
		.from_access = mg_side == MG_SIDE_ACCESS || a->unwrapped,
	};
	struct mg_classification c = {};
	int outcome = MG_OUTCOME_PASS;

	if (s->clamp)
		mg_clamp_mss(ctx, s->clamp);
	if (!a->is_tcp || !mg_is_opening(a))
		return MG_OUTCOME_PASS;
	if (mg_is_converter(&syn.to) || (!syn.admitted && mg_gate_is_manned())) {
		outcome = mg_opening_syn(ctx, &syn, &c);
		s->arrival.class = c.class;
		s->arrival.reason = c.reason;
	}
	if (outcome == MG_OUTCOME_PASS && a->unwrapped)
		mg_decide_own();
	return outcome;
}

static __always_inline int mg_walk(struct xdp_md *ctx, struct mg_steer_scratch *s)
{
	int ret;

	s->arrival.unwrapped = 0;
	mg_arrive(ctx);
	if (!s->arrival.is_tcp) {
		ret = mg_unwrap(ctx);
		if (ret == 1)
			mg_arrive(ctx);
		else if (ret)
			return ret;
	}
	mg_decide(ctx, s, 0);
	if (s->decision.what == MG_STEER_DROP)
		return MG_OUTCOME_DROP(s->decision.reason);
	if (s->decision.what == MG_STEER_RESET)
		return mg_gate_answer(ctx,
				      MG_OUTCOME(XDP_TX, MG_VERDICT_ANSWER, s->decision.reason));
	ret = s->decision.what == MG_STEER_DELIVER ? mg_deliver(ctx) : MG_OUTCOME_PASS;
	return ret == MG_OUTCOME_PASS ? mg_stay(ctx, s) : ret;
}

SEC("xdp.frags")
int mg_steer(struct xdp_md *ctx)
{
	struct mg_steer_scratch *s = mg_steer_scratch();
	int outcome;

	if (!s)
		return XDP_PASS;
	outcome = mg_walk(ctx, s);
	mg_count(s->arrival.class, mg_outcome_verdict(outcome),
		 mg_outcome_reason(outcome, s->arrival.reason));
	return mg_outcome_action(outcome);
}

/* The decision about a frame, over the head of it */
SEC("xdp")
int mg_locate(struct xdp_md *ctx)
{
	struct mg_steer_scratch *s = mg_steer_scratch();

	if (!s)
		return XDP_ABORTED;
	s->arrival.unwrapped = 0;
	mg_arrive(ctx);
	mg_decide(ctx, s, 1);
	if (bpf_xdp_store_bytes(ctx, 0, &s->decision, sizeof(s->decision)))
		return XDP_ABORTED;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
