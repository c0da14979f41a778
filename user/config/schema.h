/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the file may say: every scalar key once, with its kind, default, range and whether a reload
 * may change it. libcyaml's tables, the defaults, the range check, print and the reload check all
 * come from these lists. A new key is one line here, its member in config.h, a line in the man page
 * and in the goldens.
 */
#ifndef MG_CONFIG_SCHEMA_H
#define MG_CONFIG_SCHEMA_H

#include <cyaml/cyaml.h>

#include "config/config.h"
#include "config/tree.h"

#define MG_CONFIG_MAX_LISTEN	   64
#define MG_CONFIG_MAX_SIGNAL	   8 /* the kernel's path manager has room for as many */
#define MG_CONFIG_MAX_INTERFACES   64
#define MG_CONFIG_MAX_DESTINATIONS 4096 /* per list */
#define MG_CONFIG_MAX_PORTS	   1024 /* per list */
#define MG_CONFIG_MAX_LAN	   64
#define MG_CONFIG_MAX_PROXIES	   (MG_PROXIES_MAX - 1)
#define MG_CONFIG_MAX_GROUPS	   (MG_GROUPS_MAX - 1)

/*
 * T(key, default, longest in bytes, live)  text
 * N(key, default, least, most, live)       number
 * E(key, default, names, live)             one of the names
 * A(key, longest in bytes, live)           text in an array of its own; by default empty
 */
#define MG_CONFIG_TOP_KEYS(T, N, E)                \
	T(node, "", 63, false)                     \
	T(runtime_dir, "/run/mpgate", 80, false)   \
	T(bpffs, "/sys/fs/bpf/mpgate", 200, false) \
	N(workers, 0, 0, 256, false)

#define MG_CONFIG_CONVERTER_KEYS(T, N, E)                                       \
	E(source, MG_SOURCE_SHARED, mg_source_names, false)                     \
	E(cookie, MG_COOKIE_OFF, mg_cookie_names, true)                         \
	N(cookie_rotate_s, 3600, 1, 2592000, true)                              \
	T(cookie_key_file, "", 4095, false)                                     \
	E(server_mptcp, MG_SERVER_MPTCP_REQUESTED, mg_server_mptcp_names, true) \
	N(connect_timeout_ms, 5000, 1, 600000, true)                            \
	N(greet_timeout_ms, 5000, 1, 600000, true)                              \
	N(idle_timeout_s, 7440, 1, 2592000, true)                               \
	N(half_open_timeout_s, 240, 1, 2592000, true)                           \
	N(pending_per_client, 256, 1, 65535, true)                              \
	N(max_sessions, 65536, 1, 1048576, true)                                \
	N(retry_after_s, 30, 0, 255, true)                                      \
	N(fastopen_queue, 4096, 1, 65535, false)                                \
	E(reply, MG_REPLY_AFTER_CONNECT, mg_reply_names, false)                 \
	N(hold_max_ms, 800, 1, 60000, true)                                     \
	E(deny_initial_joins, false, mg_bool_names, false)

/* The mode is live but for one step, which mg_config_check_reload knows: from or to `off`. */
#define MG_CONFIG_INTERCEPT_KEYS(T, N, E)                            \
	E(mode, MG_MODE_OFF, mg_mode_names, true)                    \
	E(source, MG_SOURCE_PRESERVED, mg_source_names, false)       \
	N(learn_ttl_s, 600, 1, 2592000, true)                        \
	N(held_max, 65536, 1, 1048576, false)                        \
	N(held_per_subscriber, 256, 1, 65535, true)                  \
	E(on_overload, MG_OVERLOAD_PASS, mg_on_overload_names, true) \
	E(on_failure, MG_FAILURE_OPEN, mg_on_failure_names, true)    \
	N(stale_ms, 200, 20, 60000, true)

#define MG_CONFIG_CPE_KEYS(T, N, E) E(direct, true, mg_bool_names, false)

#define MG_CONFIG_GATEWAY_KEYS(T, N, E)                               \
	N(flows_max, MG_FLOWS_MAX, 16, 16777216, false)               \
	N(tokens_max, MG_STEER_TOKENS_MAX, 16, 16777216, false)       \
	E(unknown_join, MG_UNKNOWN_DROP, mg_unknown_join_names, true) \
	E(learn, true, mg_bool_names, true)                           \
	N(learn_per_second, 20000, 1, 10000000, true)                 \
	T(location, "", MG_MEMBER_NAME - 1, true)

