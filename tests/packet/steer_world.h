/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gateway for tests of where packets go: proxies on the segment of px1, two groups, virtual
 * addresses; and what becomes of one packet, told apart by the MAC address it leaves to. Every
 * packet is first located, and both answers have to agree. Failures end the test.
 */
#ifndef MG_TESTS_STEER_WORLD_H
#define MG_TESTS_STEER_WORLD_H

#include "steer_run.h"

/* Proxies PX(1) … PX(5), delivered to by MAC; HERE is this host. Each has two addresses. */
#define PX_MAX 5
#define HERE   6

/* By subscriber; by flow; one that nobody fills; none of these are of group 0 */
#define GROUP	      1
#define GROUP_BY_FLOW 2
#define GROUP_OTHER   3

#define VIRTUAL4 "10.9.0.1"  /* port 5124, GROUP */
#define VIRTUAL6 "fd00:9::1" /* the same */
#define BY_FLOW4 "10.9.0.2"  /* port 5124, GROUP_BY_FLOW */
#define BY_FLOW6 "fd00:9::2"
#define SERVER4	 "10.4.0.2" /* selected by a rule at most */
#define SERVER6	 "fd00:4::2"
#define UE4	 "10.1.0.1" /* where frames come from if they do not say */
#define UE6	 "fd00:1::1"
#define PX_MAC(n)                  \
	{                          \
		2, 0, 0, 0, 9, (n) \
	}

struct world {
	struct steer_run run;
	struct mg_gateway gateway;
};

/* What is to become of a packet */
struct want {
	enum mg_steer_do what;
	enum mg_steer_why why;
	uint16_t proxy, second;
	enum mg_reason reason; /* of a drop */
	int counter;	       /* enum mg_steer_counter, the one that moves; 0 is NEW */
	bool passes;	       /* though it is to be delivered: here */
};
#define NOTHING_COUNTED (-1)

#define GOES(why_, counter_, proxy_)              \
	((struct want){ .what = MG_STEER_DELIVER, \
			.why = MG_STEER_##why_,   \
			.proxy = (proxy_),        \
			.counter = MG_STEER_COUNT_##counter_ })
#define PASSES(why_) ((struct want){ .why = MG_STEER_##why_, .counter = NOTHING_COUNTED })
#define PASSES_COUNTED(why_, counter_) \
	((struct want){ .why = MG_STEER_##why_, .counter = MG_STEER_COUNT_##counter_ })
#define DROPPED(why_, counter_, reason_)                      \
	((struct want){ .what = MG_STEER_DROP,                \
			.why = MG_STEER_##why_,               \
			.counter = MG_STEER_COUNT_##counter_, \
			.reason = MG_REASON_##reason_ })

int world_open(struct world *w);
void world_close(struct world *w);
/* All proxies up, all slots PX 1's, no rule, joins of unknown tokens dropped; nothing is known. */
void world_reset(struct world *w);
/* After a change of w->gateway */
void world_gateway(struct world *w);
void world_state(struct world *w, uint16_t proxy, enum mg_member_state state);
void world_group(struct world *w, uint16_t group, uint8_t hash, bool closed, uint32_t n_up);
/* Every slot of a group; one slot */
void world_ring(struct world *w, uint16_t group, uint16_t current, uint16_t previous);
void world_slot(struct world *w, uint16_t group, uint32_t slot, uint16_t current,
		uint16_t previous);
/* The rules, in order */
void world_rules(struct world *w, const struct mg_rule *rules, size_t n);
void world_prefix(uint8_t ip[16], uint8_t *bits, const char *text, uint8_t prefix_bits);
void world_push(struct world *w, uint32_t token, uint16_t proxy, uint16_t second);
void world_learned(struct world *w, uint32_t token, uint16_t proxy, uint16_t second);
/* false: there is none. */
bool world_is_learned(struct world *w, uint32_t token, struct mg_owners *owners);
bool world_is_pushed(struct world *w, uint32_t token, struct mg_owners *owners);
bool world_flow(struct world *w, const struct frame *f, struct mg_steer_flow *flow);
/* Frames of this kind (tests/packet/packet.c: from 02:00:00:00:00:01) are a proxy's, on px1. */
void world_neighbour(struct world *w, uint32_t proxy);

/* The packet has to go there. Returns what mg_locate said of it. */
struct mg_decision world_expect(struct world *w, enum mg_side side, const struct frame *f,
				struct want want);

/* TCP options, and a Convert message */
extern const struct bytes opt_capable, opt_plain, opt_times, convert_message;
/* …in memory that lasts for some calls; without an MSS, which tunnels would lower. */
struct bytes opt_join(uint32_t token);
struct bytes opt_keys(const uint8_t *receiver, size_t more_bytes);
/* The body of an ICMP error about a frame: with .protocol world_icmp(v6). */
struct bytes icmp_about(const struct frame *quoted, uint8_t type, uint8_t code, uint16_t mtu);
uint8_t icmp_protocol(bool v6);

#endif
