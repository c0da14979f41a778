// SPDX-License-Identifier: BSD-2-Clause
/* The part of the schema that is about gateways and proxies. */
#include "config/schema.h"

#include <string.h>

const cyaml_strval_t mg_unknown_join_names[3] = {
	{ "drop", MG_UNKNOWN_DROP },
	{ "pass", MG_UNKNOWN_PASS },
	{ "ring", MG_UNKNOWN_RING },
};
const cyaml_strval_t mg_proxy_kind_names[2] = {
	{ "on-path", MG_PROXY_ON_PATH },
	{ "off-path", MG_PROXY_OFF_PATH },
};
const cyaml_strval_t mg_delivery_names[MG_DELIVERY_COUNT] = {
#define X(sym, label, doc) { #label, MG_DELIVER_##sym },
	MG_DELIVERIES(X)
#undef X
};
const cyaml_strval_t mg_group_hash_names[2] = {
	{ "subscriber", MG_HASH_SUBSCRIBER },
	{ "flow", MG_HASH_FLOW },
};
const cyaml_strval_t mg_check_by_names[2] = {
	{ "convert", MG_CHECK_CONVERT },
	{ "tcp", MG_CHECK_TCP },
};
const cyaml_strval_t mg_expect_names[2] = {
	{ "continuity", MG_EXPECT_CONTINUITY },
	{ "throughput", MG_EXPECT_THROUGHPUT },
};

#define OPTIONAL CYAML_FLAG_OPTIONAL
#define STRICT	 (CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT)

#define TEXT(key, def, longest, live) \
	CYAML_FIELD_STRING_PTR(#key, OPTIONAL, SHAPE, AT(key), 0, longest),
#define ARRAY(key, longest, live)	 CYAML_FIELD_STRING(#key, OPTIONAL, SHAPE, AT(key), 0),
#define NUMBER(key, def, min, max, live) CYAML_FIELD_UINT(#key, OPTIONAL, SHAPE, AT(key)),
#define NAME(key, def, names, live) \
	CYAML_FIELD_ENUM(#key, STRICT, SHAPE, AT(key), names, CYAML_ARRAY_LEN(names)),

#define SHAPE	struct mg_config_gateway
#define AT(key) key
const cyaml_schema_field_t mg_config_gateway_fields[] = {
	MG_CONFIG_GATEWAY_KEYS(TEXT, NUMBER, NAME) CYAML_FIELD_END,
};
#undef SHAPE

#define SHAPE struct mg_config_check
static const cyaml_schema_field_t check_fields[] = {
	MG_CONFIG_CHECK_KEYS(ARRAY, NUMBER, NAME) CYAML_FIELD_END,
};
#undef SHAPE
#undef AT
#define AT(key) to.key

#define SHAPE struct mg_raw_proxy
static const cyaml_schema_field_t proxy_fields[] = {
	CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, SHAPE, to.name, 1),
	CYAML_FIELD_STRING_PTR("address", CYAML_FLAG_DEFAULT, SHAPE, address, 1, 128),
	MG_CONFIG_PROXY_KEYS(ARRAY, NUMBER, NAME) CYAML_FIELD_END,
};
const cyaml_schema_value_t mg_config_proxy_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, SHAPE, proxy_fields),
};
#undef SHAPE

#define SHAPE struct mg_raw_group
static const cyaml_schema_field_t group_fields[] = {
	CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, SHAPE, to.name, 1),
	CYAML_FIELD_SEQUENCE_COUNT("members", CYAML_FLAG_POINTER, SHAPE, members, n_members,
				   &mg_config_text_entry, 1, MG_CONFIG_MAX_PROXIES),
	MG_CONFIG_GROUP_KEYS(ARRAY, NUMBER, NAME)
		CYAML_FIELD_MAPPING("check", OPTIONAL, SHAPE, to.check, check_fields),
	CYAML_FIELD_END,
};
const cyaml_schema_value_t mg_config_group_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, SHAPE, group_fields),
};
#undef SHAPE

