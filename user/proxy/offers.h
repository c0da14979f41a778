/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which clients lately offered MPTCP in a SYN, as the data plane's events tell. A client that
 * offered it and was accepted as plain TCP fell back on the way, which no socket of ours could
 * tell.
 *
 * A fixed table of the latest SYNs; one that is overwritten too early costs a count, nothing else.
 */
#ifndef MG_PROXY_OFFERS_H
#define MG_PROXY_OFFERS_H

#include <pthread.h>
#include <stdbool.h>

#include "base/addr.h"

#define MG_OFFERS_SLOTS 4096

struct mg_offers {
	pthread_mutex_t lock;
	struct mg_ep slot[MG_OFFERS_SLOTS];
};

void mg_offers_init(struct mg_offers *o);
void mg_offers_note(struct mg_offers *o, const struct mg_ep *client);
/* True once for a client that was noted. */
bool mg_offers_take(struct mg_offers *o, const struct mg_ep *client);

#endif
