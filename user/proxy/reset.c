// SPDX-License-Identifier: BSD-2-Clause
/*
 * The reset room: one side broke. The other one first gets all that the broken one had sent, as it
 * would have without us in between, and is then broken off as well: RST <=> MP_FASTCLOSE (RFC 8803
 * section 7.5). An abort throws away what is not acknowledged, so it waits for that, within bounds.
 */
#include <errno.h>

#include "proxy/flow.h"
#include "proxy/worker.h"
#include "sys/sock.h"

#define FIRST_LOOK_MS 2
#define LAST_LOOK_MS  100

static enum mg_close_reason why(const struct mg_session *s)
{
	bool client = s->broken == &s->client;

	switch (s->broken->err) {
	case 0:
	case ECONNRESET:
	case EPIPE:
		return client ? MG_CLOSE_CLIENT_RESET : MG_CLOSE_SERVER_RESET;
	case ENOMEM:
		return MG_CLOSE_OVERLOAD; /* ours: what waited could not be kept */
	default:
		return client ? MG_CLOSE_CLIENT_LOST : MG_CLOSE_SERVER_LOST;
	}
}

enum mg_step mg_reset_step(struct mg_session *s)
{
	bool from_client = s->broken == &s->client;
	struct mg_leg *to = from_client ? &s->server : &s->client;
	struct mg_flow *f = from_client ? &s->up : &s->down;
	uint64_t now_ms = s->worker->loop.now_ms;
	enum mg_flow_state moved;

	mg_flow_drop(s, from_client ? &s->down : &s->up);
	s->broken->failed = true;
	moved = mg_flow_pump(s, f, s->broken, to);
	s->reason = why(s);
	if (moved == MG_FLOW_TO_FAILED || now_ms >= s->deadline_ms)
		return MG_STEP_CLOSE;
	if (moved == MG_FLOW_MORE && mg_list_empty(&s->ready_node))
		mg_list_append(&s->worker->ready, &s->ready_node);
	if (moved == MG_FLOW_MORE)
		return MG_STEP_WAIT;
	if (moved != MG_FLOW_WAIT && mg_sock_unacked_bytes(to->io.fd) == 0)
		return MG_STEP_CLOSE;

	s->reset_wait_ms = s->reset_wait_ms ? s->reset_wait_ms * 2 : FIRST_LOOK_MS;
	if (s->reset_wait_ms > LAST_LOOK_MS)
		s->reset_wait_ms = LAST_LOOK_MS;
	mg_timer_arm(&s->worker->loop.timers, &s->timer, now_ms + s->reset_wait_ms);
	return MG_STEP_WAIT;
}
