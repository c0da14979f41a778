// SPDX-License-Identifier: BSD-2-Clause
#include "admission_rig.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mg_prefix prefix(const char *text)
{
	struct mg_prefix p;

	assert_int_equal(mg_prefix_parse(&p, text), 0);
	return p;
}

static void configure_names(struct rig_config *r)
{
	r->gold[0] = prefix("10.1.0.0/20");
	r->gold[1] = prefix("2001:db8:1::/48");
	r->blocked[0] = prefix("10.1.9.0/24");
	r->cellular[0] = prefix("10.1.0.0/16");
	strcpy(r->interfaces[0], "lo");
	r->video[0] = (struct mg_config_match){ prefix("203.0.113.0/24"), 443, 443 };
	r->subscribers[0] = (struct mg_config_subscribers){ .name = "gold",
							    .prefixes = r->gold,
							    .n_prefixes = 2 };
	r->subscribers[1] = (struct mg_config_subscribers){ .name = "blocked",
							    .prefixes = r->blocked,
							    .n_prefixes = 1 };
	r->services[0] =
		(struct mg_config_service){ .name = "video", .match = r->video, .n_match = 1 };
	r->access[0] = (struct mg_config_access){ .name = "cellular",
						  .prefixes = r->cellular,
						  .n_prefixes = 1 };
	r->access[1] = (struct mg_config_access){ .name = "wlan",
						  .interfaces = r->interfaces,
						  .n_interfaces = 1,
						  .trust = MG_TRUST_THIRD_PARTY };
}

void rig_configure(struct rig_config *r)
{
	*r = (struct rig_config){ .of_gold = { 0 }, .of_blocked = { 1 }, .of_video = { 0 } };
	configure_names(r);
	r->policies[0] = (struct mg_config_policy){ .name = "premium",
						    .subscribers = r->of_gold,
						    .n_subscribers = 1,
						    .services = r->of_video,
						    .n_services = 1,
						    .group = MG_CONFIG_NONE,
						    .sessions = 3 };
	r->policies[1] = (struct mg_config_policy){ .name = "plain",
						    .subscribers = r->of_gold,
						    .n_subscribers = 1,
						    .group = MG_CONFIG_NONE };
	r->policies[2] = (struct mg_config_policy){ .name = "no",
						    .subscribers = r->of_blocked,
						    .n_subscribers = 1,
						    .group = MG_CONFIG_NONE,
						    .deny = true };
	r->c.converter.max_sessions = 65536;
	r->c.policies = (struct mg_config_policies){
		.access = r->access,
		.n_access = 2,
		.services = r->services,
		.n_services = 1,
		.subscribers = r->subscribers,
		.n_subscribers = 2,
		.policies = r->policies,
		.n_policies = 3,
		.fallback = { .name = "default", .group = MG_CONFIG_NONE, .sessions = 1000 },
		.any = true,
		.key_ipv4_bits = 32,
		.key_ipv6_bits = 64,
		.answers_per_s = 4,
	};
}

static void set_ip(struct mg_endpoint *e, const struct in6_addr *ip, uint16_t port)
{
	memcpy(e->ip, ip, sizeof(e->ip));
	e->port = port;
}

struct mg_admit rig_ask(const char *client, const char *server)
{
	struct mg_admit ask = { 0 };
	struct in6_addr ip;
	struct mg_ep ep;

	assert_int_equal(mg_ip_parse(&ip, client), 0);
	assert_int_equal(mg_ep_parse(&ep, server), 0);
	set_ip(&ask.client, &ip, 40000);
	set_ip(&ask.server, &ep.ip, ntohs(ep.port));
	return ask;
}

uint32_t rig_policy(struct mg_admission *a, const char *client, const char *server)
{
	struct mg_admit ask = rig_ask(client, server);

	assert_true(mg_admission_test(a, &ask) >= 0);
	return ask.ticket.policy;
}

struct mg_prefix *rig_prefixes(size_t n)
{
	struct mg_prefix *all = calloc(n, sizeof(*all));

	assert_non_null(all);
	for (size_t i = 0; i < n; i++) {
		uint32_t ip = htonl(0x0a000000U + (uint32_t)i);

		all[i] = (struct mg_prefix){ .len = 128 };
		all[i].ip.s6_addr[10] = all[i].ip.s6_addr[11] = 0xff;
		memcpy(all[i].ip.s6_addr + 12, &ip, sizeof(ip));
	}
	return all;
}
