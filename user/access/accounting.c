// SPDX-License-Identifier: BSD-2-Clause
#include "access/accounting.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "abi/siphash.h"
#include "access/accounting_session.h"
#include "access/deadlines.h"
#include "access/walk.h"
#include "base/clock.h"
#include "base/log.h"

#define BUCKETS	    ((size_t)1 << 18)
#define MS_PER_S    1000ULL
#define DELAY_MAX_S 86400
/* So many restarts of NASs are looked after at a time; what is beyond ends its sessions at once. */
#define RESTARTS_MAX 64

struct client {
	struct mg_list node;
	struct in6_addr address;
	struct mg_list sessions;
};

/* A NAS that is on or off: what it said until then is over. */
struct restart {
	struct mg_list node;
	struct in6_addr client;
	uint64_t last_serial;
	struct mg_radius_request nas; /* nothing else of it counts */
	uint8_t text[];		      /* NAS-Identifier */
};

struct mg_accounting {
	struct mg_loop *loop;
	struct mg_feed *feed;
	const struct mg_config *config;
	struct mg_index sessions; /* ended ones too */
	struct mg_list clients;	  /* as few as are configured */
	struct mg_list ended;
	size_t n_ended;
	struct mg_deadlines deadlines;
	struct mg_walk renewal;
	struct mg_list restarts;
	size_t n_restarts;
	struct mg_walk ending; /* of sessions that are over by a restart */
	uint64_t next_serial;
	uint8_t key[16];
	struct mg_accounting_counters counters;
};

/* ---- which session --------------------------------------------------------------------------- */

static uint64_t hash_of(const struct mg_accounting *a, const struct in6_addr *client,
			struct mg_span text)
{
	uint8_t bytes[sizeof(*client) + UINT8_MAX];

	memcpy(bytes, client, sizeof(*client));
	memcpy(bytes + sizeof(*client), text.data, text.len);
	return mg_siphash24(a->key, bytes, (uint32_t)(sizeof(*client) + text.len));
}

/* What is told by only one of them stands against nothing. */
static bool same_nas(const struct mg_accounted *s, const struct mg_radius_request *r)
{
	if (s->has_nas_ip && r->has_nas_ip && !mg_ip_equal(&s->nas_ip, &r->nas_ip))
		return false;
	return !s->nas_len || !r->nas_identifier.len ||
	       (s->nas_len == r->nas_identifier.len &&
		!memcmp(s->text + s->id_len, r->nas_identifier.data, s->nas_len));
}

static struct mg_accounted *find(const struct mg_accounting *a, const struct in6_addr *client,
				 const struct mg_radius_request *r)
{
	uint64_t number = hash_of(a, client, r->session_id);
	struct mg_index_node *at = NULL;

	while ((at = mg_index_next(&a->sessions, at, number))) {
		struct mg_accounted *s = mg_container_of(at, struct mg_accounted, node);

		if (s->id_len == r->session_id.len &&
		    !memcmp(s->text, r->session_id.data, s->id_len) &&
		    mg_ip_equal(&s->client, client) && same_nas(s, r))
			return s;
	}
	return NULL;
}

static struct client *client_of(struct mg_accounting *a, const struct in6_addr *address, bool make)
{
	struct mg_list *at;
	struct client *c;

	mg_list_for_each (at, &a->clients) {
		c = mg_container_of(at, struct client, node);
		if (mg_ip_equal(&c->address, address))
			return c;
	}
	c = make ? calloc(1, sizeof(*c)) : NULL;
	if (!c)
		return NULL;
	c->address = *address;
	mg_list_init(&c->sessions);
	mg_list_append(&a->clients, &c->node);
	return c;
}

static void free_session(struct mg_accounting *a, struct mg_accounted *s)
{
	mg_accounted_take_back(s, a->feed);
	mg_deadlines_clear(&a->deadlines, &s->stale);
	mg_list_remove(&s->of_client);
	if (s->ended)
		a->n_ended--;
	mg_index_remove(&a->sessions, &s->node);
	free(s);
}

