/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Last room, the one exit: every packet counts once in mg_classes, mg_verdicts and mg_reasons. A
 * map is a single value per CPU with a field per name, so that a dump reads as it is meant.
 */
#ifndef MG_BPF_COUNT_H
#define MG_BPF_COUNT_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_class_counters);
} mg_classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_verdict_counters);
} mg_verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_reason_counters);
} mg_reasons SEC(".maps");

static __always_inline void mg_count_one(void *map, __u32 index, __u32 count)
{
	__u32 zero = 0;
	__u64 *counters = bpf_map_lookup_elem(map, &zero);

	if (counters && index < count)
		counters[index]++;
}

static __always_inline void mg_count(enum mg_class class, enum mg_verdict verdict,
				     enum mg_reason reason)
{
	mg_count_one(&mg_classes, class, MG_CLASS_COUNT);
	mg_count_one(&mg_verdicts, verdict, MG_VERDICT_COUNT);
	mg_count_one(&mg_reasons, reason, MG_REASON_COUNT);
}

#endif
