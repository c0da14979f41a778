/* SPDX-License-Identifier: BSD-2-Clause */
/* One accounting session, as accounting.c keeps it and session.c fills it in. */
#ifndef MG_ACCESS_ACCOUNTING_SESSION_H
#define MG_ACCESS_ACCOUNTING_SESSION_H

#include "access/feed.h"
#include "wire/radius.h"

struct mg_accounting;

struct mg_accounted {
	struct mg_index_node node; /* by client and Acct-Session-Id */
	struct mg_list of_client;  /* while it lives; of the ended ones, oldest first, after */
	struct mg_timer stale;
	struct mg_accounting *accounting;
	struct in6_addr client;
	bool ended;
	uint64_t ended_ms;
	uint64_t serial;	  /* owner of entries of the feed */
	struct mg_feed_when when; /* of its last word */
	uint64_t heard_ms;
	uint32_t stale_s; /* as it was when it last said something */
	bool has_rat_type, has_nas_port_type;
	uint8_t rat_type;
	uint32_t nas_port_type;
	struct mg_identity *identity;
	struct mg_radius_prefix *prefixes;
	size_t n_prefixes;
	bool has_nas_ip;
	struct in6_addr nas_ip;
	uint8_t id_len, nas_len;
	uint8_t text[]; /* Acct-Session-Id, NAS-Identifier */
};

/* The access network that RAT type, else port type, stand for; "": none. */
const char *mg_accounted_access(const struct mg_accounted *s, const struct mg_config *c);
/*
 * Takes over what a Start or an Interim says, and says it to the feed. 0 or -errno: some of it may
 * be said, and saying it again does no harm.
 */
int mg_accounted_tell(struct mg_accounted *s, struct mg_feed *feed, const struct mg_config *c,
		      const struct mg_radius_request *r, const struct mg_feed_when *when);
/* Says to the feed again what stands for something else now. True: it did. */
bool mg_accounted_renew(struct mg_accounted *s, struct mg_feed *feed, const struct mg_config *c);
/* Takes back what counts by its word. */
void mg_accounted_take_back(struct mg_accounted *s, struct mg_feed *feed);
/* Said before the other: by the NAS's clock if both are of the same, else by more than a second of
 * ours. */
bool mg_accounted_is_before(const struct mg_feed_when *when, const struct mg_feed_when *than);

#endif
