/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Steering (program and maps of bpf/steer.bpf.c): XDP on a gateway brings every packet of an MPTCP
 * session to the proxy that owns it; XDP on a proxy unwraps what gateways send. Proxies and groups
 * are numbers here, 1 and up, that stay theirs across restarts, as entries of mg_flows hold them.
 *
 * Programs, one object per interface (which side it is on is a constant of the object): mg_steer,
 * attached; mg_locate, never attached, which the daemon runs to ask where a packet would go.
 */
#ifndef MG_ABI_STEER_H
#define MG_ABI_STEER_H

#include "abi/abi.h"
#include "abi/hold.h"
#include "abi/maps.h"
#include "abi/siphash.h"

#define MG_PROXIES_MAX	    256 /* 0 is none */
#define MG_GROUPS_MAX	    64	/* 0 is none */
#define MG_RING_SLOTS	    65537
#define MG_VIRTUAL_MAX	    1024
#define MG_RULES_MAX	    64
#define MG_NEIGHBOURS_MAX   1024
#define MG_MINE_MAX	    1024
#define MG_GATEWAYS_MAX	    256
#define MG_FLOWS_MAX	    1048576 /* unless the configuration says otherwise */
#define MG_STEER_TOKENS_MAX 1048576
#define MG_MEMBER_NAME	    64

/* Which side of the gateway an interface is on; mg_side in the object's .rodata */
enum mg_side { MG_SIDE_ACCESS, MG_SIDE_CORE };

/* X(SYMBOL, label, "doc"): how packets get from a gateway to a proxy */
#define MG_DELIVERIES(X)                                   \
	X(LOCAL, local, "to this host itself")             \
	X(L2, l2, "unchanged, to the proxy's MAC address") \
	X(IPIP, ipip, "inside another IP packet to the proxy's address")
enum mg_delivery {
#define X(sym, label, doc) MG_DELIVER_##sym,
	MG_DELIVERIES(X)
#undef X
		MG_DELIVERY_COUNT
};

#define MG_MEMBER_STATES(X)                         \
	X(UP, up, "takes new sessions")             \
	X(DOWN, down, "does not answer its checks") \
	X(DRAINING, draining, "keeps its sessions, takes no new ones")
enum mg_member_state {
#define X(sym, label, doc) MG_MEMBER_##sym,
	MG_MEMBER_STATES(X)
#undef X
		MG_MEMBER_STATE_COUNT
};

/* What becomes of a join whose token nobody knows */
enum mg_unknown_join { MG_UNKNOWN_DROP, MG_UNKNOWN_PASS, MG_UNKNOWN_RING };

/* mg_gateway: one entry, the daemon's wishes */
struct mg_gateway {
	__u8 steers; /* 1: a gateway; 0: unwraps only */
	__u8 learn;
	__u8 unknown_join; /* enum mg_unknown_join */
	__u8 pad;
	__u16 self;    /* this host's own number among the proxies, for which mg_pushed and
			* mg_learned hold what is its own; 0: it ends no sessions */
	__u16 n_rules; /* of mg_rules */
	__u32 learn_per_second;
	__u32 pad2;
	__u8 ip4[16]; /* IPv4-mapped; what ICMP errors of ours come from; 0: none of this family */
	__u8 ip6[16];
};
MG_ABI_SIZE(struct mg_gateway, 48);
MG_ABI_OFFSET(struct mg_gateway, learn_per_second, 8);
MG_ABI_OFFSET(struct mg_gateway, ip4, 16);

/* mg_proxies: array of MG_PROXIES_MAX; the daemon resolves the way, XDP looks nothing up */
struct mg_steer_proxy {
	__u8 used;
	__u8 deliver;  /* enum mg_delivery */
	__u8 state;    /* enum mg_member_state */
	__u8 plain;    /* 1: no mpgate there, which could ask another: it is never one of two */
	__u32 ifindex; /* the way out; 0: none is known, what is for it is dropped */
	__u8 dmac[6];
	__u8 smac[6];
	__u32 mtu_bytes; /* of the path, outer headers included; 0: no limit is known */
	__u8 ip[16];	 /* the proxy */
	__u8 source[16]; /* the outer source of what is sent to it: same family */
	char name[MG_MEMBER_NAME];
	__u8 drained; /* 1: by an operator, whatever its state; for the daemon's next life alone */
	__u8 pad[3];
};
MG_ABI_SIZE(struct mg_steer_proxy, 124);
MG_ABI_OFFSET(struct mg_steer_proxy, ifindex, 4);
MG_ABI_OFFSET(struct mg_steer_proxy, dmac, 8);
MG_ABI_OFFSET(struct mg_steer_proxy, mtu_bytes, 20);
MG_ABI_OFFSET(struct mg_steer_proxy, ip, 24);
MG_ABI_OFFSET(struct mg_steer_proxy, name, 56);
MG_ABI_OFFSET(struct mg_steer_proxy, drained, 120);

/* mg_paths: hash, proxy number __u32 -> what an ICMP "too big" said about the tunnel to it; written
 * by XDP, and forgotten by it after MG_PATH_TTL_NS */
