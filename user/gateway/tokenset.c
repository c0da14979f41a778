// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/tokenset.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_FIRST 256
/* Places are 32 bits, one more than the last of the tokens. */
#define ROOM_MAX (1U << 30)

void mg_tokenset_init(struct mg_tokenset *s)
{
	*s = (struct mg_tokenset){ .secret = arc4random() };
}

void mg_tokenset_free(struct mg_tokenset *s)
{
	free(s->tokens);
	free(s->places);
	mg_tokenset_init(s);
}

/* The finalizer of MurmurHash3 */
static size_t home(const struct mg_tokenset *s, uint32_t token)
{
	uint32_t h = token ^ s->secret;

	h = (h ^ h >> 16) * 0x85ebca6bU;
	h = (h ^ h >> 13) * 0xc2b2ae35U;
	h ^= h >> 16;
	return h & (s->room * 2 - 1);
}

static size_t next(const struct mg_tokenset *s, size_t at)
{
	return (at + 1) & (s->room * 2 - 1);
}

/* Where it is, or would be put */
static size_t find(const struct mg_tokenset *s, uint32_t token)
{
	size_t at = home(s, token);

	while (s->places[at] && s->tokens[s->places[at] - 1] != token)
		at = next(s, at);
	return at;
}

bool mg_tokenset_has(const struct mg_tokenset *s, uint32_t token)
{
	return s->room && s->places[find(s, token)];
}

static int grow(struct mg_tokenset *s)
{
	struct mg_tokenset bigger = *s;

	if (s->room == ROOM_MAX)
		return -ENOMEM;
	bigger.room = s->room ? s->room * 2 : ROOM_FIRST;
	bigger.places = calloc(bigger.room * 2, sizeof(*bigger.places));
	if (!bigger.places)
		return -ENOMEM;
	bigger.tokens = realloc(s->tokens, bigger.room * sizeof(*bigger.tokens));
	if (!bigger.tokens) {
		free(bigger.places);
		return -ENOMEM;
	}
	for (size_t i = 0; i < s->n; i++)
		bigger.places[find(&bigger, bigger.tokens[i])] = (uint32_t)i + 1;
	free(s->places);
	s->places = bigger.places;
	s->tokens = bigger.tokens;
	s->room = bigger.room;
	return 0;
}

int mg_tokenset_add(struct mg_tokenset *s, uint32_t token)
{
	size_t at;

	if (s->n == s->room && !mg_tokenset_has(s, token)) {
		int err = grow(s);

		if (err)
			return err;
	}
	at = find(s, token);
	if (s->places[at])
		return 0;
	s->tokens[s->n++] = token;
	s->places[at] = (uint32_t)s->n;
	return 1;
}

/* Closes the gap: what lies behind it and belongs before it moves up. */
static void close_gap(struct mg_tokenset *s, size_t gap)
{
	size_t mask = s->room * 2 - 1;

	for (size_t at = next(s, gap); s->places[at]; at = next(s, at)) {
		size_t wants = home(s, s->tokens[s->places[at] - 1]);

		if (((at - wants) & mask) < ((at - gap) & mask))
			continue;
		s->places[gap] = s->places[at];
		gap = at;
	}
	s->places[gap] = 0;
}

bool mg_tokenset_del(struct mg_tokenset *s, uint32_t token)
{
	size_t at, place;

	if (!s->room)
		return false;
	at = find(s, token);
	if (!s->places[at])
		return false;
	place = s->places[at] - 1;
	close_gap(s, at);
	s->n--;
	if (place != s->n) {
		uint32_t last = s->tokens[s->n];

		/* Found before its record moves, as find compares with that. */
		at = find(s, last);
		s->tokens[place] = last;
		s->places[at] = (uint32_t)place + 1;
	}
	return true;
}
