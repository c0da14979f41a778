/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Convert cookies (RFC 8803 section 6.2.7): a keyed MAC over the client's address and a key epoch,
 * so that the converter keeps nothing per client. 12 bytes: epoch (4, big-endian), SipHash-2-4
 * (8, big-endian) over address (16) and epoch (4), both as on the wire.
 */
#ifndef MG_WIRE_COOKIE_H
#define MG_WIRE_COOKIE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/convert.h"

#define MG_COOKIE_BYTES 12

/* Two epochs are valid at any time: the current one, and the one before it. */
struct mg_cookie_keys {
	uint32_t epoch; /* of key[0]; key[1] belongs to epoch - 1 */
	uint8_t key[2][16];
	bool have_previous;
};

void mg_cookie_keys_init(struct mg_cookie_keys *k, uint32_t epoch, const uint8_t key[16]);
/* The current key becomes the previous one. */
void mg_cookie_keys_rotate(struct mg_cookie_keys *k, const uint8_t key[16]);
void mg_cookie_make(uint8_t out[MG_COOKIE_BYTES], const struct mg_cookie_keys *k,
		    const struct in6_addr *client);
/* Constant-time; trailing zero padding of the TLV is allowed. */
bool mg_cookie_valid(const struct mg_cookie_keys *k, const struct in6_addr *client,
		     struct mg_span cookie);

#endif
