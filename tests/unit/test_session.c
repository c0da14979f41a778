// SPDX-License-Identifier: BSD-2-Clause
/*
 * How sessions end: every state, met by every event. What the peers see, and that it is counted
 * once and nothing is kept.
 */
#include "session_rig.h"

#define STUCK	  "10.9.3.1:81"
#define FOREVER_S 8000 /* longer than any time-out */

/* What the peers see in the end */
#define CLIENT_END   1
#define CLIENT_RST   2
#define CLIENT_ERROR 4
#define SERVER_END   8
#define SERVER_RST   16

struct end_case {
	void (*enter)(struct rig *r);
	void (*event)(struct rig *r);
	int see;
	enum mg_close_reason reason;
	int code;
};

/* ---- the ways into each state ---------------------------------------------------------------- */

static void greet(struct rig *r)
{
	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_wait_state(r, MG_SESSION_GREET);
}

static void greet_fragment(struct rig *r)
{
	greet(r);
	rig_say(r->client, "\x01\x06\x22", 3);
	rig_sync(r);
}

/* A server whose queue is full does not answer SYNs. The queue's own connections are in
 * r->server (the listener that is stuck) and here. */
static int filler[3];

static void connecting(struct rig *r)
{
	struct sockaddr_storage ss;
	struct mg_ep ep = ep_of(STUCK);
	socklen_t len = mg_ep_to_sockaddr(&ep, &ss);

	r->server = rig_listen(STUCK, 0);
	for (size_t i = 0; i < sizeof(filler) / sizeof(filler[0]); i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(filler[i], (struct sockaddr *)&ss, len);
	}
	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(r->client, STUCK);
	rig_wait_state(r, MG_SESSION_CONNECT);
}

static void relay(struct rig *r)
{
	rig_relay(r);
	rig_assert_relays(r);
}

static void client_done(struct rig *r)
{
	relay(r);
	shutdown(r->client, SHUT_WR);
	rig_hear_end(r->server);
	rig_say(r->server, "still", 5);
	rig_hear(r->client, "still");
}

static void server_done(struct rig *r)
{
	relay(r);
	shutdown(r->server, SHUT_WR);
	rig_hear_end(r->client);
	rig_say(r->client, "still", 5);
	rig_hear(r->server, "still");
}

static void linger(struct rig *r)
{
	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(r->client, OWN ":80");
	rig_hear_error(r->client, MG_CE_NOT_AUTHORIZED, NULL);
	rig_wait_state(r, MG_SESSION_LINGER);
}

