// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/control_access.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/put.h"

#define ROWS_MAX 100000 /* of one answer */
#define MS_PER_S 1000ULL

/* ---- who is where ---------------------------------------------------------------------------- */

struct listing {
	json_t *all;
	const struct mg_prefix *about; /* NULL: everybody */
	uint64_t now_ms;
	size_t n;
};

/* What is said of a prefix: entries of what is within it, and of what it is within. */
static bool is_about(const struct mg_prefix *entry, const struct mg_prefix *about)
{
	return about->len > entry->len ? mg_prefix_contains(entry, &about->ip)
				       : mg_prefix_contains(about, &entry->ip);
}

static void list_one(void *ctx, const struct mg_feed_shown *row)
{
	struct listing *l = ctx;
	char text[MG_PREFIX_STRLEN];
	json_t *o;

	if ((l->about && !is_about(&row->prefix, l->about)) || ++l->n > ROWS_MAX)
		return;
	o = json_object();
	put_text(o, "prefix", mg_prefix_format(text, &row->prefix));
	json_object_set_new(o, "access", *row->access ? json_string(row->access) : json_null());
	json_object_set_new(o, "subscriber",
			    *row->subscriber ? json_string(row->subscriber) : json_null());
	put_text(o, "source", mg_feed_source_label(row->source));
	if (!row->expires_ms)
		json_object_set_new(o, "ttl_s", json_null());
	else
		put_number(o, "ttl_s",
			   row->expires_ms > l->now_ms
				   ? (row->expires_ms - l->now_ms + MS_PER_S - 1) / MS_PER_S
				   : 0);
	json_array_append_new(l->all, o);
}

static char *list(struct mg_daemon *d, const struct mg_control_request *req)
{
	struct listing l = { .all = json_array(),
			     .about = req->has_prefix ? &req->prefix : NULL,
			     .now_ms = mg_clock_ms() };

	mg_feed_each(d->access.feed, list_one, &l);
	if (l.n <= ROWS_MAX)
		return mg_control_format_result(l.all);
	json_decref(l.all);
	return mg_control_format_error(-E2BIG, "too many entries to list them all, ask for one");
}

static char *done(void)
{
	return mg_control_format_result(json_pack("{s:b}", "done", 1));
}

static char *error(int err, const char *what, const struct mg_prefix *prefix)
{
	char text[MG_PREFIX_STRLEN + MG_MEMBER_NAME + 96], buf[MG_PREFIX_STRLEN];

	snprintf(text, sizeof(text), what, mg_prefix_format(buf, prefix));
	return mg_control_format_error(err, text);
}

static char *set(struct mg_daemon *d, const struct mg_control_request *req)
{
	struct mg_feed_word word = {
		.prefix = req->prefix,
		.access = req->access,
		.source = MG_FEED_COMMAND,
		.when.at_ms = mg_clock_ms(),
		.ttl_ms = req->ttl_s * MS_PER_S,
	};
	char text[MG_MEMBER_NAME + 64];
	int err;

	if (!mg_feed_knows(d->access.feed, req->access)) {
		snprintf(text, sizeof(text), "there is no access network %s", req->access);
		return mg_control_format_error(-ENOENT, text);
	}
	if (*req->subscriber) {
		if (strlen(req->subscriber) > MG_IDENTITY_TEXT_MAX)
			return mg_control_format_error(-EINVAL, "the identity is too long");
		word.identity =
			mg_feed_identify(d->access.feed, req->subscriber, strlen(req->subscriber));
		if (!word.identity)
			return mg_control_format_error(-ENOMEM, "out of memory");
	}
	err = mg_feed_set(d->access.feed, &word);
	mg_feed_release(d->access.feed, word.identity);
	if (!err)
		return done();
	return err == -ENOSPC
		       ? error(err, "no room for %s, or too many lengths of prefixes", &req->prefix)
		       : error(err, "cannot say where %s is", &req->prefix);
}

static char *del(struct mg_daemon *d, const struct mg_control_request *req)
{
	int err = mg_feed_del(d->access.feed, &req->prefix);

	return err ? error(err, "nothing was said of %s", &req->prefix) : done();
}

char *mg_control_access(struct mg_daemon *d, const struct mg_control_request *req)
{
	switch (req->cmd) {
	case MG_CMD_ACCESS_SET:
		return set(d, req);
	case MG_CMD_ACCESS_DEL:
		return del(d, req);
	default:
		return list(d, req);
	}
}

/* ---- counters -------------------------------------------------------------------------------- */

void mg_report_access_counters(const struct mg_daemon *d, json_t *counters)
{
	const struct mg_radius_counters *radius = mg_radius_counters(d->access.radius);
	const struct mg_accounting_counters *accounting =
		mg_accounting_counters(d->access.accounting);
	json_t *o = json_object(), *access = json_object();

#define X(label, doc) put_number(o, #label, radius->label);
	MG_RADIUS_COUNTERS(X)
#undef X
	for (int i = 1; i < MG_RADIUS_ERROR_COUNT; i++)
		put_number(o, mg_radius_error_label((enum mg_radius_error)i), radius->bad[i]);
#define X(label, doc) put_number(o, #label, accounting->label);
	MG_ACCOUNTING_COUNTERS(X)
#undef X
	put_number(o, "sessions", mg_accounting_sessions(d->access.accounting));
	json_object_set_new(counters, "radius", o);
	put_number(access, "entries", mg_feed_count(d->access.feed));
	put_number(access, "changes", mg_feed_epoch(d->access.feed));
	json_object_set_new(counters, "access", access);
}
