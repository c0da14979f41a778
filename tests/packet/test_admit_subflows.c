// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which subflows are let in, what they are charged to, and which cookies are ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <errno.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "admit_world.h"
#include "base/addr.h"
#include "wire/cookie.h"

#define TOKEN 0xcafe0001U

/* ---- subflows -------------------------------------------------------------------------------- */

static void test_joins(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a;

	(void)state;
	admit_terms(t, 1)->subflows_per_session = 3;
	admit_put(&admit_world_run, t);
	admit_open_n(&a, 1, UE);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, UE, 1001), -ENOENT);
	assert_int_equal(admit_joined(&admit_world_run, TOKEN, UE, 1001), -ENOENT);
	assert_int_equal(admit_token(&admit_world_run, &a, TOKEN), 0);
	assert_int_equal(admit_account_of(UE).subflows, 1);
	assert_int_equal(admit_token(&admit_world_run, &a, TOKEN + 1), -ENOENT);
	/* however often the SYN comes, and that it was let in is told */
	for (int i = 0; i < 3; i++)
		assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, OTHER, 1001), MG_ADMITTED);
	assert_int_equal(admit_account_of(UE).subflows, 2);
	assert_int_equal(admit_counted(&admit_world_run, MG_ADMITTED), 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(admit_joined(&admit_world_run, TOKEN, OTHER, 1001), MG_ADMITTED);
	/* one that no program saw come */
	assert_int_equal(admit_joined(&admit_world_run, TOKEN, UE, 1002), MG_ADMITTED);
	assert_int_equal(admit_account_of(UE).subflows, 3);
	assert_int_equal(admit_account_of(OTHER).subflows, 0);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, UE, 1003),
			 MG_REFUSAL_OVER_SESSION_SUBFLOWS);
	assert_int_equal(admit_joined(&admit_world_run, TOKEN, UE, 1003),
			 MG_REFUSAL_OVER_SESSION_SUBFLOWS);
	assert_int_equal(admit_counted(&admit_world_run, MG_REFUSAL_OVER_SESSION_SUBFLOWS), 2);
	assert_int_equal(admit_account_of(UE).subflows, 3);
	assert_int_equal(admit_part(&admit_world_run, OTHER, 1001), 0);
	assert_int_equal(admit_part(&admit_world_run, OTHER, 1001), -ENOENT);
	assert_int_equal(admit_account_of(UE).subflows, 2);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, UE, 1003), MG_ADMITTED);
	/* its end ends them all */
	admit_close_n(&a, 1);
	assert_int_equal(admit_entries(admit_world_run.skel->maps.mg_accounts), 0);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, UE, 1004), -ENOENT);
	assert_int_equal(admit_part(&admit_world_run, UE, 1002), 0);
	assert_int_equal(admit_part(&admit_world_run, UE, 1003), 0);
	assert_int_equal(admit_part(&admit_world_run, UE, 40000), 0);
	admit_assert_nothing(&admit_world_run);
}

