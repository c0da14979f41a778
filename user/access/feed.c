// SPDX-License-Identifier: BSD-2-Clause
#include "access/feed.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "abi/siphash.h"
#include "access/classes.h"
#include "access/deadlines.h"
#include "access/text.h"
#include "access/walk.h"
#include "base/clock.h"
#include "base/log.h"
#include "sys/admission.h"

#define BUCKETS ((size_t)1 << 19)
/* What `when` of two words may differ by before one is the later: it is told in seconds. */
#define SLACK_MS 1000

/* An access network that entries speak of, configured or not. */
struct name {
	char text[MG_MEMBER_NAME];
	uint32_t number; /* 0: not configured, or "" */
};

struct item {
	struct mg_index_node node;
	struct mg_timer expiry;
	struct mg_feed *feed;
	struct mg_prefix prefix;
	uint8_t source;
	uint16_t name;		/* of names */
	uint32_t access, class; /* as the kernel's side has them */
	struct mg_identity *identity;
	uint64_t owner;
	struct mg_feed_when when;
	uint64_t expires_ms; /* 0: never */
};

struct mg_feed {
	struct mg_admission *admission;
	const struct mg_config *config;
	struct mg_index items; /* by prefix */
	struct mg_deadlines deadlines;
	struct mg_identities identities;
	struct mg_classes *classes;
	uint32_t generation; /* of classes */
	struct mg_walk renewal;
	struct name *names; /* the first is "" */
	size_t n_names;
	uint8_t key[16];
	atomic_uint_fast64_t epoch;
};

static const char *const labels[] = {
#define X(sym, label, doc) [MG_FEED_##sym] = #label,
	MG_FEED_SOURCES(X)
#undef X
};

const char *mg_feed_source_label(enum mg_feed_source source)
{
	return labels[source];
}

/* ---- names ----------------------------------------------------------------------------------- */

static uint32_t number_of(const struct mg_feed *f, const char *access)
{
	const struct mg_config_policies *p = &f->config->policies;

	for (size_t i = 0; i < p->n_access; i++) {
		if (strcmp(p->access[i].name, access) == 0)
			return mg_admission_access_number(f->admission, access);
	}
	return 0;
}

bool mg_feed_knows(const struct mg_feed *f, const char *access)
{
	return number_of(f, access) != 0;
}

