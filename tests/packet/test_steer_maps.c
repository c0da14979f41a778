// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the daemon writes and reads of steering: every setter and getter, sets that are replaced
 * while they are looked at, maps whose size changes, the ring in shared memory, and asking where a
 * packet would go.
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

#include "base/log.h"
#include "steer_live.h"

static struct mg_dp *dp;
static struct mg_steer *steer;
static struct mg_config *cfg;

static int enter(void **state)
{
	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
	return lab_enter();
}

static int open_gateway(enum mg_xdp_want want)
{
	cfg = live_config();
	cfg->interfaces[0].xdp = cfg->interfaces[1].xdp = want;
	dp = live_open(cfg);
	steer = mg_dp_steer(dp);
	return steer ? 0 : -1;
}

/* With the maps alone: programs take their time to load. */
static int set_up(void **state)
{
	(void)state;
	return open_gateway(MG_XDP_OFF);
}

static int set_up_attached(void **state)
{
	(void)state;
	return open_gateway(MG_XDP_AUTO);
}

static int tear_down(void **state)
{
	(void)state;
	mg_dp_close(dp);
	return mg_dp_detach(cfg);
}

static void reopen(void)
{
	mg_dp_close(dp);
	dp = live_open(cfg);
	steer = mg_dp_steer(dp);
}

/* ---- entries by number ----------------------------------------------------------------------- */
static void test_proxies(void **state)
{
	struct mg_steer_proxy p, q;

	(void)state;
	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		memset(&p, i, sizeof(p));
		assert_int_equal(mg_steer_set_proxy(steer, i, &p), 0);
	}
	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		memset(&p, i, sizeof(p));
		assert_int_equal(mg_steer_get_proxy(steer, i, &q), 0);
		assert_memory_equal(&p, &q, sizeof(p));
	}
	assert_int_equal(mg_steer_set_proxy(steer, 0, &p), -EINVAL);
	assert_int_equal(mg_steer_set_proxy(steer, MG_PROXIES_MAX, &p), -EINVAL);
	assert_int_equal(mg_steer_get_proxy(steer, 0, &p), -EINVAL);
	assert_int_equal(mg_steer_get_proxy(steer, MG_PROXIES_MAX, &p), -EINVAL);
}

static void test_groups(void **state)
{
	struct mg_steer_group g, h;

	(void)state;
	for (uint16_t i = 1; i < MG_GROUPS_MAX; i++) {
		memset(&g, i, sizeof(g));
		assert_int_equal(mg_steer_set_group(steer, i, &g), 0);
	}
	for (uint16_t i = 1; i < MG_GROUPS_MAX; i++) {
		memset(&g, i, sizeof(g));
		assert_int_equal(mg_steer_get_group(steer, i, &h), 0);
		assert_memory_equal(&g, &h, sizeof(g));
	}
	assert_int_equal(mg_steer_set_group(steer, 0, &g), -EINVAL);
	assert_int_equal(mg_steer_set_group(steer, MG_GROUPS_MAX, &g), -EINVAL);
	assert_int_equal(mg_steer_get_group(steer, MG_GROUPS_MAX, &g), -EINVAL);
}

static struct mg_gateway gateway_now(void)
{
	int fd = live_map(cfg, "mg_gateway");
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
	assert_int_equal(mg_steer_set_rules(steer, rules, n), 0);
}

static void check_rules(size_t n, uint32_t first)
{
	int fd = live_map(cfg, "mg_rules");
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
	assert_int_equal(mg_steer_set_rules(steer, rules, MG_RULES_MAX + 1), -E2BIG);
	check_rules(5, 7);
}

static void test_gateway_keeps_rules(void **state)
{
	struct mg_gateway g = { .steers = 1, .learn = 1, .self = 7, .learn_per_second = 9 }, now;

	(void)state;
	set_rules(5, 7);
	assert_int_equal(mg_steer_set_gateway(steer, &g), 0);
	g.n_rules = 5;
	now = gateway_now();
	assert_memory_equal(&now, &g, sizeof(g));
	check_rules(5, 7);
}

/* ---- sets ------------------------------------------------------------------------------------ */
static struct mg_ep ep_number(size_t i)
{
	struct mg_ep ep = live_ep("10.9.0.1:1");

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
	err = mg_steer_set_virtual(steer, eps, groups, n);
	free(eps);
	free(groups);
	return err;
}

