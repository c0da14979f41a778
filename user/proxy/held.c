// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hold room: a SYN is held. May it end here, and is its server known?
 */
#include "proxy/held.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "abi/siphash.h"
#include "base/log.h"
#include "proxy/proxy.h"
#include "sys/mptcp.h"
#include "sys/sock.h"

#define BUCKETS_FIRST 256
#define IP4_BYTES     20
#define IP6_BYTES     40

/* ---- which session a held SYN is ------------------------------------------------------------- */

static struct mg_session **bucket(struct mg_held_in *in, const struct mg_ep *client,
				  const struct mg_ep *server)
{
	uint8_t bytes[40] = { 0 };

	memcpy(bytes, &client->ip, 16);
	memcpy(bytes + 16, &server->ip, 16);
	memcpy(bytes + 32, &client->port, 2);
	memcpy(bytes + 34, &server->port, 2);
	return &in->buckets[mg_siphash24(in->key, bytes, sizeof(bytes)) % in->n_buckets];
}

const struct mg_ep *mg_held_at(const struct mg_session *s)
{
	return s->kind == MG_HOLD_CONVERT ? &s->converter_ep : &s->server_ep;
}

static struct mg_session *find(struct mg_worker *w, const struct mg_ep *client,
			       const struct mg_ep *server, bool unaccepted)
{
	struct mg_session *s = w->held.open ? *bucket(&w->held, client, server) : NULL;

	while (s && !(s->unaccepted == unaccepted && mg_ep_equal(&s->client_ep, client) &&
		      mg_ep_equal(mg_held_at(s), server)))
		s = s->held_next;
	return s;
}

struct mg_session *mg_held_find(struct mg_worker *w, const struct mg_ep *client,
				const struct mg_ep *server)
{
	return find(w, client, server, true);
}

/* Without memory the table stays as it is, only slower. */
static void grow(struct mg_held_in *in)
{
	struct mg_held_in bigger = *in;

	bigger.n_buckets = in->n_buckets * 2;
	bigger.buckets = calloc(bigger.n_buckets, sizeof(struct mg_session *));
	if (!bigger.buckets)
		return;
	for (size_t i = 0; i < in->n_buckets; i++) {
		struct mg_session *s = in->buckets[i], *next;

		for (; s; s = next) {
			struct mg_session **at = bucket(&bigger, &s->client_ep, mg_held_at(s));

			next = s->held_next;
			s->held_next = *at;
			*at = s;
		}
	}
	free(in->buckets);
	in->buckets = bigger.buckets;
	in->n_buckets = bigger.n_buckets;
}

void mg_held_put(struct mg_session *s)
{
	struct mg_held_in *in = &s->worker->held;
	struct mg_session **at = bucket(in, &s->client_ep, mg_held_at(s));

	s->held_next = *at;
	*at = s;
	if (++in->n > in->n_buckets)
		grow(in);
}

void mg_held_drop(struct mg_session *s)
{
	struct mg_held_in *in = &s->worker->held;
	struct mg_session **at = in->open ? bucket(in, &s->client_ep, mg_held_at(s)) : NULL;

	while (at && *at && *at != s)
		at = &(*at)->held_next;
	if (!at || !*at)
		return;
	*at = s->held_next;
	s->held_next = NULL;
	in->n--;
}

/* ---- a client begins anew ---------------------------------------------------------------------
 */

/* Has it no connection left on which its client could still say something? */
static bool client_is_gone(const struct mg_session *s)
{
	struct mg_mptcp_subflow list[MG_MPTCP_SUBFLOWS_MAX];
	int n;

	if (s->client.io.fd < 0 || s->client.failed)
		return true;
	if (!s->mptcp)
		return false;
	n = mg_mptcp_subflows(s->client.io.fd, list, MG_MPTCP_SUBFLOWS_MAX);
	for (int i = 0; i < n; i++) {
		if (list[i].remote.port) /* the first one stays in the list when it is over */
			return false;
	}
	return n >= 0;
}

static bool make_room(struct mg_worker *w, const struct mg_ep *client, const struct mg_ep *server,
		      bool *known)
{
	struct mg_session *before = find(w, client, server, false);

	*known = before;
	if (!before || !client_is_gone(before))
		return false;
	mg_session_close(before, MG_CLOSE_CLIENT_RESET);
	return true;
}

bool mg_held_make_room(struct mg_session *s)
{
	struct mg_worker *w = s->worker;
	bool known, made = make_room(w, &s->client_ep, mg_held_at(s), &known);

	if (!known && w->proxy->n_workers > 1)
		mg_again_put(&w->proxy->again, &s->client_ep, mg_held_at(s));
	return made;
}

static void make_room_for_others(struct mg_worker *w)
{
	struct mg_ep client, server;
	bool known;

	while (mg_again_take(&w->proxy->again, &w->held.again, &client, &server))
		make_room(w, &client, &server, &known);
}

/* ---- the room -------------------------------------------------------------------------------- */

static enum mg_step pass(struct mg_session *s, enum mg_close_reason reason, enum mg_passed_why why)
{
	s->reason = reason;
	s->pass_why = why;
	return MG_STEP_PASS;
}

