// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

/* More names than proxies can have numbers; who writes to the store cannot fill our memory. */
#define MEMBERS_MAX   1024
#define BUCKETS_MIN   1024
#define PUSH_AGAIN_MS 1000

/* One token of one member: in the chain of its bucket, in order of arrival, and in the member's
 * list. Places in the array `entries`, 0 is none. */
struct entry {
	uint32_t token;
	uint16_t member; /* from 0 */
	uint8_t round;	 /* of the member's resync in which it was told last */
	uint8_t unpushed;
	uint32_t since_s;
	uint32_t next; /* in the bucket; of a free entry, the next free one */
	uint32_t member_next, member_prev;
};

struct member {
	char name[MG_MEMBER_NAME];
	uint16_t proxy;
	bool known; /* the store told of it */
	bool alive;
	uint8_t round;
	uint64_t sessions;
	uint32_t first; /* of its entries */
};

struct mg_directory {
	struct mg_loop *loop;
	struct mg_directory_options options;
	struct mg_timer overdue, again;
	bool reachable;
	bool full; /* the map refused; said once */
	struct member *members;
	size_t n_members;
	struct entry *entries;
	uint32_t room; /* entries[1] to entries[room - 1] */
	uint32_t free, n;
	uint32_t *buckets;
	uint32_t n_buckets; /* a power of two */
	size_t unpushed, collisions;
	uint64_t refused;
};

/* Tokens are hashes already, but a proxy that means ill chooses its own. */
static uint32_t bucket_of(const struct mg_directory *d, uint32_t token)
{
	return (uint32_t)((token * 0x9e3779b97f4a7c15ULL) >> 32) & (d->n_buckets - 1);
}

static uint32_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint32_t)ts.tv_sec;
}

/* ---- members ------------------------------------------------------------------------------- */

static struct member *find_member(const struct mg_directory *d, const char *name)
{
	for (size_t i = 0; i < d->n_members; i++) {
		if (strcmp(d->members[i].name, name) == 0)
			return &d->members[i];
	}
	return NULL;
}

/* One of whom nothing is known any more gives its place away. */
static struct member *idle_member(const struct mg_directory *d)
{
	for (size_t i = 0; i < d->n_members; i++) {
		struct member *m = &d->members[i];

		if (!m->proxy && !m->first && !m->alive)
			return m;
	}
	return NULL;
}

static struct member *get_member(struct mg_directory *d, const char *name)
{
	struct member *m = find_member(d, name);

	if (m)
		return m;
	if (strlen(name) >= sizeof(m->name) || !*name) {
		d->refused++;
		return NULL;
	}
	m = d->n_members < MEMBERS_MAX ? &d->members[d->n_members] : idle_member(d);
	if (!m) {
		d->refused++;
		return NULL;
	}
	if (d->n_members < MEMBERS_MAX)
		d->n_members++;
	*m = (struct member){ 0 };
	memcpy(m->name, name, strlen(name) + 1);
	return m;
}

/* ---- entries ------------------------------------------------------------------------------- */

/* The end of the bucket's chain, or the entry itself. */
static uint32_t *find_entry(const struct mg_directory *d, uint16_t member, uint32_t token)
{
	uint32_t *at = &d->buckets[bucket_of(d, token)];

	while (*at && (d->entries[*at].token != token || d->entries[*at].member != member))
		at = &d->entries[*at].next;
	return at;
}

static unsigned int owners_count(const struct mg_directory *d, uint32_t token)
{
	unsigned int n = 0;

	for (uint32_t at = d->buckets[bucket_of(d, token)]; at; at = d->entries[at].next)
		n += d->entries[at].token == token;
	return n;
}

static int grow_entries(struct mg_directory *d)
{
	uint32_t room = d->room ? d->room * 2 : BUCKETS_MIN;
	struct entry *more = reallocarray(d->entries, room, sizeof(*more));

	if (!more)
		return -ENOMEM;
	for (uint32_t i = d->room ? d->room : 1; i < room; i++) {
		more[i].next = d->free;
		d->free = i;
	}
	d->entries = more;
	d->room = room;
	return 0;
}

/* Chains keep their order: of each, what is found first is put at the end first. */
static int grow_buckets(struct mg_directory *d)
{
	uint32_t last = d->n_buckets, n = last ? last * 2 : BUCKETS_MIN;
	uint32_t *old = d->buckets, *buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return -ENOMEM;
	d->buckets = buckets;
	d->n_buckets = n;
	for (uint32_t b = 0; b < last; b++) {
		uint32_t at = old[b];

		while (at) {
			struct entry *e = &d->entries[at];
			uint32_t next = e->next, *end = find_entry(d, UINT16_MAX, e->token);

			e->next = 0;
			*end = at;
			at = next;
		}
	}
	free(old);
	return 0;
}

