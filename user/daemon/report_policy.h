/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control protocol tells about policies and limits, as report.h; beside it for its length.
 */
#ifndef MG_DAEMON_REPORT_POLICY_H
#define MG_DAEMON_REPORT_POLICY_H

#include "daemon/report.h"

/* Of one subscriber, if `subscriber` is not ""; an address stands for whoever it belongs to. NULL
 * with *err: -EINVAL, it is nobody's name; -E2BIG, too many to list; -errno. */
json_t *mg_report_limits(struct mg_daemon *d, const char *subscriber, int *err);
/* NULL with *err: -ENODEV, no such interface; -errno. */
json_t *mg_report_policy_test(struct mg_daemon *d, const struct mg_control_request *req, int *err);
json_t *mg_report_cookie(struct mg_daemon *d, const struct in6_addr *client);
/* `admit` of the counters */
void mg_report_admit_counters(struct mg_daemon *d, json_t *counters);

#endif
