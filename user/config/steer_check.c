// SPDX-License-Identifier: BSD-2-Clause
/* What can be said against gateways and proxies without looking at the host. */
#include "config/schema.h"

#include <string.h>

#include "wire/store_url.h"

/* Where clients' packets can be steered. */
static bool has_way_in(const struct mg_config *c)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (c->interfaces[i].role == MG_ROLE_ACCESS && c->interfaces[i].xdp != MG_XDP_OFF)
			return true;
	}
	return false;
}

static void check_name(const char *path, const char *name, struct mg_findings *f)
{
	char quoted[MG_QUOTE_BYTES];

	if (!mg_config_is_name(name))
		mg_finding_path(f, path, "is %s, expected letters, digits, '.', '_' and '-'",
				mg_quote(quoted, name));
}

/* Those that did not parse are all zero, and have had their finding. */
static bool is_there(const struct in6_addr *ip)
{
	static const struct in6_addr none;

	return !mg_ip_equal(ip, &none);
}

static void check_proxy_twice(const struct mg_config_steer *s, size_t i, struct mg_findings *f)
{
	const struct mg_config_proxy *p = &s->proxies[i];
	char path[64], plain[MG_QUOTE_BYTES], text[MG_IP_STRLEN];
	bool name = true, address = is_there(&p->address);

	for (size_t j = 0; j < i; j++) {
		if (name && strcmp(p->name, s->proxies[j].name) == 0) {
			snprintf(path, sizeof(path), "proxies[%zu].name", i);
			mg_finding_path(f, path, "%s is already proxies[%zu], expected it once",
					mg_plain(plain, p->name), j);
			name = false;
		}
		if (address && mg_ip_equal(&p->address, &s->proxies[j].address)) {
			snprintf(path, sizeof(path), "proxies[%zu].address", i);
			mg_finding_path(f, path, "%s is already proxies[%zu], expected it once",
					mg_ip_format(text, &p->address), j);
			address = false;
		}
	}
}

static void check_proxies(const struct mg_config *c, struct mg_findings *f)
{
	const struct mg_config_steer *s = &c->steer;
	char path[64], text[MG_IP_STRLEN], plain[MG_QUOTE_BYTES];

	for (size_t i = 0; i < s->n_proxies; i++) {
		const struct mg_config_proxy *p = &s->proxies[i];
		bool local = p->deliver == MG_DELIVER_LOCAL;

		snprintf(path, sizeof(path), "proxies[%zu].name", i);
		check_name(path, p->name, f);
		check_proxy_twice(s, i, f);
		snprintf(path, sizeof(path), "proxies[%zu].address", i);
		if (!local && mg_ip_is_loopback(&p->address))
			mg_finding_path(f, path,
					"%s is a loopback address, expected one that gateways "
					"reach the proxy at",
					mg_ip_format(text, &p->address));
		snprintf(path, sizeof(path), "proxies[%zu].deliver", i);
		if (local && strcmp(p->name, c->node) != 0)
			mg_finding_path(
				f, path,
				"is local for another host, expected l2 or ipip: node is %s",
				mg_plain(plain, c->node));
	}
	if (s->n_proxies && !s->n_groups && !s->n_gateways)
		mg_finding_path(f, "proxies", "has no effect without groups, expected both");
}

static void check_members(const struct mg_config_steer *s, size_t group, struct mg_findings *f)
{
	const struct mg_config_group *g = &s->groups[group];
	char path[64];
	uint64_t weight = 0;

	for (size_t i = 0; i < g->n_members; i++) {
		const struct mg_config_proxy *p = &s->proxies[g->members[i]];

		snprintf(path, sizeof(path), "groups[%zu].members", group);
		weight += p->weight;
		for (size_t j = 0; j < i; j++) {
			if (g->members[i] != g->members[j])
				continue;
			mg_finding_path(f, path, "%s is there twice, expected it once", p->name);
			break;
		}
		if (p->kind != s->proxies[g->members[0]].kind)
			mg_finding_path(f, path,
					"%s is %s and %s is not, expected members of one kind",
					p->name, mg_config_kind_name(p->kind),
					s->proxies[g->members[0]].name);
	}
	snprintf(path, sizeof(path), "groups[%zu].members", group);
	if (g->n_members && !weight)
		mg_finding_path(f, path, "have weight 0 all of them, expected one that has more");
}

