// SPDX-License-Identifier: BSD-2-Clause
/*
 * What came in about addresses. Entries change in place, and packets look for them meanwhile: a
 * length is on the list before an entry needs it, and for as long as one does.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "skel/policy.skel.h"
#include "sys/admission_maps.h"

#define NS_PER_MS  1000000ULL
#define NS_PER_SEC 1000000000ULL

static uint64_t now_ns(void)
{
	struct timespec t;

	/* What bpf_ktime_get_ns reads */
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* ---- the list of lengths --------------------------------------------------------------------- */

static int write_lengths(struct mg_admission *a)
{
	__u32 zero = 0;

	return bpf_map_update_elem(bpf_map__fd(a->bpf->maps.mg_feed_lengths), &zero,
				   &a->feed_lengths, BPF_ANY)
		       ? -errno
		       : 0;
}

/*
 * Written with one byte changed at a time: whoever reads it meanwhile sees, at worst, a length
 * twice, and misses none.
 */
static int add_length(struct mg_admission *a, enum mg_family family, uint8_t bits)
{
	struct mg_lengths *l = &a->feed_lengths.family[family];
	int at = l->n, err = 0;

	if (l->n == MG_LENGTHS_MAX)
		return -ENOSPC;
	l->bits[at] = l->n ? l->bits[at - 1] : bits;
	err = write_lengths(a);
	l->n++;
	if (!err)
		err = write_lengths(a);
	for (; at > 0 && l->bits[at - 1] < bits && !err; at--) {
		l->bits[at] = l->bits[at - 1];
		err = write_lengths(a);
	}
	l->bits[at] = bits;
	return err ? err : write_lengths(a);
}

static void remove_length(struct mg_admission *a, enum mg_family family, uint8_t bits)
{
	struct mg_lengths *l = &a->feed_lengths.family[family];
	int at = 0;

	while (at < l->n && l->bits[at] != bits)
		at++;
	for (; at + 1 < l->n; at++) {
		l->bits[at] = l->bits[at + 1];
		write_lengths(a);
	}
	l->n--;
	write_lengths(a);
}

/* ---- entries --------------------------------------------------------------------------------- */

int mg_admission_feed_set(struct mg_admission *a, const struct mg_feed_row *row)
{
	struct mg_feed_entry entry = { .identity = row->identity,
				       .access = row->access,
				       .class = row->class };
	int map = bpf_map__fd(a->bpf->maps.mg_feed), err = 0;
	struct mg_prefix_key key;
	enum mg_family family = mg_policy_key(&key, MG_TABLE_ACCESS, &row->prefix);
	uint32_t *count = &a->feed_counts[family][key.bits];

	if (row->ttl_ms)
		entry.expires_ns = now_ns() + row->ttl_ms * NS_PER_MS;
	if (!bpf_map_update_elem(map, &key, &entry, BPF_EXIST))
		return 0;
	if (!*count)
		err = add_length(a, family, key.bits);
	if (!err && bpf_map_update_elem(map, &key, &entry, BPF_ANY)) {
		err = errno == E2BIG ? -ENOSPC : -errno;
		if (!*count)
			remove_length(a, family, key.bits);
	}
	if (!err)
		++*count;
	return err;
}

int mg_admission_feed_del(struct mg_admission *a, const struct mg_prefix *prefix)
{
	struct mg_prefix_key key;
	enum mg_family family = mg_policy_key(&key, MG_TABLE_ACCESS, prefix);

	if (bpf_map_delete_elem(bpf_map__fd(a->bpf->maps.mg_feed), &key))
		return -errno;
	if (!--a->feed_counts[family][key.bits])
		remove_length(a, family, key.bits);
	return 0;
}

/* ---- where an address is --------------------------------------------------------------------- */

/* The key of what is looked up by that many bits of an address */
static struct mg_prefix_key cut(enum mg_table table, const struct in6_addr *ip, uint8_t bits)
{
	const struct mg_prefix prefix = { .ip = *ip, .len = bits };
	struct mg_prefix_key key;

	mg_policy_key(&key, table, &prefix);
	return key;
}

/* False: nothing is known of it. True with 0: something is, but not where. */
static bool ask_feed(struct mg_admission *a, const struct in6_addr *ip, enum mg_family family,
		     uint32_t *access)
{
	int map = bpf_map__fd(a->bpf->maps.mg_feed);
	struct mg_feed_lengths lengths;
	struct mg_feed_entry entry;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(a->bpf->maps.mg_feed_lengths), &zero, &lengths))
		return false;
	for (int i = 0; i < MG_LENGTHS_MAX && i < lengths.family[family].n; i++) {
		struct mg_prefix_key key = cut(MG_TABLE_ACCESS, ip, lengths.family[family].bits[i]);

		if (bpf_map_lookup_elem(map, &key, &entry) ||
		    (entry.expires_ns && entry.expires_ns <= now_ns()))
			continue;
		*access = entry.access;
		return true;
	}
	return false;
}

/* With the lock, which keeps the set. */
static uint32_t ask_prefixes(const struct mg_admission *a, const struct in6_addr *ip,
			     enum mg_family family)
{
	const struct mg_lengths *l = &a->now.record.lengths[MG_TABLE_ACCESS][family];
	struct mg_prefix_value value;

	for (int i = 0; i < l->n; i++) {
		struct mg_prefix_key key = cut(MG_TABLE_ACCESS, ip, l->bits[i]);

		if (!bpf_map_lookup_elem(a->inner[a->now.set][MG_INNER_PREFIXES], &key, &value))
			return value.number;
	}
	return 0;
}

uint32_t mg_admission_access_of(struct mg_admission *a, const struct in6_addr *ip)
{
	enum mg_family family = mg_ip_is_v4(ip) ? MG_FAMILY_V4 : MG_FAMILY_V6;
	uint32_t access = 0;
	bool active;

	if (!a)
		return 0;
	pthread_rwlock_rdlock(&a->lock);
	active = a->now.record.active;
	if (active && (!ask_feed(a, ip, family, &access) || !access))
		access = ask_prefixes(a, ip, family);
	pthread_rwlock_unlock(&a->lock);
	if (active && !access &&
	    bpf_map_lookup_elem(bpf_map__fd(a->bpf->maps.mg_seen_at), ip, &access))
		access = 0;
	return access;
}
