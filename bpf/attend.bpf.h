/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way to the daemon: the rings its workers read, mg_hold_rings, if they are alive, and the one
 * exit where what happened is counted, mg_hold_stats.
 */
#ifndef MG_BPF_ATTEND_H
#define MG_BPF_ATTEND_H

#include "segment.bpf.h"
#include "beats.bpf.h"

struct mg_hold_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, MG_HOLD_RING_BYTES);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MG_WORKERS_MAX);
	__type(key, __u32);
	__array(values, struct mg_hold_ring);
} mg_hold_rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_hold_counters);
} mg_hold_stats SEC(".maps");

static __always_inline void mg_hold_count(enum mg_hold_counter which)
{
	__u32 zero = 0;
	__u64 *counters = bpf_map_lookup_elem(&mg_hold_stats, &zero);

	if (counters && which < MG_HOLD_COUNTER_COUNT)
		counters[which]++;
}

/* Not killed, as far as its sockets tell */
static __always_inline bool mg_daemon_lives(struct __sk_buff *skb, __u16 beacon)
{
	struct bpf_sock_tuple at = {};
	struct bpf_sock *sk;
	bool lives;

	if (!beacon)
		return true;
	at.ipv4.saddr = bpf_htonl(MG_BEACON_V4);
	at.ipv4.daddr = bpf_htonl(MG_BEACON_V4);
	at.ipv4.dport = bpf_htons(beacon);
	sk = bpf_skc_lookup_tcp(skb, &at, sizeof(at.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	lives = sk->state == BPF_TCP_LISTEN && sk->src_ip4 == bpf_htonl(MG_BEACON_V4);
	bpf_sk_release(sk);
	return lives;
}

static __always_inline bool mg_is_attended(struct __sk_buff *skb, const struct mg_intercept *wanted,
					   __u32 worker, __u64 now_ns)
{
	return mg_beats_fresh(wanted, worker, now_ns) && mg_daemon_lives(skb, wanted->beacon);
}

/* Sends the scratch's record to its worker, with the frame or without. 0 or -1. */
static __always_inline int mg_hold_send(struct __sk_buff *skb, struct mg_hold_scratch *s,
					__u32 worker, bool with_frame)
{
	void *ring = bpf_map_lookup_elem(&mg_hold_rings, &worker);
	__u32 last = skb->len - 1;

	if (!ring)
		return -1;
	if (!with_frame) {
		s->record.frame_bytes = 0;
		return bpf_ringbuf_output(ring, &s->record, sizeof(s->record), 0) ? -1 : 0;
	}
	barrier_var(last);
	if (last >= MG_HELD_FRAME_BYTES || bpf_skb_load_bytes(skb, 0, s->frame, last + 1))
		return -1;
	s->record.frame_bytes = last + 1;
	return bpf_ringbuf_output(ring, &s->record, sizeof(s->record) + last + 1, 0) ? -1 : 0;
}

#endif
