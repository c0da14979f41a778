/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A YAML document as a flat tree of nodes, each with the line it stands on, and findings told in
 * terms of it: "file:line: key: what is wrong, what is expected".
 *
 * The text may be hostile: size, depth, nodes and keys per mapping are bounded, anchors, aliases
 * and duplicate keys are refused. The tree owns its strings; node 0 is the document itself.
 */
#ifndef MG_CONFIG_TREE_H
#define MG_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MG_TREE_MAX_BYTES    (1024 * 1024)
#define MG_TREE_MAX_NODES    65536
#define MG_TREE_MAX_DEPTH    8
#define MG_TREE_MAX_KEYS     256 /* of one mapping */
#define MG_TREE_PATH_BYTES   192 /* longer paths are cut */
#define MG_TREE_MAX_FINDINGS 100 /* the rest is counted, not told */

enum mg_node_kind { MG_NODE_SCALAR, MG_NODE_LIST, MG_NODE_MAP };

struct mg_node {
	enum mg_node_kind kind;
	uint32_t line; /* from 1; of the key, where there is one */
	uint32_t parent;
	uint32_t first; /* child; 0: none */
	uint32_t next;	/* sibling; 0: none */
	uint32_t index; /* among its siblings, from 0 */
	char *key;	/* NULL for the items of a list and for the document */
	char *text;	/* scalars only */
};

struct mg_tree {
	char *name; /* of the file, for findings */
	struct mg_node *nodes;
	uint32_t n;
	uint32_t allocated;
};

struct mg_findings {
	FILE *out;
	const struct mg_tree *tree; /* NULL: findings carry no line */
	unsigned int count;
};

/*
 * 0 with *out owned by the caller, also when there were findings about duplicates; -EINVAL after a
 * finding that leaves nothing to look at; -ENOMEM.
 */
int mg_tree_read(struct mg_tree **out, const char *name, const char *text, size_t len,
		 struct mg_findings *f);
void mg_tree_free(struct mg_tree *t);
struct mg_tree *mg_tree_copy(const struct mg_tree *t); /* NULL without memory */

/* "converter.listen[1]". Nearest: the node, or as much of its path as is there; NULL without a
 * tree. Find: the node or NULL. */
const struct mg_node *mg_tree_nearest(const struct mg_tree *t, const char *path, bool *whole);
const struct mg_node *mg_tree_find(const struct mg_tree *t, const char *path);
const struct mg_node *mg_tree_child(const struct mg_tree *t, const struct mg_node *map,
				    const char *key);
const char *mg_tree_path(char buf[MG_TREE_PATH_BYTES], const struct mg_tree *t,
			 const struct mg_node *node);

/* About a node; about one on a line of its own choice (NULL: the document); about a path that need
 * not be there, whose nearest ancestor then gives the line. */
__attribute__((format(printf, 3, 4))) void mg_finding(struct mg_findings *f,
						      const struct mg_node *at, const char *fmt,
						      ...);
__attribute__((format(printf, 4, 5))) void mg_finding_line(struct mg_findings *f,
							   const struct mg_node *at, uint32_t line,
							   const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void mg_finding_path(struct mg_findings *f, const char *path,
							   const char *fmt, ...);
/* About a line of another file, which this node names. */
__attribute__((format(printf, 5, 6))) void mg_finding_in(struct mg_findings *f, const char *file,
							 uint32_t line, const struct mg_node *at,
							 const char *fmt, ...);
/* Says how many findings were left out, if any. */
void mg_findings_end(struct mg_findings *f);

/* Text from the file, cut after a few dozen bytes and fit for a terminal; quote adds the "". */
#define MG_QUOTE_BYTES 64
const char *mg_plain(char buf[MG_QUOTE_BYTES], const char *text);
const char *mg_quote(char buf[MG_QUOTE_BYTES], const char *text);

#endif
