// SPDX-License-Identifier: BSD-2-Clause
/* Parsing of RFC 8803 messages. The bytes are laid out by hand from the RFC's figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "hex.h"
#include "wire/convert.h"

#define IP4 "00000000 00000000 0000ffff 0a060002 " /* ::ffff:10.6.0.2 */
#define IP6 "fd000006 00000000 00000000 00000002 "

#define CLIENT	  MG_FROM_CLIENT
#define CONVERTER MG_FROM_CONVERTER
#define NONE	  MG_CE_NONE
#define BAD	  MG_CE_MALFORMED
#define UNSUPP	  MG_CE_UNSUPPORTED_MESSAGE

struct parse_case {
	const char *name;
	enum mg_convert_from from;
	const char *bytes;
	enum mg_convert_error error;
};

static const struct parse_case cases[] = {
	{ "connect base", CLIENT, "01062263 0a050050 " IP4, NONE },
	{ "connect base v6", CLIENT, "01062263 0a050050 " IP6, NONE },
	{ "connect extended", CLIENT, "01072263 0a060050 " IP4 "1e020402", NONE },
	{ "info", CLIENT, "01022263 01010000", NONE },
	{ "info with dirty reserved bytes", CLIENT, "01022263 0101ffff", NONE },
	{ "info and connect", CLIENT, "01072263 01010000 0a050050 " IP4, NONE },
	{ "connect and info", CLIENT, "01072263 0a050050 " IP4 "01010000", NONE },
	{ "connect and cookie", CLIENT, "01082263 0a050050 " IP4 "16020000 01020304", NONE },
	{ "cookie and connect", CLIENT, "01082263 16020000 01020304 0a050050 " IP4, NONE },
	{ "info and cookie", CLIENT, "01042263 01010000 16020000 01020304", NONE },
	{ "all three", CLIENT, "01092263 16020000 01020304 01010000 0a050050 " IP4, NONE },
	{ "empty cookie", CLIENT, "01032263 01010000 16010000", NONE },
	{ "error 0 from a client", CLIENT, "01022263 1e010001", NONE },

	{ "extended tcp header", CONVERTER, "01032263 14020000 02040564", NONE },
	{ "empty extended tcp header", CONVERTER, "01022263 14010000", NONE },
	{ "extended tcp header of 40 bytes", CONVERTER,
	  "010c2263 140b0000 02040564 0402080a 00000001 00000002 01030307 1e0c0100 00000000 "
	  "00000000 01010101 01010101",
	  NONE },
	{ "supported extensions", CONVERTER, "01032263 15020000 0408001e", NONE },
	{ "supported and extended header", CONVERTER,
	  "01052263 15020000 1e000000 14020000 02040564", NONE },
	{ "supported and error", CONVERTER, "01042263 15020000 1e000000 1e016000", NONE },
	{ "connect for an incoming connection", CONVERTER, "01062263 0a05c350 " IP4, NONE },
	{ "error 0", CONVERTER, "01022263 1e010001", NONE },
	{ "error 1", CONVERTER, "01042263 1e030100 01022263 01020000", NONE },
	{ "error 2", CONVERTER, "01042263 1e030200 01022263 77010000", NONE },
	{ "error 3", CONVERTER, "01042263 1e030300 01020304 05060708", NONE },
	{ "error 32", CONVERTER, "01022263 1e012000", NONE },
	{ "error 33", CONVERTER, "01032263 1e022122 1d000000", NONE },
	{ "error 64", CONVERTER, "01022263 1e01401e", NONE },
	{ "error 65", CONVERTER, "01022263 1e014100", NONE },
	{ "error 96", CONVERTER, "01022263 1e016000", NONE },
	{ "error 97", CONVERTER, "01022263 1e01610d", NONE },
	{ "an error code from the future", CONVERTER, "01022263 1e01c801", NONE },

	{ "no TLV, client", CLIENT, "01012263", BAD },
	{ "no TLV, converter", CONVERTER, "01012263", BAD },
	{ "version 0", CLIENT, "00022263 01010000", MG_CE_UNSUPPORTED_VERSION },
	{ "version 2", CLIENT, "02022263 01010000", MG_CE_UNSUPPORTED_VERSION },
	{ "version 2 with strange TLVs", CLIENT, "02022263 ff000000", MG_CE_UNSUPPORTED_VERSION },
	{ "version 2 from a converter", CONVERTER, "02022263 14010000", MG_CE_UNSUPPORTED_VERSION },

	{ "TLV length 0", CLIENT, "01022263 01000000", BAD },
	{ "unknown TLV of length 0", CLIENT, "01022263 77000000", BAD },
	{ "TLV beyond the total length", CLIENT, "01022263 01020000", BAD },
	{ "second TLV beyond the total length", CLIENT, "01042263 01010000 16030000 01020304",
	  BAD },
	{ "TLV of 255 words", CLIENT, "01032263 16ff0000 01010000", BAD },
	{ "connect of 4 words", CLIENT, "01052263 0a040050 00000000 00000000 0000ffff", BAD },
	{ "connect of 1 word", CLIENT, "01022263 0a010050", BAD },
	{ "info of 2 words", CLIENT, "01032263 01020000 00000000", BAD },
	{ "two infos", CLIENT, "01032263 01010000 01010000", BAD },
	{ "two connects", CLIENT, "010b2263 0a050050 " IP4 "0a050050 " IP4, BAD },
	{ "two cookies", CLIENT, "01052263 01010000 16010000 16020000 01020304", BAD },
	{ "two errors 0", CLIENT, "01032263 1e010001 1e010001", BAD },
	{ "two extended tcp headers", CONVERTER, "01032263 14010000 14010000", BAD },
	{ "two supported extensions", CONVERTER, "01032263 15010000 15010000", BAD },
	{ "two errors", CONVERTER, "01032263 1e016000 1e016000", BAD },
	{ "extended tcp header of 44 bytes", CONVERTER,
	  "010d2263 140c0000 01010101 01010101 01010101 01010101 01010101 01010101 01010101 "
	  "01010101 01010101 01010101 01010101",
	  BAD },
	{ "cookie alone", CLIENT, "01032263 16020000 01020304", BAD },
	{ "cookie and error 0", CLIENT, "01042263 16020000 01020304 1e010001", BAD },
	{ "connect and error 0", CLIENT, "01072263 0a050050 " IP4 "1e010001", BAD },
	{ "info and error 0", CLIENT, "01032263 01010000 1e010001", BAD },
	{ "error and extended header", CONVERTER, "01032263 1e016000 14010000", BAD },
	{ "error and connect", CONVERTER, "01072263 1e016000 0a050050 " IP4, BAD },

	{ "TLV type 0", CLIENT, "01022263 00010000", UNSUPP },
	{ "TLV type 0 after connect", CLIENT, "01072263 0a050050 " IP4 "00010000", UNSUPP },
	{ "unknown TLV", CLIENT, "01022263 77010000", UNSUPP },
	{ "unknown TLV from a converter", CONVERTER, "01022263 77010000", UNSUPP },
	{ "type 0 from a converter", CONVERTER, "01022263 00010000", UNSUPP },
	{ "extended header from a client", CLIENT, "01032263 14020000 02040564", UNSUPP },
	{ "supported extensions from a client", CLIENT, "01022263 15010000", UNSUPP },
	{ "error 1 from a client", CLIENT, "01022263 1e010100", UNSUPP },
	{ "error 96 from a client", CLIENT, "01022263 1e016000", UNSUPP },
	{ "info from a converter", CONVERTER, "01022263 01010000", UNSUPP },
	{ "cookie from a converter", CONVERTER, "01032263 16020000 01020304", UNSUPP },
};

