// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/gateway.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/log.h"

/* Heartbeats that may be missed, see store.h, and some time to come back to a store. */
#define HEARTBEATS 3
#define RETURN_MS  2000

static uint32_t patience_ms(const struct mg_config *c)
{
	return c->steer.store_heartbeat_ms * HEARTBEATS + RETURN_MS;
}

/* A gateway hears of its own tokens from its store, as of those of others. */
static bool told_by_store(const struct mg_gate *g)
{
	return g->config->steer.is_gateway;
}

/* ---- what the store tells ------------------------------------------------------------------ */

static void on_token(void *ctx, const char *proxy, uint32_t token, bool owned)
{
	mg_directory_token(((struct mg_gate *)ctx)->directory, proxy, token, owned);
}

static void on_resync(void *ctx, const char *proxy)
{
	mg_directory_resync(((struct mg_gate *)ctx)->directory, proxy);
}

static void on_resync_done(void *ctx, const char *proxy)
{
	mg_directory_resync_done(((struct mg_gate *)ctx)->directory, proxy);
}

static void on_member(void *ctx, const struct mg_store_member *m)
{
	mg_directory_member(((struct mg_gate *)ctx)->directory, m);
}

static void on_drain(void *ctx, const char *proxy, bool on)
{
	struct mg_gate *g = ctx;
	struct mg_gate_proxy *p = &g->proxies[mg_gate_proxy_number(g, proxy)];

	/* Number 0 is nobody's: a proxy we do not know. */
	if (p == g->proxies || !p->config)
		return;
	p->drain_presumed = false;
	if (p->drained == on)
		return;
	p->drained = on;
	mg_info("proxy %s: %s", proxy, on ? "drained, no new sessions" : "not drained any more");
	if (g->store_open)
		mg_states_apply(g);
}

/* Who was drained when we were last here, and is in no list of the store's: not any more. */
static void forget_drains(struct mg_timer *t)
{
	struct mg_gate *g = mg_container_of(t, struct mg_gate, drains_timer);
	bool any = false;

	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		struct mg_gate_proxy *p = &g->proxies[i];

		any |= p->drain_presumed;
		if (p->drain_presumed)
			p->drained = p->drain_presumed = false;
	}
	if (any)
		mg_states_apply(g);
}

static void on_reachable(void *ctx, bool yes)
{
	struct mg_gate *g = ctx;

	if (told_by_store(g))
		mg_directory_reachable(g->directory, yes);
	if (yes)
		mg_timer_arm(&g->loop->timers, &g->drains_timer,
			     g->loop->now_ms + patience_ms(g->config));
	else
		mg_timer_disarm(&g->loop->timers, &g->drains_timer);
}

/* Once, with the first session that may end here; it stays a member from then on. */
static int join(struct mg_gate *g)
{
	int err;

	if (g->joined || !g->self)
		return 0;
	err = mg_store_join(g->store, g->config->node, g->config->steer.store_heartbeat_ms);
	if (err)
		mg_error("store: cannot join it as %s: %s", g->config->node, strerror(-err));
	g->joined = !err;
	return err;
}

/* A host that only is a proxy needs no tokens but its own, which it knows. */
static int open_store(struct mg_gate *g)
{
	const struct mg_config *c = g->config;
	const struct mg_store_listener gateway = {
		.ctx = g,
		.token = on_token,
		.resync = on_resync,
		.resync_done = on_resync_done,
		.member = on_member,
		.drain = on_drain,
		.reachable = on_reachable,
	};
	const struct mg_store_listener proxy = { .ctx = g, .reachable = on_reachable };
	int err = mg_store_open(&g->store, g->loop, c->steer.store,
				c->steer.is_gateway ? &gateway : &proxy);

	if (!err)
		err = mg_store_join(g->store, NULL, c->steer.store_heartbeat_ms);
	if (!err)
		err = join(g);
	g->store_open = !err;
	return err;
}

/* A store in memory has forgotten what its operators wanted; the maps have not. */
static void drain_again(struct mg_gate *g)
{
	struct mg_store_status status;

	mg_store_status(g->store, &status);
	if (strcmp(status.kind, "memory") != 0)
		return;
	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		if (g->proxies[i].drain_presumed)
			mg_store_drain(g->store, g->proxies[i].record.name, true);
	}
}

int mg_gate_drain(struct mg_gate *g, const char *proxy, bool on)
{
	uint16_t number = mg_gate_proxy_number(g, proxy);

	if (!number || !g->proxies[number].config)
		return -ENOENT;
	return mg_store_drain(g->store, proxy, on);
}

/* ---- tokens -------------------------------------------------------------------------------- */

static int push(void *ctx, uint32_t token, const struct mg_owners *owners)
{
	return mg_steer_push(((struct mg_gate *)ctx)->steer, token, owners);
}

