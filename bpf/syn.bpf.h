/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An opening SYN that stays on this host: what it is, and if it is for a converter, its window
 * mended and the daemon told.
 */
#ifndef MG_BPF_SYN_H
#define MG_BPF_SYN_H

#include "packet.bpf.h"
#include "classify.bpf.h"
#include "converters.bpf.h"
#include "window.bpf.h"
#include "events.bpf.h"

static __always_inline void mg_tell(const struct mg_syn *syn, const struct mg_classification *c,
				    __u32 ifindex)
{
	struct mg_event_syn event = {
		.client = syn->from,
		.converter = syn->to,
		.payload_bytes = syn->payload_bytes,
		.class = c->class,
		.reason = c->reason,
		.mp_capable = c->mp_capable,
	};

	mg_event_syn_send(&event, ifindex);
}

static __always_inline void mg_message_of(struct mg_message *m, struct xdp_md *ctx,
					  const struct mg_syn *syn)
{
	m->valid = syn->payload_bytes >= sizeof(m->header) &&
		   !bpf_xdp_load_bytes(ctx, syn->options_offset + syn->options_bytes, m->header,
				       sizeof(m->header));
}

/*
 * Class and reason of an opening SYN, as class << 8 | reason. A function of its own to the
 * verifier, which so checks it once and not once per way a SYN can be wrapped.
 */
__noinline int mg_opening_syn(struct xdp_md *ctx, const struct mg_syn *syn)
{
	struct mg_classification c = {};
	struct mg_options options = {};
	struct mg_message message = {};

	if (!syn)
		return 0;
	mg_options_of_xdp(&options, ctx, syn->options_offset, syn->options_bytes);
	mg_classify_options(&c, &options);
	if (c.class != MG_CLASS_MALFORMED && mg_is_converter(&syn->to)) {
		mg_message_of(&message, ctx, syn);
		mg_classify_convert(&c, syn->payload_bytes, &message);
		if (c.class == MG_CLASS_CONVERT && c.mp_capable)
			mg_window_mend(ctx, syn, c.window_scale);
		mg_tell(syn, &c, ctx->ingress_ifindex);
	}
	return c.class << 8 | c.reason;
}

#endif
