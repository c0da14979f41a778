/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walk of an opening SYN through the holding rooms: is it one to hold, is it done with already,
 * and, if so, into the daemon's ring with it.
 */
#ifndef MG_BPF_OPENING_H
#define MG_BPF_OPENING_H

#include "own.bpf.h"
#include "segment.bpf.h"
#include "classify.bpf.h"
#include "converters.bpf.h"
#include "mode.bpf.h"
#include "servers.bpf.h"
#include "held.bpf.h"
#include "attend.bpf.h"
#include "listeners.bpf.h"
#include "route.bpf.h"
#include "admit.bpf.h"

/* Nothing is left to do. Where an answer goes with it: that, plus MG_DONE, so that it is not 0. */
#define MG_DONE	 2
#define MG_OPENS 1

static __always_inline void mg_message_of(struct mg_message *m, struct __sk_buff *skb,
					  const struct mg_segment *seg)
{
	m->valid = seg->payload_bytes >= sizeof(m->header) &&
		   !bpf_skb_load_bytes(skb, mg_payload_offset(seg), m->header, sizeof(m->header));
}

static __always_inline bool mg_is_forwarded(struct __sk_buff *skb, const struct mg_segment *seg)
{
	return mg_route_leads_on(skb, &seg->tuple, seg->v6, skb->ifindex);
}

/*
 * What the scratch's segment, an opening SYN, is, and whom it is from. Functions of their own to
 * the verifier, called by the door, as there is little room for what they need below it.
 */
__noinline int mg_hold_look(struct __sk_buff *skb)
{
	struct mg_hold_scratch *s = mg_scratch();
	struct mg_classification c = {};
	struct mg_options o = {};
	__u32 token = 0;

	if (!s)
		return 0;
	mg_options_of_skb(&o, skb, mg_options_offset(&s->segment), s->segment.options_bytes);
	mg_classify_options(&c, &o);
	for (__u32 i = 0; i < sizeof(token); i++)
		token = token << 8 | o.byte[(o.mptcp_at + MG_MPTCP_JOIN_TOKEN + i) & 63];
	s->opening.class = c.class;
	s->opening.mp_capable = c.mp_capable;
	s->opening.seen = o.seen;
	s->opening.token = token;
	return c.class;
}

__noinline int mg_hold_meet(struct __sk_buff *skb)
{
	struct mg_hold_scratch *s = mg_scratch();

	if (!s)
		return 0;
	return mg_who_is(&s->who, &s->segment.tuple.client, &s->segment.tuple.server, skb->ifindex);
}

static __always_inline void mg_record_start(struct mg_hold_scratch *s, enum mg_held_type type,
					    const struct mg_hold *hold)
{
	__builtin_memset(&s->record, 0, sizeof(s->record));
	s->record.type = type;
	s->record.kind = hold->kind;
	s->record.mp_capable = hold->mp_capable;
	s->record.ifindex = hold->ifindex;
	s->record.isn = hold->isn;
	s->record.tuple = s->segment.tuple;
}

/* The client wants this attempt no more; if the daemon cannot be told now, it finds out itself. */
static __always_inline void mg_reset(struct __sk_buff *skb, struct mg_hold_scratch *s,
				     const struct mg_hold *hold)
{
	__u32 worker = hold->worker;

	mg_record_start(s, MG_HELD_RESET, hold);
	mg_held_forget(&s->segment.tuple);
	mg_hold_send(skb, s, worker, false);
}

/* Of no session of this host: in passing it belongs to somebody else's. */
static __always_inline int mg_hold_stranger(struct __sk_buff *skb, const struct mg_hold_scratch *s)
{
	bool third_party = s->who.trust == MG_TRUST_THIRD_PARTY;

	if (!mg_is_forwarded(skb, &s->segment))
		return third_party ? MG_REFUSAL_NO_TOKEN : MG_ADMITTED;
	return third_party && s->who.drop_transit ? MG_REFUSAL_TRANSIT : MG_ADMITTED;
}

/*
 * The scratch's segment is a join, of whom was met: is it dropped? XDP, where it is, has charged it
 * already, or answered it.
 */
