/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Policy and admission (maps and programs of bpf/policy.bpf.c, shared with all other objects): who
 * a packet is from, which policy holds for it, and whether one more session or subflow is let in.
 *
 * Policy. Three numbers, of the client's class, of the service and of the access network, select
 * one policy: a cell of a table. The tables that give them exist twice, as set 0 and set 1; a
 * packet reads mg_policy_now once and keeps to that set, so it sees the old policies or the new
 * ones and never a mixture. Classes, services, access networks and policies have numbers, 1 and up,
 * that stay theirs while the daemon lives, whatever is reloaded; 0 is "none of those named".
 *
 * Admission. The one place that charges is a program that the daemon runs for each session; XDP and
 * TC only look, and refuse what would be refused, but for subflows, which they charge themselves,
 * as the kernel asks nobody before it lets one in. What was charged is released once: by whoever
 * removes its entry.
 */
#ifndef MG_ABI_POLICY_H
#define MG_ABI_POLICY_H

#include "abi/abi.h"
#include "abi/hold.h"
#include "abi/maps.h"
#include "abi/verdict.h"

#define MG_SETS		    2
#define MG_PREFIXES_MAX	    2097152
#define MG_POLICY_CELLS_MAX 1048576 /* classes * services * access networks, each with its 0 */
#define MG_POLICIES_MAX	    4096
#define MG_CLASSES_MAX	    4096 /* of subscribers */
#define MG_SERVICES_MAX	    1024
#define MG_ACCESS_MAX	    64
#define MG_PORT_RANGES_MAX  65536 /* of all prefixes of services together */
#define MG_FEED_MAX	    1048576
#define MG_ACCOUNTS_MAX	    1048576
#define MG_RATES_MAX	    1048576
#define MG_SUBFLOWS_MAX	    1048576
#define MG_SESSIONS_MAX	    1048576
#define MG_REFUSED_MAX	    65536
#define MG_SEEN_AT_MAX	    262144

/* ---- which policy ---------------------------------------------------------------------------- */

/* mg_prefixes[set]: hash, struct mg_prefix_key -> struct mg_prefix. Addresses are IPv4-mapped or
 * IPv6, masked to `bits` of the 128; of several prefixes the longest counts. */
enum mg_table { MG_TABLE_CLASS, MG_TABLE_SERVICE, MG_TABLE_ACCESS, MG_TABLE_COUNT };
struct mg_prefix_key {
	__u8 table; /* enum mg_table */
	__u8 bits;
	__u8 pad[2];
	__u8 ip[16];
};
MG_ABI_SIZE(struct mg_prefix_key, 20);
struct mg_prefix_value {
	__u32 number; /* class or access network; of a service: its first entry of mg_ranges */
	__u32 n;      /* of a service: how many there are */
};
MG_ABI_SIZE(struct mg_prefix_value, 8);

/* mg_ranges[set]: array. What a prefix of services says about ports: ranges that do not overlap, in
 * order. Those of shorter prefixes around it are merged in, so one look-up finds the service. */
struct mg_port_range {
	__u16 first, last;
	__u32 service;
};
MG_ABI_SIZE(struct mg_port_range, 8);

/* The prefix lengths in use in a table for a family, longest first: each is one look-up. */
#define MG_LENGTHS_MAX 39
struct mg_lengths {
	__u8 n;
	__u8 bits[MG_LENGTHS_MAX];
};
MG_ABI_SIZE(struct mg_lengths, 40);
enum mg_family { MG_FAMILY_V4, MG_FAMILY_V6, MG_FAMILY_COUNT };

/* X(SYMBOL, label, "doc") */
#define MG_TRUSTS(X)                                                                    \
	X(TRUSTED, trusted, "the operator's own access: its sources are what they say") \
	X(THIRD_PARTY, third_party, "somebody else's: sessions need a cookie, joins a known token")
enum mg_trust {
#define X(sym, label, doc) MG_TRUST_##sym,
	MG_TRUSTS(X)
#undef X
		MG_TRUST_COUNT
};

