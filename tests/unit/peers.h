/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The peers' side of a session: sockets of client and server, played by the test in a network
 * namespace of its own, and what they hear. All of 10.0.0.0/8 is local to its loopback.
 *
 * Nothing here waits longer than WAIT_MS; what is not heard by then fails the test.
 */
#ifndef MG_TESTS_PEERS_H
#define MG_TESTS_PEERS_H

#include "mg_test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#define CONVERTER  "10.9.0.1:5124"
#define CONVERTER6 "[fd09::1]:5124"
#define SERVER	   "10.9.2.1:80"
#define SERVER6	   "[fd09::2]:80"
#define OWN	   "10.9.0.1"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* ---- sockets of the peers -------------------------------------------------------------------- */

static inline void rig_bound_wait(int fd)
{
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static inline void rig_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void rig_abort(int *fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	rig_close(fd);
}

static inline int rig_socket(const char *at, int protocol, struct mg_ep *ep,
			     struct sockaddr_storage *ss, socklen_t *len)
{
	const int on = 1;
	int fd;

	*ep = ep_of(at);
	*len = mg_ep_to_sockaddr(ep, ss);
	fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	rig_bound_wait(fd);
	return fd;
}

static inline int rig_listen(const char *at, int backlog)
{
	struct sockaddr_storage ss;
	struct mg_ep ep;
	socklen_t len;
	int fd = rig_socket(at, IPPROTO_TCP, &ep, &ss, &len);

	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static inline int rig_connect(const char *to, int protocol)
{
	struct sockaddr_storage ss;
	struct mg_ep ep;
	socklen_t len;
	int fd = rig_socket(to, protocol, &ep, &ss, &len);
	struct sockaddr_in from = { .sin_family = AF_INET };

	if (ss.ss_family == AF_INET) {
		from.sin_addr.s_addr = htonl(0x0a090101);
		assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	}
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static inline int rig_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	rig_bound_wait(fd);
	return fd;
}

static inline void rig_say(int fd, const void *data, size_t len)
{
	assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

static inline void rig_hear(int fd, const char *text)
{
	char got[256] = "";
	size_t n = strlen(text);

	assert_int_equal(recv(fd, got, n, MSG_WAITALL), n);
	assert_string_equal(got, text);
}

static inline void rig_hear_end(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	if (n)
		fail_msg("expected the end, got %zd, %s", n, n < 0 ? strerror(errno) : "data");
}

/* After an end of data the kernel tells of a reset by EPIPE, and recv goes on to say "end". */
static inline bool rig_was_reset(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) &&
	       (err == ECONNRESET || err == EPIPE);
}

static inline void rig_hear_reset(int fd)
{
	char bytes[4096];
	ssize_t n;

	do {
		n = recv(fd, bytes, sizeof(bytes), 0);
	} while (n > 0);
	/* MPTCP: ENOTCONN, if the reset was quicker than accept() */
	if (n < 0 && errno != ECONNRESET && errno != ENOTCONN)
		fail_msg("expected a reset, got %s", strerror(errno));
	if (n == 0 && !wait_until(rig_was_reset(fd)))
		fail_msg("expected a reset, got an end");
}

/* Bytes that tell where in the stream they stand */
static inline unsigned char rig_byte(size_t i)
{
	return (unsigned char)((i * 2654435761U) >> 11);
}

/* ---- the network namespace ------------------------------------------------------------------- */

static inline void rig_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	close(fd);
}

static inline bool rig_lo_up(int fd)
{
	struct ifreq ifr = { .ifr_name = "lo:1" };
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;

	/* On loopback the whole network of an address is local: 10.0.0.0/8. */
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(0x0a090001);
	if (ioctl(fd, SIOCSIFADDR, &ifr))
		return false;
	ifr = (struct ifreq){ .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	return ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
}

static inline bool rig_add6(int fd, const char *ip)
{
	struct in6_ifreq ifr = { .ifr6_addr = ip_of(ip), .ifr6_prefixlen = 128 };

	ifr.ifr6_ifindex = (int)if_nametoindex("lo");
	return ioctl(fd, SIOCSIFADDR, &ifr) == 0;
}

/* A new IPv6 address is tentative for a moment. */
static inline bool rig_usable(const char *text)
{
	struct sockaddr_storage ss;
	struct mg_ep ep = ep_of(text);
	socklen_t len = mg_ep_to_sockaddr(&ep, &ss);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool usable = bind(fd, (struct sockaddr *)&ss, len) == 0;

	close(fd);
	return usable;
}

/* Into a namespace of its own, with small socket buffers. False without the privilege. */
static inline bool rig_enter_namespace(void)
{
	int v4, v6;
	bool good;

	if (unshare(CLONE_NEWNET))
		return false;
	v4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	v6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	good = rig_lo_up(v4) && rig_add6(v6, "fd09::1") && rig_add6(v6, "fd09::2") &&
	       wait_until(rig_usable(CONVERTER6) && rig_usable(SERVER6));
	close(v4);
	close(v6);
	if (!good) {
		fprintf(stderr, "cannot set up loopback: %s\n", strerror(errno));
		abort();
	}
	rig_sysctl("/proc/sys/net/ipv4/tcp_congestion_control", "reno");
	rig_sysctl("/proc/sys/net/ipv4/tcp_rmem", "4096 65536 131072");
	rig_sysctl("/proc/sys/net/ipv4/tcp_wmem", "4096 65536 131072");
	return true;
}

#endif
