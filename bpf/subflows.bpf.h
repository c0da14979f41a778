/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sessions that can be joined, map mg_sessions, and what was charged for their subflows, map
 * mg_subflows.
 *
 * A session's count and its serial are one word, so a change never meets another session's entry.
 * What a subflow's entry says, token and serial, is one word too: whoever exchanges it for 0 has
 * the entry to itself, and owes what it stood for, unless the session was closed before, which
 * releases all that it counts.
 */
#ifndef MG_BPF_SUBFLOWS_H
#define MG_BPF_SUBFLOWS_H

#include "accounts.bpf.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the first of two fields is the low half");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_SESSIONS_MAX);
	__uint(map_flags, 1 /* BPF_F_NO_PREALLOC */);
	__type(key, __u32);
	__type(value, struct mg_session_account);
} mg_sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_SUBFLOWS_MAX);
	__uint(map_flags, 1 /* BPF_F_NO_PREALLOC */);
	__type(key, struct mg_tuple);
	__type(value, struct mg_subflow);
} mg_subflows SEC(".maps");

static __always_inline __u64 *mg_session_word(struct mg_session_account *s)
{
	return (__u64 *)&s->subflows;
}

static __always_inline __u64 *mg_subflow_word(struct mg_subflow *e)
{
	return (__u64 *)&e->token;
}

static __always_inline __u64 mg_word_of(__u32 low, __u32 serial)
{
	return (__u64)serial << 32 | low;
}

static __always_inline bool mg_session_is_live(__u64 word, __u32 serial)
{
	return word >> 32 == serial && !(word & MG_SUBFLOWS_CLOSED);
}

/* ---- a session's count ----------------------------------------------------------------------- */

/* A session that can be joined, as it was found; its subscriber and limits stay */
struct mg_joinable {
	struct mg_subscriber subscriber;
	__u32 token;
	__u32 serial;
	__u32 subflows_limit;
	__u32 subscriber_limit;
	__u32 refuse_join;
};

/* The limits are those that the policy has now. */
static __always_inline int mg_session_find(struct mg_joinable *j, __u32 token)
{
	struct mg_session_account *s = bpf_map_lookup_elem(&mg_sessions, &token);
	const struct mg_terms *terms;
	const __u32 *now;
	__u32 zero = 0;
	__u64 word;

	if (!s)
		return MG_E_NOENT;
	word = *(volatile __u64 *)mg_session_word(s);
	if (word & MG_SUBFLOWS_CLOSED)
		return MG_E_NOENT;
	now = bpf_map_lookup_elem(&mg_policy_now, &zero);
	terms = now ? mg_terms_in(*now, s->policy) : NULL;
	j->subscriber = s->subscriber;
	j->token = token;
	j->serial = word >> 32;
	j->subflows_limit = terms ? terms->subflows_per_session : s->subflows_limit;
	j->subscriber_limit = terms ? terms->subflows : s->subscriber_limit;
	j->refuse_join = terms ? terms->refuse_join : s->refuse_join;
	return 0;
}

/* What a subflow is in a session's count */
static __always_inline __u32 mg_subflow_weight(__u32 confirmed)
{
	return confirmed ? 1 : 1 + MG_SUBFLOWS_WAITING;
}

static __always_inline __u32 mg_subflows_waiting(__u64 word)
{
	return ((__u32)word & ~MG_SUBFLOWS_CLOSED) / MG_SUBFLOWS_WAITING;
}

__noinline int mg_session_count_once(__u32 token, __u32 serial, __u32 limit, __u32 confirmed)
{
	struct mg_session_account *s = bpf_map_lookup_elem(&mg_sessions, &token);
	__u64 was, is;

	if (!s)
		return MG_E_NOENT;
	was = *(volatile __u64 *)mg_session_word(s);
	if (!mg_session_is_live(was, serial))
		return MG_E_NOENT;
	if ((limit && (was & MG_SUBFLOWS_MASK) >= limit) ||
	    (!confirmed && mg_subflows_waiting(was) >= MG_SUBFLOWS_WAITING_MAX))
		return MG_REFUSAL_OVER_SESSION_SUBFLOWS;
	is = was + mg_subflow_weight(confirmed);
	if (__sync_val_compare_and_swap(mg_session_word(s), was, is) != was)
		return MG_E_AGAIN;
	return 0;
}

