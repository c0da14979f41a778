// SPDX-License-Identifier: BSD-2-Clause
/* Deadlines: against a model with random operations, and what timers may do while they fire. */
#include "mg_test.h"

#include <limits.h>
#include <string.h>

#include "base/timer.h"

#define N 200

struct probe {
	struct mg_timer t;
	struct mg_timers *ts;
	int fired;
	uint64_t again_ms; /* arms itself for it when it fires */
	bool rearm;
	struct mg_timer *disarms;
};

static uint64_t last_deadline_ms;
static bool in_order;

static void fire(struct mg_timer *t)
{
	struct probe *p = (struct probe *)t;

	assert_false(mg_timer_armed(t));
	if (t->deadline_ms < last_deadline_ms)
		in_order = false;
	last_deadline_ms = t->deadline_ms;
	p->fired++;
	if (p->disarms)
		mg_timer_disarm(p->ts, p->disarms);
	if (p->rearm)
		assert_int_equal(mg_timer_arm(p->ts, t, p->again_ms), 0);
}

static void setup(struct mg_timers *ts, struct probe *p, size_t n)
{
	mg_timers_init(ts);
	memset(p, 0, n * sizeof(*p));
	for (size_t i = 0; i < n; i++) {
		p[i].t.fire = fire;
		p[i].ts = ts;
	}
	last_deadline_ms = 0;
	in_order = true;
}

static void run(struct mg_timers *ts, uint64_t now_ms)
{
	last_deadline_ms = 0;
	mg_timers_run(ts, now_ms);
	assert_true(in_order);
}

/* What is armed, for when, and how often it fired, kept the plain way. */
struct model {
	bool armed[N];
	uint64_t at[N];
	int fired[N];
};

static void compare(const struct mg_timers *ts, const struct probe *p, const struct model *m,
		    uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;
	size_t n = 0;

	for (size_t i = 0; i < N; i++) {
		assert_int_equal(mg_timer_armed(&p[i].t), m->armed[i]);
		assert_int_equal(p[i].fired, m->fired[i]);
		if (!m->armed[i])
			continue;
		n++;
		next = m->at[i] < next ? m->at[i] : next;
		assert_ptr_equal(ts->heap[p[i].t.place], &p[i].t);
	}
	assert_int_equal(ts->n, n);
	if (!n)
		assert_int_equal(mg_timers_wait_ms(ts, now_ms), -1);
	else
		assert_int_equal(mg_timers_wait_ms(ts, now_ms), next <= now_ms ? 0 : next - now_ms);
}

static void the_heap_agrees_with_a_model(void **state)
{
	struct chance c = { 1 };
	static struct probe p[N];
	struct model m = { 0 };
	struct mg_timers ts;
	uint64_t now_ms = 1000;

	(void)state;
	setup(&ts, p, N);
	for (int op = 0; op < 20000; op++) {
		size_t i = chance_below(&c, N);

		switch (chance_below(&c, 8)) {
		case 0:
			mg_timer_disarm(&ts, &p[i].t);
			m.armed[i] = false;
			break;
		case 1:
			now_ms += chance_below(&c, 60);
			run(&ts, now_ms);
			for (size_t k = 0; k < N; k++) {
				if (!m.armed[k] || m.at[k] > now_ms)
					continue;
				m.armed[k] = false;
				m.fired[k]++;
			}
			break;
		default: /* few different deadlines, so that many are equal */
			m.at[i] = now_ms + chance_below(&c, 100);
			m.armed[i] = true;
			assert_int_equal(mg_timer_arm(&ts, &p[i].t, m.at[i]), 0);
			break;
		}
		compare(&ts, p, &m, now_ms);
	}
	mg_timers_free(&ts);
	assert_null(ts.heap);
}

static void an_armed_timer_moves(void **state)
{
	struct mg_timers ts;
	struct probe p[2];

	(void)state;
	setup(&ts, p, 2);
	mg_timer_arm(&ts, &p[0].t, 100);
	mg_timer_arm(&ts, &p[1].t, 200);
	mg_timer_arm(&ts, &p[0].t, 300);
	run(&ts, 250);
	assert_int_equal(p[0].fired, 0);
	assert_int_equal(p[1].fired, 1);
	mg_timer_arm(&ts, &p[0].t, 260);
	assert_int_equal(ts.n, 1);
	run(&ts, 260);
	assert_int_equal(p[0].fired, 1);
	mg_timers_free(&ts);
}

