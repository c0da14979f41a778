// SPDX-License-Identifier: BSD-2-Clause
/* What is remembered of a provider's converter: cookies, options; and of servers behind it. */
#include "via_rig.h"

/* ---- cookies --------------------------------------------------------------------------------- */

static void a_cookie_is_fetched_and_kept(void **state)
{
	struct fixture *f = *state;

	begins(f);
	hears(f, CONNECT_HEX);
	says(f, COOKIE_HEX);
	assert_int_equal(mg_via_step(&f->session), MG_STEP_WAIT);
	assert_true(wait_until(mg_via_step(&f->session) == MG_STEP_WAIT &&
			       f->proxy.via.cookie_len == 4));
	hears(f, CONNECT_COOKIE_HEX);
	says(f, ANSWER_HEX);
	assert_int_equal(pumped(f), MG_STEP_NEXT);
	/* the next one has it */
	held(f, SERVER);
	begins(f);
	hears(f, CONNECT_COOKIE_HEX);
	/* the converter changed its keys: Not Authorized, then a new one */
	says(f, "0102 2263 1e01 2000");
	assert_true(wait_until(mg_via_step(&f->session) == MG_STEP_WAIT &&
			       f->proxy.via.cookie_len == 0));
	hears(f, CONNECT_HEX);
	says(f, "0103 2263 1e02 0300 0badf00d");
	assert_true(wait_until(mg_via_step(&f->session) == MG_STEP_WAIT &&
			       f->proxy.via.cookie_len == 4));
	hears(f, "0108 2263 0a05 0050 00000000 00000000 0000ffff 0a090201 1602 0000 0badf00d");
	says(f, ANSWER_HEX);
	assert_int_equal(pumped(f), MG_STEP_NEXT);
}

static void cookies_without_end(void **state)
{
	struct fixture *f = *state;

	begins(f);
	hears(f, CONNECT_HEX);
	says(f, COOKIE_HEX);
	assert_true(wait_until(mg_via_step(&f->session) == MG_STEP_WAIT &&
			       f->proxy.via.cookie_len == 4));
	hears(f, CONNECT_COOKIE_HEX);
	f->proxy.via.cookie_len = 0;
	says(f, COOKIE_HEX);
	assert_true(wait_until(mg_via_step(&f->session) == MG_STEP_WAIT &&
			       f->proxy.via.cookie_len == 4));
	hears(f, CONNECT_COOKIE_HEX);
	says(f, COOKIE_HEX);
	assert_int_equal(pumped(f), MG_STEP_BYPASS);
}

static void another_converter_starts_anew(void **state)
{
	struct fixture *f = *state;

	begins(f);
	hears(f, CONNECT_HEX);
	says(f, COOKIE_HEX);
	assert_true(wait_until(mg_via_step(&f->session) == MG_STEP_WAIT &&
			       f->proxy.via.cookie_len == 4));
	hears(f, CONNECT_COOKIE_HEX);
	says(f, "0102 2263 1e01 40ff");
	assert_int_equal(pumped(f), MG_STEP_BYPASS);
	held(f, SERVER);
	assert_false(mg_via_wanted(&f->session));
	f->config.cpe.converter = ep_of("10.9.0.7:5124");
	rig_close(&f->listener);
	f->listener = converter("10.9.0.7:5124", IPPROTO_MPTCP, 16, 16);
	assert_int_equal(asked(f, ANSWER_HEX), MG_STEP_NEXT);
}

/* ---- servers that speak MPTCP ---------------------------------------------------------------- */

static void asks_for_mptcp_to_learn_of_it(void **state)
{
	struct fixture *f = *state;

	f->config.cpe.direct = true;
	begins(f);
	hears(f, CONNECT_MPTCP_HEX);
	/* A converter that does not do that is asked without, from now on. */
	says(f, "0102 2263 1e01 211e");
	assert_true(wait_until(mg_via_step(&f->session) == MG_STEP_WAIT &&
			       f->proxy.via.no_mptcp_option));
	hears(f, CONNECT_HEX);
	says(f, ANSWER_HEX);
	assert_int_equal(pumped(f), MG_STEP_NEXT);
	assert_int_equal(asked(f, ANSWER_HEX), MG_STEP_NEXT);
	/* What it has no better word for is no reason to go on. */
	assert_int_equal(asked(f, "0102 2263 1e01 211e"), MG_STEP_BYPASS);
}

static void reads_the_servers_options(void **state)
{
	static const struct {
		const char *options;
		bool mptcp;
	} cases[] = {
		{ "", false },
		{ "020405b4", false },
		{ "020405b4 1e0c0101 0102030405060708", true },
		{ "0101 1e0c0101 0102030405060708 0000", true },
		{ "1e0c1101 0102030405060708", false },	   /* MP_JOIN */
		{ "00 1e0c0101 0102030405060708", false }, /* behind the end */
		{ "1e02", false },
		{ "1e0c01", false }, /* cut off */
		{ "1e01 1e0c0101 0102030405060708", false },
		{ "02", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mg_request r = { 0 };
		size_t len;
		uint8_t *options = hex_bytes(cases[i].options, &len);

		r.synack_options = (struct mg_span){ options, len };
		if (mg_request_server_speaks_mptcp(&r) != cases[i].mptcp)
			fail_msg("read %s otherwise", cases[i].options);
		free(options);
	}
}

static void who_goes_through_the_converter(void **state)
{
	struct fixture *f = *state;

	assert_true(mg_via_wanted(&f->session));
	f->session.known = MG_KNOWN_MPTCP;
	assert_true(mg_via_wanted(&f->session));
	f->config.cpe.direct = true;
	assert_false(mg_via_wanted(&f->session));
	f->session.known = MG_KNOWN_PLAIN;
	assert_true(mg_via_wanted(&f->session));
	f->session.kind = MG_HOLD_INTERCEPT;
	assert_false(mg_via_wanted(&f->session));
	f->session.kind = MG_HOLD_CPE;
	f->config.cpe.has_converter = false;
	assert_false(mg_via_wanted(&f->session));
	f->config.cpe.has_converter = true;
	held(f, CONVERTER); /* a host behind us that uses it by itself */
	assert_false(mg_via_wanted(&f->session));
	held(f, "224.0.0.1:80"); /* no Connect may name that */
	assert_false(mg_via_wanted(&f->session));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_cookie_is_fetched_and_kept),  TEST(cookies_without_end),
		TEST(another_converter_starts_anew), TEST(asks_for_mptcp_to_learn_of_it),
		TEST(reads_the_servers_options),     TEST(who_goes_through_the_converter),
	};

	return via_main("via again", tests);
}
