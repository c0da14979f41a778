// SPDX-License-Identifier: BSD-2-Clause
/*
 * Limits are exact under races. Two threads, each on a CPU of its own, open and close sessions of
 * the same subscribers as fast as they can, each telling the other of what it closes so that it
 * closes it too; they join and part each other's subflows. What both together have been granted and
 * have not begun to give back is never more than the limit, as counted by themselves; a third
 * thread looks at the kernel's counts; in the end all of them are 0.
 *
 * RACE_SESSIONS: how many are opened in each test, a million, or a quarter of it where another
 * counter is counted the same way; few on an emulated processor.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "admit_run.h"

#define SESSIONS   1000000
#define TRIES	   1000000 /* while the other one is interrupted at work on an entry */
#define IN_VM	   5000
#define CLIENTS	   64
#define WINDOW	   16 /* sessions that a thread has at most */
#define PORTS	   64
#define ONE_SERVER "203.0.113.1"

/* A race: how many clients, limits (0: none), and whether sessions have subflows that join */
struct race {
	unsigned int clients;
	uint32_t sessions, subflows, per_session, service, each, proxy;
	bool joins, quarter;
};

struct open_session {
	struct mg_admit ask;
	unsigned int client;
};

struct racer {
	pthread_t thread;
	int cpu;
	uint64_t chance;
	unsigned long opened, refused, closed_twice, joined, parted;
	struct open_session window[WINDOW];
	unsigned int n;
};

static struct admit_run run;
static struct race race;
static struct racer racers[2];
static struct mg_endpoint client_eps[CLIENTS], local_ep, server_ep;
static unsigned long wanted_all, wanted;
static atomic_ulong opened;
static atomic_uint next_token;
static atomic_bool over;

/* What was granted and is not being given back, and the most there ever was */
static struct {
	atomic_uint now, most;
} client_in[CLIENTS], all_in;
static atomic_ulong violations;

/* A ticket that both close; 0: none, 1: being written, 2: to be closed */
static struct {
	atomic_uint state;
	struct mg_admit ask;
} mailbox[2];
static atomic_uint live_token[16]; /* of somebody's session, to be joined */
#define LASTING 0xfff00000U	   /* token of one that lives as long as the race */

static uint32_t chance(struct racer *r, uint32_t below)
{
	r->chance ^= r->chance << 13;
	r->chance ^= r->chance >> 7;
	r->chance ^= r->chance << 17;
	return (uint32_t)((r->chance >> 11) % below);
}

/* No assert in threads: cmocka's jump would leave another's stack. */
static int ask_program(const struct bpf_program *prog, struct mg_admit *ask)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ask, .ctx_size_in = sizeof(*ask));

	for (unsigned int i = 0; i < TRIES; i++) {
		if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
			break;
		if ((int)opts.retval != -EAGAIN)
			return (int)opts.retval;
		sched_yield();
	}
	atomic_fetch_add(&violations, 1);
	return -EIO;
}

static void granted(atomic_uint *now, atomic_uint *most, uint32_t limit)
{
	unsigned int n = atomic_fetch_add(now, 1) + 1, was = atomic_load(most);

	if (limit && n > limit)
		atomic_fetch_add(&violations, 1);
	while (n > was && !atomic_compare_exchange_weak(most, &was, n))
		;
}

static void open_one(struct racer *r)
{
	struct open_session *s = &r->window[r->n];
	int ret;

	memset(s, 0, sizeof(*s));
	s->client = chance(r, race.clients);
	s->ask.client = client_eps[s->client];
	s->ask.client.port = (uint16_t)(1000 + chance(r, PORTS));
	s->ask.server = server_ep;
	ret = ask_program(run.skel->progs.mg_session_open, &s->ask);
	if (ret) {
		r->refused++;
		if (ret < 0)
			atomic_fetch_add(&violations, 1);
		return;
	}
	granted(&client_in[s->client].now, &client_in[s->client].most, race.sessions);
	granted(&all_in.now, &all_in.most, race.service ? race.service : race.proxy);
	atomic_fetch_add(&opened, 1);
	r->opened++;
	r->n++;
	if (!race.joins)
		return;
	s->ask.token = atomic_fetch_add(&next_token, 1) + 1;
	s->ask.local = local_ep;
	if (ask_program(run.skel->progs.mg_session_token, &s->ask))
		atomic_fetch_add(&violations, 1);
	atomic_store(&live_token[chance(r, 16)], s->ask.token);
}

static void close_one(struct racer *r, unsigned int at)
{
	struct open_session s = r->window[at];
	unsigned int mine = r == &racers[1], empty = 0;

	r->window[at] = r->window[--r->n];
	atomic_fetch_sub(&client_in[s.client].now, 1);
	atomic_fetch_sub(&all_in.now, 1);
	if (chance(r, 2) && atomic_compare_exchange_strong(&mailbox[!mine].state, &empty, 1)) {
		mailbox[!mine].ask = s.ask;
		atomic_store(&mailbox[!mine].state, 2);
	}
	if (ask_program(run.skel->progs.mg_session_close, &s.ask))
		atomic_fetch_add(&violations, 1);
}

