// SPDX-License-Identifier: BSD-2-Clause
/* Addresses and blocks of ports: one subscriber's each, kept, given back, never somebody else's. */
#include "mg_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/sharing.h"

#define THREADS 4
#define ROUNDS	50000

static struct mg_prefix pool[2];

static struct mg_config_sharing shared(const char *prefix, uint32_t ports)
{
	pool[0] = prefix_of(prefix);
	return (struct mg_config_sharing){ .pool = pool,
					   .n_pool = 1,
					   .paired = true,
					   .ports_per_subscriber = ports,
					   .first_port = 1024,
					   .last_port = 65535 };
}

static struct mg_subscriber subscriber(uint32_t n)
{
	struct mg_subscriber who = { .ip = { 0x20, 1 } };

	memcpy(who.ip + 12, &n, sizeof(n));
	return who;
}

static int take(struct mg_sharing *sh, const struct mg_config_sharing *cfg, uint32_t n, bool v4,
		struct mg_lease *lease)
{
	struct mg_subscriber who = subscriber(n);

	return mg_sharing_take(sh, cfg, &who, v4, lease);
}

static void nothing_is_kept(struct mg_sharing *sh)
{
	assert_int_equal(sh->n_holders, 0);
	assert_int_equal(sh->n_addresses, 0);
	mg_sharing_free(sh);
}

static void a_subscriber_keeps_its_address(void **state)
{
	struct mg_config_sharing cfg = shared("198.51.100.0/28", 0);
	struct mg_lease first[64], more;
	struct mg_sharing sh;
	bool seen[16] = { false };
	size_t n = 0;

	(void)state;
	assert_int_equal(mg_sharing_init(&sh), 0);
	for (uint32_t i = 0; i < 64; i++) {
		assert_int_equal(take(&sh, &cfg, i, true, &first[i]), 0);
		assert_true(mg_prefix_contains(&pool[0], &first[i].ip));
		assert_int_equal(first[i].first, 0);
		seen[first[i].ip.s6_addr[15] & 15] = true;
	}
	/* The first and the last address are as good as any, and a hash finds nearly all. */
	for (size_t i = 0; i < 16; i++)
		n += seen[i];
	assert_true(n >= 14);
	for (uint32_t i = 0; i < 64; i++) {
		assert_int_equal(take(&sh, &cfg, i, true, &more), 0);
		assert_true(mg_ip_equal(&more.ip, &first[i].ip));
		mg_sharing_give_back(&sh, &more);
	}
	/* And comes back to it. */
	for (uint32_t i = 0; i < 64; i++) {
		struct in6_addr ip = first[i].ip;

		mg_sharing_give_back(&sh, &first[i]);
		assert_int_equal(take(&sh, &cfg, i, true, &more), 0);
		assert_true(mg_ip_equal(&more.ip, &ip));
		mg_sharing_give_back(&sh, &more);
	}
	nothing_is_kept(&sh);
}

static void pools_are_per_family(void **state)
{
	struct mg_config_sharing cfg = shared("198.51.100.7/32", 0);
	struct mg_lease lease;
	struct mg_sharing sh;

	(void)state;
	assert_int_equal(mg_sharing_init(&sh), 0);
	assert_int_equal(take(&sh, &cfg, 1, false, &lease), -ENOENT);
	pool[1] = prefix_of("2001:db8:1::/64");
	cfg.n_pool = 2;
	for (uint32_t i = 0; i < 100; i++) {
		struct in6_addr zero = ip_of("2001:db8:1::");

		assert_int_equal(take(&sh, &cfg, i, false, &lease), 0);
		assert_true(mg_prefix_contains(&pool[1], &lease.ip));
		assert_false(mg_ip_equal(&lease.ip, &zero));
		mg_sharing_give_back(&sh, &lease);
		assert_int_equal(take(&sh, &cfg, i, true, &lease), 0);
		assert_true(mg_prefix_contains(&pool[0], &lease.ip));
		mg_sharing_give_back(&sh, &lease);
	}
	cfg.n_pool = 0;
	assert_int_equal(take(&sh, &cfg, 1, true, &lease), -ENOENT);
	nothing_is_kept(&sh);
}