/* At the top of the file, in struct mg_config_steer. */
#define MG_CONFIG_STORE_KEYS(T, N, E)  \
	T(store, "memory", 511, false) \
	N(store_heartbeat_ms, 1000, 100, 60000, false)

#define MG_CONFIG_LAST_KEYS(T, N, E) N(drain_timeout_s, 30, 0, 86400, true)

/* Of the items of lists. */
#define MG_CONFIG_PROXY_KEYS(A, N, E)                         \
	N(weight, 1, 0, 65535, true)                          \
	A(location, MG_MEMBER_NAME - 1, true)                 \
	E(kind, MG_PROXY_OFF_PATH, mg_proxy_kind_names, true) \
	E(deliver, MG_DELIVER_IPIP, mg_delivery_names, true)

#define MG_CONFIG_GROUP_KEYS(A, N, E)                          \
	E(hash, MG_HASH_SUBSCRIBER, mg_group_hash_names, true) \
	E(on_failure, MG_FAILURE_OPEN, mg_on_failure_names, true)

#define MG_CONFIG_CHECK_KEYS(A, N, E)                    \
	E(by, MG_CHECK_CONVERT, mg_check_by_names, true) \
	N(port, 0, 0, 65535, true)                       \
	N(interval_ms, 300, 10, 600000, true)            \
	N(rise, 2, 1, 100, true)                         \
	N(fall, 3, 1, 100, true)

extern const cyaml_strval_t mg_role_names[2];
extern const cyaml_strval_t mg_xdp_names[4];
extern const cyaml_strval_t mg_source_names[2];
extern const cyaml_strval_t mg_cookie_names[2];
extern const cyaml_strval_t mg_server_mptcp_names[3];
extern const cyaml_strval_t mg_reply_names[2];
extern const cyaml_strval_t mg_mode_names[4];
extern const cyaml_strval_t mg_on_overload_names[2];
extern const cyaml_strval_t mg_on_failure_names[2];
extern const cyaml_strval_t mg_bool_names[2];
extern const cyaml_strval_t mg_unknown_join_names[3];
extern const cyaml_strval_t mg_proxy_kind_names[2];
extern const cyaml_strval_t mg_delivery_names[MG_DELIVERY_COUNT];
extern const cyaml_strval_t mg_group_hash_names[2];
extern const cyaml_strval_t mg_check_by_names[2];
extern const cyaml_strval_t mg_expect_names[2];

/* What libcyaml fills: the final shapes, but for the lists that are text in the file. */
struct mg_raw_converter {
	struct mg_config_converter to;
	char **listen;
	size_t n_listen;
	char **signal;
	size_t n_signal;
};

struct mg_raw_destinations {
	char **allow;
	size_t n_allow;
	char **deny;
	size_t n_deny;
};

struct mg_raw_intercept {
	struct mg_config_intercept to;
	char **except;
	size_t n_except;
};

struct mg_raw_cpe {
	struct mg_config_cpe to;
	char **lan;
	size_t n_lan;
	char *converter;
};

struct mg_raw_proxy {
	struct mg_config_proxy to;
	char *address;
};

struct mg_raw_group {
	struct mg_config_group to;
	char **members;
	size_t n_members;
};

struct mg_raw_virtual {
	char *address;
	char *group;
};

struct mg_raw_rule {
	struct mg_config_rule to;
	char *access;
	char *service;
	char *group;
};

struct mg_raw_steer {
	struct mg_raw_proxy *proxies;
	size_t n_proxies;
	struct mg_raw_group *groups;
	size_t n_groups;
	struct mg_raw_virtual *virtuals;
	size_t n_virtuals;
	struct mg_raw_rule *rules;
	size_t n_rules;
	char **gateways;
	size_t n_gateways;
};

struct mg_raw_config {
	struct mg_config to;
	struct mg_raw_converter converter;
	struct mg_raw_intercept intercept;
	struct mg_raw_cpe cpe;
	struct mg_raw_steer steer;
	struct mg_raw_destinations destinations;
};

