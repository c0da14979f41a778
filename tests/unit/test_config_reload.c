// SPDX-License-Identifier: BSD-2-Clause
/* What a reload may change, and what it says of the rest. */
#include "config_rig.h"

static void test_reload_of_the_same(void **state)
{
	(void)state;
	check_reload(everything, everything, "");
	/* Said or left out: a default is a default. */
	check_reload(LISTEN, "workers: 0\nruntime_dir: /run/mpgate\n" LISTEN, "");
}

static void test_reload_of_what_may_change(void **state)
{
	(void)state;
	check_reload(everything,
		     "node: n1\nruntime_dir: /r\nbpffs: /b\nworkers: 3\n"
		     "interfaces: [ { name: a0, role: core, xdp: generic }, { name: a1, role: "
		     "access } ]\n"
		     "converter:\n"
		     "  listen: [ '10.0.0.1:1', '[2001:db8::1]:2' ]\n"
		     "  source: preserved\n  cookie: off\n  cookie_rotate_s: 40\n"
		     "  cookie_key_file: /k\n  server_mptcp: always\n  connect_timeout_ms: 50\n"
		     "  greet_timeout_ms: 60\n  idle_timeout_s: 70\n  half_open_timeout_s: 80\n"
		     "  pending_per_client: 90\n  max_sessions: 100\n  retry_after_s: 1\n"
		     "  fastopen_queue: 12\n"
		     "destinations: { deny: [ '::/0' ] }\n"
		     "drain_timeout_s: 1\n",
		     "");
}

static void test_reload_of_what_may_not(void **state)
{
	(void)state;
	check_reload(
		everything,
		"node: n2\n"
		"runtime_dir: /r2\n"
		"workers: 4\n"
		"interfaces: [ { name: a0, role: core, xdp: generic } ]\n"
		"converter:\n"
		"  listen: [ '10.0.0.1:1', '[2001:db8::1]:3' ]\n"
		"  source: shared\n"
		"  fastopen_queue: 13\n",
		"t.yaml:1: node: cannot change while running, expected n1 as before\n"
		"t.yaml:2: runtime_dir: cannot change while running, expected /r as before\n"
		"t.yaml:1: bpffs: cannot change while running, expected /b as before\n"
		"t.yaml:3: workers: cannot change while running, expected 3 as before\n"
		"t.yaml:7: converter.source: cannot change while running, expected preserved "
		"as before\n"
		"t.yaml:5: converter.cookie_key_file: cannot change while running, expected /k "
		"as before\n"
		"t.yaml:8: converter.fastopen_queue: cannot change while running, expected 12 "
		"as before\n"
		"t.yaml:4: interfaces: cannot change while running, expected the same list as "
		"before\n"
		"t.yaml:6: converter.listen: cannot change while running, expected the same "
		"list as before\n");
}

static void test_reload_of_an_interface(void **state)
{
	const char *before = "interfaces: [ { name: a0, role: access } ]\n" LISTEN;
	const char *refused = "t.yaml:1: interfaces: cannot change while running, expected the "
			      "same list as before\n";

	(void)state;
	check_reload(before, "interfaces: [ { name: a0, role: core } ]\n" LISTEN, refused);
	check_reload(before, "interfaces: [ { name: a1, role: access } ]\n" LISTEN, refused);
	check_reload(before, "interfaces: [ { name: a0, role: access, xdp: 'off' } ]\n" LISTEN,
		     refused);
	check_reload(before, "interfaces: [ { name: a0, role: access, xdp: auto } ]\n" LISTEN, "");
}

static void test_reload_on_path(void **state)
{
	(void)state;
	check_reload(ON_PATH, ON_PATH, "");
	check_reload(ON_PATH,
		     "interfaces: [ { name: a0, role: access }, { name: c0, role: core } ]\n"
		     "intercept:\n  mode: take-over\n  except: [ 22 ]\n  source: shared\n"
		     "  learn_ttl_s: 20\n  held_max: 3\n  held_per_subscriber: 40\n"
		     "  on_overload: pass\n  on_failure: open\n  stale_ms: 500\n"
		     "converter: { listen: [], hold_max_ms: 500 }\n",
		     "");
	check_reload(ON_PATH,
		     "interfaces: [ { name: a0, role: access }, { name: c0, role: core } ]\n"
		     "intercept:\n  mode: off\n  held_max: 4\n"
		     "converter: { listen: [ '127.0.0.1:1' ], reply: at-once }\n",
		     "t.yaml:5: converter.reply: cannot change while running, expected "
		     "after-connect as before\n"
		     "t.yaml:2: intercept.source: cannot change while running, expected shared as "
		     "before\n"
		     "t.yaml:4: intercept.held_max: cannot change while running, expected 3 as "
		     "before\n"
		     "t.yaml:3: intercept.mode: cannot change while running, expected hybrid as "
		     "before\n"
		     "t.yaml:5: converter.listen: cannot change while running, expected the same "
		     "list as before\n");
	check_reload(LISTEN "intercept: { mode: off }\n", LISTEN, "");
}

static void test_reload_of_a_cpe(void **state)
{
	const char *access = "interfaces: [ { name: a0, role: access } ]\n";
	const char *refused = "t.yaml:2: cpe: cannot change while running, expected the same as "
			      "before\n";
	static const char *const others[] = {
		"cpe: { lan: [ br0, br1 ], converter: '192.0.2.1:1' }\n",
		"cpe: { lan: [ br1 ], converter: '192.0.2.1:1' }\n",
		"cpe: { lan: [ br0 ], converter: '192.0.2.1:2' }\n",
		"cpe: { lan: [ br0 ] }\n",
	};
	char before[256], after[256];

	(void)state;
	snprintf(before, sizeof(before), "%scpe: { lan: [ br0 ], converter: '192.0.2.1:1' }\n",
		 access);
	check_reload(before, before, "");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(after, sizeof(after), "%s%s", access, others[i]);
		check_reload(before, after, refused);
	}
	snprintf(after, sizeof(after),
		 "%scpe: { lan: [ br0 ], converter: '192.0.2.1:1', direct: false }\n", access);
	check_reload(before, after,
		     "t.yaml:2: cpe.direct: cannot change while running, expected "
		     "true as before\n");
}

/* The daemon may be named after its host; a host that is renamed must not spoil a reload. */
static void test_reload_after_the_host_was_renamed(void **state)
{
	struct mg_config *running = parse(LISTEN), *next = parse(LISTEN);
	FILE *f = findings_open();

	(void)state;
	free(running->node);
	running->node = strdup("before");
	assert_int_equal(mg_config_check_reload(running, next, f), 0);
	findings_are(f, "");
	mg_config_free(running);
	mg_config_free(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reload_of_the_same),
		cmocka_unit_test(test_reload_of_what_may_change),
		cmocka_unit_test(test_reload_of_what_may_not),
		cmocka_unit_test(test_reload_of_an_interface),
		cmocka_unit_test(test_reload_on_path),
		cmocka_unit_test(test_reload_of_a_cpe),
		cmocka_unit_test(test_reload_after_the_host_was_renamed),
	};

	return cmocka_run_group_tests_name("config_reload", tests, NULL, NULL);
}
