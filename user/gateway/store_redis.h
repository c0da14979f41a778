/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redis or Valkey as the store (docs/operations.md, "Shared state", has the keys). Two connections:
 * one asks and tells, the other listens. store_redis.c has both and says whether the store is
 * there; store_tell.c tells what this host owns; store_look.c finds out what others do.
 */
#ifndef MG_GATEWAY_STORE_REDIS_H
#define MG_GATEWAY_STORE_REDIS_H

#include "gateway/redis.h"
#include "gateway/store_kind.h"
#include "wire/news.h"

#define MG_STORE_MEMBERS	"mpgate:members"
#define MG_STORE_DRAIN		"mpgate:drain"
#define MG_STORE_EPOCH		"mpgate:epoch"
#define MG_STORE_EVENTS		"mpgate:events"
#define MG_STORE_MEMBER(name)	"mpgate:member:", name
#define MG_STORE_TOKENS(name)	"mpgate:tokens:", name
#define MG_STORE_REWRITE(name)	"mpgate:rewrite:", name
#define MG_STORE_KEY_ROOM	(16 + MG_MEMBER_NAME)
#define MG_STORE_ID_DIGITS	16
#define MG_STORE_BEATS_TO_DEATH 3

struct mg_teller {
	struct mg_tokenset changed; /* came or went, and not told yet */
	bool rewriting;
	bool rewrite_begun;
	bool expires;			 /* the set in the store, if there is one */
	size_t left;			 /* of the own tokens, to be written by the rewrite */
	char id[MG_STORE_ID_DIGITS + 1]; /* of the last rewrite; who synced has all up to it */
	char beaten_id[MG_STORE_ID_DIGITS + 1]; /* as in the last heartbeat; "": none yet */
	bool name_taken;			/* said once */
	uint64_t since_s;			/* CLOCK_REALTIME */
	struct mg_timer soon, heartbeat;
};

/* A member, as the last look saw it */
struct mg_seen {
	char name[MG_MEMBER_NAME];
	bool alive, left, answered;
	uint64_t sessions;
	uint32_t look;
	char id[MG_STORE_ID_DIGITS + 1];     /* "": it is just writing its tokens */
	char synced[MG_STORE_ID_DIGITS + 1]; /* "": never, or what was told since is not known */
};

struct mg_looker {
	struct mg_seen *seen;
	size_t n_seen;
	uint32_t look;
	bool looking, again;
	bool tell_all; /* members that are as they were, too: in the next look */
	bool telling_all;
	bool subscribed;
	uint32_t pages; /* of the scan under way */
	uint64_t flags_stamp;
	uint64_t looked_ms, patient_until_ms;
	char epoch[MG_STORE_ID_DIGITS + 1];

	char syncing[MG_MEMBER_NAME]; /* "": nobody */
	char sync_id[MG_STORE_ID_DIGITS + 1];
	uint32_t sync_pages;
	struct mg_tokenset newer; /* tokens of which news came meanwhile: the page is older */
	struct mg_timer timer;
};

struct mg_store_redis {
	struct mg_store base;
	struct mg_redis *say, *ear;
	struct mg_teller teller;
	struct mg_looker looker;
};

/* store_redis.c */
const char *mg_store_key(char key[MG_STORE_KEY_ROOM], const char *prefix, const char *name);
void mg_store_new_id(char id[MG_STORE_ID_DIGITS + 1]);
bool mg_store_is_id(const struct redisReply *r);

/* store_tell.c */
void mg_teller_init(struct mg_store_redis *s);
void mg_teller_close(struct mg_store_redis *s); /* says good-bye, if it can */
void mg_teller_join(struct mg_store_redis *s);
void mg_teller_up(struct mg_store_redis *s);
void mg_teller_down(struct mg_store_redis *s);
void mg_teller_go(struct mg_store_redis *s);
void mg_teller_changed(struct mg_store_redis *s, uint32_t token);
void mg_teller_rewrite(struct mg_store_redis *s);
void mg_teller_drain(struct mg_store_redis *s, struct mg_store_flag *flag);

/* store_look.c */
int mg_looker_init(struct mg_store_redis *s);
void mg_looker_close(struct mg_store_redis *s);
/* The store is there, with both connections. */
void mg_looker_up(struct mg_store_redis *s);
/* deaf: news may have been missed */
void mg_looker_down(struct mg_store_redis *s, bool deaf);
void mg_looker_heard(struct mg_store_redis *s, const char *text, size_t len);

/* store_sync.c: the token sets of others, one after the other */
void mg_sync_next(struct mg_store_redis *s);
void mg_sync_stop(struct mg_store_redis *s);
void mg_sync_note(struct mg_store_redis *s, const char *name, uint32_t token);
/* A page of SSCAN: NULL, or the elements, with *cursor "0" for the last. */
const struct redisReply *mg_sync_page(const struct redisReply *r, char cursor[24]);
void mg_sync_scan(struct mg_store_redis *s, mg_redis_fn *fn, const char *key, const char *cursor);

#endif
