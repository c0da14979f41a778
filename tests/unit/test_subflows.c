// SPDX-License-Identifier: BSD-2-Clause
/*
 * MPTCP endpoints for the addresses of access interfaces, in a network namespace of the test's own.
 * What the kernel has is read with ip-mptcp(8), the operator's tool.
 */
#include "mg_test.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/subflows.h"

static struct mg_config_interface interfaces[] = {
	{ .name = "wan0", .role = MG_ROLE_ACCESS },
	{ .name = "wan1", .role = MG_ROLE_ACCESS },
	{ .name = "lan0", .role = MG_ROLE_CORE },
};
static struct mg_config config = { .interfaces = interfaces, .n_interfaces = 3 };
static struct mg_subflows *subflows;

static void run(const char *command)
{
	/* Fixed commands of the test's own */
	if (system(command)) /* NOLINT(cert-env33-c) */
		fail_msg("%s", command);
}

/* What ip prints, in one line, sorted, ids of ours by that word; good until the next call. */
static const char *ip_says(const char *what)
{
	static char text[4096];
	char command[128];
	FILE *f;
	size_t n;

	snprintf(command, sizeof(command),
		 "ip mptcp %s | sed 's/ *$//; s/id 2../id ours/' | sort | paste -sd ,", what);
	f = popen(command, "r"); /* NOLINT(cert-env33-c) */
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	pclose(f);
	return text;
}

static void open_subflows(void)
{
	assert_int_equal(mg_subflows_open(&subflows, &config), 0);
}

static void close_subflows(void)
{
	mg_subflows_close(subflows);
	subflows = NULL;
}

static int fresh(void **state)
{
	(void)state;
	run("ip mptcp endpoint flush");
	run("ip mptcp limits set subflow 2 add_addr_accepted 0");
	run("for i in wan0 wan1 lan0; do ip addr flush dev $i scope global; done");
	run("ip addr add 10.1.0.2/24 dev wan0; ip addr add 10.2.0.2/24 dev wan1;"
	    "ip addr add 192.168.0.1/24 dev lan0; ip addr add fd00:1::2/64 dev wan0 nodad");
	return 0;
}

static int leave(void **state)
{
	(void)state;
	mg_subflows_close(subflows);
	subflows = NULL;
	return 0;
}

#define ALL_THREE                                                              \
	"10.1.0.2 id ours subflow dev wan0,10.2.0.2 id ours subflow dev wan1," \
	"fd00:1::2 id ours subflow dev wan0"

/* Not the LAN's, no link-local one, and nothing stays. */
static void one_for_each_global_address(void **state)
{
	(void)state;
	open_subflows();
	assert_string_equal(ip_says("endpoint show"), ALL_THREE);
	assert_string_equal(ip_says("limits show"), "add_addr_accepted 2 subflows 3");
	close_subflows();
	assert_string_equal(ip_says("endpoint show"), "");
}

static void limits_are_never_lowered(void **state)
{
	(void)state;
	run("ip mptcp limits set subflow 7 add_addr_accepted 5");
	open_subflows();
	assert_string_equal(ip_says("limits show"), "add_addr_accepted 5 subflows 7");
}

static void they_follow_the_addresses(void **state)
{
	(void)state;
	open_subflows();
	run("ip addr del 10.1.0.2/24 dev wan0; ip addr add 10.1.0.9/24 dev wan0;"
	    "ip addr add 192.168.0.7/24 dev lan0");
	mg_subflows_look(subflows);
	assert_string_equal(ip_says("endpoint show"),
			    "10.1.0.9 id ours subflow dev wan0,10.2.0.2 id ours subflow dev wan1,"
			    "fd00:1::2 id ours subflow dev wan0");
	run("ip addr del 10.2.0.2/24 dev wan1; ip addr add 10.2.0.2/24 dev wan0");
	mg_subflows_look(subflows);
	assert_string_equal(ip_says("endpoint show"),
			    "10.1.0.9 id ours subflow dev wan0,10.2.0.2 id ours subflow dev wan0,"
			    "fd00:1::2 id ours subflow dev wan0");
}

