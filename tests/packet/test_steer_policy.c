// SPDX-License-Identifier: BSD-2-Clause
/*
 * Policies of a gateway that steers without its daemon: they stay in force, until those of the next
 * one are, with no packet in between that none of them is asked about.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "gateway_rig.h"
#include "packet.h"
#include "sys/admission.h"

static struct mg_prefix clients = { .len = 128 };
static struct mg_config_subscribers subscribers = { .name = "these",
						    .prefixes = &clients,
						    .n_prefixes = 1 };
static size_t of_these[1] = { 0 };
static struct mg_config_policy policy = { .name = "no",
					  .subscribers = of_these,
					  .n_subscribers = 1,
					  .group = MG_CONFIG_NONE,
					  .deny = true };

/* The client of the rig's SYNs is denied; nothing is let through to be answered. */
static int set_up(void **state)
{
	int err = gw_set_up(state);

	assert_int_equal(mg_ip_parse(&clients.ip, "10.1.0.1"), 0);
	policy.deny = true;
	gw_cfg->converter.max_sessions = 65536;
	gw_cfg->policies = (struct mg_config_policies){
		.subscribers = &subscribers,
		.n_subscribers = 1,
		.policies = &policy,
		.n_policies = 1,
		.fallback = { .name = "default", .group = MG_CONFIG_NONE },
		.any = true,
		.key_ipv4_bits = 32,
		.key_ipv6_bits = 64,
	};
	return err;
}

struct stream {
	atomic_bool stop;
	atomic_uint sent;
};

static void *send_on(void *arg)
{
	struct stream *s = arg;
	uint8_t frame[FRAME_MAX];
	size_t len = gw_build_syn(frame);
	int fd = gw_far_end("ue0");

	while (!atomic_load(&s->stop)) {
		if (!gw_send_syn(fd, frame, len, atomic_load(&s->sent) + 100))
			atomic_fetch_add(&s->sent, 1);
		usleep(50);
	}
	close(fd);
	return NULL;
}

static void send_some(void)
{
	struct stream s = { 0 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, send_on, &s), 0);
	while (atomic_load(&s.sent) < 50)
		usleep(1000);
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
}

static void check_refused(void)
{
	int at_proxy = gw_tap("ue1"), at_kernel = gw_tap("px0");

	send_some();
	usleep(20000);
	assert_int_equal(gw_read_syns(at_proxy), 0);
	assert_int_equal(gw_read_syns(at_kernel), 0);
	close(at_proxy);
	close(at_kernel);
}

static void it_goes_on_without_a_daemon(void **state)
{
	struct mg_dp *dp;

	(void)state;
	gw_leave_one();
	gw_check_in_force();
	assert_true(lab_is_pinned(gw_cfg, "mg_policy_now"));
	check_refused();
	/* Another one takes over, by whose policies they are let in; and ends. */
	policy.deny = false;
	dp = gw_run();
	gw_check_steers();
	gw_stop(dp);
	gw_check_steers();
	/* And back again */
	policy.deny = true;
	dp = gw_run();
	check_refused();
	gw_stop(dp);
	check_refused();
	assert_int_equal(mg_dp_detach(gw_cfg), 0);
	gw_check_nothing_is_left();
	assert_false(lab_is_pinned(gw_cfg, "mg_policy_now"));
}

static void no_packet_slips_through_a_restart(void **state)
{
	int at_proxy, at_kernel;
	struct stream s = { 0 };
	pthread_t thread;

	(void)state;
	gw_leave_one();
	at_proxy = gw_tap("ue1");
	at_kernel = gw_tap("px0");
	assert_int_equal(pthread_create(&thread, NULL, send_on, &s), 0);
	for (int i = 0; i < 3; i++)
		gw_stop(gw_run());
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	print_message("%u SYNs during three restarts\n", s.sent);
	assert_true(s.sent > 300);
	assert_int_equal(gw_read_syns(at_proxy), 0);
	assert_int_equal(gw_read_syns(at_kernel), 0);
	close(at_proxy);
	close(at_kernel);
	assert_int_equal(mg_dp_detach(gw_cfg), 0);
}

/* What the next daemon counts by is its own: nothing of the former one's sessions is left. */
static void counts_begin_anew(void **state)
{
	struct mg_admit ask = { 0 };
	struct mg_account_row *rows;
	struct mg_dp *dp;
	uint32_t accounts;

	(void)state;
	policy.deny = false;
	gw_leave_one();
	dp = gw_run();
	memcpy(ask.client.ip, &clients.ip, sizeof(ask.client.ip));
	assert_int_equal(mg_admission_open_session(mg_dp_admission(dp), &ask), MG_ADMITTED);
	accounts = gw_map_id("mg_accounts");
	assert_int_equal(gw_entries("mg_accounts"), 1);
	gw_stop(dp);
	assert_int_equal(gw_map_id("mg_accounts"), accounts);
	dp = gw_run();
	assert_int_not_equal(gw_map_id("mg_accounts"), accounts);
	assert_int_equal(mg_admission_accounts(mg_dp_admission(dp), &rows), 0);
	gw_stop(dp);
	assert_int_equal(mg_dp_detach(gw_cfg), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_goes_on_without_a_daemon, set_up, gw_tear_down),
		cmocka_unit_test_setup_teardown(no_packet_slips_through_a_restart, set_up,
						gw_tear_down),
		cmocka_unit_test_setup_teardown(counts_begin_anew, set_up, gw_tear_down),
	};

	return cmocka_run_group_tests(tests, gw_enter, NULL);
}
