/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a session's data is spread over the paths of its client, as its policy's `steering`, `split`,
 * `strict` and `order` say: the laws are split.h's and modes.h's, this looks at the subflows for
 * them and tells the kernel what they found, by pacing (sys/admission.h) and by MP_PRIO
 * (sys/prio.h). docs/adr/0013.
 *
 * Only sessions whose policy asks for it have one, and it looks only while they move data. What
 * the client sends it spreads itself; MP_PRIO tells it which paths we would rather not have used.
 */
#ifndef MG_PROXY_SPREAD_H
#define MG_PROXY_SPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "sys/mptcp.h"

struct mg_session;

/* A subflow, for people and programs. */
struct mg_spread_row {
	uint64_t sent_bytes, received_bytes; /* with what was sent again */
	uint64_t cap;			     /* bytes a second; UINT64_MAX: none */
	uint32_t rtt_us;
	int16_t share_permille; /* of what the session sent lately; -1: nothing lately */
	bool asked_backup;	/* of the client, by us */
	bool works;
};

/* The session relays, or its policy is another one: begins, changes or rests what it has. Before a
 * byte goes to the client, if it is a new one. */
void mg_spread_begin(struct mg_session *s);
/* After bytes moved: costs a comparison without a policy that asks. */
void mg_spread_moved(struct mg_session *s);
void mg_spread_end(struct mg_session *s);
/* What is known of these subflows of its client. Any session. */
void mg_spread_describe(const struct mg_session *s, const struct mg_mptcp_subflow *list, int n,
			struct mg_spread_row *rows);
enum mg_steering mg_spread_steering(const struct mg_session *s);
/* Some path cannot carry its share, and the others may do more. */
bool mg_spread_gives_way(const struct mg_session *s);

/* Does a configuration ask for more than pacing: subflows for backup? */
bool mg_spread_needs_prio(const struct mg_config *c);

#endif
