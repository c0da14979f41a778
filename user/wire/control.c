// SPDX-License-Identifier: BSD-2-Clause
#include "wire/control.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERRNO_MAX 133 /* EHWPOISON; names are looked up, never guessed */

static const struct {
	const char *name;
	bool needs_root;
	const char *arg;
} commands[] = {
#define X(sym, name, root, arg) [MG_CMD_##sym] = { name, root, arg },
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

static int parse_argument(struct mg_control_request *req, const char *arg, const json_t *value,
			  char *why, size_t why_size)
{
	if (strcmp(arg, "id") == 0) {
		if (!json_is_integer(value) || json_integer_value(value) < 1) {
			snprintf(why, why_size, "%s needs \"id\", a session's number",
				 mg_command_name(req->cmd));
			return -EINVAL;
		}
		req->id = (uint64_t)json_integer_value(value);
		return 0;
	}
	if (strcmp(arg, "server") == 0) {
		if (!json_is_string(value) ||
		    mg_control_parse_server(req, json_string_value(value))) {
			snprintf(why, why_size, "%s needs \"server\", ADDRESS:PORT or \"all\"",
				 mg_command_name(req->cmd));
			return -EINVAL;
		}
		return 0;
	}
	if (!json_is_string(value) || mg_log_level_parse(&req->level, json_string_value(value))) {
		snprintf(why, why_size,
			 "%s needs \"level\": \"error\", \"warning\", \"info\" or \"debug\"",
			 mg_command_name(req->cmd));
		return -EINVAL;
	}
	return 0;
}

static int parse_object(struct mg_control_request *req, const json_t *root, char *why,
			size_t why_size)
{
	const char *name = json_string_value(json_object_get(root, "cmd"));
	const char *arg;

	if (!name) {
		snprintf(why, why_size, "\"cmd\" is missing, or no string");
		return -EINVAL;
	}
	if (find_command(&req->cmd, name)) {
		snprintf(why, why_size, "unknown command \"%.32s\"", name);
		return -EINVAL;
	}
	arg = commands[req->cmd].arg;
	/* What is not understood is refused: ignoring it might do more than was asked for. */
	if (json_object_size(root) != (arg && json_object_get(root, arg) ? 2 : 1)) {
		snprintf(why, why_size, "%s takes %s%s%s and nothing else", name,
			 arg ? "\"" : "no argument", arg ? arg : "", arg ? "\"" : "");
		return -EINVAL;
	}
	return arg ? parse_argument(req, arg, json_object_get(root, arg), why, why_size) : 0;
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
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
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
	const char *name = mg_command_name(req->cmd), *arg = commands[req->cmd].arg;
	char server[MG_EP_STRLEN];

	if (!arg)
		return to_line(json_pack("{s:s}", "cmd", name));
	if (strcmp(arg, "id") == 0)
		return to_line(json_pack("{s:s,s:I}", "cmd", name, arg, (json_int_t)req->id));
	if (strcmp(arg, "server") == 0)
		return to_line(json_pack("{s:s,s:s}", "cmd", name, arg,
					 req->all ? "all" : mg_ep_format(server, &req->server)));
	return to_line(json_pack("{s:s,s:s}", "cmd", name, arg, mg_log_level_name(req->level)));
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
