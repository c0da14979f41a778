/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where tunnels end, map mg_mine, and who may send through them, map mg_peers; both written by the
 * daemon.
 */
#ifndef MG_BPF_PEERS_H
#define MG_BPF_PEERS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/steer.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * MG_MINE_MAX); /* old and new set at once */
	__type(key, __u8[16]);
	__type(value, __u8);
} mg_mine SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 2 * MG_GATEWAYS_MAX); /* old and new set at once */
	__uint(map_flags, 1 /* BPF_F_NO_PREALLOC */);
	__type(key, struct mg_peer_key);
	__type(value, __u8);
} mg_peers SEC(".maps");

static __always_inline bool mg_ip_is_mine(const __u8 *ip)
{
	return bpf_map_lookup_elem(&mg_mine, ip) != NULL;
}

static __always_inline bool mg_ip_is_peer(const __u8 *ip)
{
	struct mg_peer_key key = { .bits = 128 };

	__builtin_memcpy(key.ip, ip, sizeof(key.ip));
	return bpf_map_lookup_elem(&mg_peers, &key) != NULL;
}

#endif
