// SPDX-License-Identifier: BSD-2-Clause
/* Convert messages that come in a SYN and are judged before it is let in. */
#include "held_rig.h"

static void asks_and_is_let_in(struct rig *r, struct held_client *c, const char *rest)
{
	held_asks(c, SERVER, rest);
	held_syn(r, c);
	r->server = rig_accept(r->listener);
	held_let_in(r, 1);
}

/* ---- in RFC 8803's order --------------------------------------------------------------------- */

static void the_server_first_then_the_client(void **state)
{
	struct rig *r = *state;
	struct mg_session_row *rows;
	struct held_client c;

	asks_and_is_let_in(r, &c, "first");
	assert_true(rig_state_is(r, MG_SESSION_ACCEPT));
	held_arrive(&c);
	held_says_it_again(&c);
	rig_hear_connected(c.fd);
	rig_hear(r->server, "first");
	assert_int_equal(mg_proxy_sessions(&r->proxy, &rows), 1);
	assert_int_equal(rows[0].kind, MG_HOLD_CONVERT);
	assert_true(rows[0].mptcp);
	assert_int_not_equal(held_last(HELD_TOKEN_ADD, NULL).isn, 0);
	free(rows);
	held_relays(r, &c);
	held_finish(r, &c);
	assert_int_equal(r->last.requests, 1);
	assert_int_equal(r->last.connected, 1);
	assert_int_equal(r->last.bytes_up, 7);
	assert_int_equal(r->last.bytes_down, 4);
	assert_int_equal(r->last.probes, 0);
}

/* The kernel takes the SYN's data: the socket is there before the handshake is over. */
static void the_message_comes_with_the_socket(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(5124),
				  .sin_addr.s_addr = htonl(LISTEN_IP + 1) };
	struct rig *r = *state;
	struct held_client c;

	asks_and_is_let_in(r, &c, "first");
	assert_int_equal(sendto(c.fd, c.payload, c.payload_bytes, MSG_FASTOPEN,
				(struct sockaddr *)&to, sizeof(to)),
			 c.payload_bytes);
	rig_hear_connected(c.fd);
	rig_hear(r->server, "first");
	held_relays(r, &c);
	held_finish(r, &c);
}

/* Late, and a byte at a time. */
static void the_message_comes_in_pieces(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	asks_and_is_let_in(r, &c, "first");
	held_arrive(&c);
	for (size_t i = 0; i < c.payload_bytes; i++) {
		rig_say(c.fd, c.payload + i, 1);
		rig_sync(r);
		if (i + 6 < c.payload_bytes)
			assert_true(rig_state_is(r, MG_SESSION_ACCEPT));
	}
	rig_hear_connected(c.fd);
	rig_hear(r->server, "first");
	held_relays(r, &c);
	held_finish(r, &c);
}

static void broken_off(struct rig *r, struct held_client *c, enum mg_close_reason reason)
{
	rig_hear_reset(r->server);
	rig_close(&r->server);
	rig_close(&c->fd);
	rig_ends(r, reason, NO_ERROR);
	assert_int_equal(held_count(HELD_RELEASE), 1);
	assert_int_equal(kernel.tokens, 0);
}

static void another_message_than_the_one_judged(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	for (int piece = 0; piece < 2; piece++) {
		kernel.n = 0;
		asks_and_is_let_in(r, &c, "");
		held_arrive(&c);
		if (piece) {
			rig_say(c.fd, c.payload, 10);
			rig_sync(r);
			rig_say(c.fd, "something else", 14);
		} else {
			c.payload[c.payload_bytes - 1] ^= 1;
			held_says_it_again(&c);
		}
		rig_hear_reset(c.fd);
		broken_off(r, &c, MG_CLOSE_NOT_CONVERT);
	}
}

static void a_client_that_ends_in_its_message(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	asks_and_is_let_in(r, &c, "");
	held_arrive(&c);
	rig_say(c.fd, c.payload, 5);
	shutdown(c.fd, SHUT_WR);
	rig_hear_reset(c.fd);
	broken_off(r, &c, MG_CLOSE_CLIENT_GONE);
}

