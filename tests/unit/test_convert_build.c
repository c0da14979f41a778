// SPDX-License-Identifier: BSD-2-Clause
/* Building of RFC 8803 messages: golden bytes from the RFC's figures, limits, round trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "hex.h"
#include "wire/convert.h"

#define SPAN(bytes) ((struct mg_span){ (bytes), sizeof(bytes) })

static const struct mg_span nothing;

static struct mg_ep ep_of(const char *text)
{
	struct mg_ep ep;

	assert_int_equal(mg_ep_parse(&ep, text), 0);
	return ep;
}

static void assert_built(struct mg_convert_buf *b, const char *text)
{
	size_t len;
	uint8_t *bytes = hex_bytes(text, &len);

	assert_int_equal(mg_convert_end(b), (int)len);
	assert_int_equal(b->len, len);
	assert_memory_equal(b->data, bytes, len);
	free(bytes);
}

static void builds_requests(void **state)
{
	static const uint8_t opts[] = { 0x1e, 2, 4, 2, 8, 2 };
	static const uint8_t cookie[] = { 1, 2, 3, 4, 5 };
	struct mg_ep v4 = ep_of("192.0.2.1:80"), v6 = ep_of("[2001:db8::7]:5124");
	struct mg_convert_buf b;

	(void)state;
	mg_convert_begin(&b);
	mg_convert_put_connect(&b, &v4, nothing);
	assert_built(&b, "01062263 0a050050 00000000 00000000 0000ffff c0000201");

	mg_convert_begin(&b);
	mg_convert_put_connect(&b, &v6, SPAN(opts));
	assert_built(&b, "01082263 0a071404 20010db8 00000000 00000000 00000007 1e020402 08020000");

	mg_convert_begin(&b);
	mg_convert_put_info(&b);
	mg_convert_put_cookie(&b, SPAN(cookie));
	assert_built(&b, "01052263 01010000 16030000 01020304 05000000");
}

static void builds_answers(void **state)
{
	static const uint8_t synack[] = { 2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7 };
	static const uint8_t kinds[] = { 4, 8, 30 };
	struct mg_convert_buf b;

	(void)state;
	mg_convert_begin(&b);
	mg_convert_put_ext_tcp_hdr(&b, SPAN(synack));
	assert_built(&b, "01052263 14040000 020405b4 04020103 03070000");

	mg_convert_begin(&b);
	mg_convert_put_ext_tcp_hdr(&b, nothing);
	assert_built(&b, "01022263 14010000");

	mg_convert_begin(&b);
	mg_convert_put_supported(&b, kinds, sizeof(kinds));
	mg_convert_put_ext_tcp_hdr(&b, nothing);
	assert_built(&b, "01042263 15020000 04081e00 14010000");
}

static void builds_errors(void **state)
{
	static const uint8_t version = 1, delay = 30, icmp = 13, kinds[] = { 0x22, 0x1d };
	static const uint8_t cookie[] = { 9, 8, 7, 6 };
	static const uint8_t received[] = { 1, 2, 0x22, 0x63, 0x77, 1, 0, 0, 'x' };
	struct mg_convert_buf b;

	(void)state;
	mg_convert_begin(&b);
	mg_convert_put_error(&b, MG_CE_UNSUPPORTED_VERSION, (struct mg_span){ &version, 1 });
	assert_built(&b, "01022263 1e010001");
	mg_convert_begin(&b);
	mg_convert_put_error_echo(&b, MG_CE_UNSUPPORTED_MESSAGE, SPAN(received));
	assert_built(&b, "01052263 1e040200 01022263 77010000 78000000");
	mg_convert_begin(&b);
	mg_convert_put_error_echo(&b, MG_CE_MALFORMED, nothing);
	assert_built(&b, "01022263 1e010100");
	mg_convert_begin(&b);
	mg_convert_put_error_cookie(&b, SPAN(cookie));
	assert_built(&b, "01032263 1e020300 09080706");
	mg_convert_begin(&b);
	mg_convert_put_error(&b, MG_CE_NOT_AUTHORIZED, nothing);
	assert_built(&b, "01022263 1e012000");
	mg_convert_begin(&b);
	mg_convert_put_error(&b, MG_CE_UNSUPPORTED_TCP_OPTION, SPAN(kinds));
	assert_built(&b, "01032263 1e022122 1d000000");
	mg_convert_begin(&b);
	mg_convert_put_error(&b, MG_CE_RESOURCE_EXCEEDED, (struct mg_span){ &delay, 1 });
	assert_built(&b, "01022263 1e01401e");
	mg_convert_begin(&b);
	mg_convert_put_error(&b, MG_CE_NETWORK_FAILURE, nothing);
	assert_built(&b, "01022263 1e014100");
	mg_convert_begin(&b);
	mg_convert_put_error(&b, MG_CE_CONNECTION_RESET, nothing);
	assert_built(&b, "01022263 1e016000");
	mg_convert_begin(&b);
	mg_convert_put_error(&b, MG_CE_DEST_UNREACHABLE, (struct mg_span){ &icmp, 1 });
	assert_built(&b, "01022263 1e01610d");
}

static void cuts_the_echo(void **state)
{
	uint8_t received[2000];
	struct mg_convert_buf b;

	(void)state;
	memset(received, 0xee, sizeof(received));
	mg_convert_begin(&b);
	mg_convert_put_error_echo(&b, MG_CE_MALFORMED, SPAN(received));
	assert_int_equal(mg_convert_end(&b), MG_CONVERT_MAX_BYTES);
	assert_int_equal(b.data[1], 255);
	assert_int_equal(b.data[5], 254);
	assert_int_equal(b.data[MG_CONVERT_MAX_BYTES - 1], 0xee);

	mg_convert_begin(&b);
	mg_convert_put_error_echo(&b, MG_CE_MALFORMED, (struct mg_span){ received, 1013 });
	assert_int_equal(mg_convert_end(&b), MG_CONVERT_MAX_BYTES);
	mg_convert_begin(&b);
	mg_convert_put_error_echo(&b, MG_CE_MALFORMED, (struct mg_span){ received, 1008 });
	assert_int_equal(mg_convert_end(&b), MG_CONVERT_MAX_BYTES - 4);
}

static void keeps_its_limits(void **state)
{
	static uint8_t big[2000];
	struct mg_ep ep = ep_of("192.0.2.1:80");
	struct mg_convert_buf b;

	(void)state;
	mg_convert_begin(&b);
	assert_int_equal(mg_convert_end(&b), -EINVAL);

	mg_convert_begin(&b);
	mg_convert_put_connect(&b, &ep, nothing);
	mg_convert_put_cookie(&b, (struct mg_span){ big, 1020 - 24 - 4 });
	assert_int_equal(mg_convert_end(&b), MG_CONVERT_MAX_BYTES);

	mg_convert_begin(&b);
	mg_convert_put_connect(&b, &ep, nothing);
	mg_convert_put_cookie(&b, (struct mg_span){ big, 1020 - 24 - 4 + 1 });
	mg_convert_put_info(&b); /* the error sticks, though this one would fit */
	assert_int_equal(mg_convert_end(&b), -EMSGSIZE);

	mg_convert_begin(&b);
	mg_convert_put_cookie(&b, (struct mg_span){ big, SIZE_MAX });
	assert_int_equal(mg_convert_end(&b), -EMSGSIZE);

	mg_convert_begin(&b);
	mg_convert_put_ext_tcp_hdr(&b, (struct mg_span){ big, 40 });
	assert_int_equal(mg_convert_end(&b), 48);
	mg_convert_begin(&b);
	mg_convert_put_ext_tcp_hdr(&b, (struct mg_span){ big, 41 });
	assert_int_equal(mg_convert_end(&b), -EMSGSIZE);

	mg_convert_begin(&b);
	mg_convert_put_cookie(&b, (struct mg_span){ big, 1012 });
	mg_convert_put_error_echo(&b, MG_CE_MALFORMED, SPAN(big));
	assert_int_equal(mg_convert_end(&b), -EMSGSIZE);
	mg_convert_begin(&b);
	mg_convert_put_cookie(&b, (struct mg_span){ big, 1008 });
	mg_convert_put_error_echo(&b, MG_CE_MALFORMED, SPAN(big));
	assert_int_equal(mg_convert_end(&b), MG_CONVERT_MAX_BYTES);
}

