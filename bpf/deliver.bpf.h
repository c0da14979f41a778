/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Last room but one: the packet goes to the proxy of the scratch's decision.
 */
#ifndef MG_BPF_DELIVER_H
#define MG_BPF_DELIVER_H

#include "arrival.bpf.h"
#include "outcome.bpf.h"
#include "proxies.bpf.h"
#include "paths.bpf.h"

/* An outcome (outcome.bpf.h) */
__noinline int mg_deliver(struct xdp_md *ctx)
{
	return mg_steer_scratch() && ctx->ingress_ifindex ? MG_OUTCOME_PASS
							  : MG_OUTCOME_DROP(MG_REASON_NO_PROXY);
}

/* Lowers the MSS of a SYN or SYN+ACK to what the tunnel to `proxy` has room for. */
__noinline int mg_clamp_mss(struct xdp_md *ctx, __u32 proxy)
{
	return mg_proxy_find(proxy) && ctx->ingress_ifindex ? 0 : -1;
}

#endif
