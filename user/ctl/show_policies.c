// SPDX-License-Identifier: BSD-2-Clause
/* Policies, for people. */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <string.h>

#include "ctl/table.h"

#define CELL_BYTES 256

__attribute__((format(printf, 2, 3))) static void add(char cell[CELL_BYTES], const char *fmt, ...)
{
	size_t len = strlen(cell);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cell + len, CELL_BYTES - len, fmt, ap);
	va_end(ap);
}

/* "any", or names with commas */
static void names_cell(struct mg_table *t, const json_t *names)
{
	char cell[CELL_BYTES] = "";
	const json_t *name;
	size_t i;

	json_array_foreach (names, i, name)
		add(cell, "%s%s", i ? "," : "", json_string_value(name));
	if (*cell)
		mg_table_cell(t, MG_PLAIN, "%s", cell);
	else
		mg_table_cell(t, MG_DIM, "any");
}

static void text_cell(struct mg_table *t, const json_t *policy, const char *key)
{
	const char *text = json_string_value(json_object_get(policy, key));

	if (text)
		mg_table_cell(t, strcmp(text, "deny") == 0 ? MG_RED : MG_PLAIN, "%s", text);
	else
		mg_table_cell(t, MG_DIM, "-");
}

/* "sessions 100, new_per_s 20": those that there are */
static void limits_cell(struct mg_table *t, const json_t *limits)
{
	char cell[CELL_BYTES] = "";
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)limits, key, value) {
		if (json_integer_value(value))
			add(cell, "%s%s %lld", *cell ? ", " : "", key,
			    (long long)json_integer_value(value));
	}
	mg_table_cell(t, *cell ? MG_PLAIN : MG_DIM, "%s", *cell ? cell : "none");
}

static void paths_cell(struct mg_table *t, const json_t *policy)
{
	const json_t *order = json_object_get(policy, "order");
	json_t *split = json_object_get(policy, "split"), *value;
	char cell[CELL_BYTES] = "";
	const char *key;
	size_t i;

	add(cell, "%s", mg_get_text(policy, "steering"));
	json_object_foreach (split, key, value)
		add(cell, " %s:%lld", key, (long long)json_integer_value(value));
	json_array_foreach (order, i, value)
		add(cell, "%s%s", i ? "," : " ", json_string_value(value));
	if (json_is_true(json_object_get(policy, "strict")))
		add(cell, " strict");
	mg_table_cell(t, MG_PLAIN, "%s", cell);
}

void mg_show_policies(const json_t *result)
{
	static const char *const heads[] = { "NAME",  "SUBSCRIBERS", "SERVICES", "ACCESS", "MODE",
					     "GROUP", "SOURCE",	     "LIMITS",	 "PATHS",  NULL };
	struct mg_table *t = mg_table_new(heads);
	const json_t *at;
	size_t i;

	json_array_foreach (result, i, at) {
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "name"));
		names_cell(t, json_object_get(at, "subscribers"));
		names_cell(t, json_object_get(at, "services"));
		names_cell(t, json_object_get(at, "access"));
		text_cell(t, at, "mode");
		text_cell(t, at, "group");
		text_cell(t, at, "source");
		limits_cell(t, json_object_get(at, "limits"));
		paths_cell(t, at);
	}
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

void mg_show_changed(const json_t *result)
{
	const json_t *note = json_object_get(result, "note");

	if (json_is_object(result) && !note)
		printf("reloaded: %s\n", mg_get_text(result, "file"));
	else
		printf("done, %s\n", mg_get_text(result, "note"));
}
