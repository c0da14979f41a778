// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/split.h"

#include <math.h>
#include <string.h>

/* Small transfers are over before any ratio means something. */
#define FREE_BYTES 262144
/* Beyond what they do together: little enough for the kernel's scheduler to follow the caps. */
#define HEADROOM 1.15
/* When all use what they may: so much more at the next look, and more still until they once do not.
 * What was too much is forgotten as quickly as rates are. */
#define GROWTH	     1.5
#define GROWTH_FIRST 2.5
#define BINDS	     0.91 /* the kernel counts headers, too */
/* Times fit what moves: so many bytes, but neither below nor above what follows. */
#define SMOOTH_BYTES 16777216.0
#define SMOOTH_MIN_S 0.015
#define SMOOTH_MAX_S 0.1
#define REPAY	     2.5  /* times that: what a path had too much is taken back */
#define FADE	     20.0 /* times that: what they did together at best is forgotten */
/* So long a path has to be short, without growing, before others are freed for it. */
#define SHORT_US       300000
#define SHORT_OF       0.95
#define GROWS	       1.15
#define FREE_MIN_US    1000000
#define FREE_MAX_US    8000000
#define SURPLUS_S      1.0
#define SURPLUS_BYTES  4194304.0
#define LEAST_OF_SHARE 0.25
/* What was given to a path has to arrive before what others carry after it is of any use. */
#define DRAIN_S	      0.25
#define LEAST	      32768.0
#define MOST_OF_SHARE 2.0

void mg_split_forget(struct mg_split *s)
{
	for (unsigned int i = 0; i < s->n; i++) {
		struct mg_split_path *p = &s->path[i];

		*p = (struct mg_split_path){ .weight = p->weight,
					     .usable = p->usable,
					     .sent_bytes = p->sent_bytes,
					     .held_bytes = p->held_bytes,
					     .last_bytes = p->sent_bytes,
					     .cap = MG_SPLIT_NO_CAP };
	}
	s->last_us = s->moved = 0;
	s->peak = s->tried = 0;
	s->is_at_limit = false;
	s->free_until_us = s->free_for_us = s->quiet_us = 0;
	s->gives_way = false;
}

void mg_split_change(struct mg_split *s)
{
	for (unsigned int i = 0; i < s->n; i++) {
		struct mg_split_path *p = &s->path[i];

		p->surplus = p->bar = 0;
		p->since_us = 0;
		p->is_short = false;
	}
	s->free_until_us = s->free_for_us = s->quiet_us = 0;
	s->gives_way = false;
}

static bool shares(const struct mg_split_path *p)
{
	return p->usable && p->weight;
}

static double share(const struct mg_split *s, const struct mg_split_path *p)
{
	uint32_t all = 0;

	for (unsigned int i = 0; i < s->n; i++)
		all += shares(&s->path[i]) ? s->path[i].weight : 0;
	return all && shares(p) ? (double)p->weight / all : 0;
}

static void free_all(struct mg_split *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		s->path[i].cap = MG_SPLIT_NO_CAP;
}

/* A path came or went: what was owed was owed among others. */
static bool others_than_before(struct mg_split *s)
{
	bool changed = false;

	for (unsigned int i = 0; i < s->n; i++) {
		struct mg_split_path *p = &s->path[i];

		changed |= shares(p) != p->was_usable;
		p->was_usable = shares(p);
	}
	return changed;
}

static double together(const struct mg_split *s)
{
	double all = 0;

	for (unsigned int i = 0; i < s->n; i++)
		all += s->path[i].rate;
	return all;
}

/* What is averaged over */
static double smooth_s(const struct mg_split *s)
{
	double all = together(s);
	double time_s = all > 0 ? SMOOTH_BYTES / all : SMOOTH_MAX_S;

	return fmin(fmax(time_s, SMOOTH_MIN_S), SMOOTH_MAX_S);
}

/* What each did since the last look. The sum, in bytes. */
static double measure(struct mg_split *s, double dt)
{
	double keep = exp(-dt / smooth_s(s)), all = 0;

	for (unsigned int i = 0; i < s->n; i++) {
		struct mg_split_path *p = &s->path[i];
		double bytes = (double)(p->sent_bytes - p->last_bytes);

		p->now = bytes / dt;
		p->binds_now = p->cap != MG_SPLIT_NO_CAP && p->now >= BINDS * (double)p->cap;
		p->rate = p->rate > 0 ? p->rate * keep + p->now * (1 - keep) : p->now;
		if (p->cap == MG_SPLIT_NO_CAP)
			p->allowed = 0;
		else if (p->allowed > 0)
			p->allowed = p->allowed * keep + (double)p->cap * (1 - keep);
		else
			p->allowed = (double)p->cap;
		p->surplus += bytes;
		p->last_bytes = p->sent_bytes;
		all += bytes;
	}
	return all;
}

static void settle(struct mg_split *s, double bytes)
{
	double most = together(s) * SURPLUS_S;

	if (most < SURPLUS_BYTES)
		most = SURPLUS_BYTES;
	for (unsigned int i = 0; i < s->n; i++) {
		struct mg_split_path *p = &s->path[i];

		p->surplus -= bytes * share(s, p);
		p->surplus = fmin(fmax(p->surplus, -most), most);
	}
}

static bool uses_its_cap(const struct mg_split_path *p)
{
	return p->cap != MG_SPLIT_NO_CAP && p->allowed > 0 && p->rate >= BINDS * p->allowed;
}

/* With bytes waiting, and others held back for it, it carries less than it may, and does not grow.
 * Once others are free: less than its share. */
