// SPDX-License-Identifier: BSD-2-Clause
/* Requests to a whole converter: how a message may arrive, and what is asked of it and the client.
 */
#include "session_rig.h"

#define DEAD_NET "192.168.77.1:80" /* no route */

static int client(struct rig *r)
{
	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	return r->client;
}

/* ---- how the message arrives ----------------------------------------------------------------- */

static void in_any_pieces(void **state)
{
	struct rig *r = *state;
	struct mg_convert_buf b;

	rig_put_connect(&b, SERVER);
	assert_int_equal(mg_convert_end(&b), 24);
	for (size_t cut = 1; cut < 24; cut++) {
		rig_say(client(r), b.data, cut);
		rig_sync(r);
		rig_wait_state(r, MG_SESSION_GREET);
		rig_say(r->client, b.data + cut, 24 - cut);
		r->server = rig_accept(r->listener);
		rig_hear_connected(r->client);
		rig_assert_relays(r);
		rig_abort(&r->client);
		rig_hear_reset(r->server);
		rig_close(&r->server);
		rig_ends(r, MG_CLOSE_CLIENT_RESET, NO_ERROR);
	}
}

static void byte_by_byte(void **state)
{
	struct rig *r = *state;
	struct mg_convert_buf b;

	rig_put_connect(&b, SERVER);
	assert_int_equal(mg_convert_end(&b), 24);
	client(r);
	for (size_t i = 0; i < 24; i++) {
		rig_say(r->client, b.data + i, 1);
		rig_sync(r);
	}
	r->server = rig_accept(r->listener);
	rig_hear_connected(r->client);
	rig_assert_relays(r);
	assert_int_equal(rig_stats(r).requests, 1);
	assert_int_equal(rig_stats(r).connected, 1);
}

static void user_data_rides_along(void **state)
{
	struct rig *r = *state;
	struct mg_convert_buf b;
	static const char get[14] = "GET / HTTP/1.0"; /* no end of string on the wire */
	uint8_t all[64];

	rig_put_connect(&b, SERVER);
	assert_int_equal(mg_convert_end(&b), 24);
	memcpy(all, b.data, 24);
	memcpy(all + 24, get, sizeof(get));
	rig_say(client(r), all, 24 + sizeof(get));
	r->server = rig_accept(r->listener);
	rig_hear(r->server, "GET / HTTP/1.0");
	rig_hear_connected(r->client);
	rig_assert_relays(r);
	/* What is counted is the user's, not ours. */
	assert_int_equal(rig_stats(r).bytes_up, 14 + 2);
	assert_int_equal(rig_stats(r).bytes_down, 4);
}

/* The client may even be done before the server has answered. */
static void a_whole_request_with_its_end(void **state)
{
	struct rig *r = *state;

	rig_ask(client(r), SERVER);
	rig_say(r->client, "all of it", 9);
	shutdown(r->client, SHUT_WR);
	r->server = rig_accept(r->listener);
	rig_hear(r->server, "all of it");
	rig_hear_end(r->server);
	rig_say(r->server, "answer", 6);
	rig_close(&r->server);
	rig_hear_connected(r->client);
	rig_hear(r->client, "answer");
	rig_hear_end(r->client);
	rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);
}

static void what_is_not_convert_is_reset(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = { { "GET / HTTP/1.0\r\n\r\n", 18 },
		      { "\x01\x00\x22\x63", 4 },
		      { "\x01\x02\x22\x64", 4 } };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_say(client(r), cases[i].bytes, cases[i].len);
		rig_hear_reset(r->client);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_NOT_CONVERT, NO_ERROR);
	}
	assert_int_equal(rig_stats(r).requests, 0);
}

static void bad_messages_get_their_error(void **state)
{
	static const struct {
		uint8_t code, len;
		const char *bytes;
	} cases[] = {
		{ MG_CE_UNSUPPORTED_VERSION, 8, "\x02\x02\x22\x63\x01\x01\x00\x00" },
		{ MG_CE_UNSUPPORTED_MESSAGE, 8, "\x01\x02\x22\x63\x77\x01\x00\x00" },
		{ MG_CE_MALFORMED, 12, "\x01\x03\x22\x63\x01\x01\x00\x00\x01\x01\x00\x00" },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig_reply reply;

		/* Bytes behind it must not turn the answer into a reset. */
		rig_say(client(r), cases[i].bytes, cases[i].len);
		rig_say(r->client, "and more", 8);
		rig_hear_error(r->client, cases[i].code, &reply);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_REFUSED, cases[i].code);
	}
}

/* ---- where it may go ------------------------------------------------------------------------- */