static void unpaired_ones_are_spread(void **state)
{
	struct mg_config_sharing cfg = shared("198.51.100.0/30", 0);
	struct mg_sharing sh;
	int of[4] = { 0 };

	(void)state;
	cfg.paired = false;
	assert_int_equal(mg_sharing_init(&sh), 0);
	for (int i = 0; i < 400; i++) {
		struct mg_lease lease;

		assert_int_equal(take(&sh, &cfg, 1, true, &lease), 0);
		of[lease.ip.s6_addr[15] & 3]++;
		mg_sharing_give_back(&sh, &lease);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(of[i], 100);
	nothing_is_kept(&sh);
}

/* 2 addresses of 4 blocks: eight subscribers, no two of which share a port; the ninth has none. */
static void blocks_are_one_subscribers(void **state)
{
	struct mg_config_sharing cfg = shared("198.51.100.2/31", 16128);
	struct mg_lease lease[8], more;
	struct mg_sharing sh;

	(void)state;
	assert_int_equal(mg_sharing_init(&sh), 0);
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(take(&sh, &cfg, i, true, &lease[i]), 0);
		assert_int_equal(lease[i].last - lease[i].first + 1, 16128);
		assert_int_equal((lease[i].first - 1024) % 16128, 0);
		for (uint32_t j = 0; j < i; j++)
			assert_true(!mg_ip_equal(&lease[i].ip, &lease[j].ip) ||
				    lease[i].first != lease[j].first);
	}
	assert_int_equal(take(&sh, &cfg, 8, true, &more), -EUSERS);
	/* Who has one may go on. */
	assert_int_equal(take(&sh, &cfg, 3, true, &more), 0);
	assert_int_equal(more.first, lease[3].first);
	mg_sharing_give_back(&sh, &lease[3]);
	assert_int_equal(take(&sh, &cfg, 8, true, &lease[3]), -EUSERS);
	lease[3] = more;
	mg_sharing_give_back(&sh, &lease[3]);
	assert_int_equal(take(&sh, &cfg, 8, true, &more), 0);
	mg_sharing_give_back(&sh, &more);
	for (uint32_t i = 0; i < 8; i++)
		mg_sharing_give_back(&sh, &lease[i]);
	nothing_is_kept(&sh);
}

static void ports_are_those_of_the_block(void **state)
{
	struct mg_config_sharing cfg = shared("198.51.100.2/32", 4);
	struct mg_lease lease;
	struct mg_sharing sh;

	(void)state;
	assert_int_equal(mg_sharing_init(&sh), 0);
	cfg.first_port = cfg.last_port = 65535;
	assert_int_equal(take(&sh, &cfg, 1, true, &lease), -EUSERS);
	cfg.first_port = 65532;
	assert_int_equal(take(&sh, &cfg, 1, true, &lease), 0);
	assert_int_equal(lease.first, 65532);
	assert_int_equal(lease.last, 65535);
	for (int round = 0; round < 3; round++) {
		for (uint32_t port = 65532; port <= 65535; port++)
			assert_int_equal(mg_sharing_port(&lease), port);
	}
	mg_sharing_give_back(&sh, &lease);
	nothing_is_kept(&sh);
}

/* New blocks are no one's old ports, whatever their sizes. */
static void a_reload_takes_no_ones_ports(void **state)
{
	struct mg_config_sharing cfg = shared("198.51.100.2/32", 21504), wider;
	struct mg_lease old[3], now, more;
	struct mg_sharing sh;

	(void)state;
	assert_int_equal(mg_sharing_init(&sh), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(take(&sh, &cfg, i, true, &old[i]), 0);
	cfg.ports_per_subscriber = 1000;
	assert_int_equal(take(&sh, &cfg, 7, true, &now), -EUSERS);
	assert_int_equal(take(&sh, &cfg, 1, true, &more), 0);
	assert_int_equal(more.first, old[1].first);
	assert_int_equal(more.last, old[1].last);
	mg_sharing_give_back(&sh, &more);
	mg_sharing_give_back(&sh, &old[1]);
	for (uint32_t i = 100; i < 120; i++) {
		assert_int_equal(take(&sh, &cfg, i, true, &now), 0);
		for (uint32_t j = 0; j < 3; j += 2)
			assert_true(now.last < old[j].first || now.first > old[j].last);
		mg_sharing_give_back(&sh, &now);
	}
	/* An address that left the pool serves who is there, and nobody new. */
	wider = cfg;
	pool[0] = prefix_of("203.0.113.0/30");
	assert_int_equal(take(&sh, &wider, 0, true, &now), 0);
	assert_true(mg_prefix_contains(&pool[0], &now.ip));
	mg_sharing_give_back(&sh, &old[0]);
	assert_int_equal(take(&sh, &wider, 0, true, &more), 0);
	assert_true(mg_ip_equal(&more.ip, &now.ip));
	assert_int_equal(more.first, now.first);
	mg_sharing_give_back(&sh, &more);
	mg_sharing_give_back(&sh, &now);
	mg_sharing_give_back(&sh, &old[2]);
	nothing_is_kept(&sh);
}

struct crowd {
	struct mg_sharing *sh;
	const struct mg_config_sharing *cfg;
	const uint32_t *owner; /* by block: whose it is, plus one */
	uint64_t seed;
};

/* Eight have their blocks, and more sessions in them; the other four have none. */
static void *come_and_go(void *arg)
{
	struct crowd *c = arg;
	struct chance chance = { c->seed };
	size_t refused = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t n = (uint32_t)chance_below(&chance, 12);
		const uint32_t *owner;
		struct mg_lease lease;
		int err = take(c->sh, c->cfg, n, true, &lease);

		if (err) {
			assert_int_equal(err, -EUSERS);
			refused++;
			continue;
		}
		owner = &c->owner[(lease.ip.s6_addr[15] & 1) * 4 + (lease.first - 1024) / 16128];
		assert_int_equal(*owner, n + 1);
		mg_sharing_give_back(c->sh, &lease);
	}
	return (void *)refused;
}

