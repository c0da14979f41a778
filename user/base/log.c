// SPDX-License-Identifier: BSD-2-Clause
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *name;
	char priority; /* as in <syslog.h> */
} levels[] = {
	[MG_LOG_ERROR] = { "error", '3' },
	[MG_LOG_WARNING] = { "warning", '4' },
	[MG_LOG_INFO] = { "info", '6' },
	[MG_LOG_DEBUG] = { "debug", '7' },
};

static _Atomic int current_level = MG_LOG_INFO;

void mg_log_set_level(enum mg_log_level level)
{
	atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum mg_log_level mg_log_get_level(void)
{
	return (enum mg_log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

int mg_log_level_parse(enum mg_log_level *level, const char *name)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(levels[i].name, name) == 0) {
			*level = (enum mg_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *mg_log_level_name(enum mg_log_level level)
{
	return levels[level].name;
}

void mg_log_write(enum mg_log_level level, const char *fmt, ...)
{
	char line[1024];
	size_t n;
	va_list ap;

	/* The journal stamps its own time and reads the priority from the prefix. */
	if (getenv("JOURNAL_STREAM")) {
		n = (size_t)snprintf(line, sizeof(line), "<%c>", levels[level].priority);
	} else {
		struct timespec now;
		struct tm tm;

		clock_gettime(CLOCK_REALTIME, &now);
		localtime_r(&now.tv_sec, &tm);
		n = strftime(line, sizeof(line), "%H:%M:%S", &tm);
		n += (size_t)snprintf(line + n, sizeof(line) - n,
				      ".%03ld %s: ", now.tv_nsec / 1000000, levels[level].name);
	}
	va_start(ap, fmt);
	int m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (m > 0)
		n += (size_t)m < sizeof(line) - n - 1 ? (size_t)m : sizeof(line) - n - 2;
	line[n++] = '\n';
	/* One write a line, so that threads do not mix; nobody is left to tell if it fails. */
	fwrite(line, 1, n, stderr);
}
