// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/account.h"

#include <string.h>

#include "proxy/proxy.h"

void mg_stats_add(struct mg_stats *sum, const struct mg_stats *one)
{
	sum->accepted += one->accepted;
	sum->active += one->active;
	sum->requests += one->requests;
	sum->connected += one->connected;
	for (size_t i = 0; i < MG_ERROR_COUNT; i++)
		sum->errors[i] += one->errors[i];
	sum->opened += one->opened;
	sum->closed += one->closed;
	sum->bytes_up += one->bytes_up;
	sum->bytes_down += one->bytes_down;
	for (size_t i = 0; i < MG_CLOSE_COUNT; i++)
		sum->closed_by[i] += one->closed_by[i];
	sum->fallbacks += one->fallbacks;
	sum->hold_replayed += one->hold_replayed;
	sum->hold_passed += one->hold_passed;
	sum->hold_refused += one->hold_refused;
	sum->hold_timed_out += one->hold_timed_out;
	sum->hold_gave_up += one->hold_gave_up;
	sum->probes += one->probes;
	sum->no_ports += one->no_ports;
	sum->proxy_headers += one->proxy_headers;
	sum->header_bytes += one->header_bytes;
}

void mg_account_error(struct mg_session *s, unsigned int code)
{
	int i = mg_convert_error_index(code);

	if (i >= 0)
		s->worker->stats.errors[i]++;
}

void mg_account_turned_away(struct mg_worker *w)
{
	w->stats.opened++;
	w->stats.closed++;
	w->stats.closed_by[MG_CLOSE_OVERLOAD]++;
}

void mg_account_fallback(struct mg_session *s)
{
	struct mg_mptcp_state m;
	bool offered;

	if (s->fallback || s->client.io.fd < 0)
		return;
	/* Taken also when it was accepted: it must not speak for a later connection. */
	offered = mg_offers_take(&s->worker->proxy->offers, &s->client_ep) || s->offered;
	if (s->mptcp)
		s->fallback = !mg_mptcp_read(s->client.io.fd, &m) && m.fallback;
	else
		s->fallback = offered;
	s->worker->stats.fallbacks += s->fallback;
}

void mg_session_describe(struct mg_session *s, struct mg_session_row *row)
{
	/* The side that MPTCP is expected on. */
	int fd = s->kind == MG_HOLD_CPE ? s->server.io.fd : s->client.io.fd;
	struct mg_mptcp_state m;

	mg_account_fallback(s);
	*row = (struct mg_session_row){
		.id = s->id,
		.state = s->state,
		.kind = s->kind,
		.client = s->client_ep,
		.converter = s->converter_ep,
		.server = s->server_ep,
		.source = s->source_ep,
		.has_server = s->server_ep.port != 0,
		.has_source = s->source_ep.port != 0,
		.mptcp = s->mptcp && !s->fallback,
		.fallback = s->fallback,
		.bytes_up = s->up.bytes,
		.bytes_down = s->down.bytes,
		.age_ms = s->worker->loop.now_ms - s->opened_ms,
		.idle_ms = s->worker->loop.now_ms - s->active_ms,
		.held_bytes = s->up.len + s->down.len,
		.counted_token = s->counted_token,
		.ticket = s->ticket,
	};
	memcpy(row->policy, mg_session_policy(s)->name, sizeof(row->policy));
	if (!mg_mptcp_read(fd, &m))
		row->token = m.token;
	row->n_subflows = mg_mptcp_subflows(fd, row->subflows, MG_MPTCP_SUBFLOWS_MAX);
	if (s->kind != MG_HOLD_CPE && row->n_subflows > 0)
		mg_spread_describe(s, row->subflows, row->n_subflows, row->spread);
	row->steering = mg_spread_steering(s);
	row->gives_way = mg_spread_gives_way(s);
	if (s->want_mptcp && s->state == MG_SESSION_RELAY)
		row->server_mptcp = !mg_mptcp_read(s->server.io.fd, &m) && !m.fallback;
}
