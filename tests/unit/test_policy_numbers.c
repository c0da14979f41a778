// SPDX-License-Identifier: BSD-2-Clause
/* Numbers of names, over random reloads; terms; and what is too much for the tables. */
#include "policy_rig.h"

#include <errno.h>

/* ---- numbers --------------------------------------------------------------------------------- */

#define WORDS 40
#define LIST  24

/* A name keeps its number while it is listed, and for two reloads more; nobody else gets it then.
 */
static void numbers_stay_and_rest(void **state)
{
	struct chance chance = { 4101842887655102017ULL };
	struct mg_policy_names names;
	uint32_t had[WORDS] = { 0 }, last[WORDS] = { 0 }, highest = 0;

	(void)state;
	assert_int_equal(mg_policy_names_init(&names, MG_ACCESS_MAX * 4), 0);
	for (uint32_t round = 1; round < 3000; round++) {
		char list[LIST][MG_MEMBER_NAME];
		uint32_t words[LIST], numbers[LIST];
		size_t n = 0, lacking;

		for (uint32_t i = 0; i < WORDS && n < LIST; i++) {
			if (chance_next(&chance) >> 62)
				continue;
			name_it(list[n], "w", i);
			words[n++] = i;
		}
		assert_int_equal(mg_policy_names_assign(&names, round, list[0], MG_MEMBER_NAME, n,
							numbers, &lacking),
				 0);
		for (size_t i = 0; i < n; i++) {
			uint32_t word = words[i];

			assert_true(numbers[i] > 0);
			if (had[word] && round - last[word] <= 2)
				assert_int_equal(numbers[i], had[word]);
			for (uint32_t other = 0; other < WORDS; other++)
				assert_false(other != word && had[other] == numbers[i] &&
					     round - last[other] <= 2);
			assert_int_equal(mg_policy_names_find(&names, list[i]), numbers[i]);
		}
		for (size_t i = 0; i < n; i++) {
			for (uint32_t other = 0; other < WORDS; other++)
				if (had[other] == numbers[i])
					had[other] = 0;
			had[words[i]] = numbers[i];
			last[words[i]] = round;
			highest = numbers[i] > highest ? numbers[i] : highest;
		}
	}
	/* Given again, and again: tables stay small. */
	assert_true(highest <= WORDS);
	mg_policy_names_free(&names);
}

static void a_number_that_is_held_is_not_given(void **state)
{
	struct mg_policy_names names;
	char a[MG_MEMBER_NAME] = "a", b[MG_MEMBER_NAME] = "b";
	uint32_t number;
	size_t lacking;

	(void)state;
	assert_int_equal(mg_policy_names_init(&names, 3), 0);
	assert_int_equal(mg_policy_names_assign(&names, 1, a, sizeof(a), 1, &number, &lacking), 0);
	assert_int_equal(number, 1);
	for (uint32_t round = 2; round < 10; round++) {
		mg_policy_names_hold(&names, 1, round);
		assert_int_equal(
			mg_policy_names_assign(&names, round, b, sizeof(b), 1, &number, &lacking),
			0);
		assert_int_equal(number, 2);
	}
	mg_policy_names_free(&names);
}

static void without_a_number_left_it_says_so(void **state)
{
	struct mg_policy_names names;
	char list[3][MG_MEMBER_NAME] = { "a", "b", "c" };
	uint32_t numbers[3];
	size_t lacking;

	(void)state;
	assert_int_equal(mg_policy_names_init(&names, 3), 0);
	assert_int_equal(
		mg_policy_names_assign(&names, 1, list[0], sizeof(list[0]), 3, numbers, &lacking),
		-ENOSPC);
	assert_int_equal(lacking, 2);
	mg_policy_names_free(&names);
}

/* ---- rates and the rest of terms ------------------------------------------------------------- */

static void terms_are_those_of_the_policy(void **state)
{
	struct mg_config_policy policy = { .name = "a-name-longer-than-what-a-term-keeps",
					   .deny = true,
					   .has_mode = true,
					   .mode = MG_MODE_HYBRID,
					   .group = 3,
					   .refuse = MG_REFUSE_DROP,
					   .refuse_join = MG_REFUSE_RESET,
					   .new_per_s = 3,
					   .burst = 5,
					   .held = 7,
					   .subflows = 8,
					   .subflows_per_session = 4 };
	struct mg_config_policies p = {
		.policies = &policy,
		.n_policies = 1,
		.fallback = { .name = "default", .group = MG_CONFIG_NONE, .new_per_s = 1 },
		.any = true,
		.answers_per_s = 9,
		.key_ipv4_bits = 24,
		.key_ipv6_bits = 56
	};
	struct mg_policy_names names[MG_KIND_COUNT];
	struct mg_policy_tables t;
	char why[MG_POLICY_WHY];

	(void)state;
	names_init(names);
	assert_int_equal(compile(&t, names, 7, &p, why), 0);
	assert_int_equal(t.n_terms, 2);
	assert_int_equal(t.terms[1].group, 103);
	assert_int_equal(t.set.steers, 1);
	assert_int_equal(t.terms[1].mode, MG_MODE_HYBRID);
	assert_int_equal(t.terms[1].deny, 1);
	assert_int_equal(t.terms[1].interval_ns, 333333334);
	assert_int_equal(t.terms[1].burst_ns, 4ULL * 333333334);
	assert_int_equal(t.terms[1].held, 7);
	assert_int_equal(t.terms[1].subflows, 8);
	assert_int_equal(t.terms[1].subflows_per_session, 4);
	assert_int_equal(t.terms[1].refuse, MG_REFUSE_DROP);
	assert_int_equal(t.terms[1].refuse_join, MG_REFUSE_RESET);
	assert_int_equal(strlen(t.terms[1].name), MG_TERMS_NAME - 1);
	assert_int_equal(t.terms[0].mode, MG_TERMS_MODE_DEFAULT);
	assert_int_equal(t.terms[0].group, 0);
	assert_int_equal(t.terms[0].interval_ns, 1000000000);
	assert_int_equal(t.terms[0].burst_ns, 0);
	assert_int_equal(t.set.generation, 7);
	assert_int_equal(t.set.active, 1);
	assert_int_equal(t.set.answers_per_s, 9);
	assert_int_equal(t.set.key_bits[MG_FAMILY_V4], 120);
	assert_int_equal(t.set.key_bits[MG_FAMILY_V6], 56);
	mg_policy_tables_free(&t);
	names_free(names);
}

