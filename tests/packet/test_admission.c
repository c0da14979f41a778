// SPDX-License-Identifier: BSD-2-Clause
/*
 * Policies in the kernel: put in force, all at once or not at all; asked, by the very program;
 * counted and listed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "admission_case.h"
#include "base/log.h"
#include "lab.h"
#include "skel/policy.skel.h"
#include "sys/admission_maps.h"
#include "sys/caps.h"

/* ---- which policy ---------------------------------------------------------------------------- */

static void nothing_is_in_force_before(void **state)
{
	struct mg_admit ask = rig_ask("10.1.9.1", VIDEO);

	(void)state;
	assert_int_equal(mg_admission_open_session(a, &ask), MG_ADMITTED);
	assert_int_equal(ask.ticket.policy, 0);
	mg_admission_close_session(a, &ask.ticket, 0);
}

static size_t policy_at(const char *client, const char *server)
{
	return mg_admission_policy(a, rig_policy(a, client, server));
}

static void the_most_specific_holds(void **state)
{
	struct mg_admit ask = rig_ask("10.1.9.1", VIDEO);

	(void)state;
	apply();
	assert_int_equal(policy_at("10.1.0.1", VIDEO), 0);
	assert_int_equal(policy_at("10.1.0.1", OTHER), 1);
	assert_int_equal(policy_at("2001:db8:1::7", "[2001:db8::1]:80"), 1);
	assert_int_equal(policy_at("10.1.9.1", VIDEO), 2);
	assert_int_equal(policy_at("10.2.0.1", VIDEO), MG_CONFIG_NONE);
	assert_int_equal(mg_admission_test(a, &ask), MG_REFUSAL_DENIED);
	assert_string_equal(mg_admission_access_name(a, ask.ticket.access), "cellular");
	assert_int_equal(mg_admission_class(a, ask.ticket.class), 1);
	assert_int_equal(mg_admission_service(a, ask.ticket.service), 0);
	assert_int_equal(ask.ticket.trust, MG_TRUST_TRUSTED);
}

static void an_interface_tells_the_access(void **state)
{
	struct mg_admit ask = rig_ask("10.2.0.1", VIDEO);

	(void)state;
	apply();
	ask.ifindex = if_nametoindex("lo");
	assert_int_equal(mg_admission_test(a, &ask), MG_REFUSAL_NO_COOKIE);
	assert_string_equal(mg_admission_access_name(a, ask.ticket.access), "wlan");
	assert_int_equal(ask.ticket.trust, MG_TRUST_THIRD_PARTY);
	ask = rig_ask("10.2.0.1", VIDEO);
	ask.ifindex = if_nametoindex("lo");
	ask.flags = MG_ADMIT_COOKIE;
	assert_int_equal(mg_admission_test(a, &ask), MG_ADMITTED);
}

/* ---- reloads --------------------------------------------------------------------------------- */

static uint32_t all_groups_are_seven(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "metro") == 0 ? 7 : 0;
}

static struct mg_terms terms_of(uint32_t policy)
{
	struct mg_terms t = { 0 };

	bpf_map_lookup_elem(a->inner[a->now.set][MG_INNER_TERMS], &policy, &t);
	return t;
}

static void names_keep_their_numbers(void **state)
{
	uint32_t premium, plain;

	(void)state;
	apply();
	premium = rig_policy(a, "10.1.0.1", VIDEO);
	plain = rig_policy(a, "10.1.0.1", OTHER);
	/* premium goes, the others move up, and someone new comes. */
	memmove(rig.policies, rig.policies + 1, 2 * sizeof(rig.policies[0]));
	rig.policies[2] = rig.policies[0];
	strcpy(rig.policies[2].name, "new");
	rig.policies[2].services = rig.of_video;
	rig.policies[2].n_services = 1;
	apply();
	assert_int_equal(rig_policy(a, "10.1.0.1", OTHER), plain);
	assert_int_equal(mg_admission_policy(a, plain), 0);
	assert_int_not_equal(rig_policy(a, "10.1.0.1", VIDEO), premium);
	assert_int_equal(mg_admission_policy(a, premium), MG_CONFIG_NONE);
	assert_int_equal(policy_at("10.1.0.1", VIDEO), 2);
}

