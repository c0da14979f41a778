// SPDX-License-Identifier: BSD-2-Clause
/*
 * The document against libcyaml's tables, finding by finding. libcyaml itself stops at the first,
 * and tells a line only; an operator wants to see everything at once.
 */
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

#define LIST_BYTES 1024

static void verify_value(struct mg_findings *f, const struct mg_node *node,
			 const cyaml_schema_value_t *s, unsigned int depth);

static void append(char buf[LIST_BYTES], const char *word, const char *glue)
{
	size_t used = strlen(buf);

	snprintf(buf + used, LIST_BYTES - used, "%s%s", used ? glue : "", word);
}

static const char *one_of(char buf[LIST_BYTES], const cyaml_strval_t *names, size_t n)
{
	buf[0] = '\0';
	for (size_t i = 0; i < n; i++)
		append(buf, names[i].str, " or ");
	return buf;
}

static const char *keys_of(char buf[LIST_BYTES], const cyaml_schema_field_t *fields)
{
	buf[0] = '\0';
	for (; fields->key; fields++)
		append(buf, fields->key, ", ");
	return buf;
}

static const char *kind_wanted(char buf[LIST_BYTES], const cyaml_schema_value_t *s)
{
	switch (s->type) {
	case CYAML_MAPPING:
		return "a mapping";
	case CYAML_SEQUENCE:
		return "a list";
	case CYAML_ENUM:
		return one_of(buf, s->enumeration.strings, s->enumeration.count);
	case CYAML_UINT:
		return "a number";
	default:
		return "text";
	}
}

const char *mg_kind_found(const struct mg_node *node)
{
	if (node->kind == MG_NODE_MAP)
		return "is a mapping";
	if (node->kind == MG_NODE_LIST)
		return "is a list";
	return *node->text ? "is a single value" : "is empty";
}

static bool right_kind(struct mg_findings *f, const struct mg_node *node,
		       const cyaml_schema_value_t *s)
{
	enum mg_node_kind want = s->type == CYAML_MAPPING    ? MG_NODE_MAP
				 : s->type == CYAML_SEQUENCE ? MG_NODE_LIST
							     : MG_NODE_SCALAR;
	char buf[LIST_BYTES];

	if (node->kind == want)
		return true;
	mg_finding(f, node, "%s, expected %s", mg_kind_found(node), kind_wanted(buf, s));
	return false;
}

static void verify_mapping(struct mg_findings *f, const struct mg_node *node,
			   const cyaml_schema_value_t *s, unsigned int depth)
{
	const struct mg_node *all = f->tree->nodes;
	const cyaml_schema_field_t *field;
	char buf[LIST_BYTES];

	for (uint32_t i = node->first; i; i = all[i].next) {
		for (field = s->mapping.fields; field->key; field++) {
			if (strcmp(field->key, all[i].key) == 0)
				break;
		}
		if (field->key)
			verify_value(f, &all[i], &field->value, depth + 1);
		else
			mg_finding(f, &all[i], "unknown key, expected one of %s",
				   keys_of(buf, s->mapping.fields));
	}
	for (field = s->mapping.fields; field->key; field++) {
		char path[MG_TREE_PATH_BYTES + 64], above[MG_TREE_PATH_BYTES];

		if ((field->value.flags & CYAML_FLAG_OPTIONAL) ||
		    mg_tree_child(f->tree, node, field->key))
			continue;
		mg_tree_path(above, f->tree, node);
		snprintf(path, sizeof(path), "%s%s%s", above, *above ? "." : "", field->key);
		mg_finding_path(f, path, "is missing, expected %s",
				kind_wanted(buf, &field->value));
	}
}

static void verify_list(struct mg_findings *f, const struct mg_node *node,
			const cyaml_schema_value_t *s, unsigned int depth)
{
	const struct mg_node *all = f->tree->nodes;
	uint32_t n = 0;

	for (uint32_t i = node->first; i; i = all[i].next) {
		if (n++ < s->sequence.max)
			verify_value(f, &all[i], s->sequence.entry, depth + 1);
	}
	if (n < s->sequence.min)
		mg_finding(f, node, "has %u entries, expected at least %u", n, s->sequence.min);
	if (n > s->sequence.max)
		mg_finding(f, node, "has %u entries, expected at most %u", n, s->sequence.max);
}

/* A word or a list, which none of libcyaml's kinds is. */
static void verify_ports(struct mg_findings *f, const struct mg_node *node, unsigned int depth)
{
	char quoted[MG_QUOTE_BYTES];

	if (node->kind == MG_NODE_LIST)
		verify_list(f, node, &mg_config_ports_schema, depth);
	else if (node->kind == MG_NODE_MAP)
		mg_finding(f, node, "is a mapping, expected any or a list of ports");
	else if (strcmp(node->text, "any") != 0)
		mg_finding(f, node, "is %s, expected any or a list of ports",
			   mg_quote(quoted, node->text));
}

