// SPDX-License-Identifier: BSD-2-Clause
/* One policy. */
#include "config/policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void read_policy_name(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_policy *policy = to;

	/* The default policy has its name, and nobody else can. */
	if (!*policy->name)
		mg_read_name(r, node, policy->name);
}

static void read_policy_subscribers(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_policy *policy = to;

	mg_read_names(r, node, "subscribers", mg_find_subscribers, true, &policy->subscribers,
		      &policy->n_subscribers);
}

static void read_policy_services(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_policy *policy = to;

	mg_read_names(r, node, "services", mg_find_service, true, &policy->services,
		      &policy->n_services);
}

static void read_policy_access(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_policy *policy = to;

	mg_read_names(r, node, "access_networks", mg_find_access, true, &policy->access,
		      &policy->n_access);
}

static void read_mode(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_policy *policy = to;
	uint32_t value;

	if (!mg_verify_name(r->f, node, mg_policy_mode_names, CYAML_ARRAY_LEN(mg_policy_mode_names),
			    &value))
		return;
	/* mg_read_policy puts it where `steering` does not say it. */
	if (value & MG_POLICY_MODE_STEERING)
		return;
	policy->deny = value == MG_POLICY_MODE_DENY;
	policy->has_mode = !policy->deny;
	if (policy->has_mode)
		policy->mode = value;
}

/* Groups are not known yet: mg_policy_find_group. */
static void read_group(struct mg_reading *r, const struct mg_node *node, void *to)
{
	(void)to;
	mg_verify_text(r->f, node, 1, MG_MEMBER_NAME - 1);
}

static void read_source(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_policy *policy = to;
	uint32_t value;

	policy->has_source = mg_verify_name(r->f, node, mg_source_names,
					    CYAML_ARRAY_LEN(mg_source_names), &value);
	if (policy->has_source)
		policy->source = value;
}

static void read_limits(struct mg_reading *r, const struct mg_node *node, void *to)
{
	static const struct mg_shape shape = { "policies[].limits.", NULL, 0 };
	struct mg_config_policy *policy = to;

	mg_read_mapping(r, node, &shape, to);
	if (policy->new_per_s && !mg_tree_child(r->f->tree, node, "burst"))
		policy->burst = policy->new_per_s;
}

static void read_share(struct mg_reading *r, const struct mg_node *node,
		       struct mg_config_policy *policy)
{
	struct mg_config_share *share = &policy->split[policy->n_split];
	char quoted[MG_QUOTE_BYTES];

	share->access = mg_find_access(r->p, node->key);
	if (share->access == MG_CONFIG_NONE)
		mg_finding(r->f, node, "is for %s, expected the name of one of access_networks",
			   mg_quote(quoted, node->key));
	if (mg_verify_number(r->f, node, 0, 100, &share->percent) &&
	    share->access != MG_CONFIG_NONE)
		policy->n_split++;
}

/* A mapping whose keys are names of access networks. */
static void read_split(struct mg_reading *r, const struct mg_node *node, void *to)
{
	const struct mg_node *all = r->f->tree->nodes;
	struct mg_config_policy *policy = to;
	uint32_t n = 0, sum = 0;

	if (node->kind != MG_NODE_MAP || !node->first) {
		mg_finding(r->f, node, "%s, expected a mapping of access networks to percent",
			   node->kind == MG_NODE_MAP ? "is empty" : mg_kind_found(node));
		return;
	}
	for (uint32_t i = node->first; i; i = all[i].next)
		n++;
	policy->split = calloc(n, sizeof(*policy->split));
	if (!policy->split) {
		r->err = -ENOMEM;
		return;
	}
	for (uint32_t i = node->first; i; i = all[i].next) {
		read_share(r, &all[i], policy);
	}
	for (size_t i = 0; i < policy->n_split; i++)
		sum += policy->split[i].percent;
	if (policy->n_split == n && sum != 100)
		mg_finding(r->f, node, "adds up to %u, expected 100", sum);
}

static void read_order(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_policy *policy = to;

	mg_read_names(r, node, "access_networks", mg_find_access, false, &policy->order,
		      &policy->n_order);
}

/* Those that say who a policy is for come first, and then its name: the default one has none of
 * them. */
#define WHO 4
static const struct mg_special policy_keys[] = {
	{ "subscribers", read_policy_subscribers, false },
	{ "services", read_policy_services, false },
	{ "access", read_policy_access, false },
	{ "name", read_policy_name, true },
	{ "mode", read_mode, false },
	{ "group", read_group, false },
	{ "source", read_source, false },
	{ "limits", read_limits, false },
	{ "split", read_split, false },
	{ "order", read_order, false },
};
const struct mg_shape mg_policy_shape = { "policies[].", policy_keys,
					  CYAML_ARRAY_LEN(policy_keys) };
const struct mg_shape mg_named_default_shape = { "policies[].", policy_keys + WHO - 1,
						 CYAML_ARRAY_LEN(policy_keys) - WHO + 1 };
const struct mg_shape mg_default_policy_shape = { "policies[].", policy_keys + WHO,
						  CYAML_ARRAY_LEN(policy_keys) - WHO };

enum mg_steering mg_policy_mode_steering(const struct mg_tree *t, const struct mg_node *policy)
{
	const struct mg_node *mode = policy ? mg_tree_child(t, policy, "mode") : NULL;

	if (!mode || mode->kind != MG_NODE_SCALAR)
		return MG_STEERING_DEFAULT;
	for (size_t i = 0; i < CYAML_ARRAY_LEN(mg_policy_mode_names); i++) {
		if (mg_policy_mode_names[i].val & MG_POLICY_MODE_STEERING &&
		    strcmp(mg_policy_mode_names[i].str, mode->text) == 0)
			return mg_policy_mode_names[i].val & ~MG_POLICY_MODE_STEERING;
	}
	return MG_STEERING_DEFAULT;
}

void mg_read_policy(struct mg_reading *r, const struct mg_node *node, const struct mg_shape *shape,
		    struct mg_config_policy *to)
{
	const struct mg_tree *t = r->f->tree;

	to->group = MG_CONFIG_NONE;
	if (shape != &mg_policy_shape)
		strcpy(to->name, "default");
	mg_read_mapping(r, node, shape, to);
	if (!node || node->kind != MG_NODE_MAP)
		return;
	if (to->deny && !mg_tree_child(t, node, "refuse"))
		to->refuse = MG_REFUSE_RESET;
	if (mg_tree_child(t, node, "steering"))
		return;
	to->steering = mg_policy_mode_steering(t, node);
	if (to->n_split && to->steering == MG_STEERING_DEFAULT)
		to->steering = MG_STEERING_LOAD_BALANCING;
}

void mg_policy_find_group(const struct mg_config *c, struct mg_config_policy *policy,
			  const struct mg_node *node, struct mg_findings *f)
{
	const struct mg_node *at = node ? mg_tree_child(f->tree, node, "group") : NULL;
	char quoted[MG_QUOTE_BYTES];

	if (!at)
		return;
	for (size_t i = 0; i < c->steer.n_groups; i++) {
		if (strcmp(c->steer.groups[i].name, at->text) == 0)
			policy->group = i;
	}
	if (policy->group == MG_CONFIG_NONE)
		mg_finding(f, at, "is %s, expected the name of one of groups",
			   mg_quote(quoted, at->text));
}

void mg_policy_free(struct mg_config_policy *policy)
{
	free(policy->subscribers);
	free(policy->services);
	free(policy->access);
	free(policy->split);
	free(policy->order);
}
