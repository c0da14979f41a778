// SPDX-License-Identifier: BSD-2-Clause
#include "config/schema.h"

#include <string.h>

const cyaml_strval_t mg_role_names[2] = {
	{ "access", MG_ROLE_ACCESS },
	{ "core", MG_ROLE_CORE },
};
const cyaml_strval_t mg_xdp_names[4] = {
	{ "auto", MG_XDP_AUTO },
	{ "native", MG_XDP_NATIVE },
	{ "generic", MG_XDP_GENERIC },
	{ "off", MG_XDP_OFF },
};
const cyaml_strval_t mg_source_names[2] = {
	{ "shared", MG_SOURCE_SHARED },
	{ "preserved", MG_SOURCE_PRESERVED },
};
const cyaml_strval_t mg_cookie_names[2] = {
	{ "off", MG_COOKIE_OFF },
	{ "required", MG_COOKIE_REQUIRED },
};
const cyaml_strval_t mg_server_mptcp_names[3] = {
	{ "never", MG_SERVER_MPTCP_NEVER },
	{ "requested", MG_SERVER_MPTCP_REQUESTED },
	{ "always", MG_SERVER_MPTCP_ALWAYS },
};

const cyaml_strval_t mg_reply_names[2] = {
	{ "after-connect", MG_REPLY_AFTER_CONNECT },
	{ "at-once", MG_REPLY_AT_ONCE },
};
const cyaml_strval_t mg_mode_names[4] = {
	{ "off", MG_MODE_OFF },
	{ "take-over", MG_MODE_TAKE_OVER },
	{ "transparent", MG_MODE_TRANSPARENT },
	{ "hybrid", MG_MODE_HYBRID },
};
const cyaml_strval_t mg_on_overload_names[2] = {
	{ "pass", MG_OVERLOAD_PASS },
	{ "drop", MG_OVERLOAD_DROP },
};
const cyaml_strval_t mg_on_failure_names[2] = {
	{ "open", MG_FAILURE_OPEN },
	{ "closed", MG_FAILURE_CLOSED },
};
const cyaml_strval_t mg_bool_names[2] = {
	{ "true", true },
	{ "false", false },
};

#define OPTIONAL CYAML_FLAG_OPTIONAL
#define STRICT	 (CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT)

#define TEXT(key, def, longest, live) \
	CYAML_FIELD_STRING_PTR(#key, OPTIONAL, SHAPE, AT(key), 0, longest),
#define NUMBER(key, def, min, max, live) CYAML_FIELD_UINT(#key, OPTIONAL, SHAPE, AT(key)),
#define NAME(key, def, names, live) \
	CYAML_FIELD_ENUM(#key, STRICT, SHAPE, AT(key), names, CYAML_ARRAY_LEN(names)),
#define AT(key) to.key

const cyaml_schema_value_t mg_config_text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, 128),
};

static const cyaml_schema_field_t interface_fields[] = {
	CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct mg_config_interface, name, 1),
	CYAML_FIELD_ENUM("role", CYAML_FLAG_STRICT, struct mg_config_interface, role, mg_role_names,
			 CYAML_ARRAY_LEN(mg_role_names)),
	CYAML_FIELD_ENUM("xdp", STRICT, struct mg_config_interface, xdp, mg_xdp_names,
			 CYAML_ARRAY_LEN(mg_xdp_names)),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t interface_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct mg_config_interface, interface_fields),
};

#define SHAPE struct mg_raw_converter
static const cyaml_schema_field_t converter_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("listen", CYAML_FLAG_POINTER, SHAPE, listen, n_listen,
				   &mg_config_text_entry, 0, MG_CONFIG_MAX_LISTEN),
	CYAML_FIELD_SEQUENCE_COUNT("signal", CYAML_FLAG_POINTER | OPTIONAL, SHAPE, signal, n_signal,
				   &mg_config_text_entry, 0, MG_CONFIG_MAX_SIGNAL),
	MG_CONFIG_CONVERTER_KEYS(TEXT, NUMBER, NAME) CYAML_FIELD_END,
};
#undef SHAPE

const cyaml_schema_value_t mg_config_ports_schema = {
	CYAML_VALUE_SEQUENCE(CYAML_FLAG_POINTER, char *, &mg_config_text_entry, 1,
			     MG_CONFIG_MAX_PORTS),
};

#define SHAPE struct mg_raw_intercept
static const cyaml_schema_field_t intercept_fields[] = {
	MG_CONFIG_INTERCEPT_KEYS(TEXT, NUMBER, NAME) CYAML_FIELD_IGNORE("ports", OPTIONAL),
	CYAML_FIELD_SEQUENCE_COUNT("except", CYAML_FLAG_POINTER | OPTIONAL, SHAPE, except, n_except,
				   &mg_config_text_entry, 0, MG_CONFIG_MAX_PORTS),
	CYAML_FIELD_END,
};
#undef SHAPE

