// SPDX-License-Identifier: BSD-2-Clause
/* What is told of held SYNs, and of the servers that are known. */
#include "daemon/report.h"

#include <errno.h>

#include "daemon/put.h"
#include "sys/hold.h"

static const char *const mode_names[] = {
	[MG_MODE_OFF] = "off",
	[MG_MODE_TAKE_OVER] = "take-over",
	[MG_MODE_TRANSPARENT] = "transparent",
	[MG_MODE_HYBRID] = "hybrid",
};

static json_t *cpe(const struct mg_config_cpe *c)
{
	json_t *o = json_object(), *lan = json_array();

	if (!c->n_lan) {
		json_decref(o);
		json_decref(lan);
		return json_null();
	}
	for (size_t i = 0; i < c->n_lan; i++)
		json_array_append_new(lan, json_string(c->lan[i]));
	json_object_set_new(o, "lan", lan);
	if (c->has_converter)
		put_ep(o, "converter", &c->converter);
	else
		json_object_set_new(o, "converter", json_null());
	return o;
}

void mg_report_on_path(struct mg_daemon *d, json_t *status)
{
	json_t *intercept = json_object();

	put_text(intercept, "mode", mode_names[d->config->intercept.mode]);
	json_object_set_new(status, "intercept", intercept);
	json_object_set_new(status, "cpe", cpe(&d->config->cpe));
	json_object_set_new(status, "hold", json_null());
}

json_t *mg_report_servers(struct mg_daemon *d)
{
	(void)d;
	return json_array();
}

int mg_daemon_forget(struct mg_daemon *d, const struct mg_ep *server)
{
	(void)d;
	return server ? -ENOENT : 0;
}

void mg_report_hold_counters(struct mg_daemon *d, const struct mg_stats *stats, json_t *counters)
{
	json_t *o = json_object(), *servers = json_object();
	struct mg_hold_counters kernel = { 0 };

	(void)d;
	put_number(o, "held", kernel.held);
	put_number(o, "replayed", stats->hold_replayed);
	put_number(o, "passed", stats->hold_passed);
	put_number(o, "refused", stats->hold_refused);
	put_number(o, "timed_out", stats->hold_timed_out);
	put_number(o, "overflow", kernel.overflow);
	put_number(o, "gave_up", stats->hold_gave_up);
	put_number(o, "repeated", kernel.repeated);
	put_number(o, "unattended", kernel.unattended);
	put_number(o, "protected", kernel.protected);
	put_number(o, "joins", kernel.joins);
	put_number(o, "lost", kernel.lost);
	json_object_set_new(counters, "hold", o);
	put_number(servers, "known", 0);
	put_number(servers, "probes", stats->probes);
	put_number(servers, "passes", kernel.passes);
	put_number(servers, "learned", kernel.learned);
	put_number(servers, "forgotten", kernel.forgotten);
	json_object_set_new(counters, "servers", servers);
}
