// SPDX-License-Identifier: BSD-2-Clause
#include "base/timer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

void mg_timers_init(struct mg_timers *ts)
{
	*ts = (struct mg_timers){ 0 };
}

void mg_timers_free(struct mg_timers *ts)
{
	free(ts->heap);
	mg_timers_init(ts);
}

static void put(struct mg_timers *ts, size_t place, struct mg_timer *t)
{
	ts->heap[place] = t;
	t->place = place;
}

static void sift_up(struct mg_timers *ts, struct mg_timer *t, size_t place)
{
	while (place > 1 && ts->heap[place / 2]->deadline_ms > t->deadline_ms) {
		put(ts, place, ts->heap[place / 2]);
		place /= 2;
	}
	put(ts, place, t);
}

static void sift_down(struct mg_timers *ts, struct mg_timer *t, size_t place)
{
	for (;;) {
		size_t child = place * 2;

		if (child > ts->n)
			break;
		if (child < ts->n &&
		    ts->heap[child + 1]->deadline_ms < ts->heap[child]->deadline_ms)
			child++;
		if (ts->heap[child]->deadline_ms >= t->deadline_ms)
			break;
		put(ts, place, ts->heap[child]);
		place = child;
	}
	put(ts, place, t);
}

int mg_timer_arm(struct mg_timers *ts, struct mg_timer *t, uint64_t deadline_ms)
{
	if (deadline_ms < ts->soonest_ms)
		deadline_ms = ts->soonest_ms;
	if (t->place) {
		bool sooner = deadline_ms < t->deadline_ms;

		t->deadline_ms = deadline_ms;
		if (sooner)
			sift_up(ts, t, t->place);
		else
			sift_down(ts, t, t->place);
		return 0;
	}
	if (ts->n + 1 >= ts->room) {
		size_t room = ts->room ? ts->room * 2 : 64;
		struct mg_timer **heap = realloc(ts->heap, room * sizeof(struct mg_timer *));

		if (!heap)
			return -ENOMEM;
		ts->heap = heap;
		ts->room = room;
	}
	t->deadline_ms = deadline_ms;
	sift_up(ts, t, ++ts->n);
	return 0;
}

void mg_timer_disarm(struct mg_timers *ts, struct mg_timer *t)
{
	size_t place = t->place;
	struct mg_timer *last;

	if (!place)
		return;
	t->place = 0;
	last = ts->heap[ts->n--];
	if (last == t)
		return;
	if (place > 1 && ts->heap[place / 2]->deadline_ms > last->deadline_ms)
		sift_up(ts, last, place);
	else
		sift_down(ts, last, place);
}

void mg_timers_run(struct mg_timers *ts, uint64_t now_ms)
{
	/* What is armed meanwhile waits a round, or a timer that arms itself for now never ends. */
	ts->soonest_ms = now_ms + 1;
	while (ts->n && ts->heap[1]->deadline_ms <= now_ms) {
		struct mg_timer *t = ts->heap[1];

		mg_timer_disarm(ts, t);
		t->fire(t);
	}
	ts->soonest_ms = 0;
}

int mg_timers_wait_ms(const struct mg_timers *ts, uint64_t now_ms)
{
	uint64_t left;

	if (!ts->n)
		return -1;
	if (ts->heap[1]->deadline_ms <= now_ms)
		return 0;
	left = ts->heap[1]->deadline_ms - now_ms;
	return left > INT_MAX ? INT_MAX : (int)left;
}
