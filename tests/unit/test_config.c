// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the goldens cannot show: defaults, values in their places, checks against a host, the cookie
 * key. The host is a network namespace of our own where we may make one,
 * with nothing in it but lo; else the checks run against the lo there is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_rig.h"

static void test_defaults(void **state)
{
	struct mg_config *c = parse(LISTEN);
	char host[HOST_NAME_MAX + 1], ep[MG_EP_STRLEN];

	(void)state;
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	assert_string_equal(c->node, host);
	assert_string_equal(c->runtime_dir, "/run/mpgate");
	assert_string_equal(c->bpffs, "/sys/fs/bpf/mpgate");
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->n_interfaces, 0);
	assert_int_equal(c->converter.n_listen, 1);
	assert_string_equal(mg_ep_format(ep, &c->converter.listen[0]), "127.0.0.1:5124");
	assert_int_equal(c->converter.source, MG_SOURCE_SHARED);
	assert_int_equal(c->converter.cookie, MG_COOKIE_OFF);
	assert_int_equal(c->converter.cookie_rotate_s, 3600);
	assert_null(c->converter.cookie_key_file);
	assert_int_equal(c->converter.server_mptcp, MG_SERVER_MPTCP_REQUESTED);
	assert_int_equal(c->converter.connect_timeout_ms, 5000);
	assert_int_equal(c->converter.greet_timeout_ms, 5000);
	assert_int_equal(c->converter.idle_timeout_s, 7440);
	assert_int_equal(c->converter.half_open_timeout_s, 240);
	assert_int_equal(c->converter.pending_per_client, 256);
	assert_int_equal(c->converter.max_sessions, 65536);
	assert_int_equal(c->converter.retry_after_s, 30);
	assert_int_equal(c->converter.fastopen_queue, 4096);
	assert_int_equal(c->converter.reply, MG_REPLY_AFTER_CONNECT);
	assert_int_equal(c->converter.hold_max_ms, 800);
	assert_int_equal(c->destinations.n_allow, 0);
	assert_int_equal(c->destinations.n_deny, 0);
	assert_int_equal(c->drain_timeout_s, 30);
	mg_config_free(c);
}

static void test_on_path_defaults(void **state)
{
	struct mg_config *c = parse(LISTEN);

	(void)state;
	assert_int_equal(c->intercept.mode, MG_MODE_OFF);
	assert_true(c->intercept.any_port);
	assert_int_equal(c->intercept.n_ports, 0);
	assert_int_equal(c->intercept.n_except, 0);
	assert_int_equal(c->intercept.source, MG_SOURCE_PRESERVED);
	assert_int_equal(c->intercept.learn_ttl_s, 600);
	assert_int_equal(c->intercept.held_max, 65536);
	assert_int_equal(c->intercept.held_per_subscriber, 256);
	assert_int_equal(c->intercept.on_overload, MG_OVERLOAD_PASS);
	assert_int_equal(c->intercept.on_failure, MG_FAILURE_OPEN);
	assert_int_equal(c->intercept.stale_ms, 200);
	assert_int_equal(c->cpe.n_lan, 0);
	assert_false(c->cpe.has_converter);
	assert_true(c->cpe.direct);
	mg_config_free(c);
}

/* Nobody listens: the other rooms find the converter's timeouts all the same. */
static void test_without_a_converter(void **state)
{
	struct mg_config *c = parse("interfaces: [ { name: a0, role: access } ]\n"
				    "intercept: { mode: take-over, source: shared }\n");

	(void)state;
	assert_int_equal(c->converter.n_listen, 0);
	assert_int_equal(c->converter.connect_timeout_ms, 5000);
	assert_int_equal(c->converter.idle_timeout_s, 7440);
	assert_int_equal(c->converter.max_sessions, 65536);
	mg_config_free(c);
}

static void test_on_path_in_place(void **state)
{
	struct mg_config *c = parse(ON_PATH "cpe: { lan: [ br0, br1 ], direct: false,\n"
					    "       converter: '192.0.2.1:5124' }\n");
	char text[MG_EP_STRLEN];

	(void)state;
	assert_int_equal(c->intercept.mode, MG_MODE_HYBRID);
	assert_false(c->intercept.any_port);
	assert_int_equal(c->intercept.n_ports, 3);
	assert_int_equal(c->intercept.ports[0], 443);
	assert_int_equal(c->intercept.ports[2], 8080);
	assert_int_equal(c->intercept.n_except, 1);
	assert_int_equal(c->intercept.except[0], 80);
	assert_int_equal(c->intercept.source, MG_SOURCE_SHARED);
	assert_int_equal(c->intercept.learn_ttl_s, 2);
	assert_int_equal(c->intercept.held_max, 3);
	assert_int_equal(c->intercept.held_per_subscriber, 4);
	assert_int_equal(c->intercept.on_overload, MG_OVERLOAD_DROP);
	assert_int_equal(c->intercept.on_failure, MG_FAILURE_CLOSED);
	assert_int_equal(c->intercept.stale_ms, 50);
	assert_int_equal(c->cpe.n_lan, 2);
	assert_string_equal(c->cpe.lan[1], "br1");
	assert_true(c->cpe.has_converter);
	assert_string_equal(mg_ep_format(text, &c->cpe.converter), "192.0.2.1:5124");
	assert_false(c->cpe.direct);
	mg_config_free(c);
}