__noinline int mg_hold_join(struct __sk_buff *skb)
{
	struct mg_hold_scratch *s = mg_scratch();
	__u32 token;
	int ret;

	if (!s || !s->who.active)
		return 0;
	token = s->opening.token;
	ret = mg_admit_join(&s->who, &s->segment.tuple, token, skb->ifindex);
	if (ret && !bpf_map_lookup_elem(&mg_sessions, &token))
		ret = mg_hold_stranger(skb, s);
	if (ret > 0)
		mg_admit_refused(&s->who, ret);
	return ret != MG_ADMITTED;
}

/* It opens a session: is it dropped, as its network's sessions are not to pass through us? */
__noinline int mg_hold_transit(struct __sk_buff *skb)
{
	struct mg_hold_scratch *s = mg_scratch();

	if (!s || s->who.trust != MG_TRUST_THIRD_PARTY || !s->who.drop_transit ||
	    mg_is_converter(&s->segment.tuple.server) || !mg_is_forwarded(skb, &s->segment))
		return 0;
	mg_admit_refused(&s->who, MG_REFUSAL_TRANSIT);
	return 1;
}

static __always_inline int mg_join(struct __sk_buff *skb, const struct mg_hold_scratch *s)
{
	__s64 worker = mg_token_worker(s->opening.token);

	if (worker < 0 || worker >= MG_WORKERS_MAX || mg_listener_take(skb, &s->segment, worker))
		return MG_TC_UNSPEC;
	skb->mark = MG_ABI_MARK;
	mg_hold_count(MG_HOLD_COUNT_JOINS);
	return MG_TC_UNSPEC;
}

/* What a SYN would be held for, or -1: it is none of our business. */
static __always_inline int mg_kind_of(struct __sk_buff *skb, const struct mg_segment *seg,
				      const struct mg_intercept *wanted, const struct mg_who *who,
				      struct mg_classification *c, bool lan)
{
	struct mg_message message = {};

	if (!lan && mg_is_converter(&seg->tuple.server)) {
		mg_message_of(&message, skb, seg);
		mg_classify_convert(c, seg->payload_bytes, &message);
		return wanted->convert && c->class == MG_CLASS_CONVERT ? MG_HOLD_CONVERT : -1;
	}
	if (lan != !c->mp_capable || !mg_port_is_wanted(seg->tuple.server.port))
		return -1;
	if (lan ? !wanted->cpe : !mg_mode_intercepts(mg_mode_of(wanted, who)))
		return -1;
	if (!mg_is_forwarded(skb, seg))
		return -1;
	return lan ? MG_HOLD_CPE : MG_HOLD_INTERCEPT;
}

/* It is not held: `why` not, and is that a reason to drop it? */
static __always_inline int mg_let_go(const struct mg_segment *seg, enum mg_passed_why why,
				     bool drop, __u64 now_ns)
{
	mg_hold_count(why == MG_PASSED_FAILURE ? MG_HOLD_COUNT_UNATTENDED : MG_HOLD_COUNT_OVERFLOW);
	if (drop)
		return MG_TC_SHOT;
	mg_passed_store(&seg->tuple, seg->seq, why, now_ns);
	return MG_TC_UNSPEC;
}

static __always_inline void mg_record_frame(struct mg_hold_scratch *s, struct __sk_buff *skb,
					    const struct mg_intercept *wanted, __u64 now_ns)
{
	s->record.mode = mg_mode_of(wanted, &s->who);
	s->record.known = mg_server_known(&s->segment.tuple.server, now_ns);
	s->record.ifindex = skb->ifindex;
	if (skb->vlan_present) {
		s->record.vlan_tci = skb->vlan_tci;
		s->record.vlan_proto = skb->vlan_proto;
	}
	s->record.ip_offset = s->segment.ip_offset;
	s->record.tcp_offset = s->segment.tcp_offset;
	s->record.payload_offset = mg_payload_offset(&s->segment);
}