static void a_client_that_breaks_in_its_message(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	asks_and_is_let_in(r, &c, "");
	held_arrive(&c);
	rig_say(c.fd, c.payload, 5);
	rig_sync(r);
	rig_abort(&c.fd);
	broken_off(r, &c, MG_CLOSE_CLIENT_GONE);
}

static void a_client_that_is_silent(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	asks_and_is_let_in(r, &c, "");
	held_arrive(&c);
	held_wait(HELD_RELEASE, 1);
	rig_advance(r, 6);
	rig_hear_reset(c.fd);
	broken_off(r, &c, MG_CLOSE_GREET_TIMEOUT);
}

static void a_client_that_does_not_come(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	asks_and_is_let_in(r, &c, "");
	rig_advance(r, 6);
	broken_off(r, &c, MG_CLOSE_ACCEPT_TIMEOUT);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void errors_are_told_in_band(void **state)
{
	struct rig *r = *state;
	struct mg_policy draining = r->policy;
	struct mg_convert_buf b;
	struct held_client c;

	held_asks(&c, "10.9.2.1:99", "first");
	held_syn(r, &c);
	held_let_in(r, 1);
	held_hears_error(r, &c, MG_CE_CONNECTION_RESET);

	held_asks(&c, OWN ":80", "first");
	held_syn(r, &c);
	held_let_in(r, 2);
	held_hears_error(r, &c, MG_CE_NOT_AUTHORIZED);

	draining.draining = true;
	mg_proxy_set_policy(&r->proxy, &draining);
	held_asks(&c, SERVER, "");
	held_syn(r, &c);
	held_let_in(r, 3);
	held_hears_error(r, &c, MG_CE_RESOURCE_EXCEEDED);
	mg_proxy_set_policy(&r->proxy, &r->policy);

	held_asks(&c, SERVER, "");
	fault(CALL_connect, 0, 1, EHOSTUNREACH);
	held_syn(r, &c);
	held_let_in(r, 4);
	held_hears_error(r, &c, MG_CE_DEST_UNREACHABLE);

	held_client(&c, CONVERTER, IPPROTO_MPTCP);
	c.syn.kind = MG_HOLD_CONVERT;
	mg_convert_begin(&b);
	mg_convert_put_ext_tcp_hdr(&b, (struct mg_span){ 0 });
	held_put_message(&c, &b, "");
	held_syn(r, &c);
	held_let_in(r, 5);
	held_hears_error(r, &c, MG_CE_UNSUPPORTED_MESSAGE);
	assert_int_equal(held_count(HELD_RESET) + held_count(HELD_UNREACHABLE), 0);
	assert_int_equal(held_count(HELD_PASS), 0);
}

/* Whatever it says: the answer to what it said first stands. */
static void an_error_waits_for_no_message(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_asks(&c, OWN ":80", "");
	held_syn(r, &c);
	held_let_in(r, 1);
	held_arrive(&c);
	rig_hear_error(c.fd, MG_CE_NOT_AUTHORIZED, NULL);
	rig_close(&c.fd);
	rig_ends(r, MG_CLOSE_REFUSED, MG_CE_NOT_AUTHORIZED);
}

static void info_is_answered(void **state)
{
	struct rig *r = *state;
	struct mg_convert_buf b;
	struct rig_reply reply;
	struct held_client c;

	held_client(&c, CONVERTER, IPPROTO_MPTCP);
	c.syn.kind = MG_HOLD_CONVERT;
	mg_convert_begin(&b);
	mg_convert_put_info(&b);
	held_put_message(&c, &b, "");
	held_syn(r, &c);
	held_let_in(r, 1);
	held_arrive(&c);
	held_says_it_again(&c);
	rig_hear_message(c.fd, &reply);
	assert_true(reply.msg.supported_present);
	rig_hear_end(c.fd);
	rig_close(&c.fd);
	rig_ends(r, MG_CLOSE_INFORMED, NO_ERROR);
}

static void too_many_requests(void **state)
{
	struct rig *r = *state;
	struct held_client waiting[2], c;

	r->config.converter.pending_per_client = 1;
	held_stuck_open();
	held_asks(&waiting[0], STUCK, "");
	held_syn(r, &waiting[0]);
	held_asks(&waiting[1], SERVER, "");
	held_syn(r, &waiting[1]);
	/* The second is answered, the third is turned away. */
	held_asks(&c, SERVER, "");
	held_syn(r, &c);
	held_wait(HELD_RESET, 1);
	held_wait(HELD_RELEASE, 1);
	held_let_in(r, 1);
	held_arrive(&waiting[1]);
	rig_hear_error(waiting[1].fd, MG_CE_RESOURCE_EXCEEDED, NULL);
	rig_close(&waiting[1].fd);
	held_say(r, &waiting[0], MG_HELD_RESET);
	assert_true(wait_until(rig_stats(r).active == 0));
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_OVERLOAD], 1);
	assert_int_equal(held_count(HELD_PASS), 0);
	rig_close(&c.fd);
	rig_close(&waiting[0].fd);
	held_stuck_close();
}

