// SPDX-License-Identifier: BSD-2-Clause
/* What a provider's converter answers, or does not, and what becomes of the connection. */
#include "via_rig.h"

/* ---- the server accepted --------------------------------------------------------------------- */

static void message_in_the_syn_and_the_servers_bytes_after(void **state)
{
	struct fixture *f = *state;
	struct tcp_info info;
	socklen_t len = sizeof(info);

	begins(f);
	hears(f, CONNECT_HEX);
	assert_true(speaks_mptcp(f->peer));
	assert_int_equal(getsockopt(f->session.server.io.fd, IPPROTO_TCP, TCP_INFO, &info, &len),
			 0);
	assert_true(info.tcpi_options & TCPI_OPT_SYN_DATA);
	assert_true(mg_ep_equal(&f->session.converter_ep, &f->config.cpe.converter));
	says(f, ANSWER_HEX "68656c6c6f"); /* hello */
	assert_int_equal(pumped(f), MG_STEP_NEXT);
	rig_bound_wait(f->session.server.io.fd);
	fcntl(f->session.server.io.fd, F_SETFL, 0);
	rig_hear(f->session.server.io.fd, "hello");
	assert_true(f->session.server_mptcp);
	assert_true(f->session.server.readable && f->session.server.writable);
	assert_false(f->session.server.failed || f->session.server.half);
	assert_int_equal(f->session.source_ep.port != 0, 1);
	assert_int_equal(f->worker.stats.connected, 1);
	assert_null(f->session.via);
}

static void answer_byte_by_byte(void **state)
{
	struct fixture *f = *state;
	size_t len;
	uint8_t *answer = hex_bytes(ANSWER_HEX, &len);

	begins(f);
	hears(f, CONNECT_HEX);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(mg_via_step(&f->session), MG_STEP_WAIT);
		rig_say(f->peer, answer + i, 1);
	}
	free(answer);
	assert_int_equal(pumped(f), MG_STEP_NEXT);
}

static void both_families(void **state)
{
	struct fixture *f = *state;

	held(f, SERVER6);
	begins(f);
	hears(f, "0106 2263 0a05 0050 fd090000 00000000 00000000 00000002");
	says(f, ANSWER_HEX);
	assert_int_equal(pumped(f), MG_STEP_NEXT);

	rig_close(&f->listener);
	f->listener = converter(CONVERTER6, IPPROTO_MPTCP, 16, 16);
	f->config.cpe.converter = ep_of(CONVERTER6);
	assert_int_equal(asked(f, ANSWER_HEX), MG_STEP_NEXT);
}

/* The kernel cannot send SYN data: it follows the handshake. */
static void message_after_the_handshake(void **state)
{
	struct fixture *f = *state;

	rig_sysctl("/proc/sys/net/ipv4/tcp_fastopen", "0x602");
	begins(f);
	assert_true(wait_until(mg_via_step(&f->session) == MG_STEP_WAIT &&
			       f->session.timer.deadline_ms == 1000000 + 2 * 5000));
	hears(f, CONNECT_HEX);
	rig_sysctl("/proc/sys/net/ipv4/tcp_fastopen", "0x603");
	says(f, ANSWER_HEX);
	assert_int_equal(pumped(f), MG_STEP_NEXT);
}

/* ---- the server failed ----------------------------------------------------------------------- */

