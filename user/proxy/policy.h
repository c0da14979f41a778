/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker needs to judge a request, in one unchanging record. Whatever changes live (a
 * reload, new cookie keys, a new local address, draining) makes a new record that replaces the old
 * one in all workers.
 */
#ifndef MG_PROXY_POLICY_H
#define MG_PROXY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/policy.h"
#include "config/config.h"
#include "wire/cookie.h"

struct mg_policy {
	const struct mg_config *config;
	const struct in6_addr *own; /* this host's addresses, sorted */
	size_t n_own;
	const struct mg_prefix *own_nets; /* and the networks that are delivered here as a whole */
	size_t n_own_nets;
	struct mg_cookie_keys cookies;
	bool draining; /* no new sessions */
	bool sack;     /* what this host's stack puts into a SYN */
	bool timestamps;
	/* By the numbers of tickets: of a policy or a service what the configuration says of it, of
	 * an access network its index there. NULL and MG_CONFIG_NONE for what is no longer
	 * configured. */
	const struct mg_config_policy **policies;
	size_t n_policies;
	size_t *access;
	size_t n_access;
	const struct mg_config_service **services;
	size_t n_services;
	size_t *classes;
	size_t n_classes;
	uint32_t generation; /* of tickets; only of what is `coming` */
	/* While a reload is under way: what tickets of its generation mean. Of it only the
	 * configuration, policies and services are there. Else NULL. */
	const struct mg_policy *coming;
};

/* The record that a ticket's numbers are to be looked up in: `p`, or what is coming. */
const struct mg_policy *mg_policy_for(const struct mg_policy *p, const struct mg_ticket *ticket);
/* The default policy for a number that stands for none any more. */
const struct mg_config_policy *mg_policy_of(const struct mg_policy *p,
					    const struct mg_ticket *ticket);
/* NULL for a number that stands for none any more. */
const struct mg_config_service *mg_policy_service(const struct mg_policy *p,
						  const struct mg_ticket *ticket);
/* An index into the configuration's access networks, or MG_CONFIG_NONE. */
size_t mg_policy_access(const struct mg_policy *p, uint32_t number);

/* The same of a class of subscribers */
size_t mg_policy_class(const struct mg_policy *p, uint32_t number);

enum mg_destination {
	MG_DESTINATION_OK,
	MG_DESTINATION_MALFORMED, /* no Connect TLV may name such a peer */
	MG_DESTINATION_DENIED,	  /* the operator's list, or an address of our own */
};

enum mg_destination mg_policy_destination(const struct mg_policy *p, const struct mg_ep *peer);

/* An address of this host, or in a network that is delivered here. */
bool mg_policy_is_own(const struct mg_policy *p, const struct in6_addr *ip);

/* Is there an access network whose sessions need a cookie? */
bool mg_policy_has_third_party(const struct mg_policy *p);

/* The TCP options an Info TLV hears of (RFC 8803, Supported TCP Extensions TLV): how many. */
#define MG_POLICY_KINDS_MAX 3
size_t mg_policy_supported(const struct mg_policy *p, uint8_t kinds[MG_POLICY_KINDS_MAX]);

/* Order of `own`. */
int mg_policy_compare_ip(const void *a, const void *b);

#endif