static void parses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct parse_case *c = &cases[i];
		struct mg_convert_msg msg;
		enum mg_convert_error error;
		size_t len;
		uint8_t *bytes = hex_bytes(c->bytes, &len);
		int ret = mg_convert_parse(&msg, &error, c->from, bytes, len);

		if (ret != (int)len || error != c->error)
			fail_msg("%s: returned %d of %zu, error %d instead of %d", c->name, ret,
				 len, (int)error, (int)c->error);
		assert_int_equal(msg.total_bytes, len);
		free(bytes);
	}
}

/* Whatever will be said of the whole message, nothing is said before it is whole. */
static void waits_for_every_proper_prefix(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len;
		uint8_t *bytes = hex_bytes(cases[i].bytes, &len);

		for (size_t cut = 0; cut < len; cut++) {
			struct mg_convert_msg msg;
			enum mg_convert_error error;
			uint8_t *part = malloc(cut ? cut : 1);
			int ret;

			memcpy(part, bytes, cut);
			ret = mg_convert_parse(&msg, &error, cases[i].from, part, cut);
			free(part);
			if (ret != -EAGAIN || error != MG_CE_NONE)
				fail_msg("%s cut to %zu: returned %d, error %d", cases[i].name, cut,
					 ret, (int)error);
		}
		free(bytes);
	}
}

static int parse_hex(struct mg_convert_msg *msg, const char *text)
{
	enum mg_convert_error error;
	size_t len;
	uint8_t *bytes = hex_bytes(text, &len);
	int ret = mg_convert_parse(msg, &error, CLIENT, bytes, len);

	free(bytes);
	return ret;
}