static void refused_destinations(void **state)
{
	struct mg_prefix deny = prefix_of("10.66.0.0/16");
	struct rig *r = *state;
	const struct {
		const char *to;
		int code;
	} cases[] = {
		{ "127.0.0.1:80", MG_CE_MALFORMED },	  { "[ff02::1]:80", MG_CE_MALFORMED },
		{ "10.66.1.1:80", MG_CE_NOT_AUTHORIZED }, { OWN ":80", MG_CE_NOT_AUTHORIZED },
		{ "[fe80::1]:80", MG_CE_NOT_AUTHORIZED }, { DEAD_NET, MG_CE_DEST_UNREACHABLE },
		{ "10.9.2.1:9", MG_CE_CONNECTION_RESET }, /* nobody listens */
	};

	r->config.destinations.deny = &deny;
	r->config.destinations.n_deny = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_ask(client(r), cases[i].to);
		rig_hear_error(r->client, (uint8_t)cases[i].code, NULL);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_REFUSED, cases[i].code);
	}
	assert_int_equal(rig_stats(r).connected, 0);
}

/* Options the host does not use are named once each, and never more than fit. */
static void unsupported_options_are_listed(void **state)
{
	struct rig *r = *state;
	struct mg_ep server = ep_of(SERVER);
	static const uint8_t known[] = { 4, 2, 8, 2, 0x1e, 2 };
	uint8_t opts[128];
	size_t n = 0;
	struct mg_convert_buf b;
	struct rig_reply reply;

	r->policy.sack = r->policy.timestamps = false;
	r->config.converter.server_mptcp = MG_SERVER_MPTCP_NEVER;
	for (uint8_t kind = 100; kind < 140; kind++) {
		opts[n++] = kind;
		opts[n++] = 2;
	}
	memcpy(opts + n, known, sizeof(known));
	n += sizeof(known);
	mg_convert_begin(&b);
	mg_convert_put_connect(&b, &server, (struct mg_span){ opts, n });
	rig_say_message(client(r), &b);
	rig_hear_error(r->client, MG_CE_UNSUPPORTED_TCP_OPTION, &reply);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(reply.msg.error_value.data[i], 100 + i);
	/* 41 with padding: code, 40 kinds, and a word's rest */
	for (size_t i = 40; i < reply.msg.error_value.len; i++)
		assert_int_equal(reply.msg.error_value.data[i], 0);
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_REFUSED, MG_CE_UNSUPPORTED_TCP_OPTION);

	/* Three of them, when there is room */
	mg_convert_begin(&b);
	mg_convert_put_connect(&b, &server, (struct mg_span){ opts + n - 6, 6 });
	rig_say_message(client(r), &b);
	rig_hear_error(r->client, MG_CE_UNSUPPORTED_TCP_OPTION, &reply);
	assert_memory_equal(reply.msg.error_value.data, "\x04\x08\x1e", 3);
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_REFUSED, MG_CE_UNSUPPORTED_TCP_OPTION);
}

static void across_the_families(void **state)
{
	static const char *const to[] = { CONVERTER, CONVERTER6 };
	struct rig *r = *state;
	int listeners[2] = { r->listener, rig_listen(SERVER6, 8) };

	for (int i = 0; i < 4; i++) {
		r->client = rig_connect(to[i / 2], IPPROTO_TCP);
		rig_ask(r->client, i % 2 ? SERVER6 : SERVER);
		r->server = rig_accept(listeners[i % 2]);
		rig_hear_connected(r->client);
		rig_assert_relays(r);
		rig_close(&r->client);
		rig_hear_end(r->server);
		rig_close(&r->server);
		rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);
	}
	close(listeners[1]);
}

/* The UE's own address; its port too, unless that is taken. Here the client's socket itself lives
 * on this host, so that its port is. */
static void preserved_source(void **state)
{
	struct rig *r = *state;
	struct mg_ep seen, own;

	r->config.converter.source = MG_SOURCE_PRESERVED;
	rig_relay(r);
	assert_int_equal(mg_sock_peer(r->server, &seen), 0);
	assert_int_equal(mg_sock_local(r->client, &own), 0);
	assert_true(mg_ip_equal(&seen.ip, &own.ip));
	rig_assert_relays(r);
}

/* ---- cookies --------------------------------------------------------------------------------- */

static void ask_with_cookie(int fd, const uint8_t *cookie, size_t len)
{
	struct mg_convert_buf b;

	rig_put_connect(&b, SERVER);
	mg_convert_put_cookie(&b, (struct mg_span){ cookie, len });
	rig_say_message(fd, &b);
}

