// SPDX-License-Identifier: BSD-2-Clause
/* Who asks a server, who waits, and who is told: one probe for any number of askers. */
#include "mg_test.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/servers.h"

#define ASKERS	1000
#define THREADS 4

static struct mg_servers servers;
static struct mg_inbox inbox;

static void nothing(struct mg_io *io, uint32_t events)
{
	(void)io, (void)events;
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(mg_servers_init(&servers), 0);
	assert_int_equal(mg_inbox_open(&inbox, nothing), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mg_servers_forget(&servers, NULL);
	assert_int_equal(servers.n, 0);
	mg_inbox_close(&inbox);
	mg_servers_free(&servers);
	return 0;
}

static bool woken(const struct mg_inbox *in)
{
	struct pollfd p = { .fd = in->io.fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static enum mg_ask ask(struct mg_asker *a, const char *server, uint64_t known, uint64_t now_ms)
{
	struct mg_ep ep = ep_of(server);

	*a = (struct mg_asker){ 0 };
	return mg_servers_ask(&servers, a, &inbox, &ep, known, now_ms);
}

static void tell(const char *server, enum mg_known verdict, uint64_t now_ms)
{
	struct mg_ep ep = ep_of(server);

	mg_servers_tell(&servers, &ep, verdict, now_ms);
}

static void leave(struct mg_asker *a, const char *server)
{
	struct mg_ep ep = ep_of(server);

	mg_servers_leave(&servers, a, &ep);
}

static void hand_on(struct mg_asker *a, const char *server)
{
	struct mg_ep ep = ep_of(server);

	mg_servers_hand_on(&servers, a, &ep);
}

static void hears(const struct mg_asker *a, enum mg_known verdict)
{
	assert_true(woken(&inbox));
	assert_ptr_equal(mg_inbox_take(&servers, &inbox), a);
	assert_true(a->told);
	assert_int_equal(a->verdict, verdict);
}

static void hears_nothing(void)
{
	assert_null(mg_inbox_take(&servers, &inbox));
	assert_false(woken(&inbox));
}

#define ONE   "10.0.0.1:80"
#define OTHER "10.0.0.1:81"

static void one_asks_the_others_wait(void **state)
{
	struct mg_asker a, b, c, d;

	(void)state;
	assert_int_equal(ask(&a, ONE, 0, 0), MG_ASK_PROBE);
	assert_int_equal(ask(&b, ONE, 0, 0), MG_ASK_WAIT);
	assert_int_equal(ask(&c, ONE, 0, 0), MG_ASK_WAIT);
	assert_int_equal(ask(&d, OTHER, 0, 0), MG_ASK_PROBE);
	assert_false(woken(&inbox));
	tell(ONE, MG_KNOWN_MPTCP, 5);
	leave(&a, ONE);
	hears(&b, MG_KNOWN_MPTCP);
	hears(&c, MG_KNOWN_MPTCP);
	hears_nothing();
	assert_int_equal(servers.n, 2);
	leave(&d, OTHER);
	assert_int_equal(servers.n, 1);
}

static void a_failed_probe_is_no_verdict(void **state)
{
	struct mg_asker a, b, c;

	(void)state;
	assert_int_equal(ask(&a, ONE, 0, 0), MG_ASK_PROBE);
	assert_int_equal(ask(&b, ONE, 0, 0), MG_ASK_WAIT);
	leave(&a, ONE);
	leave(&a, ONE);
	hears(&b, MG_KNOWN_NOTHING);
	hears_nothing();
	leave(&b, ONE);
	assert_int_equal(ask(&c, ONE, 0, 0), MG_ASK_PROBE);
	/* Who failed before has no part in it any more. */
	leave(&a, ONE);
	assert_int_equal(ask(&b, ONE, 0, 0), MG_ASK_WAIT);
	leave(&b, ONE);
	leave(&c, ONE);
	hears_nothing();
}

static void who_gives_up_hands_on(void **state)
{
	struct mg_asker a, b, c, d;

	(void)state;
	ask(&a, ONE, 0, 0);
	ask(&b, ONE, 0, 0);
	ask(&c, ONE, 0, 0);
	hand_on(&a, ONE);
	hears(&b, MG_KNOWN_NOTHING);
	hears_nothing(); /* c waits on */
	assert_int_equal(ask(&d, ONE, 0, 0), MG_ASK_WAIT);
	hand_on(&a, ONE); /* it has no part in it any more */
	hears_nothing();
	tell(ONE, MG_KNOWN_PLAIN, 0);
	leave(&b, ONE);
	hears(&c, MG_KNOWN_PLAIN);
	hears(&d, MG_KNOWN_PLAIN);
	hears_nothing();
}

static void who_was_chosen_leaves_before_it_heard(void **state)
{
	struct mg_asker a, b, c, d;

	(void)state;
	ask(&a, ONE, 0, 0);
	ask(&b, ONE, 0, 0);
	ask(&c, ONE, 0, 0);
	ask(&d, ONE, 0, 0);
	hand_on(&a, ONE);
	hand_on(&b, ONE);
	hears(&c, MG_KNOWN_NOTHING);
	hears_nothing();
	/* A probe that failed is everybody's news. */
	leave(&c, ONE);
	hears(&d, MG_KNOWN_NOTHING);
	hears_nothing();
	assert_int_equal(servers.n, 0);
	leave(&d, ONE);
	/* The last one has nobody to hand on to. */
	ask(&a, ONE, 0, 0);
	hand_on(&a, ONE);
	assert_int_equal(servers.n, 0);
}

static void a_waiter_that_gives_up_changes_nothing(void **state)
{
	struct mg_asker a, b, c;

	(void)state;
	ask(&a, ONE, 0, 0);
	ask(&b, ONE, 0, 0);
	ask(&c, ONE, 0, 0);
	hand_on(&b, ONE);
	hears_nothing();
	tell(ONE, MG_KNOWN_MPTCP, 0);
	hears(&c, MG_KNOWN_MPTCP);
	leave(&a, ONE);
}

static void a_waiter_leaves(void **state)
{
	struct mg_asker a, b, c;

	(void)state;
	ask(&a, ONE, 0, 0);
	ask(&b, ONE, 0, 0);
	ask(&c, ONE, 0, 0);
	leave(&b, ONE);
	tell(ONE, MG_KNOWN_PLAIN, 0);
	leave(&c, ONE); /* told, and not heard yet */
	hears_nothing();
	leave(&a, ONE);
}

static void a_verdict_is_for_older_syns_only(void **state)
{
	struct mg_asker a, b;

	(void)state;
	ask(&a, ONE, 0, 0);
	tell(ONE, MG_KNOWN_PLAIN, 0);
	leave(&a, ONE);
	assert_int_equal(mg_servers_told(&servers), 1);
	assert_int_equal(ask(&b, ONE, 0, 1), MG_ASK_KNOWN);
	assert_int_equal(b.verdict, MG_KNOWN_PLAIN);
	/* The ring was seen empty since: this SYN came later, and the kernel did not know. */
	assert_int_equal(ask(&b, ONE, 1, 1), MG_ASK_PROBE);
	assert_int_equal(ask(&a, ONE, 0, 1), MG_ASK_WAIT);
	leave(&a, ONE);
	leave(&b, ONE);
}

static void a_verdict_is_dropped(void **state)
{
	struct mg_ep one = ep_of(ONE);
	struct mg_asker a;

	(void)state;
	ask(&a, ONE, 0, 0);
	tell(ONE, MG_KNOWN_PLAIN, 1000);
	leave(&a, ONE);
	assert_int_equal(ask(&a, ONE, 0, 1499), MG_ASK_KNOWN);
	assert_int_equal(ask(&a, ONE, 0, 1500), MG_ASK_PROBE);
	tell(ONE, MG_KNOWN_PLAIN, 1500);
	leave(&a, ONE);
	mg_servers_forget(&servers, &one);
	assert_int_equal(ask(&a, ONE, 0, 1501), MG_ASK_PROBE);
	mg_servers_forget(&servers, &one); /* a probe is no verdict */
	assert_int_equal(servers.n, 1);
	leave(&a, ONE);
	tell(ONE, MG_KNOWN_PLAIN, 1501); /* nobody asked */
	assert_int_equal(servers.n, 0);
}

/* A waiter that asked itself in the end was quicker. */
static void anybody_may_tell(void **state)
{
	struct mg_asker a, b, c;

	(void)state;
	ask(&a, ONE, 0, 0);
	ask(&b, ONE, 0, 0);
	ask(&c, ONE, 0, 0);
	leave(&b, ONE);
	tell(ONE, MG_KNOWN_MPTCP, 1);
	hears(&c, MG_KNOWN_MPTCP);
	tell(ONE, MG_KNOWN_MPTCP, 2);
	leave(&a, ONE);
	hears_nothing();
	assert_int_equal(ask(&a, ONE, 0, 3), MG_ASK_KNOWN);
}

/* ---- threads --------------------------------------------------------------------------------- */

static _Atomic unsigned int probes, told;

static void *asks_all(void *arg)
{
	struct mg_asker *askers = calloc(ASKERS, sizeof(*askers));
	struct mg_inbox in;
	struct mg_ep ep = ep_of(ONE);
	unsigned int waiting = 0;

	(void)arg;
	mg_inbox_open(&in, nothing);
	for (int i = 0; i < ASKERS; i++) {
		ep.port = htons((uint16_t)(1 + i));
		switch (mg_servers_ask(&servers, &askers[i], &in, &ep, 0, 0)) {
		case MG_ASK_PROBE:
			atomic_fetch_add(&probes, 1);
			mg_servers_tell(&servers, &ep, MG_KNOWN_PLAIN, 0);
			mg_servers_leave(&servers, &askers[i], &ep);
			atomic_fetch_add(&told, 1);
			break;
		case MG_ASK_WAIT:
			waiting++;
			break;
		case MG_ASK_KNOWN:
			atomic_fetch_add(&told, 1);
			break;
		case MG_ASK_ALONE:
			break;
		}
	}
	while (waiting) {
		struct pollfd p = { .fd = in.io.fd, .events = POLLIN };

		if (poll(&p, 1, WAIT_MS) != 1)
			break;
		while (mg_inbox_take(&servers, &in)) {
			waiting--;
			atomic_fetch_add(&told, 1);
		}
	}
	mg_inbox_close(&in);
	free(askers);
	return NULL;
}

static void threads_ask_once(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	probes = told = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, asks_all, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(probes, ASKERS);
	assert_int_equal(told, THREADS * ASKERS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_asks_the_others_wait),
		TEST(a_failed_probe_is_no_verdict),
		TEST(who_gives_up_hands_on),
		TEST(who_was_chosen_leaves_before_it_heard),
		TEST(a_waiter_that_gives_up_changes_nothing),
		TEST(a_waiter_leaves),
		TEST(a_verdict_is_for_older_syns_only),
		TEST(a_verdict_is_dropped),
		TEST(anybody_may_tell),
		TEST(threads_ask_once),
	};

	return cmocka_run_group_tests_name("servers", tests, NULL, NULL);
}
