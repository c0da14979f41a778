/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs of bpf/hold.bpf.c, run on frames in the lab's namespace: their maps, what they send
 * to the workers' rings, what they count. Failures end the test.
 */
#ifndef MG_TESTS_HOLD_RUN_H
#define MG_TESTS_HOLD_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/hold.h"
#include "packet.h"
#include "skel/hold.skel.h"

#define HOLD_WORKERS 2
#define HOLD_HELD    8 /* entries of mg_held */
#define HOLD_MARK    7 /* frames come with this mark */

/* The other side of px1, a way to go; nobody is there */
#define FAR4 "10.3.1.9"
#define FAR6 "fd00:4::9"

struct hold_record {
	uint32_t worker;
	struct mg_held head;
	uint8_t frame[MG_HELD_FRAME_BYTES];
};

struct hold_run {
	struct mg_hold_bpf *skel;
	struct ring_buffer *rings[HOLD_WORKERS];
	struct hold_record got[8]; /* records read, in order of arrival per worker */
	unsigned int n_got;
	bool discard;
};

/* Set before hold_run_open: an object whose maps of the same names are used. */
extern const struct bpf_object *hold_run_from;

/* Enters the lab, forwarding between px0 and px1; TAKE_OVER of all ports, all kinds, all alive. */
int hold_run_open(struct hold_run *r);
void hold_run_close(struct hold_run *r);
/* As after opening; nothing is held, known, counted. */
void hold_run_reset(struct hold_run *r);

struct mg_intercept hold_wanted(void);
void hold_run_want(struct hold_run *r, const struct mg_intercept *wanted);
void hold_run_beat(struct hold_run *r, uint64_t ago_ns);

/* What the door says to a frame that comes in on px0; NULL for a mark one does not care about. */
int hold_run_bytes(struct hold_run *r, const struct bpf_program *door, const uint8_t *frame,
		   size_t len, uint32_t *mark);
int hold_run_frame(struct hold_run *r, const struct bpf_program *door, const struct frame *f);
/* Records that are in the rings now; appended to got. */
unsigned int hold_run_read(struct hold_run *r);

struct mg_tuple hold_tuple(const struct frame *f);
bool hold_is_held(struct hold_run *r, const struct frame *f, struct mg_hold *hold);
/* Of 10.1.0.1, or of the /64 of fd00:1::1; 0 without an entry, which must then not exist. */
uint32_t hold_charged(struct hold_run *r, bool v6);
long hold_entries(const struct bpf_map *map);
uint64_t hold_counted(struct hold_run *r, enum mg_hold_counter which);
uint64_t hold_counted_all(struct hold_run *r);

void hold_server_put(struct hold_run *r, const struct frame *f, bool mptcp, int64_t expires_in_ns);
bool hold_server_get(struct hold_run *r, const struct frame *f, struct mg_server *server);
bool hold_passed_get(struct hold_run *r, const struct frame *f, struct mg_passed *passed);
/* What the program returned. */
int hold_release(struct hold_run *r, const struct frame *f, uint32_t how, uint32_t why);
uint64_t hold_now_ns(void);

#endif
