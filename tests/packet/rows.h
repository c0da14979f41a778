/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packet table: a frame, and what the data plane has to say about it.
 */
#ifndef MG_TESTS_ROWS_H
#define MG_TESTS_ROWS_H

#include "abi/verdict.h"
#include "packet.h"

#define N_ROWS_MAX 512

struct row {
	const char *name;
	enum mg_class class;
	enum mg_reason reason;
	struct frame frame;
};

extern const struct row rows[];
extern const size_t n_rows;

/* TCP options, and the message that connects to 10.4.0.2:80 */
#define MPC_V1	   30, 4, 0x01, 0x01
#define MPC_V0	   30, 12, 0x00, 0x81, 1, 2, 3, 4, 5, 6, 7, 8
#define JOIN	   30, 12, 0x10, 2, 0xe3, 0x88, 0x1c, 0x92, 9, 9, 9, 9
#define MSS	   2, 4, 5, 0xb4
#define SACK_OK	   4, 2
#define TIMESTAMPS 8, 10, 1, 2, 3, 4, 0, 0, 0, 0
#define WSCALE	   3, 3, 7
#define NOP	   1
#define EOL	   0
#define LINUX_SYN  MSS, SACK_OK, TIMESTAMPS, NOP, WSCALE

#define CONNECT 0x0a, 5, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 4, 0, 2
#define CONVERT 1, 6, 0x22, 0x63, CONNECT

#define EXT8(k)                       \
	{                             \
		.kind = (k), .len = 8 \
	}

#endif
