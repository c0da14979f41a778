// SPDX-License-Identifier: BSD-2-Clause
/* Pending requests per client: counted and released exactly, over threads, however many clients. */
#include "mg_test.h"

#include <pthread.h>

#include "proxy/pending.h"

#define ROUNDS 100000
#define MANY   16384

static size_t entries(const struct mg_pending *p)
{
	size_t n = 0;

	for (size_t i = 0; i < MG_PENDING_SHARDS; i++)
		n += p->shard[i].n;
	return n;
}

static void it_counts(void **state)
{
	struct in6_addr a = ip_of("10.1.2.3"), b = ip_of("10.1.2.4");
	struct mg_pending p;

	(void)state;
	assert_int_equal(mg_pending_init(&p, 7), 0);
	assert_int_equal(mg_pending_count(&p, &a), 0);
	for (int i = 1; i <= 300; i++)
		assert_int_equal(mg_pending_take(&p, &a), i);
	assert_int_equal(mg_pending_take(&p, &b), 1);
	assert_int_equal(mg_pending_count(&p, &a), 300);
	assert_int_equal(entries(&p), 2);
	for (int i = 299; i >= 0; i--) {
		mg_pending_release(&p, &a);
		assert_int_equal(mg_pending_count(&p, &a), i);
	}
	assert_int_equal(mg_pending_count(&p, &b), 1);
	mg_pending_release(&p, &b);
	/* Nothing is kept of clients without requests, and asking does not make one. */
	assert_int_equal(mg_pending_count(&p, &a), 0);
	assert_int_equal(entries(&p), 0);
	mg_pending_free(&p);
}

/* A release too many is a mistake, but not one that lets the client have more later. */
static void a_stray_release_is_nothing(void **state)
{
	struct in6_addr a = ip_of("10.1.2.3");
	struct mg_pending p;

	(void)state;
	assert_int_equal(mg_pending_init(&p, 7), 0);
	mg_pending_release(&p, &a);
	assert_int_equal(entries(&p), 0);
	assert_int_equal(mg_pending_take(&p, &a), 1);
	mg_pending_free(&p);
}

static void an_ipv6_client_is_a_64(void **state)
{
	struct in6_addr a = ip_of("2001:db8:0:1::1"),
			same = ip_of("2001:db8:0:1:ffff:ffff:ffff:ffff"),
			other = ip_of("2001:db8:0:2::1");
	struct mg_pending p;

	(void)state;
	assert_int_equal(mg_pending_init(&p, 7), 0);
	assert_int_equal(mg_pending_take(&p, &a), 1);
	assert_int_equal(mg_pending_take(&p, &same), 2);
	assert_int_equal(mg_pending_take(&p, &other), 1);
	mg_pending_release(&p, &same);
	mg_pending_release(&p, &same);
	assert_int_equal(mg_pending_count(&p, &a), 0);
	assert_int_equal(mg_pending_count(&p, &other), 1);
	mg_pending_free(&p);
}

/* ::/64 holds the mapped addresses by notation only. */
static void ipv4_clients_are_one_by_one(void **state)
{
	struct in6_addr a = ip_of("10.1.2.3"), b = ip_of("10.1.2.4"), six = ip_of("::1");
	struct mg_pending p;

	(void)state;
	assert_int_equal(mg_pending_init(&p, 7), 0);
	assert_int_equal(mg_pending_take(&p, &a), 1);
	assert_int_equal(mg_pending_take(&p, &b), 1);
	assert_int_equal(mg_pending_take(&p, &six), 1);
	assert_int_equal(entries(&p), 3);
	mg_pending_free(&p);
}

static struct in6_addr client(const char *base, size_t from, unsigned int i)
{
	struct in6_addr ip = ip_of(base);

	ip.s6_addr[from] = (unsigned char)(i >> 8);
	ip.s6_addr[from + 1] = (unsigned char)i;
	return ip;
}

