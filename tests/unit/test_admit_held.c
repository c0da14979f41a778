// SPDX-License-Identifier: BSD-2-Clause
/* Who is let in of those that are held: refusals, what a policy sets, subflows. */
#include "admit_rig.h"

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
	struct sockaddr_in peer = { 0 };
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

/* A ticket is of what is coming before the worker's record is. */
static void a_ticket_says_whose_numbers_it_has(void **state)
{
	struct mg_config_policy policy = { .name = "p", .has_source = true };
	struct mg_config_policy next = policy;
	const struct mg_config_policy *numbered[POLICY + 2] = { 0 };
	struct rig *r = *state;
	struct mg_config config = r->config;
	struct mg_policy coming = {
		.config = &config, .policies = numbered, .n_policies = POLICY + 2, .generation = 8
	};
	struct mg_policy bridge;

	set_tables(r, &policy, NULL);
	policy.source = MG_SOURCE_PRESERVED;
	next.source = MG_SOURCE_SHARED;
	numbered[POLICY + 1] = &next;
	config.policies.fallback.has_source = true;
	config.policies.fallback.source = MG_SOURCE_SHARED;
	bridge = r->policy;
	bridge.coming = &coming;
	mg_proxy_set_policy(&r->proxy, &bridge);
	fake.generation = 7;
	servers_see(r, 0x0a090101); /* its own policy */
	fake.generation = 8;
	servers_see(r, 0x0a090001); /* number POLICY is nobody's there: that default */
	fake.policy = POLICY + 1;
	servers_see(r, 0x0a090001); /* unknown to the one in force, whose default is preserved */
	next.source = MG_SOURCE_PRESERVED;
	servers_see(r, 0x0a090101); /* and that is no default */
	fake.generation = 0;
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
		HELD_TEST(the_policy_says_how_to_refuse),
		HELD_TEST(third_parties_are_not_taken_over),
		HELD_TEST(the_source_is_the_policys),
		HELD_TEST(a_ticket_says_whose_numbers_it_has),
		HELD_TEST(a_policy_that_is_gone_is_the_default),
		HELD_TEST(who_joined_before_the_token_was_told),
		HELD_TEST(who_joined_and_may_not),
		HELD_TEST(a_token_that_cannot_be_told),
		HELD_TEST(alone_the_proxy_has_its_limit),
	};

	return rig_main("admit_held", tests);
}
