/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deadlines of a great many records on one timer of the loop. However many are due at once, the
 * loop gets its turn in between.
 */
#ifndef MG_ACCESS_DEADLINES_H
#define MG_ACCESS_DEADLINES_H

#include "base/loop.h"

struct mg_deadlines {
	struct mg_loop *loop;
	struct mg_timer tick;
	struct mg_timers heap;
};

void mg_deadlines_init(struct mg_deadlines *d, struct mg_loop *l);
void mg_deadlines_free(struct mg_deadlines *d);
/* 0 or -ENOMEM; moving one cannot fail. Its `fire` is called once it is due. */
int mg_deadlines_set(struct mg_deadlines *d, struct mg_timer *t, uint64_t deadline_ms);
void mg_deadlines_clear(struct mg_deadlines *d, struct mg_timer *t);

#endif
