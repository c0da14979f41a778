// SPDX-License-Identifier: BSD-2-Clause
/*
 * SYNs that come again, limits, a daemon that is not there: what is held on, what is let go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "hold_run.h"
#include "rows.h"

#define UNSPEC	 (-1)
#define SHOT	 2
#define CONSUMED 4
#define ISN	 0xfffffffe /* what follows wraps around */

static struct hold_run run;
static const uint8_t mpc[] = { LINUX_SYN, MPC_V1 };
static const uint8_t message[] = { CONVERT };

static int fresh(void **state)
{
	(void)state;
	hold_run_reset(&run);
	return 0;
}

static int hold(const struct frame *f)
{
	return hold_run_frame(&run, run.skel->progs.mg_hold, f);
}

static struct frame capable(void)
{
	return (struct frame){
		.flags = F_SYN, .seq = ISN, .dst = FAR4, .dport = 80, .opts = { mpc, sizeof(mpc) }
	};
}

static struct frame plain(void)
{
	struct frame f = capable();

	f.opts.len = sizeof(mpc) - 4;
	return f;
}

static struct frame rst(uint32_t seq)
{
	struct frame f = capable();

	f.opts.len = 0;
	f.flags = F_RST;
	f.seq = seq;
	return f;
}

static void test_repetitions(void **state)
{
	struct frame f = capable(), lan = plain();

	(void)state;
	assert_int_equal(hold(&f), CONSUMED);
	for (int i = 0; i < 3; i++)
		assert_int_equal(hold(&f), CONSUMED);
	lan.sport = 40001;
	for (int i = 0; i < 3; i++)
		assert_int_equal(hold_run_frame(&run, run.skel->progs.mg_hold_lan, &lan), CONSUMED);
	assert_int_equal(hold_run_read(&run), 2);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_HELD), 2);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_REPEATED), 5);
	assert_int_equal(hold_charged(&run, false), 2);
}

/* Linux repeats a Convert SYN without its data; it is the same SYN. */
static void test_convert_repetition(void **state)
{
	struct frame f = capable();
	struct mg_tuple t;
	struct mg_converter value = { 0 };

	(void)state;
	f.dst = "10.3.0.2";
	f.payload = (struct bytes){ message, sizeof(message) };
	t = hold_tuple(&f);
	bpf_map_update_elem(bpf_map__fd(run.skel->maps.mg_converters), &t.server, &value, 0);
	assert_int_equal(hold(&f), CONSUMED);
	f.payload.len = 0;
	assert_int_equal(hold(&f), CONSUMED);
	assert_int_equal(hold_run_read(&run), 1);
	f.opts.len = sizeof(mpc) - 4;
	assert_int_equal(hold(&f), CONSUMED);
	assert_int_equal(hold_run_read(&run), 1);
	assert_int_equal(run.got[1].head.type, MG_HELD_RETRY);
	assert_int_equal(run.got[1].head.kind, MG_HOLD_CONVERT);
}

static void test_new_attempt(void **state)
{
	struct frame f = capable(), old = f;
	struct mg_hold held;

	(void)state;
	assert_int_equal(hold(&f), CONSUMED);
	f.seq += 1000;
	assert_int_equal(hold(&f), CONSUMED);
	assert_int_equal(hold_run_read(&run), 3);
	/* the worker may be another; each one's own records come in order */
	for (unsigned int i = 0; i < 3; i++) {
		const struct mg_held *h = &run.got[i].head;

		if (h->type == MG_HELD_RESET)
			assert_int_equal(h->isn, old.seq);
		else
			assert_int_equal(h->type, MG_HELD_SYN);
	}
	assert_true(hold_is_held(&run, &f, &held));
	assert_int_equal(held.isn, f.seq);
	assert_int_equal(hold_charged(&run, false), 1);
	/* the daemon lets the old one go when it hears of it: that is nobody's place any more */
	assert_int_equal(hold_release(&run, &old, MG_RELEASE, 0), 0);
	assert_int_equal(hold_charged(&run, false), 1);
}