static void test_values_in_their_places(void **state)
{
	struct mg_config *c = parse(everything);
	char text[MG_PREFIX_STRLEN];

	(void)state;
	assert_string_equal(c->node, "n1");
	assert_string_equal(c->runtime_dir, "/r");
	assert_string_equal(c->bpffs, "/b");
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->n_interfaces, 2);
	assert_string_equal(c->interfaces[0].name, "a0");
	assert_int_equal(c->interfaces[0].role, MG_ROLE_CORE);
	assert_int_equal(c->interfaces[0].xdp, MG_XDP_GENERIC);
	assert_int_equal(c->interfaces[1].role, MG_ROLE_ACCESS);
	assert_int_equal(c->interfaces[1].xdp, MG_XDP_AUTO);
	assert_int_equal(c->converter.n_listen, 2);
	assert_string_equal(mg_ep_format(text, &c->converter.listen[1]), "[2001:db8::1]:2");
	assert_int_equal(c->converter.source, MG_SOURCE_PRESERVED);
	assert_int_equal(c->converter.cookie, MG_COOKIE_REQUIRED);
	assert_int_equal(c->converter.cookie_rotate_s, 4);
	assert_string_equal(c->converter.cookie_key_file, "/k");
	assert_int_equal(c->converter.server_mptcp, MG_SERVER_MPTCP_NEVER);
	assert_int_equal(c->converter.connect_timeout_ms, 5);
	assert_int_equal(c->converter.greet_timeout_ms, 6);
	assert_int_equal(c->converter.idle_timeout_s, 7);
	assert_int_equal(c->converter.half_open_timeout_s, 8);
	assert_int_equal(c->converter.pending_per_client, 9);
	assert_int_equal(c->converter.max_sessions, 10);
	assert_int_equal(c->converter.retry_after_s, 0);
	assert_int_equal(c->converter.fastopen_queue, 12);
	assert_int_equal(c->destinations.n_allow, 1);
	assert_int_equal(c->destinations.n_deny, 2);
	assert_string_equal(mg_prefix_format(text, &c->destinations.deny[0]), "10.1.0.0/16");
	assert_string_equal(mg_prefix_format(text, &c->destinations.deny[1]), "2001:db8::/32");
	assert_int_equal(c->drain_timeout_s, 0);
	mg_config_free(c);
}

static void test_size_limit(void **state)
{
	size_t len = 1024 * 1024;
	char *text = malloc(len + 1);
	struct mg_config *c;
	FILE *f;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', len + 1);
	for (size_t i = 0; i < strlen(LISTEN); i++)
		text[i] = LISTEN[i];
	f = findings_open();
	assert_int_equal(mg_config_parse(&c, "t.yaml", text, len, f), 0);
	findings_are(f, "");
	mg_config_free(c);
	f = findings_open();
	assert_int_equal(mg_config_parse(&c, "t.yaml", text, len + 1, f), -EINVAL);
	findings_are(f, "t.yaml:1: (document): the file is too large, expected at most 1 MiB\n");
	assert_null(c);
	free(text);
}

static void test_unreadable_file(void **state)
{
	struct mg_config *c;
	FILE *f = findings_open();

	(void)state;
	assert_int_equal(mg_config_load(&c, "/nonexistent/mpgate.yaml", f), -ENOENT);
	findings_are(f, "/nonexistent/mpgate.yaml: (document): cannot be read: No such file or "
			"directory, expected a file\n");
	assert_null(c);
	f = findings_open();
	assert_int_equal(mg_config_load(&c, "/", f), -EISDIR);
	findings_are(f, "/: (document): cannot be read: Is a directory, expected a file\n");
}

static void test_host_is_fine(void **state)
{
	(void)state;
	check_host("interfaces: [ { name: lo, role: access } ]\n"
		   "converter: { listen: [ '127.0.0.1:5124', '127.9.9.9:5124' ] }\n",
		   "");
}

static void test_host_has_none_of_it(void **state)
{
	(void)state;
	check_host("interfaces:\n"
		   "  - { name: lo, role: core }\n"
		   "  - { name: mgnone0, role: access }\n"
		   "converter:\n"
		   "  listen:\n"
		   "    - '127.0.0.1:5124'\n"
		   "    - '192.0.2.1:5124'\n"
		   "    - '[2001:db8::1]:5124'\n",
		   "t.yaml:3: interfaces[1].name: mgnone0 does not exist, expected an interface of "
		   "this network namespace\n"
		   "t.yaml:7: converter.listen[1]: 192.0.2.1:5124 is not an address of this host, "
		   "expected a local one\n"
		   "t.yaml:8: converter.listen[2]: [2001:db8::1]:5124 is not an address of this "
		   "host, expected a local one\n");
}

