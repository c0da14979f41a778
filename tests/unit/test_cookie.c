// SPDX-License-Identifier: BSD-2-Clause
/* SipHash-2-4 against its published vectors; cookies over two key epochs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "abi/siphash.h"
#include "hex.h"
#include "wire/cookie.h"

/*
 * The first outputs of the reference test (key 00..0f, messages of 0, 1, 2 … bytes 00, 01, …), as
 * bytes in little-endian order; the sixteenth is the example worked in the paper's appendix A.
 */
static const char *const siphash_vectors[] = {
	"310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785",
	"b7877127e09427cf", "8da699cd64557618", "cee3fe586e46c9cb", "37d1018bf50002ab",
	"6224939a79f5f593", "b0e4a90bdf82009e", "f3b9dd94c5bb5d7a", "a7ad6b22462fb3f4",
	"fbe50e86bc8f1e75", "903d84c02756ea14", "eef27a8e90ca23f7", "e545be4961ca29a1",
};

static void siphash_agrees_with_its_vectors(void **state)
{
	uint8_t key[16], message[16];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = message[i] = i;
	for (uint32_t n = 0; n < 16; n++) {
		size_t len;
		uint8_t *expected = hex_bytes(siphash_vectors[n], &len);
		uint64_t hash = mg_siphash24(key, message, n);

		for (size_t i = 0; i < 8; i++)
			assert_int_equal((uint8_t)(hash >> (8 * i)), expected[i]);
		free(expected);
	}
	assert_true(mg_siphash24(key, message, 15) == 0xa129ca6149be45e5ULL);
}

static const uint8_t key_a[16] = { 1, 2, 3 }, key_b[16] = { 4, 5, 6 }, key_c[16] = { 7 };

static struct in6_addr ip_of(const char *text)
{
	struct in6_addr ip;

	assert_int_equal(mg_ip_parse(&ip, text), 0);
	return ip;
}

static bool valid(const struct mg_cookie_keys *k, const char *client, const uint8_t *cookie,
		  size_t len)
{
	struct in6_addr ip = ip_of(client);

	return mg_cookie_valid(k, &ip, (struct mg_span){ cookie, len });
}

static void cookie_layout(void **state)
{
	struct mg_cookie_keys k;
	struct in6_addr ip = ip_of("192.0.2.1");
	/* ::ffff:192.0.2.1, then the epoch */
	static const uint8_t input[20] = { [10] = 0xff, 0xff, 192, 0, 2, 1, 1, 2, 3, 4 };
	uint8_t cookie[MG_COOKIE_BYTES];
	uint64_t mac;

	(void)state;
	mg_cookie_keys_init(&k, 0x01020304, key_a);
	mg_cookie_make(cookie, &k, &ip);
	assert_memory_equal(cookie, "\x01\x02\x03\x04", 4);
	mac = mg_siphash24(key_a, input, 20);
	for (int i = 0; i < 8; i++)
		assert_int_equal(cookie[4 + i], (uint8_t)(mac >> (56 - 8 * i)));
}

static void cookie_binds_the_address(void **state)
{
	struct mg_cookie_keys k;
	struct in6_addr v4 = ip_of("192.0.2.1"), v6 = ip_of("2001:db8::1");
	uint8_t cookie[MG_COOKIE_BYTES];

	(void)state;
	mg_cookie_keys_init(&k, 7, key_a);
	mg_cookie_make(cookie, &k, &v4);
	assert_true(valid(&k, "192.0.2.1", cookie, sizeof(cookie)));
	assert_false(valid(&k, "192.0.2.2", cookie, sizeof(cookie)));
	mg_cookie_make(cookie, &k, &v6);
	assert_true(valid(&k, "2001:db8::1", cookie, sizeof(cookie)));
	assert_false(valid(&k, "2001:db8::2", cookie, sizeof(cookie)));
	assert_false(valid(&k, "192.0.2.1", cookie, sizeof(cookie)));
}

static void every_bit_counts(void **state)
{
	struct mg_cookie_keys k;
	struct in6_addr ip = ip_of("192.0.2.1");
	uint8_t cookie[MG_COOKIE_BYTES];

	(void)state;
	mg_cookie_keys_init(&k, 7, key_a);
	mg_cookie_keys_rotate(&k, key_b);
	mg_cookie_make(cookie, &k, &ip);
	for (int bit = 0; bit < MG_COOKIE_BYTES * 8; bit++) {
		cookie[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		assert_false(valid(&k, "192.0.2.1", cookie, sizeof(cookie)));
		cookie[bit / 8] ^= (uint8_t)(1 << (bit % 8));
	}
	assert_true(valid(&k, "192.0.2.1", cookie, sizeof(cookie)));
}

static void two_epochs_are_valid(void **state)
{
	struct mg_cookie_keys k;
	struct in6_addr ip = ip_of("192.0.2.1");
	uint8_t first[MG_COOKIE_BYTES], second[MG_COOKIE_BYTES];

	(void)state;
	mg_cookie_keys_init(&k, UINT32_MAX, key_a); /* the epoch may wrap */
	mg_cookie_make(first, &k, &ip);
	mg_cookie_keys_rotate(&k, key_b);
	assert_int_equal(k.epoch, 0);
	mg_cookie_make(second, &k, &ip);
	assert_memory_not_equal(first, second, sizeof(first));
	assert_true(valid(&k, "192.0.2.1", first, sizeof(first)));
	assert_true(valid(&k, "192.0.2.1", second, sizeof(second)));
	mg_cookie_keys_rotate(&k, key_c);
	assert_false(valid(&k, "192.0.2.1", first, sizeof(first)));
	assert_true(valid(&k, "192.0.2.1", second, sizeof(second)));
}

/* Before the first rotation the other key is all zeros; nobody may use it. */
static void unset_key_is_no_key(void **state)
{
	struct mg_cookie_keys k, zero;
	struct in6_addr ip = ip_of("192.0.2.1");
	uint8_t cookie[MG_COOKIE_BYTES], no_key[16] = { 0 };

	(void)state;
	mg_cookie_keys_init(&zero, 6, no_key);
	mg_cookie_make(cookie, &zero, &ip);
	mg_cookie_keys_init(&k, 7, key_a);
	assert_false(valid(&k, "192.0.2.1", cookie, sizeof(cookie)));
}

static void length_and_padding(void **state)
{
	struct mg_cookie_keys k;
	struct in6_addr ip = ip_of("192.0.2.1");
	uint8_t cookie[MG_COOKIE_BYTES + 4] = { 0 };

	(void)state;
	mg_cookie_keys_init(&k, 7, key_a);
	mg_cookie_make(cookie, &k, &ip);
	for (size_t n = 0; n < MG_COOKIE_BYTES; n++) {
		uint8_t *part = malloc(n ? n : 1);

		memcpy(part, cookie, n);
		assert_false(valid(&k, "192.0.2.1", part, n));
		free(part);
	}
	assert_false(valid(&k, "192.0.2.1", NULL, 0));
	assert_true(valid(&k, "192.0.2.1", cookie, sizeof(cookie)));
	cookie[MG_COOKIE_BYTES + 3] = 1;
	assert_false(valid(&k, "192.0.2.1", cookie, sizeof(cookie)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_agrees_with_its_vectors),
		cmocka_unit_test(cookie_layout),
		cmocka_unit_test(cookie_binds_the_address),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(two_epochs_are_valid),
		cmocka_unit_test(unset_key_is_no_key),
		cmocka_unit_test(length_and_padding),
	};

	return cmocka_run_group_tests_name("cookie", tests, NULL, NULL);
}
