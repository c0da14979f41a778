/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From where this host's own MPTCP connections make further subflows: the kernel path manager's
 * `subflow` endpoints, one for each global address of the access interfaces. Those with the ids
 * MG_ENDPOINT_ID and up are ours, whoever left them; the operator's are kept, and not doubled.
 */
#ifndef MG_SYS_ENDPOINTS_H
#define MG_SYS_ENDPOINTS_H

#include "config/config.h"

#define MG_ENDPOINT_ID 200

struct mg_endpoints;

/* 0, -ENOENT on kernels without a path manager, or -errno; logged. Needs CAP_NET_ADMIN, as the
 * others do. */
int mg_endpoints_open(struct mg_endpoints **out, const struct mg_config *cfg);
/* Addresses may have changed: the endpoints follow. */
void mg_endpoints_look(struct mg_endpoints *e);
/* Removes ours. The kernel's limits stay where they were raised to. NULL is allowed. */
void mg_endpoints_close(struct mg_endpoints *e);

#endif
