// SPDX-License-Identifier: BSD-2-Clause
/* PROXY protocol v2 headers, byte for byte as proxy-protocol.txt section 2.2 has them. */
#include "mg_test.h"

#include <errno.h>

#include "hex.h"
#include "wire/proxy_v2.h"

#define SIGNATURE "0d0a0d0a000d0a515549540a"

static void builds(const char *client, const char *server, const char *id, const char *expected)
{
	struct mg_ep from = ep_of(client), to = ep_of(server);
	uint8_t out[MG_PROXY_V2_MAX_BYTES];
	size_t len;
	uint8_t *bytes = hex_bytes(expected, &len);
	struct mg_span span = { .data = (const uint8_t *)id, .len = strlen(id) };

	memset(out, 0xee, sizeof(out));
	assert_int_equal(mg_proxy_v2_build(out, &from, &to, span), len);
	assert_memory_equal(out, bytes, len);
	for (size_t i = len; i < sizeof(out); i++)
		assert_int_equal(out[i], 0xee);
	free(bytes);
}

static void ipv4_is_as_specified(void **state)
{
	(void)state;
	builds("192.0.2.1:40001", "198.51.100.7:443", "",
	       SIGNATURE "21 11 000c c0000201 c6336407 9c41 01bb");
}

static void ipv6_is_as_specified(void **state)
{
	(void)state;
	builds("[2001:db8::1]:1", "[2001:db8:ffff::2]:65535", "",
	       SIGNATURE "21 21 0024 20010db8000000000000000000000001"
			 "20010db8ffff00000000000000000002 0001 ffff");
}

/* One family for both ends: the IPv4 one is written as mapped, whichever it is. */
static void mixed_families_are_ipv6(void **state)
{
	(void)state;
	builds("[2001:db8::1]:1", "198.51.100.7:443", "",
	       SIGNATURE "21 21 0024 20010db8000000000000000000000001"
			 "00000000000000000000ffffc6336407 0001 01bb");
	builds("192.0.2.1:2", "[2001:db8::9]:80", "",
	       SIGNATURE "21 21 0024 00000000000000000000ffffc0000201"
			 "20010db8000000000000000000000009 0002 0050");
}

static void an_id_is_a_tlv(void **state)
{
	(void)state;
	builds("192.0.2.1:40001", "198.51.100.7:443", "px1-7",
	       SIGNATURE "21 11 0014 c0000201 c6336407 9c41 01bb 05 0005 7078312d37");
}

static void an_id_has_128_bytes_at_most(void **state)
{
	struct mg_ep ep = ep_of("[2001:db8::1]:1");
	uint8_t out[MG_PROXY_V2_MAX_BYTES], id[MG_PROXY_V2_ID_MAX_BYTES + 1] = { 0 };

	(void)state;
	assert_int_equal(mg_proxy_v2_build(out, &ep, &ep, (struct mg_span){ id, sizeof(id) }),
			 -EMSGSIZE);
	assert_int_equal(mg_proxy_v2_build(out, &ep, &ep, (struct mg_span){ id, sizeof(id) - 1 }),
			 MG_PROXY_V2_MAX_BYTES);
	assert_int_equal(out[14] << 8 | out[15], MG_PROXY_V2_MAX_BYTES - 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_is_as_specified),
		cmocka_unit_test(ipv6_is_as_specified),
		cmocka_unit_test(mixed_families_are_ipv6),
		cmocka_unit_test(an_id_is_a_tlv),
		cmocka_unit_test(an_id_has_128_bytes_at_most),
	};

	return cmocka_run_group_tests_name("proxy_v2", tests, NULL, NULL);
}