#define SHAPE struct mg_raw_cpe
static const cyaml_schema_field_t cpe_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("lan", CYAML_FLAG_POINTER | OPTIONAL, SHAPE, lan, n_lan,
				   &mg_config_text_entry, 0, MG_CONFIG_MAX_LAN),
	CYAML_FIELD_STRING_PTR("converter", OPTIONAL, SHAPE, converter, 0, 128),
	MG_CONFIG_CPE_KEYS(TEXT, NUMBER, NAME) CYAML_FIELD_END,
};
#undef SHAPE

#define SHAPE struct mg_raw_destinations
static const cyaml_schema_field_t destination_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("allow", CYAML_FLAG_POINTER | OPTIONAL, SHAPE, allow, n_allow,
				   &mg_config_text_entry, 0, MG_CONFIG_MAX_DESTINATIONS),
	CYAML_FIELD_SEQUENCE_COUNT("deny", CYAML_FLAG_POINTER | OPTIONAL, SHAPE, deny, n_deny,
				   &mg_config_text_entry, 0, MG_CONFIG_MAX_DESTINATIONS),
	CYAML_FIELD_END,
};
#undef SHAPE

#define SHAPE struct mg_raw_config
#define LIST(key, at, entry, max)                                                       \
	CYAML_FIELD_SEQUENCE_COUNT(key, CYAML_FLAG_POINTER | OPTIONAL, SHAPE, steer.at, \
				   steer.n_##at, entry, 0, max)
/* policies.c reads them, straight from the tree. */
#define POLICY(key) CYAML_FIELD_IGNORE(key, OPTIONAL),
static const cyaml_schema_field_t top_fields[] = {
	MG_CONFIG_TOP_KEYS(TEXT, NUMBER, NAME) CYAML_FIELD_SEQUENCE_COUNT(
		"interfaces", CYAML_FLAG_POINTER | OPTIONAL, SHAPE, to.interfaces, to.n_interfaces,
		&interface_entry, 0, MG_CONFIG_MAX_INTERFACES),
	CYAML_FIELD_MAPPING("converter", OPTIONAL, SHAPE, converter, converter_fields),
	CYAML_FIELD_MAPPING("intercept", OPTIONAL, SHAPE, intercept, intercept_fields),
	CYAML_FIELD_MAPPING("cpe", OPTIONAL, SHAPE, cpe, cpe_fields),
	CYAML_FIELD_MAPPING("gateway", OPTIONAL, SHAPE, to.steer.gateway, mg_config_gateway_fields),
	LIST("proxies", proxies, &mg_config_proxy_entry, MG_CONFIG_MAX_PROXIES),
	LIST("groups", groups, &mg_config_group_entry, MG_CONFIG_MAX_GROUPS),
	LIST("virtual", virtuals, &mg_config_virtual_entry, MG_VIRTUAL_MAX),
	LIST("selection", rules, &mg_config_rule_entry, MG_RULES_MAX),
	LIST("gateways", gateways, &mg_config_text_entry, MG_GATEWAYS_MAX),
#undef AT
#define AT(key) to.steer.key
	MG_CONFIG_STORE_KEYS(TEXT, NUMBER, NAME)
#undef AT
#define AT(key) to.key
		POLICY("access_networks") POLICY("services") POLICY("subscribers")
			POLICY("policies") POLICY("default_policy") POLICY("subscriber_key")
				POLICY("answers_per_s") POLICY("radius") POLICY("sharing")
					POLICY("provision") CYAML_FIELD_MAPPING(
						"destinations", OPTIONAL, SHAPE, destinations,
						destination_fields),
	MG_CONFIG_LAST_KEYS(TEXT, NUMBER, NAME) CYAML_FIELD_END,
};
#undef LIST
#undef POLICY
#undef AT
#undef SHAPE

const cyaml_schema_value_t mg_config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct mg_raw_config, top_fields),
};

#undef TEXT
#undef NUMBER
#undef NAME

#define TEXT(key, def, longest, is_live)                        \
	{ .path = SECTION #key,                                 \
	  .kind = MG_KEY_TEXT,                                  \
	  .offset = offsetof(struct mg_config, MEMBER(key)),    \
	  .size = sizeof(((struct mg_config *)0)->MEMBER(key)), \
	  .text = def,                                          \
	  .max = longest,                                       \
	  .live = is_live },
