/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP program loaded for BPF_PROG_TEST_RUN, attached to nothing, and the counters it moves.
 */
#ifndef MG_TESTS_XDP_RUN_H
#define MG_TESTS_XDP_RUN_H

#include "sys/dp_maps.h"
#include "skel/xdp.skel.h"

struct xdp_run {
	struct mg_xdp_bpf *skel;
	struct mg_dp_maps maps;
};

/* 0 or -errno */
int xdp_run_open(struct xdp_run *r);
void xdp_run_close(struct xdp_run *r);

/* The program's answer (XDP_PASS…) to a frame, or -errno; out gets the frame as it came out. */
int xdp_run_frame(const struct xdp_run *r, const void *frame, size_t len, void *out,
		  size_t *out_len);

/* What one list counted between two readings: the entry that grew by 1, or -1 if it was not
 * exactly one. */
int xdp_run_moved(const uint64_t *before, const uint64_t *after, size_t n);

#endif
