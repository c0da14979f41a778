/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Holding SYNs (programs and maps of bpf/hold.bpf.c): TC consumes an opening SYN and copies it to
 * the worker that decides about it; the worker lets it into one of its own listeners, lets it pass
 * as if nothing had been, or answers it. What is written back goes through a TAP device, whose
 * program sends it on to where it came from.
 *
 * Programs: mg_hold on ingress of access interfaces, mg_hold_lan on that of a CPE's LAN,
 * mg_hold_core on that of core interfaces, mg_replay on that of the TAP device, mg_release for the
 * daemon to run.
 */
#ifndef MG_ABI_HOLD_H
#define MG_ABI_HOLD_H

#include "abi/abi.h"
#include "abi/maps.h"

#define MG_WORKERS_MAX	    256
#define MG_HELD_MAX	    65536 /* of mg_held and mg_held_subs, unless the daemon says otherwise */
#define MG_HELD_FRAME_BYTES 9216  /* longer SYNs are never held */
#define MG_HOLD_RING_BYTES  (1U << 21)
#define MG_PASSED_MAX	    65536
#define MG_SERVERS_MAX	    65536
#define MG_TOKENS_MAX	    262144
#define MG_HINTS_MAX	    65536

/* X(SYMBOL, label, "doc"): what is done with MPTCP sessions that pass */
#define MG_MODES(X)                                               \
	X(OFF, off, "nothing is intercepted")                     \
	X(TAKE_OVER, take_over, "every MPTCP session ends here")  \
	X(TRANSPARENT, transparent, "every MPTCP session passes") \
	X(HYBRID, hybrid, "those pass whose server speaks MPTCP, the others end here")

enum mg_mode {
#define X(sym, label, doc) MG_MODE_##sym,
	MG_MODES(X)
#undef X
		MG_MODE_COUNT
};

/* Why a SYN is held */
#define MG_HOLD_KINDS(X)                                                                  \
	X(INTERCEPT, intercept, "MP_CAPABLE, from an access network, on its way through") \
	X(CONVERT, convert, "with a Convert message, to a converter of this host")        \
	X(CPE, cpe, "plain TCP from the LAN, on its way through")

enum mg_hold_kind {
#define X(sym, label, doc) MG_HOLD_##sym,
	MG_HOLD_KINDS(X)
#undef X
		MG_HOLD_KIND_COUNT
};

/* A client's connection as its own packets show it */
struct mg_tuple {
	struct mg_endpoint client;
	struct mg_endpoint server;
};
MG_ABI_SIZE(struct mg_tuple, 40);
MG_ABI_OFFSET(struct mg_tuple, server, 20);

/* mg_intercept: one entry, what the daemon wants */
struct mg_intercept {
	__u32 mode; /* enum mg_mode: the default; mg_mode_of() in bpf/mode.bpf.h resolves it */
	__u32 n_workers;
	__u32 held_per_subscriber;
	__u32 beat_stale_ms;
	__u64 learn_ttl_ns;
	__u8 convert; /* 1: hold Convert SYNs to mg_converters too */
	__u8 cpe;     /* 1: hold plain SYNs that come in on LAN interfaces */
	__u8 drop_on_overload;
	__u8 drop_on_failure;
	__u16 beacon; /* the port at MG_BEACON_V4; 0: none */
	__u16 pad;
};
MG_ABI_SIZE(struct mg_intercept, 32);
MG_ABI_OFFSET(struct mg_intercept, learn_ttl_ns, 16);

/* mg_ports: array of 1024 __u64 words: bit port % 64 of word port / 64 says that SYNs to this port
 * may be held, but for those to a converter, which always may */
#define MG_PORT_WORDS 1024

/* mg_beats: array, index worker -> bpf_ktime_get_ns() of its last sign of life; mmapable */

/* Who is counted: a client's IPv4-mapped address, or the /64 of an IPv6 one, unless policies say
 * otherwise (abi/policy.h) */
struct mg_subscriber {
	__u8 ip[16];
};
MG_ABI_SIZE(struct mg_subscriber, 16);

