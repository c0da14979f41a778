// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doors for the daemon: what it charges for sessions and their subflows (struct mg_admit). The
 * rooms in walking order: feed, policy → admit (accounts, rates) → subflows; refusals counts. They
 * may run on all CPUs at once, and be interrupted anywhere.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "admit.bpf.h"
#include "cookies.bpf.h"
#include "pace.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_SESSIONS_MAX);
	__uint(map_flags, 1 /* BPF_F_NO_PREALLOC */);
	__type(key, __u32);
	__type(value, struct mg_charge);
} mg_tickets SEC(".maps");

/* ---- a session's charges --------------------------------------------------------------------- */

/* How much of its address the subscriber is, if that is what it is */
static __always_inline __u8 mg_key_bits_of(const struct mg_who *who)
{
	__u32 at = who->set;
	const struct mg_policy_set *set = bpf_map_lookup_elem(&mg_policy_set, &at);

	if (!set)
		return 0;
	return mg_ip_is_v4(who->subscriber.ip) ? set->key_bits[MG_FAMILY_V4]
					       : set->key_bits[MG_FAMILY_V6];
}

/* What a session is charged to, and what came of it */
struct mg_opening {
	struct mg_service_subscriber who;
	__u32 held; /* it was one of those held for its subscriber, and the proxy has its place */
	__u32 serial;
	__u32 policy;
	__u32 access;
};

static __always_inline int mg_charge_service(const struct mg_who *who,
					     const struct mg_service_subscriber *key)
{
	struct mg_service_limits limits;
	int ret;

	if (!key->service)
		return 0;
	limits = mg_service_limits_of(who->set, key->service);
	ret = mg_service_charge(key->service, limits.sessions);
	if (ret)
		return ret;
	ret = mg_service_subscriber_charge(key, limits.sessions_per_subscriber);
	if (ret)
		mg_service_release(key->service);
	return ret;
}

static __always_inline void mg_release_service(const struct mg_service_subscriber *key)
{
	if (!key->service)
		return;
	mg_service_subscriber_release(key);
	mg_service_release(key->service);
}

/* All places a session takes up, or none: 0, enum mg_refusal, -errno */
__noinline int mg_charge_places(const struct mg_who *who, struct mg_opening *o)
{
	struct mg_wish wish = { .sessions = 1, .subflows = 1, .how = MG_WISH_HELD };
	struct mg_service_subscriber key;
	const struct mg_terms *terms;
	int ret;

	if (!who || !o)
		return MG_E_INVAL;
	key = o->who;
	terms = mg_terms_of(who);
	wish.sessions_limit = terms ? terms->sessions : 0;
	wish.subflows_limit = terms ? terms->subflows : 0;
	if (mg_counts_reserved(mg_account_counts(&key.subscriber))) {
		ret = mg_account_charge(&key.subscriber, &wish);
		if (ret && ret != MG_E_NOENT)
			return ret;
		o->held = !ret;
	}
	ret = o->held ? 0 : mg_proxy_charge(1);
	if (ret)
		return ret;
	ret = mg_charge_service(who, &key);
	if (!ret && !o->held) {
		wish.how = MG_WISH_NEW;
		ret = mg_account_charge(&key.subscriber, &wish);
		if (ret)
			mg_release_service(&key);
	}
	if (ret && o->held)
		mg_account_hold_again(&key.subscriber);
	else if (ret)
		mg_proxy_release(1);
	return ret;
}

__noinline int mg_release_places(const struct mg_service_subscriber *who, __u32 subflows,
				 __u32 held)
{
	struct mg_service_subscriber key;

	if (!who)
		return 0;
	key = *who;
	mg_release_service(&key);
	if (held) {
		mg_account_hold_again(&key.subscriber);
		return 0;
	}
	mg_account_release(&key.subscriber, 1, subflows);
	mg_proxy_release(1);
	return 0;
}

__noinline int mg_ticket_make_once(struct mg_opening *o)
{
	struct mg_admit_state *state = mg_admit_stated();
	struct mg_charge charge = {};
	__u32 serial;
	long err;

	if (!o || !state)
		return MG_E_INVAL;
	serial = __sync_fetch_and_add(&state->serial, 1) + 1;
	if (!serial)
		return MG_E_AGAIN;
	charge.subscriber = o->who.subscriber;
	charge.service = o->who.service;
	charge.policy = o->policy;
	charge.access = o->access;
	err = bpf_map_update_elem(&mg_tickets, &serial, &charge, BPF_NOEXIST);
	if (err)
		return err == MG_E2BIG ? MG_E_NOSPC : MG_E_AGAIN;
	o->serial = serial;
	return 0;
}

