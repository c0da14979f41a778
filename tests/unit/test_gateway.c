// SPDX-License-Identifier: BSD-2-Clause
/*
 * The corridor between configuration, checks, ways and the store on the one side and the maps on
 * the other: numbers that stay, rings that follow states, drains. Maps, checks and ways are this
 * file's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "gateway/gateway.h"
#include "sys/nexthop.h"

#define CHECKS_MAX 64
#define RINGS	   4 /* so many groups at a time */
#define HEAD                                                                                     \
	"node: gw1\ninterfaces: [ { name: a0, role: access }, { name: c0, role: core } ]\n"      \
	"gateway: { flows_max: 1024, tokens_max: 1024, unknown_join: pass, learn_per_second: 7 " \
	"}\n"
#define PX1 "{ name: px1, address: 10.3.0.2 }"
#define PX2 "{ name: px2, address: 10.3.0.3, deliver: l2, weight: 3 }"
#define PX3 "{ name: px3, address: 'fd00::4' }"
#define LED "virtual: [ { address: '10.9.0.1:5124', group: metro } ]\n"

static const char two[] = HEAD "proxies: [ " PX1 ", " PX2 " ]\n"
			       "groups: [ { name: metro, members: [ px1, px2 ] } ]\n" LED;

/* ---- the maps ------------------------------------------------------------------------------ */

static struct {
	struct mg_gateway gateway;
	struct mg_steer_proxy proxies[MG_PROXIES_MAX];
	struct mg_steer_group groups[MG_GROUPS_MAX];
	struct mg_slot rings[RINGS + 1][MG_RING_SLOTS];
	struct mg_ep virtuals[8];
	uint16_t virtual_groups[8];
	size_t n_virtuals, n_rules, n_neighbours, n_mine, n_peers;
	struct mg_rule rules[8];
	struct mg_neighbour neighbours[8];
	uint16_t neighbour_proxies[8];
	struct {
		uint32_t token;
		struct mg_owners owners;
	} pushed[8];
	size_t n_pushed;
} maps;

int __wrap_mg_steer_set_gateway(struct mg_steer *s, const struct mg_gateway *g);
int __wrap_mg_steer_set_proxy(struct mg_steer *s, uint16_t i, const struct mg_steer_proxy *p);
int __wrap_mg_steer_get_proxy(const struct mg_steer *s, uint16_t i, struct mg_steer_proxy *p);
int __wrap_mg_steer_set_group(struct mg_steer *s, uint16_t i, const struct mg_steer_group *g);
int __wrap_mg_steer_get_group(const struct mg_steer *s, uint16_t i, struct mg_steer_group *g);
struct mg_slot *__wrap_mg_steer_ring(struct mg_steer *s, uint16_t group);
int __wrap_mg_steer_set_virtual(struct mg_steer *s, const struct mg_ep *eps, const uint16_t *groups,
				size_t n);
int __wrap_mg_steer_set_rules(struct mg_steer *s, const struct mg_rule *rules, size_t n);
int __wrap_mg_steer_set_neighbours(struct mg_steer *s, const struct mg_neighbour *at,
				   const uint16_t *proxies, size_t n);
int __wrap_mg_steer_set_mine(struct mg_steer *s, const struct in6_addr *ips, size_t n);
int __wrap_mg_steer_set_peers(struct mg_steer *s, const struct mg_prefix *from, size_t n);
int __wrap_mg_steer_push(struct mg_steer *s, uint32_t token, const struct mg_owners *owners);
int __wrap_mg_steer_each(const struct mg_steer *s, bool learned,
			 void (*fn)(void *ctx, uint32_t token, const struct mg_owners *owners),
			 void *ctx);
int __wrap_mg_nexthop_find(const struct in6_addr *to, struct mg_nexthop *out);
int __wrap_mg_nexthop_watch(void);
bool __wrap_mg_nexthop_watch_drain(int fd);
int __wrap_mg_check_open(struct mg_check **out, struct mg_loop *l,
			 const struct mg_check_options *o);
void __wrap_mg_check_close(struct mg_check *c);
void __wrap_mg_check_state(const struct mg_check *c, struct mg_check_state *out);

