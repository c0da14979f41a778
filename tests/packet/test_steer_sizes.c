// SPDX-License-Identifier: BSD-2-Clause
/*
 * The maps of steering at the next start: the same ones, or others with what those knew.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "gateway_rig.h"

static struct mg_tuple tuple_number(uint32_t i)
{
	struct mg_tuple t = { .client.port = (uint16_t)i, .server.port = 80 };

	memcpy(t.client.ip, gw_ep("10.1.0.1:1").ip.s6_addr, 16);
	memcpy(t.server.ip, gw_ep("10.9.0.1:1").ip.s6_addr, 16);
	return t;
}

static void put_flows(uint32_t first, uint32_t n)
{
	int fd = gw_map("mg_flows");

	for (uint32_t i = first; i < first + n; i++) {
		struct mg_steer_flow flow = { .proxy = 1, .isn = i };
		struct mg_tuple key = tuple_number(i);

		assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_ANY), 0);
	}
	close(fd);
}

static uint32_t count_flows(uint32_t first, uint32_t n)
{
	int fd = gw_map("mg_flows");
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
	gw_fill(gw_steer);
	put_flows(0, 500);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(gw_push(i), 0);
	mg_steer_ring(gw_steer, 2)[MG_RING_SLOTS - 1] = (struct mg_slot){ 5, 6, 7 };
}

static void check_all(void)
{
	struct mg_steer_proxy p;
	struct mg_steer_group g;

	assert_int_equal(count_flows(0, 500), 500);
	gw_check_tokens(false, 1000);
	assert_int_equal(mg_steer_get_proxy(gw_steer, 1, &p), 0);
	assert_string_equal(p.name, "one");
	assert_int_equal(mg_steer_get_group(gw_steer, 1, &g), 0);
	assert_string_equal(g.name, "all");
	assert_int_equal(gw_entries("mg_virtual"), 4);
	for (uint32_t i = 0; i < MG_RING_SLOTS; i++)
		if (mg_steer_ring(gw_steer, 1)[i].current != 1)
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
		ids[i] = gw_map_id(maps[i]);
	gw_reopen();
	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		assert_int_equal(gw_map_id(maps[i]), ids[i]);
	check_all();
	assert_int_equal(mg_steer_ring(gw_steer, 2)[MG_RING_SLOTS - 1].changed_s, 7);
}

static void test_larger(void **state)
{
	(void)state;
	fill_all();
	gw_cfg->steer.gateway.flows_max = 10 * GW_FLOWS;
	gw_cfg->steer.gateway.tokens_max = 10 * GW_TOKENS;
	gw_cfg->steer.n_groups = GW_GROUPS + 3;
	gw_reopen();
	check_all();
	assert_int_equal(mg_steer_ring(gw_steer, 2)[MG_RING_SLOTS - 1].changed_s, 7);
	assert_non_null(mg_steer_ring(gw_steer, GW_GROUPS + 3));
	assert_int_equal(mg_steer_ring(gw_steer, GW_GROUPS + 3)[0].current, 0);
	for (uint32_t i = 1000; i < 2 * GW_TOKENS; i++)
		assert_int_equal(gw_push(i), 0);
	/* and by the maps that are pinned now, which are these */
	gw_reopen();
	assert_int_equal(gw_push(3 * GW_TOKENS), 0);
	assert_int_equal(count_flows(0, 500), 500);
}

static void test_smaller(void **state)
{
	(void)state;
	fill_all();
	gw_cfg->steer.gateway.flows_max = GW_FLOWS / 2;
	gw_cfg->steer.gateway.tokens_max = 1000;
	gw_cfg->steer.n_groups = 1;
	gw_reopen();
	check_all();
	assert_null(mg_steer_ring(gw_steer, 2));
	assert_int_equal(gw_push(1000), -ENOSPC);
}

/* Of 1000 tokens 600 fit; the rest is warned of, and the gateway starts. */
static void test_too_small(void **state)
{
	(void)state;
	fill_all();
	gw_cfg->steer.gateway.tokens_max = 600;
	gw_reopen();
	assert_int_equal(gw_entries("mg_pushed"), 600);
}

/* A group that is used keeps its number, and with it its ring. */
static void test_ring_of_a_high_group(void **state)
{
	struct mg_steer_group g = { .used = 1 };

	(void)state;
	fill_all();
	assert_int_equal(mg_steer_set_group(gw_steer, 2, &g), 0);
	gw_cfg->steer.n_groups = 1;
	gw_reopen();
	assert_non_null(mg_steer_ring(gw_steer, 2));
	assert_int_equal(mg_steer_ring(gw_steer, 2)[MG_RING_SLOTS - 1].changed_s, 7);
	g.used = 0;
	assert_int_equal(mg_steer_set_group(gw_steer, 2, &g), 0);
	gw_reopen();
	assert_null(mg_steer_ring(gw_steer, 2));
	check_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_sizes_are_the_same_maps, gw_set_up_maps,
						gw_tear_down),
		cmocka_unit_test_setup_teardown(test_larger, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_smaller, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_too_small, gw_set_up_maps, gw_tear_down),
		cmocka_unit_test_setup_teardown(test_ring_of_a_high_group, gw_set_up_maps,
						gw_tear_down),
	};

	return cmocka_run_group_tests(tests, gw_enter, NULL);
}
