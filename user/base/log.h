/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log lines to stderr; with the journal behind stderr, in its "<N>" priority form.
 * An error is logged once, where it stops, with the value that caused it.
 */
#ifndef MG_BASE_LOG_H
#define MG_BASE_LOG_H

#include <stdarg.h>

enum mg_log_level { MG_LOG_ERROR, MG_LOG_WARNING, MG_LOG_INFO, MG_LOG_DEBUG };

/* May be changed at any time from any thread. */
void mg_log_set_level(enum mg_log_level level);
enum mg_log_level mg_log_get_level(void);

/* "error", "warning", "info", "debug"; 0 or -EINVAL. */
int mg_log_level_parse(enum mg_log_level *level, const char *name);
const char *mg_log_level_name(enum mg_log_level level);

__attribute__((format(printf, 2, 3))) void mg_log_write(enum mg_log_level level, const char *fmt,
							...);

#define mg_log(level, ...)                                  \
	do {                                                \
		if ((level) <= mg_log_get_level())          \
			mg_log_write((level), __VA_ARGS__); \
	} while (0)

#define mg_error(...) mg_log(MG_LOG_ERROR, __VA_ARGS__)
#define mg_warn(...)  mg_log(MG_LOG_WARNING, __VA_ARGS__)
#define mg_info(...)  mg_log(MG_LOG_INFO, __VA_ARGS__)
#define mg_debug(...) mg_log(MG_LOG_DEBUG, __VA_ARGS__)

#endif
