// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading and writing. Before the answer came there is nothing to read for the program and nothing
 * of its to send; after it these are libc's functions with one load in front.
 */
#include "client/preload/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>

/* 0: the program may go on. -1 with errno: it is told so. */
static int settle(int fd, bool nonblock)
{
	sigset_t saved;
	struct flow *f;
	int err = 0;

	flow_lock(&saved);
	f = flow_get(fd);
	if (f && atomic_load(&f->state) == FLOW_PENDING)
		err = flow_step(f);
	flow_unlock(&saved);
	if (err == -EAGAIN && !nonblock)
		err = flow_wait(fd, -1);
	if (err == -EAGAIN || err == -EINTR) {
		errno = -err;
		return -1;
	}
	flow_lock(&saved);
	f = flow_get(fd);
	err = 0;
	if (f && atomic_load(&f->state) == FLOW_FAILED) {
		err = f->err;
		flow_set_state(f, FLOW_WATCHED);
	}
	flow_unlock(&saved);
	errno = err;
	return err ? -1 : 0;
}

static int guard(int fd, int flags)
{
	int saved_errno = errno, file_flags;

	libc_();
	if (!flow_is_hot(fd))
		return 0;
	file_flags = REAL(fcntl)(fd, F_GETFL);
	if (settle(fd, flags & MSG_DONTWAIT || (file_flags >= 0 && file_flags & O_NONBLOCK)) < 0)
		return -1;
	errno = saved_errno;
	return 0;
}

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
	return guard(fd, 0) ? -1 : REAL(read)(fd, buf, n);
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	return guard(fd, 0) ? -1 : REAL(readv)(fd, iov, n);
}

EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	return guard(fd, flags) ? -1 : REAL(recv)(fd, buf, n, flags);
}

EXPORT ssize_t recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
			socklen_t *len)
{
	return guard(fd, flags) ? -1 : REAL(recvfrom)(fd, buf, n, flags, addr, len);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	return guard(fd, flags) ? -1 : REAL(recvmsg)(fd, msg, flags);
}

EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags, struct timespec *ts)
{
	return guard(fd, flags) ? -1 : REAL(recvmmsg)(fd, msgs, n, flags, ts);
}

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
	return guard(fd, 0) ? -1 : REAL(write)(fd, buf, n);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	return guard(fd, 0) ? -1 : REAL(writev)(fd, iov, n);
}

EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	return guard(fd, flags) ? -1 : REAL(send)(fd, buf, n, flags);
}

/* MSG_FASTOPEN connects: with the data in the SYN, behind the Convert message, if it may wait. */
static ssize_t fast_open(int fd, const struct mg_ep *dest, const void *buf, size_t n, int flags)
{
	int file_flags = REAL(fcntl)(fd, F_GETFL), err;
	bool nonblock = flags & MSG_DONTWAIT || (file_flags >= 0 && file_flags & O_NONBLOCK);

	if (n > MPGATE_DATA_MAX_BYTES)
		n = MPGATE_DATA_MAX_BYTES;
	err = connect_through(fd, dest, buf, nonblock ? 0 : n, nonblock);
	if (!err && !nonblock)
		return (ssize_t)n;
	if (!err)
		return REAL(send)(fd, buf, n, flags & ~MSG_FASTOPEN);
	errno = -err;
	return -1;
}

EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
		      socklen_t len)
{
	struct mg_ep dest;

	if (guard(fd, flags))
		return -1;
	if (flags & MSG_FASTOPEN && connect_is_ours(fd, addr, len, &dest))
		return fast_open(fd, &dest, buf, n, flags);
	return REAL(sendto)(fd, buf, n, flags, addr, len);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct mg_ep dest;

	if (guard(fd, flags))
		return -1;
	if (flags & MSG_FASTOPEN && msg && msg->msg_iovlen > 0 &&
	    connect_is_ours(fd, msg->msg_name, msg->msg_namelen, &dest))
		return fast_open(fd, &dest, msg->msg_iov[0].iov_base, msg->msg_iov[0].iov_len,
				 flags);
	return REAL(sendmsg)(fd, msg, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	return guard(fd, flags) ? -1 : REAL(sendmmsg)(fd, msgs, n, flags);
}

EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t n)
{
	return guard(out, 0) || guard(in, 0) ? -1 : REAL(sendfile)(out, in, offset, n);
}

EXPORT ssize_t sendfile64(int out, int in, off64_t *offset, size_t n)
{
	return sendfile(out, in, offset, n);
}

EXPORT ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t n,
		      unsigned int flags)
{
	return guard(in, 0) || guard(out, 0)
		       ? -1
		       : REAL(splice)(in, in_offset, out, out_offset, n, flags);
}

/* What programs built with _FORTIFY_SOURCE call. */
EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t size)
{
	if (n > size)
		abort();
	return read(fd, buf, n);
}

EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags)
{
	if (n > size)
		abort();
	return recv(fd, buf, n, flags);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags,
			      struct sockaddr *addr, socklen_t *len);
EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags,
			      struct sockaddr *addr, socklen_t *len)
{
	if (n > size)
		abort();
	return recvfrom(fd, buf, n, flags, addr, len);
}
