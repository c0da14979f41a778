// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whatever happens in whatever order, what is counted is what a model counts: sessions that open,
 * tell their token, reserve and end, once or twice; subflows that join, repeat themselves, part, or
 * take an old one's port; a daemon that dies. The order is a matter of chance, the same on every
 * run; MODEL_SEED and MODEL_STEPS choose another.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "admit_run.h"

#define CLIENTS	     3
#define SLOTS	     24 /* sessions at once, and old tickets */
#define PORTS	     6
#define SERVICES     3 /* the first is none */
#define SESSIONS     6
#define SUBFLOWS     9
#define PER_SESSION  3
#define SERVICE_ALL  8
#define SERVICE_EACH 4
#define PROXY	     14
#define STEPS	     60000
#define IN_VM	     5000 /* an emulated processor is slow */
#define CRASHES	     3

static const char *const clients[CLIENTS] = { "10.1.0.1", "10.1.0.2", "2001:db8::3" };
static const char *const keys[CLIENTS] = { "10.1.0.1", "10.1.0.2", "2001:db8::" };
static const char *const servers[SERVICES] = { "198.51.100.1", "203.0.113.1", "203.0.113.2" };

struct session {
	struct mg_admit ask;
	unsigned int client, service;
	uint32_t token; /* 0: not told */
	uint32_t subflows;
	bool open;
};

static struct {
	struct session session[SLOTS];
	struct {
		uint32_t sessions, subflows, reserved, service[SERVICES];
	} client[CLIENTS];
	uint32_t service[SERVICES];
	uint32_t proxy;
	/* whose subflow an address and port is, by its serial; 0: nobody's */
	uint32_t port[CLIENTS][PORTS];
	bool waits[CLIENTS][PORTS];
	uint32_t next_token;
} m;

static struct admit_run run;
static uint64_t chance_state;
static const char *last = "";

static uint32_t chance(uint32_t below)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return (uint32_t)((chance_state >> 11) % below);
}

static struct admit_tables *world(void)
{
	static const struct mg_port_range first[] = { { 0, 65535, 1 }, { 0 } };
	static const struct mg_port_range second[] = { { 0, 65535, 2 }, { 0 } };
	struct admit_tables *t = admit_tables();
	struct mg_terms *terms = admit_terms(t, 0);

	admit_service(t, "203.0.113.1", first);
	admit_service(t, "203.0.113.2", second);
	terms->sessions = SESSIONS;
	terms->subflows = SUBFLOWS;
	terms->subflows_per_session = PER_SESSION;
	for (int i = 1; i < SERVICES; i++)
		t->limits[i] = (struct mg_service_limits){ SERVICE_ALL, SERVICE_EACH };
	return t;
}

static void begin(void)
{
	assert_int_equal(admit_run_open(&run), 0);
	admit_put(&run, world());
	admit_proxy_limit(&run, PROXY);
}

static struct session *owner_of(uint32_t serial)
{
	for (int i = 0; serial && i < SLOTS; i++)
		if (m.session[i].open && m.session[i].ask.ticket.serial == serial)
			return &m.session[i];
	return NULL;
}

/* An entry goes: its session has one less, if it is there still. */
static void model_release(uint32_t serial)
{
	struct session *s = owner_of(serial);

	if (!s)
		return;
	s->subflows--;
	m.client[s->client].subflows--;
}

/* ---- what may happen ------------------------------------------------------------------------- */

static uint32_t expect_open(unsigned int c, unsigned int s)
{
	bool held = m.client[c].reserved;

	if (!held && m.proxy >= PROXY)
		return MG_REFUSAL_OVER_PROXY;
	if (s && m.service[s] >= SERVICE_ALL)
		return MG_REFUSAL_OVER_SERVICE;
	if (s && m.client[c].service[s] >= SERVICE_EACH)
		return MG_REFUSAL_OVER_SERVICE_SUBSCRIBER;
	if (!held && m.client[c].sessions >= SESSIONS)
		return MG_REFUSAL_OVER_SESSIONS;
	if (m.client[c].subflows >= SUBFLOWS)
		return MG_REFUSAL_OVER_SUBFLOWS;
	return MG_ADMITTED;
}

