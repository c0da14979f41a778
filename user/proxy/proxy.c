// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "proxy/spread.h"

int mg_proxy_start(struct mg_proxy *p, struct mg_dp *dp, unsigned int n_workers,
		   const struct mg_policy *policy)
{
	uint64_t seed;
	int err;

	*p = (struct mg_proxy){ .dp = dp,
				.holder = dp ? mg_dp_holder(dp) : NULL,
				.admission = dp ? mg_dp_admission(dp) : NULL };
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -errno;
	err = mg_pending_init(&p->pending, seed);
	if (err)
		return err;
	mg_offers_init(&p->offers);
	mg_again_init(&p->again);
	mg_via_memory_init(&p->via);
	mg_reserve_init(&p->reserve);
	if (dp)
		mg_prio_open(&p->prio);
	mg_prio_manage(&p->prio, mg_spread_needs_prio(policy->config));
	err = mg_servers_init(&p->servers);
	if (!err)
		err = mg_sharing_init(&p->sharing);
	if (!err)
		err = mg_sessionlog_open(&p->log, n_workers);
	if (!err)
		err = mg_sessionlog_set(p->log, &policy->config->policies.sharing);
	if (!err)
		p->workers = calloc(n_workers, sizeof(*p->workers));
	if (!p->workers) {
		mg_proxy_stop(p);
		return err ? err : -ENOMEM;
	}
	/* Ids are dealt out in turn, so the number has to be known to the first worker. */
	p->n_workers = n_workers;
	for (unsigned int i = 0; i < n_workers; i++) {
		p->workers[i].policy = policy;
		err = mg_worker_start(&p->workers[i], p, i);
		if (err) {
			mg_error("worker %u: cannot start: %s", i, strerror(-err));
			p->n_workers = i;
			mg_proxy_stop(p);
			return err;
		}
	}
	return 0;
}

void mg_proxy_stop(struct mg_proxy *p)
{
	for (unsigned int i = 0; i < p->n_workers; i++)
		mg_worker_stop(&p->workers[i]);
	mg_prio_close(&p->prio);
	free(p->workers);
	p->workers = NULL;
	p->n_workers = 0;
	mg_sessionlog_close(p->log);
	p->log = NULL;
	mg_sharing_free(&p->sharing);
	mg_reserve_free(&p->reserve);
	mg_servers_free(&p->servers);
	mg_pending_free(&p->pending);
}

struct policy_call {
	struct mg_worker *w;
	const struct mg_policy *policy;
};

static void set_policy(void *arg)
{
	struct policy_call *c = arg;
	bool reloaded = c->w->policy->config != c->policy->config;
	struct mg_list *node;

	c->w->policy = c->policy;
	if (!reloaded)
		return;
	mg_list_for_each (node, &c->w->sessions)
		mg_session_reloaded(mg_container_of(node, struct mg_session, node));
}

void mg_proxy_set_policy(struct mg_proxy *p, const struct mg_policy *policy)
{
	mg_prio_manage(&p->prio, mg_spread_needs_prio(policy->config));
	for (unsigned int i = 0; i < p->n_workers; i++) {
		struct policy_call c = { .w = &p->workers[i], .policy = policy };

		mg_loop_call(&c.w->loop, set_policy, &c);
	}
}

struct stats_call {
	struct mg_worker *w;
	struct mg_stats *sum;
};

static void add_stats(void *arg)
{
	struct stats_call *c = arg;

	mg_stats_add(c->sum, &c->w->stats);
}

void mg_proxy_stats(struct mg_proxy *p, struct mg_stats *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < p->n_workers; i++) {
		struct stats_call c = { .w = &p->workers[i], .sum = sum };

		mg_loop_call(&c.w->loop, add_stats, &c);
	}
}

struct rows_call {
	struct mg_worker *w;
	struct mg_session_row *rows;
	size_t n;
	int err;
};

static void describe_all(void *arg)
{
	struct rows_call *c = arg;
	size_t room = c->n + c->w->stats.active;
	struct mg_session_row *rows = realloc(c->rows, (room ? room : 1) * sizeof(*rows));
	struct mg_list *node;

	if (!rows) {
		c->err = -ENOMEM;
		return;
	}
	c->rows = rows;
	mg_list_for_each (node, &c->w->sessions)
		mg_session_describe(mg_container_of(node, struct mg_session, node), &rows[c->n++]);
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct mg_session_row *)a)->id;
	uint64_t y = ((const struct mg_session_row *)b)->id;

	return x < y ? -1 : x > y;
}

long mg_proxy_sessions(struct mg_proxy *p, struct mg_session_row **rows)
{
	struct rows_call c = { 0 };

	for (unsigned int i = 0; i < p->n_workers && !c.err; i++) {
		c.w = &p->workers[i];
		mg_loop_call(&c.w->loop, describe_all, &c);
	}
	if (c.err) {
		free(c.rows);
		return c.err;
	}
	if (c.n)
		qsort(c.rows, c.n, sizeof(*c.rows), by_id);
	*rows = c.rows;
	return (long)c.n;
}

struct one_call {
	struct mg_worker *w;
	uint64_t id;
	struct mg_session_row *row; /* NULL: close it */
	int err;
};

static void do_one(void *arg)
{
	struct one_call *c = arg;
	struct mg_list *node;

	c->err = -ENOENT;
	mg_list_for_each (node, &c->w->sessions) {
		struct mg_session *s = mg_container_of(node, struct mg_session, node);

		if (s->id != c->id)
			continue;
		if (c->row)
			mg_session_describe(s, c->row);
		else
			mg_session_close(s, MG_CLOSE_OPERATOR);
		c->err = 0;
		return;
	}
}

int mg_proxy_session(struct mg_proxy *p, uint64_t id, struct mg_session_row *row)
{
	struct one_call c = { .id = id, .row = row };

	if (id == 0)
		return -ENOENT;
	c.w = &p->workers[(id - 1) % p->n_workers];
	mg_loop_call(&c.w->loop, do_one, &c);
	return c.err;
}

int mg_proxy_close_session(struct mg_proxy *p, uint64_t id)
{
	return mg_proxy_session(p, id, NULL);
}
