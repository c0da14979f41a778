// SPDX-License-Identifier: BSD-2-Clause
/*
 * Steering stays in force when the daemon ends, however it ends; the next one takes it over without
 * a packet going unsteered.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway_rig.h"
#include "packet.h"

struct stream {
	atomic_bool stop;
	atomic_uint sent, failed;
};

static void *stream(void *arg)
{
	struct stream *s = arg;
	uint8_t frame[FRAME_MAX];
	size_t len = gw_build_syn(frame);
	int fd = gw_far_end("ue0");

	while (!atomic_load(&s->stop)) {
		if (gw_send_syn(fd, frame, len, atomic_load(&s->sent) + 1))
			atomic_fetch_add(&s->failed, 1);
		else
			atomic_fetch_add(&s->sent, 1);
		usleep(50);
	}
	close(fd);
	return NULL;
}

static void check_life(enum mg_xdp_want want, const char *mode)
{
	const struct mg_dp_interface *list;
	uint32_t first, flows;
	struct mg_dp *dp;

	gw_cfg->interfaces[0].xdp = gw_cfg->interfaces[1].xdp = want;
	gw_leave_one();
	first = lab_xdp_id("px0");
	flows = gw_map_id("mg_flows");
	gw_check_steers();
	assert_int_equal(gw_counted(MG_STEER_COUNT_NEW), 10);

	dp = gw_run();
	gw_check_in_force();
	assert_int_not_equal(lab_xdp_id("px0"), first);
	assert_int_equal(gw_map_id("mg_flows"), flows);
	assert_int_equal(gw_entries("mg_flows"), 10);
	assert_int_equal(mg_dp_interfaces(dp, &list), 2);
	for (int i = 0; i < 2; i++) {
		assert_memory_equal(list[i].xdp_mode, mode, strlen(mode));
		assert_int_not_equal(list[i].prog_id, 0);
	}
	/* the same ones: their flows are known */
	gw_check_steers();
	assert_int_equal(gw_counted(MG_STEER_COUNT_NEW), 10);
	mg_dp_look(dp);
	assert_memory_equal(list[0].xdp_mode, mode, strlen(mode));
	gw_take_off("px1");
	mg_dp_look(dp);
	assert_string_equal(list[1].xdp_mode, "lost");
	gw_stop(dp);
	assert_string_equal(gw_program("px0"), "mg_steer");
	/* what was lost is back */
	gw_stop(gw_run());
	gw_check_in_force();
	assert_int_equal(mg_dp_detach(gw_cfg), 0);
	gw_check_nothing_is_left();
}

static void test_life(void **state)
{
	(void)state;
	check_life(MG_XDP_AUTO, "native");
}

/* Where the far end need not poll */
static void test_life_generic(void **state)
{
	(void)state;
	assert_int_equal(lab_sh("ethtool -K ue1 gro off"), 0);
	check_life(MG_XDP_GENERIC, "generic");
	assert_int_equal(lab_sh("ethtool -K ue1 gro on"), 0);
}

/* Whoever has chosen another mode has chosen a moment without. */
static void test_other_mode(void **state)
{
	struct mg_dp *dp;
	const struct mg_dp_interface *list;

	(void)state;
	gw_leave_one();
	gw_cfg->interfaces[0].xdp = MG_XDP_GENERIC;
	dp = gw_run();
	mg_dp_interfaces(dp, &list);
	assert_memory_equal(list[0].xdp_mode, "generic", 7);
	gw_stop(dp);
	/* but with auto nothing is tried that costs one */
	gw_cfg->interfaces[0].xdp = MG_XDP_AUTO;
	dp = gw_run();
	mg_dp_interfaces(dp, &list);
	assert_memory_equal(list[0].xdp_mode, "generic", 7);
	gw_stop(dp);
	gw_cfg->interfaces[0].xdp = MG_XDP_OFF;
	dp = gw_run();
	assert_int_equal(lab_xdp_id("px0"), 0);
	gw_stop(dp);
	assert_string_equal(gw_program("px1"), "mg_steer");
}

static void test_killed(void **state)
{
	uint32_t gateway_id;
	struct mg_dp *dp;
	pid_t pid;

	(void)state;
	gw_leave_one();
	pid = lab_daemon(gw_cfg);
	assert_true(pid > 0);
	assert_int_equal(mg_dp_open(&dp, gw_cfg), -EBUSY);
	assert_int_equal(mg_dp_detach(gw_cfg), -EBUSY);
	gw_check_in_force();
	lab_kill(pid);
	gw_check_in_force();
	gw_check_steers();
	gateway_id = gw_map_id("mg_gateway");
	dp = gw_run();
	assert_int_equal(gw_map_id("mg_gateway"), gateway_id);
	assert_int_equal(gw_entries("mg_flows"), 10);
	gw_stop(dp);
	gw_check_in_force();
}

