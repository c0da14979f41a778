// SPDX-License-Identifier: BSD-2-Clause
/* What can be said against policies without looking at the host. */
#include "config/policies.h"

#include <stdlib.h>
#include <string.h>

/* The node of a key, or of the mapping that does not have it. */
static const struct mg_node *at(const struct mg_findings *f, const struct mg_node *map,
				const char *key)
{
	const struct mg_node *node = mg_tree_child(f->tree, map, key);

	return node ? node : map;
}

/* A policy that refuses everything has nothing to say of what it lets in. */
static void check_deny(const struct mg_config_policy *policy, const struct mg_node *node,
		       struct mg_findings *f)
{
	const struct {
		const char *key;
		bool is_there;
	} keys[] = {
		{ "group", policy->group != MG_CONFIG_NONE },
		{ "source", policy->has_source },
		{ "proxy_protocol", policy->proxy_protocol },
		{ "limits", policy->sessions || policy->new_per_s || policy->burst ||
				    policy->held || policy->subflows ||
				    policy->subflows_per_session },
		{ "steering", policy->steering != MG_STEERING_DEFAULT && !policy->n_split },
		{ "split", policy->n_split },
		{ "strict", policy->strict },
		{ "order", policy->n_order },
	};

	for (size_t i = 0; policy->deny && i < CYAML_ARRAY_LEN(keys); i++) {
		if (keys[i].is_there)
			mg_finding(f, at(f, node, keys[i].key),
				   "has no effect with mode: deny, expected one of the two");
	}
}

static void check_paths(const struct mg_config_policy *policy, const struct mg_node *node,
			struct mg_findings *f)
{
	enum mg_steering mode = mg_policy_mode_steering(f->tree, node);
	bool ordered = policy->steering == MG_STEERING_ACTIVE_STANDBY ||
		       policy->steering == MG_STEERING_PRIORITY;

	if (mode != MG_STEERING_DEFAULT && mode != policy->steering)
		mg_finding(
			f, at(f, node, "mode"), "is %s with steering: %s, expected one of the two",
			mg_config_steering_name(mode), mg_config_steering_name(policy->steering));
	if (policy->n_split && policy->steering != MG_STEERING_LOAD_BALANCING)
		mg_finding(f, at(f, node, "split"),
			   "has no effect with steering: %s, expected load-balancing",
			   mg_config_steering_name(policy->steering));
	if (policy->strict && !policy->n_split)
		mg_finding(f, at(f, node, "strict"), "has no effect without split, expected both");
	if (ordered && !policy->n_order)
		mg_finding(f, at(f, node, mode == policy->steering ? "mode" : "steering"),
			   "is %s without order, expected which access network is first",
			   mg_config_steering_name(policy->steering));
	if (policy->n_order && !ordered)
		mg_finding(f, at(f, node, "order"),
			   "has no effect with steering: %s, expected active-standby or priority",
			   mg_config_steering_name(policy->steering));
}

static void check_limits(const struct mg_config_policy *policy, const struct mg_node *node,
			 struct mg_findings *f)
{
	const struct mg_node *limits = at(f, node, "limits");

	if (policy->burst && !policy->new_per_s)
		mg_finding(f, at(f, limits, "burst"),
			   "has no effect without new_per_s, expected both");
	if (policy->new_per_s && !policy->burst)
		mg_finding(f, at(f, limits, "burst"),
			   "is 0 with new_per_s, expected at least 1: no session could be opened");
	if (policy->subflows && policy->subflows_per_session > policy->subflows)
		mg_finding(f, at(f, limits, "subflows_per_session"),
			   "is %u, more than subflows, expected at most %u",
			   policy->subflows_per_session, policy->subflows);
}

void mg_policy_check(const struct mg_config *c, const struct mg_config_policy *policy,
		     const struct mg_node *node, struct mg_findings *f)
{
	bool core = mg_config_has_role(c, MG_ROLE_CORE);

	check_deny(policy, node, f);
	if (!policy->deny)
		check_paths(policy, node, f);
	check_limits(policy, node, f);
	if (policy->has_source && policy->source == MG_SOURCE_PRESERVED && !core)
		mg_finding(f, at(f, node, "source"),
			   "is preserved without an interface of role core, expected one: replies "
			   "to the clients' own addresses come in there");
	/* Where nothing is intercepted, no policy changes that. */
	if (c->intercept.mode != MG_MODE_OFF && policy->has_mode &&
	    policy->mode == MG_MODE_HYBRID && !core)
		mg_finding(f, at(f, node, "mode"),
			   "is hybrid without an interface of role core, expected one: servers' "
			   "answers come in there, and tell whether they speak MPTCP");
}

/* ---- access networks ---- */

static const struct mg_config_interface *interface_named(const struct mg_config *c,
							 const char *name)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (strcmp(c->interfaces[i].name, name) == 0)
			return &c->interfaces[i];
	}
	return NULL;
}

