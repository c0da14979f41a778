/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs of bpf/steer.bpf.c, run on frames in the lab's namespace: one object for each side,
 * which share their maps; frames come in on px0 (access) or px1 (core). Failures end the test.
 */
#ifndef MG_TESTS_STEER_RUN_H
#define MG_TESTS_STEER_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/steer.h"
#include "packet.h"
#include "skel/steer.skel.h"

#define STEER_FLOWS  4096 /* entries of mg_flows, mg_pushed, mg_learned */
#define STEER_GROUPS 4	  /* whose slots mg_ring holds */

struct steer_run {
	struct mg_steer_bpf *side[2]; /* enum mg_side; they share all maps but .rodata */
	uint32_t px0, px1;	      /* ifindex */
	/* what was counted when last looked at */
	uint64_t steer[MG_STEER_COUNTER_COUNT];
	uint64_t classes[MG_CLASS_COUNT], verdicts[MG_VERDICT_COUNT], reasons[MG_REASON_COUNT];
};

/* Set before it is opened: an object whose maps of the same names are used. */
extern const struct bpf_object *steer_run_from;

/* Enters the lab. 0 or -errno */
int steer_run_open(struct steer_run *r);
/* The same, with so many entries instead of STEER_FLOWS. */
int steer_run_open_sized(struct steer_run *r, uint32_t entries);
void steer_run_close(struct steer_run *r);
/* As after opening: maps empty, nothing counted, the gateway's record zero. */
void steer_run_reset(struct steer_run *r);

/* The action of mg_steer for a frame that comes in on this side; out, of FRAME_MAX bytes, gets the
 * frame as it came out. */
int steer_run_bytes(struct steer_run *r, enum mg_side side, const uint8_t *frame, size_t len,
		    uint8_t *out, size_t *out_len);
/* The same, for one that leaves as it came, or not at all. */
int steer_run_frame(struct steer_run *r, enum mg_side side, const struct frame *f);
/* What mg_locate says of it. */
struct mg_decision steer_run_locate(struct steer_run *r, enum mg_side side, const struct frame *f);

/* How many were counted since the last look, which this is. */
void steer_run_look(struct steer_run *r);
uint64_t steer_run_counted(struct steer_run *r, enum mg_steer_counter which);
/* Exactly one packet was counted since the last look, and so. */
void steer_run_expect(struct steer_run *r, enum mg_class class, enum mg_verdict verdict,
		      enum mg_reason reason);

#define STEER_MAP(r, map) bpf_map__fd((r)->side[MG_SIDE_ACCESS]->maps.map)
void steer_put(int map, const void *key, const void *value);
void steer_put_gateway(struct steer_run *r, const struct mg_gateway *g);
void steer_put_proxy(struct steer_run *r, uint32_t number, const struct mg_steer_proxy *p);
void steer_put_flow(struct steer_run *r, const struct mg_tuple *tuple,
		    const struct mg_steer_flow *flow);

/* 16 bytes from text, IPv4 mapped */
void steer_ip(uint8_t to[16], const char *text);
/* The frame's connection as the frame shows it: its source is the client. */
struct mg_tuple steer_tuple(const struct frame *f);

#endif
