// SPDX-License-Identifier: BSD-2-Clause
/* The event loop on a thread of its own: calls, edge-triggered io, the hook after each round. */
#include "mg_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"

#define CALLERS 4
#define CALLS	2000

struct world {
	struct mg_loop loop;
	pthread_t thread;
	_Atomic int rounds, work_left;
};

static bool after(void *ctx)
{
	struct world *w = ctx;

	atomic_fetch_add(&w->rounds, 1);
	if (atomic_load(&w->work_left) > 0)
		return atomic_fetch_sub(&w->work_left, 1) > 1;
	return false;
}

static void *run(void *arg)
{
	mg_loop_run(&((struct world *)arg)->loop);
	return NULL;
}

static void start(struct world *w)
{
	*w = (struct world){ 0 };
	assert_int_equal(mg_loop_init(&w->loop, after, w), 0);
	assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
}

static void say_stop(void *arg)
{
	((struct world *)arg)->loop.stop = true;
}

static void stop(struct world *w)
{
	mg_loop_call(&w->loop, say_stop, w);
	pthread_join(w->thread, NULL);
	mg_loop_free(&w->loop);
}

static void note_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
}

static void a_call_runs_on_the_loops_thread(void **state)
{
	struct world w;
	pthread_t who;

	(void)state;
	start(&w);
	who = pthread_self();
	mg_loop_call(&w.loop, note_thread, &who);
	assert_true(pthread_equal(who, w.thread));
	stop(&w);
}

struct caller {
	struct world *w;
	unsigned long *sum; /* plain: only the loop's thread touches it */
};

static void add_one(void *arg)
{
	++*(unsigned long *)arg;
}

static void *calls(void *arg)
{
	struct caller *c = arg;

	for (int i = 0; i < CALLS; i++)
		mg_loop_call(&c->w->loop, add_one, c->sum);
	return NULL;
}

static void calls_from_many_threads_all_run(void **state)
{
	unsigned long sum = 0;
	pthread_t t[CALLERS];
	struct caller c;
	struct world w;

	(void)state;
	start(&w);
	c = (struct caller){ &w, &sum };
	for (int i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, calls, &c), 0);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(t[i], NULL);
	stop(&w);
	assert_int_equal(sum, CALLERS * CALLS);
}

static void *call_stop(void *arg)
{
	mg_loop_call(&((struct world *)arg)->loop, say_stop, arg);
	return NULL;
}

static void a_call_made_before_the_run_is_kept(void **state)
{
	struct world w = { 0 };
	pthread_t t;

	(void)state;
	assert_int_equal(mg_loop_init(&w.loop, NULL, NULL), 0);
	assert_int_equal(pthread_create(&t, NULL, call_stop, &w), 0);
	mg_loop_run(&w.loop); /* returns because of that call */
	pthread_join(t, NULL);
	mg_loop_free(&w.loop);
}

struct box {
	struct mg_io io;
	_Atomic int wakes;
	_Atomic uint32_t events;
	sem_t *holds; /* ready waits for it */
	_Atomic bool inside, freed, touched_after;
};

