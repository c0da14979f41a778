// SPDX-License-Identifier: BSD-2-Clause
/* The Provision TLV: the examples of docs/provision.md, and what is no such thing. */
#include "mg_test.h"

#include <errno.h>

#include "hex.h"
#include "wire/provision.h"

#define HEADER(words) "01 " words " 2263"
#define INFO	      "01 01 0000"
#define SUPPORTED     "15 02 0000 1e 04 08 00"

static int parse(const char *text, enum mg_convert_from from, struct mg_convert_msg *msg,
		 uint8_t **bytes, size_t *len)
{
	enum mg_convert_error error;

	*bytes = hex_bytes(text, len);
	assert_int_equal(mg_convert_parse_provision(msg, &error, from, *bytes, *len), *len);
	return error == MG_CE_NONE ? -1 : (int)error;
}

static void client_says(const char *text, const struct mg_provision_request *want)
{
	struct mg_provision_request got;
	uint8_t value[MG_PROVISION_REQUEST_BYTES], *bytes;
	struct mg_convert_msg msg;
	struct mg_convert_buf b;
	size_t len;

	assert_int_equal(parse(text, MG_FROM_CLIENT, &msg, &bytes, &len), -1);
	assert_true(msg.info && msg.provision_present);
	assert_int_equal(mg_provision_parse_request(&got, msg.provision), 0);
	assert_int_equal(got.reserve, want->reserve);
	assert_int_equal(got.sessions, want->sessions);
	assert_int_equal(got.seconds, want->seconds);
	mg_convert_begin(&b);
	mg_convert_put_info(&b);
	mg_convert_put_provision(
		&b, (struct mg_span){ value, mg_provision_build_request(value, want) });
	assert_int_equal(mg_convert_end(&b), len);
	assert_memory_equal(b.data, bytes, len);
	free(bytes);
}

static void requests_are_as_documented(void **state)
{
	const struct mg_provision_request ask = { 0 };
	const struct mg_provision_request reserve = { true, 5, 60 }, release = { true, 0, 0 };

	(void)state;
	client_says(HEADER("03") INFO "c8 01 01 00", &ask);
	client_says(HEADER("04") INFO "c8 02 01 01 0005 003c", &reserve);
	client_says(HEADER("04") INFO "c8 02 01 01 0000 0000", &release);
}

static void converter_says(const char *text, const struct mg_provision_answer *want)
{
	static const uint8_t kinds[] = { 30, 4, 8 };
	uint8_t value[MG_PROVISION_VALUE_MAX_BYTES], *bytes;
	struct mg_provision_answer got;
	struct mg_convert_msg msg;
	struct mg_convert_buf b;
	size_t len;

	assert_int_equal(parse(text, MG_FROM_CONVERTER, &msg, &bytes, &len), -1);
	assert_true(msg.supported_present && msg.provision_present);
	assert_int_equal(mg_provision_parse_answer(&got, msg.provision), 0);
	assert_int_equal(got.sessions_left, want->sessions_left);
	assert_int_equal(got.sessions_limit, want->sessions_limit);
	assert_int_equal(got.subflows, want->subflows);
	assert_int_equal(got.wait_s, want->wait_s);
	assert_int_equal(got.reservation, want->reservation);
	assert_int_equal(got.reserved, want->reserved);
	assert_int_equal(got.reserved_s, want->reserved_s);
	assert_int_equal(got.any_access, want->any_access);
	assert_int_equal(got.cut, want->cut);
	assert_int_equal(got.n_access, want->n_access);
	for (size_t i = 0; i < want->n_access; i++) {
		assert_int_equal(got.access[i].len, want->access[i].len);
		assert_memory_equal(got.access[i].data, want->access[i].data, want->access[i].len);
	}
	mg_convert_begin(&b);
	mg_convert_put_supported(&b, kinds, sizeof(kinds));
	mg_convert_put_provision(&b,
				 (struct mg_span){ value, mg_provision_build_answer(value, want) });
	assert_int_equal(mg_convert_end(&b), len);
	assert_memory_equal(b.data, bytes, len);
	free(bytes);
}