static void test_retry(void **state)
{
	struct frame f = capable(), again = plain();
	struct mg_hold held;
	uint8_t frame[FRAME_MAX];

	(void)state;
	assert_int_equal(hold(&f), CONSUMED);
	assert_int_equal(hold(&again), CONSUMED);
	assert_int_equal(hold_run_read(&run), 2);
	assert_int_equal(run.got[1].head.type, MG_HELD_RETRY);
	assert_int_equal(run.got[1].head.isn, ISN);
	assert_int_equal(run.got[1].head.mp_capable, 0);
	assert_int_equal(run.got[1].worker, run.got[0].worker);
	assert_int_equal(run.got[1].head.frame_bytes, frame_build(frame, &again));
	assert_memory_equal(run.got[1].frame, frame, run.got[1].head.frame_bytes);
	assert_true(hold_is_held(&run, &f, NULL));
	/* from the same port anew: held on under the new number, by which the daemon lets it pass
	 */
	again.seq += 77;
	assert_int_equal(hold(&again), CONSUMED);
	assert_int_equal(hold_run_read(&run), 1);
	assert_int_equal(run.got[2].head.type, MG_HELD_RETRY);
	assert_int_equal(run.got[2].head.isn, again.seq);
	assert_true(hold_is_held(&run, &again, &held));
	assert_int_equal(held.isn, again.seq);
	assert_int_equal(hold_release(&run, &again, MG_RELEASE_PASSED, MG_PASSED_GAVE_UP), 1);
	assert_int_equal(hold(&again), UNSPEC);
	assert_int_equal(hold_run_read(&run), 0);
}

static void test_reset(void **state)
{
	struct frame f = capable(), r;

	(void)state;
	assert_int_equal(hold(&f), CONSUMED);
	r = rst(ISN - 1);
	assert_int_equal(hold(&r), UNSPEC);
	r = rst(ISN + 0x10000);
	assert_int_equal(hold(&r), UNSPEC);
	assert_true(hold_is_held(&run, &f, NULL));
	r = rst(ISN + 1);
	assert_int_equal(hold(&r), CONSUMED);
	assert_int_equal(hold_run_read(&run), 2);
	assert_int_equal(run.got[1].head.type, MG_HELD_RESET);
	assert_int_equal(run.got[1].head.isn, ISN);
	assert_int_equal(run.got[1].head.frame_bytes, 0);
	assert_false(hold_is_held(&run, &f, NULL));
	assert_int_equal(hold_charged(&run, false), 0);
	assert_int_equal(hold(&r), UNSPEC);
}

static void test_release(void **state)
{
	struct frame f = capable(), wrong = f;
	struct mg_passed passed;

	(void)state;
	assert_int_equal(hold(&f), CONSUMED);
	wrong.seq++;
	assert_int_equal(hold_release(&run, &wrong, MG_RELEASE, 0), 0);
	assert_true(hold_is_held(&run, &f, NULL));
	assert_int_equal(hold_charged(&run, false), 1);
	assert_int_equal(hold_release(&run, &f, MG_RELEASE, 0), 1);
	assert_int_equal(hold_release(&run, &f, MG_RELEASE, 0), 0);
	assert_int_equal(hold_charged(&run, false), 0);
	assert_false(hold_passed_get(&run, &f, &passed));
	/* released, not passed: the next one is held again */
	assert_int_equal(hold(&f), CONSUMED);
	assert_int_equal(hold_release(&run, &f, MG_RELEASE_PASSED, MG_PASSED_PROBED), 1);
	assert_true(hold_passed_get(&run, &f, &passed));
	assert_int_equal(passed.why, MG_PASSED_PROBED);
	assert_int_equal(passed.isn, f.seq);
	assert_int_equal(hold(&f), UNSPEC);
	assert_int_equal(hold_entries(run.skel->maps.mg_held), 0);
	/* another attempt is another matter */
	f.seq++;
	assert_int_equal(hold(&f), CONSUMED);
}

