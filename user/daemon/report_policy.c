// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/report_policy.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/put.h"
#include "daemon/who.h"
#include "sys/admission.h"

#define ROWS_MAX 100000 /* of one answer */
#define MS_IN_NS 1000000ULL

static const char *const mode_names[] = {
#define X(sym, label, doc) [MG_MODE_##sym] = #label,
	MG_MODES(X)
#undef X
};

static const char *const trust_names[] = {
#define X(sym, label, doc) [MG_TRUST_##sym] = #label,
	MG_TRUSTS(X)
#undef X
};

static const char *const refuse_names[] = {
#define X(sym, label, doc) [MG_REFUSE_##sym] = #label,
	MG_REFUSES(X)
#undef X
};

static const char *const refusal_docs[] = { "",
#define X(sym, label, doc) doc,
					    MG_REFUSALS(X)
#undef X
};

/* ---- names ----------------------------------------------------------------------------------- */

static const struct mg_config_policy *policy_of(struct mg_daemon *d, uint32_t number)
{
	const struct mg_config_policies *p = &d->config->policies;
	size_t at = mg_admission_policy(mg_dp_admission(d->dp), number);

	return at < p->n_policies ? &p->policies[at] : &p->fallback;
}

static const char *class_of(struct mg_daemon *d, uint32_t number)
{
	size_t at = mg_admission_class(mg_dp_admission(d->dp), number);

	return at < d->config->policies.n_subscribers ? d->config->policies.subscribers[at].name
						      : NULL;
}

/* ---- subscribers ----------------------------------------------------------------------------- */

/* Whoever an address belongs to now, the program knows; terms are those it would have. */
static int ask_of(struct mg_daemon *d, const struct in6_addr *ip, struct mg_admit *ask)
{
	*ask = (struct mg_admit){ 0 };
	memcpy(ask->client.ip, ip, sizeof(ask->client.ip));
	return mg_admission_test(mg_dp_admission(d->dp), ask);
}

/* Its text; or, if it may be, what mg_who_format has for those whose text is forgotten. */
static int parse_identity(const struct mg_daemon *d, struct mg_subscriber *s, const char *text,
			  bool digits)
{
	uint64_t number = mg_feed_identity_number(d->access.feed, text), words[2];
	size_t len = strlen(text);

	if (!mg_feed_identity_text(d->access.feed, number)) {
		if (!digits || !len || len > 16 || strspn(text, "0123456789abcdefABCDEF") != len)
			return -EINVAL;
		number = strtoull(text, NULL, 16);
	}
	words[0] = htobe64(MG_SUBSCRIBER_IDENTITY);
	words[1] = htobe64(number);
	memcpy(s->ip, words, sizeof(words));
	return 0;
}