static void answers_are_as_documented(void **state)
{
	const struct mg_provision_answer free_for_all = {
		.sessions_left = MG_PROVISION_UNLIMITED,
		.sessions_limit = MG_PROVISION_UNLIMITED,
		.subflows = MG_PROVISION_UNLIMITED,
		.any_access = true,
	};
	const struct mg_provision_answer limited = {
		.sessions_left = 7,
		.sessions_limit = 10,
		.subflows = 4,
		.wait_s = 3,
		.reservation = true,
		.reserved = 5,
		.reserved_s = 60,
		.access = { { (const uint8_t *)"cellular", 8 }, { (const uint8_t *)"wlan", 4 } },
		.n_access = 2,
	};

	(void)state;
	converter_says(HEADER("0a") SUPPORTED "c8 07 01 02 ffffffff ffffffff ffffffff 00000000"
					      "0000 0000 00 000000",
		       &free_for_all);
	converter_says(HEADER("0d") SUPPORTED "c8 0a 01 01 00000007 0000000a 00000004 00000003"
					      "0005 003c 02 08 63656c6c756c6172 04 776c616e 00",
		       &limited);
}

static void says_error(const char *text, int code)
{
	struct mg_convert_msg msg;
	uint8_t *bytes;
	size_t len;

	assert_int_equal(parse(text, MG_FROM_CLIENT, &msg, &bytes, &len), code);
	free(bytes);
}

static void it_comes_beside_info_once(void **state)
{
	(void)state;
	says_error(HEADER("02") "c8 01 01 00", MG_CE_MALFORMED);
	says_error(HEADER("04") INFO "c8 01 01 00 c8 01 01 00", MG_CE_MALFORMED);
	says_error(HEADER("08") INFO "c8 01 01 00 0a 05 1f40 00000000000000000000ffff0a040002",
		   MG_CE_MALFORMED);
	says_error(HEADER("03") INFO "c9 01 01 00", MG_CE_UNSUPPORTED_MESSAGE);
}

/* RFC 8803: a type that is not known is Unsupported Message, and this one is known to few. */
static void who_does_not_know_it_refuses_it(void **state)
{
	enum mg_convert_error error;
	struct mg_convert_msg msg;
	size_t len;
	uint8_t *bytes = hex_bytes(HEADER("03") INFO "c8 01 01 00", &len);

	(void)state;
	assert_int_equal(mg_convert_parse(&msg, &error, MG_FROM_CLIENT, bytes, len), len);
	assert_int_equal(error, MG_CE_UNSUPPORTED_MESSAGE);
	assert_false(msg.provision_present);
	free(bytes);
}

static void request_is(const char *text, int err)
{
	struct mg_provision_request req;
	size_t len;
	uint8_t *bytes = hex_bytes(text, &len);

	assert_int_equal(mg_provision_parse_request(&req, (struct mg_span){ bytes, len }), err);
	free(bytes);
}

static void odd_requests_are_refused(void **state)
{
	(void)state;
	request_is("", -EBADMSG);
	request_is("01", -EBADMSG);
	request_is("02 00", -EPROTONOSUPPORT);
	request_is("00 00", -EPROTONOSUPPORT);
	request_is("01 02", -EBADMSG);
	request_is("01 00 0005 003c", -EBADMSG);
	request_is("01 01", -EBADMSG);
	request_is("01 01 0005 003c 00000000", -EBADMSG);
}

/* What does not fit is said to be missing. */
static void too_many_names_are_cut(void **state)
{
	static uint8_t name[MG_PROVISION_NAME_MAX_BYTES + 1];
	uint8_t value[MG_PROVISION_VALUE_MAX_BYTES];
	struct mg_provision_answer a = { .n_access = MG_PROVISION_NAMES_MAX }, back;
	size_t n;

	(void)state;
	for (size_t i = 0; i < MG_PROVISION_NAMES_MAX; i++)
		a.access[i] = (struct mg_span){ name, MG_PROVISION_NAME_MAX_BYTES };
	n = mg_provision_build_answer(value, &a);
	assert_true(n <= sizeof(value));
	assert_int_equal(mg_provision_parse_answer(&back, (struct mg_span){ value, n }), 0);
	assert_true(back.cut);
	assert_int_equal(back.n_access, (sizeof(value) - 23) / (MG_PROVISION_NAME_MAX_BYTES + 1));
	a.n_access = 2;
	a.access[0].len = sizeof(name);
	n = mg_provision_build_answer(value, &a);
	assert_int_equal(mg_provision_parse_answer(&back, (struct mg_span){ value, n }), 0);
	assert_true(back.cut);
	assert_int_equal(back.n_access, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_as_documented),
		cmocka_unit_test(answers_are_as_documented),
		cmocka_unit_test(it_comes_beside_info_once),
		cmocka_unit_test(who_does_not_know_it_refuses_it),
		cmocka_unit_test(odd_requests_are_refused),
		cmocka_unit_test(too_many_names_are_cut),
	};

	return cmocka_run_group_tests_name("provision", tests, NULL, NULL);
}