int __wrap_mg_steer_set_gateway(struct mg_steer *s, const struct mg_gateway *g)
{
	(void)s;
	maps.gateway = *g;
	return 0;
}

int __wrap_mg_steer_set_proxy(struct mg_steer *s, uint16_t i, const struct mg_steer_proxy *p)
{
	(void)s;
	assert_in_range(i, 1, MG_PROXIES_MAX - 1);
	maps.proxies[i] = *p;
	return 0;
}

int __wrap_mg_steer_get_proxy(const struct mg_steer *s, uint16_t i, struct mg_steer_proxy *p)
{
	(void)s;
	*p = maps.proxies[i];
	return 0;
}

int __wrap_mg_steer_set_group(struct mg_steer *s, uint16_t i, const struct mg_steer_group *g)
{
	(void)s;
	assert_in_range(i, 1, RINGS);
	maps.groups[i] = *g;
	return 0;
}

int __wrap_mg_steer_get_group(const struct mg_steer *s, uint16_t i, struct mg_steer_group *g)
{
	(void)s;
	*g = maps.groups[i];
	return 0;
}

struct mg_slot *__wrap_mg_steer_ring(struct mg_steer *s, uint16_t group)
{
	(void)s;
	return group && group <= RINGS ? maps.rings[group] : NULL;
}

int __wrap_mg_steer_set_virtual(struct mg_steer *s, const struct mg_ep *eps, const uint16_t *groups,
				size_t n)
{
	(void)s;
	assert_true(n <= 8);
	memcpy(maps.virtuals, eps, n * sizeof(*eps));
	memcpy(maps.virtual_groups, groups, n * sizeof(*groups));
	maps.n_virtuals = n;
	return 0;
}

int __wrap_mg_steer_set_rules(struct mg_steer *s, const struct mg_rule *rules, size_t n)
{
	(void)s;
	assert_true(n <= 8);
	memcpy(maps.rules, rules, n * sizeof(*rules));
	maps.n_rules = n;
	return 0;
}

int __wrap_mg_steer_set_neighbours(struct mg_steer *s, const struct mg_neighbour *at,
				   const uint16_t *proxies, size_t n)
{
	(void)s;
	assert_true(n <= 8);
	memcpy(maps.neighbours, at, n * sizeof(*at));
	memcpy(maps.neighbour_proxies, proxies, n * sizeof(*proxies));
	maps.n_neighbours = n;
	return 0;
}

int __wrap_mg_steer_set_mine(struct mg_steer *s, const struct in6_addr *ips, size_t n)
{
	(void)s;
	(void)ips;
	maps.n_mine = n;
	return 0;
}

int __wrap_mg_steer_set_peers(struct mg_steer *s, const struct mg_prefix *from, size_t n)
{
	(void)s;
	(void)from;
	maps.n_peers = n;
	return 0;
}

int __wrap_mg_steer_push(struct mg_steer *s, uint32_t token, const struct mg_owners *owners)
{
	size_t i = 0;

	(void)s;
	while (i < maps.n_pushed && maps.pushed[i].token != token)
		i++;
	if (!owners && i == maps.n_pushed)
		return -ENOENT;
	if (!owners) {
		maps.pushed[i] = maps.pushed[--maps.n_pushed];
		return 0;
	}
	assert_true(i < 8);
	maps.pushed[i].token = token;
	maps.pushed[i].owners = *owners;
	maps.n_pushed += i == maps.n_pushed;
	return 0;
}

int __wrap_mg_steer_each(const struct mg_steer *s, bool learned,
			 void (*fn)(void *ctx, uint32_t token, const struct mg_owners *owners),
			 void *ctx)
{
	(void)s;
	assert_false(learned);
	for (size_t i = 0; i < maps.n_pushed; i++)
		fn(ctx, maps.pushed[i].token, &maps.pushed[i].owners);
	return 0;
}

/* ---- ways ---------------------------------------------------------------------------------- */

static int way_err;
static bool behind_router;

