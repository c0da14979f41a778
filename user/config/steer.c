// SPDX-License-Identifier: BSD-2-Clause
/*
 * Gateways and proxies, from the names in the file to what the rooms use: places in lists, and
 * groups for what a rule expects.
 */
#include "config/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE	  ((size_t)-1)
#define NO_LENGTH 255 /* of a prefix that did not parse */

static size_t find_proxy(const struct mg_config_steer *s, const char *name)
{
	for (size_t i = 0; i < s->n_proxies; i++) {
		if (strcmp(s->proxies[i].name, name) == 0)
			return i;
	}
	return NOWHERE;
}

static size_t find_group(const struct mg_config_steer *s, const char *name)
{
	for (size_t i = 0; i < s->n_groups; i++) {
		if (strcmp(s->groups[i].name, name) == 0)
			return i;
	}
	return MG_CONFIG_NO_GROUP;
}

static int make_proxies(struct mg_config_steer *s, const struct mg_raw_steer *raw,
			struct mg_findings *f)
{
	char path[64], quoted[MG_QUOTE_BYTES], text[MG_IP_STRLEN];
	const char *trouble;

	s->proxies = calloc(raw->n_proxies + 1, sizeof(*s->proxies));
	if (!s->proxies)
		return -ENOMEM;
	s->n_proxies = raw->n_proxies;
	for (size_t i = 0; i < raw->n_proxies; i++) {
		const char *address = raw->proxies[i].address;
		struct mg_config_proxy *p = &s->proxies[i];

		*p = raw->proxies[i].to;
		mg_item_defaults(f->tree, "proxies", i, p);
		snprintf(path, sizeof(path), "proxies[%zu].address", i);
		if (!mg_ip_parse(&p->address, address)) {
			trouble = mg_config_address_trouble(&p->address);
			if (trouble)
				mg_finding_path(f, path,
						"%s %s, expected one that gateways reach the proxy "
						"at",
						mg_ip_format(text, &p->address), trouble);
			continue;
		}
		mg_finding_path(f, path,
				"is %s, expected an address such as 192.0.2.1 or "
				"2001:db8::1",
				mg_quote(quoted, address));
	}
	return 0;
}

static int make_members(struct mg_config_steer *s, size_t group, const struct mg_raw_group *raw,
			struct mg_findings *f)
{
	struct mg_config_group *g = &s->groups[group];
	char path[64], quoted[MG_QUOTE_BYTES];

	g->members = calloc(raw->n_members + 1, sizeof(*g->members));
	if (!g->members)
		return -ENOMEM;
	for (size_t i = 0; i < raw->n_members; i++) {
		size_t proxy = find_proxy(s, raw->members[i]);

		if (proxy != NOWHERE) {
			g->members[g->n_members++] = proxy;
			continue;
		}
		snprintf(path, sizeof(path), "groups[%zu].members[%zu]", group, i);
		mg_finding_path(f, path, "is %s, expected the name of one of proxies",
				mg_quote(quoted, raw->members[i]));
	}
	return 0;
}

static int make_groups(struct mg_config_steer *s, const struct mg_raw_steer *raw,
		       struct mg_findings *f)
{
	int err;

	s->groups = calloc(raw->n_groups + 1, sizeof(*s->groups));
	if (!s->groups)
		return -ENOMEM;
	for (size_t i = 0; i < raw->n_groups; i++) {
		s->groups[i] = raw->groups[i].to;
		s->n_groups++;
		mg_item_defaults(f->tree, "groups", i, &s->groups[i]);
		err = make_members(s, i, &raw->groups[i], f);
		if (err)
			return err;
	}
	return 0;
}

static size_t group_named(const struct mg_config_steer *s, const char *path, const char *name,
			  struct mg_findings *f)
{
	size_t group = find_group(s, name);
	char quoted[MG_QUOTE_BYTES];

	if (group == MG_CONFIG_NO_GROUP)
		mg_finding_path(f, path, "is %s, expected the name of one of groups",
				mg_quote(quoted, name));
	return group;
}

static int make_virtuals(struct mg_config_steer *s, const struct mg_raw_steer *raw,
			 struct mg_findings *f)
{
	char path[64], quoted[MG_QUOTE_BYTES];

	s->virtuals = calloc(raw->n_virtuals + 1, sizeof(*s->virtuals));
	if (!s->virtuals)
		return -ENOMEM;
	s->n_virtuals = raw->n_virtuals;
	for (size_t i = 0; i < raw->n_virtuals; i++) {
		struct mg_config_virtual *v = &s->virtuals[i];

		snprintf(path, sizeof(path), "virtual[%zu].address", i);
		if (mg_ep_parse(&v->address, raw->virtuals[i].address)) {
			mg_finding_path(f, path, "is %s, expected ADDRESS:PORT or [ADDRESS]:PORT",
					mg_quote(quoted, raw->virtuals[i].address));
		}
		snprintf(path, sizeof(path), "virtual[%zu].group", i);
		v->group = group_named(s, path, raw->virtuals[i].group, f);
	}
	return 0;
}

