/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose external address is whose: the pool of `sharing` (RFC 8803 section 5.2), shared by all
 * workers.
 *
 * Paired (RFC 6888 REQ-2), a subscriber keeps one address of each family, and, where there are
 * blocks of ports, one block of it, for as long as it has sessions. Both are chosen by a hash of
 * the subscriber, so that it comes back to them later, after a restart too, unless somebody else
 * has the block by then: then it gets the next that is free, of this address or of the next one. A
 * block is free again with the last session: connections are tracked by the kernel, so that RFC
 * 6888 REQ-8 asks for no delay.
 *
 * A reload counts for what is handed out from then on. Who has sessions keeps its address and
 * block, unless the address is no longer in the pool.
 */
#ifndef MG_PROXY_SHARING_H
#define MG_PROXY_SHARING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/hold.h"
#include "base/addr.h"
#include "config/config.h"

struct mg_sharing_holder;
struct mg_sharing_address;

/* How ports are cut into blocks; all zeros: they are not. */
struct mg_sharing_layout {
	uint32_t ports; /* of a block */
	uint16_t first;
	uint32_t n; /* blocks of an address */
};

struct mg_sharing {
	pthread_mutex_t lock;
	struct mg_sharing_layout layout; /* that `addresses` are of */
	struct mg_sharing_holder **holders;
	struct mg_sharing_address **addresses; /* those with blocks that are taken */
	size_t n_holders, n_holder_buckets;
	size_t n_addresses, n_address_buckets;
	_Atomic uint64_t turn; /* of sessions that are not paired */
};

/* What one session has of it. */
struct mg_lease {
	struct mg_sharing_holder *holder; /* NULL: nothing to give back */
	struct in6_addr ip;
	uint16_t first, last; /* its block; 0: any port */
};

/* 0 or -ENOMEM */
int mg_sharing_init(struct mg_sharing *sh);
/* All leases are back. A zeroed one is allowed. */
void mg_sharing_free(struct mg_sharing *sh);

/* 0; -ENOENT: the pool has no address of this family; -EUSERS: all blocks are taken; -ENOMEM. */
int mg_sharing_take(struct mg_sharing *sh, const struct mg_config_sharing *cfg,
		    const struct mg_subscriber *who, bool v4, struct mg_lease *lease);
/* Clears it. One that is clear is allowed. */
void mg_sharing_give_back(struct mg_sharing *sh, struct mg_lease *lease);

/* The next port of the lease's block to try. */
uint16_t mg_sharing_port(const struct mg_lease *lease);
/* So many of them are to be tried; only a few for a while after none was free, since to find that
 * out costs as much as dozens of sessions, and who holds them all may go on asking. */
uint32_t mg_sharing_tries(const struct mg_lease *lease, uint64_t now_ms);
void mg_sharing_none_free(const struct mg_lease *lease, uint64_t now_ms);

#endif
