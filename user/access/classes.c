// SPDX-License-Identifier: BSD-2-Clause
#include "access/classes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
	char *text;
	size_t len;
	bool open; /* the beginning of an identity */
	uint32_t class;
	size_t order;
};

struct mg_classes {
	size_t n;
	struct pattern all[]; /* the closed ones; then the open ones, longest first */
};

/* Without their places in the file: what two of them may say of one identity */
static int compare_texts(const struct pattern *a, const struct pattern *b)
{
	if (a->open != b->open)
		return a->open ? 1 : -1;
	if (a->len != b->len)
		return a->len > b->len ? -1 : 1;
	return memcmp(a->text, b->text, a->len);
}

static int compare(const void *va, const void *vb)
{
	const struct pattern *a = va, *b = vb;
	int by_text = compare_texts(a, b);

	return by_text ? by_text : a->order < b->order ? -1 : a->order > b->order;
}

static int set(struct pattern *p, const char *text, uint32_t class, size_t order)
{
	size_t len = strlen(text);
	bool open = len && text[len - 1] == '*';

	*p = (struct pattern){ .text = strdup(text),
			       .len = len - open,
			       .open = open,
			       .class = class,
			       .order = order };
	return p->text ? 0 : -ENOMEM;
}

/* Of alike ones the first stays. */
static void drop_repeated(struct mg_classes *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (n && !compare_texts(&c->all[n - 1], &c->all[i]))
			free(c->all[i].text);
		else
			c->all[n++] = c->all[i];
	}
	c->n = n;
}

int mg_classes_make(struct mg_classes **out, const struct mg_config_policies *p,
		    mg_class_number_fn *number, void *ctx)
{
	struct mg_classes *c;
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; i < p->n_subscribers; i++)
		n += p->subscribers[i].n_identities;
	*out = c = calloc(1, sizeof(*c) + n * sizeof(c->all[0]));
	if (!c)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_subscribers; i++) {
		const struct mg_config_subscribers *s = &p->subscribers[i];
		uint32_t class = s->n_identities ? number(ctx, s->name) : 0;

		for (size_t j = 0; j < s->n_identities && !err; j++) {
			err = set(&c->all[c->n], s->identities[j], class, c->n);
			c->n++;
		}
	}
	if (err) {
		mg_classes_free(c);
		*out = NULL;
		return err;
	}
	qsort(c->all, c->n, sizeof(c->all[0]), compare);
	drop_repeated(c);
	return 0;
}

void mg_classes_free(struct mg_classes *c)
{
	for (size_t i = 0; c && i < c->n; i++)
		free(c->all[i].text);
	free(c);
}

/* The first pattern that does not come before `key`. */
static size_t first_from(const struct mg_classes *c, const struct pattern *key)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_texts(&c->all[mid], key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint32_t mg_classes_of(const struct mg_classes *c, const char *identity)
{
	struct pattern key = { .text = (char *)identity, .len = strlen(identity) };
	size_t at = first_from(c, &key);

	if (at < c->n && !compare_texts(&c->all[at], &key))
		return c->all[at].class;
	/* One step for each length that occurs: the next one is told by where the search ends. */
	key.open = true;
	for (;;) {
		at = first_from(c, &key);
		if (at == c->n)
			return 0;
		if (!compare_texts(&c->all[at], &key))
			return c->all[at].class;
		if (c->all[at].len < key.len)
			key.len = c->all[at].len;
		else if (key.len-- == 0)
			return 0;
	}
}
