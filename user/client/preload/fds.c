// SPDX-License-Identifier: BSD-2-Clause
/* Descriptors that end, or get a second number. */
#include "client/preload/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <unistd.h>

/* A set keeps a file that somebody else (a child) still has open; it must not keep our data. */
static void leave_sets(const struct flow *f)
{
	if (atomic_load(&f->state) != FLOW_PENDING)
		return;
	for (int i = 0; i < FLOW_REGS; i++)
		if (f->regs[i].epfd >= 0)
			REAL(epoll_ctl)(f->regs[i].epfd, EPOLL_CTL_DEL, f->fd, NULL);
}

/* A child of vfork() shares this memory, but its descriptors are its own. */
static void forget(int fd)
{
	int saved_errno = errno;
	sigset_t saved;
	struct flow *f;

	if (flow_state(fd) == FLOW_NONE || shim_flows[fd].owner != getpid())
		return;
	flow_lock(&saved);
	f = flow_get(fd);
	if (f) {
		leave_sets(f);
		flow_drop(f);
	}
	flow_unlock(&saved);
	errno = saved_errno;
}

static void forget_range(unsigned int first, unsigned int last)
{
	for (unsigned int fd = first; fd <= last && fd < SHIM_MAX_FD; fd++)
		forget((int)fd);
}

EXPORT int close(int fd)
{
	libc_();
	forget(fd);
	return REAL(close)(fd);
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	int ret;

	libc_();
	ret = REAL(close_range)(first, last, flags);
	/* with a flag: close later, or in a table of its own */
	if (ret == 0 && flags == 0)
		forget_range(first, last);
	return ret;
}

EXPORT void closefrom(int first)
{
	libc_();
	forget_range(first < 0 ? 0 : (unsigned int)first, UINT_MAX);
	REAL(closefrom)(first);
}

/* A copy made half way would miss the outcome, so it waits. */
static void settle(int fd)
{
	libc_();
	if (flow_state(fd) == FLOW_PENDING)
		flow_wait(fd, -1);
}

static int copied(int from, int to)
{
	int saved_errno = errno;
	sigset_t saved;
	struct flow *f, *copy;

	if (to < 0 || to >= SHIM_MAX_FD || to == from || flow_state(from) != FLOW_DONE)
		return to;
	flow_lock(&saved);
	f = flow_get(from);
	if (f) {
		copy = flow_new(to);
		copy->family = f->family;
		copy->peer = f->peer;
		flow_set_state(copy, FLOW_DONE);
	}
	flow_unlock(&saved);
	errno = saved_errno;
	return to;
}

EXPORT int dup(int fd)
{
	settle(fd);
	return copied(fd, REAL(dup)(fd));
}

EXPORT int dup2(int fd, int to)
{
	settle(fd);
	if (fd != to)
		forget(to);
	return copied(fd, REAL(dup2)(fd, to));
}

EXPORT int dup3(int fd, int to, int flags)
{
	settle(fd);
	if (fd != to)
		forget(to);
	return copied(fd, REAL(dup3)(fd, to, flags));
}

static int with_pointer(int fd, int cmd, void *arg)
{
	if (cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC)
		return REAL(fcntl)(fd, cmd, arg);
	settle(fd);
	return copied(fd, REAL(fcntl)(fd, cmd, arg));
}

/* Every argument fcntl() takes fits a pointer. */
EXPORT int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	libc_();
	return with_pointer(fd, cmd, arg);
}

EXPORT int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	libc_();
	return with_pointer(fd, cmd, arg);
}
