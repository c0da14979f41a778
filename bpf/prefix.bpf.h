/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keys of tables of prefixes: an address, cut to each of the lengths that are in use. A look-up a
 * length, longest first, costs the same whatever the tables hold.
 */
#ifndef MG_BPF_PREFIX_H
#define MG_BPF_PREFIX_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi/policy.h"

#define MG_V4_PREFIX_BITS 96 /* of ::ffff:a.b.c.d, before the address itself */

static __always_inline bool mg_ip_is_v4(const __u8 *ip)
{
	const __u32 *words = (const __u32 *)ip;

	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

static __always_inline enum mg_family mg_family_of(const __u8 *ip)
{
	return mg_ip_is_v4(ip) ? MG_FAMILY_V4 : MG_FAMILY_V6;
}

/* x, but not below 0, without a branch: verifiers would go both ways in every round of a loop. */
static __always_inline __s64 mg_not_negative(__s64 x)
{
	__s64 sign = x >> 63;

	barrier_var(sign);
	return x & ~sign;
}

/* The first `bits` of 128 stay; to and from may be the same. */
static __always_inline void mg_ip_cut(__u8 *to, const __u8 *from, __u32 bits)
{
	const __u32 *in = (const __u32 *)from;
	__u32 *out = (__u32 *)to;

#pragma unroll
	for (__u32 word = 0; word < 4; word++) {
		__s64 left = mg_not_negative((__s64)bits - 32 * word);
		__u64 cut = mg_not_negative(32 - left); /* of this word's 32 */

		out[word] = in[word] & bpf_htonl((__u32)(0xffffffffULL << cut));
	}
}

static __always_inline void mg_ip_copy16(__u8 *to, const __u8 *from)
{
	const __u32 *in = (const __u32 *)from;
	__u32 *out = (__u32 *)to;

	out[0] = in[0];
	out[1] = in[1];
	out[2] = in[2];
	out[3] = in[3];
}

#endif
