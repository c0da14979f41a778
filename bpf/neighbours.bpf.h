/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where frames of proxies come from: map mg_neighbours, written by the daemon.
 */
#ifndef MG_BPF_NEIGHBOURS_H
#define MG_BPF_NEIGHBOURS_H

#include "arrival.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * MG_NEIGHBOURS_MAX); /* old and new set at once */
	__type(key, struct mg_neighbour);
	__type(value, __u32);
} mg_neighbours SEC(".maps");

/* The proxy that sent this; 0: one of several; -1: none. */
static __always_inline __s64 mg_neighbour_of(const struct mg_arrival *a)
{
	struct mg_neighbour key = { .ifindex = a->ifindex };
	const __u32 *proxy;

	__builtin_memcpy(key.mac, a->smac, sizeof(key.mac));
	proxy = bpf_map_lookup_elem(&mg_neighbours, &key);
	return proxy ? (__s64)*proxy : -1;
}

#endif
