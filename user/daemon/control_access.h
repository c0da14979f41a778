/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is where: asked, set and forgotten over the control socket, and what is counted of it. */
#ifndef MG_DAEMON_CONTROL_ACCESS_H
#define MG_DAEMON_CONTROL_ACCESS_H

#include <jansson.h>

#include "daemon/daemon.h"
#include "wire/control.h"

/* A line to send, for free(); NULL without memory. */
char *mg_control_access(struct mg_daemon *d, const struct mg_control_request *req);
/* `radius` of counters */
void mg_report_access_counters(const struct mg_daemon *d, json_t *counters);

#endif
