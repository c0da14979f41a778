// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the program is told about its socket: the peer it asked for, addresses in the family it
 * knows, plain TCP, and no complaint about hints MPTCP does not take.
 */
#include "client/preload/shim.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

void name_store(const struct mg_ep *ep, sa_family_t family, struct sockaddr *addr, socklen_t *len)
{
	struct sockaddr_storage ss = { .ss_family = family };
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	socklen_t size = family == AF_INET ? sizeof(*in) : sizeof(*in6);

	if (family == AF_INET) {
		/* An IPv6 address has no IPv4 name; its port is told all the same. */
		if (mg_ip_is_v4(&ep->ip))
			memcpy(&in->sin_addr, ep->ip.s6_addr + 12, 4);
		in->sin_port = ep->port;
	} else {
		in6->sin6_addr = ep->ip;
		in6->sin6_port = ep->port;
	}
	memcpy(addr, &ss, *len < size ? *len : size);
	*len = size;
}

/* A copy of the flow in that state, if there is one. */
static bool flow_copy(int fd, enum flow_state state, struct flow *out)
{
	int saved_errno = errno;
	sigset_t saved;
	struct flow *f;

	libc_();
	if (flow_state(fd) != state)
		return false;
	flow_lock(&saved);
	f = flow_get(fd);
	if (f)
		memcpy(out, f, sizeof(*f));
	flow_unlock(&saved);
	errno = saved_errno;
	return f != NULL;
}

EXPORT int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = sizeof(ss);
	struct flow f;

	libc_();
	if (flow_is_hot(fd)) {
		errno = ENOTCONN;
		return -1;
	}
	if (!addr || !len || !flow_copy(fd, FLOW_DONE, &f))
		return REAL(getpeername)(fd, addr, len);
	if (REAL(getpeername)(fd, (struct sockaddr *)&ss, &ss_len) < 0)
		return -1;
	name_store(&f.peer, f.family, addr, len);
	return 0;
}

EXPORT int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = sizeof(ss);
	struct mg_ep local;
	struct flow f;

	libc_();
	if (!addr || !len || (!flow_copy(fd, FLOW_DONE, &f) && !flow_copy(fd, FLOW_PENDING, &f)))
		return REAL(getsockname)(fd, addr, len);
	if (REAL(getsockname)(fd, (struct sockaddr *)&ss, &ss_len) < 0)
		return -1;
	if (ss.ss_family == f.family || mg_ep_from_sockaddr(&local, (struct sockaddr *)&ss)) {
		memcpy(addr, &ss, *len < ss_len ? *len : ss_len);
		*len = ss_len;
		return 0;
	}
	name_store(&local, f.family, addr, len);
	return 0;
}

/* ---- options ------------------------------------------------------------------------------- */

static int put_int(void *value, socklen_t *len, int number)
{
	memcpy(value, &number, *len < sizeof(number) ? *len : sizeof(number));
	*len = *len < sizeof(number) ? *len : (socklen_t)sizeof(number);
	return 0;
}

/* The kernel calls it connected, somebody asks for the verdict: it is time to have one. */
static bool is_established(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return REAL(poll)(&p, 1, 0) > 0;
}

static int take_error(int fd)
{
	sigset_t saved;
	struct flow *f;
	int err = 0;

	flow_lock(&saved);
	f = flow_get(fd);
	if (f && atomic_load(&f->state) == FLOW_PENDING)
		flow_step(f);
	flow_unlock(&saved);
	if (flow_state(fd) == FLOW_PENDING && is_established(fd))
		flow_wait(fd, -1);
	flow_lock(&saved);
	f = flow_get(fd);
	if (f && atomic_load(&f->state) == FLOW_FAILED) {
		err = f->err;
		flow_set_state(f, FLOW_WATCHED);
	}
	flow_unlock(&saved);
	return err;
}

EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct flow f;

	libc_();
	if (level != SOL_SOCKET || !value || !len || flow_state(fd) == FLOW_NONE)
		return REAL(getsockopt)(fd, level, name, value, len);
	if (name == SO_ERROR && flow_is_hot(fd))
		return put_int(value, len, take_error(fd));
	if ((name == SO_PROTOCOL || name == SO_DOMAIN) &&
	    (flow_copy(fd, FLOW_DONE, &f) || flow_copy(fd, FLOW_PENDING, &f)))
		return put_int(value, len, name == SO_PROTOCOL ? IPPROTO_TCP : f.family);
	return REAL(getsockopt)(fd, level, name, value, len);
}

/* Hints whose refusal would only make a program complain; a connection works without them. */
static bool is_hint(int level, int name)
{
	switch (level) {
	case IPPROTO_IP:
		return name == IP_TOS || name == IP_TTL || name == IP_MTU_DISCOVER ||
		       name == IP_RECVERR;
	case IPPROTO_IPV6:
		return name == IPV6_TCLASS || name == IPV6_UNICAST_HOPS ||
		       name == IPV6_MTU_DISCOVER || name == IPV6_RECVERR;
	case IPPROTO_TCP:
		return name == TCP_QUICKACK || name == TCP_USER_TIMEOUT || name == TCP_SYNCNT ||
		       name == TCP_LINGER2 || name == TCP_WINDOW_CLAMP;
	default:
		return false;
	}
}

EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	enum flow_state state;
	int ret;

	libc_();
	ret = REAL(setsockopt)(fd, level, name, value, len);
	state = flow_state(fd);
	if (ret < 0 && (errno == EOPNOTSUPP || errno == ENOPROTOOPT) &&
	    (state == FLOW_DONE || state == FLOW_PENDING) && is_hint(level, name))
		return 0;
	return ret;
}

EXPORT int shutdown(int fd, int how)
{
	libc_();
	if (flow_is_hot(fd)) {
		errno = ENOTCONN;
		return -1;
	}
	return REAL(shutdown)(fd, how);
}
