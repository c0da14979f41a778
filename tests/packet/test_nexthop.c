// SPDX-License-Identifier: BSD-2-Clause
/*
 * The way out to an address, in a namespace with two links, one of whose far ends is a router that
 * answers for itself and nobody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/clock.h"
#include "lab.h"
#include "sys/nexthop.h"

#define WAIT_MS 3000

static const uint8_t px0_mac[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t ue0_mac[6] = { 2, 0, 0, 0, 0, 1 };

/* The lab's px0 is here, its ue0 in a namespace where it has addresses. */
static int move_far_end(void)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), outside;
	char command[128];

	if (here < 0 || unshare(CLONE_NEWNET))
		return -1;
	outside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (outside < 0 || setns(here, CLONE_NEWNET))
		return -1;
	snprintf(command, sizeof(command), "ip link set ue0 netns /proc/%d/fd/%d", (int)getpid(),
		 outside);
	if (lab_sh(command) || setns(outside, CLONE_NEWNET))
		return -1;
	if (lab_sh("sysctl -q -w net.ipv6.conf.default.accept_dad=0 && "
		   "ip link set ue0 address 02:00:00:00:00:01 up && "
		   "ip addr add 10.3.0.1/24 dev ue0 && ip addr add 10.3.0.7/24 dev ue0 && "
		   "ip -6 addr add fd00:3::1/64 dev ue0 nodad"))
		return -1;
	return setns(here, CLONE_NEWNET) || close(here) ? -1 : 0;
}

static int enter(void **state)
{
	(void)state;
	if (lab_enter() || lab_sh("sysctl -q -w net.ipv6.conf.px0.accept_dad=0 && "
				  "ip link set px0 address 02:00:00:00:00:02"))
		return -1;
	if (move_far_end())
		return -1;
	return lab_sh("ip -6 addr add fd00:3::2/64 dev px0 nodad && "
		      "ip addr add 10.3.0.22/24 dev px0 && "
		      "ip route add 10.9.0.0/16 via 10.3.0.1 && "
		      "ip route add 10.8.0.0/16 via 10.3.0.1 src 10.3.0.22 mtu 1300 && "
		      "ip route add 10.7.0.0/16 via 10.3.0.99 && "
		      "ip route add unreachable 10.6.0.0/16 && "
		      "ip route add blackhole 10.5.0.0/16 && "
		      "ip route add 10.4.0.0/16 via inet6 fd00:3::1 dev px0 && "
		      "ip -6 route add fd00:9::/64 via fd00:3::1 && "
		      "ip -6 route add unreachable fd00:6::/64");
}

static int find(const char *text, struct mg_nexthop *out)
{
	struct in6_addr ip;

	assert_int_equal(mg_ip_parse(&ip, text), 0);
	return mg_nexthop_find(&ip, out);
}

/* As the daemon would, again when something changed. */
static int find_in_time(const char *text, struct mg_nexthop *out)
{
	uint64_t until_ms = mg_clock_ms() + WAIT_MS;
	int fd = mg_nexthop_watch(), err;

	assert_true(fd >= 0);
	while ((err = find(text, out)) == -EAGAIN && mg_clock_ms() < until_ms) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		poll(&p, 1, WAIT_MS);
		mg_nexthop_watch_drain(fd);
	}
	close(fd);
	return err;
}

static void check_way(const char *to, const char *source, uint32_t mtu_bytes, bool on_link)
{
	struct in6_addr from;
	struct mg_nexthop hop;

	assert_int_equal(mg_ip_parse(&from, source), 0);
	assert_int_equal(find_in_time(to, &hop), 0);
	assert_int_equal(hop.ifindex, if_nametoindex("px0"));
	assert_memory_equal(hop.dmac, ue0_mac, 6);
	assert_memory_equal(hop.smac, px0_mac, 6);
	assert_int_equal(hop.mtu_bytes, mtu_bytes);
	assert_memory_equal(&hop.source, &from, sizeof(from));
	assert_int_equal(hop.on_link, on_link);
	assert_false(hop.local);
}

static void flush(void)
{
	assert_int_equal(lab_sh("ip neigh flush dev px0 && ip -6 neigh flush dev px0"), 0);
}

static void test_unresolved_is_asked_for(void **state)
{
	struct mg_nexthop hop;

	(void)state;
	flush();
	assert_int_equal(find("10.3.0.1", &hop), -EAGAIN);
	check_way("10.3.0.1", "10.3.0.2", 1500, true);
	flush();
	assert_int_equal(find("fd00:3::1", &hop), -EAGAIN);
	check_way("fd00:3::1", "fd00:3::2", 1500, true);
}

static void test_on_link(void **state)
{
	(void)state;
	check_way("10.3.0.7", "10.3.0.2", 1500, true);
	check_way("fd00:3::1", "fd00:3::2", 1500, true);
}

static void test_by_router(void **state)
{
	(void)state;
	check_way("10.9.1.1", "10.3.0.2", 1500, false);
	check_way("fd00:9::1", "fd00:3::2", 1500, false);
}

static void test_by_router_of_other_family(void **state)
{
	(void)state;
	check_way("10.4.0.2", "10.3.0.2", 1500, false);
}