static void refuses_other_protocols_at_once(void **state)
{
	struct mg_convert_msg msg;

	(void)state;
	assert_int_equal(parse_hex(&msg, "0100"), -EPROTO);
	assert_int_equal(parse_hex(&msg, "01002263"), -EPROTO);
	assert_int_equal(parse_hex(&msg, "474554"), -EPROTO);
	assert_int_equal(parse_hex(&msg, "160301"), -EPROTO);
	assert_int_equal(parse_hex(&msg, "01062264"), -EPROTO);
	assert_int_equal(parse_hex(&msg, "01062363"), -EPROTO);
	assert_int_equal(parse_hex(&msg, "4745"), -EAGAIN);
	assert_int_equal(parse_hex(&msg, "010622"), -EAGAIN);
	assert_int_equal(parse_hex(&msg, ""), -EAGAIN);
}

static void leaves_user_data_alone(void **state)
{
	struct mg_convert_msg msg;
	enum mg_convert_error error;
	size_t len;
	uint8_t *bytes = hex_bytes("01062263 0a051f90 " IP4 "474554202f", &len);

	(void)state;
	assert_int_equal(mg_convert_parse(&msg, &error, CLIENT, bytes, len), 24);
	assert_int_equal(error, MG_CE_NONE);
	assert_int_equal(msg.total_bytes, 24);
	free(bytes);
}

static void assert_span(struct mg_span span, const char *text)
{
	size_t len;
	uint8_t *bytes = hex_bytes(text, &len);

	assert_int_equal(span.len, len);
	assert_memory_equal(span.data, bytes, len);
	free(bytes);
}

static void reads_client_values(void **state)
{
	struct mg_convert_msg msg;
	enum mg_convert_error error;
	char text[MG_EP_STRLEN];
	size_t len;
	uint8_t *bytes = hex_bytes("010d2263 16040000 00000001 a1a2a3a4 a5a6a7a8 "
				   "01010000 0a070bb8 " IP4 "1e020402 08020000",
				   &len);

	(void)state;
	assert_int_equal(mg_convert_parse(&msg, &error, CLIENT, bytes, len), (int)len);
	assert_int_equal(error, MG_CE_NONE);
	assert_int_equal(msg.version, 1);
	assert_true(msg.info && msg.connect && msg.cookie_present);
	assert_false(msg.error_present || msg.ext_tcp_hdr_present || msg.supported_present);
	assert_string_equal(mg_ep_format(text, &msg.peer), "10.6.0.2:3000");
	assert_span(msg.cookie, "00000001 a1a2a3a4 a5a6a7a8");
	assert_span(msg.tcp_opts, "1e020402 08020000");
	free(bytes);

	bytes = hex_bytes("01062263 0a0501bb " IP6, &len);
	assert_int_equal(mg_convert_parse(&msg, &error, CLIENT, bytes, len), (int)len);
	assert_string_equal(mg_ep_format(text, &msg.peer), "[fd00:6::2]:443");
	assert_int_equal(msg.tcp_opts.len, 0);
	free(bytes);
}

static void reads_converter_values(void **state)
{
	struct mg_convert_msg msg;
	enum mg_convert_error error;
	size_t len;
	uint8_t *bytes = hex_bytes("01062263 15020000 0408001e 14030000 02040564 04020000", &len);

	(void)state;
	assert_int_equal(mg_convert_parse(&msg, &error, CONVERTER, bytes, len), (int)len);
	assert_true(msg.supported_present && msg.ext_tcp_hdr_present);
	assert_span(msg.supported, "0408001e");
	assert_span(msg.ext_tcp_hdr, "02040564 04020000");
	free(bytes);

	bytes = hex_bytes("01042263 1e030300 01020304 05060708", &len);
	assert_int_equal(mg_convert_parse(&msg, &error, CONVERTER, bytes, len), (int)len);
	assert_true(msg.error_present);
	assert_int_equal(msg.error_code, MG_CE_MISSING_COOKIE);
	assert_span(msg.error_value, "00 01020304 05060708");
	free(bytes);
}

struct opts_case {
	const char *list;
	int ret;
	bool sack, timestamps, mptcp;
	const char *unsupported;
};

