// SPDX-License-Identifier: BSD-2-Clause
#include "ask/ask.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ask/sock.h"
#include "wire/cursor.h"

#define ATTEMPTS_MAX	  3  /* without a cookie, with a stale one, with a fresh one */
#define DEFAULT_BACKOFF_S 30 /* RFC 8803 section 6.2.8, Resource Exceeded */

/* Of enum tcp_fastopen_client_fail, and of the kernel's TCP states */
#define TFO_DATA_NOT_ACKED 2
#define STATE_SYN_SENT	   2

#define KIND_MPTCP	   30
#define SUBTYPE_MP_CAPABLE 0

static enum mg_ask_outcome useless(struct mg_ask *a, int err, const char *why)
{
	a->err = err;
	a->why = why;
	return MG_ASK_USELESS;
}

/* RFC 8803 section 8: something eats SYN data or answers; do not use this converter again. */
static enum mg_ask_outcome unusable(struct mg_ask *a, int err, const char *why)
{
	a->aside_s = MG_ASK_ASIDE_S;
	return useless(a, err, why);
}

/* ---- the answer ---------------------------------------------------------------------------- */

static enum mg_ask_outcome on_missing_cookie(struct mg_ask *a, struct mg_span value)
{
	/* byte 3 of the TLV is zero, then the cookie */
	struct mg_span cookie = { value.data + 1, value.len > 0 ? value.len - 1 : 0 };

	if (cookie.len == 0 || cookie.len > sizeof(a->cookie) || a->cookie_fixed ||
	    a->attempts >= ATTEMPTS_MAX)
		return useless(a, EACCES, "cookie refused");
	memcpy(a->cookie, cookie.data, cookie.len);
	a->cookie_len = cookie.len;
	return MG_ASK_AGAIN;
}

static enum mg_ask_outcome on_error(struct mg_ask *a, const struct mg_convert_msg *msg)
{
	struct mg_span value = msg->error_value;

	a->error_code = msg->error_code;
	a->error_value = value;
	a->why = mg_convert_error_text(msg->error_code);
	switch (msg->error_code) {
	case MG_CE_MISSING_COOKIE:
		return on_missing_cookie(a, value);
	case MG_CE_NOT_AUTHORIZED:
		/* A cookie of yesterday, or of another address: ask for a new one. */
		if (a->cookie_len == 0 || a->cookie_fixed || a->attempts >= ATTEMPTS_MAX)
			break;
		a->cookie_len = 0;
		return MG_ASK_AGAIN;
	case MG_CE_RESOURCE_EXCEEDED:
		a->aside_s = value.len > 0 && value.data[0] ? value.data[0] : DEFAULT_BACKOFF_S;
		break;
	case MG_CE_NETWORK_FAILURE:
	case MG_CE_CONNECTION_RESET:
	case MG_CE_DEST_UNREACHABLE:
		return MG_ASK_SERVER;
	}
	return MG_ASK_USELESS;
}

static enum mg_ask_outcome on_answer(struct mg_ask *a, const struct mg_convert_msg *msg)
{
	if (msg->error_present)
		return on_error(a, msg);
	if (!msg->ext_tcp_hdr_present)
		return unusable(a, EPROTO, "answer without Extended TCP Header");
	a->synack_options = msg->ext_tcp_hdr;
	return MG_ASK_ACCEPTED;
}