int __wrap_mg_nexthop_find(const struct in6_addr *to, struct mg_nexthop *out)
{
	if (way_err)
		return way_err;
	*out = (struct mg_nexthop){ .ifindex = 5, .mtu_bytes = 1500, .on_link = !behind_router };
	out->dmac[5] = behind_router ? 1 : to->s6_addr[15];
	out->smac[5] = 0xee;
	return mg_ip_parse(&out->source, mg_ip_is_v4(to) ? "10.3.0.1" : "fd00::1");
}

int __wrap_mg_nexthop_watch(void)
{
	return eventfd(0, EFD_NONBLOCK);
}

bool __wrap_mg_nexthop_watch_drain(int fd)
{
	(void)fd;
	return true;
}

/* ---- checks -------------------------------------------------------------------------------- */

struct mg_check {
	struct mg_check_options options;
	struct mg_check_state state;
};

static struct mg_check *checks[CHECKS_MAX];
static size_t n_checks;

int __wrap_mg_check_open(struct mg_check **out, struct mg_loop *l, const struct mg_check_options *o)
{
	(void)l;
	assert_true(n_checks < CHECKS_MAX);
	*out = calloc(1, sizeof(**out));
	(*out)->options = *o;
	(*out)->state.up = o->presumed == MG_CHECK_UP;
	checks[n_checks++] = *out;
	return 0;
}

void __wrap_mg_check_close(struct mg_check *c)
{
	for (size_t i = 0; i < n_checks; i++) {
		if (checks[i] == c)
			checks[i] = checks[--n_checks];
	}
	free(c);
}

void __wrap_mg_check_state(const struct mg_check *c, struct mg_check_state *out)
{
	*out = c->state;
}

static struct mg_check *check_of(const char *to)
{
	char text[MG_EP_STRLEN];

	for (size_t i = 0; i < n_checks; i++) {
		if (strcmp(mg_ep_format(text, &checks[i]->options.to), to) == 0)
			return checks[i];
	}
	fail_msg("nobody asks %s", to);
	return NULL;
}

static void set_up(const char *to, bool up)
{
	struct mg_check *c = check_of(to);

	c->state.up = up;
	c->options.changed(c->options.ctx);
}

/* ---- the rig ------------------------------------------------------------------------------- */

static struct mg_loop loop;
static struct mg_gate *gate;
static struct mg_config *config;
static struct mg_rtnl_own own;
static struct in6_addr own_ips[3];

static struct mg_config *parse(const char *text)
{
	struct mg_config *c;

	assert_int_equal(mg_config_parse(&c, "test", text, strlen(text), stderr), 0);
	return c;
}

static void open_gate(const char *text)
{
	config = parse(text);
	assert_int_equal(mg_gate_open(&gate, &loop, NULL, config, &own), 0);
}

/* As when the daemon ends: the maps stay. */
static void close_gate(void)
{
	mg_gate_close(gate);
	mg_config_free(config);
	gate = NULL;
	config = NULL;
	assert_int_equal(n_checks, 0);
}

static void reload(const char *text)
{
	struct mg_config *next = parse(text);

	assert_int_equal(mg_gate_reload(gate, next), 0);
	mg_config_free(config);
	config = next;
}

static int start(void **state)
{
	(void)state;
	memset(&maps, 0, sizeof(maps));
	way_err = 0;
	behind_router = false;
	mg_ip_parse(&own_ips[0], "10.1.0.1");
	mg_ip_parse(&own_ips[1], "127.0.0.1");
	mg_ip_parse(&own_ips[2], "fe80::1");
	own = (struct mg_rtnl_own){ .ips = own_ips, .n_ips = 3 };
	return mg_loop_init(&loop, NULL, NULL);
}

static int stop(void **state)
{
	(void)state;
	if (gate)
		close_gate();
	mg_loop_free(&loop);
	return 0;
}