static void test_joins_of_a_subscriber(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_question q = { .tuple = { .client = admit_ep(UE, 1),
					    .server = admit_ep(SERVER, 443) },
				 .token = TOKEN };
	struct mg_admit a[2];

	(void)state;
	admit_terms(t, 1)->subflows = 3;
	admit_put(&admit_world_run, t);
	admit_open_n(a, 2, UE);
	a[1].client.port++;
	assert_int_equal(admit_token(&admit_world_run, &a[0], TOKEN), 0);
	assert_int_equal(admit_token(&admit_world_run, &a[1], TOKEN + 1), 0);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, UE, 1001), MG_ADMITTED);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN + 1, UE, 1002),
			 MG_REFUSAL_OVER_SUBFLOWS);
	assert_int_equal(admit_refused_of(UE, MG_REFUSAL_OVER_SUBFLOWS), 1);
	assert_int_equal(admit_ask(admit_world_run.doors->progs.mg_ask_join, &q),
			 MG_REFUSAL_OVER_SUBFLOWS);
	assert_int_equal(q.refuse_join, MG_REFUSE_RESET);
	/* limits that are reloaded hold for sessions that are there */
	admit_terms(t, 1)->subflows = 4;
	admit_put(&admit_world_run, t);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN + 1, UE, 1002), MG_ADMITTED);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN + 1, UE, 1003),
			 MG_REFUSAL_OVER_SUBFLOWS);
	admit_terms(t, 1)->deny = 1;
	admit_terms(t, 1)->subflows = 9;
	admit_put(&admit_world_run, t);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN + 1, UE, 1003), MG_REFUSAL_DENIED);
	admit_close_n(a, 2);
	assert_int_equal(admit_entries(admit_world_run.skel->maps.mg_accounts), 0);
	assert_int_equal(admit_sweep(&admit_world_run), 4);
	admit_assert_nothing(&admit_world_run);
}

/* The port of an old session's subflow, whose end nobody told */
static void test_join_replaces(void **state)
{
	struct mg_admit a[2];

	(void)state;
	admit_put(&admit_world_run, admit_world());
	admit_open_n(a, 2, UE);
	assert_int_equal(admit_token(&admit_world_run, &a[0], TOKEN), 0);
	/* Both have the same first subflow: the first one's is gone. */
	assert_int_equal(admit_token(&admit_world_run, &a[1], TOKEN + 1), 0);
	assert_int_equal(admit_account_of(UE).subflows, 1);
	/* of a session that lives: that one has a subflow less */
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, UE, 1001), MG_ADMITTED);
	assert_int_equal(admit_joined(&admit_world_run, TOKEN, UE, 1002), MG_ADMITTED);
	assert_int_equal(admit_account_of(UE).subflows, 3);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN + 1, UE, 1001), MG_ADMITTED);
	assert_int_equal(admit_account_of(UE).subflows, 3);
	/* of one that is closed */
	admit_close_n(a, 1);
	assert_int_equal(admit_account_of(UE).subflows, 2);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN + 1, UE, 1002), MG_ADMITTED);
	assert_int_equal(admit_account_of(UE).subflows, 3);
	assert_int_equal(admit_part(&admit_world_run, UE, 1002), 0);
	assert_int_equal(admit_account_of(UE).subflows, 2);
	admit_close_n(a + 1, 1);
	assert_int_equal(admit_sweep(&admit_world_run), 2);
	admit_assert_nothing(&admit_world_run);
}

/* A token that comes again while the old session's entry is there */
static void test_token_again(void **state)
{
	struct mg_admit a[2];

	(void)state;
	admit_put(&admit_world_run, admit_world());
	admit_open_n(a, 1, UE);
	admit_open_n(a + 1, 1, OTHER);
	assert_int_equal(admit_token(&admit_world_run, &a[0], TOKEN), 0);
	assert_int_equal(admit_joined(&admit_world_run, TOKEN, UE, 1001), MG_ADMITTED);
	assert_int_equal(admit_account_of(UE).subflows, 2);
	assert_int_equal(admit_token(&admit_world_run, &a[1], TOKEN), 0);
	assert_int_equal(admit_account_of(UE).subflows, 0);
	assert_int_equal(admit_account_of(UE).sessions, 1);
	assert_int_equal(admit_account_of(OTHER).subflows, 1);
	assert_int_equal(admit_part(&admit_world_run, UE, 1001), 0);
	assert_int_equal(admit_account_of(OTHER).subflows, 1);
	admit_close_n(a, 1);
	assert_int_equal(admit_account_of(OTHER).subflows, 1);
	admit_close_n(a + 1, 1);
	admit_sweep(&admit_world_run);
	admit_assert_nothing(&admit_world_run);
}

