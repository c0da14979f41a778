// SPDX-License-Identifier: BSD-2-Clause
/*
 * Epoll sets with descriptors whose connection is not there yet. While a flow is PENDING its
 * registration carries the address of its struct reg; epoll_wait() steps the flow when it comes
 * back, and the program only ever sees its own data.
 */
#include "client/preload/shim.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>

struct epoll_event epoll_pending_event(const struct flow *f, struct reg *r)
{
	short events = f->conn ? mpgate_events(f->conn) : POLLOUT;
	struct epoll_event ev = { .data.ptr = r };

	ev.events = (events & POLLIN ? EPOLLIN : 0) | (events & POLLOUT ? EPOLLOUT : 0);
	return ev;
}

/* ---- epoll_ctl ----------------------------------------------------------------------------- */

static struct reg *find_reg(struct flow *f, int epfd)
{
	for (int i = 0; i < FLOW_REGS; i++)
		if (f->regs[i].epfd == epfd)
			return &f->regs[i];
	return NULL;
}

/* Sockets that may yet connect(): the set's view of them has to survive that. */
static struct flow *watch(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct flow *f;
	int protocol = 0;

	if (fd < 0 || fd >= SHIM_MAX_FD ||
	    REAL(getpeername)(fd, (struct sockaddr *)&ss, &len) == 0 || errno != ENOTCONN)
		return NULL;
	len = sizeof(protocol);
	if (REAL(getsockopt)(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0 ||
	    protocol != IPPROTO_TCP)
		return NULL;
	f = flow_new(fd);
	flow_set_state(f, FLOW_WATCHED);
	return f;
}

/* The set is told what the flow needs now; what the program wants is kept for later. */
static int ctl_known(struct flow *f, int epfd, int op, struct epoll_event *ev)
{
	bool is_pending = atomic_load(&f->state) == FLOW_PENDING;
	struct reg *r = find_reg(f, epfd);
	struct epoll_event ours;
	int ret;

	if (op == EPOLL_CTL_DEL) {
		if (r)
			r->epfd = -1;
		return REAL(epoll_ctl)(epfd, op, f->fd, ev);
	}
	if (!r)
		r = find_reg(f, -1);
	/* More sets than we have room for: the program's own events, too early by one answer. */
	if (!r)
		return REAL(epoll_ctl)(epfd, op, f->fd, ev);
	ours = is_pending ? epoll_pending_event(f, r) : *ev;
	ret = REAL(epoll_ctl)(epfd, op, f->fd, &ours);
	if (ret == 0)
		*r = (struct reg){ .epfd = epfd, .fd = f->fd, .wanted = *ev };
	return ret;
}

EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	enum flow_state state = flow_state(fd);
	sigset_t saved;
	struct flow *f;
	int ret;

	libc_();
	if (shim_busy || !shim_config.active || state == FLOW_DONE ||
	    (state == FLOW_NONE && op != EPOLL_CTL_ADD) || (op != EPOLL_CTL_DEL && !ev))
		return REAL(epoll_ctl)(epfd, op, fd, ev);
	flow_lock(&saved);
	f = flow_get(fd);
	if (!f && op == EPOLL_CTL_ADD)
		f = watch(fd);
	ret = f && atomic_load(&f->state) != FLOW_DONE ? ctl_known(f, epfd, op, ev)
						       : REAL(epoll_ctl)(epfd, op, fd, ev);
	flow_unlock(&saved);
	return ret;
}

/* ---- epoll_wait ---------------------------------------------------------------------------- */

static struct reg *reg_of(const struct epoll_event *ev)
{
	const char *at = ev->data.ptr, *first = (const char *)shim_flows;

	if (at < first || at >= first + sizeof(shim_flows))
		return NULL;
	return ev->data.ptr;
}

static bool has_ours(const struct epoll_event *evs, int n)
{
	for (int i = 0; i < n; i++)
		if (reg_of(&evs[i]))
			return true;
	return false;
}

/* Steps the flows whose events came, and takes those events out; *moved if there were any. */
static int take_ours(struct epoll_event *evs, int n, bool *moved)
{
	int kept = 0;

	for (int i = 0; i < n; i++) {
		struct reg *r = reg_of(&evs[i]);
		struct flow *f = r ? flow_get(r->fd) : NULL;

		if (!r)
			evs[kept++] = evs[i];
		else if (f && atomic_load(&f->state) == FLOW_PENDING)
			flow_step(f);
		*moved |= r != NULL;
	}
	return kept;
}

static int left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - shim_now_ms();

	if (deadline_ms < 0)
		return -1;
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static int ask_kernel(int epfd, struct epoll_event *evs, int max, int ms, const sigset_t *mask)
{
	return mask ? REAL(epoll_pwait)(epfd, evs, max, ms, mask)
		    : REAL(epoll_wait)(epfd, evs, max, ms);
}

static int wait_epoll(int epfd, struct epoll_event *evs, int max, int timeout_ms,
		      const sigset_t *mask)
{
	int64_t deadline_ms = timeout_ms < 0 ? -1 : shim_now_ms() + timeout_ms;

	for (;;) {
		int n, ms = left_ms(deadline_ms);
		bool hot = atomic_load(&shim_hot) > 0, moved = false;
		sigset_t saved;

		if (hot) {
			flow_lock(&saved);
			ms = flow_timeout_ms(ms);
			flow_unlock(&saved);
		}
		n = ask_kernel(epfd, evs, max, ms, mask);
		if (n < 0 || (!hot && !has_ours(evs, n)))
			return n;
		flow_lock(&saved);
		n = take_ours(evs, n, &moved);
		flow_step_due();
		flow_unlock(&saved);
		/* A flow that has just settled is in the set as the program wants it: look again.
		 */
		if (n > 0 || (!moved && left_ms(deadline_ms) == 0))
			return n;
	}
}

EXPORT int epoll_wait(int epfd, struct epoll_event *evs, int max, int timeout_ms)
{
	libc_();
	if (shim_busy || !shim_config.active)
		return REAL(epoll_wait)(epfd, evs, max, timeout_ms);
	return wait_epoll(epfd, evs, max, timeout_ms, NULL);
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *evs, int max, int timeout_ms,
		       const sigset_t *mask)
{
	libc_();
	if (shim_busy || !shim_config.active)
		return REAL(epoll_pwait)(epfd, evs, max, timeout_ms, mask);
	return wait_epoll(epfd, evs, max, timeout_ms, mask);
}

EXPORT int epoll_pwait2(int epfd, struct epoll_event *evs, int max, const struct timespec *ts,
			const sigset_t *mask)
{
	int64_t ms = -1;
	int n;

	libc_();
	if (shim_busy || !shim_config.active)
		return REAL(epoll_pwait2)(epfd, evs, max, ts, mask);
	if (atomic_load(&shim_hot) == 0) {
		/* keeps its nanoseconds; another thread may have made a flow meanwhile */
		n = REAL(epoll_pwait2)(epfd, evs, max, ts, mask);
		if (n <= 0 || !has_ours(evs, n))
			return n;
	}
	if (ts)
		ms = (int64_t)ts->tv_sec * 1000 + (ts->tv_nsec + 999999) / 1000000;
	return wait_epoll(epfd, evs, max, ms > INT_MAX ? INT_MAX : (int)ms, mask);
}
