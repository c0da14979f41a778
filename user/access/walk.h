/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A walk over an index, a piece at a time with the loop's other work in between. What is added or
 * removed meanwhile does no harm, and may or may not be met.
 */
#ifndef MG_ACCESS_WALK_H
#define MG_ACCESS_WALK_H

#include "access/index.h"
#include "base/loop.h"

struct mg_walk {
	struct mg_loop *loop;
	const struct mg_index *index;
	/* One node, which it may remove. True: that cost something. */
	bool (*visit)(void *ctx, struct mg_index_node *node);
	void *ctx;
	struct mg_timer timer;
	size_t next; /* bucket; n_buckets: it is over */
};

void mg_walk_init(struct mg_walk *w, struct mg_loop *l, const struct mg_index *index,
		  bool (*visit)(void *ctx, struct mg_index_node *node), void *ctx);
/* From the start, also if it is under way. The first piece is done at once. */
void mg_walk_start(struct mg_walk *w);
void mg_walk_stop(struct mg_walk *w); /* harmless before init */

#endif
