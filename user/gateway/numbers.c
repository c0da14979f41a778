// SPDX-License-Identifier: BSD-2-Clause
/*
 * Numbers of proxies and groups. What the maps hold, above all flows, speaks of numbers only: so a
 * name keeps its number across restarts and reloads, and one that is not configured any more keeps
 * it for as long as no other name needs it.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "gateway/gateway.h"

uint16_t mg_gate_proxy_number(const struct mg_gate *g, const char *name)
{
	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		if (strcmp(g->proxies[i].record.name, name) == 0 && *name)
			return i;
	}
	return 0;
}

uint16_t mg_gate_group_number(const struct mg_gate *g, const char *name)
{
	for (uint16_t i = 1; i < MG_GROUPS_MAX; i++) {
		if (strcmp(g->groups[i].record.name, name) == 0 && *name)
			return i;
	}
	return 0;
}

void mg_numbers_load(struct mg_gate *g)
{
	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		struct mg_gate_proxy *p = &g->proxies[i];

		if (mg_steer_get_proxy(g->steer, i, &p->record))
			p->record = (struct mg_steer_proxy){ 0 };
		p->record.name[sizeof(p->record.name) - 1] = '\0';
		p->drained = p->drain_presumed = p->record.used && p->record.drained;
	}
	for (uint16_t i = 1; i < MG_GROUPS_MAX; i++) {
		struct mg_gate_group *group = &g->groups[i];

		if (mg_steer_get_group(g->steer, i, &group->record))
			group->record = (struct mg_steer_group){ 0 };
		group->record.name[sizeof(group->record.name) - 1] = '\0';
	}
}

int mg_numbers_put_proxy(struct mg_gate *g, uint16_t number, const struct mg_steer_proxy *record)
{
	struct mg_steer_proxy *last = &g->proxies[number].record;
	int err;

	if (memcmp(last, record, sizeof(*last)) == 0)
		return 0;
	err = mg_steer_set_proxy(g->steer, number, record);
	if (err)
		mg_error("proxy %s: cannot tell the kernel of it: %s", record->name,
			 strerror(-err));
	else
		*last = *record;
	return err;
}

int mg_numbers_put_group(struct mg_gate *g, uint16_t number, const struct mg_steer_group *record)
{
	struct mg_steer_group *last = &g->groups[number].record;
	int err;

	if (memcmp(last, record, sizeof(*last)) == 0)
		return 0;
	err = mg_steer_set_group(g->steer, number, record);
	if (err)
		mg_error("group %s: cannot tell the kernel of it: %s", record->name,
			 strerror(-err));
	else
		*last = *record;
	return err;
}

/* One that never had a name, or else has no use for it. */
static uint16_t free_proxy(const struct mg_gate *g)
{
	uint16_t other = 0;

	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		const struct mg_gate_proxy *p = &g->proxies[i];

		if (!*p->record.name)
			return i;
		if (!other && !p->config && i != g->self)
			other = i;
	}
	return other;
}

/* The same; and the map of rings has room for as many groups as there were when it was made. */
static uint16_t free_group(const struct mg_gate *g)
{
	uint16_t other = 0;

	for (uint16_t i = 1; i < MG_GROUPS_MAX && mg_steer_ring(g->steer, i); i++) {
		if (!*g->groups[i].record.name)
			return i;
		if (!other && !g->groups[i].config)
			other = i;
	}
	return other;
}

static uint16_t number_proxy(struct mg_gate *g, const char *name)
{
	uint16_t number = mg_gate_proxy_number(g, name);
	struct mg_gate_proxy *p;

	if (!number)
		number = free_proxy(g);
	if (!number)
		return 0;
	p = &g->proxies[number];
	if (strcmp(p->record.name, name) != 0) {
		mg_directory_set_proxy(g->directory, p->record.name, 0);
		*p = (struct mg_gate_proxy){ 0 };
		memcpy(p->record.name, name, strlen(name) + 1);
	}
	return number;
}

