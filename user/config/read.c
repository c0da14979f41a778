// SPDX-License-Identifier: BSD-2-Clause
#include "config/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/policies.h"

#define PATH_BYTES 4095

static bool is_of(const struct mg_key *k, const char *section, size_t len)
{
	return strncmp(k->path, section, len) == 0 && !strchr(k->path + len, '.');
}

static const struct mg_key *plain_key(const char *section, const char *name)
{
	size_t len = strlen(section);

	for (size_t i = 0; i < mg_policy_keys_count; i++) {
		const struct mg_key *k = &mg_policy_keys[i];

		if (is_of(k, section, len) && strcmp(k->path + len, name) == 0)
			return k;
	}
	return NULL;
}

static const struct mg_special *special_key(const struct mg_shape *shape, const char *name)
{
	for (size_t i = 0; i < shape->n_specials; i++) {
		if (strcmp(shape->specials[i].key, name) == 0)
			return &shape->specials[i];
	}
	return NULL;
}

static void set_defaults(const struct mg_shape *shape, void *to)
{
	size_t len = strlen(shape->section);

	for (size_t i = 0; i < mg_policy_keys_count; i++) {
		const struct mg_key *k = &mg_policy_keys[i];

		if (is_of(k, shape->section, len) && k->kind != MG_KEY_TEXT)
			mg_key_set_number(k, to, k->number);
	}
}

static void read_plain(struct mg_reading *r, const struct mg_node *node, const struct mg_key *k,
		       void *to)
{
	uint32_t value = k->number;
	char *text;

	if (k->kind == MG_KEY_TEXT) {
		text = mg_read_text(r, node, k->max);
		memcpy((char *)to + k->offset, &text, sizeof(text));
		return;
	}
	if (k->kind == MG_KEY_NUMBER)
		mg_verify_number(r->f, node, k->min, k->max, &value);
	else
		mg_verify_name(r->f, node, k->names, k->n_names, &value);
	mg_key_set_number(k, to, value);
}

static void tell_unknown(struct mg_reading *r, const struct mg_node *node,
			 const struct mg_shape *shape)
{
	size_t len = strlen(shape->section), used = 0;
	char known[512] = "";

	for (size_t i = 0; i < shape->n_specials; i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
					 used ? ", " : "", shape->specials[i].key);
	for (size_t i = 0; i < mg_policy_keys_count; i++) {
		if (is_of(&mg_policy_keys[i], shape->section, len))
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
						 used ? ", " : "", mg_policy_keys[i].path + len);
	}
	mg_finding(r->f, node, "unknown key, expected one of %s", known);
}

static void tell_missing(struct mg_reading *r, const struct mg_node *node,
			 const struct mg_shape *shape)
{
	char above[MG_TREE_PATH_BYTES], path[MG_TREE_PATH_BYTES + 64];

	for (size_t i = 0; i < shape->n_specials; i++) {
		const char *key = shape->specials[i].key;

		if (!shape->specials[i].required || mg_tree_child(r->f->tree, node, key))
			continue;
		mg_tree_path(above, r->f->tree, node);
		snprintf(path, sizeof(path), "%s%s%s", above, *above ? "." : "", key);
		mg_finding_path(r->f, path, "is missing, expected it");
	}
}

void mg_read_mapping(struct mg_reading *r, const struct mg_node *node, const struct mg_shape *shape,
		     void *to)
{
	const struct mg_node *all;

	set_defaults(shape, to);
	if (!node)
		return;
	if (node->kind != MG_NODE_MAP) {
		mg_finding(r->f, node, "%s, expected a mapping", mg_kind_found(node));
		return;
	}
	all = r->f->tree->nodes;
	for (uint32_t i = node->first; i && !r->err; i = all[i].next) {
		const struct mg_special *special = special_key(shape, all[i].key);
		const struct mg_key *k = special ? NULL : plain_key(shape->section, all[i].key);

		/* A second one has had its finding. */
		if (mg_tree_child(r->f->tree, node, all[i].key) != &all[i])
			continue;
		if (special)
			special->read(r, &all[i], to);
		else if (k)
			read_plain(r, &all[i], k, to);
		else
			tell_unknown(r, &all[i], shape);
	}
	tell_missing(r, node, shape);
}

size_t mg_count_items(const struct mg_reading *r, const struct mg_node *node)
{
	const struct mg_node *all = r->f->tree->nodes;
	size_t n = 0;

	for (uint32_t i = node->kind == MG_NODE_LIST ? node->first : 0; i; i = all[i].next)
		n++;
	return n;
}

