/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * May it come in? What XDP and TC ask about who mg_who_is() found: they look, and charge joins;
 * sessions are charged by the daemon's programs, which ask the same.
 */
#ifndef MG_BPF_ADMIT_H
#define MG_BPF_ADMIT_H

#include "policy.bpf.h"
#include "accounts.bpf.h"
#include "rates.bpf.h"
#include "refusals.bpf.h"
#include "subflows.bpf.h"

static __always_inline bool mg_is_over(__u32 has, __u32 limit)
{
	return limit && has >= limit;
}

/* What concerns neither the subscriber nor its policy. What is held for it is no longer in need of
 * a place. */
static __always_inline int mg_look_around(const struct mg_who *who, bool held)
{
	struct mg_service_limits limits = mg_service_limits_of(who->set, who->service);
	const struct mg_proxy_count *proxy = mg_proxy_counted();
	struct mg_service_subscriber key = { .service = who->service };
	__u32 service = who->service;
	const __u32 *count;

	if (!held && proxy && mg_is_over(proxy->sessions, proxy->limit))
		return MG_REFUSAL_OVER_PROXY;
	count = limits.sessions ? bpf_map_lookup_elem(&mg_svc_count, &service) : NULL;
	if (count && mg_is_over(*count, limits.sessions))
		return MG_REFUSAL_OVER_SERVICE;
	if (!limits.sessions_per_subscriber)
		return MG_ADMITTED;
	mg_ip_copy16(key.subscriber.ip, who->subscriber.ip);
	return mg_is_over(mg_service_subscriber_sessions(&key), limits.sessions_per_subscriber)
		       ? MG_REFUSAL_OVER_SERVICE_SUBSCRIBER
		       : MG_ADMITTED;
}

/*
 * One session more, at this moment: enum mg_refusal; nothing is charged or counted. flags:
 * MG_ADMIT_COOKIE. A function of its own to the verifier.
 */
__noinline int mg_admit_look(const struct mg_who *who, __u32 flags)
{
	const struct mg_terms *terms;
	struct mg_subscriber key;
	__u64 counts;
	__u32 held;
	int ret;

	if (!who || !who->active)
		return MG_ADMITTED;
	if (who->trust == MG_TRUST_THIRD_PARTY && !(flags & MG_ADMIT_COOKIE))
		return MG_REFUSAL_NO_COOKIE;
	terms = mg_terms_of(who);
	if (!terms)
		return MG_ADMITTED;
	if (terms->deny)
		return MG_REFUSAL_DENIED;
	mg_ip_copy16(key.ip, who->subscriber.ip);
	counts = mg_account_counts(&key);
	held = mg_counts_reserved(counts);
	ret = mg_look_around(who, held);
	if (ret)
		return ret;
	if (mg_is_over(mg_counts_sessions(counts) - held, terms->sessions))
		return MG_REFUSAL_OVER_SESSIONS;
	if (mg_is_over(mg_counts_subflows(counts), terms->subflows))
		return MG_REFUSAL_OVER_SUBFLOWS;
	return mg_rate_look(&key, terms, bpf_ktime_get_ns()) ? MG_REFUSAL_OVER_RATE : MG_ADMITTED;
}

/*
 * A join's SYN, server being our end: charges it, and once only if it is repeated. MG_ADMITTED;
 * enum mg_refusal. Where its session is known, who->refuse_join and who->subscriber are that one's
 * afterwards; -ENOENT: no session of this
 * host has the token; other -errno: it cannot be said now, the client asks again. A function of its
 * own to the verifier; none of the pointers may be NULL.
 */
__noinline int mg_admit_join(struct mg_who *who, const struct mg_tuple *tuple, __u32 token,
			     __u32 ifindex)
{
	struct mg_joinable j = {};
	const struct mg_terms *terms;
	int ret;

	if (!who || !tuple)
		return MG_E_INVAL;
	terms = mg_terms_of(who);
	ret = mg_session_find(&j, token);
	if (!ret) {
		who->refuse_join = j.refuse_join;
		mg_ip_copy16(who->subscriber.ip, j.subscriber.ip);
	}
	if (terms && terms->deny)
		return MG_REFUSAL_DENIED;
	if (ret)
		return ret;
	ret = mg_subflow_charge(tuple, &j, ifindex, 0);
	if (ret == MG_SUBFLOW_ALREADY)
		return MG_ADMITTED;
	if (!ret)
		mg_admit_count(MG_ADMITTED);
	return ret;
}

/* Is there room this second for one more of this subscriber's to reach the daemon and hear why it
 * is refused? Then it is counted there, not here. */
__noinline int mg_admit_answered(const struct mg_who *who)
{
	const struct mg_policy_set *set;
	struct mg_subscriber key;
	__u32 at;

	if (!who || !who->active)
		return 0;
	at = who->set;
	set = bpf_map_lookup_elem(&mg_policy_set, &at);
	if (!set)
		return 0;
	mg_ip_copy16(key.ip, who->subscriber.ip);
	return MG_TRY(mg_rate_answered_once(&key, set->answers_per_s)) > 0;
}

/* Counts a refusal that ends here. */
__noinline int mg_admit_refused(const struct mg_who *who, __u32 refusal)
{
	struct mg_subscriber key;

	if (!who)
		return 0;
	mg_admit_count(refusal);
	mg_ip_copy16(key.ip, who->subscriber.ip);
	mg_refused_count(&key, refusal);
	return 0;
}

#endif
