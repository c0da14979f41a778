/* SPDX-License-Identifier: BSD-2-Clause */
/* Circular doubly linked list, the node inside the record. An empty head points to itself. */
#ifndef MG_BASE_LIST_H
#define MG_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct mg_list {
	struct mg_list *next, *prev;
};

#define mg_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define mg_list_for_each(pos, head) for (pos = (head)->next; pos != (head); pos = pos->next)

static inline void mg_list_init(struct mg_list *head)
{
	head->next = head->prev = head;
}

static inline bool mg_list_empty(const struct mg_list *head)
{
	return head->next == head;
}

static inline void mg_list_append(struct mg_list *head, struct mg_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Leaves the node empty, so that removing it twice does no harm. */
static inline void mg_list_remove(struct mg_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	mg_list_init(node);
}

/* Takes the first node off a list that is not empty. */
static inline struct mg_list *mg_list_pop(struct mg_list *head)
{
	struct mg_list *first = head->next;

	head->next = first->next;
	head->next->prev = head;
	mg_list_init(first);
	return first;
}

#endif
