// SPDX-License-Identifier: BSD-2-Clause
/*
 * config_print [--host] FILE: the configuration as mpgate prints it, or its findings on stderr and
 * exit status 1. "-" reads standard input, under the name "stdin".
 * config_print --keys: key, values, default and whether it is live, a line each, for the documents.
 */
#include <stdio.h>
#include <string.h>

#include "config/policies.h"

static void print_key(const struct mg_key *k)
{
	printf("%s|", k->path);
	switch (k->kind) {
	case MG_KEY_TEXT:
	case MG_KEY_ARRAY:
		printf("text, at most %u bytes|%s|", k->max, k->text);
		break;
	case MG_KEY_NUMBER:
		printf("%u to %u|%u|", k->min, k->max, k->number);
		break;
	case MG_KEY_NAME:
		for (size_t i = 0; i < k->n_names; i++)
			printf("%s%s", i ? " " : "", k->names[i].str);
		printf("|%s|", mg_name_of(k->names, k->n_names, k->number));
		break;
	}
	puts(k->live ? "yes" : "no");
}

static int print_file(const char *path, bool host)
{
	static char text[2 * 1024 * 1024];
	struct mg_config *c;
	int err;

	if (strcmp(path, "-") == 0)
		err = mg_config_parse(&c, "stdin", text, fread(text, 1, sizeof(text), stdin),
				      stderr);
	else
		err = mg_config_load(&c, path, stderr);
	if (!err && host)
		err = mg_config_check_host(c, stderr);
	if (!err)
		err = mg_config_print(c, stdout);
	mg_config_free(c);
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	bool host = argc == 3 && strcmp(argv[1], "--host") == 0;

	if (argc != 2 && !host) {
		fprintf(stderr, "usage: config_print [--host] FILE | --keys\n");
		return 2;
	}
	if (strcmp(argv[1], "--keys") != 0)
		return print_file(argv[argc - 1], host);
	for (size_t i = 0; i < mg_keys_count; i++)
		print_key(&mg_keys[i]);
	for (size_t i = 0; i < mg_item_keys_count; i++)
		print_key(&mg_item_keys[i]);
	for (size_t i = 0; i < mg_policy_keys_count; i++)
		print_key(&mg_policy_keys[i]);
	return 0;
}