static void check_access_interface(const struct mg_config *c, size_t i, size_t j,
				   struct mg_findings *f)
{
	const char *name = c->policies.access[i].interfaces[j];
	const struct mg_config_interface *there = interface_named(c, name);
	char path[80];

	snprintf(path, sizeof(path), "access_networks[%zu].interfaces[%zu]", i, j);
	if (!there)
		mg_finding_path(f, path, "%s is not in interfaces, expected one of role access",
				name);
	else if (there->role != MG_ROLE_ACCESS)
		mg_finding_path(f, path, "%s is of role core, expected one of role access", name);
	for (size_t k = 0; k <= i; k++) {
		const struct mg_config_access *other = &c->policies.access[k];

		for (size_t l = 0; l < (k == i ? j : other->n_interfaces); l++) {
			if (strcmp(other->interfaces[l], name) != 0)
				continue;
			mg_finding_path(f, path, "%s is already of %s, expected it once", name,
					other->name);
			return;
		}
	}
}

static void check_access(const struct mg_config *c, struct mg_findings *f)
{
	const struct mg_config_policies *p = &c->policies;
	size_t n = 0;

	for (size_t i = 0; i < p->n_access; i++) {
		n += p->access[i].n_interfaces;
		for (size_t j = 0; j < p->access[i].n_interfaces; j++) {
			if (*p->access[i].interfaces[j])
				check_access_interface(c, i, j, f);
		}
	}
	if (n > MG_ACCESS_INTERFACES_MAX)
		mg_finding_path(f, "access_networks", "have %zu interfaces, expected at most %u", n,
				MG_ACCESS_INTERFACES_MAX);
}

/* ---- what the tables hold ---- */

struct lengths {
	bool seen[MG_FAMILY_COUNT][129];
};

static void note_length(struct lengths *l, const struct mg_prefix *p)
{
	l->seen[mg_config_is_v4_prefix(p) ? MG_FAMILY_V4 : MG_FAMILY_V6][p->len] = true;
}

static void check_lengths(const struct lengths *l, const char *key, struct mg_findings *f)
{
	for (size_t family = 0; family < MG_FAMILY_COUNT; family++) {
		unsigned int n = 0;

		for (size_t i = 0; i <= 128; i++)
			n += l->seen[family][i];
		if (n > MG_LENGTHS_MAX)
			mg_finding_path(f, key,
					"have prefixes of %u lengths, expected at most %u of a "
					"family",
					n, MG_LENGTHS_MAX);
	}
}

static void check_all_lengths(const struct mg_config_policies *p, struct mg_findings *f)
{
	struct lengths access = { 0 }, services = { 0 }, subscribers = { 0 };
	size_t ranges = 0;

	for (size_t i = 0; i < p->n_access; i++) {
		for (size_t j = 0; j < p->access[i].n_prefixes; j++)
			note_length(&access, &p->access[i].prefixes[j]);
	}
	for (size_t i = 0; i < p->n_services; i++) {
		for (size_t j = 0; j < p->services[i].n_match; j++)
			note_length(&services, &p->services[i].match[j].prefix);
		ranges += p->services[i].n_match;
	}
	for (size_t i = 0; i < p->n_subscribers; i++) {
		for (size_t j = 0; j < p->subscribers[i].n_prefixes; j++)
			note_length(&subscribers, &p->subscribers[i].prefixes[j]);
	}
	check_lengths(&access, "access_networks", f);
	check_lengths(&services, "services", f);
	check_lengths(&subscribers, "subscribers", f);
	if (ranges > MG_PORT_RANGES_MAX)
		mg_finding_path(f, "services", "match %zu ranges, expected at most %u", ranges,
				MG_PORT_RANGES_MAX);
}

void mg_policies_check_sizes(const struct mg_config *c, struct mg_findings *f)
{
	const struct mg_config_policies *p = &c->policies;
	size_t cells = (p->n_access + 1) * (p->n_services + 1) * (p->n_subscribers + 1);

	if (cells > MG_POLICY_CELLS_MAX)
		mg_finding_path(f, "policies",
				"can be told apart by %zu combinations of subscribers, services "
				"and access networks, expected at most %u",
				cells, MG_POLICY_CELLS_MAX);
}

/* ---- radius, sharing ---- */

static void check_types(const struct mg_config_radius *r, struct mg_findings *f)
{
	bool nas[256] = { false }, rat[256] = { false };
	int twice_nas = -1, twice_rat = -1;

	for (size_t i = 0; i < r->n_types; i++) {
		const struct mg_config_radius_type *t = &r->types[i];

		for (size_t j = 0; j < t->n_nas_port_types; j++) {
			if (nas[t->nas_port_types[j]])
				twice_nas = t->nas_port_types[j];
			nas[t->nas_port_types[j]] = true;
		}
		for (size_t j = 0; j < t->n_rat_types; j++) {
			if (rat[t->rat_types[j]])
				twice_rat = t->rat_types[j];
			rat[t->rat_types[j]] = true;
		}
	}
	if (twice_nas >= 0)
		mg_finding_path(f, "radius.types", "have nas %d twice, expected it once",
				twice_nas);
	if (twice_rat >= 0)
		mg_finding_path(f, "radius.types", "have rat %d twice, expected it once",
				twice_rat);
}