/* Slots of the last group with this number are nothing to the next. */
static void clear_ring(struct mg_slot *slots)
{
	for (uint32_t i = 0; i < MG_RING_SLOTS; i++)
		__atomic_store_n((uint64_t *)&slots[i], 0, __ATOMIC_RELAXED);
}

static uint16_t number_group(struct mg_gate *g, const char *name)
{
	uint16_t number = mg_gate_group_number(g, name);
	struct mg_gate_group *group;

	if (!number || !mg_steer_ring(g->steer, number))
		number = free_group(g);
	if (!number)
		return 0;
	group = &g->groups[number];
	group->slots = mg_steer_ring(g->steer, number);
	if (strcmp(group->record.name, name) != 0) {
		*group = (struct mg_gate_group){ .slots = group->slots };
		memcpy(group->record.name, name, strlen(name) + 1);
		clear_ring(group->slots);
	}
	return number;
}

/* Does anything end here that a token may lead to? */
static bool ends_sessions(const struct mg_config *c)
{
	return c->converter.n_listen || c->intercept.mode != MG_MODE_OFF || c->cpe.n_lan;
}

/* Who has a number keeps it, wherever in the list it stands; the rest get what is left then. */
static int assign_proxies(struct mg_gate *g)
{
	const struct mg_config_steer *c = &g->config->steer;
	size_t n = c->is_gateway ? c->n_proxies : 0;
	bool ends = ends_sessions(g->config);

	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++)
		g->proxies[i].config = NULL;
	for (size_t i = 0; i < n; i++) {
		uint16_t number = mg_gate_proxy_number(g, c->proxies[i].name);

		if (number)
			g->proxies[number].config = &c->proxies[i];
	}
	g->self = ends ? mg_gate_proxy_number(g, g->config->node) : 0;
	for (size_t i = 0; i < n; i++) {
		uint16_t number = number_proxy(g, c->proxies[i].name);

		if (!number)
			return -ENOSPC;
		g->proxies[number].config = &c->proxies[i];
	}
	if (ends && !g->self)
		g->self = number_proxy(g, g->config->node);
	return ends && !g->self ? -ENOSPC : 0;
}

static int assign_groups(struct mg_gate *g)
{
	const struct mg_config_steer *c = &g->config->steer;
	size_t n = c->is_gateway ? c->n_groups : 0;

	for (uint16_t i = 1; i < MG_GROUPS_MAX; i++)
		g->groups[i].config = NULL;
	for (size_t i = 0; i < n; i++) {
		uint16_t number = mg_gate_group_number(g, c->groups[i].name);

		if (number && mg_steer_ring(g->steer, number))
			g->groups[number].config = &c->groups[i];
	}
	for (size_t i = 0; i < n; i++) {
		uint16_t number = number_group(g, c->groups[i].name);

		if (!number)
			return -ENOSPC;
		g->groups[number].config = &c->groups[i];
	}
	return 0;
}

int mg_numbers_assign(struct mg_gate *g)
{
	int err = assign_proxies(g);

	if (!err)
		err = assign_groups(g);
	if (err)
		mg_error("gateway: no numbers are left for its proxies (%d) or groups (%d), or no "
			 "ring",
			 MG_PROXIES_MAX - 1, MG_GROUPS_MAX - 1);
	return err;
}

/* Their names stay, and with them their numbers. */
int mg_numbers_release(struct mg_gate *g)
{
	int err = 0;

	for (uint16_t i = 1; !err && i < MG_PROXIES_MAX; i++) {
		struct mg_steer_proxy free = { 0 };

		if (g->proxies[i].config || i == g->self || !g->proxies[i].record.used)
			continue;
		memcpy(free.name, g->proxies[i].record.name, sizeof(free.name));
		g->proxies[i].drained = g->proxies[i].drain_presumed = false;
		err = mg_numbers_put_proxy(g, i, &free);
	}
	for (uint16_t i = 1; !err && i < MG_GROUPS_MAX; i++) {
		struct mg_steer_group free = { 0 };

		if (g->groups[i].config || !g->groups[i].record.used)
			continue;
		memcpy(free.name, g->groups[i].record.name, sizeof(free.name));
		err = mg_numbers_put_group(g, i, &free);
	}
	return err;
}
