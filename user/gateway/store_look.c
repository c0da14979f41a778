// SPDX-License-Identifier: BSD-2-Clause
/*
 * What others tell. News are quick, a look is thorough: every heartbeat, and when news say that
 * there is something to see, it asks for members and drain flags and compares. A member says by an
 * id whether all its tokens are there to be read, and whether they were written anew.
 */
#include "gateway/store_redis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* News can bring looks forward, but not without end. */
#define LOOK_GAP_MS 20
/* Pages of the small sets; a cursor that never ends, ends here. */
#define PAGES_MAX 1024
/* How long hosts may need to come back to a store that was away: redis.c's delays, and a try. */
#define COME_BACK_MS 4000

/* ---- drain flags --------------------------------------------------------------------------- */

/* News, or a word of this host, came after the scan was sent: newer than what it brings. */
static bool newer(const struct mg_store_redis *s, const struct mg_store_flag *f)
{
	return f->untold || f->stamp > s->looker.flags_stamp;
}

static void note_flag(struct mg_store_redis *s, const struct redisReply *e)
{
	struct mg_store_flag *f = NULL;
	char name[MG_MEMBER_NAME];

	if (e->type != REDIS_REPLY_STRING || mg_news_parse_name(name, e->str, e->len)) {
		s->base.status.ignored++;
		return;
	}
	for (size_t i = 0; i < s->base.n_flags && !f; i++) {
		if (strcmp(s->base.flags[i].name, name) == 0)
			f = &s->base.flags[i];
	}
	if (!f || (!f->on && !newer(s, f)))
		f = mg_store_flag(&s->base, name, true);
	if (f)
		f->found = true;
	else
		s->base.status.ignored++;
}

static void end_flags(struct mg_store_redis *s)
{
	for (size_t i = s->base.n_flags; i-- > 0;) {
		struct mg_store_flag *f = &s->base.flags[i];

		if (f->on && !f->found && !newer(s, f))
			f = mg_store_flag(&s->base, f->name, false);
		f->found = false;
		if (!f->on && !f->untold)
			mg_store_forget_flag(&s->base, f);
	}
}

/* ---- members ------------------------------------------------------------------------------- */

static struct mg_seen *find_seen(struct mg_store_redis *s, const char *name)
{
	for (size_t i = 0; i < s->looker.n_seen; i++) {
		if (strcmp(s->looker.seen[i].name, name) == 0)
			return &s->looker.seen[i];
	}
	return NULL;
}

/* [sessions, told]; nothing if its heartbeat is overdue. */
static void member_came(void *ctx, uint64_t place, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;
	struct mg_seen *m = &s->looker.seen[place];
	const struct redisReply *sessions, *id;
	uint64_t n;

	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2) {
		mg_redis_distrust(s->say, "to HMGET");
		return;
	}
	sessions = r->element[0];
	id = r->element[1];
	if (sessions->type != REDIS_REPLY_STRING || !sessions->len || sessions->len > 18 ||
	    strspn(sessions->str, "0123456789") != sessions->len) {
		s->base.status.ignored += sessions->type != REDIS_REPLY_NIL;
		return;
	}
	n = strtoull(sessions->str, NULL, 10);
	m->id[0] = '\0';
	if (mg_store_is_id(id))
		memcpy(m->id, id->str, sizeof(m->id));
	m->answered = true;
	m->left = false;
	if (!m->alive || m->sessions != n || s->looker.telling_all)
		mg_store_tell_member(&s->base, m->name, n, true);
	m->alive = true;
	m->sessions = n;
}

static void ask_for_member(struct mg_store_redis *s, const struct redisReply *e)
{
	struct mg_looker *l = &s->looker;
	char name[MG_MEMBER_NAME], key[MG_STORE_KEY_ROOM];
	const char *argv[] = { "HMGET", key, "sessions", "told" };
	struct mg_seen *m;

	if (e->type != REDIS_REPLY_STRING || mg_news_parse_name(name, e->str, e->len)) {
		s->base.status.ignored++;
		return;
	}
	if (strcmp(name, s->base.self) == 0)
		return;
	m = find_seen(s, name);
	if (!m && l->n_seen == MG_STORE_NAMES_MAX) {
		s->base.status.ignored++;
		return;
	}
	if (!m) {
		m = &l->seen[l->n_seen++];
		*m = (struct mg_seen){ .look = l->look - 1 };
		memcpy(m->name, name, sizeof(m->name));
	}
	if (m->look == l->look)
		return;
	m->look = l->look;
	m->answered = false;
	mg_store_key(key, MG_STORE_MEMBER(name));
	mg_redis_send(s->say, member_came, (uint64_t)(m - l->seen), 4, argv, NULL);
}

