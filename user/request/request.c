// SPDX-License-Identifier: BSD-2-Clause
#include "request/request.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "request/sock.h"
#include "wire/cursor.h"

#define ATTEMPTS_MAX	  3  /* without a cookie, with a stale one, with a fresh one */
#define DEFAULT_BACKOFF_S 30 /* RFC 8803 section 6.2.8, Resource Exceeded */

/* Of enum tcp_fastopen_client_fail, and of the kernel's TCP states */
#define TFO_DATA_NOT_ACKED 2
#define STATE_SYN_SENT	   2

#define KIND_MPTCP	   30
#define SUBTYPE_MP_CAPABLE 0

static enum mg_request_outcome useless(struct mg_request *r, int err, const char *why)
{
	r->err = err;
	r->why = why;
	return MG_REQUEST_USELESS;
}

/* RFC 8803 section 8: something eats SYN data or answers; do not use this converter again. */
static enum mg_request_outcome unusable(struct mg_request *r, int err, const char *why)
{
	r->aside_s = MG_REQUEST_ASIDE_S;
	return useless(r, err, why);
}

/* ---- the answer ---------------------------------------------------------------------------- */

static enum mg_request_outcome on_missing_cookie(struct mg_request *r, struct mg_span value)
{
	/* byte 3 of the TLV is zero, then the cookie */
	struct mg_span cookie = { value.data + 1, value.len > 0 ? value.len - 1 : 0 };

	if (cookie.len == 0 || cookie.len > sizeof(r->cookie) || r->cookie_fixed ||
	    r->attempts >= ATTEMPTS_MAX)
		return useless(r, EACCES, "cookie refused");
	memcpy(r->cookie, cookie.data, cookie.len);
	r->cookie_len = cookie.len;
	return MG_REQUEST_AGAIN;
}

static enum mg_request_outcome on_error(struct mg_request *r, const struct mg_convert_msg *msg)
{
	struct mg_span value = msg->error_value;

	r->error_code = msg->error_code;
	r->error_value = value;
	r->why = mg_convert_error_text(msg->error_code);
	switch (msg->error_code) {
	case MG_CE_MISSING_COOKIE:
		return on_missing_cookie(r, value);
	case MG_CE_NOT_AUTHORIZED:
		/* A cookie of yesterday, or of another address: ask for a new one. */
		if (r->cookie_len == 0 || r->cookie_fixed || r->attempts >= ATTEMPTS_MAX)
			break;
		r->cookie_len = 0;
		return MG_REQUEST_AGAIN;
	case MG_CE_RESOURCE_EXCEEDED:
		r->aside_s = value.len > 0 && value.data[0] ? value.data[0] : DEFAULT_BACKOFF_S;
		break;
	case MG_CE_NETWORK_FAILURE:
	case MG_CE_CONNECTION_RESET:
	case MG_CE_DEST_UNREACHABLE:
		return MG_REQUEST_SERVER;
	}
	return MG_REQUEST_USELESS;
}

static enum mg_request_outcome on_answer(struct mg_request *r, const struct mg_convert_msg *msg)
{
	if (msg->error_present)
		return on_error(r, msg);
	if (r->ask.len) {
		if (!msg->provision_present)
			return useless(r, EOPNOTSUPP, "the converter does not tell");
		r->answer = msg->provision;
		return MG_REQUEST_ACCEPTED;
	}
	if (!msg->ext_tcp_hdr_present)
		return unusable(r, EPROTO, "answer without Extended TCP Header");
	r->synack_options = msg->ext_tcp_hdr;
	return MG_REQUEST_ACCEPTED;
}

