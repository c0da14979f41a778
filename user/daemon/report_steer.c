// SPDX-License-Identifier: BSD-2-Clause
/* What is told of gateways: proxies, rings, tokens, and where a packet would go. */
#include "daemon/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/put.h"
#include "sys/steer.h"

/* More would hold up the loop, and no one reads them: ask for one. */
#define TOKENS_TOLD_MAX 100000

static const char *const deliveries[] = {
#define X(sym, label, doc) [MG_DELIVER_##sym] = #label,
	MG_DELIVERIES(X)
#undef X
};
static const char *const member_states[] = {
#define X(sym, label, doc) [MG_MEMBER_##sym] = #label,
	MG_MEMBER_STATES(X)
#undef X
};
static const char *const whys[] = {
#define X(sym, label, doc) [MG_STEER_##sym] = #label,
	MG_STEER_WHYS(X)
#undef X
};
static const char *const counters[] = {
#define X(sym, label, doc) [MG_STEER_COUNT_##sym] = #label,
	MG_STEER_COUNTERS(X)
#undef X
};
static const char *const unknown_joins[] = {
	[MG_UNKNOWN_DROP] = "drop",
	[MG_UNKNOWN_PASS] = "pass",
	[MG_UNKNOWN_RING] = "ring",
};

static void put_null(json_t *o, const char *key)
{
	json_object_set_new(o, key, json_null());
}

/* Four digits are more than any ring has to give. */
static void put_share(json_t *o, const char *key, size_t part, size_t whole)
{
	size_t share = whole ? (part * 10000 + whole / 2) / whole : 0;

	json_object_set_new(o, key, json_real((double)share / 10000));
}

static const char *proxy_name(const struct mg_gate *g, uint16_t number)
{
	const char *name = number < MG_PROXIES_MAX ? g->proxies[number].record.name : "";

	return *name ? name : "?";
}

/* ---- proxies ------------------------------------------------------------------------------- */

static size_t slots_of(const struct mg_gate_group *group, uint16_t proxy, bool previous)
{
	size_t n = 0;

	for (uint32_t i = 0; i < MG_RING_SLOTS; i++)
		n += (previous ? group->slots[i].previous : group->slots[i].current) == proxy;
	return n;
}

static bool is_member(const struct mg_gate *g, const struct mg_config_group *group,
		      const struct mg_config_proxy *proxy)
{
	for (size_t i = 0; i < group->n_members; i++) {
		if (&g->config->steer.proxies[group->members[i]] == proxy)
			return true;
	}
	return false;
}

/* Of all groups it is in, and what their checks say. */
static void put_groups(json_t *o, const struct mg_gate *g, uint16_t number)
{
	const struct mg_config_proxy *proxy = g->proxies[number].config;
	size_t slots = 0, rings = 0;
	json_t *names = json_array();
	const char *fault = "";
	struct mg_check_state s = { 0 };

	for (uint16_t i = 1; i < MG_GROUPS_MAX; i++) {
		const struct mg_gate_group *group = &g->groups[i];
		const struct mg_check *check;

		if (!group->config || !is_member(g, group->config, proxy))
			continue;
		json_array_append_new(names, json_string(group->config->name));
		slots += slots_of(group, number, false);
		rings += MG_RING_SLOTS;
		check = mg_states_check(g, group->config, proxy);
		if (check)
			mg_check_state(check, &s);
		if (check && *s.last_fault)
			fault = s.last_fault;
	}
	put_share(o, "share", slots, rings);
	json_object_set_new(o, "groups", names);
	if (s.answered)
		put_number(o, "answer_ms", s.answer_ms);
	else
		put_null(o, "answer_ms");
	put_text(o, "fault", fault);
}

static json_t *proxy(const struct mg_gate *g, uint16_t number)
{
	const struct mg_gate_proxy *p = &g->proxies[number];
	char ip[MG_IP_STRLEN];
	json_t *o = json_object();
	uint64_t sessions;
	bool alive;

	put_text(o, "name", p->config->name);
	put_text(o, "address", mg_ip_format(ip, &p->config->address));
	put_number(o, "weight", p->config->weight);
	put_text(o, "state", member_states[p->record.state]);
	if (mg_directory_find(g->directory, p->config->name, &sessions, &alive))
		put_number(o, "sessions", sessions);
	else
		put_null(o, "sessions");
	put_groups(o, g, number);
	put_bool(o, "drained", p->drained);
	put_text(o, "location", p->config->location);
	put_text(o, "kind", p->config->kind == MG_PROXY_ON_PATH ? "on-path" : "off-path");
	put_text(o, "deliver", deliveries[p->record.deliver]);
	put_bool(o, "way", p->record.deliver == MG_DELIVER_LOCAL || p->record.ifindex != 0);
	return o;
}

json_t *mg_report_proxies(struct mg_daemon *d)
{
	const struct mg_gate *g = d->gate;
	json_t *all = json_array();

	/* In the order of the file. */
	for (size_t i = 0; g && g->config->steer.is_gateway && i < g->config->steer.n_proxies; i++)
		json_array_append_new(
			all, proxy(g, mg_gate_proxy_number(g, g->config->steer.proxies[i].name)));
	return all;
}