#define SHAPE struct mg_raw_virtual
static const cyaml_schema_field_t virtual_fields[] = {
	CYAML_FIELD_STRING_PTR("address", CYAML_FLAG_DEFAULT, SHAPE, address, 1, 128),
	CYAML_FIELD_STRING_PTR("group", CYAML_FLAG_DEFAULT, SHAPE, group, 1, 128),
	CYAML_FIELD_END,
};
const cyaml_schema_value_t mg_config_virtual_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, SHAPE, virtual_fields),
};
#undef SHAPE

#define SHAPE struct mg_raw_rule
static const cyaml_schema_field_t rule_fields[] = {
	CYAML_FIELD_STRING("interface", OPTIONAL, SHAPE, to.interface, 1),
	CYAML_FIELD_STRING_PTR("access", OPTIONAL, SHAPE, access, 1, 128),
	CYAML_FIELD_STRING_PTR("service", OPTIONAL, SHAPE, service, 1, 128),
	CYAML_FIELD_ENUM("expect", STRICT, SHAPE, to.expect, mg_expect_names,
			 CYAML_ARRAY_LEN(mg_expect_names)),
	CYAML_FIELD_STRING_PTR("group", OPTIONAL, SHAPE, group, 1, 128),
	CYAML_FIELD_END,
};
const cyaml_schema_value_t mg_config_rule_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, SHAPE, rule_fields),
};
#undef SHAPE
#undef AT

#undef TEXT
#undef ARRAY
#undef NUMBER
#undef NAME

#define ARRAY(key, longest, is_live)                 \
	{ .path = SECTION #key,                      \
	  .kind = MG_KEY_ARRAY,                      \
	  .offset = offsetof(SHAPE, MEMBER(key)),    \
	  .size = sizeof(((SHAPE *)0)->MEMBER(key)), \
	  .text = "",                                \
	  .max = longest,                            \
	  .live = is_live },
#define NUMBER(key, def, least, most, is_live)       \
	{ .path = SECTION #key,                      \
	  .kind = MG_KEY_NUMBER,                     \
	  .offset = offsetof(SHAPE, MEMBER(key)),    \
	  .size = sizeof(((SHAPE *)0)->MEMBER(key)), \
	  .number = def,                             \
	  .min = least,                              \
	  .max = most,                               \
	  .live = is_live },
#define NAME(key, def, list, is_live)                \
	{ .path = SECTION #key,                      \
	  .kind = MG_KEY_NAME,                       \
	  .offset = offsetof(SHAPE, MEMBER(key)),    \
	  .size = sizeof(((SHAPE *)0)->MEMBER(key)), \
	  .number = def,                             \
	  .names = list,                             \
	  .n_names = CYAML_ARRAY_LEN(list),          \
	  .live = is_live },

const struct mg_key mg_item_keys[] = {
#define SECTION	    "proxies[]."
#define SHAPE	    struct mg_config_proxy
#define MEMBER(key) key
	MG_CONFIG_PROXY_KEYS(ARRAY, NUMBER, NAME)
#undef SECTION
#undef SHAPE
#define SECTION "groups[]."
#define SHAPE	struct mg_config_group
		MG_CONFIG_GROUP_KEYS(ARRAY, NUMBER, NAME)
#undef SECTION
#undef MEMBER
#define SECTION	    "groups[].check."
#define MEMBER(key) check.key
			MG_CONFIG_CHECK_KEYS(ARRAY, NUMBER, NAME)
#undef SECTION
#undef SHAPE
#undef MEMBER
};
const size_t mg_item_keys_count = CYAML_ARRAY_LEN(mg_item_keys);

void mg_item_defaults(const struct mg_tree *t, const char *list, size_t index, void *item)
{
	size_t len = strlen(list);
	char path[64];

	for (size_t i = 0; i < mg_item_keys_count; i++) {
		const struct mg_key *k = &mg_item_keys[i];

		if (strncmp(k->path, list, len) != 0 || k->path[len] != '[' ||
		    k->kind == MG_KEY_ARRAY)
			continue;
		snprintf(path, sizeof(path), "%s[%zu]%s", list, index, k->path + len + 2);
		if (!mg_tree_find(t, path))
			mg_key_set_number(k, item, k->number);
	}
}