static void drop_ended(struct mg_accounting *a)
{
	for (struct mg_list *at = a->ended.next, *next; at != &a->ended; at = next) {
		struct mg_accounted *s = mg_container_of(at, struct mg_accounted, of_client);

		next = at->next;
		if (a->n_ended <= MG_ACCOUNTING_ENDED_MAX &&
		    s->ended_ms + MG_ACCOUNTING_ENDED_MS > a->loop->now_ms)
			return;
		free_session(a, s);
	}
}

static void gone_stale(struct mg_timer *t)
{
	struct mg_accounted *s = mg_container_of(t, struct mg_accounted, stale);
	struct mg_accounting *a = s->accounting;

	a->counters.stale++;
	free_session(a, s);
}

static struct mg_accounted *make(struct mg_accounting *a, const struct in6_addr *client,
				 const struct mg_radius_request *r)
{
	struct client *c = client_of(a, client, true);
	struct mg_accounted *s;

	if (!c || mg_accounting_sessions(a) >= MG_ACCOUNTING_SESSIONS_MAX)
		return NULL;
	s = calloc(1, sizeof(*s) + r->session_id.len + r->nas_identifier.len);
	if (!s)
		return NULL;
	s->accounting = a;
	s->client = *client;
	s->stale.fire = gone_stale;
	s->serial = ++a->next_serial;
	s->has_nas_ip = r->has_nas_ip;
	s->nas_ip = r->nas_ip;
	s->id_len = (uint8_t)r->session_id.len;
	s->nas_len = (uint8_t)r->nas_identifier.len;
	memcpy(s->text, r->session_id.data, s->id_len);
	if (s->nas_len)
		memcpy(s->text + s->id_len, r->nas_identifier.data, s->nas_len);
	mg_list_append(&c->sessions, &s->of_client);
	mg_index_add(&a->sessions, &s->node, hash_of(a, client, r->session_id));
	return s;
}

/* ---- when it was ----------------------------------------------------------------------------- */

/* Clocks of gateways differ, so an Event-Timestamp is compared with those of the same NAS only. */
static uint64_t clock_of(const struct mg_accounting *a, const struct in6_addr *client,
			 const struct mg_radius_request *r)
{
	uint8_t bytes[2 * sizeof(*client) + UINT8_MAX] = { 0 };
	size_t len = 2 * sizeof(*client);
	uint64_t clock;

	memcpy(bytes, client, sizeof(*client));
	if (r->has_nas_ip)
		memcpy(bytes + sizeof(*client), &r->nas_ip, sizeof(r->nas_ip));
	if (r->nas_identifier.len)
		memcpy(bytes + len, r->nas_identifier.data, r->nas_identifier.len);
	clock = mg_siphash24(a->key, bytes, (uint32_t)(len + r->nas_identifier.len));
	return clock ? clock : 1;
}

