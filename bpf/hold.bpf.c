// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doors of a gateway that sits on the path: TC holds opening SYNs for the daemon and brings the
 * rest of their connections to the daemon's sockets. The rooms in walking order: parse → own →
 * options, classify → mode → servers → held → attend; listeners for what is let in.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "opening.bpf.h"

#include "abi/sha256.h"

/*
 * Up to the TCP header, into the scratch: 0, MG_OPENS for an opening SYN, or MG_DONE. A function of
 * its own to the verifier, as all below: what is behind it is checked once and not once per way a
 * segment can be wrapped. ICMP errors about a connection of ours are marked here.
 */
__noinline int mg_hold_parse(struct __sk_buff *skb)
{
	struct mg_hold_scratch *s = mg_scratch();
	struct mg_packet p;

	if (!s || mg_pull(skb))
		return MG_DONE;
	p = mg_packet_at(skb, 0);
	if (mg_parse_ip(&p) != MG_PARSED)
		return MG_DONE;
	if (mg_parse_tcp(&p) != MG_PARSED) {
		if (mg_own_icmp(skb, &p))
			skb->mark = MG_ABI_MARK;
		return MG_DONE;
	}
	mg_segment_of(&s->segment, &p);
	return mg_opens(&s->segment) ? MG_OPENS : 0;
}

/* Is it a socket's, and not just the memory of an old connection whose successor was let pass? */
static __always_inline bool mg_is_own(__u32 state, const struct mg_tuple *passed)
{
	return state && (state != BPF_TCP_TIME_WAIT || !mg_passed_find(passed));
}

/*
 * Past what this host remembers of an old connection of the same addresses and ports: the kernel
 * finds that before it routes, and forwards nothing that belongs to a socket. It does not look
 * where a packet has a destination already, which a tunnel's parameters are to it, and no tunnel
 * takes.
 */
static __always_inline void mg_go_past(struct __sk_buff *skb)
{
	__u32 none[2] = {}; /* struct bpf_tunnel_key, as short as may be: id and address */

	bpf_skb_set_tunnel_key(skb, (struct bpf_tunnel_key *)none, sizeof(none), 0);
}

/* A connection that is none of ours begins where an old one is remembered: all of it goes past. */
static __always_inline void mg_leave_alone(struct __sk_buff *skb, const struct mg_tuple *tuple,
					   __u32 isn)
{
	if (!mg_passed_find(tuple))
		mg_passed_store(tuple, isn, MG_PASSED_GAVE_UP, bpf_ktime_get_ns());
	mg_go_past(skb);
}

/* ---- frames that come back ------------------------------------------------------------------- */

static __always_inline int mg_take_in(struct __sk_buff *skb, const struct mg_segment *seg,
				      __u32 worker)
{
	struct mg_hold *hold = mg_held_find(&seg->tuple);

	if (worker >= MG_WORKERS_MAX || mg_listener_take(skb, seg, worker)) {
		mg_hold_count(MG_HOLD_COUNT_LOST);
		return MG_TC_SHOT;
	}
	if (hold)
		hold->taken = 1;
	skb->mark = MG_ABI_MARK;
	return MG_TC_UNSPEC;
}

/* ---- behind the opening SYN ------------------------------------------------------------------ */

/* Not yet accepted; the second with data in the SYN */
static __always_inline bool mg_is_handshake(__u32 state)
{
	return state == BPF_TCP_NEW_SYN_RECV || state == BPF_TCP_SYN_RECV;
}

/* The ACK that ends the handshake of what was taken shows our key: its token names the worker. */
static __always_inline void mg_hint(struct __sk_buff *skb, const struct mg_segment *seg)
{
	struct mg_hold *hold = mg_held_find(&seg->tuple);
	struct mg_options o = {};
	__u8 key[MG_MPTCP_KEY_BYTES];

	if (!hold || hold->hinted)
		return;
	mg_options_of_skb(&o, skb, mg_options_offset(seg), seg->options_bytes);
	if (!(o.seen & MG_SEEN_KEYS))
		return;
	for (__u32 i = 0; i < sizeof(key); i++)
		key[i] = o.byte[(o.mptcp_at + MG_MPTCP_RECEIVER_KEY + i) & 63];
	mg_token_hint(mg_mptcp_token(key), hold->worker);
	hold->hinted = 1;
}

