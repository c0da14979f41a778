// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who has what in the kernel: listed, and counted by what is told of subflows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "admission_case.h"
#include "base/log.h"
#include "lab.h"
#include "skel/policy.skel.h"
#include "sys/admission_maps.h"
#include "sys/caps.h"

/* ---- sessions, accounts ---------------------------------------------------------------------- */

static const struct mg_account_row *row_of(const struct mg_account_row *rows, long n,
					   const struct mg_subscriber *s)
{
	for (long i = 0; i < n; i++)
		if (!memcmp(&rows[i].subscriber, s, sizeof(*s)))
			return &rows[i];
	return NULL;
}

static void who_has_what_is_listed(void **state)
{
	struct mg_admit asks[4], denied = rig_ask("10.1.9.1", VIDEO);
	const struct mg_account_row *row;
	struct mg_admit_counters counters;
	struct mg_account_row *rows, one;
	long n;

	(void)state;
	apply();
	for (int i = 0; i < 4; i++) {
		asks[i] = rig_ask("10.1.0.1", VIDEO);
		assert_int_equal(mg_admission_open_session(a, &asks[i]),
				 i < 3 ? MG_ADMITTED : MG_REFUSAL_OVER_SESSIONS);
	}
	assert_int_equal(mg_admission_open_session(a, &denied), MG_REFUSAL_DENIED);
	n = mg_admission_accounts(a, &rows);
	assert_int_equal(n, 2);
	row = row_of(rows, n, &asks[0].ticket.subscriber);
	assert_non_null(row);
	assert_int_equal(row->account.sessions, 3);
	assert_int_equal(row->account.sessions_limit, 3);
	assert_int_equal(row->refused[MG_REFUSAL_OVER_SESSIONS], 1);
	row = row_of(rows, n, &denied.ticket.subscriber);
	assert_non_null(row);
	assert_int_equal(row->account.sessions, 0);
	assert_int_equal(row->refused[MG_REFUSAL_DENIED], 1);
	free(rows);
	assert_int_equal(mg_admission_account(a, &asks[0].ticket.subscriber, &one), 0);
	assert_int_equal(one.account.sessions, 3);
	assert_int_equal(mg_admission_service_sessions(a, asks[0].ticket.service), 3);
	assert_int_equal(mg_admission_counters(a, &counters), 0);
	assert_int_equal(counters.admitted, 3);
	assert_int_equal(counters.over_sessions, 1);
	assert_int_equal(counters.denied, 1);
	for (int i = 0; i < 4; i++) {
		mg_admission_close_session(a, &asks[i].ticket, 0);
		assert_int_equal(asks[i].ticket.charged, 0);
	}
	assert_int_equal(mg_admission_account(a, &asks[0].ticket.subscriber, &one), 0);
	assert_int_equal(one.account.sessions, 0);
	assert_int_equal(mg_admission_service_sessions(a, asks[0].ticket.service), 0);
}

/* Who was counted by a longer prefix is, and is shown so, until it ends. */
static void a_key_that_changes_leaves_the_old_counts(void **state)
{
	struct mg_admit old = rig_ask("10.1.0.1", VIDEO), new = rig_ask("10.1.0.1", VIDEO);
	struct mg_account_row one;

	(void)state;
	apply();
	assert_int_equal(mg_admission_open_session(a, &old), MG_ADMITTED);
	rig.c.policies.key_ipv4_bits = 24;
	apply();
	assert_int_equal(mg_admission_open_session(a, &new), MG_ADMITTED);
	assert_int_equal(old.ticket.key_bits, 128);
	assert_int_equal(new.ticket.key_bits, 96 + 24);
	assert_int_equal(mg_admission_account(a, &old.ticket.subscriber, &one), 0);
	assert_int_equal(one.key_bits, 128);
	assert_int_equal(one.account.sessions, 1);
	assert_int_equal(mg_admission_account(a, &new.ticket.subscriber, &one), 0);
	assert_int_equal(one.key_bits, 96 + 24);
	mg_admission_close_session(a, &old.ticket, 0);
	mg_admission_close_session(a, &new.ticket, 0);
}

