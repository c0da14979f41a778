// SPDX-License-Identifier: BSD-2-Clause
/*
 * From what libcyaml read to what the rooms use: defaults, addresses, and whatever can be said
 * against the values without looking at the host.
 */
#include "config/policies.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static int default_text(const struct mg_key *k, struct mg_config *c)
{
	const char *current = mg_key_text(k, c);
	char *text = NULL;

	if (current && *current)
		return 0;
	/* An empty text means the default, and no text at all where there is none. */
	if (*k->text) {
		text = strdup(k->text);
		if (!text)
			return -ENOMEM;
	}
	free((char *)current);
	memcpy((char *)c + k->offset, &text, sizeof(text));
	return 0;
}

static int default_node(struct mg_config *c)
{
	char host[HOST_NAME_MAX + 1] = "";

	if (c->node)
		return 0;
	if (gethostname(host, sizeof(host) - 1) || !*host)
		strcpy(host, "localhost");
	host[63] = '\0';
	c->node = strdup(host);
	return c->node ? 0 : -ENOMEM;
}

int mg_config_defaults(struct mg_config *c, const struct mg_tree *t)
{
	int err;

	for (size_t i = 0; i < mg_keys_count; i++) {
		const struct mg_key *k = &mg_keys[i];

		if (k->kind == MG_KEY_TEXT) {
			err = default_text(k, c);
			if (err)
				return err;
		} else if (!mg_tree_find(t, k->path)) {
			mg_key_set_number(k, c, k->number);
		}
	}
	if (!c->steer.gateway.location)
		c->steer.gateway.location = strdup("");
	return c->steer.gateway.location ? default_node(c) : -ENOMEM;
}

/* The items of one list, turned into records of `size` bytes by `parse`. */
struct list {
	const char *path;
	char **items;
	size_t n;
	void *records; /* of a pointer to them */
	size_t *n_records;
	size_t size;
	int (*parse)(void *record, const char *text);
	const char *expected;
};

static int parse_ep(void *record, const char *text)
{
	return mg_ep_parse(record, text);
}

static int parse_prefix(void *record, const char *text)
{
	return mg_prefix_parse(record, text);
}

static int parse_port(void *record, const char *text)
{
	size_t len = strlen(text);
	unsigned long value;
	uint16_t port;

	if (!len || len > 5 || strspn(text, "0123456789") != len || *text == '0')
		return -EINVAL;
	value = strtoul(text, NULL, 10);
	if (value > UINT16_MAX)
		return -EINVAL;
	port = (uint16_t)value;
	memcpy(record, &port, sizeof(port));
	return 0;
}

static int parse_interface(void *record, const char *text)
{
	if (strlen(text) >= IFNAMSIZ || !mg_is_interface_name(text))
		return -EINVAL;
	memcpy(record, text, strlen(text) + 1);
	return 0;
}

static int convert(const struct list *l, struct mg_findings *f)
{
	char quoted[MG_QUOTE_BYTES], path[64];
	char *all = NULL;

	if (l->n) {
		all = calloc(l->n, l->size);
		if (!all)
			return -ENOMEM;
	}
	for (size_t i = 0; i < l->n; i++) {
		if (l->parse(all + i * l->size, l->items[i]) == 0)
			continue;
		snprintf(path, sizeof(path), "%s[%zu]", l->path, i);
		mg_finding_path(f, path, "is %s, expected %s", mg_quote(quoted, l->items[i]),
				l->expected);
	}
	memcpy(l->records, &all, sizeof(all));
	*l->n_records = l->n;
	return 0;
}

static const char a_prefix[] = "a prefix such as 192.0.2.0/24 or 2001:db8::/32";
static const char an_endpoint[] = "ADDRESS:PORT or [ADDRESS]:PORT";
static const char a_port[] = "a port from 1 to 65535";

/* libcyaml skipped `ports`, a word or a list: its items are in the tree, whose strings these are.
 */
