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
#include "count.bpf.h"

#include "abi/steer.h"

const volatile __u32 mg_side; /* enum mg_side of the interface, set before the program is loaded */

/* Before programs of the default priority 50; they run on what passes here. */
struct {
	__uint(priority, 20);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(mg_xdp);

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
	mg_count(c.class, mg_outcome_verdict(outcome), mg_outcome_reason(outcome, c.reason));
	return mg_outcome_action(outcome);
}

char LICENSE[] SEC("license") = "GPL";
