// SPDX-License-Identifier: BSD-2-Clause
/*
 * What TC holds where there are policies, and XDP has said nothing before: modes, limits of held
 * SYNs, who is counted, what becomes of what is refused; joins.
 */
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "admit_run.h"
#include "hold_run.h"
#include "rows.h"

#define UNSPEC	 (-1)
#define SHOT	 2
#define CONSUMED 4
#define UE4	 "10.1.0.1"
#define OTHER4	 "10.1.0.2" /* of the same /24 */
#define TOKEN	 0x01020304

static struct hold_run run;
static struct admit_run admit;

static const uint8_t capable[] = { LINUX_SYN, MPC_V1 };
static const uint8_t join[] = { 30, 12, 0x10, 2, 1, 2, 3, 4, 9, 9, 9, 9 };
static const uint8_t strange[] = { JOIN };
static const uint8_t convert[] = { CONVERT };

static struct frame syn(uint16_t sport)
{
	return (struct frame){ .flags = F_SYN,
			       .seq = 1000,
			       .dst = FAR4,
			       .sport = sport,
			       .dport = 443,
			       .opts = { capable, sizeof(capable) } };
}

static int says(const struct frame *f)
{
	return hold_run_frame(&run, run.skel->progs.mg_hold, f);
}

static int fresh(void **state)
{
	const struct mg_endpoint ep = admit_ep("10.3.0.2", 5124);
	const struct mg_converter c = { 0 };

	(void)state;
	hold_run_reset(&run);
	admit_run_reset(&admit);
	return bpf_map_update_elem(bpf_map__fd(run.skel->maps.mg_converters), &ep, &c, BPF_ANY);
}

static struct admit_tables *tables(enum mg_refuse how)
{
	struct admit_tables *t = admit_tables();

	t->terms[0].mode = MG_TERMS_MODE_DEFAULT;
	t->terms[0].refuse = (uint8_t)how;
	return t;
}

static uint64_t refused(const char *client, enum mg_refusal refusal)
{
	const struct mg_subscriber who = admit_subscriber(client);

	assert_int_equal(admit_counted(&admit, refusal), admit_refused(&admit, &who, refusal));
	return admit_refused(&admit, &who, refusal);
}

static void expect_passed(const struct frame *f)
{
	struct mg_passed passed;

	assert_false(hold_is_held(&run, f, NULL));
	assert_true(hold_passed_get(&run, f, &passed));
	assert_int_equal(passed.why, MG_PASSED_REFUSED);
	assert_int_equal(passed.isn, f->seq);
}

/* ---- over a limit, or denied ----------------------------------------------------------------- */

static void over_sessions(enum mg_refuse how)
{
	struct admit_tables *t = tables(how);
	struct mg_admit ask = { 0 };

	t->terms[0].sessions = 1;
	admit_put(&admit, t);
	assert_int_equal(admit_open(&admit, &ask, UE4, FAR4), MG_ADMITTED);
}

static void test_pass(void **state)
{
	struct frame f = syn(40000);

	(void)state;
	over_sessions(MG_REFUSE_PASS);
	assert_int_equal(says(&f), UNSPEC);
	expect_passed(&f);
	assert_int_equal(refused(UE4, MG_REFUSAL_OVER_SESSIONS), 1);
	/* The same once more is neither held nor counted. */
	assert_int_equal(says(&f), UNSPEC);
	assert_int_equal(refused(UE4, MG_REFUSAL_OVER_SESSIONS), 1);
	assert_int_equal(hold_run_read(&run), 0);
	/* Somebody else's is held. */
	f.src = OTHER4;
	assert_int_equal(says(&f), CONSUMED);
	assert_int_equal(hold_run_read(&run), 1);
}

static void test_drop(void **state)
{
	struct mg_intercept wanted = hold_wanted();
	struct frame f = syn(40000);
	struct mg_passed passed;

	(void)state;
	over_sessions(MG_REFUSE_DROP);
	assert_int_equal(says(&f), SHOT);
	assert_int_equal(says(&f), SHOT);
	assert_false(hold_is_held(&run, &f, NULL));
	assert_false(hold_passed_get(&run, &f, &passed));
	assert_int_equal(refused(UE4, MG_REFUSAL_OVER_SESSIONS), 2);
	/* A daemon that is dead refuses nothing. */
	wanted.beat_stale_ms = 1;
	hold_run_want(&run, &wanted);
	hold_run_beat(&run, 1000000000);
	assert_int_equal(says(&f), UNSPEC);
	assert_int_equal(refused(UE4, MG_REFUSAL_OVER_SESSIONS), 2);
}

