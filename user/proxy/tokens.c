// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/tokens.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_FIRST 1024

struct subflow {
	struct subflow *next;
	struct mg_ep local, remote;
	bool backup;
};

struct mg_token_entry {
	struct mg_token_entry *next;
	uint32_t token;
	struct subflow *subflows;
};

int mg_tokens_init(struct mg_tokens *t)
{
	*t = (struct mg_tokens){ .n_buckets = BUCKETS_FIRST };
	t->buckets = calloc(t->n_buckets, sizeof(struct mg_token_entry *));
	return t->buckets ? 0 : -ENOMEM;
}

/* A token is the head of a SHA-256: as good as random. */
static struct mg_token_entry **find(const struct mg_tokens *t, uint32_t token)
{
	struct mg_token_entry **at = &t->buckets[token % t->n_buckets];

	while (*at && (*at)->token != token)
		at = &(*at)->next;
	return at;
}

static struct subflow **find_subflow(struct mg_token_entry *e, const struct mg_ep *local,
				     const struct mg_ep *remote)
{
	struct subflow **at = &e->subflows;

	while (*at && !(mg_ep_equal(&(*at)->local, local) && mg_ep_equal(&(*at)->remote, remote)))
		at = &(*at)->next;
	return at;
}

static void forget_subflow(struct subflow **at)
{
	struct subflow *gone = *at;

	*at = gone->next;
	free(gone);
}

static void forget(struct mg_tokens *t, struct mg_token_entry **at)
{
	struct mg_token_entry *gone = *at;

	while (gone->subflows)
		forget_subflow(&gone->subflows);
	*at = gone->next;
	free(gone);
	t->n--;
}

static void forget_all(struct mg_tokens *t)
{
	for (size_t i = 0; i < t->n_buckets; i++) {
		while (t->buckets[i])
			forget(t, &t->buckets[i]);
	}
}

void mg_tokens_free(struct mg_tokens *t)
{
	if (t->buckets)
		forget_all(t);
	free(t->buckets);
	t->buckets = NULL;
}

/* Without memory the table stays as it is, only slower. */
static void grow(struct mg_tokens *t)
{
	struct mg_tokens bigger = { .n_buckets = t->n_buckets * 2 };

	bigger.buckets = calloc(bigger.n_buckets, sizeof(struct mg_token_entry *));
	if (!bigger.buckets)
		return;
	for (size_t i = 0; i < t->n_buckets; i++) {
		struct mg_token_entry *e = t->buckets[i], *next;

		for (; e; e = next) {
			struct mg_token_entry **at = &bigger.buckets[e->token % bigger.n_buckets];

			next = e->next;
			e->next = *at;
			*at = e;
		}
	}
	free(t->buckets);
	t->buckets = bigger.buckets;
	t->n_buckets = bigger.n_buckets;
}

void mg_tokens_created(struct mg_tokens *t, uint32_t token)
{
	struct mg_token_entry **at = find(t, token);

	if (*at)
		forget(t, at);
	at = find(t, token);
	*at = calloc(1, sizeof(**at));
	if (!*at)
		return;
	(*at)->token = token;
	if (++t->n > t->n_buckets)
		grow(t);
}

static void note_subflow(struct mg_token_entry *e, const struct mg_pm_event *ev)
{
	struct subflow **at = find_subflow(e, &ev->local, &ev->remote);

	if (!*at)
		*at = calloc(1, sizeof(**at));
	if (!*at)
		return;
	(*at)->local = ev->local;
	(*at)->remote = ev->remote;
	(*at)->backup = ev->backup;
}

void mg_tokens_event(struct mg_tokens *t, const struct mg_pm_event *ev,
		     bool (*ours)(void *ctx, const struct mg_ep *local), void *ctx)
{
	struct mg_token_entry **at = find(t, ev->token);
	struct subflow **sub = *at ? find_subflow(*at, &ev->local, &ev->remote) : NULL;

	switch (ev->kind) {
	case MG_PM_CREATED:
		if (ours(ctx, &ev->local))
			mg_tokens_created(t, ev->token);
		break;
	case MG_PM_CLOSED:
		if (*at)
			forget(t, at);
		break;
	case MG_PM_SUBFLOW_UP:
		if (*at) {
			t->joins++;
			note_subflow(*at, ev);
		}
		break;
	case MG_PM_SUBFLOW_DOWN:
		if (sub && *sub)
			forget_subflow(sub);
		break;
	case MG_PM_SUBFLOW_PRIORITY:
		/* The first subflow is not announced as joining; it may turn up here. */
		if (*at)
			note_subflow(*at, ev);
		break;
	case MG_PM_ESTABLISHED:
		break;
	case MG_PM_LOST:
		forget_all(t);
		break;
	}
}

void mg_tokens_joined(struct mg_tokens *t, uint32_t token, const struct mg_ep *local,
		      const struct mg_ep *remote)
{
	const struct mg_pm_event ev = { .local = *local, .remote = *remote };
	struct mg_token_entry *e = *find(t, token);

	if (e)
		note_subflow(e, &ev);
}

void mg_tokens_each(const struct mg_tokens *t,
		    void (*fn)(void *ctx, uint32_t token, const struct mg_ep *local,
			       const struct mg_ep *remote),
		    void *ctx)
{
	for (size_t i = 0; i < t->n_buckets; i++) {
		for (const struct mg_token_entry *e = t->buckets[i]; e; e = e->next) {
			for (const struct subflow *s = e->subflows; s; s = s->next)
				fn(ctx, e->token, &s->local, &s->remote);
		}
	}
}

bool mg_tokens_backup(const struct mg_tokens *t, uint32_t token, const struct mg_ep *local,
		      const struct mg_ep *remote)
{
	struct mg_token_entry *e = *find(t, token);
	struct subflow *sub = e ? *find_subflow(e, local, remote) : NULL;

	return sub && sub->backup;
}