static bool is_virtual_group(const struct mg_config_steer *s, size_t group)
{
	for (size_t i = 0; i < s->n_virtuals; i++) {
		if (s->virtuals[i].group == group)
			return true;
	}
	return false;
}

static void check_groups(const struct mg_config_steer *s, struct mg_findings *f)
{
	char path[64], plain[MG_QUOTE_BYTES];

	for (size_t i = 0; i < s->n_groups; i++) {
		const struct mg_config_group *g = &s->groups[i];

		snprintf(path, sizeof(path), "groups[%zu].name", i);
		check_name(path, g->name, f);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(g->name, s->groups[j].name) != 0)
				continue;
			mg_finding_path(f, path, "%s is already groups[%zu], expected it once",
					mg_plain(plain, g->name), j);
			break;
		}
		check_members(s, i, f);
		snprintf(path, sizeof(path), "groups[%zu].check.port", i);
		if (g->check.by == MG_CHECK_TCP && !g->check.port && !is_virtual_group(s, i))
			mg_finding_path(f, path,
					"is missing, expected the port that members of a group "
					"without a virtual address accept connections at");
	}
	if (s->n_groups && !s->n_virtuals && !s->n_rules)
		mg_finding_path(f, "groups",
				"has no effect without virtual or selection, expected one of them");
}

static void check_virtual(const struct mg_config_steer *s, size_t i, struct mg_findings *f)
{
	const struct mg_ep *ep = &s->virtuals[i].address;
	const char *trouble = mg_config_address_trouble(&ep->ip);
	char path[64], text[MG_EP_STRLEN];

	if (!ep->port)
		return;
	snprintf(path, sizeof(path), "virtual[%zu].address", i);
	mg_ep_format(text, ep);
	if (!trouble && mg_ip_is_loopback(&ep->ip))
		trouble = "is a loopback address";
	if (trouble)
		mg_finding_path(f, path, "%s %s, expected one that clients reach", text, trouble);
	for (size_t j = 0; j < s->n_proxies; j++) {
		if (is_there(&s->proxies[j].address) &&
		    mg_ip_equal(&ep->ip, &s->proxies[j].address))
			mg_finding_path(f, path,
					"%s is the address of proxies[%zu], expected one that no "
					"proxy has for its own",
					text, j);
	}
	for (size_t j = 0; j < i; j++) {
		if (!mg_ep_equal(ep, &s->virtuals[j].address))
			continue;
		mg_finding_path(f, path, "%s is already virtual[%zu], expected it once", text, j);
		break;
	}
}

static void check_rule_interface(const struct mg_config *c, size_t i, struct mg_findings *f)
{
	const char *name = c->steer.rules[i].interface;
	char path[64], plain[MG_QUOTE_BYTES];

	if (!*name)
		return;
	snprintf(path, sizeof(path), "selection[%zu].interface", i);
	mg_plain(plain, name);
	for (size_t j = 0; j < c->n_interfaces; j++) {
		if (strcmp(c->interfaces[j].name, name) != 0)
			continue;
		if (c->interfaces[j].role != MG_ROLE_ACCESS)
			mg_finding_path(f, path,
					"%s has the role core, expected access: rules are for what "
					"clients send",
					plain);
		else if (c->interfaces[j].xdp == MG_XDP_OFF)
			mg_finding_path(f, path, "%s has xdp off, expected XDP to go by the rule",
					plain);
		return;
	}
	mg_finding_path(f, path, "%s is not there, expected one of interfaces", plain);
}

/* Prefixes that did not parse are of no length that is. */
static bool was_read(const struct mg_prefix *p)
{
	return p->len <= 128;
}

static bool prefix_holds(const struct mg_prefix *a, const struct mg_prefix *b)
{
	return was_read(a) && was_read(b) && a->len <= b->len && mg_prefix_contains(a, &b->ip);
}

/* Whatever `b` fits, `a` fits as well. */
static bool covers(const struct mg_config_rule *a, const struct mg_config_rule *b)
{
	if (*a->interface && strcmp(a->interface, b->interface) != 0)
		return false;
	if (!a->any_access && (b->any_access || !prefix_holds(&a->access, &b->access)))
		return false;
	if (!a->any_service && (b->any_service || !prefix_holds(&a->service, &b->service)))
		return false;
	return !a->port || a->port == b->port;
}

