/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs of bpf/policy.bpf.c and doors.bpf.c with tables of a test's own. Failures end the
 * test.
 */
#ifndef MG_TESTS_ADMIT_RUN_H
#define MG_TESTS_ADMIT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/policy.h"
#include "doors.h"
#include "skel/doors.skel.h"
#include "skel/policy.skel.h"

#define ADMIT_ENTRIES 8192 /* of the large tables */
#define ADMIT_ACCESS  8	   /* bounds of mg_cells */
#define ADMIT_CLASSES 8
#define ADMIT_SERVICE 8
#define ADMIT_TERMS   1024

struct admit_prefix {
	struct mg_prefix_key key;
	struct mg_prefix_value value;
};

/* What a set says; cells count to the bounds above. */
struct admit_tables {
	struct mg_policy_set set;
	struct admit_prefix prefixes[64];
	size_t n_prefixes;
	struct mg_port_range ranges[64];
	size_t n_ranges;
	uint32_t cells[ADMIT_CLASSES * ADMIT_SERVICE * ADMIT_ACCESS];
	struct mg_terms terms[ADMIT_TERMS];
	struct mg_service_limits limits[ADMIT_SERVICE];
};

struct admit_run {
	struct mg_policy_bpf *skel;
	struct mg_doors_bpf *doors;
	uint32_t now;		      /* the set in force */
	struct admit_tables holds[2]; /* what was put into each */
};

int admit_run_open(struct admit_run *r);
void admit_run_close(struct admit_run *r);
/* Nothing is charged, refused, known; no policies. */
void admit_run_reset(struct admit_run *r);

/* An active set of the default policy, which limits nothing. Static: one at a time. */
struct admit_tables *admit_tables(void);
void admit_prefix(struct admit_tables *t, enum mg_table table, const char *prefix, uint32_t number);
/* Ranges in order; service 0 ends them. */
void admit_service(struct admit_tables *t, const char *prefix, const struct mg_port_range *ranges);
struct mg_terms *admit_terms(struct admit_tables *t, uint32_t policy);
void admit_cell(struct admit_tables *t, uint32_t c, uint32_t s, uint32_t a, uint32_t policy);
/* In force with the next question, in the other set. */
void admit_put(struct admit_run *r, const struct admit_tables *t);
void admit_feed(struct admit_run *r, const char *prefix, const struct mg_feed_entry *entry);

struct mg_endpoint admit_ep(const char *ip, uint16_t port);
/* What a program says, -EAGAIN never */
int admit_do(const struct bpf_program *prog, struct mg_admit *ask);
int admit_ask(const struct bpf_program *prog, struct mg_question *q);

/* Shorthands: a session of a client, to a server's port 443 unless it says otherwise */
int admit_open(struct admit_run *r, struct mg_admit *ask, const char *client, const char *server);
int admit_token(struct admit_run *r, struct mg_admit *ask, uint32_t token);
int admit_close(struct admit_run *r, struct mg_admit *ask);
/* By the daemon, and by a SYN; of port `port` */
int admit_joined(struct admit_run *r, uint32_t token, const char *client, uint16_t port);
int admit_join_syn(struct admit_run *r, uint32_t token, const char *client, uint16_t port);
int admit_part(struct admit_run *r, const char *client, uint16_t port);
int admit_reserve(struct admit_run *r, const struct mg_admit *of, int n);
int admit_sweep(struct admit_run *r);

struct mg_subscriber admit_subscriber(const char *ip); /* of an address or a /64 */
struct mg_account admit_account(struct admit_run *r, const struct mg_subscriber *who);
long admit_entries(const struct bpf_map *map);
uint32_t admit_u32(const struct bpf_map *map, uint32_t key);
uint64_t admit_counted(struct admit_run *r, uint32_t refusal);
uint64_t admit_refused(struct admit_run *r, const struct mg_subscriber *who, uint32_t refusal);
void admit_proxy_limit(struct admit_run *r, uint32_t limit);
/* All counts are 0, and all tables of what is charged are empty. */
void admit_assert_nothing(struct admit_run *r);

#endif