/* Many let go of the same SYN at once: one of them does. */
static void test_release_once(void **state)
{
	enum { RACERS = 4, ROUNDS = 200 };
	struct frame f = capable(), other = f;

	(void)state;
	other.sport = 40001;
	assert_int_equal(hold(&other), CONSUMED);
	for (int round = 0; round < ROUNDS; round++) {
		int released = 0;

		assert_int_equal(hold(&f), CONSUMED);
		for (int i = 0; i < RACERS; i++) {
			if (fork() == 0)
				_exit(hold_release(&run, &f, MG_RELEASE, 0));
		}
		for (int i = 0, status; i < RACERS; i++) {
			assert_true(wait(&status) > 0);
			released += WEXITSTATUS(status);
		}
		assert_int_equal(released, 1);
		assert_int_equal(hold_charged(&run, false), 1);
		hold_run_read(&run);
		run.n_got = 0;
	}
}

/* One SYN more than may be held, in all or of the client: what `drop` says. */
static void assert_overload(const struct frame *first, bool drop)
{
	struct frame f = *first;
	struct mg_passed passed;
	uint64_t before = hold_counted(&run, MG_HOLD_COUNT_OVERFLOW);
	struct mg_intercept wanted = hold_wanted();
	uint32_t zero = 0;

	bpf_map_lookup_elem(bpf_map__fd(run.skel->maps.mg_intercept), &zero, &wanted);
	wanted.drop_on_overload = drop;
	hold_run_want(&run, &wanted);
	assert_int_equal(hold(&f), drop ? SHOT : UNSPEC);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_OVERFLOW), before + 1);
	assert_int_equal(hold_passed_get(&run, &f, &passed), !drop);
	if (drop)
		return;
	assert_int_equal(passed.why, MG_PASSED_OVERLOAD);
	assert_int_equal(hold(&f), UNSPEC); /* and stays passed */
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_OVERFLOW), before + 1);
}

static void test_overload_in_all(void **state)
{
	struct frame f = capable();

	(void)state;
	for (int i = 0; i < HOLD_HELD; i++) {
		f.sport = (uint16_t)(40000 + i);
		assert_int_equal(hold(&f), CONSUMED);
	}
	f.sport = 50000;
	assert_overload(&f, true);
	assert_overload(&f, false);
	assert_int_equal(hold_charged(&run, false), HOLD_HELD);
	f.sport = 40000;
	assert_int_equal(hold_release(&run, &f, MG_RELEASE, 0), 1);
	f.sport = 50001;
	assert_int_equal(hold(&f), CONSUMED);
}

static void test_overload_of_a_client(void **state)
{
	static const char *const same[] = { "fd00:1::2", "fd00:1::ffff:0:0:1" };
	struct mg_intercept wanted = hold_wanted();
	struct frame f = capable(), v6 = f;

	(void)state;
	wanted.held_per_subscriber = 2;
	hold_run_want(&run, &wanted);
	assert_int_equal(hold(&f), CONSUMED);
	f.sport = 40001;
	assert_int_equal(hold(&f), CONSUMED);
	f.sport = 40002;
	assert_overload(&f, true);
	assert_overload(&f, false);
	assert_int_equal(hold_charged(&run, false), 2);
	/* the neighbour is not him */
	f.src = "10.1.0.2";
	assert_int_equal(hold(&f), CONSUMED);
	/* of IPv6, a /64 is one subscriber */
	v6.v6 = true;
	v6.dst = FAR6;
	for (size_t i = 0; i < 2; i++) {
		v6.src = same[i];
		assert_int_equal(hold(&v6), CONSUMED);
	}
	assert_int_equal(hold_charged(&run, true), 2);
	v6.src = "fd00:1::3";
	assert_overload(&v6, true);
	v6.src = "fd00:1:0:1::1";
	assert_int_equal(hold(&v6), CONSUMED);
	/* nobody may: then nothing is left behind either */
	wanted.held_per_subscriber = 0;
	hold_run_want(&run, &wanted);
	f.src = "10.1.0.3";
	assert_overload(&f, true);
	assert_int_equal(hold_entries(run.skel->maps.mg_held_subs), 4);
}