static void check_rule_group(const struct mg_config_steer *s, size_t i, struct mg_findings *f)
{
	const struct mg_config_rule *r = &s->rules[i];
	enum mg_proxy_kind kind =
		r->expect == MG_EXPECT_THROUGHPUT ? MG_PROXY_ON_PATH : MG_PROXY_OFF_PATH;
	char path[64];

	if (r->expect == MG_EXPECT_NONE && !r->group_is_named) {
		snprintf(path, sizeof(path), "selection[%zu]", i);
		mg_finding_path(f, path,
				"has neither expect nor group, expected where to steer to");
		return;
	}
	snprintf(path, sizeof(path), "selection[%zu].expect", i);
	if (!r->group_is_named && !s->n_groups) {
		mg_finding_path(f, path,
				"has no group of either kind to choose, expected one in groups");
		return;
	}
	if (!r->group_is_named || r->expect == MG_EXPECT_NONE || r->group == MG_CONFIG_NO_GROUP ||
	    !s->groups[r->group].n_members || mg_config_group_kind(s, r->group) == kind)
		return;
	mg_finding_path(f, path, "is %s while %s is %s, expected a group that is %s",
			mg_name_of(mg_expect_names, CYAML_ARRAY_LEN(mg_expect_names), r->expect),
			s->groups[r->group].name,
			mg_config_kind_name(mg_config_group_kind(s, r->group)),
			mg_config_kind_name(kind));
}

static void check_rule(const struct mg_config *c, size_t i, struct mg_findings *f)
{
	const struct mg_config_rule *rules = c->steer.rules, *r = &rules[i];
	bool access_read = !r->any_access && was_read(&r->access);
	bool service_read = !r->any_service && was_read(&r->service);
	char path[64];

	check_rule_interface(c, i, f);
	check_rule_group(&c->steer, i, f);
	if (access_read && service_read &&
	    mg_config_is_v4_prefix(&r->access) != mg_config_is_v4_prefix(&r->service)) {
		snprintf(path, sizeof(path), "selection[%zu].access", i);
		mg_finding_path(
			f, path,
			"is of another family than service, expected both IPv4 or both IPv6");
	}
	for (size_t j = 0; j < i; j++) {
		if (!covers(&rules[j], r))
			continue;
		snprintf(path, sizeof(path), "selection[%zu]", i);
		mg_finding_path(f, path,
				"is never reached, as selection[%zu] fits all of it, expected what "
				"is narrower first",
				j);
		break;
	}
}

static void check_ways_in(const struct mg_config *c, struct mg_findings *f)
{
	static const char no_way_in[] = "is there without an interface of role access that has "
					"XDP, expected one: what is steered comes in there";

	if (has_way_in(c))
		return;
	if (c->steer.n_virtuals)
		mg_finding_path(f, "virtual", "%s", no_way_in);
	if (c->steer.n_rules)
		mg_finding_path(f, "selection", "%s", no_way_in);
}

static bool is_default(const struct mg_key *k, const struct mg_config *c)
{
	if (k->kind == MG_KEY_TEXT)
		return strcmp(mg_key_text(k, c), k->text) == 0;
	return mg_key_number(k, c) == k->number;
}

/* Keys of a gateway where there is none. */
static void check_gateway(const struct mg_config *c, struct mg_findings *f)
{
	for (size_t i = 0; !c->steer.n_groups && i < mg_keys_count; i++) {
		const struct mg_key *k = &mg_keys[i];

		if (strncmp(k->path, "gateway.", 8) == 0 && !is_default(k, c))
			mg_finding_path(f, k->path, "has no effect without groups, expected both");
	}
	if (c->steer.n_gateways && !c->converter.n_listen && c->intercept.mode == MG_MODE_OFF)
		mg_finding_path(f, "gateways",
				"has no effect without converter or intercept, expected one: this "
				"host ends no sessions");
}

/* The URL may hold a password: it is not shown. */
static void check_store(const struct mg_config_steer *s, struct mg_findings *f)
{
	struct mg_store_url url;
	const char *why;

	if (mg_store_url_parse(&url, s->store, &why))
		mg_finding_path(f, "store", "%s", why);
	explicit_bzero(&url, sizeof(url));
}

void mg_config_check_steer(const struct mg_config *c, struct mg_findings *f)
{
	check_gateway(c, f);
	check_proxies(c, f);
	check_groups(&c->steer, f);
	for (size_t i = 0; i < c->steer.n_virtuals; i++)
		check_virtual(&c->steer, i, f);
	for (size_t i = 0; i < c->steer.n_rules; i++)
		check_rule(c, i, f);
	check_ways_in(c, f);
	check_store(&c->steer, f);
}
