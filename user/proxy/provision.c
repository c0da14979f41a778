// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/provision.h"

#include <string.h>

#include "proxy/proxy.h"
#include "sys/admission.h"
#include "sys/dp_maps.h"

#define NS_PER_S 1000000000ULL

static struct mg_admission *admission(const struct mg_session *s)
{
	return s->worker->proxy->admission;
}

/* As for a session of no service in particular: enum mg_refusal, or -errno. */
static int look(const struct mg_session *s, bool cookie, struct mg_admit *seen)
{
	*seen = (struct mg_admit){ .flags = cookie ? MG_ADMIT_COOKIE : 0 };
	mg_endpoint_from_ep(&seen->client, &s->client_ep);
	return mg_admission_test(admission(s), seen);
}

static uint32_t minus(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

static void tell_sessions(const struct mg_session *s, const struct mg_admit *seen, int refusal,
			  struct mg_provision_answer *answer)
{
	const struct mg_policy *p = s->worker->policy;
	const struct mg_config_policy *policy = mg_policy_of(p, &seen->ticket);
	/* A reserved one is as good as one that is left. */
	uint32_t open = minus(seen->account.sessions, seen->account.reserved);
	uint32_t room = minus(p->config->converter.max_sessions, seen->proxy_sessions);
	bool none = policy->deny || refusal == MG_REFUSAL_DENIED || refusal == MG_REFUSAL_NO_COOKIE;

	answer->sessions_limit = none		    ? 0
				 : policy->sessions ? policy->sessions
						    : MG_PROVISION_UNLIMITED;
	answer->sessions_left = answer->sessions_limit;
	if (answer->sessions_limit != MG_PROVISION_UNLIMITED)
		answer->sessions_left = minus(answer->sessions_limit, open);
	/* This host's own limit is told only where it is what counts. */
	room += seen->account.reserved;
	if (room < answer->sessions_left &&
	    (answer->sessions_left != MG_PROVISION_UNLIMITED || !room))
		answer->sessions_left = room;
	answer->subflows = policy->subflows_per_session ? policy->subflows_per_session
							: MG_PROVISION_UNLIMITED;
	answer->wait_s = refusal == MG_REFUSAL_OVER_RATE
				 ? (uint32_t)((seen->wait_ns + NS_PER_S - 1) / NS_PER_S)
				 : 0;
}

static bool lists(const size_t *list, size_t n, size_t one)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] == one)
			return true;
	}
	return n == 0;
}

/* For subflows by this network, whatever their session's service: in the order that
 * sys/policy_tables.h tells. */
static const struct mg_config_policy *policy_by(const struct mg_config_policies *p, size_t class,
						size_t access)
{
	const struct mg_config_policy *best = &p->fallback;
	int best_rank = -1;

	for (size_t i = 0; i < p->n_policies; i++) {
		const struct mg_config_policy *policy = &p->policies[i];
		int rank = (policy->n_subscribers ? 2 : 0) + (policy->n_access ? 1 : 0);

		if (policy->n_services || rank <= best_rank ||
		    !lists(policy->subscribers, policy->n_subscribers, class) ||
		    !lists(policy->access, policy->n_access, access))
			continue;
		best = policy;
		best_rank = rank;
	}
	return best;
}

static void tell_access(const struct mg_session *s, const struct mg_admit *seen,
			struct mg_provision_answer *answer)
{
	const struct mg_policy *p = s->worker->policy;
	const struct mg_config_policies *policies = &p->config->policies;
	size_t class = mg_policy_class(p, seen->ticket.class);

	answer->any_access = !policies->n_access;
	for (size_t i = 0; i < policies->n_access; i++) {
		const char *name = policies->access[i].name;

		if (policy_by(policies, class, i)->deny)
			continue;
		if (answer->n_access == MG_PROVISION_NAMES_MAX) {
			answer->cut = true;
			break;
		}
		answer->access[answer->n_access++] =
			(struct mg_span){ (const uint8_t *)name, strlen(name) };
	}
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void reserve(struct mg_session *s, const struct mg_provision_request *req,
		    const struct mg_admit *seen, uint32_t left)
{
	const struct mg_config_provision *cfg = &s->worker->policy->config->policies.provision;

	mg_reserve_set(&s->worker->proxy->reserve, admission(s), &seen->ticket,
		       least(req->sessions, least(cfg->reserve_max, left)),
		       least(req->seconds, cfg->reserve_max_s), s->worker->loop.now_ms);
}

void mg_provision_answer(struct mg_session *s, const struct mg_provision_request *req, bool cookie,
			 struct mg_convert_buf *answer)
{
	struct mg_provision_answer said = { .reservation = req->reserve };
	uint8_t value[MG_PROVISION_VALUE_MAX_BYTES];
	struct mg_admit seen;
	int refusal = look(s, cookie, &seen);

	tell_sessions(s, &seen, refusal, &said);
	if (req->reserve && refusal >= 0 && refusal != MG_REFUSAL_NO_COOKIE) {
		reserve(s, req, &seen, said.sessions_left);
		refusal = look(s, cookie, &seen);
		tell_sessions(s, &seen, refusal, &said);
	}
	tell_access(s, &seen, &said);
	if (seen.account.reserved) {
		said.reservation = true;
		said.reserved = (uint16_t)least(seen.account.reserved, UINT16_MAX);
		said.reserved_s = (uint16_t)least(mg_reserve_left_s(&s->worker->proxy->reserve,
								    &seen.ticket.subscriber,
								    s->worker->loop.now_ms),
						  UINT16_MAX);
	}
	mg_convert_put_provision(
		answer, (struct mg_span){ value, mg_provision_build_answer(value, &said) });
}
