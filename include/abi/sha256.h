/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * SHA-256 (FIPS 180-4), and the token that MPTCP makes of a key with it (RFC 8684 section 3.2).
 * Header-only, for user space and for BPF; there, of one block: what a key needs.
 */
#ifndef MG_ABI_SHA256_H
#define MG_ABI_SHA256_H

#include "abi/abi.h"

#define MG_SHA256_BYTES	      32
#define MG_SHA256_BLOCK_BYTES 64
#define MG_SHA256_WORDS	      16 /* of a block */
#define MG_MPTCP_KEY_BYTES    8

static const __u32 mg_sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static inline __attribute__((always_inline)) __u32 mg_sha256_rotr(__u32 x, int bits)
{
	return x >> bits | x << (32 - bits);
}

static inline __attribute__((always_inline)) void mg_sha256_start(__u32 h[8])
{
	h[0] = 0x6a09e667;
	h[1] = 0xbb67ae85;
	h[2] = 0x3c6ef372;
	h[3] = 0xa54ff53a;
	h[4] = 0x510e527f;
	h[5] = 0x9b05688c;
	h[6] = 0x1f83d9ab;
	h[7] = 0x5be0cd19;
}

/* The word of the message schedule that follows the 16 in w, which wraps around: W_t of t >= 16. */
static inline __attribute__((always_inline)) __u32 mg_sha256_schedule(const __u32 *w, __u32 t)
{
	__u32 w15 = w[(t + 1) & 15], w2 = w[(t + 14) & 15];

	return w[t & 15] + w[(t + 9) & 15] +
	       (mg_sha256_rotr(w15, 7) ^ mg_sha256_rotr(w15, 18) ^ w15 >> 3) +
	       (mg_sha256_rotr(w2, 17) ^ mg_sha256_rotr(w2, 19) ^ w2 >> 10);
}

/* One block, as 16 words in host order; w is used up. */
static inline __attribute__((always_inline)) void mg_sha256_block(__u32 h[8], __u32 *w)
{
	__u32 a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], i = h[7];

	for (__u32 t = 0; t < 64; t++) {
		__u32 t1, t2;

		if (t >= MG_SHA256_WORDS)
			w[t & 15] = mg_sha256_schedule(w, t);
		t1 = i + (mg_sha256_rotr(e, 6) ^ mg_sha256_rotr(e, 11) ^ mg_sha256_rotr(e, 25)) +
		     ((e & f) ^ (~e & g)) + mg_sha256_k[t] + w[t & 15];
		t2 = (mg_sha256_rotr(a, 2) ^ mg_sha256_rotr(a, 13) ^ mg_sha256_rotr(a, 22)) +
		     ((a & b) ^ (a & c) ^ (b & c));
		i = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
	h[5] += f;
	h[6] += g;
	h[7] += i;
}

static inline __attribute__((always_inline)) __u32 mg_sha256_load(const __u8 *at)
{
	return (__u32)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

/* The token that stands for a key in MP_JOIN: the first four bytes of its hash, in host order. */
static inline __attribute__((always_inline)) __u32 mg_mptcp_token(const __u8 *key)
{
	__u32 w[MG_SHA256_WORDS] = { 0 };
	__u32 h[8];

	w[0] = mg_sha256_load(key);
	w[1] = mg_sha256_load(key + 4);
	w[2] = 0x80000000; /* the message ends */
	w[15] = 8 * MG_MPTCP_KEY_BYTES;
	mg_sha256_start(h);
	mg_sha256_block(h, w);
	return h[0];
}

#ifndef __bpf__
static inline void mg_sha256(const __u8 *data, __u64 len, __u8 out[MG_SHA256_BYTES])
{
	__u64 whole = len / MG_SHA256_BLOCK_BYTES * MG_SHA256_BLOCK_BYTES;
	__u8 tail[2 * MG_SHA256_BLOCK_BYTES] = { 0 };
	__u64 tail_bytes = len - whole < 56 ? MG_SHA256_BLOCK_BYTES : 2 * MG_SHA256_BLOCK_BYTES;
	__u32 h[8];

	for (__u64 i = whole; i < len; i++)
		tail[i - whole] = data[i];
	tail[len - whole] = 0x80;
	for (int i = 0; i < 8; i++)
		tail[tail_bytes - 1 - i] = (__u8)(len * 8 >> (8 * i));
	mg_sha256_start(h);
	for (__u64 at = 0; at < whole + tail_bytes; at += MG_SHA256_BLOCK_BYTES) {
		const __u8 *block = at < whole ? data + at : tail + (at - whole);
		__u32 w[MG_SHA256_WORDS];

		for (int i = 0; i < MG_SHA256_WORDS; i++)
			w[i] = mg_sha256_load(block + 4 * i);
		mg_sha256_block(h, w);
	}
	for (int i = 0; i < MG_SHA256_BYTES; i++)
		out[i] = (__u8)(h[i / 4] >> (24 - 8 * (i % 4)));
}
#endif

#endif