/* less: mg_subflow_weight() of one that is no more, or MG_SUBFLOWS_WAITING of one that waits no
 * more */
__noinline int mg_session_uncount_once(__u32 token, __u32 serial, __u32 less)
{
	struct mg_session_account *s = bpf_map_lookup_elem(&mg_sessions, &token);
	struct mg_subscriber subscriber;
	__u64 was;

	if (!s)
		return 0;
	was = *(volatile __u64 *)mg_session_word(s);
	if (!mg_session_is_live(was, serial))
		return 0;
	subscriber = s->subscriber;
	if (__sync_val_compare_and_swap(mg_session_word(s), was, was - less) != was)
		return MG_E_AGAIN;
	if (less & MG_SUBFLOWS_MASK)
		mg_account_release(&subscriber, 0, 1);
	return 0;
}

/* What an entry of mg_subflows stood for is released, if its session has not been. */
static __always_inline int mg_session_uncount(__u32 token, __u32 serial, __u32 less)
{
	return MG_TRY(mg_session_uncount_once(token, serial, less));
}

__noinline int mg_session_shut_once(__u32 token, __u32 serial)
{
	struct mg_session_account *s = bpf_map_lookup_elem(&mg_sessions, &token);
	__u64 was;

	if (!s)
		return 0;
	was = *(volatile __u64 *)mg_session_word(s);
	if (!mg_session_is_live(was, serial))
		return 0;
	if (__sync_val_compare_and_swap(mg_session_word(s), was, was | MG_SUBFLOWS_CLOSED) != was)
		return MG_E_AGAIN;
	bpf_map_delete_elem(&mg_sessions, &token);
	return was & MG_SUBFLOWS_MASK;
}

/* Ends a session's entry: how many subflows it had, which are the caller's to release. */
static __always_inline int mg_session_shut(__u32 token, __u32 serial)
{
	return MG_TRY(mg_session_shut_once(token, serial));
}

/* With one subflow, which is charged; 0 or -errno. The entry of an old session with this token
 * goes. */
static __always_inline int mg_session_begin(__u32 token, struct mg_session_account *session,
					    __u32 serial)
{
	struct mg_session_account *s;
	struct mg_subscriber old;
	__u64 was;
	long err;
	int n;

	session->subflows = MG_SUBFLOWS_CLOSED;
	session->serial = serial;
	s = bpf_map_lookup_elem(&mg_sessions, &token);
	if (s) {
		was = *(volatile __u64 *)mg_session_word(s);
		old = s->subscriber;
		n = was & MG_SUBFLOWS_CLOSED ? 0 : mg_session_shut(token, was >> 32);
		if (n > 0)
			mg_account_release(&old, 0, n);
		else
			bpf_map_delete_elem(&mg_sessions, &token);
	}
	err = bpf_map_update_elem(&mg_sessions, &token, session, BPF_NOEXIST);
	if (err)
		return err == MG_E2BIG ? MG_E_NOSPC : MG_E_AGAIN;
	s = bpf_map_lookup_elem(&mg_sessions, &token);
	if (!s)
		return MG_E_AGAIN;
	__sync_lock_test_and_set(mg_session_word(s), mg_word_of(1, serial));
	return 0;
}

/* ---- the entry of a subflow ------------------------------------------------------------------ */

/* What an entry is to say */
struct mg_join_wish {
	__u32 token;
	__u32 serial;
	__u32 ifindex;
	__u32 confirmed;
};

#define MG_SUBFLOW_ALREADY 0x100 /* no enum mg_refusal */

