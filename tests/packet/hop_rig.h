/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A proxy that gateways ask before another one: packets in the tunnels of both, and what becomes of
 * them. Failures end the test.
 */
#ifndef MG_TESTS_HOP_RIG_H
#define MG_TESTS_HOP_RIG_H

#include "deliver_rig.h"

/* The second's addresses: on px1's network, and beyond a router there, and where nobody is known */
#define NEAR4	 "10.3.1.77"
#define NEAR6	 "fd00:4::77"
#define FAR4	 "10.77.0.1"
#define FAR6	 "fd00:77::1"
#define UNKNOWN4 "10.3.1.78"
#define SELF	 7

extern const uint8_t hop_near_mac[6], hop_router_mac[6];
extern uint8_t hop_px1_mac[6];

/* Fixtures for cmocka: of the program, of each test; deliver_tear_down goes with the first. */
int hop_set_up(void **state);
int hop_fresh(void **state);

/* A data segment */
struct frame hop_segment(bool v6);
/* Wraps it as a gateway does that asks us before `second`; by l2 without the header to us. */
size_t hop_tunnels(uint8_t *bytes, size_t len, const char *second, bool l2);
/* mg_steer of px0, counters looked at before */
int hop_run(const uint8_t *bytes, size_t len, uint8_t *to, size_t *to_len);
/* One hop later, by the book */
void hop_spend(uint8_t *ip);

/* The frame, by ipip and by l2: it stays; it goes on to the second, to this MAC address; it is left
 * to the kernel to send on, our header taken off. */
void hop_own(const struct frame *f, const char *second);
void hop_sent_on(const struct frame *f, const char *second, const uint8_t mac[6]);
void hop_left(const struct frame *f, const char *second);

#endif
