// SPDX-License-Identifier: BSD-2-Clause
/*
 * The corridor: the only place that changes a session's state, and the only way out.
 */
#include "proxy/session.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/flow.h"
#include "proxy/proxy.h"
#include "sys/sock.h"

#define LINGER_MS 10000
#define RESET_MS  5000

static const char *const reasons[] = {
#define X(sym, label, doc) [MG_CLOSE_##sym] = #label,
	MG_CLOSE_REASONS(X)
#undef X
};

/* The sockets of all other sessions end with RST. */
static bool orderly(enum mg_close_reason reason)
{
	return reason == MG_CLOSE_FINISHED || reason == MG_CLOSE_REFUSED ||
	       reason == MG_CLOSE_INFORMED;
}

const char *mg_close_reason_label(enum mg_close_reason reason)
{
	return reasons[reason];
}

const char *mg_session_state_name(enum mg_session_state state)
{
	static const char *const names[] = {
#define X(sym, name) [MG_SESSION_##sym] = #name,
		MG_SESSION_STATES(X)
#undef X
	};

	return names[state];
}

/* Can fail for a session's first timer only; from then on it just moves. */
static int arm(struct mg_session *s, uint64_t in_ms)
{
	return mg_timer_arm(&s->worker->loop.timers, &s->timer, s->worker->loop.now_ms + in_ms);
}

/* A request is pending until the client has its answer. */
static void not_pending(struct mg_session *s)
{
	if (s->pending)
		mg_pending_release(&s->worker->proxy->pending, &s->client_ep.ip);
	s->pending = false;
}

static void leave_server(struct mg_session *s, bool abort)
{
	if (s->server.io.fd < 0)
		return;
	if (abort)
		mg_sock_abort(s->server.io.fd);
	else
		close(s->server.io.fd);
	s->server.io.fd = -1;
}

static bool send_answer(struct mg_session *s, struct mg_convert_buf *answer)
{
	int len = mg_convert_end(answer);

	if (len < 0 || mg_flow_prepend(s, &s->down, answer->data, (size_t)len))
		return false;
	s->answer_bytes = (uint32_t)len;
	return true;
}

static void enter_linger(struct mg_session *s, struct mg_convert_buf *answer)
{
	leave_server(s, true);
	s->state = MG_SESSION_LINGER;
	s->deadline_ms = s->worker->loop.now_ms + LINGER_MS;
	arm(s, LINGER_MS);
	if (!send_answer(s, answer))
		mg_session_close(s, MG_CLOSE_OVERLOAD);
}

static void enter_relay(struct mg_session *s, struct mg_convert_buf *answer)
{
	/* Who never ends the handshake is perhaps not where the SYN says. */
	if (!s->early)
		not_pending(s);
	s->state = MG_SESSION_RELAY;
	s->active_ms = s->worker->loop.now_ms;
	arm(s, s->worker->policy->config->converter.idle_timeout_s * 1000ULL);
	if (!send_answer(s, answer))
		mg_session_close(s, MG_CLOSE_OVERLOAD);
}

static void enter_reset(struct mg_session *s)
{
	s->state = MG_SESSION_RESET;
	s->deadline_ms = s->worker->loop.now_ms + RESET_MS;
	arm(s, RESET_MS);
}

static enum mg_step step(struct mg_session *s, struct mg_convert_buf *answer)
{
	switch (s->state) {
	case MG_SESSION_GREET:
		return mg_greet_step(s, answer);
	case MG_SESSION_CONNECT:
		return mg_connect_step(s, answer);
	case MG_SESSION_RELAY:
		return mg_relay_step(s);
	case MG_SESSION_LINGER:
		return mg_linger_step(s);
	case MG_SESSION_RESET:
		return mg_reset_step(s);
	case MG_SESSION_HOLD:
	case MG_SESSION_VIA:
	case MG_SESSION_ACCEPT:
	case MG_SESSION_CLOSED:
		break;
	}
	return MG_STEP_WAIT;
}

