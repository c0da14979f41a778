/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who has how many sessions and subflows: of a subscriber mg_accounts, of a subscriber and a
 * service mg_svc_subs, of a service mg_svc_count, of all mg_proxy_count.
 *
 * An element that a hash table gives back serves another key at once, while others still hold a
 * pointer to it from an earlier look-up. So a count is changed, and then it is looked up once more
 * whether that was the right one: an element with a count stays what it is. If it was not, the
 * change is undone. MG_COUNTS_LOCKED keeps everybody off while an element is made or taken away.
 */
#ifndef MG_BPF_ACCOUNTS_H
#define MG_BPF_ACCOUNTS_H

#include "policy.bpf.h"

#define MG_TRIES   64 /* against other CPUs; each that fails is another's success */
#define MG_E_AGAIN (-11)
#define MG_E_NOENT (-2)
#define MG_E_INVAL (-22)
#define MG_E_NOSPC (-28)
#define MG_E2BIG   (-7) /* what a table that is full says */

/*
 * `once` until it says something else than -EAGAIN. It is to be a function of its own to the
 * verifier, which otherwise follows each try to its end.
 */
#define MG_TRY(once)                                                        \
	({                                                                  \
		int ret_ = MG_E_AGAIN;                                      \
                                                                            \
		for (int i_ = 0; i_ < MG_TRIES && ret_ == MG_E_AGAIN; i_++) \
			ret_ = (once);                                      \
		ret_;                                                       \
	})

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_ACCOUNTS_MAX);
	__uint(map_flags, 1 /* BPF_F_NO_PREALLOC */);
	__type(key, struct mg_subscriber);
	__type(value, struct mg_account_entry);
} mg_accounts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_ACCOUNTS_MAX);
	__uint(map_flags, 1 /* BPF_F_NO_PREALLOC */);
	__type(key, struct mg_service_subscriber);
	__type(value, __u64);
} mg_svc_subs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MG_SERVICES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} mg_svc_count SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_proxy_count);
} mg_proxy_count SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mg_admit_state);
} mg_admit_state SEC(".maps");

static __always_inline __u32 mg_counts_sessions(__u64 counts)
{
	return counts & MG_COUNTS_MASK;
}

static __always_inline __u32 mg_counts_subflows(__u64 counts)
{
	return counts >> MG_COUNTS_BITS & MG_COUNTS_MASK;
}

static __always_inline __u32 mg_counts_reserved(__u64 counts)
{
	return counts >> (2 * MG_COUNTS_BITS) & MG_COUNTS_MASK;
}

static __always_inline struct mg_admit_state *mg_admit_stated(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mg_admit_state, &zero);
}

static __always_inline void mg_orphans_add(void)
{
	struct mg_admit_state *state = mg_admit_stated();

	if (state)
		__sync_fetch_and_add(&state->orphans, 1);
}

/*
 * Nothing is left of *counts, which was key's: takes the element away, if it still is, and nobody
 * has come back. Of all who try, one locks it.
 */
static __always_inline void mg_counts_reap(void *map, const void *key, __u64 *counts)
{
	if (__sync_val_compare_and_swap(counts, 0, MG_COUNTS_LOCKED))
		return;
	if (bpf_map_lookup_elem(map, key) == counts && !bpf_map_delete_elem(map, key))
		return;
	/* Another's, or the table is busy below us: as it was, and mg_sweep looks again. */
	mg_orphans_add();
	__sync_lock_test_and_set(counts, 0);
}

/* ---- to be let in ---------------------------------------------------------------------------- */

struct mg_wish {
	__u32 sessions;	      /* so many more */
	__u32 sessions_limit; /* 0: none, as below */
	__u32 subflows;
	__u32 subflows_limit;
	__u32 how; /* enum mg_wish_how */
};
enum mg_wish_how {
	MG_WISH_NEW,
	MG_WISH_RESERVE, /* sessions that are only held in advance */
	MG_WISH_HELD,	 /* a session of those; MG_E_NOENT: there are none */
	MG_WISH_JOIN,	 /* MG_E_NOENT: the subscriber has nothing to join */
};

/* What *counts becomes: 0, enum mg_refusal, -errno */
static __always_inline int mg_counts_wish(__u64 *counts, const struct mg_wish *wish)
{
	__u64 sessions = mg_counts_sessions(*counts) + (__u64)wish->sessions;
	__u64 subflows = mg_counts_subflows(*counts) + (__u64)wish->subflows;
	__u64 reserved = mg_counts_reserved(*counts);

	if (wish->how == MG_WISH_RESERVE) {
		reserved += wish->sessions;
	} else if (wish->how == MG_WISH_HELD) {
		if (!reserved)
			return MG_E_NOENT;
		sessions--;
		reserved--;
		/* It was held under the limit of another policy, perhaps. */
		if (wish->sessions_limit && sessions - reserved > wish->sessions_limit)
			return MG_REFUSAL_OVER_SESSIONS;
	} else if (wish->how == MG_WISH_JOIN && !*counts) {
		return MG_E_NOENT;
	}
	if (wish->sessions_limit && sessions > wish->sessions_limit &&
	    sessions > mg_counts_sessions(*counts))
		return MG_REFUSAL_OVER_SESSIONS;
	if (wish->subflows && wish->subflows_limit && subflows > wish->subflows_limit)
		return MG_REFUSAL_OVER_SUBFLOWS;
	if (sessions > MG_COUNTS_MASK || subflows > MG_COUNTS_MASK || reserved > MG_COUNTS_MASK)
		return MG_E_NOSPC;
	*counts = sessions | subflows << MG_COUNTS_BITS | reserved << (2 * MG_COUNTS_BITS);
	return MG_ADMITTED;
}

