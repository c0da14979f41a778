/* SPDX-License-Identifier: BSD-2-Clause */
/* The rig of held SYNs, with one policy and one access network that tickets name. */
#ifndef MG_TESTS_ADMIT_RIG_H
#define MG_TESTS_ADMIT_RIG_H

#include "held_rig.h"

#define POLICY 3
#define ACCESS 2

static const struct mg_config_policy *by_number[POLICY + 1];
static size_t access_by_number[ACCESS + 1];

/* The policy of number POLICY is the one of the rig's file, and so for access networks. */
static inline void set_tables(struct rig *r, struct mg_config_policy *policy,
			      struct mg_config_access *access)
{
	by_number[POLICY] = policy;
	access_by_number[ACCESS] = 0;
	r->policy.policies = by_number;
	r->policy.n_policies = POLICY + 1;
	r->policy.access = access_by_number;
	r->policy.n_access = ACCESS + 1;
	r->config.policies.policies = policy;
	r->config.policies.n_policies = policy ? 1 : 0;
	r->config.policies.access = access;
	r->config.policies.n_access = access ? 1 : 0;
	fake.policy = POLICY;
	fake.access = access ? ACCESS : 0;
	mg_proxy_set_policy(&r->proxy, &r->policy);
}

#endif
