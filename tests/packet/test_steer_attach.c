// SPDX-License-Identifier: BSD-2-Clause
/*
 * Steering stays in force when the daemon ends, however it ends; the next one takes it over without
 * a packet going unsteered; and there are ways to be rid of it.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "abi/steer.h"
#include "base/log.h"
#include "packet.h"
#include "rows.h"
#include "steer_live.h"

static struct mg_config *cfg;

static int enter(void **state)
{
	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
	/* The peer of a veth takes what XDP redirects to it only if it polls. */
	return lab_enter() || lab_sh("ethtool -K ue1 gro on") ? -1 : 0;
}

static struct mg_dp *running; /* also after a test that failed */

static struct mg_dp *run(void)
{
	return running = live_open(cfg);
}

static void stop(struct mg_dp *dp)
{
	running = NULL;
	mg_dp_close(dp);
}

static int set_up(void **state)
{
	(void)state;
	cfg = live_config();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stop(running);
	return mg_dp_detach(live_config());
}

static void check_nothing_is_left(void)
{
	assert_int_equal(lab_xdp_id("px0"), 0);
	assert_int_equal(lab_xdp_id("px1"), 0);
	assert_false(lab_is_pinned(cfg, "mg_flows"));
	assert_false(lab_is_bpffs("/sys/fs/bpf"));
}

static void check_in_force(void)
{
	assert_string_equal(live_program("px0"), "mg_steer");
	assert_string_equal(live_program("px1"), "mg_steer");
	assert_true(lab_is_pinned(cfg, "mg_flows"));
	assert_true(lab_is_pinned(cfg, "mg_classes"));
	assert_true(lab_is_bpffs("/sys/fs/bpf"));
}

/* A gateway that was, and is not running */
static void leave_one(void)
{
	struct mg_dp *dp = run();

	live_fill(mg_dp_steer(dp));
	stop(dp);
	check_in_force();
}

/* ---- packets --------------------------------------------------------------------------------- */
/* What comes by an interface, after XDP */
static int tap(const char *interface)
{
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	int on = 1, room = 16 << 20;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

/* Of those: SYNs to a virtual address; reads for as long as they come. */
static uint32_t read_syns(int fd)
{
	uint8_t frame[FRAME_MAX];
	uint32_t n = 0;
	ssize_t len;

	while ((len = recv(fd, frame, sizeof(frame), 0)) > 0)
		n += len >= 54 && frame[12] == 8 && frame[13] == 0 && frame[23] == 6 &&
		     frame[30] == 10 && frame[31] == 9;
	return n;
}

static uint32_t wait_for_syns(int fd, uint32_t wanted)
{
	uint32_t n = 0;

	for (int i = 0; i < 1000 && n < wanted; i++) {
		n += read_syns(fd);
		if (n < wanted)
			usleep(1000);
	}
	return n;
}

struct stream {
	atomic_bool stop;
	atomic_uint sent, failed;
};

static const struct frame virtual_syn = { .dst = "10.9.0.1", .flags = F_SYN, .opts = B(MPC_V1) };

static int send_one(int fd, uint8_t *frame, size_t len, uint32_t number)
{
	/* sequence number and source port: another session each time */
	memcpy(frame + 34, &number, 2);
	memcpy(frame + 38, &number, 4);
	return send(fd, frame, len, 0) == (ssize_t)len ? 0 : -1;
}

static int far_end(const char *interface)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

static void *stream(void *arg)
{
	struct stream *s = arg;
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, &virtual_syn);
	int fd = far_end("ue0");

	while (!atomic_load(&s->stop)) {
		if (send_one(fd, frame, len, atomic_load(&s->sent) + 1))
			atomic_fetch_add(&s->failed, 1);
		else
			atomic_fetch_add(&s->sent, 1);
		usleep(50);
	}
	close(fd);
	return NULL;
}

static void send_syns(uint32_t n)
{
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, &virtual_syn);
	int fd = far_end("ue0");

	for (uint32_t i = 1; i <= n; i++)
		assert_int_equal(send_one(fd, frame, len, i), 0);
	close(fd);
}

/* Sent by px1 to the proxy there, none goes to the kernel. */
static void check_steers(void)
{
	int at_proxy = tap("ue1"), at_kernel = tap("px0");

	send_syns(10);
	assert_int_equal(wait_for_syns(at_proxy, 10), 10);
	assert_int_equal(read_syns(at_kernel), 0);
	close(at_proxy);
	close(at_kernel);
}