extern const cyaml_schema_value_t mg_config_schema; /* of a struct mg_raw_config pointer */
/* What `intercept.ports` is when it is not a word; libcyaml knows no such choice and skips it. */
extern const cyaml_schema_value_t mg_config_ports_schema;
extern const cyaml_schema_value_t mg_config_text_entry; /* of a list of texts */
extern const cyaml_schema_value_t mg_config_proxy_entry;
extern const cyaml_schema_value_t mg_config_group_entry;
extern const cyaml_schema_value_t mg_config_virtual_entry;
extern const cyaml_schema_value_t mg_config_rule_entry;
extern const cyaml_schema_field_t mg_config_gateway_fields[];

enum mg_key_kind { MG_KEY_TEXT, MG_KEY_NUMBER, MG_KEY_NAME, MG_KEY_ARRAY };

struct mg_key {
	const char *path;
	enum mg_key_kind kind;
	size_t offset;	   /* in struct mg_config, or in that of the list's item */
	size_t size;	   /* there, in bytes: names may be a bool, numbers a port */
	const char *text;  /* default of a text or an array */
	uint32_t number;   /* default of the others */
	uint32_t min, max; /* of a text: max is its length in bytes */
	const cyaml_strval_t *names;
	size_t n_names;
	bool live;
};

extern const struct mg_key mg_keys[];
extern const size_t mg_keys_count;
/* Those of the items of lists, "proxies[].weight", in the order of the lists. */
extern const struct mg_key mg_item_keys[];
extern const size_t mg_item_keys_count;

/* Of both; which item it is does not matter: "proxies[7].weight" finds it too. */
const struct mg_key *mg_key_find(const char *path);
/* The value of a number or a name, the text of a text (which may be NULL); `in` is what the key's
 * offset counts from. */
uint32_t mg_key_number(const struct mg_key *k, const void *in);
const char *mg_key_text(const struct mg_key *k, const void *in);
void mg_key_set_number(const struct mg_key *k, void *in, uint32_t value);
/* Puts defaults into one item of "proxies" and the like where the file is silent. */
void mg_item_defaults(const struct mg_tree *t, const char *list, size_t index, void *item);
const char *mg_name_of(const cyaml_strval_t *names, size_t n, int64_t value);

/* Unknown and missing keys, wrong kinds, values out of range: all of them. */
void mg_schema_verify(struct mg_findings *f);
/* One value each: true, or false after a finding. */
bool mg_verify_text(struct mg_findings *f, const struct mg_node *node, size_t min, size_t max);
bool mg_verify_name(struct mg_findings *f, const struct mg_node *node, const cyaml_strval_t *names,
		    size_t n, uint32_t *value);
bool mg_verify_number(struct mg_findings *f, const struct mg_node *node, uint32_t min, uint32_t max,
		      uint32_t *number);
const char *mg_kind_found(const struct mg_node *node); /* "is a list" and the like */

/* Puts defaults where the file is silent. 0 or -ENOMEM. */
int mg_config_defaults(struct mg_config *c, const struct mg_tree *t);
/* Addresses from text, duplicates, contradictions: fills in the lists. 0, or -ENOMEM. */
int mg_config_lists(struct mg_config *c, const struct mg_raw_config *raw, struct mg_findings *f);
/* The part of it that is about gateways and proxies, in steer.c: names become numbers. */
int mg_config_make_steer(struct mg_config *c, const struct mg_raw_steer *raw,
			 struct mg_findings *f);
void mg_config_check_values(const struct mg_config *c, struct mg_findings *f);
/* The part of it that is about what passes through this host, in intercept.c. */
void mg_config_check_intercept(const struct mg_config *c, struct mg_findings *f);
void mg_config_check_cpe(const struct mg_config *c, struct mg_findings *f);
/* About gateways and proxies, in steer_check.c. */
void mg_config_check_steer(const struct mg_config *c, struct mg_findings *f);

bool mg_is_interface_name(const char *name); /* its form, not whether there is one */
bool mg_config_is_name(const char *name);    /* of a node or a group */
/* Of a prefix that reads as one of IPv4. */
bool mg_config_is_v4_prefix(const struct mg_prefix *p);
bool mg_config_has_role(const struct mg_config *c, enum mg_role role);
/* NULL, or what speaks against it as an address that another host is reached at. */
const char *mg_config_address_trouble(const struct in6_addr *ip);

const char *mg_config_kind_name(enum mg_proxy_kind kind);
/* Of its first member; off-path without one. */
enum mg_proxy_kind mg_config_group_kind(const struct mg_config_steer *s, size_t group);

#endif