/* Every length of cookie and options comes back as it went in, but for padding. */
static void round_trips(void **state)
{
	struct mg_ep ep = ep_of("[2001:db8::1]:65535");
	uint8_t bytes[48];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i + 1);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct mg_span span = { bytes, n };
		struct mg_convert_buf b;
		struct mg_convert_msg msg;
		enum mg_convert_error error;
		int len;

		mg_convert_begin(&b);
		mg_convert_put_cookie(&b, span);
		mg_convert_put_connect(&b, &ep, span);
		mg_convert_put_info(&b);
		len = mg_convert_end(&b);
		assert_int_equal(mg_convert_parse(&msg, &error, MG_FROM_CLIENT, b.data, b.len),
				 len);
		assert_int_equal(error, MG_CE_NONE);
		assert_true(msg.info && msg.connect && msg.cookie_present);
		assert_true(mg_ep_equal(&msg.peer, &ep));
		assert_int_equal(msg.cookie.len, (n + 3) / 4 * 4);
		assert_int_equal(msg.tcp_opts.len, (n + 3) / 4 * 4);
		assert_memory_equal(msg.cookie.data, bytes, n);
		assert_memory_equal(msg.tcp_opts.data, bytes, n);
		for (size_t i = n; i < msg.cookie.len; i++)
			assert_int_equal(msg.cookie.data[i], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_requests),  cmocka_unit_test(builds_answers),
		cmocka_unit_test(builds_errors),    cmocka_unit_test(cuts_the_echo),
		cmocka_unit_test(keeps_its_limits), cmocka_unit_test(round_trips),
	};

	return cmocka_run_group_tests_name("convert_build", tests, NULL, NULL);
}