/* XDP has answered it, where it is; else the daemon will. */
static void test_reset(void **state)
{
	struct frame f = syn(40000);

	(void)state;
	over_sessions(MG_REFUSE_RESET);
	assert_int_equal(says(&f), CONSUMED);
	assert_true(hold_is_held(&run, &f, NULL));
	assert_int_equal(hold_run_read(&run), 1);
	assert_int_equal(refused(UE4, MG_REFUSAL_OVER_SESSIONS), 0);
}

/* To deny is a mode: nothing else is to be intercepted for it. */
static void test_deny(void **state)
{
	struct mg_intercept wanted = hold_wanted();
	struct frame f = syn(40000), g = syn(40001);
	struct admit_tables *t = tables(MG_REFUSE_RESET);

	(void)state;
	wanted.mode = MG_MODE_TRANSPARENT;
	hold_run_want(&run, &wanted);
	assert_int_equal(says(&f), UNSPEC);
	t->terms[0].deny = 1;
	admit_put(&admit, t);
	assert_int_equal(says(&f), CONSUMED);
	t->terms[0].refuse = MG_REFUSE_DROP;
	admit_put(&admit, t);
	assert_int_equal(says(&g), SHOT);
	assert_int_equal(refused(UE4, MG_REFUSAL_DENIED), 1);
	/* What is for a converter is held, and hears of it. */
	f = (struct frame){ .flags = F_SYN,
			    .dst = "10.3.0.2",
			    .dport = 5124,
			    .opts = { capable, sizeof(capable) },
			    .payload = { convert, sizeof(convert) } };
	assert_int_equal(says(&f), CONSUMED);
}

/* ---- modes ----------------------------------------------------------------------------------- */

static int mode_of(uint16_t sport, uint32_t general, uint8_t of_policy)
{
	struct mg_intercept wanted = hold_wanted();
	struct admit_tables *t = tables(MG_REFUSE_PASS);
	struct frame f = syn(sport);
	unsigned int n;

	wanted.mode = general;
	hold_run_want(&run, &wanted);
	t->terms[0].mode = of_policy;
	admit_put(&admit, t);
	if (says(&f) == UNSPEC)
		return -1;
	n = hold_run_read(&run);
	assert_int_equal(n, 1);
	return run.got[run.n_got - 1].head.mode;
}

static void test_modes(void **state)
{
	struct frame f = syn(0);

	(void)state;
	assert_int_equal(mode_of(1, MG_MODE_TAKE_OVER, MG_TERMS_MODE_DEFAULT), MG_MODE_TAKE_OVER);
	assert_int_equal(mode_of(2, MG_MODE_TRANSPARENT, MG_TERMS_MODE_DEFAULT), -1);
	assert_int_equal(mode_of(3, MG_MODE_OFF, MG_MODE_TAKE_OVER), MG_MODE_TAKE_OVER);
	assert_int_equal(mode_of(4, MG_MODE_TRANSPARENT, MG_MODE_HYBRID), MG_MODE_HYBRID);
	assert_int_equal(mode_of(5, MG_MODE_TAKE_OVER, MG_MODE_TRANSPARENT), -1);
	assert_int_equal(mode_of(6, MG_MODE_TAKE_OVER, MG_MODE_OFF), -1);
	hold_server_put(&run, &f, true, 1000000000);
	assert_int_equal(mode_of(7, MG_MODE_TAKE_OVER, MG_MODE_HYBRID), -1);
	assert_int_equal(mode_of(8, MG_MODE_HYBRID, MG_MODE_TAKE_OVER), MG_MODE_TAKE_OVER);
}

static struct admit_tables *third_party(void)
{
	struct admit_tables *t = tables(MG_REFUSE_DROP);

	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 1);
	t->set.access[1].trust = MG_TRUST_THIRD_PARTY;
	admit_put(&admit, t);
	return t;
}

