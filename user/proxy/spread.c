// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/spread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "proxy/modes.h"
#include "proxy/proxy.h"
#include "proxy/split.h"
#include "proxy/subflows.h"
#include "sys/prio.h"

/* Between two looks while data moves; what is quick is looked at after so many bytes. */
#define LOOK_MS	      50
#define YOUNG_MS      500 /* and in the beginning, when subflows join, */
#define YOUNG_LOOK_MS 5
#define LOOK_BYTES    (4u << 20)
#define LOOK_LEAST_MS 3
#define REST_MS	      1000     /* nothing moved for so long: no more looks */
#define WAITING_S     0.02     /* of what all do: so much in queues is no chance */
#define BURST_BYTES   131072.0 /* the kernel gives a subflow up to half of it at once */
#define BUFFER_S      0.15
#define BUFFER_LEAST  524288.0
#define BUFFER_MOST   16777216.0
#define SLOWLY	      32768 /* bytes a second, where a backup cannot be asked for */

_Static_assert(MG_SPLIT_PATHS_MAX == MG_MODES_PATHS_MAX, "both see the same paths");

struct mg_spread {
	struct mg_session *session;
	struct mg_timer timer;
	enum mg_steering steering;
	struct mg_subflows_now subflows;
	struct mg_split split;
	struct mg_modes modes;
	bool has_split;
	uint32_t token;
	struct mg_prio_waiting waiting;
	bool announced;
	uint64_t began_ms, looked_ms, looked_bytes, moved_ms;
	double buffer;
};

static struct mg_prio *prio(const struct mg_session *s)
{
	return &s->worker->proxy->prio;
}

static bool steers_by_prio(enum mg_steering steering)
{
	return steering == MG_STEERING_ACTIVE_STANDBY || steering == MG_STEERING_SMALLEST_DELAY ||
	       steering == MG_STEERING_PRIORITY;
}

static bool asks(const struct mg_config_policy *p)
{
	return steers_by_prio(p->steering) || p->n_split > 0;
}

bool mg_spread_needs_prio(const struct mg_config *c)
{
	bool needs = steers_by_prio(c->policies.fallback.steering);

	for (size_t i = 0; i < c->policies.n_policies && !needs; i++)
		needs = steers_by_prio(c->policies.policies[i].steering);
	/* There the kernel's path manager makes subflows. */
	return needs && !c->cpe.n_lan;
}

/* ---- what the policy says of a path --------------------------------------------------------- */

static uint32_t weight_of(const struct mg_config_policy *p, size_t access)
{
	for (size_t i = 0; i < p->n_split; i++) {
		if (p->split[i].access == access)
			return p->split[i].percent;
	}
	return 0;
}