static void box_ready(struct mg_io *io, uint32_t events)
{
	struct box *b = mg_container_of(io, struct box, io);

	if (atomic_load(&b->freed))
		atomic_store(&b->touched_after, true);
	atomic_fetch_or(&b->events, events);
	atomic_fetch_add(&b->wakes, 1);
	atomic_store(&b->inside, true);
	while (b->holds && sem_wait(b->holds) && errno == EINTR)
		;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void edges_wake_once(void **state)
{
	struct box b = { .io.ready = box_ready };
	struct world w;
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	b.io.fd = sv[0];
	start(&w);
	assert_int_equal(mg_loop_add(&w.loop, &b.io, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET), 0);
	assert_int_equal(mg_loop_add(&w.loop, &b.io, EPOLLIN), -EEXIST);
	assert_true(wait_until(atomic_load(&b.wakes) == 1));
	assert_int_equal(atomic_load(&b.events), EPOLLOUT);
	/* Nobody reads it: one wake, however many rounds follow. */
	assert_int_equal(send(sv[1], "x", 1, 0), 1);
	assert_true(wait_until(atomic_load(&b.wakes) == 2));
	for (int i = 0; i < 10; i++)
		mg_loop_call(&w.loop, nothing, NULL);
	assert_int_equal(atomic_load(&b.wakes), 2);
	assert_true(atomic_load(&b.events) & EPOLLIN);
	/* A new byte is a new edge, and so is the end. */
	assert_int_equal(send(sv[1], "y", 1, 0), 1);
	assert_true(wait_until(atomic_load(&b.wakes) == 3));
	assert_int_equal(shutdown(sv[1], SHUT_WR), 0);
	assert_true(wait_until(atomic_load(&b.events) & EPOLLRDHUP));
	mg_loop_remove(&w.loop, &b.io);
	mg_loop_call(&w.loop, nothing, NULL);
	atomic_store(&b.wakes, 0);
	close(sv[1]);
	for (int i = 0; i < 10; i++)
		mg_loop_call(&w.loop, nothing, NULL);
	assert_int_equal(atomic_load(&b.wakes), 0);
	stop(&w);
	assert_int_not_equal(fcntl(sv[0], F_GETFD), -1);
	close(sv[0]);
}

struct late {
	struct mg_timer t;
	_Atomic bool fired;
	struct world *w;
	uint64_t asked_ms, fired_ms;
};

static void late_fire(struct mg_timer *t)
{
	struct late *l = mg_container_of(t, struct late, t);

	l->fired_ms = l->w->loop.now_ms;
	atomic_store(&l->fired, true);
}

static void late_arm(void *arg)
{
	struct late *l = arg;

	l->asked_ms = mg_clock_ms() + 30;
	mg_timer_arm(&l->w->loop.timers, &l->t, l->asked_ms);
}

static void timers_fire_not_before_their_time(void **state)
{
	struct late l = { .t.fire = late_fire };
	struct world w;

	(void)state;
	start(&w);
	l.w = &w;
	mg_loop_call(&w.loop, late_arm, &l);
	assert_true(wait_until(atomic_load(&l.fired)));
	stop(&w);
	assert_true(l.fired_ms >= l.asked_ms);
}

/* While the hook says that work is left the loop goes round without sleeping; then it sleeps. */
static void work_left_keeps_it_going(void **state)
{
	struct world w;
	int rounds;

	(void)state;
	start(&w);
	mg_loop_call(&w.loop, nothing, NULL);
	atomic_store(&w.work_left, 50);
	mg_loop_call(&w.loop, nothing, NULL);
	assert_true(wait_until(atomic_load(&w.work_left) == 0));
	assert_true(atomic_load(&w.rounds) >= 50);
	/* Two looks without a round in between: asleep. */
	assert_true(wait_until(({
		rounds = atomic_load(&w.rounds);
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		rounds == atomic_load(&w.rounds);
	})));
	stop(&w);
}

struct late_call {
	struct world *w;
	struct box *victim;
};

static void free_victim(void *arg)
{
	atomic_store(&((struct box *)arg)->freed, true);
}

static void *call_free(void *arg)
{
	struct late_call *c = arg;

	mg_loop_call(&c->w->loop, free_victim, c->victim);
	return NULL;
}

/* The call asks for its turn first, then the other io becomes ready, and the loop finds both in one
 * batch. Calls free records, so they must not run while events of the batch point to these. */
static void a_call_waits_for_the_end_of_the_batch(void **state)
{
	struct box holder = { .io.ready = box_ready }, victim = { .io.ready = box_ready };
	uint64_t one = 1;
	struct world w;
	struct late_call c = { &w, &victim };
	pthread_t t;
	sem_t go;

	(void)state;
	sem_init(&go, 0, 0);
	holder.holds = &go;
	holder.io.fd = eventfd(0, EFD_NONBLOCK);
	victim.io.fd = eventfd(0, EFD_NONBLOCK);
	start(&w);
	assert_int_equal(mg_loop_add(&w.loop, &holder.io, EPOLLIN | EPOLLET), 0);
	assert_int_equal(mg_loop_add(&w.loop, &victim.io, EPOLLIN | EPOLLET), 0);
	assert_int_equal(write(holder.io.fd, &one, sizeof(one)), sizeof(one));
	assert_true(wait_until(atomic_load(&holder.inside)));
	assert_int_equal(pthread_create(&t, NULL, call_free, &c), 0);
	assert_true(wait_until(({
		bool queued;

		pthread_mutex_lock(&w.loop.calls_lock);
		queued = !mg_list_empty(&w.loop.calls);
		pthread_mutex_unlock(&w.loop.calls_lock);
		queued;
	})));
	/* The wake-up is written after the call is queued. */
	assert_true(wait_until(({
		struct epoll_event ev;

		epoll_wait(w.loop.epoll_fd, &ev, 1, 0) == 1 && ev.data.ptr == &w.loop.wake;
	})));
	assert_int_equal(write(victim.io.fd, &one, sizeof(one)), sizeof(one));
	sem_post(&go);
	pthread_join(t, NULL);
	assert_true(atomic_load(&victim.freed));
	assert_true(wait_until(atomic_load(&victim.wakes) == 1));
	assert_false(atomic_load(&victim.touched_after));
	stop(&w);
	close(holder.io.fd);
	close(victim.io.fd);
	sem_destroy(&go);
}

static void errors_come_back(void **state)
{
	struct mg_io bad = { .fd = -1, .ready = box_ready };
	struct mg_loop l;

	(void)state;
	assert_int_equal(mg_loop_init(&l, NULL, NULL), 0);
	assert_int_equal(mg_loop_add(&l, &bad, EPOLLIN), -EBADF);
	mg_loop_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_runs_on_the_loops_thread),
		cmocka_unit_test(calls_from_many_threads_all_run),
		cmocka_unit_test(a_call_made_before_the_run_is_kept),
		cmocka_unit_test(edges_wake_once),
		cmocka_unit_test(timers_fire_not_before_their_time),
		cmocka_unit_test(work_left_keeps_it_going),
		cmocka_unit_test(a_call_waits_for_the_end_of_the_batch),
		cmocka_unit_test(errors_come_back),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
