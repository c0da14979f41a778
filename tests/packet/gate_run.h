/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mg_xdp with policies: frames that come in on px0, its tables and charges those of admit_run.
 * Failures end the test.
 */
#ifndef MG_TESTS_GATE_RUN_H
#define MG_TESTS_GATE_RUN_H

#include "abi/hold.h"
#include "abi/steer.h"
#include "abi/verdict.h"
#include "admit_run.h"
#include "packet.h"
#include "skel/xdp.skel.h"
#include "sys/dp_maps.h"

/* Who asks, a converter of this host (port 5124), an address of it for joins only (port 5125), a
 * server beyond px1 (port 443), whom a Convert message names (port 80) */
#define UE4	   "10.1.0.1"
#define UE6	   "fd00:1::1"
#define CONVERTER4 "10.3.0.2"
#define CONVERTER6 "fd00:3::2"
#define SIGNAL4	   "10.3.1.2"
#define SIGNAL6	   "fd00:4::2"
#define FAR4	   "10.3.1.9"
#define FAR6	   "fd00:4::9"
#define PEER4	   "10.4.0.2"

#define GATE_TOKEN 0x01020304
#define GATE_ISN   1000000

struct gate_run {
	struct admit_run admit;
	struct mg_xdp_bpf *side[2]; /* enum mg_side */
	struct mg_dp_maps maps;
};

/* SYNs: to the converter with a message, and without; to the server; a join of GATE_TOKEN */
enum gate_syn_kind { CONVERT_SYN, PLAIN_SYN, SERVER_SYN, JOIN_SYN, KINDS };
struct frame gate_syn(enum gate_syn_kind kind, bool v6);
/* A session of that token */
void gate_open_session(struct gate_run *r, const char *client, const char *server);

/* What became of a frame */
struct gate_said {
	int action, class, verdict, reason;
	size_t len;
	uint8_t bytes[FRAME_MAX];
};

/* Enters the lab, which forwards from px0 to px1. */
int gate_run_open(struct gate_run *r);
void gate_run_close(struct gate_run *r);
/* No policies; nothing is charged or held; all ports are taken over, by a worker that lives. */
void gate_run_reset(struct gate_run *r);
void gate_run_want(struct gate_run *r, enum mg_mode mode);

/* Exactly one count in each list is asserted. */
const struct gate_said *gate_run_bytes(struct gate_run *r, enum mg_side side, const uint8_t *frame,
				       size_t len);
const struct gate_said *gate_run_frame(struct gate_run *r, enum mg_side side,
				       const struct frame *f);
/* It passes as it came, but for its window; it is dropped for that reason, and counted so for the
 * subscriber. */
void gate_expect_pass(struct gate_run *r, const struct frame *f);
void gate_expect_drop(struct gate_run *r, const struct frame *f, enum mg_refusal refusal);
/* It is answered with a RST that is right to the last byte; tcprst 0: without MP_TCPRST, else its
 * last two bytes. */
void gate_expect_reset(struct gate_run *r, const struct frame *f, enum mg_refusal refusal,
		       uint16_t tcprst);
/* Is `out` that answer to the frame? */
void gate_assert_reset(const uint8_t *out, size_t out_len, const uint8_t *frame, uint16_t tcprst);

/* The keys that cookies are checked with: epoch 7, and 6 before it. */
void gate_put_cookie_keys(struct gate_run *r);
/* A cookie of that epoch */
void gate_cookie(uint8_t cookie[12], const char *client, uint32_t epoch);

#endif