static void do_open(void)
{
	struct session *s = &m.session[chance(SLOTS)];
	uint32_t expected;

	last = "open";
	if (s->open)
		return;
	*s = (struct session){ .client = chance(CLIENTS), .service = chance(SERVICES) };
	expected = expect_open(s->client, s->service);
	assert_int_equal(admit_open(&run, &s->ask, clients[s->client], servers[s->service]),
			 expected);
	if (expected)
		return;
	s->open = true;
	s->subflows = 1;
	m.client[s->client].subflows++;
	if (s->service) {
		m.client[s->client].service[s->service]++;
		m.service[s->service]++;
	}
	if (m.client[s->client].reserved) {
		m.client[s->client].reserved--;
		return;
	}
	m.client[s->client].sessions++;
	m.proxy++;
}

static void do_token(void)
{
	struct session *s = &m.session[chance(SLOTS)];
	unsigned int port = chance(PORTS);

	last = "token";
	if (!s->open || s->token)
		return;
	s->token = ++m.next_token;
	s->ask.client = admit_ep(clients[s->client], (uint16_t)(1000 + port));
	assert_int_equal(admit_token(&run, &s->ask, s->token), 0);
	model_release(m.port[s->client][port]);
	m.port[s->client][port] = s->ask.ticket.serial;
	m.waits[s->client][port] = false;
}

static void do_join(bool syn)
{
	struct session *s = &m.session[chance(SLOTS)];
	unsigned int c = chance(CLIENTS), port = chance(PORTS);
	uint16_t at = (uint16_t)(1000 + port);
	int expected = MG_ADMITTED, ret;

	last = syn ? "join" : "joined";
	if (!s->token)
		return;
	if (!s->open)
		expected = -ENOENT;
	else if (m.port[c][port] == s->ask.ticket.serial)
		expected = MG_ADMITTED;
	else if (m.client[s->client].subflows >= SUBFLOWS)
		expected = MG_REFUSAL_OVER_SUBFLOWS;
	else if (s->subflows >= PER_SESSION)
		expected = MG_REFUSAL_OVER_SESSION_SUBFLOWS;
	ret = syn ? admit_join_syn(&run, s->token, clients[c], at)
		  : admit_joined(&run, s->token, clients[c], at);
	assert_int_equal(ret, expected);
	if (expected)
		return;
	m.waits[c][port] = syn && (m.port[c][port] != s->ask.ticket.serial || m.waits[c][port]);
	if (m.port[c][port] == s->ask.ticket.serial)
		return;
	s->subflows++;
	m.client[s->client].subflows++;
	model_release(m.port[c][port]);
	m.port[c][port] = s->ask.ticket.serial;
}

static void do_part(void)
{
	unsigned int c = chance(CLIENTS), port = chance(PORTS);
	uint32_t serial = m.port[c][port];

	last = "part";
	assert_int_equal(admit_part(&run, clients[c], (uint16_t)(1000 + port)),
			 serial ? 0 : -ENOENT);
	model_release(serial);
	m.port[c][port] = 0;
}

/* Of one that is closed already, too */
static void do_close(void)
{
	struct session *s = &m.session[chance(SLOTS)];
	struct mg_admit again = s->ask;

	last = "close";
	assert_int_equal(admit_close(&run, &again), 0);
	if (!s->open)
		return;
	s->open = false;
	m.proxy--;
	m.client[s->client].sessions--;
	m.client[s->client].subflows -= s->subflows;
	if (s->service) {
		m.client[s->client].service[s->service]--;
		m.service[s->service]--;
	}
}

static void do_reserve(void)
{
	unsigned int c = chance(CLIENTS), n = 1 + chance(4);
	struct mg_admit of = { .ticket.subscriber = admit_subscriber(keys[c]) };
	uint32_t expected = MG_ADMITTED;

	last = "reserve";
	if (m.proxy + n > PROXY)
		expected = MG_REFUSAL_OVER_PROXY;
	else if (m.client[c].sessions + n > SESSIONS)
		expected = MG_REFUSAL_OVER_SESSIONS;
	assert_int_equal(admit_reserve(&run, &of, (int)n), expected);
	if (expected)
		return;
	m.client[c].sessions += n;
	m.client[c].reserved += n;
	m.proxy += n;
}

static void do_unreserve(void)
{
	unsigned int c = chance(CLIENTS), n = 1 + chance(4);
	struct mg_admit of = { .ticket.subscriber = admit_subscriber(keys[c]) };
	uint32_t had = m.client[c].reserved < n ? m.client[c].reserved : n;

	last = "unreserve";
	assert_int_equal(admit_reserve(&run, &of, -(int)n), had);
	m.client[c].sessions -= had;
	m.client[c].reserved -= had;
	m.proxy -= had;
}

