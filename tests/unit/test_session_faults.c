// SPDX-License-Identifier: BSD-2-Clause
/* The session machine with every call of the kernel and of malloc failing in turn. */
#include "faults.h"

static int setup(void **state)
{
	memset(faults, 0, sizeof(faults));
	return rig_setup(state);
}

/* A session that works from end to end, as if nothing had been. */
static void works(struct rig *r)
{
	rig_relay(r);
	rig_assert_relays(r);
	rig_close(&r->client);
	rig_hear_end(r->server);
	rig_close(&r->server);
	rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);
}

static void turned_away(struct rig *r)
{
	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_hear_reset(r->client);
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_OVERLOAD, NO_ERROR);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void accept_goes_on_after_small_errors(void **state)
{
	static const int errs[] = { ECONNABORTED, EINTR, EPROTO, ENOBUFS, ENOMEM, EPERM };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		fault(CALL_accept4, 0, 3, errs[i]);
		works(r);
		all_happened();
	}
}

static void without_descriptors_clients_are_turned_away(void **state)
{
	static const int errs[] = { EMFILE, ENFILE };
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		fault(CALL_accept4, 0, 1, errs[i]);
		turned_away(r);
		all_happened();
		assert_int_equal(r->last.accepted, 2 * i + 1);
		works(r);
	}
}

/* The spare descriptor went to someone else in between. It has to come back when it can. */
static void the_spare_descriptor_comes_back(void **state)
{
	struct rig *r = *state;

	fault(CALL_accept4, 0, 1, EMFILE);
	fault(CALL_open, 0, 1, EMFILE);
	turned_away(r);
	all_happened();
	fault(CALL_accept4, 0, 1, EMFILE);
	turned_away(r);
	all_happened();
	works(r);
}

/* ---- opening a session ----------------------------------------------------------------------- */

struct open_case {
	enum call call;
	int skip, err;
};

static void a_session_that_cannot_begin_is_reset(void **state)
{
	static const struct open_case cases[] = {
		{ CALL_calloc, 0, ENOMEM },    /* the session */
		{ CALL_calloc, 1, ENOMEM },    /* its client's pending requests */
		{ CALL_realloc, 0, ENOMEM },   /* its timer */
		{ CALL_epoll_ctl, 0, ENOMEM }, /* its socket */
		{ CALL_epoll_ctl, 0, ENOSPC },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fault(cases[i].call, cases[i].skip, 1, cases[i].err);
		turned_away(r);
		all_happened();
	}
	works(r);
}

/* ---- greet ----------------------------------------------------------------------------------- */

static void reading_the_message(void **state)
{
	static const struct {
		int err;
		bool fatal;
	} cases[] = { { EINTR, false }, { ECONNRESET, true }, { ETIMEDOUT, true } };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* the look at it, and taking it out */
		for (int skip = 0; skip < 2; skip++) {
			r->client = rig_connect(CONVERTER, IPPROTO_TCP);
			rig_wait_state(r, MG_SESSION_GREET);
			rig_sync(r);
			fault(CALL_recv, skip, 1, cases[i].err);
			rig_ask(r->client, SERVER);
			if (cases[i].fatal) {
				rig_hear_reset(r->client);
				rig_close(&r->client);
				rig_ends(r, MG_CLOSE_CLIENT_GONE, NO_ERROR);
			} else {
				r->server = rig_accept(r->listener);
				rig_hear_connected(r->client);
				rig_assert_relays(r);
				rig_close(&r->client);
				rig_hear_end(r->server);
				rig_close(&r->server);
				rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);
			}
			all_happened();
		}
	}
}

/* ---- connect --------------------------------------------------------------------------------- */

struct connect_case {
	enum call call;
	int skip, err, code, value;
};

#define DELAY_S 30

