/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers that were sent lately, for requests that come again (RFC 5080 section 2.2.2): the same
 * client and port, identifier and authenticator. Bounded by number, bytes and age.
 */
#ifndef MG_ACCESS_DUPLICATES_H
#define MG_ACCESS_DUPLICATES_H

#include "access/index.h"
#include "base/addr.h"
#include "base/list.h"
#include "wire/radius.h"

#define MG_DUPLICATES_MAX	65536
#define MG_DUPLICATES_MAX_BYTES (8U << 20) /* of the answers themselves */
#define MG_DUPLICATES_KEEP_MS	30000

struct mg_duplicates {
	struct mg_index index;
	struct mg_list all; /* oldest first */
	size_t n, bytes;
	uint8_t key[16];
};

int mg_duplicates_init(struct mg_duplicates *d); /* 0 or -errno; to be freed in any case */
void mg_duplicates_free(struct mg_duplicates *d);
/* The answer it got; empty: none that is known. Valid until the next call. */
struct mg_span mg_duplicates_find(struct mg_duplicates *d, const struct mg_ep *client,
				  const struct mg_radius_request *r, uint64_t now_ms);
/* Without memory it is not remembered: it would be applied again, which changes nothing. */
void mg_duplicates_note(struct mg_duplicates *d, const struct mg_ep *client,
			const struct mg_radius_request *r, struct mg_span answer, uint64_t now_ms);

#endif
