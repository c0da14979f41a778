// SPDX-License-Identifier: BSD-2-Clause
#include "wire/proxy_v2.h"

#include <errno.h>
#include <string.h>

#define SIGNATURE_BYTES	    12
#define VERSION_2_PROXY	    0x21
#define TCP_OVER_IPV4	    0x11
#define TCP_OVER_IPV6	    0x21
#define PP2_TYPE_UNIQUE_ID  0x05
#define HEADER_BYTES	    16
#define IPV4_OFFSET_OF_IPV6 12 /* in an IPv4-mapped address */

static const uint8_t signature[SIGNATURE_BYTES] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
						    0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

static size_t put(uint8_t *out, size_t at, const void *data, size_t len)
{
	memcpy(out + at, data, len);
	return at + len;
}

static void put_u16(uint8_t *out, size_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

int mg_proxy_v2_build(uint8_t out[MG_PROXY_V2_MAX_BYTES], const struct mg_ep *client,
		      const struct mg_ep *server, struct mg_span id)
{
	bool v4 = mg_ip_is_v4(&client->ip) && mg_ip_is_v4(&server->ip);
	size_t skip = v4 ? IPV4_OFFSET_OF_IPV6 : 0, at = HEADER_BYTES;

	if (id.len > MG_PROXY_V2_ID_MAX_BYTES)
		return -EMSGSIZE;
	put(out, 0, signature, sizeof(signature));
	out[SIGNATURE_BYTES] = VERSION_2_PROXY;
	out[SIGNATURE_BYTES + 1] = v4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
	at = put(out, at, client->ip.s6_addr + skip, sizeof(client->ip) - skip);
	at = put(out, at, server->ip.s6_addr + skip, sizeof(server->ip) - skip);
	at = put(out, at, &client->port, sizeof(client->port));
	at = put(out, at, &server->port, sizeof(server->port));
	if (id.len) {
		out[at] = PP2_TYPE_UNIQUE_ID;
		put_u16(out + at + 1, id.len);
		at = put(out, at + 3, id.data, id.len);
	}
	put_u16(out + HEADER_BYTES - 2, at - HEADER_BYTES);
	return (int)at;
}
