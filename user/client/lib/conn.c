// SPDX-License-Identifier: BSD-2-Clause
#include "client/lib/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/addr.h"
#include "client/lib/cache.h"
#include "client/lib/sock.h"
#include "wire/convert.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define ATTEMPTS_MAX	  3   /* without a cookie, with a stale one, with a fresh one */
#define ASIDE_S		  600 /* how long a converter is left alone that cannot be used */
#define DEFAULT_BACKOFF_S 30  /* RFC 8803 section 6.2.8, Resource Exceeded */

/* Of enum tcp_fastopen_client_fail, and of the kernel's TCP states */
#define TFO_DATA_NOT_ACKED 2
#define STATE_SYN_SENT	   2

enum stage { STAGE_CONNECTING, STAGE_TALKING, STAGE_DIRECT, STAGE_DONE, STAGE_FAILED };

struct mpgate_conn {
	struct mpgate_options opt;
	struct mg_conn_hooks hooks;
	struct mg_ep dest, converter;
	enum stage stage;
	int fd;	 /* -1: none */
	int err; /* positive, when FAILED */
	int64_t deadline_ms;
	struct mpgate_result result;

	struct mg_cache_entry cache;
	bool cookie_from_cache; /* the one sent in this attempt */

	uint8_t *out; /* the message, then the caller's data */
	size_t out_len, out_off;
	size_t syn_bytes; /* of out that the kernel took for the SYN */
	size_t data_len;

	uint8_t in[MG_CONVERT_MAX_BYTES];
	size_t in_len;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- sockets ------------------------------------------------------------------------------- */

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
		err = open_socket(c, &c->converter, IPPROTO_MPTCP);
	if (err == -EPROTONOSUPPORT || err == -ENOPROTOOPT || err == -EINVAL)
		err = open_socket(c, &c->converter, IPPROTO_TCP);
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
	mg_cache_set(c->opt.flags & MPGATE_NO_CACHE ? "" : c->opt.cache_path, &c->converter,
		     &c->cache);
}

static void put_aside(struct mpgate_conn *c, int err, int seconds)
{
	mg_cache_put_aside(&c->cache, err, seconds);
	remember(c);
}

/* RFC 8803 section 8: something eats SYN data or answers; do not use this converter again. */
static int converter_unusable(struct mpgate_conn *c, const char *why)
{
	put_aside(c, EPROTO, ASIDE_S);
	return converter_failed(c, EPROTO, why);
}

/* ---- the answer ---------------------------------------------------------------------------- */

static int on_missing_cookie(struct mpgate_conn *c, struct mg_span value)
{
	/* byte 3 of the TLV is zero, then the cookie */
	struct mg_span cookie = { value.data + 1, value.len > 0 ? value.len - 1 : 0 };

	if (cookie.len == 0 || cookie.len > sizeof(c->cache.cookie) || c->opt.cookie_len > 0 ||
	    c->result.attempts >= ATTEMPTS_MAX)
		return converter_failed(c, EACCES, "cookie refused");
	memcpy(c->cache.cookie, cookie.data, cookie.len);
	c->cache.cookie_len = cookie.len;
	remember(c);
	return begin_attempt(c);
}

static int on_not_authorized(struct mpgate_conn *c)
{
	/* A cookie of yesterday, or of another address: ask for a new one. */
	if (c->cookie_from_cache && c->result.attempts < ATTEMPTS_MAX) {
		c->cache.cookie_len = 0;
		remember(c);
		return begin_attempt(c);
	}
	return converter_failed(c, EACCES, mpgate_error_text(MG_CE_NOT_AUTHORIZED));
}

static int on_error(struct mpgate_conn *c, const struct mg_convert_msg *msg)
{
	struct mg_span value = msg->error_value;
	int family = mg_ip_is_v4(&c->dest.ip) ? AF_INET : AF_INET6;
	int err = mpgate_error_errno(msg->error_code, value.data, value.len, family);
	int delay_s = value.len > 0 && value.data[0] ? value.data[0] : DEFAULT_BACKOFF_S;

	c->result.error_code = msg->error_code;
	switch (msg->error_code) {
	case MG_CE_MISSING_COOKIE:
		return on_missing_cookie(c, value);
	case MG_CE_NOT_AUTHORIZED:
		return on_not_authorized(c);
	case MG_CE_RESOURCE_EXCEEDED:
		put_aside(c, err, delay_s);
		break;
	case MG_CE_NETWORK_FAILURE:
	case MG_CE_CONNECTION_RESET:
	case MG_CE_DEST_UNREACHABLE:
		/* about the server: a direct connection would hear the same */
		c->result.why = mpgate_error_text(msg->error_code);
		return failed(c, err);
	}
	return converter_failed(c, err, mpgate_error_text(msg->error_code));
}

