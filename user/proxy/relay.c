// SPDX-License-Identifier: BSD-2-Clause
/*
 * The relay room: bytes both ways, and the end of each way passed on (DATA_FIN <=> FIN, RFC 8803
 * section 7.5).
 */
#include <sys/socket.h>

#include "base/log.h"
#include "proxy/flow.h"
#include "proxy/spread.h"
#include "proxy/worker.h"
#include "sys/mptcp.h"

static void pass_end(struct mg_session *s, struct mg_leg *to)
{
	if (to->shut)
		return;
	to->shut = true;
	shutdown(to->io.fd, SHUT_WR);
	/* One way is over: from now on the shorter time-out counts. */
	s->active_ms = s->worker->loop.now_ms;
	mg_timer_arm(&s->worker->loop.timers, &s->timer,
		     s->active_ms +
			     s->worker->policy->config->converter.half_open_timeout_s * 1000ULL);
}

/*
 * MPTCP sockets whose server answered with plain TCP were seen (Linux 6.18, short of buffers) to
 * drop what TCP had acknowledged, and to end as if nothing was missing. What the client does not
 * get, it has to know of.
 */
static bool server_fell_short(const struct mg_session *s)
{
	uint64_t received;

	if (!s->want_mptcp || s->server_mptcp || s->via || s->client.shut ||
	    mg_mptcp_received_bytes(s->server.io.fd, &received) || received <= s->down.bytes)
		return false;
	mg_error("session %llu: the kernel lost %llu bytes that the server had sent",
		 (unsigned long long)s->id, (unsigned long long)(received - s->down.bytes));
	return true;
}

enum mg_step mg_relay_step(struct mg_session *s)
{
	enum mg_flow_state up = mg_flow_pump(s, &s->up, &s->client, &s->server);
	enum mg_flow_state down = mg_flow_pump(s, &s->down, &s->server, &s->client);

	if (s->spread)
		mg_spread_moved(s);
	if (up == MG_FLOW_FROM_FAILED || down == MG_FLOW_TO_FAILED)
		s->broken = &s->client;
	else if (down == MG_FLOW_FROM_FAILED || up == MG_FLOW_TO_FAILED ||
		 (down == MG_FLOW_ENDED && server_fell_short(s)))
		s->broken = &s->server;
	if (s->broken)
		return MG_STEP_RESET;

	if (up == MG_FLOW_ENDED)
		pass_end(s, &s->server);
	if (down == MG_FLOW_ENDED)
		pass_end(s, &s->client);
	if (up == MG_FLOW_ENDED && down == MG_FLOW_ENDED) {
		s->reason = MG_CLOSE_FINISHED;
		return MG_STEP_CLOSE;
	}
	if ((up == MG_FLOW_MORE || down == MG_FLOW_MORE) && mg_list_empty(&s->ready_node))
		mg_list_append(&s->worker->ready, &s->ready_node);
	return MG_STEP_WAIT;
}

enum mg_step mg_relay_idle(struct mg_session *s, uint64_t *next_ms)
{
	const struct mg_config_converter *c = &s->worker->policy->config->converter;
	bool half = s->client.shut || s->server.shut;

	*next_ms = s->active_ms + (half ? c->half_open_timeout_s : c->idle_timeout_s) * 1000ULL;
	if (*next_ms > s->worker->loop.now_ms)
		return MG_STEP_WAIT;
	s->reason = half ? MG_CLOSE_HALF_OPEN : MG_CLOSE_IDLE;
	return MG_STEP_CLOSE;
}
