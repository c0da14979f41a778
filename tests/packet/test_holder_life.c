// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is held and what is not, as the configuration, the workers' signs of life and the memory of
 * servers have it; and what stays when the daemon goes, one way or the other.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "holder_rig.h"
#include "lab.h"

/* Without a sign of life nothing is held. */
static void test_no_beat(void **state)
{
	struct mg_config *cfg = rig_config();
	struct frame f = rig_syn4();
	struct mg_hold_counters c;
	uint8_t frame[FRAME_MAX];
	size_t len = far_build(frame, &f, false);

	(void)state;
	cfg->intercept.stale_ms = 1;
	assert_int_equal(mg_dp_set_intercept(rig_dp, cfg), 0);
	usleep(20000);
	rig_send(frame, len);
	rig_is_forwarded(frame, len);
	assert_int_equal(rig_told(QUIET_MS).n, 0);
	cfg->intercept.on_failure = MG_FAILURE_CLOSED;
	assert_int_equal(mg_dp_set_intercept(rig_dp, cfg), 0);
	f.sport = 40001;
	len = far_build(frame, &f, false);
	rig_send(frame, len);
	far_nothing_at(ue1);
	assert_int_equal(mg_hold_counters_read(rig_holder, &c), 0);
	assert_int_equal(c.unattended, 2);
}

/* A daemon that comes to itself leaves alone what went past it meanwhile. */
static void test_what_passed_is_over(void **state)
{
	struct mg_config *cfg = rig_config();
	struct frame f = rig_syn4(), g = rig_syn4();
	uint8_t frame[FRAME_MAX], other[FRAME_MAX];
	size_t len, other_len;
	struct told t;

	(void)state;
	g.sport = 43001;
	t = rig_held(&f, false, frame, &len);
	other_len = far_build(other, &g, false);
	rig_send(other, other_len);
	far_nothing_at(ue1);
	cfg->intercept.stale_ms = 1;
	assert_int_equal(mg_dp_set_intercept(rig_dp, cfg), 0);
	usleep(20000);
	/* their repetitions */
	rig_send(frame, len);
	rig_is_forwarded(frame, len);
	rig_send(other, other_len);
	rig_is_forwarded(other, other_len);
	assert_int_equal(mg_hold_take(rig_holder, t.frame, 0), -ESTALE);
	assert_int_equal(rig_told(QUIET_MS).n, 0);
	far_nothing_at(ue0);
	free(t.frame);
}

static void test_reload(void **state)
{
	static uint16_t eighty[] = { 80 };
	struct mg_config *cfg = rig_config();
	struct frame f = rig_syn4();
	uint8_t frame[FRAME_MAX];
	struct told t;
	size_t len;

	(void)state;
	cfg->intercept.except = eighty;
	cfg->intercept.n_except = 1;
	assert_int_equal(mg_dp_set_intercept(rig_dp, cfg), 0);
	rig_passes(f, 41000);
	cfg->intercept.n_except = 0;
	cfg->intercept.any_port = false;
	assert_int_equal(mg_dp_set_intercept(rig_dp, cfg), 0);
	rig_passes(f, 41001);
	cfg->intercept.ports = eighty;
	cfg->intercept.n_ports = 1;
	assert_int_equal(mg_dp_set_intercept(rig_dp, cfg), 0);
	f.sport = 41002;
	t = rig_held(&f, false, frame, &len);
	rig_forget(&t);
	cfg->intercept.mode = MG_MODE_TRANSPARENT;
	assert_int_equal(mg_dp_set_intercept(rig_dp, cfg), 0);
	rig_passes(rig_syn4(), 41003);
	cfg->intercept.mode = MG_MODE_TAKE_OVER;
	assert_int_equal(mg_dp_set_intercept(rig_dp, cfg), 0);
	mg_dp_stop_holding(rig_dp);
	rig_passes(rig_syn4(), 41004);
}

static void test_limit(void **state)
{
	struct mg_config *cfg = rig_config();
	struct frame f = rig_syn4();
	uint8_t frame[FRAME_MAX];
	struct told one, again;
	size_t len;

	(void)state;
	cfg->intercept.held_per_subscriber = 1;
	assert_int_equal(mg_dp_set_intercept(rig_dp, cfg), 0);
	one = rig_held(&f, false, frame, &len);
	rig_passes(f, 42000);
	rig_forget(&one);
	f.sport = 42001;
	again = rig_held(&f, false, frame, &len);
	rig_forget(&again);
}

/* What no worker came to read passes when the data plane is taken down. */
static void test_unread_passes_at_the_end(void **state)
{
	struct frame f = rig_syn4();
	uint8_t frame[FRAME_MAX];
	size_t len = far_build(frame, &f, false);

	(void)state;
	rig_send(frame, len);
	far_nothing_at(ue1);
	mg_dp_close(rig_dp);
	rig_dp = NULL;
	rig_is_forwarded(frame, len);
}

