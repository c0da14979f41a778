// SPDX-License-Identifier: BSD-2-Clause
/*
 * Services: what each of their prefixes says about each port, those around it included. Prefixes
 * are visited in an order in which every one comes after what is around it, and builds on what that
 * one says.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/policy_tables.h"

#define PORTS  65536U
#define DEPTHS 129 /* prefixes around each other */

struct match {
	struct mg_prefix_key key;
	enum mg_family family;
	uint16_t first, last;
	uint32_t service;
	uint32_t order; /* in the file */
};

/* One of those that are around the next prefix, or are it */
struct around {
	struct mg_prefix_key key;
	enum mg_family family;
	struct mg_prefix_value ranges;
};

struct merge {
	struct mg_policy_tables *t;
	struct match *all;
	size_t n;
	struct around around[DEPTHS];
	size_t depth;
	/* Of one prefix: where what holds for a port changes, what holds from there on, and the
	 * next place that nothing holds for */
	uint32_t *at, *service, *next;
	size_t n_at;
};

static int compare(const void *one, const void *other)
{
	const struct match *a = one, *b = other;
	int by_ip = memcmp(a->key.ip, b->key.ip, sizeof(a->key.ip));
	int a_ports = a->last - a->first, b_ports = b->last - b->first;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (by_ip)
		return by_ip;
	if (a->key.bits != b->key.bits)
		return a->key.bits < b->key.bits ? -1 : 1;
	if (a_ports != b_ports)
		return a_ports < b_ports ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int collect(struct merge *m, const struct mg_config_policies *p)
{
	size_t total = 0;

	for (size_t i = 0; i < p->n_services; i++)
		total += p->services[i].n_match;
	m->all = calloc(total + 1, sizeof(*m->all));
	if (!m->all)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_services; i++) {
		for (size_t j = 0; j < p->services[i].n_match; j++) {
			const struct mg_config_match *from = &p->services[i].match[j];
			struct match *to = &m->all[m->n];

			to->family = mg_policy_key(&to->key, MG_TABLE_SERVICE, &from->prefix);
			to->first = from->first;
			to->last = from->last;
			to->service = m->t->numbers[MG_KIND_SERVICE][i];
			to->order = (uint32_t)m->n++;
		}
	}
	qsort(m->all, m->n, sizeof(*m->all), compare);
	return 0;
}

static bool is_around(const struct around *a, const struct match *match)
{
	struct mg_prefix outer = { .len = a->key.bits };
	struct mg_prefix_key masked;

	memcpy(&outer.ip, match->key.ip, sizeof(outer.ip));
	if (a->family != match->family || a->key.bits > match->key.bits)
		return false;
	mg_policy_key(&masked, MG_TABLE_SERVICE, &outer);
	return !memcmp(&masked, &a->key, sizeof(masked));
}

/* ---- the ports of one prefix ----------------------------------------------------------------- */

static int compare_ports(const void *one, const void *other)
{
	const uint32_t *a = one, *b = other;

	return *a < *b ? -1 : *a > *b;
}

static void note(struct merge *m, uint16_t first, uint16_t last)
{
	m->at[m->n_at++] = first;
	m->at[m->n_at++] = last + 1U;
}

/* The place of a port that is noted */
static uint32_t place_of(const struct merge *m, uint32_t port)
{
	size_t low = 0, high = m->n_at;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (m->at[middle] < port)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t)low;
}

static uint32_t next_empty(struct merge *m, uint32_t place)
{
	while (m->next[place] != place)
		place = m->next[place] = m->next[m->next[place]];
	return place;
}

/* Where nothing holds yet: so the better ones come first. */
static void fill(struct merge *m, uint16_t first, uint16_t last, uint32_t service)
{
	uint32_t place = next_empty(m, place_of(m, first));

	while (place < m->n_at && m->at[place] <= last) {
		m->service[place] = service;
		m->next[place] = place + 1;
		place = next_empty(m, place);
	}
}

