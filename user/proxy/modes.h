/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which paths of a session carry data, and which are for backup: the steering modes of TS 23.501
 * section 5.32.8. Pure: what paths do goes in, who is for backup comes out; time is the caller's.
 *
 * active-standby: the best that works carries all. One that is better takes over when it
 * joins, and MG_MODES_RETURN_MS after it works again. smallest-delay: the one with the smallest
 * smoothed RTT carries all; another one has to be clearly better for MG_MODES_DELAY_MS. priority:
 * the best that works, and the next as well while bytes wait; one is taken back when nothing has
 * waited for a while, and the longer, the more often that was wrong.
 */
#ifndef MG_PROXY_MODES_H
#define MG_PROXY_MODES_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

#define MG_MODES_PATHS_MAX 8
#define MG_MODES_RETURN_MS 2000
#define MG_MODES_DELAY_MS  500
#define MG_MODES_FULL_MS   200
#define MG_MODES_NARROW_MS 1000

/* Silent: data is on its way, and no acknowledgement comes. */
enum mg_health { MG_HEALTH_SILENT, MG_HEALTH_LOSSY, MG_HEALTH_WELL };

struct mg_modes_path {
	/* of the caller, at every look */
	bool present;
	uint32_t rank; /* 0 is the best */
	uint32_t rtt_us;
	enum mg_health health;
	/* the answer */
	bool backup;
	/* memory */
	bool worked;
	bool failed; /* once; it comes back later than one that is new */
};

struct mg_modes {
	enum mg_steering steering;
	struct mg_modes_path path[MG_MODES_PATHS_MAX];
	unsigned int n;
	int active; /* -1: none yet */
	uint64_t better_since_ms;
	unsigned int width; /* priority: how many carry data */
	uint64_t waiting_since_ms, calm_since_ms, widened_ms;
	uint32_t narrow_ms;
};

/* Steering, or the paths' ranks, changed: begins anew. */
void mg_modes_begin(struct mg_modes *m, enum mg_steering steering);
/* `waiting`: bytes are waiting that the paths in use do not take. */
void mg_modes_look(struct mg_modes *m, uint64_t now_ms, bool waiting);

#endif