static uint64_t counted(enum mg_steer_counter which)
{
	int cpus = libbpf_num_possible_cpus(), fd = live_map(cfg, "mg_steer_stats");
	struct mg_steer_counters *values = calloc((size_t)cpus, sizeof(*values));
	uint32_t zero = 0;
	uint64_t sum = 0;

	assert_int_equal(bpf_map_lookup_elem(fd, &zero, values), 0);
	for (int c = 0; c < cpus; c++)
		sum += ((uint64_t *)&values[c])[which];
	free(values);
	close(fd);
	return sum;
}

/* ---- staying --------------------------------------------------------------------------------- */
static void check_life(enum mg_xdp_want want, const char *mode)
{
	const struct mg_dp_interface *list;
	uint32_t first, flows;
	struct mg_dp *dp;

	cfg->interfaces[0].xdp = cfg->interfaces[1].xdp = want;
	leave_one();
	first = lab_xdp_id("px0");
	flows = live_map_id(cfg, "mg_flows");
	check_steers();
	assert_int_equal(counted(MG_STEER_COUNT_NEW), 10);

	dp = run();
	check_in_force();
	assert_int_not_equal(lab_xdp_id("px0"), first);
	assert_int_equal(live_map_id(cfg, "mg_flows"), flows);
	assert_int_equal(live_entries(cfg, "mg_flows"), 10);
	assert_int_equal(mg_dp_interfaces(dp, &list), 2);
	for (int i = 0; i < 2; i++) {
		assert_memory_equal(list[i].xdp_mode, mode, strlen(mode));
		assert_int_not_equal(list[i].prog_id, 0);
	}
	/* the same ones: their flows are known */
	check_steers();
	assert_int_equal(counted(MG_STEER_COUNT_NEW), 10);
	mg_dp_look(dp);
	assert_memory_equal(list[0].xdp_mode, mode, strlen(mode));
	live_take_off("px1");
	mg_dp_look(dp);
	assert_string_equal(list[1].xdp_mode, "lost");
	stop(dp);
	assert_string_equal(live_program("px0"), "mg_steer");
	/* what was lost is back */
	stop(run());
	check_in_force();
	assert_int_equal(mg_dp_detach(cfg), 0);
	check_nothing_is_left();
}

static void test_life(void **state)
{
	(void)state;
	check_life(MG_XDP_AUTO, "native");
	check_life(MG_XDP_NATIVE, "native");
}

static void test_life_generic(void **state)
{
	(void)state;
	check_life(MG_XDP_GENERIC, "generic");
}

/* Whoever has chosen another mode has chosen a moment without. */
static void test_other_mode(void **state)
{
	struct mg_dp *dp;
	const struct mg_dp_interface *list;

	(void)state;
	leave_one();
	cfg->interfaces[0].xdp = MG_XDP_GENERIC;
	dp = run();
	mg_dp_interfaces(dp, &list);
	assert_memory_equal(list[0].xdp_mode, "generic", 7);
	stop(dp);
	/* but with auto nothing is tried that costs one */
	cfg->interfaces[0].xdp = MG_XDP_AUTO;
	dp = run();
	mg_dp_interfaces(dp, &list);
	assert_memory_equal(list[0].xdp_mode, "generic", 7);
	stop(dp);
	cfg->interfaces[0].xdp = MG_XDP_OFF;
	dp = run();
	assert_int_equal(lab_xdp_id("px0"), 0);
	stop(dp);
	assert_string_equal(live_program("px1"), "mg_steer");
}

static void test_killed(void **state)
{
	uint32_t gateway_id;
	struct mg_dp *dp;
	pid_t pid;

	(void)state;
	leave_one();
	pid = lab_daemon(cfg);
	assert_true(pid > 0);
	assert_int_equal(mg_dp_open(&dp, cfg), -EBUSY);
	assert_int_equal(mg_dp_detach(cfg), -EBUSY);
	check_in_force();
	lab_kill(pid);
	check_in_force();
	check_steers();
	gateway_id = live_map_id(cfg, "mg_gateway");
	dp = run();
	assert_int_equal(live_map_id(cfg, "mg_gateway"), gateway_id);
	assert_int_equal(live_entries(cfg, "mg_flows"), 10);
	stop(dp);
	check_in_force();
}

