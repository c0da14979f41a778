// SPDX-License-Identifier: BSD-2-Clause
/* How attempts at intercepted connections end before there is a session, and after calls failed. */
#include "held_rig.h"

static void a_client(struct held_client *c)
{
	held_client(c, SERVER, IPPROTO_MPTCP);
}

/* ---- what is let pass ------------------------------------------------------------------------ */

static void set_policy(struct rig *r, struct mg_policy *next)
{
	mg_proxy_set_policy(&r->proxy, next);
}

static void passes_by(struct rig *r, struct held_client *c, enum mg_close_reason reason)
{
	int before = held_count(HELD_PASS);
	struct held_event e;

	held_syn(r, c);
	held_ends(r, reason);
	assert_int_equal(held_count(HELD_PASS), before + 1);
	e = held_last(HELD_PASS, NULL);
	assert_int_equal(e.value, MG_PASSED_OVERLOAD);
	assert_true(mg_ep_equal(&e.server, &c->syn.server));
	rig_close(&c->fd);
}

static void passes(struct rig *r, struct held_client *c)
{
	passes_by(r, c, MG_CLOSE_PASSED);
}

static void what_is_not_for_us_passes(void **state)
{
	struct rig *r = *state;
	struct mg_policy draining = r->policy;
	struct held_client c;

	a_client(&c);
	c.syn.mode = MG_MODE_OFF;
	passes(r, &c);
	a_client(&c);
	c.syn.mode = MG_MODE_TRANSPARENT;
	passes(r, &c);
	held_client(&c, OWN ":80", IPPROTO_MPTCP);
	passes(r, &c);
	held_client(&c, OWN ":80", IPPROTO_TCP);
	c.syn.kind = MG_HOLD_CPE;
	passes(r, &c);

	draining.draining = true;
	set_policy(r, &draining);
	a_client(&c);
	passes(r, &c);
	set_policy(r, &r->policy);
	assert_int_equal(r->last.hold_passed, 5);
	held_works(r);
}

static void too_many_pass(void **state)
{
	struct rig *r = *state;
	struct held_client c, waiting;

	r->config.converter.max_sessions = 0;
	a_client(&c);
	passes_by(r, &c, MG_CLOSE_OVERLOAD);
	held_client(&c, SERVER, IPPROTO_TCP);
	c.syn.kind = MG_HOLD_CPE;
	passes_by(r, &c, MG_CLOSE_OVERLOAD);
	r->config.converter.max_sessions = 100;

	r->config.converter.pending_per_client = 1;
	held_stuck_open();
	held_client(&waiting, STUCK, IPPROTO_MPTCP);
	held_syn(r, &waiting);
	rig_wait_state(r, MG_SESSION_CONNECT);
	a_client(&c);
	held_syn(r, &c);
	held_wait(HELD_PASS, 3);
	held_say(r, &waiting, MG_HELD_RESET);
	assert_true(wait_until(rig_stats(r).active == 0));
	rig_close(&c.fd);
	rig_close(&waiting.fd);
	held_stuck_close();
	r->last = rig_stats(r);
	held_works(r);
}

static void too_many_are_dropped(void **state)
{
	struct rig *r = *state;
	struct mg_policy draining = r->policy;
	struct held_client c;

	r->config.intercept.on_overload = MG_OVERLOAD_DROP;
	r->config.converter.max_sessions = 0;
	a_client(&c);
	held_syn(r, &c);
	held_ends(r, MG_CLOSE_OVERLOAD);
	assert_int_equal(held_count(HELD_PASS), 0);
	assert_int_equal(held_count(HELD_RELEASE), 1);
	rig_close(&c.fd);

	/* A daemon that is leaving is no overload, nor is what is not for it. */
	held_client(&c, OWN ":80", IPPROTO_MPTCP);
	passes(r, &c);
	draining.draining = true;
	set_policy(r, &draining);
	a_client(&c);
	passes(r, &c);
	set_policy(r, &r->policy);
}

/* Denied destinations are the converter's: what passes by would have reached them anyway. */
static void the_operators_list_is_not_for_what_passes(void **state)
{
	struct rig *r = *state;
	struct mg_prefix all = prefix_of("0.0.0.0/0");

	r->config.destinations.deny = &all;
	r->config.destinations.n_deny = 1;
	held_works(r);
}