static void firing_may_disarm_another(void **state)
{
	struct mg_timers ts;
	struct probe p[4];

	(void)state;
	setup(&ts, p, 4);
	for (size_t i = 0; i < 4; i++)
		mg_timer_arm(&ts, &p[i].t, 10 + i);
	p[0].disarms = &p[1].t;
	p[2].disarms = &p[2].t; /* itself: it is not armed any more */
	run(&ts, 100);
	assert_int_equal(p[0].fired, 1);
	assert_int_equal(p[1].fired, 0);
	assert_int_equal(p[2].fired, 1);
	assert_int_equal(p[3].fired, 1);
	assert_int_equal(ts.n, 0);
	mg_timers_free(&ts);
}

/* Nor may others be starved or fire twice by one that is always due. */
static void armed_for_now_waits_a_round(void **state)
{
	static const uint64_t again_ms[] = { 0, 99, 100 };
	struct mg_timers ts;
	struct probe p[N];

	(void)state;
	for (size_t k = 0; k < sizeof(again_ms) / sizeof(again_ms[0]); k++) {
		setup(&ts, p, N);
		for (size_t i = 0; i < N; i++)
			mg_timer_arm(&ts, &p[i].t, i < 3 ? 50 + i : 1000);
		p[0].rearm = true;
		p[0].again_ms = again_ms[k];
		run(&ts, 100);
		assert_int_equal(p[0].fired, 1);
		assert_int_equal(p[1].fired, 1);
		assert_int_equal(p[2].fired, 1);
		assert_true(mg_timers_wait_ms(&ts, 100) <= 1);
		run(&ts, 101);
		assert_int_equal(p[0].fired, 2);
		assert_int_equal(p[1].fired, 1);
		mg_timers_free(&ts);
	}
}

static void firing_may_arm_later(void **state)
{
	struct mg_timers ts;
	struct probe p[1];

	(void)state;
	setup(&ts, p, 1);
	p[0].rearm = true;
	p[0].again_ms = 500;
	mg_timer_arm(&ts, &p[0].t, 100);
	run(&ts, 100);
	assert_int_equal(mg_timers_wait_ms(&ts, 100), 400);
	run(&ts, 499);
	assert_int_equal(p[0].fired, 1);
	run(&ts, 500);
	assert_int_equal(p[0].fired, 2);
	mg_timers_free(&ts);
}

static void wait_ms_fits_epoll(void **state)
{
	struct mg_timers ts;
	struct probe p[1];

	(void)state;
	setup(&ts, p, 1);
	assert_int_equal(mg_timers_wait_ms(&ts, 0), -1);
	mg_timer_arm(&ts, &p[0].t, 1000);
	assert_int_equal(mg_timers_wait_ms(&ts, 0), 1000);
	assert_int_equal(mg_timers_wait_ms(&ts, 999), 1);
	assert_int_equal(mg_timers_wait_ms(&ts, 1000), 0);
	assert_int_equal(mg_timers_wait_ms(&ts, 5000), 0);
	mg_timer_arm(&ts, &p[0].t, (uint64_t)INT_MAX + 1000);
	assert_int_equal(mg_timers_wait_ms(&ts, 1000), INT_MAX);
	assert_int_equal(mg_timers_wait_ms(&ts, 0), INT_MAX);
	mg_timer_disarm(&ts, &p[0].t);
	mg_timer_disarm(&ts, &p[0].t);
	assert_int_equal(mg_timers_wait_ms(&ts, 0), -1);
	mg_timers_free(&ts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_heap_agrees_with_a_model),
		cmocka_unit_test(an_armed_timer_moves),
		cmocka_unit_test(firing_may_disarm_another),
		cmocka_unit_test(armed_for_now_waits_a_round),
		cmocka_unit_test(firing_may_arm_later),
		cmocka_unit_test(wait_ms_fits_epoll),
	};

	return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
