/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Identities of subscribers: a 64-bit number each, for the kernel's side, and their text.
 *
 * An identity has the same number whenever and wherever it comes: the number is a hash of the text.
 * Only where two texts have the same one, the second gets the next, as long as the daemon lives.
 * Texts that nobody refers to any more are kept for a while, for whoever asks what a number means.
 */
#ifndef MG_ACCESS_IDENTITIES_H
#define MG_ACCESS_IDENTITIES_H

#include <pthread.h>
#include <stdbool.h>

#include "access/index.h"
#include "base/list.h"

#define MG_IDENTITY_TEXT_MAX   253
#define MG_IDENTITIES_IDLE_MAX 65536

struct mg_identity {
	struct mg_index_node node; /* by number */
	struct mg_list idle;	   /* while nobody refers to it */
	size_t refs;
	/* For their user: the class, and of which configuration */
	uint32_t class, generation;
	char text[];
};

struct mg_identities {
	pthread_mutex_t lock; /* of by_number, against mg_identities_copy */
	struct mg_index by_number;
	struct mg_list idle; /* longest idle first */
	size_t n_idle;
};

int mg_identities_init(struct mg_identities *all); /* 0 or -errno; to be freed in any case */
void mg_identities_free(struct mg_identities *all);
/* One more reference to the identity of that text (not empty); NULL without memory. */
struct mg_identity *mg_identities_get(struct mg_identities *all, const char *text);
struct mg_identity *mg_identities_ref(struct mg_identities *all, struct mg_identity *id);
void mg_identities_put(struct mg_identities *all, struct mg_identity *id); /* NULL is allowed */
/* NULL: not known */
const char *mg_identities_text(const struct mg_identities *all, uint64_t number);
/* The same, into `to`, with the zero; the only call for other threads. False: not known, or longer.
 */
bool mg_identities_copy(struct mg_identities *all, uint64_t number, char *to, size_t size);
/* The number it has, or would have */
uint64_t mg_identities_number(const struct mg_identities *all, const char *text);

#endif
