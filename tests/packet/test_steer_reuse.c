// SPDX-License-Identifier: BSD-2-Clause
/*
 * A client uses its address and port again, for a connection that no proxy is given: what the
 * gateway knows of the last one is nothing to this, in neither direction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "steer_world.h"

#define TOKEN 0x0a1b2c3d

static struct world w;

static int fresh(void **state)
{
	(void)state;
	world_reset(&w);
	return 0;
}

static struct frame syn_to(const char *server)
{
	return (struct frame){
		.src = UE4,
		.dst = server,
		.sport = 40000,
		.dport = 80,
		.flags = F_SYN,
		.seq = 1000000,
		.opts = opt_capable,
	};
}

/* The server's answer to a SYN */
static struct frame answer(const struct frame *syn, uint8_t flags)
{
	return (struct frame){
		.src = syn->dst,
		.dst = syn->src,
		.sport = syn->dport,
		.dport = syn->sport,
		.flags = flags,
		.ack = syn->seq + 1,
		.opts = opt_times,
	};
}

/* What follows the SYN, from the client and from the server, goes where routing takes it. */
static void expect_untouched(const struct frame *syn)
{
	struct frame up = *syn, down = answer(syn, F_SYN | F_ACK);
	struct mg_steer_flow flow;

	up.flags = F_ACK;
	up.seq++;
	up.opts = opt_times;
	world_expect(&w, MG_SIDE_ACCESS, &up, PASSES(NOT_OURS));
	world_expect(&w, MG_SIDE_CORE, &down, PASSES(NOT_OURS));
	down.flags = F_ACK;
	world_expect(&w, MG_SIDE_CORE, &down, PASSES(NOT_OURS));
	assert_false(world_flow(&w, syn, &flow));
}

static struct frame intercepted(void)
{
	const struct mg_rule any = { .group = GROUP_OTHER };
	struct frame f = syn_to(SERVER4);

	world_rules(&w, &any, 1);
	world_expect(&w, MG_SIDE_ACCESS, &f, GOES(RING, NEW, 3));
	f.seq += 100000;
	return f;
}

static void test_plain(void **state)
{
	struct frame f = intercepted();

	(void)state;
	f.opts = opt_plain;
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	expect_untouched(&f);
}

/* One that nobody looks into */
static void test_malformed(void **state)
{
	static const uint8_t cut[] = { 30, 40, 1, 1 };
	struct frame f = intercepted();

	(void)state;
	f.opts = (struct bytes){ cut, sizeof(cut) };
	assert_int_equal(steer_run_frame(&w.run, MG_SIDE_ACCESS, &f), XDP_PASS);
	steer_run_look(&w.run);
	expect_untouched(&f);
}

static void test_selected_no_more(void **state)
{
	struct frame f = intercepted();

	(void)state;
	world_rules(&w, NULL, 0);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	expect_untouched(&f);
}

static void test_unknown_join(void **state)
{
	struct frame f = intercepted();

	(void)state;
	w.gateway.unknown_join = MG_UNKNOWN_PASS;
	world_gateway(&w);
	f.opts = opt_join(TOKEN);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES_COUNTED(UNKNOWN_JOIN, UNKNOWN_JOIN));
	expect_untouched(&f);
}

/* Nobody of the group is up, and sessions pass then. */
static void test_open(void **state)
{
	struct frame f = intercepted();

	(void)state;
	world_group(&w, GROUP_OTHER, MG_HASH_SUBSCRIBER, false, 0);
	world_ring(&w, GROUP_OTHER, 0, 3);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES_COUNTED(NO_MEMBER, NO_PROXY));
	expect_untouched(&f);
}

/* A proxy's own connection, in the name of the client: the server says which of the two it has. */
static void test_upstream(void **state)
{
	const struct mg_steer_flow flow = { .proxy = 2, .flags = MG_FLOW_UPSTREAM, .isn = 7 };
	struct frame f = syn_to(SERVER4), theirs = f, down;
	struct mg_tuple tuple;

	(void)state;
	f.opts = opt_plain;
	theirs.seq = flow.isn;
	tuple = steer_tuple(&f);
	steer_put_flow(&w.run, &tuple, &flow);
	world_expect(&w, MG_SIDE_ACCESS, &f, PASSES(NOT_OURS));
	down = answer(&theirs, F_SYN | F_ACK);
	world_expect(&w, MG_SIDE_CORE, &down, GOES(DOWNLINK, DOWNLINK, 2));
	down.ack += 500; /* of data in the SYN */
	world_expect(&w, MG_SIDE_CORE, &down, GOES(DOWNLINK, DOWNLINK, 2));
	down = answer(&f, F_ACK);
	world_expect(&w, MG_SIDE_CORE, &down, GOES(DOWNLINK, DOWNLINK, 2));
	down = answer(&f, F_SYN | F_ACK);
	world_expect(&w, MG_SIDE_CORE, &down, PASSES(NOT_OURS));
	expect_untouched(&f);
}

static int set_up(void **state)
{
	(void)state;
	return world_open(&w);
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_plain, fresh),
		cmocka_unit_test_setup(test_malformed, fresh),
		cmocka_unit_test_setup(test_selected_no_more, fresh),
		cmocka_unit_test_setup(test_unknown_join, fresh),
		cmocka_unit_test_setup(test_open, fresh),
		cmocka_unit_test_setup(test_upstream, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
