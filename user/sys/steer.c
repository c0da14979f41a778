// SPDX-License-Identifier: BSD-2-Clause
#include "sys/steer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "sys/dp_maps.h"
#include "sys/steer_maps.h"

#define KEY_MAX 32

static int put(int map, const void *key, const void *value)
{
	return bpf_map_update_elem(map, key, value, BPF_ANY) ? -errno : 0;
}

static int put_at(int map, uint32_t at, const void *value)
{
	return put(map, &at, value);
}

static int get_at(int map, uint32_t at, void *value)
{
	return bpf_map_lookup_elem(map, &at, value) ? -errno : 0;
}

/* ---- entries by number ----------------------------------------------------------------------- */
int mg_steer_set_gateway(struct mg_steer *s, const struct mg_gateway *g)
{
	struct mg_gateway now, next = *g;
	int err = get_at(s->gateway, 0, &now);

	if (err)
		return err;
	next.n_rules = now.n_rules;
	return put_at(s->gateway, 0, &next);
}

int mg_steer_set_proxy(struct mg_steer *s, uint16_t proxy, const struct mg_steer_proxy *p)
{
	return proxy && proxy < MG_PROXIES_MAX ? put_at(s->proxies, proxy, p) : -EINVAL;
}

int mg_steer_get_proxy(const struct mg_steer *s, uint16_t proxy, struct mg_steer_proxy *p)
{
	return proxy && proxy < MG_PROXIES_MAX ? get_at(s->proxies, proxy, p) : -EINVAL;
}

int mg_steer_set_group(struct mg_steer *s, uint16_t group, const struct mg_steer_group *g)
{
	return group && group < MG_GROUPS_MAX ? put_at(s->groups, group, g) : -EINVAL;
}

int mg_steer_get_group(const struct mg_steer *s, uint16_t group, struct mg_steer_group *g)
{
	return group && group < MG_GROUPS_MAX ? get_at(s->groups, group, g) : -EINVAL;
}

struct mg_slot *mg_steer_ring(struct mg_steer *s, uint16_t group)
{
	return group && group <= s->n_rings ? s->ring + (size_t)group * MG_RING_SLOTS : NULL;
}

/* ---- sets ------------------------------------------------------------------------------------ */
struct set {
	int map;
	size_t key_bytes, value_bytes, n;
	const unsigned char *keys, *values;
	size_t max; /* entries a set may have */
};

static bool has_key(const struct set *set, const void *key)
{
	for (size_t i = 0; i < set->n; i++)
		if (!memcmp(set->keys + i * set->key_bytes, key, set->key_bytes))
			return true;
	return false;
}

/* Deleting while walking restarts a walk: the keys to go are collected first. */
static int remove_unlisted(const struct set *set)
{
	unsigned char key[KEY_MAX], *last = NULL, *gone = calloc(set->max * 2, set->key_bytes);
	size_t n = 0;
	int err = 0;

	if (!gone)
		return -ENOMEM;
	while (n < set->max * 2 && !bpf_map_get_next_key(set->map, last, key)) {
		if (!has_key(set, key))
			memcpy(gone + n++ * set->key_bytes, key, set->key_bytes);
		last = key;
	}
	for (size_t i = 0; i < n && !err; i++)
		if (bpf_map_delete_elem(set->map, gone + i * set->key_bytes) && errno != ENOENT)
			err = -errno;
	free(gone);
	return err;
}

/* What is in both sets is at no moment missing. */
static int replace(const struct set *set)
{
	int err = 0;

	if (set->n > set->max)
		return -E2BIG;
	for (size_t i = 0; i < set->n && !err; i++)
		err = put(set->map, set->keys + i * set->key_bytes,
			  set->values + i * set->value_bytes);
	return err ? err : remove_unlisted(set);
}

/* Keys and values are made by who calls, `keys` NULL if there was no memory. */
static int replace_with(int map, void *keys, size_t key_bytes, void *values, size_t value_bytes,
			size_t n, size_t max)
{
	struct set set = {
		.map = map,
		.key_bytes = key_bytes,
		.value_bytes = value_bytes,
		.n = n,
		.keys = keys,
		.values = values,
		.max = max,
	};
	int err = keys && values ? replace(&set) : -ENOMEM;

	free(keys);
	free(values);
	return err;
}

static void *array_of(size_t n, size_t bytes)
{
	return calloc(n + 1, bytes);
}

static uint32_t *widened(const uint16_t *from, size_t n)
{
	uint32_t *to = array_of(n, sizeof(*to));

	for (size_t i = 0; to && i < n; i++)
		to[i] = from[i];
	return to;
}

/* Each twice: with its port, and the address alone. */
int mg_steer_set_virtual(struct mg_steer *s, const struct mg_ep *eps, const uint16_t *groups,
			 size_t n)
{
	struct mg_endpoint *keys = array_of(2 * n, sizeof(*keys));
	uint32_t *values = array_of(2 * n, sizeof(*values));

	for (size_t i = 0; keys && values && i < n; i++) {
		mg_endpoint_from_ep(&keys[i], &eps[i]);
		keys[n + i] = keys[i];
		keys[n + i].port = 0;
		values[i] = groups[i];
	}
	return replace_with(s->virtuals, keys, sizeof(*keys), values, sizeof(*values), 2 * n,
			    2 * (size_t)MG_VIRTUAL_MAX);
}

