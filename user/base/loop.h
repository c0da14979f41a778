/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread's event loop: epoll, deadlines, and calls from other threads.
 *
 * Sockets of sessions are registered once, edge-triggered, for reading and writing, and never
 * changed again: back-pressure is a flag of the session, not a system call.
 */
#ifndef MG_BASE_LOOP_H
#define MG_BASE_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/list.h"
#include "base/timer.h"

/* What epoll reports on; lives inside the record that owns the fd. */
struct mg_io {
	int fd;
	void (*ready)(struct mg_io *io, uint32_t events);
};

struct mg_loop {
	int epoll_fd;
	uint64_t now_ms; /* of this round */
	bool stop;
	struct mg_timers timers;
	struct mg_io wake; /* eventfd */
	bool called;	   /* it was written to: there are calls to run */
	pthread_mutex_t calls_lock;
	struct mg_list calls;
	/* Called after each batch of events, when no event of the batch is pending any more: the
	 * place to free records, and to go on with work that was put off. Returns true if work is
	 * left, so that the loop does not sleep. */
	bool (*after)(void *ctx);
	void *ctx;
};

int mg_loop_init(struct mg_loop *l, bool (*after)(void *ctx), void *ctx);
void mg_loop_free(struct mg_loop *l);

/* events as of epoll_ctl, EPOLLET included where wanted. 0 or -errno. */
int mg_loop_add(struct mg_loop *l, struct mg_io *io, uint32_t events);
/* The fd is not closed. */
void mg_loop_remove(struct mg_loop *l, struct mg_io *io);

/* Runs until l->stop. */
void mg_loop_run(struct mg_loop *l);

/*
 * Runs fn(arg) on the loop's thread, after a batch of events, and waits for it. Any thread but the
 * loop's own; the loop must be running, or be run later.
 */
void mg_loop_call(struct mg_loop *l, void (*fn)(void *arg), void *arg);

#endif
