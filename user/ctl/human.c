// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/table.h"

#include <stdio.h>
#include <string.h>

/* Three digits that mean something: 1.23, 12.3, 123. */
static const char *scaled(char buf[MG_HUMAN_STRLEN], double value, const char *const *units,
			  size_t n_units)
{
	size_t i = 0;

	while (value >= 999.5 && i + 1 < n_units) {
		value /= 1000;
		i++;
	}
	snprintf(buf, MG_HUMAN_STRLEN, "%.*f %s", i == 0 || value >= 99.95 ? 0 : 1, value,
		 units[i]);
	return buf;
}

const char *mg_human_bytes(char buf[MG_HUMAN_STRLEN], uint64_t bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };

	return scaled(buf, (double)bytes, units, sizeof(units) / sizeof(units[0]));
}

const char *mg_human_rate(char buf[MG_HUMAN_STRLEN], double bytes_per_s)
{
	static const char *const units[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s" };

	return scaled(buf, bytes_per_s * 8, units, sizeof(units) / sizeof(units[0]));
}

const char *mg_human_ms(char buf[MG_HUMAN_STRLEN], uint64_t ms)
{
	if (ms >= 1000)
		return mg_human_s(buf, ms / 1000);
	snprintf(buf, MG_HUMAN_STRLEN, "%llu ms", (unsigned long long)ms);
	return buf;
}

const char *mg_human_s(char buf[MG_HUMAN_STRLEN], uint64_t seconds)
{
	unsigned long long s = seconds;

	if (s < 60)
		snprintf(buf, MG_HUMAN_STRLEN, "%llu s", s);
	else if (s < 3600)
		snprintf(buf, MG_HUMAN_STRLEN, "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, MG_HUMAN_STRLEN, "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		snprintf(buf, MG_HUMAN_STRLEN, "%llu d %llu h", s / 86400, s / 3600 % 24);
	return buf;
}

const char *mg_human_count(char buf[MG_HUMAN_STRLEN], uint64_t n)
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	buf[out] = '\0';
	return buf;
}