struct mg_access_network {
	__u8 used;
	__u8 trust;	   /* enum mg_trust */
	__u8 drop_transit; /* 1: MPTCP sessions from here to others than us are dropped */
	__u8 pad;
};
MG_ABI_SIZE(struct mg_access_network, 4);

/* What an interface says: an entry of a set. Prefixes, and more so the feed, go before it; but if
 * it is a third party's, all that comes in there is no more trusted than that. */
#define MG_ACCESS_INTERFACES_MAX 64
struct mg_access_interface {
	__u32 ifindex;
	__u32 access;
};
MG_ABI_SIZE(struct mg_access_interface, 8);

/* mg_policy_set: array of MG_SETS */
struct mg_policy_set {
	__u32 generation;
	__u32 active; /* 0: there are no policies, and nothing to look up */
	/* Of mg_cells; the cell of class c, service s, access network a (a number that is not below
	 * its bound counts as 0): (c * n_services + s) * n_access + a */
	__u32 n_classes, n_services, n_access;
	__u32 n_interfaces;
	__u8 key_bits[MG_FAMILY_COUNT]; /* of the 128, of a subscriber's address: 128 and 64 */
	__u8 steers;			/* 1: some policy has a group, so joins may be steered */
	__u8 pad;
	/* Of those refused, so many a second and subscriber reach the daemon, for their Error TLV
	 */
	__u32 answers_per_s;
	struct mg_lengths lengths[MG_TABLE_COUNT][MG_FAMILY_COUNT];
	struct mg_access_network access[MG_ACCESS_MAX];
	struct mg_access_interface interfaces[MG_ACCESS_INTERFACES_MAX];
};
MG_ABI_SIZE(struct mg_policy_set, 32 + 240 + 256 + 512);
MG_ABI_OFFSET(struct mg_policy_set, key_bits, 24);
MG_ABI_OFFSET(struct mg_policy_set, lengths, 32);

/* mg_policy_now: array, one entry: __u32, the set in force */
/* mg_cells[set]: array, cell -> __u32, the policy; 0 is the default policy */

/* What becomes of an intercepted SYN that is refused */
#define MG_REFUSES(X)                                        \
	X(PASS, pass, "it goes on to its server, untouched") \
	X(RESET, reset, "it is answered with a RST")         \
	X(DROP, drop, "it is dropped")
enum mg_refuse {
#define X(sym, label, doc) MG_REFUSE_##sym,
	MG_REFUSES(X)
#undef X
		MG_REFUSE_COUNT
};

/* mg_terms[set]: array, policy -> */
#define MG_TERMS_MODE_DEFAULT 0xff
#define MG_TERMS_NAME	      24
struct mg_terms {
	__u8 used;
	__u8 deny;
	__u8 mode;	  /* enum mg_mode; MG_TERMS_MODE_DEFAULT: what mg_intercept says */
	__u8 refuse;	  /* enum mg_refuse, of intercepted SYNs */
	__u8 refuse_join; /* enum mg_refuse, RESET or DROP */
	__u8 pad[3];
	__u32 group; /* of mg_groups, for new sessions; 0: as without a policy */
	/* Limits; 0: there is none. The first four of a subscriber, over all its sessions and
	 * whatever policy those came by: what counts is the policy of the one that comes next. */
	__u32 sessions;
	__u32 subflows;
	__u32 held;
	__u32 subflows_per_session;
	__u32 pad2;
	/* New sessions: the rate as the time between two, and how far ahead a burst may run. */
	__u64 interval_ns;
	__u64 burst_ns;		  /* (burst - 1) * interval_ns */
	char name[MG_TERMS_NAME]; /* cut short; for whoever reads the map */
};
MG_ABI_SIZE(struct mg_terms, 72);
MG_ABI_OFFSET(struct mg_terms, group, 8);
MG_ABI_OFFSET(struct mg_terms, interval_ns, 32);

/* mg_svc_limits[set]: array, service -> */
struct mg_service_limits {
	__u32 sessions;		       /* 0: no limit */
	__u32 sessions_per_subscriber; /* 0: no limit */
};
MG_ABI_SIZE(struct mg_service_limits, 8);

/* ---- who it is ------------------------------------------------------------------------------- */

