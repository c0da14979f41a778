/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data segments to a proxy behind a way of limited length: through, answered, or dropped without a
 * word. Failures end the test.
 */
#ifndef MG_TESTS_DELIVER_LIMIT_H
#define MG_TESTS_DELIVER_LIMIT_H

#include "deliver_rig.h"

/* Of so many bytes of IP, in so many VLAN tags; its payload is static. */
struct frame limit_segment(bool v6, size_t ip_bytes, int tags);
/* The flow of f leads this way, whose MTU is so many bytes to proxy 1; 0: unknown. */
void limit_fresh(const struct frame *f, const struct deliver_way *way, uint32_t mtu);

void limit_fits(const struct frame *f);
/* With an ICMP error that says `mtu`, of which every field is looked at */
void limit_answer(const struct frame *f, uint32_t mtu);
void limit_silence(const struct frame *f, enum mg_class class);

#endif
