// SPDX-License-Identifier: BSD-2-Clause
#include "access/walk.h"

#include "base/list.h"

/* Of one piece: some milliseconds. Empty buckets cost next to nothing. */
#define VISITS_AT_ONCE 32768
#define COSTLY_AT_ONCE 512

static void piece(struct mg_walk *w)
{
	size_t visits = 0, costly = 0;

	for (; w->next < w->index->n_buckets && visits < VISITS_AT_ONCE && costly < COSTLY_AT_ONCE;
	     w->next++) {
		struct mg_index_node *at = w->index->buckets[w->next], *after;

		for (; at; at = after) {
			after = at->next;
			visits++;
			costly += w->visit(w->ctx, at);
		}
	}
	if (w->next < w->index->n_buckets)
		mg_timer_arm(&w->loop->timers, &w->timer, w->loop->now_ms + 1);
}

static void fire(struct mg_timer *t)
{
	piece(mg_container_of(t, struct mg_walk, timer));
}

void mg_walk_init(struct mg_walk *w, struct mg_loop *l, const struct mg_index *index,
		  bool (*visit)(void *ctx, struct mg_index_node *node), void *ctx)
{
	*w = (struct mg_walk){
		.loop = l, .index = index, .visit = visit, .ctx = ctx, .timer.fire = fire
	};
}

void mg_walk_start(struct mg_walk *w)
{
	w->next = 0;
	mg_timer_disarm(&w->loop->timers, &w->timer);
	piece(w);
}

void mg_walk_stop(struct mg_walk *w)
{
	if (w->loop)
		mg_timer_disarm(&w->loop->timers, &w->timer);
}
