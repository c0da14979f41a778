// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/siphash.h"

/* So often a slot without a taker looks at other slots, then at the members by name. */
#define DRAWS_MAX 4096

/* One that has slots to get: its walk through a list of `size` places, size a prime or less. */
struct walker {
	uint16_t member; /* by name, from 0 */
	uint32_t weight;
	uint64_t credit;
	uint64_t hash[2];
	uint32_t at, skip;
};

struct fill {
	const struct mg_ring_member **by_name; /* those with a weight */
	size_t n;
	uint32_t weight_max;
	struct walker *walkers;
	uint16_t *first;  /* the ring with everybody taking: a member's place in by_name */
	uint16_t *second; /* the same of those places whose owner does not take, else NOBODY */
	uint32_t *list;	  /* the slots that are being filled */
};

#define NOBODY UINT16_MAX

static uint64_t hash_name(const char *name, uint8_t which)
{
	const uint8_t key[16] = { 'm', 'p', 'g', 'a', 't', 'e', ' ', 'r', 'i', 'n', 'g', which };

	return mg_siphash24(key, (const uint8_t *)name, (uint32_t)strlen(name));
}

/* Spreads the bits of a number that is a hash already, or nearly (splitmix64). */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static uint32_t prime_from(uint32_t n)
{
	for (;; n++) {
		uint32_t d = 2;

		while (d * d <= n && n % d)
			d++;
		if (n >= 2 && d * d > n)
			return n;
	}
}

/*
 * Maglev's table over the `size` slots of f->list: in turns, each walker takes the next place of
 * its own permutation that is free still; one of half the weight takes a turn of two. `salt` sets
 * who begins, so that what does not divide evenly goes to others each time.
 */
static void maglev(struct fill *f, uint16_t *table, uint32_t size, size_t n_walkers, uint64_t salt)
{
	uint32_t prime = prime_from(size), left = size;
	size_t turn = n_walkers ? mix(salt) % n_walkers : 0;

	for (size_t i = 0; i < n_walkers; i++) {
		struct walker *w = &f->walkers[i];

		w->at = (uint32_t)(w->hash[0] % prime);
		w->skip = prime > 2 ? (uint32_t)(w->hash[1] % (prime - 1)) + 1 : 1;
		w->credit = mix(w->hash[0] ^ salt) % f->weight_max;
	}
	for (; n_walkers && left; turn = turn + 1 == n_walkers ? 0 : turn + 1) {
		struct walker *w = &f->walkers[turn];

		w->credit += w->weight;
		if (w->credit < f->weight_max)
			continue;
		w->credit -= f->weight_max;
		while (w->at >= size || table[f->list[w->at]] != NOBODY)
			w->at = (w->at + w->skip) % prime;
		table[f->list[w->at]] = w->member;
		left--;
	}
}

static size_t set_walkers(struct fill *f, size_t without)
{
	size_t n = 0;

	f->weight_max = 1;
	for (size_t i = 0; i < f->n; i++) {
		const struct mg_ring_member *m = f->by_name[i];

		if (i == without)
			continue;
		f->walkers[n++] = (struct walker){
			.member = (uint16_t)i,
			.weight = m->weight,
			.hash = { hash_name(m->name, 1), hash_name(m->name, 2) },
		};
		if (m->weight > f->weight_max)
			f->weight_max = m->weight;
	}
	return n;
}

/* What each slot of a member falls to when that takes none: a ring of its slots and the others. */
static void fill_second(struct fill *f, size_t without)
{
	uint32_t size = 0;

	for (uint32_t slot = 0; slot < MG_RING_SLOTS; slot++) {
		if (f->first[slot] == without)
			f->list[size++] = slot;
	}
	maglev(f, f->second, size, set_walkers(f, without),
	       hash_name(f->by_name[without]->name, 3));
}

static bool takes(const struct fill *f, uint16_t member)
{
	return member != NOBODY && f->by_name[member]->takes;
}