/* ---- too much -------------------------------------------------------------------------------- */

static void refused(const struct mg_config_policies *p, const char *word)
{
	struct mg_policy_names names[MG_KIND_COUNT];
	struct mg_policy_tables t;
	char why[MG_POLICY_WHY];

	names_init(names);
	assert_int_equal(compile(&t, names, 1, p, why), -E2BIG);
	if (!strstr(why, word))
		fail_msg("\"%s\" does not say \"%s\"", why, word);
	names_free(names);
}

static void too_many_cells(void **state)
{
	static struct mg_config_subscribers subscribers[4000];
	static struct mg_config_service services[300];
	const struct mg_config_policies p = { .subscribers = subscribers,
					      .n_subscribers = 4000,
					      .services = services,
					      .n_services = 300 };

	(void)state;
	for (size_t i = 0; i < 4000; i++)
		name_it(subscribers[i].name, "c", i);
	for (size_t i = 0; i < 300; i++)
		name_it(services[i].name, "s", i);
	refused(&p, "4001 subscribers x 301 services x 1 access_networks are 1204301 cells");
}

static void too_many_lengths(void **state)
{
	static struct mg_prefix prefixes[40];
	struct mg_config_subscribers s = { .name = "a", .prefixes = prefixes, .n_prefixes = 40 };
	struct mg_config_policies p = { .subscribers = &s, .n_subscribers = 1 };
	struct mg_policy_names names[MG_KIND_COUNT];
	struct mg_policy_tables t;
	char why[MG_POLICY_WHY];

	(void)state;
	for (uint8_t i = 0; i < 40; i++)
		prefixes[i] = (struct mg_prefix){ .ip = ip_of("2001:db8::"), .len = 20 + i };
	refused(&p, "subscribers: IPv6 prefixes of more than 39 different lengths");
	s.n_prefixes = MG_LENGTHS_MAX;
	names_init(names);
	assert_int_equal(compile(&t, names, 1, &p, why), 0);
	mg_policy_tables_free(&t);
	names_free(names);
}

/* Each prefix repeats what is around it. */
static void too_many_ranges(void **state)
{
	static struct mg_config_match match[2048];
	struct mg_config_service s[2] = { { .name = "a", .match = match, .n_match = 1024 },
					  { .name = "b", .match = match + 1024, .n_match = 1024 } };
	const struct mg_config_policies p = { .services = s, .n_services = 2 };

	(void)state;
	for (uint16_t i = 0; i < 1024; i++) {
		match[i] =
			(struct mg_config_match){ .prefix = { .ip = ip_of("10.0.0.0"), .len = 104 },
						  .first = 2 * i,
						  .last = 2 * i };
		match[1024 + i] = (struct mg_config_match){
			.prefix = { .ip = ip_of("10.0.0.0"), .len = 128 }, .first = 9, .last = 9
		};
		match[1024 + i].prefix.ip.s6_addr[14] = (uint8_t)(i >> 8);
		match[1024 + i].prefix.ip.s6_addr[15] = (uint8_t)i;
	}
	refused(&p, "services: more than 65536 ranges of ports");
}

static void too_many_prefixes(void **state)
{
	struct mg_prefix *prefixes = calloc(MG_PREFIXES_MAX + 1, sizeof(*prefixes));
	struct mg_config_subscribers s = { .name = "a",
					   .prefixes = prefixes,
					   .n_prefixes = MG_PREFIXES_MAX + 1 };
	const struct mg_config_policies p = { .subscribers = &s, .n_subscribers = 1 };

	(void)state;
	assert_non_null(prefixes);
	refused(&p, "2097153 prefixes");
	free(prefixes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_stay_and_rest),
		cmocka_unit_test(a_number_that_is_held_is_not_given),
		cmocka_unit_test(without_a_number_left_it_says_so),
		cmocka_unit_test(terms_are_those_of_the_policy),
		cmocka_unit_test(too_many_cells),
		cmocka_unit_test(too_many_lengths),
		cmocka_unit_test(too_many_ranges),
		cmocka_unit_test(too_many_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