/* mg_feed: hash, struct mg_prefix_key (table MG_TABLE_ACCESS) -> what came in by command or by
 * RADIUS; changed in place. mg_feed_lengths: array, one entry: struct mg_lengths[MG_FAMILY_COUNT].
 */
struct mg_feed_entry {
	__u64 expires_ns; /* bpf_ktime_get_ns(); 0: never */
	__u64 identity;	  /* of the subscriber; 0: its address */
	__u32 access;	  /* 0: as without this entry */
	__u32 class;	  /* by identity; 0: by address */
};
MG_ABI_SIZE(struct mg_feed_entry, 24);
struct mg_feed_lengths {
	struct mg_lengths family[MG_FAMILY_COUNT];
};
MG_ABI_SIZE(struct mg_feed_lengths, 80);

/* mg_seen_at: LRU hash, client address (16 bytes) -> __u32, the access network, where only the
 * interface told it: written for what was let in */

/* Who is counted, struct mg_subscriber: the client's address masked to key_bits, or, for an
 * identity, these eight bytes, which begin no unicast address, and the identity (big-endian). */
#define MG_SUBSCRIBER_IDENTITY 0xff6d706761746569ULL

/* ---- what is let in -------------------------------------------------------------------------- */

/* Why a session or subflow is refused: MG_REFUSALS of verdict.h; 0 is "admitted" */
enum mg_refusal {
	MG_ADMITTED,
#define X(sym, label, doc) MG_REFUSAL_##sym,
	MG_REFUSALS(X)
#undef X
		MG_REFUSAL_COUNT
};

/* mg_admit_stats, per CPU: both sides count here */
struct mg_admit_counters {
	__u64 admitted;
#define X(sym, label, doc) __u64 label;
	MG_REFUSALS(X)
#undef X
};
MG_ABI_SIZE(struct mg_admit_counters, 8 * MG_REFUSAL_COUNT);

/* mg_refused: LRU hash, struct mg_subscriber -> how often, by enum mg_refusal */
struct mg_refused {
	__u64 by[MG_REFUSAL_COUNT];
};
MG_ABI_SIZE(struct mg_refused, 8 * MG_REFUSAL_COUNT);

/*
 * mg_accounts: hash, struct mg_subscriber -> struct mg_account_entry, one that has sessions or
 * subflows. All that is counted is one word, changed by atomic operations alone: who has set
 * MG_COUNTS_LOCKED is making the entry or taking it away, and nobody else touches it meanwhile.
 */
#define MG_COUNTS_BITS	  21 /* of each; sessions are the lowest, then subflows, then reserved */
#define MG_COUNTS_MASK	  ((1ULL << MG_COUNTS_BITS) - 1)
#define MG_COUNTS_SESSION 1ULL
#define MG_COUNTS_SUBFLOW (1ULL << MG_COUNTS_BITS)
#define MG_COUNTS_RESERVE (1ULL << (2 * MG_COUNTS_BITS))
#define MG_COUNTS_LOCKED  (1ULL << (3 * MG_COUNTS_BITS))
struct mg_account_entry {
	__u64 counts;
	__u32 sessions_limit; /* as of the last one let in; 0: none */
	__u32 subflows_limit;
	__u32 policy;  /* of the last one let in */
	__u8 key_bits; /* so many of the 128 were its address then; 0: nobody was let in */
	__u8 pad[3];
};
MG_ABI_SIZE(struct mg_account_entry, 24);

/* The same, to be read */
struct mg_account {
	__u32 sessions; /* reserved ones among them */
	__u32 subflows;
	__u32 reserved;
	__u32 sessions_limit; /* as of the last one let in; 0: none */
	__u32 subflows_limit;
	__u32 policy; /* of the last one let in */
};
MG_ABI_SIZE(struct mg_account, 24);

/* mg_rates: LRU hash, struct mg_subscriber -> when the next session would be on time (virtual
 * scheduling, one word), and the window of those refused that are answered */
struct mg_rate {
	__u64 due_ns;
	__u64 answers; /* second << 32 | answered in it */
};
MG_ABI_SIZE(struct mg_rate, 16);

