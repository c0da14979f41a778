/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accounting sessions of gateways (RFC 2866), and what they say to the feed: which addresses a
 * subscriber has, and by which access network.
 *
 * A session is known by who sends it (the RADIUS client, and the NAS it speaks for) and its
 * Acct-Session-Id. Its Stop takes back what counts by its word, nothing that another session, or a
 * command, has said since. So does a Start or Interim say nothing that is older than what is known;
 * and an Interim that only repeats itself does not take back what another has said since.
 */
#ifndef MG_ACCESS_ACCOUNTING_H
#define MG_ACCESS_ACCOUNTING_H

#include "access/feed.h"
#include "wire/radius.h"

#define MG_ACCOUNTING_SESSIONS_MAX 1048576
/* Ended ones are remembered so long, so that nothing that is late brings them back. */
#define MG_ACCOUNTING_ENDED_MAX 65536
#define MG_ACCOUNTING_ENDED_MS	60000

/* X(label, "doc") */
#define MG_ACCOUNTING_COUNTERS(X)                                                 \
	X(start, "Starts")                                                        \
	X(interim, "Interim-Updates")                                             \
	X(stop, "Stops")                                                          \
	X(on_off, "Accounting-On and Accounting-Off")                             \
	X(other, "of a status that means nothing here; answered")                 \
	X(late, "older than what was known, or of an ended session; answered")    \
	X(failed, "not applied, for want of room or memory, and so not answered") \
	X(stale, "sessions given up after stale_s")
struct mg_accounting_counters {
#define X(label, doc) uint64_t label;
	MG_ACCOUNTING_COUNTERS(X)
#undef X
};

struct mg_accounting;

int mg_accounting_open(struct mg_accounting **out, struct mg_loop *l, struct mg_feed *feed,
		       const struct mg_config *c);
/* Before the feed is; what it knows stays in there. NULL is allowed. */
void mg_accounting_close(struct mg_accounting *a);
/* After the feed's: other types, another stale_s. */
void mg_accounting_reload(struct mg_accounting *a, const struct mg_config *c);

/* A request that was verified. 0: it may be answered; -errno: it could not be applied. */
int mg_accounting_apply(struct mg_accounting *a, const struct in6_addr *client,
			const struct mg_radius_request *r);
/* All that a client ever said */
void mg_accounting_forget(struct mg_accounting *a, const struct in6_addr *client);

const struct mg_accounting_counters *mg_accounting_counters(const struct mg_accounting *a);
size_t mg_accounting_sessions(const struct mg_accounting *a); /* without ended ones */

#endif
