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

#define MG_AF_INET  2
#define MG_AF_INET6 10

/* Nothing is left to do. Where an answer goes with it: that, plus MG_DONE, so that it is not 0. */
#define MG_DONE 2

/* Class and options of the scratch's segment */
static __always_inline void mg_look(struct __sk_buff *skb, const struct mg_segment *seg,
				    struct mg_options *o, struct mg_classification *c)
{
	mg_options_of_skb(o, skb, mg_options_offset(seg), seg->options_bytes);
	mg_classify_options(c, o);
}

static __always_inline void mg_message_of(struct mg_message *m, struct __sk_buff *skb,
					  const struct mg_segment *seg)
{
	m->valid = seg->payload_bytes >= sizeof(m->header) &&
		   !bpf_skb_load_bytes(skb, mg_payload_offset(seg), m->header, sizeof(m->header));
}

/* Would the stack send it on? Not what is for this host, nor what has no way to go. */
static __always_inline bool mg_is_forwarded(struct __sk_buff *skb, const struct mg_segment *seg)
{
	struct bpf_fib_lookup fib = { .l4_protocol = IPPROTO_TCP, .ifindex = skb->ifindex };
	long ret;

	if (seg->v6) {
		fib.family = MG_AF_INET6;
		__builtin_memcpy(fib.ipv6_src, seg->sock.ipv6.saddr, 16);
		__builtin_memcpy(fib.ipv6_dst, seg->sock.ipv6.daddr, 16);
	} else {
		fib.family = MG_AF_INET;
		fib.ipv4_src = seg->sock.ipv4.saddr;
		fib.ipv4_dst = seg->sock.ipv4.daddr;
	}
	fib.sport = bpf_htons(seg->tuple.client.port);
	fib.dport = bpf_htons(seg->tuple.server.port);
	ret = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	return ret == BPF_FIB_LKUP_RET_SUCCESS || ret == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       ret == BPF_FIB_LKUP_RET_FRAG_NEEDED;
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

static __always_inline int mg_join(struct __sk_buff *skb, const struct mg_segment *seg,
				   const struct mg_options *o)
{
	__u32 token = 0;
	__s64 worker;

	for (__u32 i = 0; i < sizeof(token); i++)
		token = token << 8 | o->byte[(o->mptcp_at + MG_MPTCP_JOIN_TOKEN + i) & 63];
	worker = mg_token_worker(token);
	if (worker < 0 || worker >= MG_WORKERS_MAX || mg_listener_take(skb, seg, worker))
		return MG_TC_UNSPEC;
	skb->mark = MG_ABI_MARK;
	mg_hold_count(MG_HOLD_COUNT_JOINS);
	return MG_TC_UNSPEC;
}

/* What a SYN would be held for, or -1: it is none of our business. */
static __always_inline int mg_kind_of(struct __sk_buff *skb, const struct mg_segment *seg,
				      const struct mg_intercept *wanted,
				      struct mg_classification *c, bool lan)
{
	struct mg_message message = {};
	enum mg_mode mode;

	if (!lan && mg_is_converter(&seg->tuple.server)) {
		mg_message_of(&message, skb, seg);
		mg_classify_convert(c, seg->payload_bytes, &message);
		return wanted->convert && c->class == MG_CLASS_CONVERT ? MG_HOLD_CONVERT : -1;
	}
	if (lan != !c->mp_capable || !mg_port_is_wanted(seg->tuple.server.port))
		return -1;
	mode = mg_mode_of(wanted, &seg->tuple);
	if (lan ? !wanted->cpe : mode != MG_MODE_TAKE_OVER && mode != MG_MODE_HYBRID)
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
	s->record.mode = mg_mode_of(wanted, &s->segment.tuple);
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

/* A SYN that nothing is held for yet */
static __always_inline int mg_hold_new(struct __sk_buff *skb, struct mg_hold_scratch *s,
				       const struct mg_intercept *wanted, struct mg_hold *hold,
				       bool time_wait)
{
	const struct mg_segment *seg = &s->segment;
	enum mg_held_put put;

	if (!mg_is_attended(skb, wanted, hold->worker, hold->since_ns))
		return mg_let_go(seg, MG_PASSED_FAILURE, wanted->drop_on_failure, hold->since_ns);
	mg_record_start(s, MG_HELD_SYN, hold);
	mg_record_frame(s, skb, wanted, hold->since_ns);
	s->record.time_wait = time_wait;
	put = mg_held_put(&seg->tuple, hold, wanted->held_per_subscriber);
	if (put == MG_HELD_ALREADY) {
		mg_hold_count(MG_HOLD_COUNT_REPEATED);
		return MG_TC_CONSUMED;
	}
	mg_passed_forget(&seg->tuple); /* that was another one */
	if (put == MG_HELD_PUT && !mg_hold_send(skb, s, hold->worker, true)) {
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
	struct mg_classification c = {};
	struct mg_options o = {};
	int kind, done;

	mg_look(skb, seg, &o, &c);
	if (!wanted || !wanted->n_workers || c.class == MG_CLASS_MALFORMED)
		return MG_TC_UNSPEC;
	if (c.class == MG_CLASS_MP_JOIN)
		return lan ? MG_TC_UNSPEC : mg_join(skb, seg, &o);
	hold.since_ns = bpf_ktime_get_ns();
	hold.mp_capable = c.mp_capable;
	done = mg_again(skb, s, wanted, &c, hold.since_ns);
	if (done)
		return done - MG_DONE;
	if (mg_has_passed(seg, &c, lan))
		return MG_TC_UNSPEC;
	kind = mg_kind_of(skb, seg, wanted, &c, lan);
	if (kind < 0 || skb->len > MG_HELD_FRAME_BYTES)
		return MG_TC_UNSPEC;
	hold.kind = kind;
	if (o.seen & MG_SEEN_PROTECTED) {
		mg_hold_count(MG_HOLD_COUNT_PROTECTED);
		return MG_TC_UNSPEC;
	}
	if (kind == MG_HOLD_INTERCEPT && mg_mode_of(wanted, &seg->tuple) == MG_MODE_HYBRID &&
	    mg_server_known(&seg->tuple.server, hold.since_ns) == MG_KNOWN_MPTCP) {
		mg_passed_store(&seg->tuple, seg->seq, MG_PASSED_KNOWN, hold.since_ns);
		mg_hold_count(MG_HOLD_COUNT_PASSES);
		return MG_TC_UNSPEC;
	}
	hold.worker = bpf_get_hash_recalc(skb) % wanted->n_workers;
	return mg_hold_new(skb, s, wanted, &hold, time_wait);
}

#endif