/* mg_held: hash (held_max entries), struct mg_tuple -> */
struct mg_hold {
	__u64 since_ns;
	__u32 isn;     /* sequence number of the SYN, host order */
	__u32 ifindex; /* where it came in */
	__u32 worker;
	__u8 kind;			 /* enum mg_hold_kind */
	__u8 mp_capable;		 /* with MP_CAPABLE */
	__u8 hinted;			 /* its token is in mg_hints, or was */
	__u8 taken;			 /* it went into its worker's listener */
	struct mg_subscriber subscriber; /* as it was charged */
};
MG_ABI_SIZE(struct mg_hold, 40);
MG_ABI_OFFSET(struct mg_hold, kind, 20);
MG_ABI_OFFSET(struct mg_hold, subscriber, 24);

/* mg_held_subs: hash (as many entries as mg_held), struct mg_subscriber -> __u32, how many of its
 * SYNs are held. An entry exists while there are any. */

/* The value of an entry that is being deleted, and so counts for nothing any more */
#define MG_SUBSCRIBER_GONE 0x80000000U

/* mg_passed: LRU hash, struct mg_tuple -> a SYN that could have been held and went on */
enum mg_passed_why {
	MG_PASSED_KNOWN,    /* the server is known to speak MPTCP */
	MG_PASSED_PROBED,   /* the daemon found that it does */
	MG_PASSED_OVERLOAD, /* too many were held */
	MG_PASSED_FAILURE,  /* the daemon gave no sign of life */
	MG_PASSED_GAVE_UP,  /* the client wants MPTCP no more: its SYN+ACK teaches nothing */
	MG_PASSED_REFUSED,  /* it was not admitted, and its policy lets it pass */
};
struct mg_passed {
	__u64 since_ns;
	__u32 isn;
	__u32 why; /* enum mg_passed_why */
};
MG_ABI_SIZE(struct mg_passed, 16);

/* mg_servers: LRU hash, struct mg_endpoint -> what is known of a server */
enum mg_server_source { MG_SERVER_PROBE, MG_SERVER_PASSIVE };
struct mg_server {
	__u64 expires_ns; /* bpf_ktime_get_ns() */
	__u8 mptcp;
	__u8 source; /* enum mg_server_source */
	__u8 pad[6];
};
MG_ABI_SIZE(struct mg_server, 16);

/* mg_tokens: hash, pushed by the daemon; mg_hints: LRU hash, learned from third ACKs.
 * __u32 token (host order of its four bytes on the wire) -> */
struct mg_token {
	__u32 worker;
};
MG_ABI_SIZE(struct mg_token, 4);

/* Ring mg_hold_rings[worker]: a record and, behind it, the frame from its Ethernet header on */
enum mg_held_type {
	MG_HELD_SYN = 1, /* a new one to decide about */
	/* Of a held one that carried MP_CAPABLE: the client tries again without. It is consumed,
	 * and held on under the isn that the record says. */
	MG_HELD_RETRY,
	/* The client gave up, with a RST or with a new attempt from the same port, whose record
	 * follows. The SYN of this isn is no longer held; no frame. */
	MG_HELD_RESET,
};
enum mg_known { MG_KNOWN_NOTHING, MG_KNOWN_PLAIN, MG_KNOWN_MPTCP };

struct mg_held {
	__u16 type; /* enum mg_held_type */
	__u8 kind;  /* enum mg_hold_kind */
	__u8 mode;  /* enum mg_mode that applies */
	__u8 known; /* enum mg_known, of the server */
	__u8 mp_capable;
	__u16 vlan_tci;	   /* the tag the kernel took off the frame; 0 if there is none… */
	__be16 vlan_proto; /* …0 here */
	__u16 frame_bytes;
	__u16 ip_offset; /* in the frame */
	__u16 tcp_offset;
	__u16 payload_offset;
	/* 1: a socket of this host is in TIME_WAIT for the same addresses and ports. The kernel
	 * takes no SYN into a listener that TC names while it exists: it has to be destroyed
	 * before. */
	__u8 time_wait;
	__u8 pad;
	__u32 ifindex;
	__u32 isn;
	struct mg_tuple tuple;
	__u32 pad2;
};
MG_ABI_SIZE(struct mg_held, 72);
MG_ABI_OFFSET(struct mg_held, ifindex, 20);
MG_ABI_OFFSET(struct mg_held, tuple, 28);

