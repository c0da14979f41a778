// SPDX-License-Identifier: BSD-2-Clause
/* Reservations against a kernel's side that counts: what is held is what was promised, until it is
 * used, given back or over. */
#include "mg_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/reserve.h"

#define SUBSCRIBERS 64
#define LIMIT	    10 /* sessions of each, held ones among them */
#define THREADS	    4
#define ROUNDS	    20000
#define KERNEL	    ((struct mg_admission *)held) /* something that is there */

/* ---- the kernel's side ----------------------------------------------------------------------- */

static _Atomic int held[SUBSCRIBERS];
static _Atomic bool busy;

int __wrap_mg_admission_reserve(struct mg_admission *a, struct mg_ticket *ticket, int n);
int __wrap_mg_admission_account(struct mg_admission *a, const struct mg_subscriber *subscriber,
				struct mg_account_row *row);

int __wrap_mg_admission_account(struct mg_admission *a, const struct mg_subscriber *subscriber,
				struct mg_account_row *row)
{
	assert_ptr_equal(a, KERNEL);
	row->account.reserved = (uint32_t)held[subscriber->ip[15]];
	return row->account.reserved ? 0 : -ENOENT;
}

static int add(_Atomic int *count, int n)
{
	int was = atomic_load(count), is;

	do {
		is = was + n < 0 ? 0 : was + n;
		if (is > LIMIT)
			return MG_REFUSAL_OVER_SESSIONS;
	} while (!atomic_compare_exchange_weak(count, &was, is));
	return MG_ADMITTED;
}

int __wrap_mg_admission_reserve(struct mg_admission *a, struct mg_ticket *ticket, int n)
{
	assert_ptr_equal(a, KERNEL);
	/* What the program takes */
	assert_int_not_equal(n, 0);
	assert_true(n <= (int)MG_COUNTS_MASK && n >= -(int)MG_COUNTS_MASK);
	if (busy)
		return -EAGAIN;
	return add(&held[ticket->subscriber.ip[15]], n);
}

static struct mg_ticket ticket_of(uint8_t who)
{
	return (struct mg_ticket){ .subscriber.ip[15] = who, .policy = 3 };
}

static void set(struct mg_reserve *r, uint8_t who, uint32_t n, uint32_t seconds, uint64_t now_ms)
{
	struct mg_ticket ticket = ticket_of(who);

	mg_reserve_set(r, KERNEL, &ticket, n, seconds, now_ms);
}

static uint32_t left_s(struct mg_reserve *r, uint8_t who, uint64_t now_ms)
{
	struct mg_ticket ticket = ticket_of(who);

	return mg_reserve_left_s(r, &ticket.subscriber, now_ms);
}

static int fresh(void **state)
{
	static struct mg_reserve r;

	memset((void *)held, 0, sizeof(held));
	busy = false;
	mg_reserve_init(&r);
	*state = &r;
	return 0;
}

static int clean(void **state)
{
	mg_reserve_free(*state);
	return 0;
}

/* As often as it takes for what is over to be forgotten */
static void sweep(struct mg_reserve *r, uint64_t now_ms)
{
	for (int i = 0; i < 3; i++)
		mg_reserve_expire(r, KERNEL, now_ms);
}

#define RESERVE_TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

/* ---- tests ----------------------------------------------------------------------------------- */

static void it_holds_until_it_is_over(void **state)
{
	struct mg_reserve *r = *state;

	set(r, 1, 5, 60, 1000);
	assert_int_equal(held[1], 5);
	assert_int_equal(left_s(r, 1, 1000), 60);
	assert_int_equal(left_s(r, 1, 60001), 1);
	assert_int_equal(left_s(r, 2, 1000), 0);
	mg_reserve_expire(r, KERNEL, 60999);
	assert_int_equal(held[1], 5);
	mg_reserve_expire(r, KERNEL, 61000);
	assert_int_equal(held[1], 0);
	assert_int_equal(left_s(r, 1, 61000), 0);
	sweep(r, 61000);
	assert_int_equal(r->n, 0);
}

static void it_is_replaced_and_given_back(void **state)
{
	struct mg_reserve *r = *state;

	set(r, 1, 5, 60, 0);
	set(r, 1, 8, 10, 0);
	assert_int_equal(held[1], 8);
	assert_int_equal(left_s(r, 1, 0), 10);
	set(r, 1, 2, 30, 0);
	assert_int_equal(held[1], 2);
	assert_int_equal(left_s(r, 1, 0), 30);
	set(r, 1, 2, 40, 0);
	assert_int_equal(held[1], 2);
	assert_int_equal(left_s(r, 1, 0), 40);
	set(r, 1, 0, 60, 0);
	assert_int_equal(held[1], 0);
	assert_int_equal(left_s(r, 1, 0), 0);
	sweep(r, 0);
	assert_int_equal(r->n, 0);
	set(r, 1, 5, 0, 0);
	assert_int_equal(held[1] + r->n, 0);
}

