/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the control protocol tells, as JSON. New references, NULL without memory. The shapes are
 * those of mpgatectl(8).
 */
#ifndef MG_DAEMON_REPORT_H
#define MG_DAEMON_REPORT_H

#include <jansson.h>

#include "daemon/daemon.h"
#include "wire/control.h"

json_t *mg_report_status(struct mg_daemon *d);
json_t *mg_report_sessions(struct mg_daemon *d);
/* NULL with *err = -ENOENT for an unknown id. */
json_t *mg_report_session(struct mg_daemon *d, uint64_t id, int *err);
json_t *mg_report_servers(struct mg_daemon *d);
json_t *mg_report_counters(struct mg_daemon *d);
/* report_hold.c: the part of status and counters that is about what passes through. */
void mg_report_on_path(struct mg_daemon *d, json_t *status);
void mg_report_hold_counters(struct mg_daemon *d, const struct mg_stats *stats, json_t *counters);
/* Forgets what is known of a server, or (NULL) of all. 0, -ENOENT, or -errno. */
int mg_daemon_forget(struct mg_daemon *d, const struct mg_ep *server);
/* report_steer.c: the same about gateways and proxies. */
void mg_report_gateway(struct mg_daemon *d, json_t *status);
void mg_report_steer_counters(struct mg_daemon *d, json_t *report);
json_t *mg_report_proxies(struct mg_daemon *d);
/* NULL with *err: -ENOENT, no such group; -E2BIG, too many tokens to list; those of
 * mg_steer_locate, -ENODEV also where nothing is steered. `one` NULL: all tokens. */
json_t *mg_report_ring(struct mg_daemon *d, const char *group, int *err);
json_t *mg_report_tokens(struct mg_daemon *d, const uint32_t *one, int *err);
json_t *mg_report_locate(struct mg_daemon *d, const struct mg_control_request *req, int *err);
/* report_sharing.c: of shared addresses, what found no port, PROXY headers, the log. */
void mg_report_sharing_counters(struct mg_daemon *d, const struct mg_stats *stats,
				json_t *counters);
/* report_policies.c: in order of precedence, each as `policy set` takes it. */
json_t *mg_report_policies(struct mg_daemon *d);
/* The running configuration as YAML, a string. */
json_t *mg_report_config(struct mg_daemon *d);

#endif
