// SPDX-License-Identifier: BSD-2-Clause
/*
 * The greet room: waits for the whole Convert message and judges it.
 *
 * The message is looked at in the socket (MSG_PEEK) and taken out only when it is whole: so a
 * client that is slow, or never sends it, holds no memory of ours, and user data behind the message
 * (0-RTT) simply stays in the socket for the relay. The message of a held SYN is judged before
 * there is a socket; accept takes it out there.
 */
#include <errno.h>
#include <sys/socket.h>

#include "proxy/provision.h"
#include "proxy/proxy.h"

static struct mg_span span(const void *data, size_t len)
{
	return (struct mg_span){ .data = data, .len = len };
}

static enum mg_step refuse(struct mg_session *s, unsigned int code)
{
	mg_account_error(s, code);
	s->reason = MG_CLOSE_REFUSED;
	return MG_STEP_ANSWER;
}

static enum mg_step refuse_with(struct mg_session *s, struct mg_convert_buf *answer, uint8_t code,
				struct mg_span value)
{
	mg_convert_put_error(answer, code, value);
	return refuse(s, code);
}

/* Codes 0, 1 and 2: something is wrong with the message itself. */
static enum mg_step refuse_message(struct mg_session *s, struct mg_convert_buf *answer,
				   enum mg_convert_error code, struct mg_span received)
{
	static const uint8_t versions[] = { MG_CONVERT_VERSION };

	if (code == MG_CE_UNSUPPORTED_VERSION)
		return refuse_with(s, answer, MG_CE_UNSUPPORTED_VERSION,
				   span(versions, sizeof(versions)));
	mg_convert_put_error_echo(answer, (uint8_t)code, received);
	return refuse(s, code);
}

static enum mg_step inform(struct mg_session *s, struct mg_convert_buf *answer,
			   const struct mg_convert_msg *msg, struct mg_span received,
			   bool cookie_ok)
{
	struct mg_provision_request req;
	uint8_t kinds[MG_POLICY_KINDS_MAX];
	int err = msg->provision_present ? mg_provision_parse_request(&req, msg->provision) : 0;

	if (err)
		return refuse_message(s, answer,
				      err == -EBADMSG ? MG_CE_MALFORMED : MG_CE_UNSUPPORTED_MESSAGE,
				      received);
	mg_convert_put_supported(answer, kinds, mg_policy_supported(s->worker->policy, kinds));
	if (msg->provision_present)
		mg_provision_answer(s, &req, cookie_ok, answer);
	s->reason = MG_CLOSE_INFORMED;
	return MG_STEP_ANSWER;
}

/* The list may be full of what the parser found already. */
static void name_unsupported(struct mg_connect_opts *opts, uint8_t kind)
{
	if (opts->n_unsupported < sizeof(opts->unsupported))
		opts->unsupported[opts->n_unsupported++] = kind;
}

/* Connect's TCP options: what our own stack puts into the SYN anyway, or MPTCP. */
static bool options_ok(const struct mg_policy *p, struct mg_connect_opts *opts)
{
	if (opts->sack_permitted && !p->sack)
		name_unsupported(opts, 4);
	if (opts->timestamps && !p->timestamps)
		name_unsupported(opts, 8);
	if (opts->mptcp && p->config->converter.server_mptcp == MG_SERVER_MPTCP_NEVER)
		name_unsupported(opts, 30);
	return opts->n_unsupported == 0;
}

static enum mg_step refuse_for_now(struct mg_session *s, struct mg_convert_buf *answer,
				   uint8_t delay_s)
{
	return refuse_with(s, answer, MG_CE_RESOURCE_EXCEEDED, span(&delay_s, 1));
}

static enum mg_step admit(struct mg_session *s, struct mg_convert_buf *answer, bool cookie_ok)
{
	const struct mg_admit_said said = mg_admit_session(s, cookie_ok);

	switch (said.refusal) {
	case MG_ADMITTED:
		mg_admit_token(s);
		return MG_STEP_NEXT;
	case MG_REFUSAL_DENIED:
	case MG_REFUSAL_NO_COOKIE:
	case MG_REFUSAL_BAD_COOKIE:
		return refuse_with(s, answer, MG_CE_NOT_AUTHORIZED, span(NULL, 0));
	default:
		return refuse_for_now(s, answer, mg_admit_delay_s(s, &said));
	}
}

static enum mg_step judge_connect(struct mg_session *s, struct mg_convert_buf *answer,
				  const struct mg_convert_msg *msg, struct mg_span received,
				  bool cookie_ok)
{
	const struct mg_policy *p = s->worker->policy;
	const struct mg_config_converter *c = &p->config->converter;
	struct mg_connect_opts opts;

	if (mg_convert_parse_opts(&opts, msg->tcp_opts))
		return refuse_message(s, answer, MG_CE_MALFORMED, received);
	s->server_ep = msg->peer;
	if (!options_ok(p, &opts))
		return refuse_with(s, answer, MG_CE_UNSUPPORTED_TCP_OPTION,
				   span(opts.unsupported, opts.n_unsupported));
	switch (mg_policy_destination(p, &msg->peer)) {
	case MG_DESTINATION_MALFORMED:
		return refuse_message(s, answer, MG_CE_MALFORMED, received);
	case MG_DESTINATION_DENIED:
		return refuse_with(s, answer, MG_CE_NOT_AUTHORIZED, span(NULL, 0));
	case MG_DESTINATION_OK:
		break;
	}
	if (p->draining)
		return refuse_for_now(s, answer, (uint8_t)c->retry_after_s);
	s->want_mptcp = c->server_mptcp == MG_SERVER_MPTCP_ALWAYS ||
			(c->server_mptcp == MG_SERVER_MPTCP_REQUESTED && opts.mptcp);
	s->want_info = msg->info;
	return admit(s, answer, cookie_ok);
}

