/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, section 2.2): what a server is told,
 * ahead of all data, of the client behind a proxy. Built only; nobody sends us one.
 */
#ifndef MG_WIRE_PROXY_V2_H
#define MG_WIRE_PROXY_V2_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "wire/convert.h"

#define MG_PROXY_V2_ID_MAX_BYTES 128 /* section 2.2.5 */
/* Signature to length, two IPv6 endpoints, one TLV */
#define MG_PROXY_V2_MAX_BYTES (16 + 36 + 3 + MG_PROXY_V2_ID_MAX_BYTES)

/*
 * A PROXY command for a TCP connection of `client` to `server`. The header has one family for both:
 * if only one is IPv4, it is written as ::ffff:a.b.c.d. `id`: PP2_TYPE_UNIQUE_ID, left out if
 * empty. Returns the header's length in bytes, or -EMSGSIZE for an id that is too long.
 */
int mg_proxy_v2_build(uint8_t out[MG_PROXY_V2_MAX_BYTES], const struct mg_ep *client,
		      const struct mg_ep *server, struct mg_span id);

#endif
