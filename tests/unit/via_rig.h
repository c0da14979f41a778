/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The room that asks a provider's converter, by itself: a session that stands in it, and the
 * converter played by the test.
 */
#ifndef MG_TESTS_VIA_RIG_H
#define MG_TESTS_VIA_RIG_H

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

static inline void nobody(struct mg_timer *t)
{
	(void)t;
}

static inline void nothing(struct mg_io *io, uint32_t events)
{
	(void)io;
	(void)events;
}

/* A LAN host's SYN to `server` was held. */
static inline void held(struct fixture *f, const char *server)
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

static inline int converter(const char *at, int protocol, int fastopen, int backlog)
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

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline void listen_instead(struct fixture *f, int protocol, int fastopen, int backlog)
{
	rig_close(&f->listener);
	f->listener = converter(CONVERTER, protocol, fastopen, backlog);
}

/* The converter gets exactly this message. */
static inline void hears(struct fixture *f, const char *hex)
{
	uint8_t got[MG_CONVERT_MAX_BYTES];
	size_t len;
	uint8_t *wanted = hex_bytes(hex, &len);

	rig_close(&f->peer);
	f->peer = rig_accept(f->listener);
	/* What MPTCP is given before the third ACK stays there until the client speaks again. */
	assert_true(wait_until(!mg_sock_in_handshake(f->peer)));
	assert_int_equal(recv(f->peer, got, len, MSG_WAITALL), len);
	assert_memory_equal(got, wanted, len);
	assert_int_equal(recv(f->peer, got, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	free(wanted);
}

static inline void says(struct fixture *f, const char *hex)
{
	size_t len;
	uint8_t *bytes = hex_bytes(hex, &len);

	rig_say(f->peer, bytes, len);
	free(bytes);
}

static inline enum mg_step pumped(struct fixture *f)
{
	enum mg_step step = MG_STEP_WAIT;

	if (!wait_until((step = mg_via_step(&f->session)) != MG_STEP_WAIT))
		fail_msg("nothing came of it");
	return step;
}

static inline void begins(struct fixture *f)
{
	assert_true(mg_via_wanted(&f->session));
	assert_int_equal(mg_via_start(&f->session), MG_STEP_WAIT);
}

/* A new connection to the server, the converter's answer, and what the room makes of it */
static inline enum mg_step asked(struct fixture *f, const char *answer)
{
	held(f, SERVER);
	begins(f);
	hears(f, CONNECT_HEX);
	says(f, answer);
	return pumped(f);
}

/* Connections go to their servers for so long, and then through the converter again; 0: at once. */
static inline void is_aside_for(struct fixture *f, uint64_t seconds)
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

static inline bool speaks_mptcp(int fd)
{
	int yes = 0;
	socklen_t len = sizeof(yes);

	return !getsockopt(fd, IPPROTO_TCP, TCP_IS_MPTCP, &yes, &len) && yes;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Ends the program's main. */
#define via_main(name, tests)                                                              \
	(signal(SIGPIPE, SIG_IGN), mg_log_set_level(MG_LOG_ERROR), !rig_enter_namespace()) \
		? (puts("1..0 # SKIP needs a network namespace of its own"), 0)            \
		: (rig_sysctl("/proc/sys/net/ipv4/tcp_fastopen", "0x603"),                 \
		   cmocka_run_group_tests_name(name, tests, NULL, NULL))

#endif
