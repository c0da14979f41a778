/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes written as hex text in tests ("01 06 22 63"; blanks are ignored).
 *
 * Returned on the heap at their exact size, so that the address sanitizer sees any read beyond
 * them; the caller frees. Bad text ends the program: it is the test that is wrong.
 */
#ifndef MG_TESTS_HEX_H
#define MG_TESTS_HEX_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	if (!at) {
		fprintf(stderr, "hex text: unexpected '%c'\n", c);
		abort();
	}
	return (int)(at - digits);
}

static inline uint8_t *hex_bytes(const char *text, size_t *len)
{
	uint8_t *out = malloc(strlen(text) / 2 + 1), *exact;
	size_t n = 0;

	for (; *text; text++) {
		if (*text == ' ')
			continue;
		out[n++] = (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
		text++;
	}
	exact = malloc(n ? n : 1);
	memcpy(exact, out, n);
	free(out);
	*len = n;
	return exact;
}

#endif