bool mg_verify_text(struct mg_findings *f, const struct mg_node *node, size_t min, size_t max)
{
	size_t len;

	if (node->kind != MG_NODE_SCALAR) {
		mg_finding(f, node, "%s, expected text", mg_kind_found(node));
		return false;
	}
	len = strlen(node->text);
	if (len < min)
		mg_finding(f, node, "is empty, expected text");
	else if (len > max)
		mg_finding(f, node, "is %zu bytes long, expected at most %zu", len, max);
	return len >= min && len <= max;
}

bool mg_verify_name(struct mg_findings *f, const struct mg_node *node, const cyaml_strval_t *names,
		    size_t n, uint32_t *value)
{
	char buf[LIST_BYTES], quoted[MG_QUOTE_BYTES];

	if (node->kind != MG_NODE_SCALAR) {
		mg_finding(f, node, "%s, expected %s", mg_kind_found(node), one_of(buf, names, n));
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i].str, node->text) == 0) {
			*value = (uint32_t)names[i].val;
			return true;
		}
	}
	mg_finding(f, node, "is %s, expected %s", mg_quote(quoted, node->text),
		   one_of(buf, names, n));
	return false;
}

/* Decimal digits only: libcyaml would take a leading 0 for octal, and a minus sign. */
bool mg_verify_number(struct mg_findings *f, const struct mg_node *node, uint32_t min, uint32_t max,
		      uint32_t *number)
{
	char quoted[MG_QUOTE_BYTES];
	const char *digits;
	unsigned long value;
	size_t len;

	if (node->kind != MG_NODE_SCALAR) {
		mg_finding(f, node, "%s, expected a number", mg_kind_found(node));
		return false;
	}
	digits = node->text + (*node->text == '-');
	len = strlen(digits);
	if (!len || strspn(digits, "0123456789") != len || (digits[0] == '0' && len > 1)) {
		mg_finding(f, node, "is %s, expected a number from %u to %u",
			   mg_quote(quoted, node->text), min, max);
		return false;
	}
	value = len > 10 ? (unsigned long)UINT32_MAX + 1 : strtoul(digits, NULL, 10);
	if (*node->text == '-' || value < min || value > max) {
		mg_finding(f, node, "is %s, out of range, expected %u to %u",
			   mg_plain(quoted, node->text), min, max);
		return false;
	}
	*number = (uint32_t)value;
	return true;
}

static void verify_number(struct mg_findings *f, const struct mg_node *node)
{
	char path[MG_TREE_PATH_BYTES];
	const struct mg_key *k = mg_key_find(mg_tree_path(path, f->tree, node));
	uint32_t value;

	if (k)
		mg_verify_number(f, node, k->min, k->max, &value);
}

static void verify_value(struct mg_findings *f, const struct mg_node *node,
			 const cyaml_schema_value_t *s, unsigned int depth)
{
	uint32_t value;

	/* The tables are shallower than that; it bounds the recursion whatever they become. */
	if (depth > MG_TREE_MAX_DEPTH)
		return;
	if (s->type == CYAML_IGNORE) {
		/* What is ignored at the top, policies.c reads and judges. */
		if (depth > 1)
			verify_ports(f, node, depth);
		return;
	}
	if (!right_kind(f, node, s))
		return;
	switch (s->type) {
	case CYAML_MAPPING:
		verify_mapping(f, node, s, depth);
		break;
	case CYAML_SEQUENCE:
		verify_list(f, node, s, depth);
		break;
	case CYAML_ENUM:
		mg_verify_name(f, node, s->enumeration.strings, s->enumeration.count, &value);
		break;
	case CYAML_UINT:
		verify_number(f, node);
		break;
	default:
		mg_verify_text(f, node, s->string.min, s->string.max);
	}
}

void mg_schema_verify(struct mg_findings *f)
{
	static const char *const something_to_do[] = { "converter", "intercept", "cpe", "virtual",
						       "selection" };
	const struct mg_node *document = &f->tree->nodes[0];

	verify_value(f, document, &mg_config_schema, 0);
	if (document->kind != MG_NODE_MAP)
		return;
	for (size_t i = 0; i < CYAML_ARRAY_LEN(something_to_do); i++) {
		if (mg_tree_child(f->tree, document, something_to_do[i]))
			return;
	}
	mg_finding_path(f, "converter", "is missing, expected a mapping");
}