static void check_radius(const struct mg_config_radius *r, struct mg_findings *f)
{
	const char *trouble = mg_config_address_trouble(&r->listen.ip);
	char path[64], text[MG_EP_STRLEN];

	if (r->listen.port && trouble)
		mg_finding_path(f, "radius.listen", "%s %s, expected one of this host's addresses",
				mg_ep_format(text, &r->listen), trouble);
	for (size_t i = 0; i < r->n_clients; i++) {
		snprintf(path, sizeof(path), "radius.clients[%zu].address", i);
		trouble = mg_config_address_trouble(&r->clients[i].address);
		if (trouble)
			mg_finding_path(f, path, "%s %s, expected that of a gateway",
					mg_ip_format(text, &r->clients[i].address), trouble);
		for (size_t j = 0; j < i; j++) {
			if (!mg_ip_equal(&r->clients[i].address, &r->clients[j].address))
				continue;
			mg_finding_path(f, path,
					"%s is already radius.clients[%zu], expected it once",
					mg_ip_format(text, &r->clients[i].address), j);
			break;
		}
	}
	if (r->on && !r->n_clients)
		mg_finding_path(f, "radius.clients",
				"is missing, expected who may send what is listened for");
	if (r->on)
		check_types(r, f);
}

#define POOL_BITS_MAX 16 /* of one prefix */

static void check_pool(const struct mg_config_sharing *s, struct mg_findings *f)
{
	char path[64], text[MG_PREFIX_STRLEN];

	for (size_t i = 0; i < s->n_pool; i++) {
		const char *trouble = mg_config_address_trouble(&s->pool[i].ip);

		snprintf(path, sizeof(path), "sharing.pool[%zu]", i);
		mg_prefix_format(text, &s->pool[i]);
		if (s->pool[i].len < 128 - POOL_BITS_MAX)
			mg_finding_path(f, path,
					"%s is too large, expected at most 65536 addresses", text);
		else if (trouble)
			mg_finding_path(f, path,
					"%s %s, expected addresses that are routed to this host",
					text, trouble);
		for (size_t j = 0; j < i; j++) {
			if (!mg_prefix_contains(&s->pool[j], &s->pool[i].ip) &&
			    !mg_prefix_contains(&s->pool[i], &s->pool[j].ip))
				continue;
			mg_finding_path(f, path,
					"%s overlaps sharing.pool[%zu], expected each "
					"address once",
					text, j);
			break;
		}
	}
}

static bool has_core(const struct mg_config *c)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (c->interfaces[i].role == MG_ROLE_CORE)
			return true;
	}
	return false;
}

static void check_sharing(const struct mg_config *c, struct mg_findings *f)
{
	const struct mg_config_sharing *s = &c->policies.sharing;
	unsigned int ports = s->last_port - s->first_port + 1U;
	char quoted[MG_QUOTE_BYTES];

	check_pool(s, f);
	if (s->n_pool && !has_core(c))
		mg_finding_path(f, "sharing.pool",
				"is there without an interface of role core, expected one: replies "
				"to its addresses come in there");
	if (s->ports_per_subscriber > ports)
		mg_finding_path(f, "sharing.ports_per_subscriber",
				"is %u, expected at most the %u that ports has",
				s->ports_per_subscriber, ports);
	if (s->ports_per_subscriber && !s->paired)
		mg_finding_path(f, "sharing.ports_per_subscriber",
				"goes with paired: true only: a subscriber's block is of one "
				"address, expected that or 0");
	if (s->log == MG_LOG_TO_FILE && !s->log_file)
		mg_finding_path(f, "sharing.log", "is file without log_file, expected both");
	if (s->log != MG_LOG_TO_FILE && s->log_file)
		mg_finding_path(f, "sharing.log_file", "has no effect, expected log: file");
	if (s->log_file && *s->log_file != '/')
		mg_finding_path(f, "sharing.log_file", "is %s, expected an absolute path",
				mg_quote(quoted, s->log_file));
}

void mg_config_check_policies(const struct mg_config *c, struct mg_findings *f)
{
	const struct mg_node *list = mg_tree_find(f->tree, "policies");
	const struct mg_node *fallback = mg_tree_find(f->tree, "default_policy");
	const struct mg_config_policies *p = &c->policies;
	uint32_t node = list ? list->first : 0;

	check_access(c, f);
	for (size_t i = 0; node && i < p->n_policies; i++, node = f->tree->nodes[node].next)
		mg_policy_check(c, &p->policies[i], &f->tree->nodes[node], f);
	if (fallback)
		mg_policy_check(c, &p->fallback, fallback, f);
	check_all_lengths(p, f);
	mg_policies_check_sizes(c, f);
	check_radius(&p->radius, f);
	check_sharing(c, f);
}