/* What belongs to nobody any more goes. */
static void do_sweep(void)
{
	int expected = 0;

	last = "sweep";
	for (int c = 0; c < CLIENTS; c++)
		for (int port = 0; port < PORTS; port++)
			if (m.port[c][port] && !owner_of(m.port[c][port])) {
				m.port[c][port] = 0;
				expected++;
			}
	assert_int_equal(admit_sweep(&run), expected);
}

/* The daemon is killed: its sessions with it. The next one begins with nothing. */
static void do_crash(void)
{
	last = "crash";
	admit_run_close(&run);
	memset(&m, 0, sizeof(m));
	begin();
}

/* ---- and what is to be seen then ------------------------------------------------------------- */

static void assert_client(unsigned int c)
{
	struct mg_subscriber who = admit_subscriber(keys[c]);
	struct mg_account a = admit_account(&run, &who);

	assert_int_equal(a.sessions, m.client[c].sessions);
	assert_int_equal(a.subflows, m.client[c].subflows);
	assert_int_equal(a.reserved, m.client[c].reserved);
}

/* All its subflows and those that are not confirmed, in one word */
static void assert_session(const struct session *s)
{
	struct mg_session_account e = { 0 };
	uint32_t waiting = 0;

	for (int c = 0; c < CLIENTS; c++)
		for (int port = 0; port < PORTS; port++)
			waiting += m.waits[c][port] && m.port[c][port] == s->ask.ticket.serial;
	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(run.skel->maps.mg_sessions), &s->token, &e), 0);
	assert_int_equal(e.subflows, s->subflows + waiting * MG_SUBFLOWS_WAITING);
}

static void assert_model(void)
{
	for (int i = 0; i < SLOTS; i++)
		if (m.session[i].open && m.session[i].token)
			assert_session(&m.session[i]);
	for (unsigned int c = 0; c < CLIENTS; c++)
		assert_client(c);
	for (uint32_t s = 1; s < SERVICES; s++)
		assert_int_equal(admit_u32(run.skel->maps.mg_svc_count, s), m.service[s]);
	assert_int_equal(admit_u32(run.skel->maps.mg_proxy_count, 0), m.proxy);
}

/* Nothing has an entry that has nothing. */
static void assert_entries(void)
{
	long accounts = 0, pairs = 0, tickets = 0, sessions = 0, ports = 0;

	for (int c = 0; c < CLIENTS; c++) {
		accounts += m.client[c].sessions || m.client[c].subflows;
		for (int s = 0; s < SERVICES; s++)
			pairs += m.client[c].service[s] != 0;
		for (int port = 0; port < PORTS; port++)
			ports += m.port[c][port] != 0;
	}
	for (int i = 0; i < SLOTS; i++) {
		tickets += m.session[i].open;
		sessions += m.session[i].open && m.session[i].token;
	}
	assert_int_equal(admit_entries(run.skel->maps.mg_accounts), accounts);
	assert_int_equal(admit_entries(run.skel->maps.mg_svc_subs), pairs);
	assert_int_equal(admit_entries(run.skel->maps.mg_tickets), tickets);
	assert_int_equal(admit_entries(run.skel->maps.mg_sessions), sessions);
	assert_int_equal(admit_entries(run.skel->maps.mg_subflows), ports);
}

static void step(void)
{
	uint32_t what = chance(100);

	if (what < 25)
		do_open();
	else if (what < 40)
		do_token();
	else if (what < 65)
		do_join(what & 1);
	else if (what < 75)
		do_part();
	else if (what < 90)
		do_close();
	else if (what < 93)
		do_reserve();
	else if (what < 97)
		do_unreserve();
	else
		do_sweep();
}

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static void test_model(void **state)
{
	unsigned long steps = number("MODEL_STEPS", getenv("MPGATE_VM") ? IN_VM : STEPS),
		      crash_every = steps / (CRASHES + 1);

	(void)state;
	chance_state = number("MODEL_SEED", 0x9e3779b97f4a7c15UL);
	begin();
	for (unsigned long i = 1; i <= steps; i++) {
		if (i % crash_every == 0 && i < steps)
			do_crash();
		else
			step();
		assert_model();
		if (i % 64 == 0)
			assert_entries();
	}
	while (m.proxy) {
		do_close();
		do_unreserve();
		assert_model();
	}
	do_sweep();
	admit_assert_nothing(&run);
	admit_run_close(&run);
	print_message("# %lu steps, %d crashes\n", steps, CRASHES);
}

/* cmocka ends the test with a jump: what was done last is told anyhow. */
static int tell_last(void **state)
{
	(void)state;
	print_message("# last: %s\n", last);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_model, tell_last),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
