// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/policy.h"

#include <stdlib.h>
#include <string.h>

#include "wire/convert.h"

const struct mg_policy *mg_policy_for(const struct mg_policy *p, const struct mg_ticket *ticket)
{
	return p->coming && ticket->generation == p->coming->generation ? p->coming : p;
}

const struct mg_config_policy *mg_policy_of(const struct mg_policy *p,
					    const struct mg_ticket *ticket)
{
	uint32_t number = ticket->policy;

	p = mg_policy_for(p, ticket);
	if (number && number < p->n_policies && p->policies[number])
		return p->policies[number];
	return &p->config->policies.fallback;
}

const struct mg_config_service *mg_policy_service(const struct mg_policy *p,
						  const struct mg_ticket *ticket)
{
	uint32_t number = ticket->service;

	p = mg_policy_for(p, ticket);
	return number && number < p->n_services ? p->services[number] : NULL;
}

size_t mg_policy_access(const struct mg_policy *p, uint32_t number)
{
	return number && number < p->n_access ? p->access[number] : MG_CONFIG_NONE;
}

size_t mg_policy_class(const struct mg_policy *p, uint32_t number)
{
	return number && number < p->n_classes ? p->classes[number] : MG_CONFIG_NONE;
}

int mg_policy_compare_ip(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct in6_addr));
}

static bool listed(const struct mg_prefix *list, size_t n, const struct in6_addr *ip)
{
	for (size_t i = 0; i < n; i++) {
		if (mg_prefix_contains(&list[i], ip))
			return true;
	}
	return false;
}

bool mg_policy_is_own(const struct mg_policy *p, const struct in6_addr *ip)
{
	return (p->n_own && bsearch(ip, p->own, p->n_own, sizeof(*ip), mg_policy_compare_ip)) ||
	       listed(p->own_nets, p->n_own_nets, ip);
}

enum mg_destination mg_policy_destination(const struct mg_policy *p, const struct mg_ep *peer)
{
	const struct mg_config_destinations *d = &p->config->destinations;
	const struct mg_config_sharing *sharing = &p->config->policies.sharing;
	const struct in6_addr *ip = &peer->ip;

	if (mg_convert_peer_malformed(peer))
		return MG_DESTINATION_MALFORMED;
	/* A link-local address means nothing without its link. */
	if (mg_ip_is_linklocal(ip) || mg_policy_is_own(p, ip) ||
	    listed(sharing->pool, sharing->n_pool, ip) || listed(d->deny, d->n_deny, ip) ||
	    (d->n_allow && !listed(d->allow, d->n_allow, ip)))
		return MG_DESTINATION_DENIED;
	return MG_DESTINATION_OK;
}

bool mg_policy_has_third_party(const struct mg_policy *p)
{
	const struct mg_config_policies *all = &p->config->policies;

	for (size_t i = 0; i < all->n_access; i++) {
		if (all->access[i].trust == MG_TRUST_THIRD_PARTY)
			return true;
	}
	return false;
}

size_t mg_policy_supported(const struct mg_policy *p, uint8_t kinds[MG_POLICY_KINDS_MAX])
{
	size_t n = 0;

	/* A converter that speaks MPTCP must advertise it. */
	kinds[n++] = 30;
	if (p->sack)
		kinds[n++] = 4;
	if (p->timestamps)
		kinds[n++] = 8;
	return n;
}
