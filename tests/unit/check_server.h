/* SPDX-License-Identifier: BSD-2-Clause */
/* A server on loopback for the health checker: answers, or is slow, silent, gone, or mad. */
#ifndef MG_TESTS_CHECK_SERVER_H
#define MG_TESTS_CHECK_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "gateway/check.h"
#include "wire/convert.h"

#define CONNS_MAX 256

enum mode { ANSWER, IN_PIECES, TELL_ERROR, TELL_BUSY, GARBAGE, RESET, END, SILENT };

struct conn {
	struct mg_io io;
	struct mg_timer timer;
	bool asked;
};

static struct mg_loop loop;
static struct {
	struct mg_io io;
	struct mg_ep ep;
	enum mode mode;
	uint32_t delay_ms;
	struct conn conns[CONNS_MAX];
	size_t n, open;
} server;

static void hang_up(struct conn *c, bool reset)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (c->io.fd < 0)
		return;
	if (reset)
		setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(c->io.fd);
	c->io.fd = -1;
	server.open--;
}

static int message(struct mg_convert_buf *b)
{
	static const uint8_t kinds[] = { 30 };

	mg_convert_begin(b);
	if (server.mode == TELL_ERROR)
		mg_convert_put_error(b, MG_CE_MISSING_COOKIE, (struct mg_span){ kinds, 1 });
	else if (server.mode == TELL_BUSY)
		mg_convert_put_error(b, MG_CE_RESOURCE_EXCEEDED, (struct mg_span){ kinds, 1 });
	else
		mg_convert_put_supported(b, kinds, sizeof(kinds));
	return mg_convert_end(b);
}

/* Who asked may have hung up: it waits for no answer for ever. */
static void send_all(struct conn *c, const void *data, size_t len)
{
	ssize_t n = send(c->io.fd, data, len, MSG_NOSIGNAL);

	assert_true(n == (ssize_t)len || errno == EPIPE || errno == ECONNRESET);
}

static void say(struct conn *c)
{
	struct mg_convert_buf b;
	int len = message(&b);

	assert_true(len > 0);
	if (server.mode == GARBAGE) {
		send_all(c, "HTTP/1.1 400 Bad Request\r\n", 26);
	} else if (server.mode == RESET || server.mode == END) {
		hang_up(c, server.mode == RESET);
	} else if (server.mode == IN_PIECES) {
		for (int i = 0; i < len; i++) {
			send_all(c, b.data + i, 1);
			usleep(500);
		}
	} else if (server.mode != SILENT) {
		send_all(c, b.data, (size_t)len);
	}
}

static void late(struct mg_timer *t)
{
	struct conn *c = mg_container_of(t, struct conn, timer);

	if (c->io.fd >= 0)
		say(c);
}

static void conn_ready(struct mg_io *io, uint32_t events)
{
	struct conn *c = mg_container_of(io, struct conn, io);
	uint8_t in[64];
	ssize_t n;

	(void)events;
	while (io->fd >= 0 && (n = recv(io->fd, in, sizeof(in), MSG_DONTWAIT)) != -1) {
		struct mg_convert_msg msg;
		enum mg_convert_error error;

		if (n == 0) {
			hang_up(c, false);
			return;
		}
		assert_int_equal(mg_convert_parse(&msg, &error, MG_FROM_CLIENT, in, (size_t)n), n);
		assert_true(msg.info);
		c->asked = true;
		if (server.delay_ms)
			mg_timer_arm(&loop.timers, &c->timer, mg_clock_ms() + server.delay_ms);
		else
			say(c);
	}
	if (io->fd >= 0 && errno != EAGAIN)
		hang_up(c, false);
}

static void accept_ready(struct mg_io *io, uint32_t events)
{
	int fd = accept(io->fd, NULL, NULL);
	struct conn *c = &server.conns[server.n];

	(void)events;
	assert_true(fd >= 0 && server.n < CONNS_MAX);
	server.n++;
	server.open++;
	*c = (struct conn){ .io = { .fd = fd, .ready = conn_ready }, .timer.fire = late };
	assert_int_equal(mg_loop_add(&loop, &c->io, EPOLLIN | EPOLLRDHUP), 0);
}

static void start_server(const char *address)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int on = 1;

	assert_int_equal(mg_ep_parse(&server.ep, address), 0);
	if (server.ep.port == htons(1))
		server.ep.port = 0;
	len = mg_ep_to_sockaddr(&server.ep, &ss);
	server.io =
		(struct mg_io){ .fd = socket(ss.ss_family, SOCK_STREAM, 0), .ready = accept_ready };
	assert_true(server.io.fd >= 0);
	setsockopt(server.io.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(server.io.fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(server.io.fd, 100), 0);
	len = sizeof(ss);
	assert_int_equal(getsockname(server.io.fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(mg_ep_from_sockaddr(&server.ep, (struct sockaddr *)&ss), 0);
	assert_int_equal(mg_loop_add(&loop, &server.io, EPOLLIN), 0);
}

static void stop_server(void)
{
	if (server.io.fd >= 0)
		close(server.io.fd);
	server.io.fd = -1;
}

#endif
