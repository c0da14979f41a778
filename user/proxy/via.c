// SPDX-License-Identifier: BSD-2-Clause
/*
 * The via room: the way to the server through cpe.converter. The converter's word about the server
 * is the server's; a converter that cannot be used is left alone for a while, and the connection
 * goes to the server itself.
 */
#include "proxy/via.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proxy/proxy.h"
#include "request/sock.h"

/* How long a converter is left alone that cannot be reached, or breaks off: a link may be back
 * soon. One that answers no SYN has cost its clients seconds, so that it is tried less often. */
#define UNREACHABLE_S 10
#define SILENT_S      60

/* For the SYN's answer a part of connect_timeout_ms; for the converter's a multiple, as it needs
 * its own time to find a server silent. */
#define HANDSHAKE_PART 2
#define ANSWER_TIMES   2

/* Connect's option list: MPTCP, without a value */
static const uint8_t mptcp_option[] = { 30, 2 };

struct mg_via {
	struct mg_request request;
	uint8_t message[MG_CONVERT_MAX_BYTES];
	bool looked; /* whether the converter speaks MPTCP */
	bool silent; /* it answered no SYN, which may be the server's fault or its own */
};

static const struct mg_config *config(const struct mg_session *s)
{
	return s->worker->policy->config;
}

static void rearm(struct mg_session *s, uint64_t in_ms)
{
	mg_timer_arm(&s->worker->loop.timers, &s->timer, s->worker->loop.now_ms + in_ms);
}

/* ---- what is remembered of the converter ----------------------------------------------------- */

void mg_via_memory_init(struct mg_via_memory *m)
{
	memset(m, 0, sizeof(*m));
	pthread_mutex_init(&m->lock, NULL);
}

/* Locks it; all zero but for the address if it was about another one. */
static struct mg_via_memory *memory(const struct mg_session *s)
{
	struct mg_via_memory *m = &s->worker->proxy->via;
	const struct mg_ep *converter = &config(s)->cpe.converter;

	pthread_mutex_lock(&m->lock);
	if (!mg_ep_equal(&m->converter, converter)) {
		m->converter = *converter;
		m->cookie_len = 0;
		m->no_mptcp_option = false;
		m->aside_until_ms = 0;
	}
	return m;
}

static void recall(const struct mg_session *s, struct mg_request *r)
{
	struct mg_via_memory *m = memory(s);

	memcpy(r->cookie, m->cookie, sizeof(r->cookie));
	r->cookie_len = m->cookie_len;
	/* What the server says to it, the answer tells. */
	if (config(s)->cpe.direct && !m->no_mptcp_option) {
		memcpy(r->tcp_options, mptcp_option, sizeof(mptcp_option));
		r->tcp_options_len = sizeof(mptcp_option);
	}
	pthread_mutex_unlock(&m->lock);
}

static void remember_cookie(const struct mg_session *s, const struct mg_request *r)
{
	struct mg_via_memory *m = memory(s);

	memcpy(m->cookie, r->cookie, sizeof(m->cookie));
	m->cookie_len = r->cookie_len;
	pthread_mutex_unlock(&m->lock);
}

static void remember_no_option(const struct mg_session *s)
{
	struct mg_via_memory *m = memory(s);

	m->no_mptcp_option = true;
	pthread_mutex_unlock(&m->lock);
}

static bool is_aside(const struct mg_session *s)
{
	struct mg_via_memory *m = memory(s);
	bool aside = m->aside_until_ms > s->worker->loop.now_ms;

	pthread_mutex_unlock(&m->lock);
	return aside;
}