static void what_cannot_be_leaves_what_was(void **state)
{
	static struct mg_config_subscribers many[MG_CLASSES_MAX];
	static struct mg_config_service services[300];
	uint32_t premium;

	(void)state;
	apply();
	premium = rig_policy(a, "10.1.0.1", VIDEO);
	rig.c.policies.subscribers = many;
	rig.c.policies.n_subscribers = MG_CLASSES_MAX - 1;
	rig.c.policies.services = services;
	rig.c.policies.n_services = 300;
	for (size_t i = 0; i < MG_CLASSES_MAX - 1; i++)
		snprintf(many[i].name, sizeof(many[i].name), "c%zu", i);
	for (size_t i = 0; i < 300; i++)
		snprintf(services[i].name, sizeof(services[i].name), "s%zu", i);
	assert_int_equal(mg_admission_apply(a, &rig.c, NULL, NULL), -E2BIG);
	assert_int_equal(rig_policy(a, "10.1.0.1", VIDEO), premium);
	rig_configure(&rig);
	apply();
	assert_int_equal(rig_policy(a, "10.1.0.1", VIDEO), premium);
}

/* Groups get their numbers later than the first policies are needed. */
static void groups_are_put_right(void **state)
{
	static struct mg_config_group groups[1] = { { .name = "metro" } };
	uint32_t generation, plain;

	(void)state;
	rig.c.steer.groups = groups;
	rig.c.steer.n_groups = 1;
	rig.policies[1].group = 0;
	assert_int_equal(mg_admission_apply_early(a, &rig.c, NULL, NULL), 0);
	generation = a->generation;
	plain = rig_policy(a, "10.1.0.1", OTHER);
	assert_int_equal(terms_of(plain).group, 0);
	assert_int_equal(mg_admission_apply(a, &rig.c, all_groups_are_seven, NULL), 0);
	assert_int_equal(a->generation, generation + 1);
	assert_int_equal(terms_of(plain).group, 7);
	/* Early and right: nothing is done twice, but what is asked for again is. */
	assert_int_equal(mg_admission_apply_early(a, &rig.c, all_groups_are_seven, NULL), 0);
	generation = a->generation;
	assert_int_equal(mg_admission_apply(a, &rig.c, all_groups_are_seven, NULL), 0);
	assert_int_equal(a->generation, generation);
	assert_int_equal(mg_admission_apply(a, &rig.c, all_groups_are_seven, NULL), 0);
	assert_int_equal(a->generation, generation + 1);
}

static int tables_of_prefixes(void)
{
	int n = 0;

	for (__u32 set = 0; set < MG_SETS; set++) {
		__u32 id;

		n += !bpf_map_lookup_elem(bpf_map__fd(a->bpf->maps.mg_prefixes), &set, &id);
	}
	return n;
}

#define MANY 10000

/* A table of many is not there twice, and of what was shorter nothing is left behind what is now.
 */
static void what_was_in_force_is_released(void **state)
{
	struct mg_prefix *many = rig_prefixes(MANY);

	(void)state;
	rig.subscribers[0].prefixes = many;
	rig.subscribers[0].n_prefixes = MANY;
	for (int i = 0; i < 4; i++) {
		apply();
		assert_int_equal(tables_of_prefixes(), 1);
	}
	assert_int_equal(terms_of(3).used, 1);
	rig.c.policies.n_policies = 1;
	for (int i = 0; i < 2; i++) {
		apply();
		assert_int_equal(terms_of(1).used, 1);
		assert_int_equal(terms_of(2).used, 0);
		assert_int_equal(terms_of(3).used, 0);
	}
	free(many);
}

static void a_limit_of_all_leaves_their_count(void **state)
{
	struct mg_admit ask = rig_ask("10.1.0.1", OTHER), more = rig_ask("10.1.0.2", OTHER);

	(void)state;
	apply();
	assert_int_equal(mg_admission_open_session(a, &ask), MG_ADMITTED);
	rig.c.converter.max_sessions = 1;
	apply();
	assert_int_equal(a->proxy_count->sessions, 1);
	assert_int_equal(mg_admission_open_session(a, &more), MG_REFUSAL_OVER_PROXY);
	mg_admission_close_session(a, &ask.ticket, 0);
	assert_int_equal(a->proxy_count->sessions, 0);
	assert_int_equal(mg_admission_open_session(a, &more), MG_ADMITTED);
	mg_admission_close_session(a, &more.ticket, 0);
}

/* ---- reloads, while it is asked -------------------------------------------------------------- */

static atomic_bool stop;
static _Atomic uint64_t n_asked, n_mixed;

/*
 * Two configurations, in each of which this client is let in, but by another class; whoever looked
 * for the class in one and for its policy in the other would be refused.
 */
