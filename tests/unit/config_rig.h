/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the configuration share: parsing without findings, and comparing findings. */
#ifndef MG_TEST_CONFIG_RIG_H
#define MG_TEST_CONFIG_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/config.h"

#define LISTEN "converter: { listen: [ '127.0.0.1:5124' ] }\n"

#define ON_PATH                                                                            \
	"interfaces: [ { name: a0, role: access }, { name: c0, role: core } ]\n"           \
	"intercept:\n"                                                                     \
	"  mode: hybrid\n  ports: [ 443, 80, 8080 ]\n  except: [ 80 ]\n  source: shared\n" \
	"  learn_ttl_s: 2\n  held_max: 3\n  held_per_subscriber: 4\n"                      \
	"  on_overload: drop\n  on_failure: closed\n  stale_ms: 50\n"

static const char everything[] =
	"node: n1\nruntime_dir: /r\nbpffs: /b\nworkers: 3\n"
	"interfaces: [ { name: a0, role: core, xdp: generic }, { name: a1, role: access } ]\n"
	"converter:\n"
	"  listen: [ '10.0.0.1:1', '[2001:db8::1]:2' ]\n"
	"  source: preserved\n  cookie: required\n  cookie_rotate_s: 4\n"
	"  cookie_key_file: /k\n  server_mptcp: never\n  connect_timeout_ms: 5\n"
	"  greet_timeout_ms: 6\n  idle_timeout_s: 7\n  half_open_timeout_s: 8\n"
	"  pending_per_client: 9\n  max_sessions: 10\n  retry_after_s: 0\n  fastopen_queue: 12\n"
	"destinations: { allow: [ 10.0.0.0/8 ], deny: [ 10.1.0.0/16, '2001:db8::/32' ] }\n"
	"drain_timeout_s: 0\n";

static char *findings;
static size_t findings_len;

static FILE *findings_open(void)
{
	FILE *f = open_memstream(&findings, &findings_len);

	assert_non_null(f);
	return f;
}

/* Closes it, compares and forgets. */
static void findings_are(FILE *f, const char *expected)
{
	assert_int_equal(fclose(f), 0);
	assert_string_equal(findings, expected);
	free(findings);
	findings = NULL;
}

static struct mg_config *parse(const char *text)
{
	FILE *f = findings_open();
	struct mg_config *c;
	int err = mg_config_parse(&c, "t.yaml", text, strlen(text), f);

	findings_are(f, "");
	assert_int_equal(err, 0);
	return c;
}

__attribute__((unused)) static void check_host(const char *text, const char *expected)
{
	struct mg_config *c = parse(text);
	FILE *f = findings_open();

	assert_int_equal(mg_config_check_host(c, f), *expected ? -EINVAL : 0);
	findings_are(f, expected);
	mg_config_free(c);
}

__attribute__((unused)) static void check_reload(const char *from, const char *to,
						 const char *expected)
{
	struct mg_config *running = parse(from), *next = parse(to);
	FILE *f = findings_open();

	assert_int_equal(mg_config_check_reload(running, next, f), *expected ? -EBUSY : 0);
	findings_are(f, expected);
	mg_config_free(running);
	mg_config_free(next);
}

/* In a network namespace of our own. */
__attribute__((unused)) static void lo_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		perror("lo");
	if (fd >= 0)
		close(fd);
}

#endif
