/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is steered at all: what goes to an address in mg_virtual, and MPTCP that a rule in mg_rules
 * selects on its way to a server.
 */
#ifndef MG_BPF_RULES_H
#define MG_BPF_RULES_H

#include "arrival.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * MG_VIRTUAL_MAX); /* old and new set at once, and addresses alone */
	__type(key, struct mg_endpoint);
	__type(value, __u32);
} mg_virtual SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MG_RULES_MAX);
	__type(key, __u32);
	__type(value, struct mg_rule);
} mg_rules SEC(".maps");

/* The group an address stands for; 0: it is not a virtual one. */
static __always_inline __u32 mg_virtual_group(const struct mg_endpoint *ep)
{
	const __u32 *group = bpf_map_lookup_elem(&mg_virtual, ep);

	return group ? *group : 0;
}

/* Is `ep`, without a port, the address of a virtual one? */
static __always_inline bool mg_virtual_has_ip(const struct mg_endpoint *ep)
{
	return bpf_map_lookup_elem(&mg_virtual, ep) != NULL;
}

/* Do the first `bits` of the two agree? */
static __always_inline bool mg_prefix_fits(const __u8 *prefix, const __u8 *ip, __u32 bits)
{
	const __u32 *want = (const __u32 *)prefix, *is = (const __u32 *)ip;

#pragma unroll
	for (__u32 word = 0; word < 4; word++) {
		__u32 left = bits > 32 * word ? bits - 32 * word : 0;
		__u32 mask = left >= 32 ? ~0U : left ? ~0U << (32 - left) : 0;

		if ((want[word] ^ is[word]) & bpf_htonl(mask))
			return false;
	}
	return true;
}

/*
 * Does rule `at`, from 0, fit the scratch's arrival? A function of its own to the verifier, which
 * so looks at one rule and not at as many as there may be.
 */
__noinline int mg_rule_fits(__u32 at)
{
	const struct mg_rule *rule = bpf_map_lookup_elem(&mg_rules, &at);
	struct mg_steer_scratch *s = mg_steer_scratch();

	if (!rule || !s)
		return 0;
	return (!rule->ifindex || rule->ifindex == s->arrival.ifindex) &&
	       (!rule->port || rule->port == s->arrival.tuple.server.port) &&
	       mg_prefix_fits(rule->client, s->arrival.tuple.client.ip, rule->client_bits) &&
	       mg_prefix_fits(rule->service, s->arrival.tuple.server.ip, rule->service_bits);
}

/* The first rule that fits the scratch's arrival, from 1; 0: none does. */
__noinline int mg_rule_select(__u32 n_rules)
{
	for (__u32 at = 0; at < MG_RULES_MAX && at < n_rules; at++)
		if (mg_rule_fits(at))
			return at + 1;
	return 0;
}

/* `rule` as from mg_rule_select */
static __always_inline const struct mg_rule *mg_rule_find(__u32 rule)
{
	__u32 at = rule - 1;

	return bpf_map_lookup_elem(&mg_rules, &at);
}

#endif
