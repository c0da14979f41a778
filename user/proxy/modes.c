// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/modes.h"

#include <string.h>

/* Four fifths, and two milliseconds: what is less is chance. */
#define CLEARLY(rtt_us) ((rtt_us) - (rtt_us) / 5)
#define CLEARLY_US	2000
#define NARROW_MAX_MS	30000

void mg_modes_begin(struct mg_modes *m, enum mg_steering steering)
{
	m->steering = steering;
	m->active = -1;
	m->better_since_ms = m->waiting_since_ms = m->calm_since_ms = m->widened_ms = 0;
	m->width = 1;
	m->narrow_ms = MG_MODES_NARROW_MS;
	for (unsigned int i = 0; i < m->n; i++)
		m->path[i].worked = m->path[i].failed = false;
}

static bool goes(const struct mg_modes_path *p)
{
	return p->present && p->health == MG_HEALTH_WELL;
}

/* Among those that are well, or, if none is, those that are least ill. */
static bool ranks_before(const struct mg_modes *m, const struct mg_modes_path *a,
			 const struct mg_modes_path *b)
{
	if (a->health != b->health)
		return a->health > b->health;
	if (m->steering == MG_STEERING_SMALLEST_DELAY && a->rtt_us != b->rtt_us)
		return a->rtt_us < b->rtt_us;
	return a->rank < b->rank;
}

static int best(const struct mg_modes *m)
{
	int found = -1;

	for (int i = 0; i < (int)m->n; i++) {
		if (m->path[i].present &&
		    (found < 0 || ranks_before(m, &m->path[i], &m->path[found])))
			found = i;
	}
	return found;
}

/* A better one is there: does it take over now? */
static bool takes_over(struct mg_modes *m, const struct mg_modes_path *by,
		       const struct mg_modes_path *now, uint64_t now_ms)
{
	uint64_t wait_ms = MG_MODES_DELAY_MS;
	bool better = true;

	if (m->steering == MG_STEERING_SMALLEST_DELAY)
		better =
			by->rtt_us < CLEARLY(now->rtt_us) && now->rtt_us - by->rtt_us >= CLEARLY_US;
	else
		wait_ms = by->failed ? MG_MODES_RETURN_MS : 0;
	if (!better) {
		m->better_since_ms = 0;
		return false;
	}
	if (!m->better_since_ms)
		m->better_since_ms = now_ms;
	return now_ms - m->better_since_ms >= wait_ms;
}

static void choose(struct mg_modes *m, uint64_t now_ms)
{
	int by = best(m);
	bool lost = m->active < 0 || !m->path[m->active].present ||
		    (by >= 0 && m->path[by].health > m->path[m->active].health);

	if (lost || by < 0 || by == m->active ||
	    takes_over(m, &m->path[by], &m->path[m->active], now_ms)) {
		m->active = by;
		m->better_since_ms = 0;
	}
}

static unsigned int how_many_go(const struct mg_modes *m)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < m->n; i++)
		n += goes(&m->path[i]);
	return n;
}

static void widen_or_narrow(struct mg_modes *m, uint64_t now_ms, bool waiting)
{
	unsigned int most = how_many_go(m);

	if (!waiting) {
		m->waiting_since_ms = 0;
		if (!m->calm_since_ms)
			m->calm_since_ms = now_ms;
	} else {
		m->calm_since_ms = 0;
		if (!m->waiting_since_ms)
			m->waiting_since_ms = now_ms;
	}
	if (waiting && now_ms - m->waiting_since_ms >= MG_MODES_FULL_MS && m->width < most) {
		/* So soon after it was narrowed: that was wrong. */
		if (m->widened_ms && now_ms - m->widened_ms < 2ULL * m->narrow_ms &&
		    m->narrow_ms < NARROW_MAX_MS)
			m->narrow_ms *= 2;
		m->width++;
		m->waiting_since_ms = now_ms;
	} else if (!waiting && m->width > 1 && now_ms - m->calm_since_ms >= m->narrow_ms) {
		m->width--;
		m->calm_since_ms = m->widened_ms = now_ms;
	}
	if (m->width > most)
		m->width = most ? most : 1;
}

/* How many come before it. */
static unsigned int place(const struct mg_modes *m, unsigned int at)
{
	unsigned int before = 0;

	for (unsigned int i = 0; i < m->n; i++)
		before += i != at && m->path[i].present &&
			  (ranks_before(m, &m->path[i], &m->path[at]) ||
			   (!ranks_before(m, &m->path[at], &m->path[i]) && i < at));
	return before;
}

static bool is_for_backup(const struct mg_modes *m, unsigned int at)
{
	switch (m->steering) {
	case MG_STEERING_ACTIVE_STANDBY:
	case MG_STEERING_SMALLEST_DELAY:
		return (int)at != m->active;
	case MG_STEERING_PRIORITY:
		return place(m, at) >= m->width;
	default:
		return false;
	}
}

void mg_modes_look(struct mg_modes *m, uint64_t now_ms, bool waiting)
{
	for (unsigned int i = 0; i < m->n; i++) {
		struct mg_modes_path *p = &m->path[i];

		p->failed |= p->worked && !goes(p);
		p->worked = goes(p);
	}
	choose(m, now_ms);
	widen_or_narrow(m, now_ms, waiting);
	for (unsigned int i = 0; i < m->n; i++)
		m->path[i].backup = m->path[i].present && is_for_backup(m, i);
}
