// SPDX-License-Identifier: BSD-2-Clause
/* Offers of MPTCP: noted once, taken once, forgotten only by being overwritten. */
#include "mg_test.h"

#include <arpa/inet.h>
#include <pthread.h>

#include "proxy/offers.h"

static struct mg_offers o;

static void noted_is_taken_once(void **state)
{
	struct mg_ep a = ep_of("10.1.2.3:4000"), port = ep_of("10.1.2.3:4001"),
		     ip = ep_of("10.1.2.4:4000"), six = ep_of("[2001:db8::1]:4000");

	(void)state;
	mg_offers_init(&o);
	assert_false(mg_offers_take(&o, &a));
	mg_offers_note(&o, &a);
	mg_offers_note(&o, &a);
	assert_false(mg_offers_take(&o, &port));
	assert_false(mg_offers_take(&o, &ip));
	assert_false(mg_offers_take(&o, &six));
	assert_true(mg_offers_take(&o, &a));
	assert_false(mg_offers_take(&o, &a));
	mg_offers_note(&o, &six);
	assert_true(mg_offers_take(&o, &six));
}

/* A quarter as many as there are slots: well spread, most are still known; and what is known is
 * never another's. */
static void most_of_many_are_remembered(void **state)
{
	struct mg_ep ep = ep_of("10.1.0.0:1024");
	int known = 0, n = MG_OFFERS_SLOTS / 4;

	(void)state;
	mg_offers_init(&o);
	for (int i = 0; i < n; i++) {
		ep.ip.s6_addr[14] = (unsigned char)(i >> 8);
		ep.ip.s6_addr[15] = (unsigned char)i;
		ep.port = htons((uint16_t)(1024 + i * 7));
		mg_offers_note(&o, &ep);
	}
	for (int i = 0; i < n; i++) {
		ep.ip.s6_addr[14] = (unsigned char)(i >> 8);
		ep.ip.s6_addr[15] = (unsigned char)i;
		ep.port = htons((uint16_t)(1024 + i * 7));
		known += mg_offers_take(&o, &ep);
		assert_false(mg_offers_take(&o, &ep));
	}
	assert_in_range(known, n * 8 / 10, n);
}

static void *notes_and_takes(void *arg)
{
	struct mg_ep ep = *(struct mg_ep *)arg;
	intptr_t lost = 0;

	for (int i = 0; i < 20000; i++) {
		mg_offers_note(&o, &ep);
		lost += !mg_offers_take(&o, &ep);
	}
	return (void *)lost;
}

static void threads_do_not_lose_offers(void **state)
{
	struct mg_ep ep[2] = { ep_of("10.1.2.3:4000"), ep_of("10.1.2.3:4001") };
	pthread_t t[2];

	(void)state;
	mg_offers_init(&o);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, notes_and_takes, &ep[i]), 0);
	for (int i = 0; i < 2; i++) {
		void *lost;

		pthread_join(t[i], &lost);
		assert_int_equal((intptr_t)lost, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(noted_is_taken_once),
		cmocka_unit_test(most_of_many_are_remembered),
		cmocka_unit_test(threads_do_not_lose_offers),
	};

	return cmocka_run_group_tests_name("offers", tests, NULL, NULL);
}