#define CROWD 20000

static void many_are_listed(void **state)
{
	struct mg_ticket *tickets = calloc(CROWD, sizeof(*tickets));
	struct mg_account_row *rows;
	uint64_t sessions = 0;

	(void)state;
	assert_non_null(tickets);
	apply();
	for (uint32_t i = 0; i < CROWD; i++) {
		struct mg_admit ask = rig_ask("10.200.0.0", OTHER);
		uint32_t ip = htonl(0x0ac80000U + i);

		memcpy(ask.client.ip + 12, &ip, sizeof(ip));
		assert_int_equal(mg_admission_open_session(a, &ask), MG_ADMITTED);
		tickets[i] = ask.ticket;
	}
	assert_int_equal(mg_admission_accounts(a, &rows), CROWD);
	for (uint32_t i = 0; i < CROWD; i++) {
		sessions += rows[i].account.sessions;
		mg_admission_close_session(a, &tickets[i], 0);
	}
	assert_int_equal(sessions, CROWD);
	free(rows);
	assert_int_equal(mg_admission_accounts(a, &rows), 0);
	free(rows);
	free(tickets);
}

static struct mg_ep ep(const char *text)
{
	struct mg_ep e;

	assert_int_equal(mg_ep_parse(&e, text), 0);
	return e;
}

static void subflows_count_by_the_token(void **state)
{
	struct mg_ep local = ep("203.0.113.7:443"), first = ep("10.1.0.1:40000"),
		     second = ep("10.2.0.1:41000"), third = ep("10.2.0.1:42000");
	struct mg_admit ask = rig_ask("10.1.0.1", VIDEO);
	struct mg_account_row row;

	(void)state;
	rig.policies[0].subflows_per_session = 2;
	apply();
	assert_int_equal(mg_admission_open_session(a, &ask), MG_ADMITTED);
	assert_int_equal(mg_admission_token(a, &ask.ticket, 0x1234, &first, &local), 0);
	assert_int_equal(mg_admission_joined(a, 0x1234, &local, &second), MG_ADMITTED);
	assert_int_equal(mg_admission_joined(a, 0x1234, &local, &second), MG_ADMITTED);
	assert_int_equal(mg_admission_joined(a, 0x1234, &local, &third),
			 MG_REFUSAL_OVER_SESSION_SUBFLOWS);
	mg_admission_account(a, &ask.ticket.subscriber, &row);
	assert_int_equal(row.account.subflows, 2);
	mg_admission_parted(a, &local, &second);
	mg_admission_account(a, &ask.ticket.subscriber, &row);
	assert_int_equal(row.account.subflows, 1);
	mg_admission_close_session(a, &ask.ticket, 0x1234);
	mg_admission_account(a, &ask.ticket.subscriber, &row);
	assert_int_equal(row.account.subflows, 0);
	mg_admission_sweep(a);
}

static void without_admission_all_is_admitted(void **state)
{
	struct mg_admit ask = rig_ask("10.1.9.1", VIDEO);
	struct mg_ep some = ep("10.1.0.1:1");

	(void)state;
	assert_int_equal(mg_admission_open_session(NULL, &ask), MG_ADMITTED);
	assert_int_equal(ask.ticket.charged, 0);
	assert_int_equal(mg_admission_token(NULL, &ask.ticket, 1, &some, &some), 0);
	assert_int_equal(mg_admission_joined(NULL, 1, &some, &some), MG_ADMITTED);
	mg_admission_parted(NULL, &some, &some);
	mg_admission_sweep(NULL);
	mg_admission_close_session(NULL, &ask.ticket, 1);
	assert_int_equal(mg_admission_pace(NULL, &some, &some, 1), 0);
	mg_admission_pace_del(NULL, &some, &some);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(who_has_what_is_listed, fresh),
		cmocka_unit_test_setup(a_key_that_changes_leaves_the_old_counts, fresh),
		cmocka_unit_test_setup(many_are_listed, fresh),
		cmocka_unit_test_setup(subflows_count_by_the_token, fresh),
		cmocka_unit_test(without_admission_all_is_admitted),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