static void make_old(const char *client, uint16_t port, uint64_t by_ns)
{
	int map = bpf_map__fd(admit_world_run.skel->maps.mg_subflows);
	struct mg_tuple tuple = { .client = admit_ep(client, port),
				  .server = admit_ep("10.3.0.2", 5124) };
	struct mg_subflow e;

	assert_int_equal(bpf_map_lookup_elem(map, &tuple, &e), 0);
	e.since_ns -= by_ns;
	assert_int_equal(bpf_map_update_elem(map, &tuple, &e, BPF_EXIST), 0);
}

static void test_sweep(void **state)
{
	struct mg_admit a;

	(void)state;
	admit_put(&admit_world_run, admit_world());
	admit_open_n(&a, 1, UE);
	assert_int_equal(admit_token(&admit_world_run, &a, TOKEN), 0);
	for (uint16_t port = 1001; port <= 1004; port++)
		assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, UE, port), MG_ADMITTED);
	assert_int_equal(admit_sweep(&admit_world_run), 0);
	make_old(UE, 1001, MG_SUBFLOW_WAIT_NS);
	make_old(UE, 1002, MG_SUBFLOW_WAIT_NS);
	make_old(UE, 1003, MG_SUBFLOW_WAIT_NS - NS_PER_S);
	make_old(UE, 1004, MG_SUBFLOW_WAIT_NS);
	make_old(UE, 40000, 100 * MG_SUBFLOW_WAIT_NS);
	/* confirmed, and asked for again */
	assert_int_equal(admit_joined(&admit_world_run, TOKEN, UE, 1002), MG_ADMITTED);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, UE, 1004), MG_ADMITTED);
	assert_int_equal(admit_account_of(UE).subflows, 5);
	assert_int_equal(admit_sweep(&admit_world_run), 1);
	assert_int_equal(admit_account_of(UE).subflows, 4);
	assert_int_equal(admit_part(&admit_world_run, UE, 1001), -ENOENT);
	assert_int_equal(admit_sweep(&admit_world_run), 0);
	admit_close_n(&a, 1);
	assert_int_equal(admit_sweep(&admit_world_run), 4);
	admit_assert_nothing(&admit_world_run);
}

/* As the session's word has it */
static uint32_t waiting_of(uint32_t token)
{
	struct mg_session_account e = { 0 };

	bpf_map_lookup_elem(bpf_map__fd(admit_world_run.skel->maps.mg_sessions), &token, &e);
	return e.subflows / MG_SUBFLOWS_WAITING;
}

/* Who has seen a token sends joins without end: so many wait, and the others cost nothing. */
static void test_waiting_is_bounded(void **state)
{
	const uint16_t end = 1001 + MG_SUBFLOWS_WAITING_MAX;
	struct mg_admit a[2];

	(void)state;
	admit_put(&admit_world_run, admit_world()); /* no limits */
	admit_open_n(a, 2, UE);
	a[1].client.port++;
	assert_int_equal(admit_token(&admit_world_run, &a[0], TOKEN), 0);
	assert_int_equal(admit_token(&admit_world_run, &a[1], TOKEN + 1), 0);
	for (uint16_t port = 1001; port < end; port++)
		assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, OTHER, port), MG_ADMITTED);
	for (uint16_t port = end; port < end + 500; port++)
		assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, OTHER, port),
				 MG_REFUSAL_OVER_SESSION_SUBFLOWS);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, OTHER, 1001), MG_ADMITTED);
	assert_int_equal(admit_account_of(UE).subflows, 2 + MG_SUBFLOWS_WAITING_MAX);
	assert_int_equal(waiting_of(TOKEN), MG_SUBFLOWS_WAITING_MAX);
	/* the subscriber's other session is not concerned, nor what the kernel let in already */
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN + 1, UE, 900), MG_ADMITTED);
	assert_int_equal(admit_joined(&admit_world_run, TOKEN, UE, 901), MG_ADMITTED);
	/* one is confirmed, told of twice; one parts; one takes the other session's; one is old */
	for (int i = 0; i < 2; i++)
		assert_int_equal(admit_joined(&admit_world_run, TOKEN, OTHER, 1001), MG_ADMITTED);
	assert_int_equal(waiting_of(TOKEN), MG_SUBFLOWS_WAITING_MAX - 1);
	assert_int_equal(admit_part(&admit_world_run, OTHER, 1001), 0);
	assert_int_equal(waiting_of(TOKEN), MG_SUBFLOWS_WAITING_MAX - 1);
	assert_int_equal(admit_part(&admit_world_run, OTHER, 1002), 0);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN + 1, OTHER, 1003), MG_ADMITTED);
	make_old(OTHER, 1004, MG_SUBFLOW_WAIT_NS);
	assert_int_equal(admit_sweep(&admit_world_run), 1);
	assert_int_equal(waiting_of(TOKEN), MG_SUBFLOWS_WAITING_MAX - 4);
	assert_int_equal(waiting_of(TOKEN + 1), 2);
	admit_close_n(a, 2);
	assert_int_equal(admit_entries(admit_world_run.skel->maps.mg_accounts), 0);
	admit_sweep(&admit_world_run);
	admit_assert_nothing(&admit_world_run);
}