#define MG_PATH_TTL_NS (600ULL * 1000000000)
struct mg_path {
	__u64 since_ns;
	__u32 mtu_bytes;
	__u32 pad;
};
MG_ABI_SIZE(struct mg_path, 16);

/* mg_groups: array of MG_GROUPS_MAX */
enum mg_group_hash { MG_HASH_SUBSCRIBER, MG_HASH_FLOW };
struct mg_steer_group {
	__u8 used;
	__u8 hash;   /* enum mg_group_hash */
	__u8 closed; /* 1: with no member up, new sessions are dropped; 0: they pass unsteered */
	__u8 pad;
	__u32 n_up;
	char name[MG_MEMBER_NAME];
};
MG_ABI_SIZE(struct mg_steer_group, 72);

/* mg_ring: array, mmapable, MG_RING_SLOTS entries per group: entry group * MG_RING_SLOTS + slot
 * (none for group 0 are ever used). Slot of a packet: mg_steer_hash() % MG_RING_SLOTS. */
struct mg_slot {
	__u16 current; /* 0: nobody */
	__u16 previous;
	__u32 changed_s; /* CLOCK_REALTIME seconds of the last change of current, modulo 2^32 */
};
MG_ABI_SIZE(struct mg_slot, 8);

/* mg_virtual: hash, struct mg_endpoint -> __u32 group; with port 0, and group 0: some of them has
 * this address */

/* mg_rules: array of MG_RULES_MAX, the first that fits decides, for MP_CAPABLE and MP_JOIN SYNs
 * from access interfaces to addresses that are not virtual, nor this host's or a proxy's own */
struct mg_rule {
	__u32 ifindex; /* 0: any */
	__u8 client[16];
	__u8 service[16];
	__u8 client_bits; /* of the 128; 0: any */
	__u8 service_bits;
	__u16 port;	/* 0: any */
	__u16 group;	/* preferred */
	__u16 fallback; /* if no member of that is up; 0: none */
};
MG_ABI_SIZE(struct mg_rule, 44);
MG_ABI_OFFSET(struct mg_rule, client_bits, 36);

/* mg_flows: LRU hash (flows_max), struct mg_tuple, client as the uplink shows it -> */
#define MG_FLOW_CAPABLE	  0x01 /* opened with MP_CAPABLE: its third ACK may teach a token */
#define MG_FLOW_LEARNED	  0x02 /* …and did */
#define MG_FLOW_JOIN	  0x04
#define MG_FLOW_INTERCEPT 0x08 /* to a server: what comes down is steered too */
#define MG_FLOW_UPSTREAM  0x10 /* a proxy's own connection, seen in passing: only downlink */
struct mg_steer_flow {
	__u16 proxy;
	__u16 second; /* whom to ask if that does not know the connection; 0: nobody */
	__u8 flags;
	__u8 pad[3];
	__u32 isn; /* of the SYN, host order */
	__u32 pad2;
};
MG_ABI_SIZE(struct mg_steer_flow, 16);
MG_ABI_OFFSET(struct mg_steer_flow, isn, 8);

/* mg_pushed: hash, and mg_learned: LRU hash (tokens_max each), __u32 token (host order of its bytes
 * on the wire) -> its owners; second is 0 but for a collision */
struct mg_owners {
	__u16 proxy;
	__u16 second;
	__u32 since_s; /* CLOCK_MONOTONIC seconds */
};
MG_ABI_SIZE(struct mg_owners, 8);

/* mg_learn_rate: array, one entry. One word, so that a CPU changes both with one exchange. */
struct mg_learn_rate {
	__u64 second_and_count; /* CLOCK_MONOTONIC second << 32 | tokens learned in it */
};
MG_ABI_SIZE(struct mg_learn_rate, 8);

/* mg_neighbours: hash, where frames of proxies come from -> __u32, the proxy; 0 if there are
 * several, or only their router */
struct mg_neighbour {
	__u32 ifindex;
	__u8 mac[6];
	__u8 pad[2];
};
MG_ABI_SIZE(struct mg_neighbour, 12);

/* mg_mine: hash, this host's addresses (16 bytes) -> __u8: where tunnels end */
/* mg_peers: LPM trie, who may send us tunnelled packets -> __u8 */
struct mg_peer_key {
	__u32 bits; /* of the 128 */
	__u8 ip[16];
};
MG_ABI_SIZE(struct mg_peer_key, 20);

