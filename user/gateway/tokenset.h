/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of tokens: at most 24 bytes each, a million at once, and walked piece by piece while it
 * changes.
 *
 * Tokens lie side by side in no order; the last one takes the place of one that goes. So a walk
 * from the end to the start meets all that are there throughout, some maybe twice.
 */
#ifndef MG_GATEWAY_TOKENSET_H
#define MG_GATEWAY_TOKENSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mg_tokenset {
	uint32_t *tokens; /* n of them */
	size_t n;
	uint32_t *places; /* open addressing: place in tokens + 1, 0 is free; twice the room */
	size_t room;	  /* of tokens: a power of two, or 0 */
	uint32_t secret;  /* whoever chooses tokens does not choose where they collide */
};

void mg_tokenset_init(struct mg_tokenset *s);
void mg_tokenset_free(struct mg_tokenset *s); /* empty again, too */
bool mg_tokenset_has(const struct mg_tokenset *s, uint32_t token);
/* 1: it is new; 0: it was there; -ENOMEM */
int mg_tokenset_add(struct mg_tokenset *s, uint32_t token);
/* Whether it was there */
bool mg_tokenset_del(struct mg_tokenset *s, uint32_t token);

#endif
