// SPDX-License-Identifier: BSD-2-Clause
/* Prefixes of subscribers and access networks, by the million, and the lengths they come in. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/policy_tables.h"

#define V4_BITS	 96 /* of IPv4-mapped addresses, before the address begins */
#define ALL_BITS 128

enum mg_family mg_policy_key(struct mg_prefix_key *key, enum mg_table table,
			     const struct mg_prefix *prefix)
{
	size_t bytes = prefix->len / 8, bits = prefix->len % 8;

	*key = (struct mg_prefix_key){ .table = (uint8_t)table, .bits = prefix->len };
	memcpy(key->ip, &prefix->ip, bytes);
	if (bits)
		key->ip[bytes] = prefix->ip.s6_addr[bytes] & (uint8_t)(0xff00U >> bits);
	return prefix->len >= V4_BITS && mg_ip_is_v4(&prefix->ip) ? MG_FAMILY_V4 : MG_FAMILY_V6;
}

/* ---- each once ------------------------------------------------------------------------------- */

struct seen {
	uint32_t *slots; /* place in keys, plus 1; 0: empty */
	uint32_t mask;
};

static int seen_init(struct seen *seen, size_t n)
{
	uint32_t size = 16;

	while (size < 2 * n)
		size *= 2;
	seen->mask = size - 1;
	seen->slots = calloc(size, sizeof(*seen->slots));
	return seen->slots ? 0 : -ENOMEM;
}

/* Prefixes of a network differ in a few bits of one byte: each bit has to move all others. */
static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdULL;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return h ^ h >> 33;
}

static uint32_t hash(const struct mg_prefix_key *key)
{
	uint64_t word[2];

	memcpy(word, key->ip, sizeof(word));
	return (uint32_t)mix(mix(word[0] ^ ((uint64_t)key->bits << 8 | key->table)) ^ word[1]);
}

/* What was listed first stays. */
static void put_once(struct mg_policy_tables *t, struct seen *seen, const struct mg_prefix_key *key,
		     uint32_t number)
{
	uint32_t at = hash(key) & seen->mask;

	while (seen->slots[at]) {
		if (!memcmp(&t->keys[seen->slots[at] - 1], key, sizeof(*key)))
			return;
		at = (at + 1) & seen->mask;
	}
	mg_policy_put(t, key, (struct mg_prefix_value){ .number = number });
	seen->slots[at] = (uint32_t)t->n_prefixes;
}

static void put_all(struct mg_policy_tables *t, struct seen *seen, enum mg_table table,
		    const struct mg_prefix *prefixes, size_t n, uint32_t number)
{
	struct mg_prefix_key key;

	for (size_t i = 0; i < n; i++) {
		mg_policy_key(&key, table, &prefixes[i]);
		put_once(t, seen, &key, number);
	}
}

/* ---- lengths --------------------------------------------------------------------------------- */

static const char *const table_names[MG_TABLE_COUNT] = { "subscribers", "services",
							 "access_networks" };

static enum mg_family family_of(const struct mg_prefix_key *key)
{
	struct mg_prefix_key masked;
	struct mg_prefix prefix = { .len = key->bits };

	memcpy(&prefix.ip, key->ip, sizeof(prefix.ip));
	return mg_policy_key(&masked, (enum mg_table)key->table, &prefix);
}

static int set_lengths(struct mg_policy_tables *t, char why[MG_POLICY_WHY])
{
	static const bool none[MG_TABLE_COUNT][MG_FAMILY_COUNT][ALL_BITS + 1];
	bool used[MG_TABLE_COUNT][MG_FAMILY_COUNT][ALL_BITS + 1];

	memcpy(used, none, sizeof(used));
	for (size_t i = 0; i < t->n_prefixes; i++)
		used[t->keys[i].table][family_of(&t->keys[i])][t->keys[i].bits] = true;
	for (int at = 0; at < MG_TABLE_COUNT * MG_FAMILY_COUNT; at++) {
		int table = at / MG_FAMILY_COUNT, family = at % MG_FAMILY_COUNT;
		struct mg_lengths *l = &t->set.lengths[table][family];

		for (int bits = ALL_BITS; bits >= 0; bits--) {
			if (!used[table][family][bits])
				continue;
			if (l->n == MG_LENGTHS_MAX) {
				snprintf(why, MG_POLICY_WHY,
					 "%s: IPv6 prefixes of more than %d different lengths",
					 table_names[table], MG_LENGTHS_MAX);
				return -E2BIG;
			}
			l->bits[l->n++] = (uint8_t)bits;
		}
	}
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static size_t count(const struct mg_config_policies *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_subscribers; i++)
		n += p->subscribers[i].n_prefixes;
	for (size_t i = 0; i < p->n_services; i++)
		n += p->services[i].n_match;
	for (size_t i = 0; i < p->n_access; i++)
		n += p->access[i].n_prefixes;
	return n;
}

static int make_room(struct mg_policy_tables *t, size_t n, char why[MG_POLICY_WHY])
{
	if (n > MG_PREFIXES_MAX) {
		snprintf(why, MG_POLICY_WHY,
			 "%zu prefixes of subscribers, services and access networks, %d at most", n,
			 MG_PREFIXES_MAX);
		return -E2BIG;
	}
	t->max_prefixes = n;
	t->keys = malloc((n + 1) * sizeof(*t->keys));
	t->values = malloc((n + 1) * sizeof(*t->values));
	return t->keys && t->values ? 0 : -ENOMEM;
}

int mg_policy_prefixes(struct mg_policy_tables *t, const struct mg_config_policies *p,
		       char why[MG_POLICY_WHY])
{
	struct seen seen = { 0 };
	size_t n = count(p);
	int err = make_room(t, n, why);

	if (!err)
		err = seen_init(&seen, n);
	for (size_t i = 0; !err && i < p->n_subscribers; i++)
		put_all(t, &seen, MG_TABLE_CLASS, p->subscribers[i].prefixes,
			p->subscribers[i].n_prefixes, t->numbers[MG_KIND_CLASS][i]);
	for (size_t i = 0; !err && i < p->n_access; i++)
		put_all(t, &seen, MG_TABLE_ACCESS, p->access[i].prefixes, p->access[i].n_prefixes,
			t->numbers[MG_KIND_ACCESS][i]);
	free(seen.slots);
	if (!err)
		err = mg_policy_services(t, p, why);
	return err ? err : set_lengths(t, why);
}