/* Sends until nobody takes any more; returns how much of it arrived. */
static size_t fill(int fd)
{
	unsigned char data[PATTERN_BYTES];
	size_t sent = 0, from = 0;
	int unsent = 0, quiet = 0;

	while (quiet < 50) {
		ssize_t n;

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = rig_byte(from + i);
		n = send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			from = sent += (size_t)n;
		quiet = n > 0 ? 0 : quiet + 1;
		if (n <= 0)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	assert_int_equal(ioctl(fd, SIOCOUTQ, &unsent), 0);
	return sent - (size_t)unsent;
}

/* The client breaks while the server does not read. */
static void client_broke(struct rig *r)
{
	relay(r);
	r->acked = fill(r->client);
	rig_abort(&r->client);
	rig_wait_state(r, MG_SESSION_RESET);
}

static void server_broke(struct rig *r)
{
	relay(r);
	r->acked = fill(r->server);
	rig_abort(&r->server);
	rig_wait_state(r, MG_SESSION_RESET);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void client_reset(struct rig *r)
{
	rig_abort(&r->client);
}

static void client_fin(struct rig *r)
{
	shutdown(r->client, SHUT_WR);
}

static void server_reset(struct rig *r)
{
	rig_abort(&r->server);
}

static void server_fin(struct rig *r)
{
	shutdown(r->server, SHUT_WR);
}

static void time_passes(struct rig *r)
{
	rig_advance(r, FOREVER_S);
}

/* Time counts from when the end was passed on, where it is. */
static void client_fin_then_time(struct rig *r)
{
	client_fin(r);
	if (rig_state_is(r, MG_SESSION_RELAY))
		rig_hear_end(r->server);
	rig_sync(r);
	time_passes(r);
}

static void server_fin_then_time(struct rig *r)
{
	server_fin(r);
	if (rig_state_is(r, MG_SESSION_RELAY))
		rig_hear_end(r->client);
	rig_sync(r);
	time_passes(r);
}

static void operator_close(struct rig *r)
{
	struct mg_session_row *rows = NULL;
	uint64_t id;

	assert_int_equal(mg_proxy_sessions(&r->proxy, &rows), 1);
	id = rows[0].id;
	free(rows);
	assert_int_equal(mg_proxy_close_session(&r->proxy, id + 1), -ENOENT);
	assert_int_equal(mg_proxy_close_session(&r->proxy, id), 0);
	assert_int_equal(mg_proxy_close_session(&r->proxy, id), -ENOENT);
}

/* The server that did not answer is gone: the next SYN is refused. */
static void server_vanishes(struct rig *r)
{
	rig_close(&r->server);
}

static void stop(struct rig *r)
{
	rig_stop(r);
}

/* What the broken side had sent arrives, and then the reset. */
static void check_delivered(const struct rig *r, int fd)
{
	unsigned char data[PATTERN_BYTES];
	size_t got = 0;
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(data[i], rig_byte(got + (size_t)i));
		got += (size_t)n;
	}
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
	assert_true(got >= r->acked);
	assert_true(r->acked > 100000);
}

static void server_reads_on(struct rig *r)
{
	check_delivered(r, r->server);
	rig_close(&r->server);
}

static void client_reads_on(struct rig *r)
{
	check_delivered(r, r->client);
	rig_close(&r->client);
}

static void run_case(void **state)
{
	struct rig *r = *state;
	const struct end_case *c = r->arg;

	c->enter(r);
	c->event(r);
	if (c->see & CLIENT_ERROR)
		rig_hear_error(r->client, (uint8_t)c->code, NULL);
	if (c->see & CLIENT_END)
		rig_hear_end(r->client);
	if (c->see & CLIENT_RST)
		rig_hear_reset(r->client);
	if (c->see & SERVER_END)
		rig_hear_end(r->server);
	if (c->see & SERVER_RST)
		rig_hear_reset(r->server);
	if (c->see & CLIENT_ERROR)
		rig_close(&r->client);
	if (r->running)
		rig_ends(r, c->reason, c->code);
	assert_int_equal(atomic_load(&r->proxy.sessions), 0);
	for (size_t i = 0; i < sizeof(filler) / sizeof(filler[0]); i++) {
		if (c->enter == connecting)
			rig_close(&filler[i]);
	}
}

/* The shorter time-out counts from the end of the one way, however long nothing moved before. */
static void half_open_counts_from_the_end(void **state)
{
	struct rig *r = *state;

	relay(r);
	rig_advance(r, 7000);
	shutdown(r->client, SHUT_WR);
	rig_hear_end(r->server);
	rig_advance(r, 200);
	rig_say(r->server, "still", 5);
	rig_hear(r->client, "still");
	rig_sync(r);
	rig_advance(r, 200); /* since something moved */
	assert_true(rig_state_is(r, MG_SESSION_RELAY));
	rig_advance(r, 100);
	rig_hear_reset(r->client);
	rig_ends(r, MG_CLOSE_HALF_OPEN, NO_ERROR);
}

/* A reload that makes the time-out shorter holds for the sessions there are. */
static void a_shorter_idle_time_holds_at_once(void **state)
{
	struct rig *r = *state;
	struct mg_config config;
	struct mg_policy next;

	relay(r);
	rig_advance(r, 50);
	config = r->config;
	config.converter.idle_timeout_s = 100;
	next = r->policy;
	next.config = &config;
	mg_proxy_set_policy(&r->proxy, &next);
	assert_true(rig_state_is(r, MG_SESSION_RELAY));
	rig_advance(r, 60);
	rig_hear_reset(r->client);
	rig_hear_reset(r->server);
	rig_ends(r, MG_CLOSE_IDLE, NO_ERROR);
	mg_proxy_set_policy(&r->proxy, &r->policy);
}

/* Traffic either way keeps a session; the deadline moves with it. */
static void idle_counts_from_the_last_byte(void **state)
{
	struct rig *r = *state;

	relay(r);
	for (int i = 0; i < 4; i++) {
		rig_advance(r, 5000);
		rig_say(i % 2 ? r->client : r->server, "x", 1);
		rig_hear(i % 2 ? r->server : r->client, "x");
		rig_sync(r);
	}
	rig_advance(r, 7400);
	assert_true(rig_state_is(r, MG_SESSION_RELAY));
	rig_advance(r, 100);
	rig_hear_reset(r->client);
	rig_hear_reset(r->server);
	rig_ends(r, MG_CLOSE_IDLE, NO_ERROR);
}

/* Both ways are full when the client breaks: only what it had sent is still of use. */
static void nothing_is_kept_for_a_broken_side(void **state)
{
	struct rig *r = *state;
	struct rig_kept k = { .w = &r->proxy.workers[0] };

	relay(r);
	fill(r->server);
	r->acked = fill(r->client);
	mg_loop_call(&k.w->loop, rig_look, &k);
	assert_int_equal(k.lent, 3);
	rig_abort(&r->client);
	rig_wait_state(r, MG_SESSION_RESET);
	mg_loop_call(&k.w->loop, rig_look, &k);
	assert_int_equal(k.lent, 2);
	check_delivered(r, r->server);
	rig_close(&r->server);
	rig_ends(r, MG_CLOSE_CLIENT_RESET, NO_ERROR);
}

#define CASE(enter, event, see, reason, code)                                             \
	{                                                                                 \
#enter ", " #event, run_case, rig_setup, rig_teardown, &(struct end_case) \
		{                                                                         \
			enter, event, see, MG_CLOSE_##reason, code                        \
		}                                                                         \
	}
#define DENIED MG_CE_NOT_AUTHORIZED

static const struct CMUnitTest tests[] = {
	CASE(greet, client_reset, 0, CLIENT_GONE, NO_ERROR),
	CASE(greet, client_fin, CLIENT_RST, CLIENT_GONE, NO_ERROR),
	CASE(greet, time_passes, CLIENT_RST, GREET_TIMEOUT, NO_ERROR),
	CASE(greet, operator_close, CLIENT_RST, OPERATOR, NO_ERROR),
	CASE(greet, stop, CLIENT_RST, DRAINED, NO_ERROR),
	CASE(greet_fragment, client_reset, 0, CLIENT_GONE, NO_ERROR),
	CASE(greet_fragment, client_fin, CLIENT_ERROR, REFUSED, MG_CE_MALFORMED),
	CASE(greet_fragment, time_passes, CLIENT_RST, GREET_TIMEOUT, NO_ERROR),
	CASE(greet_fragment, operator_close, CLIENT_RST, OPERATOR, NO_ERROR),
	CASE(greet_fragment, stop, CLIENT_RST, DRAINED, NO_ERROR),

	CASE(connecting, client_reset, 0, CLIENT_GONE, NO_ERROR),
	CASE(connecting, client_fin_then_time, CLIENT_ERROR, REFUSED, MG_CE_NETWORK_FAILURE),
	CASE(connecting, server_vanishes, CLIENT_ERROR, REFUSED, MG_CE_CONNECTION_RESET),
	CASE(connecting, time_passes, CLIENT_ERROR, REFUSED, MG_CE_NETWORK_FAILURE),
	CASE(connecting, operator_close, CLIENT_RST, OPERATOR, NO_ERROR),
	CASE(connecting, stop, CLIENT_RST, DRAINED, NO_ERROR),

	CASE(relay, client_reset, SERVER_RST, CLIENT_RESET, NO_ERROR),
	CASE(relay, client_fin_then_time, CLIENT_RST | SERVER_END, HALF_OPEN, NO_ERROR),
	CASE(relay, server_reset, CLIENT_RST, SERVER_RESET, NO_ERROR),
	CASE(relay, server_fin_then_time, CLIENT_END | SERVER_RST, HALF_OPEN, NO_ERROR),
	CASE(relay, time_passes, CLIENT_RST | SERVER_RST, IDLE, NO_ERROR),
	CASE(relay, operator_close, CLIENT_RST | SERVER_RST, OPERATOR, NO_ERROR),
	CASE(relay, stop, CLIENT_RST | SERVER_RST, DRAINED, NO_ERROR),

	CASE(client_done, server_fin, CLIENT_END, FINISHED, NO_ERROR),
	CASE(client_done, client_reset, SERVER_RST, CLIENT_RESET, NO_ERROR),
	CASE(client_done, server_reset, CLIENT_RST, SERVER_RESET, NO_ERROR),
	CASE(client_done, time_passes, CLIENT_RST | SERVER_RST, HALF_OPEN, NO_ERROR),
	CASE(client_done, operator_close, CLIENT_RST | SERVER_RST, OPERATOR, NO_ERROR),
	CASE(client_done, stop, CLIENT_RST | SERVER_RST, DRAINED, NO_ERROR),
	CASE(server_done, client_fin, SERVER_END, FINISHED, NO_ERROR),
	CASE(server_done, client_reset, SERVER_RST, CLIENT_RESET, NO_ERROR),
	CASE(server_done, server_reset, CLIENT_RST, SERVER_RESET, NO_ERROR),
	CASE(server_done, time_passes, CLIENT_RST | SERVER_RST, HALF_OPEN, NO_ERROR),
	CASE(server_done, operator_close, CLIENT_RST | SERVER_RST, OPERATOR, NO_ERROR),
	CASE(server_done, stop, CLIENT_RST | SERVER_RST, DRAINED, NO_ERROR),

	CASE(linger, client_reset, 0, REFUSED, DENIED),
	CASE(linger, client_fin, 0, REFUSED, DENIED),
	CASE(linger, time_passes, 0, REFUSED, DENIED),
	CASE(linger, operator_close, CLIENT_RST, OPERATOR, DENIED),
	CASE(linger, stop, CLIENT_RST, DRAINED, DENIED),

	CASE(client_broke, server_reads_on, 0, CLIENT_RESET, NO_ERROR),
	CASE(client_broke, server_reset, 0, CLIENT_RESET, NO_ERROR),
	CASE(client_broke, server_fin_then_time, SERVER_RST, CLIENT_RESET, NO_ERROR),
	CASE(client_broke, time_passes, SERVER_RST, CLIENT_RESET, NO_ERROR),
	CASE(client_broke, operator_close, SERVER_RST, OPERATOR, NO_ERROR),
	CASE(client_broke, stop, SERVER_RST, DRAINED, NO_ERROR),
	CASE(server_broke, client_reads_on, 0, SERVER_RESET, NO_ERROR),
	CASE(server_broke, client_reset, 0, SERVER_RESET, NO_ERROR),
	CASE(server_broke, client_fin_then_time, CLIENT_RST, SERVER_RESET, NO_ERROR),
	CASE(server_broke, time_passes, CLIENT_RST, SERVER_RESET, NO_ERROR),
	CASE(server_broke, operator_close, CLIENT_RST, OPERATOR, NO_ERROR),
	CASE(server_broke, stop, CLIENT_RST, DRAINED, NO_ERROR),

	RIG_TEST(half_open_counts_from_the_end),
	RIG_TEST(idle_counts_from_the_last_byte),
	RIG_TEST(a_shorter_idle_time_holds_at_once),
	RIG_TEST(nothing_is_kept_for_a_broken_side),
};

int main(void)
{
	return rig_main("session", tests);
}
