/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * SipHash-2-4 (Aumasson and Bernstein), a keyed 64-bit hash for short inputs: cookies, tables an
 * attacker may feed. Header-only, for user space and for BPF; in BPF give a constant length so that
 * the loops unroll. Key and message are bytes as they lie in memory; the result is a number.
 */
#ifndef MG_ABI_SIPHASH_H
#define MG_ABI_SIPHASH_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

struct mg_siphash {
	__u64 v0, v1, v2, v3;
};

static inline __attribute__((always_inline)) __u64 mg_siphash_rotl(__u64 x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* Up to eight bytes, little-endian, whatever the alignment. */
static inline __attribute__((always_inline)) __u64 mg_siphash_load(const __u8 *at, __u32 n)
{
	__u64 word = 0;

	for (__u32 i = 0; i < n; i++)
		word |= (__u64)at[i] << (8 * i);
	return word;
}

static inline __attribute__((always_inline)) void mg_siphash_rounds(struct mg_siphash *s, int n)
{
	for (int i = 0; i < n; i++) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = mg_siphash_rotl(s->v1, 13) ^ s->v0;
		s->v3 = mg_siphash_rotl(s->v3, 16) ^ s->v2;
		s->v0 = mg_siphash_rotl(s->v0, 32) + s->v3;
		s->v2 += s->v1;
		s->v3 = mg_siphash_rotl(s->v3, 21) ^ s->v0;
		s->v1 = mg_siphash_rotl(s->v1, 17) ^ s->v2;
		s->v2 = mg_siphash_rotl(s->v2, 32);
	}
}

static inline __attribute__((always_inline)) void mg_siphash_word(struct mg_siphash *s, __u64 word)
{
	s->v3 ^= word;
	mg_siphash_rounds(s, 2);
	s->v0 ^= word;
}

static inline __attribute__((always_inline)) __u64 mg_siphash24(const __u8 *key, const __u8 *data,
								__u32 len)
{
	__u64 k0 = mg_siphash_load(key, 8), k1 = mg_siphash_load(key + 8, 8);
	struct mg_siphash s = {
		.v0 = k0 ^ 0x736f6d6570736575ULL,
		.v1 = k1 ^ 0x646f72616e646f6dULL,
		.v2 = k0 ^ 0x6c7967656e657261ULL,
		.v3 = k1 ^ 0x7465646279746573ULL,
	};
	__u32 whole = len & ~7U;

	for (__u32 at = 0; at < whole; at += 8)
		mg_siphash_word(&s, mg_siphash_load(data + at, 8));
	mg_siphash_word(&s, (__u64)len << 56 | mg_siphash_load(data + whole, len & 7U));
	s.v2 ^= 0xff;
	mg_siphash_rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

#endif
