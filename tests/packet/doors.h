/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The questions that doors.bpf.c is asked.
 */
#ifndef MG_TESTS_DOORS_H
#define MG_TESTS_DOORS_H

#include "abi/policy.h"

#define MG_SAID 0x1000 /* added to what a room says, which may be negative */

struct mg_question {
	struct mg_tuple tuple;
	__u32 ifindex;
	__u32 flags;
	__u32 token;
	__u8 cookie[12];
	__u8 by_interface, drop_transit, refuse_join, pad;
};
MG_ABI_SIZE(struct mg_question, 68);

#endif
