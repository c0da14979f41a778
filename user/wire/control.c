// SPDX-License-Identifier: BSD-2-Clause
#include "wire/control.h"
#include "wire/control_keys.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERRNO_MAX 133 /* EHWPOISON; names are looked up, never guessed */

static const struct {
	const char *name;
	bool needs_root;
	const char *args;
} commands[] = {
#define X(sym, name, root, args) [MG_CMD_##sym] = { name, root, args },
	MG_COMMANDS(X)
#undef X
};

const char *mg_command_name(enum mg_command cmd)
{
	return commands[cmd].name;
}

bool mg_command_needs_root(enum mg_command cmd)
{
	return commands[cmd].needs_root;
}

static int find_command(enum mg_command *cmd, const char *name)
{
	for (int i = 0; i < MG_CMD_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0) {
			*cmd = (enum mg_command)i;
			return 0;
		}
	}
	return -EINVAL;
}

int mg_control_parse_server(struct mg_control_request *req, const char *text)
{
	req->all = strcmp(text, "all") == 0;
	return req->all ? 0 : mg_ep_parse(&req->server, text);
}

int mg_control_parse_token(uint32_t *token, const char *text)
{
	size_t len = strlen(text);

	if (!len || len > 8 || strspn(text, "0123456789abcdefABCDEF") != len)
		return -EINVAL;
	*token = (uint32_t)strtoul(text, NULL, 16);
	return 0;
}

/* The next key of a list of arguments, which moves on; NULL at its end. */
static const struct mg_control_key *next_key(const char **args, bool *optional)
{
	const char *from = *args + strspn(*args, " ");
	size_t len = strcspn(from, " ?");

	*optional = from[len] == '?';
	*args = from + len + *optional;
	return mg_control_find_key(from, len);
}

static int parse_argument(struct mg_control_request *req, const struct mg_control_key *key,
			  const json_t *value, char *why, size_t why_size)
{
	if (value && key->read(req, value) == 0)
		return 0;
	snprintf(why, why_size, "%s needs \"%s\"%s %s", mg_command_name(req->cmd), key->name,
		 key->listed ? ":" : ",", key->what);
	return -EINVAL;
}

/* "takes "client", "to" and nothing else" */
static void explain_arguments(const char *name, const char *args, char *why, size_t why_size)
{
	size_t len = (size_t)snprintf(why, why_size, "%s takes ", name);
	const char *list = args;
	const struct mg_control_key *key;
	bool optional;

	while ((key = next_key(&list, &optional)) && len < why_size)
		len += (size_t)snprintf(
			why + len, why_size - len, "%s\"%s\"",
			key == mg_control_find_key(args, strcspn(args, " ?")) ? "" : ", ",
			key->name);
	if (len < why_size)
		snprintf(why + len, why_size - len, "%s and nothing else",
			 *args ? "" : "no argument");
}

/* What the keys cannot say one by one. */
static int check_together(const struct mg_control_request *req, char *why, size_t why_size)
{
	if (req->cmd != MG_CMD_LOCATE || req->has_token == (req->kind == MG_LOCATE_JOIN))
		return 0;
	snprintf(why, why_size, "locate takes \"token\" for a join, and for nothing else");
	return -EINVAL;
}

static int parse_object(struct mg_control_request *req, const json_t *root, char *why,
			size_t why_size)
{
	const char *name = json_string_value(json_object_get(root, "cmd"));
	const struct mg_control_key *key;
	const char *args;
	size_t known = 1;
	bool optional;

	if (!name) {
		snprintf(why, why_size, "\"cmd\" is missing, or no string");
		return -EINVAL;
	}
	if (find_command(&req->cmd, name)) {
		snprintf(why, why_size, "unknown command \"%.32s\"", name);
		return -EINVAL;
	}
	args = commands[req->cmd].args;
	while ((key = next_key(&args, &optional)))
		known += json_object_get(root, key->name) != NULL;
	/* What is not understood is refused: ignoring it might do more than was asked for. */
	if (json_object_size(root) != known) {
		explain_arguments(name, commands[req->cmd].args, why, why_size);
		return -EINVAL;
	}
	args = commands[req->cmd].args;
	while ((key = next_key(&args, &optional))) {
		const json_t *value = json_object_get(root, key->name);

		if ((value || !optional) && parse_argument(req, key, value, why, why_size))
			return -EINVAL;
	}
	return check_together(req, why, why_size);
}

int mg_control_parse_request(struct mg_control_request *req, const char *line, size_t len,
			     char *why, size_t why_size)
{
	json_error_t error;
	json_t *root;
	int err;

	memset(req, 0, sizeof(*req));
	if (len > MG_CONTROL_REQUEST_MAX_BYTES) {
		snprintf(why, why_size, "the request is longer than %d bytes",
			 MG_CONTROL_REQUEST_MAX_BYTES);
		return -EINVAL;
	}
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(root)) {
		json_decref(root);
		snprintf(why, why_size, "the request is not one JSON object");
		return -EINVAL;
	}
	err = parse_object(req, root, why, why_size);
	json_decref(root);
	return err;
}

/* Takes over the reference, also of NULL. */
static char *to_line(json_t *root)
{
	char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
	char *line = NULL;
	size_t len;

	json_decref(root);
	if (!text)
		return NULL;
	len = strlen(text);
	line = realloc(text, len + 2);
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + len, "\n", 2);
	return line;
}

char *mg_control_format_request(const struct mg_control_request *req)
{
	json_t *root = json_pack("{s:s}", "cmd", mg_command_name(req->cmd));
	const char *args = commands[req->cmd].args;
	const struct mg_control_key *key;
	bool optional;

	while (root && (key = next_key(&args, &optional))) {
		json_t *value = key->write(req);

		if (value)
			json_object_set_new(root, key->name, value);
	}
	return to_line(root);
}

char *mg_control_format_result(json_t *result)
{
	if (!result)
		return NULL;
	return to_line(json_pack("{s:b,s:o}", "ok", 1, "result", result));
}

/* JSON is UTF-8; a text that is not, such as part of a file, loses its odd bytes. */
static json_t *string_from(const char *text)
{
	json_t *s = json_string(text);
	char *ascii;

	if (s)
		return s;
	ascii = strdup(text);
	if (!ascii)
		return NULL;
	for (char *p = ascii; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	s = json_string(ascii);
	free(ascii);
	return s;
}

char *mg_control_format_error(int err, const char *text)
{
	const char *code = strerrorname_np(err < 0 ? -err : err);

	return to_line(json_pack("{s:b,s:o,s:s}", "ok", 0, "error", string_from(text), "code",
				 code ? code : "EPROTO"));
}

static int errno_named(const char *name)
{
	for (int i = 1; name && i <= ERRNO_MAX; i++) {
		const char *known = strerrorname_np(i);

		if (known && strcmp(known, name) == 0)
			return i;
	}
	return EPROTO;
}

int mg_control_parse_answer(json_t **result, const char *line, size_t len, char *why,
			    size_t why_size)
{
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *ok = json_object_get(root, "ok"), *found = json_object_get(root, "result");
	const char *text = json_string_value(json_object_get(root, "error"));
	int err = -EPROTO;

	*result = NULL;
	if (json_is_true(ok) && found) {
		*result = json_incref(found);
		err = 0;
	} else if (json_is_false(ok) && text) {
		err = -errno_named(json_string_value(json_object_get(root, "code")));
		snprintf(why, why_size, "%s", text);
	} else {
		snprintf(why, why_size, "the answer makes no sense");
	}
	json_decref(root);
	return err;
}
