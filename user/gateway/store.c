// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/store_kind.h"
#include "wire/news.h"

#define HEARTBEAT_MS 1000 /* of who is no member: the pace to look for others' */

/* ---- to the listener ----------------------------------------------------------------------- */

void mg_store_tell_token(struct mg_store *s, const char *proxy, uint32_t token, bool owned)
{
	if (s->listener.token)
		s->listener.token(s->listener.ctx, proxy, token, owned);
}

void mg_store_tell_resync(struct mg_store *s, const char *proxy, bool done)
{
	void (*fn)(void *ctx, const char *proxy) =
		done ? s->listener.resync_done : s->listener.resync;

	if (fn)
		fn(s->listener.ctx, proxy);
}

void mg_store_tell_member(struct mg_store *s, const char *name, uint64_t sessions, bool alive)
{
	const struct mg_store_member m = { .name = name, .sessions = sessions, .alive = alive };

	if (s->listener.member)
		s->listener.member(s->listener.ctx, &m);
}

void mg_store_tell_self(struct mg_store *s)
{
	if (s->self[0])
		mg_store_tell_member(s, s->self, s->own.n, true);
}

void mg_store_tell_reachable(struct mg_store *s, bool yes)
{
	s->status.reachable = yes;
	if (s->listener.reachable)
		s->listener.reachable(s->listener.ctx, yes);
}

/* ---- drain flags --------------------------------------------------------------------------- */

static struct mg_store_flag *find_flag(struct mg_store *s, const char *name)
{
	for (size_t i = 0; i < s->n_flags; i++) {
		if (strcmp(s->flags[i].name, name) == 0)
			return &s->flags[i];
	}
	return NULL;
}

struct mg_store_flag *mg_store_flag(struct mg_store *s, const char *name, bool on)
{
	struct mg_store_flag *f = find_flag(s, name);

	if (!f) {
		if (s->n_flags == MG_STORE_NAMES_MAX)
			return NULL;
		f = &s->flags[s->n_flags++];
		*f = (struct mg_store_flag){ .on = !on };
		strncpy(f->name, name, sizeof(f->name) - 1);
	}
	f->stamp = ++s->stamp;
	if (f->on != on) {
		f->on = on;
		if (s->listener.drain)
			s->listener.drain(s->listener.ctx, f->name, on);
	}
	return f;
}

void mg_store_forget_flag(struct mg_store *s, struct mg_store_flag *flag)
{
	*flag = s->flags[--s->n_flags];
}

/* ---- every kind ---------------------------------------------------------------------------- */

int mg_store_init(struct mg_store *s, const struct mg_store_ops *ops, struct mg_loop *loop,
		  const struct mg_store_listener *listener)
{
	s->ops = ops;
	s->loop = loop;
	if (listener)
		s->listener = *listener;
	s->listens = s->listener.token || s->listener.resync || s->listener.resync_done ||
		     s->listener.member || s->listener.drain;
	s->heartbeat_ms = HEARTBEAT_MS;
	mg_tokenset_init(&s->own);
	s->flags = calloc(MG_STORE_NAMES_MAX, sizeof(*s->flags));
	return s->flags ? 0 : -ENOMEM;
}

void mg_store_free(struct mg_store *s)
{
	mg_tokenset_free(&s->own);
	free(s->flags);
	free(s);
}

int mg_store_join(struct mg_store *s, const char *self, uint32_t heartbeat_ms)
{
	if (!heartbeat_ms || (self && (s->self[0] || !mg_news_name_ok(self, strlen(self)))))
		return -EINVAL;
	s->heartbeat_ms = heartbeat_ms;
	if (self)
		strncpy(s->self, self, sizeof(s->self) - 1);
	s->ops->join(s);
	mg_store_tell_self(s);
	return 0;
}

static void say_short_of_memory(struct mg_store *s)
{
	if (!s->short_of_memory)
		mg_warn("store: no memory for more than %zu own tokens (said once)", s->own.n);
	s->short_of_memory = true;
}

void mg_store_own(struct mg_store *s, uint32_t token, bool owned)
{
	int changed = 0;

	if (!s->self[0])
		return;
	if (owned)
		changed = mg_tokenset_add(&s->own, token);
	else
		changed = mg_tokenset_del(&s->own, token);
	if (changed < 0)
		say_short_of_memory(s);
	if (changed <= 0)
		return;
	mg_store_tell_token(s, s->self, token, owned);
	s->ops->own(s, token);
}

