// SPDX-License-Identifier: BSD-2-Clause
#include "config/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Where the walk through the document stands. */
struct walk {
	struct mg_tree *tree;
	struct mg_findings *f;
	uint32_t open[MG_TREE_MAX_DEPTH]; /* containers, outermost first */
	enum mg_node_kind kinds[MG_TREE_MAX_DEPTH];
	uint32_t last[MG_TREE_MAX_DEPTH]; /* their latest child; 0: none */
	uint32_t children[MG_TREE_MAX_DEPTH];
	unsigned int depth;
	char *key; /* read, its value still to come */
	uint32_t key_line;
	unsigned int documents;
};

static uint32_t line_of(const yaml_mark_t *mark)
{
	return (uint32_t)mark->line + 1;
}

/* The node a finding about what comes next should name. */
static const struct mg_node *here(const struct walk *w)
{
	if (!w->tree->n)
		return NULL;
	return &w->tree->nodes[w->depth ? w->open[w->depth - 1] : 0];
}

static int refuse(struct walk *w, uint32_t line, const char *what)
{
	mg_finding_line(w->f, here(w), line, "%s", what);
	return -EINVAL;
}

static int grow(struct mg_tree *t)
{
	uint32_t want = t->allocated ? t->allocated * 2 : 64;
	struct mg_node *nodes = realloc(t->nodes, want * sizeof(*nodes));

	if (!nodes)
		return -ENOMEM;
	t->nodes = nodes;
	t->allocated = want;
	return 0;
}

static void tell_duplicate(struct walk *w, const struct mg_node *node)
{
	const struct mg_tree *t = w->tree;
	uint32_t i = t->nodes[node->parent].first;

	for (; i && &t->nodes[i] != node; i = t->nodes[i].next) {
		if (strcmp(t->nodes[i].key, node->key) == 0) {
			mg_finding(w->f, node, "given twice (first on line %u), expected once",
				   t->nodes[i].line);
			return;
		}
	}
}

/* Takes over the text, whatever comes of it. */
static int add(struct walk *w, enum mg_node_kind kind, uint32_t line, char *text)
{
	struct mg_tree *t = w->tree;
	struct mg_node *node;
	uint32_t id = t->n;
	unsigned int d = w->depth;
	int err;

	err = id == MG_TREE_MAX_NODES ? refuse(w, line, "too many values, expected at most 65536")
	      : id == t->allocated    ? grow(t)
				      : 0;
	if (err) {
		free(text);
		return err;
	}
	node = &t->nodes[id];
	*node = (struct mg_node){ .kind = kind, .line = w->key ? w->key_line : line, .text = text };
	t->n++;
	if (!d)
		return 0;
	node->parent = w->open[d - 1];
	node->index = w->children[d - 1]++;
	node->key = w->key;
	w->key = NULL;
	if (w->last[d - 1])
		t->nodes[w->last[d - 1]].next = id;
	else
		t->nodes[node->parent].first = id;
	w->last[d - 1] = id;
	if (!node->key)
		return 0;
	if (node->index == MG_TREE_MAX_KEYS)
		return refuse(w, line, "too many keys, expected at most 256");
	tell_duplicate(w, node);
	return 0;
}

/* About a value that is not taken: named by its key, if it has one. */
static int refuse_value(struct walk *w, uint32_t line, const char *what)
{
	int err;

	if (!w->key)
		return refuse(w, line, what);
	err = add(w, MG_NODE_SCALAR, line, NULL);
	if (err)
		return err;
	mg_finding(w->f, &w->tree->nodes[w->tree->n - 1], "%s", what);
	return -EINVAL;
}

static bool wants_key(const struct walk *w)
{
	return w->depth && w->kinds[w->depth - 1] == MG_NODE_MAP && !w->key;
}

static int on_scalar(struct walk *w, const yaml_event_t *e)
{
	const char *value = (const char *)e->data.scalar.value;
	uint32_t line = line_of(&e->start_mark);
	char *text;

	if (e->data.scalar.anchor)
		return refuse_value(w, line, "has an anchor, expected plain values");
	if (strlen(value) != e->data.scalar.length)
		return refuse_value(w, line, "has a NUL byte, expected text");
	text = strdup(value);
	if (!text)
		return -ENOMEM;
	if (wants_key(w)) {
		w->key = text;
		w->key_line = line;
		return 0;
	}
	return add(w, MG_NODE_SCALAR, line, text);
}

static int on_open(struct walk *w, enum mg_node_kind kind, const yaml_char_t *anchor, uint32_t line)
{
	int err;

	if (anchor)
		return refuse_value(w, line, "has an anchor, expected plain values");
	if (wants_key(w))
		return refuse(w, line,
			      "has a list or mapping as a key, expected a word (quote "
			      "what starts with a bracket, such as IPv6 addresses)");
	if (w->depth == MG_TREE_MAX_DEPTH)
		return refuse_value(w, line, "is nested too deeply, expected at most 8 levels");
	err = add(w, kind, line, NULL);
	if (err)
		return err;
	w->open[w->depth] = w->tree->n - 1;
	w->kinds[w->depth] = kind;
	w->last[w->depth] = 0;
	w->children[w->depth] = 0;
	w->depth++;
	return 0;
}

/* 1 at the end of the stream, 0 to go on. */
static int on_event(struct walk *w, const yaml_event_t *e)
{
	uint32_t line = line_of(&e->start_mark);

	switch (e->type) {
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_DOCUMENT_START_EVENT:
		if (w->documents++)
			return refuse(w, line, "a second document starts, expected one");
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse_value(w, line, "has an alias, expected plain values");
	case YAML_SCALAR_EVENT:
		return on_scalar(w, e);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(w, MG_NODE_LIST, e->data.sequence_start.anchor, line);
	case YAML_MAPPING_START_EVENT:
		return on_open(w, MG_NODE_MAP, e->data.mapping_start.anchor, line);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		w->depth--;
		return 0;
	default:
		return 0;
	}
}

