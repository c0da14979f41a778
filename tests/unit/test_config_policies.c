// SPDX-License-Identifier: BSD-2-Clause
/*
 * Policies in the configuration, where goldens cannot reach: what the rooms see, files of prefixes,
 * this host, reloads.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include "config_policies_rig.h"

static const char with_radius[] =
	"radius: { listen: '127.0.0.1:1813', clients: [ { address: 127.0.0.1, "
	"secret_file: /s } ] }\n";

static char dir[] = "/tmp/mgpoliciesXXXXXX";

static const char *file_of(char path[64], const char *name, const char *text, mode_t mode)
{
	FILE *f;

	snprintf(path, 64, "%s/%s", dir, name);
	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static void assert_prefix(const struct mg_prefix *p, const char *want)
{
	char text[MG_PREFIX_STRLEN];

	assert_string_equal(mg_prefix_format(text, p), want);
}

static void test_without_policies(void **state)
{
	struct mg_config *c = parse(LISTEN);
	const struct mg_config_policies *p = &c->policies;

	(void)state;
	assert_false(p->any);
	assert_string_equal(p->fallback.name, "default");
	assert_true(p->fallback.group == MG_CONFIG_NONE);
	assert_false(p->fallback.has_mode || p->fallback.has_source || p->fallback.deny);
	assert_int_equal(p->fallback.refuse, MG_REFUSE_PASS);
	assert_int_equal(p->fallback.refuse_join, MG_REFUSE_RESET);
	assert_int_equal(p->key_ipv4_bits, 32);
	assert_int_equal(p->key_ipv6_bits, 64);
	assert_int_equal(p->answers_per_s, 4);
	assert_false(p->radius.on || p->provision.on);
	assert_true(p->sharing.paired);
	assert_int_equal(p->sharing.first_port, 1024);
	assert_int_equal(p->sharing.last_port, 65535);
	assert_int_equal(p->sharing.log, MG_LOG_TO_NOTHING);
	assert_null(p->sharing.log_file);
	assert_int_equal(p->provision.reserve_max, 16);
	mg_config_free(c);
}

static void test_what_makes_any(void **state)
{
	static const char *const some[] = {
		"access_networks: [ { name: a } ]\n",
		"services: [ { name: s, match: [ '::/0' ] } ]\n",
		"subscribers: [ { name: s, match: [] } ]\n",
		"policies: [ { name: p } ]\n",
		"default_policy: { mode: deny }\n",
		"default_policy: { limits: { held: 1 } }\n",
		"default_policy: { refuse_join: drop }\n",
		with_radius,
	};
	static const char *const none[] = { "default_policy: {}\n", "policies: []\n",
					    "default_policy: { limits: { sessions: 0 } }\n",
					    "subscriber_key: { ipv4: 24 }\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]) + sizeof(none) / sizeof(none[0]);
	     i++) {
		size_t n = sizeof(some) / sizeof(some[0]);
		char text[512];
		struct mg_config *c;

		snprintf(text, sizeof(text), LISTEN "%s", i < n ? some[i] : none[i - n]);
		c = parse(text);
		assert_int_equal(c->policies.any, i < n);
		mg_config_free(c);
	}
}

static void test_in_their_places(void **state)
{
	struct mg_config *c = parse(POLICIES);
	const struct mg_config_policies *p = &c->policies;
	const struct mg_config_policy *p1 = &p->policies[0], *p2 = &p->policies[1];

	(void)state;
	assert_true(p->any);
	assert_int_equal(p->n_policies, 2);
	assert_int_equal(p->services[0].n_match, 2);
	assert_prefix(&p->services[0].match[0].prefix, "203.0.113.0/24");
	assert_int_equal(p->services[0].match[0].first, 80);
	assert_int_equal(p->services[0].match[0].last, 90);
	assert_int_equal(p->services[0].match[1].first, 0);
	assert_int_equal(p->services[0].match[1].last, 65535);
	assert_int_equal(p->subscribers[0].n_prefixes, 1);
	assert_string_equal(p->subscribers[0].identities[0], "26201*");
	assert_int_equal(p1->n_subscribers, 1);
	assert_int_equal(p1->subscribers[0], 0);
	assert_int_equal(p1->n_access, 0);
	assert_true(p1->has_mode && !p1->deny);
	assert_int_equal(p1->mode, MG_MODE_HYBRID);
	assert_int_equal(p1->group, 0);
	assert_int_equal(p1->burst, 20);
	assert_int_equal(p1->steering, MG_STEERING_LOAD_BALANCING);
	assert_int_equal(p1->split[1].access, 1);
	assert_int_equal(p1->split[1].percent, 70);
	assert_true(p2->deny && !p2->has_mode);
	assert_int_equal(p2->refuse, MG_REFUSE_RESET);
	assert_int_equal(p2->access[0], 1);
	mg_config_free(c);
}

static void test_names_of_steering(void **state)
{
	(void)state;
	assert_string_equal(mg_config_steering_name(MG_STEERING_DEFAULT), "default");
	assert_string_equal(mg_config_steering_name(MG_STEERING_ACTIVE_STANDBY), "active-standby");
}

static void test_types_of_radius(void **state)
{
	struct mg_config *c =
		parse(HOST "radius: { listen: '127.0.0.1:1813', clients: [ { address: 127.0.0.1, "
			   "secret_file: /s } ] }\n");
	const struct mg_config_radius *r = &c->policies.radius;

	(void)state;
	assert_true(r->on);
	assert_int_equal(r->n_types, 2);
	assert_int_equal(r->types[0].access, 0);
	assert_int_equal(r->types[0].rat_types[3], 6);
	assert_int_equal(r->types[1].access, 1);
	assert_int_equal(r->types[1].nas_port_types[0], 19);
	mg_config_free(c);
}

static void test_order(void **state)
{
	struct mg_config *c = parse(HOST WHO "policies:\n"
					     "  - { name: all }\n"
					     "  - { name: a, access: wlan }\n"
					     "  - { name: s, services: video }\n"
					     "  - { name: sa, services: video, access: wlan }\n"
					     "  - { name: g, subscribers: gold }\n"
					     "  - { name: gsa, subscribers: gold, services: video, "
					     "access: wlan }\n"
					     "  - { name: g2, subscribers: gold }\n");
	static const char *const want[] = { "gsa", "g", "g2", "sa", "s", "a", "all" };
	size_t order[7];

	(void)state;
	mg_config_policy_order(&c->policies, order);
	for (size_t i = 0; i < 7; i++)
		assert_string_equal(c->policies.policies[order[i]].name, want[i]);
	mg_config_free(c);
}

/* ---- files of prefixes ---- */

