/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How fast a subflow of ours may send: maps mg_paces and mg_pace_now, written by the daemon. A
 * socket option of the subflow says it to the kernel (SO_MAX_PACING_RATE), which no process can set
 * there, but a sockops program can, whenever the subflow has an ACK (RTT_CB).
 *
 * While nobody paces, mg_pace_now is 0, and an ACK costs one look at it.
 */
#ifndef MG_BPF_PACE_H
#define MG_BPF_PACE_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/policy.h"

/* Macros, of which the kernel's BTF knows nothing */
#define MG_MAP_ON_DEMAND	1 /* BPF_F_NO_PREALLOC */
#define MG_SOCK_OPS_RTT_CB_FLAG 8
#define MG_SOL_TCP		6
#define MG_TCP_NOTSENT_LOWAT	25
#define MG_SOL_SOCKET		1
#define MG_SO_MAX_PACING_RATE	47
#define MG_PACE_WITHOUT_LIMIT	0xffffffffU /* as the option has it, in 32 bits */

/* What a subflow was given and could not send yet is lost to the others: little more than what
 * leaves within 1/16 s. */
#define MG_PACE_QUEUE_PARTS 16
#define MG_PACE_QUEUE_LEAST 16384

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_PACES_MAX);
	__uint(map_flags, MG_MAP_ON_DEMAND);
	__type(key, struct mg_connection);
	__type(value, struct mg_pace);
} mg_paces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} mg_pace_now SEC(".maps");

static __always_inline bool mg_pace_any(void)
{
	__u32 zero = 0, *any = bpf_map_lookup_elem(&mg_pace_now, &zero);

	return any && *any;
}

static __always_inline void mg_pace_apply(struct bpf_sock_ops *ops,
					  const struct mg_connection *connection)
{
	const struct mg_pace *pace = bpf_map_lookup_elem(&mg_paces, connection);
	__u32 rate = MG_PACE_WITHOUT_LIMIT, lowat = 0;

	if (!pace)
		return;
	if (pace->bytes_per_s < MG_PACE_WITHOUT_LIMIT) {
		rate = (__u32)pace->bytes_per_s;
		lowat = rate / MG_PACE_QUEUE_PARTS;
		if (lowat < MG_PACE_QUEUE_LEAST)
			lowat = MG_PACE_QUEUE_LEAST;
	}
	bpf_setsockopt(ops, MG_SOL_SOCKET, MG_SO_MAX_PACING_RATE, &rate, sizeof(rate));
	bpf_setsockopt(ops, MG_SOL_TCP, MG_TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
}

#endif
