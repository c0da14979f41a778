/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who a packet is from, and which policy holds for it. The tables exist twice, in sets: the number
 * of the one in force is read once, and who was found keeps to it.
 */
#ifndef MG_BPF_POLICY_H
#define MG_BPF_POLICY_H

#include "feed.bpf.h"

#define MG_INNER_OF_ANY_SIZE 0x1000 /* BPF_F_INNER_MAP */
#define MG_RANGE_STEPS	     17	    /* halves MG_PORT_RANGES_MAX until one is left */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} mg_policy_now SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MG_SETS);
	__type(key, __u32);
	__type(value, struct mg_policy_set);
} mg_policy_set SEC(".maps");

/* The inner ones here are patterns: the daemon makes others, as large as it needs them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MG_SETS);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_HASH);
			__uint(max_entries, 1);
			__uint(key_size, sizeof(struct mg_prefix_key));
			__uint(value_size, sizeof(struct mg_prefix_value));
		});
} mg_prefixes SEC(".maps");

/* By sizes, as clang 14 describes no type that only a map in a map names. */
#define MG_SETS_OF(bytes)                                                \
	struct {                                                         \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                \
		__uint(max_entries, MG_SETS);                            \
		__type(key, __u32);                                      \
		__array(                                                 \
			values, struct {                                 \
				__uint(type, BPF_MAP_TYPE_ARRAY);        \
				__uint(max_entries, 1);                  \
				__uint(map_flags, MG_INNER_OF_ANY_SIZE); \
				__uint(key_size, sizeof(__u32));         \
				__uint(value_size, bytes);               \
			});                                              \
	}

MG_SETS_OF(sizeof(struct mg_port_range)) mg_ranges SEC(".maps");
MG_SETS_OF(sizeof(__u32)) mg_cells SEC(".maps");
MG_SETS_OF(sizeof(struct mg_terms)) mg_terms SEC(".maps");
MG_SETS_OF(sizeof(struct mg_service_limits)) mg_svc_limits SEC(".maps");

/* Filled in by mg_who_is */
struct mg_who {
	struct mg_subscriber subscriber;
	__u32 set; /* its tables were asked */
	__u32 policy;
	__u32 service;
	__u32 access;
	__u32 class;
	__u32 generation;
	__u8 active;	   /* 0: there are no policies, and all but the subscriber is 0 */
	__u8 trust;	   /* enum mg_trust */
	__u8 drop_transit; /* of the access network */
	__u8 by_interface; /* nothing else told the access network: mg_seen_at_put() what is let in
			    */
	__u8 refuse_join;  /* enum mg_refuse; of a join's session, once mg_admit_join() was asked */
	__u8 pad[3];
};

struct mg_prefix_query {
	__u8 ip[16];
	__u32 set;
	__u32 table; /* enum mg_table */
	struct mg_prefix_value value;
};

/*
 * Looks q->ip up in a table of a set: 1 with q->value, or 0. A function of its own to the verifier,
 * as the loop is long.
 */
__noinline int mg_prefix_find(struct mg_prefix_query *q)
{
	const struct mg_prefix_value *value;
	const struct mg_policy_set *set;
	struct mg_prefix_key key = {};
	const struct mg_lengths *l;
	__u32 at, table;
	void *prefixes;

	if (!q)
		return 0;
	at = q->set;
	table = q->table;
	if (table >= MG_TABLE_COUNT)
		return 0;
	set = bpf_map_lookup_elem(&mg_policy_set, &at);
	prefixes = bpf_map_lookup_elem(&mg_prefixes, &at);
	if (!set || !prefixes)
		return 0;
	l = mg_ip_is_v4(q->ip) ? &set->lengths[table][MG_FAMILY_V4]
			       : &set->lengths[table][MG_FAMILY_V6];
	key.table = table;
	for (__u32 i = 0; i < MG_LENGTHS_MAX && i < l->n; i++) {
		key.bits = l->bits[i];
		mg_ip_cut(key.ip, q->ip, key.bits);
		value = bpf_map_lookup_elem(prefixes, &key);
		if (value) {
			q->value = *value;
			return 1;
		}
	}
	return 0;
}

/* The service of a port, among `n` ranges from `first` on that do not overlap; 0: none */
__noinline int mg_range_find(__u32 set, __u32 first, __u32 n, __u32 port)
{
	void *ranges = bpf_map_lookup_elem(&mg_ranges, &set);
	__u32 low = first, high = first + n;

	if (!ranges || n > MG_PORT_RANGES_MAX || first > MG_PORT_RANGES_MAX)
		return 0;
	for (__u32 i = 0; i < MG_RANGE_STEPS && low < high; i++) {
		__u32 middle = low + (high - low) / 2;
		const struct mg_port_range *r = bpf_map_lookup_elem(ranges, &middle);

		if (!r)
			return 0;
		if (port < r->first)
			high = middle;
		else if (port > r->last)
			low = middle + 1;
		else
			return r->service;
	}
	return 0;
}

static __always_inline void mg_who_subscriber(struct mg_who *who, const __u8 *ip,
					      const struct mg_policy_set *set, __u64 identity)
{
	bool v4 = mg_ip_is_v4(ip);
	__u32 *words = (__u32 *)who->subscriber.ip;
	__u32 bits = v4 ? set->key_bits[MG_FAMILY_V4] : set->key_bits[MG_FAMILY_V6];

	if (identity) {
		words[0] = bpf_htonl(MG_SUBSCRIBER_IDENTITY >> 32);
		words[1] = bpf_htonl((__u32)MG_SUBSCRIBER_IDENTITY);
		words[2] = bpf_htonl(identity >> 32);
		words[3] = bpf_htonl((__u32)identity);
		return;
	}
	if (!bits)
		bits = v4 ? 128 : 64;
	mg_ip_cut(who->subscriber.ip, ip, bits);
}