static enum mg_step ask_ourselves(struct mg_session *s)
{
	s->probe = s->want_mptcp = true;
	return MG_STEP_NEXT;
}

static enum mg_step judge(struct mg_session *s, enum mg_known known)
{
	if (known == MG_KNOWN_MPTCP)
		return pass(s, MG_CLOSE_STEPPED_ASIDE, MG_PASSED_KNOWN);
	return known == MG_KNOWN_PLAIN ? MG_STEP_NEXT : ask_ourselves(s);
}

static enum mg_step judge_hybrid(struct mg_session *s)
{
	struct mg_worker *w = s->worker;

	if (s->known != MG_KNOWN_NOTHING)
		return judge(s, s->known);
	switch (mg_servers_ask(&w->proxy->servers, &s->asker, &w->held.inbox, &s->server_ep,
			       w->held.known, w->loop.now_ms)) {
	case MG_ASK_WAIT:
		return MG_STEP_WAIT;
	case MG_ASK_KNOWN:
		return judge(s, s->asker.verdict);
	case MG_ASK_PROBE:
	case MG_ASK_ALONE:
		break;
	}
	return ask_ourselves(s);
}

/*
 * Two descriptors for this session and for each that is on its way: who is let in and then has none
 * left gets a RST, where the server would have answered. And one for a listener.
 */
static bool has_room(const struct mg_session *s)
{
	return mg_sock_has_room(2 * atomic_load(&s->worker->proxy->unaccepted) + 1);
}

static enum mg_step by_policy(struct mg_session *s)
{
	switch (mg_session_policy(s)->refuse) {
	case MG_REFUSE_RESET:
		mg_session_refuse(s);
		break;
	case MG_REFUSE_DROP:
		break;
	case MG_REFUSE_PASS:
	case MG_REFUSE_COUNT:
		return pass(s, MG_CLOSE_NOT_ADMITTED, MG_PASSED_REFUSED);
	}
	s->reason = MG_CLOSE_NOT_ADMITTED;
	return MG_STEP_CLOSE;
}

/* Somebody else's access network: no session of it is taken over. It may still use the servers. */
static enum mg_step by_trust(struct mg_session *s)
{
	const struct mg_policy *p = s->worker->policy;
	size_t access = mg_policy_access(p, s->ticket.access);

	if (access == MG_CONFIG_NONE || !p->config->policies.access[access].drop_transit)
		return pass(s, MG_CLOSE_NOT_ADMITTED, MG_PASSED_REFUSED);
	s->reason = MG_CLOSE_NOT_ADMITTED;
	return MG_STEP_CLOSE;
}

static enum mg_step admit(struct mg_session *s)
{
	const struct mg_admit_said said = mg_admit_session(s, false);

	switch (said.refusal) {
	case MG_ADMITTED:
		return MG_STEP_NEXT;
	case MG_REFUSAL_NO_COOKIE:
	case MG_REFUSAL_TRANSIT:
		return by_trust(s);
	case MG_REFUSAL_OVER_PROXY:
		break;
	default:
		if (said.refusal > 0)
			return by_policy(s);
		break;
	}
	s->reason = MG_CLOSE_OVERLOAD; /* intercept.on_overload */
	return MG_STEP_CLOSE;
}

static bool is_intercepted(const struct mg_session *s)
{
	return s->kind == MG_HOLD_CPE || s->mode == MG_MODE_TAKE_OVER || s->mode == MG_MODE_HYBRID;
}

enum mg_step mg_held_start(struct mg_session *s)
{
	const struct mg_policy *p = s->worker->policy;
	bool hybrid = s->kind != MG_HOLD_CPE && s->mode == MG_MODE_HYBRID;
	enum mg_step said;

	if (s->kind == MG_HOLD_CONVERT)
		return MG_STEP_NEXT; /* greet judges it */
	if (p->draining || !has_room(s) || mg_policy_is_own(p, &s->server_ep.ip) ||
	    !is_intercepted(s))
		return pass(s, MG_CLOSE_PASSED, MG_PASSED_OVERLOAD);
	/* It is none of ours, and needs nobody's leave. */
	if (hybrid && s->known == MG_KNOWN_MPTCP)
		return judge(s, s->known);
	said = admit(s);
	if (said != MG_STEP_NEXT)
		return said;
	s->want_mptcp = s->kind == MG_HOLD_CPE;
	return hybrid ? judge_hybrid(s) : MG_STEP_NEXT;
}

enum mg_step mg_held_step(struct mg_session *s)
{
	return s->asker.told ? judge(s, s->asker.verdict) : MG_STEP_WAIT;
}

enum mg_step mg_held_timeout(struct mg_session *s)
{
	mg_servers_hand_on(&s->worker->proxy->servers, &s->asker, &s->server_ep);
	return ask_ourselves(s);
}

void mg_held_ask_no_more(struct mg_session *s)
{
	struct mg_servers *servers = &s->worker->proxy->servers;

	if (s->reason == MG_CLOSE_GAVE_UP || s->reason == MG_CLOSE_OPERATOR)
		mg_servers_hand_on(servers, &s->asker, &s->server_ep);
	else
		mg_servers_leave(servers, &s->asker, &s->server_ep);
}

