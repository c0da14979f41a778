// SPDX-License-Identifier: BSD-2-Clause
/*
 * What this host tells. Changes go out as they come: into the set of our tokens, and as news to
 * whoever listens. After a connection was lost, or events were, the whole set is written anew
 * beside the old one, which it replaces in one step: nobody ever sees half of it.
 */
#include "gateway/store_redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* A store that takes so little gets the whole set later instead. */
#define CHANGED_MAX 65536
#define BATCH	    MG_NEWS_TOKENS_MAX

static void teller_say(struct mg_store_redis *s, mg_redis_fn *fn, uint64_t arg, const char *verb,
		       const char *key, const char *more)
{
	const char *argv[] = { verb, key, more };

	mg_redis_send(s->say, fn, arg, more ? 3 : 2, argv, NULL);
}

static void say_expiry(struct mg_store_redis *s, const char *key)
{
	char ms[24];

	snprintf(ms, sizeof(ms), "%" PRIu64,
		 (uint64_t)s->base.heartbeat_ms * MG_STORE_BEATS_TO_DEATH);
	teller_say(s, NULL, 0, "PEXPIRE", key, ms);
}

static void say_news(struct mg_store_redis *s, const struct mg_news *news)
{
	char text[MG_NEWS_BYTES_MAX];
	const char *argv[] = { "PUBLISH", MG_STORE_EVENTS, text };
	const size_t lens[] = { 7, strlen(MG_STORE_EVENTS), mg_news_format(text, news) };

	mg_redis_send(s->say, NULL, 0, 3, argv, lens);
}

static void say_news_of_self(struct mg_store_redis *s, enum mg_news_kind kind)
{
	struct mg_news news = { .kind = kind };

	memcpy(news.name, s->base.self, sizeof(news.name));
	say_news(s, &news);
}

/* ---- sets ---------------------------------------------------------------------------------- */

struct batch {
	const char *argv[BATCH + 2];
	size_t lens[BATCH + 2];
	char digits[BATCH][MG_NEWS_TOKEN_DIGITS];
	int argc;
};

static void batch_begin(struct batch *b, const char *verb, const char *key)
{
	b->argv[0] = verb;
	b->lens[0] = strlen(verb);
	b->argv[1] = key;
	b->lens[1] = strlen(key);
	b->argc = 2;
}

static void batch_add(struct batch *b, uint32_t token)
{
	char *digits = b->digits[b->argc - 2];

	mg_news_format_token(digits, token);
	b->argv[b->argc] = digits;
	b->lens[b->argc++] = MG_NEWS_TOKEN_DIGITS;
}

static void batch_say(struct mg_store_redis *s, struct batch *b)
{
	if (b->argc > 2)
		mg_redis_send(s->say, NULL, 0, b->argc, b->argv, b->lens);
}

static const char *written_key(const struct mg_store_redis *s, char key[MG_STORE_KEY_ROOM])
{
	return s->teller.rewrite_begun ? mg_store_key(key, MG_STORE_REWRITE(s->base.self))
				       : mg_store_key(key, MG_STORE_TOKENS(s->base.self));
}

/* Whatever happened to a token since, what counts is whether it is ours now. */
static void say_some_changes(struct mg_store_redis *s)
{
	struct mg_tokenset *changed = &s->teller.changed;
	char key[MG_STORE_KEY_ROOM];
	struct mg_news news = { .kind = MG_NEWS_OWN };
	struct batch came, went;

	written_key(s, key);
	batch_begin(&came, "SADD", key);
	batch_begin(&went, "SREM", key);
	memcpy(news.name, s->base.self, sizeof(news.name));
	while (changed->n && news.n_tokens < MG_NEWS_TOKENS_MAX) {
		struct mg_news_token *t = &news.tokens[news.n_tokens++];

		t->token = changed->tokens[changed->n - 1];
		t->owned = mg_tokenset_has(&s->base.own, t->token);
		batch_add(t->owned ? &came : &went, t->token);
		mg_tokenset_del(changed, t->token);
	}
	batch_say(s, &came);
	batch_say(s, &went);
	/* A set that begins has no expiry yet, and the next heartbeat may never come. */
	if (came.argc > 2 && !s->teller.expires)
		say_expiry(s, key);
	s->teller.expires = s->base.own.n > 0;
	say_news(s, &news);
	s->base.status.published += news.n_tokens;
}

/* ---- drain flags --------------------------------------------------------------------------- */

static void confirmed(void *ctx, uint64_t stamp, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;

	(void)r;
	for (size_t i = 0; i < s->base.n_flags; i++) {
		if (s->base.flags[i].stamp == stamp)
			s->base.flags[i].untold = false;
	}
}

static void say_flag(struct mg_store_redis *s, struct mg_store_flag *flag)
{
	struct mg_news news = { .kind = MG_NEWS_DRAIN, .on = flag->on };

	flag->unsaid = false;
	memcpy(news.name, flag->name, sizeof(news.name));
	teller_say(s, confirmed, flag->stamp, flag->on ? "SADD" : "SREM", MG_STORE_DRAIN,
		   flag->name);
	say_news(s, &news);
}

