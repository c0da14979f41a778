/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hash table of nodes inside their records, by a 64-bit number: a hash, or what is one already.
 * It never grows, so no change costs more than another; pages of it that nobody uses cost nothing.
 */
#ifndef MG_ACCESS_INDEX_H
#define MG_ACCESS_INDEX_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct mg_index_node {
	struct mg_index_node *next;
	uint64_t number;
};

struct mg_index {
	struct mg_index_node **buckets;
	size_t n_buckets; /* a power of two */
	size_t n;
};

static inline int mg_index_init(struct mg_index *x, size_t n_buckets)
{
	x->n_buckets = n_buckets;
	x->n = 0;
	x->buckets = calloc(n_buckets, sizeof(struct mg_index_node *));
	return x->buckets ? 0 : -ENOMEM;
}

/* Empty, or its nodes are gone with it. */
static inline void mg_index_free(struct mg_index *x)
{
	free(x->buckets);
	x->buckets = NULL;
}

static inline struct mg_index_node **mg_index_bucket(const struct mg_index *x, uint64_t number)
{
	return &x->buckets[number & (x->n_buckets - 1)];
}

static inline void mg_index_add(struct mg_index *x, struct mg_index_node *node, uint64_t number)
{
	struct mg_index_node **at = mg_index_bucket(x, number);

	node->number = number;
	node->next = *at;
	*at = node;
	x->n++;
}

static inline void mg_index_remove(struct mg_index *x, struct mg_index_node *node)
{
	struct mg_index_node **at = mg_index_bucket(x, node->number);

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	x->n--;
}

/* The next node of that number after `from`, or the first (NULL). NULL: there is none. */
static inline struct mg_index_node *mg_index_next(const struct mg_index *x,
						  struct mg_index_node *from, uint64_t number)
{
	struct mg_index_node *at = from ? from->next : *mg_index_bucket(x, number);

	while (at && at->number != number)
		at = at->next;
	return at;
}

/* All of them; the body may remove `pos`, whose successor is in `after`. */
#define mg_index_for_each(pos, after, x)                                           \
	for (size_t mg_i_ = 0; mg_i_ < (x)->n_buckets; mg_i_++)                    \
		for (struct mg_index_node * (pos) = (x)->buckets[mg_i_],           \
					    *(after) = (pos) ? (pos)->next : NULL; \
		     (pos); (pos) = (after), (after) = (pos) ? (pos)->next : NULL)

#endif
