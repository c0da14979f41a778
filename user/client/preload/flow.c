// SPDX-License-Identifier: BSD-2-Clause
/* Descriptors with a connection attempt behind them, and the one lock over them. */
#include "client/preload/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/conn.h"

struct flow shim_flows[SHIM_MAX_FD];
atomic_int shim_hot;
__thread int shim_busy __attribute__((tls_model("initial-exec")));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct flow *pending; /* the list of PENDING flows */
static unsigned int serials;

int64_t shim_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- the lock ------------------------------------------------------------------------------ */

/* Signals wait: a handler may close or write to any descriptor, or jump out of here. */
void flow_lock(sigset_t *saved)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, saved);
	pthread_mutex_lock(&lock);
	shim_busy++;
}

void flow_unlock(const sigset_t *saved)
{
	shim_busy--;
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

/* The child's copies of pending attempts are its own to go on with. */
static void after_fork_in_child(void)
{
	pid_t self = getpid();

	for (struct flow *f = pending; f; f = f->next)
		f->owner = self;
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void at_load(void)
{
	pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* ---- records ------------------------------------------------------------------------------- */

uint64_t flow_so_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return REAL(getsockopt)(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

static bool is_hot(enum flow_state state)
{
	return state == FLOW_PENDING || state == FLOW_FAILED;
}

static void unlink_pending(struct flow *f)
{
	for (struct flow **at = &pending; *at; at = &(*at)->next)
		if (*at == f) {
			*at = f->next;
			return;
		}
}

void flow_set_state(struct flow *f, enum flow_state state)
{
	enum flow_state was = atomic_load(&f->state);

	if (was == state)
		return;
	if (was == FLOW_PENDING)
		unlink_pending(f);
	if (state == FLOW_PENDING) {
		f->next = pending;
		pending = f;
	}
	atomic_fetch_add(&shim_hot, (int)is_hot(state) - (int)is_hot(was));
	atomic_store(&f->state, (unsigned char)state);
}

void flow_drop(struct flow *f)
{
	if (f->conn)
		mg_conn_free(f->conn);
	f->conn = NULL;
	flow_set_state(f, FLOW_NONE);
}

struct flow *flow_get(int fd)
{
	struct flow *f;

	if (fd < 0 || fd >= SHIM_MAX_FD)
		return NULL;
	f = &shim_flows[fd];
	if (atomic_load(&f->state) == FLOW_NONE)
		return NULL;
	/* closed behind our back (fclose, a raw system call), and the number used again */
	if (f->so_cookie != flow_so_cookie(fd)) {
		flow_drop(f);
		return NULL;
	}
	return f;
}

struct flow *flow_new(int fd)
{
	struct flow *f = flow_get(fd);
	struct reg regs[FLOW_REGS];
	bool watched = f != NULL;

	if (f) {
		memcpy(regs, f->regs, sizeof(regs));
		flow_drop(f);
	}
	f = &shim_flows[fd];
	memset(f, 0, sizeof(*f));
	f->fd = fd;
	f->owner = getpid();
	f->serial = ++serials;
	f->so_cookie = flow_so_cookie(fd);
	for (int i = 0; i < FLOW_REGS; i++)
		f->regs[i] = watched ? regs[i] : (struct reg){ .epfd = -1 };
	return f;
}

/* ---- steps --------------------------------------------------------------------------------- */

static int conclude(struct flow *f, int err)
{
	struct mpgate_result result = { .size = sizeof(result) };

	mg_conn_result(f->conn, &result);
	shim_log_outcome(f, &result, err);
	mg_conn_free(f->conn);
	f->conn = NULL;
	if (err) {
		f->err = -err;
		flow_set_state(f, FLOW_FAILED);
	} else {
		flow_set_state(f, FLOW_DONE);
		sock_release(f);
		/* a direct connection has nothing to hide */
		if (result.via == MPGATE_VIA_DIRECT)
			flow_drop(f);
	}
	return err;
}

/* What the program waits with follows the attempt: other events, another socket. */
static void renew_registrations(struct flow *f)
{
	for (int i = 0; i < FLOW_REGS; i++) {
		struct reg *r = &f->regs[i];
		struct epoll_event ev = epoll_pending_event(f, r);

		if (r->epfd >= 0)
			REAL(epoll_ctl)(r->epfd, EPOLL_CTL_MOD, f->fd, &ev);
	}
}

int flow_step(struct flow *f)
{
	short events = mpgate_events(f->conn);
	int saved = errno, err = mpgate_step(f->conn);

	if (err != -EAGAIN)
		err = conclude(f, err);
	else if (mpgate_events(f->conn) != events)
		renew_registrations(f);
	errno = saved;
	return err;
}

int flow_timeout_ms(int timeout_ms)
{
	for (struct flow *f = pending; f; f = f->next) {
		int ms = mpgate_timeout_ms(f->conn);

		if (ms >= 0 && (timeout_ms < 0 || ms < timeout_ms))
			timeout_ms = ms;
	}
	return timeout_ms;
}

void flow_step_due(void)
{
	struct flow *next;

	for (struct flow *f = pending; f; f = next) {
		next = f->next;
		if (mpgate_timeout_ms(f->conn) == 0 && flow_get(f->fd))
			flow_step(f);
	}
}

/* ---- waiting ------------------------------------------------------------------------------- */

/*
 * connect() goes on after a signal whose handler has SA_RESTART; poll() never does. Which signal it
 * was cannot be told, but if every handler restarts, so did this one.
 */
static bool may_interrupt(void)
{
	for (int sig = 1; sig < NSIG; sig++) {
		struct sigaction sa;

		if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler != SIG_DFL &&
		    sa.sa_handler != SIG_IGN && !(sa.sa_flags & SA_RESTART))
			return true;
	}
	return false;
}

static int time_left(int timeout_ms, int64_t deadline_ms)
{
	int64_t left = deadline_ms - shim_now_ms();

	if (deadline_ms < 0)
		return timeout_ms;
	if (left < 0)
		left = 0;
	if (left > INT_MAX)
		left = INT_MAX;
	return timeout_ms >= 0 && timeout_ms < left ? timeout_ms : (int)left;
}

/* One look at the flow under the lock; -EAGAIN with p and *timeout_ms set while it is pending. */
static int look(int fd, unsigned int *serial, struct pollfd *p, int *timeout_ms)
{
	sigset_t saved;
	struct flow *f;
	int err = 0;

	flow_lock(&saved);
	f = flow_get(fd);
	if (f && *serial == 0)
		*serial = f->serial;
	if (!f || f->serial != *serial) {
		err = -EBADF;
	} else if (atomic_load(&f->state) == FLOW_PENDING) {
		err = flow_step(f);
		if (err == -EAGAIN) {
			*p = (struct pollfd){ .fd = fd, .events = mpgate_events(f->conn) };
			*timeout_ms = mpgate_timeout_ms(f->conn);
		}
	} else if (atomic_load(&f->state) == FLOW_FAILED) {
		err = -f->err;
	}
	flow_unlock(&saved);
	return err;
}

int flow_wait(int fd, int64_t deadline_ms)
{
	unsigned int serial = 0;

	for (;;) {
		struct pollfd p;
		int timeout_ms = -1, err = look(fd, &serial, &p, &timeout_ms);

		if (err != -EAGAIN)
			return err;
		if (deadline_ms >= 0 && shim_now_ms() >= deadline_ms)
			return -EINPROGRESS;
		if (REAL(poll)(&p, 1, time_left(timeout_ms, deadline_ms)) < 0 && errno == EINTR &&
		    may_interrupt())
			return -EINTR;
	}
}
