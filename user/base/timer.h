/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deadlines of one thread: a binary heap, the node inside the record that waits.
 *
 * A node is in at most one heap. Arming an armed timer moves it. A caller whose deadline only ever
 * moves back (idle time-outs) leaves the timer alone and looks again when it fires.
 */
#ifndef MG_BASE_TIMER_H
#define MG_BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mg_timer {
	uint64_t deadline_ms;
	size_t place; /* 1-based place in the heap; 0 when not armed */
	void (*fire)(struct mg_timer *t);
};

struct mg_timers {
	struct mg_timer **heap; /* heap[1] is due first */
	size_t n, room;
	uint64_t soonest_ms; /* of what is armed while others fire; 0 otherwise */
};

void mg_timers_init(struct mg_timers *ts);
void mg_timers_free(struct mg_timers *ts);

/* 0 or -ENOMEM; moving an armed timer cannot fail. */
int mg_timer_arm(struct mg_timers *ts, struct mg_timer *t, uint64_t deadline_ms);
void mg_timer_disarm(struct mg_timers *ts, struct mg_timer *t);
static inline bool mg_timer_armed(const struct mg_timer *t)
{
	return t->place != 0;
}

/* Fires what is due at now_ms; each timer is disarmed before it fires and may arm itself again, for
 * the millisecond after now_ms at the earliest. */
void mg_timers_run(struct mg_timers *ts, uint64_t now_ms);
/* Milliseconds to the next deadline, for epoll_wait: 0 if due, -1 if there is none. */
int mg_timers_wait_ms(const struct mg_timers *ts, uint64_t now_ms);

#endif