static enum mg_step enter_connect(struct mg_session *s, struct mg_convert_buf *answer)
{
	s->state = MG_SESSION_CONNECT;
	mg_account_fallback(s);
	arm(s, s->worker->policy->config->converter.connect_timeout_ms);
	return mg_connect_start(s, answer);
}

/* Returns true if the session may have more to do at once. */
static bool follow(struct mg_session *s, enum mg_step said, struct mg_convert_buf *answer)
{
	switch (said) {
	case MG_STEP_WAIT:
		return false;
	case MG_STEP_NEXT:
		if (s->state == MG_SESSION_CONNECT) {
			enter_relay(s, answer);
			return true;
		}
		return follow(s, enter_connect(s, answer), answer);
	case MG_STEP_ANSWER:
		enter_linger(s, answer);
		return true;
	case MG_STEP_RESET:
		enter_reset(s);
		return true;
	case MG_STEP_CLOSE:
		mg_session_close(s, s->reason);
		return false;
	case MG_STEP_FAILED:
	case MG_STEP_BYPASS:
	case MG_STEP_PASS:
		break;
	}
	return false;
}

void mg_session_walk(struct mg_session *s)
{
	struct mg_convert_buf answer;

	do {
		mg_convert_begin(&answer);
	} while (s->state != MG_SESSION_CLOSED && follow(s, step(s, &answer), &answer));
}

static void ready(struct mg_session *s, struct mg_leg *leg, uint32_t events)
{
	if (s->state == MG_SESSION_CLOSED || leg->io.fd < 0)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		leg->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		leg->writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP))
		leg->half = true;
	if (events & EPOLLERR)
		leg->failed = true;
	mg_session_walk(s);
}

static void client_ready(struct mg_io *io, uint32_t events)
{
	struct mg_session *s = mg_container_of(io, struct mg_session, client.io);

	if (s->early && io->fd >= 0 && !mg_sock_in_handshake(io->fd)) {
		s->early = false;
		if (s->mptcp)
			mg_sock_push(io->fd);
		if (s->state == MG_SESSION_RELAY)
			not_pending(s);
	}
	ready(s, &s->client, events);
}

static void server_ready(struct mg_io *io, uint32_t events)
{
	struct mg_session *s = mg_container_of(io, struct mg_session, server.io);

	ready(s, &s->server, events);
}

static void timer_fired(struct mg_timer *t)
{
	struct mg_session *s = mg_container_of(t, struct mg_session, timer);
	struct mg_convert_buf answer;
	uint64_t next_ms = 0;

	switch (s->state) {
	case MG_SESSION_GREET:
		mg_session_close(s, MG_CLOSE_GREET_TIMEOUT);
		return;
	case MG_SESSION_CONNECT:
		mg_convert_begin(&answer);
		follow(s, mg_connect_timeout(s, &answer), &answer);
		break;
	case MG_SESSION_RELAY:
		if (mg_relay_idle(s, &next_ms) == MG_STEP_WAIT)
			mg_timer_arm(&s->worker->loop.timers, &s->timer, next_ms);
		else
			mg_session_close(s, s->reason);
		return;
	case MG_SESSION_LINGER:
	case MG_SESSION_RESET:
		break; /* they look at their own deadline */
	case MG_SESSION_HOLD:
	case MG_SESSION_VIA:
	case MG_SESSION_ACCEPT:
	case MG_SESSION_CLOSED:
		return;
	}
	mg_session_walk(s);
}

void mg_session_reloaded(struct mg_session *s)
{
	uint64_t next_ms;

	if (s->state != MG_SESSION_RELAY)
		return;
	mg_relay_idle(s, &next_ms);
	mg_timer_arm(&s->worker->loop.timers, &s->timer, next_ms);
}

/* Counts the client's request as pending; false when there are so many that not even an answer is
 * due. */
