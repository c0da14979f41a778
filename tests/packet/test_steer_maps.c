// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the daemon writes and reads of steering: every setter and getter, sets that are replaced
 * while they are looked at, tokens, counters, the ring in shared memory.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "gateway_rig.h"

/* ---- entries by number ----------------------------------------------------------------------- */
static void test_proxies(void **state)
{
	struct mg_steer_proxy p, q;

	(void)state;
	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		memset(&p, i, sizeof(p));
		assert_int_equal(mg_steer_set_proxy(gw_steer, i, &p), 0);
	}
	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		memset(&p, i, sizeof(p));
		assert_int_equal(mg_steer_get_proxy(gw_steer, i, &q), 0);
		assert_memory_equal(&p, &q, sizeof(p));
	}
	assert_int_equal(mg_steer_set_proxy(gw_steer, 0, &p), -EINVAL);
	assert_int_equal(mg_steer_set_proxy(gw_steer, MG_PROXIES_MAX, &p), -EINVAL);
	assert_int_equal(mg_steer_get_proxy(gw_steer, 0, &p), -EINVAL);
	assert_int_equal(mg_steer_get_proxy(gw_steer, MG_PROXIES_MAX, &p), -EINVAL);
}

static void test_groups(void **state)
{
	struct mg_steer_group g, h;

	(void)state;
	for (uint16_t i = 1; i < MG_GROUPS_MAX; i++) {
		memset(&g, i, sizeof(g));
		assert_int_equal(mg_steer_set_group(gw_steer, i, &g), 0);
	}
	for (uint16_t i = 1; i < MG_GROUPS_MAX; i++) {
		memset(&g, i, sizeof(g));
		assert_int_equal(mg_steer_get_group(gw_steer, i, &h), 0);
		assert_memory_equal(&g, &h, sizeof(g));
	}
	assert_int_equal(mg_steer_set_group(gw_steer, 0, &g), -EINVAL);
	assert_int_equal(mg_steer_set_group(gw_steer, MG_GROUPS_MAX, &g), -EINVAL);
	assert_int_equal(mg_steer_get_group(gw_steer, MG_GROUPS_MAX, &g), -EINVAL);
}

static struct mg_gateway gateway_now(void)
{
	int fd = gw_map("mg_gateway");
	struct mg_gateway g;
	uint32_t zero = 0;

	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &g), 0);
	close(fd);
	return g;
}

/* ---- rules ----------------------------------------------------------------------------------- */
static void set_rules(size_t n, uint32_t first)
{
	struct mg_rule rules[MG_RULES_MAX + 1];

	memset(rules, 0, sizeof(rules));
	for (size_t i = 0; i < n; i++)
		rules[i].ifindex = first + (uint32_t)i;
	assert_int_equal(mg_steer_set_rules(gw_steer, rules, n), 0);
}

static void check_rules(size_t n, uint32_t first)
{
	int fd = gw_map("mg_rules");
	struct mg_rule rule;

	assert_int_equal(gateway_now().n_rules, n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &i, &rule), 0);
		assert_int_equal(rule.ifindex, first + i);
	}
	close(fd);
}

static void test_rules(void **state)
{
	static const size_t lengths[] = { 3, 10, 1, 0, MG_RULES_MAX, MG_RULES_MAX, 2, 40, 40, 0 };
	struct mg_rule rules[MG_RULES_MAX + 1] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		set_rules(lengths[i], (uint32_t)(100 * (i + 1)));
		check_rules(lengths[i], (uint32_t)(100 * (i + 1)));
	}
	set_rules(5, 7);
	assert_int_equal(mg_steer_set_rules(gw_steer, rules, MG_RULES_MAX + 1), -E2BIG);
	check_rules(5, 7);
}

static void test_gateway_keeps_rules(void **state)
{
	struct mg_gateway g = { .steers = 1, .learn = 1, .self = 7, .learn_per_second = 9 }, now;

	(void)state;
	set_rules(5, 7);
	assert_int_equal(mg_steer_set_gateway(gw_steer, &g), 0);
	g.n_rules = 5;
	now = gateway_now();
	assert_memory_equal(&now, &g, sizeof(g));
	check_rules(5, 7);
}

/* ---- sets ------------------------------------------------------------------------------------ */
static struct mg_ep ep_number(size_t i)
{
	struct mg_ep ep = gw_ep("10.9.0.1:1");

	ep.port = htons((uint16_t)(i + 1));
	return ep;
}