/* It is charged to the session's subscriber, and so is that it is refused. */
static void test_refused_of_whom(void **state)
{
	struct admit_tables *t = admit_world();
	struct mg_admit a;

	(void)state;
	admit_terms(t, 1)->subflows_per_session = 1;
	admit_put(&admit_world_run, t);
	admit_open_n(&a, 1, UE);
	assert_int_equal(admit_token(&admit_world_run, &a, TOKEN), 0);
	assert_int_equal(admit_join_syn(&admit_world_run, TOKEN, OTHER, 1001),
			 MG_REFUSAL_OVER_SESSION_SUBFLOWS);
	assert_int_equal(admit_refused_of(UE, MG_REFUSAL_OVER_SESSION_SUBFLOWS), 1);
	assert_int_equal(admit_refused_of(OTHER, MG_REFUSAL_OVER_SESSION_SUBFLOWS), 0);
	admit_close_n(&a, 1);
	assert_int_equal(admit_sweep(&admit_world_run), 1);
	admit_assert_nothing(&admit_world_run);
}

/* What a race may leave: an account of nothing */
static void test_sweep_orphans(void **state)
{
	const struct mg_account_entry nothing = { 0 };
	struct mg_admit_state orphans = { .serial = 1000, .orphans = 1 }; /* no subflows */
	struct mg_subscriber ue = admit_subscriber(UE), other = admit_subscriber(OTHER);
	struct mg_admit a;
	uint32_t zero = 0;

	(void)state;
	admit_put(&admit_world_run, admit_world());
	admit_open_n(&a, 1, UE);
	bpf_map_update_elem(bpf_map__fd(admit_world_run.skel->maps.mg_accounts), &other, &nothing,
			    BPF_ANY);
	assert_int_equal(admit_sweep(&admit_world_run), 0);
	assert_int_equal(admit_entries(admit_world_run.skel->maps.mg_accounts), 2);
	bpf_map_update_elem(bpf_map__fd(admit_world_run.skel->maps.mg_admit_state), &zero, &orphans,
			    BPF_ANY);
	assert_int_equal(admit_sweep(&admit_world_run), 0);
	assert_int_equal(admit_entries(admit_world_run.skel->maps.mg_accounts), 1);
	assert_int_equal(admit_account(&admit_world_run, &ue).sessions, 1);
	/* or somebody comes first */
	bpf_map_update_elem(bpf_map__fd(admit_world_run.skel->maps.mg_accounts), &other, &nothing,
			    BPF_ANY);
	admit_close_n(&a, 1);
	admit_open_n(&a, 1, OTHER);
	admit_close_n(&a, 1);
	admit_assert_nothing(&admit_world_run);
}