void mg_gate_own(struct mg_gate *g, uint32_t token, bool owned)
{
	if (!g || !g->joined)
		return;
	if (!told_by_store(g))
		mg_directory_token(g->directory, g->config->node, token, owned);
	mg_store_own(g->store, token, owned);
}

void mg_gate_own_all(struct mg_gate *g, const uint32_t *tokens, size_t n)
{
	if (!g || !g->joined)
		return;
	if (!told_by_store(g)) {
		mg_directory_resync(g->directory, g->config->node);
		for (size_t i = 0; i < n; i++)
			mg_directory_token(g->directory, g->config->node, tokens[i], true);
		mg_directory_resync_done(g->directory, g->config->node);
	}
	mg_store_own_all(g->store, tokens, n);
}

struct leftovers {
	struct mg_gate *gate;
	uint32_t *tokens; /* of nobody we know */
	size_t n, room;
};

static bool load_owner(struct mg_gate *g, uint16_t number, uint32_t token, uint32_t since_s)
{
	const struct mg_gate_proxy *p = &g->proxies[number < MG_PROXIES_MAX ? number : 0];

	if (p == g->proxies || (!p->config && number != g->self))
		return false;
	return mg_directory_load(g->directory, p->record.name, token, since_s) == 0;
}

static void load_token(void *ctx, uint32_t token, const struct mg_owners *owners)
{
	struct leftovers *l = ctx;
	bool first = load_owner(l->gate, owners->proxy, token, owners->since_s);
	bool second = owners->second && load_owner(l->gate, owners->second, token, owners->since_s);

	if (first || second)
		return;
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 1024;
		uint32_t *more = reallocarray(l->tokens, room, sizeof(*more));

		/* Then a token of nobody stays, and its joins go nowhere. */
		if (!more)
			return;
		l->tokens = more;
		l->room = room;
	}
	l->tokens[l->n++] = token;
}

static int load_tokens(struct mg_gate *g)
{
	struct leftovers l = { .gate = g };
	int err = mg_steer_each(g->steer, false, load_token, &l);

	for (size_t i = 0; i < l.n; i++)
		mg_steer_push(g->steer, l.tokens[i], NULL);
	free(l.tokens);
	if (err)
		mg_error("gateway: cannot read the tokens that are known: %s", strerror(-err));
	return err;
}

static int open_directory(struct mg_gate *g)
{
	const struct mg_directory_options options = {
		.push = push,
		.ctx = g,
		.tokens_max = g->config->steer.gateway.tokens_max,
		.patience_ms = patience_ms(g->config),
	};

	return mg_directory_open(&g->directory, g->loop, &options);
}

static int number_directory(struct mg_gate *g)
{
	int err = 0;

	for (uint16_t i = 1; !err && i < MG_PROXIES_MAX; i++) {
		const struct mg_gate_proxy *p = &g->proxies[i];

		if (*p->record.name)
			err = mg_directory_set_proxy(g->directory, p->record.name,
						     p->config || i == g->self ? i : 0);
	}
	return err;
}

/* ---- what the configuration says ----------------------------------------------------------- */

static uint16_t group_number(const struct mg_gate *g, size_t index)
{
	if (index == MG_CONFIG_NO_GROUP)
		return 0;
	return mg_gate_group_number(g, g->config->steer.groups[index].name);
}

static int put_virtuals(struct mg_gate *g)
{
	const struct mg_config_steer *c = &g->config->steer;
	size_t n = c->is_gateway ? c->n_virtuals : 0;
	struct mg_ep *eps = calloc(n + 1, sizeof(*eps));
	uint16_t *groups = calloc(n + 1, sizeof(*groups));
	int err = eps && groups ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < n; i++) {
		eps[i] = c->virtuals[i].address;
		groups[i] = group_number(g, c->virtuals[i].group);
	}
	if (!err)
		err = mg_steer_set_virtual(g->steer, eps, groups, n);
	if (err)
		mg_error("virtual: cannot tell the kernel of it: %s", strerror(-err));
	free(eps);
	free(groups);
	return err;
}

static void make_rule(const struct mg_gate *g, const struct mg_config_rule *c, struct mg_rule *rule)
{
	*rule = (struct mg_rule){
		.port = c->port,
		.group = group_number(g, c->group),
		.fallback = group_number(g, c->fallback),
	};
	if (*c->interface) {
		rule->ifindex = if_nametoindex(c->interface);
		/* One that is not there sends nothing; 0 would be any. */
		if (!rule->ifindex)
			rule->ifindex = UINT32_MAX;
	}
	if (!c->any_access) {
		memcpy(rule->client, &c->access.ip, sizeof(rule->client));
		rule->client_bits = c->access.len;
	}
	if (!c->any_service) {
		memcpy(rule->service, &c->service.ip, sizeof(rule->service));
		rule->service_bits = c->service.len;
	}
}

