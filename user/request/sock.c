// SPDX-License-Identifier: BSD-2-Clause
#include "request/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#ifndef TCP_IS_MPTCP
#define TCP_IS_MPTCP 43
#endif
#define STATE_CLOSE 7 /* of the kernel's TCP states */

/* The address as this socket's family wants it: an IPv6 socket may have been given for IPv4. */
static socklen_t address_for(int fd, const struct mg_ep *peer, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	int family = AF_UNSPEC;
	socklen_t len = sizeof(family);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	if (family != AF_INET6)
		return mg_ep_to_sockaddr(peer, ss);
	memset(ss, 0, sizeof(*ss));
	in6->sin6_family = AF_INET6;
	in6->sin6_addr = peer->ip;
	in6->sin6_port = peer->port;
	return sizeof(*in6);
}

int mg_csock_connect(int fd, const struct mg_ep *peer)
{
	struct sockaddr_storage ss;
	socklen_t len = address_for(fd, peer, &ss);
	int flags = fcntl(fd, F_GETFL), ret, err;

	if (flags < 0)
		return -errno;
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	ret = connect(fd, (struct sockaddr *)&ss, len);
	err = ret < 0 && errno != EINPROGRESS ? -errno : 0;
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags);
	return err;
}

int mg_csock_tcp_info(int fd, struct tcp_info *info)
{
	socklen_t len = sizeof(int);
	int err = 0;

	memset(info, 0, sizeof(*info));
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	if (err)
		return -err;
	len = sizeof(*info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) < 0)
		return -errno;
	/* The error may have gone to somebody else who asked. */
	return info->tcpi_state == STATE_CLOSE ? -ECONNRESET : 0;
}

bool mg_csock_speaks_mptcp(int fd)
{
	int yes = 0;
	socklen_t len = sizeof(yes);

	return getsockopt(fd, IPPROTO_TCP, TCP_IS_MPTCP, &yes, &len) == 0 && yes;
}

ssize_t mg_csock_connect_with(int fd, const struct mg_ep *peer, const void *data, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = address_for(fd, peer, &ss);
	int one = 1;
	ssize_t n;

	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &one, sizeof(one));
	n = sendto(fd, data, len, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL,
		   (struct sockaddr *)&ss, ss_len);
	if (n >= 0)
		return n;
	if (errno == EINPROGRESS)
		return 0;
	/* No fast open in this kernel, or switched off: the data follows the handshake. */
	if (errno == EOPNOTSUPP || errno == EPIPE || errno == ENOTCONN || errno == EDESTADDRREQ)
		return mg_csock_connect(fd, peer);
	return -errno;
}
