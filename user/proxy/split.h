/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast each path of a session may be, so that what they carry is in the ratio that was asked
 * for. A pure law: numbers in, numbers out; time is the caller's. docs/adr/0013 has the reasons.
 *
 * A path is what a session has in one access network: one subflow, or several. Every look, the
 * caller says what each path has sent since its beginning, and whether more is waiting than leaves;
 * the law says how fast each may be from now on.
 *
 * Together the paths may always be a little faster than they are, and much faster as soon as they
 * use all they may. What a path sent beyond its share is taken back within a quarter of a second. A
 * path that does not use what it may, while the others do and bytes wait, is short: unless
 * `strict`, the others then may be as fast as they can, until it carries its share again or nothing
 * waits.
 */
#ifndef MG_PROXY_SPLIT_H
#define MG_PROXY_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#define MG_SPLIT_PATHS_MAX 8
#define MG_SPLIT_NO_CAP	   UINT64_MAX

struct mg_split_path {
	/* of the caller, at every look */
	uint32_t weight;     /* its part of the sum of all; 0: it is not to be used */
	bool usable;	     /* it is there, and works */
	uint64_t sent_bytes; /* without what was sent again; never falls */
	uint64_t held_bytes; /* of the path already: not sent yet, or not acknowledged */
	/* the law's answer */
	uint64_t cap; /* bytes a second, or MG_SPLIT_NO_CAP */
	/* the law's memory */
	bool was_usable;
	uint64_t last_bytes;
	double rate;	/* smoothed, bytes a second */
	double now;	/* since the last look */
	bool binds_now; /* then it used what it might */
	double allowed; /* the caps, smoothed alike */
	double surplus; /* bytes sent beyond its share */
	double bar;	/* its rate when it began to seem short; 0: it does not */
	uint64_t since_us;
	bool is_short;
};

struct mg_split {
	bool strict;
	struct mg_split_path path[MG_SPLIT_PATHS_MAX];
	unsigned int n;
	uint64_t last_us; /* of the last look; 0: there was none */
	uint64_t moved;	  /* bytes since all began */
	double peak;	  /* what they did together, lately */
	double tried;	  /* what they may try to do together */
	bool is_at_limit; /* they once did less than they might have */
	uint64_t free_until_us, free_for_us, quiet_us;
	bool gives_way; /* for status: some path is short, and the others are free */
};

/* Forgets all but weights and `strict`: after a rest. */
void mg_split_forget(struct mg_split *s);
/* Weights or `strict` are others from now on: what is owed counts from here, what paths can do is
 * still known, and none is free meanwhile. */
void mg_split_change(struct mg_split *s);
/* One look. `waiting`: bytes are waiting that the caps keep, or that the paths do not take. */
void mg_split_look(struct mg_split *s, uint64_t now_us, bool waiting);

#endif
