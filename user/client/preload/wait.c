// SPDX-License-Identifier: BSD-2-Clause
/*
 * poll() and select() where a descriptor's connection attempt is PENDING or has FAILED: the kernel
 * is asked for what the attempt needs, and the program hears of it when the attempt is over.
 */
#include "client/preload/shim.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* What the kernel says of a socket whose connection failed. */
#define FAILED_EVENTS (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP)

/* Fills in what to ask the kernel for; returns the timeout to use. */
static int prepare(const struct pollfd *fds, struct pollfd *ask, nfds_t n, int timeout_ms)
{
	sigset_t saved;

	flow_lock(&saved);
	for (nfds_t i = 0; i < n; i++) {
		struct flow *f = fds[i].fd >= 0 ? flow_get(fds[i].fd) : NULL;

		ask[i] = (struct pollfd){ .fd = fds[i].fd, .events = fds[i].events };
		if (f && atomic_load(&f->state) == FLOW_PENDING && flow_step(f) == -EAGAIN) {
			int ms = mpgate_timeout_ms(f->conn);

			ask[i].events = mpgate_events(f->conn);
			if (ms >= 0 && (timeout_ms < 0 || ms < timeout_ms))
				timeout_ms = ms;
		}
		if (f && atomic_load(&f->state) == FLOW_FAILED)
			timeout_ms = 0;
	}
	flow_unlock(&saved);
	return timeout_ms;
}

/* The program's view of what the kernel said; *moved if a pending attempt can go on. */
static int report(struct pollfd *fds, const struct pollfd *got, nfds_t n, bool *moved)
{
	int count = 0;

	for (nfds_t i = 0; i < n; i++) {
		enum flow_state state = FLOW_NONE;

		if (fds[i].fd >= 0 && fds[i].fd < SHIM_MAX_FD)
			state = atomic_load(&shim_flows[fds[i].fd].state);
		/* asked for something else before another thread saw the attempt through */
		fds[i].revents = got[i].revents & (fds[i].events | POLLERR | POLLHUP | POLLNVAL);
		if (state == FLOW_FAILED)
			fds[i].revents =
				(short)(POLLERR | POLLHUP | (fds[i].events & FAILED_EVENTS));
		if (state == FLOW_PENDING && !(got[i].revents & POLLNVAL)) {
			*moved |= got[i].revents != 0;
			fds[i].revents = 0;
		}
		count += fds[i].revents != 0;
	}
	return count;
}

static int ask_kernel(struct pollfd *fds, nfds_t n, int timeout_ms, const sigset_t *mask)
{
	struct timespec ts = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };

	if (!mask)
		return REAL(poll)(fds, n, timeout_ms);
	return REAL(ppoll)(fds, n, timeout_ms < 0 ? NULL : &ts, mask);
}

static int left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - shim_now_ms();

	if (deadline_ms < 0)
		return -1;
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int wait_poll(struct pollfd *fds, nfds_t n, int timeout_ms, const sigset_t *mask)
{
	int64_t deadline_ms = timeout_ms < 0 ? -1 : shim_now_ms() + timeout_ms;
	struct pollfd few[64], *ask = few;
	int count;

	if (n > sizeof(few) / sizeof(few[0]))
		ask = malloc(n * sizeof(*ask));
	if (!ask) {
		errno = ENOMEM;
		return -1;
	}
	for (;;) {
		bool moved = false;
		int ms = prepare(fds, ask, n, left_ms(deadline_ms));

		count = ask_kernel(ask, n, ms, mask);
		if (count < 0)
			break;
		count = report(fds, ask, n, &moved);
		if (count > 0 || (!moved && left_ms(deadline_ms) == 0))
			break;
	}
	if (ask != few)
		free(ask);
	return count;
}

static bool any_hot(const struct pollfd *fds, nfds_t n)
{
	if (shim_busy || atomic_load_explicit(&shim_hot, memory_order_relaxed) == 0)
		return false;
	for (nfds_t i = 0; i < n; i++)
		if (flow_is_hot(fds[i].fd))
			return true;
	return false;
}

static int ms_of(const struct timespec *ts)
{
	int64_t ms;

	if (!ts)
		return -1;
	ms = (int64_t)ts->tv_sec * 1000 + (ts->tv_nsec + 999999) / 1000000;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	libc_();
	if (!any_hot(fds, n))
		return REAL(poll)(fds, n, timeout_ms);
	return wait_poll(fds, n, timeout_ms, NULL);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask)
{
	libc_();
	if (!any_hot(fds, n))
		return REAL(ppoll)(fds, n, ts, mask);
	return wait_poll(fds, n, ms_of(ts), mask);
}