static uint32_t group_of(int fd, size_t i)
{
	struct mg_endpoint key = { .port = (uint16_t)(i + 1) };
	uint32_t group = 0;

	memcpy(key.ip, live_ep("10.9.0.1:1").ip.s6_addr, 16);
	return bpf_map_lookup_elem(fd, &key, &group) ? 0 : group;
}

static void test_virtual(void **state)
{
	int fd = live_map(cfg, "mg_virtual");

	(void)state;
	assert_int_equal(set_virtuals(0, MG_VIRTUAL_MAX, 1), 0);
	assert_int_equal(live_entries(cfg, "mg_virtual"), MG_VIRTUAL_MAX);
	/* all others, and again half of them */
	assert_int_equal(set_virtuals(MG_VIRTUAL_MAX, MG_VIRTUAL_MAX, 2), 0);
	assert_int_equal(live_entries(cfg, "mg_virtual"), MG_VIRTUAL_MAX);
	assert_int_equal(group_of(fd, MG_VIRTUAL_MAX - 1), 0);
	assert_int_equal(group_of(fd, MG_VIRTUAL_MAX), 2);
	assert_int_equal(set_virtuals(MG_VIRTUAL_MAX / 2, MG_VIRTUAL_MAX, 3), 0);
	assert_int_equal(live_entries(cfg, "mg_virtual"), MG_VIRTUAL_MAX);
	assert_int_equal(group_of(fd, MG_VIRTUAL_MAX), 3);
	assert_int_equal(set_virtuals(0, MG_VIRTUAL_MAX + 1, 1), -E2BIG);
	assert_int_equal(live_entries(cfg, "mg_virtual"), MG_VIRTUAL_MAX);
	assert_int_equal(set_virtuals(0, 0, 1), 0);
	assert_int_equal(live_entries(cfg, "mg_virtual"), 0);
	close(fd);
}

struct watcher {
	atomic_bool stop;
	atomic_ulong looks, missed;
};

static void *watch(void *arg)
{
	struct watcher *w = arg;
	int fd = live_map(cfg, "mg_virtual");

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
	int fd = live_map(cfg, "mg_neighbours");
	uint32_t proxy;

	(void)state;
	memset(at, 0, sizeof(at));
	for (uint16_t i = 0; i <= MG_NEIGHBOURS_MAX; i++) {
		at[i] = (struct mg_neighbour){ .ifindex = 3, .mac = { 2, [4] = i >> 8, i & 255 } };
		at[i].pad[0] = 0xee; /* is no part of the key */
		proxies[i] = i % MG_PROXIES_MAX;
	}
	assert_int_equal(mg_steer_set_neighbours(steer, at, proxies, MG_NEIGHBOURS_MAX), 0);
	assert_int_equal(live_entries(cfg, "mg_neighbours"), MG_NEIGHBOURS_MAX);
	assert_int_equal(mg_steer_set_neighbours(steer, at, proxies, MG_NEIGHBOURS_MAX + 1),
			 -E2BIG);
	assert_int_equal(mg_steer_set_neighbours(steer, at + 5, proxies + 5, 2), 0);
	assert_int_equal(live_entries(cfg, "mg_neighbours"), 2);
	at[6].pad[0] = 0;
	assert_int_equal(bpf_map_lookup_elem(fd, &at[6], &proxy), 0);
	assert_int_equal(proxy, 6);
	close(fd);
}