static int set_virtuals(size_t first, size_t n, uint16_t group)
{
	struct mg_ep *eps = calloc(n + 1, sizeof(*eps));
	uint16_t *groups = calloc(n + 1, sizeof(*groups));
	int err;

	for (size_t i = 0; i < n; i++) {
		eps[i] = ep_number(first + i);
		groups[i] = group;
	}
	err = mg_steer_set_virtual(gw_steer, eps, groups, n);
	free(eps);
	free(groups);
	return err;
}

static uint32_t group_of(int fd, size_t i)
{
	struct mg_endpoint key = { .port = (uint16_t)(i + 1) };
	uint32_t group = 0;

	memcpy(key.ip, gw_ep("10.9.0.1:1").ip.s6_addr, 16);
	return bpf_map_lookup_elem(fd, &key, &group) ? 0 : group;
}

static void test_virtual(void **state)
{
	int fd = gw_map("mg_virtual");

	(void)state;
	assert_int_equal(set_virtuals(0, MG_VIRTUAL_MAX, 1), 0);
	assert_int_equal(gw_entries("mg_virtual"), MG_VIRTUAL_MAX + 1);
	/* all others, and again half of them */
	assert_int_equal(set_virtuals(MG_VIRTUAL_MAX, MG_VIRTUAL_MAX, 2), 0);
	assert_int_equal(gw_entries("mg_virtual"), MG_VIRTUAL_MAX + 1);
	assert_int_equal(group_of(fd, MG_VIRTUAL_MAX - 1), 0);
	assert_int_equal(group_of(fd, MG_VIRTUAL_MAX), 2);
	assert_int_equal(set_virtuals(MG_VIRTUAL_MAX / 2, MG_VIRTUAL_MAX, 3), 0);
	assert_int_equal(gw_entries("mg_virtual"), MG_VIRTUAL_MAX + 1);
	assert_int_equal(group_of(fd, MG_VIRTUAL_MAX), 3);
	assert_int_equal(set_virtuals(0, MG_VIRTUAL_MAX + 1, 1), -E2BIG);
	assert_int_equal(gw_entries("mg_virtual"), MG_VIRTUAL_MAX + 1);
	assert_int_equal(set_virtuals(0, 0, 1), 0);
	assert_int_equal(gw_entries("mg_virtual"), 0);
	close(fd);
}

struct watcher {
	atomic_bool stop;
	atomic_ulong looks, missed;
};

static void *watch(void *arg)
{
	struct watcher *w = arg;
	int fd = gw_map("mg_virtual");

	while (!atomic_load(&w->stop)) {
		if (group_of(fd, 50) != 1)
			atomic_fetch_add(&w->missed, 1);
		atomic_fetch_add(&w->looks, 1);
	}
	close(fd);
	return NULL;
}

/* Number 50 is in all of them. */
static void test_sets_have_no_gap(void **state)
{
	struct watcher w = { 0 };
	pthread_t thread;

	(void)state;
	assert_int_equal(set_virtuals(0, 60, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, watch, &w), 0);
	for (int i = 0; i < 300 || atomic_load(&w.looks) < 10000; i++) {
		assert_int_equal(set_virtuals(i % 2 ? 0 : 45, 60, 1), 0);
		assert_int_equal(set_virtuals(50, 1, 1), 0);
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&w.missed), 0);
}

static void test_neighbours(void **state)
{
	struct mg_neighbour at[MG_NEIGHBOURS_MAX + 1];
	uint16_t proxies[MG_NEIGHBOURS_MAX + 1];
	int fd = gw_map("mg_neighbours");
	uint32_t proxy;

	(void)state;
	memset(at, 0, sizeof(at));
	for (uint16_t i = 0; i <= MG_NEIGHBOURS_MAX; i++) {
		at[i] = (struct mg_neighbour){ .ifindex = 3, .mac = { 2, [4] = i >> 8, i & 255 } };
		at[i].pad[0] = 0xee; /* is no part of the key */
		proxies[i] = i % MG_PROXIES_MAX;
	}
	assert_int_equal(mg_steer_set_neighbours(gw_steer, at, proxies, MG_NEIGHBOURS_MAX), 0);
	assert_int_equal(gw_entries("mg_neighbours"), MG_NEIGHBOURS_MAX);
	assert_int_equal(mg_steer_set_neighbours(gw_steer, at, proxies, MG_NEIGHBOURS_MAX + 1),
			 -E2BIG);
	assert_int_equal(mg_steer_set_neighbours(gw_steer, at + 5, proxies + 5, 2), 0);
	assert_int_equal(gw_entries("mg_neighbours"), 2);
	at[6].pad[0] = 0;
	assert_int_equal(bpf_map_lookup_elem(fd, &at[6], &proxy), 0);
	assert_int_equal(proxy, 6);
	close(fd);
}