#define NUMBER(key, def, least, most, is_live)                  \
	{ .path = SECTION #key,                                 \
	  .kind = MG_KEY_NUMBER,                                \
	  .offset = offsetof(struct mg_config, MEMBER(key)),    \
	  .size = sizeof(((struct mg_config *)0)->MEMBER(key)), \
	  .number = def,                                        \
	  .min = least,                                         \
	  .max = most,                                          \
	  .live = is_live },
#define NAME(key, def, list, is_live)                           \
	{ .path = SECTION #key,                                 \
	  .kind = MG_KEY_NAME,                                  \
	  .offset = offsetof(struct mg_config, MEMBER(key)),    \
	  .size = sizeof(((struct mg_config *)0)->MEMBER(key)), \
	  .number = def,                                        \
	  .names = list,                                        \
	  .n_names = CYAML_ARRAY_LEN(list),                     \
	  .live = is_live },

const struct mg_key mg_keys[] = {
#define SECTION	    ""
#define MEMBER(key) key
	MG_CONFIG_TOP_KEYS(TEXT, NUMBER, NAME)
#undef SECTION
#undef MEMBER
#define SECTION	    "converter."
#define MEMBER(key) converter.key
		MG_CONFIG_CONVERTER_KEYS(TEXT, NUMBER, NAME)
#undef SECTION
#undef MEMBER
#define SECTION	    "intercept."
#define MEMBER(key) intercept.key
			MG_CONFIG_INTERCEPT_KEYS(TEXT, NUMBER, NAME)
#undef SECTION
#undef MEMBER
#define SECTION	    "cpe."
#define MEMBER(key) cpe.key
				MG_CONFIG_CPE_KEYS(TEXT, NUMBER, NAME)
#undef SECTION
#undef MEMBER
#define SECTION	    "gateway."
#define MEMBER(key) steer.gateway.key
					MG_CONFIG_GATEWAY_KEYS(TEXT, NUMBER, NAME)
#undef SECTION
#undef MEMBER
#define SECTION	    ""
#define MEMBER(key) steer.key
						MG_CONFIG_STORE_KEYS(TEXT, NUMBER, NAME)
#undef MEMBER
#define MEMBER(key) key
							MG_CONFIG_LAST_KEYS(TEXT, NUMBER, NAME)
#undef SECTION
#undef MEMBER
};
const size_t mg_keys_count = CYAML_ARRAY_LEN(mg_keys);

/* "a[7].b" is "a[].b" for this; `to` is long enough for every key there is. */
static void without_indexes(char to[MG_TREE_PATH_BYTES], const char *path)
{
	size_t n = 0;

	for (; *path && n < MG_TREE_PATH_BYTES - 1; path++) {
		if (*path < '0' || *path > '9' || !n || to[n - 1] != '[')
			to[n++] = *path;
	}
	to[n] = '\0';
}

const struct mg_key *mg_key_find(const char *path)
{
	char plain[MG_TREE_PATH_BYTES];

	without_indexes(plain, path);
	for (size_t i = 0; i < mg_keys_count; i++) {
		if (strcmp(mg_keys[i].path, plain) == 0)
			return &mg_keys[i];
	}
	for (size_t i = 0; i < mg_item_keys_count; i++) {
		if (strcmp(mg_item_keys[i].path, plain) == 0)
			return &mg_item_keys[i];
	}
	return NULL;
}

/* Numbers and enums of this product are all 32 bits wide, but for yes and no, lengths, and ports.
 */
uint32_t mg_key_number(const struct mg_key *k, const void *in)
{
	const void *at = (const char *)in + k->offset;

	if (k->size == sizeof(uint8_t))
		return *(const uint8_t *)at;
	if (k->size == sizeof(uint16_t))
		return *(const uint16_t *)at;
	return *(const uint32_t *)at;
}

void mg_key_set_number(const struct mg_key *k, void *in, uint32_t value)
{
	void *at = (char *)in + k->offset;

	/* A bool is a byte that is 0 or 1, as its names' values are. */
	if (k->size == sizeof(uint8_t))
		*(uint8_t *)at = (uint8_t)value;
	else if (k->size == sizeof(uint16_t))
		*(uint16_t *)at = (uint16_t)value;
	else
		*(uint32_t *)at = value;
}

const char *mg_key_text(const struct mg_key *k, const void *in)
{
	const char *value;

	if (k->kind == MG_KEY_ARRAY)
		return (const char *)in + k->offset;
	memcpy(&value, (const char *)in + k->offset, sizeof(value));
	return value;
}

const char *mg_name_of(const cyaml_strval_t *names, size_t n, int64_t value)
{
	for (size_t i = 0; i < n; i++) {
		if (names[i].val == value)
			return names[i].str;
	}
	return "?";
}