static int parse_port(uint16_t *port, const char *text)
{
	size_t len = strlen(text);
	unsigned long value = strtoul(text, NULL, 10);

	if (!len || len > 5 || strspn(text, "0123456789") != len || *text == '0' ||
	    value > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

/* PREFIX, PREFIX:PORT of IPv4, or [PREFIX]:PORT of IPv6, whose colons would not tell. */
static int parse_service(struct mg_config_rule *r, const char *text)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = *text == '[';
	char prefix[MG_PREFIX_STRLEN];
	size_t len;

	if (!bracketed && (!colon || strchr(text, ':') != colon))
		return mg_prefix_parse(&r->service, text);
	len = (size_t)(colon - text);
	if (bracketed) {
		if (!colon || len < 2 || text[len - 1] != ']')
			return -EINVAL;
		text++;
		len -= 2;
	}
	if (len >= sizeof(prefix) || parse_port(&r->port, colon + 1))
		return -EINVAL;
	memcpy(prefix, text, len);
	prefix[len] = '\0';
	if (bracketed != (strchr(prefix, ':') != NULL))
		return -EINVAL;
	return mg_prefix_parse(&r->service, prefix);
}

static void make_rule(struct mg_config_steer *s, size_t i, const struct mg_raw_rule *raw,
		      struct mg_findings *f)
{
	struct mg_config_rule *r = &s->rules[i];
	char path[64], quoted[MG_QUOTE_BYTES];

	*r = raw->to;
	r->any_access = !raw->access;
	r->any_service = !raw->service;
	r->group_is_named = raw->group;
	r->group = r->fallback = MG_CONFIG_NO_GROUP;
	if (raw->access && mg_prefix_parse(&r->access, raw->access)) {
		r->access.len = NO_LENGTH;
		snprintf(path, sizeof(path), "selection[%zu].access", i);
		mg_finding_path(f, path,
				"is %s, expected a prefix such as 192.0.2.0/24 or 2001:db8::/32",
				mg_quote(quoted, raw->access));
	}
	if (raw->service && parse_service(r, raw->service)) {
		r->service.len = NO_LENGTH;
		snprintf(path, sizeof(path), "selection[%zu].service", i);
		mg_finding_path(f, path,
				"is %s, expected a prefix, with a port if need be, such as "
				"0.0.0.0/0:443 or [2001:db8::/32]:443",
				mg_quote(quoted, raw->service));
	}
	if (!raw->group)
		return;
	snprintf(path, sizeof(path), "selection[%zu].group", i);
	r->group = group_named(s, path, raw->group, f);
}

bool mg_config_is_v4_prefix(const struct mg_prefix *p)
{
	return mg_ip_is_v4(&p->ip) && p->len >= 96;
}

const char *mg_config_kind_name(enum mg_proxy_kind kind)
{
	return mg_name_of(mg_proxy_kind_names, CYAML_ARRAY_LEN(mg_proxy_kind_names), kind);
}

enum mg_proxy_kind mg_config_group_kind(const struct mg_config_steer *s, size_t group)
{
	const struct mg_config_group *g = &s->groups[group];

	return g->n_members ? s->proxies[g->members[0]].kind : MG_PROXY_OFF_PATH;
}

static bool is_near(const struct mg_config_steer *s, const struct mg_config_group *g)
{
	if (!*s->gateway.location)
		return false;
	for (size_t i = 0; i < g->n_members; i++) {
		if (strcmp(s->proxies[g->members[i]].location, s->gateway.location) == 0)
			return true;
	}
	return false;
}

/* The first that has a member where this gateway is, else the first of the kind. */
static size_t nearest(const struct mg_config_steer *s, enum mg_proxy_kind kind)
{
	size_t first = MG_CONFIG_NO_GROUP;

	for (size_t i = 0; i < s->n_groups; i++) {
		if (mg_config_group_kind(s, i) != kind)
			continue;
		if (is_near(s, &s->groups[i]))
			return i;
		if (first == MG_CONFIG_NO_GROUP)
			first = i;
	}
	return first;
}

static void resolve(struct mg_config_steer *s, struct mg_config_rule *r)
{
	enum mg_proxy_kind kind =
		r->expect == MG_EXPECT_THROUGHPUT ? MG_PROXY_ON_PATH : MG_PROXY_OFF_PATH;
	enum mg_proxy_kind other = kind == MG_PROXY_ON_PATH ? MG_PROXY_OFF_PATH : MG_PROXY_ON_PATH;

	if (r->expect == MG_EXPECT_NONE)
		return;
	if (!r->group_is_named)
		r->group = nearest(s, kind);
	r->fallback = nearest(s, other);
	if (r->group == MG_CONFIG_NO_GROUP) {
		r->group = r->fallback;
		r->fallback = MG_CONFIG_NO_GROUP;
	}
}

int mg_config_make_steer(struct mg_config *c, const struct mg_raw_steer *raw, struct mg_findings *f)
{
	struct mg_config_steer *s = &c->steer;
	int err = make_proxies(s, raw, f);

	if (!err)
		err = make_groups(s, raw, f);
	if (!err)
		err = make_virtuals(s, raw, f);
	if (err)
		return err;
	s->rules = calloc(raw->n_rules + 1, sizeof(*s->rules));
	if (!s->rules)
		return -ENOMEM;
	s->n_rules = raw->n_rules;
	for (size_t i = 0; i < raw->n_rules; i++)
		make_rule(s, i, &raw->rules[i], f);
	s->is_gateway = s->n_groups && (s->n_virtuals || s->n_rules);
	/* With members missing, nothing can be said of a group's kind. */
	for (size_t i = 0; !f->count && i < s->n_rules; i++)
		resolve(s, &s->rules[i]);
	return 0;
}
