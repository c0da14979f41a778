/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Provision TLV: what a client may use of this converter, asked before it acts. It is ours, not
 * RFC 8803's (docs/provision.md has the bytes and examples), of a type for private use, and rides
 * beside Info and its answer. Bytes to struct and back, both ways; the value is what follows Type
 * and Length.
 */
#ifndef MG_WIRE_PROVISION_H
#define MG_WIRE_PROVISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/convert.h"

#define MG_PROVISION_VERSION   1
#define MG_PROVISION_UNLIMITED UINT32_MAX
/* Leaves room for the header and Supported TCP Extensions */
#define MG_PROVISION_VALUE_MAX_BYTES 982
#define MG_PROVISION_NAMES_MAX	     64
#define MG_PROVISION_NAME_MAX_BYTES  63

struct mg_provision_request {
	bool reserve;	   /* else it only asks */
	uint16_t sessions; /* to be held for it from now on, instead of what was; 0: none */
	uint16_t seconds;
};

struct mg_provision_answer {
	uint32_t sessions_left;	 /* MG_PROVISION_UNLIMITED; those reserved for it among them */
	uint32_t sessions_limit; /* MG_PROVISION_UNLIMITED; 0: it may open none */
	uint32_t subflows;	 /* per session; MG_PROVISION_UNLIMITED */
	uint32_t wait_s;	 /* until a new session is on time; 0: now */
	bool reservation;	 /* one was asked for, or is there: */
	uint16_t reserved;	 /* sessions that are held for it */
	uint16_t reserved_s;	 /* for so many seconds more */
	bool any_access;	 /* by whatever network, there is no list */
	bool cut;		 /* there are more names than fit */
	struct mg_span access[MG_PROVISION_NAMES_MAX]; /* names of networks to come by */
	size_t n_access;
};

/* 0; -EPROTONOSUPPORT: of a version we do not know (answer: Unsupported Message); -EBADMSG
 * (Malformed Message). */
int mg_provision_parse_request(struct mg_provision_request *req, struct mg_span value);
int mg_provision_parse_answer(struct mg_provision_answer *answer, struct mg_span value);

/* Bytes written. */
#define MG_PROVISION_REQUEST_BYTES 6
size_t mg_provision_build_request(uint8_t out[MG_PROVISION_REQUEST_BYTES],
				  const struct mg_provision_request *req);
/* Names that do not fit, or are longer than they may be, are left out, and `cut` said. */
size_t mg_provision_build_answer(uint8_t out[MG_PROVISION_VALUE_MAX_BYTES],
				 const struct mg_provision_answer *answer);

#endif
