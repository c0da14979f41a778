// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/flow.h"
#include "proxy/proxy.h"
#include "proxy/sharing.h"
#include "sys/sock.h"
#include "wire/proxy_v2.h"

static const struct mg_config_policies *policies(const struct mg_session *s)
{
	return &s->worker->policy->config->policies;
}

static void mask(struct mg_subscriber *who, unsigned int bits)
{
	for (unsigned int i = bits; i < 128; i++)
		who->ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

static uint8_t key_bits(const struct mg_session *s)
{
	const struct mg_config_policies *p = policies(s);

	return mg_ip_is_v4(&s->client_ep.ip) ? (uint8_t)(96 + p->key_ipv4_bits) : p->key_ipv6_bits;
}

/* Without a ticket, as if there were only its address. */
static struct mg_subscriber subscriber(const struct mg_session *s)
{
	static const struct mg_subscriber nobody;
	struct mg_subscriber who = s->ticket.subscriber;

	if (memcmp(&who, &nobody, sizeof(who)) != 0)
		return who;
	memcpy(who.ip, &s->client_ep.ip, sizeof(who.ip));
	mask(&who, key_bits(s));
	return who;
}

static bool is_taken(int err)
{
	return err == -EADDRINUSE || err == -EADDRNOTAVAIL || err == -EACCES;
}

/* The next port that is free towards this server. The second time around one that only waits for
 * late packets (TIME-WAIT) will do. */
static int connect_from_block(struct mg_session *s)
{
	uint32_t n = mg_sharing_tries(&s->lease, s->worker->loop.now_ms);
	int err = -EUSERS;

	for (uint32_t i = 0; i < 2 * n; i++) {
		struct mg_ep source = { .ip = s->lease.ip,
					.port = htons(mg_sharing_port(&s->lease)) };

		err = i < n ? mg_sock_connect_port(&s->server.io.fd, &s->server_ep, &source,
						   s->want_mptcp)
			    : mg_sock_connect_exact(&s->server.io.fd, &s->server_ep, &source,
						    s->want_mptcp);
		if (!is_taken(err))
			return err;
	}
	mg_sharing_none_free(&s->lease, s->worker->loop.now_ms);
	return -EUSERS;
}

static int connect_from_pool(struct mg_session *s)
{
	int err = s->lease.first ? connect_from_block(s)
				 : mg_sock_connect_from(&s->server.io.fd, &s->server_ep,
							&s->lease.ip, s->want_mptcp);

	if (is_taken(err))
		err = -EUSERS;
	if (err == -EUSERS)
		s->worker->stats.no_ports++;
	return err;
}

static void log_event(struct mg_session *s, enum mg_sessionlog_event event)
{
	const struct mg_sessionlog_record record = {
		.event = event,
		.session = s->id,
		.subscriber = subscriber(s),
		.subscriber_bits = key_bits(s),
		.client = s->client_ep,
		.external = s->source_ep,
		.server = s->server_ep,
		.bytes_up = s->up.bytes,
		.bytes_down = s->down.bytes,
		.reason = mg_close_reason_label(s->reason),
	};

	mg_sessionlog_put(s->worker->proxy->log, s->worker->index, &record);
}

int mg_source_connect(struct mg_session *s)
{
	const struct mg_config_sharing *cfg = &policies(s)->sharing;
	const struct mg_subscriber who = subscriber(s);
	int err = mg_sharing_take(&s->worker->proxy->sharing, cfg, &who,
				  mg_ip_is_v4(&s->server_ep.ip), &s->lease);

	if (!err)
		err = connect_from_pool(s);
	else if (err == -ENOENT)
		err = mg_sock_connect(&s->server.io.fd, &s->server_ep, NULL, s->want_mptcp);
	else
		s->worker->stats.no_ports += err == -EUSERS;
	if (err || cfg->log == MG_LOG_TO_NOTHING || mg_sock_local(s->server.io.fd, &s->source_ep))
		return err;
	/* The SYN is on its way, and somebody may ask whose it was, whatever becomes of it. */
	s->logged = true;
	log_event(s, MG_SESSIONLOG_CONNECT);
	return 0;
}

void mg_source_leave(struct mg_session *s)
{
	if (s->logged)
		log_event(s, MG_SESSIONLOG_CLOSE);
	s->logged = false;
	mg_sharing_give_back(&s->worker->proxy->sharing, &s->lease);
}

/* ---- the PROXY protocol ---------------------------------------------------------------------- */

static bool is_introduced(const struct mg_session *s)
{
	const struct mg_config_service *service = mg_policy_service(s->worker->policy, &s->ticket);

	return mg_session_policy(s)->proxy_protocol || (service && service->proxy_protocol);
}

bool mg_source_introduce(struct mg_session *s)
{
	uint8_t header[MG_PROXY_V2_MAX_BYTES];
	char id[MG_PROXY_V2_ID_MAX_BYTES];
	const char *node = s->worker->policy->config->node;
	int len;

	if (!is_introduced(s))
		return true;
	/* So that its log and ours can be laid side by side. */
	len = snprintf(id, sizeof(id), "%.64s/%llu", node ? node : "", (unsigned long long)s->id);
	len = mg_proxy_v2_build(header, &s->client_ep, &s->server_ep,
				(struct mg_span){ (const uint8_t *)id, (size_t)len });
	if (len < 0 || mg_flow_prepend(s, &s->up, header, (size_t)len))
		return false;
	s->header_bytes = (uint32_t)len;
	s->worker->stats.proxy_headers++;
	return true;
}
