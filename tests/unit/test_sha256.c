// SPDX-License-Identifier: BSD-2-Clause
/* SHA-256 against the examples of FIPS 180 and NIST's, and the token of an MPTCP key. */
#include "mg_test.h"

#include <stdlib.h>
#include <string.h>

#include "abi/sha256.h"

struct example {
	const char *text;
	size_t times;
	uint8_t digest[MG_SHA256_BYTES];
};

/* clang-format off */
static const struct example examples[] = {
	{ "", 0,
	  { 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f,
	    0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b,
	    0x78, 0x52, 0xb8, 0x55 } },
	{ "abc", 1,
	  { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
	    0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
	    0xf2, 0x00, 0x15, 0xad } },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	  { 0x24, 0x8d, 0x6a, 0x61, 0xd2, 0x06, 0x38, 0xb8, 0xe5, 0xc0, 0x26, 0x93, 0x0c, 0x3e,
	    0x60, 0x39, 0xa3, 0x3c, 0xe4, 0x59, 0x64, 0xff, 0x21, 0x67, 0xf6, 0xec, 0xed, 0xd4,
	    0x19, 0xdb, 0x06, 0xc1 } },
	{ "a", 1000000,
	  { 0xcd, 0xc7, 0x6e, 0x5c, 0x99, 0x14, 0xfb, 0x92, 0x81, 0xa1, 0xc7, 0xe2, 0x84, 0xd7,
	    0x3e, 0x67, 0xf1, 0x80, 0x9a, 0x48, 0xa4, 0x97, 0x20, 0x0e, 0x04, 0x6d, 0x39, 0xcc,
	    0xc7, 0x11, 0x2c, 0xd0 } },
};
/* clang-format on */

static void digests_are_the_published_ones(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *e = &examples[i];
		size_t bytes = strlen(e->text), len = bytes * e->times;
		uint8_t *data = malloc(len + 1), digest[MG_SHA256_BYTES];

		assert_non_null(data);
		for (size_t at = 0; at < len; at++)
			data[at] = (uint8_t)e->text[at % bytes];
		mg_sha256(data, len, digest);
		assert_memory_equal(digest, e->digest, sizeof(digest));
		free(data);
	}
}

/* The short way, which BPF goes, and the long one agree for keys of every kind. */
static void token_is_the_head_of_the_digest(void **state)
{
	/* RFC 8684 gives no example; this one is of sha256sum: echo -n 01234567 */
	static const uint8_t digits[] = "01234567";
	struct chance c = { 42 };

	(void)state;
	assert_int_equal(mg_mptcp_token(digits), 0x924592b9);
	for (int i = 0; i < 1000; i++) {
		uint64_t key = chance_next(&c);
		uint8_t digest[MG_SHA256_BYTES];

		mg_sha256((uint8_t *)&key, sizeof(key), digest);
		assert_int_equal(mg_mptcp_token((uint8_t *)&key), mg_sha256_load(digest));
	}
}

/* Where padding goes into one block or two */
static void lengths_around_a_block(void **state)
{
	static const size_t lengths[] = { 55, 56, 63, 64, 65, 119, 120 };
	static const uint32_t heads[] = { 0xd5e28568, 0x04c26261, 0x75220b47, 0x7ce10097,
					  0x9537c5fd, 0x000b48d4, 0x13f05a0b };
	uint8_t data[128], digest[MG_SHA256_BYTES];

	(void)state;
	memset(data, 'x', sizeof(data));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		mg_sha256(data, lengths[i], digest);
		assert_int_equal(mg_sha256_load(digest), heads[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_the_published_ones),
		cmocka_unit_test(token_is_the_head_of_the_digest),
		cmocka_unit_test(lengths_around_a_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