/* *policy is what its next session would meet. */
static int find_subscriber(struct mg_daemon *d, const char *text, struct mg_subscriber *s,
			   uint32_t *policy)
{
	struct mg_prefix prefix;
	struct mg_admit ask;
	int refusal;

	*policy = 0;
	if (!strncmp(text, MG_WHO_ID, strlen(MG_WHO_ID)))
		return parse_identity(d, s, text + strlen(MG_WHO_ID), true);
	if (mg_prefix_parse(&prefix, text))
		return parse_identity(d, s, text, false);
	refusal = ask_of(d, &prefix.ip, &ask);
	*s = ask.ticket.subscriber;
	*policy = ask.ticket.policy;
	return refusal < 0 ? refusal : 0;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static json_t *refused_of(const struct mg_account_row *row)
{
	json_t *o = json_object();

	for (unsigned int i = 1; i < MG_REFUSAL_COUNT; i++)
		if (row->refused[i])
			put_number(o, mg_refusal_label(i), row->refused[i]);
	return o;
}

/* Limits are those the policy has now: they may have changed since its last session. */
static json_t *limits_row(struct mg_daemon *d, const struct mg_account_row *row)
{
	const struct mg_config_policy *p = policy_of(d, row->account.policy);
	char text[MG_WHO_STRLEN];
	json_t *o = json_object();

	put_text(o, "subscriber", mg_who_format(text, d, &row->subscriber, row->key_bits));
	put_number(o, "sessions", row->account.sessions);
	put_number(o, "sessions_limit", p->sessions);
	put_number(o, "subflows", row->account.subflows);
	put_number(o, "subflows_limit", p->subflows);
	put_number(o, "reserved", row->account.reserved);
	put_text(o, "policy", p->name);
	json_object_set_new(o, "refused", refused_of(row));
	return o;
}

static json_t *limits_of_one(struct mg_daemon *d, const char *subscriber, int *err)
{
	struct mg_account_row row = { 0 };
	struct mg_subscriber s;
	json_t *all;
	uint32_t policy;

	*err = find_subscriber(d, subscriber, &s, &policy);
	if (*err)
		return NULL;
	if (mg_admission_account(mg_dp_admission(d->dp), &s, &row) ||
	    !(row.account.sessions || row.account.subflows))
		row.account.policy = policy;
	all = json_array();
	json_array_append_new(all, limits_row(d, &row));
	return all;
}

json_t *mg_report_limits(struct mg_daemon *d, const char *subscriber, int *err)
{
	struct mg_account_row *rows = NULL;
	json_t *all = NULL;
	long n;

	if (*subscriber)
		return limits_of_one(d, subscriber, err);
	n = mg_admission_accounts(mg_dp_admission(d->dp), &rows);
	*err = n < 0 ? (int)n : n > ROWS_MAX ? -E2BIG : 0;
	if (!*err)
		all = json_array();
	for (long i = 0; all && i < n; i++)
		json_array_append_new(all, limits_row(d, &rows[i]));
	free(rows);
	return all;
}

/* ---- policy test ----------------------------------------------------------------------------- */

static int probe(struct mg_daemon *d, const struct mg_control_request *req, uint32_t flags,
		 struct mg_admit *ask)
{
	*ask = (struct mg_admit){ .flags = flags };
	memcpy(ask->client.ip, &req->address, sizeof(ask->client.ip));
	memcpy(ask->server.ip, &req->to.ip, sizeof(ask->server.ip));
	ask->server.port = be16toh(req->to.port);
	if (*req->via)
		ask->ifindex = if_nametoindex(req->via);
	if (*req->via && !ask->ifindex)
		return -ENODEV;
	return mg_admission_test(mg_dp_admission(d->dp), ask);
}

static void add_why(char *text, size_t size, const char *what, bool named, const char *name)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "%s%s %s", len ? ", " : "", named ? what : "any",
		 named ? (name ? name : "-") : what);
}

/* Which parts of the triple the policy names: these made it go before others. */
static void put_why(struct mg_daemon *d, json_t *o, const struct mg_config_policy *p,
		    const struct mg_ticket *t)
{
	const struct mg_config_policies *all = &d->config->policies;
	char text[4 * MG_MEMBER_NAME + 64] = "";

	if (!all->any) {
		put_text(o, "why", "no policies are configured");
		return;
	}
	if (p == &all->fallback) {
		put_text(o, "why", "no other policy fits");
		return;
	}
	add_why(text, sizeof(text), "subscribers", p->n_subscribers != 0, class_of(d, t->class));
	add_why(text, sizeof(text), "services", p->n_services != 0, mg_who_service(d, t->service));
	add_why(text, sizeof(text), "access", p->n_access != 0, mg_who_access(d, t->access));
	put_text(o, "why", text);
}

static json_t *limits_of(const struct mg_config_policy *p, const struct mg_config_service *s,
			 uint32_t proxy)
{
	json_t *o = json_object();

	put_number(o, "sessions", p->sessions);
	put_number(o, "new_per_s", p->new_per_s);
	put_number(o, "burst", p->burst);
	put_number(o, "held", p->held);
	put_number(o, "subflows", p->subflows);
	put_number(o, "subflows_per_session", p->subflows_per_session);
	put_number(o, "service_sessions", s ? s->sessions : 0);
	put_number(o, "service_sessions_per_subscriber", s ? s->sessions_per_subscriber : 0);
	put_number(o, "proxy_sessions", proxy);
	return o;
}

static json_t *counts_of(const struct mg_admit *ask)
{
	json_t *o = json_object();

	put_number(o, "sessions", ask->account.sessions);
	put_number(o, "reserved", ask->account.reserved);
	put_number(o, "subflows", ask->account.subflows);
	put_number(o, "service_sessions", ask->service_sessions);
	put_number(o, "service_subscriber_sessions", ask->service_subscriber_sessions);
	put_number(o, "proxy_sessions", ask->proxy_sessions);
	return o;
}