static void test_mine(void **state)
{
	struct in6_addr ips[MG_MINE_MAX + 1];
	int fd = gw_map("mg_mine");
	uint8_t one = 0;

	(void)state;
	for (size_t i = 0; i <= MG_MINE_MAX; i++) {
		ips[i] = gw_ep("[fd00:3::]:1").ip;
		ips[i].s6_addr[14] = (uint8_t)(i >> 8);
		ips[i].s6_addr[15] = (uint8_t)i;
	}
	assert_int_equal(mg_steer_set_mine(gw_steer, ips, MG_MINE_MAX), 0);
	assert_int_equal(gw_entries("mg_mine"), MG_MINE_MAX);
	assert_int_equal(mg_steer_set_mine(gw_steer, ips, MG_MINE_MAX + 1), -E2BIG);
	assert_int_equal(mg_steer_set_mine(gw_steer, ips + 7, 3), 0);
	assert_int_equal(gw_entries("mg_mine"), 3);
	assert_int_equal(bpf_map_lookup_elem(fd, &ips[8], &one), 0);
	assert_int_equal(one, 1);
	assert_int_not_equal(bpf_map_lookup_elem(fd, &ips[6], &one), 0);
	close(fd);
}

static bool is_peer(int fd, const char *ip)
{
	struct mg_peer_key key = { .bits = 128 };
	struct in6_addr at;
	uint8_t one = 0;

	assert_int_equal(mg_ip_parse(&at, ip), 0);
	memcpy(key.ip, &at, 16);
	return !bpf_map_lookup_elem(fd, &key, &one) && one == 1;
}

static void test_peers(void **state)
{
	int fd = gw_map("mg_peers");
	struct mg_prefix from[MG_GATEWAYS_MAX + 1];

	(void)state;
	/* bits behind the length mean nothing, and change nothing */
	assert_int_equal(mg_prefix_parse(&from[0], "10.3.0.0/24"), 0);
	from[0].ip.s6_addr[15] = 77;
	assert_int_equal(mg_prefix_parse(&from[1], "fd00:7::/33"), 0);
	assert_int_equal(mg_prefix_parse(&from[2], "10.4.4.4"), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(mg_steer_set_peers(gw_steer, from, 3), 0);
	assert_int_equal(gw_entries("mg_peers"), 3);
	assert_true(is_peer(fd, "10.3.0.1") && is_peer(fd, "10.3.0.255"));
	assert_false(is_peer(fd, "10.3.1.0"));
	assert_true(is_peer(fd, "10.4.4.4") && is_peer(fd, "fd00:7:7fff::1"));
	assert_false(is_peer(fd, "10.4.4.5") || is_peer(fd, "fd00:7:8000::1"));
	assert_int_equal(mg_steer_set_peers(gw_steer, from + 2, 1), 0);
	assert_false(is_peer(fd, "10.3.0.1"));
	for (size_t i = 0; i <= MG_GATEWAYS_MAX; i++) {
		from[i] = from[2];
		from[i].len = 128;
		from[i].ip.s6_addr[14] = (uint8_t)(i >> 8);
		from[i].ip.s6_addr[15] = (uint8_t)i;
	}
	assert_int_equal(mg_steer_set_peers(gw_steer, from, MG_GATEWAYS_MAX), 0);
	assert_int_equal(mg_steer_set_peers(gw_steer, from + 1, MG_GATEWAYS_MAX), 0);
	assert_int_equal(gw_entries("mg_peers"), MG_GATEWAYS_MAX);
	assert_int_equal(mg_steer_set_peers(gw_steer, from, MG_GATEWAYS_MAX + 1), -E2BIG);
	close(fd);
}

/* ---- tokens ---------------------------------------------------------------------------------- */
static void test_tokens(void **state)
{
	struct mg_owners owners;

	(void)state;
	assert_int_equal(mg_steer_find(gw_steer, false, gw_token(1), &owners), -ENOENT);
	assert_int_equal(gw_push(1), 0);
	assert_int_equal(mg_steer_find(gw_steer, false, gw_token(1), &owners), 0);
	assert_int_equal(owners.proxy, 2);
	assert_int_equal(owners.second, 3);
	assert_int_equal(owners.since_s, 1);
	assert_int_equal(mg_steer_find(gw_steer, true, gw_token(1), &owners), -ENOENT);
	assert_int_equal(mg_steer_push(gw_steer, gw_token(1), NULL), 0);
	assert_int_equal(mg_steer_find(gw_steer, false, gw_token(1), &owners), -ENOENT);
	assert_int_equal(mg_steer_push(gw_steer, gw_token(1), NULL), 0);
}

static void test_tokens_full(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < GW_TOKENS; i++)
		assert_int_equal(gw_push(i), 0);
	assert_int_equal(gw_push(GW_TOKENS), -ENOSPC);
	assert_int_equal(gw_push(5), 0);
	assert_int_equal(mg_steer_push(gw_steer, gw_token(6), NULL), 0);
	assert_int_equal(gw_push(GW_TOKENS), 0);
}

