/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls of the kernel and of malloc that fail when they are told to. They are the test's own (the
 * Makefile wraps them): on the workers' threads the one that is armed fails, the others go on to
 * the real ones.
 */
#ifndef MG_TESTS_FAULTS_H
#define MG_TESTS_FAULTS_H

#include "session_rig.h"

#include <sys/epoll.h>

/* X(symbol, return type, parameters, arguments, what it returns when it fails) */
#define CALLS(X)                                                                                  \
	X(accept4, int, (int fd, struct sockaddr *sa, socklen_t *len, int flags),                 \
	  (fd, sa, len, flags), -1)                                                               \
	X(calloc, void *, (size_t n, size_t size), (n, size), NULL)                               \
	X(connect, int, (int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len), -1)    \
	X(epoll_ctl, int, (int epfd, int op, int fd, struct epoll_event *ev), (epfd, op, fd, ev), \
	  -1)                                                                                     \
	X(malloc, void *, (size_t n), (n), NULL)                                                  \
	X(realloc, void *, (void *old, size_t n), (old, n), NULL)                                 \
	X(recv, ssize_t, (int fd, void *data, size_t len, int flags), (fd, data, len, flags), -1) \
	X(send, ssize_t, (int fd, const void *data, size_t len, int flags),                       \
	  (fd, data, len, flags), -1)                                                             \
	X(socket, int, (int family, int type, int protocol), (family, type, protocol), -1)

enum call {
#define X(name, type, params, args, bad) CALL_##name,
	CALLS(X)
#undef X
		CALL_open,
	CALL_COUNT
};

static struct {
	_Atomic int skip, times, err;
} faults[CALL_COUNT];
static _Thread_local bool here_too; /* on the test's own thread */

static inline bool fails(enum call call)
{
	if (test_thread && !here_too)
		return false;
	if (atomic_load(&faults[call].times) == 0)
		return false;
	if (atomic_load(&faults[call].skip) > 0) {
		atomic_fetch_sub(&faults[call].skip, 1);
		return false;
	}
	atomic_fetch_sub(&faults[call].times, 1);
	errno = atomic_load(&faults[call].err);
	return true;
}

#define X(name, type, params, args, bad)                              \
	type __real_##name params;                                    \
	type __wrap_##name params;                                    \
	type __wrap_##name params                                     \
	{                                                             \
		return fails(CALL_##name) ? bad : __real_##name args; \
	}
CALLS(X)
#undef X

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	return fails(CALL_open) ? -1 : __real_open(path, flags, 0600);
}

static inline void fault(enum call call, int skip, int times, int err)
{
	atomic_store(&faults[call].skip, skip);
	atomic_store(&faults[call].err, err);
	atomic_store(&faults[call].times, times);
}

/* Every fault that was armed has happened: the test tested what it says. */
static inline void all_happened(void)
{
	for (int i = 0; i < CALL_COUNT; i++)
		assert_int_equal(atomic_load(&faults[i].times), 0);
}

#endif
