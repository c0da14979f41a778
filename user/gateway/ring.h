/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring of a group: which proxy a slot belongs to. Maglev (Eisenbud et al., NSDI 2016, section
 * 3.4), with weights, over all members whatever their state; then what those have that take no
 * sessions goes to those that do: one member's slots by Maglev again, over the others, and what
 * falls to one that takes none either, by lot. So the ring is the same at every gateway that sees
 * the same members and states, whatever came before; a member that goes moves its own slots and no
 * other, and one that comes back gets them back.
 */
#ifndef MG_GATEWAY_RING_H
#define MG_GATEWAY_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/steer.h"

struct mg_ring_member {
	const char *name; /* what is hashed */
	uint16_t proxy;
	uint32_t weight; /* 0: gets no slot */
	bool takes;	 /* new sessions */
};

/* owners: MG_RING_SLOTS, 0 where nobody takes sessions. 0 or -ENOMEM. */
int mg_ring_fill(uint16_t *owners, const struct mg_ring_member *members, size_t n);

/* Brings slots up to date: what changes hands keeps its last owner as `previous`. Returns how many
 * did. */
size_t mg_ring_apply(struct mg_slot *slots, const uint16_t *owners, uint32_t now_s);

#endif