/* Takes exactly the answer off the bytestream: what follows is the server's. */
static enum mg_ask_outcome read_answer(struct mg_ask *a)
{
	for (;;) {
		size_t want = MG_CONVERT_HDR_BYTES;
		enum mg_convert_error error;
		struct mg_convert_msg msg;
		ssize_t n;
		int ret = mg_convert_parse(&msg, &error, MG_FROM_CONVERTER, a->in, a->in_len);

		if (ret == -EPROTO || (ret > 0 && error != MG_CE_NONE))
			return unusable(a, EPROTO, "answer is not Convert");
		if (ret > 0)
			return on_answer(a, &msg);
		if (msg.total_bytes > 0)
			want = msg.total_bytes;
		n = recv(a->fd, a->in + a->in_len, want - a->in_len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return MG_ASK_WAIT;
		if (n < 0)
			return useless(a, errno, "connection lost before the answer");
		if (n == 0)
			return useless(a, ECONNRESET, "closed without an answer");
		a->in_len += (size_t)n;
	}
}

/* ---- an attempt ---------------------------------------------------------------------------- */

static int build_message(struct mg_ask *a)
{
	struct mg_span opts = { a->tcp_options, a->tcp_options_len };
	struct mg_convert_buf b;
	int len;

	mg_convert_begin(&b);
	mg_convert_put_connect(&b, &a->server, opts);
	if (a->cookie_len > 0)
		mg_convert_put_cookie(&b, (struct mg_span){ a->cookie, a->cookie_len });
	len = mg_convert_end(&b);
	if (len < 0)
		return len;
	/* The data keeps its place behind the longest message; the message is put right before. */
	a->out_off = MG_CONVERT_MAX_BYTES - (size_t)len;
	memcpy(a->out + a->out_off, b.data, (size_t)len);
	return 0;
}

static size_t unsent(const struct mg_ask *a)
{
	return MG_CONVERT_MAX_BYTES + a->data_len - a->out_off;
}

int mg_ask_start(struct mg_ask *a, int fd, bool data_in_syn)
{
	int err = build_message(a);
	ssize_t n;

	if (err)
		return err;
	a->fd = fd;
	a->attempts++;
	a->answering = a->zero_rtt = false;
	a->syn_bytes = a->in_len = 0;
	a->error_code = -1;
	a->aside_s = 0;
	a->why = NULL;
	if (!data_in_syn)
		return mg_csock_connect(fd, &a->converter);
	n = mg_csock_connect_with(fd, &a->converter, a->out + a->out_off, unsent(a));
	if (n < 0)
		return (int)n;
	a->syn_bytes = (size_t)n;
	a->out_off += (size_t)n;
	return 0;
}

static enum mg_ask_outcome connecting(struct mg_ask *a)
{
	struct tcp_info info;
	int err = mg_csock_tcp_info(a->fd, &info);

	if (err)
		return useless(a, -err, "cannot reach the converter");
	if (info.tcpi_state == STATE_SYN_SENT)
		return MG_ASK_WAIT;
	if (a->syn_bytes > 0) {
		a->zero_rtt = info.tcpi_options & TCPI_OPT_SYN_DATA;
		/* A lost SYN is repeated without data by the kernel; that is no one's fault. */
		if (!a->zero_rtt && info.tcpi_fastopen_client_fail == TFO_DATA_NOT_ACKED)
			return unusable(a, EPROTO, "SYN data was not acknowledged");
	}
	a->answering = true;
	return MG_ASK_WAIT;
}

/* 0, -EAGAIN while there is more to send than the socket takes, or -errno. */
static int send_rest(struct mg_ask *a)
{
	while (unsent(a) > 0) {
		ssize_t n =
			send(a->fd, a->out + a->out_off, unsent(a), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		a->out_off += (size_t)n;
	}
	return 0;
}

enum mg_ask_outcome mg_ask_step(struct mg_ask *a)
{
	int err;

	if (!a->answering) {
		enum mg_ask_outcome outcome = connecting(a);

		if (!a->answering)
			return outcome;
	}
	err = send_rest(a);
	/* A converter that refuses may have closed before it had everything: read what it says. */
	if (err && err != -EAGAIN && err != -EPIPE && err != -ECONNRESET)
		return useless(a, -err, "connection lost before the answer");
	return read_answer(a);
}

enum mg_ask_outcome mg_ask_timeout(struct mg_ask *a)
{
	/* acknowledged, but never answered: section 8 again */
	if (a->answering)
		return unusable(a, ETIMEDOUT, "no answer");
	return useless(a, ETIMEDOUT, "cannot reach the converter");
}

bool mg_ask_wants_write(const struct mg_ask *a)
{
	return !a->answering || unsent(a) > 0;
}

/* ---- the server's options ------------------------------------------------------------------ */

bool mg_ask_server_speaks_mptcp(const struct mg_ask *a)
{
	struct mg_cursor c = mg_cursor_over(a->synack_options.data, a->synack_options.len);

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
