// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/daemon.h"
#include "daemon/put.h"
#include "daemon/report.h"

void mg_report_sharing_counters(struct mg_daemon *d, const struct mg_stats *stats, json_t *counters)
{
	json_t *sharing = json_object();
	struct mg_sessionlog_stats log;

	mg_sessionlog_stats(d->proxy.log, &log);
	put_number(sharing, "no_ports", stats->no_ports);
	put_number(sharing, "proxy_headers", stats->proxy_headers);
	put_number(sharing, "proxy_header_bytes", stats->header_bytes);
	put_number(sharing, "log_lines", log.lines);
	put_number(sharing, "log_dropped", log.dropped);
	put_number(sharing, "log_errors", log.errors);
	json_object_set_new(counters, "sharing", sharing);
}