/* ---- rings --------------------------------------------------------------------------------- */

static json_t *member(const struct mg_gate *g, const struct mg_gate_group *group,
		      const struct mg_config_proxy *proxy)
{
	uint16_t number = mg_gate_proxy_number(g, proxy->name);
	size_t slots = slots_of(group, number, false);
	json_t *o = json_object();

	put_text(o, "name", proxy->name);
	put_number(o, "slots", slots);
	put_share(o, "share", slots, MG_RING_SLOTS);
	put_number(o, "previous_slots", slots_of(group, number, true));
	return o;
}

static uint32_t last_change_s(const struct mg_gate_group *group)
{
	uint32_t last = 0;

	for (uint32_t i = 0; i < MG_RING_SLOTS; i++) {
		if (group->slots[i].changed_s > last)
			last = group->slots[i].changed_s;
	}
	return last;
}

json_t *mg_report_ring(struct mg_daemon *d, const char *name, int *err)
{
	const struct mg_gate *g = d->gate;
	const struct mg_gate_group *group = g ? &g->groups[mg_gate_group_number(g, name)] : NULL;
	json_t *o, *members;
	uint32_t changed_s;

	*err = group && group != g->groups && group->config ? 0 : -ENOENT;
	if (*err)
		return NULL;
	o = json_object();
	members = json_array();
	changed_s = last_change_s(group);
	put_text(o, "group", name);
	put_text(o, "hash", group->config->hash == MG_HASH_FLOW ? "flow" : "subscriber");
	put_number(o, "slots", MG_RING_SLOTS);
	if (changed_s)
		put_number(o, "changed_s", changed_s);
	else
		put_null(o, "changed_s");
	for (size_t i = 0; i < group->config->n_members; i++)
		json_array_append_new(
			members,
			member(g, group, &g->config->steer.proxies[group->config->members[i]]));
	json_object_set_new(o, "members", members);
	return o;
}

/* ---- tokens -------------------------------------------------------------------------------- */

struct token_list {
	const struct mg_gate *gate;
	json_t *all;
	size_t n;
	uint32_t now_s;
	bool learned;
};

static void add_owner(struct token_list *l, uint32_t token, uint16_t number, uint32_t since_s)
{
	json_t *o;

	if (!number || l->n++ >= TOKENS_TOLD_MAX)
		return;
	o = json_object();
	json_object_set_new(o, "token", json_sprintf("%08x", token));
	put_text(o, "proxy", proxy_name(l->gate, number));
	put_text(o, "origin", l->learned ? "learned" : "pushed");
	put_number(o, "age_s", l->now_s > since_s ? l->now_s - since_s : 0);
	json_array_append_new(l->all, o);
}

/* A collision is two lines. */
static void add_token(void *ctx, uint32_t token, const struct mg_owners *owners)
{
	add_owner(ctx, token, owners->proxy, owners->since_s);
	add_owner(ctx, token, owners->second, owners->since_s);
}

static int list_tokens(const struct mg_gate *g, const uint32_t *one, struct token_list *l)
{
	struct mg_owners owners;
	int err;

	if (!one) {
		err = mg_steer_each(g->steer, l->learned, add_token, l);
		return l->n > TOKENS_TOLD_MAX ? -E2BIG : err;
	}
	err = mg_steer_find(g->steer, l->learned, *one, &owners);
	if (!err)
		add_token(l, *one, &owners);
	return err == -ENOENT ? 0 : err;
}

json_t *mg_report_tokens(struct mg_daemon *d, const uint32_t *one, int *err)
{
	struct token_list l = { .gate = d->gate, .all = json_array() };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	l.now_s = (uint32_t)now.tv_sec;
	*err = d->gate ? list_tokens(d->gate, one, &l) : 0;
	l.learned = true;
	if (!*err && d->gate)
		*err = list_tokens(d->gate, one, &l);
	if (!*err)
		return l.all;
	json_decref(l.all);
	return NULL;
}

/* ---- locate -------------------------------------------------------------------------------- */

static enum mg_steer_probe_kind probe_kind(enum mg_locate_kind kind)
{
	switch (kind) {
	case MG_LOCATE_JOIN:
		return MG_PROBE_JOIN;
	case MG_LOCATE_SYN:
		return MG_PROBE_SYN;
	case MG_LOCATE_DATA:
		return MG_PROBE_DATA;
	default:
		return MG_PROBE_CAPABLE;
	}
}

static void put_proxy(json_t *o, const struct mg_gate *g, const char *key, uint16_t number)
{
	if (number)
		put_text(o, key, proxy_name(g, number));
	else
		put_null(o, key);
}

