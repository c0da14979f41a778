// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/admit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "proxy/proxy.h"
#include "sys/admission.h"
#include "sys/diag.h"
#include "sys/mptcp.h"

#define NS_PER_S 1000000000ULL

static void set_endpoint(struct mg_endpoint *to, const struct mg_ep *from)
{
	memcpy(to->ip, &from->ip, sizeof(to->ip));
	to->port = ntohs(from->port);
}

static int ask(struct mg_session *s, struct mg_admit *ask, uint32_t flags)
{
	*ask = (struct mg_admit){ .flags = flags, .ifindex = s->frame ? s->frame->ifindex : 0 };
	set_endpoint(&ask->client, &s->client_ep);
	set_endpoint(&ask->server, &s->server_ep);
	return mg_admission_open_session(s->worker->proxy->admission, ask);
}

static int count_alone(const struct mg_session *s)
{
	const struct mg_worker *w = s->worker;

	return atomic_load(&w->proxy->sessions) > w->policy->config->converter.max_sessions
		       ? MG_REFUSAL_OVER_PROXY
		       : MG_ADMITTED;
}

struct mg_admit_said mg_admit_session(struct mg_session *s, bool cookie)
{
	struct mg_admit_said said = { 0 };
	struct mg_admit answer;

	if (!s->worker->proxy->admission) {
		said.refusal = count_alone(s);
		return said;
	}
	if (s->ticket.charged)
		return said;
	said.refusal = ask(s, &answer, cookie ? MG_ADMIT_COOKIE : 0);
	said.wait_ns = answer.wait_ns;
	if (said.refusal >= 0)
		s->ticket = answer.ticket;
	else
		mg_warn("session %llu: cannot be counted, and is not let in: %s",
			(unsigned long long)s->id, strerror(-said.refusal));
	return said;
}

bool mg_admit_is_third_party(struct mg_session *s)
{
	struct mg_admit answer;

	return s->worker->proxy->admission && ask(s, &answer, MG_ADMIT_DRY) >= 0 &&
	       answer.ticket.trust == MG_TRUST_THIRD_PARTY;
}

uint8_t mg_admit_delay_s(const struct mg_session *s, const struct mg_admit_said *said)
{
	uint64_t wait_s = said->wait_ns / NS_PER_S + (said->wait_ns % NS_PER_S != 0);

	if (said->refusal != MG_REFUSAL_OVER_RATE)
		return (uint8_t)s->worker->policy->config->converter.retry_after_s;
	return wait_s < 1 ? 1 : wait_s > UINT8_MAX ? UINT8_MAX : (uint8_t)wait_s;
}

bool mg_admit_subflow(struct mg_admission *a, uint32_t token, const struct mg_ep *local,
		      const struct mg_ep *remote)
{
	char from[MG_EP_STRLEN], to[MG_EP_STRLEN];
	int said = mg_admission_joined(a, token, local, remote);
	int err;

	/* Of other sessions of this host nothing is counted. */
	if (!said || said == -ENOENT)
		return true;
	mg_debug("subflow %s -> %s of %08x is not let in: %s", mg_ep_format(from, remote),
		 mg_ep_format(to, local), token,
		 said > 0 ? mg_refusal_label((unsigned int)said) : strerror(-said));
	err = mg_diag_end_connection(local, remote);
	if (err && err != -ENOENT)
		mg_warn("subflow %s -> %s: cannot end it: %s", from, to, strerror(-err));
	return false;
}

void mg_admit_joined(struct mg_session *s)
{
	struct mg_mptcp_subflow list[MG_MPTCP_SUBFLOWS_MAX];
	int n;

	if (!s->counted_token || s->client.io.fd < 0)
		return;
	n = mg_mptcp_subflows(s->client.io.fd, list, MG_MPTCP_SUBFLOWS_MAX);
	for (int i = 0; i < n; i++) {
		/* The first one stays in the list, without a port, when it is over. */
		if (list[i].remote.port && !mg_ep_equal(&list[i].remote, &s->client_ep))
			mg_admit_subflow(s->worker->proxy->admission, s->counted_token,
					 &list[i].local, &list[i].remote);
	}
}

void mg_admit_token(struct mg_session *s)
{
	struct mg_admission *a = s->worker->proxy->admission;
	struct mg_mptcp_state m;
	int err;

	if (!a || !s->mptcp || !s->ticket.charged || s->counted_token || s->client.io.fd < 0 ||
	    mg_mptcp_read(s->client.io.fd, &m) || m.fallback || !m.token)
		return;
	err = mg_admission_token(a, &s->ticket, m.token, &s->client_ep, mg_held_at(s));
	if (err) {
		mg_warn("session %llu: its subflows cannot be counted: %s",
			(unsigned long long)s->id, strerror(-err));
		return;
	}
	s->counted_token = m.token;
	mg_admit_joined(s); /* who was quicker than we were */
}

void mg_admit_release(struct mg_session *s)
{
	mg_admission_close_session(s->worker->proxy->admission, &s->ticket, s->counted_token);
	s->counted_token = 0;
}

const struct mg_config_policy *mg_session_policy(const struct mg_session *s)
{
	return mg_policy_of(s->worker->policy, &s->ticket);
}

enum mg_source mg_session_source(const struct mg_session *s)
{
	const struct mg_config_policy *p = mg_session_policy(s);
	const struct mg_config *c = mg_policy_for(s->worker->policy, &s->ticket)->config;

	if (p->has_source)
		return p->source;
	return s->kind == MG_HOLD_INTERCEPT ? c->intercept.source : c->converter.source;
}
