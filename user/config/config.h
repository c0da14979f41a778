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
#include "abi/policy.h"
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

/* ---- policy: who gets how much, by which access ---- */

#define MG_CONFIG_NONE ((size_t)-1)

/* A network that UEs come from: numbers into these lists are how policies name them. */
struct mg_config_access {
	char name[MG_MEMBER_NAME];
	struct mg_prefix *prefixes;
	size_t n_prefixes;
	char (*interfaces)[IFNAMSIZ]; /* of role access */
	size_t n_interfaces;
	enum mg_trust trust; /* trusted */
	bool drop_transit;   /* `transit: pass` or `drop`; false */
};

struct mg_config_match { /* of a service: a prefix and the ports in it */
	struct mg_prefix prefix;
	uint16_t first, last; /* 0 and 65535: any */
};
struct mg_config_service {
	char name[MG_MEMBER_NAME];
	struct mg_config_match *match;
	size_t n_match;
	uint32_t sessions;		  /* limits.sessions; 0: no limit */
	uint32_t sessions_per_subscriber; /* limits.sessions_per_subscriber; 0: no limit */
	bool proxy_protocol;		  /* `proxy_protocol: v2` or `off`; false */
};

/* A class of subscribers: by address, or by what the access feed says of their identity */
struct mg_config_subscribers {
	char name[MG_MEMBER_NAME];
	struct mg_prefix *prefixes; /* of `match`, and the lines of match_file */
	size_t n_prefixes;
	size_t n_listed;   /* of them: those of `match` itself, which come first */
	char **identities; /* "id:TEXT" in `match`, without the "id:"; a last '*' stands for any
			      rest */
	size_t n_identities;
	char *match_file; /* NULL: none. A prefix a line, '#' begins a comment */
};

/* X(SYMBOL, "name", "doc"): TS 23.501 5.32.8 */
#define MG_STEERINGS(X)                                                                    \
	X(DEFAULT, "default", "as the kernel's scheduler will")                            \
	X(LOAD_BALANCING, "load-balancing", "over all, in the ratio of `split`")           \
	X(ACTIVE_STANDBY, "active-standby", "the first of `order` that works carries all") \
	X(SMALLEST_DELAY, "smallest-delay", "the one with the smallest RTT carries all")   \
	X(PRIORITY, "priority", "the first of `order` until it is full, then the next too")
enum mg_steering {
#define X(sym, name, doc) MG_STEERING_##sym,
	MG_STEERINGS(X)
#undef X
		MG_STEERING_COUNT
};

struct mg_config_share {
	size_t access; /* of access_networks */
	uint32_t percent;
};

struct mg_config_policy {
	char name[MG_MEMBER_NAME]; /* "default" of default_policy, and of no other */
	size_t *subscribers;	   /* 0 of them: any */
	size_t n_subscribers;
	size_t *services;
	size_t n_services;
	size_t *access;
	size_t n_access;
	bool deny;     /* `mode: deny` */
	bool has_mode; /* else intercept.mode */
	enum mg_mode mode;
	size_t group;	 /* MG_CONFIG_NONE: as without a policy */
	bool has_source; /* else converter.source or intercept.source */
	enum mg_source source;
	bool proxy_protocol;	    /* `proxy_protocol: v2` or `off`; false */
	enum mg_refuse refuse;	    /* pass; reset if `mode: deny` */
	enum mg_refuse refuse_join; /* reset */
	/* limits; 0: no limit */
	uint32_t sessions, new_per_s, held, subflows, subflows_per_session;
	uint32_t burst; /* as much as new_per_s */
	/* What its sessions do with the paths they have */
	enum mg_steering steering;     /* load-balancing if there is a split, else default */
	struct mg_config_share *split; /* they add up to 100 */
	size_t n_split;
	bool strict;   /* false: who cannot carry its share leaves the rest to the others */
	size_t *order; /* of access_networks, best first; those not named come last, alike */
	size_t n_order;
};