static void what_the_server_said(void **state)
{
	static const struct {
		const char *answer;
		int err;
		bool icmp, timed_out;
		uint8_t icmp_code;
	} cases[] = {
		{ "0102 2263 1e01 6000", ECONNREFUSED, false, false, 0 },
		{ "0102 2263 1e01 6101", EHOSTUNREACH, true, false, 1 },
		{ "0102 2263 1e01 610d", EHOSTUNREACH, true, false, 13 },
		{ "0102 2263 1e01 411e", ETIMEDOUT, false, true, 0 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct mg_sock_failure *why = &f->session.failure;

		assert_int_equal(asked(f, cases[i].answer), MG_STEP_FAILED);
		assert_int_equal(why->err, cases[i].err);
		assert_int_equal(why->icmp, cases[i].icmp);
		assert_int_equal(why->icmp_code, cases[i].icmp_code);
		assert_int_equal(f->session.timed_out, cases[i].timed_out);
		/* RFC 8803 section 6.2.8: a client resets on any Error TLV. */
		rig_hear_reset(f->peer);
		is_aside_for(f, 0);
	}
}

/* ---- the converter failed -------------------------------------------------------------------- */

static void what_the_converter_said(void **state)
{
	static const struct {
		const char *answer;
		uint64_t aside_s;
	} cases[] = {
		{ "0102 2263 1e01 0001", 600 },		 /* another version */
		{ "0102 2263 1e01 0100", 0 },		 /* malformed: this message */
		{ "0102 2263 1e01 0200", 0 },		 /* unsupported: this message */
		{ "0102 2263 1e01 0300", 0 },		 /* a cookie, it says, but gives none */
		{ "0102 2263 1e01 2000", 0 },		 /* not authorized */
		{ "0102 2263 1e01 2122", 0 },		 /* an option nobody asked for */
		{ "0102 2263 1e01 4007", 7 },		 /* resource exceeded */
		{ "0102 2263 1e01 4000", 30 },		 /* the same, without a time */
		{ "0102 2263 1e01 c800", 0 },		 /* unknown */
		{ "48545450 2f312e31 20343030", 600 },	 /* HTTP/1.1 400 */
		{ "0102 2263 1400 0000", 600 },		 /* a TLV of no length */
		{ "0102 2263 0101 0000", 600 },		 /* Info: never from a converter */
		{ "0103 2263 1502 0000 1e000000", 600 }, /* no Extended TCP Header */
		{ "0100 2263", 600 },			 /* Total Length 0 */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (asked(f, cases[i].answer) != MG_STEP_BYPASS)
			fail_msg("no bypass after %s", cases[i].answer);
		assert_int_equal(f->session.converter_ep.port, 0);
		assert_null(f->session.via);
		rig_hear_reset(f->peer);
		is_aside_for(f, cases[i].aside_s);
	}
}

static void converter_that_breaks_off(void **state)
{
	struct fixture *f = *state;

	begins(f);
	hears(f, CONNECT_HEX);
	rig_close(&f->peer);
	assert_int_equal(pumped(f), MG_STEP_BYPASS);
	is_aside_for(f, 10);
	begins(f);
	hears(f, CONNECT_HEX);
	says(f, "0103 2263 14");
	rig_abort(&f->peer);
	assert_int_equal(pumped(f), MG_STEP_BYPASS);
	is_aside_for(f, 10);
}

static void converter_that_is_not_there(void **state)
{
	struct fixture *f = *state;

	rig_close(&f->listener);
	begins(f);
	assert_int_equal(pumped(f), MG_STEP_BYPASS);
	is_aside_for(f, 10);
	f->config.cpe.converter = ep_of("192.0.2.1:5124"); /* no route */
	assert_true(mg_via_wanted(&f->session));
	assert_int_equal(mg_via_start(&f->session), MG_STEP_BYPASS);
	is_aside_for(f, 10);
}

static void converter_that_never_answers(void **state)
{
	struct fixture *f = *state;

	begins(f);
	hears(f, CONNECT_HEX);
	assert_int_equal(mg_via_step(&f->session), MG_STEP_WAIT);
	/* Time enough for it to find the server silent */
	assert_int_equal(f->session.timer.deadline_ms, 1000000 + 2 * 5000);
	assert_int_equal(mg_via_timeout(&f->session), MG_STEP_BYPASS);
	rig_hear_reset(f->peer);
	is_aside_for(f, 600);
}

/* No answer to the SYN: a converter in RFC 8803's order may just wait for its server. */
static void converter_that_takes_no_syn(void **state)
{
	struct fixture *f = *state;
	int full[2];

	listen_instead(f, IPPROTO_MPTCP, 16, 0);
	full[0] = rig_connect(CONVERTER, IPPROTO_TCP);
	begins(f);
	assert_int_equal(f->session.timer.deadline_ms, 1000000 + 5000 / 2);
	assert_int_equal(mg_via_step(&f->session), MG_STEP_WAIT);
	assert_int_equal(mg_via_timeout(&f->session), MG_STEP_BYPASS);
	/* The server does not answer either: nothing is known. */
	is_aside_for(f, 0);
	begins(f);
	assert_int_equal(mg_via_step(&f->session), MG_STEP_WAIT);
	assert_int_equal(mg_via_timeout(&f->session), MG_STEP_BYPASS);
	mg_via_reached(&f->session);
	is_aside_for(f, 60);
	rig_close(&full[0]);
}

static void converter_of_plain_tcp(void **state)
{
	struct fixture *f = *state;

	listen_instead(f, IPPROTO_TCP, 16, 16);
	begins(f);
	hears(f, CONNECT_HEX);
	says(f, ANSWER_HEX);
	assert_int_equal(pumped(f), MG_STEP_BYPASS);
	is_aside_for(f, 600);
}

static void converter_that_drops_syn_data(void **state)
{
	struct fixture *f = *state;

	listen_instead(f, IPPROTO_MPTCP, 0, 16);
	rig_sysctl("/proc/sys/net/ipv4/tcp_fastopen", "0x1");
	begins(f);
	assert_int_equal(pumped(f), MG_STEP_BYPASS);
	rig_sysctl("/proc/sys/net/ipv4/tcp_fastopen", "0x603");
	is_aside_for(f, 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(message_in_the_syn_and_the_servers_bytes_after),
		TEST(answer_byte_by_byte),
		TEST(both_families),
		TEST(message_after_the_handshake),
		TEST(what_the_server_said),
		TEST(what_the_converter_said),
		TEST(converter_that_breaks_off),
		TEST(converter_that_is_not_there),
		TEST(converter_that_never_answers),
		TEST(converter_that_takes_no_syn),
		TEST(converter_of_plain_tcp),
		TEST(converter_that_drops_syn_data),
	};

	return via_main("via", tests);
}