/* A RST for a SYN that is held: the daemon is told. */
static __always_inline bool mg_gave_up(struct __sk_buff *skb, struct mg_hold_scratch *s)
{
	const struct mg_segment *seg = &s->segment;
	const struct mg_hold *hold;

	if (!seg->has_rst || seg->has_syn)
		return false;
	hold = mg_held_find(&seg->tuple);
	if (!hold || !mg_is_of_syn(seg->seq, hold->isn))
		return false;
	mg_reset(skb, s, hold);
	return true;
}

static __always_inline int mg_beyond_syn(struct __sk_buff *skb, struct mg_hold_scratch *s,
					 __u32 state)
{
	const struct mg_segment *seg = &s->segment;

	if (mg_is_own(state, &seg->tuple)) {
		if (mg_is_handshake(state) && seg->has_ack && !seg->has_syn)
			mg_hint(skb, seg);
		/* What was let in ends here, and nobody would say so. */
		if (state == BPF_TCP_NEW_SYN_RECV)
			mg_gave_up(skb, s);
		skb->mark = MG_ABI_MARK;
		return MG_TC_UNSPEC;
	}
	if (state)
		mg_go_past(skb);
	return mg_gave_up(skb, s) ? MG_TC_CONSUMED : MG_TC_UNSPEC;
}

/* ---- the doors ------------------------------------------------------------------------------- */

/* The scratch's segment, on an access interface or a CPE's LAN */
__noinline int mg_hold_segment(struct __sk_buff *skb, __u32 lan)
{
	struct mg_hold_scratch *s = mg_scratch();
	__u32 mark = skb->mark, state;
	const struct mg_segment *seg;
	int ret;

	if (!s)
		return MG_TC_UNSPEC;
	seg = &s->segment;
	if ((mark & MG_ABI_MARK_KIND) == MG_ABI_MARK_TAKE)
		return mg_take_in(skb, seg, mark & ~MG_ABI_MARK_KIND);
	state = mg_own_state(skb, &s->segment.sock, mg_sock_tuple_bytes(seg));
	if (!mg_opens(seg))
		return mg_beyond_syn(skb, s, state);
	if (state && state != BPF_TCP_TIME_WAIT) {
		skb->mark = MG_ABI_MARK;
		return MG_TC_UNSPEC;
	}
	ret = mg_opening(skb, s, lan, state == BPF_TCP_TIME_WAIT);
	if (state == BPF_TCP_TIME_WAIT && ret == MG_TC_UNSPEC && skb->mark != MG_ABI_MARK)
		mg_leave_alone(skb, &s->segment.tuple, s->segment.seq);
	return ret;
}

/* An opening SYN: what it is and whom it is from. True: nothing may come of it. */
static __always_inline bool mg_hold_admit(struct __sk_buff *skb, __u32 lan)
{
	__u32 class = mg_hold_look(skb);

	mg_hold_meet(skb);
	if (lan)
		return false;
	if (class == MG_CLASS_MP_JOIN)
		return mg_hold_join(skb);
	return class == MG_CLASS_MP_CAPABLE && mg_hold_transit(skb);
}

static __always_inline int mg_hold_door(struct __sk_buff *skb, __u32 lan)
{
	int ret;

	if ((skb->mark & MG_ABI_MARK_KIND) == MG_ABI_MARK_PASS) {
		skb->mark = 0;
		mg_go_past(skb);
		return MG_TC_UNSPEC;
	}
	ret = mg_hold_parse(skb);
	if (ret == MG_DONE)
		return MG_TC_UNSPEC;
	if (ret == MG_OPENS && mg_hold_admit(skb, lan))
		return MG_TC_SHOT;
	return mg_hold_segment(skb, lan);
}

SEC("tc")
int mg_hold(struct __sk_buff *skb)
{
	return mg_hold_door(skb, 0);
}

