/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the load programs share: endpoints, sockets, the opening Convert message, what the kernel
 * says about an MPTCP connection. Errors end the program: a benchmark has nothing to recover.
 */
#ifndef MG_TESTS_BENCH_H
#define MG_TESTS_BENCH_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/mptcp.h>

#include "base/addr.h"
#include "wire/convert.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef SOL_MPTCP
#define SOL_MPTCP 284
#endif

#define BENCH_DIE(...)                                      \
	do {                                                \
		fprintf(stderr, __VA_ARGS__);               \
		fprintf(stderr, ": %s\n", strerror(errno)); \
		exit(1);                                    \
	} while (0)

static inline double bench_now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline struct mg_ep bench_ep(const char *text)
{
	struct mg_ep ep;

	errno = -mg_ep_parse(&ep, text);
	if (errno)
		BENCH_DIE("%s", text);
	return ep;
}

static inline uint64_t bench_number(const char *text, uint64_t max)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end || n == 0 || n > max) {
		errno = EINVAL;
		BENCH_DIE("%s", text);
	}
	return n;
}

static inline int bench_socket(const struct mg_ep *ep, bool mptcp, int flags)
{
	int family = mg_ip_is_v4(&ep->ip) ? AF_INET : AF_INET6;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags,
			mptcp ? IPPROTO_MPTCP : IPPROTO_TCP);

	if (fd < 0)
		BENCH_DIE("socket");
	return fd;
}

/* A listener: what stands behind the proxies. */
static inline int bench_listen(const struct mg_ep *ep, bool mptcp, int flags)
{
	struct sockaddr_storage ss;
	socklen_t len = mg_ep_to_sockaddr(ep, &ss);
	int fd = bench_socket(ep, mptcp, flags), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&ss, len) || listen(fd, 4096))
		BENCH_DIE("listen");
	return fd;
}

/* The Connect message for `server`, into a buffer of MG_CONVERT_MAX_BYTES; its length. */
static inline size_t bench_connect_message(uint8_t *out, const struct mg_ep *server)
{
	struct mg_convert_buf b;
	int n;

	mg_convert_begin(&b);
	mg_convert_put_connect(&b, server, (struct mg_span){ NULL, 0 });
	n = mg_convert_end(&b);
	if (n < 0) {
		errno = -n;
		BENCH_DIE("Convert message");
	}
	memcpy(out, b.data, (size_t)n);
	return (size_t)n;
}

/*
 * The answer at the start of what came: its length, 0 if more is needed. Anything but a good answer
 * ends the program.
 */
static inline size_t bench_answer_bytes(const uint8_t *data, size_t len)
{
	struct mg_convert_msg msg;
	enum mg_convert_error error;
	int n = mg_convert_parse(&msg, &error, MG_FROM_CONVERTER, data, len);

	if (n == -EAGAIN)
		return 0;
	if (n < 0 || error != MG_CE_NONE || msg.error_present) {
		fprintf(stderr, "bad answer from the converter (%d, error TLV %d)\n", n,
			n < 0 ? -1 : (int)msg.error_code);
		exit(1);
	}
	return (size_t)n;
}

/* Whether the connection still speaks MPTCP, and its subflows beside the first. */
static inline bool bench_speaks_mptcp(int fd, int *more_subflows)
{
	struct mptcp_info info = { 0 };
	socklen_t len = sizeof(info);

	*more_subflows = 0;
	if (getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &len))
		return false;
	*more_subflows = info.mptcpi_subflows;
	return !(info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK);
}

#endif
