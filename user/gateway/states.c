// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who takes new sessions: what the checks say and operators want, and the rings that follow.
 *
 * A group asks each of its members its own question, so that one proxy may be up for one group and
 * down for another. For joins, which know no group, it is up if it is for any.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/ring.h"

#define CONVERT_PORT 5124

/* A question that is asked of a proxy, for all groups that ask the same. */
struct asker {
	struct mg_list node;
	struct mg_ep to;
	struct mg_config_check how;
	struct mg_check *check;
	bool wanted;
};

static __be16 ask_port(const struct mg_gate *g, const struct mg_config_group *group)
{
	const struct mg_config_steer *c = &g->config->steer;

	if (group->check.port)
		return htons(group->check.port);
	for (size_t i = 0; i < c->n_virtuals; i++) {
		if (&c->groups[c->virtuals[i].group] == group && c->virtuals[i].address.port)
			return c->virtuals[i].address.port;
	}
	return htons(CONVERT_PORT);
}

static struct mg_ep where(const struct mg_gate *g, const struct mg_config_group *group,
			  uint16_t number)
{
	return (struct mg_ep){ .ip = g->proxies[number].config->address,
			       .port = g->ask_ports[group - g->config->steer.groups] };
}

static struct asker *find_asker(const struct mg_gate *g, const struct mg_config_group *group,
				uint16_t number)
{
	struct mg_ep to = where(g, group, number);
	struct mg_list *at;

	mg_list_for_each (at, &g->askers[number]) {
		struct asker *a = mg_container_of(at, struct asker, node);

		if (mg_ep_equal(&a->to, &to) && a->how.by == group->check.by &&
		    a->how.interval_ms == group->check.interval_ms &&
		    a->how.rise == group->check.rise && a->how.fall == group->check.fall)
			return a;
	}
	return NULL;
}

const struct mg_check *mg_states_check(const struct mg_gate *g, const struct mg_config_group *group,
				       const struct mg_config_proxy *proxy)
{
	uint16_t number = mg_gate_proxy_number(g, proxy->name);
	const struct asker *a = number ? find_asker(g, group, number) : NULL;

	return a ? a->check : NULL;
}

static void answer_changed(void *ctx)
{
	mg_states_apply(ctx);
}

/* As the maps have it: from a former daemon, or from other questions. */
static enum mg_check_presumed presume(const struct mg_steer_proxy *record)
{
	if (!record->used)
		return MG_CHECK_UNKNOWN;
	if (record->state == MG_MEMBER_DOWN)
		return MG_CHECK_DOWN;
	/* Drained by nobody: it said so itself. */
	return record->state == MG_MEMBER_DRAINING && !record->drained ? MG_CHECK_REFUSING
								       : MG_CHECK_UP;
}

static int add_asker(struct mg_gate *g, const struct mg_config_group *group, uint16_t number)
{
	struct asker *a = calloc(1, sizeof(*a));
	struct mg_check_options options = { .changed = answer_changed, .ctx = g };
	int err;

	if (!a)
		return -ENOMEM;
	a->to = options.to = where(g, group, number);
	a->how = options.how = group->check;
	a->wanted = true;
	options.presumed = presume(&g->proxies[number].record);
	err = mg_check_open(&a->check, g->loop, &options);
	if (err) {
		free(a);
		return err;
	}
	mg_list_append(&g->askers[number], &a->node);
	return 0;
}

static void drop_askers(struct mg_list *askers, bool all)
{
	struct mg_list *at = askers->next;

	while (at != askers) {
		struct asker *a = mg_container_of(at, struct asker, node);

		at = at->next;
		if (a->wanted && !all)
			continue;
		mg_list_remove(&a->node);
		mg_check_close(a->check);
		free(a);
	}
}

static int ask_members(struct mg_gate *g, const struct mg_config_group *group)
{
	for (size_t i = 0; i < group->n_members; i++) {
		const struct mg_config_proxy *proxy = &g->config->steer.proxies[group->members[i]];
		uint16_t number = mg_gate_proxy_number(g, proxy->name);
		struct asker *a = find_asker(g, group, number);
		int err = 0;

		if (a)
			a->wanted = true;
		else
			err = add_asker(g, group, number);
		if (err)
			return err;
	}
	return 0;
}

int mg_states_ask(struct mg_gate *g)
{
	const struct mg_config_steer *c = &g->config->steer;
	size_t n = c->is_gateway ? c->n_groups : 0;
	struct mg_list *at;
	int err = 0;

	for (size_t i = 0; i < MG_PROXIES_MAX; i++) {
		mg_list_for_each (at, &g->askers[i])
			mg_container_of(at, struct asker, node)->wanted = false;
	}
	for (size_t i = 0; !err && i < n; i++) {
		g->ask_ports[i] = ask_port(g, &c->groups[i]);
		err = ask_members(g, &c->groups[i]);
	}
	if (err) {
		mg_error("gateway: cannot ask its proxies: %s", strerror(-err));
		return err;
	}
	for (size_t i = 0; i < MG_PROXIES_MAX; i++)
		drop_askers(&g->askers[i], false);
	return 0;
}

void mg_states_stop(struct mg_gate *g)
{
	for (size_t i = 0; i < MG_PROXIES_MAX; i++)
		drop_askers(&g->askers[i], true);
}

