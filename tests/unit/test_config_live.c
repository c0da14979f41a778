// SPDX-License-Identifier: BSD-2-Clause
/* One policy of a running configuration, set or removed. */
#include "config_policies_rig.h"

static char *printed(const struct mg_config *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(mg_config_print(c, f), 0);
	fclose(f);
	return text;
}

static struct mg_config *set(const struct mg_config *c, const char *text)
{
	struct mg_config *next;
	FILE *f = findings_open();

	assert_int_equal(mg_config_set_policy(c, text, &next, f), 0);
	findings_are(f, "");
	return next;
}

static void test_set(void **state)
{
	struct mg_config *c = parse(POLICIES), *next, *more, *again;
	char *before = printed(c), *after;

	(void)state;
	next = set(c, "{name: p3, subscribers: [iron], mode: take-over, limits: {sessions: 5}}");
	after = printed(c);
	assert_string_equal(after, before);
	free(after);
	assert_int_equal(next->policies.n_policies, 3);
	assert_string_equal(next->policies.policies[2].name, "p3");
	assert_int_equal(next->policies.policies[2].subscribers[0], 1);
	assert_int_equal(next->policies.policies[2].sessions, 5);
	mg_config_free(c);

	/* JSON, and in its place */
	more = set(next, "{\"name\":\"p1\",\"mode\":\"deny\",\"refuse\":\"drop\"}");
	assert_int_equal(more->policies.n_policies, 3);
	assert_string_equal(more->policies.policies[0].name, "p1");
	assert_true(more->policies.policies[0].deny);
	assert_int_equal(more->policies.policies[0].n_split, 0);
	assert_true(more->policies.policies[0].group == MG_CONFIG_NONE);
	mg_config_free(next);

	again = set(more, "name: default\nlimits: { sessions: 7 }\ngroup: metro\n");
	assert_int_equal(again->policies.n_policies, 3);
	assert_int_equal(again->policies.fallback.sessions, 7);
	assert_int_equal(again->policies.fallback.group, 0);
	mg_config_free(more);
	/* What is printed of it is a configuration, and the same. */
	after = printed(again);
	c = parse(after);
	free(before);
	before = printed(c);
	assert_string_equal(before, after);
	mg_config_free(c);
	mg_config_free(again);
	free(before);
	free(after);
}

static void test_set_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *expected;
	} bad[] = {
		{ "", "policy:1: (document): the file is empty, expected a mapping\n" },
		{ "[ p1 ]", "policy:1: (document): is a list, expected a mapping\n" },
		{ "{ mode: deny }", "policy:1: name: is missing, expected it\n" },
		{ "{ name: p1, name: p1 }",
		  "policy:1: name: given twice (first on line 1), expected once\n" },
		{ "{ name: any }",
		  "policy:1: name: is any, expected a name that is no reserved word\n" },
		{ "{ name: p1, group: none }",
		  "policy:1: group: is \"none\", expected the name of one of groups\n" },
		{ "{ name: p1,\n subscribers: [ rust ] }",
		  "policy:2: subscribers[0]: is \"rust\", expected the name of one of "
		  "subscribers\n" },
		{ "{ name: p1, mode: deny, limits: { sessions: 1 } }",
		  "policy:1: limits: has no effect with mode: deny, expected one of the two\n" },
		{ "{ name: p1, split: { wlan: 99 } }",
		  "policy:1: split: adds up to 99, expected 100\n" },
		{ "{ name: p1", "policy:2: (document): did not find expected ',' or '}', expected "
				"valid YAML\n" },
		{ "{ name: default, access: wlan }",
		  "policy:1: access: unknown key, expected one of name, mode, group, source, "
		  "limits, split, order, proxy_protocol, refuse, refuse_join, steering, strict\n" },
	};
	struct mg_config *c = parse(POLICIES), *next;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		FILE *f = findings_open();

		assert_int_equal(mg_config_set_policy(c, bad[i].text, &next, f), -EINVAL);
		assert_null(next);
		findings_are(f, bad[i].expected);
	}
	mg_config_free(c);
}

