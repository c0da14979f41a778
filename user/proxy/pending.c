// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/pending.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "abi/siphash.h"
#include "base/addr.h"

#define BUCKETS_FIRST 64

struct mg_pending_entry {
	struct mg_pending_entry *next;
	struct in6_addr client;
	int count;
};

/* Hosts of one IPv6 network are one client: a /64 is what an access network gives to one. */
static struct in6_addr client_key(const struct in6_addr *client)
{
	struct in6_addr key = *client;

	if (!mg_ip_is_v4(client))
		memset(key.s6_addr + 8, 0, 8);
	return key;
}

/* Keyed, and well mixed: the clients of an access network differ in a few bits only. */
static uint64_t hash(uint64_t seed, const struct in6_addr *key)
{
	uint8_t secret[16];

	memcpy(secret, &seed, 8);
	memset(secret + 8, 0, 8);
	return mg_siphash24(secret, key->s6_addr, sizeof(key->s6_addr));
}

int mg_pending_init(struct mg_pending *p, uint64_t seed)
{
	memset(p, 0, sizeof(*p));
	p->seed = seed;
	for (size_t i = 0; i < MG_PENDING_SHARDS; i++) {
		pthread_mutex_init(&p->shard[i].lock, NULL);
		p->shard[i].n_buckets = BUCKETS_FIRST;
		p->shard[i].buckets = calloc(BUCKETS_FIRST, sizeof(struct mg_pending_entry *));
		if (!p->shard[i].buckets) {
			mg_pending_free(p);
			return -ENOMEM;
		}
	}
	return 0;
}

void mg_pending_free(struct mg_pending *p)
{
	for (size_t i = 0; i < MG_PENDING_SHARDS; i++) {
		if (!p->shard[i].buckets)
			continue;
		for (size_t b = 0; b < p->shard[i].n_buckets; b++) {
			while (p->shard[i].buckets[b]) {
				struct mg_pending_entry *e = p->shard[i].buckets[b];

				p->shard[i].buckets[b] = e->next;
				free(e);
			}
		}
		free(p->shard[i].buckets);
		p->shard[i].buckets = NULL;
		pthread_mutex_destroy(&p->shard[i].lock);
	}
}

static struct mg_pending_entry **find(struct mg_pending_entry **buckets, size_t n_buckets,
				      uint64_t h, const struct in6_addr *key)
{
	struct mg_pending_entry **at = &buckets[(h / MG_PENDING_SHARDS) % n_buckets];

	while (*at && memcmp(&(*at)->client, key, sizeof(*key)) != 0)
		at = &(*at)->next;
	return at;
}

/* Without memory the table stays as it is, only slower. */
static void grow(struct mg_pending *p, size_t shard)
{
	size_t n = p->shard[shard].n_buckets * 2;
	struct mg_pending_entry **buckets = calloc(n, sizeof(struct mg_pending_entry *));

	if (!buckets)
		return;
	for (size_t b = 0; b < p->shard[shard].n_buckets; b++) {
		struct mg_pending_entry *e = p->shard[shard].buckets[b], *next;

		for (; e; e = next) {
			struct mg_pending_entry **at;

			next = e->next;
			at = &buckets[(hash(p->seed, &e->client) / MG_PENDING_SHARDS) % n];
			e->next = *at;
			*at = e;
		}
	}
	free(p->shard[shard].buckets);
	p->shard[shard].buckets = buckets;
	p->shard[shard].n_buckets = n;
}

static int change(struct mg_pending *p, const struct in6_addr *client, int by)
{
	struct in6_addr key = client_key(client);
	uint64_t h = hash(p->seed, &key);
	size_t shard = h % MG_PENDING_SHARDS;
	struct mg_pending_entry **at, *e;
	int count;

	pthread_mutex_lock(&p->shard[shard].lock);
	at = find(p->shard[shard].buckets, p->shard[shard].n_buckets, h, &key);
	e = *at;
	if (!e && by > 0) {
		e = calloc(1, sizeof(*e));
		if (e) {
			e->client = key;
			*at = e;
			p->shard[shard].n++;
		}
	}
	if (e)
		e->count += by;
	count = e ? e->count : -ENOMEM;
	if (e && e->count <= 0) {
		*at = e->next;
		free(e);
		p->shard[shard].n--;
	}
	if (p->shard[shard].n > p->shard[shard].n_buckets)
		grow(p, shard);
	pthread_mutex_unlock(&p->shard[shard].lock);
	return count;
}

int mg_pending_take(struct mg_pending *p, const struct in6_addr *client)
{
	return change(p, client, 1);
}

void mg_pending_release(struct mg_pending *p, const struct in6_addr *client)
{
	change(p, client, -1);
}

int mg_pending_count(struct mg_pending *p, const struct in6_addr *client)
{
	int count = change(p, client, 0);

	return count < 0 ? 0 : count;
}
