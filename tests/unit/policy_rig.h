/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiling policies in tests: interfaces are named after their index, groups are 100 and up. */
#ifndef MG_TESTS_POLICY_RIG_H
#define MG_TESTS_POLICY_RIG_H

#include "mg_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/policy_tables.h"

static inline void name_it(char name[MG_MEMBER_NAME], const char *kind, size_t i)
{
	memset(name, 0, MG_MEMBER_NAME);
	snprintf(name, MG_MEMBER_NAME, "%s%zu", kind, i);
}

static inline uint32_t ifindex_of(void *ctx, const char *name)
{
	(void)ctx;
	return (uint32_t)strtoul(name + 2, NULL, 10);
}

static inline uint32_t group_of(void *ctx, size_t group)
{
	(void)ctx;
	return (uint32_t)group + 100;
}

static inline void names_init(struct mg_policy_names names[MG_KIND_COUNT])
{
	assert_int_equal(mg_policy_names_init(&names[MG_KIND_CLASS], MG_CLASSES_MAX), 0);
	assert_int_equal(mg_policy_names_init(&names[MG_KIND_SERVICE], MG_SERVICES_MAX), 0);
	assert_int_equal(mg_policy_names_init(&names[MG_KIND_ACCESS], MG_ACCESS_MAX), 0);
	assert_int_equal(mg_policy_names_init(&names[MG_KIND_POLICY], MG_POLICIES_MAX), 0);
}

static inline void names_free(struct mg_policy_names names[MG_KIND_COUNT])
{
	for (int i = 0; i < MG_KIND_COUNT; i++)
		mg_policy_names_free(&names[i]);
}

static inline int compile(struct mg_policy_tables *t, struct mg_policy_names *names,
			  uint32_t generation, const struct mg_config_policies *p,
			  char why[MG_POLICY_WHY])
{
	const struct mg_policy_input in = { .policies = p,
					    .ifindex = ifindex_of,
					    .group = group_of };

	return mg_policy_compile(t, names, generation, &in, why);
}

#endif
