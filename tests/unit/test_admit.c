// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who is let in, as the daemon asks and obeys: what is charged and when, what clients hear of a
 * refusal, and which policy holds for a session. Every rig counts that what was charged is given
 * back, whatever ends the session (fake_admission.h).
 */
#include "admit_rig.h"

#include "wire/cookie.h"

static struct mg_ep asked_for(void)
{
	struct mg_ep ep = { .port = htons(fake.last.server.port) };

	memcpy(&ep.ip, fake.last.server.ip, sizeof(ep.ip));
	return ep;
}

static void from_client(const struct mg_ep *client)
{
	assert_memory_equal(fake.last.client.ip, &client->ip, 16);
	assert_int_equal(fake.last.client.port, ntohs(client->port));
}

/* ---- what is asked --------------------------------------------------------------------------- */

static void a_convert_session_is_charged_once(void **state)
{
	struct rig *r = *state;
	struct mg_ep client, server = ep_of(SERVER), asked;

	rig_relay(r);
	__real_mg_sock_local(r->client, &client);
	rig_assert_relays(r);
	assert_int_equal(fake.opened, 1);
	assert_int_equal(fake.sessions, 1);
	assert_int_equal(fake.last.flags, 0);
	assert_int_equal(fake.last.ifindex, 0);
	asked = asked_for();
	assert_true(mg_ep_equal(&asked, &server));
	from_client(&client);
	assert_int_equal(fake.tokens_told, 0); /* plain TCP */
	rig_close(&r->client);
	rig_close(&r->server);
	rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);
	assert_int_equal(fake.opened, 1);
}

static void what_asks_for_no_session_is_not_charged(void **state)
{
	struct rig *r = *state;
	struct rig_reply reply;

	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_say_info(r->client);
	rig_hear_message(r->client, &reply);
	rig_hear_end(r->client);
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_INFORMED, NO_ERROR);
	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(r->client, OWN ":80"); /* denied */
	rig_hear_error(r->client, MG_CE_NOT_AUTHORIZED, NULL);
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_REFUSED, MG_CE_NOT_AUTHORIZED);
	assert_int_equal(fake.opened, 0);
	assert_int_equal(fake.dry, 0);
}

static void a_held_session_names_its_interface(void **state)
{
	struct rig *r = *state;
	struct mg_ep server = ep_of(SERVER), asked;
	struct held_client c;

	held_client(&c, SERVER, IPPROTO_MPTCP);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	assert_int_equal(fake.sessions, 1);
	assert_int_equal(fake.tokens_told, 0);
	asked = asked_for();
	assert_true(mg_ep_equal(&asked, &server));
	from_client(&c.syn.client);
	held_arrive(&c);
	held_relays(r, &c);
	assert_int_equal(fake.tokens, 1);
	assert_true(mg_ep_equal(&fake.token_client, &c.syn.client));
	assert_true(mg_ep_equal(&fake.token_local, &server));
	held_finish(r, &c);
}

static void a_lan_is_charged_too(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_client(&c, SERVER, IPPROTO_TCP);
	c.syn.kind = MG_HOLD_CPE;
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	held_arrive(&c);
	held_relays(r, &c);
	assert_int_equal(fake.sessions, 1);
	assert_int_equal(fake.tokens_told, 0);
	held_finish(r, &c);
}

/* Of one client, who asks in the SYN and whose handshake ends later. */
static void a_token_of_early_data(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(5124),
				  .sin_addr.s_addr = htonl(0x0a090001) };
	struct rig *r = *state;
	struct mg_convert_buf b;
	struct held_client c;
	int len;

	rig_put_connect(&b, SERVER);
	len = mg_convert_end(&b);
	held_client(&c, CONVERTER, IPPROTO_MPTCP);
	assert_int_equal(
		sendto(c.fd, b.data, (size_t)len, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(to)),
		len);
	r->server = rig_accept(r->listener);
	rig_hear_connected(c.fd);
	held_relays(r, &c);
	assert_int_equal(fake.tokens, 1);
	assert_int_equal(fake.tokens_told, 1);
	held_finish(r, &c);
}

