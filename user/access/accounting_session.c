// SPDX-License-Identifier: BSD-2-Clause
#include "access/accounting_session.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define MS_PER_S 1000ULL

static bool lists(const uint8_t *types, size_t n, uint32_t type)
{
	for (size_t i = 0; i < n; i++) {
		if (types[i] == type)
			return true;
	}
	return false;
}

const char *mg_accounted_access(const struct mg_accounted *s, const struct mg_config *c)
{
	const struct mg_config_radius *radius = &c->policies.radius;

	for (size_t i = 0; s->has_rat_type && i < radius->n_types; i++) {
		const struct mg_config_radius_type *t = &radius->types[i];

		if (lists(t->rat_types, t->n_rat_types, s->rat_type))
			return c->policies.access[t->access].name;
	}
	for (size_t i = 0; s->has_nas_port_type && i < radius->n_types; i++) {
		const struct mg_config_radius_type *t = &radius->types[i];

		if (lists(t->nas_port_types, t->n_nas_port_types, s->nas_port_type))
			return c->policies.access[t->access].name;
	}
	return "";
}

/* The one that stays his wherever he goes comes first. */
static struct mg_identity *identify(struct mg_feed *feed, const struct mg_radius_request *r)
{
	struct mg_span text = r->imsi.len	       ? r->imsi
			      : r->calling_station.len ? r->calling_station
						       : r->user_name;

	return mg_feed_identify(feed, text.data, text.len);
}

/* True: it is another than before. */
static bool take_identity(struct mg_accounted *s, struct mg_feed *feed,
			  const struct mg_radius_request *r)
{
	struct mg_identity *id = identify(feed, r), *last = s->identity;

	if (!id)
		return false;
	s->identity = id;
	mg_feed_release(feed, last);
	return id != last;
}

/* True: it is another type than before. */
static bool take_types(struct mg_accounted *s, const struct mg_radius_request *r)
{
	bool other = (r->has_rat_type && (!s->has_rat_type || s->rat_type != r->rat_type)) ||
		     (r->has_nas_port_type &&
		      (!s->has_nas_port_type || s->nas_port_type != r->nas_port_type));

	if (r->has_rat_type)
		s->rat_type = r->rat_type;
	if (r->has_nas_port_type)
		s->nas_port_type = r->nas_port_type;
	s->has_rat_type |= r->has_rat_type;
	s->has_nas_port_type |= r->has_nas_port_type;
	return other;
}

static bool has_prefix(const struct mg_radius_prefix *list, size_t n, const struct mg_prefix *p)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].prefix.len == p->len && mg_ip_equal(&list[i].prefix.ip, &p->ip))
			return true;
	}
	return false;
}

static bool mentions(const struct mg_radius_request *r, uint8_t attribute)
{
	for (size_t i = 0; i < r->n_prefixes; i++) {
		if (r->prefixes[i].attribute == attribute)
			return true;
	}
	return false;
}

/* What an Interim says nothing of stays as it was; IPv6 may come long after IPv4. */
static size_t merge(struct mg_radius_prefix *all, const struct mg_accounted *s,
		    const struct mg_radius_request *r)
{
	size_t n = r->n_prefixes;

	memcpy(all, r->prefixes, n * sizeof(*all));
	for (size_t i = 0; r->status != MG_RADIUS_START && i < s->n_prefixes; i++) {
		const struct mg_radius_prefix *p = &s->prefixes[i];

		if (n < MG_RADIUS_PREFIXES_MAX && !mentions(r, p->attribute) &&
		    !has_prefix(all, n, &p->prefix))
			all[n++] = *p;
	}
	return n;
}

static int say(struct mg_accounted *s, struct mg_feed *feed, const struct mg_config *c,
	       const struct mg_prefix *prefix, uint64_t ttl_ms)
{
	const struct mg_feed_word word = {
		.prefix = *prefix,
		.access = mg_accounted_access(s, c),
		.identity = s->identity,
		.source = MG_FEED_RADIUS,
		.owner = s->serial,
		.when = s->when,
		.ttl_ms = ttl_ms,
	};

	return mg_feed_set(feed, &word);
}

/* Those that it no longer has */
static void take_back_others(struct mg_accounted *s, struct mg_feed *feed,
			     const struct mg_radius_prefix *keep, size_t n)
{
	for (size_t i = 0; i < s->n_prefixes; i++) {
		if (!has_prefix(keep, n, &s->prefixes[i].prefix))
			mg_feed_del_owned(feed, &s->prefixes[i].prefix, s->serial);
	}
}

int mg_accounted_tell(struct mg_accounted *s, struct mg_feed *feed, const struct mg_config *c,
		      const struct mg_radius_request *r, const struct mg_feed_when *when)
{
	struct mg_radius_prefix all[MG_RADIUS_PREFIXES_MAX], *kept = NULL;
	size_t n = merge(all, s, r);
	bool news = r->status == MG_RADIUS_START;
	int err = 0;

	if (n && !(kept = malloc(n * sizeof(*kept))))
		return -ENOMEM;
	news |= take_identity(s, feed, r);
	news |= take_types(s, r);
	s->when = *when;
	s->stale_s = c->policies.radius.stale_s;
	for (size_t i = 0; i < n && !err; i++) {
		bool known = has_prefix(s->prefixes, s->n_prefixes, &all[i].prefix);

		if (known && !news && mg_feed_is_others(feed, &all[i].prefix, s->serial))
			continue;
		err = say(s, feed, c, &all[i].prefix, c->policies.radius.stale_s * MS_PER_S);
		if (err == -ESTALE)
			err = 0;
	}
	/* After an error too: what was said is to be taken back, now or at its Stop. */
	take_back_others(s, feed, all, n);
	if (kept)
		memcpy(kept, all, n * sizeof(*kept));
	free(s->prefixes);
	s->prefixes = kept;
	s->n_prefixes = n;
	return err;
}

bool mg_accounted_renew(struct mg_accounted *s, struct mg_feed *feed, const struct mg_config *c)
{
	uint64_t stale_ms = c->policies.radius.stale_s * MS_PER_S, ttl_ms = 0;
	bool all = s->stale_s != c->policies.radius.stale_s, said = false;
	uint64_t now_ms = mg_clock_ms();

	if (stale_ms)
		ttl_ms = s->heard_ms + stale_ms > now_ms ? s->heard_ms + stale_ms - now_ms : 1;
	for (size_t i = 0; i < s->n_prefixes; i++) {
		const struct mg_prefix *p = &s->prefixes[i].prefix;

		if (mg_feed_is_others(feed, p, s->serial) ||
		    (!all && mg_feed_is_said(feed, p, s->serial, mg_accounted_access(s, c))))
			continue;
		say(s, feed, c, p, ttl_ms);
		said = true;
	}
	s->stale_s = c->policies.radius.stale_s;
	return said || all;
}

void mg_accounted_take_back(struct mg_accounted *s, struct mg_feed *feed)
{
	for (size_t i = 0; i < s->n_prefixes; i++)
		mg_feed_del_owned(feed, &s->prefixes[i].prefix, s->serial);
	free(s->prefixes);
	s->prefixes = NULL;
	s->n_prefixes = 0;
	mg_feed_release(feed, s->identity);
	s->identity = NULL;
}

bool mg_accounted_is_before(const struct mg_feed_when *when, const struct mg_feed_when *than)
{
	if (when->clock && when->clock == than->clock)
		return when->event_s < than->event_s;
	return when->at_ms + MS_PER_S < than->at_ms;
}