/* An element that is not there yet; `fresh` is a value that is locked. */
static __always_inline int mg_counts_begin(void *map, const void *key, const void *fresh,
					   __u64 counts)
{
	long err = bpf_map_update_elem(map, key, fresh, BPF_NOEXIST);
	__u64 *made;

	if (err)
		return err == MG_E2BIG ? MG_E_NOSPC : MG_E_AGAIN;
	made = bpf_map_lookup_elem(map, key);
	if (!made)
		return MG_E_AGAIN;
	__sync_lock_test_and_set(made, counts);
	return 0;
}

/* One try to charge: 0, enum mg_refusal, -errno. */
static __always_inline int mg_counts_try(void *map, const void *key, const void *fresh,
					 const struct mg_wish *wish)
{
	__u64 *counts = bpf_map_lookup_elem(map, key), was, is;
	int ret;

	was = counts ? *(volatile __u64 *)counts : 0;
	if (was & MG_COUNTS_LOCKED)
		return MG_E_AGAIN;
	is = was;
	ret = mg_counts_wish(&is, wish);
	if (!counts)
		return ret ? ret : mg_counts_begin(map, key, fresh, is);
	if (!ret && __sync_val_compare_and_swap(counts, was, is) != was)
		return MG_E_AGAIN;
	if (bpf_map_lookup_elem(map, key) == counts)
		return ret;
	if (!ret && __sync_fetch_and_add(counts, was - is) == is - was)
		mg_orphans_add();
	return MG_E_AGAIN;
}

/* `n` of what the word counts are given back by who has them. */
static __always_inline void mg_counts_release(void *map, const void *key, __u64 n)
{
	__u64 *counts = bpf_map_lookup_elem(map, key);

	if (counts && __sync_fetch_and_add(counts, -n) == n)
		mg_counts_reap(map, key, counts);
}

/* ---- subscribers ----------------------------------------------------------------------------- */

__noinline int mg_account_charge_once(const struct mg_subscriber *subscriber,
				      const struct mg_wish *wish)
{
	struct mg_account_entry fresh = { .counts = MG_COUNTS_LOCKED };
	struct mg_subscriber key;

	if (!subscriber || !wish)
		return MG_E_INVAL;
	mg_ip_copy16(key.ip, subscriber->ip);
	return mg_counts_try(&mg_accounts, &key, &fresh, wish);
}

/* 0, enum mg_refusal, -errno */
static __always_inline int mg_account_charge(const struct mg_subscriber *subscriber,
					     const struct mg_wish *wish)
{
	return MG_TRY(mg_account_charge_once(subscriber, wish));
}

/* `key` lies on the stack, or in a map. */
static __always_inline void mg_account_release(const struct mg_subscriber *key, __u32 sessions,
					       __u32 subflows)
{
	mg_counts_release(&mg_accounts, key, (__u64)sessions | (__u64)subflows << MG_COUNTS_BITS);
}

/* A session that was one of those held is held again, and its first subflow is none. */
static __always_inline void mg_account_hold_again(const struct mg_subscriber *key)
{
	__u64 *counts = bpf_map_lookup_elem(&mg_accounts, key);

	if (counts)
		__sync_fetch_and_add(counts, MG_COUNTS_RESERVE - MG_COUNTS_SUBFLOW);
}

/* What was let in last, to be shown */
static __always_inline void mg_account_note(const struct mg_subscriber *key, __u32 policy,
					    const struct mg_terms *terms, __u8 key_bits)
{
	struct mg_account_entry *e = bpf_map_lookup_elem(&mg_accounts, key);

	if (!e)
		return;
	e->sessions_limit = terms ? terms->sessions : 0;
	e->subflows_limit = terms ? terms->subflows : 0;
	e->policy = policy;
	e->key_bits = key_bits;
}

/* The counts of a subscriber; 0 where it has none, or they are just being made. */
static __always_inline __u64 mg_account_counts(const struct mg_subscriber *subscriber)
{
	const __u64 *counts = bpf_map_lookup_elem(&mg_accounts, subscriber);
	__u64 was = counts ? *(volatile const __u64 *)counts : 0;

	return was & MG_COUNTS_LOCKED ? 0 : was;
}

