/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration file: what an operator wrote, checked, in the shapes the rooms use.
 *
 * Load parses and checks syntax, types, ranges and contradictions; check_host looks at this host
 * (interfaces, local addresses). Both report every finding as "file:line: key: what is wrong, what
 * is expected". Print gives the YAML back, with every default in place, and reparses to the same.
 */
#ifndef MG_CONFIG_CONFIG_H
#define MG_CONFIG_CONFIG_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "abi/hold.h"
#include "abi/steer.h"
#include "base/addr.h"

struct mg_tree;

enum mg_role { MG_ROLE_ACCESS, MG_ROLE_CORE };
enum mg_xdp_want { MG_XDP_AUTO, MG_XDP_NATIVE, MG_XDP_GENERIC, MG_XDP_OFF };
enum mg_source { MG_SOURCE_SHARED, MG_SOURCE_PRESERVED };
enum mg_cookie_mode { MG_COOKIE_OFF, MG_COOKIE_REQUIRED };
/* When the converter's own SYN towards the server carries MP_CAPABLE (RFC 8803 section 7.5). */
enum mg_server_mptcp { MG_SERVER_MPTCP_NEVER, MG_SERVER_MPTCP_REQUESTED, MG_SERVER_MPTCP_ALWAYS };

/* When a client with its message in the SYN hears from us: RFC 8803's order, or at its SYN. */
enum mg_reply { MG_REPLY_AFTER_CONNECT, MG_REPLY_AT_ONCE };
enum mg_on_overload { MG_OVERLOAD_PASS, MG_OVERLOAD_DROP };
enum mg_on_failure { MG_FAILURE_OPEN, MG_FAILURE_CLOSED };

struct mg_config_interface {
	char name[IFNAMSIZ];
	enum mg_role role;
	enum mg_xdp_want xdp;
};

struct mg_config_converter {
	struct mg_ep *listen;
	size_t n_listen;
	enum mg_source source;		   /* shared */
	enum mg_cookie_mode cookie;	   /* off */
	uint32_t cookie_rotate_s;	   /* 3600; two epochs are valid */
	char *cookie_key_file;		   /* NULL: a random key at every start */
	enum mg_server_mptcp server_mptcp; /* requested */
	uint32_t connect_timeout_ms;	   /* 5000 */
	uint32_t greet_timeout_ms;	   /* 5000 */
	uint32_t idle_timeout_s;	   /* 7440: RFC 5382 REQ-5 */
	uint32_t half_open_timeout_s;	   /* 240: RFC 5382 REQ-5, one direction closed */
	uint32_t pending_per_client;	   /* 256 */
	uint32_t max_sessions;		   /* 65536 over all workers; above it error 64 */
	uint32_t retry_after_s;		   /* 30: the delay told with errors 64 and 65 */
	uint32_t fastopen_queue;	   /* 4096 pending SYNs with data per listener */
	enum mg_reply reply;		   /* after-connect */
	uint32_t hold_max_ms; /* 800: a Linux client repeats its SYN, without data, at 1 s */
	/* Announced to every client (ADD_ADDR), so that joins are routed here and nowhere else */
	struct mg_ep *signal;
	size_t n_signal;
	bool deny_initial_joins; /* false; true: the C flag of RFC 8684 section 3.1 */
};

/* What passes through and is meant for somebody else. */
struct mg_config_intercept {
	enum mg_mode mode; /* off */
	bool any_port;	   /* true: `ports` is empty */
	uint16_t *ports;
	size_t n_ports;
	uint16_t *except;
	size_t n_except;
	enum mg_source source;		 /* preserved */
	uint32_t learn_ttl_s;		 /* 600 */
	uint32_t held_max;		 /* 65536 */
	uint32_t held_per_subscriber;	 /* 256 */
	enum mg_on_overload on_overload; /* pass */
	enum mg_on_failure on_failure;	 /* open */
	uint32_t stale_ms; /* 200: so long without a sign of life, and the daemon is dead */
};

/* This host is the router of a LAN whose hosts speak plain TCP. */
struct mg_config_cpe {
	char (*lan)[IFNAMSIZ]; /* the LAN's interfaces */
	size_t n_lan;	       /* 0: no CPE */
	bool has_converter;
	struct mg_ep converter;
	bool direct; /* true: servers that speak MPTCP are reached without the converter */
};

/* This host brings packets to proxies. */
struct mg_config_gateway {
	uint32_t flows_max;		   /* 1048576 */
	uint32_t tokens_max;		   /* 1048576 */
	enum mg_unknown_join unknown_join; /* drop */
	bool learn;			   /* true */
	uint32_t learn_per_second;	   /* 20000 */
	char *location;			   /* "": nowhere in particular */
};