static void cookies_required(void **state)
{
	static const uint8_t keys[3][16] = { { 1 }, { 2 }, { 3 } };
	uint8_t cookie[MG_COOKIE_BYTES];
	struct rig *r = *state;
	struct rig_reply reply;
	struct mg_policy next;

	r->config.converter.cookie = MG_COOKIE_REQUIRED;
	mg_cookie_keys_init(&r->policy.cookies, 1, keys[0]);
	rig_ask(client(r), SERVER);
	rig_hear_error(r->client, MG_CE_MISSING_COOKIE, &reply);
	assert_true(reply.msg.error_value.len >= 1 + sizeof(cookie));
	memcpy(cookie, reply.msg.error_value.data + 1, sizeof(cookie));
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_REFUSED, MG_CE_MISSING_COOKIE);

	/* Valid in its epoch and the next one, not in the one after that. */
	for (int epoch = 1; epoch <= 3; epoch++) {
		if (epoch > 1) {
			next = r->policy;
			mg_cookie_keys_rotate(&next.cookies, keys[epoch - 1]);
			mg_proxy_set_policy(&r->proxy, &next);
			r->policy = next;
			mg_proxy_set_policy(&r->proxy, &r->policy);
		}
		ask_with_cookie(client(r), cookie, sizeof(cookie));
		if (epoch == 3) {
			rig_hear_error(r->client, MG_CE_NOT_AUTHORIZED, NULL);
			rig_close(&r->client);
			rig_ends(r, MG_CLOSE_REFUSED, MG_CE_NOT_AUTHORIZED);
			break;
		}
		r->server = rig_accept(r->listener);
		rig_hear_connected(r->client);
		rig_close(&r->client);
		rig_hear_end(r->server);
		rig_close(&r->server);
		rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);
	}
}

static void bad_cookies_are_refused(void **state)
{
	static const uint8_t key[16] = { 1 };
	struct rig *r = *state;
	struct in6_addr me = ip_of("10.9.1.1"), other = ip_of("10.9.1.2");
	uint8_t cookie[MG_COOKIE_BYTES + 4] = { 0 };

	r->config.converter.cookie = MG_COOKIE_REQUIRED;
	mg_cookie_keys_init(&r->policy.cookies, 1, key);
	for (int bad = 0; bad < 3; bad++) {
		size_t len = bad == 2 ? 4 : MG_COOKIE_BYTES;

		mg_cookie_make(cookie, &r->policy.cookies, bad == 0 ? &other : &me);
		cookie[5] ^= bad == 1;
		ask_with_cookie(client(r), cookie, len);
		rig_hear_error(r->client, MG_CE_NOT_AUTHORIZED, NULL);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_REFUSED, MG_CE_NOT_AUTHORIZED);
	}
}

/* ---- Info ------------------------------------------------------------------------------------ */

static void hear_info(struct rig *r, const char *kinds)
{
	struct rig_reply reply;

	rig_say_info(client(r));
	rig_hear_message(r->client, &reply);
	assert_true(reply.msg.supported_present);
	assert_memory_equal(reply.msg.supported.data, kinds, strlen(kinds));
	for (size_t i = strlen(kinds); i < reply.msg.supported.len; i++)
		assert_int_equal(reply.msg.supported.data[i], 0);
	rig_hear_end(r->client);
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_INFORMED, NO_ERROR);
}

static void info_tells_what_is_supported(void **state)
{
	struct rig *r = *state;
	struct rig_reply reply;

	hear_info(r, "\x1e\x04\x08");
	r->policy.sack = false;
	hear_info(r, "\x1e\x08");
	r->policy.timestamps = false;
	hear_info(r, "\x1e");
	/* Gateways ask this way whether new sessions may come. */
	r->policy.draining = true;
	rig_say_info(client(r));
	rig_hear_error(r->client, MG_CE_RESOURCE_EXCEEDED, &reply);
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_REFUSED, MG_CE_RESOURCE_EXCEEDED);
}

/* Asked for along with a connection, it comes along with the answer. */
static void info_beside_connect(void **state)
{
	struct rig *r = *state;
	struct rig_reply reply;
	struct mg_convert_buf b;

	rig_put_connect(&b, SERVER);
	mg_convert_put_info(&b);
	rig_say_message(client(r), &b);
	r->server = rig_accept(r->listener);
	rig_hear_message(r->client, &reply);
	assert_true(reply.msg.ext_tcp_hdr_present);
	assert_true(reply.msg.supported_present);
	assert_memory_equal(reply.msg.supported.data, "\x1e\x04\x08", 3);
	rig_assert_relays(r);
}