static void test_mine(void **state)
{
	struct in6_addr ips[MG_MINE_MAX + 1];
	int fd = live_map(cfg, "mg_mine");
	uint8_t one = 0;

	(void)state;
	for (size_t i = 0; i <= MG_MINE_MAX; i++) {
		ips[i] = live_ep("[fd00:3::]:1").ip;
		ips[i].s6_addr[14] = (uint8_t)(i >> 8);
		ips[i].s6_addr[15] = (uint8_t)i;
	}
	assert_int_equal(mg_steer_set_mine(steer, ips, MG_MINE_MAX), 0);
	assert_int_equal(live_entries(cfg, "mg_mine"), MG_MINE_MAX);
	assert_int_equal(mg_steer_set_mine(steer, ips, MG_MINE_MAX + 1), -E2BIG);
	assert_int_equal(mg_steer_set_mine(steer, ips + 7, 3), 0);
	assert_int_equal(live_entries(cfg, "mg_mine"), 3);
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
	int fd = live_map(cfg, "mg_peers");
	struct mg_prefix from[MG_GATEWAYS_MAX + 1];

	(void)state;
	/* bits behind the length mean nothing, and change nothing */
	assert_int_equal(mg_prefix_parse(&from[0], "10.3.0.0/24"), 0);
	from[0].ip.s6_addr[15] = 77;
	assert_int_equal(mg_prefix_parse(&from[1], "fd00:7::/33"), 0);
	assert_int_equal(mg_prefix_parse(&from[2], "10.4.4.4"), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(mg_steer_set_peers(steer, from, 3), 0);
	assert_int_equal(live_entries(cfg, "mg_peers"), 3);
	assert_true(is_peer(fd, "10.3.0.1") && is_peer(fd, "10.3.0.255"));
	assert_false(is_peer(fd, "10.3.1.0"));
	assert_true(is_peer(fd, "10.4.4.4") && is_peer(fd, "fd00:7:7fff::1"));
	assert_false(is_peer(fd, "10.4.4.5") || is_peer(fd, "fd00:7:8000::1"));
	assert_int_equal(mg_steer_set_peers(steer, from + 2, 1), 0);
	assert_false(is_peer(fd, "10.3.0.1"));
	for (size_t i = 0; i <= MG_GATEWAYS_MAX; i++) {
		from[i] = from[2];
		from[i].len = 128;
		from[i].ip.s6_addr[14] = (uint8_t)(i >> 8);
		from[i].ip.s6_addr[15] = (uint8_t)i;
	}
	assert_int_equal(mg_steer_set_peers(steer, from, MG_GATEWAYS_MAX), 0);
	assert_int_equal(mg_steer_set_peers(steer, from + 1, MG_GATEWAYS_MAX), 0);
	assert_int_equal(live_entries(cfg, "mg_peers"), MG_GATEWAYS_MAX);
	assert_int_equal(mg_steer_set_peers(steer, from, MG_GATEWAYS_MAX + 1), -E2BIG);
	close(fd);
}

/* ---- tokens ---------------------------------------------------------------------------------- */
static uint32_t token_number(uint32_t i)
{
	return i * 2654435761U;
}

static int push(uint32_t i)
{
	struct mg_owners owners = { .proxy = (uint16_t)(i % 200 + 1), .second = 3, .since_s = i };

	return mg_steer_push(steer, token_number(i), &owners);
}

static void test_tokens(void **state)
{
	struct mg_owners owners;

	(void)state;
	assert_int_equal(mg_steer_find(steer, false, token_number(1), &owners), -ENOENT);
	assert_int_equal(push(1), 0);
	assert_int_equal(mg_steer_find(steer, false, token_number(1), &owners), 0);
	assert_int_equal(owners.proxy, 2);
	assert_int_equal(owners.second, 3);
	assert_int_equal(owners.since_s, 1);
	assert_int_equal(mg_steer_find(steer, true, token_number(1), &owners), -ENOENT);
	assert_int_equal(mg_steer_push(steer, token_number(1), NULL), 0);
	assert_int_equal(mg_steer_find(steer, false, token_number(1), &owners), -ENOENT);
	assert_int_equal(mg_steer_push(steer, token_number(1), NULL), 0);
}

static void test_tokens_full(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < LIVE_TOKENS; i++)
		assert_int_equal(push(i), 0);
	assert_int_equal(push(LIVE_TOKENS), -ENOSPC);
	assert_int_equal(push(5), 0);
	assert_int_equal(mg_steer_push(steer, token_number(6), NULL), 0);
	assert_int_equal(push(LIVE_TOKENS), 0);
}

struct seen {
	uint8_t times[LIVE_TOKENS];
	unsigned int n, strange;
};

static void see(void *ctx, uint32_t token, const struct mg_owners *owners)
{
	struct seen *s = ctx;

	s->n++;
	if (owners->since_s < LIVE_TOKENS && token == token_number(owners->since_s))
		s->times[owners->since_s]++;
	else
		s->strange++;
}

static void check_seen(bool learned, uint32_t n)
{
	struct seen *s = calloc(1, sizeof(*s));

	assert_int_equal(mg_steer_each(steer, learned, see, s), 0);
	assert_int_equal(s->n, n);
	assert_int_equal(s->strange, 0);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(s->times[i], 1);
	free(s);
}

