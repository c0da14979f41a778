// SPDX-License-Identifier: BSD-2-Clause
/*
 * Asking the data plane where a packet would go, which changes nothing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "gateway_rig.h"

static struct mg_decision locate(const struct mg_steer_probe *probe)
{
	struct mg_decision d;

	assert_int_equal(mg_steer_locate(gw_steer, probe, &d), 0);
	return d;
}

static void check_located(const char *client, const char *server)
{
	struct mg_steer_probe probe = { .kind = MG_PROBE_SYN,
					.client = gw_ep(client),
					.server = gw_ep(server) };
	struct mg_decision d = locate(&probe);

	assert_int_equal(d.what, MG_STEER_DELIVER);
	assert_int_equal(d.why, MG_STEER_RING);
	assert_int_equal(d.proxy, 1);
	assert_int_equal(d.group, 1);
	assert_int_equal(d.has_slot, 1);
	assert_true(d.slot < MG_RING_SLOTS);
	probe.kind = MG_PROBE_CAPABLE;
	assert_int_equal(locate(&probe).why, MG_STEER_RING);
	assert_int_equal(locate(&probe).slot, d.slot);
	probe.kind = MG_PROBE_DATA;
	assert_int_equal(locate(&probe).why, MG_STEER_RING_PREVIOUS);
	probe.kind = MG_PROBE_JOIN;
	probe.token = gw_token(3);
	d = locate(&probe);
	assert_int_equal(d.what, MG_STEER_DELIVER);
	assert_int_equal(d.why, MG_STEER_TOKEN_PUSHED);
	assert_int_equal(d.token, gw_token(3));
	assert_int_equal(d.proxy, 4);
	probe.token++;
	d = locate(&probe);
	assert_int_equal(d.what, MG_STEER_DROP);
	assert_int_equal(d.why, MG_STEER_UNKNOWN_JOIN);
	assert_int_equal(d.reason, MG_REASON_UNKNOWN_JOIN);
}

static void test_locate(void **state)
{
	struct mg_owners owners = { .proxy = 4 };
	struct mg_steer_proxy four = { .used = 1, .deliver = MG_DELIVER_L2, .ifindex = 1 };
	uint64_t counted[MG_STEER_COUNTER_COUNT];

	(void)state;
	gw_fill(gw_steer);
	assert_int_equal(mg_steer_set_proxy(gw_steer, 4, &four), 0);
	assert_int_equal(mg_steer_push(gw_steer, gw_token(3), &owners), 0);
	check_located("10.1.0.1:40000", "10.9.0.1:5124");
	check_located("[fd00:1::1]:40000", "[fd00:9::1]:5124");
	assert_int_equal(gw_entries("mg_flows"), 0);
	assert_int_equal(mg_steer_counters_read(gw_steer, counted), 0);
	for (size_t i = 0; i < MG_STEER_COUNTER_COUNT; i++)
		assert_int_equal(counted[i], 0);
}

/* It is the interface's own index that rules see, and its own side. */
static void test_locate_by_interface(void **state)
{
	struct mg_rule rule = { .ifindex = if_nametoindex("px0"), .group = 1 };
	struct mg_steer_probe probe = { .kind = MG_PROBE_CAPABLE,
					.client = gw_ep("10.1.0.1:40000"),
					.server = gw_ep("10.4.0.2:80") };

	(void)state;
	gw_fill(gw_steer);
	assert_int_equal(mg_steer_set_rules(gw_steer, &rule, 1), 0);
	assert_int_equal(locate(&probe).rule, 1);
	assert_int_equal(locate(&probe).what, MG_STEER_DELIVER);
	probe.interface = "px0";
	assert_int_equal(locate(&probe).rule, 1);
	probe.interface = "px1";
	assert_int_equal(locate(&probe).rule, 0);
	assert_int_equal(locate(&probe).why, MG_STEER_NOT_OURS);
	probe.interface = NULL;
	rule.ifindex++;
	assert_int_equal(mg_steer_set_rules(gw_steer, &rule, 1), 0);
	assert_int_equal(locate(&probe).why, MG_STEER_NOT_OURS);
}

static void test_locate_refuses(void **state)
{
	struct mg_steer_probe probe = { .interface = "lo",
					.client = gw_ep("10.1.0.1:40000"),
					.server = gw_ep("10.4.0.2:80") };
	struct mg_decision d;

	(void)state;
	assert_int_equal(mg_steer_locate(gw_steer, &probe, &d), -ENODEV);
	probe.interface = "px0";
	probe.server = gw_ep("[fd00:9::1]:5124");
	assert_int_equal(mg_steer_locate(gw_steer, &probe, &d), -EAFNOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_locate, gw_set_up_running, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_locate_by_interface, gw_set_up_running,
						gw_tear_down),
		cmocka_unit_test_setup_teardown(test_locate_refuses, gw_set_up_running,
						gw_tear_down),
	};

	return cmocka_run_group_tests(tests, gw_enter, NULL);
}
