// SPDX-License-Identifier: GPL-2.0-only
/*
 * Door of a host that steers, or is steered to: parse, unwrap, decide, deliver, count; and what
 * stays here as behind mg_xdp. The rooms in walking order: arrive → tunnel → rules, ring, tokens,
 * flows → deliver → count.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>

#include "arrive.bpf.h"
#include "proxies.bpf.h"
#include "paths.bpf.h"
#include "rules.bpf.h"
#include "ring.bpf.h"
#include "tokens.bpf.h"
#include "flows.bpf.h"
#include "neighbours.bpf.h"
#include "tunnel.bpf.h"
#include "here.bpf.h"
#include "deliver.bpf.h"
#include "converters.bpf.h"
#include "window.bpf.h"
#include "events.bpf.h"
#include "count.bpf.h"

/* Before programs of the default priority 50; they run on what passes here. */
struct {
	__uint(priority, 20);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(mg_steer);

SEC("xdp.frags")
int mg_steer(struct xdp_md *ctx)
{
	struct mg_steer_scratch *s = mg_steer_scratch();

	if (!s)
		return XDP_PASS;
	mg_arrive(ctx);
	mg_arrive_inside(ctx, 34, 0);
	mg_arrive_options(ctx);
	mg_is_here(ctx);
	return mg_outcome_action(mg_side == MG_SIDE_ACCESS ? mg_deliver(ctx) : mg_unwrap(ctx));
}

SEC("xdp")
int mg_locate(struct xdp_md *ctx)
{
	mg_arrive(ctx);
	mg_arrive_inside(ctx, 34, 0);
	mg_arrive_options(ctx);
	mg_is_here(ctx);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
