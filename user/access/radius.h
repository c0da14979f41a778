/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The RADIUS accounting server: one UDP socket on the loop, for configured clients alone. What was
 * applied is answered; whoever is not a client, or does not know its secret, hears nothing.
 */
#ifndef MG_ACCESS_RADIUS_H
#define MG_ACCESS_RADIUS_H

#include "access/accounting.h"

/* X(label, "doc"), beside MG_RADIUS_ERRORS and MG_ACCOUNTING_COUNTERS */
#define MG_RADIUS_COUNTERS(X)                                             \
	X(received, "datagrams")                                          \
	X(unknown_client, "of them, from others than configured clients") \
	X(answered, "answers, those to duplicates among them")            \
	X(duplicate, "answered again, and not applied again")             \
	X(vsa_malformed, "3GPP attributes that were passed over from there on")
struct mg_radius_counters {
#define X(label, doc) uint64_t label;
	MG_RADIUS_COUNTERS(X)
#undef X
	uint64_t bad[MG_RADIUS_ERROR_COUNT]; /* by enum mg_radius_error */
};

struct mg_radius_server;

/* Listens if the configuration says so. 0 or -errno, logged. */
int mg_radius_open(struct mg_radius_server **out, struct mg_loop *l,
		   struct mg_accounting *accounting, const struct mg_config *c);
void mg_radius_close(struct mg_radius_server *s); /* NULL is allowed */
/* Another address, other clients, other secrets. 0; or -errno, logged, with all as before. */
int mg_radius_reload(struct mg_radius_server *s, const struct mg_config *c);
const struct mg_radius_counters *mg_radius_counters(const struct mg_radius_server *s);

#endif