static void test_each(void **state)
{
	int learned = gw_map("mg_learned");

	(void)state;
	gw_check_tokens(false, 0);
	gw_check_tokens(true, 0);
	for (uint32_t i = 0; i < GW_TOKENS; i++) {
		if (i == 1 || i == GW_TOKENS / 2)
			gw_check_tokens(false, i);
		assert_int_equal(gw_push(i), 0);
	}
	gw_check_tokens(false, GW_TOKENS);
	for (uint32_t i = 0; i < 9; i++) {
		struct mg_owners owners = { .proxy = 1, .since_s = i };
		uint32_t token = gw_token(i);

		assert_int_equal(bpf_map_update_elem(learned, &token, &owners, BPF_ANY), 0);
	}
	gw_check_tokens(true, 9);
	close(learned);
}

static void test_counters(void **state)
{
	uint64_t out[MG_STEER_COUNTER_COUNT];
	int cpus = libbpf_num_possible_cpus(), fd = gw_map("mg_steer_stats");
	uint64_t *values = calloc((size_t)cpus, sizeof(out));
	uint32_t zero = 0;

	(void)state;
	for (int c = 0; c < cpus; c++)
		for (int i = 0; i < MG_STEER_COUNTER_COUNT; i++)
			values[c * MG_STEER_COUNTER_COUNT + i] = (uint64_t)(i + 1) << (c ? 0 : 33);
	assert_int_equal(bpf_map_update_elem(fd, &zero, values, BPF_ANY), 0);
	assert_int_equal(mg_steer_counters_read(gw_steer, out), 0);
	for (uint64_t i = 0; i < MG_STEER_COUNTER_COUNT; i++)
		assert_int_equal(out[i], (i + 1) * ((1ULL << 33) + (uint64_t)cpus - 1));
	free(values);
	close(fd);
}

/* ---- the ring -------------------------------------------------------------------------------- */
static struct mg_slot slot_in_map(uint32_t group, uint32_t slot)
{
	int fd = gw_map("mg_ring");
	uint32_t at = group * MG_RING_SLOTS + slot;
	struct mg_slot s;

	assert_int_equal(bpf_map_lookup_elem(fd, &at, &s), 0);
	close(fd);
	return s;
}

static void test_ring(void **state)
{
	static const uint32_t slots[] = { 0, 1, 4095, MG_RING_SLOTS - 1 };

	(void)state;
	assert_null(mg_steer_ring(gw_steer, 0));
	assert_null(mg_steer_ring(gw_steer, GW_GROUPS + 1));
	for (uint16_t g = 1; g <= GW_GROUPS; g++)
		for (size_t i = 0; i < 4; i++)
			mg_steer_ring(gw_steer, g)[slots[i]] =
				(struct mg_slot){ g, (uint16_t)(i + 1), 99 };
	for (uint16_t g = 1; g <= GW_GROUPS; g++) {
		for (size_t i = 0; i < 4; i++) {
			struct mg_slot s = slot_in_map(g, slots[i]);

			assert_int_equal(s.current, g);
			assert_int_equal(s.previous, i + 1);
			assert_int_equal(s.changed_s, 99);
		}
		assert_int_equal(slot_in_map(g, 2).current, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_proxies, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_groups, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_rules, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_gateway_keeps_rules, gw_set_up_maps,
						gw_tear_down),
		cmocka_unit_test_setup_teardown(test_virtual, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_sets_have_no_gap, gw_set_up_maps,
						gw_tear_down),
		cmocka_unit_test_setup_teardown(test_neighbours, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_mine, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_peers, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_tokens, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_tokens_full, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_each, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_counters, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_ring, gw_set_up_maps, gw_tear_down),
	};

	return cmocka_run_group_tests(tests, gw_enter, NULL);
}
