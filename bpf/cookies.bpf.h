/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is a Convert cookie one of ours? The same as user/wire/cookie.c, with the keys in mg_cookie_keys.
 */
#ifndef MG_BPF_COOKIES_H
#define MG_BPF_COOKIES_H

#include "prefix.bpf.h"

#include "abi/siphash.h"

#define MG_COOKIE_WORDS 3 /* epoch, MAC */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MG_COOKIE_KEYS);
	__type(key, __u32);
	__type(value, struct mg_cookie_epochs);
} mg_cookie_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} mg_cookie_now SEC(".maps");

struct mg_cookie {
	__u8 bytes[4 * MG_COOKIE_WORDS];
};

/* What the MAC is over, both as on the wire */
struct mg_cookie_input {
	__u8 ip[16];
	__be32 epoch;
};

/*
 * 1: it is valid for the client's address. A function of its own to the verifier, as the hash is
 * long.
 */
__noinline int mg_cookie_ok(const struct mg_endpoint *client, const struct mg_cookie *cookie)
{
	const struct mg_cookie_epochs *keys;
	struct mg_cookie_input input = {};
	const __be32 *words;
	const __u32 *now;
	__u32 at = 0, age;
	__u64 mac;

	if (!client || !cookie)
		return 0;
	now = bpf_map_lookup_elem(&mg_cookie_now, &at);
	if (!now)
		return 0;
	at = *now;
	keys = bpf_map_lookup_elem(&mg_cookie_keys, &at);
	if (!keys)
		return 0;
	words = (const __be32 *)cookie->bytes;
	age = keys->epoch - bpf_ntohl(words[0]);
	if (age >= keys->n || age > 1)
		return 0;
	mg_ip_copy16(input.ip, client->ip);
	input.epoch = words[0];
	mac = mg_siphash24(age ? keys->key[1] : keys->key[0], (const __u8 *)&input, sizeof(input));
	return words[1] == bpf_htonl(mac >> 32) && words[2] == bpf_htonl((__u32)mac);
}

#endif
