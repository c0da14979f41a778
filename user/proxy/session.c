// SPDX-License-Identifier: BSD-2-Clause
/*
 * The corridor: the only place that changes a session's state, and the only way out.
 */
#include "proxy/session.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/flow.h"
#include "proxy/proxy.h"
#include "proxy/source.h"
#include "proxy/spread.h"
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

static void leave(struct mg_leg *leg, bool abort)
{
	if (leg->io.fd < 0)
		return;
	if (abort)
		mg_sock_abort(leg->io.fd);
	else
		close(leg->io.fd);
	leg->io.fd = -1;
}

/* The connection to the server is gone before the SYN gets there: both may look the same to it. */
static void hand_back(struct mg_session *s, enum mg_passed_why why, const struct mg_frame *frame)
{
	leave(&s->server, true);
	s->held = false;
	mg_hold_pass(s->worker->proxy->holder, &s->client_ep, mg_held_at(s), s->isn, why, frame);
}

/* Is only this host in the SYN's way? */
static bool may_go_on(const struct mg_session *s)
{
	if (s->reason == MG_CLOSE_OVERLOAD && s->kind != MG_HOLD_CONVERT)
		return s->worker->policy->config->intercept.on_overload == MG_OVERLOAD_PASS;
	return s->reason == MG_CLOSE_OVERLOAD || s->reason == MG_CLOSE_DRAINED;
}

void mg_session_accepted(struct mg_session *s)
{
	if (s->unaccepted)
		atomic_fetch_sub(&s->worker->proxy->unaccepted, 1);
	s->unaccepted = false;
}

/* The kernel forgets the SYN. One that only we are in the way of goes on. */
static void let_go(struct mg_session *s)
{
	struct mg_worker *w = s->worker;

	mg_timer_disarm(&w->loop.timers, &s->hold_timer);
	mg_held_ask_no_more(s);
	mg_held_drop(s);
	mg_session_accepted(s);
	if (s->held && !s->taken && may_go_on(s)) {
		hand_back(s, MG_PASSED_OVERLOAD, s->frame);
		w->stats.hold_passed++;
	}
	if (s->held)
		mg_hold_release(w->proxy->holder, &s->client_ep, mg_held_at(s), s->isn);
	s->held = false;
	free(s->frame);
	s->frame = NULL;
	mg_via_free(s);
	if (s->token)
		mg_hold_token_del(w->proxy->holder, s->token);
	if (s->port)
		mg_ports_done(w, s->port);
	s->port = NULL;
}

static bool send_answer(struct mg_session *s, struct mg_convert_buf *answer)
{
	int len = mg_convert_end(answer);

	if (len < 0 || mg_flow_prepend(s, &s->down, answer->data, (size_t)len))
		return false;
	s->answer_bytes = (uint32_t)len;
	return true;
}

static void enter_linger(struct mg_session *s)
{
	leave(&s->server, true);
	s->state = MG_SESSION_LINGER;
	s->deadline_ms = s->worker->loop.now_ms + LINGER_MS;
	arm(s, LINGER_MS);
}

static void enter_relay(struct mg_session *s)
{
	/* Who never ends the handshake is perhaps not where the SYN says. */
	if (!s->early)
		not_pending(s);
	s->state = MG_SESSION_RELAY;
	s->active_ms = s->worker->loop.now_ms;
	arm(s, s->worker->policy->config->converter.idle_timeout_s * 1000ULL);
	free(s->frame);
	s->frame = NULL;
	mg_spread_begin(s);
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
	case MG_SESSION_HOLD:
		return mg_held_step(s);
	case MG_SESSION_GREET:
		return mg_greet_step(s, answer);
	case MG_SESSION_VIA:
		return mg_via_step(s);
	case MG_SESSION_CONNECT:
		return mg_connect_step(s);
	case MG_SESSION_ACCEPT:
		return mg_accept_step(s);
	case MG_SESSION_RELAY:
		return mg_relay_step(s);
	case MG_SESSION_LINGER:
		return mg_linger_step(s);
	case MG_SESSION_RESET:
		return mg_reset_step(s);
	case MG_SESSION_CLOSED:
		break;
	}
	return MG_STEP_WAIT;
}