/* What the other one is closing right now */
static void close_again(struct racer *r)
{
	unsigned int mine = r == &racers[1];

	if (atomic_load(&mailbox[mine].state) != 2)
		return;
	if (ask_program(run.skel->progs.mg_session_close, &mailbox[mine].ask))
		atomic_fetch_add(&violations, 1);
	atomic_store(&mailbox[mine].state, 0);
	r->closed_twice++;
}

static void join_one(struct racer *r)
{
	struct mg_question q = {
		.tuple = { .client = client_eps[chance(r, race.clients)], .server = local_ep },
		.token = chance(r, 4) ? atomic_load(&live_token[chance(r, 16)]) : LASTING
	};
	struct mg_admit ask = { .local = local_ep, .token = q.token };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &q, .data_size_in = sizeof(q), .repeat = 1);

	q.tuple.client.port = (uint16_t)(1000 + chance(r, PORTS));
	ask.client = q.tuple.client;
	if (chance(r, 2)) {
		if (bpf_prog_test_run_opts(bpf_program__fd(run.doors->progs.mg_ask_join), &opts))
			atomic_fetch_add(&violations, 1);
		r->joined += opts.retval == MG_SAID;
	} else {
		r->joined += ask_program(run.skel->progs.mg_subflow_join, &ask) == 0;
	}
}

static void part_one(struct racer *r)
{
	struct mg_admit ask = { .client = client_eps[chance(r, race.clients)], .local = local_ep };

	ask.client.port = (uint16_t)(1000 + chance(r, PORTS));
	r->parted += ask_program(run.skel->progs.mg_subflow_part, &ask) == 0;
}

static void *race_along(void *arg)
{
	struct racer *r = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(r->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		atomic_fetch_add(&violations, 1);
	/* Where something leaked, nobody is let in any more. */
	while (atomic_load(&opened) < wanted && !atomic_load(&violations) &&
	       r->refused < 100 * wanted) {
		close_again(r);
		if (race.joins && chance(r, 2))
			chance(r, 3) ? join_one(r) : part_one(r);
		if (r->n < WINDOW && chance(r, 2))
			open_one(r);
		else if (r->n)
			close_one(r, chance(r, r->n));
	}
	while (r->n)
		close_one(r, 0);
	return NULL;
}

static uint32_t sessions_of(unsigned int client, uint32_t *subflows)
{
	struct mg_account_entry e = { 0 };
	struct mg_account a;

	bpf_map_lookup_elem(bpf_map__fd(run.skel->maps.mg_accounts), client_eps[client].ip, &e);
	a = mg_account_read(&e);
	*subflows = a.subflows;
	return a.sessions;
}

/* Looks at what the kernel counts, and sweeps as the daemon would. */
static void *observe(void *arg)
{
	unsigned long *looks = arg;
	uint32_t sessions, subflows;

	while (!atomic_load(&over)) {
		struct mg_admit sweep = { 0 };

		for (unsigned int i = 0; i < race.clients; i++) {
			sessions = sessions_of(i, &subflows);
			if ((race.sessions && sessions > race.sessions) ||
			    (race.subflows && subflows > race.subflows))
				atomic_fetch_add(&violations, 1);
		}
		if (race.joins)
			ask_program(run.skel->progs.mg_sweep, &sweep);
		++*looks;
		usleep(200);
	}
	return NULL;
}

static void put_policies(void)
{
	static const struct mg_port_range all[] = { { 0, 65535, 1 }, { 0 } };
	struct admit_tables *t = admit_tables();
	struct mg_terms *terms = admit_terms(t, 0);

	admit_service(t, ONE_SERVER, all);
	terms->sessions = race.sessions;
	terms->subflows = race.subflows;
	terms->subflows_per_session = race.per_session;
	t->limits[1] = (struct mg_service_limits){ race.service, race.each };
	admit_put(&run, t);
	admit_proxy_limit(&run, race.proxy);
}

static void start(void)
{
	admit_run_reset(&run);
	put_policies();
	memset(racers, 0, sizeof(racers));
	memset(client_in, 0, sizeof(client_in));
	memset(&all_in, 0, sizeof(all_in));
	memset(mailbox, 0, sizeof(mailbox));
	memset(live_token, 0, sizeof(live_token));
	atomic_store(&opened, 0);
	atomic_store(&over, false);
	atomic_store(&violations, 0);
}

static unsigned int most_of_one(void)
{
	unsigned int most = 0;

	for (unsigned int i = 0; i < CLIENTS; i++)
		if (atomic_load(&client_in[i].most) > most)
			most = atomic_load(&client_in[i].most);
	return most;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void open_lasting(struct mg_admit *ask)
{
	*ask = (struct mg_admit){ .client = admit_ep("10.2.0.1", 1), .server = server_ep };
	assert_int_equal(ask_program(run.skel->progs.mg_session_open, ask), 0);
	ask->token = LASTING;
	ask->local = local_ep;
	assert_int_equal(ask_program(run.skel->progs.mg_session_token, ask), 0);
}

/* All who joined it part: what is left is its first subflow, and nobody waits. */
static void close_lasting(struct mg_admit *ask)
{
	struct mg_session_account e;
	uint32_t token = LASTING;

	for (unsigned int i = 0; i < race.clients * PORTS; i++) {
		struct mg_admit part = { .client = client_eps[i / PORTS], .local = local_ep };

		part.client.port = (uint16_t)(1000 + i % PORTS);
		ask_program(run.skel->progs.mg_subflow_part, &part);
	}
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(run.skel->maps.mg_sessions), &token, &e),
			 0);
	assert_int_equal(e.subflows, 1);
	assert_int_equal(ask_program(run.skel->progs.mg_session_close, ask), 0);
}

