// SPDX-License-Identifier: BSD-2-Clause
/* Hybrid: sessions that wait for what another one finds out about their server. */
#include "held_rig.h"

static void hybrid_client(struct held_client *c, const char *server)
{
	held_client(c, server, IPPROTO_MPTCP);
	c->syn.mode = MG_MODE_HYBRID;
}

/* ---- waiting for what another one finds ------------------------------------------------------ */

static bool states_are(struct rig *r, enum mg_session_state state, long n)
{
	struct mg_session_row *rows;
	long all = mg_proxy_sessions(&r->proxy, &rows), have = 0;

	for (long i = 0; i < all; i++)
		have += rows[i].state == state;
	free(rows);
	return have == n;
}

/* Three to one server that does not answer yet; with two workers the last waits on another. */
static void three(struct rig *r, struct held_client c[3])
{
	held_stuck_open();
	for (int i = 0; i < 3; i++) {
		hybrid_client(&c[i], STUCK);
		held_put(&c[i], MG_HELD_SYN, i == 2 ? r->proxy.n_workers - 1 : 0);
		assert_true(wait_until(held_heard()));
		rig_sync(r);
	}
	assert_true(wait_until(states_are(r, MG_SESSION_HOLD, 2)));
	assert_true(states_are(r, MG_SESSION_CONNECT, 1));
	assert_int_equal(rig_stats(r).probes, 1);
}

static void three_closed(struct held_client c[3])
{
	for (int i = 0; i < 3; i++)
		rig_close(&c[i].fd);
}

struct verdict {
	struct mg_proxy *p;
	enum mg_known known;
};

static void tell(void *arg)
{
	struct verdict *v = arg;
	struct mg_ep server = ep_of(STUCK);

	mg_servers_tell(&v->p->servers, &server, v->known, v->p->workers[0].loop.now_ms);
}

static void waiters_hear_of_mptcp(void **state)
{
	struct rig *r = *state;
	struct verdict v = { .p = &r->proxy, .known = MG_KNOWN_MPTCP };
	struct held_client c[3];

	three(r, c);
	mg_loop_call(&r->proxy.workers[0].loop, tell, &v);
	held_wait(HELD_PASS, 2);
	assert_int_equal(held_last(HELD_PASS, NULL).value, MG_PASSED_KNOWN);
	assert_true(wait_until(rig_stats(r).active == 1));
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_STEPPED_ASIDE], 2);
	assert_int_equal(rig_stats(r).probes, 1);
	held_say(r, &c[0], MG_HELD_RESET);
	assert_true(wait_until(rig_stats(r).active == 0));
	held_stuck_close();
	three_closed(c);
}

static void waiters_hear_of_tcp(void **state)
{
	struct rig *r = *state;
	struct verdict v = { .p = &r->proxy, .known = MG_KNOWN_PLAIN };
	struct held_client c[3];

	three(r, c);
	mg_loop_call(&r->proxy.workers[0].loop, tell, &v);
	assert_true(wait_until(states_are(r, MG_SESSION_CONNECT, 3)));
	assert_int_equal(rig_stats(r).probes, 1);
	rig_stop(r);
	assert_int_equal(held_count(HELD_PASS), 3); /* on its way when we are gone */
	held_stuck_close();
	three_closed(c);
}

/* The probe failed: that is no verdict, everybody asks alone. */
static void waiters_of_a_failed_probe_ask_themselves(void **state)
{
	struct rig *r = *state;
	struct held_client c[3];

	three(r, c);
	/* Its client gives up, and the next one cannot get there: that is what the last one hears.
	 */
	fault(CALL_connect, 0, 1, EHOSTUNREACH);
	held_say(r, &c[0], MG_HELD_RESET);
	assert_true(wait_until(states_are(r, MG_SESSION_CONNECT, 1)));
	all_happened();
	assert_int_equal(rig_stats(r).probes, 3);
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_GAVE_UP], 1);
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_PASSED], 1);
	held_stuck_close();
	/* The SYN is repeated, and refused. */
	held_wait(HELD_RESET, 1);
	assert_true(wait_until(rig_stats(r).active == 0));
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_DECLINED], 1);
	three_closed(c);
}

/* Who gives up says nothing of the server: one of the others asks, the rest waits on. */
static void one_waiter_asks_for_who_gave_up(void **state)
{
	struct rig *r = *state;
	struct verdict v = { .p = &r->proxy, .known = MG_KNOWN_MPTCP };
	struct held_client c[3];
	struct held_event passed;

	three(r, c);
	held_say(r, &c[0], MG_HELD_RESET);
	assert_true(wait_until(states_are(r, MG_SESSION_CONNECT, 1)));
	assert_true(states_are(r, MG_SESSION_HOLD, 1));
	assert_int_equal(rig_stats(r).probes, 2);
	mg_loop_call(&r->proxy.workers[0].loop, tell, &v);
	held_wait(HELD_PASS, 1);
	passed = held_last(HELD_PASS, NULL);
	assert_true(mg_ep_equal(&passed.client, &c[2].syn.client));
	assert_int_equal(rig_stats(r).probes, 2);
	held_say(r, &c[1], MG_HELD_RESET);
	assert_true(wait_until(rig_stats(r).active == 0));
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_GAVE_UP], 2);
	held_stuck_close();
	three_closed(c);
}

static void waiters_do_not_wait_long(void **state)
{
	struct rig *r = *state;
	struct held_client c[3];

	three(r, c);
	rig_advance(r, 1);
	assert_true(wait_until(states_are(r, MG_SESSION_CONNECT, 3)));
	assert_int_equal(rig_stats(r).probes, 3);
	rig_advance(r, 5);
	assert_true(wait_until(rig_stats(r).active == 0));
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_UNANSWERED], 3);
	assert_int_equal(rig_stats(r).hold_timed_out, 3);
	held_stuck_close();
	three_closed(c);
}

static void a_waiter_may_give_up(void **state)
{
	struct rig *r = *state;
	struct verdict v = { .p = &r->proxy, .known = MG_KNOWN_MPTCP };
	struct held_client c[3];

	three(r, c);
	held_say(r, &c[1], MG_HELD_RESET);
	assert_true(wait_until(rig_stats(r).closed_by[MG_CLOSE_GAVE_UP] == 1));
	mg_loop_call(&r->proxy.workers[0].loop, tell, &v);
	held_wait(HELD_PASS, 1);
	rig_stop(r);
	held_stuck_close();
	three_closed(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HELD_TEST(waiters_hear_of_mptcp),
		HELD_TEST_TWO(waiters_hear_of_mptcp),
		HELD_TEST_TWO(waiters_hear_of_tcp),
		HELD_TEST(waiters_of_a_failed_probe_ask_themselves),
		HELD_TEST_TWO(waiters_of_a_failed_probe_ask_themselves),
		HELD_TEST(one_waiter_asks_for_who_gave_up),
		HELD_TEST_TWO(one_waiter_asks_for_who_gave_up),
		HELD_TEST_TWO(waiters_do_not_wait_long),
		HELD_TEST_TWO(a_waiter_may_give_up),
	};

	return rig_main("held waiters", tests);
}
