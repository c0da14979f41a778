/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * New sessions a second of a subscriber, and how many of its refused ones hear why: map mg_rates.
 * Virtual scheduling: one number, when the next session would be on time; it may be as far ahead as
 * a burst is long.
 */
#ifndef MG_BPF_RATES_H
#define MG_BPF_RATES_H

#include "accounts.bpf.h"

#define MG_RATE_NS_PER_S 1000000000ULL

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MG_RATES_MAX);
	__type(key, struct mg_subscriber);
	__type(value, struct mg_rate);
} mg_rates SEC(".maps");

/* How long until a session would be on time that comes now, given `due_ns`; 0: it is. */
static __always_inline __u64 mg_rate_wait(__u64 burst_ns, __u64 due_ns, __u64 now_ns)
{
	__u64 ahead_ns = now_ns + burst_ns;

	return due_ns > ahead_ns ? due_ns - ahead_ns : 0;
}

/* Only looks: 0, or how long to wait. */
static __always_inline __u64 mg_rate_look(const struct mg_subscriber *key,
					  const struct mg_terms *terms, __u64 now_ns)
{
	const struct mg_rate *rate;

	if (!terms->interval_ns)
		return 0;
	rate = bpf_map_lookup_elem(&mg_rates, key);
	return rate ? mg_rate_wait(terms->burst_ns, *(volatile const __u64 *)&rate->due_ns, now_ns)
		    : 0;
}

/*
 * One session more: true, or nothing was taken but by others. An element that went to another
 * subscriber meanwhile costs that one a session, and this one another try.
 */
static __always_inline bool mg_rate_step(const struct mg_subscriber *key, struct mg_rate *rate,
					 __u64 was, __u64 interval_ns, __u64 now_ns)
{
	__u64 from = was > now_ns ? was : now_ns;

	return __sync_val_compare_and_swap(&rate->due_ns, was, from + interval_ns) == was &&
	       bpf_map_lookup_elem(&mg_rates, key) == rate;
}

/* 0, MG_REFUSAL_OVER_RATE, or -EAGAIN */
__noinline int mg_rate_take_once(const struct mg_subscriber *subscriber, __u64 interval_ns,
				 __u64 burst_ns)
{
	__u64 now_ns = bpf_ktime_get_ns(), was;
	struct mg_subscriber key;
	struct mg_rate *rate, fresh = { .due_ns = now_ns + interval_ns };

	if (!subscriber)
		return MG_E_INVAL;
	mg_ip_copy16(key.ip, subscriber->ip);
	rate = bpf_map_lookup_elem(&mg_rates, &key);
	if (!rate)
		return bpf_map_update_elem(&mg_rates, &key, &fresh, BPF_NOEXIST) ? MG_E_AGAIN : 0;
	was = *(volatile __u64 *)&rate->due_ns;
	if (mg_rate_wait(burst_ns, was, now_ns))
		return MG_REFUSAL_OVER_RATE;
	return mg_rate_step(&key, rate, was, interval_ns, now_ns) ? 0 : MG_E_AGAIN;
}

static __always_inline int mg_rate_take(const struct mg_subscriber *subscriber,
					const struct mg_terms *terms)
{
	if (!terms || !terms->interval_ns)
		return 0;
	return MG_TRY(mg_rate_take_once(subscriber, terms->interval_ns, terms->burst_ns));
}

/* 1 for the first `per_s` of this second, else 0; -EAGAIN */
__noinline int mg_rate_answered_once(const struct mg_subscriber *subscriber, __u32 per_s)
{
	__u64 second = bpf_ktime_get_ns() / MG_RATE_NS_PER_S << 32, was, is;
	struct mg_rate *rate, fresh = { .answers = second | 1 };
	struct mg_subscriber key;

	if (!subscriber || !per_s)
		return 0;
	mg_ip_copy16(key.ip, subscriber->ip);
	rate = bpf_map_lookup_elem(&mg_rates, &key);
	if (!rate)
		return bpf_map_update_elem(&mg_rates, &key, &fresh, BPF_NOEXIST) ? MG_E_AGAIN : 1;
	was = *(volatile __u64 *)&rate->answers;
	is = was >> 32 == second >> 32 ? was + 1 : second | 1;
	if ((__u32)is > per_s)
		return 0;
	return __sync_val_compare_and_swap(&rate->answers, was, is) == was ? 1 : MG_E_AGAIN;
}

#endif