/* Says whether the entry may go. */
static bool miss(struct mg_store_redis *s, struct mg_seen *m)
{
	bool patient = mg_clock_ms() < s->looker.patient_until_ms && !m->left;

	/* Its tokens stay as they are: what the store has of them now, if anything, is not all. */
	m->id[0] = '\0';
	if (m->alive && patient)
		return false;
	if (m->alive || s->looker.telling_all)
		mg_store_tell_member(&s->base, m->name, 0, false);
	m->alive = false;
	m->synced[0] = '\0';
	return m->look != s->looker.look;
}

/* ---- a look -------------------------------------------------------------------------------- */

static void look_again_at(struct mg_store_redis *s, uint64_t ms)
{
	mg_timer_arm(&s->base.loop->timers, &s->looker.timer, ms);
}

static void look_soon(struct mg_store_redis *s)
{
	uint64_t next_ms = s->looker.looked_ms + LOOK_GAP_MS;

	if (s->looker.looking)
		s->looker.again = true;
	else if (s->base.status.reachable)
		look_again_at(s, next_ms);
}

/* The answer to a PING behind all the questions about members: all were answered. */
static void looked(void *ctx, uint64_t arg, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;
	struct mg_looker *l = &s->looker;

	(void)arg;
	(void)r;
	for (size_t i = l->n_seen; i-- > 0;) {
		struct mg_seen *m = &l->seen[i];

		if ((m->look != l->look || !m->answered) && miss(s, m))
			*m = l->seen[--l->n_seen];
	}
	l->looking = false;
	look_again_at(s, mg_clock_ms() + (l->again ? LOOK_GAP_MS : s->base.heartbeat_ms));
	l->again = false;
	mg_sync_next(s);
}

/* The elements of one page, each to fn; false: that was not the last. */
static bool page_came(struct mg_store_redis *s, const struct redisReply *r, const char *key,
		      mg_redis_fn *next,
		      void (*fn)(struct mg_store_redis *s, const struct redisReply *e))
{
	char cursor[24];
	const struct redisReply *page = mg_sync_page(r, cursor);

	if (!page || ++s->looker.pages > PAGES_MAX) {
		mg_redis_distrust(s->say, "to SSCAN");
		return false;
	}
	for (size_t i = 0; i < page->elements; i++)
		fn(s, page->element[i]);
	if (strcmp(cursor, "0") == 0)
		return true;
	mg_sync_scan(s, next, key, cursor);
	return false;
}

static void members_came(void *ctx, uint64_t arg, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;
	const char *ping[] = { "PING" };

	(void)arg;
	if (page_came(s, r, MG_STORE_MEMBERS, members_came, ask_for_member))
		mg_redis_send(s->say, looked, 0, 1, ping, NULL);
}

static void flags_came(void *ctx, uint64_t arg, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;

	(void)arg;
	if (!page_came(s, r, MG_STORE_DRAIN, flags_came, note_flag))
		return;
	end_flags(s);
	s->looker.pages = 0;
	mg_sync_scan(s, members_came, MG_STORE_MEMBERS, "0");
}

/* Another epoch than before: the store was emptied. What it knew of drains, we still know; members
 * need time to notice, too. */