/* Who comes from somebody else's access network was given one by other means, or is not let in. */
static enum mg_step judge_cookie(struct mg_session *s, struct mg_convert_buf *answer,
				 const struct mg_convert_msg *msg)
{
	const struct mg_policy *p = s->worker->policy;

	s->server_ep = msg->peer;
	if (mg_policy_has_third_party(p) && mg_admit_is_third_party(s))
		return admit(s, answer, false);
	if (p->config->converter.cookie != MG_COOKIE_REQUIRED)
		return MG_STEP_NEXT;
	if (!msg->cookie_present) {
		uint8_t cookie[MG_COOKIE_BYTES];

		mg_cookie_make(cookie, &p->cookies, &s->client_ep.ip);
		mg_convert_put_error_cookie(answer, span(cookie, sizeof(cookie)));
		return refuse(s, MG_CE_MISSING_COOKIE);
	}
	return refuse_with(s, answer, MG_CE_NOT_AUTHORIZED, span(NULL, 0));
}

static enum mg_step judge(struct mg_session *s, struct mg_convert_buf *answer,
			  const struct mg_convert_msg *msg, struct mg_span received)
{
	const struct mg_policy *p = s->worker->policy;
	bool cookie_ok =
		msg->cookie_present && mg_cookie_valid(&p->cookies, &s->client_ep.ip, msg->cookie);
	enum mg_step said = MG_STEP_NEXT;

	/* It does not speak our version, and asks for nothing. */
	if (msg->error_present) {
		s->reason = MG_CLOSE_CLIENT_GONE;
		return MG_STEP_CLOSE;
	}
	/* Who only asks whether we are there, as gateways do, has to hear that sessions are not to
	 * come here any more. */
	if (p->draining && !msg->connect)
		return refuse_for_now(s, answer, (uint8_t)p->config->converter.retry_after_s);
	if (!cookie_ok)
		said = judge_cookie(s, answer, msg);
	if (said != MG_STEP_NEXT)
		return said;
	return msg->connect ? judge_connect(s, answer, msg, received, cookie_ok)
			    : inform(s, answer, msg, received, cookie_ok);
}

static enum mg_step not_whole(struct mg_session *s, struct mg_convert_buf *answer,
			      struct mg_span received)
{
	s->client.readable = false;
	if (!s->client.half && !s->client.failed)
		return MG_STEP_WAIT;
	if (s->client.failed || received.len == 0) {
		s->reason = MG_CLOSE_CLIENT_GONE;
		return MG_STEP_CLOSE;
	}
	/* It will send no more: what there is stays a fragment. */
	return refuse_message(s, answer, MG_CE_MALFORMED, received);
}

static ssize_t receive(const struct mg_session *s, void *data, size_t len, int flags)
{
	ssize_t n;

	do {
		n = recv(s->client.io.fd, data, len, flags | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Who has not switched it on knows nothing of Provision, and refuses it as any other type. */
static int parse(const struct mg_session *s, struct mg_convert_msg *msg,
		 enum mg_convert_error *error, struct mg_span data)
{
	if (s->worker->policy->config->policies.provision.on)
		return mg_convert_parse_provision(msg, error, MG_FROM_CLIENT, data.data, data.len);
	return mg_convert_parse(msg, error, MG_FROM_CLIENT, data.data, data.len);
}

static enum mg_step judge_whole(struct mg_session *s, struct mg_convert_buf *answer,
				const struct mg_convert_msg *msg, enum mg_convert_error error,
				struct mg_span received)
{
	s->worker->stats.requests++;
	if (error != MG_CE_NONE)
		return refuse_message(s, answer, error, received);
	return judge(s, answer, msg, received);
}

enum mg_step mg_greet_step(struct mg_session *s, struct mg_convert_buf *answer)
{
	uint8_t bytes[MG_CONVERT_MAX_BYTES];
	enum mg_convert_error error;
	struct mg_convert_msg msg;
	ssize_t n;
	int len;

	n = receive(s, bytes, sizeof(bytes), MSG_PEEK);
	if (n < 0 && errno != EAGAIN)
		s->client.failed = true;
	if (n == 0)
		s->client.half = true;
	if (n <= 0)
		return not_whole(s, answer, span(NULL, 0));
	len = parse(s, &msg, &error, span(bytes, (size_t)n));
	if (len == -EAGAIN)
		return not_whole(s, answer, span(bytes, (size_t)n));
	if (len < 0) {
		s->reason = MG_CLOSE_NOT_CONVERT;
		return MG_STEP_CLOSE;
	}
	if (receive(s, bytes, (size_t)len, 0) != len) {
		s->reason = MG_CLOSE_CLIENT_GONE;
		return MG_STEP_CLOSE;
	}
	return judge_whole(s, answer, &msg, error, span(bytes, (size_t)len));
}

enum mg_step mg_greet_held(struct mg_session *s, struct mg_convert_buf *answer)
{
	struct mg_span data = mg_held_payload(s);
	enum mg_convert_error error;
	struct mg_convert_msg msg;
	int len = parse(s, &msg, &error, data);

	/* The rest of the message comes after the handshake: nothing to wait for before it. */
	if (len < 0) {
		s->reason = MG_CLOSE_PASSED;
		s->pass_why = MG_PASSED_OVERLOAD;
		return MG_STEP_PASS;
	}
	s->skip_bytes = (uint32_t)len;
	return judge_whole(s, answer, &msg, error, (struct mg_span){ data.data, (size_t)len });
}
