// SPDX-License-Identifier: BSD-2-Clause
/* connect(), and the other ways to start a TCP connection. */
#include "client/preload/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>

#include "client/lib/conn.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int int_option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return REAL(getsockopt)(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

static bool is_unconnected_tcp(int fd, sa_family_t family)
{
	int protocol = int_option(fd, SO_PROTOCOL);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	return (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP) &&
	       int_option(fd, SO_TYPE) == SOCK_STREAM && int_option(fd, SO_DOMAIN) == family &&
	       int_option(fd, SO_ACCEPTCONN) == 0 &&
	       REAL(getpeername)(fd, (struct sockaddr *)&ss, &len) < 0;
}

/* Addresses that mean something on this host or this link only, and those the user names. */
static bool is_left_alone(const struct mg_ep *dest)
{
	const struct in6_addr *ip = &dest->ip;

	if (mg_ip_is_loopback(ip) || mg_ip_is_unspecified(ip) || mg_ip_is_linklocal(ip) ||
	    mg_ip_is_multicast(ip) || mg_ip_is_broadcast(ip) || dest->port == 0 ||
	    mg_ep_equal(dest, &shim_config.converter))
		return true;
	for (size_t i = 0; i < shim_config.n_direct; i++)
		if (mg_prefix_contains(&shim_config.direct[i], ip))
			return true;
	return false;
}

bool connect_is_ours(int fd, const struct sockaddr *addr, socklen_t len, struct mg_ep *dest)
{
	if (!shim_config.active || shim_busy || !addr || fd < 0)
		return false;
	if (len < (socklen_t)sizeof(struct sockaddr_in) ||
	    (addr->sa_family == AF_INET6 && len < (socklen_t)sizeof(struct sockaddr_in6)) ||
	    mg_ep_from_sockaddr(dest, addr))
		return false;
	return !is_left_alone(dest) && is_unconnected_tcp(fd, addr->sa_family);
}

/* A blocking connect() waits as long as SO_SNDTIMEO says. */
static int64_t send_deadline_ms(int fd)
{
	struct timeval tv = { 0 };
	socklen_t len = sizeof(tv);

	if (REAL(getsockopt)(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, &len) < 0 ||
	    (tv.tv_sec == 0 && tv.tv_usec == 0))
		return -1;
	return shim_now_ms() + (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

/* The error was told: the socket is as good as new, and its epoll sets go on. */
static int tell_error(struct flow *f)
{
	int err = f->err;

	f->err = 0;
	flow_set_state(f, FLOW_WATCHED);
	return -err;
}

static int outcome(int fd, int err)
{
	sigset_t saved;
	struct flow *f;

	if (err != -EAGAIN && err != -EINTR && err != -EINPROGRESS && err) {
		flow_lock(&saved);
		f = flow_get(fd);
		if (f && atomic_load(&f->state) == FLOW_FAILED)
			err = tell_error(f);
		flow_unlock(&saved);
	}
	return err;
}

static int start(int fd, const struct mg_ep *dest, const void *data, size_t len)
{
	struct sockaddr_storage ss;
	struct mg_conn_hooks hooks = { .open = sock_open, .close = sock_close };
	struct flow *f = flow_new(fd);
	int err;

	f->family = (sa_family_t)int_option(fd, SO_DOMAIN);
	f->peer = *dest;
	f->started_ms = shim_now_ms();
	sock_remember(f);
	mg_ep_to_sockaddr(dest, &ss);
	hooks.arg = f;
	err = mg_conn_start(&f->conn, &shim_config.options, (struct sockaddr *)&ss, data, len,
			    &hooks);
	if (err) {
		flow_drop(f);
		return err;
	}
	flow_set_state(f, FLOW_PENDING);
	return flow_step(f);
}

int connect_through(int fd, const struct mg_ep *dest, const void *data, size_t len, bool nonblock)
{
	sigset_t saved;
	int err;

	if (shim_config.bad)
		return shim_config.bad;
	/* A descriptor we keep no record for must not slip past the converter. */
	if (fd >= SHIM_MAX_FD)
		return -EMFILE;
	flow_lock(&saved);
	err = start(fd, dest, data, len);
	flow_unlock(&saved);
	if (err == -EAGAIN && nonblock)
		return -EINPROGRESS;
	if (err == -EAGAIN)
		err = flow_wait(fd, send_deadline_ms(fd));
	return outcome(fd, err);
}

static bool is_nonblocking(int fd)
{
	int flags = REAL(fcntl)(fd, F_GETFL);

	return flags >= 0 && flags & O_NONBLOCK;
}

/* A second connect() on the same descriptor asks how the first one is doing. */
static int connect_again(int fd, bool *settled)
{
	sigset_t saved;
	struct flow *f;
	int err = 0;

	*settled = false;
	flow_lock(&saved);
	f = flow_get(fd);
	if (f && atomic_load(&f->state) == FLOW_PENDING) {
		err = flow_step(f);
		*settled = true;
	} else if (f && atomic_load(&f->state) == FLOW_FAILED) {
		err = -f->err;
		*settled = true;
	}
	flow_unlock(&saved);
	if (err == -EAGAIN) {
		if (is_nonblocking(fd))
			return -EALREADY;
		err = flow_wait(fd, send_deadline_ms(fd));
	}
	return outcome(fd, err);
}

EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct mg_ep dest;
	bool settled = false;
	int err = 0;

	libc_();
	if (flow_is_hot(fd) && addr && addr->sa_family != AF_UNSPEC)
		err = connect_again(fd, &settled);
	if (!settled) {
		if (!connect_is_ours(fd, addr, len, &dest))
			return REAL(connect)(fd, addr, len);
		err = connect_through(fd, &dest, NULL, 0, is_nonblocking(fd));
	}
	if (!err)
		return 0;
	errno = -err;
	return -1;
}
