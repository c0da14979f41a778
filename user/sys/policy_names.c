// SPDX-License-Identifier: BSD-2-Clause
#include "sys/policy_names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Generations that pass over a number once it is no longer used: the one that frees it, and one
 * more. */
#define REST 2

int mg_policy_names_init(struct mg_policy_names *names, uint32_t max)
{
	*names = (struct mg_policy_names){ .max = max, .n = 1 };
	names->name = calloc(max, sizeof(*names->name));
	names->used = calloc(max, sizeof(*names->used));
	return names->name && names->used ? 0 : -ENOMEM;
}

void mg_policy_names_free(struct mg_policy_names *names)
{
	free(names->name);
	free(names->used);
	*names = (struct mg_policy_names){ 0 };
}

void mg_policy_names_copy(struct mg_policy_names *to, const struct mg_policy_names *from)
{
	memcpy(to->name, from->name, from->n * sizeof(*from->name));
	memcpy(to->used, from->used, from->n * sizeof(*from->used));
	to->n = from->n;
}

uint32_t mg_policy_names_find(const struct mg_policy_names *names, const char *name)
{
	for (uint32_t i = 1; *name && i < names->n; i++)
		if (!strcmp(names->name[i], name))
			return i;
	return 0;
}

void mg_policy_names_hold(struct mg_policy_names *names, uint32_t number, uint32_t generation)
{
	if (number < names->n)
		names->used[number] = generation;
}

/* ---- thousands of names at once -------------------------------------------------------------- */

struct index {
	uint32_t *slots; /* numbers; 0: empty */
	uint32_t mask;
};

static uint32_t hash(const char *name)
{
	uint32_t h = 2166136261U; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619U;
	return h;
}

/* Where the name is, or would be. */
static uint32_t *slot_of(const struct index *ix, const struct mg_policy_names *names,
			 const char *name)
{
	uint32_t at = hash(name) & ix->mask;

	while (ix->slots[at] && strcmp(names->name[ix->slots[at]], name) != 0)
		at = (at + 1) & ix->mask;
	return &ix->slots[at];
}

static int make_index(struct index *ix, const struct mg_policy_names *names, size_t n)
{
	uint32_t size = 16;

	while (size < 2 * (names->n + n))
		size *= 2;
	ix->slots = calloc(size, sizeof(*ix->slots));
	ix->mask = size - 1;
	if (!ix->slots)
		return -ENOMEM;
	for (uint32_t i = 1; i < names->n; i++)
		*slot_of(ix, names, names->name[i]) = i;
	return 0;
}

/* One that nobody has or had lately; 0: there is none. Below *from there is nothing to be found. */
static uint32_t next_free(const struct mg_policy_names *names, uint32_t generation, uint32_t *from)
{
	if (names->spread && names->n < names->max)
		return names->n;
	for (; *from < names->max; ++*from)
		if (*from >= names->n || generation - names->used[*from] > REST)
			return *from;
	return 0;
}

/* Its former name goes: so this comes once all names that are known have their numbers. */
static void give(struct mg_policy_names *names, uint32_t number, uint32_t generation,
		 const char *name)
{
	memset(names->name[number], 0, sizeof(names->name[number]));
	strncpy(names->name[number], name, sizeof(names->name[number]) - 1);
	names->used[number] = generation;
	if (number >= names->n)
		names->n = number + 1;
}

int mg_policy_names_assign(struct mg_policy_names *names, uint32_t generation, const char *list,
			   size_t stride, size_t n, uint32_t *numbers, size_t *lacking)
{
	uint32_t number, from = 1;
	struct index ix;
	int err = make_index(&ix, names, n);

	for (size_t i = 0; !err && i < n; i++) {
		numbers[i] = *slot_of(&ix, names, list + i * stride);
		if (numbers[i])
			names->used[numbers[i]] = generation;
	}
	for (size_t i = 0; !err && i < n; i++) {
		if (numbers[i])
			continue;
		number = next_free(names, generation, &from);
		if (number) {
			give(names, number, generation, list + i * stride);
			numbers[i] = number;
		} else {
			*lacking = i;
			err = -ENOSPC;
		}
	}
	free(ix.slots);
	return err;
}
