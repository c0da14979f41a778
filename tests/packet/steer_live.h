/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gateway's data plane on the lab's interfaces: px0 for access, px1 for core. Failures end the
 * test.
 */
#ifndef MG_TESTS_STEER_LIVE_H
#define MG_TESTS_STEER_LIVE_H

#include "lab.h"
#include "sys/dp.h"
#include "sys/steer.h"

#define LIVE_FLOWS  2048
#define LIVE_TOKENS 4096
#define LIVE_GROUPS 2

/* To be changed as needed */
struct mg_config *live_config(void);
struct mg_dp *live_open(const struct mg_config *cfg);
/* Group 1 with proxy 1, behind 10.9.0.1:5124 and [fd00:9::1]:5124; it reaches it by px1. */
void live_fill(struct mg_steer *s);
struct mg_ep live_ep(const char *text);

/* A descriptor of what is pinned; -1 if nothing is. */
int live_map(const struct mg_config *cfg, const char *name);
uint32_t live_map_id(const struct mg_config *cfg, const char *name);
long live_entries(const struct mg_config *cfg, const char *name);
/* The name of the program of ours on an interface, behind a dispatcher or not; "": there is none.
 */
const char *live_program(const char *interface);
/* As somebody else would, whatever is there. */
void live_take_off(const char *interface);

#endif