static size_t slots(uint16_t group, uint16_t proxy)
{
	size_t n = 0;

	for (size_t i = 0; i < MG_RING_SLOTS; i++)
		n += maps.rings[group][i].current == proxy;
	return n;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void test_from_nothing(void **state)
{
	(void)state;
	open_gate(two);
	assert_string_equal(maps.proxies[1].name, "px1");
	assert_string_equal(maps.proxies[2].name, "px2");
	assert_int_equal(maps.proxies[1].state, MG_MEMBER_DOWN);
	assert_int_equal(maps.proxies[1].deliver, MG_DELIVER_IPIP);
	assert_int_equal(maps.proxies[2].deliver, MG_DELIVER_L2);
	assert_int_equal(maps.proxies[1].ifindex, 5);
	assert_int_equal(maps.proxies[1].dmac[5], 2);
	assert_int_equal(maps.proxies[1].ip[15], 2);
	assert_int_equal(maps.proxies[1].source[15], 1);
	assert_string_equal(maps.groups[1].name, "metro");
	assert_int_equal(maps.groups[1].n_up, 0);
	assert_int_equal(slots(1, 0), MG_RING_SLOTS);
	assert_int_equal(maps.n_virtuals, 1);
	assert_int_equal(maps.virtual_groups[0], 1);
	assert_true(maps.gateway.steers);
	assert_int_equal(maps.gateway.self, 0);
	assert_int_equal(maps.gateway.unknown_join, MG_UNKNOWN_PASS);
	assert_int_equal(maps.gateway.learn_per_second, 7);
	/* What faces proxies, before other addresses; none of a family there is none of. */
	assert_int_equal(maps.gateway.ip4[13], 3);
	assert_int_equal(maps.gateway.ip6[15], 0);
	assert_int_equal(maps.n_mine, 1);
	assert_int_equal(maps.n_neighbours, 2);
	assert_int_equal(maps.neighbour_proxies[0], 1);
	set_up("10.3.0.2:5124", true);
	assert_int_equal(maps.groups[1].n_up, 1);
	assert_int_equal(slots(1, 1), MG_RING_SLOTS);
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
	assert_in_range(slots(1, 2), MG_RING_SLOTS * 3 / 4 - 2, MG_RING_SLOTS * 3 / 4 + 2);
}

static void test_restart_moves_nothing(void **state)
{
	static struct mg_slot before[MG_RING_SLOTS];

	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	set_up("10.3.0.3:5124", true);
	memcpy(before, maps.rings[1], sizeof(before));
	close_gate();
	open_gate(HEAD "proxies: [ " PX3 ", " PX2 ", " PX1 " ]\n"
		       "groups: [ { name: first, members: [ px3 ] },"
		       " { name: metro, members: [ px2, px1 ] } ]\n"
		       "virtual: [ { address: '10.9.0.1:5124', group: metro },"
		       " { address: '10.9.0.2:5124', group: first } ]\n");
	assert_string_equal(maps.proxies[1].name, "px1");
	assert_string_equal(maps.proxies[2].name, "px2");
	assert_string_equal(maps.proxies[3].name, "px3");
	assert_int_equal(maps.proxies[1].state, MG_MEMBER_UP);
	assert_int_equal(maps.proxies[3].state, MG_MEMBER_DOWN);
	assert_memory_equal(before, maps.rings[1], sizeof(before));
	assert_int_equal(maps.virtual_groups[0], 1);
	assert_int_equal(maps.virtual_groups[1], 2);
	assert_string_equal(maps.groups[2].name, "first");
}

static void test_reload_keeps_numbers(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	set_up("10.3.0.3:5124", true);
	reload(HEAD "proxies: [ " PX2 ", " PX3 " ]\n"
		    "groups: [ { name: metro, members: [ px3, px2 ] } ]\n" LED);
	assert_int_equal(maps.proxies[1].used, 0);
	assert_string_equal(maps.proxies[2].name, "px2");
	assert_string_equal(maps.proxies[3].name, "px3");
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
	assert_int_equal(n_checks, 2);
	assert_int_equal(slots(1, 2), MG_RING_SLOTS);
	/* It comes back to its number, and to what it had. */
	reload(two);
	assert_string_equal(maps.proxies[1].name, "px1");
	assert_int_equal(maps.proxies[1].used, 1);
	assert_int_equal(maps.proxies[3].used, 0);
	assert_int_equal(maps.proxies[1].state, MG_MEMBER_DOWN);
}

/* Names that come and go use up no numbers, and what another left is not theirs. */
static void test_numbers_used_again(void **state)
{
	char text[1024];

	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	for (int i = 0; i < 600; i++) {
		snprintf(text, sizeof(text),
			 HEAD "proxies: [ " PX1 ", { name: other%d, address: 10.3.1.1 } ]\n"
			      "groups: [ { name: g%d, members: [ px1, other%d ] } ]\n"
			      "virtual: [ { address: '10.9.0.1:5124', group: g%d } ]\n",
			 i, i, i, i);
		reload(text);
		assert_string_equal(maps.proxies[1].name, "px1");
		assert_true(maps.proxies[1].used);
		assert_int_equal(slots(maps.virtual_groups[0], 1), MG_RING_SLOTS);
	}
}

static void test_drain(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	set_up("10.3.0.3:5124", true);
	assert_int_equal(mg_gate_drain(gate, "px9", true), -ENOENT);
	assert_int_equal(mg_gate_drain(gate, "px2", true), 0);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	assert_int_equal(slots(1, 1), MG_RING_SLOTS);
	assert_int_equal(maps.groups[1].n_up, 1);
	/* Dead is more than drained. */
	set_up("10.3.0.3:5124", false);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DOWN);
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	/* A restart and a reload forget it not. */
	close_gate();
	open_gate(two);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	reload(two);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	loop.now_ms += 1000000;
	mg_timers_run(&loop.timers, loop.now_ms);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	assert_int_equal(mg_gate_drain(gate, "px2", false), 0);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
	assert_true(slots(1, 2) > MG_RING_SLOTS / 2);
}