int mg_steer_set_neighbours(struct mg_steer *s, const struct mg_neighbour *at,
			    const uint16_t *proxies, size_t n)
{
	struct mg_neighbour *keys = array_of(n, sizeof(*keys));

	for (size_t i = 0; keys && i < n; i++) {
		keys[i] = at[i];
		memset(keys[i].pad, 0, sizeof(keys[i].pad));
	}
	return replace_with(s->neighbours, keys, sizeof(*keys), widened(proxies, n),
			    sizeof(uint32_t), n, MG_NEIGHBOURS_MAX);
}

static uint8_t *ones(size_t n)
{
	uint8_t *values = array_of(n, sizeof(*values));

	if (values)
		memset(values, 1, n);
	return values;
}

int mg_steer_set_mine(struct mg_steer *s, const struct in6_addr *ips, size_t n)
{
	struct in6_addr *keys = array_of(n, sizeof(*keys));

	if (keys && n)
		memcpy(keys, ips, n * sizeof(*keys));
	return replace_with(s->mine, keys, sizeof(*keys), ones(n), 1, n, MG_MINE_MAX);
}

/* The trie keeps the bits behind the prefix as they are given, and a walk gives them back. */
static void peer_key(struct mg_peer_key *key, const struct mg_prefix *from)
{
	*key = (struct mg_peer_key){ .bits = from->len > 128 ? 128 : from->len };
	for (uint32_t i = 0; i < key->bits; i++)
		key->ip[i / 8] |= from->ip.s6_addr[i / 8] & (uint8_t)(0x80 >> i % 8);
}

int mg_steer_set_peers(struct mg_steer *s, const struct mg_prefix *from, size_t n)
{
	struct mg_peer_key *keys = array_of(n, sizeof(*keys));

	for (size_t i = 0; keys && i < n; i++)
		peer_key(&keys[i], &from[i]);
	return replace_with(s->peers, keys, sizeof(*keys), ones(n), 1, n, MG_GATEWAYS_MAX);
}

/* ---- rules, the first that fits decides ------------------------------------------------------ */
static int put_rules(struct mg_steer *s, uint32_t at, const struct mg_rule *rules, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = put_at(s->rules, at + (uint32_t)i, &rules[i]);
	return err;
}

static int set_n_rules(struct mg_steer *s, size_t n)
{
	struct mg_gateway g;
	int err = get_at(s->gateway, 0, &g);

	g.n_rules = (uint16_t)n;
	return err ? err : put_at(s->gateway, 0, &g);
}

/*
 * While the head of the list is rewritten, the whole new one stands behind it, if there is room.
 */
int mg_steer_set_rules(struct mg_steer *s, const struct mg_rule *rules, size_t n)
{
	struct mg_gateway g;
	int err = get_at(s->gateway, 0, &g);

	if (n > MG_RULES_MAX)
		return -E2BIG;
	if (!err && g.n_rules + n <= MG_RULES_MAX) {
		err = put_rules(s, g.n_rules, rules, n);
		if (!err)
			err = set_n_rules(s, g.n_rules + n);
	}
	if (!err)
		err = put_rules(s, 0, rules, n);
	return err ? err : set_n_rules(s, n);
}

/* ---- tokens ---------------------------------------------------------------------------------- */
int mg_steer_push(struct mg_steer *s, uint32_t token, const struct mg_owners *owners)
{
	int err;

	if (owners) {
		err = put(s->pushed, &token, owners);
		return err == -E2BIG ? -ENOSPC : err;
	}
	return bpf_map_delete_elem(s->pushed, &token) && errno != ENOENT ? -errno : 0;
}

int mg_steer_find(const struct mg_steer *s, bool learned, uint32_t token, struct mg_owners *owners)
{
	return bpf_map_lookup_elem(learned ? s->learned : s->pushed, &token, owners) ? -errno : 0;
}

struct each_token {
	void (*fn)(void *ctx, uint32_t token, const struct mg_owners *owners);
	void *ctx;
};

static int each_token(void *ctx, const void *key, const void *value)
{
	const struct each_token *e = ctx;
	struct mg_owners owners;
	uint32_t token;

	memcpy(&token, key, sizeof(token));
	memcpy(&owners, value, sizeof(owners));
	e->fn(e->ctx, token, &owners);
	return 0;
}

int mg_steer_each(const struct mg_steer *s, bool learned,
		  void (*fn)(void *ctx, uint32_t token, const struct mg_owners *owners), void *ctx)
{
	struct each_token e = { .fn = fn, .ctx = ctx };

	return mg_map_each(learned ? s->learned : s->pushed, each_token, &e);
}

int mg_steer_counters_read(const struct mg_steer *s, uint64_t out[MG_STEER_COUNTER_COUNT])
{
	return mg_map_sum(s->stats, s->n_cpus, out, MG_STEER_COUNTER_COUNT);
}
