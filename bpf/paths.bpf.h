/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long a packet to a proxy may be: what the daemon says of the way there, and what ICMP "too
 * big" said about the tunnel, map mg_paths.
 */
#ifndef MG_BPF_PATHS_H
#define MG_BPF_PATHS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/steer.h"

/* No less is believed, whoever says so: RFC 1122 section 3.3.3, RFC 8200 section 5. */
#define MG_PATH_MIN4_BYTES 576
#define MG_PATH_MIN6_BYTES 1280

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_PROXIES_MAX);
	__type(key, __u32);
	__type(value, struct mg_path);
} mg_paths SEC(".maps");

/* What ICMP said of late about the path to a proxy: its MTU, or 0 */
static __always_inline __u32 mg_path_heard(__u32 proxy)
{
	const struct mg_path *path = bpf_map_lookup_elem(&mg_paths, &proxy);

	if (!path)
		return 0;
	if (bpf_ktime_get_coarse_ns() - path->since_ns < MG_PATH_TTL_NS)
		return path->mtu_bytes;
	bpf_map_delete_elem(&mg_paths, &proxy);
	return 0;
}

/* Of two lengths, 0 being no limit */
static __always_inline __u32 mg_path_shorter(__u32 a, __u32 b)
{
	return a && (!b || a < b) ? a : b;
}

/*
 * The most that may go to a proxy, `overhead` of it being headers of ours; 0: no limit is known.
 * `bytes`: of the packet, which is not looked up if it goes through whatever ICMP said.
 */
static __always_inline __u32 mg_path_room(__u32 proxy, __u32 mtu_bytes, __u32 overhead, __u32 bytes)
{
	__u32 mtu = mtu_bytes;

	if (bytes + overhead > MG_PATH_MIN4_BYTES)
		mtu = mg_path_shorter(mtu, mg_path_heard(proxy));
	if (!mtu)
		return 0;
	return mtu > overhead ? mtu - overhead : 1;
}

/* What is longer than what was heard before is old, as we send nothing of that length any more. */
static __always_inline void mg_path_learn(__u32 proxy, __u32 mtu_bytes)
{
	__u32 heard = mg_path_heard(proxy);
	struct mg_path path = { .since_ns = bpf_ktime_get_coarse_ns(), .mtu_bytes = mtu_bytes };

	if (!heard || mtu_bytes <= heard)
		bpf_map_update_elem(&mg_paths, &proxy, &path, BPF_ANY);
}

#endif