void mg_store_own_all(struct mg_store *s, const uint32_t *tokens, size_t n)
{
	struct mg_tokenset all;

	if (!s->self[0])
		return;
	mg_tokenset_init(&all);
	for (size_t i = 0; i < n; i++) {
		if (mg_tokenset_add(&all, tokens[i]) < 0) {
			say_short_of_memory(s);
			break;
		}
	}
	mg_tokenset_free(&s->own);
	s->own = all;
	mg_store_tell_resync(s, s->self, false);
	for (size_t i = 0; i < s->own.n; i++)
		mg_store_tell_token(s, s->self, s->own.tokens[i], true);
	mg_store_tell_resync(s, s->self, true);
	s->ops->own_all(s);
}

int mg_store_drain(struct mg_store *s, const char *proxy, bool on)
{
	struct mg_store_flag *f;

	if (!mg_news_name_ok(proxy, strlen(proxy)))
		return -EINVAL;
	f = mg_store_flag(s, proxy, on);
	if (!f)
		return -ENOSPC;
	s->ops->drain(s, f);
	return 0;
}

bool mg_store_drained(struct mg_store *s, const char *proxy)
{
	const struct mg_store_flag *f = find_flag(s, proxy);

	return f && f->on;
}

void mg_store_status(const struct mg_store *s, struct mg_store_status *out)
{
	*out = s->status;
}

/* ---- memory: this process only ------------------------------------------------------------- */

struct memory {
	struct mg_store base;
	struct mg_timer heartbeat;
};

static void memory_beats(struct mg_timer *t)
{
	struct memory *m = mg_container_of(t, struct memory, heartbeat);

	mg_store_tell_self(&m->base);
	mg_timer_arm(&m->base.loop->timers, t, mg_clock_ms() + m->base.heartbeat_ms);
}

static void memory_close(struct mg_store *s)
{
	mg_timer_disarm(&s->loop->timers, &mg_container_of(s, struct memory, base)->heartbeat);
}

static void memory_joins(struct mg_store *s)
{
	struct memory *m = mg_container_of(s, struct memory, base);

	mg_timer_arm(&s->loop->timers, &m->heartbeat, mg_clock_ms() + s->heartbeat_ms);
}

static void memory_owns(struct mg_store *s, uint32_t token)
{
	(void)token;
	s->status.published++;
}

static void memory_owns_all(struct mg_store *s)
{
	s->status.resyncs++;
}

static void memory_drains(struct mg_store *s, struct mg_store_flag *flag)
{
	if (!flag->on)
		mg_store_forget_flag(s, flag);
}

static const struct mg_store_ops memory_ops = {
	.close = memory_close,
	.join = memory_joins,
	.own = memory_owns,
	.own_all = memory_owns_all,
	.drain = memory_drains,
};

static int memory_open(struct mg_store **out, struct mg_loop *loop,
		       const struct mg_store_listener *listener)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->heartbeat.fire = memory_beats;
	m->base.status.kind = "memory";
	if (mg_store_init(&m->base, &memory_ops, loop, listener)) {
		mg_store_free(&m->base);
		return -ENOMEM;
	}
	*out = &m->base;
	mg_store_tell_reachable(&m->base, true);
	return 0;
}

int mg_store_open(struct mg_store **out, struct mg_loop *loop, const char *url,
		  const struct mg_store_listener *listener)
{
	struct mg_store_url parsed;
	const char *why;
	int err = mg_store_url_parse(&parsed, url, &why);

	/* Not the URL itself: there may be a password in it. */
	if (err) {
		mg_error("store: %s", why);
		return err;
	}
	if (parsed.kind == MG_STORE_MEMORY)
		err = memory_open(out, loop, listener);
	else
		err = mg_store_redis_open(out, loop, &parsed, listener);
	if (err)
		mg_error("store: %s", strerror(-err));
	return err;
}

void mg_store_close(struct mg_store *s)
{
	if (!s)
		return;
	s->ops->close(s);
	mg_store_free(s);
}
