// SPDX-License-Identifier: BSD-2-Clause
#include "access/deadlines.h"

#include "base/list.h"

#define AT_ONCE 1024

static void wake_for_next(struct mg_deadlines *d)
{
	if (d->heap.n)
		mg_timer_arm(&d->loop->timers, &d->tick, d->heap.heap[1]->deadline_ms);
	else
		mg_timer_disarm(&d->loop->timers, &d->tick);
}

static void tick(struct mg_timer *timer)
{
	struct mg_deadlines *d = mg_container_of(timer, struct mg_deadlines, tick);

	for (int i = 0; i < AT_ONCE && d->heap.n; i++) {
		struct mg_timer *due = d->heap.heap[1];

		if (due->deadline_ms > d->loop->now_ms)
			break;
		mg_timer_disarm(&d->heap, due);
		due->fire(due);
	}
	wake_for_next(d);
}

void mg_deadlines_init(struct mg_deadlines *d, struct mg_loop *l)
{
	*d = (struct mg_deadlines){ .loop = l, .tick.fire = tick };
	mg_timers_init(&d->heap);
}

void mg_deadlines_free(struct mg_deadlines *d)
{
	if (!d->loop)
		return;
	mg_timer_disarm(&d->loop->timers, &d->tick);
	mg_timers_free(&d->heap);
}

int mg_deadlines_set(struct mg_deadlines *d, struct mg_timer *t, uint64_t deadline_ms)
{
	int err = mg_timer_arm(&d->heap, t, deadline_ms);

	if (!err && (d->heap.heap[1] == t || !mg_timer_armed(&d->tick)))
		err = mg_timer_arm(&d->loop->timers, &d->tick, d->heap.heap[1]->deadline_ms);
	return err;
}

void mg_deadlines_clear(struct mg_deadlines *d, struct mg_timer *t)
{
	mg_timer_disarm(&d->heap, t);
}
