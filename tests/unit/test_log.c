// SPDX-License-Identifier: BSD-2-Clause
/* Log lines: levels, shape on a terminal and for the journal, cut when too long, never mixed. */
#include "mg_test.h"

#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024
#define THREADS	       4
#define LINES	       200

static FILE *caught;
static int real_stderr;

static void catch (void)
{
	caught = tmpfile();
	assert_non_null(caught);
	fflush(stderr);
	real_stderr = dup(STDERR_FILENO);
	assert_int_not_equal(dup2(fileno(caught), STDERR_FILENO), -1);
}

/* What was written since catch(); for free(). */
static char *release(size_t *len)
{
	char *text;
	long n;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	n = lseek(fileno(caught), 0, SEEK_END);
	text = calloc(1, (size_t)n + 1);
	assert_int_equal(pread(fileno(caught), text, (size_t)n, 0), n);
	fclose(caught);
	*len = (size_t)n;
	return text;
}

/* "12:34:56.789 " */
static void assert_stamp(const char *text)
{
	static const char shape[] = "dd:dd:dd.ddd ";

	for (size_t i = 0; shape[i]; i++)
		assert_true(shape[i] == 'd' ? isdigit((unsigned char)text[i])
					    : text[i] == shape[i]);
}

static void names_and_levels_go_round(void **state)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	static const char *const bad[] = { "", "ERROR", "err", "infos", "info ", "4" };
	enum mg_log_level level;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(mg_log_level_parse(&level, names[i]), 0);
		assert_int_equal(level, i);
		assert_string_equal(mg_log_level_name(level), names[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(mg_log_level_parse(&level, bad[i]), -EINVAL);
}

static void only_what_is_asked_for_is_written(void **state)
{
	char *text;
	size_t len;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	for (int set = MG_LOG_ERROR; set <= MG_LOG_DEBUG; set++) {
		int lines = 0;

		mg_log_set_level((enum mg_log_level)set);
		assert_int_equal(mg_log_get_level(), set);
		catch ();
		mg_error("e");
		mg_warn("w");
		mg_info("i");
		mg_debug("d");
		text = release(&len);
		for (size_t i = 0; i < len; i++)
			lines += text[i] == '\n';
		assert_int_equal(lines, set + 1);
		free(text);
	}
}

static void a_line_on_a_terminal(void **state)
{
	char *text;
	size_t len;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	mg_log_set_level(MG_LOG_INFO);
	catch ();
	mg_warn("%s is %d", "x", 7);
	text = release(&len);
	assert_stamp(text);
	assert_string_equal(text + strlen("dd:dd:dd.ddd "), "warning: x is 7\n");
	free(text);
}

static void a_line_for_the_journal(void **state)
{
	char *text;
	size_t len;

	(void)state;
	mg_log_set_level(MG_LOG_DEBUG);
	setenv("JOURNAL_STREAM", "1:2", 1);
	catch ();
	mg_error("a");
	mg_warn("b");
	mg_info("c");
	mg_debug("d");
	text = release(&len);
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(text, "<3>a\n<4>b\n<6>c\n<7>d\n");
	free(text);
}

/* Around the size of the line's buffer: always one line, always ended, never longer. */
static void long_lines_are_cut(void **state)
{
	static char word[3 * LINE_MAX_BYTES];

	(void)state;
	setenv("JOURNAL_STREAM", "1:2", 1);
	mg_log_set_level(MG_LOG_INFO);
	for (size_t n = LINE_MAX_BYTES - 20; n < sizeof(word) - 1; n += n < 1100 ? 1 : 500) {
		char *text;
		size_t len;

		memset(word, 'x', n);
		word[n] = '\0';
		catch ();
		mg_info("%s", word);
		text = release(&len);
		assert_true(len <= LINE_MAX_BYTES);
		assert_true(len >= LINE_MAX_BYTES - 2 || len == n + 4);
		assert_int_equal(text[len - 1], '\n');
		assert_memory_equal(text, "<6>xxxx", 7);
		assert_ptr_equal(memchr(text, '\n', len), text + len - 1);
		free(text);
	}
	unsetenv("JOURNAL_STREAM");
}

static void *writes_lines(void *arg)
{
	char c = (char)('a' + (int)(intptr_t)arg);

	for (int i = 0; i < LINES; i++)
		mg_info("%c%c%c%c%c%c%c%c %d", c, c, c, c, c, c, c, c, i);
	return NULL;
}

static void threads_do_not_mix_lines(void **state)
{
	int next[THREADS] = { 0 }, lines = 0;
	pthread_t t[THREADS];
	char *text, *save = NULL;
	size_t len;

	(void)state;
	setenv("JOURNAL_STREAM", "1:2", 1);
	mg_log_set_level(MG_LOG_INFO);
	catch ();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, writes_lines, (void *)(intptr_t)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	text = release(&len);
	unsetenv("JOURNAL_STREAM");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char expected[64], c = line[3];

		assert_in_range(c, 'a', 'a' + THREADS - 1);
		snprintf(expected, sizeof(expected), "<6>%c%c%c%c%c%c%c%c %d", c, c, c, c, c, c, c,
			 c, next[c - 'a']++);
		assert_string_equal(line, expected);
		lines++;
	}
	assert_int_equal(lines, THREADS * LINES);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_levels_go_round),
		cmocka_unit_test(only_what_is_asked_for_is_written),
		cmocka_unit_test(a_line_on_a_terminal),
		cmocka_unit_test(a_line_for_the_journal),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(threads_do_not_mix_lines),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