static int on_answer(struct mpgate_conn *c, const struct mg_convert_msg *msg)
{
	if (msg->error_present)
		return on_error(c, msg);
	if (!msg->ext_tcp_hdr_present)
		return converter_unusable(c, "answer without Extended TCP Header");
	c->result.synack_options_len = msg->ext_tcp_hdr.len;
	if (msg->ext_tcp_hdr.len > 0)
		memcpy(c->result.synack_options, msg->ext_tcp_hdr.data, msg->ext_tcp_hdr.len);
	return done(c, MPGATE_VIA_CONVERTER);
}

/* Takes exactly the answer off the bytestream: what follows belongs to the program. */
static int read_answer(struct mpgate_conn *c)
{
	for (;;) {
		size_t want = MG_CONVERT_HDR_BYTES;
		enum mg_convert_error error;
		struct mg_convert_msg msg;
		ssize_t n;
		int ret = mg_convert_parse(&msg, &error, MG_FROM_CONVERTER, c->in, c->in_len);

		if (ret == -EPROTO || (ret > 0 && error != MG_CE_NONE))
			return converter_unusable(c, "answer is not Convert");
		if (ret > 0)
			return on_answer(c, &msg);
		if (msg.total_bytes > 0)
			want = msg.total_bytes;
		n = recv(c->fd, c->in + c->in_len, want - c->in_len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return -EAGAIN;
		if (n < 0)
			return converter_failed(c, errno, "connection lost before the answer");
		if (n == 0)
			return converter_failed(c, ECONNRESET, "closed without an answer");
		c->in_len += (size_t)n;
	}
}

/* ---- attempts ------------------------------------------------------------------------------ */

static int build_message(struct mpgate_conn *c)
{
	struct mg_span opts = { c->opt.tcp_options, c->opt.tcp_options_len };
	struct mg_span cookie = { c->opt.cookie, c->opt.cookie_len };
	struct mg_convert_buf b;
	int len;

	c->cookie_from_cache = cookie.len == 0 && c->cache.cookie_len > 0;
	if (c->cookie_from_cache)
		cookie = (struct mg_span){ c->cache.cookie, c->cache.cookie_len };
	mg_convert_begin(&b);
	mg_convert_put_connect(&b, &c->dest, opts);
	if (cookie.len > 0)
		mg_convert_put_cookie(&b, cookie);
	len = mg_convert_end(&b);
	if (len < 0)
		return len;
	/* The data keeps its place behind the longest message; the message is put right before. */
	c->out_off = MG_CONVERT_MAX_BYTES - (size_t)len;
	c->out_len = MG_CONVERT_MAX_BYTES + c->data_len;
	memcpy(c->out + c->out_off, b.data, (size_t)len);
	return 0;
}

static int send_syn(struct mpgate_conn *c)
{
	ssize_t n = 0;

	if (c->opt.flags & MPGATE_NO_0RTT)
		return mg_csock_connect(c->fd, &c->converter);
	n = mg_csock_connect_with(c->fd, &c->converter, c->out + c->out_off,
				  c->out_len - c->out_off);
	if (n < 0)
		return (int)n;
	c->syn_bytes = (size_t)n;
	c->out_off += (size_t)n;
	return 0;
}

static int begin_attempt(struct mpgate_conn *c)
{
	int err = build_message(c);

	if (err)
		return failed(c, -err);
	c->result.attempts++;
	c->result.zero_rtt = false;
	c->syn_bytes = 0;
	c->in_len = 0;
	c->stage = STAGE_CONNECTING;
	err = open_towards_converter(c);
	if (err)
		return failed(c, -err);
	err = send_syn(c);
	if (err)
		return converter_failed(c, -err, "cannot reach the converter");
	return -EAGAIN;
}

static int go_direct(struct mpgate_conn *c)
{
	int err = open_socket(c, &c->dest, IPPROTO_TCP);

	if (err)
		return failed(c, -err);
	c->stage = STAGE_DIRECT;
	c->out_off = MG_CONVERT_MAX_BYTES;
	err = mg_csock_connect(c->fd, &c->dest);
	return err ? failed(c, -err) : -EAGAIN;
}

/* ---- steps --------------------------------------------------------------------------------- */

/* -EAGAIN while there is more to send than the socket takes. */
static int flush_out(struct mpgate_conn *c)
{
	while (c->out_off < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		c->out_off += (size_t)n;
	}
	return 0;
}

static int step_connecting(struct mpgate_conn *c)
{
	struct tcp_info info;
	int err = mg_csock_tcp_info(c->fd, &info);

	if (err)
		return converter_failed(c, -err, "cannot reach the converter");
	if (info.tcpi_state == STATE_SYN_SENT)
		return -EAGAIN;
	if (c->syn_bytes > 0) {
		c->result.zero_rtt = info.tcpi_options & TCPI_OPT_SYN_DATA;
		/* A lost SYN is repeated without data by the kernel; that is no one's fault. */
		if (!c->result.zero_rtt && info.tcpi_fastopen_client_fail == TFO_DATA_NOT_ACKED)
			return converter_unusable(c, "SYN data was not acknowledged");
	}
	c->stage = STAGE_TALKING;
	return 0;
}

static int step_talking(struct mpgate_conn *c)
{
	int err = flush_out(c);

	/* A converter that refuses may have closed before it had everything: read what it says. */
	if (err && err != -EAGAIN && err != -EPIPE && err != -ECONNRESET)
		return converter_failed(c, -err, "connection lost before the answer");
	return read_answer(c);
}

static int step_direct(struct mpgate_conn *c)
{
	struct tcp_info info;
	int err = mg_csock_tcp_info(c->fd, &info);

	if (err)
		return failed(c, -err);
	if (info.tcpi_state == STATE_SYN_SENT)
		return -EAGAIN;
	err = flush_out(c);
	if (err)
		return err == -EAGAIN ? err : failed(c, -err);
	return done(c, MPGATE_VIA_DIRECT);
}

static int on_timeout(struct mpgate_conn *c)
{
	if (c->stage == STAGE_TALKING) {
		/* acknowledged, but never answered: section 8 again */
		put_aside(c, EPROTO, ASIDE_S);
		return converter_failed(c, ETIMEDOUT, "no answer");
	}
	return converter_failed(c, ETIMEDOUT, "cannot reach the converter");
}

static bool is_due(const struct mpgate_conn *c)
{
	return (c->stage == STAGE_CONNECTING || c->stage == STAGE_TALKING) &&
	       now_ms() >= c->deadline_ms;
}

int mpgate_step(struct mpgate_conn *c)
{
	int err = -EAGAIN;

	if (c->stage == STAGE_CONNECTING)
		err = step_connecting(c);
	if (c->stage == STAGE_TALKING)
		err = step_talking(c);
	else if (c->stage == STAGE_DIRECT)
		err = step_direct(c);
	if (c->stage == STAGE_DONE)
		return 0;
	if (c->stage == STAGE_FAILED)
		return -c->err;
	return err == -EAGAIN && is_due(c) ? on_timeout(c) : -EAGAIN;
}

short mpgate_events(const struct mpgate_conn *c)
{
	if (c->stage == STAGE_TALKING)
		return c->out_off < c->out_len ? POLLIN | POLLOUT : POLLIN;
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
	c->data_len = data_len;
	c->opt = *options;
	c->fd = -1;
	c->result.error_code = -1;
	return c;
}

int mg_conn_start(struct mpgate_conn **conn, const struct mpgate_options *options,
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
	err = mg_ep_from_sockaddr(&c->converter, (const struct sockaddr *)&options->converter);
	if (err) {
		mg_conn_free(c);
		return err;
	}
	mg_ep_from_sockaddr(&c->dest, dest);
	if (hooks)
		c->hooks = *hooks;
	else
		c->hooks = (struct mg_conn_hooks){ mg_csock_open, mg_csock_close, &c->opt };
	c->deadline_ms = now_ms() + options->timeout_ms;
	mg_cache_get(options->flags & MPGATE_NO_CACHE ? "" : options->cache_path, &c->converter,
		     &c->cache);
	if (mg_cache_is_aside(&c->cache))
		converter_failed(c, c->cache.aside_err, "the converter was put aside");
	else
		begin_attempt(c);
	*conn = c;
	return 0;
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