/* mg_svc_count: array of MG_SERVICES_MAX -> __u32 sessions. mg_svc_subs: hash -> __u64, sessions in
 * a word like that of mg_accounts. mg_proxy_count: array, one entry. */
struct mg_service_subscriber {
	struct mg_subscriber subscriber;
	__u32 service;
};
MG_ABI_SIZE(struct mg_service_subscriber, 20);
struct mg_proxy_count {
	__u32 sessions;
	__u32 limit; /* converter.max_sessions */
};
MG_ABI_SIZE(struct mg_proxy_count, 8);

/* mg_admit_state: array, one entry */
struct mg_admit_state {
	__u32 serial;	/* of the last ticket */
	__u32 orphans;	/* entries of mg_accounts and mg_svc_subs that may be left with nothing */
	__u32 subflows; /* entries of mg_subflows */
};
MG_ABI_SIZE(struct mg_admit_state, 12);

/* mg_sessions: hash, __u32 token (host order of its bytes on the wire) -> an MPTCP session of
 * this host. subflows and serial are one word, changed by atomic operations alone. */
#define MG_SUBFLOWS_CLOSED  0x80000000U /* in subflows: what is released now was released before */
#define MG_SUBFLOWS_WAITING 0x01000000U /* times as many of them as are not confirmed yet */
#define MG_SUBFLOWS_MASK    0x00ffffffU /* all of them */
struct mg_session_account {
	struct mg_subscriber subscriber;
	__u32 subflows;		/* MG_SUBFLOWS_… */
	__u32 serial;		/* of its ticket; tokens come again */
	__u32 subflows_limit;	/* of this session; 0: none */
	__u32 subscriber_limit; /* of its subscriber; 0: none */
	__u32 policy;
	__u8 refuse_join; /* enum mg_refuse */
	__u8 pad[3];
};
MG_ABI_SIZE(struct mg_session_account, 40);
MG_ABI_OFFSET(struct mg_session_account, subflows, 16);

/* mg_subflows: hash, struct mg_tuple, the server being our end -> what was charged for it. token
 * and serial are one word, changed by atomic operations alone; 0: it is just being made, or taken
 * away */
struct mg_subflow {
	__u64 since_ns;
	__u32 token;
	__u32 serial;	/* of its session */
	__u32 ifindex;	/* where its SYN came in; 0: not known */
	__u8 confirmed; /* 1: the kernel has it; until then it expires, MG_SUBFLOW_WAIT_NS */
	__u8 pad[3];
};
MG_ABI_SIZE(struct mg_subflow, 24);
/* A token can be read by whoever is on a path, and sent from anywhere: so few of a session's joins
 * are in their handshakes at a time, whatever its policy, and so long. The kernel has at most 8
 * additional subflows; one SYN/ACK may be lost, which is a second. Who is later is charged when the
 * kernel has let it in. */
#define MG_SUBFLOWS_WAITING_MAX 8
#define MG_SUBFLOW_WAIT_NS	(3ULL * 1000000000)

/* mg_cookie_keys: array of two entries; mg_cookie_now: array, one entry, __u32: the one in force.
 * The other one is written, and then is it. The cookie is wire/cookie.h's. */
#define MG_COOKIE_KEYS 2
struct mg_cookie_epochs {
	__u32 epoch; /* of key[0]; key[1] belongs to epoch - 1 */
	__u32 n;     /* how many are valid; 0: none, and so no cookie is */
	__u8 key[2][16];
};
MG_ABI_SIZE(struct mg_cookie_epochs, 40);

/* ---- the daemon's programs ------------------------------------------------------------------- */

/* What a session was charged for: from mg_session_open to mg_session_close */
struct mg_ticket {
	struct mg_subscriber subscriber;
	__u32 policy;
	__u32 service;
	__u32 access;
	__u32 class;
	__u32 generation;
	__u32 serial;  /* never that of another one */
	__u8 trust;    /* enum mg_trust */
	__u8 charged;  /* 1: to be closed */
	__u8 key_bits; /* so many of the 128 are the subscriber's address, if it is one */
	__u8 pad;
};
MG_ABI_SIZE(struct mg_ticket, 44);

