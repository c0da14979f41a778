/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers for names, 1 and up, that stay theirs over reloads. As tables are made over numbers, the
 * lowest that is free is given; but one that a reload freed rests for the next one, as packets and
 * sessions of before may still speak of it.
 */
#ifndef MG_SYS_POLICY_NAMES_H
#define MG_SYS_POLICY_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/steer.h"

struct mg_policy_names {
	char (*name)[MG_MEMBER_NAME]; /* by number; "": it was never given */
	uint32_t *used;		      /* the generation that had it last */
	uint32_t max;		      /* numbers are below */
	uint32_t n;		      /* one above the highest that was ever given; at least 1 */
	bool spread;		      /* numbers that were never given come first, not the lowest */
};

/* 0 or -ENOMEM. To be freed in any case. */
int mg_policy_names_init(struct mg_policy_names *names, uint32_t max);
void mg_policy_names_free(struct mg_policy_names *names);
/* `to` is of the same max. */
void mg_policy_names_copy(struct mg_policy_names *to, const struct mg_policy_names *from);

/*
 * Numbers for all of a list in a generation, which is to be higher than the last one: numbers[i] is
 * for the name at list + i * stride. 0; -ENOSPC, *lacking then the first that got none; -ENOMEM.
 */
int mg_policy_names_assign(struct mg_policy_names *names, uint32_t generation, const char *list,
			   size_t stride, size_t n, uint32_t *numbers, size_t *lacking);
/* It is still in use, though no list names it. */
void mg_policy_names_hold(struct mg_policy_names *names, uint32_t number, uint32_t generation);
/* 0: there is none. */
uint32_t mg_policy_names_find(const struct mg_policy_names *names, const char *name);

#endif