/* Subscribers sit side by side in one network; each table grows, and no shard gets them all. */
static void check_many(const char *base, size_t from)
{
	struct mg_pending p;

	assert_int_equal(mg_pending_init(&p, 7), 0);
	for (unsigned int i = 0; i < MANY; i++) {
		struct in6_addr ip = client(base, from, i);

		assert_int_equal(mg_pending_take(&p, &ip), 1);
		if (i % 3 == 0)
			assert_int_equal(mg_pending_take(&p, &ip), 2);
	}
	assert_int_equal(entries(&p), MANY);
	for (size_t i = 0; i < MG_PENDING_SHARDS; i++) {
		assert_in_range(p.shard[i].n, MANY / MG_PENDING_SHARDS / 2,
				MANY / MG_PENDING_SHARDS * 2);
		assert_true(p.shard[i].n_buckets >= p.shard[i].n);
	}
	for (unsigned int i = 0; i < MANY; i++) {
		struct in6_addr ip = client(base, from, i);

		assert_int_equal(mg_pending_count(&p, &ip), i % 3 == 0 ? 2 : 1);
		mg_pending_release(&p, &ip);
		if (i % 3 == 0)
			mg_pending_release(&p, &ip);
	}
	assert_int_equal(entries(&p), 0);
	mg_pending_free(&p);
}

static void many_ipv4_clients_spread(void **state)
{
	(void)state;
	check_many("10.1.0.0", 14);
	check_many("10.0.0.1", 13);
}

static void many_ipv6_clients_spread(void **state)
{
	(void)state;
	check_many("2001:db8::", 6);
	check_many("2001:db8::", 4);
}

/* Another seed, another spread: so clients cannot choose to collide. */
static void the_seed_decides_the_place(void **state)
{
	struct mg_pending p[2];
	size_t differ = 0;

	(void)state;
	for (int k = 0; k < 2; k++) {
		assert_int_equal(mg_pending_init(&p[k], (uint64_t)k << 40 | 1), 0);
		for (unsigned int i = 0; i < 256; i++) {
			struct in6_addr ip = client("10.1.0.0", 14, i);

			mg_pending_take(&p[k], &ip);
		}
	}
	for (size_t i = 0; i < MG_PENDING_SHARDS; i++)
		differ += p[0].shard[i].n != p[1].shard[i].n;
	assert_true(differ > MG_PENDING_SHARDS / 2);
	mg_pending_free(&p[0]);
	mg_pending_free(&p[1]);
}

struct job {
	struct mg_pending *p;
	uint64_t seed;
	bool bad;
};

/* Takes and releases of few clients, some in hand at any time. */
static void *takes_and_releases(void *arg)
{
	struct job *j = arg;
	struct chance c = { j->seed };
	struct in6_addr held[16];
	size_t n = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (n == 16 || (n && chance_below(&c, 2))) {
			mg_pending_release(j->p, &held[--n]);
			continue;
		}
		held[n] = client("10.1.0.0", 14, (unsigned int)chance_below(&c, 40));
		if (mg_pending_take(j->p, &held[n++]) < 1)
			j->bad = true;
	}
	while (n)
		mg_pending_release(j->p, &held[--n]);
	return NULL;
}

static void two_threads_end_at_zero(void **state)
{
	struct mg_pending p;
	struct job j[2] = { { &p, 1, false }, { &p, 2, false } };
	pthread_t t[2];

	(void)state;
	assert_int_equal(mg_pending_init(&p, 7), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, takes_and_releases, &j[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_false(j[0].bad || j[1].bad);
	for (unsigned int i = 0; i < 40; i++) {
		struct in6_addr ip = client("10.1.0.0", 14, i);

		assert_int_equal(mg_pending_count(&p, &ip), 0);
	}
	assert_int_equal(entries(&p), 0);
	mg_pending_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_counts),
		cmocka_unit_test(a_stray_release_is_nothing),
		cmocka_unit_test(an_ipv6_client_is_a_64),
		cmocka_unit_test(ipv4_clients_are_one_by_one),
		cmocka_unit_test(many_ipv4_clients_spread),
		cmocka_unit_test(many_ipv6_clients_spread),
		cmocka_unit_test(the_seed_decides_the_place),
		cmocka_unit_test(two_threads_end_at_zero),
	};

	return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}
