// SPDX-License-Identifier: BSD-2-Clause
#include "access/duplicates.h"

#include <string.h>
#include <sys/random.h>

#include "abi/siphash.h"

#define BUCKETS ((size_t)1 << 16)

struct answered {
	struct mg_index_node node;
	struct mg_list place;
	struct mg_ep client;
	uint64_t at_ms;
	uint8_t id;
	uint8_t authenticator[MG_RADIUS_AUTHENTICATOR_BYTES];
	uint16_t len;
	uint8_t bytes[];
};

int mg_duplicates_init(struct mg_duplicates *d)
{
	memset(d, 0, sizeof(*d));
	mg_list_init(&d->all);
	if (getrandom(d->key, sizeof(d->key), 0) != sizeof(d->key))
		return -EIO;
	return mg_index_init(&d->index, BUCKETS);
}

static void forget(struct mg_duplicates *d, struct answered *a)
{
	mg_index_remove(&d->index, &a->node);
	mg_list_remove(&a->place);
	d->n--;
	d->bytes -= a->len;
	free(a);
}

/* From the oldest on, all that may go at that time */
static void forget_old(struct mg_duplicates *d, uint64_t now_ms)
{
	for (struct mg_list *at = d->all.next, *next; at != &d->all; at = next) {
		struct answered *a = mg_container_of(at, struct answered, place);

		next = at->next;
		if (a->at_ms + MG_DUPLICATES_KEEP_MS > now_ms && d->n <= MG_DUPLICATES_MAX &&
		    d->bytes <= MG_DUPLICATES_MAX_BYTES)
			return;
		forget(d, a);
	}
}

void mg_duplicates_free(struct mg_duplicates *d)
{
	if (d->index.buckets)
		forget_old(d, UINT64_MAX);
	mg_index_free(&d->index);
}

static uint64_t hash_of(const struct mg_duplicates *d, const struct mg_ep *client, uint8_t id)
{
	uint8_t bytes[sizeof(client->ip) + sizeof(client->port) + 1];

	memcpy(bytes, &client->ip, sizeof(client->ip));
	memcpy(bytes + sizeof(client->ip), &client->port, sizeof(client->port));
	bytes[sizeof(bytes) - 1] = id;
	return mg_siphash24(d->key, bytes, sizeof(bytes));
}

static struct answered *find(const struct mg_duplicates *d, const struct mg_ep *client, uint8_t id)
{
	uint64_t number = hash_of(d, client, id);
	struct mg_index_node *at = NULL;

	while ((at = mg_index_next(&d->index, at, number))) {
		struct answered *a = mg_container_of(at, struct answered, node);

		if (a->id == id && mg_ep_equal(&a->client, client))
			return a;
	}
	return NULL;
}

struct mg_span mg_duplicates_find(struct mg_duplicates *d, const struct mg_ep *client,
				  const struct mg_radius_request *r, uint64_t now_ms)
{
	struct answered *a;

	forget_old(d, now_ms);
	a = find(d, client, r->id);
	if (!a || memcmp(a->authenticator, r->authenticator, sizeof(a->authenticator)) != 0)
		return (struct mg_span){ 0 };
	return (struct mg_span){ .data = a->bytes, .len = a->len };
}

void mg_duplicates_note(struct mg_duplicates *d, const struct mg_ep *client,
			const struct mg_radius_request *r, struct mg_span answer, uint64_t now_ms)
{
	struct answered *a = find(d, client, r->id);

	/* The identifier is used again: whoever had it has given up waiting. */
	if (a)
		forget(d, a);
	a = calloc(1, sizeof(*a) + answer.len);
	if (!a)
		return;
	a->client = *client;
	a->at_ms = now_ms;
	a->id = r->id;
	memcpy(a->authenticator, r->authenticator, sizeof(a->authenticator));
	a->len = (uint16_t)answer.len;
	memcpy(a->bytes, answer.data, answer.len);
	mg_index_add(&d->index, &a->node, hash_of(d, client, r->id));
	mg_list_append(&d->all, &a->place);
	d->n++;
	d->bytes += a->len;
	forget_old(d, now_ms);
}
