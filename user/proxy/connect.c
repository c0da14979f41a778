// SPDX-License-Identifier: BSD-2-Clause
/*
 * The connect room: opens the connection to the server, and sees what the server speaks.
 */
#include <errno.h>

#include "proxy/proxy.h"
#include "proxy/source.h"
#include "sys/mptcp.h"
#include "sys/sock.h"

/* net.mptcp.syn_retrans_before_tcp_fallback, unless somebody set it */
#define SYN_REPEATS_PLAIN 2

/* What the client begins anew is over, and its RST goes first; unless it lives on other subflows.
 */
static int connect_as_client(struct mg_session *s)
{
	int err = mg_sock_connect_exact(&s->server.io.fd, &s->server_ep, &s->client_ep,
					s->want_mptcp);

	if (err != -EADDRNOTAVAIL || !mg_held_make_room(s))
		return err;
	return mg_sock_connect_exact(&s->server.io.fd, &s->server_ep, &s->client_ep, s->want_mptcp);
}

static int open_connection(struct mg_session *s)
{
	const struct mg_ep *source = &s->client_ep;

	switch (s->kind) {
	case MG_HOLD_INTERCEPT:
		if (mg_session_source(s) != MG_SOURCE_PRESERVED)
			break;
		/* Nobody asked for us: the server sees what it would see without. */
		return connect_as_client(s);
	case MG_HOLD_CONVERT:
		/* The UE's own address goes on only into its own family. */
		if (mg_session_source(s) == MG_SOURCE_PRESERVED &&
		    mg_ip_is_v4(&source->ip) == mg_ip_is_v4(&s->server_ep.ip))
			return mg_sock_connect(&s->server.io.fd, &s->server_ep, source,
					       s->want_mptcp);
		break;
	case MG_HOLD_CPE:
		/* Its own addresses are its links. */
		return mg_sock_connect(&s->server.io.fd, &s->server_ep, NULL, s->want_mptcp);
	case MG_HOLD_KIND_COUNT:
		break;
	}
	return mg_source_connect(s);
}

enum mg_step mg_connect_start(struct mg_session *s)
{
	int err;

	s->worker->stats.probes += s->probe;
	err = open_connection(s);
	if (!err)
		err = mg_loop_add(&s->worker->loop, &s->server.io,
				  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	if (!err)
		return MG_STEP_WAIT;
	s->failure = (struct mg_sock_failure){ .err = -err };
	return MG_STEP_FAILED;
}

static bool server_took_mptcp(const struct mg_session *s)
{
	struct mg_mptcp_state m;

	return s->want_mptcp && !mg_mptcp_read(s->server.io.fd, &m) && !m.fallback;
}

/* The kernel hears of it before the others do: they may ask it anew. */
static void learn(struct mg_session *s)
{
	struct mg_proxy *p = s->worker->proxy;

	/* The SYN that was answered did perhaps not ask for MPTCP. */
	if (!s->server_mptcp && mg_sock_syn_repeats(s->server.io.fd) >= SYN_REPEATS_PLAIN) {
		mg_servers_leave(&p->servers, &s->asker, &s->server_ep);
		return;
	}
	mg_hold_learn(p->holder, &s->server_ep, s->server_mptcp);
	mg_servers_tell(&p->servers, &s->server_ep,
			s->server_mptcp ? MG_KNOWN_MPTCP : MG_KNOWN_PLAIN, s->worker->loop.now_ms);
}

enum mg_step mg_connect_step(struct mg_session *s)
{
	if (s->client.failed) {
		s->reason = MG_CLOSE_CLIENT_GONE;
		return MG_STEP_CLOSE;
	}
	if (!s->server.writable && !s->server.failed)
		return MG_STEP_WAIT;
	mg_sock_connect_result(s->server.io.fd, &s->failure);
	if (s->failure.err)
		return MG_STEP_FAILED;
	if (s->server.failed) {
		struct mg_ep peer;

		/* The error queue can wake us without an error that counts. */
		s->server.failed = false;
		s->server.writable = !mg_sock_peer(s->server.io.fd, &peer);
		if (!s->server.writable)
			return MG_STEP_WAIT;
	}
	mg_sock_local(s->server.io.fd, &s->source_ep);
	mg_via_reached(s);
	s->server_mptcp = server_took_mptcp(s);
	/* A CPE goes straight to servers that are known to speak MPTCP. */
	if (s->probe || (s->kind == MG_HOLD_CPE && s->known == MG_KNOWN_MPTCP))
		learn(s);
	if (!s->probe || !s->server_mptcp)
		return MG_STEP_NEXT;
	s->reason = MG_CLOSE_STEPPED_ASIDE;
	s->pass_why = MG_PASSED_PROBED;
	return MG_STEP_PASS;
}

enum mg_step mg_connect_timeout(struct mg_session *s)
{
	s->timed_out = true;
	return MG_STEP_FAILED;
}