static void put_aside(const struct mg_session *s, unsigned int seconds, const char *why)
{
	uint64_t now_ms = s->worker->loop.now_ms, until_ms = now_ms + seconds * 1000ULL;
	struct mg_via_memory *m = memory(s);
	bool news = m->aside_until_ms <= now_ms;
	char converter[MG_EP_STRLEN];

	if (until_ms > m->aside_until_ms)
		m->aside_until_ms = until_ms;
	pthread_mutex_unlock(&m->lock);
	if (news)
		mg_warn("cpe.converter %s: %s; not asked for %u s, connections go to their servers",
			mg_ep_format(converter, &config(s)->cpe.converter), why, seconds);
}

/* ---- attempts -------------------------------------------------------------------------------- */

static void leave_converter(struct mg_session *s)
{
	if (s->server.io.fd >= 0)
		mg_sock_abort(s->server.io.fd);
	s->server = (struct mg_leg){ .io = { .fd = -1, .ready = s->server.io.ready },
				     .readable = true };
}

static enum mg_step bypass(struct mg_session *s, unsigned int aside_s, const char *why)
{
	char server[MG_EP_STRLEN];

	if (aside_s)
		put_aside(s, aside_s, why);
	mg_debug("session %llu: %s without the converter: %s", (unsigned long long)s->id,
		 mg_ep_format(server, &s->server_ep), why);
	leave_converter(s);
	s->converter_ep = (struct mg_ep){ 0 };
	if (!s->via || !s->via->silent)
		mg_via_free(s);
	return MG_STEP_BYPASS;
}

static enum mg_step attempt(struct mg_session *s)
{
	const struct mg_ep *converter = &s->via->request.converter;
	int err = 0, fd;

	leave_converter(s);
	fd = mg_sock_new(converter, true);
	if (fd < 0)
		return bypass(s, 0, strerror(-fd));
	s->server.io.fd = fd;
	s->via->looked = false;
	rearm(s, config(s)->converter.connect_timeout_ms / HANDSHAKE_PART);
	err = mg_request_start(&s->via->request, fd, true);
	if (err)
		return bypass(s, UNREACHABLE_S, strerror(-err));
	err = mg_loop_add(&s->worker->loop, &s->server.io,
			  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	return err ? bypass(s, 0, strerror(-err)) : MG_STEP_WAIT;
}

bool mg_via_wanted(const struct mg_session *s)
{
	const struct mg_config_cpe *cpe = &config(s)->cpe;

	if (s->kind != MG_HOLD_CPE || !cpe->has_converter ||
	    mg_ep_equal(&s->server_ep, &cpe->converter) || mg_convert_peer_malformed(&s->server_ep))
		return false;
	if (cpe->direct && s->known == MG_KNOWN_MPTCP)
		return false;
	return !is_aside(s);
}

enum mg_step mg_via_start(struct mg_session *s)
{
	struct mg_request *r;

	s->via = calloc(1, sizeof(*s->via));
	if (!s->via)
		return bypass(s, 0, strerror(ENOMEM));
	s->converter_ep = config(s)->cpe.converter;
	r = &s->via->request;
	r->converter = s->converter_ep;
	r->server = s->server_ep;
	r->out = s->via->message;
	recall(s, r);
	return attempt(s);
}

/* ---- the converter's word -------------------------------------------------------------------- */

/* Later connections may do without the converter. */
static void learn(struct mg_session *s)
{
	struct mg_dp *dp = s->worker->proxy->dp;
	struct mg_holder *h = dp ? mg_dp_holder(dp) : NULL;
	char server[MG_EP_STRLEN];
	int err;

	if (!h || !config(s)->cpe.direct || !mg_request_server_speaks_mptcp(&s->via->request))
		return;
	err = mg_hold_learn(h, &s->server_ep, true);
	if (err)
		mg_warn("cpe: cannot remember that %s speaks MPTCP: %s",
			mg_ep_format(server, &s->server_ep), strerror(-err));
}

static enum mg_step accepted(struct mg_session *s)
{
	learn(s);
	s->server_mptcp = mg_csock_speaks_mptcp(s->server.io.fd);
	/* What epoll told of the attempts is no news about the connection. */
	s->server.readable = s->server.writable = true;
	s->server.half = s->server.failed = false;
	mg_sock_local(s->server.io.fd, &s->source_ep);
	s->worker->stats.connected++;
	mg_via_free(s);
	return MG_STEP_NEXT;
}

static enum mg_step server_failed(struct mg_session *s)
{
	const struct mg_request *r = &s->via->request;
	struct mg_sock_failure *f = &s->failure;

