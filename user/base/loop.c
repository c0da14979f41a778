// SPDX-License-Identifier: BSD-2-Clause
#include "base/loop.h"

#include <errno.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

#define BATCH 256

struct call {
	struct mg_list node;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void woken(struct mg_io *io, uint32_t events)
{
	struct mg_loop *l = mg_container_of(io, struct mg_loop, wake);
	uint64_t n;

	(void)events;
	while (read(io->fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
	l->called = true;
}

static void run_calls(struct mg_loop *l)
{
	l->called = false;
	for (;;) {
		struct call *c = NULL;

		pthread_mutex_lock(&l->calls_lock);
		if (!mg_list_empty(&l->calls))
			c = mg_container_of(mg_list_pop(&l->calls), struct call, node);
		pthread_mutex_unlock(&l->calls_lock);
		if (!c)
			return;
		c->fn(c->arg);
		sem_post(&c->done);
	}
}

int mg_loop_init(struct mg_loop *l, bool (*after)(void *ctx), void *ctx)
{
	int err;

	*l = (struct mg_loop){ .after = after, .ctx = ctx, .wake.ready = woken };
	mg_timers_init(&l->timers);
	mg_list_init(&l->calls);
	pthread_mutex_init(&l->calls_lock, NULL);
	l->now_ms = mg_clock_ms();
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return -errno;
	l->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake.fd < 0) {
		err = -errno;
		close(l->epoll_fd);
		return err;
	}
	err = mg_loop_add(l, &l->wake, EPOLLIN);
	if (err)
		mg_loop_free(l);
	return err;
}

void mg_loop_free(struct mg_loop *l)
{
	close(l->wake.fd);
	close(l->epoll_fd);
	mg_timers_free(&l->timers);
	pthread_mutex_destroy(&l->calls_lock);
}

int mg_loop_add(struct mg_loop *l, struct mg_io *io, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = io };

	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, io->fd, &ev) ? -errno : 0;
}

void mg_loop_remove(struct mg_loop *l, struct mg_io *io)
{
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
}

void mg_loop_run(struct mg_loop *l)
{
	struct epoll_event events[BATCH];
	bool work_left = false;

	while (!l->stop) {
		int wait_ms = work_left ? 0 : mg_timers_wait_ms(&l->timers, mg_clock_ms());
		int n = epoll_wait(l->epoll_fd, events, BATCH, wait_ms);

		l->now_ms = mg_clock_ms();
		for (int i = 0; i < n; i++) {
			struct mg_io *io = events[i].data.ptr;

			io->ready(io, events[i].events);
		}
		/* Calls close and free what later events of the batch still point to. */
		if (l->called)
			run_calls(l);
		mg_timers_run(&l->timers, l->now_ms);
		work_left = l->after ? l->after(l->ctx) : false;
	}
}

void mg_loop_call(struct mg_loop *l, void (*fn)(void *arg), void *arg)
{
	struct call c = { .fn = fn, .arg = arg };
	uint64_t one = 1;

	sem_init(&c.done, 0, 0);
	pthread_mutex_lock(&l->calls_lock);
	mg_list_append(&l->calls, &c.node);
	pthread_mutex_unlock(&l->calls_lock);
	while (write(l->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	while (sem_wait(&c.done) && errno == EINTR)
		;
	sem_destroy(&c.done);
}