void mg_read_list(struct mg_reading *r, const struct mg_node *node, size_t max, size_t size,
		  mg_read_fn *item, void *records, size_t *n)
{
	const struct mg_node *all = r->f->tree->nodes;
	size_t count = mg_count_items(r, node);
	char *to;

	*n = 0;
	if (node->kind != MG_NODE_LIST) {
		mg_finding(r->f, node, "%s, expected a list", mg_kind_found(node));
		return;
	}
	if (count > max) {
		mg_finding(r->f, node, "has %zu entries, expected at most %zu", count, max);
		count = max;
	}
	to = calloc(count + 1, size);
	if (!to) {
		r->err = -ENOMEM;
		return;
	}
	memcpy(records, &to, sizeof(to));
	for (uint32_t i = node->first; i && *n < count && !r->err; i = all[i].next) {
		item(r, &all[i], to + *n * size);
		++*n;
	}
}

char *mg_read_text(struct mg_reading *r, const struct mg_node *node, size_t max)
{
	char *text;

	if (!mg_verify_text(r->f, node, 0, max))
		return NULL;
	/* Empty text is none. */
	if (!*node->text)
		return NULL;
	text = strdup(node->text);
	if (!text)
		r->err = -ENOMEM;
	return text;
}

char *mg_read_path(struct mg_reading *r, const struct mg_node *node)
{
	char *path = mg_read_text(r, node, PATH_BYTES);
	char quoted[MG_QUOTE_BYTES];

	if (path && *path != '/')
		mg_finding(r->f, node, "is %s, expected an absolute path", mg_quote(quoted, path));
	return path;
}

void mg_read_name(struct mg_reading *r, const struct mg_node *node, void *to)
{
	char quoted[MG_QUOTE_BYTES];

	if (!mg_verify_text(r->f, node, 1, MG_MEMBER_NAME - 1))
		return;
	if (strcmp(node->text, "any") == 0 || strcmp(node->text, "default") == 0)
		mg_finding(r->f, node, "is %s, expected a name that is no reserved word",
			   node->text);
	else if (!mg_config_is_name(node->text))
		mg_finding(r->f, node, "is %s, expected letters, digits, '.', '_' and '-'",
			   mg_quote(quoted, node->text));
	else
		memcpy(to, node->text, strlen(node->text) + 1);
}

size_t mg_read_one_name(struct mg_reading *r, const struct mg_node *node, const char *name,
			const char *list, mg_find_fn *find)
{
	size_t at = *name ? find(r->p, name) : MG_CONFIG_NONE;
	char quoted[MG_QUOTE_BYTES];

	if (at == MG_CONFIG_NONE)
		mg_finding(r->f, node, "is %s, expected the name of one of %s",
			   mg_quote(quoted, name), list);
	return at;
}

static void add_name(struct mg_reading *r, const struct mg_node *node, const char *list,
		     mg_find_fn *find, size_t *names, size_t *n)
{
	size_t at;

	if (!mg_verify_text(r->f, node, 0, MG_MEMBER_NAME * 2))
		return;
	at = mg_read_one_name(r, node, node->text, list, find);
	if (at == MG_CONFIG_NONE)
		return;
	for (size_t i = 0; i < *n; i++) {
		if (names[i] != at)
			continue;
		mg_finding(r->f, node, "%s is there twice, expected it once", node->text);
		return;
	}
	names[(*n)++] = at;
}

void mg_read_names(struct mg_reading *r, const struct mg_node *node, const char *list,
		   mg_find_fn *find, bool or_any, size_t **names, size_t *n)
{
	const struct mg_node *all = r->f->tree->nodes;

	*names = NULL;
	*n = 0;
	if (or_any && node->kind == MG_NODE_SCALAR && strcmp(node->text, "any") == 0)
		return;
	if (node->kind == MG_NODE_MAP || (node->kind == MG_NODE_SCALAR && !or_any)) {
		mg_finding(r->f, node, "%s, expected %sa list of names", mg_kind_found(node),
			   or_any ? "any, a name or " : "");
		return;
	}
	if (node->kind == MG_NODE_LIST && !node->first) {
		mg_finding(r->f, node, "has 0 entries, expected at least 1");
		return;
	}
	*names = calloc(mg_count_items(r, node) + 1, sizeof(**names));
	if (!*names) {
		r->err = -ENOMEM;
		return;
	}
	if (node->kind == MG_NODE_SCALAR)
		add_name(r, node, list, find, *names, n);
	for (uint32_t i = node->kind == MG_NODE_LIST ? node->first : 0; i; i = all[i].next)
		add_name(r, &all[i], list, find, *names, n);
}

int mg_read_prefix(struct mg_reading *r, const struct mg_node *node, struct mg_prefix *to)
{
	char quoted[MG_QUOTE_BYTES];

	if (node->kind != MG_NODE_SCALAR) {
		mg_finding(r->f, node, "%s, expected a prefix", mg_kind_found(node));
		return -EINVAL;
	}
	if (mg_prefix_parse(to, node->text) == 0)
		return 0;
	mg_finding(r->f, node, "is %s, expected a prefix such as 192.0.2.0/24 or 2001:db8::/32",
		   mg_quote(quoted, node->text));
	return -EINVAL;
}
