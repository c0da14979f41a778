// SPDX-License-Identifier: BSD-2-Clause
/*
 * The token sets of others, page by page, one set after the other. News that come meanwhile are
 * newer than a page that may have been read before: what they spoke of, no page changes.
 */
#include "gateway/store_redis.h"

#include <string.h>

/* Of some thousand tokens each; a cursor that never ends, ends here. */
#define PAGE	  "1000"
#define PAGES_MAX 65536

const struct redisReply *mg_sync_page(const struct redisReply *r, char cursor[24])
{
	const struct redisReply *at;

	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2)
		return NULL;
	at = r->element[0];
	if (at->type != REDIS_REPLY_STRING || !at->len || at->len > 20 ||
	    strspn(at->str, "0123456789") != at->len || r->element[1]->type != REDIS_REPLY_ARRAY)
		return NULL;
	memcpy(cursor, at->str, at->len + 1);
	return r->element[1];
}

void mg_sync_scan(struct mg_store_redis *s, mg_redis_fn *fn, const char *key, const char *cursor)
{
	const char *argv[] = { "SSCAN", key, cursor, "COUNT", PAGE };

	mg_redis_send(s->say, fn, 0, 5, argv, NULL);
}

static struct mg_seen *syncing(struct mg_store_redis *s)
{
	for (size_t i = 0; i < s->looker.n_seen; i++) {
		if (strcmp(s->looker.seen[i].name, s->looker.syncing) == 0)
			return &s->looker.seen[i];
	}
	return NULL;
}

static void tell_page(struct mg_store_redis *s, const struct redisReply *page)
{
	for (size_t i = 0; i < page->elements; i++) {
		const struct redisReply *e = page->element[i];
		uint32_t token;

		if (e->type != REDIS_REPLY_STRING || mg_news_parse_token(&token, e->str, e->len))
			s->base.status.ignored++;
		else if (!mg_tokenset_has(&s->looker.newer, token))
			mg_store_tell_token(&s->base, s->looker.syncing, token, true);
	}
}

static void done(struct mg_store_redis *s)
{
	struct mg_looker *l = &s->looker;
	struct mg_seen *m = syncing(s);

	mg_store_tell_resync(&s->base, l->syncing, true);
	if (m)
		memcpy(m->synced, l->sync_id, sizeof(m->synced));
	s->base.status.resyncs++;
	mg_sync_stop(s);
	mg_sync_next(s);
}

static void page_came(void *ctx, uint64_t arg, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;
	char cursor[24], key[MG_STORE_KEY_ROOM];
	const struct redisReply *page = mg_sync_page(r, cursor);

	(void)arg;
	if (!s->looker.syncing[0])
		return;
	if (!page || ++s->looker.sync_pages > PAGES_MAX) {
		mg_redis_distrust(s->say, "to SSCAN");
		return;
	}
	tell_page(s, page);
	if (strcmp(cursor, "0") == 0)
		done(s);
	else
		mg_sync_scan(s, page_came, mg_store_key(key, MG_STORE_TOKENS(s->looker.syncing)),
			     cursor);
}

void mg_sync_next(struct mg_store_redis *s)
{
	struct mg_looker *l = &s->looker;
	char key[MG_STORE_KEY_ROOM];

	for (size_t i = 0; !l->syncing[0] && s->base.status.reachable && i < l->n_seen; i++) {
		struct mg_seen *m = &l->seen[i];

		if (!m->alive || !m->id[0] || strcmp(m->id, m->synced) == 0 ||
		    strcmp(m->name, s->base.self) == 0)
			continue;
		memcpy(l->syncing, m->name, sizeof(l->syncing));
		memcpy(l->sync_id, m->id, sizeof(l->sync_id));
		l->sync_pages = 0;
		mg_store_tell_resync(&s->base, m->name, false);
		mg_sync_scan(s, page_came, mg_store_key(key, MG_STORE_TOKENS(m->name)), "0");
	}
}

void mg_sync_stop(struct mg_store_redis *s)
{
	s->looker.syncing[0] = '\0';
	mg_tokenset_free(&s->looker.newer);
}

void mg_sync_note(struct mg_store_redis *s, const char *name, uint32_t token)
{
	if (strcmp(name, s->looker.syncing) != 0)
		return;
	/* Without memory, or too long a list: one more round will put it right. */
	if (s->looker.newer.n >= MG_STEER_TOKENS_MAX ||
	    mg_tokenset_add(&s->looker.newer, token) < 0)
		s->looker.sync_id[0] = '\0';
}