static struct entry *add_entry(struct mg_directory *d, struct member *m, uint32_t token)
{
	uint16_t number = (uint16_t)(m - d->members);
	struct entry *e;
	uint32_t at;

	if (d->n >= d->options.tokens_max || (!d->free && grow_entries(d)) ||
	    (d->n >= d->n_buckets && grow_buckets(d))) {
		d->refused++;
		return NULL;
	}
	at = d->free;
	e = &d->entries[at];
	d->free = e->next;
	*e = (struct entry){ .token = token, .member = number, .member_next = m->first };
	if (m->first)
		d->entries[m->first].member_prev = at;
	m->first = at;
	*find_entry(d, number, token) = at;
	d->n++;
	d->collisions += owners_count(d, token) == 2;
	return e;
}

static void set_unpushed(struct mg_directory *d, struct entry *e, bool yes)
{
	d->unpushed = d->unpushed + yes - e->unpushed;
	e->unpushed = yes;
}

/* `link` is what find_entry returned. */
static void take_entry(struct mg_directory *d, uint32_t *link)
{
	uint32_t at = *link;
	struct entry *e = &d->entries[at];

	*link = e->next;
	if (e->member_prev)
		d->entries[e->member_prev].member_next = e->member_next;
	else
		d->members[e->member].first = e->member_next;
	if (e->member_next)
		d->entries[e->member_next].member_prev = e->member_prev;
	set_unpushed(d, e, false);
	d->collisions -= owners_count(d, e->token) == 1;
	e->next = d->free;
	d->free = at;
	d->n--;
}

/* ---- the map ------------------------------------------------------------------------------- */

/* The first two owners that have a number. Says whether there is one. */
static bool owners_of(const struct mg_directory *d, uint32_t token, struct mg_owners *owners)
{
	*owners = (struct mg_owners){ 0 };
	for (uint32_t at = d->buckets[bucket_of(d, token)]; at; at = d->entries[at].next) {
		const struct entry *e = &d->entries[at];
		uint16_t proxy = d->members[e->member].proxy;

		if (e->token != token || !proxy)
			continue;
		if (owners->proxy) {
			owners->second = proxy;
			break;
		}
		owners->proxy = proxy;
		owners->since_s = e->since_s;
	}
	return owners->proxy != 0;
}

static void note_push(struct mg_directory *d, uint32_t token, bool refused)
{
	for (uint32_t at = d->buckets[bucket_of(d, token)]; at; at = d->entries[at].next) {
		struct entry *e = &d->entries[at];

		if (e->token == token)
			set_unpushed(d, e, refused && d->members[e->member].proxy);
	}
}

static int push(struct mg_directory *d, uint32_t token)
{
	struct mg_owners owners;
	bool any = owners_of(d, token, &owners);
	int err = d->options.push(d->options.ctx, token, any ? &owners : NULL);

	if (!any) {
		if (d->unpushed && !mg_timer_armed(&d->again))
			mg_timer_arm(&d->loop->timers, &d->again, d->loop->now_ms + PUSH_AGAIN_MS);
		return err;
	}
	note_push(d, token, err != 0);
	if (err && !d->full)
		mg_warn("gateway.tokens_max: no room for token %08x: %s (said once)", token,
			strerror(-err));
	d->full = err != 0;
	return err;
}

/* Room was made: what had none is tried again. */
static void push_again(struct mg_timer *t)
{
	struct mg_directory *d = mg_container_of(t, struct mg_directory, again);

	for (uint32_t b = 0; b < d->n_buckets && d->unpushed; b++) {
		for (uint32_t at = d->buckets[b]; at; at = d->entries[at].next) {
			if (d->entries[at].unpushed && push(d, d->entries[at].token))
				return;
		}
	}
}

/* ---- what is told -------------------------------------------------------------------------- */

static void own(struct mg_directory *d, struct member *m, uint32_t token, uint32_t since_s,
		uint8_t round)
{
	uint32_t at = *find_entry(d, (uint16_t)(m - d->members), token);
	struct entry *e;

	if (at) {
		d->entries[at].round = round;
		return;
	}
	e = add_entry(d, m, token);
	if (!e)
		return;
	e->round = round;
	e->since_s = since_s;
	if (m->proxy)
		push(d, token);
}

static void disown(struct mg_directory *d, const struct member *m, uint32_t token)
{
	uint32_t *link = find_entry(d, (uint16_t)(m - d->members), token);

	if (!*link)
		return;
	take_entry(d, link);
	if (m->proxy)
		push(d, token);
}