SEC("tc")
int mg_hold_lan(struct __sk_buff *skb)
{
	return mg_hold_door(skb, 1);
}

/* A SYN+ACK in passing, on its way to a client whose SYN was let pass */
static __always_inline void mg_learn(struct __sk_buff *skb, const struct mg_segment *seg,
				     const struct mg_tuple *tuple)
{
	const struct mg_passed *passed = mg_passed_find(tuple);
	const struct mg_intercept *wanted = mg_intercept_wanted();
	struct mg_options o = {};
	bool mptcp;

	if (!passed || !wanted || passed->why == MG_PASSED_GAVE_UP ||
	    !mg_is_of_syn(seg->ack - 1, passed->isn))
		return;
	mg_options_of_skb(&o, skb, mg_options_offset(seg), seg->options_bytes);
	if (o.seen & MG_SEEN_OVERRUN)
		return;
	mptcp = o.seen & MG_SEEN_KEY;
	if (!mptcp && passed->why == MG_PASSED_KNOWN) {
		if (mg_server_forget(&tuple->server))
			mg_hold_count(MG_HOLD_COUNT_FORGOTTEN);
		return;
	}
	mg_server_learn(&tuple->server, mptcp, bpf_ktime_get_ns(), wanted->learn_ttl_ns);
	mg_hold_count(MG_HOLD_COUNT_LEARNED);
}

__noinline int mg_core_segment(struct __sk_buff *skb)
{
	struct mg_hold_scratch *s = mg_scratch();
	struct mg_tuple tuple;
	bool is_answer;
	__u32 state;

	if (!s)
		return 0;
	state = mg_own_state(skb, &s->segment.sock, mg_sock_tuple_bytes(&s->segment));
	tuple.client = s->segment.tuple.server;
	tuple.server = s->segment.tuple.client;
	is_answer = s->segment.has_syn && s->segment.has_ack;
	if (is_answer && state == BPF_TCP_TIME_WAIT)
		mg_leave_alone(skb, &tuple, s->segment.ack - 1);
	if (mg_is_own(state, &tuple)) {
		skb->mark = MG_ABI_MARK;
		return 0;
	}
	if (state)
		mg_go_past(skb);
	if (is_answer)
		mg_learn(skb, &s->segment, &tuple);
	return 0;
}

SEC("tc")
int mg_hold_core(struct __sk_buff *skb)
{
	if (mg_hold_parse(skb) != MG_DONE)
		mg_core_segment(skb);
	return MG_TC_UNSPEC;
}

/* The TAP device: the daemon's frames, each with its trailer, and nothing else. */
SEC("tc")
int mg_replay(struct __sk_buff *skb)
{
	struct mg_replay r;
	__u32 bytes = skb->len - sizeof(r);

	if (skb->len < sizeof(r) + sizeof(struct ethhdr) ||
	    bpf_skb_load_bytes(skb, bytes, &r, sizeof(r)) || r.magic != MG_REPLAY_MAGIC ||
	    r.worker >= MG_WORKERS_MAX || bpf_skb_change_tail(skb, bytes, 0))
		return MG_TC_SHOT;
	if (r.how == MG_REPLAY_ANSWER)
		return bpf_redirect(r.ifindex, 0);
	if (r.how == MG_REPLAY_TAKE)
		skb->mark = MG_ABI_MARK_TAKE | r.worker;
	else if (r.how == MG_REPLAY_PASS)
		skb->mark = MG_ABI_MARK_PASS;
	else
		return MG_TC_SHOT;
	return bpf_redirect(r.ifindex, BPF_F_INGRESS);
}

SEC("syscall")
int mg_release(struct mg_release *r)
{
	struct mg_tuple tuple = r->tuple;
	const struct mg_hold *hold;

	/* First, so that a repetition in between is not held anew. */
	if (r->how == MG_RELEASE_PASSED)
		mg_passed_store(&tuple, r->isn, r->why, bpf_ktime_get_ns());
	hold = mg_held_find(&tuple);
	return hold && hold->isn == r->isn && mg_held_forget(&tuple);
}

char LICENSE[] SEC("license") = "GPL";
