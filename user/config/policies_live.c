// SPDX-License-Identifier: BSD-2-Clause
/* One policy of a running configuration, set or removed: a copy, changed and checked. */
#include "config/policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Takes over what the policy owns. */
static int put(struct mg_config_policies *p, struct mg_config_policy *policy)
{
	size_t at = mg_find_policy(p, policy->name);
	struct mg_config_policy *more;

	if (strcmp(policy->name, "default") == 0) {
		mg_policy_free(&p->fallback);
		p->fallback = *policy;
		return 0;
	}
	if (at == MG_CONFIG_NONE) {
		more = reallocarray(p->policies, p->n_policies + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		p->policies = more;
		at = p->n_policies++;
	} else {
		mg_policy_free(&p->policies[at]);
	}
	p->policies[at] = *policy;
	return 0;
}

static bool is_default(const struct mg_tree *t)
{
	const struct mg_node *name = mg_tree_child(t, &t->nodes[0], "name");

	return name && name->kind == MG_NODE_SCALAR && strcmp(name->text, "default") == 0;
}

/* Into the copy: reads, finds, checks, puts. */
static int set(struct mg_config *c, struct mg_findings *f)
{
	struct mg_reading r = { .f = f, .p = &c->policies };
	struct mg_config_policy policy = { 0 };
	const struct mg_node *node = &f->tree->nodes[0];

	mg_read_policy(&r, node, is_default(f->tree) ? &mg_named_default_shape : &mg_policy_shape,
		       &policy);
	if (!r.err && !f->count)
		mg_policy_find_group(c, &policy, node, f);
	if (!r.err && !f->count)
		mg_policy_check(c, &policy, node, f);
	if (!r.err && !f->count && c->policies.n_policies == MG_CONFIG_MAX_POLICIES &&
	    mg_find_policy(&c->policies, policy.name) == MG_CONFIG_NONE)
		mg_finding(f, node,
			   "would be one more than the %u that there can be, expected "
			   "less",
			   MG_CONFIG_MAX_POLICIES);
	if (!r.err && f->count)
		r.err = -EINVAL;
	if (!r.err)
		r.err = put(&c->policies, &policy);
	if (r.err)
		mg_policy_free(&policy);
	else
		mg_policies_note_any(&c->policies);
	return r.err;
}

int mg_config_set_policy(const struct mg_config *running, const char *text, struct mg_config **next,
			 FILE *errors)
{
	struct mg_findings f = { .out = errors };
	struct mg_config *c = NULL;
	struct mg_tree *tree;
	int err;

	*next = NULL;
	err = mg_tree_read(&tree, "policy", text, strlen(text), &f);
	if (err)
		return err;
	if (f.count)
		err = -EINVAL;
	if (!err)
		c = mg_config_copy(running);
	if (!err)
		err = c ? set(c, &f) : -ENOMEM;
	mg_findings_end(&f);
	mg_tree_free(tree);
	if (err)
		mg_config_free(c);
	else
		*next = c;
	return err;
}

static void clear_default(struct mg_config_policies *p)
{
	struct mg_reading r = { .f = &(struct mg_findings){ 0 }, .p = p };

	mg_policy_free(&p->fallback);
	memset(&p->fallback, 0, sizeof(p->fallback));
	mg_read_policy(&r, NULL, &mg_default_policy_shape, &p->fallback);
}

int mg_config_del_policy(const struct mg_config *running, const char *name, struct mg_config **next,
			 FILE *errors)
{
	size_t at = mg_find_policy(&running->policies, name);
	bool is_fallback = strcmp(name, "default") == 0;
	struct mg_config_policies *p;
	char quoted[MG_QUOTE_BYTES];

	*next = NULL;
	if (at == MG_CONFIG_NONE && !is_fallback) {
		fprintf(errors, "policy: name: is %s, expected the name of one of policies\n",
			mg_quote(quoted, name));
		return -ENOENT;
	}
	*next = mg_config_copy(running);
	if (!*next)
		return -ENOMEM;
	p = &(*next)->policies;
	if (is_fallback) {
		clear_default(p);
	} else {
		mg_policy_free(&p->policies[at]);
		memmove(&p->policies[at], &p->policies[at + 1],
			(p->n_policies - at - 1) * sizeof(*p->policies));
		p->n_policies--;
	}
	mg_policies_note_any(p);
	return 0;
}
