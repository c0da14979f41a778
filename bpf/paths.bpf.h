/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What ICMP "too big" said about the tunnels to proxies: map mg_paths.
 */
#ifndef MG_BPF_PATHS_H
#define MG_BPF_PATHS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/steer.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_PROXIES_MAX);
	__type(key, __u32);
	__type(value, struct mg_path);
} mg_paths SEC(".maps");

/* What ICMP said of late about the path to a proxy: its MTU, or 0 */
static __always_inline __u32 mg_path_mtu(__u32 proxy, __u64 now_ns)
{
	const struct mg_path *path = bpf_map_lookup_elem(&mg_paths, &proxy);

	return path && now_ns - path->since_ns < MG_PATH_TTL_NS ? path->mtu_bytes : 0;
}

static __always_inline void mg_path_learn(__u32 proxy, __u32 mtu_bytes, __u64 now_ns)
{
	struct mg_path path = { .since_ns = now_ns, .mtu_bytes = mtu_bytes };

	bpf_map_update_elem(&mg_paths, &proxy, &path, BPF_ANY);
}

#endif