static void epoch_came(void *ctx, uint64_t arg, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;
	struct mg_looker *l = &s->looker;

	(void)arg;
	if (!mg_store_is_id(r)) {
		s->base.status.ignored++;
	} else if (strcmp(l->epoch, r->str) != 0) {
		for (size_t i = 0; l->epoch[0] && i < s->base.n_flags; i++) {
			if (s->base.flags[i].on)
				mg_teller_drain(s, &s->base.flags[i]);
		}
		if (l->epoch[0])
			l->patient_until_ms =
				mg_clock_ms() + COME_BACK_MS +
				(uint64_t)s->base.heartbeat_ms * MG_STORE_BEATS_TO_DEATH;
		memcpy(l->epoch, r->str, sizeof(l->epoch));
	}
	l->pages = 0;
	l->flags_stamp = s->base.stamp;
	mg_sync_scan(s, flags_came, MG_STORE_DRAIN, "0");
}

static void look(struct mg_timer *t)
{
	struct mg_store_redis *s = mg_container_of(t, struct mg_store_redis, looker.timer);
	struct mg_looker *l = &s->looker;
	char id[MG_STORE_ID_DIGITS + 1];
	const char *set[] = { "SET", MG_STORE_EPOCH, id, "NX" };
	const char *get[] = { "GET", MG_STORE_EPOCH };

	if (l->looking || !s->base.status.reachable)
		return;
	l->looking = true;
	l->telling_all = l->tell_all;
	l->tell_all = false;
	l->looked_ms = mg_clock_ms();
	l->look++;
	mg_store_new_id(id);
	mg_redis_send(s->say, NULL, 0, 4, set, NULL);
	mg_redis_send(s->say, epoch_came, 0, 2, get, NULL);
}

/* ---- news ---------------------------------------------------------------------------------- */

static void owns(struct mg_store_redis *s, const struct mg_news *news)
{
	for (size_t i = 0; i < news->n_tokens; i++) {
		s->base.status.received++;
		mg_sync_note(s, news->name, news->tokens[i].token);
		mg_store_tell_token(&s->base, news->name, news->tokens[i].token,
				    news->tokens[i].owned);
	}
}

void mg_looker_heard(struct mg_store_redis *s, const char *text, size_t len)
{
	struct mg_news news;
	struct mg_seen *m;

	if (mg_news_parse(&news, text, len)) {
		s->base.status.ignored++;
		return;
	}
	if (news.kind == MG_NEWS_DRAIN) {
		if (!mg_store_flag(&s->base, news.name, news.on))
			s->base.status.ignored++;
		return;
	}
	/* Of ourselves we know better. */
	if (strcmp(news.name, s->base.self) == 0)
		return;
	if (news.kind == MG_NEWS_OWN) {
		owns(s, &news);
		return;
	}
	m = find_seen(s, news.name);
	if (m)
		m->left = news.kind == MG_NEWS_LEAVE;
	look_soon(s);
}

/* ---- the connections ----------------------------------------------------------------------- */

int mg_looker_init(struct mg_store_redis *s)
{
	mg_tokenset_init(&s->looker.newer);
	s->looker.timer.fire = look;
	if (!s->base.listens)
		return 0;
	s->looker.seen = calloc(MG_STORE_NAMES_MAX, sizeof(*s->looker.seen));
	return s->looker.seen ? 0 : -ENOMEM;
}

void mg_looker_close(struct mg_store_redis *s)
{
	mg_timer_disarm(&s->base.loop->timers, &s->looker.timer);
	mg_tokenset_free(&s->looker.newer);
	free(s->looker.seen);
}

void mg_looker_up(struct mg_store_redis *s)
{
	s->looker.tell_all = true;
	s->looker.patient_until_ms = mg_clock_ms() + COME_BACK_MS +
				     (uint64_t)s->base.heartbeat_ms * MG_STORE_BEATS_TO_DEATH;
	if (s->looker.looking)
		s->looker.again = true;
	else
		look_again_at(s, 0);
}

void mg_looker_down(struct mg_store_redis *s, bool deaf)
{
	for (size_t i = 0; deaf && i < s->looker.n_seen; i++)
		s->looker.seen[i].synced[0] = '\0';
	/* What only the listening connection's loss interrupts comes to its end, and begins anew.
	 */
	if (deaf) {
		s->looker.sync_id[0] = '\0';
		return;
	}
	s->looker.looking = s->looker.again = false;
	mg_timer_disarm(&s->base.loop->timers, &s->looker.timer);
	mg_sync_stop(s);
}