static int convert_ports(struct mg_config_intercept *i, struct mg_findings *f)
{
	const struct mg_node *node = mg_tree_find(f->tree, "intercept.ports");
	char *items[MG_CONFIG_MAX_PORTS];
	struct list ports = { "intercept.ports", items,	     0,	    &i->ports, &i->n_ports,
			      sizeof(uint16_t),	 parse_port, a_port };

	i->any_port = !node || node->kind != MG_NODE_LIST;
	if (i->any_port)
		return 0;
	for (uint32_t at = node->first; at && ports.n < MG_CONFIG_MAX_PORTS;
	     at = f->tree->nodes[at].next)
		items[ports.n++] = f->tree->nodes[at].text;
	return convert(&ports, f);
}

static void convert_cpe_converter(struct mg_config_cpe *cpe, const char *text,
				  struct mg_findings *f)
{
	char quoted[MG_QUOTE_BYTES];

	if (!text || !*text)
		return;
	cpe->has_converter = true;
	if (mg_ep_parse(&cpe->converter, text))
		mg_finding_path(f, "cpe.converter", "is %s, expected %s", mg_quote(quoted, text),
				an_endpoint);
}

int mg_config_lists(struct mg_config *c, const struct mg_raw_config *raw, struct mg_findings *f)
{
	const struct list lists[] = {
		{ "converter.listen", raw->converter.listen, raw->converter.n_listen,
		  &c->converter.listen, &c->converter.n_listen, sizeof(struct mg_ep), parse_ep,
		  an_endpoint },
		{ "converter.signal", raw->converter.signal, raw->converter.n_signal,
		  &c->converter.signal, &c->converter.n_signal, sizeof(struct mg_ep), parse_ep,
		  an_endpoint },
		{ "intercept.except", raw->intercept.except, raw->intercept.n_except,
		  &c->intercept.except, &c->intercept.n_except, sizeof(uint16_t), parse_port,
		  a_port },
		{ "cpe.lan", raw->cpe.lan, raw->cpe.n_lan, &c->cpe.lan, &c->cpe.n_lan, IFNAMSIZ,
		  parse_interface, "the name of an interface" },
		{ "gateways", raw->steer.gateways, raw->steer.n_gateways, &c->steer.gateways,
		  &c->steer.n_gateways, sizeof(struct mg_prefix), parse_prefix, a_prefix },
		{ "destinations.allow", raw->destinations.allow, raw->destinations.n_allow,
		  &c->destinations.allow, &c->destinations.n_allow, sizeof(struct mg_prefix),
		  parse_prefix, a_prefix },
		{ "destinations.deny", raw->destinations.deny, raw->destinations.n_deny,
		  &c->destinations.deny, &c->destinations.n_deny, sizeof(struct mg_prefix),
		  parse_prefix, a_prefix },
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(lists) / sizeof(lists[0]); i++)
		err = convert(&lists[i], f);
	if (!err)
		err = convert_ports(&c->intercept, f);
	if (!err)
		convert_cpe_converter(&c->cpe, raw->cpe.converter, f);
	return err;
}

const char *mg_config_address_trouble(const struct in6_addr *ip)
{
	if (mg_ip_is_unspecified(ip) || mg_ip_is_multicast(ip) || mg_ip_is_broadcast(ip))
		return "is not a unicast address";
	if (mg_ip_is_linklocal(ip) && !mg_ip_is_v4(ip))
		return "is link-local, which means another host on every interface";
	return NULL;
}

static const char *listen_trouble(const struct in6_addr *ip)
{
	if (mg_ip_is_unspecified(ip))
		return "is a wildcard, expected one of this host's addresses: the data plane and "
		       "the clients need to know which";
	if (mg_ip_is_multicast(ip) || mg_ip_is_broadcast(ip))
		return "is not a unicast address, expected one of this host's addresses";
	if (mg_ip_is_linklocal(ip) && !mg_ip_is_v4(ip))
		return "is link-local, expected an address that means the same on every interface";
	return NULL;
}

/* Addresses of this host, each of them once; those that did not parse have had their finding. */
static void check_own(const char *key, const struct mg_ep *eps, size_t n, struct mg_findings *f)
{
	const char *trouble;
	char path[64], text[MG_EP_STRLEN];

	for (size_t i = 0; i < n; i++) {
		if (!eps[i].port)
			continue;
		snprintf(path, sizeof(path), "%s[%zu]", key, i);
		trouble = listen_trouble(&eps[i].ip);
		if (trouble)
			mg_finding_path(f, path, "%s %s", mg_ep_format(text, &eps[i]), trouble);
		for (size_t j = 0; j < i; j++) {
			if (!mg_ep_equal(&eps[i], &eps[j]))
				continue;
			mg_finding_path(f, path, "%s is already %s[%zu], expected it once",
					mg_ep_format(text, &eps[i]), key, j);
			break;
		}
	}
}

