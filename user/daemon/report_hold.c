// SPDX-License-Identifier: BSD-2-Clause
/* What is told of held SYNs, and of the servers that are known. */
#include "daemon/report.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/put.h"
#include "sys/hold.h"

static const char *const mode_names[] = {
	[MG_MODE_OFF] = "off",
	[MG_MODE_TAKE_OVER] = "take-over",
	[MG_MODE_TRANSPARENT] = "transparent",
	[MG_MODE_HYBRID] = "hybrid",
};

static json_t *kinds(const struct mg_config *c)
{
	json_t *all = json_array();

	if (c->intercept.mode != MG_MODE_OFF)
		json_array_append_new(all, json_string("intercept"));
	if (c->converter.reply == MG_REPLY_AFTER_CONNECT && c->converter.n_listen)
		json_array_append_new(all, json_string("convert"));
	if (c->cpe.n_lan)
		json_array_append_new(all, json_string("cpe"));
	return all;
}

/* The worker that was silent for longest speaks for all: its share of SYNs is not held. */
static json_t *hold(struct mg_daemon *d, const struct mg_holder *h)
{
	uint64_t age_ms, oldest_ms = 0;
	json_t *o = json_object();

	for (unsigned int w = 0; w < d->proxy.n_workers; w++) {
		age_ms = mg_hold_beat_age_ms(h, w);
		if (age_ms > oldest_ms)
			oldest_ms = age_ms;
	}
	json_object_set_new(o, "kinds", kinds(d->config));
	put_bool(o, "alive", oldest_ms <= d->config->intercept.stale_ms);
	if (oldest_ms == UINT64_MAX)
		json_object_set_new(o, "beat_age_ms", json_null());
	else
		put_number(o, "beat_age_ms", oldest_ms);
	put_number(o, "stale_ms", d->config->intercept.stale_ms);
	return o;
}

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
	const struct mg_holder *h = mg_dp_holder(d->dp);
	json_t *intercept = json_object();

	put_text(intercept, "mode", mode_names[d->config->intercept.mode]);
	json_object_set_new(status, "intercept", intercept);
	json_object_set_new(status, "cpe", cpe(&d->config->cpe));
	json_object_set_new(status, "hold", h ? hold(d, h) : json_null());
}

/* What is over is known no more, though the kernel may keep it for a while. */
static long known(struct mg_daemon *d, struct mg_server_row **rows)
{
	struct mg_holder *h = mg_dp_holder(d->dp);
	long n, kept = 0;

	*rows = NULL;
	n = h ? mg_hold_servers(h, rows) : 0;
	for (long i = 0; i < n; i++) {
		if ((*rows)[i].expires_ms)
			(*rows)[kept++] = (*rows)[i];
	}
	return n < 0 ? n : kept;
}

json_t *mg_report_servers(struct mg_daemon *d)
{
	struct mg_server_row *rows;
	long n = known(d, &rows);
	json_t *all;

	if (n < 0)
		return NULL;
	all = json_array();
	for (long i = 0; i < n; i++) {
		json_t *o = json_object();

		put_ep(o, "server", &rows[i].server);
		put_bool(o, "mptcp", rows[i].mptcp);
		put_number(o, "expires_s", (rows[i].expires_ms + 999) / 1000);
		put_text(o, "source", rows[i].source == MG_SERVER_PROBE ? "probe" : "passive");
		json_array_append_new(all, o);
	}
	free(rows);
	return all;
}

int mg_daemon_forget(struct mg_daemon *d, const struct mg_ep *server)
{
	struct mg_holder *h = mg_dp_holder(d->dp);

	/* The workers' own fresh verdicts first, or they might be told to the kernel after it. */
	if (d->proxy_running)
		mg_servers_forget(&d->proxy.servers, server);
	if (!h)
		return server ? -ENOENT : 0;
	return server ? mg_hold_forget(h, server) : mg_hold_forget_all(h);
}

void mg_report_hold_counters(struct mg_daemon *d, const struct mg_stats *stats, json_t *counters)
{
	json_t *o = json_object(), *servers = json_object();
	struct mg_holder *h = mg_dp_holder(d->dp);
	struct mg_hold_counters kernel = { 0 };
	struct mg_server_row *rows;
	long n;

	if (h)
		mg_hold_counters_read(h, &kernel);
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
	n = known(d, &rows);
	put_number(servers, "known", n > 0 ? (uint64_t)n : 0);
	put_number(servers, "probes", stats->probes);
	put_number(servers, "passes", kernel.passes);
	put_number(servers, "learned", kernel.learned);
	put_number(servers, "forgotten", kernel.forgotten);
	json_object_set_new(counters, "servers", servers);
	free(rows);
}