	*f = (struct mg_sock_failure){ 0 };
	switch (r->error_code) {
	case MG_CE_CONNECTION_RESET:
		f->err = ECONNREFUSED;
		break;
	case MG_CE_DEST_UNREACHABLE:
		f->err = EHOSTUNREACH;
		f->icmp = r->error_value.len > 0;
		f->icmp_code = f->icmp ? r->error_value.data[0] : 0;
		break;
	default:
		/* 65: the converter has no other word for a server that does not answer. */
		f->err = ETIMEDOUT;
		s->timed_out = true;
	}
	leave_converter(s);
	mg_via_free(s);
	return MG_STEP_FAILED;
}

/* Codes that say nothing of the server: most are about this one request only. */
static enum mg_step refused(struct mg_session *s)
{
	struct mg_request *r = &s->via->request;
	unsigned int aside_s = r->aside_s;

	if (r->error_code == MG_CE_UNSUPPORTED_TCP_OPTION && r->tcp_options_len) {
		r->tcp_options_len = 0;
		remember_no_option(s);
		return attempt(s);
	}
	if (r->error_code == MG_CE_UNSUPPORTED_VERSION)
		aside_s = MG_REQUEST_ASIDE_S;
	return bypass(s, aside_s, r->why);
}

static enum mg_step useless(struct mg_session *s)
{
	const struct mg_request *r = &s->via->request;
	char why[128];

	if (r->error_code >= 0)
		return refused(s);
	snprintf(why, sizeof(why), "%s: %s", r->why, strerror(r->err));
	return bypass(s, r->aside_s ? r->aside_s : UNREACHABLE_S, why);
}

/* A converter, or what stands before it, that takes MPTCP away. After a SYN was lost the kernel
 * gives it up by itself, and that is no one's fault. */
static bool speaks_plain(const struct mg_session *s)
{
	struct tcp_info info;

	return !mg_csock_speaks_mptcp(s->server.io.fd) &&
	       !mg_csock_tcp_info(s->server.io.fd, &info) && !info.tcpi_total_retrans;
}

enum mg_step mg_via_step(struct mg_session *s)
{
	struct mg_request *r = &s->via->request;
	enum mg_request_outcome outcome = mg_request_step(r);

	if (r->answering && !s->via->looked) {
		s->via->looked = true;
		if (speaks_plain(s))
			return bypass(s, MG_REQUEST_ASIDE_S, "connections to it are plain TCP");
		rearm(s, config(s)->converter.connect_timeout_ms * ANSWER_TIMES);
	}
	switch (outcome) {
	case MG_REQUEST_WAIT:
		break;
	case MG_REQUEST_ACCEPTED:
		return accepted(s);
	case MG_REQUEST_AGAIN:
		remember_cookie(s, r);
		return attempt(s);
	case MG_REQUEST_SERVER:
		return server_failed(s);
	case MG_REQUEST_USELESS:
		return useless(s);
	}
	return MG_STEP_WAIT;
}

enum mg_step mg_via_timeout(struct mg_session *s)
{
	s->via->silent = !s->via->request.answering;
	mg_request_timeout(&s->via->request);
	return bypass(s, s->via->request.aside_s, s->via->request.why);
}

void mg_via_reached(struct mg_session *s)
{
	if (s->via && s->via->silent)
		put_aside(s, SILENT_S, "no answer to a SYN, and the server answers without it");
	mg_via_free(s);
}

void mg_via_free(struct mg_session *s)
{
	free(s->via);
	s->via = NULL;
}