static void test_servers(void **state)
{
	struct mg_server_row *rows_now;
	struct mg_ep a, b;
	long n;

	(void)state;
	mg_ep_parse(&a, "10.4.0.2:80");
	mg_ep_parse(&b, "[fd00:4::2]:443");
	assert_int_equal(mg_hold_servers(rig_holder, &rows_now), 0);
	free(rows_now);
	assert_int_equal(mg_hold_forget(rig_holder, &a), -ENOENT);
	assert_int_equal(mg_hold_learn(rig_holder, &a, false), 0);
	assert_int_equal(mg_hold_learn(rig_holder, &b, true), 0);
	n = mg_hold_servers(rig_holder, &rows_now);
	assert_int_equal(n, 2);
	for (long i = 0; i < n; i++) {
		assert_true(mg_ep_equal(&rows_now[i].server, rows_now[i].mptcp ? &b : &a));
		assert_int_equal(rows_now[i].source, MG_SERVER_PROBE);
		assert_true(rows_now[i].expires_ms > 590000 && rows_now[i].expires_ms <= 600000);
	}
	assert_int_not_equal(rows_now[0].mptcp, rows_now[1].mptcp);
	free(rows_now);
	assert_int_equal(mg_hold_forget(rig_holder, &a), 0);
	assert_int_equal(mg_hold_servers(rig_holder, &rows_now), 1);
	assert_true(rows_now[0].mptcp);
	free(rows_now);
	assert_int_equal(mg_hold_learn(rig_holder, &a, true), 0);
	assert_int_equal(mg_hold_forget_all(rig_holder), 0);
	assert_int_equal(mg_hold_servers(rig_holder, &rows_now), 0);
	free(rows_now);
}

static void test_hybrid_knows(void **state)
{
	struct mg_config *cfg = rig_config();
	struct frame f = rig_syn4();
	uint8_t frame[FRAME_MAX];
	struct mg_ep server;
	struct told t;
	size_t len;

	(void)state;
	cfg->intercept.mode = MG_MODE_HYBRID;
	assert_int_equal(mg_dp_set_intercept(rig_dp, cfg), 0);
	mg_ep_parse(&server, "10.4.0.2:80");
	assert_int_equal(mg_hold_learn(rig_holder, &server, false), 0);
	t = rig_held(&f, false, frame, &len);
	assert_int_equal(t.syn.known, MG_KNOWN_PLAIN);
	assert_int_equal(t.syn.mode, MG_MODE_HYBRID);
	rig_forget(&t);
	assert_int_equal(mg_hold_learn(rig_holder, &server, true), 0);
	rig_passes(f, 43000);
}

static void test_second_holder_is_refused(void **state)
{
	struct mg_config *cfg = lab_config("lo", NULL);
	struct mg_dp *second;
	struct mg_ep listen;
	char other[64];

	(void)state;
	snprintf(other, sizeof(other), "%s-second", cfg->bpffs);
	cfg->bpffs = other;
	cfg->interfaces[0].xdp = MG_XDP_OFF;
	cfg->intercept.mode = MG_MODE_TAKE_OVER;
	cfg->intercept.held_max = 16;
	assert_int_equal(mg_dp_open(&second, cfg), -EBUSY);
	/* a converter does without */
	mg_ep_parse(&listen, "10.3.0.2:5124");
	cfg->intercept.mode = MG_MODE_OFF;
	cfg->converter.listen = &listen;
	cfg->converter.n_listen = 1;
	assert_int_equal(mg_dp_open(&second, cfg), 0);
	assert_null(mg_dp_holder(second));
	mg_dp_close(second);
}

static void test_nothing_is_left(void **state)
{
	(void)state;
	assert_false(lab_shows("ip link show mpgate0 2>/dev/null", "mpgate0"));
	assert_int_equal(rig_open(NULL), 0);
	assert_true(lab_shows("ip link show mpgate0 2>/dev/null", "mpgate0"));
	assert_true(lab_shows("tc filter show dev px0 ingress", "mg_hold"));
	assert_true(lab_shows("tc filter show dev px1 ingress", "mg_hold_core"));
	assert_true(lab_is_pinned(rig_config(), "mg_servers"));
	assert_false(lab_shows("ip -6 addr show dev mpgate0", "inet6"));
	rig_close(NULL);
	assert_false(lab_shows("ip link show mpgate0 2>/dev/null", "mpgate0"));
	assert_false(lab_shows("tc qdisc show", "clsact"));
	assert_false(lab_is_pinned(rig_config(), "mg_servers"));
}

/* What a killed daemon learned is still known; its filters and its device are not there twice. */
static void test_killed(void **state)
{
	struct mg_server_row *rows_now;
	struct mg_config *cfg = rig_config();
	struct frame f = rig_syn4();
	uint8_t frame[FRAME_MAX];
	struct mg_ep server;
	pid_t pid = fork();
	int status;
	size_t len;

	(void)state;
	if (!pid) {
		mg_ep_parse(&server, "10.4.0.2:80");
		_exit(rig_open_with(cfg) || mg_hold_learn(rig_holder, &server, true) ||
		      raise(SIGKILL));
	}
	assert_true(pid > 0);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	/* its last sign of life is good for a minute, but who gave it is gone */
	f.sport = 46000;
	len = far_build(frame, &f, false);
	rig_send(frame, len);
	rig_is_forwarded(frame, len);
	assert_true(lab_is_pinned(rig_config(), "mg_servers"));
	assert_int_equal(rig_open(NULL), 0);
	assert_int_equal(mg_hold_servers(rig_holder, &rows_now), 1);
	assert_true(rows_now[0].mptcp);
	free(rows_now);
	assert_int_equal(lab_sh("test $(tc filter show dev px0 ingress | grep -c handle) = 1"), 0);
	rig_close(NULL);
	assert_false(lab_shows("tc qdisc show", "clsact"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_beat, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_what_passed_is_over, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_reload, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_limit, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_unread_passes_at_the_end, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_servers, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_hybrid_knows, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_second_holder_is_refused, rig_open, rig_close),
		cmocka_unit_test(test_nothing_is_left),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, rig_enter, NULL);
}
