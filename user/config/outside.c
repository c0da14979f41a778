// SPDX-License-Identifier: BSD-2-Clause
/* What joins subscribers to the world outside: how they are told apart, where the access feed comes
 * from, which addresses servers see, what clients may ask. */
#include "config/policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct mg_shape mg_subscriber_key_shape = { "subscriber_key.", NULL, 0 };
const struct mg_shape mg_provision_shape = { "provision.", NULL, 0 };

/* ---- radius ---- */

/* NAS-Port-Type, as IANA's registry names them (RFC 2865 section 5.41 and later) */
static const char *const nas_port_types[] = {
	"async",
	"sync",
	"isdn",
	"isdn-v120",
	"isdn-v110",
	"virtual",
	"piafs",
	"hdlc",
	"x25",
	"x75",
	"g3-fax",
	"sdsl",
	"adsl-cap",
	"adsl-dmt",
	"idsl",
	"ethernet",
	"xdsl",
	"cable",
	"wireless-other",
	"wireless-802.11",
	"token-ring",
	"fddi",
	"cdma2000",
	"umts",
	"1x-ev",
	"iapp",
	"fttp",
	"wireless-802.16",
	"wireless-802.20",
	"wireless-802.22",
	"pppoa",
	"pppoeoa",
	"pppoeoe",
	"pppoeovlan",
	"pppoeoqinq",
	"xpon",
	"wireless-xgp",
};
/* 3GPP-RAT-Type: TS 29.061 section 16.4.7.2 */
static const char *const rat_types[] = {
	[1] = "utran",	       [2] = "geran",	       [3] = "wlan",
	[4] = "gan",	       [5] = "hspa-evolution", [6] = "eutran",
	[7] = "virtual",       [8] = "nb-iot",	       [9] = "lte-m",
	[51] = "nr",	       [52] = "nr-unlicensed", [53] = "trusted-wlan",
	[54] = "trusted",      [55] = "wireline",      [56] = "wireline-cable",
	[57] = "wireline-bbf",
};

static void read_type(struct mg_reading *r, const struct mg_node *node, const char *const *names,
		      size_t n_names, uint8_t *to)
{
	uint32_t value = 0;

	/* Names that begin with a digit are names all the same. */
	for (size_t i = 0; node->kind == MG_NODE_SCALAR && i < n_names; i++) {
		if (names[i] && strcmp(names[i], node->text) == 0) {
			*to = (uint8_t)i;
			return;
		}
	}
	mg_verify_number(r->f, node, 0, UINT8_MAX, &value);
	*to = (uint8_t)value;
}

static void read_nas(struct mg_reading *r, const struct mg_node *node, void *to)
{
	read_type(r, node, nas_port_types, CYAML_ARRAY_LEN(nas_port_types), to);
}

static void read_rat(struct mg_reading *r, const struct mg_node *node, void *to)
{
	read_type(r, node, rat_types, CYAML_ARRAY_LEN(rat_types), to);
}

/* At most as many as the record has room for. */
static void read_type_list(struct mg_reading *r, const struct mg_node *node, mg_read_fn *item,
			   uint8_t *to, size_t room, size_t *n)
{
	uint8_t *types = NULL;

	mg_read_list(r, node, room, 1, item, &types, n);
	if (types)
		memcpy(to, types, *n);
	free(types);
}

static void read_nas_list(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_radius_type *t = to;

	read_type_list(r, node, read_nas, t->nas_port_types, sizeof(t->nas_port_types),
		       &t->n_nas_port_types);
}

static void read_rat_list(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_radius_type *t = to;

	read_type_list(r, node, read_rat, t->rat_types, sizeof(t->rat_types), &t->n_rat_types);
}

static const struct mg_special type_keys[] = {
	{ "nas", read_nas_list, false },
	{ "rat", read_rat_list, false },
};
static const struct mg_shape type_shape = { "radius.types.", type_keys,
					    CYAML_ARRAY_LEN(type_keys) };

/* A mapping whose keys are names of access networks. */
static void read_types(struct mg_reading *r, const struct mg_node *node, void *to)
{
	const struct mg_node *all = r->f->tree->nodes;
	struct mg_config_radius *radius = &((struct mg_config_policies *)to)->radius;

	if (node->kind != MG_NODE_MAP) {
		mg_finding(r->f, node, "%s, expected a mapping of access networks",
			   mg_kind_found(node));
		return;
	}
	radius->types = calloc(MG_TREE_MAX_KEYS + 1, sizeof(*radius->types));
	if (!radius->types) {
		r->err = -ENOMEM;
		return;
	}
	for (uint32_t i = node->first; i && !r->err; i = all[i].next) {
		struct mg_config_radius_type *t = &radius->types[radius->n_types];
		char quoted[MG_QUOTE_BYTES];

		t->access = mg_find_access(r->p, all[i].key);
		if (t->access == MG_CONFIG_NONE)
			mg_finding(r->f, &all[i],
				   "is for %s, expected the name of one of access_networks",
				   mg_quote(quoted, all[i].key));
		mg_read_mapping(r, &all[i], &type_shape, t);
		if (t->access != MG_CONFIG_NONE && radius->n_types < MG_TREE_MAX_KEYS)
			radius->n_types++;
	}
}

