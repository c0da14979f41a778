// SPDX-License-Identifier: BSD-2-Clause
/* Policies as YAML. Defaults are in place but for those of the items of long lists, which would not
 * fit the size of a file: default_policy shows them. */
#include "config/policies.h"

#include <string.h>

const char *mg_match_format(char buf[MG_MATCH_STRLEN], const struct mg_config_match *m)
{
	char prefix[MG_PREFIX_STRLEN], ports[16] = "";
	bool any = m->first == 0 && m->last == UINT16_MAX;

	mg_prefix_format(prefix, &m->prefix);
	if (m->first == m->last)
		snprintf(ports, sizeof(ports), ":%u", m->first);
	else if (!any)
		snprintf(ports, sizeof(ports), ":%u-%u", m->first, m->last);
	snprintf(buf, MG_MATCH_STRLEN, !any && strchr(prefix, ':') ? "[%s]%s" : "%s%s", prefix,
		 ports);
	return buf;
}

/* The plain keys of a section, each after `glue`. */
static void print_keys(FILE *out, const char *section, const void *in, const char *glue)
{
	size_t len = strlen(section);

	for (size_t i = 0; i < mg_policy_keys_count; i++) {
		const struct mg_key *k = &mg_policy_keys[i];

		if (strncmp(k->path, section, len) != 0 || strchr(k->path + len, '.'))
			continue;
		fprintf(out, "%s%s: ", glue, k->path + len);
		mg_print_value(out, in, k);
	}
}

/* "{ a: 1, b: 2 }" */
static void print_map(FILE *out, const char *section, const void *in)
{
	size_t len = strlen(section);
	const char *glue = "{ ";

	for (size_t i = 0; i < mg_policy_keys_count; i++) {
		const struct mg_key *k = &mg_policy_keys[i];

		if (strncmp(k->path, section, len) != 0)
			continue;
		fprintf(out, "%s%s: ", glue, k->path + len);
		mg_print_value(out, in, k);
		glue = ", ";
	}
	fputs(" }", out);
}

static void print_prefix_list(FILE *out, const char *name, const struct mg_prefix *list, size_t n)
{
	char text[MG_PREFIX_STRLEN];

	fprintf(out, "%s: [", name);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : " ", mg_prefix_format(text, &list[i]));
	fputs(n ? " ]" : "]", out);
}

static void print_access(FILE *out, const struct mg_config_policies *p)
{
	fprintf(out, "access_networks:%s\n", p->n_access ? "" : " []");
	for (size_t i = 0; i < p->n_access; i++) {
		const struct mg_config_access *a = &p->access[i];

		fputs("  - { name: ", out);
		mg_print_quoted(out, a->name);
		fputs(", ", out);
		print_prefix_list(out, "prefixes", a->prefixes, a->n_prefixes);
		fputs(", interfaces: [", out);
		for (size_t j = 0; j < a->n_interfaces; j++) {
			fputs(j ? ", " : " ", out);
			mg_print_quoted(out, a->interfaces[j]);
		}
		fputs(a->n_interfaces ? " ]" : "]", out);
		print_keys(out, "access_networks[].", a, ", ");
		fputs(" }\n", out);
	}
}

static void print_services(FILE *out, const struct mg_config_policies *p)
{
	char text[MG_MATCH_STRLEN];

	fprintf(out, "services:%s\n", p->n_services ? "" : " []");
	for (size_t i = 0; i < p->n_services; i++) {
		const struct mg_config_service *s = &p->services[i];

		fputs("  - name: ", out);
		mg_print_quoted(out, s->name);
		fputs("\n    match: [", out);
		for (size_t j = 0; j < s->n_match; j++)
			fprintf(out, "%s\"%s\"", j ? ", " : " ",
				mg_match_format(text, &s->match[j]));
		fputs(" ]\n    limits: ", out);
		print_map(out, "services[].limits.", s);
		print_keys(out, "services[].", s, "\n    ");
		fputc('\n', out);
	}
}

