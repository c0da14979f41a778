/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes as hex text, for cookies in the environment and in the cache file. */
#ifndef MG_CLIENT_HEX_H
#define MG_CLIENT_HEX_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

static inline int mg_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number of bytes written, or -EINVAL: odd, empty, too long, or no hex text. */
static inline int mg_hex_parse(uint8_t *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; text[0]; text += 2, n++) {
		int high = mg_hex_digit(text[0]), low = high < 0 ? -1 : mg_hex_digit(text[1]);

		if (low < 0 || n == size)
			return -EINVAL;
		out[n] = (uint8_t)(high << 4 | low);
	}
	return n > 0 ? (int)n : -EINVAL;
}

/* out has room for 2 * len + 1 characters. */
static inline void mg_hex_format(char *out, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[data[i] >> 4];
		*out++ = digits[data[i] & 15];
	}
	*out = '\0';
}

#endif