static void *ask_on(void *ctx)
{
	struct mg_admit first = rig_ask("10.1.0.1", OTHER);

	(void)ctx;
	while (!atomic_load(&stop)) {
		struct mg_admit ask = first;

		if (mg_admission_test(a, &ask) != MG_ADMITTED)
			atomic_fetch_add(&n_mixed, 1);
		atomic_fetch_add(&n_asked, 1);
	}
	return NULL;
}

static void whoever_asks_meanwhile_sees_one_set(void **state)
{
	static struct rig_config other;
	pthread_t thread;

	(void)state;
	rig_configure(&other);
	rig.policies[1].deny = other.policies[1].deny = false;
	/* In `other`, gold and blocked have each other's prefixes, and gold is denied. */
	other.subscribers[0].prefixes = other.blocked;
	other.subscribers[0].n_prefixes = 1;
	other.subscribers[1].prefixes = other.gold;
	other.subscribers[1].n_prefixes = 2;
	other.policies[1].deny = true;
	other.policies[2].deny = false;
	apply();
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, ask_on, NULL), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(mg_admission_apply(a, i % 2 ? &rig.c : &other.c, NULL, NULL), 0);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	print_message("%llu asked during 100 reloads\n", (unsigned long long)n_asked);
	assert_true(n_asked > 1000);
	assert_int_equal(n_mixed, 0);
}

static struct {
	int answer, calls;
	uint32_t generation, number; /* told; the number of policy `gold_again` */
	uint32_t meanwhile;	     /* what the program said at that moment */
} told;

static int note_coming(void *ctx, const struct mg_admission_coming *coming)
{
	const struct mg_config *c = ctx;

	told.calls++;
	told.generation = coming->generation;
	told.number = 0;
	for (uint32_t i = 1; i < coming->n_policies; i++)
		if (coming->policies[i] < c->policies.n_policies &&
		    !strcmp(c->policies.policies[coming->policies[i]].name, "gold_again"))
			told.number = i;
	told.meanwhile = rig_policy(a, "10.1.0.1", VIDEO);
	return told.answer;
}

static void who_is_to_know_tickets_is_told_first(void **state)
{
	static struct rig_config other;
	struct mg_admit ask;
	uint32_t before;

	(void)state;
	rig_configure(&other);
	rig.policies[1].deny = other.policies[1].deny = false;
	for (size_t i = 0; i < other.c.policies.n_policies; i++)
		snprintf(other.c.policies.policies[i].name, MG_MEMBER_NAME, "%s",
			 i ? "another" : "gold_again");
	for (size_t i = 1; i < other.c.policies.n_policies; i++)
		other.c.policies.policies[i].name[0] = (char)('a' + i);
	apply();
	before = rig_policy(a, "10.1.0.1", VIDEO);
	told.answer = -ENOMEM;
	assert_int_equal(mg_admission_apply_ready(a, &other.c, NULL, note_coming, &other.c),
			 -ENOMEM);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.meanwhile, before);
	assert_int_equal(rig_policy(a, "10.1.0.1", VIDEO), before);
	told.answer = 0;
	assert_int_equal(mg_admission_apply_ready(a, &other.c, NULL, note_coming, &other.c), 0);
	assert_int_equal(told.calls, 2);
	assert_int_equal(told.meanwhile, before);
	assert_int_not_equal(told.number, 0);
	assert_int_equal(mg_admission_policy(a, told.number), 0);
	ask = rig_ask("10.1.0.1", VIDEO);
	assert_true(mg_admission_test(a, &ask) >= 0);
	assert_int_equal(ask.ticket.generation, told.generation);
	assert_int_not_equal(ask.ticket.policy, before);
	apply();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_is_in_force_before, fresh),
		cmocka_unit_test_setup(the_most_specific_holds, fresh),
		cmocka_unit_test_setup(an_interface_tells_the_access, fresh),
		cmocka_unit_test_setup(names_keep_their_numbers, fresh),
		cmocka_unit_test_setup(what_cannot_be_leaves_what_was, fresh),
		cmocka_unit_test_setup(groups_are_put_right, fresh),
		cmocka_unit_test_setup(what_was_in_force_is_released, fresh),
		cmocka_unit_test_setup(a_limit_of_all_leaves_their_count, fresh),
		cmocka_unit_test_setup(whoever_asks_meanwhile_sees_one_set, fresh),
		cmocka_unit_test_setup(who_is_to_know_tickets_is_told_first, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
