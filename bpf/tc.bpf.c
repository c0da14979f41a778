// SPDX-License-Identifier: GPL-2.0-only
/*
 * Door for return packets on core interfaces, when sessions use the UE's own address as source:
 * such an address is not local, so a packet to it would be forwarded. Packets of a connection that
 * a socket of this host holds, and ICMP errors about one, get a mark; the routing rule for the mark
 * delivers them here. Everything else goes on untouched.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "own.bpf.h"

static __always_inline bool mg_is_ours(struct __sk_buff *skb, struct mg_packet *p)
{
	if (p->protocol == IPPROTO_TCP)
		return mg_own_segment(skb, p, false) != 0;
	return mg_own_icmp(skb, p);
}

SEC("tc")
int mg_tc(struct __sk_buff *skb)
{
	struct mg_packet p;

	if (mg_pull(skb))
		return MG_TC_UNSPEC;
	p = mg_packet_at(skb, 0);
	if (mg_parse_ip(&p) == MG_PARSED && mg_is_ours(skb, &p))
		skb->mark = MG_ABI_MARK;
	return MG_TC_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
