/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whom a gateway steers to, and how they are reached: maps mg_gateway and mg_proxies, written by
 * the daemon.
 */
#ifndef MG_BPF_PROXIES_H
#define MG_BPF_PROXIES_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/steer.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_gateway);
} mg_gateway SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MG_PROXIES_MAX);
	__type(key, __u32);
	__type(value, struct mg_steer_proxy);
} mg_proxies SEC(".maps");

static __always_inline const struct mg_gateway *mg_gateway_wanted(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mg_gateway, &zero);
}

/* NULL: there is none of this number. */
static __always_inline const struct mg_steer_proxy *mg_proxy_find(__u32 proxy)
{
	const struct mg_steer_proxy *p = bpf_map_lookup_elem(&mg_proxies, &proxy);

	return p && p->used ? p : NULL;
}

/* The number of the proxy that has this address, 0: none. For rare packets: it asks them all. */
static __always_inline __u32 mg_proxy_at(const __u8 *ip)
{
	const __u32 *want = (const __u32 *)ip;

	for (__u32 i = 1; i < MG_PROXIES_MAX; i++) {
		__u32 at = i;
		const struct mg_steer_proxy *p = bpf_map_lookup_elem(&mg_proxies, &at);
		const __u32 *has;

		if (!p)
			break;
		has = (const __u32 *)p->ip;
		if (p->used && has[0] == want[0] && has[1] == want[1] && has[2] == want[2] &&
		    has[3] == want[3])
			return i;
	}
	return 0;
}

#endif
