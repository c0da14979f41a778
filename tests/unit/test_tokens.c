// SPDX-License-Identifier: BSD-2-Clause
/* Sessions by token, as the path manager's events tell of them. */
#include "mg_test.h"

#include <arpa/inet.h>

#include "proxy/tokens.h"

#define MANY 5000

static struct mg_ep converter, ue1, ue2;

static bool is_ours(void *ctx, const struct mg_ep *local)
{
	assert_ptr_equal(ctx, &converter);
	return mg_ep_equal(local, &converter);
}

static void event(struct mg_tokens *t, enum mg_pm_kind kind, uint32_t token,
		  const struct mg_ep *local, const struct mg_ep *remote, bool backup)
{
	struct mg_pm_event ev = { .kind = kind, .token = token, .backup = backup };

	if (local)
		ev.local = *local;
	if (remote)
		ev.remote = *remote;
	mg_tokens_event(t, &ev, is_ours, &converter);
}

static int setup(void **state)
{
	static struct mg_tokens t;

	converter = ep_of("10.3.0.2:5124");
	ue1 = ep_of("10.1.0.2:4000");
	ue2 = ep_of("10.2.0.2:4001");
	*state = &t;
	return mg_tokens_init(&t);
}

static int teardown(void **state)
{
	mg_tokens_free(*state);
	assert_int_equal(((struct mg_tokens *)*state)->n, 0);
	return 0;
}

static void sessions_come_and_go(void **state)
{
	struct mg_tokens *t = *state;

	event(t, MG_PM_CREATED, 7, &converter, &ue1, false);
	event(t, MG_PM_CREATED, 8, &converter, &ue2, false);
	assert_int_equal(t->n, 2);
	event(t, MG_PM_CLOSED, 7, NULL, NULL, false);
	assert_int_equal(t->n, 1);
	event(t, MG_PM_CLOSED, 7, NULL, NULL, false);
	event(t, MG_PM_CLOSED, 9, NULL, NULL, false);
	assert_int_equal(t->n, 1);
}

static void joins_are_counted_for_ours_only(void **state)
{
	struct mg_tokens *t = *state;
	struct mg_ep elsewhere = ep_of("10.3.0.2:443");

	event(t, MG_PM_CREATED, 7, &converter, &ue1, false);
	event(t, MG_PM_CREATED, 8, &elsewhere, &ue1, false);
	assert_int_equal(t->n, 1);
	event(t, MG_PM_SUBFLOW_UP, 7, &converter, &ue2, false);
	event(t, MG_PM_SUBFLOW_UP, 8, &elsewhere, &ue2, true);
	event(t, MG_PM_SUBFLOW_UP, 9, &converter, &ue2, true);
	assert_int_equal(t->joins, 1);
	assert_false(mg_tokens_backup(t, 8, &elsewhere, &ue2));
	assert_false(mg_tokens_backup(t, 9, &converter, &ue2));
	/* Closing does not take the join back. */
	event(t, MG_PM_CLOSED, 7, NULL, NULL, false);
	assert_int_equal(t->joins, 1);
}

static void backup_is_per_subflow_and_changes(void **state)
{
	struct mg_tokens *t = *state;

	event(t, MG_PM_CREATED, 7, &converter, &ue1, false);
	assert_false(mg_tokens_backup(t, 7, &converter, &ue1));
	event(t, MG_PM_SUBFLOW_UP, 7, &converter, &ue2, true);
	assert_true(mg_tokens_backup(t, 7, &converter, &ue2));
	assert_false(mg_tokens_backup(t, 7, &converter, &ue1));
	assert_false(mg_tokens_backup(t, 7, &ue2, &converter));
	event(t, MG_PM_SUBFLOW_PRIORITY, 7, &converter, &ue2, false);
	assert_false(mg_tokens_backup(t, 7, &converter, &ue2));
	/* The first subflow never joined; its priority is known from the change on. */
	event(t, MG_PM_SUBFLOW_PRIORITY, 7, &converter, &ue1, true);
	assert_true(mg_tokens_backup(t, 7, &converter, &ue1));
	assert_int_equal(t->joins, 1);
	event(t, MG_PM_SUBFLOW_DOWN, 7, &converter, &ue1, false);
	assert_false(mg_tokens_backup(t, 7, &converter, &ue1));
	event(t, MG_PM_SUBFLOW_DOWN, 7, &converter, &ue1, false);
	event(t, MG_PM_SUBFLOW_DOWN, 99, &converter, &ue1, false);
	event(t, MG_PM_SUBFLOW_PRIORITY, 99, &converter, &ue1, true);
	assert_false(mg_tokens_backup(t, 99, &converter, &ue1));
}