/* What was there stays, as long as it was to stay. */
static void what_is_refused_changes_nothing(void **state)
{
	struct mg_reserve *r = *state;

	set(r, 1, LIMIT + 1, 60, 0);
	assert_int_equal(held[1] + r->n, 0);
	set(r, 1, 4, 60, 0);
	set(r, 1, LIMIT + 1, 600, 0);
	assert_int_equal(held[1], 4);
	assert_int_equal(left_s(r, 1, 0), 60);
}

/* Sessions that were opened are no longer held; the end takes back the rest and no more. */
static void what_is_used_is_not_given_back(void **state)
{
	struct mg_reserve *r = *state;

	set(r, 1, 5, 60, 0);
	held[1] -= 3;
	mg_reserve_expire(r, KERNEL, 60000);
	assert_int_equal(held[1], 0);
	set(r, 1, 5, 60, 0);
	held[1] -= 5;
	set(r, 1, 0, 0, 0);
	sweep(r, 0);
	assert_int_equal(r->n, 0);
}

/* A session that took one, and was refused for something else, holds it again: that may be just
 * after all were given back. */
static void what_is_held_again_is_given_back(void **state)
{
	struct mg_reserve *r = *state;

	for (int expires = 0; expires < 2; expires++) {
		set(r, 1, 5, 60, 0);
		held[1]--;
		if (expires)
			mg_reserve_expire(r, KERNEL, 60000);
		else
			set(r, 1, 0, 0, 60000);
		assert_int_equal(held[1], 0);
		held[1]++;
		mg_reserve_expire(r, KERNEL, 60000);
		assert_int_equal(held[1], 0);
		assert_int_equal(r->n, 1);
		sweep(r, 60000);
		assert_int_equal(r->n, 0);
	}
	/* and who reserves anew meanwhile has what it reserved */
	set(r, 1, 5, 60, 0);
	set(r, 1, 0, 0, 0);
	set(r, 1, 3, 60, 0);
	sweep(r, 1000);
	assert_int_equal(held[1], 3);
	assert_int_equal(left_s(r, 1, 1000), 59);
}

static void what_cannot_be_given_back_is_tried_again(void **state)
{
	struct mg_reserve *r = *state;

	set(r, 1, 5, 60, 0);
	busy = true;
	mg_reserve_expire(r, KERNEL, 70000);
	set(r, 1, 0, 0, 70000);
	assert_int_equal(held[1], 5);
	assert_int_equal(r->n, 1);
	busy = false;
	sweep(r, 70000);
	assert_int_equal(held[1] + r->n, 0);
}

struct crowd {
	struct mg_reserve *r;
	uint64_t seed;
};

static void *ask_and_use(void *arg)
{
	struct crowd *c = arg;
	struct chance chance = { c->seed };

	for (int i = 0; i < ROUNDS; i++) {
		uint8_t who = (uint8_t)chance_below(&chance, SUBSCRIBERS);

		switch (chance_below(&chance, 4)) {
		case 0:
			add(&held[who], -1); /* a session of it is opened */
			break;
		case 1:
			mg_reserve_expire(c->r, KERNEL, chance_below(&chance, 2000));
			break;
		default:
			set(c->r, who, (uint32_t)chance_below(&chance, LIMIT + 2),
			    (uint32_t)chance_below(&chance, 3), chance_below(&chance, 1000));
		}
		assert_true(held[who] >= 0 && held[who] <= LIMIT);
	}
	return NULL;
}

/* However they come together: in the end nothing is held. */
static void threads_leave_nothing(void **state)
{
	struct crowd crowd[THREADS];
	pthread_t threads[THREADS];

	for (uint64_t i = 0; i < THREADS; i++) {
		crowd[i] = (struct crowd){ *state, 99 + i };
		assert_int_equal(pthread_create(&threads[i], NULL, ask_and_use, &crowd[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	sweep(*state, UINT64_MAX);
	for (int i = 0; i < SUBSCRIBERS; i++)
		assert_int_equal(held[i], 0);
	assert_int_equal(((struct mg_reserve *)*state)->n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RESERVE_TEST(it_holds_until_it_is_over),
		RESERVE_TEST(it_is_replaced_and_given_back),
		RESERVE_TEST(what_is_refused_changes_nothing),
		RESERVE_TEST(what_is_used_is_not_given_back),
		RESERVE_TEST(what_is_held_again_is_given_back),
		RESERVE_TEST(what_cannot_be_given_back_is_tried_again),
		RESERVE_TEST(threads_leave_nothing),
	};

	return cmocka_run_group_tests_name("reserve", tests, NULL, NULL);
}
