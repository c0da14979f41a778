/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a room that ends a packet's walk tells the door, in one number, as functions of their own to
 * the verifier return no more: what XDP is to do with the packet, and how that counts.
 */
#ifndef MG_BPF_OUTCOME_H
#define MG_BPF_OUTCOME_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/verdict.h"

/* reason 0: the one that goes with the packet's class */
#define MG_OUTCOME(action, verdict, reason) ((action) | (verdict) << 8 | (reason) << 16)
#define MG_OUTCOME_PASS			    MG_OUTCOME(XDP_PASS, MG_VERDICT_PASS, 0)
#define MG_OUTCOME_DROP(reason)		    MG_OUTCOME(XDP_DROP, MG_VERDICT_DROP, reason)

static __always_inline int mg_outcome_action(int outcome)
{
	return outcome & 0xff;
}

static __always_inline enum mg_verdict mg_outcome_verdict(int outcome)
{
	return outcome >> 8 & 0xff;
}

/* The reason to count, where `usual` is that of the class */
static __always_inline enum mg_reason mg_outcome_reason(int outcome, enum mg_reason usual)
{
	enum mg_reason reason = outcome >> 16 & 0xff;

	return reason ? reason : usual;
}

/* The frame leaves by this interface. */
static __always_inline int mg_outcome_sent(struct xdp_md *ctx, __u32 ifindex,
					   enum mg_verdict verdict)
{
	if (ifindex == ctx->ingress_ifindex)
		return MG_OUTCOME(XDP_TX, verdict, 0);
	return MG_OUTCOME(bpf_redirect(ifindex, 0) & 0xff, verdict, 0);
}

#endif