static int refuse_syntax(struct walk *w, const yaml_parser_t *p)
{
	char what[160];

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	snprintf(what, sizeof(what), "%s, expected valid YAML",
		 p->problem ? p->problem : "cannot be parsed");
	return refuse(w, line_of(&p->problem_mark), what);
}

static int walk_document(struct walk *w, const char *text, size_t len)
{
	yaml_parser_t parser;
	yaml_event_t event;
	int err = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	/* Bounded by the length of the text: every event but a handful takes a byte of it. */
	while (!err) {
		if (!yaml_parser_parse(&parser, &event)) {
			err = refuse_syntax(w, &parser);
			break;
		}
		err = on_event(w, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (err == 1)
		err = w->tree->n ? 0 : refuse(w, 1, "the file is empty, expected a mapping");
	return err;
}

int mg_tree_read(struct mg_tree **out, const char *name, const char *text, size_t len,
		 struct mg_findings *f)
{
	struct mg_tree *t = calloc(1, sizeof(*t));
	struct walk w = { .tree = t, .f = f };
	int err = -ENOMEM;

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->name = strdup(name);
	f->tree = t;
	if (!t->name)
		goto out;
	if (len > MG_TREE_MAX_BYTES)
		err = refuse(&w, 1, "the file is too large, expected at most 1 MiB");
	else
		err = walk_document(&w, text, len);
out:
	free(w.key);
	if (err) {
		mg_findings_end(f);
		f->tree = NULL;
		mg_tree_free(t);
		return err;
	}
	*out = t;
	return 0;
}

void mg_tree_free(struct mg_tree *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n; i++) {
		free(t->nodes[i].key);
		free(t->nodes[i].text);
	}
	free(t->nodes);
	free(t->name);
	free(t);
}

/* NULL stays NULL; *ok false without memory. */
static char *copy_text(const char *text, bool *ok)
{
	char *copy = text ? strdup(text) : NULL;

	*ok = *ok && (copy || !text);
	return copy;
}

struct mg_tree *mg_tree_copy(const struct mg_tree *t)
{
	struct mg_tree *to = calloc(1, sizeof(*to));
	bool ok = to != NULL;

	if (!ok)
		return NULL;
	to->name = copy_text(t->name, &ok);
	to->nodes = calloc(t->n + 1, sizeof(*to->nodes));
	ok = ok && to->nodes;
	to->allocated = ok ? t->n + 1 : 0;
	for (; ok && to->n < t->n; to->n++) {
		struct mg_node *node = &to->nodes[to->n];

		*node = t->nodes[to->n];
		node->key = copy_text(node->key, &ok);
		node->text = copy_text(node->text, &ok);
	}
	if (ok)
		return to;
	mg_tree_free(to);
	return NULL;
}

static const struct mg_node *child_named(const struct mg_tree *t, const struct mg_node *map,
					 const char *key, size_t len)
{
	uint32_t i;

	for (i = map->kind == MG_NODE_MAP ? map->first : 0; i; i = t->nodes[i].next) {
		if (strncmp(t->nodes[i].key, key, len) == 0 && !t->nodes[i].key[len])
			return &t->nodes[i];
	}
	return NULL;
}

const struct mg_node *mg_tree_child(const struct mg_tree *t, const struct mg_node *map,
				    const char *key)
{
	return child_named(t, map, key, strlen(key));
}

static const struct mg_node *child_numbered(const struct mg_tree *t, const struct mg_node *list,
					    unsigned long index)
{
	uint32_t i;

	for (i = list->kind == MG_NODE_LIST ? list->first : 0; i; i = t->nodes[i].next) {
		if (t->nodes[i].index == index)
			return &t->nodes[i];
	}
	return NULL;
}

const struct mg_node *mg_tree_nearest(const struct mg_tree *t, const char *path, bool *whole)
{
	const struct mg_node *node, *child;
	char *end;
	size_t len;

	*whole = false;
	if (!t || !t->n)
		return NULL;
	node = &t->nodes[0];
	while (*path) {
		if (*path == '[') {
			child = child_numbered(t, node, strtoul(path + 1, &end, 10));
			path = *end ? end + 1 : end;
		} else {
			len = strcspn(path, ".[");
			child = child_named(t, node, path, len);
			path += len;
		}
		if (!child)
			return node;
		node = child;
		if (*path == '.')
			path++;
	}
	*whole = true;
	return node;
}

const struct mg_node *mg_tree_find(const struct mg_tree *t, const char *path)
{
	bool whole;
	const struct mg_node *node = mg_tree_nearest(t, path, &whole);

	return whole ? node : NULL;
}

const char *mg_tree_path(char buf[MG_TREE_PATH_BYTES], const struct mg_tree *t,
			 const struct mg_node *node)
{
	const struct mg_node *chain[MG_TREE_MAX_DEPTH + 1];
	char key[MG_QUOTE_BYTES];
	size_t used = 0, n = 0;

	buf[0] = '\0';
	for (; node != &t->nodes[0] && n < MG_TREE_MAX_DEPTH + 1; node = &t->nodes[node->parent])
		chain[n++] = node;
	while (n-- && used < MG_TREE_PATH_BYTES - 1) {
		if (chain[n]->key) {
			used += (size_t)snprintf(buf + used, MG_TREE_PATH_BYTES - used, "%s%s",
						 used ? "." : "", mg_plain(key, chain[n]->key));
		} else {
			used += (size_t)snprintf(buf + used, MG_TREE_PATH_BYTES - used, "[%u]",
						 chain[n]->index);
		}
	}
	return buf;
}