static void connecting_says_why_not(void **state)
{
	static const struct connect_case cases[] = {
		{ CALL_connect, 0, ECONNREFUSED, MG_CE_CONNECTION_RESET, 0 },
		{ CALL_connect, 0, ECONNRESET, MG_CE_CONNECTION_RESET, 0 },
		{ CALL_connect, 0, ENETUNREACH, MG_CE_DEST_UNREACHABLE, 0 },
		{ CALL_connect, 0, EHOSTUNREACH, MG_CE_DEST_UNREACHABLE, 1 },
		{ CALL_connect, 0, EHOSTDOWN, MG_CE_DEST_UNREACHABLE, 1 },
		{ CALL_connect, 0, EACCES, MG_CE_DEST_UNREACHABLE, 13 },
		{ CALL_connect, 0, EPERM, MG_CE_DEST_UNREACHABLE, 13 },
		{ CALL_connect, 0, EPROTO, MG_CE_DEST_UNREACHABLE, 2 },
		{ CALL_connect, 0, ETIMEDOUT, MG_CE_NETWORK_FAILURE, DELAY_S },
		{ CALL_connect, 0, EINVAL, MG_CE_NETWORK_FAILURE, DELAY_S },
		{ CALL_connect, 0, EADDRNOTAVAIL, MG_CE_RESOURCE_EXCEEDED, DELAY_S },
		{ CALL_connect, 0, EADDRINUSE, MG_CE_RESOURCE_EXCEEDED, DELAY_S },
		{ CALL_connect, 0, ENOBUFS, MG_CE_RESOURCE_EXCEEDED, DELAY_S },
		{ CALL_connect, 0, ENOMEM, MG_CE_RESOURCE_EXCEEDED, DELAY_S },
		{ CALL_connect, 0, EAGAIN, MG_CE_RESOURCE_EXCEEDED, DELAY_S },
		{ CALL_socket, 0, EMFILE, MG_CE_RESOURCE_EXCEEDED, DELAY_S },
		{ CALL_socket, 0, ENFILE, MG_CE_RESOURCE_EXCEEDED, DELAY_S },
		{ CALL_socket, 0, ENOBUFS, MG_CE_RESOURCE_EXCEEDED, DELAY_S },
		/* after that of the client's socket */
		{ CALL_epoll_ctl, 1, ENOMEM, MG_CE_RESOURCE_EXCEEDED, DELAY_S },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct connect_case *c = &cases[i];
		struct rig_reply reply;

		fault(c->call, c->skip, 1, c->err);
		r->client = rig_connect(CONVERTER, IPPROTO_TCP);
		rig_ask(r->client, SERVER);
		rig_hear_error(r->client, (uint8_t)c->code, &reply);
		assert_int_equal(reply.msg.error_value.data[0], c->value);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_REFUSED, c->code);
		all_happened();
		if (c->call == CALL_epoll_ctl) /* that one got as far as the server */
			close(rig_accept(r->listener));
	}
	works(r);
}

/* The client's port is taken here; another one will do. */
static void a_preserved_source_gives_up_its_port(void **state)
{
	static const int errs[] = { EADDRINUSE, EADDRNOTAVAIL, EACCES };
	struct rig *r = *state;

	r->config.converter.source = MG_SOURCE_PRESERVED;
	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		struct rig_reply reply;
		struct mg_ep seen, own;

		fault(CALL_connect, 0, 1, errs[i]);
		rig_relay(r);
		all_happened();
		assert_int_equal(mg_sock_peer(r->server, &seen), 0);
		assert_int_equal(mg_sock_local(r->client, &own), 0);
		assert_true(mg_ip_equal(&seen.ip, &own.ip));
		assert_true(seen.port != own.port);
		rig_close(&r->client);
		rig_hear_end(r->server);
		rig_close(&r->server);
		rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);

		fault(CALL_connect, 0, 2, EADDRNOTAVAIL);
		r->client = rig_connect(CONVERTER, IPPROTO_TCP);
		rig_ask(r->client, SERVER);
		rig_hear_error(r->client, MG_CE_RESOURCE_EXCEEDED, &reply);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_REFUSED, MG_CE_RESOURCE_EXCEEDED);
		all_happened();
	}
}

