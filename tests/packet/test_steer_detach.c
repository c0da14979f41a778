// SPDX-License-Identifier: BSD-2-Clause
/*
 * What of steering does not stay when its time is over: of a gateway that never was one, of a
 * proxy, of another configuration, and by --detach; and what a start that fails leaves alone.
 */
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>
#include <xdp/libxdp.h>

#include "gateway_rig.h"

static void test_never_in_force(void **state)
{
	(void)state;
	gw_stop(gw_run());
	gw_check_nothing_is_left();
}

static void test_proxy_goes(void **state)
{
	struct mg_gateway g = { .self = 1 };
	struct mg_dp *dp;

	(void)state;
	gw_cfg->steer.is_gateway = false;
	gw_cfg->steer.n_groups = 0;
	gw_cfg->steer.n_gateways = 1;
	dp = gw_run();
	assert_string_equal(gw_program("px0"), "mg_steer");
	assert_int_equal(mg_steer_set_gateway(mg_dp_steer(dp), &g), 0);
	assert_null(mg_steer_ring(mg_dp_steer(dp), 1));
	gw_stop(dp);
	gw_check_nothing_is_left();
}

static void test_start_without_steering(void **state)
{
	struct mg_dp *dp;

	(void)state;
	gw_leave_one();
	gw_cfg = lab_config("px0", "px1");
	dp = gw_run();
	assert_null(mg_dp_steer(dp));
	assert_string_equal(gw_program("px0"), "mg_xdp");
	assert_string_equal(gw_program("px1"), "mg_xdp");
	assert_false(lab_is_pinned(gw_cfg, "mg_flows"));
	assert_false(lab_is_pinned(gw_cfg, "mg_gateway"));
	assert_true(lab_is_pinned(gw_cfg, "mg_classes"));
	gw_stop(dp);
	gw_check_nothing_is_left();
}

/* From a gateway that was, a proxy takes over nothing but the counters. */
static void test_start_as_proxy(void **state)
{
	struct mg_steer_proxy p;
	struct mg_dp *dp;

	(void)state;
	gw_leave_one();
	gw_check_steers();
	gw_cfg->steer.is_gateway = false;
	gw_cfg->steer.n_groups = 0;
	dp = gw_run();
	assert_int_equal(gw_counted(MG_STEER_COUNT_NEW), 10);
	assert_int_equal(gw_entries("mg_flows"), 0);
	assert_int_equal(mg_steer_get_proxy(mg_dp_steer(dp), 1, &p), 0);
	assert_int_equal(p.used, 0);
	gw_stop(dp);
	gw_check_nothing_is_left();
}

/* An interface is not in the configuration any more: it is not steered on any more. */
static void test_fewer_interfaces(void **state)
{
	struct mg_dp *dp;

	(void)state;
	gw_leave_one();
	gw_cfg->n_interfaces = 1;
	dp = gw_run();
	assert_string_equal(gw_program("px0"), "mg_steer");
	assert_string_equal(gw_program("px1"), "");
	gw_stop(dp);
	assert_string_equal(gw_program("px0"), "mg_steer");
	/* and without steering at all, nowhere */
	gw_cfg->interfaces[0] = gw_cfg->interfaces[1];
	snprintf(gw_cfg->interfaces[0].name, IFNAMSIZ, "px1");
	gw_cfg->steer.n_proxies = 0;
	gw_cfg->steer.is_gateway = false;
	dp = gw_run();
	assert_string_equal(gw_program("px0"), "");
	assert_string_equal(gw_program("px1"), "mg_xdp");
	gw_stop(dp);
	gw_check_nothing_is_left();
}

/* Another's, who keeps its pins elsewhere, is none of our business. */
static void test_others_gateway_stays(void **state)
{
	char other[80], *ours = gw_cfg->bpffs;
	struct mg_dp *dp;

	(void)state;
	gw_leave_one();
	snprintf(other, sizeof(other), "%s-other", ours);
	gw_cfg->bpffs = other;
	gw_cfg->n_interfaces = 1;
	snprintf(gw_cfg->interfaces[0].name, IFNAMSIZ, "lo");
	gw_cfg->interfaces[0].xdp = MG_XDP_OFF;
	dp = gw_run();
	gw_fill(mg_dp_steer(dp));
	gw_stop(dp);
	assert_int_equal(mg_dp_detach(gw_cfg), 0);
	gw_cfg->bpffs = ours;
	gw_check_in_force();
}

static void test_detach_twice(void **state)
{
	(void)state;
	gw_leave_one();
	assert_int_equal(mg_dp_detach(gw_cfg), 0);
	gw_check_nothing_is_left();
	assert_int_equal(mg_dp_detach(gw_cfg), 0);
	gw_check_nothing_is_left();
}

/* A start that fails leaves in force what was. */
static void test_failed_start(void **state)
{
	uint32_t flows;
	struct mg_dp *dp;

	(void)state;
	gw_leave_one();
	flows = gw_map_id("mg_flows");
	snprintf(gw_cfg->interfaces[1].name, IFNAMSIZ, "nowhere0");
	assert_int_equal(mg_dp_open(&dp, gw_cfg), -ENODEV);
	snprintf(gw_cfg->interfaces[1].name, IFNAMSIZ, "px1");
	gw_check_in_force();
	/* later on: the program of the first interface is replaced, the second refuses */
	gw_take_off("px1");
	assert_int_equal(lab_attach_foreign_xdp("px1"), 0);
	gw_cfg->steer.gateway.flows_max = GW_FLOWS * 2;
	assert_true(mg_dp_open(&dp, gw_cfg) < 0);
	assert_string_equal(gw_program("px0"), "mg_steer");
	assert_int_equal(gw_map_id("mg_flows"), flows);
	lab_detach_xdp("px1");
	/* earlier, while loading: too many groups */
	gw_cfg->steer.n_groups = MG_GROUPS_MAX;
	assert_true(mg_dp_open(&dp, gw_cfg) < 0);
	assert_string_equal(gw_program("px0"), "mg_steer");
	assert_int_equal(gw_map_id("mg_flows"), flows);
}

static void test_interface_vanishes(void **state)
{
	int ifindex;

	(void)state;
	gw_leave_one();
	assert_int_equal(lab_sh("ip link add gone0 type veth peer name gone1"), 0);
	ifindex = (int)if_nametoindex("gone0");
	snprintf(gw_cfg->interfaces[1].name, IFNAMSIZ, "gone0");
	gw_stop(gw_run());
	assert_string_equal(gw_program("gone0"), "mg_steer");
	assert_int_equal(lab_sh("ip link del gone0"), 0);
	/* A dispatcher's pins stay, as libxdp has it, until somebody asks for this ("xdp-loader
	 * clean").
	 */
	libxdp_clean_references(ifindex);
	/* its file may name what is gone */
	assert_int_equal(mg_dp_detach(gw_cfg), 0);
	gw_check_nothing_is_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_never_in_force, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_proxy_goes, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_start_without_steering, gw_set_up,
						gw_tear_down),
		cmocka_unit_test_setup_teardown(test_start_as_proxy, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_fewer_interfaces, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_others_gateway_stays, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_detach_twice, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_failed_start, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_interface_vanishes, gw_set_up, gw_tear_down),
	};

	return cmocka_run_group_tests(tests, gw_enter, NULL);
}