static void test_match_file(void **state)
{
	const struct mg_config_subscribers *s;
	char path[64], text[512];
	struct mg_config *c;

	(void)state;
	file_of(path, "gold",
		"# gold\n\n  10.2.0.0/24 # "
		"ours\r\n\t2001:db8::/48\n10.2.0.0/24\n10.1.0.1\n10.9.0.9",
		0644);
	snprintf(text, sizeof(text),
		 LISTEN "subscribers: [ { match_file: %s, name: gold, match: [ 10.1.0.1 ] } ]\n",
		 path);
	c = parse(text);
	s = &c->policies.subscribers[0];
	/* Twice in one class is once. */
	assert_int_equal(s->n_listed, 1);
	assert_int_equal(s->n_prefixes, 4);
	assert_prefix(&s->prefixes[0], "10.1.0.1/32");
	assert_prefix(&s->prefixes[1], "10.2.0.0/24");
	assert_prefix(&s->prefixes[2], "2001:db8::/48");
	assert_prefix(&s->prefixes[3], "10.9.0.9/32");
	mg_config_free(c);
}

static void refused(const char *text, const char *expected)
{
	struct mg_config *c;
	FILE *f = findings_open();

	assert_int_equal(mg_config_parse(&c, "t.yaml", text, strlen(text), f), -EINVAL);
	assert_null(c);
	findings_are(f, expected);
}

