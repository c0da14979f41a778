// SPDX-License-Identifier: BSD-2-Clause
/* Another socket behind the program's descriptor, as like the program's own as can be. */
#include "client/preload/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

/* Options a program may have set before it connects; their size is what getsockopt() says. */
static const struct {
	int level, name;
} carried[] = {
	{ SOL_SOCKET, SO_REUSEADDR },
	{ SOL_SOCKET, SO_REUSEPORT },
	{ SOL_SOCKET, SO_KEEPALIVE },
	{ SOL_SOCKET, SO_OOBINLINE },
	{ SOL_SOCKET, SO_LINGER },
	{ SOL_SOCKET, SO_RCVTIMEO },
	{ SOL_SOCKET, SO_SNDTIMEO },
	{ SOL_SOCKET, SO_MARK },
	{ SOL_SOCKET, SO_BINDTODEVICE },
	{ SOL_SOCKET, SO_BUSY_POLL },
	{ SOL_SOCKET, SO_DONTROUTE },
	{ SOL_SOCKET, SO_TIMESTAMP },
	{ IPPROTO_TCP, TCP_NODELAY },
	{ IPPROTO_TCP, TCP_CORK },
	{ IPPROTO_TCP, TCP_KEEPIDLE },
	{ IPPROTO_TCP, TCP_KEEPINTVL },
	{ IPPROTO_TCP, TCP_KEEPCNT },
	{ IPPROTO_TCP, TCP_CONGESTION },
	{ IPPROTO_TCP, TCP_MAXSEG },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT },
	{ IPPROTO_TCP, TCP_SYNCNT },
	{ IPPROTO_TCP, TCP_INQ },
	{ IPPROTO_IP, IP_TOS },
	{ IPPROTO_IP, IP_TTL },
	{ IPPROTO_IP, IP_FREEBIND },
	{ IPPROTO_IP, IP_TRANSPARENT },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT },
	{ IPPROTO_IP, IP_LOCAL_PORT_RANGE },
	{ IPPROTO_IPV6, IPV6_TCLASS },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS },
	{ IPPROTO_IPV6, IPV6_FREEBIND },
	{ IPPROTO_IPV6, IPV6_TRANSPARENT },
	{ SOL_SOCKET, SO_PRIORITY },
};

static void carry(int from, int to, int level, int name)
{
	char a[128] = { 0 }, b[128] = { 0 };
	socklen_t a_len = sizeof(a), b_len = sizeof(b);

	if (REAL(getsockopt)(from, level, name, a, &a_len) < 0)
		return;
	if (REAL(getsockopt)(to, level, name, b, &b_len) == 0 && a_len == b_len &&
	    memcmp(a, b, a_len) == 0)
		return;
	/* What MPTCP refuses the program has to do without. */
	REAL(setsockopt)(to, level, name, a, a_len);
}

static void set_int(int fd, int level, int name, int value)
{
	REAL(setsockopt)(fd, level, name, &value, sizeof(value));
}

static int get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return REAL(getsockopt)(fd, level, name, &value, &len) == 0 ? value : 0;
}

static void carry_all(const struct flow *f, int to)
{
	int flags = REAL(fcntl)(f->fd, F_GETFL);

	for (size_t i = 0; i < sizeof(carried) / sizeof(carried[0]); i++)
		carry(f->fd, to, carried[i].level, carried[i].name);
	/* the kernel doubles what it is given, and tells the double */
	if (f->rcvbuf)
		set_int(to, SOL_SOCKET, SO_RCVBUF, f->rcvbuf / 2);
	if (f->sndbuf)
		set_int(to, SOL_SOCKET, SO_SNDBUF, f->sndbuf / 2);
	if (flags >= 0)
		REAL(fcntl)(to, F_SETFL, flags);
}