/* A missed CLOSED: the kernel has dealt the token out again. */
static void a_reused_token_starts_anew(void **state)
{
	struct mg_tokens *t = *state;

	event(t, MG_PM_CREATED, 7, &converter, &ue1, false);
	event(t, MG_PM_SUBFLOW_UP, 7, &converter, &ue2, true);
	event(t, MG_PM_CREATED, 7, &converter, &ue1, false);
	assert_int_equal(t->n, 1);
	assert_false(mg_tokens_backup(t, 7, &converter, &ue2));
}

static void lost_events_forget_everything(void **state)
{
	struct mg_tokens *t = *state;

	for (uint32_t i = 0; i < 100; i++) {
		event(t, MG_PM_CREATED, i, &converter, &ue1, false);
		event(t, MG_PM_SUBFLOW_UP, i, &converter, &ue2, true);
	}
	event(t, MG_PM_LOST, 0, NULL, NULL, false);
	assert_int_equal(t->n, 0);
	assert_int_equal(t->joins, 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_false(mg_tokens_backup(t, i, &converter, &ue2));
	event(t, MG_PM_CREATED, 5, &converter, &ue1, false);
	assert_int_equal(t->n, 1);
}

/* Tokens that meet in one bucket, too: the table's size is a power of two. */
static void the_table_grows(void **state)
{
	struct mg_tokens *t = *state;
	size_t first = t->n_buckets;

	for (uint32_t i = 0; i < MANY; i++) {
		struct mg_ep remote = ue2;

		remote.port = htons((uint16_t)(i + 1));
		event(t, MG_PM_CREATED, i << 12, &converter, &ue1, false);
		event(t, MG_PM_SUBFLOW_UP, i << 12, &converter, &remote, i % 2);
	}
	assert_int_equal(t->n, MANY);
	assert_true(t->n_buckets >= MANY && t->n_buckets > first);
	for (uint32_t i = 0; i < MANY; i++) {
		struct mg_ep remote = ue2;

		remote.port = htons((uint16_t)(i + 1));
		assert_int_equal(mg_tokens_backup(t, i << 12, &converter, &remote), i % 2);
	}
	for (uint32_t i = 0; i < MANY; i++)
		event(t, MG_PM_CLOSED, i << 12, NULL, NULL, false);
	assert_int_equal(t->n, 0);
}

struct seen {
	int n;
	uint32_t token;
	struct mg_ep local, remote;
};

static void see(void *ctx, uint32_t token, const struct mg_ep *local, const struct mg_ep *remote)
{
	struct seen *s = ctx;

	s->n++;
	s->token = token;
	s->local = *local;
	s->remote = *remote;
}

/* After events were lost, others know what there is. */
static void what_others_know(void **state)
{
	struct mg_tokens *t = *state;
	struct seen s = { 0 };

	event(t, MG_PM_CREATED, 7, &converter, &ue1, false);
	event(t, MG_PM_SUBFLOW_UP, 7, &converter, &ue2, true);
	mg_tokens_each(t, see, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.token, 7);
	assert_true(mg_ep_equal(&s.local, &converter) && mg_ep_equal(&s.remote, &ue2));
	event(t, MG_PM_LOST, 0, NULL, NULL, false);
	mg_tokens_created(t, 8);
	mg_tokens_joined(t, 8, &converter, &ue2);
	mg_tokens_joined(t, 9, &converter, &ue1); /* of no session */
	s = (struct seen){ 0 };
	mg_tokens_each(t, see, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.token, 8);
	assert_int_equal(t->joins, 1); /* counted as it joined, not as it was found */
	event(t, MG_PM_SUBFLOW_DOWN, 8, &converter, &ue2, false);
	s = (struct seen){ 0 };
	mg_tokens_each(t, see, &s);
	assert_int_equal(s.n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sessions_come_and_go),
		TEST(joins_are_counted_for_ours_only),
		TEST(backup_is_per_subflow_and_changes),
		TEST(a_reused_token_starts_anew),
		TEST(lost_events_forget_everything),
		TEST(the_table_grows),
		TEST(what_others_know),
	};

	return cmocka_run_group_tests_name("tokens", tests, NULL, NULL);
}