struct mg_config_radius_client {
	struct in6_addr address;
	char *secret_file; /* the shared secret: its first line */
};
struct mg_config_radius {
	bool on;
	struct mg_ep listen;
	struct mg_config_radius_client *clients;
	size_t n_clients;
	/* What NAS-Port-Type and 3GPP-RAT-Type stand for here: `types: { wlan: { nas: [ 19 ],
	 * rat: [ 3 ] } }`; without it, what docs/configuration.md lists for access networks called
	 * cellular, wlan and fixed. A type that nothing is said of sets no access network. */
	struct mg_config_radius_type {
		size_t access;
		uint8_t nas_port_types[32], rat_types[32];
		size_t n_nas_port_types, n_rat_types;
	} * types;
	size_t n_types;
	uint32_t stale_s; /* 0: entries live until Stop; else so long after the last Start or
			     Interim */
};

/* RFC 8803 section 5.2 (shared addresses), RFC 6888: what `source: shared` uses, and logs */
enum mg_log_to { MG_LOG_TO_NOTHING, MG_LOG_TO_FILE, MG_LOG_TO_SYSLOG };
struct mg_config_sharing {
	struct mg_prefix *pool; /* 0 of them: this host's own address, as the kernel chooses */
	size_t n_pool;
	bool paired;			/* true: a subscriber keeps its address */
	uint32_t ports_per_subscriber;	/* 0: any port; else blocks of so many */
	uint16_t first_port, last_port; /* 1024, 65535 */
	enum mg_log_to log;		/* nothing */
	char *log_file;
	uint32_t log_rotate_mib; /* 64 */
	uint32_t log_keep;	 /* 8 old files */
};

/* What UEs may ask of us beyond RFC 8803 (docs/provision.md) */
struct mg_config_provision {
	bool on;		/* false */
	uint32_t reserve_max;	/* 16 sessions at once, of one subscriber */
	uint32_t reserve_max_s; /* 60 */
};

struct mg_config_policies {
	struct mg_config_access *access;
	size_t n_access;
	struct mg_config_service *services;
	size_t n_services;
	struct mg_config_subscribers *subscribers;
	size_t n_subscribers;
	struct mg_config_policy *policies;
	size_t n_policies;
	struct mg_config_policy fallback; /* default_policy; there is always one */
	bool any; /* something of all this holds: access networks, limits, policies, a feed */
	uint8_t key_ipv4_bits;	/* 32 */
	uint8_t key_ipv6_bits;	/* 64 */
	uint32_t answers_per_s; /* 4: refused requests of a subscriber that hear why */
	struct mg_config_radius radius;
	struct mg_config_sharing sharing;
	struct mg_config_provision provision;
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
	struct mg_config_policies policies;
	struct mg_config_destinations destinations;
	uint32_t drain_timeout_s; /* 30 */
	/* Where each key stood in the file, for findings; NULL if there was none. Policies that
	 * were set or removed since are not in it. */
	struct mg_tree *tree;
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
/* Servers may see addresses that are not this host's own, clients' or those of sharing.pool:
 * replies to them are to be caught on core interfaces. What is intercepted apart. */
bool mg_config_borrows(const struct mg_config *c);
/* Or may come to do so, while it runs, by a policy: what that takes has to be there from the start.
 */
bool mg_config_may_borrow(const struct mg_config *c);
void mg_config_free(struct mg_config *c);

/* ---- policies of a running configuration ---- */

/*
 * A copy of `running` with one more policy, or another one of the same name in its place, checked:
 * 0 with *next owned by the caller, -EINVAL after findings, -ENOMEM. `text` is a mapping in YAML or
 * JSON, as an item of `policies`; `name: default` stands for default_policy. Files that `running`
 * was made of are not read again, and not written.
 */
int mg_config_set_policy(const struct mg_config *running, const char *text, struct mg_config **next,
			 FILE *errors);
/* The same without it; `default` loses all that it says. -ENOENT after a finding. */
int mg_config_del_policy(const struct mg_config *running, const char *name, struct mg_config **next,
			 FILE *errors);
/* As many numbers as there are policies, in order of precedence: of all that fit, the first one
 * holds. A policy that names subscribers goes before one that does not, then one that names
 * services, then access networks, then which is first in the file. */
void mg_config_policy_order(const struct mg_config_policies *p, size_t *order);
/* Some sessions keep the client's address: converter.source, or that of a policy. */
bool mg_config_any_preserved(const struct mg_config *c);
const char *mg_config_steering_name(enum mg_steering steering);

#endif
