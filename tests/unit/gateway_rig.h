/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gateway's corridor without kernel and network: maps, ways and checks are this file's own, and
 * are looked at and set by its tests. Link with WRAP_test_gateway.
 */
#ifndef MG_TEST_GATEWAY_RIG_H
#define MG_TEST_GATEWAY_RIG_H

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
	(*out)->state.refuses = o->presumed == MG_CHECK_REFUSING;
	(*out)->state.up = o->presumed == MG_CHECK_UP || (*out)->state.refuses;
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

#endif
