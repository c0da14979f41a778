// SPDX-License-Identifier: BSD-2-Clause
#include "access/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* How many bytes of UTF-8 are a character there (RFC 3629 section 4); 0: none that may be shown. */
static size_t character(const uint8_t *at, size_t left)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code = at[0];
	size_t n = 1;

	if (code < 0x20 || code == 0x7f || (code >= 0x80 && code < 0xc2) || code > 0xf4)
		return 0;
	if (code >= 0xf0)
		n = 4, code &= 0x07;
	else if (code >= 0xe0)
		n = 3, code &= 0x0f;
	else if (code >= 0xc0)
		n = 2, code &= 0x1f;
	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	if (code < lowest[n] || (code >= 0x80 && code < 0xa0) ||
	    (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	return n;
}

static bool is_good(const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t n = character(bytes + at, len - at);

		if (!n)
			return false;
		at += n;
	}
	return true;
}

void mg_text_clean(char *out, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	if (is_good(at, len)) {
		memcpy(out, at, len);
		out[len] = '\0';
		return;
	}
	for (size_t i = 0; i < len; i++) {
		if (at[i] > 0x20 && at[i] < 0x7f)
			*out++ = (char)at[i];
		else
			out += sprintf(out, "%%%02X", at[i]);
	}
	*out = '\0';
}
