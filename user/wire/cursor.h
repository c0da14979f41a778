/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A read cursor over received bytes with a sticky error: read many, check once.
 *
 * A read beyond the end returns zeros (or an empty slice) and sets `failed` for good; nothing is
 * ever read out of bounds. Integers are big-endian on the wire and returned in host order.
 */
#ifndef MG_WIRE_CURSOR_H
#define MG_WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mg_cursor {
	const uint8_t *pos;
	const uint8_t *end;
	bool failed;
};

static inline struct mg_cursor mg_cursor_over(const uint8_t *data, size_t len)
{
	return (struct mg_cursor){ .pos = data, .end = data + len };
}

static inline size_t mg_cursor_left(const struct mg_cursor *c)
{
	return c->failed ? 0 : (size_t)(c->end - c->pos);
}

/* The next n bytes, consumed; NULL when there are not that many. */
static inline const uint8_t *mg_cursor_take(struct mg_cursor *c, size_t n)
{
	const uint8_t *at = c->pos;

	if (mg_cursor_left(c) < n) {
		c->failed = true;
		return NULL;
	}
	c->pos += n;
	return at;
}

static inline uint8_t mg_cursor_u8(struct mg_cursor *c)
{
	const uint8_t *at = mg_cursor_take(c, 1);

	return at ? at[0] : 0;
}

static inline uint16_t mg_cursor_u16(struct mg_cursor *c)
{
	const uint8_t *at = mg_cursor_take(c, 2);

	return at ? (uint16_t)(at[0] << 8 | at[1]) : 0;
}

static inline void mg_cursor_bytes(struct mg_cursor *c, void *out, size_t n)
{
	const uint8_t *at = mg_cursor_take(c, n);

	if (at)
		memcpy(out, at, n);
	else
		memset(out, 0, n);
}

/* A cursor over the next n bytes alone, which this one then has behind it. */
static inline struct mg_cursor mg_cursor_slice(struct mg_cursor *c, size_t n)
{
	const uint8_t *at = mg_cursor_take(c, n);

	return at ? mg_cursor_over(at, n) : (struct mg_cursor){ .failed = true };
}

#endif
