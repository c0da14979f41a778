/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client remembers of a converter: its cookie (RFC 8803 section 6.2.7) and whether it was
 * put aside (section 8: a converter behind which SYN data or answers get lost must not be used
 * again).
 *
 * Remembered per network namespace and converter, in this process and, so that the programs of one
 * user share it, in a file: a line each of
 *   NETNS CONVERTER COOKIE-HEX-OR-DASH ASIDE-SINCE ASIDE-UNTIL ERRNO       (times: ms, epoch)
 * Trouble with the file is no trouble: memory serves then.
 */
#ifndef MG_CLIENT_CACHE_H
#define MG_CLIENT_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "mpgate/mpgate.h"

struct mg_cache_entry {
	uint8_t cookie[MPGATE_COOKIE_MAX_BYTES];
	size_t cookie_len;
	int64_t aside_since_ms;
	int64_t aside_until_ms; /* 0: in use */
	int aside_err;		/* the errno (positive) connections get meanwhile */
};

/* path: NULL for the default place, "" for no file. All zeros when nothing is known. */
void mg_cache_get(const char *path, const struct mg_ep *converter, struct mg_cache_entry *entry);
void mg_cache_set(const char *path, const struct mg_ep *converter,
		  const struct mg_cache_entry *entry);

/* Until so many seconds from now connections get err (positive). Changes the entry alone. */
void mg_cache_put_aside(struct mg_cache_entry *entry, int err, int seconds);
/* What was put aside before $MPGATE_SINCE (ms, epoch; mpgate-run sets it) is not any more. */
bool mg_cache_is_aside(const struct mg_cache_entry *entry);

#endif