static void print_subscribers(FILE *out, const struct mg_config_policies *p)
{
	char text[MG_PREFIX_STRLEN];

	fprintf(out, "subscribers:%s\n", p->n_subscribers ? "" : " []");
	for (size_t i = 0; i < p->n_subscribers; i++) {
		const struct mg_config_subscribers *s = &p->subscribers[i];
		const char *glue = " ";

		fputs("  - name: ", out);
		mg_print_quoted(out, s->name);
		fputs("\n    match: [", out);
		for (size_t j = 0; j < s->n_listed; j++, glue = ", ")
			fprintf(out, "%s\"%s\"", glue, mg_prefix_format(text, &s->prefixes[j]));
		for (size_t j = 0; j < s->n_identities; j++, glue = ", ") {
			char id[MG_CONFIG_IDENTITY_BYTES + 4];

			snprintf(id, sizeof(id), "id:%s", s->identities[j]);
			fputs(glue, out);
			mg_print_quoted(out, id);
		}
		fputs(*glue == ',' ? " ]" : "]", out);
		if (s->match_file) {
			fputs("\n    match_file: ", out);
			mg_print_quoted(out, s->match_file);
		}
		fputc('\n', out);
	}
}

/* Names of the items of a list of records, each of which begins with its name; none is any. */
static void print_names(FILE *out, const char *indent, const char *key, const void *records,
			size_t size, const size_t *names, size_t n)
{
	if (!n)
		return;
	fprintf(out, "%s%s: ", indent, key);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ", " : "[ ", out);
		mg_print_quoted(out, (const char *)records + names[i] * size);
	}
	fputs(" ]\n", out);
}

static void print_paths(FILE *out, const struct mg_config_policies *p,
			const struct mg_config_policy *policy, const char *indent)
{
	if (policy->n_split)
		fprintf(out, "%ssplit:", indent);
	for (size_t i = 0; i < policy->n_split; i++) {
		fputs(i ? ", " : " { ", out);
		mg_print_quoted(out, p->access[policy->split[i].access].name);
		fprintf(out, ": %u", policy->split[i].percent);
	}
	if (policy->n_split)
		fputs(" }\n", out);
	if (policy->n_order)
		print_names(out, indent, "order", p->access, sizeof(*p->access), policy->order,
			    policy->n_order);
}

/* Whether it stands at what it would be without being said. */
static bool is_default(const struct mg_config_policy *policy, const struct mg_key *k)
{
	uint32_t number = k->number;

	if (k->offset == offsetof(struct mg_config_policy, refuse) && policy->deny)
		number = MG_REFUSE_RESET;
	if (k->offset == offsetof(struct mg_config_policy, steering) && policy->n_split)
		number = MG_STEERING_LOAD_BALANCING;
	if (k->offset == offsetof(struct mg_config_policy, burst))
		number = policy->new_per_s;
	return mg_key_number(k, policy) == number;
}

/* The plain keys of a section of a policy, the first of them after `before`; false: there are none.
 */
static bool print_said(FILE *out, const char *section, const struct mg_config_policy *policy,
		       bool all, const char *before, const char *glue)
{
	size_t len = strlen(section);
	bool some = false;

	for (size_t i = 0; i < mg_policy_keys_count; i++) {
		const struct mg_key *k = &mg_policy_keys[i];

		if (strncmp(k->path, section, len) != 0 || strchr(k->path + len, '.') ||
		    (!all && is_default(policy, k)))
			continue;
		fprintf(out, "%s%s: ", some ? glue : before, k->path + len);
		mg_print_value(out, policy, k);
		some = true;
	}
	return some;
}

