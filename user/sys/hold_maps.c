// SPDX-License-Identifier: BSD-2-Clause
#include "sys/hold_maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "sys/dp_maps.h"

#define PORTS	   65536
#define WORD_BITS  64
#define NS_PER_MS  1000000ULL
#define NS_PER_SEC 1000000000ULL

_Static_assert(MG_PORT_WORDS *WORD_BITS == PORTS, "a bit for every port");

static void set_bit(uint64_t *words, uint16_t port, bool on)
{
	uint64_t bit = 1ULL << port % WORD_BITS;

	if (on)
		words[port / WORD_BITS] |= bit;
	else
		words[port / WORD_BITS] &= ~bit;
}

static int set_ports(const struct mg_hold_maps *m, const struct mg_config_intercept *c)
{
	uint64_t words[MG_PORT_WORDS];

	memset(words, c->any_port ? 0xff : 0, sizeof(words));
	for (size_t i = 0; i < c->n_ports; i++)
		set_bit(words, c->ports[i], true);
	for (size_t i = 0; i < c->n_except; i++)
		set_bit(words, c->except[i], false);
	for (__u32 i = 0; i < MG_PORT_WORDS; i++) {
		if (bpf_map_update_elem(m->ports, &i, &words[i], BPF_ANY))
			return -errno;
	}
	return 0;
}

int mg_hold_maps_set(const struct mg_hold_maps *m, const struct mg_config *cfg,
		     unsigned int n_workers, uint16_t beacon)
{
	const struct mg_config_intercept *c = &cfg->intercept;
	const struct mg_intercept value = {
		.mode = c->mode,
		.n_workers = n_workers,
		.held_per_subscriber = c->held_per_subscriber,
		.beat_stale_ms = c->stale_ms,
		.learn_ttl_ns = c->learn_ttl_s * NS_PER_SEC,
		.convert =
			cfg->converter.n_listen && cfg->converter.reply == MG_REPLY_AFTER_CONNECT,
		.cpe = cfg->cpe.n_lan > 0,
		.drop_on_overload = c->on_overload == MG_OVERLOAD_DROP,
		.drop_on_failure = c->on_failure == MG_FAILURE_CLOSED,
		.beacon = beacon,
	};
	__u32 zero = 0;
	int err = set_ports(m, c);

	if (!err && bpf_map_update_elem(m->intercept, &zero, &value, BPF_ANY))
		err = -errno;
	return err;
}

int mg_hold_maps_set_nothing(const struct mg_hold_maps *m, unsigned int n_workers)
{
	const struct mg_intercept value = { .mode = MG_MODE_OFF, .n_workers = n_workers };
	__u32 zero = 0;

	return bpf_map_update_elem(m->intercept, &zero, &value, BPF_ANY) ? -errno : 0;
}

int mg_hold_maps_set_ring(const struct mg_hold_maps *m, unsigned int worker, int ring)
{
	return bpf_map_update_elem(m->rings, &worker, &ring, BPF_ANY) ? -errno : 0;
}

int mg_hold_maps_learn(const struct mg_hold_maps *m, const struct mg_ep *server, bool mptcp,
		       uint64_t expires_ns)
{
	const struct mg_server value = {
		.expires_ns = expires_ns,
		.mptcp = mptcp,
		.source = MG_SERVER_PROBE,
	};
	struct mg_endpoint key;

	mg_endpoint_from_ep(&key, server);
	return bpf_map_update_elem(m->servers, &key, &value, BPF_ANY) ? -errno : 0;
}

int mg_hold_maps_forget(const struct mg_hold_maps *m, const struct mg_ep *server)
{
	struct mg_endpoint key;

	mg_endpoint_from_ep(&key, server);
	return bpf_map_delete_elem(m->servers, &key) ? -errno : 0;
}

/* All at once: walking an LRU map key by key starts over whenever it drops one. */
static long read_servers(const struct mg_hold_maps *m, struct mg_endpoint **keys,
			 struct mg_server **values)
{
	__u32 n = MG_SERVERS_MAX, next = 0;

	*keys = calloc(n, sizeof(**keys));
	*values = calloc(n, sizeof(**values));
	if (!*keys || !*values)
		return -ENOMEM;
	/* ENOENT: that was all of it */
	if (bpf_map_lookup_batch(m->servers, NULL, &next, *keys, *values, &n, NULL) &&
	    errno != ENOENT)
		return -errno;
	return n;
}

int mg_hold_maps_forget_all(const struct mg_hold_maps *m)
{
	struct mg_endpoint *keys;
	struct mg_server *values;
	long n = read_servers(m, &keys, &values);

	for (long i = 0; i < n; i++)
		bpf_map_delete_elem(m->servers, &keys[i]);
	free(keys);
	free(values);
	return n < 0 ? (int)n : 0;
}

long mg_hold_maps_servers(const struct mg_hold_maps *m, uint64_t now_ns,
			  struct mg_server_row **rows)
{
	struct mg_endpoint *keys;
	struct mg_server *values;
	long n = read_servers(m, &keys, &values);

	*rows = n < 0 ? NULL : calloc((size_t)n + 1, sizeof(**rows));
	if (n >= 0 && !*rows)
		n = -ENOMEM;
	for (long i = 0; i < n; i++) {
		struct mg_server_row *r = &(*rows)[i];

		mg_endpoint_to_ep(&keys[i], &r->server);
		r->mptcp = values[i].mptcp;
		r->source = (enum mg_server_source)values[i].source;
		if (values[i].expires_ns > now_ns)
			r->expires_ms = (values[i].expires_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
	}
	free(keys);
	free(values);
	return n;
}