static int make_places(struct merge *m, const struct match *own, size_t n,
		       const struct mg_port_range *outer, size_t n_outer)
{
	size_t room = 2 * (n + n_outer) + 1, kept = 0;

	m->n_at = 0;
	m->at = calloc(room, sizeof(*m->at));
	m->service = calloc(room, sizeof(*m->service));
	m->next = calloc(room, sizeof(*m->next));
	if (!m->at || !m->service || !m->next)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		note(m, own[i].first, own[i].last);
	for (size_t i = 0; i < n_outer; i++)
		note(m, outer[i].first, outer[i].last);
	qsort(m->at, m->n_at, sizeof(*m->at), compare_ports);
	for (size_t i = 0; i < m->n_at; i++)
		if (!kept || m->at[i] != m->at[kept - 1])
			m->at[kept++] = m->at[i];
	m->n_at = kept;
	for (uint32_t i = 0; i <= m->n_at; i++)
		m->next[i] = i;
	return 0;
}

static void free_places(struct merge *m)
{
	free(m->at);
	free(m->service);
	free(m->next);
	m->at = m->service = m->next = NULL;
}

static int append(struct mg_policy_tables *t, uint32_t from, uint32_t to, uint32_t service,
		  bool may_extend)
{
	struct mg_port_range *last = t->ranges + t->n_ranges - 1;

	if (may_extend && last->service == service && last->last + 1U == from) {
		last->last = (uint16_t)(to - 1);
		return 0;
	}
	if (t->n_ranges == MG_PORT_RANGES_MAX)
		return -E2BIG;
	t->ranges[t->n_ranges++] = (struct mg_port_range){ .first = (uint16_t)from,
							   .last = (uint16_t)(to - 1),
							   .service = service };
	return 0;
}

static int write_ranges(struct merge *m, struct mg_prefix_value *out)
{
	struct mg_policy_tables *t = m->t;
	int err = 0;

	out->number = (uint32_t)t->n_ranges;
	for (size_t i = 0; !err && i + 1 < m->n_at; i++)
		if (m->service[i])
			err = append(t, m->at[i], m->at[i + 1], m->service[i],
				     t->n_ranges > out->number);
	out->n = (uint32_t)t->n_ranges - out->number;
	return err;
}

/* n matches of one prefix, the best first */
static int add_prefix(struct merge *m, const struct match *own, size_t n)
{
	const struct mg_port_range *outer = NULL;
	struct around *a;
	size_t n_outer = 0;
	int err;

	while (m->depth && !is_around(&m->around[m->depth - 1], own))
		m->depth--;
	if (m->depth) {
		outer = m->t->ranges + m->around[m->depth - 1].ranges.number;
		n_outer = m->around[m->depth - 1].ranges.n;
	}
	err = make_places(m, own, n, outer, n_outer);
	for (size_t i = 0; !err && i < n; i++)
		fill(m, own[i].first, own[i].last, own[i].service);
	for (size_t i = 0; !err && i < n_outer; i++)
		fill(m, outer[i].first, outer[i].last, outer[i].service);
	a = &m->around[m->depth++];
	*a = (struct around){ .key = own->key, .family = own->family };
	if (!err)
		err = write_ranges(m, &a->ranges);
	free_places(m);
	if (!err)
		mg_policy_put(m->t, &own->key, a->ranges);
	return err;
}

int mg_policy_services(struct mg_policy_tables *t, const struct mg_config_policies *p,
		       char why[MG_POLICY_WHY])
{
	struct merge m = { .t = t };
	int err = collect(&m, p);

	t->ranges = err ? NULL : calloc(MG_PORT_RANGES_MAX, sizeof(*t->ranges));
	if (!t->ranges)
		err = -ENOMEM;
	for (size_t i = 0, n; !err && i < m.n; i += n) {
		for (n = 1; i + n < m.n &&
			    !memcmp(&m.all[i].key, &m.all[i + n].key, sizeof(m.all[i].key));)
			n++;
		err = add_prefix(&m, &m.all[i], n);
	}
	if (err == -E2BIG)
		snprintf(why, MG_POLICY_WHY,
			 "services: more than %d ranges of ports, with those of prefixes around "
			 "each prefix",
			 MG_PORT_RANGES_MAX);
	free(m.all);
	return err;
}