static void test_as_many_as_there_can_be(void **state)
{
	struct mg_config *c, *next;
	char *text = NULL, *after;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	fputs(LISTEN "policies:\n", f);
	for (unsigned int i = 0; i < 4095; i++)
		fprintf(f, "  - { name: p%u, limits: { sessions: 1 } }\n", i);
	fclose(f);
	c = parse(text);
	free(text);
	f = findings_open();
	assert_int_equal(mg_config_set_policy(c, "{ name: more }", &next, f), -EINVAL);
	findings_are(f, "policy:1: (document): would be one more than the 4095 that there can be, "
			"expected less\n");
	next = set(c, "{ name: p4094 }");
	assert_int_equal(next->policies.n_policies, 4095);
	after = printed(next);
	assert_non_null(strstr(after, "p4094"));
	free(after);
	mg_config_free(next);
	mg_config_free(c);
}

static void test_del(void **state)
{
	struct mg_config *c = parse(POLICIES "default_policy: { limits: { sessions: 7 } }\n");
	struct mg_config *next, *more;
	FILE *f = findings_open();

	(void)state;
	assert_int_equal(mg_config_del_policy(c, "p1", &next, f), 0);
	assert_int_equal(next->policies.n_policies, 1);
	assert_string_equal(next->policies.policies[0].name, "p2");
	assert_int_equal(mg_config_del_policy(next, "default", &more, f), 0);
	assert_int_equal(more->policies.fallback.sessions, 0);
	assert_string_equal(more->policies.fallback.name, "default");
	assert_true(more->policies.fallback.group == MG_CONFIG_NONE);
	assert_int_equal(more->policies.fallback.refuse_join, MG_REFUSE_RESET);
	mg_config_free(next);
	assert_int_equal(mg_config_del_policy(more, "p1", &next, f), -ENOENT);
	assert_null(next);
	findings_are(f, "policy: name: is \"p1\", expected the name of one of policies\n");
	mg_config_free(more);
	mg_config_free(c);
}

/* Everything that a configuration owns, once more: what is freed twice, or shared, shows. */
static void test_copy_of_everything(void **state)
{
	struct mg_config *c = parse(
		HOST WHO
		"node: n1\nstore: redis://127.0.0.1/0\nintercept: { mode: hybrid, ports: [ 1 ], "
		"except: [] }\n"
		"cpe: { lan: [ lan0 ], converter: '10.7.0.1:1' }\ngateways: [ 10.0.0.0/8 ]\n"
		"selection: [ { service: 10.0.0.0/8, group: metro } ]\n"
		"destinations: { allow: [ '::/0' ], deny: [ '::1' ] }\n"
		"policies: [ { name: p1, access: wlan, steering: priority, order: [ wlan ] } ]\n"
		"sharing: { pool: [ 10.5.0.0/24 ], log: file, log_file: /log }\n"
		"radius: { listen: '127.0.0.1:1813', clients: [ { address: 127.0.0.1, "
		"secret_file: /s } ] }\n");
	struct mg_config *next = set(c, "{ name: p1, access: wlan, steering: priority, "
					"order: [ wlan ] }");
	char *one = printed(c), *other = printed(next);
	FILE *f = findings_open();

	(void)state;
	assert_string_equal(one, other);
	assert_int_equal(mg_config_check_reload(c, next, f), 0);
	findings_are(f, "");
	mg_config_free(c);
	free(one);
	one = printed(next);
	assert_string_equal(one, other);
	free(one);
	free(other);
	mg_config_free(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_what_is_wrong),
		cmocka_unit_test(test_as_many_as_there_can_be),
		cmocka_unit_test(test_del),
		cmocka_unit_test(test_copy_of_everything),
	};

	return cmocka_run_group_tests_name("config_live", tests, NULL, NULL);
}