/* mg_steer_stats, per CPU */
#define MG_STEER_COUNTERS(X)                                                            \
	X(NEW, new, "sessions given to a proxy by the ring")                            \
	X(FLOW, flow, "packets that followed their flow")                               \
	X(PREVIOUS, previous, "packets without a flow, given by the ring")              \
	X(TOKEN_PUSHED, token_pushed, "joins by a token that a proxy told")             \
	X(TOKEN_LEARNED, token_learned, "joins by a token learned in passing")          \
	X(SECOND_HOP, second_hop, "packets of others, sent on to whom they may belong") \
	X(UNKNOWN_JOIN, unknown_join, "joins whose token nobody knows")                 \
	X(DOWNLINK, downlink, "packets from servers, brought to the session's proxy")   \
	X(ICMP, icmp, "ICMP errors brought to the flow's proxy")                        \
	X(ENCAP, encap, "packets put into another")                                     \
	X(DECAP, decap, "packets taken out of another")                                 \
	X(MSS_CLAMPED, mss_clamped, "SYNs whose MSS was lowered for the tunnel")        \
	X(TOO_BIG, too_big, "packets answered with ICMP, as the tunnel has no room")    \
	X(LEARNED, learned, "tokens learned")                                           \
	X(LEARN_LIMITED, learn_limited, "tokens not learned: too many a second")        \
	X(FORGED, forged, "tunnelled packets from where no gateway is")                 \
	X(NO_PROXY, no_proxy, "packets for a group or proxy that cannot be reached")

enum mg_steer_counter {
#define X(sym, label, doc) MG_STEER_COUNT_##sym,
	MG_STEER_COUNTERS(X)
#undef X
		MG_STEER_COUNTER_COUNT
};
struct mg_steer_counters {
#define X(sym, label, doc) __u64 label;
	MG_STEER_COUNTERS(X)
#undef X
};
MG_ABI_SIZE(struct mg_steer_counters, 8 * MG_STEER_COUNTER_COUNT);

/* Why a packet goes where it goes */
#define MG_STEER_WHYS(X)                                                                     \
	X(NOT_OURS, not_ours, "no virtual address, no rule, no flow: passes")                \
	X(FLOW, flow, "its flow is known")                                                   \
	X(RING, ring, "a new session: its slot of the ring")                                 \
	X(RING_PREVIOUS, ring_previous, "no flow: its slot, then the slot's previous owner") \
	X(TOKEN_PUSHED, token_pushed, "a join: the owner told its token")                    \
	X(TOKEN_LEARNED, token_learned, "a join: its token was learned in passing")          \
	X(UNKNOWN_JOIN, unknown_join, "a join: nobody knows its token")                      \
	X(DOWNLINK, downlink, "from a server: the session's proxy")                          \
	X(ICMP, icmp, "an ICMP error: the proxy of the flow it is about")                    \
	X(FROM_PROXY, from_proxy, "sent by a proxy: passes")                                 \
	X(UNWRAPPED, unwrapped, "came in a tunnel, for this host")                           \
	X(NO_MEMBER, no_member, "no member of the group is up")                              \
	X(REFUSED, refused, "it is not admitted")
enum mg_steer_why {
#define X(sym, label, doc) MG_STEER_##sym,
	MG_STEER_WHYS(X)
#undef X
		MG_STEER_WHY_COUNT
};

/* What is to be done with a packet; mg_locate writes one over the head of the frame it is given */
enum mg_steer_do { MG_STEER_PASS, MG_STEER_DROP, MG_STEER_DELIVER, MG_STEER_RESET };
struct mg_decision {
	__u8 what;   /* enum mg_steer_do */
	__u8 why;    /* enum mg_steer_why */
	__u8 reason; /* enum mg_reason, if it is dropped or reset */
	__u8 has_slot;
	__u16 proxy; /* for MG_STEER_DELIVER */
	__u16 second;
	__u16 group; /* 0: none was asked */
	__u16 rule;  /* of mg_rules, from 1; 0: none was asked */
	__u32 slot;
	__u32 token;   /* of a join */
	__u16 policy;  /* that admission went by; 0: the default, or none was asked */
	__u8 refusal;  /* enum mg_refusal, also of what goes on so that it hears why */
	__u8 admitted; /* 1: admission was asked, whatever it said */
};
MG_ABI_SIZE(struct mg_decision, 24);
MG_ABI_OFFSET(struct mg_decision, proxy, 4);
MG_ABI_OFFSET(struct mg_decision, slot, 12);

/*
 * The slot of a packet. All gateways have to agree, so the hash has no secret: who chooses their
 * own address chooses a proxy, no more. Subscriber: the IPv4-mapped address, or the /64 of an IPv6
 * one.
 */
static inline __attribute__((always_inline)) __u32 mg_steer_slot(const struct mg_tuple *tuple,
								 __u8 hash)
{
	const __u8 key[16] = "mpgate steering";
	struct mg_tuple t = *tuple;
	__u8 subscriber[16];
	const __u8 *ip = tuple->client.ip;
	int v6 = 0;

	if (hash == MG_HASH_FLOW)
		return mg_siphash24(key, (const __u8 *)&t, sizeof(t)) % MG_RING_SLOTS;
	for (int i = 0; i < 16; i++)
		subscriber[i] = ip[i];
	for (int i = 0; i < 12; i++)
		v6 |= ip[i] != (i < 10 ? 0 : 0xff);
	for (int i = 8; v6 && i < 16; i++)
		subscriber[i] = 0;
	return mg_siphash24(key, subscriber, sizeof(subscriber)) % MG_RING_SLOTS;
}

#endif
