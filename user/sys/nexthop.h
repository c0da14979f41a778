/* SPDX-License-Identifier: BSD-2-Clause */
/* The way out to an address: route and neighbour, as the kernel would choose them (rtnetlink). */
#ifndef MG_SYS_NEXTHOP_H
#define MG_SYS_NEXTHOP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct mg_nexthop {
	uint32_t ifindex;
	uint8_t dmac[6];
	uint8_t smac[6];
	uint32_t mtu_bytes;	/* of route or link */
	struct in6_addr source; /* what the kernel would send from */
	bool on_link;		/* the MAC is the address's own, not a router's */
	bool local;		/* the address is this host's; only `source` is filled in */
};

/* 0; -EAGAIN: the neighbour is being asked for, try again soon; -ENETUNREACH and the like. Never
 * waits for the network. */
int mg_nexthop_find(const struct in6_addr *to, struct mg_nexthop *out);

/* A socket that becomes readable when routes, neighbours or links change; or -errno. */
int mg_nexthop_watch(void);
/* Empties it. True if something changed. */
bool mg_nexthop_watch_drain(int fd);

#endif
