// SPDX-License-Identifier: BSD-2-Clause
/* A client uses its port again while the connection before is still there, towards the server. */
#include "held_rig.h"

#include <time.h>

static void a_client(struct held_client *c)
{
	held_client(c, SERVER, IPPROTO_MPTCP);
}

static void not_into_what_is_there(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	/* To the server its SYN would belong to the connection that is there. */
	a_client(&c);
	fault(CALL_connect, 0, 1, EADDRNOTAVAIL);
	held_syn(r, &c);
	held_ends(r, MG_CLOSE_UNANSWERED);
	all_happened();
	assert_int_equal(held_count(HELD_PASS), 0);
	assert_int_equal(held_count(HELD_RELEASE), 1);
	rig_close(&c.fd);

	/* Without a port of ours left there is nothing of the kind. */
	r->config.intercept.source = MG_SOURCE_SHARED;
	a_client(&c);
	fault(CALL_connect, 0, 1, EADDRNOTAVAIL);
	held_syn(r, &c);
	held_ends(r, MG_CLOSE_PASSED);
	rig_close(&c.fd);
	all_happened();
}

static void in_relay(struct rig *r, struct held_client *c)
{
	a_client(c);
	held_syn(r, c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	held_arrive(c);
	rig_wait_state(r, MG_SESSION_RELAY);
	c->syn.isn = 2000;
}

static void a_session_that_lives_is_not_disturbed(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	in_relay(r, &c);
	held_syn(r, &c);
	assert_true(wait_until(rig_stats(r).closed_by[MG_CLOSE_UNANSWERED] == 1));
	assert_int_equal(held_count(HELD_PASS), 0);
	held_relays(r, &c);
	rig_close(&c.fd);
	rig_hear_end(r->server);
	rig_close(&r->server);
	assert_true(wait_until(rig_stats(r).closed_by[MG_CLOSE_FINISHED] == 1));
}

/* The client broke off, what it had sent before still waits for the server. */
static void a_session_without_client_makes_room(void **state)
{
	static char much[65536];
	struct rig *r = *state;
	struct held_client c;
	int again;

	in_relay(r, &c);
	while (send(c.fd, much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		rig_sync(r);
	rig_abort(&c.fd);
	rig_wait_state(r, MG_SESSION_RESET);
	held_syn(r, &c);
	again = rig_accept(r->listener);
	held_wait(HELD_TAKE, 2);
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_CLIENT_RESET], 1);
	rig_hear_reset(r->server);
	rig_close(&r->server);
	held_say(r, &c, MG_HELD_RESET);
	assert_true(wait_until(rig_stats(r).closed_by[MG_CLOSE_GAVE_UP] == 1));
	assert_int_equal(held_count(HELD_PASS), 0);
	rig_close(&again);
}

static uint64_t real_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Another worker got the SYN: the one whose session it is makes room until it is repeated. */
static void another_worker_makes_room(void **state)
{
	static char much[65536];
	struct rig *r = *state;
	struct held_client c;
	uint64_t since_ms;
	int again;

	r->config.intercept.stale_ms = 40;
	rig_advance(r, 51); /* the next sign of life, and from then on every 10 ms */
	in_relay(r, &c);
	while (send(c.fd, much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		rig_sync(r);
	rig_abort(&c.fd);
	rig_wait_state(r, MG_SESSION_RESET);
	since_ms = real_ms();
	held_put(&c, MG_HELD_SYN, 1);
	assert_true(wait_until(rig_stats(r).active == 0));
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_UNANSWERED], 1);
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_CLIENT_RESET], 1);
	assert_in_range(real_ms() - since_ms, 0, 2000); /* long before it would end by itself */
	rig_hear_reset(r->server);
	rig_close(&r->server);
	held_put(&c, MG_HELD_SYN, 1);
	again = rig_accept(r->listener);
	held_wait(HELD_TAKE, 2);
	held_put(&c, MG_HELD_RESET, 1);
	assert_true(wait_until(rig_stats(r).closed_by[MG_CLOSE_GAVE_UP] == 1));
	assert_int_equal(held_count(HELD_PASS), 0);
	rig_close(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HELD_TEST(not_into_what_is_there),
		HELD_TEST(a_session_that_lives_is_not_disturbed),
		HELD_TEST(a_session_without_client_makes_room),
		HELD_TEST_TWO(another_worker_makes_room),
	};

	return rig_main("held again", tests);
}