/* mg_tickets: hash, serial -> what is charged for a session; who deletes it releases that */
struct mg_charge {
	struct mg_subscriber subscriber;
	__u32 service;
	__u32 token;  /* 0: not told yet */
	__u32 policy; /* these two so that nobody else gets their numbers */
	__u32 access;
};
MG_ABI_SIZE(struct mg_charge, 32);

#define MG_ADMIT_COOKIE 0x1 /* a valid cookie came along */
#define MG_ADMIT_DRY	0x2 /* session_open: only look; nothing is charged or counted */

/*
 * Programs of type syscall, each given one of these; they return enum mg_refusal, or -errno.
 *
 * mg_session_open   in client, server, ifindex (0: unknown), flags: charges; out ticket, wait_ns
 * mg_session_token  in ticket, token, client, local: its first subflow, from now on joins count
 * mg_session_close  in ticket, token (0: none): releases what is charged, subflows too
 * mg_subflow_join   in token, client, local: one that the kernel has let in: confirms it, or
 *                   charges it if nobody did, and if that fails it has to be ended
 * mg_subflow_part   in client, local: releases it
 * mg_reserve        in ticket, n (+ or -): that many sessions are held for the subscriber, or no
 *                   longer; + all of them or none; - what is left of them, out n: how many
 * mg_sweep          releases subflows that no one confirmed, out n: how many
 *
 * A session's first connection counts as a subflow from mg_session_open on. -EAGAIN: somebody else
 * was at work on the same entry for longer than one waits; ask again. -ENOENT of mg_subflow_join:
 * no session has this token, of mg_session_token: the ticket is not open, or has a token.
 * -ENOSPC: a table is full. A ticket may be closed more than once, and at once: one call
 * releases. It must not be closed while mg_session_token runs for it.
 */
struct mg_admit {
	struct mg_endpoint client;
	struct mg_endpoint server; /* as the UE means it: of a Convert message, the peer */
	struct mg_endpoint local;  /* our end */
	__u32 ifindex;
	__u32 flags; /* MG_ADMIT_… */
	__u32 token;
	__s32 n;
	__u32 pad;
	__u64 wait_ns; /* OVER_RATE: when the next would be on time */
	struct mg_ticket ticket;
	/* Of mg_session_open, what it saw: for `policy test` and `limits` */
	struct mg_account account;
	__u32 service_sessions;
	__u32 service_subscriber_sessions;
	__u32 proxy_sessions;
	__u32 pad2[2];
};
MG_ABI_SIZE(struct mg_admit, 176);
MG_ABI_OFFSET(struct mg_admit, ifindex, 60);
MG_ABI_OFFSET(struct mg_admit, wait_ns, 80);
MG_ABI_OFFSET(struct mg_admit, ticket, 88);

/* ---- the split over paths -------------------------------------------------------------------- */

/* mg_paces: hash, struct mg_connection -> what the sockops program gives a subflow of ours as
 * SO_MAX_PACING_RATE; mg_pace_now: array, one entry, __u32: 0 while there is none */
#define MG_PACES_MAX 262144
struct mg_pace {
	__u64 bytes_per_s; /* ~0: no limit */
};
MG_ABI_SIZE(struct mg_pace, 8);

#ifndef __bpf__
/* What a value of mg_accounts says */
static inline struct mg_account mg_account_read(const struct mg_account_entry *e)
{
	struct mg_account a = {
		.sessions = (__u32)(e->counts & MG_COUNTS_MASK),
		.subflows = (__u32)(e->counts >> MG_COUNTS_BITS & MG_COUNTS_MASK),
		.reserved = (__u32)(e->counts >> (2 * MG_COUNTS_BITS) & MG_COUNTS_MASK),
		.sessions_limit = e->sessions_limit,
		.subflows_limit = e->subflows_limit,
		.policy = e->policy,
	};

	return a;
}

static inline const char *mg_refusal_label(unsigned int refusal)
{
	static const char *const labels[] = { "admitted",
#define X(sym, label, doc) #label,
					      MG_REFUSALS(X)
#undef X
	};
	return refusal < MG_REFUSAL_COUNT ? labels[refusal] : (const char *)0;
}
#endif

#endif
