// SPDX-License-Identifier: BSD-2-Clause
#include "config/policies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct complaint {
	char text[160];
};

/* libcyaml says what went wrong first and where it stood after that: the first line is the cause.
 */
static void on_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct complaint *c = ctx;

	(void)level;
	if (c->text[0])
		return;
	vsnprintf(c->text, sizeof(c->text), fmt, args);
	c->text[strcspn(c->text, "\n")] = '\0';
}

static cyaml_config_t cyaml_setup(struct complaint *c)
{
	return (cyaml_config_t){
		.log_fn = on_log,
		.log_ctx = c,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_WARNING,
		.flags = CYAML_CFG_NO_ALIAS,
	};
}

static void free_raw_steer(struct mg_raw_steer *raw)
{
	for (size_t i = 0; i < raw->n_proxies; i++)
		free(raw->proxies[i].address);
	for (size_t i = 0; i < raw->n_groups; i++) {
		for (size_t m = 0; m < raw->groups[i].n_members; m++)
			free(raw->groups[i].members[m]);
		free(raw->groups[i].members);
	}
	for (size_t i = 0; i < raw->n_virtuals; i++) {
		free(raw->virtuals[i].address);
		free(raw->virtuals[i].group);
	}
	for (size_t i = 0; i < raw->n_rules; i++) {
		free(raw->rules[i].access);
		free(raw->rules[i].service);
		free(raw->rules[i].group);
	}
	free(raw->proxies);
	free(raw->groups);
	free(raw->virtuals);
	free(raw->rules);
}

/* What libcyaml allocated for the lists and their text; the rest has moved on. */
static void free_raw(struct mg_raw_config *raw)
{
	struct {
		char **items;
		size_t n;
	} lists[] = {
		{ raw->converter.listen, raw->converter.n_listen },
		{ raw->converter.signal, raw->converter.n_signal },
		{ raw->intercept.except, raw->intercept.n_except },
		{ raw->cpe.lan, raw->cpe.n_lan },
		{ raw->steer.gateways, raw->steer.n_gateways },
		{ raw->destinations.allow, raw->destinations.n_allow },
		{ raw->destinations.deny, raw->destinations.n_deny },
	};

	for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++) {
		for (size_t i = 0; i < lists[l].n; i++)
			free(lists[l].items[i]);
		free(lists[l].items);
	}
	free(raw->cpe.converter);
	free_raw_steer(&raw->steer);
	free(raw);
}

/* The policies move into the configuration, whatever comes of it. */
static int build(struct mg_config **out, struct mg_tree *tree, const char *text, size_t len,
		 struct mg_config_policies *policies, struct mg_findings *f)
{
	struct complaint complaint = { "" };
	cyaml_config_t setup = cyaml_setup(&complaint);
	struct mg_raw_config *raw = NULL;
	struct mg_config *c;
	cyaml_err_t cerr;
	int err = -ENOMEM;

	cerr = cyaml_load_data((const uint8_t *)text, len, &setup, &mg_config_schema,
			       (cyaml_data_t **)&raw, NULL);
	if (cerr == CYAML_ERR_OOM)
		return -ENOMEM;
	if (cerr != CYAML_OK) {
		mg_finding(f, &tree->nodes[0], "%s (%s), expected what mpgate.yaml(5) describes",
			   cyaml_strerror(cerr), complaint.text);
		return -EINVAL;
	}
	c = malloc(sizeof(*c));
	if (!c) {
		cyaml_free(&setup, &mg_config_schema, raw, 0);
		return -ENOMEM;
	}
	*c = raw->to;
	c->converter = raw->converter.to;
	c->intercept = raw->intercept.to;
	c->cpe = raw->cpe.to;
	c->policies = *policies;
	memset(policies, 0, sizeof(*policies));
	err = mg_config_defaults(c, tree);
	if (!err)
		err = mg_config_lists(c, raw, f);
	if (!err)
		err = mg_config_make_steer(c, &raw->steer, f);
	if (!err)
		mg_policies_find_groups(c, f);
	if (!err)
		mg_config_check_values(c, f);
	free_raw(raw);
	if (!err && f->count)
		err = -EINVAL;
	if (err) {
		mg_config_free(c);
		return err;
	}
	*out = c;
	return 0;
}

int mg_config_parse(struct mg_config **out, const char *name, const char *text, size_t len,
		    FILE *errors)
{
	struct mg_findings f = { .out = errors };
	struct mg_config_policies policies = { 0 };
	struct mg_tree *tree;
	int err;

	*out = NULL;
	err = mg_tree_read(&tree, name, text, len, &f);
	if (!err) {
		mg_schema_verify(&f);
		err = mg_policies_read(&policies, &f);
		if (!err)
			err = f.count ? -EINVAL : build(out, tree, text, len, &policies, &f);
		mg_findings_end(&f);
	}
	mg_policies_free(&policies);
	if (err == -ENOMEM)
		fprintf(errors, "%s: (document): out of memory, expected a smaller file\n", name);
	if (err)
		mg_tree_free(tree);
	else
		(*out)->tree = tree;
	return err;
}

/* One byte more than allowed is read, so that a file that is too large shows. */
static int read_all(int fd, char *buf, size_t *len)
{
	ssize_t n = 1;

	*len = 0;
	while (n > 0 && *len <= MG_TREE_MAX_BYTES) {
		n = read(fd, buf + *len, MG_TREE_MAX_BYTES + 1 - *len);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n < 0)
			return -errno;
		*len += (size_t)n;
	}
	return 0;
}

int mg_config_load(struct mg_config **out, const char *path, FILE *errors)
{
	char *buf;
	size_t len;
	int fd, err;

	*out = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		fprintf(errors, "%s: (document): cannot be read: %s, expected a file\n", path,
			strerror(-err));
		return err;
	}
	buf = malloc(MG_TREE_MAX_BYTES + 1);
	err = buf ? read_all(fd, buf, &len) : -ENOMEM;
	close(fd);
	if (err)
		fprintf(errors, "%s: (document): cannot be read: %s, expected a file\n", path,
			strerror(-err));
	else
		err = mg_config_parse(out, path, buf, len, errors);
	free(buf);
	return err;
}

static void free_steer(struct mg_config_steer *s)
{
	for (size_t i = 0; i < s->n_groups; i++)
		free(s->groups[i].members);
	free(s->gateway.location);
	free(s->proxies);
	free(s->groups);
	free(s->virtuals);
	free(s->rules);
	free(s->gateways);
	free(s->store);
}

void mg_config_free(struct mg_config *c)
{
	if (!c)
		return;
	free(c->node);
	free(c->runtime_dir);
	free(c->bpffs);
	free(c->interfaces);
	free(c->converter.listen);
	free(c->converter.signal);
	free(c->converter.cookie_key_file);
	free(c->intercept.ports);
	free(c->intercept.except);
	free(c->cpe.lan);
	free_steer(&c->steer);
	mg_policies_free(&c->policies);
	free(c->destinations.allow);
	free(c->destinations.deny);
	mg_tree_free(c->tree);
	free(c);
}
