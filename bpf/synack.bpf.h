/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The SYN+ACKs that opened this host's outgoing connections: map mg_synack, read by the daemon for
 * the Extended TCP Header TLV (RFC 8803 section 6.2.6). What nobody takes, the LRU forgets.
 */
#ifndef MG_BPF_SYNACK_H
#define MG_BPF_SYNACK_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MG_SYNACKS_MAX);
	__type(key, struct mg_connection);
	__type(value, struct mg_synack);
} mg_synack SEC(".maps");

static __always_inline void mg_synack_store(const struct mg_connection *connection,
					    const struct mg_synack *synack)
{
	bpf_map_update_elem(&mg_synack, connection, synack, BPF_ANY);
}

#endif