/* ---- the server says no ---------------------------------------------------------------------- */

static void refused(struct rig *r, enum held_call how, int value)
{
	int place, released;

	held_ends(r, MG_CLOSE_DECLINED);
	assert_int_equal(held_last(how, &place).value, value);
	held_last(HELD_RELEASE, &released);
	assert_true(place < released);
	assert_int_equal(held_count(HELD_TAKE), 0);
	assert_int_equal(held_count(HELD_PASS), 0);
}

static void the_server_refuses(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_client(&c, "10.9.2.1:99", IPPROTO_MPTCP);
	held_syn(r, &c);
	refused(r, HELD_RESET, 0);
	assert_int_equal(r->last.hold_refused, 1);
	assert_int_equal(held_count(HELD_RESET), 1);
	rig_close(&c.fd);

	/* and the same when it was asked for MPTCP */
	held_client(&c, "10.9.2.1:99", IPPROTO_MPTCP);
	c.syn.mode = MG_MODE_HYBRID;
	held_syn(r, &c);
	refused(r, HELD_RESET, 0);
	assert_int_equal(held_count(HELD_LEARN), 0);
	rig_close(&c.fd);
}

static void the_server_is_out_of_reach(void **state)
{
	static const struct {
		int err, code;
	} cases[] = { { ENETUNREACH, 0 }, { EHOSTUNREACH, 1 }, { EHOSTDOWN, 1 }, { EPROTO, 2 } };
	struct rig *r = *state;
	struct held_client c;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a_client(&c);
		fault(CALL_connect, 0, 1, cases[i].err);
		held_syn(r, &c);
		refused(r, HELD_UNREACHABLE, cases[i].code);
		all_happened();
		rig_close(&c.fd);
	}
}

/* MPTCP sockets hide an ICMP error's code. The router says it once more, to the client. */
static void out_of_reach_of_a_probe(void **state)
{
	static const int errors[] = { ENETUNREACH, EHOSTUNREACH, EHOSTDOWN, EPROTO };
	struct rig *r = *state;
	struct held_client c;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		a_client(&c);
		c.syn.mode = MG_MODE_HYBRID;
		fault(CALL_connect, 0, 1, errors[i]);
		held_syn(r, &c);
		held_ends(r, MG_CLOSE_PASSED);
		all_happened();
		assert_int_equal(held_count(HELD_PASS), i + 1);
		assert_int_equal(held_last(HELD_PASS, NULL).value, MG_PASSED_GAVE_UP);
		rig_close(&c.fd);
	}
	assert_int_equal(held_count(HELD_UNREACHABLE) + held_count(HELD_LEARN), 0);

	/* A CPE, which is not asked for the exact code, answers at once. */
	held_client(&c, SERVER, IPPROTO_TCP);
	c.syn.kind = MG_HOLD_CPE;
	fault(CALL_connect, 0, 1, EHOSTUNREACH);
	held_syn(r, &c);
	held_ends(r, MG_CLOSE_DECLINED);
	assert_int_equal(held_last(HELD_UNREACHABLE, NULL).value, 1);
	rig_close(&c.fd);
}

/* What went wrong is ours: without us it may work. */
static void a_shortage_of_ours_is_no_answer(void **state)
{
	static const struct {
		enum call call;
		int skip, err;
	} cases[] = {
		{ CALL_connect, 0, EADDRINUSE }, { CALL_connect, 0, ENOBUFS },
		{ CALL_connect, 0, EPERM },	 { CALL_connect, 0, EACCES },
		{ CALL_socket, 0, EMFILE },	 { CALL_epoll_ctl, 0, ENOMEM },
	};
	struct rig *r = *state;
	struct held_client c;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a_client(&c);
		fault(cases[i].call, cases[i].skip, 1, cases[i].err);
		passes(r, &c);
		all_happened();
		if (cases[i].call == CALL_epoll_ctl)
			close(rig_accept(r->listener));
	}
	assert_int_equal(held_count(HELD_RESET) + held_count(HELD_UNREACHABLE), 0);
	held_works(r);
}