/* One that is not admitted, and by its policy passes or is dropped */
static __always_inline int mg_turn_away(struct mg_hold_scratch *s, enum mg_refusal refusal,
					enum mg_refuse how)
{
	mg_admit_refused(&s->who, refusal);
	if (how != MG_REFUSE_PASS)
		return MG_TC_SHOT;
	mg_passed_store(&s->segment.tuple, s->segment.seq, MG_PASSED_REFUSED, bpf_ktime_get_ns());
	return MG_TC_UNSPEC;
}

/*
 * A session that is not to be held: MG_DONE plus what becomes of its SYN, or 0. To be reset is a
 * matter of the daemon, who is handed it for that: where XDP is there, it has answered before.
 */
__noinline int mg_hold_against(__u32 kind)
{
	struct mg_hold_scratch *s = mg_scratch();
	const struct mg_terms *terms;
	enum mg_refusal refusal;

	/* What is for a converter hears why it is refused. */
	if (!s || !s->who.active || kind == MG_HOLD_CONVERT)
		return 0;
	terms = mg_terms_of(&s->who);
	refusal = mg_admit_look(&s->who, 0);
	if (!refusal || !terms || terms->refuse == MG_REFUSE_RESET)
		return 0;
	return MG_DONE + mg_turn_away(s, refusal, terms->refuse);
}

/* How many the subscriber may have held, by its policy; 0: that does not say */
static __always_inline __u32 mg_held_limit(const struct mg_who *who)
{
	const struct mg_terms *terms = mg_terms_of(who);

	return terms ? terms->held : 0;
}

/* The subscriber has as many SYNs held as it may. Convert goes on, and the daemon hears of it
 * later. */
static __always_inline int mg_held_enough(struct mg_hold_scratch *s,
					  const struct mg_intercept *wanted,
					  const struct mg_hold *hold)
{
	const struct mg_terms *terms = mg_terms_of(&s->who);

	if (hold->kind == MG_HOLD_CONVERT || !terms || !terms->held)
		return mg_let_go(&s->segment, MG_PASSED_OVERLOAD, wanted->drop_on_overload,
				 hold->since_ns);
	return mg_turn_away(s, MG_REFUSAL_OVER_HELD, terms->refuse);
}

/* A SYN that nothing is held for yet */
static __always_inline int mg_hold_new(struct __sk_buff *skb, struct mg_hold_scratch *s,
				       const struct mg_intercept *wanted, struct mg_hold *hold,
				       bool time_wait)
{
	const struct mg_segment *seg = &s->segment;
	__u32 limit = mg_held_limit(&s->who);
	enum mg_held_put put;
	int done;

	if (!mg_is_attended(skb, wanted, hold->worker, hold->since_ns))
		return mg_let_go(seg, MG_PASSED_FAILURE, wanted->drop_on_failure, hold->since_ns);
	done = mg_hold_against(hold->kind);
	if (done)
		return done - MG_DONE;
	mg_record_start(s, MG_HELD_SYN, hold);
	mg_record_frame(s, skb, wanted, hold->since_ns);
	s->record.time_wait = time_wait;
	put = mg_held_put(&seg->tuple, hold, limit ? limit : wanted->held_per_subscriber);
	if (put == MG_HELD_ALREADY) {
		mg_hold_count(MG_HOLD_COUNT_REPEATED);
		return MG_TC_CONSUMED;
	}
	if (put == MG_HELD_OVER)
		return mg_held_enough(s, wanted, hold);
	mg_passed_forget(&seg->tuple); /* that was another one */
	if (put == MG_HELD_PUT && !mg_hold_send(skb, s, hold->worker, true)) {
		if (s->who.by_interface)
			mg_seen_at_put(seg->tuple.client.ip, s->who.access);
		mg_hold_count(MG_HOLD_COUNT_HELD);
		return MG_TC_CONSUMED;
	}
	if (put == MG_HELD_PUT)
		mg_held_forget(&seg->tuple);
	return mg_let_go(seg, MG_PASSED_OVERLOAD, wanted->drop_on_overload, hold->since_ns);
}

