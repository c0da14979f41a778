// SPDX-License-Identifier: BSD-2-Clause
#include "client/lib/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "request/request.h"
#include "request/sock.h"
#include "base/addr.h"
#include "client/lib/cache.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define STATE_SYN_SENT 2 /* of the kernel's TCP states */

enum stage { STAGE_REQUESTING, STAGE_DIRECT, STAGE_DONE, STAGE_FAILED };

struct mpgate_conn {
	struct mpgate_options opt;
	struct mg_conn_hooks hooks;
	enum stage stage;
	int fd;	 /* -1: none */
	int err; /* positive, when FAILED */
	int64_t deadline_ms;
	struct mpgate_result result;
	struct mg_cache_entry cache;
	struct mg_request request;
	size_t direct_off; /* of the caller's data: what a direct connection has sent */
	uint8_t *out;	   /* the message, then the caller's data */
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- sockets ------------------------------------------------------------------------------- */

static void close_with_reset(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* The hooks for plain sockets; arg is the struct mpgate_options. */
static int open_plain(void *arg, int family, int protocol, int old)
{
	const struct mpgate_options *opt = arg;
	int fd, err;

	if (old >= 0)
		close_with_reset(old);
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd < 0)
		return -errno;
	err = opt->setup ? opt->setup(fd, opt->setup_arg) : 0;
	if (err) {
		close(fd);
		return err < 0 ? err : -EINVAL;
	}
	return fd;
}

static void close_plain(void *arg, int fd)
{
	(void)arg;
	close_with_reset(fd);
}

static int open_socket(struct mpgate_conn *c, const struct mg_ep *peer, int protocol)
{
	int old = c->fd;

	c->fd = -1;
	c->fd = c->hooks.open(c->hooks.arg, mg_ip_is_v4(&peer->ip) ? AF_INET : AF_INET6, protocol,
			      old);
	return c->fd < 0 ? c->fd : 0;
}

/* MPTCP where the kernel has it (it may be absent, or switched off in this namespace). */
static int open_towards_converter(struct mpgate_conn *c)
{
	int err = -ENOPROTOOPT;

	if (!(c->opt.flags & MPGATE_NO_MPTCP))
		err = open_socket(c, &c->request.converter, IPPROTO_MPTCP);
	if (err == -EPROTONOSUPPORT || err == -ENOPROTOOPT || err == -EINVAL)
		err = open_socket(c, &c->request.converter, IPPROTO_TCP);
	return err;
}

/* ---- outcomes ------------------------------------------------------------------------------ */

static int go_direct(struct mpgate_conn *c);
static int begin_attempt(struct mpgate_conn *c);

static int failed(struct mpgate_conn *c, int err)
{
	if (c->fd >= 0)
		c->hooks.close(c->hooks.arg, c->fd);
	c->fd = -1;
	c->stage = STAGE_FAILED;
	c->err = err;
	return -err;
}

static int done(struct mpgate_conn *c, enum mpgate_via via)
{
	c->stage = STAGE_DONE;
	c->result.via = via;
	c->result.mptcp = mg_csock_speaks_mptcp(c->fd);
	return 0;
}

/* The converter, or the way to it, is at fault; the server was never asked. */
static int converter_failed(struct mpgate_conn *c, int err, const char *why)
{
	c->result.why = why;
	if (c->opt.flags & MPGATE_FALLBACK)
		return go_direct(c);
	return failed(c, err);
}

static void remember(struct mpgate_conn *c)
{
	mg_cache_set(c->opt.flags & MPGATE_NO_CACHE ? "" : c->opt.cache_path, &c->request.converter,
		     &c->cache);
}

/* What the program gets for what the converter said, or did. */
static int errno_of(const struct mg_request *a)
{
	int family = mg_ip_is_v4(&a->server.ip) ? AF_INET : AF_INET6;

	return a->error_code < 0
		       ? a->err
		       : mpgate_error_errno((unsigned int)a->error_code, a->error_value.data,
					    a->error_value.len, family);
}

/* ---- attempts ------------------------------------------------------------------------------ */

static int accepted(struct mpgate_conn *c)
{
	struct mg_span options = c->request.synack_options;

	c->result.synack_options_len = options.len;
	if (options.len > 0)
		memcpy(c->result.synack_options, options.data, options.len);
	return done(c, MPGATE_VIA_CONVERTER);
}

static int useless(struct mpgate_conn *c)
{
	int err = errno_of(&c->request);

	if (c->request.aside_s) {
		mg_cache_put_aside(&c->cache, c->request.error_code < 0 ? EPROTO : err,
				   (int)c->request.aside_s);
		remember(c);
	}
	return converter_failed(c, err, c->request.why);
}

static int follow(struct mpgate_conn *c, enum mg_request_outcome outcome)
{
	c->result.zero_rtt = c->request.zero_rtt;
	if (c->request.error_code >= 0)
		c->result.error_code = c->request.error_code;
	switch (outcome) {
	case MG_REQUEST_WAIT:
		break;
	case MG_REQUEST_ACCEPTED:
		return accepted(c);
	case MG_REQUEST_AGAIN:
		memcpy(c->cache.cookie, c->request.cookie, sizeof(c->cache.cookie));
		c->cache.cookie_len = c->request.cookie_len;
		remember(c);
		return begin_attempt(c);
	case MG_REQUEST_SERVER:
		c->result.why = c->request.why;
		return failed(c, errno_of(&c->request));
	case MG_REQUEST_USELESS:
		return useless(c);
	}
	return -EAGAIN;
}

static int begin_attempt(struct mpgate_conn *c)
{
	int err = open_towards_converter(c);

	if (err)
		return failed(c, -err);
	c->stage = STAGE_REQUESTING;
	err = mg_request_start(&c->request, c->fd, !(c->opt.flags & MPGATE_NO_0RTT));
	c->result.attempts = c->request.attempts;
	return err ? converter_failed(c, -err, "cannot reach the converter") : -EAGAIN;
}

static int go_direct(struct mpgate_conn *c)
{
	int err = open_socket(c, &c->request.server, IPPROTO_TCP);

	if (err)
		return failed(c, -err);
	c->stage = STAGE_DIRECT;
	err = mg_csock_connect(c->fd, &c->request.server);
	return err ? failed(c, -err) : -EAGAIN;
}

/* ---- steps --------------------------------------------------------------------------------- */

/* -EAGAIN while there is more to send than the socket takes. */
static int flush_direct(struct mpgate_conn *c)
{
	while (c->direct_off < c->request.data_len) {
		ssize_t n = send(c->fd, c->out + MG_CONVERT_MAX_BYTES + c->direct_off,
				 c->request.data_len - c->direct_off, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		c->direct_off += (size_t)n;
	}
	return 0;
}

static int step_direct(struct mpgate_conn *c)
{
	struct tcp_info info;
	int err = mg_csock_tcp_info(c->fd, &info);

	if (err)
		return failed(c, -err);
	if (info.tcpi_state == STATE_SYN_SENT)
		return -EAGAIN;
	err = flush_direct(c);
	if (err)
		return err == -EAGAIN ? err : failed(c, -err);
	return done(c, MPGATE_VIA_DIRECT);
}

int mpgate_step(struct mpgate_conn *c)
{
	int err = -EAGAIN;

	if (c->stage == STAGE_REQUESTING)
		err = follow(c, mg_request_step(&c->request));
	else if (c->stage == STAGE_DIRECT)
		err = step_direct(c);
	if (c->stage == STAGE_DONE)
		return 0;
	if (c->stage == STAGE_FAILED)
		return -c->err;
	if (c->stage == STAGE_REQUESTING && err == -EAGAIN && now_ms() >= c->deadline_ms)
		return follow(c, mg_request_timeout(&c->request));
	return -EAGAIN;
}

short mpgate_events(const struct mpgate_conn *c)
{
	if (c->stage == STAGE_REQUESTING && c->request.answering)
		return mg_request_wants_write(&c->request) ? POLLIN | POLLOUT : POLLIN;
	return POLLOUT;
}

int mpgate_fd(const struct mpgate_conn *c)
{
	return c->fd;
}

int mpgate_timeout_ms(const struct mpgate_conn *c)
{
	int64_t left = c->deadline_ms - now_ms();

	if (c->stage == STAGE_DIRECT)
		return -1;
	if (c->stage == STAGE_DONE || c->stage == STAGE_FAILED || left < 0)
		return 0;
	return (int)left;
}

/* ---- start and end ------------------------------------------------------------------------- */

static struct mpgate_conn *make_conn(const struct mpgate_options *options, const void *data,
				     size_t data_len)
{
	struct mpgate_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->out = malloc(MG_CONVERT_MAX_BYTES + data_len);
	if (!c->out) {
		free(c);
		return NULL;
	}
	if (data_len > 0)
		memcpy(c->out + MG_CONVERT_MAX_BYTES, data, data_len);
	c->opt = *options;
	c->request = (struct mg_request){ .out = c->out,
					  .data_len = data_len,
					  .fd = -1,
					  .error_code = -1,
					  .cookie_len = options->cookie_len,
					  .cookie_fixed = options->cookie_len > 0,
					  .tcp_options_len = options->tcp_options_len };
	memcpy(c->request.cookie, options->cookie, options->cookie_len);
	memcpy(c->request.tcp_options, options->tcp_options, options->tcp_options_len);
	c->fd = -1;
	c->result.error_code = -1;
	return c;
}

/* Everything but the first attempt. */
static int prepare(struct mpgate_conn **conn, const struct mpgate_options *options,
		   const struct sockaddr *dest, const void *data, size_t data_len,
		   const struct mg_conn_hooks *hooks)
{
	int err = mg_options_check(options, dest, data_len);
	struct mpgate_conn *c;

	*conn = NULL;
	if (err)
		return err;
	c = make_conn(options, data, data_len);
	if (!c)
		return -ENOMEM;
	err = mg_ep_from_sockaddr(&c->request.converter,
				  (const struct sockaddr *)&options->converter);
	if (err) {
		mg_conn_free(c);
		return err;
	}
	mg_ep_from_sockaddr(&c->request.server, dest);
	if (hooks)
		c->hooks = *hooks;
	else
		c->hooks = (struct mg_conn_hooks){ open_plain, close_plain, &c->opt };
	c->deadline_ms = now_ms() + options->timeout_ms;
	mg_cache_get(options->flags & MPGATE_NO_CACHE ? "" : options->cache_path,
		     &c->request.converter, &c->cache);
	if (!c->request.cookie_fixed) {
		memcpy(c->request.cookie, c->cache.cookie, sizeof(c->request.cookie));
		c->request.cookie_len = c->cache.cookie_len;
	}
	*conn = c;
	return 0;
}

int mg_conn_start(struct mpgate_conn **conn, const struct mpgate_options *options,
		  const struct sockaddr *dest, const void *data, size_t data_len,
		  const struct mg_conn_hooks *hooks)
{
	int err = prepare(conn, options, dest, data, data_len, hooks);
	struct mpgate_conn *c = *conn;

	if (err)
		return err;
	if (mg_cache_is_aside(&c->cache))
		converter_failed(c, c->cache.aside_err, "the converter was put aside");
	else
		begin_attempt(c);
	return 0;
}

int mg_conn_ask(struct mpgate_conn **conn, const struct mpgate_options *options, struct mg_span ask)
{
	int err =
		prepare(conn, options, (const struct sockaddr *)&options->converter, NULL, 0, NULL);
	struct mpgate_conn *c = *conn;

	if (err)
		return err;
	/* Nobody else can answer; and one that was put aside for being full may say for how long.
	 */
	c->opt.flags &= ~MPGATE_FALLBACK;
	c->request.ask = ask;
	begin_attempt(c);
	return 0;
}

struct mg_span mg_conn_answer(const struct mpgate_conn *c)
{
	return c->request.answer;
}

void mg_conn_result(const struct mpgate_conn *c, struct mpgate_result *result)
{
	size_t size = result->size < sizeof(*result) ? result->size : sizeof(*result);

	memcpy(result, &c->result, size);
	result->size = size;
}

void mg_conn_free(struct mpgate_conn *c)
{
	free(c->out);
	free(c);
}

int mpgate_finish(struct mpgate_conn *c, struct mpgate_result *result)
{
	int ret = c->fd;

	if (c->stage == STAGE_FAILED)
		ret = -c->err;
	else if (c->stage != STAGE_DONE)
		ret = failed(c, ECANCELED);
	if (result)
		mg_conn_result(c, result);
	mg_conn_free(c);
	return ret;
}
