/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gateway's data plane on the lab's interfaces: px0 for access, px1 for core. Failures end the
 * test.
 */
#ifndef MG_TESTS_GATEWAY_RIG_H
#define MG_TESTS_GATEWAY_RIG_H

#include "lab.h"
#include "sys/dp.h"
#include "sys/steer.h"

#define GW_FLOWS  2048
#define GW_TOKENS 4096
#define GW_GROUPS 2

/* To be changed as needed; the data plane that runs by it, also after a test that failed. */
extern struct mg_config *gw_cfg;
extern struct mg_dp *gw_dp;
extern struct mg_steer *gw_steer; /* of it */

/* Fixtures for cmocka: of the program, of each test, which begins with nothing running. */
int gw_enter(void **state);
int gw_set_up(void **state);
int gw_set_up_running(void **state); /* it does */
int gw_set_up_maps(void **state);    /* without programs, which take their time to load */
int gw_tear_down(void **state);

struct mg_dp *gw_run(void);
void gw_stop(struct mg_dp *dp);
void gw_reopen(void);
/* A gateway that was, and is not running */
void gw_leave_one(void);
void gw_check_in_force(void);
void gw_check_nothing_is_left(void);

/* Group 1 with proxy 1, behind 10.9.0.1:5124 and [fd00:9::1]:5124; it reaches it by px1. */
void gw_fill(struct mg_steer *s);
struct mg_ep gw_ep(const char *text);

/* A descriptor of what is pinned; -1 if nothing is. */
int gw_map(const char *name);
uint32_t gw_map_id(const char *name);
long gw_entries(const char *name);
/* The name of the program of ours on an interface, behind a dispatcher or not; "": there is none.
 */
const char *gw_program(const char *interface);
/* As somebody else would, whatever is there. */
void gw_take_off(const char *interface);

/* Tokens by number, below GW_TOKENS: pushed with the number as since_s; all that are there are the
 * first n, each once. */
uint32_t gw_token(uint32_t i);
int gw_push(uint32_t i);
void gw_check_tokens(bool learned, uint32_t n);

/* What comes by an interface, after XDP; of it, how many SYNs to a virtual address are there now,
 * or come in time. */
int gw_tap(const char *interface);
uint32_t gw_read_syns(int fd);
uint32_t gw_wait_for_syns(int fd, uint32_t wanted);
/* From the far end of px0: number `number` of frame, a SYN of its own session each. */
int gw_far_end(const char *interface);
size_t gw_build_syn(uint8_t *frame);
int gw_send_syn(int fd, uint8_t *frame, size_t len, uint32_t number);
/* Ten SYNs, always the same, reach the proxy, and none the kernel. */
void gw_check_steers(void);
uint64_t gw_counted(enum mg_steer_counter which);

#endif
