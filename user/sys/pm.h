/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's MPTCP path-manager events (generic netlink "mptcp_pm", group "mptcp_pm_events"):
 * sessions and subflows of this network namespace, as they come and go.
 */
#ifndef MG_SYS_PM_H
#define MG_SYS_PM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct mg_pm;

enum mg_pm_kind {
	MG_PM_CREATED,
	MG_PM_ESTABLISHED, /* the peer may be told of addresses */
	MG_PM_CLOSED,
	MG_PM_SUBFLOW_UP,
	MG_PM_SUBFLOW_DOWN,
	MG_PM_SUBFLOW_PRIORITY,
	MG_PM_LOST, /* events were lost; what is known may be stale */
};

struct mg_pm_event {
	enum mg_pm_kind kind;
	uint32_t token; /* ours, as on the wire in the peer's MP_JOIN */
	struct mg_ep local, remote;
	bool backup;
	bool server_side; /* CREATED only */
};

/* 0, -ENOENT on kernels without it, or -errno. */
int mg_pm_open(struct mg_pm **out);
void mg_pm_close(struct mg_pm *pm);
int mg_pm_fd(const struct mg_pm *pm);
/* Hands every event that is waiting to fn. */
void mg_pm_read(struct mg_pm *pm, void (*fn)(void *ctx, const struct mg_pm_event *ev), void *ctx);

#endif