static void the_server_is_silent(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_stuck_open();
	held_client(&c, STUCK, IPPROTO_MPTCP);
	held_syn(r, &c);
	rig_wait_state(r, MG_SESSION_CONNECT);
	rig_advance(r, 4);
	assert_true(rig_state_is(r, MG_SESSION_CONNECT));
	rig_advance(r, 2);
	held_ends(r, MG_CLOSE_UNANSWERED);
	assert_int_equal(held_count(HELD_RESET) + held_count(HELD_UNREACHABLE), 0);
	assert_int_equal(held_count(HELD_PASS), 0);
	assert_int_equal(held_count(HELD_RELEASE), 1);
	assert_int_equal(r->last.hold_timed_out, 1);
	held_stuck_close();
	rig_close(&c.fd);
}

/* ---- the client says no ---------------------------------------------------------------------- */

static void connecting(struct rig *r, struct held_client *c)
{
	held_stuck_open();
	held_client(c, STUCK, IPPROTO_MPTCP);
	held_syn(r, c);
	rig_wait_state(r, MG_SESSION_CONNECT);
}

static void a_client_without_mptcp_passes(void **state)
{
	struct rig *r = *state;
	struct held_client c;
	int aborted, passed;

	connecting(r, &c);
	held_say(r, &c, MG_HELD_RETRY);
	held_ends(r, MG_CLOSE_GAVE_UP);
	assert_int_equal(held_last(HELD_PASS, &passed).value, MG_PASSED_GAVE_UP);
	held_last(HELD_ABORT, &aborted);
	assert_true(aborted < passed);
	assert_int_equal(held_count(HELD_RELEASE), 0);
	assert_int_equal(r->last.hold_gave_up, 1);
	assert_int_equal(r->last.hold_passed, 0);

	/* A new attempt, without MPTCP from the start: it is the one that is held now. */
	rig_close(&c.fd);
	held_client(&c, STUCK, IPPROTO_MPTCP);
	held_syn(r, &c);
	rig_wait_state(r, MG_SESSION_CONNECT);
	c.syn.isn = 3000;
	held_say(r, &c, MG_HELD_RETRY);
	held_ends(r, MG_CLOSE_GAVE_UP);
	assert_int_equal(held_last(HELD_PASS, NULL).isn, 3000);

	/* That came while the session ended: it goes on, too. */
	kernel.held++;
	held_say(r, &c, MG_HELD_RETRY);
	held_wait(HELD_PASS, 3);
	held_stuck_close();
	rig_close(&c.fd);
}

static void a_client_gives_up(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	connecting(r, &c);
	held_say(r, &c, MG_HELD_RESET);
	held_ends(r, MG_CLOSE_GAVE_UP);
	assert_int_equal(held_count(HELD_PASS), 0);
	assert_int_equal(held_count(HELD_RELEASE), 1);
	held_say(r, &c, MG_HELD_RESET); /* of nothing */
	held_stuck_close();
	rig_close(&c.fd);
}

static void a_client_gives_up_when_let_in(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	a_client(&c);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	rig_wait_state(r, MG_SESSION_ACCEPT);
	/* A repetition without MPTCP is answered by our listener. */
	held_say(r, &c, MG_HELD_RETRY);
	assert_true(rig_state_is(r, MG_SESSION_ACCEPT));
	assert_int_equal(held_count(HELD_PASS), 0);
	held_say(r, &c, MG_HELD_RESET);
	rig_hear_reset(r->server);
	rig_close(&r->server);
	held_ends(r, MG_CLOSE_GAVE_UP);
	/* It comes in all the same: nobody waits for it. */
	held_arrive(&c);
	rig_hear_reset(c.fd);
	rig_close(&c.fd);
}

static void a_client_begins_anew(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	connecting(r, &c);
	held_put(&c, MG_HELD_SYN, 0); /* the same again, told twice */
	kernel.held--;
	rig_sync(r);
	assert_int_equal(rig_stats(r).opened, 1);
	c.syn.isn = 2000;
	held_syn(r, &c);
	assert_true(wait_until(rig_stats(r).opened == 2));
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_GAVE_UP], 1);
	assert_int_equal(held_last(HELD_RELEASE, NULL).isn, 1000);
	held_say(r, &c, MG_HELD_RESET);
	assert_true(wait_until(rig_stats(r).active == 0));
	assert_int_equal(held_last(HELD_RELEASE, NULL).isn, 2000);
	held_stuck_close();
	rig_close(&c.fd);
}

