// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/again.h"

#include <string.h>

void mg_again_init(struct mg_again *a)
{
	memset(a, 0, sizeof(*a));
	pthread_mutex_init(&a->lock, NULL);
}

void mg_again_put(struct mg_again *a, const struct mg_ep *client, const struct mg_ep *server)
{
	uint64_t at;

	pthread_mutex_lock(&a->lock);
	at = atomic_load(&a->n);
	a->last[at % MG_AGAIN_MAX].client = *client;
	a->last[at % MG_AGAIN_MAX].server = *server;
	atomic_store(&a->n, at + 1);
	pthread_mutex_unlock(&a->lock);
}

bool mg_again_take(struct mg_again *a, uint64_t *seen, struct mg_ep *client, struct mg_ep *server)
{
	uint64_t n = atomic_load(&a->n);

	/* Mostly there is nothing, and then nobody waits for the others. */
	if (*seen == n)
		return false;
	pthread_mutex_lock(&a->lock);
	n = atomic_load(&a->n);
	if (n - *seen > MG_AGAIN_MAX)
		*seen = n - MG_AGAIN_MAX;
	*client = a->last[*seen % MG_AGAIN_MAX].client;
	*server = a->last[*seen % MG_AGAIN_MAX].server;
	(*seen)++;
	pthread_mutex_unlock(&a->lock);
	return true;
}