static void test_each(void **state)
{
	int learned = live_map(cfg, "mg_learned");

	(void)state;
	check_seen(false, 0);
	check_seen(true, 0);
	for (uint32_t i = 0; i < LIVE_TOKENS; i++) {
		if (i == 1 || i == LIVE_TOKENS / 2)
			check_seen(false, i);
		assert_int_equal(push(i), 0);
	}
	check_seen(false, LIVE_TOKENS);
	for (uint32_t i = 0; i < 9; i++) {
		struct mg_owners owners = { .proxy = 1, .since_s = i };
		uint32_t token = token_number(i);

		assert_int_equal(bpf_map_update_elem(learned, &token, &owners, BPF_ANY), 0);
	}
	check_seen(true, 9);
	close(learned);
}

static void test_counters(void **state)
{
	uint64_t out[MG_STEER_COUNTER_COUNT];
	int cpus = libbpf_num_possible_cpus(), fd = live_map(cfg, "mg_steer_stats");
	uint64_t *values = calloc((size_t)cpus, sizeof(out));
	uint32_t zero = 0;

	(void)state;
	for (int c = 0; c < cpus; c++)
		for (int i = 0; i < MG_STEER_COUNTER_COUNT; i++)
			values[c * MG_STEER_COUNTER_COUNT + i] = (uint64_t)(i + 1) << (c ? 0 : 33);
	assert_int_equal(bpf_map_update_elem(fd, &zero, values, BPF_ANY), 0);
	assert_int_equal(mg_steer_counters_read(steer, out), 0);
	for (uint64_t i = 0; i < MG_STEER_COUNTER_COUNT; i++)
		assert_int_equal(out[i], (i + 1) * ((1ULL << 33) + (uint64_t)cpus - 1));
	free(values);
	close(fd);
}

/* ---- the ring -------------------------------------------------------------------------------- */
static struct mg_slot slot_in_map(uint32_t group, uint32_t slot)
{
	int fd = live_map(cfg, "mg_ring");
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
	assert_null(mg_steer_ring(steer, 0));
	assert_null(mg_steer_ring(steer, LIVE_GROUPS + 1));
	for (uint16_t g = 1; g <= LIVE_GROUPS; g++)
		for (size_t i = 0; i < 4; i++)
			mg_steer_ring(steer, g)[slots[i]] =
				(struct mg_slot){ g, (uint16_t)(i + 1), 99 };
	for (uint16_t g = 1; g <= LIVE_GROUPS; g++) {
		for (size_t i = 0; i < 4; i++) {
			struct mg_slot s = slot_in_map(g, slots[i]);

			assert_int_equal(s.current, g);
			assert_int_equal(s.previous, i + 1);
			assert_int_equal(s.changed_s, 99);
		}
		assert_int_equal(slot_in_map(g, 2).current, 0);
	}
}

/* ---- sizes ----------------------------------------------------------------------------------- */
static struct mg_tuple tuple_number(uint32_t i)
{
	struct mg_tuple t = { .client.port = (uint16_t)i, .server.port = 80 };

	memcpy(t.client.ip, live_ep("10.1.0.1:1").ip.s6_addr, 16);
	memcpy(t.server.ip, live_ep("10.9.0.1:1").ip.s6_addr, 16);
	return t;
}

static void put_flows(uint32_t first, uint32_t n)
{
	int fd = live_map(cfg, "mg_flows");

	for (uint32_t i = first; i < first + n; i++) {
		struct mg_steer_flow flow = { .proxy = 1, .isn = i };
		struct mg_tuple key = tuple_number(i);

		assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_ANY), 0);
	}
	close(fd);
}

static uint32_t count_flows(uint32_t first, uint32_t n)
{
	int fd = live_map(cfg, "mg_flows");
	uint32_t found = 0;

	for (uint32_t i = first; i < first + n; i++) {
		struct mg_tuple key = tuple_number(i);
		struct mg_steer_flow flow;

		found += !bpf_map_lookup_elem(fd, &key, &flow) && flow.isn == i;
	}
	close(fd);
	return found;
}

static void fill_all(void)
{
	live_fill(steer);
	put_flows(0, 500);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(push(i), 0);
	mg_steer_ring(steer, 2)[MG_RING_SLOTS - 1] = (struct mg_slot){ 5, 6, 7 };
}