static void look_whether_short(struct mg_split *s, struct mg_split_path *p, uint64_t now_us,
			       bool waiting, bool others_bind)
{
	bool seems = waiting && (p->is_short ? p->rate < SHORT_OF * share(s, p) * together(s)
					     : others_bind && !uses_its_cap(p));

	/* What is free now takes a while to show it. */
	if (p->is_short && waiting && now_us - p->since_us < FREE_MIN_US)
		return;
	if (!seems || !p->since_us || (!p->is_short && p->rate > p->bar * GROWS)) {
		p->bar = p->rate;
		p->since_us = seems ? now_us : 0;
		p->is_short = false;
		return;
	}
	if (p->is_short || now_us - p->since_us < SHORT_US)
		return;
	p->is_short = true;
	p->since_us = now_us;
}

static void look_at_all(struct mg_split *s, uint64_t now_us, bool waiting)
{
	unsigned int bind = 0;

	for (unsigned int i = 0; i < s->n; i++)
		bind += shares(&s->path[i]) && uses_its_cap(&s->path[i]);
	for (unsigned int i = 0; i < s->n; i++) {
		struct mg_split_path *p = &s->path[i];

		if (shares(p))
			look_whether_short(s, p, now_us, waiting,
					   bind > (uses_its_cap(p) ? 1U : 0U));
	}
}

/* Whether the others are, or stay, free for a path that is short. Each time it takes longer until
 * the ratio is tried again. */
static bool give_way(struct mg_split *s, uint64_t now_us, bool waiting)
{
	bool is_short = false;

	for (unsigned int i = 0; i < s->n; i++)
		is_short |= shares(&s->path[i]) && s->path[i].is_short;
	if (s->strict || (!is_short && !s->gives_way))
		return false;
	if (!s->gives_way) {
		s->free_for_us = s->free_for_us ? s->free_for_us * 2 : FREE_MIN_US;
		if (s->free_for_us > FREE_MAX_US)
			s->free_for_us = FREE_MAX_US;
		s->free_until_us = now_us + s->free_for_us;
	}
	if (waiting)
		s->quiet_us = now_us;
	/* It recovered, or there is less to carry now. */
	if (!is_short && waiting)
		return false;
	return now_us < s->free_until_us || now_us - s->quiet_us < FREE_MIN_US;
}

/* On the whole, or since the last look: averages remember for long that there was less to do. */
static bool all_bind(const struct mg_split *s, bool waiting)
{
	for (unsigned int i = 0; i < s->n; i++) {
		const struct mg_split_path *p = &s->path[i];

		if (shares(p) && !uses_its_cap(p) && !(waiting && p->binds_now))
			return false;
	}
	return true;
}

/* How long the quickest of all takes for what it has. */
static double quickest(const struct mg_split *s, double all)
{
	double least = HUGE_VAL;

	for (unsigned int i = 0; i < s->n; i++) {
		const struct mg_split_path *p = &s->path[i];

		if (shares(p))
			least = fmin(least, (double)p->held_bytes / (share(s, p) * all));
	}
	return least;
}

/* What all are to carry together. Strictly: what goes with what the short one can. */
static double target(const struct mg_split *s)
{
	double all = fmax(s->peak, s->tried);

	for (unsigned int i = 0; i < s->n && s->strict; i++) {
		const struct mg_split_path *p = &s->path[i];

		if (shares(p) && p->is_short)
			all = fmin(all, p->rate / share(s, p));
	}
	return all * HEADROOM;
}

static void set_caps(struct mg_split *s)
{
	double all = target(s), repay_s = REPAY * smooth_s(s);
	double drain = fmax(DRAIN_S, 1.5 * quickest(s, all));

	for (unsigned int i = 0; i < s->n; i++) {
		struct mg_split_path *p = &s->path[i];
		double fair = share(s, p) * all;
		double cap = fair - p->surplus / repay_s;
		double least = fmax((double)p->held_bytes / drain, fair * LEAST_OF_SHARE);

		least = fmax(least, LEAST);
		if (shares(p))
			p->cap = (uint64_t)fmax(fmin(cap, fair * MOST_OF_SHARE), least) + 1;
	}
}

/* Guesses, as long as all use what they may; else what was guessed fades. */
static void grow(struct mg_split *s, double dt, bool waiting)
{
	bool bind = all_bind(s, waiting), first = waiting && !s->is_at_limit;

	if (bind)
		s->tried = fmax(s->peak, s->tried) * (first ? GROWTH_FIRST : GROWTH);
	else
		s->tried *= exp(-dt / smooth_s(s));
	s->is_at_limit |= !bind && s->tried > 0;
}

void mg_split_look(struct mg_split *s, uint64_t now_us, bool waiting)
{
	bool begins = !s->last_us || others_than_before(s);
	double dt = (double)(now_us - s->last_us) / 1e6, bytes;
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->n; i++)
		n += shares(&s->path[i]);
	if (begins) {
		mg_split_forget(s);
		others_than_before(s);
		s->last_us = now_us;
		return;
	}
	if (dt <= 0)
		return;
	s->last_us = now_us;
	bytes = measure(s, dt);
	settle(s, bytes);
	s->moved += (uint64_t)bytes;
	if (n < 2 || s->moved < FREE_BYTES) {
		free_all(s);
		return;
	}
	look_at_all(s, now_us, waiting);
	s->peak = fmax(together(s), s->peak * exp(-dt / (FADE * smooth_s(s))));
	grow(s, dt, waiting);
	s->gives_way = give_way(s, now_us, waiting);
	if (!s->gives_way) {
		set_caps(s);
		return;
	}
	for (unsigned int i = 0; i < s->n; i++) {
		struct mg_split_path *p = &s->path[i];

		p->surplus = 0;
		/* A cap all the same: it keeps the path's queue short. */
		p->cap = (uint64_t)(GROWTH * fmax(fmax(p->rate, p->now), s->peak)) + 1;
	}
}
