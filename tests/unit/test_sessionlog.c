// SPDX-License-Identifier: BSD-2-Clause
/* The log of sessions: every record is a line, once, over rotations, full disks and reloads; a
 * worker never waits. */
#include "mg_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/logfile.h"
#include "proxy/sessionlog.h"

#define WORKERS 4
#define RECORDS 20000 /* of each; about 5 MB a worker */

static char dir[] = "/tmp/mpgate-sessionlog-XXXXXX";
static char path[128];

/* ---- a disk that is full, and syslog --------------------------------------------------------- */

static _Atomic bool disk_full;
static _Atomic size_t room; /* on the full one */
static _Atomic unsigned int n_syslog;
static char last_syslog[MG_SESSIONLOG_LINE_MAX_BYTES];

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
void __wrap_syslog(int priority, const char *format, ...);

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
	size_t left;

	if (len <= sizeof(uint64_t) || !disk_full)
		return __real_write(fd, data, len);
	left = atomic_exchange(&room, 0);
	if (left)
		return __real_write(fd, data, left < len ? left : len);
	errno = ENOSPC;
	return -1;
}

void __wrap_syslog(int priority, const char *format, ...)
{
	va_list args;

	assert_int_equal(priority, LOG_DAEMON | LOG_INFO);
	va_start(args, format);
	vsnprintf(last_syslog, sizeof(last_syslog), format, args);
	va_end(args);
	atomic_fetch_add(&n_syslog, 1);
}

/* ---- what is in the files -------------------------------------------------------------------- */

struct seen {
	uint64_t *times; /* by session id, how often it was there */
	uint64_t n, lines, lost;
};

static void look_at_line(const char *line, struct seen *seen)
{
	const char *session = strstr(line, "\"session\":"), *lost = strstr(line, "\"lines\":");
	size_t len = strlen(line);

	assert_true(len > 3 && strncmp(line, "{\"time\":\"20", 11) == 0);
	assert_string_equal(line + len - 2, "}\n");
	seen->lines++;
	if (lost) {
		seen->lost += strtoull(lost + 8, NULL, 10);
		return;
	}
	assert_non_null(session);
	assert_true(strtoull(session + 10, NULL, 10) < seen->n);
	seen->times[strtoull(session + 10, NULL, 10)]++;
}

static bool look_at_file(const char *name, struct seen *seen)
{
	char line[MG_SESSIONLOG_LINE_MAX_BYTES];
	FILE *f = fopen(name, "r");

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		look_at_line(line, seen);
	fclose(f);
	return true;
}

static struct seen look(uint64_t n)
{
	struct seen seen = { .times = calloc(n, sizeof(uint64_t)), .n = n };
	char name[160];

	look_at_file(path, &seen);
	for (int i = 1; i < 100; i++) {
		snprintf(name, sizeof(name), "%s.%d", path, i);
		if (!look_at_file(name, &seen))
			break;
	}
	return seen;
}

static void remove_files(void)
{
	char name[160];

	unlink(path);
	for (int i = 1; i < 100; i++) {
		snprintf(name, sizeof(name), "%s.%d", path, i);
		unlink(name);
	}
}

/* ---- the rig --------------------------------------------------------------------------------- */

static struct mg_config_sharing to_file(uint32_t rotate_mib, uint32_t keep)
{
	return (struct mg_config_sharing){ .log = MG_LOG_TO_FILE,
					   .log_file = path,
					   .log_rotate_mib = rotate_mib,
					   .log_keep = keep };
}

static struct mg_sessionlog_record record(uint64_t session)
{
	struct mg_sessionlog_record r = { .session = session,
					  .event = MG_SESSIONLOG_CLOSE,
					  .reason = "finished",
					  .subscriber_bits = 64,
					  .client = ep_of("[2001:db8:1:2:3:4:5:6]:40001"),
					  .external = ep_of("198.51.100.7:2048"),
					  .server = ep_of("203.0.113.9:443") };

	memcpy(r.subscriber.ip, &r.client.ip, 8);
	return r;
}