/* The place of a name, or -ENOMEM. */
static int find_name(struct mg_feed *f, const char *access)
{
	struct name *more;

	for (size_t i = 0; i < f->n_names; i++) {
		if (strcmp(f->names[i].text, access) == 0)
			return (int)i;
	}
	if (f->n_names > UINT16_MAX || strlen(access) >= MG_MEMBER_NAME)
		return -ENOSPC;
	more = realloc(f->names, (f->n_names + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	f->names = more;
	memset(&more[f->n_names], 0, sizeof(*more));
	memcpy(more[f->n_names].text, access, strlen(access));
	more[f->n_names].number = number_of(f, access);
	return (int)f->n_names++;
}

static uint32_t class_number(void *ctx, const char *name)
{
	return mg_admission_class_number(ctx, name);
}

static uint32_t class_of(const struct mg_feed *f, struct mg_identity *id)
{
	if (!id)
		return 0;
	if (id->generation != f->generation) {
		id->class = mg_classes_of(f->classes, id->text);
		id->generation = f->generation;
	}
	return id->class;
}

/* ---- one prefix ------------------------------------------------------------------------------ */

static struct mg_prefix masked(const struct mg_prefix *prefix)
{
	struct mg_prefix p = *prefix;

	for (unsigned int bit = p.len; bit < 128; bit++)
		p.ip.s6_addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return p;
}

static uint64_t hash(const struct mg_feed *f, const struct mg_prefix *p)
{
	uint8_t bytes[sizeof(p->ip) + 1];

	memcpy(bytes, &p->ip, sizeof(p->ip));
	bytes[sizeof(p->ip)] = p->len;
	return mg_siphash24(f->key, bytes, sizeof(bytes));
}

/* Of one that is masked */
static struct item *find(const struct mg_feed *f, const struct mg_prefix *p)
{
	uint64_t number = hash(f, p);
	struct mg_index_node *at = NULL;

	while ((at = mg_index_next(&f->items, at, number))) {
		struct item *item = mg_container_of(at, struct item, node);

		if (item->prefix.len == p->len && mg_ip_equal(&item->prefix.ip, &p->ip))
			return item;
	}
	return NULL;
}

static void changed(struct mg_feed *f)
{
	atomic_fetch_add_explicit(&f->epoch, 1, memory_order_release);
}

static void drop(struct mg_feed *f, struct item *item)
{
	int err = mg_admission_feed_del(f->admission, &item->prefix);
	char text[MG_PREFIX_STRLEN];

	if (err && err != -ENOENT)
		mg_error("access: cannot take back what was said of %s: %s",
			 mg_prefix_format(text, &item->prefix), strerror(-err));
	mg_deadlines_clear(&f->deadlines, &item->expiry);
	mg_index_remove(&f->items, &item->node);
	mg_identities_put(&f->identities, item->identity);
	free(item);
	changed(f);
}

static void expired(struct mg_timer *t)
{
	struct item *item = mg_container_of(t, struct item, expiry);

	drop(item->feed, item);
}

static bool is_older(const struct mg_feed_when *when, const struct mg_feed_when *than)
{
	if (when->clock && when->clock == than->clock)
		return when->event_s < than->event_s;
	return when->at_ms + SLACK_MS < than->at_ms;
}

static int write_through(struct mg_feed *f, const struct item *item, uint64_t ttl_ms)
{
	const struct mg_feed_row row = {
		.prefix = item->prefix,
		.access = item->access,
		.identity = item->identity ? item->identity->node.number : 0,
		.class = item->class,
		.ttl_ms = ttl_ms,
	};

	return mg_admission_feed_set(f->admission, &row);
}

/* What the item becomes; nothing of it is in force yet. */
static int describe(struct mg_feed *f, struct item *next, const struct mg_feed_word *word)
{
	int name = find_name(f, word->access);

	if (name < 0)
		return name;
	next->source = (uint8_t)word->source;
	next->name = (uint16_t)name;
	next->access = f->names[name].number;
	next->identity = word->identity;
	next->class = class_of(f, word->identity);
	next->owner = word->owner;
	next->when = word->when;
	next->expires_ms = word->ttl_ms ? mg_clock_ms() + word->ttl_ms : 0;
	return 0;
}

static struct item *new_item(struct mg_feed *f, const struct mg_prefix *prefix)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	item->feed = f;
	item->prefix = *prefix;
	item->expiry.fire = expired;
	return item;
}

int mg_feed_set(struct mg_feed *f, const struct mg_feed_word *word)
{
	struct mg_prefix prefix = masked(&word->prefix);
	struct item *item = find(f, &prefix), *made = NULL, next;
	struct mg_identity *last;
	int err;

	if (!f->admission)
		return -ENODEV;
	if (item && item->owner != word->owner && is_older(&word->when, &item->when))
		return -ESTALE;
	if (!item)
		item = made = new_item(f, &prefix);
	if (!item)
		return -ENOMEM;
	next = *item;
	err = describe(f, &next, word);
	/* Moving a deadline cannot fail, and what fires too early looks again. */
	if (!err && next.expires_ms)
		err = mg_deadlines_set(&f->deadlines, &item->expiry, next.expires_ms);
	if (!err)
		err = write_through(f, &next, word->ttl_ms);
	if (err) {
		if (made || !item->expires_ms)
			mg_deadlines_clear(&f->deadlines, &item->expiry);
		else
			mg_deadlines_set(&f->deadlines, &item->expiry, item->expires_ms);
		free(made);
		return err;
	}
	last = item->identity;
	next.expiry = item->expiry;
	*item = next;
	mg_identities_ref(&f->identities, item->identity);
	mg_identities_put(&f->identities, last);
	if (!item->expires_ms)
		mg_deadlines_clear(&f->deadlines, &item->expiry);
	if (made)
		mg_index_add(&f->items, &item->node, hash(f, &prefix));
	changed(f);
	return 0;
}

int mg_feed_del(struct mg_feed *f, const struct mg_prefix *prefix)
{
	struct mg_prefix p = masked(prefix);
	struct item *item = find(f, &p);

	if (!item)
		return -ENOENT;
	drop(f, item);
	return 0;
}

bool mg_feed_del_owned(struct mg_feed *f, const struct mg_prefix *prefix, uint64_t owner)
{
	struct mg_prefix p = masked(prefix);
	struct item *item = find(f, &p);

	if (!item || item->owner != owner)
		return false;
	drop(f, item);
	return true;
}

bool mg_feed_is_others(const struct mg_feed *f, const struct mg_prefix *prefix, uint64_t owner)
{
	struct mg_prefix p = masked(prefix);
	const struct item *item = find(f, &p);

	return item && item->owner != owner;
}

bool mg_feed_is_said(const struct mg_feed *f, const struct mg_prefix *prefix, uint64_t owner,
		     const char *access)
{
	struct mg_prefix p = masked(prefix);
	const struct item *item = find(f, &p);

	return item && item->owner == owner && strcmp(f->names[item->name].text, access) == 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* What its names stand for may have changed. */
static bool renew(void *ctx, struct mg_index_node *node)
{
	struct mg_feed *f = ctx;
	struct item *item = mg_container_of(node, struct item, node);
	uint64_t now_ms = mg_clock_ms();
	uint32_t access = f->names[item->name].number;
	uint32_t class = class_of(f, item->identity);
	char text[MG_PREFIX_STRLEN];
	int err;

	if (access == item->access && class == item->class)
		return false;
	if (item->expires_ms && item->expires_ms <= now_ms)
		return false;
	item->access = access;
	item->class = class;
	err = write_through(f, item, item->expires_ms ? item->expires_ms - now_ms : 0);
	if (err)
		mg_error("access: cannot say anew where %s is: %s",
			 mg_prefix_format(text, &item->prefix), strerror(-err));
	changed(f);
	return true;
}

int mg_feed_reload(struct mg_feed *f, const struct mg_config *c)
{
	struct mg_classes *classes;
	int err = mg_classes_make(&classes, &c->policies, class_number, f->admission);

	f->config = c;
	if (err)
		return err;
	mg_classes_free(f->classes);
	f->classes = classes;
	for (size_t i = 0; i < f->n_names; i++)
		f->names[i].number = number_of(f, f->names[i].text);
	f->generation++;
	mg_walk_start(&f->renewal);
	return 0;
}

int mg_feed_open(struct mg_feed **out, struct mg_loop *l, struct mg_admission *a,
		 const struct mg_config *c)
{
	struct mg_feed *f = calloc(1, sizeof(*f));
	int err;

	*out = f;
	if (!f)
		return -ENOMEM;
	f->admission = a;
	f->config = c;
	mg_deadlines_init(&f->deadlines, l);
	err = mg_identities_init(&f->identities);
	if (!err && getrandom(f->key, sizeof(f->key), 0) != sizeof(f->key))
		err = -EIO;
	if (!err)
		err = mg_index_init(&f->items, BUCKETS);
	if (!err)
		err = find_name(f, "") < 0 ? -ENOMEM : 0;
	mg_walk_init(&f->renewal, l, &f->items, renew, f);
	if (!err)
		err = mg_feed_reload(f, c);
	if (err) {
		mg_feed_close(f);
		*out = NULL;
	}
	return err;
}

void mg_feed_close(struct mg_feed *f)
{
	if (!f)
		return;
	mg_walk_stop(&f->renewal);
	mg_deadlines_free(&f->deadlines);
	if (f->items.buckets) {
		mg_index_for_each(at, after, &f->items)
			free(mg_container_of(at, struct item, node));
	}
	mg_index_free(&f->items);
	mg_identities_free(&f->identities);
	mg_classes_free(f->classes);
	free(f->names);
	free(f);
}

uint64_t mg_feed_epoch(const struct mg_feed *f)
{
	return atomic_load_explicit(&((struct mg_feed *)f)->epoch, memory_order_acquire);
}

size_t mg_feed_count(const struct mg_feed *f)
{
	return f->items.n;
}

void mg_feed_each(const struct mg_feed *f, void (*fn)(void *ctx, const struct mg_feed_shown *row),
		  void *ctx)
{
	const struct mg_config_policies *p = &f->config->policies;

	for (size_t i = 0; i < p->n_access; i++) {
		struct mg_feed_shown row = { .access = p->access[i].name, .subscriber = "" };

		for (size_t j = 0; j < p->access[i].n_prefixes; j++) {
			row.prefix = p->access[i].prefixes[j];
			fn(ctx, &row);
		}
	}
	mg_index_for_each(at, after, &f->items)
	{
		const struct item *item = mg_container_of(at, struct item, node);
		struct mg_feed_shown row = {
			.prefix = item->prefix,
			.access = f->names[item->name].text,
			.subscriber = item->identity ? item->identity->text : "",
			.source = (enum mg_feed_source)item->source,
			.expires_ms = item->expires_ms,
		};

		fn(ctx, &row);
	}
}

/* ---- identities ------------------------------------------------------------------------------ */

struct mg_identity *mg_feed_identify(struct mg_feed *f, const void *text, size_t len)
{
	char clean[3 * MG_IDENTITY_TEXT_MAX + 1];
	if (!len || len > MG_IDENTITY_TEXT_MAX)
		return NULL;
	mg_text_clean(clean, text, len);
	return mg_identities_get(&f->identities, clean);
}

struct mg_identity *mg_feed_hold(struct mg_feed *f, struct mg_identity *id)
{
	return mg_identities_ref(&f->identities, id);
}

void mg_feed_release(struct mg_feed *f, struct mg_identity *id)
{
	mg_identities_put(&f->identities, id);
}

const char *mg_feed_identity_text(const struct mg_feed *f, uint64_t number)
{
	return mg_identities_text(&f->identities, number);
}

bool mg_feed_identity_copy(struct mg_feed *f, uint64_t number, char *to, size_t size)
{
	return mg_identities_copy(&f->identities, number, to, size);
}

uint64_t mg_feed_identity_number(const struct mg_feed *f, const char *text)
{
	return mg_identities_number(&f->identities, text);
}