/* Is the SYN done with as one that is held, or was? MG_DONE plus the answer, or 0: look closer. */
static __always_inline int mg_again(struct __sk_buff *skb, struct mg_hold_scratch *s,
				    const struct mg_intercept *wanted,
				    const struct mg_classification *c, __u64 now_ns)
{
	const struct mg_segment *seg = &s->segment;
	struct mg_hold *hold = mg_held_find(&seg->tuple);

	if (!hold)
		return 0;
	if (!mg_is_attended(skb, wanted, hold->worker, now_ns)) {
		mg_held_forget(&seg->tuple);
		return 0;
	}
	if (hold->mp_capable && !c->mp_capable) {
		hold->isn = seg->seq;
		mg_record_start(s, MG_HELD_RETRY, hold);
		mg_record_frame(s, skb, wanted, now_ns);
		s->record.mp_capable = 0;
		mg_hold_send(skb, s, hold->worker, true);
		return MG_DONE + MG_TC_CONSUMED;
	}
	if (hold->isn == seg->seq) {
		mg_hold_count(MG_HOLD_COUNT_REPEATED);
		/* Let in, and yet no socket: the kernel had no room for it then. */
		if (!hold->taken || hold->worker >= MG_WORKERS_MAX ||
		    mg_listener_take(skb, seg, hold->worker))
			return MG_DONE + MG_TC_CONSUMED;
		skb->mark = MG_ABI_MARK;
		return MG_DONE + MG_TC_UNSPEC;
	}
	mg_reset(skb, s, hold);
	return 0;
}

/* Was this very SYN let pass? A client that falls back to TCP for it teaches nothing. */
static __always_inline bool mg_has_passed(const struct mg_segment *seg,
					  const struct mg_classification *c, bool lan)
{
	const struct mg_passed *passed = mg_passed_find(&seg->tuple);
	bool same;

	if (!passed)
		return false;
	same = passed->isn == seg->seq;
	if (!lan && !c->mp_capable)
		mg_passed_forget(&seg->tuple);
	return same;
}

static __always_inline int mg_opening(struct __sk_buff *skb, struct mg_hold_scratch *s, bool lan,
				      bool time_wait)
{
	const struct mg_segment *seg = &s->segment;
	const struct mg_intercept *wanted = mg_intercept_wanted();
	struct mg_hold hold = { .isn = seg->seq, .ifindex = skb->ifindex };
	struct mg_classification c = {
		.class = s->opening.class,
		.mp_capable = s->opening.mp_capable,
	};
	int kind, done;

	if (!wanted || !wanted->n_workers || c.class == MG_CLASS_MALFORMED)
		return MG_TC_UNSPEC;
	if (c.class == MG_CLASS_MP_JOIN)
		return lan ? MG_TC_UNSPEC : mg_join(skb, s);
	hold.since_ns = bpf_ktime_get_ns();
	hold.mp_capable = c.mp_capable;
	hold.subscriber = s->who.subscriber;
	done = mg_again(skb, s, wanted, &c, hold.since_ns);
	if (done)
		return done - MG_DONE;
	if (mg_has_passed(seg, &c, lan))
		return MG_TC_UNSPEC;
	kind = mg_kind_of(skb, seg, wanted, &s->who, &c, lan);
	if (kind < 0 || skb->len > MG_HELD_FRAME_BYTES)
		return MG_TC_UNSPEC;
	hold.kind = kind;
	if (s->opening.seen & MG_SEEN_PROTECTED) {
		mg_hold_count(MG_HOLD_COUNT_PROTECTED);
		return MG_TC_UNSPEC;
	}
	if (kind == MG_HOLD_INTERCEPT && mg_mode_of(wanted, &s->who) == MG_MODE_HYBRID &&
	    mg_server_known(&seg->tuple.server, hold.since_ns) == MG_KNOWN_MPTCP) {
		mg_passed_store(&seg->tuple, seg->seq, MG_PASSED_KNOWN, hold.since_ns);
		mg_hold_count(MG_HOLD_COUNT_PASSES);
		return MG_TC_UNSPEC;
	}
	hold.worker = bpf_get_hash_recalc(skb) % wanted->n_workers;
	return mg_hold_new(skb, s, wanted, &hold, time_wait);
}

#endif