static void test_ring_full(void **state)
{
	static const uint8_t data[3400];
	struct mg_intercept wanted = hold_wanted();
	struct frame f = capable();
	int i = 0;

	(void)state;
	wanted.n_workers = 1;
	hold_run_want(&run, &wanted);
	f.payload = (struct bytes){ data, sizeof(data) };
	/* a daemon that lets go, but does not read */
	for (; hold(&f) == CONSUMED && i < 2 * (int)(MG_HOLD_RING_BYTES / sizeof(data)); i++) {
		assert_int_equal(hold_release(&run, &f, MG_RELEASE, 0), 1);
		f.seq++;
	}
	assert_true(i >= (int)(MG_HOLD_RING_BYTES / (sizeof(data) + 256)));
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_OVERFLOW), 1);
	f.sport = 40001;
	assert_overload(&f, true);
	assert_overload(&f, false);
	assert_int_equal(hold_entries(run.skel->maps.mg_held), 0);
	assert_int_equal(hold_charged(&run, false), 0);
}

static void test_unattended(void **state)
{
	struct mg_intercept wanted = hold_wanted();
	struct frame f = capable(), held = f;
	struct mg_passed passed;
	uint64_t never = 0;

	(void)state;
	held.sport = 40001;
	assert_int_equal(hold(&held), CONSUMED);
	wanted.beat_stale_ms = 200;
	hold_run_want(&run, &wanted);
	hold_run_beat(&run, 300000000);
	assert_int_equal(hold(&f), UNSPEC);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_UNATTENDED), 1);
	assert_true(hold_passed_get(&run, &f, &passed));
	assert_int_equal(passed.why, MG_PASSED_FAILURE);
	/* what was held when the daemon died goes on with its repetition */
	assert_int_equal(hold(&held), UNSPEC);
	assert_false(hold_is_held(&run, &held, NULL));
	assert_int_equal(hold_charged(&run, false), 0);

	wanted.drop_on_failure = 1;
	hold_run_want(&run, &wanted);
	f.sport = 40002;
	assert_int_equal(hold(&f), SHOT);
	assert_false(hold_passed_get(&run, &f, &passed));
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_UNATTENDED), 3);
	/* back again */
	hold_run_beat(&run, 0);
	assert_int_equal(hold(&f), CONSUMED);
	/* never seen alive, and as patient as can be */
	wanted.drop_on_failure = 0;
	wanted.beat_stale_ms = UINT32_MAX;
	hold_run_want(&run, &wanted);
	for (uint32_t w = 0; w < HOLD_WORKERS; w++)
		bpf_map_update_elem(bpf_map__fd(run.skel->maps.mg_beats), &w, &never, 0);
	f.sport = 40004;
	assert_int_equal(hold(&f), UNSPEC);
}

static void test_not_configured(void **state)
{
	struct mg_intercept nobody = hold_wanted();
	struct frame f = capable();

	(void)state;
	nobody.n_workers = 0;
	hold_run_want(&run, &nobody);
	assert_int_equal(hold(&f), UNSPEC);
	assert_int_equal(hold_counted_all(&run), 0);
}

static int set_up(void **state)
{
	(void)state;
	return hold_run_open(&run);
}

static int tear_down(void **state)
{
	(void)state;
	hold_run_close(&run);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_repetitions, fresh),
		cmocka_unit_test_setup(test_convert_repetition, fresh),
		cmocka_unit_test_setup(test_new_attempt, fresh),
		cmocka_unit_test_setup(test_retry, fresh),
		cmocka_unit_test_setup(test_reset, fresh),
		cmocka_unit_test_setup(test_release, fresh),
		cmocka_unit_test_setup(test_release_once, fresh),
		cmocka_unit_test_setup(test_overload_in_all, fresh),
		cmocka_unit_test_setup(test_overload_of_a_client, fresh),
		cmocka_unit_test_setup(test_ring_full, fresh),
		cmocka_unit_test_setup(test_unattended, fresh),
		cmocka_unit_test_setup(test_not_configured, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