/* It drains itself: no new sessions, but joins. */
static void test_refuses(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	check_of("10.3.0.3:5124")->state.refuses = true;
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_DRAINING);
	assert_int_equal(slots(1, 2), 0);
	check_of("10.3.0.3:5124")->state.refuses = false;
	set_up("10.3.0.3:5124", true);
	assert_int_equal(maps.proxies[2].state, MG_MEMBER_UP);
}

/* Each group asks its own question; for joins it is up if it is for any. */
static void test_up_for_one_group(void **state)
{
	(void)state;
	open_gate(HEAD "proxies: [ " PX1 " ]\n"
		       "groups: [ { name: metro, members: [ px1 ], on_failure: closed },"
		       " { name: web, members: [ px1 ], check: { port: 80, by: tcp } },"
		       " { name: same, members: [ px1 ] } ]\n"
		       "virtual: [ { address: '10.9.0.1:5124', group: metro },"
		       " { address: '10.9.0.2:80', group: web },"
		       " { address: '10.9.0.3:5124', group: same } ]\n");
	assert_int_equal(n_checks, 2);
	assert_true(maps.groups[1].closed);
	assert_false(maps.groups[2].closed);
	set_up("10.3.0.2:80", true);
	assert_int_equal(maps.proxies[1].state, MG_MEMBER_UP);
	assert_int_equal(maps.groups[1].n_up, 0);
	assert_int_equal(maps.groups[2].n_up, 1);
	assert_int_equal(slots(1, 0), MG_RING_SLOTS);
	assert_int_equal(slots(2, 1), MG_RING_SLOTS);
	set_up("10.3.0.2:5124", true);
	assert_int_equal(maps.groups[1].n_up, 1);
	assert_int_equal(maps.groups[3].n_up, 1);
}

static void test_rules(void **state)
{
	(void)state;
	open_gate(HEAD "proxies: [ " PX1 " ]\n"
		       "groups: [ { name: metro, members: [ px1 ] } ]\n"
		       "selection:\n"
		       "  - { access: 10.1.0.0/16, service: '0.0.0.0/0:443', group: metro }\n"
		       "  - { interface: a0, group: metro }\n");
	assert_int_equal(maps.n_rules, 2);
	assert_int_equal(maps.gateway.n_rules, 2);
	assert_int_equal(maps.rules[0].client_bits, 112);
	assert_int_equal(maps.rules[0].service_bits, 96);
	assert_int_equal(maps.rules[0].port, 443);
	assert_int_equal(maps.rules[0].ifindex, 0);
	assert_int_equal(maps.rules[0].group, 1);
	assert_int_equal(maps.rules[0].fallback, 0);
	/* An interface that is not there is not any. */
	assert_int_equal(maps.rules[1].ifindex, UINT32_MAX);
	assert_int_equal(maps.rules[1].client_bits, 0);
}