static void test_third_party(void **state)
{
	struct admit_tables *t = third_party();
	struct frame f = syn(40000);

	(void)state;
	assert_int_equal(says(&f), UNSPEC);
	assert_false(hold_is_held(&run, &f, NULL));
	t->set.access[1].drop_transit = 1;
	admit_put(&admit, t);
	assert_int_equal(says(&f), SHOT);
	assert_int_equal(refused(UE4, MG_REFUSAL_TRANSIT), 1);
	f.dst = "10.3.0.2"; /* to this host, it does not pass through */
	assert_int_equal(says(&f), UNSPEC);
}

/* ---- how many are held, and whose they are --------------------------------------------------- */

static void held_of_two(enum mg_refuse how)
{
	struct admit_tables *t = tables(how);
	struct frame f;

	t->terms[0].held = 2;
	admit_put(&admit, t);
	for (uint16_t sport = 1; sport <= 2; sport++) {
		f = syn(sport);
		assert_int_equal(says(&f), CONSUMED);
	}
}

static void test_held(void **state)
{
	struct frame f = syn(3), first = syn(1);

	(void)state;
	held_of_two(MG_REFUSE_PASS);
	assert_int_equal(says(&f), UNSPEC);
	expect_passed(&f);
	assert_int_equal(refused(UE4, MG_REFUSAL_OVER_HELD), 1);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_OVERFLOW), 0);
	assert_int_equal(hold_release(&run, &first, MG_RELEASE, 0), 1);
	f = syn(4);
	assert_int_equal(says(&f), CONSUMED);
	assert_int_equal(hold_charged(&run, false), 2);
	/* What is for a converter goes there, and is not refused for it. */
	f = (struct frame){ .flags = F_SYN,
			    .dst = "10.3.0.2",
			    .dport = 5124,
			    .opts = { capable, sizeof(capable) },
			    .payload = { convert, sizeof(convert) } };
	assert_int_equal(says(&f), UNSPEC);
	assert_int_equal(refused(UE4, MG_REFUSAL_OVER_HELD), 1);
}

static void test_held_drop(void **state)
{
	struct frame f = syn(3);

	(void)state;
	held_of_two(MG_REFUSE_DROP);
	assert_int_equal(says(&f), SHOT);
	fresh(NULL);
	held_of_two(MG_REFUSE_RESET);
	assert_int_equal(says(&f), SHOT); /* nobody could be handed it to be reset */
	assert_int_equal(refused(UE4, MG_REFUSAL_OVER_HELD), 1);
}

/* Two addresses that count as one, and then no longer do: what was charged is given back. */
static void test_key(void **state)
{
	struct frame f = syn(1), g = syn(2), h = syn(3);
	struct admit_tables *t = tables(MG_REFUSE_DROP);

	(void)state;
	g.src = h.src = OTHER4;
	t->terms[0].held = 2;
	t->set.key_bits[MG_FAMILY_V4] = 120;
	admit_put(&admit, t);
	assert_int_equal(says(&f), CONSUMED);
	assert_int_equal(says(&g), CONSUMED);
	assert_int_equal(hold_entries(run.skel->maps.mg_held_subs), 1);
	assert_int_equal(says(&h), SHOT);
	t->set.key_bits[MG_FAMILY_V4] = 128;
	admit_put(&admit, t);
	assert_int_equal(says(&h), CONSUMED);
	assert_int_equal(hold_entries(run.skel->maps.mg_held_subs), 2);
	assert_int_equal(hold_release(&run, &f, MG_RELEASE, 0), 1);
	assert_int_equal(hold_release(&run, &g, MG_RELEASE, 0), 1);
	assert_int_equal(hold_entries(run.skel->maps.mg_held_subs), 1);
	assert_int_equal(hold_release(&run, &h, MG_RELEASE, 0), 1);
	assert_int_equal(hold_entries(run.skel->maps.mg_held_subs), 0);
}