static __always_inline __u32 mg_access_by_interface(const struct mg_policy_set *set, __u32 ifindex)
{
	for (__u32 i = 0; i < MG_ACCESS_INTERFACES_MAX && i < set->n_interfaces; i++)
		if (set->interfaces[i].ifindex == ifindex)
			return set->interfaces[i].access;
	return 0;
}

/* The access network, where the feed does not tell it. */
static __always_inline void mg_who_access(struct mg_who *who, struct mg_prefix_query *q,
					  __u32 ifindex, __u32 via)
{
	q->table = MG_TABLE_ACCESS;
	if (mg_prefix_find(q)) {
		who->access = q->value.number;
		return;
	}
	if (!ifindex) {
		who->access = mg_seen_at_find(q->ip);
		return;
	}
	who->access = via;
	who->by_interface = via != 0;
}

/*
 * What the access network is trusted with, and no more than the one of the interface, `via`: a
 * third party can make up addresses of any network, but not where its packets come in.
 */
static __always_inline void mg_who_trust(struct mg_who *who, const struct mg_policy_set *set,
					 __u32 via)
{
	const struct mg_access_network *access = &set->access[who->access & (MG_ACCESS_MAX - 1)];

	who->trust = access->trust;
	who->drop_transit = access->drop_transit;
	access = &set->access[via & (MG_ACCESS_MAX - 1)];
	if (via && access->trust == MG_TRUST_THIRD_PARTY) {
		who->trust = MG_TRUST_THIRD_PARTY;
		who->drop_transit |= access->drop_transit;
	}
}

static __always_inline void mg_who_policy(struct mg_who *who, const struct mg_policy_set *set)
{
	__u32 c = who->class < set->n_classes ? who->class : 0;
	__u32 s = who->service < set->n_services ? who->service : 0;
	__u32 a = who->access < set->n_access ? who->access : 0;
	__u32 at = who->set, cell = (c * set->n_services + s) * set->n_access + a;
	void *cells = bpf_map_lookup_elem(&mg_cells, &at);
	const __u32 *policy;

	policy = cells ? bpf_map_lookup_elem(cells, &cell) : NULL;
	who->policy = policy ? *policy : 0;
}

/* NULL: there are no policies. */
static __always_inline const struct mg_terms *mg_terms_in(__u32 set, __u32 policy)
{
	void *terms = bpf_map_lookup_elem(&mg_terms, &set);
	const struct mg_terms *t;

	t = terms ? bpf_map_lookup_elem(terms, &policy) : NULL;
	return t && t->used ? t : NULL;
}

static __always_inline const struct mg_terms *mg_terms_of(const struct mg_who *who)
{
	return who->active ? mg_terms_in(who->set, who->policy) : NULL;
}

static __always_inline void mg_who_select(struct mg_who *who, struct mg_prefix_query *q,
					  const struct mg_policy_set *set,
					  const struct mg_endpoint *server)
{
	const struct mg_terms *terms;

	if (!who->class) {
		q->table = MG_TABLE_CLASS;
		if (mg_prefix_find(q))
			who->class = q->value.number;
	}
	q->table = MG_TABLE_SERVICE;
	mg_ip_copy16(q->ip, server->ip);
	if (mg_prefix_find(q))
		who->service = mg_range_find(who->set, q->value.number, q->value.n, server->port);
	mg_who_policy(who, set);
	terms = mg_terms_in(who->set, who->policy);
	who->refuse_join = terms ? terms->refuse_join : MG_REFUSE_DROP;
}

/*
 * Who comes from `client`, on its way to `server` (of a Convert message: the peer; zeros if it is
 * not known), over ifindex (0: not known). Returns who->active. A function of its own to the
 * verifier; none of the pointers may be NULL.
 */
__noinline int mg_who_is(struct mg_who *who, const struct mg_endpoint *client,
			 const struct mg_endpoint *server, __u32 ifindex)
{
	struct mg_prefix_query q = {};
	struct mg_feed_query feed = {};
	const struct mg_policy_set *set;
	const __u32 *now;
	__u32 at = 0, via;

	if (!who || !client || !server)
		return 0;
	__builtin_memset(who, 0, sizeof(*who));
	now = bpf_map_lookup_elem(&mg_policy_now, &at);
	at = now ? *now : 0;
	set = bpf_map_lookup_elem(&mg_policy_set, &at);
	if (!set)
		return 0;
	mg_ip_copy16(feed.ip, client->ip);
	mg_ip_copy16(q.ip, client->ip);
	mg_feed_find(&feed);
	mg_who_subscriber(who, q.ip, set, feed.identity);
	if (!set->active)
		return 0;
	who->active = 1;
	who->set = q.set = at;
	who->generation = set->generation;
	who->class = feed.class;
	who->access = feed.access;
	via = ifindex ? mg_access_by_interface(set, ifindex) : 0;
	if (!who->access)
		mg_who_access(who, &q, ifindex, via);
	mg_who_trust(who, set, via);
	mg_who_select(who, &q, set, server);
	return 1;
}

#endif
