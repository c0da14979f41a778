// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/store_redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mg_store_redis *of(struct mg_store *s)
{
	return mg_container_of(s, struct mg_store_redis, base);
}

const char *mg_store_key(char key[MG_STORE_KEY_ROOM], const char *prefix, const char *name)
{
	snprintf(key, MG_STORE_KEY_ROOM, "%s%s", prefix, name);
	return key;
}

void mg_store_new_id(char id[MG_STORE_ID_DIGITS + 1])
{
	mg_news_format_token(id, arc4random());
	mg_news_format_token(id + MG_NEWS_TOKEN_DIGITS, arc4random());
	id[MG_STORE_ID_DIGITS] = '\0';
}

bool mg_store_is_id(const struct redisReply *r)
{
	uint32_t half;

	return r->type == REDIS_REPLY_STRING && r->len == MG_STORE_ID_DIGITS &&
	       !mg_news_parse_token(&half, r->str, MG_NEWS_TOKEN_DIGITS) &&
	       !mg_news_parse_token(&half, r->str + MG_NEWS_TOKEN_DIGITS, MG_NEWS_TOKEN_DIGITS);
}

/* ---- is it there? -------------------------------------------------------------------------- */

static void look_at_reach(struct mg_store_redis *s)
{
	bool yes = mg_redis_up(s->say) && (!s->base.listens || s->looker.subscribed);

	if (s->base.status.reachable == yes)
		return;
	if (yes)
		s->base.status.connects++;
	s->base.status.reconnects = s->base.status.connects ? s->base.status.connects - 1 : 0;
	mg_store_tell_reachable(&s->base, yes);
	if (!yes)
		return;
	mg_store_tell_self(&s->base);
	if (s->base.listens)
		mg_looker_up(s);
}

static void say_up(void *ctx)
{
	struct mg_store_redis *s = ctx;

	mg_teller_up(s);
	look_at_reach(s);
}

static void say_down(void *ctx)
{
	struct mg_store_redis *s = ctx;

	mg_teller_down(s);
	mg_looker_down(s, false);
	look_at_reach(s);
}

static void say_room(void *ctx)
{
	mg_teller_go(ctx);
}

static void ear_up(void *ctx)
{
	struct mg_store_redis *s = ctx;
	const char *argv[] = { "SUBSCRIBE", MG_STORE_EVENTS };

	mg_redis_send(s->ear, NULL, 0, 2, argv, NULL);
}

static void ear_down(void *ctx)
{
	struct mg_store_redis *s = ctx;

	s->looker.subscribed = false;
	mg_looker_down(s, true);
	look_at_reach(s);
}

static bool is_word(const struct redisReply *r, const char *word)
{
	return r->type == REDIS_REPLY_STRING && r->len == strlen(word) &&
	       memcmp(r->str, word, r->len) == 0;
}

/* [subscribe, channel, count], [message, channel, text], [pong, ""] */
static void ear_heard(void *ctx, const struct redisReply *r)
{
	struct mg_store_redis *s = ctx;
	size_t n = r->type == REDIS_REPLY_ARRAY ? r->elements : 0;

	if (n == 3 && is_word(r->element[0], "message") &&
	    is_word(r->element[1], MG_STORE_EVENTS) && r->element[2]->type == REDIS_REPLY_STRING) {
		mg_looker_heard(s, r->element[2]->str, r->element[2]->len);
	} else if (n == 3 && is_word(r->element[0], "subscribe")) {
		s->looker.subscribed = true;
		look_at_reach(s);
	} else if (n != 2 || !is_word(r->element[0], "pong")) {
		s->base.status.ignored++;
	}
}

/* ---- the kind ------------------------------------------------------------------------------ */

static void redis_close(struct mg_store *base)
{
	struct mg_store_redis *s = of(base);

	mg_teller_close(s);
	mg_looker_close(s);
	mg_redis_close(s->say);
	mg_redis_close(s->ear);
}

static void redis_joins(struct mg_store *base)
{
	mg_teller_join(of(base));
}

static void redis_owns(struct mg_store *base, uint32_t token)
{
	mg_teller_changed(of(base), token);
}

static void redis_owns_all(struct mg_store *base)
{
	mg_teller_rewrite(of(base));
}

static void redis_drains(struct mg_store *base, struct mg_store_flag *flag)
{
	mg_teller_drain(of(base), flag);
}

static const struct mg_store_ops redis_ops = {
	.close = redis_close,
	.join = redis_joins,
	.own = redis_owns,
	.own_all = redis_owns_all,
	.drain = redis_drains,
};

int mg_store_redis_open(struct mg_store **out, struct mg_loop *loop, const struct mg_store_url *url,
			const struct mg_store_listener *listener)
{
	struct mg_store_redis *s = calloc(1, sizeof(*s));
	const struct mg_redis_face say = {
		.ctx = s,
		.up = say_up,
		.down = say_down,
		.room = say_room,
	};
	const struct mg_redis_face ear = {
		.ctx = s,
		.up = ear_up,
		.down = ear_down,
		.heard = ear_heard,
	};
	int err;

	if (!s)
		return -ENOMEM;
	s->base.status.kind = "redis";
	mg_teller_init(s);
	err = mg_store_init(&s->base, &redis_ops, loop, listener);
	if (!err)
		err = mg_looker_init(s);
	if (!err)
		err = mg_redis_open(&s->say, loop, url, &say, true);
	if (!err && s->base.listens)
		err = mg_redis_open(&s->ear, loop, url, &ear, false);
	if (err)
		mg_store_close(&s->base);
	else
		*out = &s->base;
	return err;
}