static void say_flags(struct mg_store_redis *s)
{
	for (size_t i = 0; i < s->base.n_flags; i++) {
		struct mg_store_flag *f = &s->base.flags[i];

		if (f->unsaid && !mg_redis_has_room(s->say))
			return;
		if (f->unsaid)
			say_flag(s, f);
	}
}

void mg_teller_drain(struct mg_store_redis *s, struct mg_store_flag *flag)
{
	flag->untold = flag->unsaid = true;
	say_flags(s);
}

/* ---- the whole set ------------------------------------------------------------------------- */

static void begin_rewrite(struct mg_store_redis *s)
{
	char key[MG_STORE_KEY_ROOM];

	s->teller.rewriting = s->teller.rewrite_begun = true;
	s->teller.left = s->base.own.n;
	mg_store_new_id(s->teller.id);
	teller_say(s, NULL, 0, "UNLINK", mg_store_key(key, MG_STORE_REWRITE(s->base.self)), NULL);
}

static void rewrite_some(struct mg_store_redis *s)
{
	const struct mg_tokenset *own = &s->base.own;
	char key[MG_STORE_KEY_ROOM];
	struct batch b;

	batch_begin(&b, "SADD", mg_store_key(key, MG_STORE_REWRITE(s->base.self)));
	/* Tokens that went made the set shorter; see tokenset.h for why that is no harm. */
	if (s->teller.left > own->n)
		s->teller.left = own->n;
	while (s->teller.left && b.argc < BATCH + 2)
		batch_add(&b, own->tokens[--s->teller.left]);
	batch_say(s, &b);
	say_expiry(s, key);
}

static void say_member(struct mg_store_redis *s)
{
	char key[MG_STORE_KEY_ROOM], sessions[24], since[24];
	const char *argv[] = { "HSET",	   mg_store_key(key, MG_STORE_MEMBER(s->base.self)),
			       "sessions", sessions,
			       "since",	   since,
			       "told",	   s->teller.rewriting ? "" : s->teller.id };

	snprintf(sessions, sizeof(sessions), "%zu", s->base.own.n);
	snprintf(since, sizeof(since), "%" PRIu64, s->teller.since_s);
	mg_redis_send(s->say, NULL, 0, 8, argv, NULL);
	say_expiry(s, key);
	teller_say(s, NULL, 0, "SADD", MG_STORE_MEMBERS, s->base.self);
	snprintf(s->teller.beaten_id, sizeof(s->teller.beaten_id), "%s", argv[7]);
}

/* An error inside is an element of the answer. */
static void replaced(void *ctx, uint64_t arg, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;

	(void)arg;
	for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++) {
		if (r->element[i]->type == REDIS_REPLY_ERROR) {
			mg_redis_distrust(s->say, r->element[i]->str);
			return;
		}
	}
}

static void end_rewrite(struct mg_store_redis *s)
{
	char tokens[MG_STORE_KEY_ROOM], rewrite[MG_STORE_KEY_ROOM];
	const char *multi[] = { "MULTI" }, *exec[] = { "EXEC" };

	mg_store_key(tokens, MG_STORE_TOKENS(s->base.self));
	mg_store_key(rewrite, MG_STORE_REWRITE(s->base.self));
	s->teller.rewriting = s->teller.rewrite_begun = false;
	s->teller.expires = s->base.own.n > 0;
	mg_redis_send(s->say, NULL, 0, 1, multi, NULL);
	/* Apart, as RENAME frees what it replaces at once, and a million takes its time. */
	teller_say(s, NULL, 0, "UNLINK", tokens, NULL);
	if (s->base.own.n) {
		teller_say(s, NULL, 0, "RENAME", rewrite, tokens);
		say_expiry(s, tokens);
	}
	say_member(s);
	mg_redis_send(s->say, replaced, 0, 1, exec, NULL);
	say_news_of_self(s, MG_NEWS_RESYNC);
}

/* As much as the connection takes; the rest when it has room. */
void mg_teller_go(struct mg_store_redis *s)
{
	struct mg_teller *t = &s->teller;

	say_flags(s);
	if (!s->base.self[0])
		return;
	while ((t->changed.n || t->rewriting) && mg_redis_has_room(s->say)) {
		if (t->rewriting && !t->rewrite_begun)
			begin_rewrite(s);
		else if (t->changed.n)
			say_some_changes(s);
		else if (t->left)
			rewrite_some(s);
		else
			end_rewrite(s);
	}
}

void mg_teller_rewrite(struct mg_store_redis *s)
{
	if (!mg_redis_up(s->say) || !s->base.self[0])
		return;
	mg_tokenset_free(&s->teller.changed);
	s->teller.rewriting = true;
	s->teller.rewrite_begun = false;
	/* What else changes in this round is part of it. */
	mg_timer_arm(&s->base.loop->timers, &s->teller.soon, 0);
}