/* What programs built with _FORTIFY_SOURCE call. */
EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t size);
EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t size)
{
	if (size / sizeof(*fds) < n)
		abort();
	return poll(fds, n, timeout_ms);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts,
		       const sigset_t *mask, size_t size);
EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts,
		       const sigset_t *mask, size_t size)
{
	if (size / sizeof(*fds) < n)
		abort();
	return ppoll(fds, n, ts, mask);
}

/* ---- select -------------------------------------------------------------------------------- */

/* A program's set may be longer than an fd_set, so look at bits, not through FD_ISSET. */
static bool in_set(const fd_set *set, int fd)
{
	const unsigned long *words = (const unsigned long *)set;
	int bits = (int)(8 * sizeof(*words));

	return set && words[fd / bits] >> (fd % bits) & 1;
}

static void set_bit(fd_set *set, int fd, bool on)
{
	unsigned long *words = (unsigned long *)set;
	int bits = (int)(8 * sizeof(*words));

	if (!set)
		return;
	words[fd / bits] &= ~(1UL << (fd % bits));
	words[fd / bits] |= (unsigned long)on << (fd % bits);
}

static bool any_hot_in_sets(int n, const fd_set *r, const fd_set *w, const fd_set *x)
{
	if (shim_busy || atomic_load_explicit(&shim_hot, memory_order_relaxed) == 0)
		return false;
	for (int fd = 0; fd < n; fd++)
		if ((in_set(r, fd) || in_set(w, fd) || in_set(x, fd)) && flow_is_hot(fd))
			return true;
	return false;
}

static nfds_t to_pollfds(struct pollfd *fds, int n, const fd_set *r, const fd_set *w,
			 const fd_set *x)
{
	nfds_t count = 0;

	for (int fd = 0; fd < n; fd++) {
		short events = 0;

		if (in_set(r, fd))
			events |= POLLIN;
		if (in_set(w, fd))
			events |= POLLOUT;
		if (in_set(x, fd))
			events |= POLLPRI;
		if (events)
			fds[count++] = (struct pollfd){ .fd = fd, .events = events };
	}
	return count;
}

/* As the kernel's select() reads poll's events. */
static int from_pollfds(const struct pollfd *fds, nfds_t n, fd_set *r, fd_set *w, fd_set *x)
{
	int count = 0;

	for (nfds_t i = 0; i < n; i++) {
		short want = fds[i].events, got = fds[i].revents;
		bool readable = want & POLLIN && got & (POLLIN | POLLHUP | POLLERR);
		bool writable = want & POLLOUT && got & (POLLOUT | POLLERR);
		bool exceptional = want & POLLPRI && got & POLLPRI;

		if (got & POLLNVAL) {
			errno = EBADF;
			return -1;
		}
		set_bit(r, fds[i].fd, readable);
		set_bit(w, fds[i].fd, writable);
		set_bit(x, fds[i].fd, exceptional);
		count += readable + writable + exceptional;
	}
	return count;
}

static int wait_select(int n, fd_set *r, fd_set *w, fd_set *x, int timeout_ms, const sigset_t *mask)
{
	struct pollfd *fds = calloc((size_t)n, sizeof(*fds));
	nfds_t count;
	int ret;

	if (!fds) {
		errno = ENOMEM;
		return -1;
	}
	count = to_pollfds(fds, n, r, w, x);
	ret = wait_poll(fds, count, timeout_ms, mask);
	if (ret >= 0)
		ret = from_pollfds(fds, count, r, w, x);
	free(fds);
	return ret;
}

EXPORT int select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *tv)
{
	struct timespec ts = { 0 };
	int64_t started_ms, left;
	int ret;

	libc_();
	if (!any_hot_in_sets(n, r, w, x))
		return REAL(select)(n, r, w, x, tv);
	if (tv)
		ts = (struct timespec){ tv->tv_sec, tv->tv_usec * 1000 };
	started_ms = shim_now_ms();
	ret = wait_select(n, r, w, x, ms_of(tv ? &ts : NULL), NULL);
	if (tv) {
		/* Linux leaves what remains of the timeout. */
		left = ms_of(&ts) - (shim_now_ms() - started_ms);
		left = left < 0 ? 0 : left;
		*tv = (struct timeval){ left / 1000, left % 1000 * 1000 };
	}
	return ret;
}

EXPORT int pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *ts,
		   const sigset_t *mask)
{
	libc_();
	if (!any_hot_in_sets(n, r, w, x))
		return REAL(pselect)(n, r, w, x, ts, mask);
	return wait_select(n, r, w, x, ms_of(ts), mask);
}
