// SPDX-License-Identifier: BSD-2-Clause
/* Access networks, services and subscribers: the three things that policies are chosen by. */
#include "config/policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/siphash.h"

/* What stands in the file itself has to fit it as it is printed, too. */
static bool can_list(struct mg_reading *r, const struct mg_node *node, size_t more)
{
	r->listed += more;
	if (r->listed <= MG_CONFIG_MAX_LISTED)
		return true;
	mg_finding(r->f, node, "makes %zu entries of all lists, expected at most %u", r->listed,
		   MG_CONFIG_MAX_LISTED);
	return false;
}

/* With all that is listed, and other files. */
static void check_room(struct mg_reading *r, const struct mg_node *node, size_t more)
{
	r->in_files += more;
	if (r->in_files > MG_PREFIXES_MAX - MG_CONFIG_MAX_LISTED)
		mg_finding(r->f, node, "makes %zu prefixes of all files, expected at most %u",
			   r->in_files, MG_PREFIXES_MAX - MG_CONFIG_MAX_LISTED);
}

/* The name of an item, which no earlier one may have. */
static void read_own_name(struct mg_reading *r, const struct mg_node *node, char *name,
			  mg_find_fn *find, const char *list)
{
	size_t other;

	mg_read_name(r, node, name);
	other = *name ? find(r->p, name) : MG_CONFIG_NONE;
	if (other != MG_CONFIG_NONE)
		mg_finding(r->f, node, "%s is already %s[%zu], expected it once", name, list,
			   other);
}

static void tell_taken(struct mg_reading *r, const struct mg_node *node, uint32_t owner,
		       size_t self, const char *name)
{
	char plain[MG_QUOTE_BYTES];

	if (owner == self)
		mg_finding(r->f, node, "%s is there twice, expected it once",
			   mg_plain(plain, node->text));
	else
		/* A name that is none has had its finding. */
		mg_finding(r->f, node, "%s is already of %s, expected it in one of the two",
			   mg_plain(plain, node->text), *name ? name : "another");
}

/* ---- access networks ---- */

static void read_access_name(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_access *a = to;

	read_own_name(r, node, a->name, mg_find_access, "access_networks");
}

static void read_access_prefix(struct mg_reading *r, const struct mg_node *node, void *to)
{
	uint32_t self = (uint32_t)r->p->n_access, owner;

	if (mg_read_prefix(r, node, to))
		return;
	owner = mg_claim_prefix(r, to, 0, 0, self);
	if (owner != MG_UNCLAIMED)
		tell_taken(r, node, owner, self, r->p->access[owner].name);
}

static void read_access_prefixes(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_access *a = to;

	if (can_list(r, node, mg_count_items(r, node)))
		mg_read_list(r, node, MG_TREE_MAX_NODES, sizeof(*a->prefixes), read_access_prefix,
			     &a->prefixes, &a->n_prefixes);
}

static void read_interface(struct mg_reading *r, const struct mg_node *node, void *to)
{
	char quoted[MG_QUOTE_BYTES];

	if (!mg_verify_text(r->f, node, 1, IFNAMSIZ - 1))
		return;
	if (mg_is_interface_name(node->text))
		memcpy(to, node->text, strlen(node->text) + 1);
	else
		mg_finding(r->f, node, "is %s, expected the name of an interface",
			   mg_quote(quoted, node->text));
}

static void read_interfaces(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_access *a = to;

	mg_read_list(r, node, MG_ACCESS_INTERFACES_MAX, IFNAMSIZ, read_interface, &a->interfaces,
		     &a->n_interfaces);
}

static const struct mg_special access_keys[] = {
	{ "name", read_access_name, true },
	{ "prefixes", read_access_prefixes, false },
	{ "interfaces", read_interfaces, false },
};
static const struct mg_shape access_shape = { "access_networks[].", access_keys,
					      CYAML_ARRAY_LEN(access_keys) };

static void read_access(struct mg_reading *r, const struct mg_node *node, void *to)
{
	mg_read_mapping(r, node, &access_shape, to);
}

/* Prefixes of one kind of list belong to one item each; of another kind, to others. */
static void read_owning(struct mg_reading *r, const struct mg_node *node, size_t max, size_t size,
			mg_read_fn *item, void *records, size_t *n)
{
	r->claims = mg_claims_new();
	if (r->claims)
		mg_read_list(r, node, max, size, item, records, n);
	else
		r->err = -ENOMEM;
	mg_claims_free(r->claims);
	r->claims = NULL;
}

void mg_read_access_networks(struct mg_reading *r, const struct mg_node *node)
{
	read_owning(r, node, MG_CONFIG_MAX_ACCESS, sizeof(*r->p->access), read_access,
		    &r->p->access, &r->p->n_access);
}