/* An identity is one subscriber, whatever its addresses. */
static void test_identity(void **state)
{
	const struct mg_feed_entry of = { .identity = 42 };
	struct frame f = syn(1), g = syn(2), h = syn(3);
	struct admit_tables *t = tables(MG_REFUSE_DROP);

	(void)state;
	t->terms[0].held = 2;
	admit_put(&admit, t);
	admit_feed(&admit, UE4 "/32", &of);
	admit_feed(&admit, "fd00:1::/64", &of);
	g.v6 = true;
	g.dst = FAR6;
	assert_int_equal(says(&f), CONSUMED);
	assert_int_equal(says(&g), CONSUMED);
	assert_int_equal(hold_entries(run.skel->maps.mg_held_subs), 1);
	assert_int_equal(says(&h), SHOT);
	assert_int_equal(hold_release(&run, &f, MG_RELEASE, 0), 1);
	assert_int_equal(says(&h), CONSUMED);
}

static void test_seen_at(void **state)
{
	const struct mg_subscriber who = admit_subscriber(UE4);
	struct admit_tables *t = tables(MG_REFUSE_DROP);
	int map = bpf_map__fd(admit.skel->maps.mg_seen_at);
	struct frame f = syn(1);
	uint32_t access = 0;

	(void)state;
	t->set.n_interfaces = 1;
	t->set.interfaces[0] = (struct mg_access_interface){ if_nametoindex("px0"), 2 };
	admit_put(&admit, t);
	assert_int_equal(says(&f), CONSUMED);
	assert_int_equal(bpf_map_lookup_elem(map, &who, &access), 0);
	assert_int_equal(access, 2);
}

/* ---- joins ----------------------------------------------------------------------------------- */

static void test_joins(void **state)
{
	const struct mg_subscriber who = admit_subscriber(UE4);
	struct admit_tables *t = tables(MG_REFUSE_PASS);
	struct mg_admit ask = { 0 };
	struct frame f = syn(41000);

	(void)state;
	t->terms[0].subflows_per_session = 2;
	admit_put(&admit, t);
	assert_int_equal(admit_open(&admit, &ask, UE4, FAR4), MG_ADMITTED);
	assert_int_equal(admit_token(&admit, &ask, TOKEN), 0);
	f.opts = (struct bytes){ join, sizeof(join) };
	for (int i = 0; i < 3; i++) {
		assert_int_equal(says(&f), UNSPEC);
		assert_int_equal(admit_account(&admit, &who).subflows, 2);
	}
	f.sport++;
	assert_int_equal(says(&f), SHOT);
	assert_int_equal(refused(UE4, MG_REFUSAL_OVER_SESSION_SUBFLOWS), 1);
	/* On a CPE's LAN nobody looks at it. */
	assert_int_equal(hold_run_frame(&run, run.skel->progs.mg_hold_lan, &f), UNSPEC);
}

static void test_strangers(void **state)
{
	struct frame f = syn(41000);
	struct admit_tables *t;

	(void)state;
	f.opts = (struct bytes){ strange, sizeof(strange) };
	assert_int_equal(says(&f), UNSPEC);
	t = third_party();
	assert_int_equal(says(&f), UNSPEC);
	f.dst = "10.3.0.2";
	assert_int_equal(says(&f), SHOT);
	assert_int_equal(refused(UE4, MG_REFUSAL_NO_TOKEN), 1);
	f.dst = FAR4;
	t->set.access[1].drop_transit = 1;
	admit_put(&admit, t);
	assert_int_equal(says(&f), SHOT);
	assert_int_equal(refused(UE4, MG_REFUSAL_TRANSIT), 1);
}

static int set_up(void **state)
{
	int err = admit_run_open(&admit);

	(void)state;
	hold_run_from = err ? NULL : admit.skel->obj;
	return err ? err : hold_run_open(&run);
}

static int tear_down(void **state)
{
	(void)state;
	hold_run_close(&run);
	admit_run_close(&admit);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pass, fresh),
		cmocka_unit_test_setup(test_drop, fresh),
		cmocka_unit_test_setup(test_reset, fresh),
		cmocka_unit_test_setup(test_deny, fresh),
		cmocka_unit_test_setup(test_modes, fresh),
		cmocka_unit_test_setup(test_third_party, fresh),
		cmocka_unit_test_setup(test_held, fresh),
		cmocka_unit_test_setup(test_held_drop, fresh),
		cmocka_unit_test_setup(test_key, fresh),
		cmocka_unit_test_setup(test_identity, fresh),
		cmocka_unit_test_setup(test_seen_at, fresh),
		cmocka_unit_test_setup(test_joins, fresh),
		cmocka_unit_test_setup(test_strangers, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