/* Locks the entry, which said `word`: true for one. It is the tuple's then for sure. */
static __always_inline bool mg_subflow_lock(const struct mg_tuple *tuple, struct mg_subflow *e,
					    __u64 word)
{
	if (__sync_val_compare_and_swap(mg_subflow_word(e), word, 0) != word)
		return false;
	if (bpf_map_lookup_elem(&mg_subflows, tuple) == e)
		return true;
	__sync_lock_test_and_set(mg_subflow_word(e), word);
	return false;
}

/*
 * The tuple's entry e, which said `word`, is the one that is wished for: it is confirmed, or waits
 * for that from now on. Only who has locked it says whether it is confirmed, so a session has one
 * less that waits once. MG_SUBFLOW_ALREADY, -EAGAIN.
 */
static __always_inline int mg_subflow_meet(const struct mg_tuple *tuple, struct mg_subflow *e,
					   __u64 word, const struct mg_join_wish *wish)
{
	bool waited;

	if (!wish->confirmed) {
		e->since_ns = bpf_ktime_get_ns();
		return MG_SUBFLOW_ALREADY;
	}
	if (!mg_subflow_lock(tuple, e, word))
		return MG_E_AGAIN;
	waited = !e->confirmed;
	e->confirmed = 1;
	__sync_lock_test_and_set(mg_subflow_word(e), word);
	if (waited)
		mg_session_uncount(wish->token, wish->serial, MG_SUBFLOWS_WAITING);
	return MG_SUBFLOW_ALREADY;
}

/* Is this subflow charged already? MG_SUBFLOW_ALREADY; 0: no; -EAGAIN */
__noinline int mg_subflow_known_once(const struct mg_tuple *tuple, const struct mg_join_wish *wish)
{
	struct mg_subflow *e;
	struct mg_tuple key;
	__u64 word, was;

	if (!tuple || !wish)
		return MG_E_INVAL;
	key = *tuple;
	word = mg_word_of(wish->token, wish->serial);
	e = bpf_map_lookup_elem(&mg_subflows, &key);
	was = e ? *(volatile __u64 *)mg_subflow_word(e) : 0;
	if (e && !was)
		return MG_E_AGAIN;
	return e && was == word ? mg_subflow_meet(&key, e, word, wish) : 0;
}

/* One entry more, or less: while there are none, nothing is swept. */
static __always_inline void mg_subflow_entries(__u32 n)
{
	struct mg_admit_state *state = mg_admit_stated();

	if (state)
		__sync_fetch_and_add(&state->subflows, n);
}

static __always_inline void mg_subflow_fill(struct mg_subflow *e, const struct mg_join_wish *wish)
{
	e->since_ns = bpf_ktime_get_ns();
	e->ifindex = wish->ifindex;
	e->confirmed = wish->confirmed;
}

/* Of a subflow that is counted; what the entry stood for before is released. */
__noinline int mg_subflow_put_once(const struct mg_tuple *tuple, const struct mg_join_wish *wish)
{
	struct mg_subflow *e, fresh = {};
	struct mg_tuple key;
	__u64 word, was;
	__u32 less;
	long err;

	if (!tuple || !wish)
		return MG_E_INVAL;
	key = *tuple;
	word = mg_word_of(wish->token, wish->serial);
	e = bpf_map_lookup_elem(&mg_subflows, &key);
	if (e) {
		was = *(volatile __u64 *)mg_subflow_word(e);
		if (was == word)
			return mg_subflow_meet(&key, e, word, wish);
		if (!was || !mg_subflow_lock(&key, e, was))
			return MG_E_AGAIN;
		less = mg_subflow_weight(e->confirmed);
		mg_subflow_fill(e, wish);
		__sync_lock_test_and_set(mg_subflow_word(e), word);
		mg_session_uncount((__u32)was, was >> 32, less);
		return 0;
	}
	mg_subflow_fill(&fresh, wish);
	err = bpf_map_update_elem(&mg_subflows, &key, &fresh, BPF_NOEXIST);
	if (err)
		return err == MG_E2BIG ? MG_E_NOSPC : MG_E_AGAIN;
	mg_subflow_entries(1);
	e = bpf_map_lookup_elem(&mg_subflows, &key);
	if (!e)
		return MG_E_AGAIN;
	__sync_lock_test_and_set(mg_subflow_word(e), word);
	return 0;
}