static void test_ways(void **state)
{
	(void)state;
	open_gate(two);
	set_up("10.3.0.2:5124", true);
	/* The neighbour is asked for again: the last way stays. */
	way_err = -EAGAIN;
	mg_gate_look(gate);
	assert_int_equal(maps.proxies[1].ifindex, 5);
	way_err = -ENETUNREACH;
	mg_gate_look(gate);
	assert_int_equal(maps.proxies[1].ifindex, 0);
	assert_int_equal(maps.n_neighbours, 0);
	way_err = 0;
	mg_gate_look(gate);
	assert_int_equal(maps.proxies[1].ifindex, 5);
	/* One MAC address for all: theirs is not known by it, and l2 has no way. */
	behind_router = true;
	mg_gate_look(gate);
	assert_int_equal(maps.proxies[1].ifindex, 5);
	assert_int_equal(maps.proxies[2].ifindex, 0);
	assert_int_equal(maps.n_neighbours, 1);
	assert_int_equal(maps.neighbour_proxies[0], 0);
}

static void test_tokens_of_a_former_daemon(void **state)
{
	const struct mg_owners px1 = { .proxy = 1 }, both = { .proxy = 2, .second = 1 },
			       nobody = { .proxy = 77 };

	(void)state;
	open_gate(two);
	close_gate();
	__wrap_mg_steer_push(NULL, 0xa1, &px1);
	__wrap_mg_steer_push(NULL, 0xb2, &both);
	__wrap_mg_steer_push(NULL, 0xc3, &nobody);
	open_gate(two);
	assert_int_equal(maps.n_pushed, 2);
	/* Without px2 its tokens go, what px1 has too stays. */
	reload(HEAD "proxies: [ " PX1 " ]\ngroups: [ { name: metro, members: [ px1 ] } ]\n" LED);
	assert_int_equal(maps.n_pushed, 2);
	assert_int_equal(maps.pushed[1].owners.proxy, 1);
	assert_int_equal(maps.pushed[1].owners.second, 0);
}

/* Not a gateway: who it is, who may send to it, and its own tokens. */
static void test_proxy_alone(void **state)
{
	const uint32_t tokens[] = { 3, 4 };

	(void)state;
	open_gate("node: px1\nconverter: { listen: [ '10.3.0.2:5124' ] }\n"
		  "interfaces: [ { name: a0, role: access } ]\n"
		  "gateways: [ 10.3.0.0/24 ]\nproxies: [ " PX1 ", " PX2 " ]\n");
	assert_false(maps.gateway.steers);
	assert_int_equal(maps.gateway.self, 1);
	assert_string_equal(maps.proxies[1].name, "px1");
	assert_int_equal(maps.proxies[1].deliver, MG_DELIVER_LOCAL);
	assert_int_equal(maps.proxies[2].used, 0);
	assert_int_equal(maps.n_peers, 1);
	assert_int_equal(maps.n_virtuals, 0);
	assert_int_equal(n_checks, 0);
	mg_gate_own(gate, 3, true);
	assert_int_equal(maps.n_pushed, 1);
	assert_int_equal(maps.pushed[0].owners.proxy, 1);
	mg_gate_own_all(gate, tokens, 2);
	assert_int_equal(maps.n_pushed, 2);
	mg_gate_own(gate, 3, false);
	assert_int_equal(maps.n_pushed, 1);
	mg_gate_own_all(gate, NULL, 0);
	assert_int_equal(maps.n_pushed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_from_nothing),
		TEST(test_restart_moves_nothing),
		TEST(test_reload_keeps_numbers),
		TEST(test_numbers_used_again),
		TEST(test_drain),
		TEST(test_refuses),
		TEST(test_up_for_one_group),
		TEST(test_rules),
		TEST(test_ways),
		TEST(test_tokens_of_a_former_daemon),
		TEST(test_proxy_alone),
	};

	return cmocka_run_group_tests_name("gateway", tests, NULL, NULL);
}
