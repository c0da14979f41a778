// SPDX-License-Identifier: BSD-2-Clause
/* Policies, and all that they speak of: read, looked up, freed. */
#include "config/policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIND(list)                                              \
	do {                                                    \
		for (size_t i = 0; i < p->n_##list; i++) {      \
			if (strcmp(p->list[i].name, name) == 0) \
				return i;                       \
		}                                               \
		return MG_CONFIG_NONE;                          \
	} while (0)

size_t mg_find_access(const struct mg_config_policies *p, const char *name)
{
	FIND(access);
}

size_t mg_find_service(const struct mg_config_policies *p, const char *name)
{
	FIND(services);
}

size_t mg_find_subscribers(const struct mg_config_policies *p, const char *name)
{
	FIND(subscribers);
}

size_t mg_find_policy(const struct mg_config_policies *p, const char *name)
{
	FIND(policies);
}

static void read_one_policy(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_policy *policy = to;
	size_t other;

	mg_read_policy(r, node, &mg_policy_shape, policy);
	other = *policy->name ? mg_find_policy(r->p, policy->name) : MG_CONFIG_NONE;
	if (other != MG_CONFIG_NONE)
		mg_finding(r->f, mg_tree_child(r->f->tree, node, "name"),
			   "%s is already policies[%zu], expected it once", policy->name, other);
}

static void read_policies(struct mg_reading *r, const struct mg_node *node)
{
	mg_read_list(r, node, MG_CONFIG_MAX_POLICIES, sizeof(*r->p->policies), read_one_policy,
		     &r->p->policies, &r->p->n_policies);
}

/* Answers at the top of the file: what else has no mapping of its own. */
static void read_answers(struct mg_reading *r)
{
	const struct mg_node *node = mg_tree_find(r->f->tree, "answers_per_s");

	for (size_t i = 0; i < mg_policy_keys_count; i++) {
		const struct mg_key *k = &mg_policy_keys[i];
		uint32_t value = k->number;

		if (strcmp(k->path, "answers_per_s") != 0)
			continue;
		if (node)
			mg_verify_number(r->f, node, k->min, k->max, &value);
		mg_key_set_number(k, r->p, value);
	}
}

void mg_policies_note_any(struct mg_config_policies *p)
{
	const struct mg_config_policy *d = &p->fallback;

	p->any = p->n_access || p->n_services || p->n_subscribers || p->n_policies || d->deny ||
		 d->has_mode || d->has_source || d->group != MG_CONFIG_NONE || d->proxy_protocol ||
		 d->refuse != MG_REFUSE_PASS || d->refuse_join != MG_REFUSE_RESET || d->sessions ||
		 d->new_per_s || d->held || d->subflows || d->subflows_per_session ||
		 d->steering != MG_STEERING_DEFAULT || p->radius.on;
}

int mg_policies_read(struct mg_config_policies *p, struct mg_findings *f)
{
	/* In this order: what is named is read before who names it. */
	static const struct {
		const char *key;
		void (*read)(struct mg_reading *r, const struct mg_node *node);
		const struct mg_shape *shape;
	} parts[] = {
		{ "access_networks", mg_read_access_networks, NULL },
		{ "services", mg_read_services, NULL },
		{ "subscribers", mg_read_subscribers, NULL },
		{ "policies", read_policies, NULL },
		{ "subscriber_key", NULL, &mg_subscriber_key_shape },
		{ "radius", NULL, &mg_radius_shape },
		{ "sharing", NULL, &mg_sharing_shape },
		{ "provision", NULL, &mg_provision_shape },
	};
	struct mg_reading r = { .f = f, .p = p };

	p->sharing.first_port = 1024;
	p->sharing.last_port = UINT16_MAX;
	if (f->tree->nodes[0].kind != MG_NODE_MAP)
		return 0;
	for (size_t i = 0; i < CYAML_ARRAY_LEN(parts) && !r.err; i++) {
		const struct mg_node *node = mg_tree_find(f->tree, parts[i].key);

		if (parts[i].shape)
			mg_read_mapping(&r, node, parts[i].shape, p);
		else if (node)
			parts[i].read(&r, node);
	}
	if (!r.err)
		mg_read_policy(&r, mg_tree_find(f->tree, "default_policy"),
			       &mg_default_policy_shape, &p->fallback);
	read_answers(&r);
	mg_radius_default_types(&r);
	return r.err;
}

void mg_policies_find_groups(struct mg_config *c, struct mg_findings *f)
{
	const struct mg_node *list = mg_tree_find(f->tree, "policies");
	struct mg_config_policies *p = &c->policies;
	uint32_t at = list ? list->first : 0;

	for (size_t i = 0; at && i < p->n_policies; i++, at = f->tree->nodes[at].next)
		mg_policy_find_group(c, &p->policies[i], &f->tree->nodes[at], f);
	mg_policy_find_group(c, &p->fallback, mg_tree_find(f->tree, "default_policy"), f);
	mg_policies_note_any(p);
}

void mg_policies_free(struct mg_config_policies *p)
{
	for (size_t i = 0; i < p->n_access; i++) {
		free(p->access[i].prefixes);
		free(p->access[i].interfaces);
	}
	for (size_t i = 0; i < p->n_services; i++)
		free(p->services[i].match);
	for (size_t i = 0; i < p->n_subscribers; i++) {
		struct mg_config_subscribers *s = &p->subscribers[i];

		for (size_t j = 0; j < s->n_identities; j++)
			free(s->identities[j]);
		free(s->identities);
		free(s->prefixes);
		free(s->match_file);
	}
	for (size_t i = 0; i < p->n_policies; i++)
		mg_policy_free(&p->policies[i]);
	mg_policy_free(&p->fallback);
	for (size_t i = 0; i < p->radius.n_clients; i++)
		free(p->radius.clients[i].secret_file);
	free(p->radius.clients);
	free(p->radius.types);
	free(p->sharing.pool);
	free(p->sharing.log_file);
	free(p->access);
	free(p->services);
	free(p->subscribers);
	free(p->policies);
}

/* Greater goes first. */
static unsigned int specificity(const struct mg_config_policy *policy)
{
	return (policy->n_subscribers ? 4U : 0) | (policy->n_services ? 2U : 0) |
	       (policy->n_access ? 1U : 0);
}

void mg_config_policy_order(const struct mg_config_policies *p, size_t *order)
{
	size_t n = 0;

	for (int want = 7; want >= 0; want--) {
		for (size_t i = 0; i < p->n_policies; i++) {
			if (specificity(&p->policies[i]) == (unsigned int)want)
				order[n++] = i;
		}
	}
}

bool mg_config_any_preserved(const struct mg_config *c)
{
	const struct mg_config_policies *p = &c->policies;

	if (c->converter.source == MG_SOURCE_PRESERVED ||
	    (p->fallback.has_source && p->fallback.source == MG_SOURCE_PRESERVED))
		return true;
	for (size_t i = 0; i < p->n_policies; i++) {
		if (p->policies[i].has_source && p->policies[i].source == MG_SOURCE_PRESERVED)
			return true;
	}
	return false;
}

const char *mg_config_steering_name(enum mg_steering steering)
{
	return mg_name_of(mg_steering_names, MG_STEERING_COUNT, steering);
}
