/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the daemon is told of single packets: ring buffer mg_events, and mg_event_stats about it.
 */
#ifndef MG_BPF_EVENTS_H
#define MG_BPF_EVENTS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/event.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, MG_EVENTS_BYTES);
} mg_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_event_stats);
} mg_event_stats SEC(".maps");

/* True if this CPU may send one more in the current window. */
static __always_inline bool mg_event_allowed(struct mg_event_stats *stats, __u64 now_ns)
{
	if (now_ns - stats->window_start_ns >= MG_EVENT_WINDOW_NS) {
		stats->window_start_ns = now_ns;
		stats->in_window = 0;
	}
	if (stats->in_window >= MG_EVENTS_PER_WINDOW)
		return false;
	stats->in_window++;
	return true;
}

/* Fills in the head; the rest of *syn is the caller's. */
static __always_inline void mg_event_syn_send(struct mg_event_syn *syn, __u32 ifindex)
{
	__u32 zero = 0;
	__u64 now_ns = bpf_ktime_get_coarse_ns();
	struct mg_event_stats *stats = bpf_map_lookup_elem(&mg_event_stats, &zero);

	if (!stats)
		return;
	if (!mg_event_allowed(stats, now_ns)) {
		stats->over_rate++;
		return;
	}
	syn->event.type = MG_EVENT_SYN;
	syn->event.bytes = sizeof(*syn);
	syn->event.ifindex = ifindex;
	syn->event.time_ns = now_ns;
	if (bpf_ringbuf_output(&mg_events, syn, sizeof(*syn), 0))
		stats->ring_full++;
	else
		stats->sent++;
}

#endif
