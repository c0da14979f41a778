/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients that begin anew from a port whose session before is perhaps another worker's: a SYN may
 * come to any worker. Each looks through these, and ends what nobody is left of; the client repeats
 * its SYN. What is put while too many others are, is lost, and put again with that.
 */
#ifndef MG_PROXY_AGAIN_H
#define MG_PROXY_AGAIN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

#define MG_AGAIN_MAX 64

struct mg_again {
	pthread_mutex_t lock;
	_Atomic uint64_t n; /* so many were put */
	struct {
		struct mg_ep client, server;
	} last[MG_AGAIN_MAX];
};

void mg_again_init(struct mg_again *a);
void mg_again_put(struct mg_again *a, const struct mg_ep *client, const struct mg_ep *server);
/* The next one that a worker has not seen; false: none. `seen` is the worker's, 0 at first. */
bool mg_again_take(struct mg_again *a, uint64_t *seen, struct mg_ep *client, struct mg_ep *server);

#endif
