// SPDX-License-Identifier: BSD-2-Clause
/* Intercepted sessions: what becomes of a held SYN, whatever server and client do. */
#include "held_rig.h"

#define FOREVER_S 8000

static int listen_mptcp(const char *at)
{
	struct sockaddr_storage ss;
	struct mg_ep ep;
	socklen_t len;
	int fd = rig_socket(at, IPPROTO_MPTCP, &ep, &ss, &len);

	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void take_over(struct rig *r, struct held_client *c)
{
	held_client(c, SERVER, IPPROTO_MPTCP);
	held_syn(r, c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	held_arrive(c);
	rig_wait_state(r, MG_SESSION_RELAY);
}

/* ---- taken over ------------------------------------------------------------------------------ */

static void a_session_is_taken_over(void **state)
{
	struct rig *r = *state;
	struct held_client c;
	struct mg_session_row *rows;
	struct mg_ep seen;
	int added;

	take_over(r, &c);
	assert_int_equal(mg_sock_peer(r->server, &seen), 0);
	assert_true(mg_ep_equal(&seen, &c.syn.client)); /* address and port */
	assert_int_equal(held_count(HELD_RELEASE), 1);
	assert_int_equal(held_last(HELD_RELEASE, NULL).isn, 1000);
	assert_int_equal(mg_proxy_sessions(&r->proxy, &rows), 1);
	assert_int_equal(rows[0].kind, MG_HOLD_INTERCEPT);
	assert_true(rows[0].mptcp);
	assert_false(rows[0].server_mptcp);
	assert_true(mg_ep_equal(&rows[0].server, &c.syn.server));
	assert_int_equal(held_last(HELD_TOKEN_ADD, &added).isn, rows[0].token);
	assert_int_not_equal(rows[0].token, 0);
	free(rows);
	held_relays(r, &c);
	assert_int_equal(held_count(HELD_TOKEN_DEL), 0);
	held_finish(r, &c);
	assert_int_equal(held_count(HELD_TOKEN_DEL), 1);
	assert_int_equal(held_count(HELD_RELEASE), 1);
	assert_int_equal(held_count(HELD_LEARN), 0);
	assert_int_equal(r->last.hold_replayed, 1);
	assert_int_equal(r->last.probes, 0);
	assert_int_equal(r->last.requests, 0);
}

/* What fell back on its way is relayed all the same, and joins nothing. */
static void a_plain_client_has_no_token(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_client(&c, SERVER, IPPROTO_TCP);
	c.syn.mp_capable = true;
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	held_arrive(&c);
	rig_wait_state(r, MG_SESSION_RELAY);
	held_relays(r, &c);
	assert_int_equal(held_count(HELD_TOKEN_ADD), 0);
	held_finish(r, &c);
	assert_int_equal(r->last.fallbacks, 1);
}

static void a_shared_source_is_ours(void **state)
{
	struct rig *r = *state;
	struct held_client c;
	struct mg_ep seen;

	r->config.intercept.source = MG_SOURCE_SHARED;
	take_over(r, &c);
	assert_int_equal(mg_sock_peer(r->server, &seen), 0);
	assert_false(mg_ep_equal(&seen, &c.syn.client));
	held_finish(r, &c);
}

static void the_server_speaks_first(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_client(&c, SERVER, IPPROTO_MPTCP);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	rig_say(r->server, "220 hello", 9);
	held_wait(HELD_TAKE, 1);
	rig_wait_state(r, MG_SESSION_ACCEPT);
	held_arrive(&c);
	rig_hear(c.fd, "220 hello");
	held_finish(r, &c);
}

/* It is gone when the client comes in: the client hears what it would have heard. */
static void the_server_breaks_before_the_accept(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_client(&c, SERVER, IPPROTO_MPTCP);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	rig_abort(&r->server);
	rig_sync(r);
	held_arrive(&c);
	rig_hear_reset(c.fd);
	rig_close(&c.fd);
	held_ends(r, MG_CLOSE_SERVER_RESET);
}

static void a_cpe_speaks_mptcp_upstream(void **state)
{
	struct rig *r = *state;
	struct held_client c;
	struct mg_session_row *rows;

	rig_close(&r->listener);
	r->listener = listen_mptcp(SERVER);
	held_client(&c, SERVER, IPPROTO_TCP);
	c.syn.kind = MG_HOLD_CPE;
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	/* Nobody joins plain TCP, so that it leaves the port to the host's programs. */
	assert_int_not_equal(kernel.stand_in, 0);
	assert_int_equal(kernel.announced, 0);
	held_arrive(&c);
	rig_wait_state(r, MG_SESSION_RELAY);
	assert_int_equal(mg_proxy_sessions(&r->proxy, &rows), 1);
	assert_int_equal(rows[0].kind, MG_HOLD_CPE);
	assert_true(rows[0].server_mptcp);
	assert_false(rows[0].mptcp);
	free(rows);
	held_relays(r, &c);
	held_finish(r, &c);
	assert_int_equal(r->last.fallbacks, 0);
	assert_int_equal(held_count(HELD_LEARN), 0);
	rig_close(&r->listener);
	r->listener = rig_listen(SERVER, 64);
}

/* ---- hybrid ---------------------------------------------------------------------------------- */

static void hybrid_client(struct held_client *c, const char *server)
{
	held_client(c, server, IPPROTO_MPTCP);
	c->syn.mode = MG_MODE_HYBRID;
}

static void a_plain_server_is_learned_and_used(void **state)
{
	struct rig *r = *state;
	struct held_client c;
	int learned, taken;

	hybrid_client(&c, SERVER);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	held_last(HELD_TAKE, &taken);
	assert_int_equal(held_last(HELD_LEARN, &learned).value, false);
	assert_true(learned < taken);
	held_arrive(&c);
	rig_wait_state(r, MG_SESSION_RELAY);
	held_relays(r, &c);
	held_finish(r, &c);
	assert_int_equal(r->last.probes, 1);

	/* The next one comes before the kernel's verdict reached its SYN: no second probe. */
	hybrid_client(&c, SERVER);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 2);
	held_arrive(&c);
	rig_wait_state(r, MG_SESSION_RELAY);
	held_finish(r, &c);
	assert_int_equal(r->last.probes, 1);
	assert_int_equal(held_count(HELD_LEARN), 1);
}

static void probed_connection(struct rig *r, struct held_client *c)
{
	hybrid_client(c, SERVER);
	held_syn(r, c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	held_arrive(c);
	rig_wait_state(r, MG_SESSION_RELAY);
	held_relays(r, c);
}

static void nothing_is_missing_at_the_end(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	kernel.received_bytes = 4; /* "down" */
	probed_connection(r, &c);
	rig_close(&r->server);
	rig_hear_end(c.fd);
	rig_close(&c.fd);
	held_ends(r, MG_CLOSE_FINISHED);
}

/* The kernel had more of the server than it gave us: no end in order. */
static void what_the_kernel_lost_is_no_end(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	kernel.received_bytes = 5;
	probed_connection(r, &c);
	rig_close(&r->server);
	held_ends(r, MG_CLOSE_SERVER_RESET);
	rig_hear_reset(c.fd);
	rig_close(&c.fd);
}

/* Its SYN was repeated so often that it went without MP_CAPABLE in the end. */
static void a_probe_that_did_not_ask_teaches_nothing(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	for (int i = 1; i <= 3; i++) {
		kernel.syn_repeats = i < 3 ? 2 : 1;
		hybrid_client(&c, SERVER);
		held_syn(r, &c);
		r->server = rig_accept(r->listener);
		held_wait(HELD_TAKE, i);
		held_arrive(&c);
		rig_wait_state(r, MG_SESSION_RELAY);
		held_relays(r, &c);
		/* The next one asks, while this one is still there. */
		assert_int_equal(held_count(HELD_LEARN), i < 3 ? 0 : 1);
		assert_int_equal(r->proxy.servers.n, i < 3 ? 0 : 1);
		held_finish(r, &c);
		assert_int_equal(r->last.probes, i);
	}
}

/* The probe is gone before the SYN goes on: to the server both are the same connection. */
static void an_mptcp_server_is_left_alone(void **state)
{
	struct rig *r = *state;
	int listener = listen_mptcp(MPTCP_SERVER);
	int aborted, passed, learned;
	struct held_client c;

	hybrid_client(&c, MPTCP_SERVER);
	held_syn(r, &c);
	held_ends(r, MG_CLOSE_STEPPED_ASIDE);
	assert_int_equal(held_last(HELD_PASS, &passed).value, MG_PASSED_PROBED);
	held_last(HELD_ABORT, &aborted);
	assert_int_equal(held_last(HELD_LEARN, &learned).value, true);
	assert_true(learned < passed && aborted < passed);
	assert_int_equal(held_count(HELD_RELEASE), 0);
	assert_int_equal(held_count(HELD_TAKE), 0);
	assert_int_equal(r->last.hold_passed, 1);
	r->server = rig_accept(listener);
	rig_hear_reset(r->server); /* and not a byte */
	rig_close(&r->server);
	rig_close(&c.fd);

	/* And so the next one, without a probe. */
	hybrid_client(&c, MPTCP_SERVER);
	held_syn(r, &c);
	held_ends(r, MG_CLOSE_STEPPED_ASIDE);
	assert_int_equal(held_last(HELD_PASS, &passed).value, MG_PASSED_KNOWN);
	assert_int_equal(r->last.probes, 1);
	rig_close(&c.fd);
	rig_close(&listener);
}

static void known_servers_are_not_asked(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	hybrid_client(&c, SERVER);
	c.syn.known = MG_KNOWN_MPTCP;
	held_syn(r, &c);
	held_ends(r, MG_CLOSE_STEPPED_ASIDE);
	assert_int_equal(held_last(HELD_PASS, NULL).value, MG_PASSED_KNOWN);
	rig_close(&c.fd);
	hybrid_client(&c, SERVER);
	c.syn.known = MG_KNOWN_PLAIN;
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	held_arrive(&c);
	rig_wait_state(r, MG_SESSION_RELAY);
	held_finish(r, &c);
	assert_int_equal(r->last.probes, 0);
	assert_int_equal(held_count(HELD_LEARN), 0);
}

/* ---- the listeners --------------------------------------------------------------------------- */

static void count_ports(void *arg)
{
	struct rig *r = arg;

	r->acked = r->proxy.workers[0].ports.n;
}

static size_t ports(struct rig *r)
{
	mg_loop_call(&r->proxy.workers[0].loop, count_ports, r);
	return r->acked;
}

static void listeners_come_and_go(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	assert_int_equal(ports(r), 0);
	take_over(r, &c);
	assert_int_equal(ports(r), 1);
	/* Joins may come as long as the session lives. */
	rig_advance(r, 200);
	assert_int_equal(ports(r), 1);
	held_relays(r, &c);
	held_finish(r, &c);
	rig_advance(r, 50);
	assert_int_equal(ports(r), 1);
	/* Used again, it is young again. */
	held_client(&c, SERVER, IPPROTO_MPTCP);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 2);
	held_arrive(&c);
	rig_wait_state(r, MG_SESSION_RELAY);
	rig_advance(r, 50);
	held_finish(r, &c);
	rig_advance(r, 50);
	assert_int_equal(ports(r), 1);
	rig_advance(r, 20);
	assert_true(wait_until(ports(r) == 0));
}

/* On all addresses, as a web server of the host would */
static int host_listens(struct rig *r)
{
	rig_close(&r->listener);
	return rig_listen("0.0.0.0:80", 16);
}

static void a_listener_of_the_host_is_in_the_way(void **state)
{
	struct rig *r = *state;
	struct held_client c;
	int host = host_listens(r);

	held_client(&c, SERVER, IPPROTO_MPTCP);
	held_syn(r, &c);
	r->server = rig_accept(host);
	held_wait(HELD_TAKE, 1);
	assert_int_not_equal(kernel.stand_in, 0);
	assert_int_equal(kernel.announced, 1);
	held_arrive(&c);
	rig_wait_state(r, MG_SESSION_RELAY);
	held_relays(r, &c);
	held_finish(r, &c);
	/* It goes as listeners do, and is not looked for any more. */
	rig_advance(r, 61);
	assert_true(wait_until(ports(r) == 0));
	assert_int_equal(kernel.stand_in, 0);
	rig_close(&host);
	r->listener = rig_listen(SERVER, 64);
}

static void nothing_stands_in_for_the_hosts_listener(void **state)
{
	struct rig *r = *state;
	struct held_client c;
	int host = host_listens(r);

	kernel.stand_in_err = -ENOSPC;
	for (int i = 1; i <= 2; i++) {
		held_client(&c, SERVER, IPPROTO_MPTCP);
		held_syn(r, &c);
		held_ends(r, MG_CLOSE_PASSED);
		r->server = rig_accept(host);
		rig_hear_reset(r->server);
		rig_close(&r->server);
		rig_close(&c.fd);
		assert_int_equal(held_count(HELD_PASS), i);
		assert_int_equal(held_last(HELD_PASS, NULL).value, MG_PASSED_OVERLOAD);
	}
	rig_close(&host);
	r->listener = rig_listen(SERVER, 64);
	assert_int_equal(held_count(HELD_TAKE), 0);
	assert_int_equal(ports(r), 0);
}

static void who_was_not_let_in_is_not_welcome(void **state)
{
	struct rig *r = *state;
	struct held_client c, stranger;

	take_over(r, &c);
	held_client(&stranger, SERVER, IPPROTO_TCP);
	held_arrive(&stranger);
	rig_hear_reset(stranger.fd);
	rig_close(&stranger.fd);
	held_relays(r, &c);
	held_finish(r, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HELD_TEST(a_session_is_taken_over),
		HELD_TEST(a_plain_client_has_no_token),
		HELD_TEST(a_shared_source_is_ours),
		HELD_TEST(the_server_speaks_first),
		HELD_TEST(the_server_breaks_before_the_accept),
		HELD_TEST(a_cpe_speaks_mptcp_upstream),
		HELD_TEST(a_plain_server_is_learned_and_used),
		HELD_TEST(nothing_is_missing_at_the_end),
		HELD_TEST(what_the_kernel_lost_is_no_end),
		HELD_TEST(a_probe_that_did_not_ask_teaches_nothing),
		HELD_TEST(an_mptcp_server_is_left_alone),
		HELD_TEST(known_servers_are_not_asked),
		HELD_TEST(listeners_come_and_go),
		HELD_TEST(a_listener_of_the_host_is_in_the_way),
		HELD_TEST(nothing_stands_in_for_the_hosts_listener),
		HELD_TEST(who_was_not_let_in_is_not_welcome),
	};

	return rig_main("held", tests);
}