void sock_remember(struct flow *f)
{
	int fresh = socket(f->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	/* A buffer size that differs from a new socket's was set by the program. */
	f->rcvbuf = get_int(f->fd, SOL_SOCKET, SO_RCVBUF);
	f->sndbuf = get_int(f->fd, SOL_SOCKET, SO_SNDBUF);
	if (fresh >= 0) {
		if (f->rcvbuf == get_int(fresh, SOL_SOCKET, SO_RCVBUF))
			f->rcvbuf = 0;
		if (f->sndbuf == get_int(fresh, SOL_SOCKET, SO_SNDBUF))
			f->sndbuf = 0;
		REAL(close)(fresh);
	}
	if (REAL(getsockname)(f->fd, (struct sockaddr *)&ss, &len) == 0 &&
	    mg_ep_from_sockaddr(&f->local, (struct sockaddr *)&ss) == 0)
		f->bound = f->local.port || !mg_ip_is_unspecified(&f->local.ip);
}

static int bind_again(const struct flow *f, int family)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct mg_ep local = f->local;
	bool any = mg_ip_is_unspecified(&local.ip);

	if (!f->bound)
		return 0;
	if (!any && !mg_ip_is_v4(&local.ip) && family == AF_INET)
		return -EADDRNOTAVAIL;
	if (any)
		memset(&local.ip, 0, sizeof(local.ip));
	name_store(&local, (sa_family_t)family, (struct sockaddr *)&ss, &len);
	return bind(f->fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

/* Puts the socket at f->fd; epoll sets that held the old one hold this one then. */
static int put_in_place(struct flow *f, int fd, bool pending)
{
	bool held[FLOW_REGS] = { false };
	int cloexec = REAL(fcntl)(f->fd, F_GETFD) & FD_CLOEXEC ? O_CLOEXEC : 0, err = 0;

	for (int i = 0; i < FLOW_REGS; i++)
		held[i] = f->regs[i].epfd >= 0 &&
			  REAL(epoll_ctl)(f->regs[i].epfd, EPOLL_CTL_DEL, f->fd, NULL) == 0;
	if (REAL(dup3)(fd, f->fd, cloexec) < 0)
		err = -errno;
	REAL(close)(fd);
	for (int i = 0; i < FLOW_REGS; i++) {
		struct reg *r = &f->regs[i];
		struct epoll_event ev = pending ? epoll_pending_event(f, r) : r->wanted;

		/* an epoll set that did not hold it is another one under that number */
		if (held[i])
			REAL(epoll_ctl)(r->epfd, EPOLL_CTL_ADD, f->fd, &ev);
		else
			r->epfd = -1;
	}
	f->so_cookie = flow_so_cookie(f->fd);
	return err;
}

/* The old socket ends with a reset (RFC 8803 section 6.2.8) when the new one takes its place. */
static void reset_on_close(int fd)
{
	struct linger now = { .l_onoff = 1 };

	REAL(setsockopt)(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

int sock_open(void *arg, int family, int protocol, int old)
{
	struct flow *f = arg;
	int fd, err;

	/* IPv6 sockets speak IPv4 too, and keep the options a program may set later. */
	if (f->family == AF_INET6)
		family = AF_INET6;
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	if (fd < 0) {
		err = -errno;
		if (old >= 0)
			sock_close(f, old);
		return err;
	}
	carry_all(f, fd);
	if (family == AF_INET6)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (old >= 0)
		reset_on_close(old);
	err = put_in_place(f, fd, true);
	if (!err)
		err = bind_again(f, family);
	return err ? err : f->fd;
}

void sock_close(void *arg, int fd)
{
	struct flow *f = arg;
	int fresh = socket(f->family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	if (fresh < 0) {
		/* resets the connection just as well */
		REAL(connect)(fd, &none, sizeof(none));
		return;
	}
	carry_all(f, fresh);
	reset_on_close(fd);
	put_in_place(f, fresh, false);
	bind_again(f, f->family);
}

void sock_release(struct flow *f)
{
	for (int i = 0; i < FLOW_REGS; i++) {
		struct reg *r = &f->regs[i];

		if (r->epfd >= 0)
			REAL(epoll_ctl)(r->epfd, EPOLL_CTL_MOD, f->fd, &r->wanted);
		r->epfd = -1;
	}
}