static void run_race(const char *name, struct race how)
{
	struct mg_admit lasting;
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	unsigned long looks = 0;
	double begun = seconds();
	pthread_t observer;

	race = how;
	wanted = how.quarter && wanted_all >= SESSIONS ? wanted_all / 4 : wanted_all;
	start();
	if (race.joins)
		open_lasting(&lasting);
	for (int i = 0; i < 2; i++) {
		racers[i].cpu = i % cpus;
		racers[i].chance = 0x9e3779b97f4a7c15UL + (uint64_t)i;
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race_along, &racers[i]),
				 0);
	}
	assert_int_equal(pthread_create(&observer, NULL, observe, &looks), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(racers[i].thread, NULL);
	atomic_store(&over, true);
	pthread_join(observer, NULL);
	print_message("# %s: %lu opened in %.1f s (%lu and %lu), %lu refused, %lu closed twice, "
		      "%lu joins, %lu parts, %lu looks; at most %u in of one, %u of all\n",
		      name, atomic_load(&opened), seconds() - begun, racers[0].opened,
		      racers[1].opened, racers[0].refused + racers[1].refused,
		      racers[0].closed_twice + racers[1].closed_twice,
		      racers[0].joined + racers[1].joined, racers[0].parted + racers[1].parted,
		      looks, most_of_one(), atomic_load(&all_in.most));
	assert_int_equal(atomic_load(&violations), 0);
	assert_true(atomic_load(&opened) >= wanted);
	assert_true(racers[0].opened && racers[1].opened);
	assert_true(racers[0].closed_twice + racers[1].closed_twice > 0);
	assert_true(racers[0].refused + racers[1].refused > 0);
	if (race.joins)
		close_lasting(&lasting);
	admit_sweep(&run);
	admit_sweep(&run);
	admit_assert_nothing(&run);
}

/* One subscriber: the limit is reached, again and again. */
static void test_one(void **state)
{
	(void)state;
	run_race("one", (struct race){ .clients = 1, .sessions = 5 });
	assert_int_equal(most_of_one(), 5);
}

/* Many, of few sessions: accounts come and go all the time, in the same memory. */
static void test_many(void **state)
{
	(void)state;
	run_race("many", (struct race){ .clients = CLIENTS, .sessions = 1 });
	assert_int_equal(most_of_one(), 1);
}

static void test_service_and_proxy(void **state)
{
	(void)state;
	run_race("service",
		 (struct race){
			 .clients = 4, .service = 6, .each = 3, .proxy = 9, .quarter = true });
	assert_int_equal(atomic_load(&all_in.most), 6);
	assert_true(most_of_one() <= 3);
	run_race("proxy", (struct race){ .clients = 4, .proxy = 7, .quarter = true });
	assert_int_equal(atomic_load(&all_in.most), 7);
}

static void test_joins(void **state)
{
	(void)state;
	run_race("joins", (struct race){ .clients = 3,
					 .sessions = 6,
					 .subflows = 9,
					 .per_session = 3,
					 .joins = true });
	/* more than may wait at a time */
	run_race("waits", (struct race){ .clients = 3,
					 .sessions = 6,
					 .subflows = 60,
					 .per_session = 40,
					 .joins = true });
	assert_true(racers[0].joined + racers[1].joined > 0);
	assert_true(racers[0].parted + racers[1].parted > 0);
}

static int set_up(void **state)
{
	const char *text = getenv("RACE_SESSIONS");

	(void)state;
	wanted_all = text ? strtoul(text, NULL, 0) : getenv("MPGATE_VM") ? IN_VM : SESSIONS;
	for (unsigned int i = 0; i < CLIENTS; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "10.1.0.%u", i + 1);
		client_eps[i] = admit_ep(ip, 0);
	}
	local_ep = admit_ep("10.3.0.2", 5124);
	server_ep = admit_ep(ONE_SERVER, 443);
	return admit_run_open(&run);
}

static int tear_down(void **state)
{
	(void)state;
	admit_run_close(&run);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_service_and_proxy),
		cmocka_unit_test(test_joins),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
