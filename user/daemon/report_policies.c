// SPDX-License-Identifier: BSD-2-Clause
/* Policies, each in the words of the configuration. */
#include "daemon/report.h"

#include <stdlib.h>
#include <string.h>

#include "config/policies.h"
#include "daemon/put.h"

static void put_key(json_t *o, const char *name, const struct mg_key *k, const void *in)
{
	uint32_t value = mg_key_number(k, in);

	if (k->kind == MG_KEY_NUMBER)
		put_number(o, name, value);
	else if (k->names == mg_bool_names)
		put_bool(o, name, value);
	else
		put_text(o, name, mg_name_of(k->names, k->n_names, value));
}

/* The plain keys of a section of an item. */
static void put_keys(json_t *o, const char *section, const void *in)
{
	size_t len = strlen(section);

	for (size_t i = 0; i < mg_policy_keys_count; i++) {
		const struct mg_key *k = &mg_policy_keys[i];

		if (strncmp(k->path, section, len) == 0 && !strchr(k->path + len, '.'))
			put_key(o, k->path + len, k, in);
	}
}

/* Of the items of a list of records, each of which begins with its name. */
static json_t *names(const void *records, size_t size, const size_t *at, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string((const char *)records + at[i] * size));
	return list;
}

static void put_names(json_t *o, const char *key, const void *records, size_t size,
		      const size_t *at, size_t n)
{
	if (n)
		json_object_set_new(o, key, names(records, size, at, n));
	else
		put_text(o, key, "any");
}

static void put_paths(json_t *o, const struct mg_config_policies *p,
		      const struct mg_config_policy *policy)
{
	json_t *split = json_object();

	for (size_t i = 0; i < policy->n_split; i++)
		put_number(split, p->access[policy->split[i].access].name,
			   policy->split[i].percent);
	if (policy->n_split)
		json_object_set(o, "split", split);
	json_decref(split);
	if (policy->n_order)
		json_object_set_new(
			o, "order",
			names(p->access, sizeof(*p->access), policy->order, policy->n_order));
}

/* What it does not say is left out, so that all of it can be said again. */
static json_t *report(const struct mg_config *c, const struct mg_config_policy *policy)
{
	const struct mg_config_policies *p = &c->policies;
	json_t *o = json_object(), *limits = json_object();

	put_text(o, "name", policy->name);
	if (policy != &p->fallback) {
		put_names(o, "subscribers", p->subscribers, sizeof(*p->subscribers),
			  policy->subscribers, policy->n_subscribers);
		put_names(o, "services", p->services, sizeof(*p->services), policy->services,
			  policy->n_services);
		put_names(o, "access", p->access, sizeof(*p->access), policy->access,
			  policy->n_access);
	}
	if (policy->deny || policy->has_mode)
		put_text(o, "mode",
			 mg_name_of(mg_policy_mode_names, CYAML_ARRAY_LEN(mg_policy_mode_names),
				    policy->deny ? MG_POLICY_MODE_DENY : (int64_t)policy->mode));
	if (policy->group != MG_CONFIG_NONE)
		put_text(o, "group", c->steer.groups[policy->group].name);
	if (policy->has_source)
		put_text(o, "source",
			 mg_name_of(mg_source_names, CYAML_ARRAY_LEN(mg_source_names),
				    policy->source));
	put_keys(limits, "policies[].limits.", policy);
	json_object_set_new(o, "limits", limits);
	put_keys(o, "policies[].", policy);
	put_paths(o, p, policy);
	return o;
}

json_t *mg_report_policies(struct mg_daemon *d)
{
	const struct mg_config_policies *p = &d->config->policies;
	size_t *order = calloc(p->n_policies + 1, sizeof(*order));
	json_t *all = order ? json_array() : NULL;

	if (all)
		mg_config_policy_order(p, order);
	for (size_t i = 0; all && i < p->n_policies; i++)
		json_array_append_new(all, report(d->config, &p->policies[order[i]]));
	if (all)
		json_array_append_new(all, report(d->config, &p->fallback));
	free(order);
	return all;
}
