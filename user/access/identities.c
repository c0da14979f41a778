// SPDX-License-Identifier: BSD-2-Clause
#include "access/identities.h"

#include <string.h>

#include "abi/siphash.h"

#define BUCKETS ((size_t)1 << 19)

/* No secret: what depends on the number, as the address of a pool does, and what was logged of it
 * is to be the same after a restart, and on other proxies. */
static const uint8_t key[16] = "mpgate identity";

int mg_identities_init(struct mg_identities *all)
{
	memset(all, 0, sizeof(*all));
	mg_list_init(&all->idle);
	pthread_mutex_init(&all->lock, NULL);
	return mg_index_init(&all->by_number, BUCKETS);
}

void mg_identities_free(struct mg_identities *all)
{
	if (!all->by_number.buckets)
		return;
	mg_index_for_each(at, after, &all->by_number)
		free(mg_container_of(at, struct mg_identity, node));
	mg_index_free(&all->by_number);
	pthread_mutex_destroy(&all->lock);
}

static struct mg_identity *find(const struct mg_identities *all, uint64_t number)
{
	struct mg_index_node *node = mg_index_next(&all->by_number, NULL, number);

	return node ? mg_container_of(node, struct mg_identity, node) : NULL;
}

/* Two texts of one hash: who comes second gets the next number. 0 is nobody's. */
static uint64_t choose(const struct mg_identities *all, const char *text,
		       struct mg_identity **found)
{
	uint64_t number = mg_siphash24(key, (const uint8_t *)text, (uint32_t)strlen(text));

	for (;; number++) {
		if (!number)
			continue;
		*found = find(all, number);
		if (!*found || strcmp((*found)->text, text) == 0)
			return number;
	}
}

static void forget(struct mg_identities *all, struct mg_identity *id)
{
	mg_list_remove(&id->idle);
	all->n_idle--;
	pthread_mutex_lock(&all->lock);
	mg_index_remove(&all->by_number, &id->node);
	pthread_mutex_unlock(&all->lock);
	free(id);
}

struct mg_identity *mg_identities_ref(struct mg_identities *all, struct mg_identity *id)
{
	if (id && id->refs++ == 0) {
		mg_list_remove(&id->idle);
		all->n_idle--;
	}
	return id;
}

struct mg_identity *mg_identities_get(struct mg_identities *all, const char *text)
{
	struct mg_identity *id;
	uint64_t number = choose(all, text, &id);
	size_t len = strlen(text);

	if (id)
		return mg_identities_ref(all, id);
	id = calloc(1, sizeof(*id) + len + 1);
	if (!id)
		return NULL;
	memcpy(id->text, text, len + 1);
	id->refs = 1;
	mg_list_init(&id->idle);
	pthread_mutex_lock(&all->lock);
	mg_index_add(&all->by_number, &id->node, number);
	pthread_mutex_unlock(&all->lock);
	return id;
}

void mg_identities_put(struct mg_identities *all, struct mg_identity *id)
{
	if (!id || --id->refs)
		return;
	mg_list_append(&all->idle, &id->idle);
	if (++all->n_idle > MG_IDENTITIES_IDLE_MAX)
		forget(all, mg_container_of(all->idle.next, struct mg_identity, idle));
}

const char *mg_identities_text(const struct mg_identities *all, uint64_t number)
{
	const struct mg_identity *id = find(all, number);

	return id ? id->text : NULL;
}

bool mg_identities_copy(struct mg_identities *all, uint64_t number, char *to, size_t size)
{
	const char *text;
	size_t len;

	pthread_mutex_lock(&all->lock);
	text = mg_identities_text(all, number);
	len = text ? strlen(text) : size;
	if (len < size)
		memcpy(to, text, len + 1);
	pthread_mutex_unlock(&all->lock);
	return len < size;
}

uint64_t mg_identities_number(const struct mg_identities *all, const char *text)
{
	struct mg_identity *id;

	return choose(all, text, &id);
}