enum mg_proxy_kind { MG_PROXY_ON_PATH, MG_PROXY_OFF_PATH };
struct mg_config_proxy {
	char name[MG_MEMBER_NAME];     /* its `node` */
	struct in6_addr address;       /* IPv4-mapped */
	uint32_t weight;	       /* 1 */
	char location[MG_MEMBER_NAME]; /* "" */
	enum mg_proxy_kind kind;       /* off-path */
	enum mg_delivery deliver;      /* ipip */
};

/* What answers a check: a Convert Info exchange (RFC 8803 section 6.2.3), or an accepted connection
 */
enum mg_check_by { MG_CHECK_CONVERT, MG_CHECK_TCP };
struct mg_config_check {
	enum mg_check_by by;  /* convert */
	uint16_t port;	      /* 0: that of the group's first virtual address, else 5124 */
	uint32_t interval_ms; /* 300 */
	uint32_t rise;	      /* 2 */
	uint32_t fall;	      /* 3 */
};

struct mg_config_group {
	char name[MG_MEMBER_NAME];
	size_t *members; /* of proxies */
	size_t n_members;
	enum mg_group_hash hash;       /* subscriber */
	enum mg_on_failure on_failure; /* open */
	struct mg_config_check check;
};

struct mg_config_virtual {
	struct mg_ep address;
	size_t group; /* of groups */
};

enum mg_expect { MG_EXPECT_NONE, MG_EXPECT_CONTINUITY, MG_EXPECT_THROUGHPUT };
#define MG_CONFIG_NO_GROUP ((size_t)-1)
/* One line of `selection`, resolved: `expect` has become groups, nearest first. */
struct mg_config_rule {
	char interface[IFNAMSIZ]; /* "": any */
	bool any_access, any_service;
	struct mg_prefix access; /* clients' addresses: the access network that gives them out */
	struct mg_prefix service;
	uint16_t port; /* 0: any */
	enum mg_expect expect;
	bool group_is_named; /* in the file; for print */
	size_t group;
	size_t fallback; /* MG_CONFIG_NO_GROUP: none */
};

/* Gateways and proxies, of which this host may be either or both. */
struct mg_config_steer {
	bool is_gateway; /* there are groups that something leads to */
	struct mg_config_gateway gateway;
	struct mg_config_proxy *proxies;
	size_t n_proxies;
	struct mg_config_group *groups;
	size_t n_groups;
	struct mg_config_virtual *virtuals;
	size_t n_virtuals;
	struct mg_config_rule *rules;
	size_t n_rules;
	struct mg_prefix *gateways; /* who may send tunnelled packets here */
	size_t n_gateways;
	char *store;		     /* memory */
	uint32_t store_heartbeat_ms; /* 1000 */
};

struct mg_config_destinations {
	struct mg_prefix *allow;
	size_t n_allow; /* 0: everything that is not denied */
	struct mg_prefix *deny;
	size_t n_deny;
};

struct mg_config {
	char *node;
	char *runtime_dir; /* /run/mpgate */
	char *bpffs;	   /* /sys/fs/bpf/mpgate */
	uint32_t workers;  /* 0: one per CPU */
	struct mg_config_interface *interfaces;
	size_t n_interfaces;
	struct mg_config_converter converter;
	struct mg_config_intercept intercept;
	struct mg_config_cpe cpe;
	struct mg_config_steer steer;
	struct mg_config_destinations destinations;
	uint32_t drain_timeout_s; /* 30 */
	struct mg_tree *tree; /* where each key stood, for findings; NULL if there was no file */
};

/* Findings are written to `errors`, a line each, ended by a newline. */
/* 0 with *out owned by the caller; -EINVAL after findings; -errno if the file cannot be read. */
int mg_config_load(struct mg_config **out, const char *path, FILE *errors);
/* The same from memory; `name` stands for the file in findings. */
int mg_config_parse(struct mg_config **out, const char *name, const char *text, size_t len,
		    FILE *errors);
/* Against this host and network namespace: 0 or -EINVAL. */
int mg_config_check_host(const struct mg_config *c, FILE *errors);
int mg_config_print(const struct mg_config *c, FILE *out);
#define MG_CONFIG_COOKIE_KEY_BYTES 16
/* The key in cookie_key_file, raw or as hex digits. 0; -ENOENT if there is none to read; -EINVAL
 * for a file that holds no key; -errno. */
int mg_config_cookie_key(const struct mg_config *c, uint8_t key[MG_CONFIG_COOKIE_KEY_BYTES]);

/* A reload: names on `errors`, a line each, the keys that differ and cannot change live; 0 if none,
 * else -EBUSY. */
int mg_config_check_reload(const struct mg_config *running, const struct mg_config *next,
			   FILE *errors);
void mg_config_free(struct mg_config *c);

#endif