/* Sizes change, so that maps are made anew; the sessions that began meanwhile are in them. */
static void test_other_sizes(void **state)
{
	(void)state;
	gw_leave_one();
	gw_check_steers();
	gw_cfg->steer.gateway.flows_max = GW_FLOWS * 3;
	gw_stop(gw_run());
	gw_check_steers();
	assert_int_equal(gw_counted(MG_STEER_COUNT_NEW), 10);
	assert_int_equal(gw_entries("mg_flows"), 10);
}

/*
 * One restart after the other, of the same size and of others, while SYNs come: each is brought to
 * the proxy, and the kernel sees none.
 */
static void test_no_packet_goes_unsteered(void **state)
{
	int at_proxy, at_kernel;
	struct stream s = { 0 };
	uint32_t arrived = 0;
	pthread_t thread;

	(void)state;
	gw_cfg->steer.gateway.flows_max = 65536;
	gw_leave_one();
	at_proxy = gw_tap("ue1");
	at_kernel = gw_tap("px0");
	assert_int_equal(pthread_create(&thread, NULL, stream, &s), 0);
	for (int i = 0; i < 6; i++) {
		uint32_t before = atomic_load(&s.sent);

		gw_cfg->steer.gateway.flows_max = 65536U << i % 2;
		gw_stop(gw_run());
		assert_true(atomic_load(&s.sent) > before + 20);
		arrived += gw_read_syns(at_proxy);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&s.failed), 0);
	arrived += gw_wait_for_syns(at_proxy, atomic_load(&s.sent) - arrived);
	assert_int_equal(arrived, atomic_load(&s.sent));
	assert_int_equal(gw_read_syns(at_kernel), 0);
	print_message("# %u SYNs in 6 restarts\n", arrived);
	close(at_proxy);
	close(at_kernel);
}

/*
 * libxdp's dispatcher is nothing without its pins: whose program was behind it has none any more,
 * and somebody has to take the dispatcher away.
 */
static void check_dispatcher_is_lost(void)
{
	struct mg_dp *dp;

	assert_int_not_equal(lab_xdp_id("px0"), 0);
	assert_int_equal(mg_dp_open(&dp, gw_cfg), -EBUSY);
	gw_take_off("px0");
	gw_take_off("px1");
	gw_stop(gw_run());
	gw_check_in_force();
}

/* The mount namespace of a daemon is gone, and its bpffs with it: the program still has its maps.
 */
static void test_pins_are_gone(void **state)
{
	uint32_t flows;
	struct mg_dp *dp;

	(void)state;
	gw_leave_one();
	gw_check_steers();
	flows = gw_map_id("mg_flows");
	assert_int_equal(umount2("/sys/fs/bpf", MNT_DETACH), 0);
	assert_false(lab_is_pinned(gw_cfg, "mg_flows"));
	if (!gw_program("px0")[0]) {
		check_dispatcher_is_lost();
		return;
	}
	dp = gw_run();
	gw_check_in_force();
	assert_int_equal(gw_map_id("mg_flows"), flows);
	assert_int_equal(gw_entries("mg_flows"), 10);
	assert_true(lab_is_pinned(gw_cfg, "mg_ring"));
	assert_int_equal(mg_steer_ring(mg_dp_steer(dp), 1)[7].current, 1);
	gw_stop(dp);
	gw_check_in_force();
	gw_check_steers();
	assert_int_equal(gw_counted(MG_STEER_COUNT_NEW), 10);
	/* but who does not steer wants none of it */
	assert_int_equal(umount2("/sys/fs/bpf", MNT_DETACH), 0);
	gw_cfg = lab_config("px0", "px1");
	dp = gw_run();
	assert_string_equal(gw_program("px0"), "mg_xdp");
	assert_false(lab_is_pinned(gw_cfg, "mg_flows"));
	gw_stop(dp);
	gw_check_nothing_is_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_life_generic, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_other_mode, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_killed, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_other_sizes, gw_set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_no_packet_goes_unsteered, gw_set_up,
						gw_tear_down),
		cmocka_unit_test_setup_teardown(test_pins_are_gone, gw_set_up, gw_tear_down),
	};

	return cmocka_run_group_tests(tests, gw_enter, NULL);
}