/* ---- cookies --------------------------------------------------------------------------------- */

static void set_keys(const struct mg_cookie_keys *k)
{
	struct mg_cookie_epochs epochs = { .epoch = k->epoch, .n = k->have_previous ? 2 : 1 };
	uint32_t zero = 0;

	memcpy(epochs.key, k->key, sizeof(epochs.key));
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(admit_world_run.skel->maps.mg_cookie_keys),
					     &zero, &epochs, BPF_ANY),
			 0);
}

static int cookie_ok(const char *client, const uint8_t cookie[MG_COOKIE_BYTES])
{
	struct mg_question q = { .tuple.client = admit_ep(client, 1) };

	memcpy(q.cookie, cookie, sizeof(q.cookie));
	return admit_ask(admit_world_run.doors->progs.mg_ask_cookie, &q);
}

static void make_cookie(uint8_t cookie[MG_COOKIE_BYTES], const struct mg_cookie_keys *k,
			const char *client)
{
	struct in6_addr ip;

	assert_int_equal(mg_ip_parse(&ip, client), 0);
	mg_cookie_make(cookie, k, &ip);
}

static void assert_forged(const uint8_t cookie[MG_COOKIE_BYTES], const char *client)
{
	for (unsigned int bit = 0; bit < 8 * MG_COOKIE_BYTES; bit++) {
		uint8_t forged[MG_COOKIE_BYTES];

		memcpy(forged, cookie, sizeof(forged));
		forged[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		assert_int_equal(cookie_ok(client, forged), 0);
	}
}

static void test_cookies(void **state)
{
	static const char *const clients[] = { UE, "255.255.255.255", UE6, "::1" };
	static const uint32_t epochs[] = { 1, 0x01020304, 0xffffffff };
	uint8_t key[3][16], first[MG_COOKIE_BYTES], second[MG_COOKIE_BYTES];
	static const uint8_t none[MG_COOKIE_BYTES];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t at = 0; at < sizeof(key[i]); at++)
			key[i][at] = (uint8_t)((16 * i + at) * 37 + 11);
	assert_int_equal(cookie_ok(UE, none), 0); /* no keys */
	for (size_t i = 0; i < 12; i++) {
		const char *client = clients[i % 4], *another = clients[(i + 1) % 4];
		struct mg_cookie_keys k;

		mg_cookie_keys_init(&k, epochs[i / 4], key[0]);
		set_keys(&k);
		make_cookie(first, &k, client);
		assert_int_equal(cookie_ok(client, first), 1);
		assert_int_equal(cookie_ok(another, first), 0);
		assert_forged(first, client);
		mg_cookie_keys_rotate(&k, key[1]);
		set_keys(&k);
		make_cookie(second, &k, client);
		assert_int_equal(cookie_ok(client, first), 1);
		assert_int_equal(cookie_ok(client, second), 1);
		assert_int_equal(cookie_ok(another, first), 0);
		assert_forged(first, client);
		assert_forged(second, client);
		mg_cookie_keys_rotate(&k, key[2]);
		set_keys(&k);
		assert_int_equal(cookie_ok(client, first), 0);
		assert_int_equal(cookie_ok(client, second), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_joins, admit_world_fresh),
		cmocka_unit_test_setup(test_joins_of_a_subscriber, admit_world_fresh),
		cmocka_unit_test_setup(test_join_replaces, admit_world_fresh),
		cmocka_unit_test_setup(test_token_again, admit_world_fresh),
		cmocka_unit_test_setup(test_sweep, admit_world_fresh),
		cmocka_unit_test_setup(test_waiting_is_bounded, admit_world_fresh),
		cmocka_unit_test_setup(test_refused_of_whom, admit_world_fresh),
		cmocka_unit_test_setup(test_sweep_orphans, admit_world_fresh),
		cmocka_unit_test_setup(test_cookies, admit_world_fresh),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, admit_world_set_up, admit_world_tear_down);
}