static void check_all(void)
{
	struct mg_steer_proxy p;
	struct mg_steer_group g;

	assert_int_equal(count_flows(0, 500), 500);
	check_seen(false, 1000);
	assert_int_equal(mg_steer_get_proxy(steer, 1, &p), 0);
	assert_string_equal(p.name, "one");
	assert_int_equal(mg_steer_get_group(steer, 1, &g), 0);
	assert_string_equal(g.name, "all");
	assert_int_equal(live_entries(cfg, "mg_virtual"), 2);
	assert_int_equal(gateway_now().steers, 1);
	for (uint32_t i = 0; i < MG_RING_SLOTS; i++)
		if (mg_steer_ring(steer, 1)[i].current != 1)
			fail_msg("slot %u is lost", i);
}

static void test_same_sizes_are_the_same_maps(void **state)
{
	static const char *const maps[] = { "mg_gateway", "mg_proxies",	   "mg_groups", "mg_ring",
					    "mg_virtual", "mg_rules",	   "mg_flows",	"mg_pushed",
					    "mg_learned", "mg_neighbours", "mg_mine",	"mg_peers",
					    "mg_paths",	  "mg_steer_stats" };
	uint32_t ids[sizeof(maps) / sizeof(*maps)];

	(void)state;
	fill_all();
	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		ids[i] = live_map_id(cfg, maps[i]);
	reopen();
	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		assert_int_equal(live_map_id(cfg, maps[i]), ids[i]);
	check_all();
	assert_int_equal(mg_steer_ring(steer, 2)[MG_RING_SLOTS - 1].changed_s, 7);
}

static void test_larger(void **state)
{
	(void)state;
	fill_all();
	cfg->steer.gateway.flows_max = 10 * LIVE_FLOWS;
	cfg->steer.gateway.tokens_max = 10 * LIVE_TOKENS;
	cfg->steer.n_groups = LIVE_GROUPS + 3;
	reopen();
	check_all();
	assert_int_equal(mg_steer_ring(steer, 2)[MG_RING_SLOTS - 1].changed_s, 7);
	assert_non_null(mg_steer_ring(steer, LIVE_GROUPS + 3));
	assert_int_equal(mg_steer_ring(steer, LIVE_GROUPS + 3)[0].current, 0);
	for (uint32_t i = 1000; i < 2 * LIVE_TOKENS; i++)
		assert_int_equal(push(i), 0);
	/* and by the maps that are pinned now, which are these */
	reopen();
	assert_int_equal(push(3 * LIVE_TOKENS), 0);
	assert_int_equal(count_flows(0, 500), 500);
}

static void test_smaller(void **state)
{
	(void)state;
	fill_all();
	cfg->steer.gateway.flows_max = LIVE_FLOWS / 2;
	cfg->steer.gateway.tokens_max = 1000;
	cfg->steer.n_groups = 1;
	reopen();
	check_all();
	assert_null(mg_steer_ring(steer, 2));
	assert_int_equal(push(1000), -ENOSPC);
}

/* Of 1000 tokens 600 fit; the rest is warned of, and the gateway starts. */
static void test_too_small(void **state)
{
	struct seen *s = calloc(1, sizeof(*s));

	(void)state;
	fill_all();
	cfg->steer.gateway.tokens_max = 600;
	reopen();
	assert_int_equal(mg_steer_each(steer, false, see, s), 0);
	assert_int_equal(s->n, 600);
	assert_int_equal(s->strange, 0);
	free(s);
}

/* A group that is used keeps its number, and with it its ring. */
static void test_ring_of_a_high_group(void **state)
{
	struct mg_steer_group g = { .used = 1 };

	(void)state;
	fill_all();
	assert_int_equal(mg_steer_set_group(steer, 2, &g), 0);
	cfg->steer.n_groups = 1;
	reopen();
	assert_non_null(mg_steer_ring(steer, 2));
	assert_int_equal(mg_steer_ring(steer, 2)[MG_RING_SLOTS - 1].changed_s, 7);
	g.used = 0;
	assert_int_equal(mg_steer_set_group(steer, 2, &g), 0);
	reopen();
	assert_null(mg_steer_ring(steer, 2));
	check_all();
}

/* ---- where to? ------------------------------------------------------------------------------- */
static struct mg_decision locate(const struct mg_steer_probe *probe)
{
	struct mg_decision d;

	assert_int_equal(mg_steer_locate(steer, probe, &d), 0);
	return d;
}