static bool charge(struct mg_session *s, bool *too_many)
{
	int limit = (int)s->worker->policy->config->converter.pending_per_client;
	int count = mg_pending_take(&s->worker->proxy->pending, &s->client_ep.ip);

	if (count < 0)
		return false;
	s->pending = true;
	*too_many = count > limit;
	return count <= 2 * limit;
}

static struct mg_session *session_new(struct mg_worker *w, int fd)
{
	struct mg_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->worker = w;
	s->id = w->next_id;
	w->next_id += w->proxy->n_workers;
	s->opened_ms = s->active_ms = w->loop.now_ms;
	s->state = MG_SESSION_GREET;
	s->kind = MG_HOLD_CONVERT;
	s->client.io = (struct mg_io){ .fd = fd, .ready = client_ready };
	s->server.io = (struct mg_io){ .fd = -1, .ready = server_ready };
	s->client.readable = s->client.writable = true;
	s->server.readable = true;
	s->timer.fire = timer_fired;
	mg_list_init(&s->ready_node);
	mg_list_append(&w->sessions, &s->node);
	w->stats.opened++;
	w->stats.active++;
	atomic_fetch_add(&w->proxy->sessions, 1);
	return s;
}

void mg_session_open(struct mg_worker *w, int fd, const struct mg_ep *client,
		     const struct mg_ep *converter, bool mptcp)
{
	struct mg_session *s = session_new(w, fd);
	bool too_many = false;

	if (!s) {
		mg_error("session: no memory for the client's connection");
		mg_sock_abort(fd);
		mg_account_turned_away(w);
		return;
	}
	s->client_ep = *client;
	s->converter_ep = *converter;
	s->mptcp = mptcp;
	s->early = mg_sock_in_handshake(fd);
	if (!charge(s, &too_many) || arm(s, w->policy->config->converter.greet_timeout_ms) ||
	    mg_loop_add(&w->loop, &s->client.io, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) {
		mg_session_close(s, MG_CLOSE_OVERLOAD);
		return;
	}
	if (too_many) {
		uint8_t delay_s = (uint8_t)w->policy->config->converter.retry_after_s;
		struct mg_convert_buf answer;

		mg_convert_begin(&answer);
		mg_convert_put_error(&answer, MG_CE_RESOURCE_EXCEEDED,
				     (struct mg_span){ .data = &delay_s, .len = 1 });
		mg_account_error(s, MG_CE_RESOURCE_EXCEEDED);
		s->reason = MG_CLOSE_REFUSED;
		follow(s, MG_STEP_ANSWER, &answer);
	}
	mg_session_walk(s);
}

void mg_session_close(struct mg_session *s, enum mg_close_reason reason)
{
	struct mg_worker *w = s->worker;
	char client[MG_EP_STRLEN], server[MG_EP_STRLEN];

	if (s->state == MG_SESSION_CLOSED)
		return;
	mg_debug("session %llu: %s -> %s closed in state %s: %s, %llu bytes up, %llu down",
		 (unsigned long long)s->id, mg_ep_format(client, &s->client_ep),
		 mg_ep_format(server, &s->server_ep), mg_session_state_name(s->state),
		 reasons[reason], (unsigned long long)s->up.bytes,
		 (unsigned long long)s->down.bytes);
	mg_account_fallback(s);
	s->state = MG_SESSION_CLOSED;
	s->reason = reason;
	mg_timer_disarm(&w->loop.timers, &s->timer);
	mg_flow_drop(s, &s->up);
	mg_flow_drop(s, &s->down);
	not_pending(s);
	leave_server(s, !orderly(reason));
	if (orderly(reason))
		close(s->client.io.fd);
	else
		mg_sock_abort(s->client.io.fd);
	s->client.io.fd = -1;
	w->stats.closed++;
	w->stats.active--;
	w->stats.closed_by[reason]++;
	atomic_fetch_sub(&w->proxy->sessions, 1);
	mg_list_remove(&s->ready_node);
	mg_list_remove(&s->node);
	/* Events of this round may still point here. */
	mg_list_append(&w->dead, &s->node);
}
