// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where maps are pinned: a bpffs comes when there is none and goes when nobody needs it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "lab.h"
#include "sys/dp.h"

static int enter(void **state)
{
	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
	return lab_enter();
}

static struct mg_dp *open_dp(const struct mg_config *cfg)
{
	struct mg_dp *dp;

	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	assert_true(lab_is_pinned(cfg, "mg_classes"));
	return dp;
}

/*
 * Away from /sys/fs/bpf, with a directory above it that must stay visible. libxdp's own pins go
 * there too, and it settles their place once in a process: so this test is the first, and the
 * others attach nothing.
 */
static void test_place_of_its_own(void **state)
{
	struct mg_config *cfg = lab_config("px0", NULL);
	char top[64], dir[72], file[72];
	struct mg_dp *dp;

	(void)state;
	snprintf(top, sizeof(top), "/tmp/mpgate-packet-%d", (int)getpid());
	snprintf(dir, sizeof(dir), "%s/bpf", top);
	snprintf(file, sizeof(file), "%s/file", top);
	assert_int_equal(mkdir(top, 0700), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	cfg->bpffs = dir;
	dp = open_dp(cfg);
	assert_true(lab_is_bpffs(dir));
	assert_false(lab_is_bpffs("/sys/fs/bpf"));
	assert_int_not_equal(lab_xdp_id("px0"), 0);
	assert_int_equal(access(file, F_OK), 0);
	mg_dp_close(dp);
	assert_int_equal(lab_xdp_id("px0"), 0);
	assert_false(lab_is_bpffs(dir));
	assert_int_equal(rmdir(file), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rmdir(top), 0);
}

static struct mg_config *without_xdp(void)
{
	struct mg_config *cfg = lab_config("px0", NULL);

	cfg->interfaces[0].xdp = MG_XDP_OFF;
	return cfg;
}

static void test_missing_is_mounted(void **state)
{
	struct mg_dp *dp = open_dp(without_xdp());

	(void)state;
	assert_true(lab_is_bpffs("/sys/fs/bpf"));
	mg_dp_close(dp);
	assert_false(lab_is_bpffs("/sys/fs/bpf"));
}

static void test_others_stays(void **state)
{
	struct mg_config *cfg = without_xdp();
	struct mg_dp *dp;

	(void)state;
	assert_int_equal(mount("bpffs", "/sys/fs/bpf", "bpf", 0, NULL), 0);
	dp = open_dp(cfg);
	mg_dp_close(dp);
	assert_true(lab_is_bpffs("/sys/fs/bpf"));
	assert_int_equal(access(cfg->bpffs, F_OK), -1);
	assert_int_equal(umount("/sys/fs/bpf"), 0);
}

/* Ours, but somebody pinned something there: it stays until that is gone. */
static void test_used_by_others_stays(void **state)
{
	struct mg_config *cfg = without_xdp();
	struct mg_dp *dp = open_dp(cfg);

	(void)state;
	assert_int_equal(mkdir("/sys/fs/bpf/somebody", 0700), 0);
	mg_dp_close(dp);
	assert_true(lab_is_bpffs("/sys/fs/bpf"));
	assert_int_equal(rmdir("/sys/fs/bpf/somebody"), 0);
	dp = open_dp(cfg);
	mg_dp_close(dp);
	assert_false(lab_is_bpffs("/sys/fs/bpf"));
}

/* The last of two daemons takes the mount away, whichever made it. */
static void test_shared_by_two(void **state)
{
	struct mg_config *cfg = without_xdp();
	struct mg_dp *first = open_dp(cfg), *second;
	char dir[72];

	(void)state;
	cfg = lab_config("px1", NULL);
	cfg->interfaces[0].xdp = MG_XDP_OFF;
	snprintf(dir, sizeof(dir), "%s-b", cfg->bpffs);
	cfg->bpffs = dir;
	second = open_dp(cfg);
	mg_dp_close(first);
	assert_true(lab_is_pinned(cfg, "mg_classes"));
	mg_dp_close(second);
	assert_false(lab_is_bpffs("/sys/fs/bpf"));
}

static void test_killed_ones_pins_go(void **state)
{
	struct mg_config *cfg = without_xdp();
	pid_t first = lab_daemon(cfg);
	struct mg_dp *dp;

	(void)state;
	assert_true(first > 0);
	lab_kill(first);
	assert_true(lab_is_pinned(cfg, "mg_classes"));
	dp = open_dp(cfg);
	mg_dp_close(dp);
	assert_false(lab_is_bpffs("/sys/fs/bpf"));
}

static void test_relative_path_is_refused(void **state)
{
	struct mg_config *cfg = without_xdp();
	char dir[] = "bpf/here";
	struct mg_dp *dp;

	(void)state;
	cfg->bpffs = dir;
	assert_int_equal(mg_dp_open(&dp, cfg), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place_of_its_own),
		cmocka_unit_test(test_missing_is_mounted),
		cmocka_unit_test(test_others_stays),
		cmocka_unit_test(test_used_by_others_stays),
		cmocka_unit_test(test_shared_by_two),
		cmocka_unit_test(test_killed_ones_pins_go),
		cmocka_unit_test(test_relative_path_is_refused),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
