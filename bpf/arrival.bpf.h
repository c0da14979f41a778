/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms of steering hand each other: a packet as it arrived, without a pointer into it,
 * and what was decided about it. Both lie in a map, one per CPU: there the verifier forgets by
 * which of many ways they were filled in, and maps take their keys from it.
 */
#ifndef MG_BPF_ARRIVAL_H
#define MG_BPF_ARRIVAL_H

#include "packet.bpf.h"

#include "abi/steer.h"

const volatile __u32 mg_side; /* enum mg_side of the interface, set before the program is loaded */

struct mg_arrival {
	/* client: who sent it. Of an ICMP error: of what it quotes. Not TCP: without ports */
	struct mg_tuple tuple;
	__u32 ifindex;
	__u32 seq; /* host order, as ack is */
	__u32 ack;
	__u32 ip_offset; /* in the frame */
	__u32 ip_bytes;	 /* from there to the end of what IP covers */
	__u32 tcp_offset;
	__u32 options_bytes;
	__u32 payload_bytes;
	__u32 seen;	 /* MG_SEEN_… among the options of an opening SYN */
	__u32 token;	 /* of a join */
	__u32 mtu_bytes; /* what an ICMP "too big" says; 0: it says nothing of the kind */
	__u8 dmac[6];
	__u8 smac[6];
	__u8 v6;
	__u8 class;  /* enum mg_class */
	__u8 reason; /* enum mg_reason, of the class */
	__u8 has_syn, has_ack, has_fin, has_rst;
	__u8 is_tcp;	/* the fields of TCP are filled in */
	__u8 is_icmp;	/* an ICMP error that quotes TCP: tuple, v6 and protocol are of the quote */
	__u8 is_tunnel; /* an ICMP error that quotes IP in IP: as above, without ports */
	__u8 unwrapped; /* came in a tunnel, for this host */
	__u8 protocol;	/* behind IP, which begins at tcp_offset whatever it is */
	__u8 pad[2];
};

struct mg_steer_scratch {
	struct mg_arrival arrival;
	struct mg_decision decision;
	/* Of a SYN or SYN+ACK that passes: the proxy to whose tunnel its MSS is lowered; 0: none */
	__u32 clamp;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_steer_scratch);
} mg_steer_room SEC(".maps");

static __always_inline struct mg_steer_scratch *mg_steer_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mg_steer_room, &zero);
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_steer_counters);
} mg_steer_stats SEC(".maps");

static __always_inline bool mg_is_opening(const struct mg_arrival *a)
{
	return a->has_syn && !a->has_ack && !a->has_fin && !a->has_rst;
}

static __always_inline void mg_steer_count(enum mg_steer_counter which)
{
	__u32 zero = 0;
	__u64 *counters = bpf_map_lookup_elem(&mg_steer_stats, &zero);

	if (counters && which < MG_STEER_COUNTER_COUNT)
		counters[which]++;
}

#endif
