// SPDX-License-Identifier: GPL-2.0-only
/*
 * Door for the sockets of the daemon's cgroup: keeps the options of the SYN+ACK that opens a
 * connection, which no socket option shows, and sets how fast the subflows of clients may send.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pace.bpf.h"
#include "synack.bpf.h"

#define MG_AF_INET6 10

static __always_inline void mg_connection_of(struct bpf_sock_ops *ops, struct mg_connection *c)
{
	__u32 *local = (__u32 *)c->local.ip, *peer = (__u32 *)c->peer.ip;
	__u32 local4 = ops->local_ip4, peer4 = ops->remote_ip4;

	/* Read here and in no branch: the context must be read at offsets that are constants, and
	 * clang would share one load between the branches. */
	asm volatile("" : "+r"(local4), "+r"(peer4));
	if (ops->family == MG_AF_INET6) {
		local[0] = ops->local_ip6[0];
		local[1] = ops->local_ip6[1];
		local[2] = ops->local_ip6[2];
		local[3] = ops->local_ip6[3];
		peer[0] = ops->remote_ip6[0];
		peer[1] = ops->remote_ip6[1];
		peer[2] = ops->remote_ip6[2];
		peer[3] = ops->remote_ip6[3];
	} else {
		local[2] = bpf_htonl(0xffff);
		local[3] = local4;
		peer[2] = bpf_htonl(0xffff);
		peer[3] = peer4;
	}
	c->local.port = ops->local_port;
	c->peer.port = bpf_ntohl(ops->remote_port);
}

static __always_inline void mg_keep_synack(struct bpf_sock_ops *ops)
{
	struct mg_connection connection = {};
	struct mg_synack synack = {};
	struct tcphdr *tcp;
	void *end;

	/* What is between skb_data and skb_data_end here is the TCP header of the SYN+ACK, or
	 * nothing, on kernels that do not show it. */
	tcp = ops->skb_data;
	end = ops->skb_data_end;
	if ((void *)(tcp + 1) > end)
		return;
	synack.options_bytes = tcp->doff * 4 - sizeof(*tcp);
	for (__u32 i = 0; i < MG_SYNACK_OPTIONS / 4; i++) {
		__u32 *from = (__u32 *)(tcp + 1) + i;

		if (i * 4 >= synack.options_bytes)
			break;
		if ((void *)(from + 1) > end)
			return;
		((__u32 *)synack.options)[i] = *from;
	}
	mg_connection_of(ops, &connection);
	mg_synack_store(&connection, &synack);
}

static __always_inline void mg_keep_pace(struct bpf_sock_ops *ops)
{
	struct mg_connection connection = {};

	if (!mg_pace_any())
		return;
	mg_connection_of(ops, &connection);
	mg_pace_apply(ops, &connection);
}

SEC("sockops")
int mg_sockops(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		mg_keep_synack(ops);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		/* A client's: servers' connections are never paced. */
		bpf_sock_ops_cb_flags_set(ops, MG_SOCK_OPS_RTT_CB_FLAG);
		break;
	case BPF_SOCK_OPS_RTT_CB:
		mg_keep_pace(ops);
		break;
	default:
		break;
	}
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
