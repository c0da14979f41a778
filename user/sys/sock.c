// SPDX-License-Identifier: BSD-2-Clause
#include "sys/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sys/diag.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif

#define RESERVE_MAX 128

static const int on = 1;
static const int off;

static int reserve_from = INT_MAX;

void mg_sock_keep_reserve(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > INT_MAX)
		return;
	reserve_from = (int)limit.rlim_cur;
	reserve_from -= reserve_from / 8 < RESERVE_MAX ? reserve_from / 8 : RESERVE_MAX;
}

/* The kernel gives out the lowest number that is free. */
bool mg_sock_in_reserve(int fd)
{
	return fd >= reserve_from;
}

bool mg_sock_has_room(unsigned int more)
{
	int lowest;

	if (reserve_from == INT_MAX)
		return true;
	lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (lowest < 0)
		return errno != EMFILE && errno != ENFILE;
	close(lowest);
	return (unsigned int)lowest + more <= (unsigned int)reserve_from;
}

/* An urgent byte is a byte: to be read in its place, not next to the stream, where nobody looks.
 * MPTCP has none. */
static void keep_urgent(int fd)
{
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

static int new_socket(bool v4, bool *mptcp)
{
	int family = v4 ? AF_INET : AF_INET6;
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

	if (*mptcp) {
		int fd = socket(family, type, IPPROTO_MPTCP);

		if (fd >= 0)
			return fd;
		if (errno != EPROTONOSUPPORT && errno != ENOPROTOOPT && errno != EINVAL)
			return -errno;
		*mptcp = false;
	}
	int fd = socket(family, type, IPPROTO_TCP);

	return fd < 0 ? -errno : fd;
}

static int fail(int fd)
{
	int err = -errno;

	close(fd);
	return err;
}

static int set_transparent(int fd, bool v4)
{
	return v4 ? setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on))
		  : setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof(on));
}

static int listen_at(const struct mg_ep *ep, int fastopen_queue, bool transparent, bool *mptcp)
{
	bool v4 = mg_ip_is_v4(&ep->ip);
	struct sockaddr_storage ss;
	socklen_t len = mg_ep_to_sockaddr(ep, &ss);
	int fd;

	*mptcp = true;
	fd = new_socket(v4, mptcp);
	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (transparent ? set_transparent(fd, v4)
			 : setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on))) ||
	    (!v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    bind(fd, (struct sockaddr *)&ss, len))
		return fail(fd);
	/* Kernels without one of these take the message after the handshake; the probe says so. */
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &fastopen_queue, sizeof(fastopen_queue));
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (listen(fd, 65535))
		return fail(fd);
	return fd;
}

int mg_sock_listen(const struct mg_ep *ep, int fastopen_queue, bool *mptcp)
{
	return listen_at(ep, fastopen_queue, false, mptcp);
}

int mg_sock_listen_transparent(const struct mg_ep *ep, int fastopen_queue, bool *mptcp)
{
	return listen_at(ep, fastopen_queue, true, mptcp);
}

int mg_sock_accept(int listen_fd, struct mg_ep *peer, bool *mptcp)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = accept4(listen_fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int protocol = 0, err;

	if (fd < 0)
		return -errno;
	err = mg_ep_from_sockaddr(peer, (struct sockaddr *)&ss);
	if (err) {
		close(fd);
		return err;
	}
	len = sizeof(protocol);
	*mptcp = !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) &&
		 protocol == IPPROTO_MPTCP;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		return fail(fd);
	if (!*mptcp)
		keep_urgent(fd);
	return fd;
}

/* A bound port that turns out taken gives way to any other one. */
static int bind_source(int fd, const struct mg_ep *source, bool any_port)
{
	bool v4 = mg_ip_is_v4(&source->ip);
	struct mg_ep ep = *source;
	struct sockaddr_storage ss;
	socklen_t len;

	if (any_port)
		ep.port = 0;
	len = mg_ep_to_sockaddr(&ep, &ss);
	if (set_transparent(fd, v4))
		return -errno;
	if (any_port)
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return -errno;
	return bind(fd, (struct sockaddr *)&ss, len) ? -errno : 0;
}

