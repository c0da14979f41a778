// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the client hears of the connection to its server: in Convert's words, or, from a client that
 * knows nothing of us, just what the server or the network would have said.
 */
#include <errno.h>

#include "proxy/proxy.h"
#include "sys/sock.h"

/* What went wrong, in kinds that are answered alike. */
enum failure {
	FAILURE_REFUSED,     /* by the server */
	FAILURE_UNREACHABLE, /* says the network */
	FAILURE_FORBIDDEN,   /* says this host's own filter */
	FAILURE_SHORTAGE,    /* of this host */
	FAILURE_NO_PORT,     /* of the pool is left for this subscriber */
	FAILURE_SILENCE,
};

/* From the client's own address and port, or not at all */
static bool as_client(const struct mg_session *s)
{
	return s->kind == MG_HOLD_INTERCEPT && mg_session_source(s) == MG_SOURCE_PRESERVED;
}

static enum failure kind_of(const struct mg_session *s)
{
	if (s->timed_out)
		return FAILURE_SILENCE;
	if (s->failure.icmp)
		return FAILURE_UNREACHABLE;
	switch (s->failure.err) {
	case ECONNREFUSED:
	case ECONNRESET:
		return FAILURE_REFUSED;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case EPROTO:
	case ENOPROTOOPT:
		return FAILURE_UNREACHABLE;
	case EACCES:
	case EPERM:
		return FAILURE_FORBIDDEN;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EAGAIN:
	case EADDRINUSE:
		return FAILURE_SHORTAGE;
	case EUSERS:
		return FAILURE_NO_PORT;
	case EADDRNOTAVAIL:
		/* To the server the SYN would belong to the connection that is there. The client
		 * repeats it, and it may be over by then. */
		return as_client(s) ? FAILURE_SILENCE : FAILURE_SHORTAGE;
	default:
		return FAILURE_SILENCE;
	}
}

static uint8_t icmp_code(const struct mg_session *s)
{
	return s->failure.icmp ? s->failure.icmp_code
			       : mg_sock_icmp_code(s->failure.err, mg_ip_is_v4(&s->server_ep.ip));
}

/* MPTCP sockets hide the code of an ICMP error. To the SYN itself the router says it once more. */
static bool router_tells(const struct mg_session *s)
{
	return s->kind == MG_HOLD_INTERCEPT && s->want_mptcp && !s->failure.icmp;
}

/* RFC 8803 section 6.2.8 */
static enum mg_step tell_converts_client(struct mg_session *s, struct mg_convert_buf *answer,
					 enum failure failure)
{
	uint8_t delay_s = (uint8_t)s->worker->policy->config->converter.retry_after_s;
	uint8_t code = MG_CE_NETWORK_FAILURE, value = delay_s;

	switch (failure) {
	case FAILURE_REFUSED:
		code = MG_CE_CONNECTION_RESET;
		value = 0;
		break;
	case FAILURE_UNREACHABLE:
	case FAILURE_FORBIDDEN:
		code = MG_CE_DEST_UNREACHABLE;
		value = icmp_code(s);
		break;
	case FAILURE_SHORTAGE:
	case FAILURE_NO_PORT:
		code = MG_CE_RESOURCE_EXCEEDED;
		break;
	case FAILURE_SILENCE:
		break;
	}
	mg_convert_put_error(answer, code, (struct mg_span){ .data = &value, .len = 1 });
	mg_account_error(s, code);
	s->reason = MG_CLOSE_REFUSED;
	return MG_STEP_ANSWER;
}

enum mg_step mg_tell_failed(struct mg_session *s, struct mg_convert_buf *answer)
{
	struct mg_holder *holder = s->worker->proxy->holder;
	struct mg_stats *stats = &s->worker->stats;
	enum failure failure = kind_of(s);

	if (s->kind == MG_HOLD_CONVERT)
		return tell_converts_client(s, answer, failure);
	switch (failure) {
	case FAILURE_REFUSED:
		mg_hold_reset(holder, s->frame);
		break;
	case FAILURE_UNREACHABLE:
		if (router_tells(s)) {
			s->reason = MG_CLOSE_PASSED;
			s->pass_why = MG_PASSED_GAVE_UP;
			return MG_STEP_PASS;
		}
		mg_hold_unreachable(holder, s->frame, icmp_code(s), NULL);
		break;
	case FAILURE_FORBIDDEN:
	case FAILURE_SHORTAGE:
		/* That was about us. What is forwarded may fare better. */
		s->reason = MG_CLOSE_PASSED;
		s->pass_why = MG_PASSED_OVERLOAD;
		return MG_STEP_PASS;
	case FAILURE_NO_PORT:
		s->reason = MG_CLOSE_OVERLOAD; /* intercept.on_overload */
		return MG_STEP_CLOSE;
	case FAILURE_SILENCE:
		stats->hold_timed_out++;
		s->reason = MG_CLOSE_UNANSWERED;
		return MG_STEP_CLOSE;
	}
	stats->hold_refused++;
	s->reason = MG_CLOSE_DECLINED;
	return MG_STEP_CLOSE;
}

void mg_tell_connected(struct mg_session *s, struct mg_convert_buf *answer)
{
	struct mg_dp *dp = s->worker->proxy->dp;
	uint8_t options[40];
	int n = -ENOENT;

	if (s->kind != MG_HOLD_CONVERT)
		return;
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
}