static void put_refusal(json_t *o, const char *key, const char *why_key, int refusal)
{
	bool refused = refusal > 0 && refusal < MG_REFUSAL_COUNT;

	put_name(o, key, refused ? mg_refusal_label((unsigned int)refusal) : NULL);
	put_name(o, why_key, refused ? refusal_docs[refusal] : NULL);
}

static void put_terms(struct mg_daemon *d, json_t *o, const struct mg_config_policy *p)
{
	const struct mg_config_steer *steer = &d->config->steer;
	enum mg_mode mode = p->has_mode ? p->mode : d->config->intercept.mode;

	put_text(o, "mode", p->deny ? "deny" : mode_names[mode]);
	put_name(o, "group", p->group < steer->n_groups ? steer->groups[p->group].name : NULL);
	put_text(o, "refuse", refuse_names[p->refuse]);
	put_text(o, "refuse_join", refuse_names[p->refuse_join]);
}

json_t *mg_report_policy_test(struct mg_daemon *d, const struct mg_control_request *req, int *err)
{
	const struct mg_config_policy *p;
	const struct mg_ticket *t;
	char text[MG_WHO_STRLEN];
	struct mg_admit ask, with_cookie;
	int refusal = probe(d, req, 0, &ask);
	json_t *o;
	size_t service;

	*err = refusal < 0 ? refusal : 0;
	if (*err)
		return NULL;
	t = &ask.ticket;
	p = policy_of(d, t->policy);
	service = mg_admission_service(mg_dp_admission(d->dp), t->service);
	o = json_object();
	put_text(o, "policy", p->name);
	put_why(d, o, p, t);
	put_text(o, "subscriber", mg_who_format(text, d, &t->subscriber, t->key_bits));
	put_name(o, "class", class_of(d, t->class));
	put_name(o, "service", mg_who_service(d, t->service));
	put_name(o, "access", mg_who_access(d, t->access));
	put_text(o, "trust", t->trust < MG_TRUST_COUNT ? trust_names[t->trust] : "-");
	put_terms(d, o, p);
	json_object_set_new(o, "limits",
			    limits_of(p,
				      service < d->config->policies.n_services
					      ? &d->config->policies.services[service]
					      : NULL,
				      d->config->converter.max_sessions));
	json_object_set_new(o, "now", counts_of(&ask));
	put_refusal(o, "refused", "refused_why", refusal);
	put_number(o, "wait_ms", (ask.wait_ns + MS_IN_NS - 1) / MS_IN_NS);
	if (t->trust == MG_TRUST_THIRD_PARTY)
		put_refusal(o, "refused_with_cookie", "refused_with_cookie_why",
			    probe(d, req, MG_ADMIT_COOKIE, &with_cookie));
	return o;
}

/* ---- cookies, counters ----------------------------------------------------------------------- */

json_t *mg_report_cookie(struct mg_daemon *d, const struct in6_addr *client)
{
	char ip[MG_IP_STRLEN], hex[2 * MG_COOKIE_BYTES + 1], when[32];
	const struct mg_cookie_keys *keys = &d->policy->cookies;
	uint8_t cookie[MG_COOKIE_BYTES];
	/* Its epoch's key is the previous one for an epoch more. */
	time_t until_s =
		(time_t)(((uint64_t)keys->epoch + 2) * d->config->converter.cookie_rotate_s);
	struct tm tm;
	json_t *o = json_object();

	mg_cookie_make(cookie, keys, client);
	for (size_t i = 0; i < sizeof(cookie); i++)
		snprintf(hex + 2 * i, 3, "%02x", cookie[i]);
	gmtime_r(&until_s, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	put_text(o, "address", mg_ip_format(ip, client));
	put_text(o, "cookie", hex);
	put_number(o, "epoch", keys->epoch);
	put_number(o, "valid_until_s", (uint64_t)until_s);
	put_text(o, "valid_until", when);
	put_bool(o, "survives_restart", d->config->converter.cookie_key_file != NULL);
	return o;
}

void mg_report_admit_counters(struct mg_daemon *d, json_t *counters)
{
	union {
		struct mg_admit_counters named;
		uint64_t at[MG_REFUSAL_COUNT];
	} c = { 0 };
	json_t *o = json_object();

	mg_admission_counters(mg_dp_admission(d->dp), &c.named);
	for (unsigned int i = 0; i < MG_REFUSAL_COUNT; i++)
		put_number(o, mg_refusal_label(i), c.at[i]);
	json_object_set_new(counters, "admit", o);
}
