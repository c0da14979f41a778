/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How often was let in, and refused why: in all mg_admit_stats, of a subscriber mg_refused.
 */
#ifndef MG_BPF_REFUSALS_H
#define MG_BPF_REFUSALS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/policy.h"

/* Sources that were not refused before are entered no faster than this on a CPU: who floods with
 * made-up ones would have the table's locks all the time. */
#define MG_REFUSED_WINDOW_NS  10000000ULL
#define MG_REFUSED_PER_WINDOW 100

struct mg_refused_window {
	__u64 start_ns;
	__u64 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_admit_counters);
} mg_admit_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MG_REFUSED_MAX);
	__type(key, struct mg_subscriber);
	__type(value, struct mg_refused);
} mg_refused SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_refused_window);
} mg_refused_rate SEC(".maps");

/* By enum mg_refusal; MG_ADMITTED as well */
static __always_inline void mg_admit_count(__u32 refusal)
{
	__u32 zero = 0;
	__u64 *counters = bpf_map_lookup_elem(&mg_admit_stats, &zero);

	if (counters && refusal < MG_REFUSAL_COUNT)
		__sync_fetch_and_add(&counters[refusal], 1);
}

static __always_inline bool mg_refused_may_enter(void)
{
	__u32 zero = 0;
	struct mg_refused_window *window = bpf_map_lookup_elem(&mg_refused_rate, &zero);
	__u64 now_ns = bpf_ktime_get_ns();

	if (!window)
		return false;
	if (now_ns - window->start_ns > MG_REFUSED_WINDOW_NS) {
		window->start_ns = now_ns;
		window->n = 0;
	}
	return window->n++ < MG_REFUSED_PER_WINDOW;
}

static __always_inline void mg_refused_count(const struct mg_subscriber *key, __u32 refusal)
{
	struct mg_refused *refused = bpf_map_lookup_elem(&mg_refused, key), fresh = {};

	if (!refused) {
		if (!mg_refused_may_enter())
			return;
		bpf_map_update_elem(&mg_refused, key, &fresh, BPF_NOEXIST);
		refused = bpf_map_lookup_elem(&mg_refused, key);
	}
	if (refused && refusal < MG_REFUSAL_COUNT)
		__sync_fetch_and_add(&refused->by[refusal], 1);
}

#endif