/* Neither the first nor the second takes: the owner of a slot drawn by lot, which gives each its
 * share. Last, by name: who has next to no slots is hard to draw. */
static uint16_t draw(const struct fill *f, uint32_t slot)
{
	for (uint64_t i = 0; i < DRAWS_MAX; i++) {
		uint64_t lot = mix(i << 32 | slot) >> 32;
		uint16_t m = f->first[lot * MG_RING_SLOTS >> 32];

		if (takes(f, m))
			return m;
	}
	for (size_t i = 0; i < f->n; i++) {
		size_t at = (slot + i) % f->n;

		if (f->by_name[at]->takes)
			return (uint16_t)at;
	}
	return NOBODY;
}

/*
 * Every slot has one order of all members, whatever their states, and belongs to the first in it
 * that takes. So no change of one member's state can move a slot between two others.
 */
static void settle(const struct fill *f, uint16_t *owners)
{
	for (uint32_t slot = 0; slot < MG_RING_SLOTS; slot++) {
		uint16_t m = f->first[slot];

		if (!takes(f, m))
			m = f->second[slot];
		if (!takes(f, m))
			m = draw(f, slot);
		owners[slot] = f->by_name[m]->proxy;
	}
}

static int by_name(const void *a, const void *b)
{
	const struct mg_ring_member *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static bool anybody(struct fill *f, const struct mg_ring_member *members, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (!members[i].weight)
			continue;
		f->by_name[f->n++] = &members[i];
		any |= members[i].takes;
	}
	qsort(f->by_name, f->n, sizeof(struct mg_ring_member *), by_name);
	return any;
}

static void fill(struct fill *f, uint16_t *owners)
{
	for (uint32_t slot = 0; slot < MG_RING_SLOTS; slot++) {
		f->list[slot] = slot;
		f->first[slot] = f->second[slot] = NOBODY;
	}
	maglev(f, f->first, MG_RING_SLOTS, set_walkers(f, SIZE_MAX), 0);
	for (size_t i = 0; i < f->n; i++) {
		if (!f->by_name[i]->takes)
			fill_second(f, i);
	}
	settle(f, owners);
}

int mg_ring_fill(uint16_t *owners, const struct mg_ring_member *members, size_t n)
{
	struct fill f = {
		.by_name = calloc(n + 1, sizeof(struct mg_ring_member *)),
		.walkers = calloc(n + 1, sizeof(struct walker)),
		.first = malloc(MG_RING_SLOTS * sizeof(uint16_t)),
		.second = malloc(MG_RING_SLOTS * sizeof(uint16_t)),
		.list = malloc(MG_RING_SLOTS * sizeof(uint32_t)),
	};
	int err = 0;

	if (!f.by_name || !f.walkers || !f.first || !f.second || !f.list)
		err = -ENOMEM;
	else if (anybody(&f, members, n))
		fill(&f, owners);
	else
		memset(owners, 0, MG_RING_SLOTS * sizeof(uint16_t));
	free(f.by_name);
	free(f.walkers);
	free(f.first);
	free(f.second);
	free(f.list);
	return err;
}

/* The eight bytes at once: XDP reads them meanwhile. */
static void store_slot(struct mg_slot *to, struct mg_slot slot)
{
	uint64_t whole;

	memcpy(&whole, &slot, sizeof(whole));
	__atomic_store_n((uint64_t *)to, whole, __ATOMIC_RELAXED);
}

size_t mg_ring_apply(struct mg_slot *slots, const uint16_t *owners, uint32_t now_s)
{
	size_t changed = 0;

	for (uint32_t i = 0; i < MG_RING_SLOTS; i++) {
		struct mg_slot slot = slots[i];

		if (slot.current == owners[i])
			continue;
		/* Nobody is no owner to remember: the one before may have sessions still. */
		if (slot.current)
			slot.previous = slot.current;
		slot.current = owners[i];
		slot.changed_s = now_s;
		store_slot(&slots[i], slot);
		changed++;
	}
	return changed;
}
