/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From where this host's own MPTCP connections make further subflows: the kernel path manager's
 * `subflow` endpoints, one for each global address of the access interfaces. Those with the ids
 * MG_ENDPOINT_ID and up are ours, whoever left them, but for those of sys/announce.h; the
 * operator's are kept, and not doubled.
 */
#ifndef MG_SYS_SUBFLOWS_H
#define MG_SYS_SUBFLOWS_H

#include "config/config.h"

#define MG_SUBFLOWS_ID	    200
#define MG_SUBFLOWS_ID_LAST 239 /* further ones: sys/announce.h */

struct mg_subflows;

/* 0, -ENOENT on kernels without a path manager, or -errno; logged. Needs CAP_NET_ADMIN, as the
 * others do. */
int mg_subflows_open(struct mg_subflows **out, const struct mg_config *cfg);
/* Addresses may have changed: the endpoints follow. */
void mg_subflows_look(struct mg_subflows *s);
/* Removes ours. The kernel's limits stay where they were raised to. NULL is allowed. */
void mg_subflows_close(struct mg_subflows *s);

#endif
