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
#include "sys/admission.h"
#include "sys/prio.h"

/* Between two looks while data moves; what is quick is looked at after so many bytes. */
#define LOOK_MS	      50
#define LOOK_BYTES    (4u << 20)
#define LOOK_LEAST_MS 3
#define REST_MS	      1000     /* nothing moved for so long: no more looks */
#define ACCESS_AGE_MS 50       /* whose an address is, the feed may change */
#define WAITING_S     0.02     /* of what all do: so much in queues is no chance */
#define BURST_BYTES   131072.0 /* the kernel gives a subflow up to half of it at once */
#define BUFFER_S      0.15
#define BUFFER_LEAST  524288.0
#define BUFFER_MOST   16777216.0
#define SLOWLY	      32768 /* bytes a second, where a backup cannot be asked for */
#define SILENT_MS     500
#define LOSSY_LOOK_MS 1000
#define LOSSY_BYTES   65536
#define LOSSY_PARTS   5 /* one of so many bytes was sent again */
#define LOSSY_FOR_MS  10000
#define PATHS	      MG_SPLIT_PATHS_MAX

_Static_assert(MG_SPLIT_PATHS_MAX == MG_MODES_PATHS_MAX, "both see the same paths");

struct subflow {
	struct mg_mptcp_path now;
	bool seen;
	size_t access;
	uint64_t access_ms; /* when that was looked up */
	unsigned int path;
	bool works;
	bool asked, asked_backup; /* asked: at least once */
	uint64_t cap;		  /* as told; UINT64_MAX: none, or not told */
	bool told;
	/* losses */
	uint64_t window_ms, window_sent, window_resent, lossy_until_ms;
	/* for shares */
	uint64_t last_sent;
	double lately;
};

struct mg_spread {
	struct mg_session *session;
	struct mg_timer timer;
	enum mg_steering steering;
	struct subflow sub[MG_MPTCP_SUBFLOWS_MAX];
	unsigned int n;
	size_t access[PATHS]; /* of each path */
	unsigned int n_paths;
	struct mg_split split;
	struct mg_modes modes;
	bool has_split;
	uint32_t token;
	struct mg_prio_waiting waiting;
	bool announced;
	uint64_t looked_ms, looked_bytes, moved_ms;
	uint64_t unsent_bytes;
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

/* ---- which path a subflow belongs to --------------------------------------------------------- */

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

static size_t access_of(const struct mg_session *s, const struct mg_ep *remote)
{
	uint32_t number = mg_admission_access_of(s->worker->proxy->admission, &remote->ip);

	return number ? mg_policy_access(s->worker->policy, number) : MG_CONFIG_NONE;
}

/* Those in no named network are a path each, told apart by their addresses. */
static unsigned int path_of(struct mg_spread *sp, const struct subflow *sub)
{
	size_t key = sub->access;

	if (key == MG_CONFIG_NONE) {
		const uint8_t *ip = sub->now.ends.remote.ip.s6_addr;

		for (int i = 0; i < 16; i++)
			key = key * 31 + ip[i];
		key |= (size_t)1 << (8 * sizeof(key) - 1);
	}
	for (unsigned int i = 0; i < sp->n_paths; i++) {
		if (sp->access[i] == key)
			return i;
	}
	if (sp->n_paths == PATHS)
		return PATHS - 1;
	sp->access[sp->n_paths] = key;
	return sp->n_paths++;
}

/* ---- looking --------------------------------------------------------------------------------- */

static bool is_of(const struct subflow *sub, const struct mg_mptcp_subflow *ends)
{
	return mg_ep_equal(&sub->now.ends.remote, &ends->remote) &&
	       mg_ep_equal(&sub->now.ends.local, &ends->local);
}

static struct subflow *find(struct mg_spread *sp, const struct mg_mptcp_subflow *ends)
{
	struct subflow *sub;

