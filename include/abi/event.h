/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Records of the ring buffer mg_events, and what becomes of them (mg_event_stats, per CPU). A CPU
 * sends at most MG_EVENTS_PER_WINDOW records in MG_EVENT_WINDOW_NS, so that a flood of SYNs costs
 * the daemon nothing; the others are counted only.
 */
#ifndef MG_ABI_EVENT_H
#define MG_ABI_EVENT_H

#include "abi/abi.h"
#include "abi/maps.h"

#define MG_EVENTS_BYTES	     (1U << 20)
#define MG_EVENT_WINDOW_NS   100000000ULL
#define MG_EVENTS_PER_WINDOW 1000U

enum mg_event_type { MG_EVENT_SYN = 1 };

struct mg_event {
	__u16 type;  /* enum mg_event_type */
	__u16 bytes; /* of the whole record */
	__u32 ifindex;
	__u64 time_ns; /* CLOCK_MONOTONIC, to a clock tick */
};
MG_ABI_SIZE(struct mg_event, 16);
MG_ABI_OFFSET(struct mg_event, time_ns, 8);

/* A SYN to a converter address, whatever its class. */
struct mg_event_syn {
	struct mg_event event;
	struct mg_endpoint client;
	struct mg_endpoint converter;
	__u32 payload_bytes;
	__u8 class;	 /* enum mg_class */
	__u8 reason;	 /* enum mg_reason */
	__u8 mp_capable; /* 1 if the SYN carries a valid MP_CAPABLE */
	__u8 pad;
};
MG_ABI_SIZE(struct mg_event_syn, 64);
MG_ABI_OFFSET(struct mg_event_syn, client, 16);
MG_ABI_OFFSET(struct mg_event_syn, payload_bytes, 56);
MG_ABI_OFFSET(struct mg_event_syn, class, 60);

struct mg_event_stats {
	__u64 window_start_ns;
	__u64 in_window;
	__u64 sent;
	__u64 over_rate; /* not sent: the CPU's share of the window was used up */
	__u64 ring_full; /* not sent: the daemon did not read in time */
};
MG_ABI_SIZE(struct mg_event_stats, 40);

#endif
