/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Relay buffers of one worker, all of one size. A session holds one only while bytes wait in it;
 * the pool keeps a few spare ones, so that the relay path allocates nothing once warm, and gives
 * the rest back to the system.
 */
#ifndef MG_BASE_POOL_H
#define MG_BASE_POOL_H

#include <stddef.h>

#define MG_POOL_BUF_BYTES ((size_t)64 * 1024)
#define MG_POOL_SPARE_MAX 64

struct mg_pool_buf {
	union {
		struct mg_pool_buf *next; /* while spare */
		unsigned char data[MG_POOL_BUF_BYTES];
	};
};

struct mg_pool {
	struct mg_pool_buf *spare;
	size_t n_spare, n_lent;
};

/* NULL without memory. */
struct mg_pool_buf *mg_pool_get(struct mg_pool *p);
void mg_pool_put(struct mg_pool *p, struct mg_pool_buf *buf);
/* All lent buffers must be back. */
void mg_pool_free(struct mg_pool *p);

#endif