static void check_located(const char *client, const char *server)
{
	struct mg_steer_probe probe = { .kind = MG_PROBE_SYN,
					.client = live_ep(client),
					.server = live_ep(server) };
	struct mg_decision d = locate(&probe);

	assert_int_equal(d.what, MG_STEER_DELIVER);
	assert_int_equal(d.why, MG_STEER_RING);
	assert_int_equal(d.proxy, 1);
	assert_int_equal(d.group, 1);
	assert_int_equal(d.has_slot, 1);
	assert_true(d.slot < MG_RING_SLOTS);
	probe.kind = MG_PROBE_CAPABLE;
	assert_int_equal(locate(&probe).why, MG_STEER_RING);
	assert_int_equal(locate(&probe).slot, d.slot);
	probe.kind = MG_PROBE_DATA;
	assert_int_equal(locate(&probe).why, MG_STEER_RING_PREVIOUS);
	probe.kind = MG_PROBE_JOIN;
	probe.token = token_number(3);
	d = locate(&probe);
	assert_int_equal(d.what, MG_STEER_DELIVER);
	assert_int_equal(d.why, MG_STEER_TOKEN_PUSHED);
	assert_int_equal(d.token, token_number(3));
	assert_int_equal(d.proxy, 4);
	probe.token++;
	d = locate(&probe);
	assert_int_equal(d.what, MG_STEER_DROP);
	assert_int_equal(d.why, MG_STEER_UNKNOWN_JOIN);
	assert_int_equal(d.reason, MG_REASON_UNKNOWN_JOIN);
}

static void test_locate(void **state)
{
	struct mg_owners owners = { .proxy = 4 };
	struct mg_steer_proxy four = { .used = 1, .deliver = MG_DELIVER_L2, .ifindex = 1 };
	uint64_t counted[MG_STEER_COUNTER_COUNT];

	(void)state;
	live_fill(steer);
	assert_int_equal(mg_steer_set_proxy(steer, 4, &four), 0);
	assert_int_equal(mg_steer_push(steer, token_number(3), &owners), 0);
	check_located("10.1.0.1:40000", "10.9.0.1:5124");
	check_located("[fd00:1::1]:40000", "[fd00:9::1]:5124");
	assert_int_equal(live_entries(cfg, "mg_flows"), 0);
	assert_int_equal(mg_steer_counters_read(steer, counted), 0);
	for (size_t i = 0; i < MG_STEER_COUNTER_COUNT; i++)
		assert_int_equal(counted[i], 0);
}

/* It is the interface's own index that rules see, and its own side. */
static void test_locate_by_interface(void **state)
{
	struct mg_rule rule = { .ifindex = if_nametoindex("px0"), .group = 1 };
	struct mg_steer_probe probe = { .kind = MG_PROBE_CAPABLE,
					.client = live_ep("10.1.0.1:40000"),
					.server = live_ep("10.4.0.2:80") };

	(void)state;
	live_fill(steer);
	assert_int_equal(mg_steer_set_rules(steer, &rule, 1), 0);
	assert_int_equal(locate(&probe).rule, 1);
	assert_int_equal(locate(&probe).what, MG_STEER_DELIVER);
	probe.interface = "px0";
	assert_int_equal(locate(&probe).rule, 1);
	probe.interface = "px1";
	assert_int_equal(locate(&probe).rule, 0);
	assert_int_equal(locate(&probe).why, MG_STEER_NOT_OURS);
	probe.interface = NULL;
	rule.ifindex++;
	assert_int_equal(mg_steer_set_rules(steer, &rule, 1), 0);
	assert_int_equal(locate(&probe).why, MG_STEER_NOT_OURS);
}

static void test_locate_refuses(void **state)
{
	struct mg_steer_probe probe = { .interface = "lo",
					.client = live_ep("10.1.0.1:40000"),
					.server = live_ep("10.4.0.2:80") };
	struct mg_decision d;

	(void)state;
	assert_int_equal(mg_steer_locate(steer, &probe, &d), -ENODEV);
	probe.interface = "px0";
	probe.server = live_ep("[fd00:9::1]:5124");
	assert_int_equal(mg_steer_locate(steer, &probe, &d), -EAFNOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_proxies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_groups, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rules, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gateway_keeps_rules, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_virtual, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sets_have_no_gap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_neighbours, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mine, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_peers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tokens, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tokens_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_counters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_same_sizes_are_the_same_maps, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_larger, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_smaller, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_small, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ring_of_a_high_group, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_locate, set_up_attached, tear_down),
		cmocka_unit_test_setup_teardown(test_locate_by_interface, set_up_attached,
						tear_down),
		cmocka_unit_test_setup_teardown(test_locate_refuses, set_up_attached, tear_down),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
