// SPDX-License-Identifier: BSD-2-Clause
#include "admit_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct admit_run admit_world_run;

int admit_world_set_up(void **state)
{
	(void)state;
	return admit_run_open(&admit_world_run);
}

int admit_world_tear_down(void **state)
{
	(void)state;
	admit_run_close(&admit_world_run);
	return 0;
}

int admit_world_fresh(void **state)
{
	(void)state;
	admit_run_reset(&admit_world_run);
	return 0;
}

struct admit_tables *admit_world(void)
{
	static const struct mg_port_range all[] = { { 0, 65535, SERVICE }, { 0 } };
	struct admit_tables *t = admit_tables();

	admit_prefix(t, MG_TABLE_CLASS, "10.1.0.0/16", 1);
	admit_prefix(t, MG_TABLE_CLASS, "2001:db8::/32", 1);
	admit_service(t, SERVER, all);
	for (uint32_t s = 0; s < ADMIT_SERVICE; s++)
		for (uint32_t a = 0; a < ADMIT_ACCESS; a++)
			admit_cell(t, 1, s, a, 1);
	admit_terms(t, 1)->refuse_join = MG_REFUSE_RESET;
	return t;
}

struct mg_account admit_account_of(const char *ip)
{
	struct mg_subscriber who = admit_subscriber(ip);

	return admit_account(&admit_world_run, &who);
}

uint64_t admit_refused_of(const char *ip, uint32_t refusal)
{
	struct mg_subscriber who = admit_subscriber(ip);

	return admit_refused(&admit_world_run, &who, refusal);
}

int admit_look(const char *client, const char *server, uint32_t flags)
{
	struct mg_question q = { .tuple = { .client = admit_ep(client, 1),
					    .server = admit_ep(server, 443) },
				 .flags = flags };

	return admit_ask(admit_world_run.doors->progs.mg_ask_look, &q);
}

void admit_assert_refused(const char *client, uint32_t why)
{
	uint64_t counted = admit_counted(&admit_world_run, why),
		 of_client = admit_refused_of(client, why);
	struct mg_account before = admit_account_of(client), after;
	uint32_t service = admit_u32(admit_world_run.skel->maps.mg_svc_count, SERVICE);
	uint32_t proxy = admit_u32(admit_world_run.skel->maps.mg_proxy_count, 0);
	struct mg_admit dry = { .flags = MG_ADMIT_DRY }, ask = { 0 };

	assert_int_equal(admit_look(client, SERVER, 0), why);
	assert_int_equal(admit_open(&admit_world_run, &dry, client, SERVER), why);
	assert_int_equal(admit_counted(&admit_world_run, why), counted);
	assert_int_equal(admit_open(&admit_world_run, &ask, client, SERVER), why);
	assert_int_equal(ask.ticket.charged, 0);
	assert_int_equal(admit_counted(&admit_world_run, why), counted + 1);
	assert_int_equal(admit_refused_of(client, why), of_client + 1);
	after = admit_account_of(client);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(admit_u32(admit_world_run.skel->maps.mg_svc_count, SERVICE), service);
	assert_int_equal(admit_u32(admit_world_run.skel->maps.mg_proxy_count, 0), proxy);
	/* a ticket of nothing gives nothing back */
	assert_int_equal(admit_close(&admit_world_run, &ask), 0);
	after = admit_account_of(client);
	assert_memory_equal(&before, &after, sizeof(before));
}

void admit_open_n(struct mg_admit *asks, unsigned int n, const char *client)
{
	for (unsigned int i = 0; i < n; i++) {
		asks[i] = (struct mg_admit){ 0 };
		assert_int_equal(admit_open(&admit_world_run, &asks[i], client, SERVER),
				 MG_ADMITTED);
		assert_int_equal(asks[i].ticket.charged, 1);
	}
}

void admit_close_n(struct mg_admit *asks, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(admit_close(&admit_world_run, &asks[i]), 0);
		assert_int_equal(asks[i].ticket.charged, 0);
	}
}
