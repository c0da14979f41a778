/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the document's tree straight to records, for the part of the file that libcyaml's tables
 * have no words for: values that are one word or a list, mappings whose keys are names. Every
 * function tells what it finds wrong and goes on; what it could not read stays zero.
 */
#ifndef MG_CONFIG_READ_H
#define MG_CONFIG_READ_H

#include "config/schema.h"

struct mg_claims;

struct mg_reading {
	struct mg_findings *f;
	struct mg_config_policies *p;
	struct mg_claims *claims; /* of the prefixes read so far; of one kind at a time */
	size_t listed, in_files;  /* prefixes and the like, so far */
	int err;		  /* -ENOMEM: the rest is left out */
};

typedef void mg_read_fn(struct mg_reading *r, const struct mg_node *node, void *to);

/* A key that is no plain number, name or text */
struct mg_special {
	const char *key;
	mg_read_fn *read; /* given the record that the mapping is read into */
	bool required;
};
/* A mapping: its plain keys are those of mg_policy_keys that begin with `section`. */
struct mg_shape {
	const char *section;
	const struct mg_special *specials;
	size_t n_specials;
};

/* Plain keys that the mapping does not have get their defaults; so do all with node NULL. */
void mg_read_mapping(struct mg_reading *r, const struct mg_node *node, const struct mg_shape *shape,
		     void *to);
/* A list, each item by `item` into a record of `size` bytes; `records` is of a pointer to them, for
 * free(). While an item is read, those before it are there already, *n of them. */
void mg_read_list(struct mg_reading *r, const struct mg_node *node, size_t max, size_t size,
		  mg_read_fn *item, void *records, size_t *n);
/* How many items a list has, or 0. */
size_t mg_count_items(const struct mg_reading *r, const struct mg_node *node);
/* NULL after a finding, else for free(). */
char *mg_read_text(struct mg_reading *r, const struct mg_node *node, size_t max);
/* An absolute path, else as mg_read_text. */
char *mg_read_path(struct mg_reading *r, const struct mg_node *node);
/* A name of one of a list's items, as policies use them: letters, digits, '.', '_' and '-', and
 * neither of the reserved words. */
void mg_read_name(struct mg_reading *r, const struct mg_node *node, void *to /* MG_MEMBER_NAME */);

/* Places in a list by name; `find` gives MG_CONFIG_NONE for what is not there. */
typedef size_t mg_find_fn(const struct mg_config_policies *p, const char *name);
/* `any`, one name, or a list of names: 0 of them stand for any. */
void mg_read_names(struct mg_reading *r, const struct mg_node *node, const char *list,
		   mg_find_fn *find, bool or_any, size_t **names, size_t *n);
size_t mg_read_one_name(struct mg_reading *r, const struct mg_node *node, const char *name,
			const char *list, mg_find_fn *find);

/* A prefix, a mg_prefix; 0 or -EINVAL after a finding. */
int mg_read_prefix(struct mg_reading *r, const struct mg_node *node, struct mg_prefix *to);

#endif