static void a_client_never_comes_in(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	a_client(&c);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	rig_wait_state(r, MG_SESSION_ACCEPT);
	rig_advance(r, 6);
	rig_hear_reset(r->server);
	rig_close(&r->server);
	held_ends(r, MG_CLOSE_ACCEPT_TIMEOUT);
	assert_int_equal(held_count(HELD_RELEASE), 1);
	rig_close(&c.fd);
}

/* ---- the worker ------------------------------------------------------------------------------ */

static void a_stop_lets_everything_go(void **state)
{
	struct rig *r = *state;
	struct held_client c, let_in;
	struct held_event e;

	a_client(&let_in);
	held_syn(r, &let_in);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	held_stuck_open();
	held_client(&c, STUCK, IPPROTO_MPTCP);
	held_syn(r, &c);
	assert_true(wait_until(rig_stats(r).active == 2));
	rig_stop(r);
	/* Only what was not let in can still go on. */
	assert_int_equal(held_count(HELD_PASS), 1);
	e = held_last(HELD_PASS, NULL);
	assert_true(mg_ep_equal(&e.client, &c.syn.client));
	assert_int_equal(held_count(HELD_RELEASE), 1);
	rig_hear_reset(r->server);
	held_stuck_close();
	rig_close(&c.fd);
	rig_close(&let_in.fd);
}

static void the_worker_gives_signs_of_life(void **state)
{
	struct rig *r = *state;
	struct held_client c;
	unsigned int before;

	/* Left alone, by its timer: four times before it would be thought dead. */
	r->config.intercept.stale_ms = 40;
	rig_advance(r, 51);
	before = atomic_load(&held_beats);
	assert_true(wait_until(atomic_load(&held_beats) >= before + 5));
	/* Busy, with each SYN. */
	r->config.intercept.stale_ms = 4000000;
	assert_true(wait_until((before = atomic_load(&held_beats),
				nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL),
				atomic_load(&held_beats) == before)));
	held_client(&c, SERVER, IPPROTO_MPTCP);
	c.syn.mode = MG_MODE_OFF;
	held_syn(r, &c);
	assert_true(atomic_load(&held_beats) > before);
	held_ends(r, MG_CLOSE_PASSED);
	rig_close(&c.fd);
}

/* More at once than the table began with: all are found again. */
static void many_at_once(void **state)
{
	enum { MANY = 600 };
	struct rig *r = *state;
	struct held_client c;

	r->config.converter.pending_per_client = 2 * MANY;
	held_stuck_open();
	held_client(&c, STUCK, IPPROTO_TCP);
	r->config.intercept.source = MG_SOURCE_SHARED;
	for (unsigned int i = 0; i < MANY; i++) {
		c.syn.client.port = htons((uint16_t)(10000 + i));
		held_syn(r, &c);
	}
	assert_true(wait_until(rig_stats(r).active == MANY));
	for (unsigned int i = 0; i < MANY; i++) {
		c.syn.client.port = htons((uint16_t)(10000 + i));
		held_say(r, &c, MG_HELD_RESET);
	}
	assert_true(wait_until(rig_stats(r).active == 0));
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_GAVE_UP], MANY);
	held_stuck_close();
	rig_close(&c.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HELD_TEST(what_is_not_for_us_passes),
		HELD_TEST(too_many_pass),
		HELD_TEST(too_many_are_dropped),
		HELD_TEST(the_operators_list_is_not_for_what_passes),
		HELD_TEST(the_server_refuses),
		HELD_TEST(the_server_is_out_of_reach),
		HELD_TEST(out_of_reach_of_a_probe),
		HELD_TEST(a_shortage_of_ours_is_no_answer),
		HELD_TEST(the_server_is_silent),
		HELD_TEST(a_client_without_mptcp_passes),
		HELD_TEST(a_client_gives_up),
		HELD_TEST(a_client_gives_up_when_let_in),
		HELD_TEST(a_client_begins_anew),
		HELD_TEST(a_client_never_comes_in),
		HELD_TEST(a_stop_lets_everything_go),
		HELD_TEST(the_worker_gives_signs_of_life),
		HELD_TEST(many_at_once),
	};

	return rig_main("held ends", tests);
}
