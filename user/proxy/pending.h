/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many requests of each client are pending, over all workers (RFC 8803 section 9.3: limit
 * them). A client is an IPv4 address or an IPv6 /64. Counted once when the connection is accepted,
 * released once when the server answered and the client's handshake is over, or the session ended.
 */
#ifndef MG_PROXY_PENDING_H
#define MG_PROXY_PENDING_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>

#define MG_PENDING_SHARDS 64

struct mg_pending_entry;

struct mg_pending {
	struct {
		pthread_mutex_t lock;
		struct mg_pending_entry **buckets;
		size_t n_buckets, n;
	} shard[MG_PENDING_SHARDS];
	uint64_t seed; /* clients choose addresses, so they must not choose buckets */
};

int mg_pending_init(struct mg_pending *p, uint64_t seed);
void mg_pending_free(struct mg_pending *p);
/* The client's count with this one, or -ENOMEM. */
int mg_pending_take(struct mg_pending *p, const struct in6_addr *client);
void mg_pending_release(struct mg_pending *p, const struct in6_addr *client);
/* For tests and status. */
int mg_pending_count(struct mg_pending *p, const struct in6_addr *client);

#endif
