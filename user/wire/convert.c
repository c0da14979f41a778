// SPDX-License-Identifier: BSD-2-Clause
#include "wire/convert.h"

#include <errno.h>
#include <string.h>

#include "wire/cursor.h"

#define WORD_BYTES	      4
#define TLV_HDR_BYTES	      2
#define CONNECT_BASE_WORDS    5
#define TCP_OPTIONS_MAX_BYTES 40 /* a TCP header has room for no more */

/* ---- the list of errors -------------------------------------------------------------------- */

const char *mg_convert_error_label(unsigned int code)
{
	switch (code) {
#define X(sym, c, label, text) \
	case c:                \
		return #label;
		MG_CONVERT_ERRORS(X)
#undef X
	}
	return NULL;
}

const char *mg_convert_error_text(unsigned int code)
{
	switch (code) {
#define X(sym, c, label, text) \
	case c:                \
		return text;
		MG_CONVERT_ERRORS(X)
#undef X
	}
	return "Unknown Error";
}

int mg_convert_error_index(unsigned int code)
{
	static const unsigned int codes[] = {
#define X(sym, c, label, text) c,
		MG_CONVERT_ERRORS(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == code)
			return (int)i;
	return -ENOENT;
}

/* ---- parsing ------------------------------------------------------------------------------- */

/* The rest of a TLV, without its two reserved bytes if it has them. */
static struct mg_span rest_of(struct mg_cursor *value)
{
	size_t n = mg_cursor_left(value);

	return (struct mg_span){ .data = mg_cursor_take(value, n), .len = n };
}

static enum mg_convert_error parse_info(struct mg_convert_msg *msg, struct mg_cursor *value)
{
	if (msg->info || mg_cursor_left(value) != WORD_BYTES - TLV_HDR_BYTES)
		return MG_CE_MALFORMED;
	msg->info = true;
	return MG_CE_NONE;
}

static enum mg_convert_error parse_connect(struct mg_convert_msg *msg, struct mg_cursor *value)
{
	if (msg->connect)
		return MG_CE_MALFORMED;
	msg->peer.port = htons(mg_cursor_u16(value));
	mg_cursor_bytes(value, &msg->peer.ip, sizeof(msg->peer.ip));
	if (value->failed)
		return MG_CE_MALFORMED;
	msg->tcp_opts = rest_of(value);
	msg->connect = true;
	return MG_CE_NONE;
}

/* The shape shared by Cookie, Extended TCP Header and Supported TCP Extensions. */
static enum mg_convert_error parse_opaque(bool *present, struct mg_span *span,
					  struct mg_cursor *value, size_t max)
{
	if (*present)
		return MG_CE_MALFORMED;
	mg_cursor_u16(value);
	*span = rest_of(value);
	if (value->failed || span->len > max)
		return MG_CE_MALFORMED;
	*present = true;
	return MG_CE_NONE;
}

static enum mg_convert_error parse_error(struct mg_convert_msg *msg, struct mg_cursor *value,
					 enum mg_convert_from from)
{
	if (msg->error_present)
		return MG_CE_MALFORMED;
	msg->error_code = mg_cursor_u8(value);
	msg->error_value = rest_of(value);
	if (from == MG_FROM_CLIENT && msg->error_code != MG_CE_UNSUPPORTED_VERSION)
		return MG_CE_UNSUPPORTED_MESSAGE;
	msg->error_present = true;
	return MG_CE_NONE;
}

static enum mg_convert_error parse_provision(struct mg_convert_msg *msg, struct mg_cursor *value)
{
	if (msg->provision_present)
		return MG_CE_MALFORMED;
	msg->provision = rest_of(value);
	msg->provision_present = true;
	return MG_CE_NONE;
}

static enum mg_convert_error parse_tlv(struct mg_convert_msg *msg, enum mg_convert_from from,
				       uint8_t type, struct mg_cursor *value)
{
	bool from_client = from == MG_FROM_CLIENT;

	switch (type) {
	case MG_TLV_INFO:
		return from_client ? parse_info(msg, value) : MG_CE_UNSUPPORTED_MESSAGE;
	case MG_TLV_CONNECT:
		return parse_connect(msg, value);
	case MG_TLV_COOKIE:
		if (!from_client)
			return MG_CE_UNSUPPORTED_MESSAGE;
		return parse_opaque(&msg->cookie_present, &msg->cookie, value,
				    MG_CONVERT_MAX_BYTES);
	case MG_TLV_EXT_TCP_HDR:
		if (from_client)
			return MG_CE_UNSUPPORTED_MESSAGE;
		return parse_opaque(&msg->ext_tcp_hdr_present, &msg->ext_tcp_hdr, value,
				    TCP_OPTIONS_MAX_BYTES);
	case MG_TLV_SUPPORTED_TCP_EXT:
		if (from_client)
			return MG_CE_UNSUPPORTED_MESSAGE;
		return parse_opaque(&msg->supported_present, &msg->supported, value,
				    MG_CONVERT_MAX_BYTES);
	case MG_TLV_ERROR:
		return parse_error(msg, value, from);
	default:
		return MG_CE_UNSUPPORTED_MESSAGE;
	}
}

static enum mg_convert_error check_combination(const struct mg_convert_msg *msg)
{
	/* A cookie vouches for a request; alone it asks for nothing. */
	if (msg->cookie_present && !msg->connect && !msg->info)
		return MG_CE_MALFORMED;
	if (msg->error_present && (msg->ext_tcp_hdr_present || msg->connect || msg->info))
		return MG_CE_MALFORMED;
	if (msg->provision_present && (msg->connect || !(msg->info || msg->supported_present)))
		return MG_CE_MALFORMED;
	return MG_CE_NONE;
}

static enum mg_convert_error parse_tlvs(struct mg_convert_msg *msg, enum mg_convert_from from,
					bool provision, struct mg_cursor *c)
{
	if (mg_cursor_left(c) == 0)
		return MG_CE_MALFORMED;
	while (mg_cursor_left(c) > 0) {
		uint8_t type = mg_cursor_u8(c);
		size_t words = mg_cursor_u8(c);
		struct mg_cursor value;
		enum mg_convert_error error;

		if (c->failed || words == 0)
			return MG_CE_MALFORMED;
		value = mg_cursor_slice(c, words * WORD_BYTES - TLV_HDR_BYTES);
		if (c->failed)
			return MG_CE_MALFORMED;
		error = provision && type == MG_TLV_PROVISION ? parse_provision(msg, &value)
							      : parse_tlv(msg, from, type, &value);
		if (error != MG_CE_NONE)
			return error;
	}
	return check_combination(msg);
}

/* 0 when the fixed header is there and right, -EAGAIN while it may still become right. */
static int parse_header(struct mg_convert_msg *msg, const uint8_t *data, size_t len)
{
	if (len > 1 && data[1] == 0)
		return -EPROTO;
	if (len > 2 && data[2] != MG_CONVERT_MAGIC >> 8)
		return -EPROTO;
	if (len > 3 && data[3] != (MG_CONVERT_MAGIC & 0xff))
		return -EPROTO;
	if (len < MG_CONVERT_HDR_BYTES)
		return -EAGAIN;
	msg->version = data[0];
	msg->total_bytes = (size_t)data[1] * WORD_BYTES;
	return 0;
}

static int parse(struct mg_convert_msg *msg, enum mg_convert_error *error,
		 enum mg_convert_from from, bool provision, const uint8_t *data, size_t len)
{
	struct mg_cursor c;
	int err;

	memset(msg, 0, sizeof(*msg));
	*error = MG_CE_NONE;
	err = parse_header(msg, data, len);
	if (err)
		return err;
	if (len < msg->total_bytes)
		return -EAGAIN;
	c = mg_cursor_over(data + MG_CONVERT_HDR_BYTES, msg->total_bytes - MG_CONVERT_HDR_BYTES);
	if (msg->version != MG_CONVERT_VERSION)
		*error = MG_CE_UNSUPPORTED_VERSION;
	else
		*error = parse_tlvs(msg, from, provision, &c);
	return (int)msg->total_bytes;
}

int mg_convert_parse(struct mg_convert_msg *msg, enum mg_convert_error *error,
		     enum mg_convert_from from, const uint8_t *data, size_t len)
{
	return parse(msg, error, from, false, data, len);
}

int mg_convert_parse_provision(struct mg_convert_msg *msg, enum mg_convert_error *error,
			       enum mg_convert_from from, const uint8_t *data, size_t len)
{
	return parse(msg, error, from, true, data, len);
}

bool mg_convert_peer_malformed(const struct mg_ep *peer)
{
	return peer->port == 0 || mg_ip_is_unspecified(&peer->ip) || mg_ip_is_loopback(&peer->ip) ||
	       mg_ip_is_multicast(&peer->ip) || mg_ip_is_broadcast(&peer->ip);
}

/* ---- Connect's TCP options ------------------------------------------------------------------ */

enum tcp_kind {
	KIND_EOL = 0,
	KIND_NOP = 1,
	KIND_MSS = 2,
	KIND_WINDOW_SCALE = 3,
	KIND_SACK_PERMITTED = 4,
	KIND_SACK = 5,
	KIND_TIMESTAMPS = 8,
	KIND_MPTCP = 30,
};

static void note_unsupported(struct mg_connect_opts *opts, uint8_t kind)
{
	if (memchr(opts->unsupported, kind, opts->n_unsupported) ||
	    opts->n_unsupported == sizeof(opts->unsupported))
		return;
	opts->unsupported[opts->n_unsupported++] = kind;
}

static void note_option(struct mg_connect_opts *opts, uint8_t kind, bool has_value)
{
	switch (kind) {
	case KIND_MSS:
	case KIND_WINDOW_SCALE:
	case KIND_SACK:
		return;
	case KIND_SACK_PERMITTED:
		opts->sack_permitted |= !has_value;
		break;
	case KIND_TIMESTAMPS:
		opts->timestamps |= !has_value;
		break;
	case KIND_MPTCP:
		opts->mptcp |= !has_value;
		break;
	default:
		has_value = true;
	}
	/* A value would have to be copied into the SYN, which the stack writes by itself. */
	if (has_value)
		note_unsupported(opts, kind);
}

int mg_convert_parse_opts(struct mg_connect_opts *opts, struct mg_span list)
{
	struct mg_cursor c = mg_cursor_over(list.data, list.len);

	memset(opts, 0, sizeof(*opts));
	while (mg_cursor_left(&c) > 0) {
		uint8_t kind = mg_cursor_u8(&c), len;

		if (kind == KIND_EOL)
			break;
		if (kind == KIND_NOP)
			continue;
		len = mg_cursor_u8(&c);
		if (len < 2)
			return -EBADMSG;
		mg_cursor_take(&c, len - 2U);
		if (c.failed)
			return -EBADMSG;
		note_option(opts, kind, len > 2);
	}
	return 0;
}

/* ---- building ------------------------------------------------------------------------------ */

void mg_convert_begin(struct mg_convert_buf *b)
{
	b->len = MG_CONVERT_HDR_BYTES;
	b->overflow = false;
}

static size_t words_of(size_t bytes)
{
	return (bytes + WORD_BYTES - 1) / WORD_BYTES;
}

/* Room for a TLV of so many bytes, zeroed but for type and length; NULL if it does not fit. */
static uint8_t *add_tlv(struct mg_convert_buf *b, uint8_t type, size_t bytes)
{
	size_t left = sizeof(b->data) - b->len;
	uint8_t *at = b->data + b->len;

	/* left is a multiple of a word, so the padding fits where the bytes do */
	if (b->overflow || bytes > left) {
		b->overflow = true;
		return NULL;
	}
	memset(at, 0, words_of(bytes) * WORD_BYTES);
	at[0] = type;
	at[1] = (uint8_t)words_of(bytes);
	b->len += words_of(bytes) * WORD_BYTES;
	return at;
}

/* A TLV with `offset` bytes before its variable part. */
static uint8_t *add_span(struct mg_convert_buf *b, uint8_t type, size_t offset, struct mg_span span)
{
	uint8_t *at;

	if (span.len > sizeof(b->data)) {
		b->overflow = true;
		return NULL;
	}
	at = add_tlv(b, type, offset + span.len);
	if (at && span.len > 0)
		memcpy(at + offset, span.data, span.len);
	return at;
}

void mg_convert_put_info(struct mg_convert_buf *b)
{
	add_tlv(b, MG_TLV_INFO, WORD_BYTES);
}

void mg_convert_put_connect(struct mg_convert_buf *b, const struct mg_ep *peer,
			    struct mg_span tcp_opts)
{
	uint8_t *at = add_span(b, MG_TLV_CONNECT, CONNECT_BASE_WORDS * WORD_BYTES, tcp_opts);

	if (!at)
		return;
	memcpy(at + 2, &peer->port, sizeof(peer->port));
	memcpy(at + 4, &peer->ip, sizeof(peer->ip));
}

void mg_convert_put_cookie(struct mg_convert_buf *b, struct mg_span cookie)
{
	add_span(b, MG_TLV_COOKIE, WORD_BYTES, cookie);
}

void mg_convert_put_ext_tcp_hdr(struct mg_convert_buf *b, struct mg_span synack_opts)
{
	if (synack_opts.len > TCP_OPTIONS_MAX_BYTES)
		b->overflow = true;
	else
		add_span(b, MG_TLV_EXT_TCP_HDR, WORD_BYTES, synack_opts);
}

void mg_convert_put_supported(struct mg_convert_buf *b, const uint8_t *kinds, size_t n)
{
	add_span(b, MG_TLV_SUPPORTED_TCP_EXT, WORD_BYTES, (struct mg_span){ kinds, n });
}

static void put_error(struct mg_convert_buf *b, uint8_t code, size_t offset, struct mg_span value)
{
	uint8_t *at = add_span(b, MG_TLV_ERROR, offset, value);

	if (at)
		at[2] = code;
}

void mg_convert_put_error(struct mg_convert_buf *b, uint8_t code, struct mg_span value)
{
	put_error(b, code, 3, value);
}

void mg_convert_put_error_echo(struct mg_convert_buf *b, uint8_t code, struct mg_span received)
{
	size_t left = sizeof(b->data) - b->len;

	if (left >= WORD_BYTES && received.len > left - WORD_BYTES)
		received.len = left - WORD_BYTES;
	put_error(b, code, WORD_BYTES, received);
}

void mg_convert_put_error_cookie(struct mg_convert_buf *b, struct mg_span cookie)
{
	put_error(b, MG_CE_MISSING_COOKIE, WORD_BYTES, cookie);
}

void mg_convert_put_provision(struct mg_convert_buf *b, struct mg_span value)
{
	add_span(b, MG_TLV_PROVISION, TLV_HDR_BYTES, value);
}

int mg_convert_end(struct mg_convert_buf *b)
{
	if (b->overflow)
		return -EMSGSIZE;
	if (b->len == MG_CONVERT_HDR_BYTES)
		return -EINVAL;
	b->data[0] = MG_CONVERT_VERSION;
	b->data[1] = (uint8_t)(b->len / WORD_BYTES);
	b->data[2] = MG_CONVERT_MAGIC >> 8;
	b->data[3] = MG_CONVERT_MAGIC & 0xff;
	return (int)b->len;
}
