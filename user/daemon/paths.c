// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "sys/admission.h"

#define SWEEP_MS 1000

/* At one of our listeners: a converter's, or one that takes what is addressed to somebody else. */
static bool ours(void *ctx, const struct mg_ep *local)
{
	const struct mg_daemon *d = ctx;
	const struct mg_config_converter *c = &d->config->converter;

	if (d->config->intercept.mode != MG_MODE_OFF && d->policy &&
	    !mg_policy_is_own(d->policy, &local->ip))
		return true;
	for (size_t i = 0; i < c->n_listen; i++) {
		if (mg_ep_equal(&c->listen[i], local))
			return true;
	}
	return false;
}

/* ---- after events were lost -------------------------------------------------------------------
 */

struct path {
	struct mg_ep local, remote;
};

struct paths {
	struct mg_admission *admission;
	struct path *list; /* sorted */
	size_t n;
};

static int compare_eps(const struct mg_ep *a, const struct mg_ep *b)
{
	int order = memcmp(&a->ip, &b->ip, sizeof(a->ip));

	return order ? order : (int)a->port - (int)b->port;
}

static int compare(const void *a, const void *b)
{
	const struct path *x = a, *y = b;
	int order = compare_eps(&x->remote, &y->remote);

	return order ? order : compare_eps(&x->local, &y->local);
}

static bool has(const struct paths *p, const struct mg_ep *local, const struct mg_ep *remote)
{
	const struct path key = { *local, *remote };

	return p->n && bsearch(&key, p->list, p->n, sizeof(key), compare);
}

static void part_if_gone(void *ctx, uint32_t token, const struct mg_ep *local,
			 const struct mg_ep *remote)
{
	const struct paths *p = ctx;

	(void)token;
	if (!has(p, local, remote))
		mg_admission_parted(p->admission, local, remote);
}

static int collect(struct paths *p, const struct mg_session_row *rows, size_t n)
{
	p->list = calloc(n * MG_MPTCP_SUBFLOWS_MAX + 1, sizeof(*p->list));
	if (!p->list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		for (int k = 0; k < rows[i].n_subflows; k++)
			p->list[p->n++] = (struct path){ rows[i].subflows[k].local,
							 rows[i].subflows[k].remote };
	}
	qsort(p->list, p->n, sizeof(*p->list), compare);
	return 0;
}

static const struct mg_ep *first_local(const struct mg_session_row *row)
{
	return row->kind == MG_HOLD_CONVERT ? &row->converter : &row->server;
}

/* The first subflow did not join, and stays in the kernel's list, without a port, when it is over.
 */
static void count_anew(struct mg_daemon *d, const struct paths *p, const struct mg_session_row *row)
{
	const struct mg_ep *local = first_local(row);

	mg_tokens_created(&d->tokens, row->counted_token);
	if (!has(p, local, &row->client))
		mg_admission_parted(p->admission, local, &row->client);
	for (int i = 0; i < row->n_subflows; i++) {
		const struct mg_mptcp_subflow *sub = &row->subflows[i];

		if (!sub->remote.port || mg_ep_equal(&sub->remote, &row->client))
			continue;
		if (mg_admit_subflow(p->admission, row->counted_token, &sub->local, &sub->remote))
			mg_tokens_joined(&d->tokens, row->counted_token, &sub->local, &sub->remote);
	}
}

static void reconcile(struct mg_daemon *d)
{
	const struct mg_pm_event lost = { .kind = MG_PM_LOST };
	struct paths p = { .admission = d->proxy.admission };
	struct mg_session_row *rows = NULL;
	long n = p.admission ? mg_proxy_sessions(&d->proxy, &rows) : 0;

	if (p.admission && (n < 0 || collect(&p, rows, (size_t)n))) {
		mg_error("path events were lost, and there is no memory to count subflows anew");
		n = 0;
	} else if (p.admission) {
		mg_tokens_each(&d->tokens, part_if_gone, &p);
	}
	mg_tokens_event(&d->tokens, &lost, ours, d);
	for (long i = 0; i < n; i++) {
		if (rows[i].counted_token)
			count_anew(d, &p, &rows[i]);
	}
	free(p.list);
	free(rows);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void charge(struct mg_daemon *d, const struct mg_pm_event *ev)
{
	if (ev->kind == MG_PM_SUBFLOW_UP)
		mg_admit_subflow(d->proxy.admission, ev->token, &ev->local, &ev->remote);
	else if (ev->kind == MG_PM_SUBFLOW_DOWN)
		mg_admission_parted(d->proxy.admission, &ev->local, &ev->remote);
}

/* What the kernel's path manager does for its own sessions: each hears where to join. */
static void announce(struct mg_daemon *d, const struct mg_pm_event *ev)
{
	struct mg_pm_endpoint list[MG_ANNOUNCE_MAX + 2];
	size_t n = d->proxy.prio.on ? mg_announce_list(&d->announce, list) : 0;

	for (size_t i = 0; i < n; i++)
		mg_prio_announce(&d->proxy.prio, ev->token, list[i].id, &list[i].ep, false);
}

static void path_event(void *ctx, const struct mg_pm_event *ev)
{
	struct mg_daemon *d = ctx;

	if (ev->kind == MG_PM_LOST) {
		mg_warn("path events were lost: backup flags are unknown until they change");
		d->paths_lost = true;
	} else {
		if (ev->kind == MG_PM_SUBFLOW_UP)
			mg_prio_joined(&d->proxy.prio, ev->token, &ev->local, &ev->remote);
		if (d->proxy.admission)
			charge(d, ev);
		if (ev->kind == MG_PM_ESTABLISHED && (ev->server_side || ours(d, &ev->local)))
			announce(d, ev);
		mg_tokens_event(&d->tokens, ev, ours, d);
	}
	mg_publish_event(d->publish, ev,
			 ev->kind == MG_PM_CREATED && (ev->server_side || ours(d, &ev->local)));
}

static void pm_ready(struct mg_io *io, uint32_t events)
{
	struct mg_daemon *d = mg_container_of(io, struct mg_daemon, pm_io);

	(void)events;
	mg_pm_read(d->pm, path_event, d);
	/* With what came since read as well, and however often it happened: once. */
	if (d->paths_lost)
		reconcile(d);
	d->paths_lost = false;
}

static void sweep(struct mg_timer *t)
{
	struct mg_daemon *d = mg_container_of(t, struct mg_daemon, sweep_timer);

	mg_admission_sweep(mg_dp_admission(d->dp));
	mg_reserve_expire(&d->proxy.reserve, mg_dp_admission(d->dp), mg_clock_ms());
	mg_timer_arm(&d->loop.timers, t, mg_clock_ms() + SWEEP_MS);
}

int mg_paths_open(struct mg_daemon *d)
{
	int err = mg_tokens_init(&d->tokens);

	d->sweep_timer.fire = sweep;
	if (!err)
		err = mg_timer_arm(&d->loop.timers, &d->sweep_timer, mg_clock_ms() + SWEEP_MS);
	if (err)
		return err;
	err = mg_pm_open(&d->pm);
	d->features.have[MG_FEATURE_PATH_EVENTS] = !err;
	if (err)
		return 0;
	d->pm_io = (struct mg_io){ .fd = mg_pm_fd(d->pm), .ready = pm_ready };
	return mg_loop_add(&d->loop, &d->pm_io, EPOLLIN);
}

void mg_paths_close(struct mg_daemon *d)
{
	mg_pm_close(d->pm);
	mg_tokens_free(&d->tokens);
}
