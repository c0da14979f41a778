// SPDX-License-Identifier: BSD-2-Clause
/*
 * The Convert parser with arbitrary bytes, as from a client and as from a converter:
 *   - a verdict is reached at one length and stays the same with more bytes behind it;
 *   - what was accepted, built again and parsed again, says the same;
 *   - spans lie inside the message.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "wire/convert.h"

struct verdict {
	int ret;
	enum mg_convert_error error;
	struct mg_convert_msg msg;
};

static struct verdict parse(enum mg_convert_from from, const uint8_t *data, size_t len)
{
	struct verdict v;

	v.ret = mg_convert_parse(&v.msg, &v.error, from, data, len);
	return v;
}

static bool inside(struct mg_span span, const uint8_t *data, size_t len)
{
	return span.len == 0 || (span.data >= data && span.len <= len &&
				 (size_t)(span.data - data) <= len - span.len);
}

static void check_verdict(const struct verdict *v, const uint8_t *data, size_t len)
{
	if (v->ret < 0) {
		FUZZ_CHECK(v->ret == -EAGAIN || v->ret == -EPROTO);
		FUZZ_CHECK(v->error == MG_CE_NONE);
		return;
	}
	FUZZ_CHECK(v->ret >= MG_CONVERT_HDR_BYTES && v->ret <= MG_CONVERT_MAX_BYTES);
	FUZZ_CHECK((size_t)v->ret <= len && v->ret % 4 == 0);
	FUZZ_CHECK(v->error == MG_CE_NONE || v->error == MG_CE_UNSUPPORTED_VERSION ||
		   v->error == MG_CE_MALFORMED || v->error == MG_CE_UNSUPPORTED_MESSAGE);
	FUZZ_CHECK(inside(v->msg.tcp_opts, data, len) && inside(v->msg.cookie, data, len));
	FUZZ_CHECK(inside(v->msg.ext_tcp_hdr, data, len) && inside(v->msg.supported, data, len));
	FUZZ_CHECK(inside(v->msg.error_value, data, len));
}

/* Shorter beginnings ask for more until the verdict falls, which is then final. */
static void check_prefixes(const struct verdict *whole, enum mg_convert_from from,
			   const uint8_t *data, size_t len)
{
	bool decided = false;

	for (size_t cut = 0; cut <= len && cut <= MG_CONVERT_MAX_BYTES + 8; cut++) {
		struct verdict v = parse(from, data, cut);

		if (!decided && v.ret == -EAGAIN)
			continue;
		decided = true;
		FUZZ_CHECK(v.ret == whole->ret && v.error == whole->error);
	}
	FUZZ_CHECK(decided || whole->ret == -EAGAIN);
}

static bool same_span(struct mg_span a, struct mg_span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void check_round_trip(const struct mg_convert_msg *msg, enum mg_convert_from from)
{
	struct mg_convert_buf b;
	struct verdict v;
	int len;

	mg_convert_begin(&b);
	if (msg->error_present)
		mg_convert_put_error(&b, msg->error_code, msg->error_value);
	if (msg->supported_present)
		mg_convert_put_supported(&b, msg->supported.data, msg->supported.len);
	if (msg->ext_tcp_hdr_present)
		mg_convert_put_ext_tcp_hdr(&b, msg->ext_tcp_hdr);
	if (msg->cookie_present)
		mg_convert_put_cookie(&b, msg->cookie);
	if (msg->connect)
		mg_convert_put_connect(&b, &msg->peer, msg->tcp_opts);
	if (msg->info)
		mg_convert_put_info(&b);
	len = mg_convert_end(&b);
	FUZZ_CHECK(len == (int)msg->total_bytes);
	v = parse(from, b.data, b.len);
	FUZZ_CHECK(v.ret == len && v.error == MG_CE_NONE);
	FUZZ_CHECK(v.msg.info == msg->info && v.msg.connect == msg->connect);
	FUZZ_CHECK(v.msg.cookie_present == msg->cookie_present);
	FUZZ_CHECK(v.msg.ext_tcp_hdr_present == msg->ext_tcp_hdr_present);
	FUZZ_CHECK(v.msg.supported_present == msg->supported_present);
	FUZZ_CHECK(v.msg.error_present == msg->error_present);
	FUZZ_CHECK(v.msg.error_code == msg->error_code);
	FUZZ_CHECK(mg_ep_equal(&v.msg.peer, &msg->peer));
	FUZZ_CHECK(same_span(v.msg.tcp_opts, msg->tcp_opts));
	FUZZ_CHECK(same_span(v.msg.cookie, msg->cookie));
	FUZZ_CHECK(same_span(v.msg.ext_tcp_hdr, msg->ext_tcp_hdr));
	FUZZ_CHECK(same_span(v.msg.supported, msg->supported));
	FUZZ_CHECK(same_span(v.msg.error_value, msg->error_value));
}

static void check_options(struct mg_span list)
{
	struct mg_connect_opts opts;
	int err = mg_convert_parse_opts(&opts, list);

	FUZZ_CHECK(err == 0 || err == -EBADMSG);
	FUZZ_CHECK(opts.n_unsupported <= sizeof(opts.unsupported));
	for (size_t i = 0; i < opts.n_unsupported; i++)
		FUZZ_CHECK(!memchr(opts.unsupported, opts.unsupported[i], i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const enum mg_convert_from both[] = { MG_FROM_CLIENT, MG_FROM_CONVERTER };

	for (int i = 0; i < 2; i++) {
		struct verdict v = parse(both[i], data, len);

		check_verdict(&v, data, len);
		check_prefixes(&v, both[i], data, len);
		if (v.ret > 0 && v.error == MG_CE_NONE) {
			check_round_trip(&v.msg, both[i]);
			check_options(v.msg.tcp_opts);
		}
	}
	check_options((struct mg_span){ data, len });
	return 0;
}
