// SPDX-License-Identifier: BSD-2-Clause
/* Convert messages in held SYNs whose server is slow: held no longer than hold_max_ms. */
#include "held_rig.h"

/* ---- no longer than hold_max_ms -------------------------------------------------------------- */

static void held_long(struct rig *r, struct held_client *c)
{
	held_stuck_open();
	held_asks(c, STUCK, "first");
	held_syn(r, c);
	rig_wait_state(r, MG_SESSION_CONNECT);
	assert_int_equal(held_count(HELD_TAKE), 0);
	rig_advance(r, 1);
	held_let_in(r, 1);
	assert_true(rig_state_is(r, MG_SESSION_CONNECT));
}

/* The queue's own connections are nobody's. */
static bool is_from_us(struct rig *r)
{
	struct mg_ep peer, own;

	assert_int_equal(mg_sock_peer(r->server, &peer), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(__real_mg_sock_local(held_filler[i], &own), 0);
		if (mg_ep_equal(&own, &peer))
			return false;
	}
	return true;
}

static void a_slow_server(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_long(r, &c);
	held_arrive(&c);
	held_says_it_again(&c);
	held_wait(HELD_RELEASE, 1);
	assert_true(rig_state_is(r, MG_SESSION_CONNECT));
	/* There is room again, and the SYN is repeated. */
	do {
		rig_close(&r->server);
		r->server = rig_accept(held_stuck);
	} while (!is_from_us(r));
	rig_hear_connected(c.fd);
	rig_hear(r->server, "first");
	held_relays(r, &c);
	held_finish(r, &c);
	held_stuck_close();
}

static void a_server_that_refuses_late(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_long(r, &c);
	held_arrive(&c);
	held_says_it_again(&c);
	held_wait(HELD_RELEASE, 1);
	held_stuck_close();
	rig_hear_error(c.fd, MG_CE_CONNECTION_RESET, NULL);
	rig_close(&c.fd);
	rig_ends(r, MG_CLOSE_REFUSED, MG_CE_CONNECTION_RESET);
}

/* Let in and answered before it came in. */
static void a_late_answer_waits_for_the_socket(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_long(r, &c);
	held_stuck_close();
	rig_wait_state(r, MG_SESSION_ACCEPT);
	assert_int_equal(held_count(HELD_TAKE), 1);
	held_hears_error(r, &c, MG_CE_CONNECTION_RESET);
}

static void a_client_that_breaks_while_we_connect(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_long(r, &c);
	held_arrive(&c);
	held_wait(HELD_RELEASE, 1);
	rig_abort(&c.fd);
	rig_ends(r, MG_CLOSE_CLIENT_GONE, NO_ERROR);
	held_stuck_close();
}

static void no_listener_when_it_was_held_long_enough(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	kernel.take_err = -EIO;
	held_stuck_open();
	held_asks(&c, STUCK, "");
	held_syn(r, &c);
	rig_wait_state(r, MG_SESSION_CONNECT);
	rig_advance(r, 1);
	rig_ends(r, MG_CLOSE_PASSED, NO_ERROR);
	assert_int_equal(held_count(HELD_PASS), 1);
	rig_close(&c.fd);
	held_stuck_close();
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
		TEST(a_slow_server),
		TEST(a_server_that_refuses_late),
		TEST(a_late_answer_waits_for_the_socket),
		TEST(a_client_that_breaks_while_we_connect),
		TEST(no_listener_when_it_was_held_long_enough),
	};

	return rig_main("held slow", tests);
}
