// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/control_access.h"
#include "daemon/put.h"
#include "daemon/report_policy.h"
#include "daemon/who.h"
#include "wire/store_url.h"

static const char *const kind_names[] = {
#define X(sym, label, doc) [MG_HOLD_##sym] = #label,
	MG_HOLD_KINDS(X)
#undef X
};

static const char *const state_names[] = {
#define X(sym, name) [MG_DAEMON_##sym] = #name,
	MG_DAEMON_STATES(X)
#undef X
};

static json_t *features(const struct mg_features *f)
{
	json_t *o = json_object();

	for (int i = 0; i < MG_FEATURE_COUNT; i++)
		put_bool(o, mg_feature_label((enum mg_feature)i), f->have[i]);
	return o;
}

/* What each feature that was not found costs. */
static json_t *missing(const struct mg_features *f)
{
	json_t *o = json_object();

	for (int i = 0; i < MG_FEATURE_COUNT; i++) {
		if (!f->have[i])
			put_text(o, mg_feature_label((enum mg_feature)i),
				 mg_feature_lost((enum mg_feature)i));
	}
	return o;
}

static json_t *interfaces(struct mg_dp *dp)
{
	const struct mg_dp_interface *list;
	size_t n = mg_dp_interfaces(dp, &list);
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *o = json_object();

		put_text(o, "name", list[i].name);
		put_text(o, "role", list[i].role == MG_ROLE_ACCESS ? "access" : "core");
		put_text(o, "xdp_mode", list[i].xdp_mode);
		put_number(o, "prog_id", list[i].prog_id);
		json_array_append_new(all, o);
	}
	return all;
}

/* How many of them are in force, and the file they are from. */
static json_t *policies(struct mg_daemon *d)
{
	const struct mg_config_policies *p = &d->config->policies;
	json_t *o = json_object();

	put_bool(o, "active", p->any);
	put_number(o, "policies", p->n_policies);
	put_number(o, "subscribers", p->n_subscribers);
	put_number(o, "services", p->n_services);
	put_number(o, "access_networks", p->n_access);
	put_text(o, "path", d->config_path);
	return o;
}

json_t *mg_report_status(struct mg_daemon *d)
{
	json_t *o = json_object(), *converter = json_object(), *listen = json_array();
	struct mg_stats stats;

	mg_proxy_stats(&d->proxy, &stats);
	put_text(o, "node", d->config->node);
	put_text(o, "version", MG_VERSION);
	put_text(o, "state", state_names[d->state]);
	put_number(o, "uptime_s", (mg_clock_ms() - d->started_ms) / 1000);
	put_number(o, "pid", (uint64_t)getpid());
	put_number(o, "workers", d->proxy.n_workers);
	json_object_set_new(o, "features", features(&d->features));
	json_object_set_new(o, "missing", missing(&d->features));
	json_object_set_new(o, "interfaces", interfaces(d->dp));
	for (size_t i = 0; i < d->config->converter.n_listen; i++) {
		char text[MG_EP_STRLEN];

		json_array_append_new(
			listen, json_string(mg_ep_format(text, &d->config->converter.listen[i])));
	}
	json_object_set_new(converter, "listen", listen);
	put_number(converter, "active", stats.active);
	put_number(converter, "accepted", stats.accepted);
	json_object_set_new(o, "converter", converter);
	json_object_set_new(o, "policies", policies(d));
	mg_report_on_path(d, o);
	mg_report_gateway(d, o);
	return o;
}

static void put_spread(json_t *o, const struct mg_spread_row *row)
{
	put_bool(o, "backup_asked", row->asked_backup);
	put_bool(o, "works", row->works);
	put_number(o, "bytes_sent", row->sent_bytes);
	put_number(o, "bytes_received", row->received_bytes);
	put_number(o, "rtt_us", row->rtt_us);
	json_object_set_new(o, "share_permille",
			    row->share_permille < 0 ? json_null()
						    : json_integer(row->share_permille));
	json_object_set_new(o, "cap_bytes_per_s",
			    row->cap == UINT64_MAX ? json_null()
						   : json_integer((json_int_t)row->cap));
}

static json_t *subflows(struct mg_daemon *d, const struct mg_session_row *row)
{
	json_t *all = json_array();

	for (int i = 0; i < row->n_subflows; i++) {
		const struct mg_mptcp_subflow *sub = &row->subflows[i];
		json_t *o = json_object();

		put_ep(o, "local", &sub->local);
		put_ep(o, "remote", &sub->remote);
		put_name(o, "access", mg_who_access_of(d, &sub->remote.ip));
		put_bool(o, "backup",
			 row->token && mg_tokens_backup(&d->tokens, row->token, &sub->local,
							&sub->remote));
		put_spread(o, &row->spread[i]);
		json_array_append_new(all, o);
	}
	return all;
}

/* As what it was charged for; who was not is nobody's session yet. */
static void put_admission(struct mg_daemon *d, json_t *o, const struct mg_session_row *row)
{
	bool charged = row->ticket.charged;
	char who[MG_WHO_STRLEN];

	put_name(o, "subscriber",
		 charged ? mg_who_format(who, d, &row->ticket.subscriber, row->ticket.key_bits)
			 : NULL);
	put_name(o, "policy", charged ? row->policy : NULL);
	put_name(o, "service", mg_who_service(d, row->ticket.service));
}