/* 0, MG_SUBFLOW_ALREADY, -errno */
static __always_inline int mg_subflow_put(const struct mg_tuple *tuple,
					  const struct mg_join_wish *wish)
{
	return MG_TRY(mg_subflow_put_once(tuple, wish));
}

/* Is it one that nobody is going to take away by himself? */
static __always_inline bool mg_subflow_is_left(const struct mg_subflow *e, __u64 word, __u64 now_ns)
{
	__u32 token = (__u32)word;
	struct mg_session_account *s = bpf_map_lookup_elem(&mg_sessions, &token);

	if (!s || *(volatile __u64 *)mg_session_word(s) >> 32 != word >> 32)
		return true;
	return !*(volatile const __u8 *)&e->confirmed &&
	       now_ns - e->since_ns > MG_SUBFLOW_WAIT_NS && now_ns > e->since_ns;
}

/* Takes an entry away, with what it stands for: if it is left at now_ns, or in any case if that is
 * 0. 0, -ENOENT, -EAGAIN. */
__noinline int mg_subflow_end_once(const struct mg_tuple *tuple, __u64 now_ns)
{
	struct mg_subflow *e;
	struct mg_tuple key;
	__u64 word;
	__u32 less;

	if (!tuple)
		return MG_E_INVAL;
	key = *tuple;
	e = bpf_map_lookup_elem(&mg_subflows, &key);
	if (!e)
		return MG_E_NOENT;
	word = *(volatile __u64 *)mg_subflow_word(e);
	if (!word || !mg_subflow_lock(&key, e, word))
		return MG_E_AGAIN;
	less = mg_subflow_weight(e->confirmed);
	if ((now_ns && !mg_subflow_is_left(e, word, now_ns)) ||
	    bpf_map_delete_elem(&mg_subflows, &key)) {
		__sync_lock_test_and_set(mg_subflow_word(e), word);
		return now_ns ? MG_E_NOENT : MG_E_AGAIN;
	}
	mg_subflow_entries(-1);
	return mg_session_uncount((__u32)word, word >> 32, less);
}

/* ---- joins ----------------------------------------------------------------------------------- */

/*
 * A subflow of a session that mg_session_find() found: charged once, however often it is asked for.
 * 0, MG_SUBFLOW_ALREADY, enum mg_refusal or -errno.
 */
__noinline int mg_subflow_charge(const struct mg_tuple *tuple, const struct mg_joinable *joinable,
				 __u32 ifindex, __u32 confirmed)
{
	struct mg_wish account = { .subflows = 1, .how = MG_WISH_JOIN };
	struct mg_join_wish wish = { .ifindex = ifindex, .confirmed = confirmed };
	struct mg_joinable j;
	struct mg_tuple key;
	int ret;

	if (!tuple || !joinable)
		return MG_E_INVAL;
	key = *tuple;
	j = *joinable;
	wish.token = j.token;
	wish.serial = j.serial;
	ret = MG_TRY(mg_subflow_known_once(&key, &wish));
	if (ret)
		return ret;
	account.subflows_limit = j.subscriber_limit;
	ret = mg_account_charge(&j.subscriber, &account);
	if (ret)
		return ret;
	ret = MG_TRY(mg_session_count_once(j.token, j.serial, j.subflows_limit, confirmed));
	if (ret) {
		mg_account_release(&j.subscriber, 0, 1);
		return ret;
	}
	ret = mg_subflow_put(&key, &wish);
	if (ret)
		mg_session_uncount(j.token, j.serial, mg_subflow_weight(confirmed));
	return ret;
}

#endif
