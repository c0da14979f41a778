// SPDX-License-Identifier: GPL-2.0-only
/*
 * Door for packets that come in on an interface: parse, classify, mend, tell, count.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>

#include "parse.bpf.h"
#include "classify.bpf.h"
#include "syn.bpf.h"
#include "count.bpf.h"

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
	int ret = mg_parse_ip(&p);

	if (ret == MG_PARSED)
		ret = mg_parse_tcp(&p);
	if (ret != MG_PARSED) {
		mg_classify_unparsed(&c, ret);
	} else if (!mg_classify_flags(&c, p.tcp)) {
		struct mg_syn syn;

		mg_packet_syn(&p, &syn);
		ret = mg_opening_syn(ctx, &syn);
		c.class = ret >> 8;
		c.reason = ret & 0xff;
	}
	mg_count(c.class, MG_VERDICT_PASS, c.reason);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