/* The rate comes last: what it counts cannot be given back. */
__noinline int mg_charge_session(const struct mg_who *who, struct mg_opening *o)
{
	const struct mg_terms *terms;
	struct mg_subscriber key;
	int ret;

	if (!who || !o)
		return MG_E_INVAL;
	o->who.subscriber = who->subscriber;
	o->who.service = who->service;
	o->policy = who->policy;
	o->access = who->access;
	o->held = 0;
	ret = mg_charge_places(who, o);
	if (ret)
		return ret;
	ret = MG_TRY(mg_ticket_make_once(o));
	if (!ret) {
		__u32 serial = o->serial;

		ret = mg_rate_take(&o->who.subscriber, mg_terms_of(who));
		if (ret)
			bpf_map_delete_elem(&mg_tickets, &serial);
	}
	if (ret) {
		mg_release_places(&o->who, 1, o->held);
		return ret;
	}
	terms = mg_terms_of(who);
	key = o->who.subscriber;
	mg_account_note(&key, who->policy, terms, mg_key_bits_of(who));
	return 0;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static __always_inline void mg_ticket_of(struct mg_ticket *ticket, const struct mg_who *who)
{
	ticket->subscriber = who->subscriber;
	ticket->policy = who->policy;
	ticket->service = who->service;
	ticket->access = who->access;
	ticket->class = who->class;
	ticket->generation = who->generation;
	ticket->serial = 0;
	ticket->trust = who->trust;
	ticket->charged = 0;
	ticket->key_bits = mg_key_bits_of(who);
}

static __always_inline __u64 mg_wait_of(const struct mg_who *who)
{
	const struct mg_terms *terms = mg_terms_of(who);
	struct mg_subscriber key = who->subscriber;

	/* Meanwhile it may be on time. */
	return (terms ? mg_rate_look(&key, terms, bpf_ktime_get_ns()) : 0) ?: 1;
}

static __always_inline void mg_show_counts(struct mg_admit *r, const struct mg_who *who)
{
	struct mg_service_subscriber key = { .subscriber = who->subscriber,
					     .service = who->service };
	const struct mg_account_entry *e = bpf_map_lookup_elem(&mg_accounts, &key.subscriber);
	__u64 counts = mg_account_counts(&key.subscriber);
	const struct mg_proxy_count *proxy = mg_proxy_counted();
	const __u32 *count = bpf_map_lookup_elem(&mg_svc_count, &key.service);

	r->account.sessions = mg_counts_sessions(counts);
	r->account.subflows = mg_counts_subflows(counts);
	r->account.reserved = mg_counts_reserved(counts);
	r->account.sessions_limit = e ? e->sessions_limit : 0;
	r->account.subflows_limit = e ? e->subflows_limit : 0;
	r->account.policy = e ? e->policy : 0;
	r->service_sessions = count ? *count : 0;
	r->service_subscriber_sessions = mg_service_subscriber_sessions(&key);
	r->proxy_sessions = proxy ? proxy->sessions : 0;
}

SEC("syscall")
int mg_session_open(struct mg_admit *r)
{
	struct mg_endpoint client = r->client, server = r->server;
	bool dry = r->flags & MG_ADMIT_DRY;
	struct mg_opening opening = {};
	struct mg_who who = {};
	int ret;

	mg_who_is(&who, &client, &server, r->ifindex);
	mg_ticket_of(&r->ticket, &who);
	ret = mg_admit_look(&who, r->flags);
	if (!ret && !dry)
		ret = mg_charge_session(&who, &opening);
	r->wait_ns = ret == MG_REFUSAL_OVER_RATE ? mg_wait_of(&who) : 0;
	mg_show_counts(r, &who);
	if (dry)
		return ret;
	if (ret > 0)
		mg_admit_refused(&who, ret);
	if (ret)
		return ret;
	mg_admit_count(MG_ADMITTED);
	r->ticket.serial = opening.serial;
	r->ticket.charged = 1;
	return MG_ADMITTED;
}

SEC("syscall")
int mg_session_token(struct mg_admit *r)
{
	struct mg_join_wish wish = {
		.token = r->token, .serial = r->ticket.serial, .ifindex = r->ifindex, .confirmed = 1
	};
	struct mg_tuple tuple = { .client = r->client, .server = r->local };
	struct mg_session_account session = { .policy = r->ticket.policy };
	const struct mg_terms *terms;
	struct mg_charge *charge;
	__u32 set = 0;
	const __u32 *now;
	int ret;

	charge = bpf_map_lookup_elem(&mg_tickets, &wish.serial);
	if (!charge || charge->token || !wish.token)
		return MG_E_NOENT;
	now = bpf_map_lookup_elem(&mg_policy_now, &set);
	terms = now ? mg_terms_in(*now, session.policy) : NULL;
	session.subscriber = charge->subscriber;
	session.subflows_limit = terms ? terms->subflows_per_session : 0;
	session.subscriber_limit = terms ? terms->subflows : 0;
	session.refuse_join = terms ? terms->refuse_join : MG_REFUSE_DROP;
	ret = mg_session_begin(wish.token, &session, wish.serial);
	if (ret)
		return ret;
	charge->token = wish.token;
	/* Without an entry of its own it is released with the session. */
	mg_subflow_put(&tuple, &wish);
	return 0;
}

SEC("syscall")
int mg_session_close(struct mg_admit *r)
{
	struct mg_service_subscriber who = {};
	__u32 serial = r->ticket.serial, token;
	const struct mg_charge *charge;
	int subflows = 0;

	charge = r->ticket.charged ? bpf_map_lookup_elem(&mg_tickets, &serial) : NULL;
	if (!charge) {
		r->ticket.charged = 0;
		return 0;
	}
	who.subscriber = charge->subscriber;
	who.service = charge->service;
	token = charge->token;
	/* Who shuts the session releases its subflows, who deletes the ticket all else. */
	if (token)
		subflows = mg_session_shut(token, serial);
	if (subflows < 0)
		return subflows;
	if (subflows)
		mg_account_release(&who.subscriber, 0, subflows);
	r->ticket.charged = 0;
	if (!bpf_map_delete_elem(&mg_tickets, &serial))
		mg_release_places(&who, token ? 0 : 1, 0);
	return 0;
}

SEC("syscall")
int mg_reserve(struct mg_admit *r)
{
	struct mg_wish wish = { .how = MG_WISH_RESERVE };
	struct mg_subscriber key = r->ticket.subscriber;
	const struct mg_terms *terms;
	__s32 n = r->n;
	__u32 set = 0;
	const __u32 *now;
	int ret;

	if (!n || n > (int)MG_COUNTS_MASK || n < -(int)MG_COUNTS_MASK)
		return MG_E_INVAL;
	if (n < 0) {
		ret = mg_account_unreserve(&key, -n);
		r->n = ret > 0 ? ret : 0;
		if (ret > 0)
			mg_proxy_release(ret);
		return ret > 0 ? 0 : ret;
	}
	now = bpf_map_lookup_elem(&mg_policy_now, &set);
	terms = now ? mg_terms_in(*now, r->ticket.policy) : NULL;
	wish.sessions = n;
	wish.sessions_limit = terms ? terms->sessions : 0;
	ret = mg_proxy_charge(n);
	if (ret)
		return ret;
	ret = mg_account_charge(&key, &wish);
	if (ret)
		mg_proxy_release(n);
	return ret;
}

/* ---- subflows -------------------------------------------------------------------------------- */

SEC("syscall")
int mg_subflow_join(struct mg_admit *r)
{
	struct mg_tuple tuple = { .client = r->client, .server = r->local };
	struct mg_joinable j = {};
	int ret;

	ret = mg_session_find(&j, r->token);
	if (ret)
		return ret;
	ret = mg_subflow_charge(&tuple, &j, r->ifindex, 1);
	if (ret == MG_SUBFLOW_ALREADY)
		return MG_ADMITTED;
	if (ret >= 0)
		mg_admit_count(ret);
	if (ret > 0)
		mg_refused_count(&j.subscriber, ret);
	return ret;
}

SEC("syscall")
int mg_subflow_part(struct mg_admit *r)
{
	struct mg_tuple tuple = { .client = r->client, .server = r->local };

	return MG_TRY(mg_subflow_end_once(&tuple, 0));
}

struct mg_sweeping {
	__u64 now_ns;
	__u32 n;
};

static long mg_sweep_subflow(void *map, const struct mg_tuple *key, struct mg_subflow *e,
			     struct mg_sweeping *s)
{
	__u64 word = *(volatile __u64 *)mg_subflow_word(e);
	struct mg_tuple tuple;

	(void)map;
	if (!word || !mg_subflow_is_left(e, word, s->now_ns))
		return 0;
	tuple = *key;
	if (!mg_subflow_end_once(&tuple, s->now_ns))
		s->n++;
	return 0;
}

static long mg_sweep_account(void *map, const struct mg_subscriber *key, __u64 *counts,
			     void *unused)
{
	struct mg_subscriber subscriber = *key;

	(void)map;
	(void)unused;
	if (!*(volatile __u64 *)counts)
		mg_counts_reap(&mg_accounts, &subscriber, counts);
	return 0;
}

static long mg_sweep_service(void *map, const struct mg_service_subscriber *key, __u64 *counts,
			     void *unused)
{
	struct mg_service_subscriber who = *key;

	(void)map;
	(void)unused;
	if (!*(volatile __u64 *)counts)
		mg_counts_reap(&mg_svc_subs, &who, counts);
	return 0;
}

SEC("syscall")
int mg_sweep(struct mg_admit *r)
{
	struct mg_sweeping s = { .now_ns = bpf_ktime_get_ns() };
	struct mg_admit_state *state = mg_admit_stated();

	if (!state)
		return MG_E_INVAL;
	if (*(volatile __u32 *)&state->subflows)
		bpf_for_each_map_elem(&mg_subflows, mg_sweep_subflow, &s, 0);
	r->n = s.n;
	if (!__sync_lock_test_and_set(&state->orphans, 0))
		return 0;
	bpf_for_each_map_elem(&mg_accounts, mg_sweep_account, NULL, 0);
	bpf_for_each_map_elem(&mg_svc_subs, mg_sweep_service, NULL, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