static void test_host_of_a_cpe(void **state)
{
	const char *access = "interfaces: [ { name: lo, role: access } ]\n";
	char text[256];

	(void)state;
	snprintf(text, sizeof(text), "%scpe:\n  lan: [ mgnone0 ]\n  converter: '127.0.0.1:5124'\n",
		 access);
	check_host(text,
		   "t.yaml:3: cpe.lan[0]: mgnone0 does not exist, expected an interface of this "
		   "network namespace\n"
		   "t.yaml:4: cpe.converter: 127.0.0.1:5124 is an address of this host, expected "
		   "another host's\n");
	snprintf(text, sizeof(text), "%scpe:\n  lan: [ mgnone0 ]\n  converter: '192.0.2.1:5124'\n",
		 access);
	check_host(text, "t.yaml:3: cpe.lan[0]: mgnone0 does not exist, expected an interface of "
			 "this network namespace\n");
}

static void test_address_in_use_is_still_local(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(5124) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
	/* Should somebody else hold the port already, it is just as much in use. */
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		assert_int_equal(listen(fd, 1), 0);
	check_host(LISTEN, "");
	close(fd);
}

static char key_path[] = "/tmp/mpgate-test-key-XXXXXX";

static int write_key(void **state)
{
	int fd;

	(void)state;
	fd = mkstemp(key_path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_key(void **state)
{
	(void)state;
	return unlink(key_path);
}

static int key_from(const char *bytes, size_t n, uint8_t key[16])
{
	struct mg_config c = { .converter.cookie_key_file = key_path };
	FILE *f = fopen(key_path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	return mg_config_cookie_key(&c, key);
}

static void test_cookie_key(void **state)
{
	static const uint8_t want[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	const char *hex = "00112233445566778899aAbBcCdDeEfF\n";
	struct mg_config none = { .converter.cookie_key_file = NULL };
	uint8_t key[16];
	char text[256];

	(void)state;
	assert_int_equal(mg_config_cookie_key(&none, key), -ENOENT);
	assert_int_equal(key_from((const char *)want, 16, key), 0);
	assert_memory_equal(key, want, 16);
	memset(key, 0, sizeof(key));
	assert_int_equal(key_from(hex, 32, key), 0);
	assert_memory_equal(key, want, 16);
	assert_int_equal(key_from(hex, 33, key), 0);
	assert_int_equal(key_from(hex, 0, key), -EINVAL);
	assert_int_equal(key_from(hex, 15, key), -EINVAL);
	assert_int_equal(key_from(hex, 31, key), -EINVAL);
	assert_int_equal(key_from("00112233445566778899aabbccddeefg", 32, key), -EINVAL);
	assert_int_equal(key_from("00112233445566778899aabbccddeeff\n\n", 34, key), -EINVAL);
	snprintf(text, sizeof(text),
		 "converter:\n  listen: [ '127.0.0.1:5124' ]\n  cookie_key_file: %s\n", key_path);
	assert_int_equal(key_from("short", 5, key), -EINVAL);
	struct mg_config *c = parse(text);
	FILE *f = findings_open();

	assert_int_equal(mg_config_check_host(c, f), -EINVAL);
	snprintf(text, sizeof(text),
		 "t.yaml:3: converter.cookie_key_file: %s holds no key, expected 16 bytes or 32 "
		 "hex digits\n",
		 key_path);
	findings_are(f, text);
	mg_config_free(c);
}

static void test_missing_cookie_key(void **state)
{
	(void)state;
	check_host("converter:\n  listen: [ '127.0.0.1:1' ]\n  cookie_key_file: /nonexistent/key\n",
		   "t.yaml:3: converter.cookie_key_file: /nonexistent/key cannot be read: No such "
		   "file or directory, expected a file of 16 bytes or 32 hex digits\n");
}

static void test_findings_without_a_file(void **state)
{
	struct mg_ep ep;
	struct mg_config c = { .converter = { .listen = &ep, .n_listen = 1 } };
	FILE *f = findings_open();

	(void)state;
	assert_int_equal(mg_ep_parse(&ep, "192.0.2.1:80"), 0);
	assert_int_equal(mg_config_check_host(&c, f), -EINVAL);
	findings_are(f, "config: converter.listen[0]: 192.0.2.1:80 is not an address of this host, "
			"expected a local one\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_on_path_defaults),
		cmocka_unit_test(test_without_a_converter),
		cmocka_unit_test(test_values_in_their_places),
		cmocka_unit_test(test_on_path_in_place),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_unreadable_file),
		cmocka_unit_test(test_host_is_fine),
		cmocka_unit_test(test_host_has_none_of_it),
		cmocka_unit_test(test_host_of_a_cpe),
		cmocka_unit_test(test_address_in_use_is_still_local),
		cmocka_unit_test_setup_teardown(test_cookie_key, write_key, remove_key),
		cmocka_unit_test(test_missing_cookie_key),
		cmocka_unit_test(test_findings_without_a_file),
	};

	if (unshare(CLONE_NEWNET) == 0)
		lo_up();
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
