/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The data plane of a gateway between far.h's two links, with one worker that holds SYNs: the test.
 */
#ifndef MG_TESTS_HOLDER_RIG_H
#define MG_TESTS_HOLDER_RIG_H

#include <stdbool.h>

#include "far.h"
#include "packet.h"
#include "sys/dp.h"
#include "sys/hold.h"

#define ISN	  0x01020304U
#define ETH_BYTES 14

extern struct mg_dp *rig_dp;
extern struct mg_holder *rig_holder;

int rig_enter(void **state);
/* Takes over what it may on every port; alive for a minute; to be changed as needed. */
struct mg_config *rig_config(void);
int rig_open_with(const struct mg_config *cfg);
int rig_open(void **state);
int rig_close(void **state);

/* What the worker was told: the last record, and how many there were. */
struct told {
	int n;
	struct mg_held_syn syn;
	struct mg_frame *frame; /* free() it */
};
struct told rig_told(int wait_ms);

/* SYNs with MP_CAPABLE, from the client's port 40000 to the server's 80 */
struct frame rig_syn4(void);
struct frame rig_syn6(void);
void rig_send(const uint8_t *frame, size_t len);
/* Sends it, and is told of it. The frame as sent is left in `frame`, *len bytes. */
struct told rig_held(const struct frame *f, bool partial, uint8_t *frame, size_t *len);
void rig_forget(struct told *t);
/* The server's link sees it as it was sent, but for what a router changes, and once. */
void rig_is_forwarded(const uint8_t *frame, size_t len);
/* From that port, it is so forwarded, and nobody is told. */
void rig_passes(struct frame f, uint16_t sport);

#endif
