/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnetlink: the routing rules of preserved source addresses, and this host's own addresses.
 */
#ifndef MG_SYS_RTNL_H
#define MG_SYS_RTNL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* The table that delivers packets to addresses of UEs to this host. */
#define MG_RTNL_TABLE	 28007
#define MG_RTNL_PRIORITY 100

/*
 * For both families: a rule that looks up MG_RTNL_TABLE for packets marked `mark`, and in that
 * table the one route `local default dev lo`. What is there already, from a daemon that was killed,
 * is kept. 0 or -errno after logging; add is all or nothing.
 */
int mg_rtnl_add_local_rules(uint32_t mark);
void mg_rtnl_del_local_rules(uint32_t mark);

/*
 * What this network namespace takes for itself: the addresses of its interfaces, and what its table
 * of local routes delivers here without any interface having it, such as the whole network of an
 * address that lo has with a prefix. Host routes are among the addresses.
 */
struct mg_rtnl_own {
	struct in6_addr *ips; /* sorted by memcmp */
	size_t n_ips;
	struct mg_prefix *nets;
	size_t n_nets;
};

/* 0 or -errno; mg_rtnl_own_free in both cases does no harm. */
int mg_rtnl_own(struct mg_rtnl_own *own);
void mg_rtnl_own_free(struct mg_rtnl_own *own);

/* A socket that becomes readable when an address, a route or a link changes; or -errno. */
int mg_rtnl_watch_own(void);
/* Empties it. True if what is said there may change mg_rtnl_own, or is about a link. */
bool mg_rtnl_watch_drain(int fd);

#endif
