// SPDX-License-Identifier: BSD-2-Clause
/*
 * Numbers of names that are gone: as long as anything speaks of one, nobody else gets it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "admission_rig.h"
#include "base/log.h"
#include "lab.h"
#include "skel/policy.skel.h"
#include "sys/admission_maps.h"

#define VIDEO "203.0.113.7:443"
#define MANY  1000 /* policies: five reloads that name them anew want all numbers */

static struct mg_admission *a;
static struct rig_config rig;

static int set_up(void **state)
{
	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
	return lab_enter();
}

static int fresh(void **state)
{
	(void)state;
	rig_configure(&rig);
	return mg_admission_open(&a, &rig.c);
}

static int clean(void **state)
{
	(void)state;
	mg_admission_close(a);
	return 0;
}

static void apply(void)
{
	assert_int_equal(mg_admission_apply(a, &rig.c, NULL, NULL), 0);
}

/* Access networks of other names, of which there never were any before */
static void rename_access(unsigned int round)
{
	for (size_t i = 0; i < rig.c.policies.n_access; i++)
		snprintf(rig.access[i].name, sizeof(rig.access[i].name), "net%u-%zu", round, i);
	apply();
}

static void rename_policies(struct mg_config_policy *policies, unsigned int round)
{
	for (size_t i = 0; i < MANY; i++)
		snprintf(policies[i].name, sizeof(policies[i].name), "p%u-%zu", round, i);
	apply();
}

static void a_sessions_access_network_is_nobody_elses(void **state)
{
	struct mg_admit ask = rig_ask("10.1.0.1", VIDEO);
	bool again = false;

	(void)state;
	apply();
	assert_int_equal(mg_admission_open_session(a, &ask), MG_ADMITTED);
	assert_string_equal(mg_admission_access_name(a, ask.ticket.access), "cellular");
	for (unsigned int round = 0; round < 12; round++) {
		rename_access(round);
		assert_int_equal(mg_admission_access(a, ask.ticket.access), MG_CONFIG_NONE);
	}
	mg_admission_close_session(a, &ask.ticket, 0);
	for (unsigned int round = 12; round < 24; round++) {
		rename_access(round);
		again |= mg_admission_access(a, ask.ticket.access) != MG_CONFIG_NONE;
	}
	assert_true(again);
}

static void a_sessions_policy_is_nobody_elses(void **state)
{
	struct mg_config_policy *policies = calloc(MANY, sizeof(*policies));
	struct mg_admit ask = rig_ask("10.1.0.1", VIDEO);
	bool again = false;

	(void)state;
	assert_non_null(policies);
	for (size_t i = 0; i < MANY; i++)
		policies[i] = rig.policies[0];
	rig.c.policies.policies = policies;
	rig.c.policies.n_policies = MANY;
	rename_policies(policies, 0);
	assert_int_equal(mg_admission_open_session(a, &ask), MG_ADMITTED);
	assert_int_equal(mg_admission_policy(a, ask.ticket.policy), 0);
	for (unsigned int round = 1; round < 12; round++) {
		rename_policies(policies, round);
		assert_int_equal(mg_admission_policy(a, ask.ticket.policy), MG_CONFIG_NONE);
	}
	mg_admission_close_session(a, &ask.ticket, 0);
	for (unsigned int round = 12; round < 24; round++) {
		rename_policies(policies, round);
		again |= mg_admission_policy(a, ask.ticket.policy) != MG_CONFIG_NONE;
	}
	assert_true(again);
	free(policies);
}

static void put_seen(const char *client, uint32_t access)
{
	struct mg_admit ask = rig_ask(client, VIDEO);

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(a->bpf->maps.mg_seen_at), ask.client.ip,
					     &access, BPF_ANY),
			 0);
}

static uint32_t seen(const char *client)
{
	struct mg_admit ask = rig_ask(client, VIDEO);
	uint32_t access = 0;

	bpf_map_lookup_elem(bpf_map__fd(a->bpf->maps.mg_seen_at), ask.client.ip, &access);
	return access;
}

/* Where an address was seen last is forgotten with the access network. */
static void what_was_seen_there_is_forgotten(void **state)
{
	char client[32];

	(void)state;
	apply();
	for (unsigned int i = 0; i < 9000; i++) {
		snprintf(client, sizeof(client), "10.9.%u.%u", i / 250, i % 250);
		put_seen(client, 1 + i % 2); /* cellular, wlan */
	}
	apply();
	assert_int_equal(seen("10.9.0.1"), 2);
	strcpy(rig.access[1].name, "another");
	apply();
	for (unsigned int i = 0; i < 9000; i++) {
		snprintf(client, sizeof(client), "10.9.%u.%u", i / 250, i % 250);
		assert_int_equal(seen(client), i % 2 ? 0 : 1);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_sessions_access_network_is_nobody_elses),
		T(a_sessions_policy_is_nobody_elses),
		T(what_was_seen_there_is_forgotten),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
