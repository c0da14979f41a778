/* SPDX-License-Identifier: BSD-2-Clause */
/* mpgate-run --quota: what the converter lets us use. */
#ifndef MG_CLIENT_RUN_QUOTA_H
#define MG_CLIENT_RUN_QUOTA_H

#include <stdbool.h>

struct run_quota {
	bool wanted;
	bool json;
	int reserve; /* -1: only ask */
	int seconds; /* -1: not given */
};

/* Asks the converter of the environment, prints, and returns an exit status. */
int run_quota(const struct run_quota *how);

#endif