static void read_client_address(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_radius_client *client = to;
	char quoted[MG_QUOTE_BYTES];

	if (mg_verify_text(r->f, node, 1, 128) && mg_ip_parse(&client->address, node->text))
		mg_finding(r->f, node,
			   "is %s, expected an address such as 192.0.2.1 or 2001:db8::1",
			   mg_quote(quoted, node->text));
}

static void read_secret_file(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_radius_client *client = to;

	client->secret_file = mg_read_path(r, node);
	if (!client->secret_file && node->kind == MG_NODE_SCALAR && !*node->text)
		mg_finding(r->f, node, "is empty, expected an absolute path");
}

static const struct mg_special client_keys[] = {
	{ "address", read_client_address, true },
	{ "secret_file", read_secret_file, true },
};
static const struct mg_shape client_shape = { "radius.clients[].", client_keys,
					      CYAML_ARRAY_LEN(client_keys) };

static void read_client(struct mg_reading *r, const struct mg_node *node, void *to)
{
	mg_read_mapping(r, node, &client_shape, to);
}

static void read_clients(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_radius *radius = &((struct mg_config_policies *)to)->radius;

	mg_read_list(r, node, MG_CONFIG_MAX_RADIUS, sizeof(*radius->clients), read_client,
		     &radius->clients, &radius->n_clients);
	if (node->kind == MG_NODE_LIST && !node->first)
		mg_finding(r->f, node, "has 0 entries, expected at least 1");
}

static void read_listen(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_radius *radius = &((struct mg_config_policies *)to)->radius;
	char quoted[MG_QUOTE_BYTES];

	if (!mg_verify_text(r->f, node, 0, 128) || !*node->text)
		return;
	radius->on = true;
	if (mg_ep_parse(&radius->listen, node->text))
		mg_finding(r->f, node, "is %s, expected ADDRESS:PORT or [ADDRESS]:PORT",
			   mg_quote(quoted, node->text));
}

static const struct mg_special radius_keys[] = {
	{ "listen", read_listen, true },
	{ "clients", read_clients, false },
	{ "types", read_types, false },
};
const struct mg_shape mg_radius_shape = { "radius.", radius_keys, CYAML_ARRAY_LEN(radius_keys) };

void mg_radius_default_types(struct mg_reading *r)
{
	static const struct {
		const char *name;
		struct mg_config_radius_type types;
	} defaults[] = {
		{ "cellular",
		  { .nas_port_types = { 5, 18, 22, 23, 24 },
		    .n_nas_port_types = 5,
		    .rat_types = { 1, 2, 5, 6, 7, 8, 9, 10, 51, 52 },
		    .n_rat_types = 10 } },
		{ "wlan",
		  { .nas_port_types = { 19 },
		    .n_nas_port_types = 1,
		    .rat_types = { 3, 53 },
		    .n_rat_types = 2 } },
		{ "fixed",
		  { .nas_port_types = { 12, 13, 15, 16, 17, 26, 30, 31, 32, 33, 34, 35 },
		    .n_nas_port_types = 12,
		    .rat_types = { 55, 56, 57 },
		    .n_rat_types = 3 } },
	};
	struct mg_config_radius *radius = &r->p->radius;

	if (r->err || !radius->on || mg_tree_find(r->f->tree, "radius.types"))
		return;
	radius->types = calloc(CYAML_ARRAY_LEN(defaults), sizeof(*radius->types));
	if (!radius->types) {
		r->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < CYAML_ARRAY_LEN(defaults); i++) {
		size_t access = mg_find_access(r->p, defaults[i].name);

		if (access == MG_CONFIG_NONE)
			continue;
		radius->types[radius->n_types] = defaults[i].types;
		radius->types[radius->n_types++].access = access;
	}
}

/* ---- sharing ---- */

static void read_pool_prefix(struct mg_reading *r, const struct mg_node *node, void *to)
{
	mg_read_prefix(r, node, to);
}

static void read_pool(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_sharing *s = &((struct mg_config_policies *)to)->sharing;

	mg_read_list(r, node, MG_CONFIG_MAX_POOL, sizeof(*s->pool), read_pool_prefix, &s->pool,
		     &s->n_pool);
}

static void read_ports(struct mg_reading *r, const struct mg_node *node, void *to)
{
	struct mg_config_sharing *s = &((struct mg_config_policies *)to)->sharing;
	char quoted[MG_QUOTE_BYTES];

	if (mg_verify_text(r->f, node, 1, 128) &&
	    mg_ports_parse(&s->first_port, &s->last_port, node->text))
		mg_finding(r->f, node, "is %s, expected two ports, such as 1024-65535",
			   mg_quote(quoted, node->text));
}

static const struct mg_special sharing_keys[] = {
	{ "pool", read_pool, false },
	{ "ports", read_ports, false },
};
const struct mg_shape mg_sharing_shape = { "sharing.", sharing_keys,
					   CYAML_ARRAY_LEN(sharing_keys) };
