/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SYNs that TC holds, as a worker sees them: where they come in, and which session each of them is.
 */
#ifndef MG_PROXY_HELD_H
#define MG_PROXY_HELD_H

#include "base/addr.h"
#include "base/loop.h"
#include "proxy/servers.h"
#include "wire/convert.h"

/* So long a session waits for what another one finds out about its server. */
#define MG_HELD_VERDICT_MS 500

struct mg_session;
struct mg_worker;

struct mg_held_in {
	bool open;
	struct mg_io ring;
	struct mg_inbox inbox;
	struct mg_timer beat;
	uint64_t again;	 /* mg_again_take's */
	uint64_t known;	 /* mg_servers_told when the ring was last seen empty */
	uint8_t key[16]; /* clients choose their endpoints, so they must not choose buckets */
	struct mg_session **buckets; /* sessions that began with a held SYN, by its endpoints */
	size_t n_buckets, n;
};

/* Nothing is opened where nothing is held. 0 or -errno. */
int mg_held_open(struct mg_worker *w);
void mg_held_close(struct mg_worker *w);
/* Takes what is in the ring. */
void mg_held_read(struct mg_worker *w);
/* A sign of life, besides those that the timer gives: after each round of work. */
void mg_held_beat(struct mg_worker *w);

void mg_held_put(struct mg_session *s);
void mg_held_drop(struct mg_session *s); /* harmless for who is not there */
/* The one whose connection is not accepted yet. */
struct mg_session *mg_held_find(struct mg_worker *w, const struct mg_ep *client,
				const struct mg_ep *server);
/* A session from before is in the way, of the same endpoints: ends it if its client is gone. False
 * if it lives, or is another worker's, which then does the same before the client repeats its SYN.
 */
bool mg_held_make_room(struct mg_session *s);

/* It ends. Who waits for news of its server hears of failures; a client that leaves is none. */
void mg_held_ask_no_more(struct mg_session *s);

/* Where the SYN went: a Convert session's server is somewhere else. */
const struct mg_ep *mg_held_at(const struct mg_session *s);
/* The data that the held SYN brought. */
struct mg_span mg_held_payload(const struct mg_session *s);

#endif
