// SPDX-License-Identifier: BSD-2-Clause
/*
 * The data plane on real interfaces: modes, owners, left-overs, and nothing left behind.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "lab.h"
#include "rows.h"
#include "sys/dp.h"

static const struct frame convert_syn = { .flags = F_SYN,
					  .opts = B(MPC_V1),
					  .payload = B(CONVERT) };

static int enter(void **state)
{
	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
	return lab_enter();
}

static void set_converter(struct mg_dp *dp, const char *text)
{
	struct mg_ep ep;

	assert_int_equal(mg_ep_parse(&ep, text), 0);
	assert_int_equal(mg_dp_set_converters(dp, &ep, 1, NULL, 0), 0);
}

/* How many of class convert one more Convert SYN makes. */
static uint64_t send_convert_syn(struct mg_dp *dp, const char *from)
{
	struct mg_dp_counters before, after;
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, &convert_syn);

	assert_int_equal(mg_dp_counters_read(dp, &before), 0);
	/* veth delivers in softirq at the end of the send: counted when it returns, or shortly */
	assert_int_equal(lab_send(from, frame, len), 0);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(mg_dp_counters_read(dp, &after), 0);
		if (after.class[MG_CLASS_CONVERT] != before.class[MG_CLASS_CONVERT])
			break;
		usleep(1000);
	}
	return after.class[MG_CLASS_CONVERT] - before.class[MG_CLASS_CONVERT];
}

static void check_attached(enum mg_xdp_want want, const char *mode)
{
	struct mg_config *cfg = lab_config("px0", NULL);
	const struct mg_dp_interface *list;
	struct mg_dp *dp;

	cfg->interfaces[0].xdp = want;
	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	assert_int_equal(mg_dp_interfaces(dp, &list), 1);
	assert_string_equal(list[0].name, "px0");
	assert_memory_equal(list[0].xdp_mode, mode, strlen(mode));
	assert_int_not_equal(list[0].prog_id, 0);
	assert_int_not_equal(lab_xdp_id("px0"), 0);
	assert_true(lab_is_pinned(cfg, "mg_classes"));
	set_converter(dp, "10.3.0.2:5124");
	assert_int_equal(send_convert_syn(dp, "ue0"), 1);
	mg_dp_close(dp);
	assert_int_equal(lab_xdp_id("px0"), 0);
	assert_false(lab_is_pinned(cfg, "mg_classes"));
}

static void test_native(void **state)
{
	(void)state;
	check_attached(MG_XDP_NATIVE, "native");
}

static void test_auto_is_native_on_veth(void **state)
{
	(void)state;
	check_attached(MG_XDP_AUTO, "native");
}

static void test_generic(void **state)
{
	(void)state;
	check_attached(MG_XDP_GENERIC, "generic");
}

static void test_auto_falls_back(void **state)
{
	struct mg_config *cfg = lab_config("dm0", NULL);
	const struct mg_dp_interface *list;
	struct mg_dp *dp;

	(void)state;
	if (lab_sh("ip link add dm0 type ifb 2>/dev/null || ip link add dm0 type dummy"))
		skip();
	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	mg_dp_interfaces(dp, &list);
	assert_memory_equal(list[0].xdp_mode, "generic", 7);
	mg_dp_close(dp);
	cfg->interfaces[0].xdp = MG_XDP_NATIVE;
	assert_true(mg_dp_open(&dp, cfg) < 0);
	assert_null(dp);
	assert_int_equal(lab_sh("ip link del dm0"), 0);
}

static void test_off(void **state)
{
	struct mg_config *cfg = lab_config("px0", NULL);
	const struct mg_dp_interface *list;
	struct mg_dp *dp;

	(void)state;
	cfg->interfaces[0].xdp = MG_XDP_OFF;
	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	mg_dp_interfaces(dp, &list);
	assert_string_equal(list[0].xdp_mode, "off");
	assert_int_equal(list[0].prog_id, 0);
	assert_int_equal(lab_xdp_id("px0"), 0);
	assert_true(lab_is_pinned(cfg, "mg_converters"));
	mg_dp_close(dp);
}

static void test_no_such_interface(void **state)
{
	struct mg_config *cfg = lab_config("px0", "nowhere0");
	struct mg_dp *dp;

	(void)state;
	assert_int_equal(mg_dp_open(&dp, cfg), -ENODEV);
	assert_null(dp);
	assert_int_equal(lab_xdp_id("px0"), 0);
}

static void test_second_daemon_is_refused(void **state)
{
	struct mg_config *cfg = lab_config("px0", NULL);
	char other[64];
	struct mg_dp *dp;
	pid_t first = lab_daemon(cfg);
	uint32_t id = lab_xdp_id("px0");

	(void)state;
	assert_true(first > 0);
	snprintf(other, sizeof(other), "%s-second", cfg->bpffs);
	cfg->bpffs = other;
	assert_int_equal(mg_dp_open(&dp, cfg), -EBUSY);
	assert_int_equal(lab_xdp_id("px0"), id);
	/* nor on another interface with the same pins */
	cfg = lab_config("px1", NULL);
	assert_int_equal(mg_dp_open(&dp, cfg), -EBUSY);
	assert_true(lab_is_pinned(cfg, "mg_classes"));
	lab_kill(first);
}

