// SPDX-License-Identifier: BSD-2-Clause
/*
 * The connect room: opens the connection to the server, and says in Convert's words how that went.
 */
#include <errno.h>

#include "proxy/proxy.h"
#include "sys/sock.h"

static enum mg_step refuse(struct mg_session *s, struct mg_convert_buf *answer, uint8_t code,
			   uint8_t value)
{
	mg_convert_put_error(answer, code, (struct mg_span){ .data = &value, .len = 1 });
	mg_account_error(s, code);
	s->reason = MG_CLOSE_REFUSED;
	return MG_STEP_ANSWER;
}

static uint8_t delay_s(const struct mg_session *s)
{
	return (uint8_t)s->worker->policy->config->converter.retry_after_s;
}

/* RFC 8803 section 6.2.8: what went wrong, as the client is to hear it. */
static enum mg_step failed(struct mg_session *s, struct mg_convert_buf *answer,
			   const struct mg_sock_failure *why)
{
	bool v4 = mg_ip_is_v4(&s->server_ep.ip);

	if (why->icmp)
		return refuse(s, answer, MG_CE_DEST_UNREACHABLE, why->icmp_code);
	switch (why->err) {
	case ECONNREFUSED:
	case ECONNRESET:
		return refuse(s, answer, MG_CE_CONNECTION_RESET, 0);
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case EACCES:
	case EPERM:
	case EPROTO:
	case ENOPROTOOPT:
		return refuse(s, answer, MG_CE_DEST_UNREACHABLE, mg_sock_icmp_code(why->err, v4));
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EAGAIN:
	case EADDRNOTAVAIL:
	case EADDRINUSE:
		return refuse(s, answer, MG_CE_RESOURCE_EXCEEDED, delay_s(s));
	default:
		return refuse(s, answer, MG_CE_NETWORK_FAILURE, delay_s(s));
	}
}

/* The UE's own address goes on only into its own family. */
static const struct mg_ep *source_of(const struct mg_session *s)
{
	if (s->worker->policy->config->converter.source != MG_SOURCE_PRESERVED ||
	    mg_ip_is_v4(&s->client_ep.ip) != mg_ip_is_v4(&s->server_ep.ip))
		return NULL;
	return &s->client_ep;
}

enum mg_step mg_connect_start(struct mg_session *s, struct mg_convert_buf *answer)
{
	struct mg_sock_failure why = { 0 };
	int err;

	err = mg_sock_connect(&s->server.io.fd, &s->server_ep, source_of(s), s->want_mptcp);
	if (!err)
		err = mg_loop_add(&s->worker->loop, &s->server.io,
				  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	if (!err)
		return MG_STEP_WAIT;
	why.err = -err;
	return failed(s, answer, &why);
}

enum mg_step mg_connect_step(struct mg_session *s, struct mg_convert_buf *answer)
{
	struct mg_dp *dp = s->worker->proxy->dp;
	struct mg_sock_failure why;
	uint8_t options[40];
	int n = -ENOENT;

	if (s->client.failed) {
		s->reason = MG_CLOSE_CLIENT_GONE;
		return MG_STEP_CLOSE;
	}
	if (!s->server.writable && !s->server.failed)
		return MG_STEP_WAIT;
	mg_sock_connect_result(s->server.io.fd, &why);
	if (why.err)
		return failed(s, answer, &why);
	if (s->server.failed) {
		struct mg_ep peer;

		/* The error queue can wake us without an error that counts. */
		s->server.failed = false;
		s->server.writable = !mg_sock_peer(s->server.io.fd, &peer);
		if (!s->server.writable)
			return MG_STEP_WAIT;
	}
	mg_sock_local(s->server.io.fd, &s->source_ep);
	if (dp)
		n = mg_dp_synack_take(dp, &s->source_ep, &s->server_ep, options);
	mg_convert_put_ext_tcp_hdr(
		answer, (struct mg_span){ .data = options, .len = n > 0 ? (size_t)n : 0 });
	if (s->want_info) {
		uint8_t kinds[MG_POLICY_KINDS_MAX];

		mg_convert_put_supported(answer, kinds,
					 mg_policy_supported(s->worker->policy, kinds));
	}
	s->worker->stats.connected++;
	return MG_STEP_NEXT;
}

enum mg_step mg_connect_timeout(struct mg_session *s, struct mg_convert_buf *answer)
{
	return refuse(s, answer, MG_CE_NETWORK_FAILURE, delay_s(s));
}
