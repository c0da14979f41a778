/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is where: prefixes of clients, each with its access network and its subscriber's identity, as
 * commands and RADIUS tell it while we run, written through to the kernel's side.
 *
 * The latest word on a prefix counts, whoever says it; the configuration's prefixes are what holds
 * where nobody said anything. Names are kept as such: a reload that takes an access network away,
 * or brings it back, changes what they stand for. All calls on the thread of the loop but
 * mg_feed_epoch's and mg_feed_identity_copy's.
 */
#ifndef MG_ACCESS_FEED_H
#define MG_ACCESS_FEED_H

#include "access/identities.h"
#include "base/loop.h"
#include "config/config.h"

struct mg_admission;
struct mg_feed;

/* X(SYMBOL, label, "doc") */
#define MG_FEED_SOURCES(X)                               \
	X(CONFIG, config, "prefixes of access_networks") \
	X(COMMAND, command, "mpgatectl access set")      \
	X(RADIUS, radius, "accounting requests of configured clients")
enum mg_feed_source {
#define X(sym, label, doc) MG_FEED_##sym,
	MG_FEED_SOURCES(X)
#undef X
};
const char *mg_feed_source_label(enum mg_feed_source source);

/* When what is said was so, as far as that can be told: a word that was late is no later word. */
struct mg_feed_when {
	uint64_t at_ms;	  /* of mg_clock_ms, to the second */
	uint64_t clock;	  /* whose clock event_s is of; 0: there is none */
	uint32_t event_s; /* by it */
};

struct mg_feed_word {
	struct mg_prefix prefix;
	const char *access;	      /* name; "": not known */
	struct mg_identity *identity; /* NULL: not known. The feed takes a reference of its own */
	enum mg_feed_source source;
	uint64_t owner; /* 0: nobody's in particular */
	struct mg_feed_when when;
	uint64_t ttl_ms; /* from now; 0: until somebody says something else */
};

/* What is kept of it; valid until the next change */
struct mg_feed_shown {
	struct mg_prefix prefix;
	const char *access;	/* "" */
	const char *subscriber; /* "" */
	enum mg_feed_source source;
	uint64_t expires_ms; /* 0: never */
};

/* `a` NULL: nothing can be said. 0 or -errno. */
int mg_feed_open(struct mg_feed **out, struct mg_loop *l, struct mg_admission *a,
		 const struct mg_config *c);
void mg_feed_close(struct mg_feed *f); /* NULL is allowed */
/* After mg_admission_apply: what names stand for is looked up anew, of a great many entries some
 * moments later. 0; or -errno, and classes are those of before. `c` is kept in any case. */
int mg_feed_reload(struct mg_feed *f, const struct mg_config *c);

/* In force when it returns. 0; -ESTALE: what is known is of a later time; -ENOSPC: no room, or too
 * many lengths of prefixes; -errno. */
int mg_feed_set(struct mg_feed *f, const struct mg_feed_word *word);
int mg_feed_del(struct mg_feed *f, const struct mg_prefix *prefix); /* 0 or -ENOENT */
/* Only if it is that owner's word that counts. Whether it was. */
bool mg_feed_del_owned(struct mg_feed *f, const struct mg_prefix *prefix, uint64_t owner);
/* Is there a word on exactly that prefix, and is it not that owner's? */
bool mg_feed_is_others(const struct mg_feed *f, const struct mg_prefix *prefix, uint64_t owner);
/* Is it that owner's, and of that access network? */
bool mg_feed_is_said(const struct mg_feed *f, const struct mg_prefix *prefix, uint64_t owner,
		     const char *access);
/* Is there an access network of that name? */
bool mg_feed_knows(const struct mg_feed *f, const char *access);

/* Goes up with every change. Any thread. */
uint64_t mg_feed_epoch(const struct mg_feed *f);
size_t mg_feed_count(const struct mg_feed *f);
/* The configuration's prefixes first, the others in no order. */
void mg_feed_each(const struct mg_feed *f, void (*fn)(void *ctx, const struct mg_feed_shown *row),
		  void *ctx);

/*
 * Identities: a text that is not empty, of at most MG_IDENTITY_TEXT_MAX bytes. What would be no
 * good text to show (not UTF-8, control characters) is kept as %XX. NULL without memory, or for an
 * empty one. To be released.
 */
struct mg_identity *mg_feed_identify(struct mg_feed *f, const void *text, size_t len);
struct mg_identity *mg_feed_hold(struct mg_feed *f, struct mg_identity *id);
void mg_feed_release(struct mg_feed *f, struct mg_identity *id); /* NULL is allowed */
/* What a number of the kernel's side means (NULL: not known), and the number of a text. */
const char *mg_feed_identity_text(const struct mg_feed *f, uint64_t number);
uint64_t mg_feed_identity_number(const struct mg_feed *f, const char *text);
/* The text, for any thread, copied, with the zero; false: not known, or longer. */
bool mg_feed_identity_copy(struct mg_feed *f, uint64_t number, char *to, size_t size);

#endif