void mg_teller_changed(struct mg_store_redis *s, uint32_t token)
{
	struct mg_teller *t = &s->teller;

	if (!mg_redis_up(s->say) || (t->rewriting && !t->rewrite_begun))
		return;
	if (t->changed.n == CHANGED_MAX || mg_tokenset_add(&t->changed, token) < 0)
		mg_teller_rewrite(s);
	else if (!mg_timer_armed(&t->soon))
		mg_timer_arm(&s->base.loop->timers, &t->soon, 0);
}

static void soon(struct mg_timer *t)
{
	mg_teller_go(mg_container_of(t, struct mg_store_redis, teller.soon));
}

/* ---- heartbeats ---------------------------------------------------------------------------- */

/* The store lost some of our tokens: it was emptied, or we were away for three heartbeats, and what
 * we told since makes the set look alive. */
static void counted(void *ctx, uint64_t expected, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;

	if (r->type != REDIS_REPLY_INTEGER)
		mg_redis_distrust(s->say, "to SCARD");
	else if ((uint64_t)r->integer != expected && !s->teller.rewriting && !s->teller.name_taken)
		mg_teller_rewrite(s);
}

static uint64_t id_number(const char *id)
{
	uint32_t high = 0, low = 0;

	mg_news_parse_token(&high, id, MG_NEWS_TOKEN_DIGITS);
	mg_news_parse_token(&low, id + MG_NEWS_TOKEN_DIGITS, MG_NEWS_TOKEN_DIGITS);
	return (uint64_t)high << 32 | low;
}

/* What a host of the same name writes is not ours; neither of the two would be found. */
static void compared(void *ctx, uint64_t beaten, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;

	if (s->teller.name_taken || !mg_store_is_id(r) || id_number(r->str) == beaten)
		return;
	s->teller.name_taken = true;
	mg_error("store: another host tells its sessions as %s, too: give each its own `node`",
		 s->base.self);
}

static void beat(struct mg_timer *timer)
{
	struct mg_store_redis *s = mg_container_of(timer, struct mg_store_redis, teller.heartbeat);
	const struct mg_teller *t = &s->teller;
	char key[MG_STORE_KEY_ROOM];
	const char *get[] = { "HGET", mg_store_key(key, MG_STORE_MEMBER(s->base.self)), "told" };

	mg_timer_arm(&s->base.loop->timers, timer, mg_clock_ms() + s->base.heartbeat_ms);
	if (!mg_redis_up(s->say))
		return;
	mg_teller_go(s);
	if (t->beaten_id[0])
		mg_redis_send(s->say, compared, id_number(t->beaten_id), 3, get, NULL);
	say_member(s);
	say_expiry(s, mg_store_key(key, MG_STORE_TOKENS(s->base.self)));
	if (!t->changed.n && !t->rewriting)
		teller_say(s, counted, s->base.own.n, "SCARD", key, NULL);
	if (t->rewrite_begun)
		say_expiry(s, mg_store_key(key, MG_STORE_REWRITE(s->base.self)));
	mg_store_tell_self(&s->base);
}

/* ---- the connection ------------------------------------------------------------------------ */

void mg_teller_init(struct mg_store_redis *s)
{
	mg_tokenset_init(&s->teller.changed);
	s->teller.soon.fire = soon;
	s->teller.heartbeat.fire = beat;
}

void mg_teller_close(struct mg_store_redis *s)
{
	char key[MG_STORE_KEY_ROOM];

	if (s->base.self[0] && mg_redis_up(s->say)) {
		teller_say(s, NULL, 0, "SREM", MG_STORE_MEMBERS, s->base.self);
		teller_say(s, NULL, 0, "UNLINK", mg_store_key(key, MG_STORE_MEMBER(s->base.self)),
			   NULL);
		teller_say(s, NULL, 0, "UNLINK", mg_store_key(key, MG_STORE_TOKENS(s->base.self)),
			   NULL);
		say_news_of_self(s, MG_NEWS_LEAVE);
	}
	mg_timer_disarm(&s->base.loop->timers, &s->teller.soon);
	mg_timer_disarm(&s->base.loop->timers, &s->teller.heartbeat);
	mg_tokenset_free(&s->teller.changed);
}

void mg_teller_join(struct mg_store_redis *s)
{
	if (!s->base.self[0])
		return;
	s->teller.since_s = (uint64_t)time(NULL);
	mg_timer_arm(&s->base.loop->timers, &s->teller.heartbeat,
		     mg_clock_ms() + s->base.heartbeat_ms);
	mg_teller_rewrite(s);
}

void mg_teller_up(struct mg_store_redis *s)
{
	for (size_t i = 0; i < s->base.n_flags; i++) {
		if (s->base.flags[i].untold)
			mg_teller_drain(s, &s->base.flags[i]);
	}
	mg_teller_rewrite(s);
}

void mg_teller_down(struct mg_store_redis *s)
{
	mg_tokenset_free(&s->teller.changed);
	s->teller.rewriting = s->teller.rewrite_begun = false;
	s->teller.beaten_id[0] = '\0';
	mg_timer_disarm(&s->base.loop->timers, &s->teller.soon);
}