/* "Unsupported Version" is the one error a client may send. It asks for nothing. */
static void an_error_of_the_client_ends_it(void **state)
{
	struct rig *r = *state;

	for (int required = 0; required < 2; required++) {
		r->config.converter.cookie = required ? MG_COOKIE_REQUIRED : MG_COOKIE_OFF;
		rig_say(client(r), "\x01\x02\x22\x63\x1e\x01\x00\x01", 8);
		rig_hear_reset(r->client);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_CLIENT_GONE, NO_ERROR);
	}
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Up to the limit served; up to twice the limit told to come back; above it not even that. */
static void pending_requests_are_limited(void **state)
{
	struct rig *r = *state;
	int waiting[2], told[2];
	struct rig_reply reply;
	struct in6_addr me = ip_of("10.9.1.1");

	r->config.converter.pending_per_client = 2;
	for (int i = 0; i < 2; i++)
		waiting[i] = rig_connect(CONVERTER, IPPROTO_TCP);
	for (int i = 0; i < 2; i++) {
		told[i] = rig_connect(CONVERTER, IPPROTO_TCP);
		rig_hear_error(told[i], MG_CE_RESOURCE_EXCEEDED, &reply);
		assert_int_equal(reply.msg.error_value.data[0], 30);
	}
	assert_int_equal(mg_pending_count(&r->proxy.pending, &me), 4);
	rig_hear_reset(client(r));
	rig_close(&r->client);
	/* Another client is none of that one's business. */
	r->client = rig_connect(CONVERTER6, IPPROTO_TCP);
	rig_ask(r->client, SERVER);
	r->server = rig_accept(r->listener);
	rig_hear_connected(r->client);
	/* An answered request is not pending, and the refused ones are over. */
	for (int i = 0; i < 2; i++)
		close(told[i]);
	assert_true(wait_until(mg_pending_count(&r->proxy.pending, &me) == 2));
	rig_ask(waiting[0], SERVER);
	rig_hear_connected(waiting[0]);
	rig_sync(r);
	assert_int_equal(mg_pending_count(&r->proxy.pending, &me), 1);
	for (int i = 0; i < 2; i++)
		close(waiting[i]);
	rig_close(&r->client);
	rig_close(&r->server);
	close(rig_accept(r->listener));
	assert_true(wait_until(rig_stats(r).active == 0));
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_OVERLOAD], 1);
	assert_int_equal(rig_stats(r).closed_by[MG_CLOSE_REFUSED], 2);
	assert_int_equal(rig_stats(r).errors[MG_ERROR_INDEX_RESOURCE_EXCEEDED], 2);
	rig_assert_empty(r);
}

static void sessions_are_limited(void **state)
{
	struct rig *r = *state;
	struct rig_reply reply;
	int second;

	r->config.converter.max_sessions = 1;
	r->config.converter.retry_after_s = 7;
	rig_relay(r);
	second = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(second, SERVER);
	rig_hear_error(second, MG_CE_RESOURCE_EXCEEDED, &reply);
	assert_int_equal(reply.msg.error_value.data[0], 7);
	close(second);
	rig_assert_relays(r);
	assert_true(wait_until(rig_stats(r).active == 1));
	rig_close(&r->client);
	rig_close(&r->server);
	assert_true(wait_until(rig_stats(r).active == 0));
	rig_relay(r); /* there is room again */
}

static void draining_turns_new_ones_away(void **state)
{
	struct rig *r = *state;
	struct mg_policy next = r->policy;
	int second;

	rig_relay(r);
	next.draining = true;
	mg_proxy_set_policy(&r->proxy, &next);
	second = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(second, SERVER);
	rig_hear_error(second, MG_CE_RESOURCE_EXCEEDED, NULL);
	close(second);
	rig_assert_relays(r);
	rig_close(&r->client);
	rig_hear_end(r->server);
	rig_close(&r->server);
	assert_true(wait_until(rig_stats(r).active == 0));
	mg_proxy_set_policy(&r->proxy, &r->policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(in_any_pieces),
		RIG_TEST(byte_by_byte),
		RIG_TEST(user_data_rides_along),
		RIG_TEST(a_whole_request_with_its_end),
		RIG_TEST(what_is_not_convert_is_reset),
		RIG_TEST(bad_messages_get_their_error),
		RIG_TEST(refused_destinations),
		RIG_TEST(unsupported_options_are_listed),
		RIG_TEST(across_the_families),
		RIG_TEST(preserved_source),
		RIG_TEST(cookies_required),
		RIG_TEST(bad_cookies_are_refused),
		RIG_TEST(info_tells_what_is_supported),
		RIG_TEST(info_beside_connect),
		RIG_TEST(an_error_of_the_client_ends_it),
		RIG_TEST(pending_requests_are_limited),
		RIG_TEST(sessions_are_limited),
		RIG_TEST(draining_turns_new_ones_away),
	};

	return rig_main("requests", tests);
}