/* What becomes of a frame that is written to the TAP device: this is its tail, cut off there. */
enum mg_replay_how {
	MG_REPLAY_TAKE = 1, /* in on the interface, into the worker's listener */
	MG_REPLAY_PASS,	    /* in on the interface, and on its way */
	MG_REPLAY_ANSWER,   /* out on the interface */
};
#define MG_REPLAY_MAGIC 0x6d677265U
struct mg_replay {
	__u32 magic;
	__u32 how; /* enum mg_replay_how */
	__u32 ifindex;
	__u32 worker;
};
MG_ABI_SIZE(struct mg_replay, 16);

/* skb->mark between the TAP device's program and the interface's: high half; low half the worker */
#define MG_ABI_MARK_TAKE 0x6d680000U
#define MG_ABI_MARK_PASS 0x6d690000U
#define MG_ABI_MARK_KIND 0xffff0000U

/*
 * Where worker w listens for what it takes, on each port that is intercepted: 127.109.0.0 + w + 1,
 * and fd6d:7067:6174:6500:: + w + 1. Nobody else can be bound there, nothing is routed there; TC
 * assigns packets to these sockets whatever address they are sent to. Each worker has its own, so
 * that what it replays it also accepts; the port is the connection's own, as the kernel takes an
 * MP_JOIN only at a listener of that port.
 */
#define MG_LISTEN_V4	0x7f6d0001U /* + worker, host order */
#define MG_LISTEN_V6_HI 0xfd6d706761746500ULL
#define MG_LISTEN_V6_LO 1ULL /* + worker */

/* mg_listen_ports: hash, struct mg_listen_key -> __u32, the port of the listener that stands in for
 * the one that could not be had, as this host itself listens on that port */
#define MG_LISTEN_PORTS_MAX 4096
#define MG_LISTEN_KEY_V6    0x8000
struct mg_listen_key {
	__u16 worker; /* and MG_LISTEN_KEY_V6: its listener for IPv6 */
	__u16 port;
};
MG_ABI_SIZE(struct mg_listen_key, 4);

/*
 * Where the daemon listens for as long as it lives. A killed process loses its sockets at once, and
 * so TC knows of it before mg_beats is stale, and holds nothing that would be lost.
 */
#define MG_BEACON_V4 0x7f6d0000U

/* mg_release, a program the daemon runs: forgets a held SYN, once, and its subscriber's count.
 * Returns 1 if the SYN of that isn was held, 0 if not. */
enum mg_release_how { MG_RELEASE, MG_RELEASE_PASSED };
struct mg_release {
	struct mg_tuple tuple;
	__u32 isn;
	__u32 how; /* enum mg_release_how */
	__u32 why; /* enum mg_passed_why, for MG_RELEASE_PASSED */
	__u32 pad;
};
MG_ABI_SIZE(struct mg_release, 56);

/* mg_hold_stats, per CPU: X(symbol, label, "doc") */
#define MG_HOLD_COUNTERS(X)                                                          \
	X(HELD, held, "SYNs held")                                                   \
	X(REPEATED, repeated, "repetitions of a held SYN, consumed")                 \
	X(OVERFLOW, overflow, "not held: too many are, in all or of the subscriber") \
	X(UNATTENDED, unattended, "not held: the daemon gave no sign of life")       \
	X(PASSES, passes, "not held: the server is known to speak MPTCP")            \
	X(JOINS, joins, "MP_JOIN SYNs handed to the session they name")              \
	X(PROTECTED, protected, "not held: TCP-AO or TCP-MD5")                       \
	X(LOST, lost, "replayed, but the listener was gone")                         \
	X(LEARNED, learned, "servers learned or refreshed from SYN+ACKs in passing") \
	X(FORGOTTEN, forgotten, "servers forgotten: a SYN+ACK said otherwise")

enum mg_hold_counter {
#define X(sym, label, doc) MG_HOLD_COUNT_##sym,
	MG_HOLD_COUNTERS(X)
#undef X
		MG_HOLD_COUNTER_COUNT
};

struct mg_hold_counters {
#define X(sym, label, doc) __u64 label;
	MG_HOLD_COUNTERS(X)
#undef X
};
MG_ABI_SIZE(struct mg_hold_counters, 8 * MG_HOLD_COUNTER_COUNT);

#endif