/* ---- what passes ----------------------------------------------------------------------------- */

/* The rest of the message comes after the handshake: the converter's own listener hears it. */
static void a_part_of_a_message_passes(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_asks(&c, SERVER, "");
	c.payload_bytes -= 1;
	held_syn(r, &c);
	rig_ends(r, MG_CLOSE_PASSED, NO_ERROR);
	rig_close(&c.fd);
	held_asks(&c, SERVER, "");
	c.payload_bytes = 0;
	held_syn(r, &c);
	rig_ends(r, MG_CLOSE_PASSED, NO_ERROR);
	rig_close(&c.fd);
	held_asks(&c, SERVER, "");
	c.payload[2] ^= 1; /* not Convert */
	held_syn(r, &c);
	rig_ends(r, MG_CLOSE_PASSED, NO_ERROR);
	rig_close(&c.fd);
	assert_int_equal(held_count(HELD_PASS), 3);
	assert_int_equal(r->last.requests, 0);
}

static void a_client_without_mptcp(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_stuck_open();
	held_asks(&c, STUCK, "");
	held_syn(r, &c);
	rig_wait_state(r, MG_SESSION_CONNECT);
	held_say(r, &c, MG_HELD_RETRY);
	rig_ends(r, MG_CLOSE_GAVE_UP, NO_ERROR);
	assert_int_equal(held_count(HELD_PASS), 1);
	rig_close(&c.fd);
	held_stuck_close();
}

static void no_memory_for_the_answer(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_asks(&c, OWN ":80", "");
	fault(CALL_malloc, 1, 1, ENOMEM); /* after the frame */
	held_syn(r, &c);
	rig_ends(r, MG_CLOSE_OVERLOAD, MG_CE_NOT_AUTHORIZED);
	all_happened();
	assert_int_equal(held_count(HELD_PASS), 1);
	rig_close(&c.fd);
}

static int setup(void **state)
{
	/* Data in SYNs, sent and taken, without a cookie */
	rig_sysctl("/proc/sys/net/ipv4/tcp_fastopen", "519");
	return held_setup(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, held_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_server_first_then_the_client),
		TEST(the_message_comes_with_the_socket),
		TEST(the_message_comes_in_pieces),
		TEST(another_message_than_the_one_judged),
		TEST(a_client_that_ends_in_its_message),
		TEST(a_client_that_breaks_in_its_message),
		TEST(a_client_that_is_silent),
		TEST(a_client_that_does_not_come),
		TEST(errors_are_told_in_band),
		TEST(an_error_waits_for_no_message),
		TEST(info_is_answered),
		TEST(too_many_requests),
		TEST(a_part_of_a_message_passes),
		TEST(a_client_without_mptcp),
		TEST(no_memory_for_the_answer),
	};

	return rig_main("held convert", tests);
}