int mg_sock_new(const struct mg_ep *peer, bool mptcp)
{
	bool v4 = mg_ip_is_v4(&peer->ip);
	int fd = new_socket(v4, &mptcp);

	if (fd < 0)
		return fd;
	if (mg_sock_in_reserve(fd)) {
		close(fd);
		return -EMFILE;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!mptcp)
		keep_urgent(fd);
	/* So that an ICMP error keeps its code. MPTCP sockets refuse it. */
	if (v4)
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	return fd;
}

static int try_connect(int *out, const struct mg_ep *peer, const struct mg_ep *source,
		       bool any_port, bool mptcp)
{
	struct sockaddr_storage ss;
	socklen_t len = mg_ep_to_sockaddr(peer, &ss);
	int fd = mg_sock_new(peer, mptcp);
	int err = 0;

	if (fd < 0)
		return fd;
	if (source)
		err = bind_source(fd, source, any_port);
	if (!err && connect(fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

int mg_sock_connect(int *fd, const struct mg_ep *peer, const struct mg_ep *source, bool mptcp)
{
	int err = try_connect(fd, peer, source, false, mptcp);

	if (source && (err == -EADDRINUSE || err == -EADDRNOTAVAIL || err == -EACCES))
		err = try_connect(fd, peer, source, true, mptcp);
	return err;
}

int mg_sock_connect_from(int *fd, const struct mg_ep *peer, const struct in6_addr *source,
			 bool mptcp)
{
	const struct mg_ep from = { .ip = *source };

	return try_connect(fd, peer, &from, true, mptcp);
}

int mg_sock_connect_port(int *fd, const struct mg_ep *peer, const struct mg_ep *source, bool mptcp)
{
	return try_connect(fd, peer, source, false, mptcp);
}

int mg_sock_connect_exact(int *fd, const struct mg_ep *peer, const struct mg_ep *source, bool mptcp)
{
	int err = try_connect(fd, peer, source, false, mptcp);

	/* The client may use its port again before we think so: RFC 9293 section 3.6.1. */
	if (err == -EADDRNOTAVAIL && !mg_diag_end_time_wait(source, peer))
		err = try_connect(fd, peer, source, false, mptcp);
	return err;
}

uint8_t mg_sock_icmp_code(int err, bool v4)
{
	switch (err) {
	case ENETUNREACH:
		return 0; /* no route, both families */
	case EACCES:
	case EPERM:
		return v4 ? 13 : 1; /* administratively prohibited */
	case ECONNREFUSED:
		return v4 ? 3 : 4; /* port unreachable */
	case EPROTO:
	case ENOPROTOOPT:
		return v4 ? 2 : 3; /* protocol unreachable; v6 has no such code */
	default:
		return v4 ? 1 : 3; /* host, or address, unreachable */
	}
}

void mg_sock_connect_result(int fd, struct mg_sock_failure *why)
{
	char control[512];
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
	socklen_t len = sizeof(why->err);

	*why = (struct mg_sock_failure){ 0 };
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why->err, &len))
		why->err = errno;
	if (!why->err) {
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &off, sizeof(off));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &off, sizeof(off));
		return;
	}
	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct sock_extended_err ee;

		if (!((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
		      (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) ||
		    c->cmsg_len < CMSG_LEN(sizeof(ee)))
			continue;
		memcpy(&ee, CMSG_DATA(c), sizeof(ee));
		if (ee.ee_origin == SO_EE_ORIGIN_ICMP || ee.ee_origin == SO_EE_ORIGIN_ICMP6) {
			why->icmp = true;
			why->icmp_code = ee.ee_code;
			return;
		}
	}
}

unsigned int mg_sock_syn_repeats(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? 0 : info.tcpi_total_retrans;
}

void mg_sock_abort(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

bool mg_sock_in_handshake(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_state == TCP_SYN_RECV;
}

void mg_sock_push(int fd)
{
	/* Already on; setting it is what makes MPTCP look at its queue. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int mg_sock_unacked_bytes(int fd)
{
	int bytes = 0;

	return ioctl(fd, SIOCOUTQ, &bytes) ? 0 : bytes;
}

int mg_sock_local(int fd, struct mg_ep *ep)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return -errno;
	return mg_ep_from_sockaddr(ep, (struct sockaddr *)&ss);
}

int mg_sock_peer(int fd, struct mg_ep *ep)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &len))
		return -errno;
	return mg_ep_from_sockaddr(ep, (struct sockaddr *)&ss);
}
