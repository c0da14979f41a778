/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steering side of the data plane: what bpf/steer.bpf.c goes by, and what it found. Part of
 * sys/dp.h, which loads and attaches it; there is one when the configuration has `proxies` or
 * `gateways`. What a gateway knows lives in pinned maps and stays in force, with the program, when
 * the daemon ends, however it ends; the next one takes them over. Main thread only, but for
 * mg_steer_push. Addresses in the records are 16 bytes, IPv4-mapped.
 */
#ifndef MG_SYS_STEER_H
#define MG_SYS_STEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/steer.h"
#include "base/addr.h"

struct mg_dp;
struct mg_steer;

/* NULL: this host neither steers nor is steered to. */
struct mg_steer *mg_dp_steer(struct mg_dp *dp);

/* All: 0 or -errno, not logged. */
int mg_steer_set_gateway(struct mg_steer *s, const struct mg_gateway *g);

/* Entries 1..MG_PROXIES_MAX-1 and 1..MG_GROUPS_MAX-1; `used` 0 frees one. What get says is what a
 * former daemon wrote, until it is set. */
int mg_steer_set_proxy(struct mg_steer *s, uint16_t proxy, const struct mg_steer_proxy *p);
int mg_steer_get_proxy(const struct mg_steer *s, uint16_t proxy, struct mg_steer_proxy *p);
int mg_steer_set_group(struct mg_steer *s, uint16_t group, const struct mg_steer_group *g);
int mg_steer_get_group(const struct mg_steer *s, uint16_t group, struct mg_steer_group *g);

/* MG_RING_SLOTS slots of the group, in memory shared with XDP: each slot is to be written whole
 * (8 bytes, one store). NULL: the map has no room for the group. */
struct mg_slot *mg_steer_ring(struct mg_steer *s, uint16_t group);

/* Each replaces the whole set, without a moment in which what is in both is missing. */
int mg_steer_set_virtual(struct mg_steer *s, const struct mg_ep *eps, const uint16_t *groups,
			 size_t n);
int mg_steer_set_rules(struct mg_steer *s, const struct mg_rule *rules, size_t n);
int mg_steer_set_neighbours(struct mg_steer *s, const struct mg_neighbour *at,
			    const uint16_t *proxies, size_t n);
int mg_steer_set_mine(struct mg_steer *s, const struct in6_addr *ips, size_t n);
int mg_steer_set_peers(struct mg_steer *s, const struct mg_prefix *from, size_t n);

/* owners NULL: nobody any more. -ENOSPC when mg_pushed is full. Any thread. */
int mg_steer_push(struct mg_steer *s, uint32_t token, const struct mg_owners *owners);
/* -ENOENT */
int mg_steer_find(const struct mg_steer *s, bool learned, uint32_t token, struct mg_owners *owners);
/* What is there while it looks; for reports, and for reconciling. 0 or -errno. */
int mg_steer_each(const struct mg_steer *s, bool learned,
		  void (*fn)(void *ctx, uint32_t token, const struct mg_owners *owners), void *ctx);

int mg_steer_counters_read(const struct mg_steer *s, uint64_t out[MG_STEER_COUNTER_COUNT]);

/* Where would this packet go, and why? Runs the attached code on a packet made for it, which
 * changes nothing and counts nowhere. */
enum mg_steer_probe_kind { MG_PROBE_SYN, MG_PROBE_CAPABLE, MG_PROBE_JOIN, MG_PROBE_DATA };
struct mg_steer_probe {
	const char *interface; /* it comes in there; NULL: on the first access interface */
	enum mg_steer_probe_kind kind;
	uint32_t token;		     /* of a join */
	struct mg_ep client, server; /* as source and destination */
};
/* 0; -ENODEV: no such interface is steered on; -EAFNOSUPPORT: mixed families; or -errno */
int mg_steer_locate(const struct mg_steer *s, const struct mg_steer_probe *probe,
		    struct mg_decision *out);

#endif