__noinline int mg_account_unreserve_once(const struct mg_subscriber *subscriber, __u32 n)
{
	struct mg_subscriber key;
	__u64 *counts, was, less;
	__u32 had;

	if (!subscriber)
		return MG_E_INVAL;
	mg_ip_copy16(key.ip, subscriber->ip);
	counts = bpf_map_lookup_elem(&mg_accounts, &key);
	was = counts ? *(volatile __u64 *)counts : 0;
	if (was & MG_COUNTS_LOCKED)
		return MG_E_AGAIN;
	had = mg_counts_reserved(was);
	if (had > n)
		had = n;
	if (!counts || !had)
		return 0;
	less = had * (MG_COUNTS_SESSION | MG_COUNTS_RESERVE);
	if (__sync_val_compare_and_swap(counts, was, was - less) != was)
		return MG_E_AGAIN;
	if (bpf_map_lookup_elem(&mg_accounts, &key) != counts) {
		__sync_fetch_and_add(counts, less);
		return MG_E_AGAIN;
	}
	if (was == less)
		mg_counts_reap(&mg_accounts, &key, counts);
	return had;
}

/* Of the sessions held for a subscriber, n or as many as there are, no longer: how many, or
 * -errno. */
static __always_inline int mg_account_unreserve(const struct mg_subscriber *subscriber, __u32 n)
{
	return MG_TRY(mg_account_unreserve_once(subscriber, n));
}

/* ---- services, and all ----------------------------------------------------------------------- */

/* So many more in *count: 0, 1 if they would be more than `limit` (0: no limit), -errno */
static __always_inline int mg_count_take(__u32 *count, __u32 n, __u32 limit)
{
	__u32 had = *(volatile __u32 *)count;

	if (limit && (__u64)had + n > limit)
		return 1;
	return __sync_val_compare_and_swap(count, had, had + n) == had ? 0 : MG_E_AGAIN;
}

static __always_inline struct mg_service_limits mg_service_limits_of(__u32 set, __u32 service)
{
	void *limits = service ? bpf_map_lookup_elem(&mg_svc_limits, &set) : NULL;
	const struct mg_service_limits *l;
	struct mg_service_limits none = {};

	l = limits ? bpf_map_lookup_elem(limits, &service) : NULL;
	return l ? *l : none;
}

__noinline int mg_service_charge_once(__u32 service, __u32 limit)
{
	__u32 *count = bpf_map_lookup_elem(&mg_svc_count, &service);
	int ret = count ? mg_count_take(count, 1, limit) : MG_E_INVAL;

	return ret > 0 ? MG_REFUSAL_OVER_SERVICE : ret;
}

static __always_inline int mg_service_charge(__u32 service, __u32 limit)
{
	return MG_TRY(mg_service_charge_once(service, limit));
}

static __always_inline void mg_service_release(__u32 service)
{
	__u32 *count = bpf_map_lookup_elem(&mg_svc_count, &service);

	if (count)
		__sync_fetch_and_add(count, -1);
}

__noinline int mg_service_subscriber_charge_once(const struct mg_service_subscriber *who,
						 __u32 limit)
{
	struct mg_wish wish = { .sessions = 1, .sessions_limit = limit };
	struct mg_service_subscriber key;
	__u64 fresh = MG_COUNTS_LOCKED;
	int ret;

	if (!who)
		return MG_E_INVAL;
	key.service = who->service;
	mg_ip_copy16(key.subscriber.ip, who->subscriber.ip);
	ret = mg_counts_try(&mg_svc_subs, &key, &fresh, &wish);
	return ret > 0 ? MG_REFUSAL_OVER_SERVICE_SUBSCRIBER : ret;
}

static __always_inline int mg_service_subscriber_charge(const struct mg_service_subscriber *who,
							__u32 limit)
{
	return MG_TRY(mg_service_subscriber_charge_once(who, limit));
}

static __always_inline void mg_service_subscriber_release(const struct mg_service_subscriber *key)
{
	mg_counts_release(&mg_svc_subs, key, MG_COUNTS_SESSION);
}

static __always_inline __u32 mg_service_subscriber_sessions(const struct mg_service_subscriber *key)
{
	const __u64 *counts = bpf_map_lookup_elem(&mg_svc_subs, key);
	__u64 was = counts ? *(volatile const __u64 *)counts : 0;

	return was & MG_COUNTS_LOCKED ? 0 : mg_counts_sessions(was);
}

static __always_inline struct mg_proxy_count *mg_proxy_counted(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mg_proxy_count, &zero);
}

__noinline int mg_proxy_charge_once(__u32 n)
{
	struct mg_proxy_count *proxy = mg_proxy_counted();
	int ret = proxy ? mg_count_take(&proxy->sessions, n, proxy->limit) : MG_E_INVAL;

	return ret > 0 ? MG_REFUSAL_OVER_PROXY : ret;
}

static __always_inline int mg_proxy_charge(__u32 n)
{
	return MG_TRY(mg_proxy_charge_once(n));
}

static __always_inline void mg_proxy_release(__u32 n)
{
	struct mg_proxy_count *proxy = mg_proxy_counted();

	if (proxy)
		__sync_fetch_and_add(&proxy->sessions, -n);
}

#endif