	for (unsigned int i = 0; i < sp->n; i++) {
		sub = &sp->sub[i];
		if (is_of(sub, ends))
			return sub;
	}
	if (sp->n == MG_MPTCP_SUBFLOWS_MAX)
		return NULL;
	sub = &sp->sub[sp->n++];
	*sub = (struct subflow){ .cap = UINT64_MAX, .access = MG_CONFIG_NONE };
	return sub;
}

/* Silent while something is on its way, or most of a second's bytes had to be sent again. */
static bool works(struct subflow *sub, uint64_t now_ms)
{
	const struct mg_mptcp_path *p = &sub->now;
	uint64_t sent = p->sent_bytes - sub->window_sent;
	uint64_t resent = p->resent_bytes - sub->window_resent;

	if (now_ms - sub->window_ms >= LOSSY_LOOK_MS) {
		if (sub->window_ms && sent >= LOSSY_BYTES && resent * LOSSY_PARTS >= sent)
			sub->lossy_until_ms = now_ms + LOSSY_FOR_MS;
		sub->window_ms = now_ms;
		sub->window_sent = p->sent_bytes;
		sub->window_resent = p->resent_bytes;
	}
	if (p->timeouts && p->silent_ms >= SILENT_MS + 4 * (p->rtt_us / 1000))
		return false;
	return now_ms >= sub->lossy_until_ms;
}

static void forget_gone(struct mg_spread *sp)
{
	struct mg_admission *a = sp->session->worker->proxy->admission;

	for (unsigned int i = 0; i < sp->n;) {
		struct subflow *sub = &sp->sub[i];

		if (sub->seen) {
			i++;
			continue;
		}
		if (sub->told)
			mg_admission_pace_del(a, &sub->now.ends.local, &sub->now.ends.remote);
		*sub = sp->sub[--sp->n];
	}
}

/* All subflows as they are now; false: that cannot be told now. */
static bool see(struct mg_spread *sp, uint64_t now_ms)
{
	struct mg_session *s = sp->session;
	struct mg_mptcp_path list[MG_MPTCP_SUBFLOWS_MAX];
	int n = mg_mptcp_paths(s->client.io.fd, list, MG_MPTCP_SUBFLOWS_MAX);

	if (n <= 0)
		return false;
	for (unsigned int i = 0; i < sp->n; i++)
		sp->sub[i].seen = false;
	for (int i = 0; i < n; i++) {
		struct subflow *sub = find(sp, &list[i].ends);

		if (!sub)
			continue;
		sub->now = list[i];
		sub->seen = true;
		if (!sub->access_ms || now_ms - sub->access_ms >= ACCESS_AGE_MS) {
			sub->access = access_of(s, &sub->now.ends.remote);
			sub->access_ms = now_ms;
			sub->path = path_of(sp, sub);
		}
		sub->works = works(sub, now_ms);
	}
	forget_gone(sp);
	sp->unsent_bytes = mg_mptcp_unsent_bytes(s->client.io.fd);
	return true;
}

static void note_shares(struct mg_spread *sp)
{
	for (unsigned int i = 0; i < sp->n; i++) {
		struct subflow *sub = &sp->sub[i];
		uint64_t sent = sub->now.sent_bytes - sub->now.resent_bytes;

		sub->lately = sub->lately * 0.75 + (double)(sent - sub->last_sent) * 0.25;
		sub->last_sent = sent;
	}
}

/* ---- telling --------------------------------------------------------------------------------- */

static void pace(struct mg_spread *sp, struct subflow *sub, uint64_t cap)
{
	struct mg_admission *a = sp->session->worker->proxy->admission;
	uint64_t apart = cap > sub->cap ? cap - sub->cap : sub->cap - cap;

	/* Little is not worth a system call. */
	if (cap == sub->cap || (cap != UINT64_MAX && sub->cap != UINT64_MAX && apart < cap / 64))
		return;
	if (mg_admission_pace(a, &sub->now.ends.local, &sub->now.ends.remote, cap))
		return;
	sub->cap = cap;
	sub->told = true;
}

/* Several subflows of one path share its cap as they share its bytes, and none is left without. */
static void pace_path(struct mg_spread *sp, unsigned int path, uint64_t cap)
{
	unsigned int n = 0;
	double all = 0;

	for (unsigned int i = 0; i < sp->n; i++) {
		n += sp->sub[i].path == path;
		all += sp->sub[i].path == path ? sp->sub[i].lately : 0;
	}
	for (unsigned int i = 0; i < sp->n; i++) {
		struct subflow *sub = &sp->sub[i];
		double part = 1;

		if (sub->path != path)
			continue;
		if (n > 1)
			part = all > 0 ? 0.8 * sub->lately / all + 0.4 / n : 1.0 / n;
		pace(sp, sub, cap == UINT64_MAX ? cap : (uint64_t)((double)cap * part) + 1);
	}
}

static void ask(struct mg_spread *sp, struct subflow *sub, bool backup)
{
	struct mg_prio *p = prio(sp->session);
	const struct mg_mptcp_subflow *ends = &sub->now.ends;
	int err;

	if (sub->asked ? sub->asked_backup == backup : !backup && !sp->waiting.listed)
		return;
	err = mg_prio_set(p, sp->token, &ends->local, &ends->remote, backup);
	if (err == -EOPNOTSUPP || err == -EPERM) {
		/* The nearest there is */
		if (backup)
			pace(sp, sub, SLOWLY);
		else if (sub->told)
			pace(sp, sub, UINT64_MAX);
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
		for (unsigned int i = 0; i < sp->n; i++) {
			if (sp->modes.path[sp->sub[i].path].backup == backup)
				ask(sp, &sp->sub[i], backup);
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
	uint64_t waiting = sp->unsent_bytes;
	double all = 0;

	for (unsigned int i = 0; i < sp->split.n; i++)
		all += sp->split.path[i].rate;
	for (unsigned int i = 0; i < sp->n; i++)
		waiting += sp->sub[i].now.unsent_bytes;
	return (s->down.len && !s->client.writable) || (double)waiting > all * WAITING_S + 1;
}

static void tell_laws(struct mg_spread *sp)
{
	const struct mg_config_policy *policy = mg_session_policy(sp->session);

	sp->split.n = sp->modes.n = sp->n_paths;
	for (unsigned int i = 0; i < sp->n_paths; i++) {
		sp->split.path[i].weight = weight_of(policy, sp->access[i]);
		sp->split.path[i].usable = sp->modes.path[i].works = false;
		sp->split.path[i].held_bytes = 0;
		sp->modes.path[i].present = false;
		sp->modes.path[i].rank = rank_of(policy, sp->access[i]);
		sp->modes.path[i].rtt_us = UINT32_MAX;
	}
	for (unsigned int i = 0; i < sp->n; i++) {
		const struct subflow *sub = &sp->sub[i];
		struct mg_split_path *p = &sp->split.path[sub->path];
		struct mg_modes_path *m = &sp->modes.path[sub->path];

		p->usable |= sub->works;
		p->sent_bytes += sub->now.sent_bytes - sub->now.resent_bytes - sub->last_sent;
		p->held_bytes += sub->now.held_bytes;
		m->present = true;
		m->works |= sub->works;
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

static void look(struct mg_spread *sp)
{
	struct mg_session *s = sp->session;
	uint64_t us = now_us();
	bool waiting;

	sp->looked_ms = us / 1000;
	sp->looked_bytes = s->down.bytes;
	if (!see(sp, sp->looked_ms))
		return;
	tell_laws(sp);
	waiting = is_waiting(sp);
	note_shares(sp);
	/* Rates are of use to all modes; caps only where there is a ratio. */
	mg_split_look(&sp->split, us, waiting);
	mg_modes_look(&sp->modes, sp->looked_ms, waiting);
	if (sp->has_split)
		fit_buffer(sp);
	for (unsigned int i = 0; i < sp->n_paths && sp->has_split; i++)
		pace_path(sp, i, sp->split.path[i].cap);
	ask_all(sp);
}

/* ---- when ------------------------------------------------------------------------------------ */

static void rest(struct mg_spread *sp)
{
	mg_timer_disarm(&sp->session->worker->loop.timers, &sp->timer);
	mg_split_forget(&sp->split);
	for (unsigned int i = 0; i < sp->n; i++) {
		if (sp->sub[i].told && sp->has_split)
			pace(sp, &sp->sub[i], UINT64_MAX);
	}
}

static bool is_busy(const struct mg_spread *sp)
{
	for (unsigned int i = 0; i < sp->n; i++) {
		if (sp->sub[i].now.held_bytes)
			return true;
	}
	return sp->unsent_bytes != 0;
}

static void timer_fired(struct mg_timer *t)
{
	struct mg_spread *sp = mg_container_of(t, struct mg_spread, timer);
	struct mg_session *s = sp->session;
	uint64_t now_ms = s->worker->loop.now_ms;

	if (s->down.bytes != sp->looked_bytes)
		sp->moved_ms = now_ms;
	look(sp);
	if (is_busy(sp) || now_ms - sp->moved_ms < REST_MS)
		mg_timer_arm(&s->worker->loop.timers, t, now_ms + LOOK_MS);
	else
		rest(sp);
}

void mg_spread_moved(struct mg_session *s)
{
	struct mg_spread *sp = s->spread;

	if (!sp || s->down.bytes == sp->looked_bytes)
		return;
	if (!mg_timer_armed(&sp->timer)) {
		sp->moved_ms = s->worker->loop.now_ms;
		look(sp);
		mg_timer_arm(&s->worker->loop.timers, &sp->timer, sp->moved_ms + LOOK_MS);
	} else if (s->down.bytes - sp->looked_bytes >= LOOK_BYTES &&
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
	sp->timer.fire = timer_fired;
	sp->token = m.token;
	sp->modes.active = -1;
	return sp;
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
	for (unsigned int i = 0; i < sp->n && !has_split; i++) {
		if (sp->sub[i].told)
			pace(sp, &sp->sub[i], UINT64_MAX);
	}
	/* A reload may have given access networks other numbers. */
	for (unsigned int i = 0; i < sp->n; i++)
		sp->sub[i].access_ms = 0;
	sp->n_paths = 0;
	memset(&sp->split, 0, sizeof(sp->split));
	sp->split.strict = policy && policy->strict;
	sp->has_split = has_split;
	sp->steering = policy ? policy->steering : MG_STEERING_DEFAULT;
	mg_modes_begin(&sp->modes, sp->steering);
	expect_joins(sp, steers_by_prio(sp->steering));
	look(sp);
	if (is_busy(sp) && !mg_timer_armed(&sp->timer))
		mg_timer_arm(&s->worker->loop.timers, &sp->timer, s->worker->loop.now_ms + LOOK_MS);
}

void mg_spread_end(struct mg_session *s)
{
	struct mg_spread *sp = s->spread;

	if (!sp)
		return;
	mg_timer_disarm(&s->worker->loop.timers, &sp->timer);
	mg_prio_wait_no_more(prio(s), &sp->waiting);
	for (unsigned int i = 0; i < sp->n; i++)
		sp->sub[i].seen = false;
	forget_gone(sp);
	free(sp);
	s->spread = NULL;
}

/* ---- to be shown ----------------------------------------------------------------------------- */

static void describe(const struct mg_spread *sp, const struct mg_mptcp_subflow *ends,
		     struct mg_spread_row *row)
{
	double all = 0;

	for (unsigned int i = 0; i < sp->n; i++)
		all += sp->sub[i].lately;
	for (unsigned int i = 0; i < sp->n; i++) {
		const struct subflow *sub = &sp->sub[i];

		if (!is_of(sub, ends))
			continue;
		row->asked_backup = sub->asked && sub->asked_backup;
		row->works = sub->works;
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
