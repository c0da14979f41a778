/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Keys and values of the pinned maps; docs/maps.md shows them as bpftool prints them. Addresses are
 * 16 bytes with IPv4 as ::ffff:a.b.c.d. Ports are in host order, for whoever reads a dump.
 */
#ifndef MG_ABI_MAPS_H
#define MG_ABI_MAPS_H

#include "abi/abi.h"
#include "abi/verdict.h"

/* skb->mark of a return packet that one of this host's transparent sockets waits for */
#define MG_ABI_MARK 0x6d670000U

#define MG_CONVERTERS_MAX 1024
/* Old and new set at once, and the address of each alone */
#define MG_CONVERTERS_MAP_ENTRIES (4 * MG_CONVERTERS_MAX)
#define MG_SYNACKS_MAX		  16384
#define MG_SYNACK_OPTIONS	  40 /* what a TCP header has room for */

struct mg_endpoint {
	__u8 ip[16];
	__u16 port;
	__u16 pad;
};
MG_ABI_SIZE(struct mg_endpoint, 20);
MG_ABI_OFFSET(struct mg_endpoint, port, 16);

/* mg_classes, mg_verdicts, mg_reasons: one value per CPU, a counter of packets per name */
struct mg_class_counters {
#define X(sym, label, doc) __u64 label;
	MG_CLASSES(X)
#undef X
};
MG_ABI_SIZE(struct mg_class_counters, 8 * MG_CLASS_COUNT);

struct mg_verdict_counters {
#define X(sym, label, doc) __u64 label;
	MG_VERDICTS(X)
#undef X
};
MG_ABI_SIZE(struct mg_verdict_counters, 8 * MG_VERDICT_COUNT);

struct mg_reason_counters {
#define X(sym, label, doc) __u64 label;
	MG_REASONS(X)
#undef X
};
MG_ABI_SIZE(struct mg_reason_counters, 8 * MG_REASON_COUNT);

/* mg_converters: struct mg_endpoint -> its place in the configuration's listen list, or that it is
 * for joins only; with port 0: some of them has this address */
#define MG_CONVERTER_JOINS 0xffffffff

struct mg_converter {
	__u32 listener;
};
MG_ABI_SIZE(struct mg_converter, 4);

/* mg_synack: an outgoing connection -> the TCP options of the SYN+ACK that opened it, verbatim */
struct mg_connection {
	struct mg_endpoint local;
	struct mg_endpoint peer;
};
MG_ABI_SIZE(struct mg_connection, 40);
MG_ABI_OFFSET(struct mg_connection, peer, 20);

struct mg_synack {
	__u8 options[MG_SYNACK_OPTIONS];
	__u32 options_bytes; /* 0..40, a multiple of 4 */
};
MG_ABI_SIZE(struct mg_synack, 44);
MG_ABI_OFFSET(struct mg_synack, options_bytes, 40);

#endif
