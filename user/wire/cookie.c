// SPDX-License-Identifier: BSD-2-Clause
#include "wire/cookie.h"

#include <endian.h>
#include <string.h>

#include "abi/siphash.h"

#define EPOCH_BYTES 4

void mg_cookie_keys_init(struct mg_cookie_keys *k, uint32_t epoch, const uint8_t key[16])
{
	memset(k, 0, sizeof(*k));
	k->epoch = epoch;
	memcpy(k->key[0], key, 16);
}

void mg_cookie_keys_rotate(struct mg_cookie_keys *k, const uint8_t key[16])
{
	memcpy(k->key[1], k->key[0], 16);
	memcpy(k->key[0], key, 16);
	k->epoch++;
	k->have_previous = true;
}

static void make_for(uint8_t out[MG_COOKIE_BYTES], const uint8_t key[16], uint32_t epoch,
		     const struct in6_addr *client)
{
	__be32 epoch_wire = htobe32(epoch);
	uint8_t input[sizeof(*client) + EPOCH_BYTES];
	__be64 mac;

	memcpy(input, client, sizeof(*client));
	memcpy(input + sizeof(*client), &epoch_wire, EPOCH_BYTES);
	mac = htobe64(mg_siphash24(key, input, sizeof(input)));
	memcpy(out, &epoch_wire, EPOCH_BYTES);
	memcpy(out + EPOCH_BYTES, &mac, sizeof(mac));
}

void mg_cookie_make(uint8_t out[MG_COOKIE_BYTES], const struct mg_cookie_keys *k,
		    const struct in6_addr *client)
{
	make_for(out, k->key[0], k->epoch, client);
}

bool mg_cookie_valid(const struct mg_cookie_keys *k, const struct in6_addr *client,
		     struct mg_span cookie)
{
	uint8_t expected[MG_COOKIE_BYTES], diff = 0;
	__be32 epoch_wire;
	uint32_t age;

	if (cookie.len < MG_COOKIE_BYTES)
		return false;
	memcpy(&epoch_wire, cookie.data, EPOCH_BYTES);
	age = k->epoch - be32toh(epoch_wire);
	if (age > (k->have_previous ? 1 : 0))
		return false;
	make_for(expected, k->key[age], k->epoch - age, client);
	for (size_t i = 0; i < MG_COOKIE_BYTES; i++)
		diff |= expected[i] ^ cookie.data[i];
	for (size_t i = MG_COOKIE_BYTES; i < cookie.len; i++)
		diff |= cookie.data[i];
	return diff == 0;
}