struct worker {
	struct mg_sessionlog *log;
	unsigned int number;
	bool in_time; /* never more than the ring holds */
};

static uint64_t lines_of(struct mg_sessionlog *log)
{
	struct mg_sessionlog_stats stats;

	mg_sessionlog_stats(log, &stats);
	return stats.lines;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = 0; i < RECORDS; i++) {
		struct mg_sessionlog_record r = record(w->number + i * WORKERS);

		mg_sessionlog_put(w->log, w->number, &r);
		if (w->in_time && i % 4096 == 4095)
			wait_until(lines_of(w->log) + WORKERS * 8192ULL >= WORKERS * i);
	}
	return NULL;
}

static void all_work(struct mg_sessionlog *log, bool in_time)
{
	struct worker workers[WORKERS];
	pthread_t threads[WORKERS];

	for (unsigned int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ log, i, in_time };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
}

static void each_is_there_once(const struct seen *seen)
{
	for (uint64_t i = 0; i < seen->n; i++) {
		if (seen->times[i] != 1)
			fail_msg("session %llu is there %llu times", (unsigned long long)i,
				 (unsigned long long)seen->times[i]);
	}
	free(seen->times);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void rotation_loses_no_line(void **state)
{
	const struct mg_config_sharing cfg = to_file(1, 90);
	struct mg_sessionlog_stats stats;
	struct mg_sessionlog *log;
	struct seen seen;
	struct stat st;

	(void)state;
	assert_int_equal(mg_sessionlog_open(&log, WORKERS), 0);
	assert_int_equal(mg_sessionlog_set(log, &cfg), 0);
	all_work(log, true);
	assert_true(wait_until(lines_of(log) == WORKERS * RECORDS));
	mg_sessionlog_stats(log, &stats);
	mg_sessionlog_close(log);
	assert_int_equal(stats.dropped + stats.errors, 0);
	seen = look(WORKERS * RECORDS);
	assert_int_equal(seen.lines, WORKERS * RECORDS);
	each_is_there_once(&seen);
	for (int i = 0; i < 10; i++) {
		char name[160];

		snprintf(name, sizeof(name), i ? "%s.%d" : "%s", path, i);
		assert_int_equal(stat(name, &st), 0);
		assert_true(st.st_size <= 1048576);
		assert_int_equal(st.st_mode & 0777, 0640);
	}
}

static void old_files_go(void **state)
{
	const struct mg_config_sharing cfg = to_file(1, 2);
	struct mg_sessionlog *log;
	char name[160];

	(void)state;
	assert_int_equal(mg_sessionlog_open(&log, WORKERS), 0);
	assert_int_equal(mg_sessionlog_set(log, &cfg), 0);
	all_work(log, true);
	mg_sessionlog_close(log);
	snprintf(name, sizeof(name), "%s.2", path);
	assert_int_equal(access(name, F_OK), 0);
	snprintf(name, sizeof(name), "%s.3", path);
	assert_int_equal(access(name, F_OK), -1);
}

static void a_deleted_file_is_made_again(void **state)
{
	const struct mg_config_sharing cfg = to_file(1, 2);
	struct mg_sessionlog_record r = record(1);
	struct mg_sessionlog *log;
	struct seen seen;

	(void)state;
	assert_int_equal(mg_sessionlog_open(&log, WORKERS), 0);
	assert_int_equal(mg_sessionlog_set(log, &cfg), 0);
	mg_sessionlog_put(log, 0, &r);
	assert_true(wait_until(lines_of(log) == 1));
	assert_int_equal(unlink(path), 0);
	mg_sessionlog_put(log, 0, &r);
	assert_true(wait_until(lines_of(log) == 2));
	mg_sessionlog_close(log);
	seen = look(2);
	assert_int_equal(seen.lines, 1);
	free(seen.times);
}

/* No descriptors, or no inodes: the files move up once, and what there was stays. */
static void no_new_file_costs_no_old_one(void **state)
{
	struct rlimit before, none = { 0 };
	struct mg_logfile f;
	char name[160];

	(void)state;
	assert_int_equal(mg_logfile_open(&f, path, 10, 3), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(mg_logfile_make_room(&f, 10), 0);
		assert_int_equal(mg_logfile_write(&f, "123456789\n", 10), 10);
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(mg_logfile_make_room(&f, 10), -EMFILE);
		assert_int_equal(mg_logfile_write(&f, "abcdefghi\n", 10), 10);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (int i = 1; i < 4; i++) {
		snprintf(name, sizeof(name), "%s.%d", path, i);
		assert_int_equal(access(name, F_OK), 0);
	}
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(mg_logfile_make_room(&f, 10), 0);
	assert_int_equal(f.bytes, 0);
	assert_int_equal(access(path, F_OK), 0);
	mg_logfile_close(&f);
}

/* Workers go on, what is dropped is counted, the gap is told, and no line is cut in two. */
static void a_full_disk_makes_nobody_wait(void **state)
{
	const struct mg_config_sharing cfg = to_file(1, 90);
	struct mg_sessionlog_stats stats;
	struct mg_sessionlog *log;
	struct seen seen;
	uint64_t begin_ms, n = 0;

	(void)state;
	assert_int_equal(mg_sessionlog_open(&log, WORKERS), 0);
	assert_int_equal(mg_sessionlog_set(log, &cfg), 0);
	room = 1000;
	disk_full = true;
	begin_ms = mg_clock_ms();
	all_work(log, false);
	assert_true(mg_clock_ms() - begin_ms < WAIT_MS / 2);
	mg_sessionlog_stats(log, &stats);
	assert_true(stats.errors > 0);
	assert_true(stats.dropped > 0 && stats.dropped < WORKERS * RECORDS);
	disk_full = false;
	assert_true(wait_until((mg_sessionlog_stats(log, &stats),
				stats.lines + stats.dropped >= WORKERS * RECORDS + WORKERS)));
	mg_sessionlog_close(log);
	seen = look(WORKERS * RECORDS);
	assert_int_equal(seen.lost, stats.dropped);
	for (uint64_t i = 0; i < seen.n; i++) {
		assert_true(seen.times[i] <= 1);
		n += seen.times[i];
	}
	assert_int_equal(n + stats.dropped, WORKERS * RECORDS);
	free(seen.times);
}

/* logrotate(8) renames and tells us; what came in between is in either file. */
static void a_reload_opens_it_anew(void **state)
{
	const struct mg_config_sharing cfg = to_file(64, 8);
	struct mg_sessionlog *log;
	struct seen seen;
	char name[160];

	(void)state;
	snprintf(name, sizeof(name), "%s.1", path);
	assert_int_equal(mg_sessionlog_open(&log, WORKERS), 0);
	assert_int_equal(mg_sessionlog_set(log, &cfg), 0);
	for (uint64_t i = 0; i < 2000; i++) {
		struct mg_sessionlog_record r = record(i);

		mg_sessionlog_put(log, 0, &r);
		if (i == 1000)
			assert_int_equal(rename(path, name), 0);
		if (i >= 1000 && i % 100 == 0)
			assert_int_equal(mg_sessionlog_set(log, &cfg), 0);
	}
	mg_sessionlog_close(log);
	assert_int_equal(access(path, F_OK), 0);
	seen = look(2000);
	each_is_there_once(&seen);
}

static void what_cannot_be_opened_changes_nothing(void **state)
{
	struct mg_config_sharing cfg = to_file(64, 8), bad = cfg;
	struct mg_sessionlog_record r = record(1);
	struct mg_sessionlog *log;
	struct seen seen;

	(void)state;
	assert_int_equal(mg_sessionlog_open(&log, WORKERS), 0);
	/* Nobody asked for a log. */
	mg_sessionlog_put(log, 0, &r);
	assert_int_equal(mg_sessionlog_set(log, &cfg), 0);
	bad.log_file = "/nonexistent/log";
	assert_int_equal(mg_sessionlog_set(log, &bad), -ENOENT);
	bad.log_file = "/dev/null";
	assert_int_equal(mg_sessionlog_set(log, &bad), -EINVAL);
	r.session = 0;
	mg_sessionlog_put(log, 0, &r);
	mg_sessionlog_close(log);
	seen = look(2);
	assert_int_equal(seen.lines, 1);
	assert_int_equal(seen.times[0], 1);
	free(seen.times);
}

static void syslog_gets_the_same_lines(void **state)
{
	const struct mg_config_sharing cfg = { .log = MG_LOG_TO_SYSLOG };
	struct mg_sessionlog_record r = record(3);
	struct mg_sessionlog *log;
	char line[MG_SESSIONLOG_LINE_MAX_BYTES];

	(void)state;
	assert_int_equal(mg_sessionlog_open(&log, WORKERS), 0);
	assert_int_equal(mg_sessionlog_set(log, &cfg), 0);
	for (int i = 0; i < 1000; i++) {
		r.time_ms = 1795292947000 + (uint64_t)i;
		mg_sessionlog_put(log, 0, &r);
	}
	mg_sessionlog_close(log);
	assert_int_equal(n_syslog, 1000);
	mg_sessionlog_format(line, &r, NULL);
	line[strlen(line) - 1] = '\0';
	assert_string_equal(last_syslog, line);
}

static bool text_of(void *ctx, uint64_t number, char text[MG_SESSIONLOG_WHO_STRLEN])
{
	if (number == 0x1ac) {
		memset(text, '"', MG_SESSIONLOG_WHO_STRLEN - 4);
		text[MG_SESSIONLOG_WHO_STRLEN - 4] = '\0';
	} else if (number == 0x1ab) {
		snprintf(text, MG_SESSIONLOG_WHO_STRLEN, "%s", (const char *)ctx);
	}
	return number == 0x1ab || number == 0x1ac;
}

static void identities_have_their_text(void **state)
{
	const struct mg_sessionlog_names names = { text_of, (char *)"a\"b\\c@example.net" };
	const struct mg_config_sharing cfg = { .log = MG_LOG_TO_SYSLOG };
	struct mg_sessionlog_record r = record(1);
	char line[MG_SESSIONLOG_LINE_MAX_BYTES];
	struct mg_sessionlog *log;

	(void)state;
	memcpy(r.subscriber.ip, "\xffmpgatei\0\0\0\0\0\0\x01\xab", 16);
	assert_int_equal(mg_sessionlog_open(&log, WORKERS), 0);
	mg_sessionlog_name_by(log, &names);
	assert_int_equal(mg_sessionlog_set(log, &cfg), 0);
	mg_sessionlog_put(log, 0, &r);
	mg_sessionlog_close(log);
	assert_non_null(
		strstr(last_syslog, "\"subscriber\":\"id:a\\\"b\\\\c@example.net\",\"client\""));
	r.subscriber.ip[15] = 0xac;
	assert_true(mg_sessionlog_format(line, &r, &names) < (int)sizeof(line) - 100);
	assert_string_equal(line + strlen(line) - 2, "}\n");
	r.subscriber.ip[15] = 0xad;
	mg_sessionlog_format(line, &r, &names);
	assert_non_null(strstr(line, "\"subscriber\":\"id:00000000000001ad\""));
}

static int clean(void **state)
{
	(void)state;
	remove_files();
	return 0;
}

#define FILE_TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(rotation_loses_no_line),
		FILE_TEST(old_files_go),
		FILE_TEST(no_new_file_costs_no_old_one),
		FILE_TEST(a_deleted_file_is_made_again),
		FILE_TEST(a_full_disk_makes_nobody_wait),
		FILE_TEST(a_reload_opens_it_anew),
		FILE_TEST(what_cannot_be_opened_changes_nothing),
		cmocka_unit_test(syslog_gets_the_same_lines),
		cmocka_unit_test(identities_have_their_text),
	};
	int failures;

	mg_log_set_level(MG_LOG_ERROR);
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/log", dir);
	failures = cmocka_run_group_tests_name("sessionlog", tests, NULL, NULL);
	rmdir(dir);
	return failures;
}