/* Addresses that wait for their check, or are about to go */
static void unfit_addresses_are_left_out(void **state)
{
	(void)state;
	run("ip addr add fd00:1::3/64 dev wan0 nodad preferred_lft 0");
	open_subflows();
	assert_string_equal(ip_says("endpoint show"), ALL_THREE);
}

static void the_operators_are_left_alone(void **state)
{
	(void)state;
	run("ip mptcp endpoint add 10.1.0.2 id 5 dev wan0 subflow backup;"
	    "ip mptcp endpoint add 192.0.2.1 id 6 signal");
	open_subflows();
	assert_string_equal(ip_says("endpoint show"),
			    "10.1.0.2 id 5 subflow backup dev wan0,"
			    "10.2.0.2 id ours subflow dev wan1,192.0.2.1 id 6 signal,"
			    "fd00:1::2 id ours subflow dev wan0");
	close_subflows();
	assert_string_equal(ip_says("endpoint show"),
			    "10.1.0.2 id 5 subflow backup dev wan0,192.0.2.1 id 6 signal");
}

/* Of a daemon that was killed: what fits is kept as it is, the rest goes. */
static void leftovers_are_adopted(void **state)
{
	(void)state;
	run("ip mptcp endpoint add 10.2.0.2 id 230 dev wan1 subflow;"
	    "ip mptcp endpoint add 10.77.0.1 id 203 dev wan0 subflow;"
	    "ip mptcp endpoint add 10.1.0.2 id 204 dev wan0 subflow backup");
	open_subflows();
	assert_string_equal(ip_says("endpoint show"),
			    "10.1.0.2 id ours subflow dev wan0,10.2.0.2 id ours subflow dev wan1,"
			    "fd00:1::2 id ours subflow dev wan0");
	run("ip mptcp endpoint show | grep -q '^10.2.0.2 id 230 '");
	close_subflows();
	assert_string_equal(ip_says("endpoint show"), "");
}

/* The kernel has room for eight; nothing breaks when there are more addresses. */
static void too_many_addresses(void **state)
{
	size_t n = 0;

	(void)state;
	run("for i in 3 4 5 6 7 8 9 10; do ip addr add 10.1.0.$i/24 dev wan0; done");
	open_subflows();
	for (const char *c = ip_says("endpoint show"); c; c = strchr(c + 1, ','))
		n++;
	assert_int_equal(n, 8);
	assert_string_equal(ip_says("limits show"), "add_addr_accepted 2 subflows 8");
	mg_subflows_look(subflows);
	close_subflows();
	assert_string_equal(ip_says("endpoint show"), "");
}

static void interfaces_that_are_not_there(void **state)
{
	(void)state;
	strcpy(interfaces[0].name, "gone0");
	open_subflows();
	strcpy(interfaces[0].name, "wan0");
	assert_string_equal(ip_says("endpoint show"), "10.2.0.2 id ours subflow dev wan1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_for_each_global_address),  TEST(limits_are_never_lowered),
		TEST(they_follow_the_addresses),    TEST(unfit_addresses_are_left_out),
		TEST(the_operators_are_left_alone), TEST(leftovers_are_adopted),
		TEST(too_many_addresses),	    TEST(interfaces_that_are_not_there),
	};

	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	/* Both are refused where the kernel, or whoever runs this, has no right to it. */
	if (unshare(CLONE_NEWNET) ||
	    system("ip mptcp limits show >/dev/null 2>&1")) { /* NOLINT(cert-env33-c) */
		puts("1..0 # SKIP needs a network namespace of its own, and MPTCP");
		return 0;
	}
	mg_log_set_level(MG_LOG_ERROR);
	run("ip link set lo up; ip link add wan0 type veth peer name wan1;"
	    "ip link add lan0 type veth peer name lan1;"
	    "for i in wan0 wan1 lan0; do ip link set $i up; done");
	return cmocka_run_group_tests_name("subflows", tests, NULL, NULL);
}
