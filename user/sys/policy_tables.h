/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a configuration says about policies, as the tables of abi/policy.h. Nothing here asks the
 * kernel: a configuration and numbers go in, arrays come out.
 *
 * Which policy: a table cell per class, service and access network holds it, so all of the order is
 * resolved here. A policy that names the subscriber goes before one that does not; then one that
 * names the service; then the access network; then the one that is listed first. Which service:
 * the longest prefix, in it the narrowest range of ports, then the one listed first. A prefix that
 * two classes or two access networks list belongs to the first of them.
 */
#ifndef MG_SYS_POLICY_TABLES_H
#define MG_SYS_POLICY_TABLES_H

#include "abi/policy.h"
#include "config/config.h"
#include "sys/policy_names.h"

enum mg_policy_kind {
	MG_KIND_CLASS,
	MG_KIND_SERVICE,
	MG_KIND_ACCESS,
	MG_KIND_POLICY,
	MG_KIND_COUNT
};

struct mg_policy_input {
	const struct mg_config_policies *policies;
	/* The number of groups[group] of `steer`; 0: none. NULL: none has one. */
	uint32_t (*group)(void *ctx, size_t group);
	uint32_t (*ifindex)(void *ctx, const char *name); /* 0: there is no such interface */
	void *ctx;
};

struct mg_policy_tables {
	struct mg_policy_set set; /* its generation is the caller's */
	struct mg_prefix_key *keys;
	struct mg_prefix_value *values;
	size_t n_prefixes, max_prefixes;
	struct mg_port_range *ranges;
	size_t n_ranges, max_ranges;
	uint32_t *cells;
	size_t n_cells;
	struct mg_terms *terms; /* by number, as all that follows */
	size_t n_terms;
	struct mg_service_limits *limits;
	size_t n_limits;
	uint32_t *numbers[MG_KIND_COUNT]; /* by place in the configuration's lists */
};

#define MG_POLICY_WHY 192

/* `names` gets what is new as of that generation. 0; -E2BIG for more than the tables hold, with
 * what it is in `why`; -ENOMEM. Nothing to free after an error. */
int mg_policy_compile(struct mg_policy_tables *t, struct mg_policy_names names[MG_KIND_COUNT],
		      uint32_t generation, const struct mg_policy_input *in,
		      char why[MG_POLICY_WHY]);
void mg_policy_tables_free(struct mg_policy_tables *t);

/* Fills in a key, masked; returns whose addresses it is about. */
enum mg_family mg_policy_key(struct mg_prefix_key *key, enum mg_table table,
			     const struct mg_prefix *prefix);

/* policy_prefixes.c: keys, values, ranges and lengths; with numbers assigned. */
int mg_policy_prefixes(struct mg_policy_tables *t, const struct mg_config_policies *p,
		       char why[MG_POLICY_WHY]);
/* policy_services.c: the ranges of ports, and a prefix for each run of them. */
int mg_policy_services(struct mg_policy_tables *t, const struct mg_config_policies *p,
		       char why[MG_POLICY_WHY]);
/* There is room for all prefixes of the configuration. */
static inline void mg_policy_put(struct mg_policy_tables *t, const struct mg_prefix_key *key,
				 struct mg_prefix_value value)
{
	t->keys[t->n_prefixes] = *key;
	t->values[t->n_prefixes++] = value;
}

#endif