static json_t *session(struct mg_daemon *d, const struct mg_session_row *row)
{
	json_t *o = json_object();
	char token[9] = "";

	put_number(o, "id", row->id);
	put_text(o, "kind", kind_names[row->kind]);
	put_text(o, "state", mg_session_state_name(row->state));
	put_ep(o, "client", &row->client);
	if (row->has_server)
		put_ep(o, "server", &row->server);
	else
		json_object_set_new(o, "server", json_null());
	if (row->has_source)
		put_ep(o, "source", &row->source);
	else
		json_object_set_new(o, "source", json_null());
	put_admission(d, o, row);
	put_bool(o, "mptcp", row->mptcp);
	put_bool(o, "fallback", row->fallback);
	put_bool(o, "server_mptcp", row->server_mptcp);
	if (row->token)
		snprintf(token, sizeof(token), "%08x", row->token);
	put_text(o, "token", token);
	json_object_set_new(o, "subflows", subflows(d, row));
	put_text(o, "steering", mg_config_steering_name(row->steering));
	put_bool(o, "gives_way", row->gives_way);
	put_number(o, "bytes_up", row->bytes_up);
	put_number(o, "bytes_down", row->bytes_down);
	put_number(o, "age_ms", row->age_ms);
	return o;
}

json_t *mg_report_sessions(struct mg_daemon *d)
{
	struct mg_session_row *rows;
	long n = mg_proxy_sessions(&d->proxy, &rows);
	json_t *all;

	if (n < 0)
		return NULL;
	all = json_array();
	for (long i = 0; i < n; i++)
		json_array_append_new(all, session(d, &rows[i]));
	free(rows);
	return all;
}

json_t *mg_report_session(struct mg_daemon *d, uint64_t id, int *err)
{
	struct mg_session_row row;
	json_t *o;

	*err = mg_proxy_session(&d->proxy, id, &row);
	if (*err)
		return NULL;
	o = session(d, &row);
	if (row.kind == MG_HOLD_CONVERT)
		put_ep(o, "converter", &row.converter);
	else
		json_object_set_new(o, "converter", json_null());
	put_number(o, "idle_ms", row.idle_ms);
	put_number(o, "held_bytes", row.held_bytes);
	return o;
}

static json_t *xdp_counters(struct mg_dp *dp)
{
	json_t *o = json_object(), *class = json_object(), *verdict = json_object();
	json_t *reason = json_object();
	struct mg_dp_counters c = { 0 };

	mg_dp_counters_read(dp, &c);
	for (unsigned int i = 0; i < MG_CLASS_COUNT; i++)
		put_number(class, mg_class_label(i), c.class[i]);
	for (unsigned int i = 0; i < MG_VERDICT_COUNT; i++)
		put_number(verdict, mg_verdict_label(i), c.verdict[i]);
	for (unsigned int i = 0; i < MG_REASON_COUNT; i++)
		put_number(reason, mg_reason_label(i), c.reason[i]);
	json_object_set_new(o, "class", class);
	json_object_set_new(o, "verdict", verdict);
	json_object_set_new(o, "reason", reason);
	put_number(o, "events_lost", c.events_lost);
	return o;
}

static json_t *convert_counters(const struct mg_stats *s)
{
	static const char *const labels[] = {
#define X(sym, code, label, text) [MG_ERROR_INDEX_##sym] = #label,
		MG_CONVERT_ERRORS(X)
#undef X
	};
	json_t *o = json_object(), *errors = json_object();

	put_number(o, "requests", s->requests);
	put_number(o, "connected", s->connected);
	for (size_t i = 0; i < MG_ERROR_COUNT; i++)
		put_number(errors, labels[i], s->errors[i]);
	json_object_set_new(o, "errors", errors);
	return o;
}

static json_t *relay_counters(const struct mg_stats *s)
{
	json_t *o = json_object(), *closed = json_object();

	put_number(o, "sessions_opened", s->opened);
	put_number(o, "sessions_closed", s->closed);
	put_number(o, "bytes_up", s->bytes_up);
	put_number(o, "bytes_down", s->bytes_down);
	for (int i = 0; i < MG_CLOSE_COUNT; i++)
		put_number(closed, mg_close_reason_label((enum mg_close_reason)i), s->closed_by[i]);
	json_object_set_new(o, "closed", closed);
	return o;
}

json_t *mg_report_counters(struct mg_daemon *d)
{
	json_t *o = json_object(), *mptcp = json_object();
	struct mg_stats stats;

	mg_proxy_stats(&d->proxy, &stats);
	json_object_set_new(o, "xdp", xdp_counters(d->dp));
	json_object_set_new(o, "convert", convert_counters(&stats));
	json_object_set_new(o, "relay", relay_counters(&stats));
	put_number(mptcp, "fallbacks", stats.fallbacks);
	put_number(mptcp, "joins", d->tokens.joins);
	json_object_set_new(o, "mptcp", mptcp);
	mg_report_hold_counters(d, &stats, o);
	mg_report_admit_counters(d, o);
	mg_report_steer_counters(d, o);
	mg_report_sharing_counters(d, &stats, o);
	mg_report_access_counters(d, o);
	return o;
}

/* The socket's group may read it, and has no business with the store's password. */
json_t *mg_report_config(struct mg_daemon *d)
{
	char *text = NULL, store[MG_STORE_URL_STRLEN];
	struct mg_config shown = *d->config;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *result = NULL;

	if (!out)
		return NULL;
	shown.steer.store = (char *)mg_store_url_hide(store, shown.steer.store);
	if (!mg_config_print(&shown, out) && !fclose(out))
		result = json_stringn(text, len);
	free(text);
	return result;
}