/* stale: only what the resync that ends now did not tell. */
static void disown_all(struct mg_directory *d, const struct member *m, bool stale)
{
	uint32_t next;

	for (uint32_t at = m->first; at; at = next) {
		next = d->entries[at].member_next;
		if (!stale || d->entries[at].round != m->round)
			disown(d, m, d->entries[at].token);
	}
}

void mg_directory_token(struct mg_directory *d, const char *name, uint32_t token, bool owned)
{
	struct member *m = owned ? get_member(d, name) : find_member(d, name);

	if (m && owned)
		own(d, m, token, now_s(), m->round);
	else if (m)
		disown(d, m, token);
}

void mg_directory_resync(struct mg_directory *d, const char *name)
{
	struct member *m = get_member(d, name);

	if (!m)
		return;
	/* 0 is what a former daemon left. */
	m->round = m->round == UINT8_MAX ? 1 : m->round + 1;
}

void mg_directory_resync_done(struct mg_directory *d, const char *name)
{
	const struct member *m = find_member(d, name);

	if (m)
		disown_all(d, m, true);
}

static void lose(struct mg_directory *d, struct member *m)
{
	if (m->first && m->proxy)
		mg_warn("proxy %s: its heartbeat is overdue, joins to its sessions are not known "
			"any more",
			m->name);
	disown_all(d, m, false);
	m->sessions = 0;
}

void mg_directory_member(struct mg_directory *d, const struct mg_store_member *told)
{
	struct member *m = told->alive ? get_member(d, told->name) : find_member(d, told->name);

	if (!m)
		return;
	m->known = true;
	m->alive = told->alive;
	if (told->alive)
		m->sessions = told->sessions;
	/* Of a store that was away, or is new: others need time to come back to it, too. */
	else if (d->reachable && !mg_timer_armed(&d->overdue))
		lose(d, m);
}

static void look_for_overdue(struct mg_timer *t)
{
	struct mg_directory *d = mg_container_of(t, struct mg_directory, overdue);

	for (size_t i = 0; i < d->n_members; i++) {
		if (!d->members[i].alive)
			lose(d, &d->members[i]);
	}
}

void mg_directory_reachable(struct mg_directory *d, bool yes)
{
	d->reachable = yes;
	if (!yes) {
		mg_timer_disarm(&d->loop->timers, &d->overdue);
		return;
	}
	for (size_t i = 0; i < d->n_members; i++)
		d->members[i].alive = false;
	mg_timer_arm(&d->loop->timers, &d->overdue, d->loop->now_ms + d->options.patience_ms);
}

/* ---- what it is told by, and tells, the gateway -------------------------------------------- */

int mg_directory_set_proxy(struct mg_directory *d, const char *name, uint16_t proxy)
{
	struct member *m = proxy ? get_member(d, name) : find_member(d, name);

	if (!m)
		return proxy ? -ENOSPC : 0;
	if (m->proxy == proxy)
		return 0;
	m->proxy = proxy;
	for (uint32_t at = m->first; at; at = d->entries[at].member_next)
		push(d, d->entries[at].token);
	return 0;
}

int mg_directory_load(struct mg_directory *d, const char *name, uint32_t token, uint32_t since_s)
{
	struct member *m = get_member(d, name);
	uint32_t before = d->n;

	if (!m)
		return -ENOSPC;
	if (!*find_entry(d, (uint16_t)(m - d->members), token)) {
		struct entry *e = add_entry(d, m, token);

		if (e)
			e->since_s = since_s;
	}
	return d->n == before ? -ENOSPC : 0;
}

bool mg_directory_find(const struct mg_directory *d, const char *name, uint64_t *sessions,
		       bool *alive)
{
	const struct member *m = find_member(d, name);

	*sessions = m ? m->sessions : 0;
	*alive = m && m->alive;
	return m && m->known;
}

void mg_directory_status(const struct mg_directory *d, struct mg_directory_status *out)
{
	*out = (struct mg_directory_status){
		.tokens = d->n,
		.collisions = d->collisions,
		.unpushed = d->unpushed,
		.refused = d->refused,
	};
}

int mg_directory_open(struct mg_directory **out, struct mg_loop *loop,
		      const struct mg_directory_options *options)
{
	struct mg_directory *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->loop = loop;
	d->options = *options;
	d->overdue.fire = look_for_overdue;
	d->again.fire = push_again;
	d->members = calloc(MEMBERS_MAX, sizeof(*d->members));
	if (!d->members || grow_buckets(d)) {
		mg_directory_close(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

void mg_directory_close(struct mg_directory *d)
{
	if (!d)
		return;
	mg_timer_disarm(&d->loop->timers, &d->overdue);
	mg_timer_disarm(&d->loop->timers, &d->again);
	free(d->members);
	free(d->entries);
	free(d->buckets);
	free(d);
}