static enum mg_step enter_connect(struct mg_session *s)
{
	s->state = MG_SESSION_CONNECT;
	mg_account_fallback(s);
	arm(s, s->worker->policy->config->converter.connect_timeout_ms);
	return mg_connect_start(s);
}

static enum mg_step enter_via(struct mg_session *s)
{
	s->state = MG_SESSION_VIA;
	arm(s, s->worker->policy->config->converter.connect_timeout_ms);
	return mg_via_start(s);
}

static enum mg_step take(struct mg_session *s)
{
	mg_timer_disarm(&s->worker->loop.timers, &s->hold_timer);
	return mg_accept_start(s);
}

static enum mg_step enter_accept(struct mg_session *s)
{
	s->state = MG_SESSION_ACCEPT;
	arm(s, s->worker->policy->config->converter.connect_timeout_ms);
	return s->taken ? mg_accept_step(s) : take(s);
}

/* The door out of each room. */
static enum mg_step next(struct mg_session *s, struct mg_convert_buf *answer)
{
	switch (s->state) {
	case MG_SESSION_HOLD:
		if (s->kind == MG_HOLD_CONVERT) {
			s->state = MG_SESSION_GREET;
			return mg_greet_held(s, answer);
		}
		return mg_via_wanted(s) ? enter_via(s) : enter_connect(s);
	case MG_SESSION_GREET:
		return enter_connect(s);
	case MG_SESSION_VIA:
		return enter_accept(s);
	case MG_SESSION_CONNECT:
		mg_tell_connected(s, answer);
		if ((s->kind == MG_HOLD_CONVERT && !send_answer(s, answer)) ||
		    !mg_source_introduce(s)) {
			s->reason = MG_CLOSE_OVERLOAD;
			return MG_STEP_CLOSE;
		}
		if (s->frame)
			return enter_accept(s);
		enter_relay(s);
		return mg_relay_step(s);
	case MG_SESSION_ACCEPT:
		if (s->final) {
			enter_linger(s);
			return mg_linger_step(s);
		}
		enter_relay(s);
		return mg_relay_step(s);
	default:
		return MG_STEP_WAIT;
	}
}

/* An answer that ends the session: it waits for the client's socket, if there is none yet. */
static enum mg_step last_word(struct mg_session *s, struct mg_convert_buf *answer)
{
	leave(&s->server, true);
	if (!send_answer(s, answer)) {
		s->reason = MG_CLOSE_OVERLOAD;
		return MG_STEP_CLOSE;
	}
	s->final = true;
	if (s->frame)
		return enter_accept(s);
	enter_linger(s);
	return mg_linger_step(s);
}

static void pass(struct mg_session *s)
{
	hand_back(s, s->pass_why, s->frame);
	s->worker->stats.hold_passed++;
	mg_session_close(s, s->reason);
}

/* From room to room, until one of them has to wait. */
void mg_session_follow(struct mg_session *s, enum mg_step said, struct mg_convert_buf *answer)
{
	for (;;) {
		switch (said) {
		case MG_STEP_WAIT:
			return;
		case MG_STEP_NEXT:
			said = next(s, answer);
			break;
		case MG_STEP_ANSWER:
			said = last_word(s, answer);
			break;
		case MG_STEP_RESET:
			enter_reset(s);
			said = mg_reset_step(s);
			break;
		case MG_STEP_FAILED:
			said = mg_tell_failed(s, answer);
			break;
		case MG_STEP_BYPASS:
			leave(&s->server, true);
			said = enter_connect(s);
			break;
		case MG_STEP_PASS:
			pass(s);
			return;
		case MG_STEP_CLOSE:
			mg_session_close(s, s->reason);
			return;
		}
	}
}