static struct mg_feed_when when_of(const struct mg_accounting *a, const struct in6_addr *client,
				   const struct mg_radius_request *r)
{
	uint64_t delay_s = r->has_delay && r->delay_s < DELAY_MAX_S ? r->delay_s : 0;
	uint64_t now_ms = mg_clock_ms();
	struct mg_feed_when when = { .at_ms = now_ms > delay_s * MS_PER_S
						      ? now_ms - delay_s * MS_PER_S
						      : 0 };

	if (r->has_event_time) {
		when.clock = clock_of(a, client, r);
		when.event_s = r->event_time_s;
	}
	return when;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void end(struct mg_accounting *a, struct mg_accounted *s, const struct mg_feed_when *when)
{
	mg_accounted_take_back(s, a->feed);
	mg_deadlines_clear(&a->deadlines, &s->stale);
	mg_list_remove(&s->of_client);
	mg_list_append(&a->ended, &s->of_client);
	s->ended = true;
	s->ended_ms = a->loop->now_ms;
	s->when = *when;
	a->n_ended++;
	drop_ended(a);
}

/* The same Acct-Session-Id again is another session: what the first one had is nothing to it. */
static int revive(struct mg_accounting *a, struct mg_accounted *s)
{
	struct client *c = client_of(a, &s->client, true);

	if (!c || mg_accounting_sessions(a) >= MG_ACCOUNTING_SESSIONS_MAX)
		return -ENOMEM;
	mg_list_remove(&s->of_client);
	mg_list_append(&c->sessions, &s->of_client);
	a->n_ended--;
	s->ended = s->has_rat_type = s->has_nas_port_type = false;
	s->serial = ++a->next_serial;
	return 0;
}

static int await_staleness(struct mg_accounting *a, struct mg_accounted *s)
{
	uint32_t stale_s = a->config->policies.radius.stale_s;

	if (stale_s)
		return mg_deadlines_set(&a->deadlines, &s->stale, s->heard_ms + stale_s * MS_PER_S);
	mg_deadlines_clear(&a->deadlines, &s->stale);
	return 0;
}

static bool is_over(const struct mg_accounting *a, const struct mg_accounted *s)
{
	struct mg_list *at;

	mg_list_for_each (at, &a->restarts) {
		const struct restart *r = mg_container_of(at, struct restart, node);

		if (!s->ended && s->serial <= r->last_serial &&
		    mg_ip_equal(&s->client, &r->client) && same_nas(s, &r->nas))
			return true;
	}
	return false;
}

static int begin(struct mg_accounting *a, const struct in6_addr *client,
		 const struct mg_radius_request *r)
{
	struct mg_feed_when when = when_of(a, client, r);
	struct mg_accounted *s = find(a, client, r);
	int err = 0;

	if (s && is_over(a, s)) {
		free_session(a, s);
		s = NULL;
	}
	if (s && (mg_accounted_is_before(&when, &s->when) ||
		  (s->ended && r->status == MG_RADIUS_INTERIM))) {
		a->counters.late++;
		return 0;
	}
	if (!s)
		s = make(a, client, r);
	else if (s->ended)
		err = revive(a, s);
	if (!s || err)
		return -ENOMEM;
	s->heard_ms = mg_clock_ms();
	err = mg_accounted_tell(s, a->feed, a->config, r, &when);
	return err ? err : await_staleness(a, s);
}

static int stop(struct mg_accounting *a, const struct in6_addr *client,
		const struct mg_radius_request *r)
{
	struct mg_feed_when when = when_of(a, client, r);
	struct mg_accounted *s = find(a, client, r);

	if (s && (s->ended || mg_accounted_is_before(&when, &s->when))) {
		a->counters.late++;
		return 0;
	}
	if (!s)
		s = make(a, client, r);
	if (!s)
		return -ENOMEM;
	end(a, s, &when);
	return 0;
}

/* Of a client's sessions those of a NAS (r), or all (NULL) */
static void end_all(struct mg_accounting *a, struct client *c, const struct mg_radius_request *r)
{
	for (struct mg_list *at = c->sessions.next, *next; at != &c->sessions; at = next) {
		struct mg_accounted *s = mg_container_of(at, struct mg_accounted, of_client);

		next = at->next;
		if (!r || same_nas(s, r))
			free_session(a, s);
	}
}

static bool end_over(void *ctx, struct mg_index_node *node)
{
	struct mg_accounting *a = ctx;
	struct mg_accounted *s = mg_container_of(node, struct mg_accounted, node);
	bool over = is_over(a, s);

	if (over)
		free_session(a, s);
	return over;
}

static void forget_restarts(struct mg_accounting *a)
{
	while (!mg_list_empty(&a->restarts))
		free(mg_container_of(mg_list_pop(&a->restarts), struct restart, node));
	a->n_restarts = 0;
}

static bool note_restart(struct mg_accounting *a, const struct in6_addr *client,
			 const struct mg_radius_request *r)
{
	struct restart *restart;

	if (a->ending.next >= a->sessions.n_buckets)
		forget_restarts(a);
	if (a->n_restarts == RESTARTS_MAX)
		return false;
	restart = calloc(1, sizeof(*restart) + r->nas_identifier.len);
	if (!restart)
		return false;
	restart->client = *client;
	restart->last_serial = a->next_serial;
	restart->nas.has_nas_ip = r->has_nas_ip;
	restart->nas.nas_ip = r->nas_ip;
	restart->nas.nas_identifier = (struct mg_span){ restart->text, r->nas_identifier.len };
	if (r->nas_identifier.len)
		memcpy(restart->text, r->nas_identifier.data, r->nas_identifier.len);
	mg_list_append(&a->restarts, &restart->node);
	a->n_restarts++;
	return true;
}

/* There may be so many sessions that nothing else had its turn for seconds. */
static void reboot(struct mg_accounting *a, const struct in6_addr *client,
		   const struct mg_radius_request *r)
{
	struct client *c = client_of(a, client, false);

	if (!c)
		return;
	if (note_restart(a, client, r))
		mg_walk_start(&a->ending);
	else
		end_all(a, c, r);
}

int mg_accounting_apply(struct mg_accounting *a, const struct in6_addr *client,
			const struct mg_radius_request *r)
{
	int err = 0;

	drop_ended(a);
	switch (r->status) {
	case MG_RADIUS_START:
		a->counters.start++;
		err = begin(a, client, r);
		break;
	case MG_RADIUS_INTERIM:
		a->counters.interim++;
		err = begin(a, client, r);
		break;
	case MG_RADIUS_STOP:
		a->counters.stop++;
		err = stop(a, client, r);
		break;
	case MG_RADIUS_ON:
	case MG_RADIUS_OFF:
		a->counters.on_off++;
		reboot(a, client, r);
		break;
	default:
		a->counters.other++;
	}
	if (err)
		a->counters.failed++;
	return err;
}

/* ---- all of them ----------------------------------------------------------------------------- */

void mg_accounting_forget(struct mg_accounting *a, const struct in6_addr *client)
{
	struct client *c = client_of(a, client, false);

	if (!c)
		return;
	end_all(a, c, NULL);
	mg_list_remove(&c->node);
	free(c);
}

static bool renew(void *ctx, struct mg_index_node *node)
{
	struct mg_accounting *a = ctx;
	struct mg_accounted *s = mg_container_of(node, struct mg_accounted, node);

	if (s->ended || !mg_accounted_renew(s, a->feed, a->config))
		return false;
	await_staleness(a, s);
	return true;
}

void mg_accounting_reload(struct mg_accounting *a, const struct mg_config *c)
{
	a->config = c;
	mg_walk_start(&a->renewal);
}

int mg_accounting_open(struct mg_accounting **out, struct mg_loop *l, struct mg_feed *feed,
		       const struct mg_config *c)
{
	struct mg_accounting *a = calloc(1, sizeof(*a));
	int err;

	*out = a;
	if (!a)
		return -ENOMEM;
	a->loop = l;
	a->feed = feed;
	a->config = c;
	mg_list_init(&a->clients);
	mg_list_init(&a->ended);
	mg_list_init(&a->restarts);
	mg_deadlines_init(&a->deadlines, l);
	mg_walk_init(&a->renewal, l, &a->sessions, renew, a);
	mg_walk_init(&a->ending, l, &a->sessions, end_over, a);
	err = mg_index_init(&a->sessions, BUCKETS);
	if (!err && getrandom(a->key, sizeof(a->key), 0) != sizeof(a->key))
		err = -EIO;
	if (err) {
		mg_accounting_close(a);
		*out = NULL;
	}
	return err;
}

void mg_accounting_close(struct mg_accounting *a)
{
	if (!a)
		return;
	mg_walk_stop(&a->renewal);
	mg_walk_stop(&a->ending);
	forget_restarts(a);
	mg_deadlines_free(&a->deadlines);
	if (a->sessions.buckets) {
		mg_index_for_each(at, after, &a->sessions)
		{
			struct mg_accounted *s = mg_container_of(at, struct mg_accounted, node);

			mg_feed_release(a->feed, s->identity);
			free(s->prefixes);
			free(s);
		}
	}
	mg_index_free(&a->sessions);
	while (!mg_list_empty(&a->clients))
		free(mg_container_of(mg_list_pop(&a->clients), struct client, node));
	free(a);
}

const struct mg_accounting_counters *mg_accounting_counters(const struct mg_accounting *a)
{
	return &a->counters;
}

size_t mg_accounting_sessions(const struct mg_accounting *a)
{
	return a->sessions.n - a->n_ended;
}
