// SPDX-License-Identifier: BSD-2-Clause
#include "sys/dp_maps.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "abi/event.h"

void mg_endpoint_from_ep(struct mg_endpoint *to, const struct mg_ep *from)
{
	*to = (struct mg_endpoint){ .port = ntohs(from->port) };
	memcpy(to->ip, &from->ip, sizeof(to->ip));
}

void mg_endpoint_to_ep(const struct mg_endpoint *from, struct mg_ep *to)
{
	memcpy(&to->ip, from->ip, sizeof(to->ip));
	to->port = htons(from->port);
}

static bool is_listed(const struct mg_endpoint *key, const struct mg_ep *eps, size_t n)
{
	struct mg_endpoint one;

	for (size_t i = 0; i < n; i++) {
		mg_endpoint_from_ep(&one, &eps[i]);
		if (!key->port)
			one.port = 0;
		if (!memcmp(&one, key, sizeof(one)))
			return true;
	}
	return false;
}

/* Deleting while walking restarts a walk: the keys to go are collected first. */
static int remove_unlisted(int map, const struct mg_ep *eps, size_t n, const struct mg_ep *joins,
			   size_t n_joins)
{
	struct mg_endpoint *gone = calloc(MG_CONVERTERS_MAP_ENTRIES, sizeof(*gone));
	struct mg_endpoint key, *last = NULL;
	size_t n_gone = 0;
	int err = 0;

	if (!gone)
		return -ENOMEM;
	while (n_gone < MG_CONVERTERS_MAP_ENTRIES && !bpf_map_get_next_key(map, last, &key)) {
		if (!is_listed(&key, eps, n) && !is_listed(&key, joins, n_joins))
			gone[n_gone++] = key;
		last = &key;
	}
	for (size_t i = 0; i < n_gone && !err; i++)
		err = bpf_map_delete_elem(map, &gone[i]);
	free(gone);
	return err;
}

static int put_converter(int map, const struct mg_ep *ep, __u32 listener)
{
	struct mg_converter value = { .listener = listener };
	struct mg_endpoint key;

	mg_endpoint_from_ep(&key, ep);
	if (bpf_map_update_elem(map, &key, &value, BPF_ANY))
		return -errno;
	key.port = 0;
	return bpf_map_update_elem(map, &key, &value, BPF_ANY) ? -errno : 0;
}

/* New ones first: what stays on the list is never off it. */
int mg_dp_maps_set_converters(const struct mg_dp_maps *m, const struct mg_ep *eps, size_t n,
			      const struct mg_ep *joins, size_t n_joins)
{
	int err = 0;

	if (n > MG_CONVERTERS_MAX || n_joins > MG_CONVERTERS_MAX - n)
		return -E2BIG;
	for (size_t i = 0; i < n_joins && !err; i++)
		err = put_converter(m->converters, &joins[i], MG_CONVERTER_JOINS);
	for (size_t i = 0; i < n && !err; i++)
		err = put_converter(m->converters, &eps[i], (__u32)i);
	return err ? err : remove_unlisted(m->converters, eps, n, joins, n_joins);
}

int mg_map_sum(int map, unsigned int n_cpus, uint64_t *sum, size_t n)
{
	__u64 *values = calloc(n_cpus, n * sizeof(*values));
	__u32 zero = 0;
	int err = values ? 0 : -ENOMEM;

	if (!err && bpf_map_lookup_elem(map, &zero, values))
		err = -errno;
	memset(sum, 0, n * sizeof(*sum));
	for (size_t i = 0; !err && i < n_cpus * n; i++)
		sum[i % n] += values[i];
	free(values);
	return err;
}

int mg_dp_maps_counters(const struct mg_dp_maps *m, struct mg_dp_counters *out)
{
	uint64_t stats[sizeof(struct mg_event_stats) / sizeof(uint64_t)];
	int err = mg_map_sum(m->classes, m->n_cpus, out->class, MG_CLASS_COUNT);

	if (!err)
		err = mg_map_sum(m->verdicts, m->n_cpus, out->verdict, MG_VERDICT_COUNT);
	if (!err)
		err = mg_map_sum(m->reasons, m->n_cpus, out->reason, MG_REASON_COUNT);
	if (!err)
		err = mg_map_sum(m->event_stats, m->n_cpus, stats, sizeof(stats) / sizeof(*stats));
	if (!err)
		out->events_lost = stats[offsetof(struct mg_event_stats, over_rate) / 8] +
				   stats[offsetof(struct mg_event_stats, ring_full) / 8];
	return err;
}

int mg_dp_maps_synack_take(const struct mg_dp_maps *m, const struct mg_ep *local,
			   const struct mg_ep *peer, uint8_t opts[MG_SYNACK_OPTIONS])
{
	struct mg_connection key;
	struct mg_synack value;

	mg_endpoint_from_ep(&key.local, local);
	mg_endpoint_from_ep(&key.peer, peer);
	if (m->synack < 0 || bpf_map_lookup_elem(m->synack, &key, &value))
		return -ENOENT;
	bpf_map_delete_elem(m->synack, &key);
	if (value.options_bytes > sizeof(value.options))
		return -ENOENT;
	memcpy(opts, value.options, value.options_bytes);
	return (int)value.options_bytes;
}

int mg_dp_maps_read_syn(struct mg_dp_syn *syn, const void *record, size_t len)
{
	const struct mg_event_syn *e = record;

	if (len < sizeof(*e) || e->event.type != MG_EVENT_SYN || e->event.bytes != sizeof(*e) ||
	    e->class >= MG_CLASS_COUNT)
		return -EBADMSG;
	*syn = (struct mg_dp_syn){
		.class = (enum mg_class)e->class,
		.mp_capable = e->mp_capable,
		.payload_bytes = e->payload_bytes,
	};
	mg_endpoint_to_ep(&e->client, &syn->client);
	mg_endpoint_to_ep(&e->converter, &syn->converter);
	return 0;
}