static void without_mptcp_the_server_gets_tcp(void **state)
{
	struct rig *r = *state;

	r->config.converter.server_mptcp = MG_SERVER_MPTCP_ALWAYS;
	fault(CALL_socket, 0, 1, EPROTONOSUPPORT);
	works(r);
	all_happened();
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void no_memory_for_the_answer(void **state)
{
	struct rig *r = *state;

	fault(CALL_malloc, 0, 1, ENOMEM);
	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(r->client, SERVER);
	r->server = rig_accept(r->listener);
	rig_hear_reset(r->client);
	rig_hear_reset(r->server);
	rig_close(&r->client);
	rig_close(&r->server);
	rig_ends(r, MG_CLOSE_OVERLOAD, NO_ERROR);
	all_happened();

	fault(CALL_malloc, 0, 1, ENOMEM);
	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(r->client, OWN ":80");
	rig_hear_reset(r->client);
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_OVERLOAD, MG_CE_NOT_AUTHORIZED);
	all_happened();
	works(r);
}

static void sending_an_error(void **state)
{
	static const int soft[] = { EINTR, ENOBUFS }, hard[] = { ECONNRESET, EPIPE, ETIMEDOUT };
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		fault(CALL_send, 0, 3, soft[i]);
		r->client = rig_connect(CONVERTER, IPPROTO_TCP);
		rig_ask(r->client, OWN ":80");
		rig_hear_error(r->client, MG_CE_NOT_AUTHORIZED, NULL);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_REFUSED, MG_CE_NOT_AUTHORIZED);
		all_happened();
	}
	for (size_t i = 0; i < 3; i++) {
		fault(CALL_send, 0, 1, hard[i]);
		r->client = rig_connect(CONVERTER, IPPROTO_TCP);
		rig_ask(r->client, OWN ":80");
		rig_hear_end(r->client);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_REFUSED, MG_CE_NOT_AUTHORIZED);
		all_happened();
	}
}

static void waiting_for_the_end_after_an_error(void **state)
{
	static const int errs[] = { EINTR, ECONNRESET, ETIMEDOUT };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		r->client = rig_connect(CONVERTER, IPPROTO_TCP);
		rig_ask(r->client, OWN ":80");
		rig_hear_error(r->client, MG_CE_NOT_AUTHORIZED, NULL);
		rig_sync(r);
		fault(CALL_recv, 0, 1, errs[i]);
		rig_say(r->client, "more", 4);
		rig_sync(r);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_REFUSED, MG_CE_NOT_AUTHORIZED);
		all_happened();
	}
}

/* ---- relay ----------------------------------------------------------------------------------- */

struct relay_case {
	enum call call;
	bool client_talks;
	int err;
	enum mg_close_reason reason;
};

/* Client and server are well in truth: both hear the reset. */
static void one_side_breaks(void **state)
{
	static const struct relay_case cases[] = {
		{ CALL_recv, true, ECONNRESET, MG_CLOSE_CLIENT_RESET },
		{ CALL_recv, true, EPIPE, MG_CLOSE_CLIENT_RESET },
		{ CALL_recv, true, ETIMEDOUT, MG_CLOSE_CLIENT_LOST },
		{ CALL_recv, true, EHOSTUNREACH, MG_CLOSE_CLIENT_LOST },
		{ CALL_recv, false, ECONNRESET, MG_CLOSE_SERVER_RESET },
		{ CALL_recv, false, ETIMEDOUT, MG_CLOSE_SERVER_LOST },
		{ CALL_recv, false, ENETUNREACH, MG_CLOSE_SERVER_LOST },
		{ CALL_send, true, ECONNRESET, MG_CLOSE_SERVER_RESET },
		{ CALL_send, true, EPIPE, MG_CLOSE_SERVER_RESET },
		{ CALL_send, true, ETIMEDOUT, MG_CLOSE_SERVER_LOST },
		{ CALL_send, false, ECONNRESET, MG_CLOSE_CLIENT_RESET },
		{ CALL_send, false, EPIPE, MG_CLOSE_CLIENT_RESET },
		{ CALL_send, false, ETIMEDOUT, MG_CLOSE_CLIENT_LOST },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_relay(r);
		rig_assert_relays(r);
		fault(cases[i].call, 0, 1, cases[i].err);
		rig_say(cases[i].client_talks ? r->client : r->server, "x", 1);
		rig_hear_reset(r->client);
		rig_hear_reset(r->server);
		rig_close(&r->client);
		rig_close(&r->server);
		rig_ends(r, cases[i].reason, NO_ERROR);
		all_happened();
	}
}

