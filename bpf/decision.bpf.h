/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the rooms of the decision say what it is, and whom a ring chooses.
 */
#ifndef MG_BPF_DECISION_H
#define MG_BPF_DECISION_H

#include "arrive.bpf.h"
#include "proxies.bpf.h"
#include "ring.bpf.h"

static __always_inline void mg_decide_count(__u32 dry, enum mg_steer_counter which)
{
	if (!dry)
		mg_steer_count(which);
}

static __always_inline void mg_decide_deliver(struct mg_decision *d, enum mg_steer_why why,
					      __u16 proxy, __u16 second)
{
	d->what = MG_STEER_DELIVER;
	d->why = why;
	d->proxy = proxy;
	d->second = second;
}

static __always_inline void mg_decide_drop(struct mg_decision *d, enum mg_steer_why why,
					   enum mg_reason reason)
{
	d->what = MG_STEER_DROP;
	d->why = why;
	d->reason = reason;
}

/* ---- the ring -------------------------------------------------------------------------------- */

/* Nobody of the group takes it. */
static __always_inline void mg_decide_nobody(struct mg_decision *d,
					     const struct mg_steer_group *group, __u32 dry)
{
	d->why = MG_STEER_NO_MEMBER;
	if (group && group->closed)
		mg_decide_drop(d, MG_STEER_NO_MEMBER, MG_REASON_NO_PROXY);
	mg_decide_count(dry, MG_STEER_COUNT_NO_PROXY);
}

/* Who has the arrival's slot in the ring of a group now; 0: nobody */
static __always_inline __u16 mg_decide_slot(struct mg_decision *d, const struct mg_steer_group *g,
					    __u32 group, __u16 *previous, bool reversed)
{
	const struct mg_slot *slot;
	__u16 current;

	d->group = group;
	*previous = 0;
	if (!g)
		return 0;
	d->slot = mg_ring_number(g->hash, reversed);
	d->has_slot = 1;
	slot = mg_ring_slot(group, d->slot);
	if (!slot)
		return 0;
	current = slot->current;
	*previous = slot->previous;
	return mg_proxy_find(current) ? current : 0;
}

/* A new session of a group: true if somebody takes it. */
static __always_inline bool mg_decide_ring(struct mg_decision *d, enum mg_steer_why why,
					   __u32 group, __u32 dry)
{
	const struct mg_steer_group *g = mg_group_find(group);
	__u16 previous, current = mg_decide_slot(d, g, group, &previous, false);

	if (!current) {
		mg_decide_nobody(d, g, dry);
		return false;
	}
	mg_decide_deliver(d, why, current, 0);
	return true;
}

#endif
