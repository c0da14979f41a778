// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who is let in, as the daemon asks and obeys: what is charged and when, what clients hear of a
 * refusal, and which policy holds for a session. Every rig counts that what was charged is given
 * back, whatever ends the session (fake_admission.h).
 */
#include "held_rig.h"

#include "wire/cookie.h"

#define POLICY 3
#define ACCESS 2

static const struct mg_config_policy *by_number[POLICY + 1];
static size_t access_by_number[ACCESS + 1];

/* The policy of number POLICY is the one of the rig's file, and so for access networks. */
static void set_tables(struct rig *r, struct mg_config_policy *policy,
		       struct mg_config_access *access)
{
	by_number[POLICY] = policy;
	access_by_number[ACCESS] = 0;
	r->policy.policies = by_number;
	r->policy.n_policies = POLICY + 1;
	r->policy.access = access_by_number;
	r->policy.n_access = ACCESS + 1;
	r->config.policies.policies = policy;
	r->config.policies.n_policies = 1;
	r->config.policies.access = access;
	r->config.policies.n_access = access ? 1 : 0;
	fake.policy = POLICY;
	fake.access = access ? ACCESS : 0;
	mg_proxy_set_policy(&r->proxy, &r->policy);
}

static struct mg_ep asked_for(void)
{
	struct mg_ep ep = { .port = fake.last.server.port };

	memcpy(&ep.ip, fake.last.server.ip, sizeof(ep.ip));
	return ep;
}

static void from_client(const struct mg_ep *client)
{
	assert_memory_equal(fake.last.client.ip, &client->ip, 16);
	assert_int_equal(fake.last.client.port, client->port);
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

/* ---- what others hear ------------------------------------------------------------------------ */

static void refused(struct rig *r, enum mg_close_reason reason, int passes, int resets)
{
	int passed = held_count(HELD_PASS), reset = held_count(HELD_RESET);
	struct held_client c;

	held_client(&c, SERVER, IPPROTO_MPTCP);
	held_syn(r, &c);
	held_ends(r, reason);
	rig_close(&c.fd);
	assert_int_equal(held_count(HELD_PASS), passed + passes);
	assert_int_equal(held_count(HELD_RESET), reset + resets);
	assert_int_equal(kernel.held, 0);
	assert_int_equal(fake.opened, 0);
}

static void the_policy_says_how_to_refuse(void **state)
{
	struct mg_config_policy policy = { .name = "p", .refuse = MG_REFUSE_PASS };
	struct rig *r = *state;

	set_tables(r, &policy, NULL);
	fake.refusal = MG_REFUSAL_OVER_SESSIONS;
	refused(r, MG_CLOSE_NOT_ADMITTED, 1, 0);
	assert_int_equal(held_last(HELD_PASS, NULL).value, MG_PASSED_REFUSED);
	policy.refuse = MG_REFUSE_RESET;
	refused(r, MG_CLOSE_NOT_ADMITTED, 0, 1);
	policy.refuse = MG_REFUSE_DROP;
	refused(r, MG_CLOSE_NOT_ADMITTED, 0, 0);
	fake.refusal = MG_REFUSAL_DENIED;
	refused(r, MG_CLOSE_NOT_ADMITTED, 0, 0);
	/* That it is too much for the proxy is no concern of the policy's. */
	fake.refusal = MG_REFUSAL_OVER_PROXY;
	refused(r, MG_CLOSE_OVERLOAD, 1, 0);
	fake.refusal = -ENOSPC;
	refused(r, MG_CLOSE_OVERLOAD, 1, 0);
	r->config.intercept.on_overload = MG_OVERLOAD_DROP;
	refused(r, MG_CLOSE_OVERLOAD, 0, 0);
	fake.refusal = 0;
	set_tables(r, NULL, NULL);
}

static void third_parties_are_not_taken_over(void **state)
{
	struct mg_config_policy policy = { .name = "p", .refuse = MG_REFUSE_RESET };
	struct mg_config_access access = { .name = "wlan", .trust = MG_TRUST_THIRD_PARTY };
	struct rig *r = *state;

	set_tables(r, &policy, &access);
	fake.trust = MG_TRUST_THIRD_PARTY;
	refused(r, MG_CLOSE_NOT_ADMITTED, 1, 0);
	access.drop_transit = true;
	refused(r, MG_CLOSE_NOT_ADMITTED, 0, 0);
	set_tables(r, NULL, NULL);
}

/* ---- what a policy sets ---------------------------------------------------------------------- */

static void servers_see(struct rig *r, uint32_t ip)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	struct held_client c;

	held_client(&c, SERVER, IPPROTO_MPTCP);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	assert_int_equal(getpeername(r->server, (struct sockaddr *)&peer, &len), 0);
	assert_int_equal(ntohl(peer.sin_addr.s_addr), ip);
	held_say(r, &c, MG_HELD_RESET);
	rig_close(&r->server);
	rig_close(&c.fd);
	held_ends(r, MG_CLOSE_GAVE_UP);
}

