/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One living mpgated per interface; per network namespace one with the routing rules of preserved
 * sources and of intercepted packets, one that holds SYNs, and one that announces addresses. A
 * claim is a listening abstract UNIX socket, for an interface named after its index: such names
 * belong to the network namespace, as indexes do, and vanish with their process however it ends.
 * Whoever is refused learns the owner's pid from it.
 */
#ifndef MG_SYS_CLAIM_H
#define MG_SYS_CLAIM_H

#include <sys/types.h>

/* The claim's descriptor, to be closed to give it up; -EBUSY when taken, -errno; logged. */
int mg_claim(const char *interface, unsigned int ifindex);

/* The same for the routing rules, not logged: who is not going to have them asks, too, to know
 * whether those in place are a killed daemon's. */
int mg_claim_rules(pid_t *owner);

/* The same for holding SYNs: where the workers listen is the same for every daemon. Not logged. */
int mg_claim_hold(pid_t *owner);

/* The same for announcing addresses, which all sessions have in common. Not logged. */
int mg_claim_announce(pid_t *owner);

#endif
