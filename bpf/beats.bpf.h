/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The workers' signs of life: map mg_beats.
 */
#ifndef MG_BPF_BEATS_H
#define MG_BPF_BEATS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/hold.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MG_WORKERS_MAX);
	__uint(map_flags, 1024 /* BPF_F_MMAPABLE */);
	__type(key, __u32);
	__type(value, __u64);
} mg_beats SEC(".maps");

static __always_inline bool mg_beats_fresh(const struct mg_intercept *wanted, __u32 worker,
					   __u64 now_ns)
{
	const __u64 *beat = bpf_map_lookup_elem(&mg_beats, &worker);

	/* now_ns may be the elder of the two */
	return beat && *beat && *beat + wanted->beat_stale_ms * 1000000ULL >= now_ns;
}

#endif
