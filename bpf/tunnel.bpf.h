/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where tunnels end, map mg_mine, and who may send through them, mg_peers; and what is taken out of
 * them.
 */
#ifndef MG_BPF_TUNNEL_H
#define MG_BPF_TUNNEL_H

#include "arrive.bpf.h"
#include "outcome.bpf.h"
#include "proxies.bpf.h"

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

/*
 * For what is not TCP. 0: nothing was done. 1: the packet was unwrapped, and the arrival says so
 * (`unwrapped`, which the door clears for each frame); look again. Anything else is an outcome.
 */
__noinline int mg_unwrap(struct xdp_md *ctx)
{
	return mg_steer_scratch() && ctx->ingress_ifindex ? 0 : MG_OUTCOME_PASS;
}

#endif