static const struct opts_case opts_cases[] = {
	{ "", 0, false, false, false, "" },
	{ "00000000", 0, false, false, false, "" },
	{ "1e020000", 0, false, false, true, "" },
	{ "04020802 1e020000", 0, true, true, true, "" },
	{ "02040564 03030700 ", 0, false, false, false, "" },
	{ "01010402", 0, true, false, false, "" },
	{ "00001d02", 0, false, false, false, "" }, /* nothing counts behind the padding */
	{ "050a0000 00010000 00020000", 0, false, false, false, "" },
	{ "22020000", 0, false, false, false, "22" },
	{ "22020402 1d04aabb", 0, true, false, false, "22 1d" },
	{ "22022202 22020000", 0, false, false, false, "22" },
	{ "1e040001", 0, false, false, false, "1e" },		    /* MPTCP with content */
	{ "080a0000 00010000 0002", 0, false, false, false, "08" }, /* timestamps with values */
	{ "0403ff00", 0, false, false, false, "04" },
	{ "fd02fe02", 0, false, false, false, "fd fe" },
	{ "1e000000", -EBADMSG, false, false, false, "" },
	{ "1e010000", -EBADMSG, false, false, false, "" },
	{ "1e", -EBADMSG, false, false, false, "" },
	{ "04021e03", -EBADMSG, true, false, false, "" },
	{ "22ff0000", -EBADMSG, false, false, false, "" },
	{ "0200", -EBADMSG, false, false, false, "" }, /* ignored kinds must be whole too */
};

static void reads_tcp_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(opts_cases) / sizeof(opts_cases[0]); i++) {
		const struct opts_case *c = &opts_cases[i];
		struct mg_connect_opts opts;
		size_t len, n;
		uint8_t *list = hex_bytes(c->list, &len), *kinds = hex_bytes(c->unsupported, &n);
		int ret = mg_convert_parse_opts(&opts, (struct mg_span){ list, len });

		if (ret != c->ret || opts.sack_permitted != c->sack ||
		    opts.timestamps != c->timestamps || opts.mptcp != c->mptcp ||
		    opts.n_unsupported != n || memcmp(opts.unsupported, kinds, n) != 0)
			fail_msg("options '%s': returned %d, %zu unsupported", c->list, ret,
				 opts.n_unsupported);
		free(list);
		free(kinds);
	}
}

static void caps_unsupported_kinds(void **state)
{
	struct mg_connect_opts opts;
	uint8_t list[200];

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		list[2 * i] = (uint8_t)(100 + i);
		list[2 * i + 1] = 2;
	}
	assert_int_equal(mg_convert_parse_opts(&opts, (struct mg_span){ list, sizeof(list) }), 0);
	assert_int_equal(opts.n_unsupported, sizeof(opts.unsupported));
	assert_int_equal(opts.unsupported[39], 139);
}

static bool malformed(const char *ep_text)
{
	struct mg_ep ep;

	assert_int_equal(mg_ep_parse(&ep, ep_text), 0);
	return mg_convert_peer_malformed(&ep);
}

static void judges_remote_peers(void **state)
{
	struct mg_ep ep;

	(void)state;
	assert_true(malformed("224.0.0.1:80"));
	assert_true(malformed("[ff02::1]:80"));
	assert_true(malformed("255.255.255.255:80"));
	assert_true(malformed("127.0.0.1:80"));
	assert_true(malformed("[::1]:80"));
	assert_true(malformed("0.0.0.0:80"));
	assert_true(malformed("[::]:80"));
	assert_int_equal(mg_ep_parse(&ep, "192.0.2.1:80"), 0);
	assert_false(mg_convert_peer_malformed(&ep));
	ep.port = 0;
	assert_true(mg_convert_peer_malformed(&ep));
	assert_false(malformed("[2001:db8::1]:80"));
	assert_false(malformed("169.254.0.1:80"));
	assert_false(malformed("[fe80::1]:80"));
}

static void names_errors(void **state)
{
	static const unsigned int codes[] = { 0, 1, 2, 3, 32, 33, 64, 65, 96, 97 };

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(mg_convert_error_index(codes[i]), i);
		assert_non_null(mg_convert_error_label(codes[i]));
	}
	assert_string_equal(mg_convert_error_label(3), "missing_cookie");
	assert_string_equal(mg_convert_error_label(97), "destination_unreachable");
	assert_null(mg_convert_error_label(4));
	assert_null(mg_convert_error_label(MG_CE_NONE));
	assert_int_equal(mg_convert_error_index(4), -ENOENT);
	assert_int_equal(mg_convert_error_index(MG_CE_NONE), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(waits_for_every_proper_prefix),
		cmocka_unit_test(refuses_other_protocols_at_once),
		cmocka_unit_test(leaves_user_data_alone),
		cmocka_unit_test(reads_client_values),
		cmocka_unit_test(reads_converter_values),
		cmocka_unit_test(reads_tcp_options),
		cmocka_unit_test(caps_unsupported_kinds),
		cmocka_unit_test(judges_remote_peers),
		cmocka_unit_test(names_errors),
	};

	return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