static void test_bad_match_file(void **state)
{
	char path[64], text[512], expected[1024];
	FILE *f;

	(void)state;
	file_of(path, "bad", "10.2.0.0/24\nnobody\n10.1.0.0/20\n10.3.0.0/33 10.4.0.0/16\n", 0644);
	snprintf(text, sizeof(text),
		 LISTEN "subscribers: [ { name: iron, match: [ 10.1.0.0/20 ] },\n"
			"  { name: gold, match_file: %s } ]\n",
		 path);
	snprintf(expected, sizeof(expected),
		 "%s:2: subscribers[1].match_file: is \"nobody\", expected a prefix such as "
		 "192.0.2.0/24 or 2001:db8::/32\n"
		 "%s:3: subscribers[1].match_file: \"10.1.0.0/20\" is already of iron, expected it "
		 "in one of the two\n"
		 "%s:4: subscribers[1].match_file: is \"10.3.0.0/33 10.4.0.0/16\", expected a "
		 "prefix such as 192.0.2.0/24 or 2001:db8::/32\n",
		 path, path, path);
	refused(text, expected);

	f = fopen(path, "w");
	assert_non_null(f);
	fwrite("10.2.0.0/24\n10.3.0.0/24\0\n", 1, 25, f);
	fclose(f);
	snprintf(expected, sizeof(expected),
		 "%s:2: subscribers[1].match_file: has a NUL byte, expected text\n", path);
	refused(text, expected);

	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(expected, sizeof(expected),
		 "t.yaml:3: subscribers[1].match_file: %s cannot be read: it is no regular file, "
		 "expected a file of prefixes\n",
		 path);
	refused(text, expected);
	unlink(path);
}

static void test_modes_that_are_steering(void **state)
{
	struct mg_config *c =
		parse(HOST WHO "intercept: { mode: hybrid }\n"
			       "policies:\n"
			       "  - { name: p1, mode: active-standby, order: [ wlan ] }\n"
			       "  - { name: p2, steering: priority, order: [ wlan ] }\n"
			       "default_policy: { mode: smallest-delay }\n");
	const struct mg_config_policies *p = &c->policies;
	struct mg_config *next;

	(void)state;
	assert_false(p->policies[0].has_mode || p->policies[0].deny);
	assert_int_equal(p->policies[0].steering, MG_STEERING_ACTIVE_STANDBY);
	assert_false(p->fallback.has_mode || p->fallback.deny);
	assert_int_equal(p->fallback.steering, MG_STEERING_SMALLEST_DELAY);
	assert_int_equal(
		mg_config_set_policy(c, "{ name: p2, mode: smallest-delay }", &next, stderr), 0);
	assert_false(next->policies.policies[1].has_mode);
	assert_int_equal(next->policies.policies[1].steering, MG_STEERING_SMALLEST_DELAY);
	mg_config_free(next);
	mg_config_free(c);
}

static void test_a_million_prefixes(void **state)
{
	char path[64], text[512];
	struct mg_config *c, *next;
	FILE *f;

	(void)state;
	file_of(path, "million", "", 0644);
	f = fopen(path, "w");
	assert_non_null(f);
	for (unsigned int i = 0; i < 1000000; i++)
		fprintf(f, "%u.%u.%u.%u/32\n", 11 + (i >> 24), i >> 16 & 255, i >> 8 & 255,
			i & 255);
	assert_int_equal(fclose(f), 0);
	snprintf(text, sizeof(text), LISTEN "subscribers: [ { name: all, match_file: %s } ]\n",
		 path);
	c = parse(text);
	assert_int_equal(c->policies.subscribers[0].n_prefixes, 1000000);
	assert_prefix(&c->policies.subscribers[0].prefixes[999999], "11.15.66.63/32");
	/* What runs does not need its files again. */
	unlink(path);
	f = findings_open();
	assert_int_equal(mg_config_set_policy(c, "{ name: p, subscribers: all }", &next, f), 0);
	findings_are(f, "");
	assert_int_equal(next->policies.subscribers[0].n_prefixes, 1000000);
	mg_config_free(next);
	mg_config_free(c);
}

/* ---- hosts and reloads ---- */

