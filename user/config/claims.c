// SPDX-License-Identifier: BSD-2-Clause
/* Who a prefix belongs to: a hash table, as there may be a million of them. */
#include "config/policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	struct in6_addr ip;
	uint32_t owner;
	uint16_t first, last;
	uint8_t len;
	bool used;
};

struct mg_claims {
	struct slot *slots;
	size_t n, used; /* n: a power of 2, or 0 */
};

struct mg_claims *mg_claims_new(void)
{
	return calloc(1, sizeof(struct mg_claims));
}

void mg_claims_free(struct mg_claims *o)
{
	if (o)
		free(o->slots);
	free(o);
}

static size_t hash(const struct slot *s)
{
	uint64_t high, low, h;

	memcpy(&high, s->ip.s6_addr, 8);
	memcpy(&low, s->ip.s6_addr + 8, 8);
	h = (high ^ s->len) * 0x9e3779b97f4a7c15ULL;
	h = (h ^ (h >> 29) ^ low) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ (h >> 32) ^ ((uint64_t)s->first << 16) ^ s->last) * 0x94d049bb133111ebULL;
	return (size_t)(h ^ (h >> 31));
}

static struct slot *find(const struct mg_claims *o, const struct slot *like)
{
	size_t at = hash(like) & (o->n - 1);

	/* Never full: grown before three quarters are. */
	for (;; at = (at + 1) & (o->n - 1)) {
		struct slot *s = &o->slots[at];

		if (!s->used || (s->len == like->len && mg_ip_equal(&s->ip, &like->ip) &&
				 s->first == like->first && s->last == like->last))
			return s;
	}
}

static int grow(struct mg_claims *o, size_t want)
{
	struct mg_claims next = { .n = o->n ? o->n : 64, .used = o->used };

	while (want * 4 > next.n * 3)
		next.n *= 2;
	if (next.n == o->n)
		return 0;
	next.slots = calloc(next.n, sizeof(*next.slots));
	if (!next.slots)
		return -ENOMEM;
	for (size_t i = 0; i < o->n; i++) {
		if (o->slots[i].used)
			*find(&next, &o->slots[i]) = o->slots[i];
	}
	free(o->slots);
	*o = next;
	return 0;
}

void mg_claims_expect(struct mg_reading *r, size_t more)
{
	if (!r->err)
		r->err = grow(r->claims, r->claims->used + more);
}

uint32_t mg_claim_prefix(struct mg_reading *r, const struct mg_prefix *prefix, uint16_t first,
			 uint16_t last, uint32_t owner)
{
	struct slot new = { prefix->ip, owner, first, last, prefix->len, true };
	struct mg_claims *o = r->claims;
	struct slot *s;

	mg_claims_expect(r, 1);
	if (r->err)
		return MG_UNCLAIMED;
	s = find(o, &new);
	if (s->used)
		return s->owner;
	*s = new;
	o->used++;
	return MG_UNCLAIMED;
}