/* Where a packet goes that goes to a proxy. */
static void put_target(json_t *o, const struct mg_gate *g, const struct mg_decision *found)
{
	bool steered = found->what == MG_STEER_DELIVER && found->proxy < MG_PROXIES_MAX;
	const struct mg_steer_proxy *p = &g->proxies[steered ? found->proxy : 0].record;
	char text[MG_IP_STRLEN];
	struct in6_addr ip;

	put_proxy(o, g, "proxy", steered ? found->proxy : 0);
	put_proxy(o, g, "second", steered ? found->second : 0);
	if (!steered) {
		put_null(o, "deliver");
		put_null(o, "address");
		return;
	}
	memcpy(&ip, p->ip, sizeof(ip));
	put_text(o, "deliver", p->deliver < MG_DELIVERY_COUNT ? deliveries[p->deliver] : "?");
	put_text(o, "address", mg_ip_format(text, &ip));
}

static json_t *decision(const struct mg_gate *g, const struct mg_decision *found, bool join)
{
	static const char *const whats[] = {
		[MG_STEER_PASS] = "pass",
		[MG_STEER_DROP] = "drop",
		[MG_STEER_DELIVER] = "steer",
		[MG_STEER_RESET] = "reset",
	};
	bool refused = found->what == MG_STEER_DROP || found->what == MG_STEER_RESET;
	json_t *o = json_object();

	put_text(o, "what", found->what <= MG_STEER_RESET ? whats[found->what] : "?");
	put_text(o, "why", found->why < MG_STEER_WHY_COUNT ? whys[found->why] : "?");
	if (refused && mg_reason_label(found->reason))
		put_text(o, "reason", mg_reason_label(found->reason));
	else
		put_null(o, "reason");
	put_target(o, g, found);
	if (found->group && found->group < MG_GROUPS_MAX)
		put_text(o, "group", g->groups[found->group].record.name);
	else
		put_null(o, "group");
	if (found->has_slot)
		put_number(o, "slot", found->slot);
	else
		put_null(o, "slot");
	if (found->rule)
		put_number(o, "rule", found->rule);
	else
		put_null(o, "rule");
	if (join)
		json_object_set_new(o, "token", json_sprintf("%08x", found->token));
	else
		put_null(o, "token");
	return o;
}

json_t *mg_report_locate(struct mg_daemon *d, const struct mg_control_request *req, int *err)
{
	const struct mg_steer_probe probe = {
		.interface = *req->interface ? req->interface : NULL,
		.kind = probe_kind(req->kind),
		.token = req->token,
		.client = req->client,
		.server = req->to,
	};
	struct mg_decision found;

	*err = d->gate ? mg_steer_locate(d->gate->steer, &probe, &found) : -ENODEV;
	return *err ? NULL : decision(d->gate, &found, req->kind == MG_LOCATE_JOIN);
}

/* ---- status and counters ------------------------------------------------------------------- */

static void put_store(json_t *o, const struct mg_gate *g)
{
	struct mg_store_status s;
	struct mg_directory_status dir;

	mg_store_status(g->store, &s);
	mg_directory_status(g->directory, &dir);
	put_text(o, "store", s.kind);
	put_bool(o, "reachable", s.reachable);
	put_number(o, "published", s.published);
	put_number(o, "received", s.received);
	put_number(o, "reconnects", s.reconnects);
	put_number(o, "resyncs", s.resyncs);
	put_number(o, "tokens", dir.tokens);
	put_number(o, "collisions", dir.collisions);
	put_number(o, "tokens_unpushed", dir.unpushed);
	put_number(o, "tokens_refused", dir.refused);
}

static void put_members(json_t *o, const struct mg_gate *g)
{
	size_t n[MG_MEMBER_STATE_COUNT] = { 0 }, total = 0;
	json_t *proxies = json_object();

	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		if (!g->proxies[i].config)
			continue;
		total++;
		n[g->proxies[i].record.state]++;
	}
	for (int i = 0; i < MG_MEMBER_STATE_COUNT; i++)
		put_number(proxies, member_states[i], n[i]);
	put_number(proxies, "total", total);
	json_object_set_new(o, "proxies", proxies);
}

void mg_report_gateway(struct mg_daemon *d, json_t *status)
{
	const struct mg_config_gateway *c = &d->config->steer.gateway;
	json_t *o;

	if (!d->gate) {
		put_null(status, "gateway");
		return;
	}
	o = json_object();
	put_bool(o, "steers", d->config->steer.is_gateway);
	put_members(o, d->gate);
	put_number(o, "groups", d->config->steer.n_groups);
	put_text(o, "location", c->location ? c->location : "");
	put_number(o, "flows_max", c->flows_max);
	put_number(o, "tokens_max", c->tokens_max);
	put_text(o, "unknown_join", unknown_joins[c->unknown_join]);
	put_bool(o, "learn", c->learn);
	put_store(o, d->gate);
	json_object_set_new(status, "gateway", o);
}

void mg_report_steer_counters(struct mg_daemon *d, json_t *report)
{
	uint64_t n[MG_STEER_COUNTER_COUNT] = { 0 };
	json_t *o = json_object();

	if (d->gate)
		mg_steer_counters_read(d->gate->steer, n);
	for (int i = 0; i < MG_STEER_COUNTER_COUNT; i++)
		put_number(o, counters[i], n[i]);
	json_object_set_new(report, "steer", o);
}
