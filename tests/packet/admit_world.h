/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of admission have in common: clients of one policy, a service, and what is to be
 * seen when somebody is refused. Failures end the test.
 */
#ifndef MG_TESTS_ADMIT_WORLD_H
#define MG_TESTS_ADMIT_WORLD_H

#include "admit_run.h"

#define UE	 "10.1.0.1"
#define OTHER	 "10.1.0.2"
#define UE6	 "2001:db8:1:2::3"
#define SERVER	 "203.0.113.1"
#define SERVICE	 3
#define NS_PER_S 1000000000ULL

extern struct admit_run admit_world_run;

/* For cmocka */
int admit_world_set_up(void **state);
int admit_world_tear_down(void **state);
int admit_world_fresh(void **state);

/* Policy 1 for 10.1.0.0/16 and 2001:db8::/32, its limits to be set; service 3 at SERVER. */
struct admit_tables *admit_world(void);
struct mg_account admit_account_of(const char *ip);
uint64_t admit_refused_of(const char *ip, uint32_t refusal);
/* What XDP would say of a session */
int admit_look(const char *client, const char *server, uint32_t flags);
/* XDP and the daemon's program say the same, dry or not; nothing is charged. */
void admit_assert_refused(const char *client, uint32_t why);
/* To SERVER, all let in */
void admit_open_n(struct mg_admit *asks, unsigned int n, const char *client);
void admit_close_n(struct mg_admit *asks, unsigned int n);

#endif