/* Takes exactly the answer off the bytestream: what follows is the server's. */
static enum mg_request_outcome read_answer(struct mg_request *r)
{
	for (;;) {
		size_t want = MG_CONVERT_HDR_BYTES;
		enum mg_convert_error error;
		struct mg_convert_msg msg;
		ssize_t n;
		int ret = r->ask.len ? mg_convert_parse_provision(&msg, &error, MG_FROM_CONVERTER,
								  r->in, r->in_len)
				     : mg_convert_parse(&msg, &error, MG_FROM_CONVERTER, r->in,
							r->in_len);

		if (ret == -EPROTO || (ret > 0 && error != MG_CE_NONE))
			return unusable(r, EPROTO, "answer is not Convert");
		if (ret > 0)
			return on_answer(r, &msg);
		if (msg.total_bytes > 0)
			want = msg.total_bytes;
		n = recv(r->fd, r->in + r->in_len, want - r->in_len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return MG_REQUEST_WAIT;
		if (n < 0)
			return useless(r, errno, "connection lost before the answer");
		if (n == 0)
			return useless(r, ECONNRESET, "closed without an answer");
		r->in_len += (size_t)n;
	}
}

/* ---- an attempt ---------------------------------------------------------------------------- */

static int build_message(struct mg_request *r)
{
	struct mg_span opts = { r->tcp_options, r->tcp_options_len };
	struct mg_convert_buf b;
	int len;

	mg_convert_begin(&b);
	if (r->ask.len) {
		mg_convert_put_info(&b);
		mg_convert_put_provision(&b, r->ask);
	} else {
		mg_convert_put_connect(&b, &r->server, opts);
	}
	if (r->cookie_len > 0)
		mg_convert_put_cookie(&b, (struct mg_span){ r->cookie, r->cookie_len });
	len = mg_convert_end(&b);
	if (len < 0)
		return len;
	/* The data keeps its place behind the longest message; the message is put right before. */
	r->out_off = MG_CONVERT_MAX_BYTES - (size_t)len;
	memcpy(r->out + r->out_off, b.data, (size_t)len);
	return 0;
}

static size_t unsent(const struct mg_request *r)
{
	return MG_CONVERT_MAX_BYTES + r->data_len - r->out_off;
}

int mg_request_start(struct mg_request *r, int fd, bool data_in_syn)
{
	int err = build_message(r);
	ssize_t n;

	if (err)
		return err;
	r->fd = fd;
	r->attempts++;
	r->answering = r->zero_rtt = false;
	r->syn_bytes = r->in_len = 0;
	r->error_code = -1;
	r->aside_s = 0;
	r->why = NULL;
	if (!data_in_syn)
		return mg_csock_connect(fd, &r->converter);
	n = mg_csock_connect_with(fd, &r->converter, r->out + r->out_off, unsent(r));
	if (n < 0)
		return (int)n;
	r->syn_bytes = (size_t)n;
	r->out_off += (size_t)n;
	return 0;
}

static enum mg_request_outcome connecting(struct mg_request *r)
{
	struct tcp_info info;
	int err = mg_csock_tcp_info(r->fd, &info);

	if (err)
		return useless(r, -err, "cannot reach the converter");
	if (info.tcpi_state == STATE_SYN_SENT)
		return MG_REQUEST_WAIT;
	if (r->syn_bytes > 0) {
		r->zero_rtt = info.tcpi_options & TCPI_OPT_SYN_DATA;
		/* A lost SYN is repeated without data by the kernel; that is no one's fault. */
		if (!r->zero_rtt && info.tcpi_fastopen_client_fail == TFO_DATA_NOT_ACKED)
			return unusable(r, EPROTO, "SYN data was not acknowledged");
	}
	r->answering = true;
	return MG_REQUEST_WAIT;
}

/* 0, -EAGAIN while there is more to send than the socket takes, or -errno. */
static int send_rest(struct mg_request *r)
{
	while (unsent(r) > 0) {
		ssize_t n =
			send(r->fd, r->out + r->out_off, unsent(r), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		r->out_off += (size_t)n;
	}
	return 0;
}

enum mg_request_outcome mg_request_step(struct mg_request *r)
{
	int err;

	if (!r->answering) {
		enum mg_request_outcome outcome = connecting(r);

		if (!r->answering)
			return outcome;
	}
	err = send_rest(r);
	/* A converter that refuses may have closed before it had everything: read what it says. */
	if (err && err != -EAGAIN && err != -EPIPE && err != -ECONNRESET)
		return useless(r, -err, "connection lost before the answer");
	return read_answer(r);
}

enum mg_request_outcome mg_request_timeout(struct mg_request *r)
{
	/* acknowledged, but never answered: section 8 again */
	if (r->answering)
		return unusable(r, ETIMEDOUT, "no answer");
	return useless(r, ETIMEDOUT, "cannot reach the converter");
}

bool mg_request_wants_write(const struct mg_request *r)
{
	return !r->answering || unsent(r) > 0;
}

/* ---- the server's options ------------------------------------------------------------------ */

bool mg_request_server_speaks_mptcp(const struct mg_request *r)
{
	struct mg_cursor c = mg_cursor_over(r->synack_options.data, r->synack_options.len);

	while (mg_cursor_left(&c) > 0) {
		uint8_t kind = mg_cursor_u8(&c), len;
		const uint8_t *value;

		if (kind == 0)
			break;
		if (kind == 1)
			continue;
		len = mg_cursor_u8(&c);
		value = len < 2 ? NULL : mg_cursor_take(&c, len - 2U);
		if (!value || c.failed)
			break;
		if (kind == KIND_MPTCP && len > 2 && value[0] >> 4 == SUBTYPE_MP_CAPABLE)
			return true;
	}
	return false;
}
