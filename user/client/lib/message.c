// SPDX-License-Identifier: BSD-2-Clause
/* The public face of the codec: the same messages without the product's own types. */
#include "mpgate/mpgate.h"

#include <errno.h>
#include <string.h>

#include "wire/convert.h"

static void share(const void **data, size_t *len, struct mg_span span)
{
	*data = span.data;
	*len = span.len;
}

int mpgate_message_parse(struct mpgate_message *msg, int *error, enum mpgate_from from,
			 const void *data, size_t len)
{
	enum mg_convert_from side = from == MPGATE_FROM_CLIENT ? MG_FROM_CLIENT : MG_FROM_CONVERTER;
	enum mg_convert_error code;
	struct mg_convert_msg in;
	int ret = mg_convert_parse(&in, &code, side, data, len);

	memset(msg, 0, sizeof(*msg));
	*error = code == MG_CE_NONE ? -1 : (int)code;
	if (ret < 0)
		return ret;
	msg->info = in.info;
	msg->connect = in.connect;
	if (in.connect) {
		msg->peer.sin6_family = AF_INET6;
		msg->peer.sin6_addr = in.peer.ip;
		msg->peer.sin6_port = in.peer.port;
	}
	share(&msg->tcp_options, &msg->tcp_options_len, in.tcp_opts);
	msg->cookie_present = in.cookie_present;
	share(&msg->cookie, &msg->cookie_len, in.cookie);
	msg->ext_tcp_header_present = in.ext_tcp_hdr_present;
	share(&msg->ext_tcp_header, &msg->ext_tcp_header_len, in.ext_tcp_hdr);
	msg->supported_present = in.supported_present;
	share(&msg->supported, &msg->supported_len, in.supported);
	msg->error_present = in.error_present;
	msg->error_code = in.error_code;
	share(&msg->error_value, &msg->error_value_len, in.error_value);
	return ret;
}

static struct mg_span span_of(const void *data, size_t len)
{
	return (struct mg_span){ .data = data, .len = len };
}

int mpgate_message_build(const struct mpgate_message *msg, void *buf, size_t size)
{
	struct mg_convert_buf b;
	int len;

	mg_convert_begin(&b);
	if (msg->error_present)
		mg_convert_put_error(&b, msg->error_code,
				     span_of(msg->error_value, msg->error_value_len));
	if (msg->supported_present)
		mg_convert_put_supported(&b, msg->supported, msg->supported_len);
	if (msg->ext_tcp_header_present)
		mg_convert_put_ext_tcp_hdr(&b,
					   span_of(msg->ext_tcp_header, msg->ext_tcp_header_len));
	if (msg->info)
		mg_convert_put_info(&b);
	if (msg->cookie_present)
		mg_convert_put_cookie(&b, span_of(msg->cookie, msg->cookie_len));
	if (msg->connect) {
		struct mg_ep peer = { .ip = msg->peer.sin6_addr, .port = msg->peer.sin6_port };

		mg_convert_put_connect(&b, &peer, span_of(msg->tcp_options, msg->tcp_options_len));
	}
	len = mg_convert_end(&b);
	if (len < 0)
		return len;
	if ((size_t)len > size)
		return -EMSGSIZE;
	memcpy(buf, b.data, (size_t)len);
	return len;
}