static void check_listen(const struct mg_config *c, struct mg_findings *f)
{
	if (!c->converter.n_listen && c->intercept.mode == MG_MODE_OFF && !c->cpe.n_lan &&
	    !c->steer.n_virtuals && !c->steer.n_rules)
		mg_finding_path(f, "converter.listen",
				"has no address, expected at least 1 where none of intercept, cpe, "
				"virtual and selection is in use");
	check_own("converter.listen", c->converter.listen, c->converter.n_listen, f);
}

static void check_signal(const struct mg_config_converter *c, struct mg_findings *f)
{
	char path[64], text[MG_EP_STRLEN];

	check_own("converter.signal", c->signal, c->n_signal, f);
	for (size_t i = 0; i < c->n_signal; i++) {
		snprintf(path, sizeof(path), "converter.signal[%zu]", i);
		for (size_t j = 0; c->signal[i].port && j < c->n_listen; j++) {
			if (mg_ep_equal(&c->signal[i], &c->listen[j]))
				mg_finding_path(f, path,
						"%s is converter.listen[%zu], expected another "
						"address or port: the kernel itself listens there",
						mg_ep_format(text, &c->signal[i]), j);
		}
	}
	if (c->deny_initial_joins && !c->n_signal)
		mg_finding_path(
			f, "converter.deny_initial_joins",
			"is true without converter.signal, expected an address that is left "
			"to join at");
}

bool mg_is_interface_name(const char *name)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++) {
		if (*name <= ' ' || *name > '~' || *name == '/' || *name == ':')
			return false;
	}
	return true;
}

static void check_interfaces(const struct mg_config *c, struct mg_findings *f)
{
	char path[64], quoted[MG_QUOTE_BYTES];
	bool core = false;

	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct mg_config_interface *at = &c->interfaces[i];

		snprintf(path, sizeof(path), "interfaces[%zu].name", i);
		core |= at->role == MG_ROLE_CORE;
		if (!mg_is_interface_name(at->name))
			mg_finding_path(f, path, "is %s, expected the name of an interface",
					mg_quote(quoted, at->name));
		for (size_t j = 0; j < i; j++) {
			if (strcmp(at->name, c->interfaces[j].name) != 0)
				continue;
			mg_finding_path(f, path, "%s is already interfaces[%zu], expected it once",
					mg_plain(quoted, at->name), j);
			break;
		}
	}
	if (c->converter.source == MG_SOURCE_PRESERVED && !core)
		mg_finding_path(f, "converter.source",
				"is preserved without an interface of role core, expected one: "
				"replies to the clients' own addresses come in there");
}

static void check_absolute(const char *key, const char *path, struct mg_findings *f)
{
	char quoted[MG_QUOTE_BYTES];

	if (path && *path != '/')
		mg_finding_path(f, key, "is %s, expected an absolute path", mg_quote(quoted, path));
}

bool mg_config_is_name(const char *name)
{
	for (const char *p = name; *p; p++) {
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
		    !(*p >= '0' && *p <= '9') && !strchr("._-", *p))
			return false;
	}
	return *name;
}

static void check_node(const char *node, struct mg_findings *f)
{
	char quoted[MG_QUOTE_BYTES];

	if (!mg_config_is_name(node))
		mg_finding_path(f, "node", "is %s, expected letters, digits, '.', '_' and '-'",
				mg_quote(quoted, node));
}

void mg_config_check_values(const struct mg_config *c, struct mg_findings *f)
{
	check_node(c->node, f);
	check_absolute("runtime_dir", c->runtime_dir, f);
	check_absolute("bpffs", c->bpffs, f);
	check_absolute("converter.cookie_key_file", c->converter.cookie_key_file, f);
	check_interfaces(c, f);
	check_listen(c, f);
	check_signal(&c->converter, f);
	mg_config_check_intercept(c, f);
	mg_config_check_cpe(c, f);
	mg_config_check_steer(c, f);
	mg_config_check_policies(c, f);
}