static void who_passes_is_not_charged(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	held_client(&c, SERVER, IPPROTO_MPTCP);
	c.syn.mode = MG_MODE_TRANSPARENT;
	held_syn(r, &c);
	held_ends(r, MG_CLOSE_PASSED);
	rig_close(&c.fd);
	held_client(&c, SERVER, IPPROTO_MPTCP);
	c.syn.mode = MG_MODE_HYBRID;
	c.syn.known = MG_KNOWN_MPTCP;
	held_syn(r, &c);
	held_ends(r, MG_CLOSE_STEPPED_ASIDE);
	rig_close(&c.fd);
	assert_int_equal(fake.opened, 0);
}

/* It cannot be known before, so it is charged until then. */
static void who_steps_aside_is_charged_no_more(void **state)
{
	struct sockaddr_storage ss;
	struct rig *r = *state;
	struct held_client c;
	struct mg_ep ep;
	socklen_t len;
	int listener = rig_socket(MPTCP_SERVER, IPPROTO_MPTCP, &ep, &ss, &len);

	assert_int_equal(bind(listener, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(listener, 8), 0);
	held_client(&c, MPTCP_SERVER, IPPROTO_MPTCP);
	c.syn.mode = MG_MODE_HYBRID;
	held_syn(r, &c);
	held_ends(r, MG_CLOSE_STEPPED_ASIDE);
	assert_int_equal(fake.opened, 1);
	assert_int_equal(fake.sessions, 0);
	rig_close(&c.fd);
	rig_close(&listener);
}

/* ---- cookies --------------------------------------------------------------------------------- */

static void set_cookies(struct rig *r)
{
	static const uint8_t key[16] = { 1, 2, 3 };

	mg_cookie_keys_init(&r->policy.cookies, 7, key);
	mg_proxy_set_policy(&r->proxy, &r->policy);
}

static void ask_with_cookie(struct rig *r, bool valid)
{
	struct mg_ep client, server = ep_of(SERVER);
	uint8_t cookie[MG_COOKIE_BYTES];
	struct mg_convert_buf b;

	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	__real_mg_sock_local(r->client, &client);
	mg_cookie_make(cookie, &r->policy.cookies, &client.ip);
	cookie[11] ^= !valid;
	mg_convert_begin(&b);
	mg_convert_put_cookie(&b, (struct mg_span){ cookie, sizeof(cookie) });
	mg_convert_put_connect(&b, &server, (struct mg_span){ 0 });
	rig_say_message(r->client, &b);
}

static void end_relay(struct rig *r)
{
	r->server = rig_accept(r->listener);
	rig_hear_connected(r->client);
	rig_close(&r->client);
	rig_close(&r->server);
	rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);
}

static void a_valid_cookie_is_told_though_nobody_asked(void **state)
{
	struct rig *r = *state;

	set_cookies(r);
	ask_with_cookie(r, true);
	end_relay(r);
	assert_int_equal(fake.last.flags, MG_ADMIT_COOKIE);
	ask_with_cookie(r, false);
	end_relay(r);
	assert_int_equal(fake.last.flags, 0);
}

static void third_parties_need_a_cookie(void **state)
{
	struct mg_config_access access = { .name = "wlan", .trust = MG_TRUST_THIRD_PARTY };
	struct rig *r = *state;

	set_cookies(r);
	set_tables(r, &(struct mg_config_policy){ .name = "p" }, &access);
	fake.trust = MG_TRUST_THIRD_PARTY;
	/* Others may ask us for a cookie; who asks from here might be anybody. */
	r->config.converter.cookie = MG_COOKIE_REQUIRED;
	for (int info = 0; info < 3; info++) {
		if (info < 2)
			r->client = rig_connect(CONVERTER, IPPROTO_TCP);
		if (info == 0)
			rig_say_info(r->client);
		else if (info == 1)
			rig_ask(r->client, SERVER);
		else
			ask_with_cookie(r, false);
		rig_hear_error(r->client, MG_CE_NOT_AUTHORIZED, NULL);
		rig_close(&r->client);
		rig_ends(r, MG_CLOSE_REFUSED, MG_CE_NOT_AUTHORIZED);
	}
	assert_int_equal(fake.opened, 0);
	ask_with_cookie(r, true);
	end_relay(r);
	assert_int_equal(fake.opened, 1);
	set_tables(r, NULL, NULL);
}