static void print_policy(FILE *out, const struct mg_config *c,
			 const struct mg_config_policy *policy, const char *indent)
{
	bool all = policy == &c->policies.fallback;
	char before[32];

	if (policy->deny || policy->has_mode)
		fprintf(out, "%smode: %s\n", indent,
			mg_name_of(mg_policy_mode_names, CYAML_ARRAY_LEN(mg_policy_mode_names),
				   policy->deny ? MG_POLICY_MODE_DENY : (int64_t)policy->mode));
	if (policy->group != MG_CONFIG_NONE) {
		fprintf(out, "%sgroup: ", indent);
		mg_print_quoted(out, c->steer.groups[policy->group].name);
		fputc('\n', out);
	}
	if (policy->has_source)
		fprintf(out, "%ssource: %s\n", indent,
			mg_name_of(mg_source_names, CYAML_ARRAY_LEN(mg_source_names),
				   policy->source));
	snprintf(before, sizeof(before), "%slimits: { ", indent);
	if (print_said(out, "policies[].limits.", policy, all, before, ", "))
		fputs(" }\n", out);
	snprintf(before, sizeof(before), "\n%s", indent);
	if (print_said(out, "policies[].", policy, all, indent, before))
		fputc('\n', out);
	print_paths(out, &c->policies, policy, indent);
}

static void print_policies(FILE *out, const struct mg_config *c)
{
	const struct mg_config_policies *p = &c->policies;

	fprintf(out, "policies:%s\n", p->n_policies ? "" : " []");
	for (size_t i = 0; i < p->n_policies; i++) {
		const struct mg_config_policy *policy = &p->policies[i];

		fputs("  - name: ", out);
		mg_print_quoted(out, policy->name);
		fputc('\n', out);
		print_names(out, "    ", "subscribers", p->subscribers, sizeof(*p->subscribers),
			    policy->subscribers, policy->n_subscribers);
		print_names(out, "    ", "services", p->services, sizeof(*p->services),
			    policy->services, policy->n_services);
		print_names(out, "    ", "access", p->access, sizeof(*p->access), policy->access,
			    policy->n_access);
		print_policy(out, c, policy, "    ");
	}
	fputs("default_policy:\n", out);
	print_policy(out, c, &p->fallback, "  ");
}

static void print_types(FILE *out, const char *name, const uint8_t *types, size_t n)
{
	fprintf(out, "%s: [", name);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%u", i ? ", " : " ", types[i]);
	fputs(n ? " ]" : "]", out);
}

static void print_radius(FILE *out, const struct mg_config_policies *p)
{
	const struct mg_config_radius *r = &p->radius;
	char text[MG_EP_STRLEN];

	if (!r->on)
		return;
	fprintf(out, "radius:\n  listen: \"%s\"\n  clients:\n", mg_ep_format(text, &r->listen));
	for (size_t i = 0; i < r->n_clients; i++) {
		fprintf(out, "    - { address: \"%s\", secret_file: ",
			mg_ip_format(text, &r->clients[i].address));
		mg_print_quoted(out, r->clients[i].secret_file);
		fputs(" }\n", out);
	}
	fprintf(out, "  types:%s\n", r->n_types ? "" : " {}");
	for (size_t i = 0; i < r->n_types; i++) {
		const struct mg_config_radius_type *t = &r->types[i];

		fputs("    ", out);
		mg_print_quoted(out, p->access[t->access].name);
		fputs(": { ", out);
		print_types(out, "nas", t->nas_port_types, t->n_nas_port_types);
		fputs(", ", out);
		print_types(out, "rat", t->rat_types, t->n_rat_types);
		fputs(" }\n", out);
	}
	print_keys(out, "radius.", p, "  ");
	fputc('\n', out);
}

void mg_policies_print(FILE *out, const struct mg_config *c)
{
	const struct mg_config_policies *p = &c->policies;

	print_access(out, p);
	print_services(out, p);
	print_subscribers(out, p);
	print_policies(out, c);
	fputs("subscriber_key: ", out);
	print_map(out, "subscriber_key.", p);
	fprintf(out, "\nanswers_per_s: %u\n", p->answers_per_s);
	print_radius(out, p);
	fputs("sharing:\n  ", out);
	print_prefix_list(out, "pool", p->sharing.pool, p->sharing.n_pool);
	fprintf(out, "\n  ports: \"%u-%u\"", p->sharing.first_port, p->sharing.last_port);
	print_keys(out, "sharing.", p, "\n  ");
	fputs("\nprovision: ", out);
	print_map(out, "provision.", p);
	fputc('\n', out);
}