static void test_second_daemon_elsewhere(void **state)
{
	struct mg_config *cfg = lab_config("px0", NULL);
	char other[64];
	struct mg_dp *dp;
	pid_t first = lab_daemon(cfg);

	(void)state;
	assert_true(first > 0);
	cfg = lab_config("px1", NULL);
	snprintf(other, sizeof(other), "%s-second", cfg->bpffs);
	cfg->bpffs = other;
	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	mg_dp_close(dp);
	assert_int_not_equal(lab_xdp_id("px0"), 0);
	cfg = lab_config("px0", NULL);
	assert_true(lab_is_pinned(cfg, "mg_classes"));
	lab_kill(first);
	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	mg_dp_close(dp);
}

static void check_leftovers_replaced(enum mg_xdp_want before, enum mg_xdp_want after)
{
	struct mg_config *cfg = lab_config("px0", "px1");
	struct mg_dp *dp;
	uint32_t stale;

	cfg->converter.source = MG_SOURCE_PRESERVED;
	cfg->interfaces[0].xdp = before;
	lab_kill(lab_daemon(cfg));
	stale = lab_xdp_id("px0");
	assert_int_not_equal(stale, 0);
	assert_true(lab_is_pinned(cfg, "mg_classes"));
	assert_true(lab_shows("tc filter show dev px1 ingress", "mg_tc"));

	cfg->interfaces[0].xdp = after;
	cfg->converter.source = MG_SOURCE_SHARED;
	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	assert_int_not_equal(lab_xdp_id("px0"), stale);
	assert_false(lab_shows("tc filter show dev px1 ingress", "mg_tc"));
	if (after != MG_XDP_OFF) {
		set_converter(dp, "10.3.0.2:5124");
		assert_int_equal(send_convert_syn(dp, "ue0"), 1);
	}
	mg_dp_close(dp);
	assert_int_equal(lab_xdp_id("px0"), 0);
	assert_false(lab_is_bpffs("/sys/fs/bpf"));
}

static void test_leftovers_are_replaced(void **state)
{
	(void)state;
	check_leftovers_replaced(MG_XDP_NATIVE, MG_XDP_NATIVE);
	check_leftovers_replaced(MG_XDP_GENERIC, MG_XDP_NATIVE);
	check_leftovers_replaced(MG_XDP_NATIVE, MG_XDP_GENERIC);
	check_leftovers_replaced(MG_XDP_NATIVE, MG_XDP_OFF);
}

static void test_foreign_program_is_kept(void **state)
{
	struct mg_config *cfg = lab_config("px1", "px0");
	struct mg_dp *dp;
	uint32_t id;

	(void)state;
	assert_int_equal(lab_attach_foreign_xdp("px0"), 0);
	id = lab_xdp_id("px0");
	assert_true(mg_dp_open(&dp, cfg) < 0);
	assert_int_equal(lab_xdp_id("px0"), id);
	assert_int_equal(lab_xdp_id("px1"), 0);
	lab_detach_xdp("px0");
}

static void test_tc_on_core_only(void **state)
{
	struct mg_config *cfg = lab_config("px0", "px1");
	struct mg_dp *dp;

	(void)state;
	cfg->converter.source = MG_SOURCE_PRESERVED;
	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	assert_true(lab_shows("tc filter show dev px1 ingress", "mg_tc"));
	assert_false(lab_shows("tc qdisc show dev px0", "clsact"));
	mg_dp_close(dp);
	assert_false(lab_shows("tc qdisc show dev px1", "clsact"));

	/* what others put there stays */
	assert_int_equal(lab_sh("tc qdisc add dev px1 clsact && tc filter add dev px1 egress "
				"protocol all prio 7 u32 match u32 0 0"),
			 0);
	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	mg_dp_close(dp);
	assert_true(lab_shows("tc filter show dev px1 egress", "pref 7"));
	assert_int_equal(lab_sh("tc qdisc del dev px1 clsact"), 0);
}

static void test_interface_vanishes(void **state)
{
	struct mg_config *cfg;
	struct mg_dp *dp;

	(void)state;
	assert_int_equal(lab_sh("ip link add gone0 type veth peer name gone1"), 0);
	cfg = lab_config("px0", "gone0");
	cfg->converter.source = MG_SOURCE_PRESERVED;
	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	assert_int_equal(lab_sh("ip link del gone0"), 0);
	mg_dp_close(dp);
	assert_int_equal(lab_xdp_id("px0"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_auto_is_native_on_veth),
		cmocka_unit_test(test_generic),
		cmocka_unit_test(test_auto_falls_back),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_no_such_interface),
		cmocka_unit_test(test_second_daemon_is_refused),
		cmocka_unit_test(test_second_daemon_elsewhere),
		cmocka_unit_test(test_leftovers_are_replaced),
		cmocka_unit_test(test_foreign_program_is_kept),
		cmocka_unit_test(test_tc_on_core_only),
		cmocka_unit_test(test_interface_vanishes),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
