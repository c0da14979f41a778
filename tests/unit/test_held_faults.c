// SPDX-License-Identifier: BSD-2-Clause
/* Intercepted sessions with calls of the kernel and of malloc that fail. */
#include "held_rig.h"

static void a_client(struct held_client *c)
{
	held_client(c, SERVER, IPPROTO_MPTCP);
}

/* ---- calls that fail ------------------------------------------------------------------------- */

static void what_cannot_be_let_in_passes(void **state)
{
	struct rig *r = *state;
	struct held_client c;
	int aborted, passed;

	kernel.take_err = -EIO;
	a_client(&c);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	rig_hear_reset(r->server);
	rig_close(&r->server);
	held_ends(r, MG_CLOSE_PASSED);
	held_last(HELD_ABORT, &aborted);
	held_last(HELD_PASS, &passed);
	assert_true(aborted < passed);
	rig_close(&c.fd);
	kernel.take_err = 0;
	held_works(r);
}

/* Nothing to remember it by: it goes on. */
static void without_memory_it_passes(void **state)
{
	static const struct {
		enum call call;
		int skip;
	} cases[] = { { CALL_malloc, 0 },   /* the frame */
		      { CALL_calloc, 0 },   /* the session */
		      { CALL_calloc, 1 } }; /* its client's pending requests */
	struct rig *r = *state;
	struct held_client c;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a_client(&c);
		fault(cases[i].call, cases[i].skip, 1, ENOMEM);
		held_syn(r, &c);
		held_ends(r, MG_CLOSE_OVERLOAD);
		all_happened();
		assert_int_equal(held_last(HELD_PASS, NULL).value, MG_PASSED_OVERLOAD);
		assert_int_equal(r->last.hold_passed, i + 1);
		rig_close(&c.fd);
	}
	held_works(r);
}

/* No memory to say who asks: it asks, and nobody waits for it. */
static void without_memory_for_the_probe(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	a_client(&c);
	c.syn.mode = MG_MODE_HYBRID;
	fault(CALL_calloc, 2, 1, ENOMEM); /* after the session and the pending request */
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	all_happened();
	assert_int_equal(held_last(HELD_LEARN, NULL).value, false);
	held_arrive(&c);
	rig_wait_state(r, MG_SESSION_RELAY);
	rig_close(&c.fd);
	rig_hear_end(r->server);
	rig_close(&r->server);
	held_ends(r, MG_CLOSE_FINISHED);
}

/* The server has answered; what fails then, fails as the client arrives. */
static void resets_both_sides(struct rig *r, enum call call, int err)
{
	struct held_client c;

	a_client(&c);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	rig_wait_state(r, MG_SESSION_ACCEPT);
	fault(call, 0, 1, err);
	held_arrive(&c);
	rig_hear_reset(c.fd);
	rig_hear_reset(r->server);
	rig_close(&c.fd);
	rig_close(&r->server);
	held_ends(r, MG_CLOSE_OVERLOAD);
	all_happened();
}

static void what_cannot_be_watched_is_reset(void **state)
{
	struct rig *r = *state;

	resets_both_sides(r, CALL_epoll_ctl, ENOMEM);
	assert_int_equal(held_count(HELD_RELEASE), 1);
	assert_int_equal(held_count(HELD_PASS), 0);
	held_works(r);
}

static void without_descriptors_the_server_is_left_too(void **state)
{
	struct rig *r = *state;

	resets_both_sides(r, CALL_accept4, EMFILE);
	held_works(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HELD_TEST(what_cannot_be_let_in_passes),
		HELD_TEST(without_memory_it_passes),
		HELD_TEST(without_memory_for_the_probe),
		HELD_TEST(what_cannot_be_watched_is_reset),
		HELD_TEST(without_descriptors_the_server_is_left_too),
	};

	return rig_main("held faults", tests);
}