/* Sizes change, so that maps are made anew; the sessions that began meanwhile are in them. */
static void test_other_sizes(void **state)
{
	(void)state;
	leave_one();
	check_steers();
	cfg->steer.gateway.flows_max = LIVE_FLOWS * 3;
	stop(run());
	check_steers();
	assert_int_equal(counted(MG_STEER_COUNT_NEW), 10);
	assert_int_equal(live_entries(cfg, "mg_flows"), 10);
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
	cfg->steer.gateway.flows_max = 65536;
	leave_one();
	at_proxy = tap("ue1");
	at_kernel = tap("px0");
	assert_int_equal(pthread_create(&thread, NULL, stream, &s), 0);
	for (int i = 0; i < 8; i++) {
		uint32_t before = atomic_load(&s.sent);

		cfg->steer.gateway.flows_max = 65536U << i % 2;
		stop(run());
		assert_true(atomic_load(&s.sent) > before + 20);
		arrived += read_syns(at_proxy);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&s.failed), 0);
	arrived += wait_for_syns(at_proxy, atomic_load(&s.sent) - arrived);
	assert_int_equal(arrived, atomic_load(&s.sent));
	assert_int_equal(read_syns(at_kernel), 0);
	print_message("# %u SYNs in 8 restarts\n", arrived);
	close(at_proxy);
	close(at_kernel);
}

/* The mount namespace of a daemon is gone, and its bpffs with it: the program still has its maps.
 */
static void test_pins_are_gone(void **state)
{
	uint32_t flows;
	struct mg_dp *dp;

	(void)state;
	leave_one();
	check_steers();
	flows = live_map_id(cfg, "mg_flows");
	assert_int_equal(umount2("/sys/fs/bpf", MNT_DETACH), 0);
	assert_false(lab_is_pinned(cfg, "mg_flows"));
	dp = run();
	check_in_force();
	assert_int_equal(live_map_id(cfg, "mg_flows"), flows);
	assert_int_equal(live_entries(cfg, "mg_flows"), 10);
	assert_true(lab_is_pinned(cfg, "mg_ring"));
	assert_int_equal(mg_steer_ring(mg_dp_steer(dp), 1)[7].current, 1);
	stop(dp);
	check_in_force();
	check_steers();
	assert_int_equal(counted(MG_STEER_COUNT_NEW), 10);
	/* but who does not steer wants none of it */
	assert_int_equal(umount2("/sys/fs/bpf", MNT_DETACH), 0);
	cfg = lab_config("px0", "px1");
	dp = run();
	assert_string_equal(live_program("px0"), "mg_xdp");
	assert_false(lab_is_pinned(cfg, "mg_flows"));
	stop(dp);
	check_nothing_is_left();
}

/* ---- not staying ----------------------------------------------------------------------------- */
static void test_never_in_force(void **state)
{
	(void)state;
	stop(run());
	check_nothing_is_left();
}

static void test_proxy_goes(void **state)
{
	struct mg_gateway g = { .self = 1 };
	struct mg_dp *dp;

	(void)state;
	cfg->steer.is_gateway = false;
	cfg->steer.n_groups = 0;
	cfg->steer.n_gateways = 1;
	dp = run();
	assert_string_equal(live_program("px0"), "mg_steer");
	assert_int_equal(mg_steer_set_gateway(mg_dp_steer(dp), &g), 0);
	assert_null(mg_steer_ring(mg_dp_steer(dp), 1));
	stop(dp);
	check_nothing_is_left();
}

static void test_start_without_steering(void **state)
{
	struct mg_dp *dp;

	(void)state;
	leave_one();
	cfg = lab_config("px0", "px1");
	dp = run();
	assert_null(mg_dp_steer(dp));
	assert_string_equal(live_program("px0"), "mg_xdp");
	assert_string_equal(live_program("px1"), "mg_xdp");
	assert_false(lab_is_pinned(cfg, "mg_flows"));
	assert_false(lab_is_pinned(cfg, "mg_gateway"));
	assert_true(lab_is_pinned(cfg, "mg_classes"));
	stop(dp);
	check_nothing_is_left();
}

