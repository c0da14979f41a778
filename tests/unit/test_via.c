// SPDX-License-Identifier: BSD-2-Clause
/*
 * The way through a provider's converter: the room by itself, and converters played by the test.
 */
#include "peers.h"

#include <signal.h>

#include "base/log.h"
#include "hex.h"
#include "proxy/proxy.h"

#ifndef TCP_IS_MPTCP
#define TCP_IS_MPTCP 43
#endif

#define CONNECT_HEX	  "0106 2263 0a05 0050 00000000 00000000 0000ffff 0a090201"
#define CONNECT_MPTCP_HEX "0107 2263 0a06 0050 00000000 00000000 0000ffff 0a090201 1e020000"
#define CONNECT_COOKIE_HEX                                         \
	"0108 2263 0a05 0050 00000000 00000000 0000ffff 0a090201 " \
	"1602 0000 c0ffee00"
#define ANSWER_HEX "0103 2263 1402 0000 020405b4"
#define COOKIE_HEX "0103 2263 1e02 0300 c0ffee00"

struct fixture {
	struct mg_proxy proxy;
	struct mg_worker worker;
	struct mg_policy policy;
	struct mg_config config;
	struct mg_session session;
	int listener, peer; /* the converter's */
};

static void nobody(struct mg_timer *t)
{
	(void)t;
}

static void nothing(struct mg_io *io, uint32_t events)
{
	(void)io;
	(void)events;
}

/* A LAN host's SYN to `server` was held. */
static void held(struct fixture *f, const char *server)
{
	mg_via_free(&f->session);
	if (f->session.server.io.fd >= 0)
		close(f->session.server.io.fd);
	mg_timer_disarm(&f->worker.loop.timers, &f->session.timer);
	f->session = (struct mg_session){ .worker = &f->worker,
					  .kind = MG_HOLD_CPE,
					  .server_ep = ep_of(server),
					  .timer.fire = nobody,
					  .server.io = { .fd = -1, .ready = nothing } };
}

static int converter(const char *at, int protocol, int fastopen, int backlog)
{
	struct sockaddr_storage ss;
	struct mg_ep ep;
	socklen_t len;
	int fd = rig_socket(at, protocol, &ep, &ss, &len);

	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	if (fastopen)
		setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &fastopen, sizeof(fastopen));
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->config.converter.connect_timeout_ms = 5000;
	f->config.cpe.has_converter = true;
	f->config.cpe.converter = ep_of(CONVERTER);
	f->policy.config = &f->config;
	f->worker.proxy = &f->proxy;
	f->worker.policy = &f->policy;
	mg_via_memory_init(&f->proxy.via);
	assert_int_equal(mg_loop_init(&f->worker.loop, NULL, NULL), 0);
	f->worker.loop.now_ms = 1000000;
	f->session.server.io.fd = f->peer = -1;
	f->listener = converter(CONVERTER, IPPROTO_MPTCP, 16, 16);
	held(f, SERVER);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_close(&f->peer);
	rig_close(&f->listener);
	held(f, SERVER);
	mg_loop_free(&f->worker.loop);
	free(f);
	return 0;
}

/* ---- what happens ---------------------------------------------------------------------------- */

static void listen_instead(struct fixture *f, int protocol, int fastopen, int backlog)
{
	rig_close(&f->listener);
	f->listener = converter(CONVERTER, protocol, fastopen, backlog);
}

/* The converter gets exactly this message. */
static void hears(struct fixture *f, const char *hex)
{
	uint8_t got[MG_CONVERT_MAX_BYTES];
	size_t len;
	uint8_t *wanted = hex_bytes(hex, &len);

	rig_close(&f->peer);
	f->peer = rig_accept(f->listener);
	assert_int_equal(recv(f->peer, got, len, MSG_WAITALL), len);
	assert_memory_equal(got, wanted, len);
	assert_int_equal(recv(f->peer, got, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	free(wanted);
}

static void says(struct fixture *f, const char *hex)
{
	size_t len;
	uint8_t *bytes = hex_bytes(hex, &len);

	rig_say(f->peer, bytes, len);
	free(bytes);
}

static enum mg_step pumped(struct fixture *f)
{
	enum mg_step step = MG_STEP_WAIT;

	if (!wait_until((step = mg_via_step(&f->session)) != MG_STEP_WAIT))
		fail_msg("nothing came of it");
	return step;
}

static void begins(struct fixture *f)
{
	assert_true(mg_via_wanted(&f->session));
	assert_int_equal(mg_via_start(&f->session), MG_STEP_WAIT);
}

/* A new connection to the server, the converter's answer, and what the room makes of it */
static enum mg_step asked(struct fixture *f, const char *answer)
{
	held(f, SERVER);
	begins(f);
	hears(f, CONNECT_HEX);
	says(f, answer);
	return pumped(f);
}

/* Connections go to their servers for so long, and then through the converter again; 0: at once. */
static void is_aside_for(struct fixture *f, uint64_t seconds)
{
	uint64_t now_ms = f->worker.loop.now_ms;

	if (f->session.server.io.fd >= 0)
		fail_msg("the connection to the converter is still there");
	held(f, SERVER);
	if (seconds) {
		assert_false(mg_via_wanted(&f->session));
		f->worker.loop.now_ms = now_ms + seconds * 1000 - 1;
		assert_false(mg_via_wanted(&f->session));
	}
	f->worker.loop.now_ms = now_ms + seconds * 1000;
	assert_true(mg_via_wanted(&f->session));
}

static bool speaks_mptcp(int fd)
{
	int yes = 0;
	socklen_t len = sizeof(yes);

	return !getsockopt(fd, IPPROTO_TCP, TCP_IS_MPTCP, &yes, &len) && yes;
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		TEST(a_cookie_is_fetched_and_kept),
		TEST(cookies_without_end),
		TEST(another_converter_starts_anew),
		TEST(asks_for_mptcp_to_learn_of_it),
		TEST(reads_the_servers_options),
		TEST(who_goes_through_the_converter),
	};

	signal(SIGPIPE, SIG_IGN);
	mg_log_set_level(MG_LOG_ERROR);
	if (!rig_enter_namespace()) {
		puts("1..0 # SKIP needs a network namespace of its own");
		return 0;
	}
	rig_sysctl("/proc/sys/net/ipv4/tcp_fastopen", "0x603");
	return cmocka_run_group_tests_name("via", tests, NULL, NULL);
}