static void small_errors_lose_nothing(void **state)
{
	static const struct {
		enum call call;
		int err;
	} cases[] = { { CALL_recv, EINTR }, { CALL_send, EINTR }, { CALL_send, ENOBUFS } };
	struct rig *r = *state;

	rig_relay(r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fault(cases[i].call, 0, 5, cases[i].err);
		rig_assert_relays(r);
		all_happened();
		rig_say(r->server, "first down", 10);
		rig_hear(r->client, "first down");
		rig_sync(r);
		fault(cases[i].call, 0, 5, cases[i].err);
		rig_say(r->server, "and up", 6);
		rig_hear(r->client, "and up");
		all_happened();
		rig_sync(r);
	}
}

static void drop_spares(void *pool)
{
	mg_pool_free(pool);
}

/* A slow reader, and no buffer to keep its bytes in: better broken than silently short. */
static void no_memory_for_what_waits(void **state)
{
	struct rig *r = *state;
	unsigned char data[PATTERN_BYTES] = { 0 };

	rig_relay(r);
	rig_sync(r);
	mg_loop_call(&r->proxy.workers[0].loop, drop_spares, &r->proxy.workers[0].pool);
	fault(CALL_malloc, 0, 1, ENOMEM);
	while (send(r->client, data, sizeof(data), MSG_NOSIGNAL) > 0)
		;
	assert_true(errno == ECONNRESET || errno == EPIPE);
	rig_close(&r->client);
	rig_hear_reset(r->server);
	rig_close(&r->server);
	rig_ends(r, MG_CLOSE_OVERLOAD, NO_ERROR);
	all_happened();
}

/* ---- starting -------------------------------------------------------------------------------- */

/* Every call of the start fails once: the start says so, and leaves nothing behind. */
static void a_start_is_all_or_nothing(void **state)
{
	static const enum call calls[] = { CALL_calloc, CALL_malloc, CALL_epoll_ctl, CALL_socket };
	static const int errs[] = { ENOMEM, ENOMEM, ENOSPC, EMFILE };
	struct rig *r = *state;

	rig_stop(r);
	mg_log_set_level(MG_LOG_ERROR);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int n;

		for (n = 0; n < 1000; n++) {
			int err;

			fault(calls[i], n, 1, errs[i]);
			here_too = true;
			err = mg_proxy_start(&r->proxy, NULL, 2, &r->policy);
			here_too = false;
			if (atomic_load(&faults[calls[i]].times)) {
				/* There are no n + 1 such calls. */
				assert_int_equal(err, 0);
				mg_proxy_stop(&r->proxy);
				break;
			}
			assert_int_equal(err, -errs[i]);
			assert_int_equal(rig_count_fds(), r->fds_before);
		}
		assert_in_range(n, 2, 999);
		fault(calls[i], 0, 0, 0);
	}
	rig_start(r, 1);
	works(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(accept_goes_on_after_small_errors),
		TEST(without_descriptors_clients_are_turned_away),
		TEST(the_spare_descriptor_comes_back),
		TEST(a_session_that_cannot_begin_is_reset),
		TEST(reading_the_message),
		TEST(connecting_says_why_not),
		TEST(a_preserved_source_gives_up_its_port),
		TEST(without_mptcp_the_server_gets_tcp),
		TEST(no_memory_for_the_answer),
		TEST(sending_an_error),
		TEST(waiting_for_the_end_after_an_error),
		TEST(one_side_breaks),
		TEST(small_errors_lose_nothing),
		TEST(no_memory_for_what_waits),
		TEST(a_start_is_all_or_nothing),
	};

	return rig_main("session faults", tests);
}