static int put_rules(struct mg_gate *g)
{
	const struct mg_config_steer *c = &g->config->steer;
	size_t n = c->is_gateway ? c->n_rules : 0;
	struct mg_rule rules[MG_RULES_MAX];
	int err = n > MG_RULES_MAX ? -E2BIG : 0;

	for (size_t i = 0; !err && i < n; i++)
		make_rule(g, &c->rules[i], &rules[i]);
	if (!err)
		err = mg_steer_set_rules(g->steer, rules, n);
	if (err)
		mg_error("selection: cannot tell the kernel of it: %s", strerror(-err));
	return err;
}

int mg_gate_settings(struct mg_gate *g)
{
	const struct mg_config_steer *c = &g->config->steer;
	struct mg_gateway next = {
		.steers = c->is_gateway,
		.learn = c->gateway.learn,
		.unknown_join = (uint8_t)c->gateway.unknown_join,
		.self = g->self,
		.n_rules = (uint16_t)(c->is_gateway ? c->n_rules : 0),
		.learn_per_second = c->gateway.learn_per_second,
	};
	int err;

	mg_ways_sources(g, &next);
	if (g->settled && memcmp(&g->settings, &next, sizeof(next)) == 0)
		return 0;
	err = mg_steer_set_gateway(g->steer, &next);
	if (err) {
		mg_error("gateway: cannot tell the kernel of it: %s", strerror(-err));
		return err;
	}
	g->settings = next;
	g->settled = true;
	return 0;
}

/* The store speaks of changes only, and of a proxy that is new here may have spoken before. */
static void recall_drains(struct mg_gate *g)
{
	for (uint16_t i = 1; g->store && i < MG_PROXIES_MAX; i++) {
		struct mg_gate_proxy *p = &g->proxies[i];

		if (p->config && mg_store_drained(g->store, p->record.name))
			p->drained = true;
	}
}

/* Groups before what leads to them, and what nothing leads to any more last. */
static int put_in_force(struct mg_gate *g)
{
	int err = mg_numbers_assign(g);

	recall_drains(g);
	if (!err)
		err = number_directory(g);
	if (!err)
		err = mg_states_ask(g);
	for (uint16_t i = 1; i < MG_GROUPS_MAX; i++)
		g->groups[i].filled = false;
	if (!err)
		err = mg_states_apply(g);
	if (!err)
		err = mg_ways_tunnels(g);
	if (!err)
		err = put_virtuals(g);
	if (!err)
		err = put_rules(g);
	if (!err)
		err = mg_gate_settings(g);
	if (!err)
		err = mg_numbers_release(g);
	if (!err && g->store)
		err = join(g);
	if (!err)
		mg_ways_look(g);
	return err;
}

int mg_gate_reload(struct mg_gate *g, const struct mg_config *config)
{
	if (!g)
		return 0;
	g->config = config;
	return put_in_force(g);
}

void mg_gate_look(struct mg_gate *g)
{
	if (!g)
		return;
	mg_ways_tunnels(g);
	/* Rules speak of interfaces by number, and one may have come anew. */
	put_rules(g);
	mg_ways_look(g);
}

static int start(struct mg_gate *g)
{
	int err = open_directory(g);

	if (!err)
		err = mg_ways_open(g);
	if (!err) {
		mg_numbers_load(g);
		err = put_in_force(g);
	}
	if (!err)
		err = load_tokens(g);
	if (!err)
		err = open_store(g);
	if (err)
		return err;
	drain_again(g);
	/* What the store said while it was opened. */
	return mg_states_apply(g);
}

int mg_gate_open(struct mg_gate **out, struct mg_loop *loop, struct mg_steer *steer,
		 const struct mg_config *config, const struct mg_rtnl_own *own)
{
	struct mg_gate *g = calloc(1, sizeof(*g));
	int err = -ENOMEM;

	if (!g)
		return -ENOMEM;
	g->loop = loop;
	g->steer = steer;
	g->config = config;
	g->own = own;
	g->ways_io.fd = -1;
	g->drains_timer.fire = forget_drains;
	for (size_t i = 0; i < MG_PROXIES_MAX; i++)
		mg_list_init(&g->askers[i]);
	g->owners = calloc(MG_RING_SLOTS, sizeof(*g->owners));
	if (g->owners)
		err = start(g);
	if (err) {
		mg_error("gateway: cannot start: %s", strerror(-err));
		mg_gate_close(g);
		return err;
	}
	*out = g;
	return 0;
}

void mg_gate_close(struct mg_gate *g)
{
	if (!g)
		return;
	if (g->store)
		mg_store_close(g->store);
	mg_timer_disarm(&g->loop->timers, &g->drains_timer);
	mg_states_stop(g);
	mg_ways_close(g);
	mg_directory_close(g->directory);
	free(g->owners);
	free(g);
}