static void the_source_is_the_policys(void **state)
{
	struct mg_config_policy policy = { .name = "p" };
	struct rig *r = *state;

	set_tables(r, &policy, NULL);
	servers_see(r, 0x0a090101); /* intercept.source: preserved */
	policy.has_source = true;
	policy.source = MG_SOURCE_SHARED;
	servers_see(r, 0x0a090001);
	/* What holds is what the policy says now, not what it said. */
	policy.source = MG_SOURCE_PRESERVED;
	servers_see(r, 0x0a090101);
	set_tables(r, NULL, NULL);
}

static void a_policy_that_is_gone_is_the_default(void **state)
{
	struct mg_config_policy policy = { .name = "gold" };
	struct mg_session_row *rows;
	struct rig *r = *state;
	struct mg_policy without = r->policy;

	strcpy(r->config.policies.fallback.name, "default");
	set_tables(r, &policy, NULL);
	rig_relay(r);
	assert_int_equal(mg_proxy_sessions(&r->proxy, &rows), 1);
	assert_string_equal(rows[0].policy, "gold");
	assert_int_equal(rows[0].ticket.policy, POLICY);
	free(rows);
	mg_proxy_set_policy(&r->proxy, &without);
	assert_int_equal(mg_proxy_sessions(&r->proxy, &rows), 1);
	assert_string_equal(rows[0].policy, "default");
	free(rows);
	rig_assert_relays(r);
	set_tables(r, NULL, NULL);
}

/* ---- subflows -------------------------------------------------------------------------------- */

static void let_in(struct rig *r, struct held_client *c)
{
	held_client(c, SERVER, IPPROTO_MPTCP);
	held_syn(r, c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, 1);
	held_arrive(c);
	held_relays(r, c);
}

static void who_joined_before_the_token_was_told(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	fake.more[0] = (struct mg_mptcp_subflow){ ep_of(SERVER), ep_of("10.9.1.2:77") };
	fake.more[1] = (struct mg_mptcp_subflow){ .local = ep_of(SERVER) }; /* over */
	fake.n_more = 2;
	let_in(r, &c);
	assert_int_equal(fake.joined, 1);
	assert_int_equal(fake.ended, 0);
	held_finish(r, &c);
}

static void who_joined_and_may_not(void **state)
{
	struct mg_ep who = ep_of("10.9.1.2:77");
	struct rig *r = *state;
	struct held_client c;

	fake.more[0] = (struct mg_mptcp_subflow){ ep_of(SERVER), who };
	fake.n_more = 1;
	fake.join_refusal = MG_REFUSAL_OVER_SESSION_SUBFLOWS;
	let_in(r, &c);
	assert_int_equal(fake.joined, 1);
	assert_int_equal(fake.ended, 1);
	assert_true(mg_ep_equal(&fake.ended_remote, &who));
	held_finish(r, &c);
	/* Nobody knows the session: it may go on. */
	fake.join_refusal = -ENOENT;
	assert_true(mg_admit_subflow(fake_admission(), 1, &who, &who));
	assert_int_equal(fake.ended, 1);
	fake.join_refusal = -ENOSPC;
	assert_false(mg_admit_subflow(fake_admission(), 1, &who, &who));
	assert_int_equal(fake.ended, 2);
}

static void a_token_that_cannot_be_told(void **state)
{
	struct rig *r = *state;
	struct held_client c;

	fake.token_err = -ENOSPC;
	let_in(r, &c);
	assert_int_equal(fake.tokens_told, 1);
	assert_int_equal(fake.tokens, 0);
	held_finish(r, &c);
}

/* ---- without admission in the kernel --------------------------------------------------------- */

static void alone_the_proxy_has_its_limit(void **state)
{
	struct rig *r = *state;
	struct rig_reply reply;
	int second;

	rig_stop(r);
	r->counts_alone = true;
	rig_start(r, 1);
	r->config.converter.max_sessions = 1;
	r->config.converter.retry_after_s = 7;
	rig_relay(r);
	second = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(second, SERVER);
	rig_hear_error(second, MG_CE_RESOURCE_EXCEEDED, &reply);
	assert_int_equal(reply.msg.error_value.data[0], 7);
	close(second);
	assert_true(wait_until(rig_stats(r).active == 1));
	rig_assert_relays(r);
	assert_int_equal(fake.opened, 0);
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
		HELD_TEST(the_policy_says_how_to_refuse),
		HELD_TEST(third_parties_are_not_taken_over),
		HELD_TEST(the_source_is_the_policys),
		HELD_TEST(a_policy_that_is_gone_is_the_default),
		HELD_TEST(who_joined_before_the_token_was_told),
		HELD_TEST(who_joined_and_may_not),
		HELD_TEST(a_token_that_cannot_be_told),
		HELD_TEST(alone_the_proxy_has_its_limit),
	};

	return rig_main("admit", tests);
}