static uint32_t rank_of(const struct mg_config_policy *p, size_t access)
{
	for (size_t i = 0; i < p->n_order; i++) {
		if (p->order[i] == access)
			return (uint32_t)i;
	}
	return (uint32_t)p->n_order;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void ask(struct mg_spread *sp, struct mg_subflow_now *sub, bool backup)
{
	struct mg_prio *p = prio(sp->session);
	const struct mg_mptcp_subflow *ends = &sub->now.ends;
	int err;

	if (!sub->asked && mg_prio_was_asked(p, &sp->waiting, &ends->remote))
		sub->asked = sub->asked_backup = true;
	if (sub->asked ? sub->asked_backup == backup : !backup && !sp->waiting.listed)
		return;
	mg_prio_carries(p, &sp->waiting, &ends->remote, !backup);
	err = mg_prio_set(p, sp->token, &ends->local, &ends->remote, backup);
	if (err == -EOPNOTSUPP || err == -EPERM) {
		/* The nearest there is */
		if (backup)
			mg_subflows_pace(&sp->subflows, sub, SLOWLY);
		else if (sub->told)
			mg_subflows_pace(&sp->subflows, sub, UINT64_MAX);
		return;
	}
	if (err)
		return;
	sub->asked = true;
	sub->asked_backup = backup;
	/* The kernel keeps one flag for all at this address; the next to join is a backup again. */
	if (!backup && sp->waiting.listed)
		mg_prio_joins(p, sp->token, &ends->local, true);
}

/* Whoever is to carry data first: there has to be one at any time. */
static void ask_all(struct mg_spread *sp)
{
	for (int backup = 0; backup < 2; backup++) {
		for (unsigned int i = 0; i < sp->subflows.n; i++) {
			if (sp->modes.path[sp->subflows.sub[i].path].backup == backup)
				ask(sp, &sp->subflows.sub[i], backup);
		}
	}
}

/* ---- the laws -------------------------------------------------------------------------------- */

/* What waits for its path is in the session's buffer: bytes behind others that are late. */
static void fit_buffer(struct mg_spread *sp)
{
	double all = 0, least = 1, sum = 0, want;

	for (unsigned int i = 0; i < sp->split.n; i++) {
		all += sp->split.path[i].rate;
		sum += sp->split.path[i].weight;
	}
	for (unsigned int i = 0; i < sp->split.n && sum > 0; i++) {
		if (sp->split.path[i].weight && sp->split.path[i].weight / sum < least)
			least = sp->split.path[i].weight / sum;
	}
	want = 2 * (all * BUFFER_S + BURST_BYTES / least);
	want = want < BUFFER_LEAST ? BUFFER_LEAST : want > BUFFER_MOST ? BUFFER_MOST : want;
	if (want < sp->buffer * 1.25 && want > sp->buffer * 0.25)
		return;
	if (!mg_mptcp_set_send_buffer(sp->session->client.io.fd, (uint32_t)want))
		sp->buffer = want;
}

static bool is_waiting(const struct mg_spread *sp)
{
	const struct mg_session *s = sp->session;
	uint64_t waiting = sp->subflows.unsent_bytes;
	double all = 0;

	for (unsigned int i = 0; i < sp->split.n; i++)
		all += sp->split.path[i].rate;
	for (unsigned int i = 0; i < sp->subflows.n; i++)
		waiting += sp->subflows.sub[i].now.unsent_bytes;
	return (s->down.len && !s->client.writable) || (double)waiting > all * WAITING_S + 1;
}

static void tell_laws(struct mg_spread *sp)
{
	const struct mg_config_policy *policy = mg_session_policy(sp->session);

	sp->split.n = sp->modes.n = sp->subflows.n_paths;
	for (unsigned int i = 0; i < sp->subflows.n_paths; i++) {
		sp->split.path[i].weight = weight_of(policy, sp->subflows.access[i]);
		sp->split.path[i].usable = false;
		sp->modes.path[i].health = MG_HEALTH_SILENT;
		sp->split.path[i].held_bytes = 0;
		sp->modes.path[i].present = false;
		sp->modes.path[i].rank = rank_of(policy, sp->subflows.access[i]);
		sp->modes.path[i].rtt_us = UINT32_MAX;
	}
	for (unsigned int i = 0; i < sp->subflows.n; i++) {
		const struct mg_subflow_now *sub = &sp->subflows.sub[i];
		struct mg_split_path *p = &sp->split.path[sub->path];
		struct mg_modes_path *m = &sp->modes.path[sub->path];

		p->usable |= sub->health != MG_HEALTH_SILENT;
		p->sent_bytes += sub->now.sent_bytes - sub->now.resent_bytes - sub->last_sent;
		p->held_bytes += sub->now.held_bytes;
		m->present = true;
		if (sub->health > m->health)
			m->health = sub->health;
		if (sub->now.rtt_us < m->rtt_us)
			m->rtt_us = sub->now.rtt_us;
	}
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* What a client sends is of interest where it is told how to: by modes. */
static uint64_t moved_bytes(const struct mg_spread *sp)
{
	const struct mg_session *s = sp->session;

	return s->down.bytes + (steers_by_prio(sp->steering) ? s->up.bytes : 0);
}

static void look(struct mg_spread *sp)
{
	uint64_t us = now_us();
	bool waiting;

	sp->looked_ms = us / 1000;
	sp->looked_bytes = moved_bytes(sp);
	if (!mg_subflows_see(&sp->subflows, sp->looked_ms))
		return;
	tell_laws(sp);
	waiting = is_waiting(sp);
	mg_subflows_note_shares(&sp->subflows);
	/* Rates are of use to all modes; caps only where there is a ratio. */
	mg_split_look(&sp->split, us, waiting);
	mg_modes_look(&sp->modes, sp->looked_ms, waiting);
	if (sp->has_split)
		fit_buffer(sp);
	for (unsigned int i = 0; i < sp->subflows.n_paths && sp->has_split; i++)
		mg_subflows_pace_path(&sp->subflows, i, sp->split.path[i].cap);
	ask_all(sp);
}

/* ---- when ------------------------------------------------------------------------------------ */

static void rest(struct mg_spread *sp)
{
	mg_timer_disarm(&sp->session->worker->loop.timers, &sp->timer);
	mg_split_forget(&sp->split);
	if (sp->has_split)
		mg_subflows_pace_none(&sp->subflows);
}

static void look_again(struct mg_spread *sp, uint64_t now_ms)
{
	bool young = now_ms - sp->began_ms < YOUNG_MS;

	mg_timer_arm(&sp->session->worker->loop.timers, &sp->timer,
		     now_ms + (young ? YOUNG_LOOK_MS : LOOK_MS));
}

static void timer_fired(struct mg_timer *t)
{
	struct mg_spread *sp = mg_container_of(t, struct mg_spread, timer);
	uint64_t now_ms = sp->session->worker->loop.now_ms;

	if (moved_bytes(sp) != sp->looked_bytes)
		sp->moved_ms = now_ms;
	look(sp);
	if (mg_subflows_any_busy(&sp->subflows) || now_ms - sp->moved_ms < REST_MS)
		look_again(sp, now_ms);
	else
		rest(sp);
}

void mg_spread_moved(struct mg_session *s)
{
	struct mg_spread *sp = s->spread;
	uint64_t bytes = sp ? moved_bytes(sp) : 0;

	if (!sp || bytes == sp->looked_bytes)
		return;
	if (!mg_timer_armed(&sp->timer)) {
		sp->moved_ms = s->worker->loop.now_ms;
		look(sp);
		look_again(sp, sp->moved_ms);
	} else if (bytes - sp->looked_bytes >= LOOK_BYTES &&
		   now_us() / 1000 - sp->looked_ms >= LOOK_LEAST_MS) {
		sp->moved_ms = s->worker->loop.now_ms;
		look(sp);
	}
}

/* From the first join on they are backups. */
static void expect_joins(struct mg_spread *sp, bool backups)
{
	struct mg_session *s = sp->session;
	struct mg_prio *p = prio(s);
	struct mg_ep at;

	if (!backups) {
		mg_prio_wait_no_more(p, &sp->waiting);
		return;
	}
	if (!p->on || sp->waiting.listed || mg_sock_local(s->client.io.fd, &at))
		return;
	mg_prio_wait(p, &sp->waiting, sp->token);
	at.port = 0;
	if (!sp->announced)
		mg_prio_announce(p, sp->token, MG_PRIO_OWN_ID, &at, true);
	sp->announced = true;
	/* Announced by somebody else already, without the flag */
	mg_prio_joins(p, sp->token, &at, true);
}

static struct mg_spread *spread_new(struct mg_session *s)
{
	struct mg_mptcp_state m;
	struct mg_spread *sp;

	if (!s->mptcp || s->client.io.fd < 0 || mg_mptcp_read(s->client.io.fd, &m) || m.fallback)
		return NULL;
	sp = calloc(1, sizeof(*sp));
	if (!sp)
		return NULL;
	sp->session = s;
	sp->subflows.session = s;
	sp->timer.fire = timer_fired;
	sp->began_ms = s->worker->loop.now_ms;
	sp->token = m.token;
	mg_modes_begin(&sp->modes, MG_STEERING_DEFAULT);
	return sp;
}

static bool is_as_before(const struct mg_spread *sp, const struct mg_config_policy *policy)
{
	const struct mg_subflows_now *all = &sp->subflows;
	bool same = policy && sp->steering == policy->steering &&
		    sp->split.strict == policy->strict && sp->split.n == all->n_paths;

	for (unsigned int i = 0; i < all->n && same; i++)
		same = all->sub[i].former_path == (int)all->sub[i].path;
	for (unsigned int i = 0; i < all->n_paths && same; i++)
		same = sp->split.path[i].weight == weight_of(policy, all->access[i]) &&
		       sp->modes.path[i].rank == rank_of(policy, all->access[i]);
	return same;
}

/* Paths have other numbers, perhaps, and other weights, but are what they were. */
static void keep_paths(struct mg_spread *sp)
{
	struct mg_split before = sp->split;

	memset(sp->split.path, 0, sizeof(sp->split.path));
	sp->split.n = sp->subflows.n_paths;
	for (unsigned int i = 0; i < sp->subflows.n; i++) {
		const struct mg_subflow_now *sub = &sp->subflows.sub[i];

		if (sub->former_path >= 0)
			sp->split.path[sub->path] = before.path[sub->former_path];
	}
	mg_split_change(&sp->split);
}

static void change(struct mg_spread *sp, const struct mg_config_policy *policy)
{
	mg_subflows_forget_paths(&sp->subflows);
	if (!mg_subflows_see(&sp->subflows, now_us() / 1000))
		memset(&sp->split, 0, sizeof(sp->split));
	else if (is_as_before(sp, policy))
		return;
	else
		keep_paths(sp);
	sp->split.strict = policy && policy->strict;
	sp->steering = policy ? policy->steering : MG_STEERING_DEFAULT;
	mg_modes_begin(&sp->modes, sp->steering);
}

void mg_spread_begin(struct mg_session *s)
{
	const struct mg_config_policy *policy = mg_session_policy(s);
	struct mg_spread *sp = s->spread;
	bool has_split;

	if (!sp && (!policy || !asks(policy)))
		return;
	if (!sp)
		sp = s->spread = spread_new(s);
	if (!sp)
		return;
	has_split = policy && policy->n_split && !steers_by_prio(policy->steering);
	if (!has_split)
		mg_subflows_pace_none(&sp->subflows);
	sp->has_split = has_split;
	change(sp, policy);
	expect_joins(sp, steers_by_prio(sp->steering));
	look(sp);
	if (mg_subflows_any_busy(&sp->subflows) && !mg_timer_armed(&sp->timer))
		look_again(sp, s->worker->loop.now_ms);
}

void mg_spread_end(struct mg_session *s)
{
	struct mg_spread *sp = s->spread;

	if (!sp)
		return;
	mg_timer_disarm(&s->worker->loop.timers, &sp->timer);
	mg_prio_wait_no_more(prio(s), &sp->waiting);
	mg_subflows_free(&sp->subflows);
	free(sp);
	s->spread = NULL;
}

/* ---- to be shown ----------------------------------------------------------------------------- */

static void describe(struct mg_spread *sp, const struct mg_mptcp_subflow *ends,
		     struct mg_spread_row *row)
{
	double all = 0;

	/* At a rest nobody looks, but joins are asked all the same. */
	row->asked_backup = mg_prio_was_asked(prio(sp->session), &sp->waiting, &ends->remote);
	for (unsigned int i = 0; i < sp->subflows.n; i++)
		all += sp->subflows.sub[i].lately;
	for (unsigned int i = 0; i < sp->subflows.n; i++) {
		const struct mg_subflow_now *sub = &sp->subflows.sub[i];

		if (!mg_ep_equal(&sub->now.ends.remote, &ends->remote) ||
		    !mg_ep_equal(&sub->now.ends.local, &ends->local))
			continue;
		if (sub->asked)
			row->asked_backup = sub->asked_backup;
		row->works = sub->health == MG_HEALTH_WELL;
		row->cap = sub->cap;
		if (all >= 1)
			row->share_permille = (int16_t)(sub->lately / all * 1000 + 0.5);
	}
}

void mg_spread_describe(const struct mg_session *s, const struct mg_mptcp_subflow *list, int n,
			struct mg_spread_row *rows)
{
	struct mg_mptcp_path paths[MG_MPTCP_SUBFLOWS_MAX];
	int have = mg_mptcp_paths(s->client.io.fd, paths, MG_MPTCP_SUBFLOWS_MAX);

	for (int i = 0; i < n; i++) {
		rows[i] = (struct mg_spread_row){ .works = true,
						  .cap = UINT64_MAX,
						  .share_permille = -1 };
		for (int k = 0; k < have; k++) {
			if (!mg_ep_equal(&paths[k].ends.remote, &list[i].remote) ||
			    !mg_ep_equal(&paths[k].ends.local, &list[i].local))
				continue;
			rows[i].sent_bytes = paths[k].sent_bytes;
			rows[i].received_bytes = paths[k].received_bytes;
			rows[i].rtt_us = paths[k].rtt_us;
		}
		if (s->spread)
			describe(s->spread, &list[i], &rows[i]);
	}
}

enum mg_steering mg_spread_steering(const struct mg_session *s)
{
	return s->spread ? s->spread->steering : MG_STEERING_DEFAULT;
}

bool mg_spread_gives_way(const struct mg_session *s)
{
	return s->spread && s->spread->has_split && s->spread->split.gives_way;
}
