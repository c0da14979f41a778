// SPDX-License-Identifier: BSD-2-Clause
#include "wire/provision.h"

#include <errno.h>
#include <string.h>

#include "wire/cursor.h"

#define FLAG_RESERVE	0x01
#define FLAG_ANY_ACCESS 0x02
#define FLAG_CUT	0x04

#define ASK_BYTES	  2
#define PADDING_MAX_BYTES 3

static uint32_t take_u32(struct mg_cursor *c)
{
	uint32_t high = mg_cursor_u16(c);

	return high << 16 | mg_cursor_u16(c);
}

/* Version and flags; a flag that nobody defined says something we would miss. */
static int parse_head(struct mg_cursor *c, uint8_t *flags, uint8_t known)
{
	uint8_t version = mg_cursor_u8(c);

	*flags = mg_cursor_u8(c);
	if (c->failed)
		return -EBADMSG;
	if (version != MG_PROVISION_VERSION)
		return -EPROTONOSUPPORT;
	return *flags & ~known ? -EBADMSG : 0;
}

int mg_provision_parse_request(struct mg_provision_request *req, struct mg_span value)
{
	struct mg_cursor c = mg_cursor_over(value.data, value.len);
	uint8_t flags;
	int err = parse_head(&c, &flags, FLAG_RESERVE);

	memset(req, 0, sizeof(*req));
	if (err)
		return err;
	if (value.len != (flags & FLAG_RESERVE ? MG_PROVISION_REQUEST_BYTES : ASK_BYTES))
		return -EBADMSG;
	req->reserve = flags & FLAG_RESERVE;
	if (req->reserve) {
		req->sessions = mg_cursor_u16(&c);
		req->seconds = mg_cursor_u16(&c);
	}
	return 0;
}

/* The rest fills a word up. */
static bool is_padding(struct mg_cursor *c)
{
	size_t left = mg_cursor_left(c);

	if (left > PADDING_MAX_BYTES)
		return false;
	while (mg_cursor_left(c)) {
		if (mg_cursor_u8(c))
			return false;
	}
	return true;
}

static int parse_names(struct mg_provision_answer *a, struct mg_cursor *c)
{
	size_t n = mg_cursor_u8(c);

	if (n > MG_PROVISION_NAMES_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		size_t len = mg_cursor_u8(c);
		const uint8_t *name = mg_cursor_take(c, len);

		if (c->failed || !len || len > MG_PROVISION_NAME_MAX_BYTES)
			return -EBADMSG;
		a->access[a->n_access++] = (struct mg_span){ name, len };
	}
	return c->failed || !is_padding(c) ? -EBADMSG : 0;
}

int mg_provision_parse_answer(struct mg_provision_answer *a, struct mg_span value)
{
	struct mg_cursor c = mg_cursor_over(value.data, value.len);
	uint8_t flags;
	int err = parse_head(&c, &flags, FLAG_RESERVE | FLAG_ANY_ACCESS | FLAG_CUT);

	memset(a, 0, sizeof(*a));
	if (err)
		return err;
	a->reservation = flags & FLAG_RESERVE;
	a->any_access = flags & FLAG_ANY_ACCESS;
	a->cut = flags & FLAG_CUT;
	a->sessions_left = take_u32(&c);
	a->sessions_limit = take_u32(&c);
	a->subflows = take_u32(&c);
	a->wait_s = take_u32(&c);
	a->reserved = mg_cursor_u16(&c);
	a->reserved_s = mg_cursor_u16(&c);
	return parse_names(a, &c);
}

static size_t put(uint8_t *out, size_t at, uint32_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		out[at + i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
	return at + bytes;
}

size_t mg_provision_build_request(uint8_t out[MG_PROVISION_REQUEST_BYTES],
				  const struct mg_provision_request *req)
{
	size_t at = put(out, 0, MG_PROVISION_VERSION, 1);

	at = put(out, at, req->reserve ? FLAG_RESERVE : 0, 1);
	if (!req->reserve)
		return at;
	at = put(out, at, req->sessions, 2);
	return put(out, at, req->seconds, 2);
}

size_t mg_provision_build_answer(uint8_t out[MG_PROVISION_VALUE_MAX_BYTES],
				 const struct mg_provision_answer *a)
{
	bool cut = a->cut;
	size_t at = 2, n_at;
	uint8_t n = 0;

	at = put(out, at, a->sessions_left, 4);
	at = put(out, at, a->sessions_limit, 4);
	at = put(out, at, a->subflows, 4);
	at = put(out, at, a->wait_s, 4);
	at = put(out, at, a->reserved, 2);
	at = put(out, at, a->reserved_s, 2);
	n_at = at++;
	for (size_t i = 0; i < a->n_access; i++) {
		struct mg_span name = a->access[i];

		if (!name.len || name.len > MG_PROVISION_NAME_MAX_BYTES ||
		    at + 1 + name.len > MG_PROVISION_VALUE_MAX_BYTES ||
		    n == MG_PROVISION_NAMES_MAX) {
			cut = true;
			continue;
		}
		at = put(out, at, (uint32_t)name.len, 1);
		memcpy(out + at, name.data, name.len);
		at += name.len;
		n++;
	}
	put(out, n_at, n, 1);
	put(out, 0, MG_PROVISION_VERSION, 1);
	put(out, 1,
	    (a->reservation ? FLAG_RESERVE : 0) | (a->any_access ? FLAG_ANY_ACCESS : 0) |
		    (cut ? FLAG_CUT : 0),
	    1);
	return at;
}