/* ---- services ---- */

static int parse_port(uint16_t *port, const char *text, size_t len)
{
	unsigned long value = 0;

	if (!len || len > 5 || *text == '0')
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (unsigned long)(text[i] - '0');
	}
	*port = (uint16_t)value;
	return value > UINT16_MAX ? -EINVAL : 0;
}

int mg_ports_parse(uint16_t *first, uint16_t *last, const char *text)
{
	const char *dash = strchr(text, '-');
	size_t len = dash ? (size_t)(dash - text) : strlen(text);

	if (parse_port(first, text, len))
		return -EINVAL;
	*last = *first;
	if (dash && parse_port(last, dash + 1, strlen(dash + 1)))
		return -EINVAL;
	return *first <= *last ? 0 : -EINVAL;
}

/* PREFIX, V4PREFIX:PORTS, [V6PREFIX]:PORTS or [V6]/LEN:PORTS: the colons of IPv6 need brackets. */
static int parse_match(struct mg_config_match *m, const char *text)
{
	const char *close = *text == '[' ? strchr(text, ']') : NULL;
	const char *ports = strchr(close ? close : text, ':');
	char prefix[MG_PREFIX_STRLEN + 2];
	int len;

	m->first = 0;
	m->last = UINT16_MAX;
	if (*text == '[' && !close)
		return -EINVAL;
	if (!close && ports && strchr(ports + 1, ':'))
		return mg_prefix_parse(&m->prefix, text);
	if (ports && mg_ports_parse(&m->first, &m->last, ports + 1))
		return -EINVAL;
	if (!ports)
		ports = text + strlen(text);
	if (close)
		len = snprintf(prefix, sizeof(prefix), "%.*s%.*s", (int)(close - text - 1),
			       text + 1, (int)(ports - close - 1), close + 1);
	else
		len = snprintf(prefix, sizeof(prefix), "%.*s", (int)(ports - text), text);
	if (len >= (int)sizeof(prefix) || (close && !strchr(prefix, ':')))
		return -EINVAL;
	return mg_prefix_parse(&m->prefix, prefix);
}

static void read_match(struct mg_reading *r, const struct mg_node *node, void *to)
{
	uint32_t self = (uint32_t)r->p->n_services, owner;
	struct mg_config_match *m = to;
	char quoted[MG_QUOTE_BYTES];

	if (!mg_verify_text(r->f, node, 1, 128))
		return;
	if (parse_match(m, node->text)) {
		mg_finding(r->f, node,
			   "is %s, expected a prefix, with ports if need be, such as "
			   "192.0.2.0/24:443 or [2001:db8::]/32:80-90",
			   mg_quote(quoted, node->text));
		return;
	}
	owner = mg_claim_prefix(r, &m->prefix, m->first, m->last, self);
	if (owner != MG_UNCLAIMED)
		tell_taken(r, node, owner, self, r->p->services[owner].name);
}

static void read_service_match(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_service *s = to;

	if (can_list(r, node, mg_count_items(r, node)))
		mg_read_list(r, node, MG_TREE_MAX_NODES, sizeof(*s->match), read_match, &s->match,
			     &s->n_match);
	if (node->kind == MG_NODE_LIST && !node->first)
		mg_finding(r->f, node, "has 0 entries, expected at least 1");
}

static void read_service_name(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_service *s = to;

	read_own_name(r, node, s->name, mg_find_service, "services");
}

static void read_service_limits(struct mg_reading *r, const struct mg_node *node, void *to)
{
	static const struct mg_shape shape = { "services[].limits.", NULL, 0 };

	mg_read_mapping(r, node, &shape, to);
}

static const struct mg_special service_keys[] = {
	{ "name", read_service_name, true },
	{ "match", read_service_match, true },
	{ "limits", read_service_limits, false },
};
static const struct mg_shape service_shape = { "services[].", service_keys,
					       CYAML_ARRAY_LEN(service_keys) };

static void read_service(struct mg_reading *r, const struct mg_node *node, void *to)
{
	mg_read_mapping(r, node, &service_shape, to);
}

void mg_read_services(struct mg_reading *r, const struct mg_node *node)
{
	read_owning(r, node, MG_CONFIG_MAX_SERVICES, sizeof(*r->p->services), read_service,
		    &r->p->services, &r->p->n_services);
}

/* ---- subscribers ---- */