/* ---- what Convert's clients hear ------------------------------------------------------------- */

static void refused_in_band(struct rig *r, int refusal, uint8_t code, int delay_s)
{
	struct rig_reply reply;

	fake.refusal = refusal;
	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(r->client, SERVER);
	rig_hear_error(r->client, code, &reply);
	if (delay_s >= 0)
		assert_int_equal(reply.msg.error_value.data[0], delay_s);
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_REFUSED, code);
	assert_int_equal(fake.opened, 0);
}

static void refusals_are_told(void **state)
{
	struct rig *r = *state;

	r->config.converter.retry_after_s = 9;
	refused_in_band(r, MG_REFUSAL_DENIED, MG_CE_NOT_AUTHORIZED, -1);
	refused_in_band(r, MG_REFUSAL_NO_COOKIE, MG_CE_NOT_AUTHORIZED, -1);
	refused_in_band(r, MG_REFUSAL_BAD_COOKIE, MG_CE_NOT_AUTHORIZED, -1);
	refused_in_band(r, MG_REFUSAL_OVER_SESSIONS, MG_CE_RESOURCE_EXCEEDED, 9);
	refused_in_band(r, MG_REFUSAL_OVER_SERVICE, MG_CE_RESOURCE_EXCEEDED, 9);
	refused_in_band(r, MG_REFUSAL_OVER_PROXY, MG_CE_RESOURCE_EXCEEDED, 9);
	refused_in_band(r, -ENOSPC, MG_CE_RESOURCE_EXCEEDED, 9);
}

static void the_delay_of_a_rate_is_when_there_is_room(void **state)
{
	static const struct {
		uint64_t wait_ns;
		int delay_s;
	} cases[] = { { 0, 1 },
		      { 1, 1 },
		      { 1000000000ULL, 1 },
		      { 1000000001ULL, 2 },
		      { 254999999999ULL, 255 },
		      { UINT64_MAX, 255 } };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.wait_ns = cases[i].wait_ns;
		refused_in_band(r, MG_REFUSAL_OVER_RATE, MG_CE_RESOURCE_EXCEEDED, cases[i].delay_s);
	}
}

static void a_held_message_is_refused_in_band(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	fake.refusal = MG_REFUSAL_OVER_SESSIONS;
	held_asks(&c, SERVER, "");
	held_syn(r, &c);
	held_let_in(r, 1);
	held_hears_error(r, &c, MG_CE_RESOURCE_EXCEEDED);
	fake.refusal = 0;
	held_works(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HELD_TEST(a_convert_session_is_charged_once),
		HELD_TEST(what_asks_for_no_session_is_not_charged),
		HELD_TEST(a_held_session_names_its_interface),
		HELD_TEST(a_lan_is_charged_too),
		HELD_TEST(a_token_of_early_data),
		HELD_TEST(who_passes_is_not_charged),
		HELD_TEST(who_steps_aside_is_charged_no_more),
		HELD_TEST(a_valid_cookie_is_told_though_nobody_asked),
		HELD_TEST(third_parties_need_a_cookie),
		HELD_TEST(refusals_are_told),
		HELD_TEST(the_delay_of_a_rate_is_when_there_is_room),
		HELD_TEST(a_held_message_is_refused_in_band),
	};

	return rig_main("admit", tests);
}
