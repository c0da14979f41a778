/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gateway with two proxies, 1 and 2, to which the flow of a frame leads; how they are reached is
 * the test's to choose. Failures end the test.
 */
#ifndef MG_TESTS_DELIVER_RIG_H
#define MG_TESTS_DELIVER_RIG_H

#include "steer_run.h"

#define GATEWAY4 "10.8.0.254"
#define GATEWAY6 "fd00:8::fe"

struct deliver_way {
	enum mg_delivery deliver; /* of proxy 1 */
	bool v6;		  /* proxy 1's address */
	int second;		  /* 0: none; or proxy 2 is, with an address of family 4 or 6 */
};

struct deliver_rig {
	struct steer_run run;
	struct mg_steer_proxy proxy[3]; /* entry 0 is none */
};

extern struct deliver_rig rig;

int deliver_set_up(void **state);
int deliver_tear_down(void **state);
/* Of each test: nothing is known but the gateway and its own addresses. */
int deliver_fresh(void **state);

const char *deliver_address(int proxy, bool v6);
const char *deliver_source(bool v6);
/* Proxies 1 and 2, the way out by px1. */
void deliver_way_put(const struct deliver_way *way);
/* Bytes of headers that a way puts before a packet */
size_t deliver_overhead(const struct deliver_way *way);
/* CLOCK_MONOTONIC, which the data plane goes by */
uint64_t deliver_now_ns(void);
/* Writes rig.proxy[i] into its map. */
void deliver_proxy_put(int i);
/* The frame's flow leads to 1, or to 1 and 2. */
void deliver_flow_put(const struct frame *f, bool second);

/* mg_steer of the access side: its action; the frame that comes out, in out. */
int deliver_bytes(const uint8_t *frame, size_t len, uint8_t *out, size_t *out_len);
/* What has to come out of a way, made of the frame that goes in; the new length. */
size_t deliver_expected(uint8_t *frame, size_t len, const struct deliver_way *way);
/* One step of a table failed: say which, and end. */
void deliver_same(const char *what, const uint8_t *got, size_t got_len, const uint8_t *wanted,
		  size_t wanted_len);

#endif
