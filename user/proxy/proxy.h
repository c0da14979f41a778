/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The converter as a whole: its workers, and the little that they share.
 */
#ifndef MG_PROXY_PROXY_H
#define MG_PROXY_PROXY_H

#include <stdatomic.h>

#include "proxy/admit.h"
#include "proxy/again.h"
#include "proxy/offers.h"
#include "proxy/pending.h"
#include "proxy/reserve.h"
#include "proxy/sessionlog.h"
#include "proxy/sharing.h"
#include "proxy/via.h"
#include "proxy/worker.h"
#include "sys/dp.h"
#include "sys/prio.h"

struct mg_proxy {
	struct mg_dp
		*dp; /* NULL: no data plane, all still works but the Extended TCP Header is empty */
	struct mg_pending pending;
	struct mg_offers offers;
	struct mg_via_memory via;
	struct mg_holder *holder;	/* NULL: no SYN is held */
	struct mg_admission *admission; /* NULL: all are let in, up to converter.max_sessions */
	struct mg_prio prio;		/* not open: nobody says which subflows are for backup */
	struct mg_servers servers;
	struct mg_again again;
	struct mg_reserve reserve;
	struct mg_sharing sharing;
	struct mg_sessionlog *log;
	_Atomic uint64_t ports_told[1024]; /* a bit per port that could not be listened on */
	_Atomic uint64_t sessions;	   /* now, of all workers */
	_Atomic unsigned int unaccepted;   /* of them: their clients have no socket yet */
	struct mg_worker *workers;
	unsigned int n_workers;
};

/* Starts n_workers threads; the policy and what it points to stay the caller's. Logs. */
int mg_proxy_start(struct mg_proxy *p, struct mg_dp *dp, unsigned int n_workers,
		   const struct mg_policy *policy);
/* Ends every session that is left with MG_CLOSE_DRAINED. */
void mg_proxy_stop(struct mg_proxy *p);

/* From the next event on, all workers judge by this one; the old one may be freed. */
void mg_proxy_set_policy(struct mg_proxy *p, const struct mg_policy *policy);
void mg_proxy_stats(struct mg_proxy *p, struct mg_stats *sum);
/* All sessions; *rows is for free(). Returns their number or -ENOMEM. */
long mg_proxy_sessions(struct mg_proxy *p, struct mg_session_row **rows);
/* One session: 0 or -ENOENT. */
int mg_proxy_session(struct mg_proxy *p, uint64_t id, struct mg_session_row *row);
int mg_proxy_close_session(struct mg_proxy *p, uint64_t id);

#endif
