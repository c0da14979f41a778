/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A router between a client's link and a server's: px0 and px1 are here, with routes and
 * neighbours; their far ends ue0 and ue1 are in a namespace of their own, where nobody answers, and
 * are sent to and read from as they are. The client is 10.1.0.1 and fd00:1::1, the server 10.4.0.2
 * and fd00:4::2. Packets marked for it are delivered here.
 */
#ifndef MG_TESTS_FAR_H
#define MG_TESTS_FAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame;

#define WAIT_MS	 3000 /* for what has to come */
#define QUIET_MS 60   /* for what must not */

/* Packet sockets */
extern int ue0, ue1;

/* For the rest of this process's life. */
int far_enter(void);

/* The frame as the client's host sends it, with its sums; `partial`: as veth carries it. Its
 * length. */
size_t far_build(uint8_t *out, const struct frame *f, bool partial);
bool far_sums_are_good(const uint8_t *ip, size_t bytes);
/* Where IP begins in a frame, and in IP what it carries. */
size_t far_ip_at(const uint8_t *frame);
size_t far_l4_of(const uint8_t *ip);

/* The next frame, whatever it is, with its tag; 0 if there is none now. `frame` has FRAME_MAX. */
int far_take(int fd, uint8_t *frame);
/* The next one that carries TCP or an ICMP error; 0 if none comes in time. */
int far_next(int fd, uint8_t *frame, int wait_ms);
void far_nothing_at(int fd);

#endif
