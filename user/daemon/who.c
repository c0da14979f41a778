// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/who.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "proxy/sessionlog.h"
#include "sys/admission.h"

#define V4_BITS 96 /* of IPv4-mapped addresses, before the address begins */

const char *mg_who_format(char text[MG_WHO_STRLEN], const struct mg_daemon *d,
			  const struct mg_subscriber *who, uint8_t key_bits)
{
	const struct mg_config_policies *p = &d->config->policies;
	struct mg_prefix prefix = { .len = 128 };
	uint64_t words[2];

	memcpy(words, who->ip, sizeof(words));
	if (be64toh(words[0]) == MG_SUBSCRIBER_IDENTITY) {
		uint64_t number = be64toh(words[1]);
		const char *known =
			d->access.feed ? mg_feed_identity_text(d->access.feed, number) : NULL;

		if (known)
			snprintf(text, MG_WHO_STRLEN, MG_WHO_ID "%s", known);
		else
			snprintf(text, MG_WHO_STRLEN, MG_WHO_ID "%016llx",
				 (unsigned long long)number);
		return text;
	}
	memcpy(&prefix.ip, who->ip, sizeof(prefix.ip));
	if (key_bits)
		prefix.len = key_bits;
	else if (mg_ip_is_v4(&prefix.ip))
		prefix.len = (unsigned char)(V4_BITS + p->key_ipv4_bits);
	else
		prefix.len = p->key_ipv6_bits;
	if (prefix.len == 128)
		return mg_ip_format(text, &prefix.ip);
	return mg_prefix_format(text, &prefix);
}

static bool identity_text(void *ctx, uint64_t number, char text[MG_SESSIONLOG_WHO_STRLEN])
{
	return mg_feed_identity_copy(ctx, number, text, MG_SESSIONLOG_WHO_STRLEN);
}

void mg_who_name_sessions(struct mg_daemon *d)
{
	d->names = (struct mg_sessionlog_names){ .text_of = identity_text, .ctx = d->access.feed };
	mg_sessionlog_name_by(d->proxy.log, &d->names);
}

const char *mg_who_service(const struct mg_daemon *d, uint32_t number)
{
	const struct mg_config_policies *p = &d->config->policies;
	size_t at = mg_admission_service(mg_dp_admission(d->dp), number);

	return at < p->n_services ? p->services[at].name : NULL;
}

const char *mg_who_access(const struct mg_daemon *d, uint32_t number)
{
	const char *name = mg_admission_access_name(mg_dp_admission(d->dp), number);

	return *name ? name : NULL;
}

const char *mg_who_access_of(const struct mg_daemon *d, const struct in6_addr *ip)
{
	return mg_who_access(d, mg_admission_access_of(mg_dp_admission(d->dp), ip));
}