/* From a gateway that was, a proxy takes over nothing but the counters. */
static void test_start_as_proxy(void **state)
{
	struct mg_steer_proxy p;
	struct mg_dp *dp;

	(void)state;
	leave_one();
	check_steers();
	cfg->steer.is_gateway = false;
	cfg->steer.n_groups = 0;
	dp = run();
	assert_int_equal(counted(MG_STEER_COUNT_NEW), 10);
	assert_int_equal(live_entries(cfg, "mg_flows"), 0);
	assert_int_equal(mg_steer_get_proxy(mg_dp_steer(dp), 1, &p), 0);
	assert_int_equal(p.used, 0);
	stop(dp);
	check_nothing_is_left();
}

/* An interface is not in the configuration any more: it is not steered on any more. */
static void test_fewer_interfaces(void **state)
{
	struct mg_dp *dp;

	(void)state;
	leave_one();
	cfg->n_interfaces = 1;
	dp = run();
	assert_string_equal(live_program("px0"), "mg_steer");
	assert_string_equal(live_program("px1"), "");
	stop(dp);
	assert_string_equal(live_program("px0"), "mg_steer");
	/* and without steering at all, nowhere */
	cfg->interfaces[0] = cfg->interfaces[1];
	snprintf(cfg->interfaces[0].name, IFNAMSIZ, "px1");
	cfg->steer.n_proxies = 0;
	cfg->steer.is_gateway = false;
	dp = run();
	assert_string_equal(live_program("px0"), "");
	assert_string_equal(live_program("px1"), "mg_xdp");
	stop(dp);
	check_nothing_is_left();
}

/* Another's, who keeps its pins elsewhere, is none of our business. */
static void test_others_gateway_stays(void **state)
{
	char other[80], *ours = cfg->bpffs;
	struct mg_dp *dp;

	(void)state;
	leave_one();
	snprintf(other, sizeof(other), "%s-other", ours);
	cfg->bpffs = other;
	cfg->n_interfaces = 1;
	snprintf(cfg->interfaces[0].name, IFNAMSIZ, "lo");
	cfg->interfaces[0].xdp = MG_XDP_OFF;
	dp = run();
	live_fill(mg_dp_steer(dp));
	stop(dp);
	assert_int_equal(mg_dp_detach(cfg), 0);
	cfg->bpffs = ours;
	check_in_force();
}

static void test_detach_twice(void **state)
{
	(void)state;
	leave_one();
	assert_int_equal(mg_dp_detach(cfg), 0);
	check_nothing_is_left();
	assert_int_equal(mg_dp_detach(cfg), 0);
	check_nothing_is_left();
}

/* A start that fails leaves in force what was. */
static void test_failed_start(void **state)
{
	uint32_t flows;
	struct mg_dp *dp;

	(void)state;
	leave_one();
	flows = live_map_id(cfg, "mg_flows");
	snprintf(cfg->interfaces[1].name, IFNAMSIZ, "nowhere0");
	assert_int_equal(mg_dp_open(&dp, cfg), -ENODEV);
	snprintf(cfg->interfaces[1].name, IFNAMSIZ, "px1");
	check_in_force();
	/* later on: the program of the first interface is replaced, the second refuses */
	live_take_off("px1");
	assert_int_equal(lab_attach_foreign_xdp("px1"), 0);
	cfg->steer.gateway.flows_max = LIVE_FLOWS * 2;
	assert_true(mg_dp_open(&dp, cfg) < 0);
	assert_string_equal(live_program("px0"), "mg_steer");
	assert_int_equal(live_map_id(cfg, "mg_flows"), flows);
	lab_detach_xdp("px1");
	/* earlier, while loading: too many groups */
	cfg->steer.n_groups = MG_GROUPS_MAX;
	assert_true(mg_dp_open(&dp, cfg) < 0);
	assert_string_equal(live_program("px0"), "mg_steer");
	assert_int_equal(live_map_id(cfg, "mg_flows"), flows);
}

static void test_interface_vanishes(void **state)
{
	(void)state;
	leave_one();
	assert_int_equal(lab_sh("ip link add gone0 type veth peer name gone1"), 0);
	snprintf(cfg->interfaces[1].name, IFNAMSIZ, "gone0");
	stop(run());
	assert_string_equal(live_program("gone0"), "mg_steer");
	assert_int_equal(lab_sh("ip link del gone0"), 0);
	/* its file may name what is gone */
	assert_int_equal(mg_dp_detach(cfg), 0);
	check_nothing_is_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_life_generic, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_mode, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_sizes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_packet_goes_unsteered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pins_are_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_never_in_force, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_proxy_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_start_without_steering, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_start_as_proxy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fewer_interfaces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_others_gateway_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_detach_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_interface_vanishes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
