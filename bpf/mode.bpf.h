/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the daemon wants done, maps mg_intercept and mg_ports; and the one place that says which
 * mode applies to a session: its policy's, if that has one.
 */
#ifndef MG_BPF_MODE_H
#define MG_BPF_MODE_H

#include "policy.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_intercept);
} mg_intercept SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MG_PORT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} mg_ports SEC(".maps");

static __always_inline const struct mg_intercept *mg_intercept_wanted(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mg_intercept, &zero);
}

/*
 * Sessions from third-party networks are nobody's to take over, as they show no cookie. Those that
 * are denied would be taken; what becomes of them instead, who admits says.
 */
static __always_inline enum mg_mode mg_mode_of(const struct mg_intercept *wanted,
					       const struct mg_who *who)
{
	const struct mg_terms *terms = mg_terms_of(who);

	if (who->trust == MG_TRUST_THIRD_PARTY)
		return MG_MODE_TRANSPARENT;
	if (!terms)
		return wanted->mode;
	if (terms->deny)
		return MG_MODE_TAKE_OVER;
	return terms->mode == MG_TERMS_MODE_DEFAULT ? wanted->mode : terms->mode;
}

static __always_inline bool mg_mode_intercepts(enum mg_mode mode)
{
	return mode == MG_MODE_TAKE_OVER || mode == MG_MODE_HYBRID;
}

static __always_inline bool mg_port_is_wanted(__u16 port)
{
	__u32 word = port / 64;
	__u64 *bits = bpf_map_lookup_elem(&mg_ports, &word);

	return bits && (*bits >> (port % 64) & 1);
}

#endif
