// SPDX-License-Identifier: GPL-2.0-only
/*
 * Door for packets that come in on an interface: parse, classify, admit, mend, tell, count.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>

#include "parse.bpf.h"
#include "classify.bpf.h"
#include "syn.bpf.h"
#include "unread.bpf.h"
#include "count.bpf.h"

#include "abi/steer.h"

const volatile __u32 mg_side; /* enum mg_side of the interface, set before the program is loaded */

/* Before programs of the default priority 50; they run on what passes here. */
struct {
	__uint(priority, 20);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(mg_xdp);

/* An outcome. What would open a session or a join, hidden, is not let in from a third party. */
static __always_inline int mg_unread(struct xdp_md *ctx)
{
	const struct mg_gate *g = mg_gate();

	if (!g || !mg_gate_is_manned() || !mg_unread_look(ctx) ||
	    !mg_converter_has_ip(&g->syn.tuple.server) || !mg_unread_is_refused(ctx, g))
		return MG_OUTCOME_PASS;
	return mg_gate_refuse(MG_GATE_SERVER, MG_REFUSAL_UNREADABLE, MG_REFUSE_DROP);
}

SEC("xdp.frags")
int mg_xdp(struct xdp_md *ctx)
{
	struct mg_classification c = {};
	struct mg_packet p = {
		.at = {
			.pos = (void *)(long)ctx->data,
			.end = (void *)(long)ctx->data_end,
			.left = bpf_xdp_get_buff_len(ctx),
		},
	};
	int outcome = MG_OUTCOME_PASS, ret = mg_parse_ip(&p);

	if (ret == MG_PARSED)
		ret = mg_parse_tcp(&p);
	if (ret != MG_PARSED) {
		mg_classify_unparsed(&c, ret);
	} else if (!mg_classify_flags(&c, p.tcp)) {
		struct mg_syn syn;

		mg_packet_syn(&p, &syn);
		syn.from_access = mg_side == MG_SIDE_ACCESS;
		outcome = mg_opening_syn(ctx, &syn, &c);
	}
	if (mg_unread_is_suspect(c.class, c.reason))
		outcome = mg_unread(ctx);
	mg_count(c.class, mg_outcome_verdict(outcome), mg_outcome_reason(outcome, c.reason));
	return mg_outcome_action(outcome);
}

char LICENSE[] SEC("license") = "GPL";
