// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/offers.h"

#include <string.h>

/* FNV-1a; a client that aims for collisions hides only its own falls-back. */
static size_t place(const struct mg_ep *ep)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < sizeof(ep->ip.s6_addr); i++)
		h = (h ^ ep->ip.s6_addr[i]) * 16777619U;
	h = (h ^ ep->port) * 16777619U;
	return (h ^ (h >> 16)) % MG_OFFERS_SLOTS;
}

void mg_offers_init(struct mg_offers *o)
{
	pthread_mutex_init(&o->lock, NULL);
	memset(o->slot, 0, sizeof(o->slot));
}

void mg_offers_note(struct mg_offers *o, const struct mg_ep *client)
{
	pthread_mutex_lock(&o->lock);
	o->slot[place(client)] = *client;
	pthread_mutex_unlock(&o->lock);
}

bool mg_offers_take(struct mg_offers *o, const struct mg_ep *client)
{
	struct mg_ep *slot = &o->slot[place(client)];
	bool noted;

	pthread_mutex_lock(&o->lock);
	noted = mg_ep_equal(slot, client);
	if (noted)
		memset(slot, 0, sizeof(*slot));
	pthread_mutex_unlock(&o->lock);
	return noted;
}