static void test_source_and_mtu_of_route(void **state)
{
	(void)state;
	check_way("10.8.0.1", "10.3.0.22", 1300, false);
}

static void test_mtu_of_link(void **state)
{
	(void)state;
	assert_int_equal(lab_sh("ip link set px0 mtu 1280"), 0);
	check_way("10.9.1.1", "10.3.0.2", 1280, false);
	check_way("10.8.0.1", "10.3.0.22", 1280, false);
	assert_int_equal(lab_sh("ip link set px0 mtu 9000"), 0);
	check_way("10.9.1.1", "10.3.0.2", 9000, false);
	check_way("10.8.0.1", "10.3.0.22", 1300, false);
	assert_int_equal(lab_sh("ip link set px0 mtu 1500"), 0);
}

/* Nobody is there: it is asked for again and again, and never found. */
static void test_no_answer(void **state)
{
	struct mg_nexthop hop;

	(void)state;
	assert_int_equal(lab_sh("sysctl -q -w net.ipv4.neigh.px0.retrans_time_ms=20"), 0);
	assert_int_equal(find("10.7.0.1", &hop), -EAGAIN);
	for (int i = 0; i < WAIT_MS / 10; i++) {
		if (lab_shows("ip neigh show 10.3.0.99", "FAILED"))
			break;
		usleep(10000);
	}
	assert_true(lab_shows("ip neigh show 10.3.0.99", "FAILED"));
	assert_int_equal(lab_sh("sysctl -q -w net.ipv4.neigh.px0.retrans_time_ms=5000"), 0);
	assert_int_equal(find("10.7.0.1", &hop), -EAGAIN);
	assert_true(lab_shows("ip neigh show 10.3.0.99", "INCOMPLETE"));
}

static void test_stale_is_used_and_seen_to(void **state)
{
	struct mg_nexthop hop;

	(void)state;
	assert_int_equal(lab_sh("ip neigh replace 10.3.0.7 lladdr 02:00:00:00:00:01 dev px0 "
				"nud stale"),
			 0);
	assert_int_equal(find("10.3.0.7", &hop), 0);
	assert_memory_equal(hop.dmac, ue0_mac, 6);
	assert_false(lab_shows("ip neigh show 10.3.0.7", "STALE"));
}

static void test_local(void **state)
{
	static const char *const own[] = { "10.3.0.2", "10.3.0.22", "fd00:3::2", "127.0.0.1" };
	struct mg_nexthop hop;
	struct in6_addr ip;

	(void)state;
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		mg_ip_parse(&ip, own[i]);
		assert_int_equal(find(own[i], &hop), 0);
		assert_true(hop.local);
		assert_memory_equal(&hop.source, &ip, sizeof(ip));
		assert_int_equal(hop.ifindex, 0);
	}
}

static void test_unreachable(void **state)
{
	struct mg_nexthop hop;

	(void)state;
	assert_int_equal(find("192.0.2.1", &hop), -ENETUNREACH);
	assert_int_equal(find("2001:db8::1", &hop), -ENETUNREACH);
	assert_int_equal(find("10.6.0.1", &hop), -EHOSTUNREACH);
	assert_true(find("10.5.0.1", &hop) < 0 && find("10.5.0.1", &hop) != -EAGAIN);
	assert_true(find("fd00:6::1", &hop) < 0 && find("fd00:6::1", &hop) != -EAGAIN);
}

/* Frames cannot go out of what has no Ethernet. */
static void test_no_ethernet(void **state)
{
	struct mg_nexthop hop;

	(void)state;
	if (lab_sh("ip tuntap add tn0 mode tun && ip link set tn0 up && "
		   "ip addr add 10.2.0.1/24 dev tn0"))
		skip();
	assert_int_equal(find("10.2.0.9", &hop), -EOPNOTSUPP);
	assert_int_equal(lab_sh("ip link del tn0"), 0);
}

static void test_watch(void **state)
{
	int fd = mg_nexthop_watch();

	(void)state;
	assert_true(fd >= 0);
	assert_false(mg_nexthop_watch_drain(fd));
	assert_int_equal(lab_sh("ip route add 10.66.0.0/16 via 10.3.0.1"), 0);
	assert_true(mg_nexthop_watch_drain(fd));
	assert_int_equal(lab_sh("ip neigh replace 10.3.0.50 lladdr 02:00:00:00:00:50 dev px0"), 0);
	assert_true(mg_nexthop_watch_drain(fd));
	assert_int_equal(lab_sh("ip link set px0 mtu 1400 && ip link set px0 mtu 1500"), 0);
	assert_true(mg_nexthop_watch_drain(fd));
	assert_int_equal(lab_sh("ip -6 route add fd00:66::/64 via fd00:3::1"), 0);
	assert_true(mg_nexthop_watch_drain(fd));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unresolved_is_asked_for),
		cmocka_unit_test(test_on_link),
		cmocka_unit_test(test_by_router),
		cmocka_unit_test(test_by_router_of_other_family),
		cmocka_unit_test(test_source_and_mtu_of_route),
		cmocka_unit_test(test_mtu_of_link),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_stale_is_used_and_seen_to),
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_no_ethernet),
		cmocka_unit_test(test_watch),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
