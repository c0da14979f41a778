// SPDX-License-Identifier: BSD-2-Clause
/*
 * How sessions begin: with a socket, or with a SYN that is held and the socket later.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "proxy/proxy.h"
#include "sys/sock.h"

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

static int watch_client(struct mg_session *s, int fd, bool mptcp)
{
	s->client.io.fd = fd;
	s->mptcp = mptcp;
	s->early = mg_sock_in_handshake(fd);
	return mg_loop_add(&s->worker->loop, &s->client.io,
			   EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void too_many_pending(struct mg_session *s)
{
	uint8_t delay_s = (uint8_t)s->worker->policy->config->converter.retry_after_s;
	struct mg_convert_buf answer;

	mg_convert_begin(&answer);
	if (s->kind != MG_HOLD_CONVERT) {
		mg_session_close(s, MG_CLOSE_OVERLOAD);
		return;
	}
	mg_convert_put_error(&answer, MG_CE_RESOURCE_EXCEEDED,
			     (struct mg_span){ .data = &delay_s, .len = 1 });
	mg_account_error(s, MG_CE_RESOURCE_EXCEEDED);
	s->reason = MG_CLOSE_REFUSED;
	mg_session_follow(s, MG_STEP_ANSWER, &answer);
}

void mg_session_open(struct mg_worker *w, int fd, const struct mg_ep *client,
		     const struct mg_ep *converter, bool mptcp)
{
	struct mg_session *s = mg_session_new(w, MG_SESSION_GREET);
	bool too_many = false;

	if (!s) {
		mg_error("session: no memory for the client's connection");
		mg_sock_abort(fd);
		mg_account_turned_away(w);
		return;
	}
	s->client_ep = *client;
	s->converter_ep = *converter;
	s->client.io.fd = fd;
	if (!charge(s, &too_many) ||
	    mg_timer_arm(&w->loop.timers, &s->timer,
			 w->loop.now_ms + w->policy->config->converter.greet_timeout_ms) ||
	    watch_client(s, fd, mptcp)) {
		mg_session_close(s, MG_CLOSE_OVERLOAD);
		return;
	}
	if (too_many)
		too_many_pending(s);
	else
		mg_session_walk(s);
}

static int hold(struct mg_session *s, bool *too_many)
{
	struct mg_worker *w = s->worker;

	if (!charge(s, too_many)) {
		/* Who asks for a converter is turned away, as at its listener. */
		if (s->kind == MG_HOLD_CONVERT)
			mg_session_refuse(s);
		return -EBUSY;
	}
	if (s->kind == MG_HOLD_CONVERT &&
	    mg_timer_arm(&w->loop.timers, &s->hold_timer,
			 w->loop.now_ms + w->policy->config->converter.hold_max_ms))
		return -ENOMEM;
	return mg_timer_arm(&w->loop.timers, &s->timer, w->loop.now_ms + MG_HELD_VERDICT_MS);
}

void mg_session_hold(struct mg_worker *w, const struct mg_held_syn *syn)
{
	struct mg_frame *frame = mg_frame_copy(syn->frame);
	struct mg_session *s = frame ? mg_session_new(w, MG_SESSION_HOLD) : NULL;
	struct mg_convert_buf answer;
	bool too_many = false;

	if (!s) {
		mg_error("session: no memory for a held SYN");
		free(frame);
		mg_hold_pass(w->proxy->holder, &syn->client, &syn->server, syn->isn,
			     MG_PASSED_OVERLOAD, syn->frame);
		w->stats.hold_passed++;
		mg_account_turned_away(w);
		return;
	}
	s->frame = frame;
	s->kind = syn->kind;
	s->mode = syn->mode;
	s->known = syn->known;
	s->offered = syn->mp_capable;
	s->isn = syn->isn;
	s->client_ep = syn->client;
	*(s->kind == MG_HOLD_CONVERT ? &s->converter_ep : &s->server_ep) = syn->server;
	s->held = s->unaccepted = true;
	atomic_fetch_add(&w->proxy->unaccepted, 1);
	mg_held_put(s);
	mg_convert_begin(&answer);
	if (hold(s, &too_many))
		mg_session_close(s, MG_CLOSE_OVERLOAD);
	else if (too_many)
		too_many_pending(s);
	else
		mg_session_follow(s, mg_held_start(s), &answer);
}

/* Joins name the token from the moment on that the client hears from us. */
static void register_token(struct mg_session *s)
{
	struct mg_mptcp_state m;

	if (!s->mptcp || mg_mptcp_read(s->client.io.fd, &m) || m.fallback || !m.token)
		return;
	if (mg_hold_token_add(s->worker->proxy->holder, m.token, s->worker->index))
		mg_warn("session %llu: no room for its token, other subflows may not find it",
			(unsigned long long)s->id);
	else
		s->token = m.token;
}

void mg_session_adopt(struct mg_session *s, int fd, bool mptcp)
{
	/* From here on repetitions find the socket. */
	mg_hold_release(s->worker->proxy->holder, &s->client_ep, mg_held_at(s), s->isn);
	s->held = false;
	mg_session_accepted(s);
	if (watch_client(s, fd, mptcp)) {
		mg_session_close(s, MG_CLOSE_OVERLOAD);
		return;
	}
	register_token(s);
	mg_admit_token(s);
	mg_session_walk(s);
}
