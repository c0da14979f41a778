// SPDX-License-Identifier: BSD-2-Clause
/* One line to stderr for each connection, with MPGATE_LOG=1. */
#include "client/preload/shim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool enabled;
static struct stat stderr_file; /* descriptor 2 may become something else later */

void shim_log_init(void)
{
	const char *text = secure_getenv("MPGATE_LOG");

	enabled = text && strcmp(text, "1") == 0 && fstat(STDERR_FILENO, &stderr_file) == 0;
}

static void put_line(const char *line)
{
	struct stat now;

	if (fstat(STDERR_FILENO, &now) < 0 || now.st_dev != stderr_file.st_dev ||
	    now.st_ino != stderr_file.st_ino)
		return;
	/* a program whose stderr is full or gone must not fail for our sake */
	if (REAL(write)(STDERR_FILENO, line, strlen(line)) < 0)
		enabled = false;
}

void shim_log_outcome(const struct flow *f, const struct mpgate_result *result, int err)
{
	char peer[MG_EP_STRLEN], converter[MG_EP_STRLEN], line[320];
	int64_t ms = shim_now_ms() - f->started_ms;

	if (!enabled)
		return;
	mg_ep_format(peer, &f->peer);
	mg_ep_format(converter, &shim_config.converter);
	if (result->via == MPGATE_VIA_CONVERTER)
		snprintf(line, sizeof(line), "mpgate: %s through %s, %s%s, %" PRId64 " ms\n", peer,
			 converter, result->mptcp ? "MPTCP" : "TCP",
			 result->zero_rtt ? ", 0-RTT" : "", ms);
	else if (result->via == MPGATE_VIA_DIRECT)
		snprintf(line, sizeof(line), "mpgate: %s directly (%s), %" PRId64 " ms\n", peer,
			 result->why ? result->why : "fallback", ms);
	else
		snprintf(line, sizeof(line), "mpgate: %s through %s: %s (%s), %" PRId64 " ms\n",
			 peer, converter, strerror(-err), result->why ? result->why : "failed", ms);
	put_line(line);
}