struct mg_span mg_held_payload(const struct mg_session *s)
{
	const struct mg_frame *f = s->frame;
	const uint8_t *ip = f->data + f->ip_offset;
	size_t end;

	if ((size_t)f->ip_offset + IP4_BYTES > f->bytes)
		return (struct mg_span){ 0 };
	/* What lies behind the packet is padding. */
	if (ip[0] >> 4 == 4)
		end = f->ip_offset + ((size_t)ip[2] << 8 | ip[3]);
	else
		end = f->ip_offset + IP6_BYTES + ((size_t)ip[4] << 8 | ip[5]);
	if (end > f->bytes)
		end = f->bytes;
	if (f->payload_offset >= end)
		return (struct mg_span){ 0 };
	return (struct mg_span){ .data = f->data + f->payload_offset,
				 .len = end - f->payload_offset };
}

/* ---- what the kernel tells ------------------------------------------------------------------- */

static void record(void *ctx, const struct mg_held_syn *syn)
{
	struct mg_worker *w = ctx;
	struct mg_session *s = mg_held_find(w, &syn->client, &syn->server);

	mg_held_beat(w); /* there may be many */
	switch (syn->type) {
	case MG_HELD_SYN:
		if (s && s->isn == syn->isn)
			return;
		if (s)
			mg_session_give_up(s, syn);
		mg_session_hold(w, syn);
		return;
	case MG_HELD_RETRY:
		if (s)
			mg_session_give_up(s, syn);
		else /* the session ended while this was on its way */
			mg_hold_pass(w->proxy->holder, &syn->client, &syn->server, syn->isn,
				     MG_PASSED_GAVE_UP, syn->frame);
		return;
	case MG_HELD_RESET:
		if (s)
			mg_session_give_up(s, syn);
		return;
	}
}

void mg_held_read(struct mg_worker *w)
{
	uint64_t known = mg_servers_told(&w->proxy->servers);

	if (w->held.open && mg_hold_read(w->proxy->holder, w->index, record, w) == 0)
		w->held.known = known;
}

static void ring_ready(struct mg_io *io, uint32_t events)
{
	(void)events;
	mg_held_read(mg_container_of(io, struct mg_worker, held.ring));
}

static void inbox_ready(struct mg_io *io, uint32_t events)
{
	struct mg_worker *w = mg_container_of(io, struct mg_worker, held.inbox.io);
	struct mg_asker *a;

	(void)events;
	while ((a = mg_inbox_take(&w->proxy->servers, &w->held.inbox)) != NULL)
		mg_session_walk(mg_container_of(a, struct mg_session, asker));
}

/* Often enough that one late beat is no reason to think us dead. */
static uint64_t beat_ms(const struct mg_worker *w)
{
	uint32_t ms = w->policy->config->intercept.stale_ms / 4;

	return ms ? ms : 1;
}

void mg_held_beat(struct mg_worker *w)
{
	if (w->held.open)
		mg_hold_beat(w->proxy->holder, w->index);
}

static void beat(struct mg_timer *t)
{
	struct mg_worker *w = mg_container_of(t, struct mg_worker, held.beat);

	mg_held_beat(w);
	make_room_for_others(w);
	mg_held_read(w); /* to see it empty */
	mg_timer_arm(&w->loop.timers, t, w->loop.now_ms + beat_ms(w));
}

int mg_held_open(struct mg_worker *w)
{
	struct mg_held_in *in = &w->held;
	int err;

	if (!w->proxy->holder)
		return 0;
	in->inbox.io.fd = -1;
	if (getrandom(in->key, sizeof(in->key), 0) != sizeof(in->key))
		return -EIO;
	in->n_buckets = BUCKETS_FIRST;
	in->buckets = calloc(in->n_buckets, sizeof(struct mg_session *));
	in->ring =
		(struct mg_io){ .fd = mg_hold_fd(w->proxy->holder, w->index), .ready = ring_ready };
	in->beat.fire = beat;
	in->open = true;
	err = in->buckets ? mg_inbox_open(&in->inbox, inbox_ready) : -ENOMEM;
	if (!err)
		err = mg_loop_add(&w->loop, &in->inbox.io, EPOLLIN);
	if (!err)
		err = in->ring.fd < 0 ? in->ring.fd : mg_loop_add(&w->loop, &in->ring, EPOLLIN);
	if (!err)
		err = mg_timer_arm(&w->loop.timers, &in->beat, w->loop.now_ms);
	if (err) {
		mg_error("worker %u: cannot hold SYNs: %s", w->index, strerror(-err));
		mg_held_close(w);
	}
	return err;
}

void mg_held_close(struct mg_worker *w)
{
	if (!w->held.open)
		return;
	mg_timer_disarm(&w->loop.timers, &w->held.beat);
	mg_inbox_close(&w->held.inbox);
	free(w->held.buckets);
	w->held.buckets = NULL;
	w->held.open = false;
}