/* ---- proxies ------------------------------------------------------------------------------- */

static enum mg_member_state state_of(const struct mg_gate *g, uint16_t number, bool *refuses,
				     bool *checked)
{
	struct mg_list *at;
	bool up = false;

	*refuses = *checked = false;
	mg_list_for_each (at, &g->askers[number]) {
		const struct asker *a = mg_container_of(at, struct asker, node);
		struct mg_check_state s;

		mg_check_state(a->check, &s);
		*checked = true;
		*refuses |= s.up && s.refuses;
		up |= s.up;
	}
	if (*checked && !up)
		return MG_MEMBER_DOWN;
	return g->proxies[number].drained || *refuses ? MG_MEMBER_DRAINING : MG_MEMBER_UP;
}

static const char *state_label(enum mg_member_state state)
{
	static const char *const labels[] = {
#define X(sym, label, doc) [MG_MEMBER_##sym] = #label,
		MG_MEMBER_STATES(X)
#undef X
	};
	return labels[state];
}

/* Who only has to accept connections may be any MPTCP server, and asks nobody else. */
static bool is_plain(const struct mg_gate *g, const struct mg_config_proxy *proxy)
{
	const struct mg_config_steer *c = &g->config->steer;
	bool checked = false;

	for (size_t i = 0; i < c->n_groups; i++) {
		const struct mg_config_group *group = &c->groups[i];

		for (size_t j = 0; j < group->n_members; j++) {
			if (&c->proxies[group->members[j]] != proxy)
				continue;
			if (group->check.by != MG_CHECK_TCP)
				return false;
			checked = true;
		}
	}
	return checked;
}

static int apply_proxy(struct mg_gate *g, uint16_t number)
{
	struct mg_gate_proxy *p = &g->proxies[number];
	struct mg_steer_proxy next = p->record;
	enum mg_member_state last = (enum mg_member_state)next.state;

	if (!p->config && number != g->self)
		return 0;
	next.state = (uint8_t)state_of(g, number, &p->refuses, &p->checked);
	if (!p->config)
		next.deliver = MG_DELIVER_LOCAL;
	if (next.used && next.state != last)
		mg_info("proxy %s is %s, was %s", next.name,
			state_label((enum mg_member_state)next.state), state_label(last));
	next.drained = p->drained;
	next.plain = p->config && is_plain(g, p->config);
	next.used = 1;
	return mg_numbers_put_proxy(g, number, &next);
}

/* ---- groups -------------------------------------------------------------------------------- */

static bool takes_sessions(const struct mg_gate *g, const struct mg_config_group *group,
			   uint16_t number)
{
	const struct asker *a = find_asker(g, group, number);
	struct mg_check_state s;

	if (!a)
		return false;
	mg_check_state(a->check, &s);
	return s.up && !s.refuses && !g->proxies[number].drained;
}

static int fill_ring(struct mg_gate *g, struct mg_gate_group *group,
		     const struct mg_ring_member *members, size_t n)
{
	uint32_t now_s = (uint32_t)time(NULL);
	int err = mg_ring_fill(g->owners, members, n);

	if (!err && mg_ring_apply(group->slots, g->owners, now_s))
		group->changed_s = now_s;
	group->filled = !err;
	return err;
}

static int apply_group(struct mg_gate *g, uint16_t number)
{
	struct mg_gate_group *group = &g->groups[number];
	const struct mg_config_group *c = group->config;
	struct mg_steer_group next = group->record;
	struct mg_ring_member members[MG_PROXIES_MAX];
	bool same = group->filled;
	int err;

	next.n_up = 0;
	for (size_t i = 0; i < c->n_members && i < MG_PROXIES_MAX; i++) {
		const struct mg_config_proxy *proxy = &g->config->steer.proxies[c->members[i]];
		uint16_t member = mg_gate_proxy_number(g, proxy->name);
		bool takes = takes_sessions(g, c, member);

		members[i] = (struct mg_ring_member){ proxy->name, member, proxy->weight, takes };
		next.n_up += takes && proxy->weight;
		same &= group->takes[member] == takes;
		group->takes[member] = takes;
	}
	err = same ? 0 : fill_ring(g, group, members, c->n_members);
	if (err) {
		mg_error("group %s: cannot fill its ring: %s", c->name, strerror(-err));
		return err;
	}
	if (group->record.used && !next.n_up != !group->record.n_up)
		mg_log(next.n_up ? MG_LOG_INFO : MG_LOG_WARNING,
		       "group %s: %s of its members takes new sessions", c->name,
		       next.n_up ? "one" : "none");
	next.used = 1;
	next.hash = (uint8_t)c->hash;
	next.closed = c->on_failure == MG_FAILURE_CLOSED;
	return mg_numbers_put_group(g, number, &next);
}

int mg_states_apply(struct mg_gate *g)
{
	int err = 0;

	for (uint16_t i = 1; !err && i < MG_PROXIES_MAX; i++)
		err = apply_proxy(g, i);
	for (uint16_t i = 1; !err && i < MG_GROUPS_MAX; i++) {
		if (g->groups[i].config)
			err = apply_group(g, i);
	}
	return err;
}