static void test_host(void **state)
{
	char secret[64], open[64], empty[64], text[1024], expected[1024];

	(void)state;
	file_of(secret, "secret", "s3cret\n", 0640);
	file_of(open, "open", "s3cret\n", 0644);
	file_of(empty, "empty", "", 0600);
	snprintf(text, sizeof(text),
		 LISTEN "radius:\n  listen: 127.0.0.1:1813\n  clients:\n"
			"    - { address: 127.0.0.1, secret_file: %s }\n"
			"sharing: { log: file, log_file: %s/log }\n",
		 secret, dir);
	check_host(text, "");
	snprintf(text, sizeof(text),
		 LISTEN "radius:\n  listen: 192.0.2.1:1813\n  clients:\n"
			"    - { address: 127.0.0.1, secret_file: %s }\n"
			"    - { address: 127.0.0.2, secret_file: %s }\n"
			"    - { address: 127.0.0.3, secret_file: %s/none }\n"
			"    - { address: 127.0.0.4, secret_file: %s }\n"
			"sharing: { log: file, log_file: %s/none/log }\n",
		 open, empty, dir, dir, dir);
	snprintf(
		expected, sizeof(expected),
		"t.yaml:3: radius.listen: 192.0.2.1 is not an address of this host, expected a "
		"local one\n"
		"t.yaml:5: radius.clients[0].secret_file: %s is open to everybody, expected a "
		"file that only its owner and group read\n"
		"t.yaml:6: radius.clients[1].secret_file: %s is empty, expected a file with a "
		"secret\n"
		"t.yaml:7: radius.clients[2].secret_file: %s/none cannot be read: No such file or "
		"directory, expected a file with a secret\n"
		"t.yaml:8: radius.clients[3].secret_file: %s is no regular file, expected one with "
		"a secret\n"
		"t.yaml:9: sharing.log_file: the directory %s/none cannot be written to: No such "
		"file or directory, expected one that can\n",
		open, empty, dir, dir, dir);
	check_host(text, expected);
}

#define BARE "interfaces: [ { name: a0, role: access }, { name: c0, role: core } ]\n" LISTEN

static void test_reload(void **state)
{
	(void)state;
	check_reload(POLICIES, HOST, "");
	check_reload(HOST, POLICIES, "");
	check_reload(HOST,
		     HOST "subscriber_key: { ipv6: 56 }\nanswers_per_s: 9\n"
			  "radius: { listen: '127.0.0.1:1813', clients: [ { address: 127.0.0.1, "
			  "secret_file: /s } ] }\n"
			  "sharing: { log: syslog }\nprovision: { enabled: true }\n",
		     "");
	/* Where there are policies at all, what that takes is there. */
	check_reload(HOST, HOST "sharing: { pool: [ 10.0.0.1 ] }\n", "");
	check_reload(BARE, BARE "sharing: { pool: [ 10.0.0.1 ] }\n",
		     "t.yaml:3: sharing.pool: cannot be the first to use addresses that are not "
		     "this host's own while running, expected a restart\n");
	check_reload(HOST "default_policy: { source: preserved }\n",
		     HOST "sharing: { pool: [ 10.0.0.1 ] }\n", "");
}

static void test_any_preserved(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} some[] = {
		{ HOST "policies: [ { name: p, source: preserved } ]\n", true },
		{ HOST "default_policy: { source: preserved }\n", true },
		{ HOST "policies: [ { name: p, source: shared } ]\n", false },
		{ HOST, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		struct mg_config *c = parse(some[i].text);

		assert_int_equal(mg_config_any_preserved(c), some[i].want);
		mg_config_free(c);
	}
}

int main(void)
{
	static const char *const names[] = { "gold", "bad", "million", "secret", "open", "empty" };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_policies),
		cmocka_unit_test(test_what_makes_any),
		cmocka_unit_test(test_in_their_places),
		cmocka_unit_test(test_names_of_steering),
		cmocka_unit_test(test_modes_that_are_steering),
		cmocka_unit_test(test_types_of_radius),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_match_file),
		cmocka_unit_test(test_bad_match_file),
		cmocka_unit_test(test_a_million_prefixes),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_any_preserved),
	};
	char path[64];
	int failed;

	if (!mkdtemp(dir))
		return 1;
	if (unshare(CLONE_NEWNET) == 0)
		lo_up();
	failed = cmocka_run_group_tests_name("config_policies", tests, NULL, NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
	return failed;
}
