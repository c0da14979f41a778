// SPDX-License-Identifier: BSD-2-Clause
/* The part of the schema that is about policy. All of it is live. */
#include "config/policies.h"

const cyaml_strval_t mg_policy_mode_names[9] = {
	{ "off", MG_MODE_OFF },
	{ "take-over", MG_MODE_TAKE_OVER },
	{ "transparent", MG_MODE_TRANSPARENT },
	{ "hybrid", MG_MODE_HYBRID },
	{ "deny", MG_POLICY_MODE_DENY },
	{ "load-balancing", MG_POLICY_MODE_STEERING | MG_STEERING_LOAD_BALANCING },
	{ "active-standby", MG_POLICY_MODE_STEERING | MG_STEERING_ACTIVE_STANDBY },
	{ "smallest-delay", MG_POLICY_MODE_STEERING | MG_STEERING_SMALLEST_DELAY },
	{ "priority", MG_POLICY_MODE_STEERING | MG_STEERING_PRIORITY },
};
const cyaml_strval_t mg_steering_names[MG_STEERING_COUNT] = {
#define X(sym, name, doc) { name, MG_STEERING_##sym },
	MG_STEERINGS(X)
#undef X
};
const cyaml_strval_t mg_trust_names[MG_TRUST_COUNT] = {
	{ "trusted", MG_TRUST_TRUSTED },
	{ "third-party", MG_TRUST_THIRD_PARTY },
};
const cyaml_strval_t mg_refuse_names[MG_REFUSE_COUNT] = {
#define X(sym, label, doc) { #label, MG_REFUSE_##sym },
	MG_REFUSES(X)
#undef X
};
/* A join that passes would be answered by the kernel, which knows of no limit. */
static const cyaml_strval_t refuse_join_names[] = {
	{ "reset", MG_REFUSE_RESET },
	{ "drop", MG_REFUSE_DROP },
};
static const cyaml_strval_t transit_names[] = { { "pass", false }, { "drop", true } };
static const cyaml_strval_t proxy_protocol_names[] = { { "off", false }, { "v2", true } };
static const cyaml_strval_t log_names[] = {
	{ "off", MG_LOG_TO_NOTHING },
	{ "file", MG_LOG_TO_FILE },
	{ "syslog", MG_LOG_TO_SYSLOG },
};

#define AT(shape, member) .offset = offsetof(shape, member), .size = sizeof(((shape *)0)->member)
#define NUMBER(name, shape, member, def, least, most)                                  \
	{                                                                              \
		.path = name, .kind = MG_KEY_NUMBER, AT(shape, member), .number = def, \
		.min = least, .max = most, .live = true                                \
	}
#define LIMIT(name, shape, member) NUMBER(name, shape, member, 0, 0, MG_CONFIG_MAX_LIMIT)
#define NAME(name, shape, member, def, list)                                         \
	{                                                                            \
		.path = name, .kind = MG_KEY_NAME, AT(shape, member), .number = def, \
		.names = list, .n_names = CYAML_ARRAY_LEN(list), .live = true        \
	}
#define TEXT(name, shape, member, def, longest)                                                    \
	{                                                                                          \
		.path = name, .kind = MG_KEY_TEXT, AT(shape, member), .text = def, .max = longest, \
		.live = true                                                                       \
	}

typedef struct mg_config_policies top;
typedef struct mg_config_access access_network;
typedef struct mg_config_service service;
typedef struct mg_config_policy policy;

const struct mg_key mg_policy_keys[] = {
	NAME("access_networks[].trust", access_network, trust, MG_TRUST_TRUSTED, mg_trust_names),
	NAME("access_networks[].transit", access_network, drop_transit, false, transit_names),
	NAME("services[].proxy_protocol", service, proxy_protocol, false, proxy_protocol_names),
	LIMIT("services[].limits.sessions", service, sessions),
	LIMIT("services[].limits.sessions_per_subscriber", service, sessions_per_subscriber),
	NAME("policies[].proxy_protocol", policy, proxy_protocol, false, proxy_protocol_names),
	NAME("policies[].refuse", policy, refuse, MG_REFUSE_PASS, mg_refuse_names),
	NAME("policies[].refuse_join", policy, refuse_join, MG_REFUSE_RESET, refuse_join_names),
	NAME("policies[].steering", policy, steering, MG_STEERING_DEFAULT, mg_steering_names),
	NAME("policies[].strict", policy, strict, false, mg_bool_names),
	LIMIT("policies[].limits.sessions", policy, sessions),
	NUMBER("policies[].limits.new_per_s", policy, new_per_s, 0, 0, 1000000),
	LIMIT("policies[].limits.burst", policy, burst),
	LIMIT("policies[].limits.held", policy, held),
	LIMIT("policies[].limits.subflows", policy, subflows),
	LIMIT("policies[].limits.subflows_per_session", policy, subflows_per_session),
	NUMBER("subscriber_key.ipv4", top, key_ipv4_bits, 32, 1, 32),
	NUMBER("subscriber_key.ipv6", top, key_ipv6_bits, 64, 1, 128),
	NUMBER("answers_per_s", top, answers_per_s, 4, 0, 1000000),
	NUMBER("radius.stale_s", top, radius.stale_s, 0, 0, 2592000),
	NAME("sharing.paired", top, sharing.paired, true, mg_bool_names),
	NUMBER("sharing.ports_per_subscriber", top, sharing.ports_per_subscriber, 0, 0, 65535),
	NAME("sharing.log", top, sharing.log, MG_LOG_TO_NOTHING, log_names),
	TEXT("sharing.log_file", top, sharing.log_file, "", 4095),
	NUMBER("sharing.log_rotate_mib", top, sharing.log_rotate_mib, 64, 1, 1048576),
	NUMBER("sharing.log_keep", top, sharing.log_keep, 8, 0, 1000),
	NAME("provision.enabled", top, provision.on, false, mg_bool_names),
	NUMBER("provision.reserve_max", top, provision.reserve_max, 16, 0, 65535),
	NUMBER("provision.reserve_max_s", top, provision.reserve_max_s, 60, 1, 86400),
};
const size_t mg_policy_keys_count = CYAML_ARRAY_LEN(mg_policy_keys);