/* Of 12 subscribers on 8 blocks, from all sides: no block ever has two. */
static void threads_share_it(void **state)
{
	struct mg_config_sharing cfg = shared("198.51.100.2/31", 16128);
	uint32_t owner[8] = { 0 };
	struct crowd crowd[THREADS];
	pthread_t threads[THREADS];
	struct mg_lease kept[8];
	struct mg_sharing sh;

	(void)state;
	assert_int_equal(mg_sharing_init(&sh), 0);
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(take(&sh, &cfg, i, true, &kept[i]), 0);
		owner[(kept[i].ip.s6_addr[15] & 1) * 4 + (kept[i].first - 1024) / 16128] = i + 1;
	}
	for (uint64_t i = 0; i < THREADS; i++) {
		crowd[i] = (struct crowd){ &sh, &cfg, owner, 77 + i };
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &crowd[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		void *refused;

		pthread_join(threads[i], &refused);
		assert_true((size_t)refused > ROUNDS / 6); /* a third of all are without */
	}
	for (uint32_t i = 0; i < 8; i++)
		mg_sharing_give_back(&sh, &kept[i]);
	nothing_is_kept(&sh);
}

static void many_subscribers(void **state)
{
	struct mg_config_sharing cfg = shared("198.18.0.0/24", 504);
	size_t n = 20000;
	struct mg_lease *lease = calloc(n, sizeof(*lease));
	struct mg_sharing sh;

	(void)state;
	assert_int_equal(mg_sharing_init(&sh), 0);
	/* 256 addresses of 128 blocks are 32768. */
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(take(&sh, &cfg, i, true, &lease[i]), 0);
	assert_int_equal(sh.n_holders, n);
	for (uint32_t i = 0; i < n; i++)
		mg_sharing_give_back(&sh, &lease[i]);
	free(lease);
	nothing_is_kept(&sh);
}

/* Whoever has all ports of its block and asks for more costs next to nothing, but is looked after
 * again and again. */
static void a_full_block_is_searched_now_and_then(void **state)
{
	struct mg_config_sharing cfg = shared("198.51.100.0/28", 1024);
	struct mg_lease lease, same, other;
	struct mg_sharing sh;

	(void)state;
	assert_int_equal(mg_sharing_init(&sh), 0);
	assert_int_equal(take(&sh, &cfg, 1, true, &lease), 0);
	assert_int_equal(take(&sh, &cfg, 1, true, &same), 0);
	assert_int_equal(take(&sh, &cfg, 2, true, &other), 0);
	assert_int_equal(mg_sharing_tries(&lease, 5000), 512);
	mg_sharing_none_free(&lease, 5000);
	assert_in_range(mg_sharing_tries(&same, 5500), 1, 16);
	assert_int_equal(mg_sharing_tries(&other, 5500), 512);
	mg_sharing_none_free(&same, 5900);
	assert_int_equal(mg_sharing_tries(&lease, 6000), 512);
	mg_sharing_give_back(&sh, &lease);
	mg_sharing_give_back(&sh, &same);
	mg_sharing_give_back(&sh, &other);
	cfg.ports_per_subscriber = 4;
	assert_int_equal(take(&sh, &cfg, 1, true, &lease), 0);
	assert_int_equal(mg_sharing_tries(&lease, 5500), 4);
	mg_sharing_none_free(&lease, 5500);
	assert_int_equal(mg_sharing_tries(&lease, 5500), 4);
	mg_sharing_give_back(&sh, &lease);
	nothing_is_kept(&sh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_subscriber_keeps_its_address),
		cmocka_unit_test(pools_are_per_family),
		cmocka_unit_test(unpaired_ones_are_spread),
		cmocka_unit_test(blocks_are_one_subscribers),
		cmocka_unit_test(ports_are_those_of_the_block),
		cmocka_unit_test(a_full_block_is_searched_now_and_then),
		cmocka_unit_test(a_reload_takes_no_ones_ports),
		cmocka_unit_test(threads_share_it),
		cmocka_unit_test(many_subscribers),
	};

	return cmocka_run_group_tests_name("sharing", tests, NULL, NULL);
}