void mg_session_walk(struct mg_session *s)
{
	struct mg_convert_buf answer;

	mg_convert_begin(&answer);
	mg_session_follow(s, step(s, &answer), &answer);
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
		mg_admit_token(s);
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

	mg_convert_begin(&answer);
	switch (s->state) {
	case MG_SESSION_HOLD:
		mg_session_follow(s, mg_held_timeout(s), &answer);
		return;
	case MG_SESSION_GREET:
		mg_session_close(s, MG_CLOSE_GREET_TIMEOUT);
		return;
	case MG_SESSION_VIA:
		mg_session_follow(s, mg_via_timeout(s), &answer);
		return;
	case MG_SESSION_CONNECT:
		mg_session_follow(s, mg_connect_timeout(s), &answer);
		return;
	case MG_SESSION_ACCEPT:
		mg_session_close(s, s->client.io.fd < 0 || s->early ? MG_CLOSE_ACCEPT_TIMEOUT
								    : MG_CLOSE_GREET_TIMEOUT);
		return;
	case MG_SESSION_RELAY:
		if (mg_relay_idle(s, &next_ms) == MG_STEP_WAIT)
			mg_timer_arm(&s->worker->loop.timers, &s->timer, next_ms);
		else
			mg_session_close(s, s->reason);
		return;
	case MG_SESSION_LINGER:
	case MG_SESSION_RESET:
		mg_session_walk(s); /* they look at their own deadline */
		return;
	case MG_SESSION_CLOSED:
		return;
	}
}

/* A client that waits longer repeats its SYN, without the data (converter.hold_max_ms). */
static void held_long_enough(struct mg_timer *t)
{
	struct mg_session *s = mg_container_of(t, struct mg_session, hold_timer);
	struct mg_convert_buf answer;

	mg_convert_begin(&answer);
	if (!s->taken)
		mg_session_follow(s, take(s), &answer);
}

void mg_session_reloaded(struct mg_session *s)
{
	uint64_t next_ms;

	if (s->state != MG_SESSION_RELAY)
		return;
	mg_relay_idle(s, &next_ms);
	mg_timer_arm(&s->worker->loop.timers, &s->timer, next_ms);
	mg_spread_begin(s);
}

struct mg_session *mg_session_new(struct mg_worker *w, enum mg_session_state state)
{
	struct mg_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->worker = w;
	s->id = w->next_id;
	w->next_id += w->proxy->n_workers;
	s->opened_ms = s->active_ms = w->loop.now_ms;
	s->state = state;
	s->kind = MG_HOLD_CONVERT;
	s->client.io = (struct mg_io){ .fd = -1, .ready = client_ready };
	s->server.io = (struct mg_io){ .fd = -1, .ready = server_ready };
	s->client.readable = s->client.writable = true;
	s->server.readable = true;
	s->timer.fire = timer_fired;
	s->hold_timer.fire = held_long_enough;
	mg_list_init(&s->ready_node);
	mg_list_append(&w->sessions, &s->node);
	w->stats.opened++;
	w->stats.active++;
	atomic_fetch_add(&w->proxy->sessions, 1);
	return s;
}

void mg_session_refuse(struct mg_session *s)
{
	struct mg_holder *h = s->worker->proxy->holder;

	mg_hold_reset(h, s->frame);
	mg_hold_release(h, &s->client_ep, mg_held_at(s), s->isn);
	s->held = false;
	s->worker->stats.hold_refused++;
}

void mg_session_give_up(struct mg_session *s, const struct mg_held_syn *how)
{
	if (how->type == MG_HELD_RETRY) {
		/* What was let in is answered already, and with plain TCP if need be. */
		if (s->taken && how->isn == s->isn)
			return;
		/* Another attempt, perhaps: that is the one the kernel holds now. */
		s->isn = how->isn;
		hand_back(s, MG_PASSED_GAVE_UP, how->frame);
	}
	s->worker->stats.hold_gave_up++;
	mg_session_close(s, MG_CLOSE_GAVE_UP);
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
	mg_source_leave(s);
	mg_spread_end(s);
	mg_flow_drop(s, &s->up);
	mg_flow_drop(s, &s->down);
	not_pending(s);
	leave(&s->server, !orderly(reason));
	let_go(s);
	leave(&s->client, !orderly(reason));
	mg_admit_release(s);
	w->stats.closed++;
	w->stats.active--;
	w->stats.closed_by[reason]++;
	atomic_fetch_sub(&w->proxy->sessions, 1);
	mg_list_remove(&s->ready_node);
	mg_list_remove(&s->node);
	/* Events of this round may still point here. */
	mg_list_append(&w->dead, &s->node);
}