/* Among the claims, beside those of prefixes: no prefix is as long. */
static void key_of_identity(struct mg_prefix *key, const char *text)
{
	for (uint8_t half = 0; half < 2; half++) {
		uint8_t salt[16] = { half };
		uint64_t word = mg_siphash24(salt, (const uint8_t *)text, (uint32_t)strlen(text));

		memcpy(key->ip.s6_addr + 8 * half, &word, sizeof(word));
	}
	key->len = UINT8_MAX;
}

/* Free of what a log, JSON or YAML would have to quote. */
static bool is_identity(const char *text)
{
	size_t len = strlen(text), star = strcspn(text, "*");

	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p <= ' ' || *p == '"' || *p == '\\' || *p == 0x7f)
			return false;
	}
	return len && len <= MG_CONFIG_IDENTITY_BYTES && (star == len || star == len - 1);
}

static void read_identity(struct mg_reading *r, const struct mg_node *node,
			  struct mg_config_subscribers *s)
{
	const char *text = node->text + 3;
	uint32_t self = (uint32_t)r->p->n_subscribers, owner;
	struct mg_prefix key;

	if (!is_identity(text)) {
		mg_finding(r->f, node,
			   "is no identity, expected id: and at most %u bytes without blanks and "
			   "quotes, of which the last may be *",
			   MG_CONFIG_IDENTITY_BYTES);
		return;
	}
	key_of_identity(&key, text);
	owner = mg_claim_prefix(r, &key, 0, 0, self);
	if (owner != MG_UNCLAIMED) {
		tell_taken(r, node, owner, self, r->p->subscribers[owner].name);
		return;
	}
	s->identities[s->n_identities] = strdup(text);
	if (s->identities[s->n_identities])
		s->n_identities++;
	else
		r->err = -ENOMEM;
}

static void read_member(struct mg_reading *r, const struct mg_node *node,
			struct mg_config_subscribers *s)
{
	uint32_t self = (uint32_t)r->p->n_subscribers, owner;
	struct mg_prefix *p = &s->prefixes[s->n_prefixes];

	if (node->kind == MG_NODE_SCALAR && strncmp(node->text, "id:", 3) == 0) {
		read_identity(r, node, s);
		return;
	}
	if (mg_read_prefix(r, node, p))
		return;
	owner = mg_claim_prefix(r, p, 0, 0, self);
	if (owner == MG_UNCLAIMED)
		s->n_listed = ++s->n_prefixes;
	else
		tell_taken(r, node, owner, self, r->p->subscribers[owner].name);
}

static void read_members(struct mg_reading *r, const struct mg_node *node, void *to)
{
	const struct mg_node *all = r->f->tree->nodes;
	struct mg_config_subscribers *s = to;
	size_t n = mg_count_items(r, node);

	if (node->kind != MG_NODE_LIST) {
		mg_finding(r->f, node, "%s, expected a list", mg_kind_found(node));
		return;
	}
	if (!can_list(r, node, n))
		return;
	s->prefixes = calloc(n + 1, sizeof(*s->prefixes));
	s->identities = calloc(n + 1, sizeof(*s->identities));
	if (!s->prefixes || !s->identities) {
		r->err = -ENOMEM;
		return;
	}
	for (uint32_t i = node->first; i && !r->err; i = all[i].next)
		read_member(r, &all[i], s);
}

static void read_match_path(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_subscribers *s = to;

	s->match_file = mg_read_path(r, node);
}

static void read_subscribers_name(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_subscribers *s = to;

	read_own_name(r, node, s->name, mg_find_subscribers, "subscribers");
}

static const struct mg_special subscribers_keys[] = {
	{ "name", read_subscribers_name, true },
	{ "match", read_members, false },
	{ "match_file", read_match_path, false },
};
static const struct mg_shape subscribers_shape = { "subscribers[].", subscribers_keys,
						   CYAML_ARRAY_LEN(subscribers_keys) };

static void read_class(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_subscribers *s = to;

	mg_read_mapping(r, node, &subscribers_shape, s);
	if (r->err || node->kind != MG_NODE_MAP)
		return;
	/* After `match`, whichever comes first in the file. */
	if (s->match_file && *s->match_file == '/') {
		const struct mg_node *at = mg_tree_child(r->f->tree, node, "match_file");

		mg_read_match_file(r, at, r->p->n_subscribers);
		check_room(r, at, s->n_prefixes - s->n_listed);
	} else if (!s->match_file && !mg_tree_child(r->f->tree, node, "match")) {
		mg_finding(r->f, node, "has neither match nor match_file, expected who it is");
	}
}

void mg_read_subscribers(struct mg_reading *r, const struct mg_node *node)
{
	read_owning(r, node, MG_CONFIG_MAX_SUBSCRIBERS, sizeof(*r->p->subscribers), read_class,
		    &r->p->subscribers, &r->p->n_subscribers);
}
