// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/ctl.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/table.h"

#define LONG_GROUP 8 /* counters */

const char *mg_get_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? text : "-";
}

uint64_t mg_get_number(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

const char *mg_session_mode(const json_t *session)
{
	if (json_is_true(json_object_get(session, "fallback")))
		return "fallback";
	return json_is_true(json_object_get(session, "mptcp")) ? "mptcp" : "tcp";
}

static enum mg_style mode_style(const char *mode)
{
	return strcmp(mode, "mptcp") == 0 ? MG_GREEN : MG_YELLOW;
}

void mg_print_styled(enum mg_style style, const char *text)
{
	printf("%s%s%s", mg_style_on(style), text, mg_style_off(style));
}

static void show_interfaces(const json_t *list)
{
	static const char *const heads[] = { "INTERFACE", "ROLE", "XDP", ">PROGRAM", NULL };
	struct mg_table *t = mg_table_new(heads);
	const json_t *at;
	size_t i;

	if (!json_array_size(list)) {
		mg_table_free(t);
		return;
	}
	json_array_foreach (list, i, at) {
		const char *mode = mg_get_text(at, "xdp_mode");

		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "name"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "role"));
		mg_table_cell(t, strncmp(mode, "native", 6) == 0 ? MG_GREEN : MG_YELLOW, "%s",
			      mode);
		if (mg_get_number(at, "prog_id"))
			mg_table_cell(t, MG_PLAIN, "%llu",
				      (unsigned long long)mg_get_number(at, "prog_id"));
		else
			mg_table_cell(t, MG_DIM, "-");
	}
	putchar('\n');
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

static void show_converter(const json_t *converter)
{
	char active[MG_HUMAN_STRLEN], accepted[MG_HUMAN_STRLEN];
	const json_t *at;
	size_t i;

	putchar('\n');
	mg_print_styled(MG_BOLD, "CONVERTER");
	json_array_foreach (json_object_get(converter, "listen"), i, at)
		printf("  %s", json_is_string(at) ? json_string_value(at) : "-");
	printf("\nsessions   %s active, %s accepted\n",
	       mg_human_count(active, mg_get_number(converter, "active")),
	       mg_human_count(accepted, mg_get_number(converter, "accepted")));
}

static void print_words(const json_t *list)
{
	const json_t *at;
	size_t i;

	json_array_foreach (list, i, at)
		printf(" %s", json_is_string(at) ? json_string_value(at) : "-");
	fputs(json_array_size(list) ? "\n" : " -\n", stdout);
}

/* What is held for the daemon, and whether it shows that it is there to decide. */
static void show_hold(const json_t *result)
{
	const json_t *hold = json_object_get(result, "hold");
	const json_t *cpe = json_object_get(result, "cpe");
	const json_t *beat = json_object_get(hold, "beat_age_ms");
	bool alive = json_is_true(json_object_get(hold, "alive"));
	char buf[MG_HUMAN_STRLEN];

	putchar('\n');
	mg_print_styled(MG_BOLD, "ON THE PATH");
	printf("\nintercept  %s\n", mg_get_text(json_object_get(result, "intercept"), "mode"));
	if (json_is_object(cpe)) {
		fputs("LAN       ", stdout);
		print_words(json_object_get(cpe, "lan"));
		printf("converter  %s\n", mg_get_text(cpe, "converter"));
	}
	fputs("SYNs held ", stdout);
	print_words(json_object_get(hold, "kinds"));
	if (!json_is_object(hold))
		return;
	fputs("heartbeat  ", stdout);
	mg_print_styled(alive ? MG_GREEN : MG_RED, alive ? "alive" : "stale");
	if (json_is_integer(beat))
		printf(", %s ago", mg_human_ms(buf, mg_get_number(hold, "beat_age_ms")));
	putchar('\n');
}

static void show_policies(const json_t *policies)
{
	char buf[MG_HUMAN_STRLEN];

	if (!json_is_true(json_object_get(policies, "active")))
		return;
	putchar('\n');
	mg_print_styled(MG_BOLD, "POLICIES");
	printf("  %s of %s\n", mg_human_count(buf, mg_get_number(policies, "policies")),
	       mg_get_text(policies, "path"));
}

static void show_features(json_t *features, const json_t *missing)
{
	const char *name;
	json_t *on;

	if (!json_object_size(features))
		return;
	putchar('\n');
	mg_print_styled(MG_BOLD, "FEATURES");
	putchar('\n');
	json_object_foreach (features, name, on) {
		enum mg_style style = json_is_true(on) ? MG_GREEN : MG_DIM;

		mg_print_styled(style, json_is_true(on) ? "yes" : "no ");
		printf("  %s", name);
		if (json_object_get(missing, name))
			printf(": %s", mg_get_text(missing, name));
		putchar('\n');
	}
}

void mg_show_status(const json_t *result)
{
	const char *state = mg_get_text(result, "state");
	char up[MG_HUMAN_STRLEN];

	mg_print_styled(MG_BOLD, mg_get_text(result, "node"));
	fputs("  ", stdout);
	mg_print_styled(strcmp(state, "running") == 0 ? MG_GREEN : MG_YELLOW, state);
	printf("  up %s  (mpgate %s, pid %llu)\n",
	       mg_human_s(up, mg_get_number(result, "uptime_s")), mg_get_text(result, "version"),
	       (unsigned long long)mg_get_number(result, "pid"));
	show_interfaces(json_object_get(result, "interfaces"));
	if (json_is_object(json_object_get(result, "converter")))
		show_converter(json_object_get(result, "converter"));
	if (json_is_object(json_object_get(result, "intercept")))
		show_hold(result);
	show_policies(json_object_get(result, "policies"));
	mg_show_gateway(json_object_get(result, "gateway"));
	show_features(json_object_get(result, "features"), json_object_get(result, "missing"));
}

void mg_show_sessions(const json_t *result)
{
	static const char *const heads[] = { ">ID",    "KIND",	"STATE",  "CLIENT",
					     "SERVER", "MODE",	"POLICY", ">PATHS",
					     ">UP",    ">DOWN", ">AGE",	  NULL };
	struct mg_table *t = mg_table_new(heads);
	char buf[MG_HUMAN_STRLEN];
	const json_t *at;
	size_t i;

	if (!json_array_size(result)) {
		puts("no sessions");
		mg_table_free(t);
		return;
	}
	json_array_foreach (result, i, at) {
		const char *mode = mg_session_mode(at);

		mg_table_cell(t, MG_PLAIN, "%llu", (unsigned long long)mg_get_number(at, "id"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "kind"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "state"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "client"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "server"));
		mg_table_cell(t, mode_style(mode), "%s", mode);
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "policy"));
		mg_table_cell(t, MG_PLAIN, "%zu", json_array_size(json_object_get(at, "subflows")));
		mg_table_cell(t, MG_PLAIN, "%s",
			      mg_human_bytes(buf, mg_get_number(at, "bytes_up")));
		mg_table_cell(t, MG_PLAIN, "%s",
			      mg_human_bytes(buf, mg_get_number(at, "bytes_down")));
		mg_table_cell(t, MG_PLAIN, "%s", mg_human_ms(buf, mg_get_number(at, "age_ms")));
	}
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

void mg_show_servers(const json_t *result)
{
	static const char *const heads[] = { "SERVER", "MPTCP", "SOURCE", ">EXPIRES", NULL };
	struct mg_table *t = mg_table_new(heads);
	char buf[MG_HUMAN_STRLEN];
	const json_t *at;
	size_t i;

	if (!json_array_size(result)) {
		puts("no servers");
		mg_table_free(t);
		return;
	}
	json_array_foreach (result, i, at) {
		bool mptcp = json_is_true(json_object_get(at, "mptcp"));

		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "server"));
		mg_table_cell(t, mptcp ? MG_GREEN : MG_YELLOW, mptcp ? "yes" : "no");
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "source"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_human_s(buf, mg_get_number(at, "expires_s")));
	}
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

/* Who wants it for a backup */
static const char *backup_of(const json_t *subflow)
{
	bool peer = json_is_true(json_object_get(subflow, "backup"));

	if (json_is_true(json_object_get(subflow, "backup_asked")))
		return peer ? "both" : "we";
	return peer ? "client" : "no";
}

/* Numbers that are null where there is nothing to tell */
static void share_and_cap(struct mg_table *t, const json_t *subflow)
{
	const json_t *share = json_object_get(subflow, "share_permille");
	const json_t *cap = json_object_get(subflow, "cap_bytes_per_s");

	if (json_is_integer(share))
		mg_table_cell(t, MG_PLAIN, "%.1f%%", (double)json_integer_value(share) / 10);
	else
		mg_table_cell(t, MG_PLAIN, "-");
	if (json_is_integer(cap))
		mg_table_cell(t, MG_PLAIN, "%.1f Mbit/s", (double)json_integer_value(cap) * 8e-6);
	else
		mg_table_cell(t, MG_PLAIN, "-");
}

static void show_subflows(const json_t *list)
{
	static const char *const heads[] = { "LOCAL",	  "REMOTE", "ACCESS", "BACKUP", ">SENT",
					     ">RECEIVED", ">RTT",   ">SHARE", ">CAP",	NULL };
	char buf[MG_HUMAN_STRLEN];
	struct mg_table *t;
	const json_t *at;
	size_t i;

	if (!json_array_size(list))
		return;
	t = mg_table_new(heads);
	json_array_foreach (list, i, at) {
		const char *backup = backup_of(at);

		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "local"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "remote"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "access"));
		mg_table_cell(t, strcmp(backup, "no") != 0 ? MG_YELLOW : MG_PLAIN, "%s", backup);
		mg_table_cell(t, MG_PLAIN, "%s",
			      mg_human_bytes(buf, mg_get_number(at, "bytes_sent")));
		mg_table_cell(t, MG_PLAIN, "%s",
			      mg_human_bytes(buf, mg_get_number(at, "bytes_received")));
		mg_table_cell(t, MG_PLAIN, "%.1f ms", (double)mg_get_number(at, "rtt_us") / 1000);
		share_and_cap(t, at);
	}
	putchar('\n');
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* The key says what the number counts: bytes_up, age_ms, uptime_s. */
static void number_cell(struct mg_table *t, const char *key, uint64_t value)
{
	enum mg_style style = value ? MG_PLAIN : MG_DIM;
	char buf[MG_HUMAN_STRLEN], exact[MG_HUMAN_STRLEN];

	if (strncmp(key, "bytes", 5) == 0 || ends_with(key, "_bytes"))
		mg_table_cell(t, style, "%s (%s)", mg_human_bytes(buf, value),
			      mg_human_count(exact, value));
	else if (ends_with(key, "_ms"))
		mg_table_cell(t, style, "%s", mg_human_ms(buf, value));
	else if (ends_with(key, "_s"))
		mg_table_cell(t, style, "%s", mg_human_s(buf, value));
	else
		mg_table_cell(t, style, "%s", mg_human_count(buf, value));
}

static void value_cell(struct mg_table *t, const char *key, const json_t *value)
{
	char *text;

	if (json_is_integer(value)) {
		number_cell(t, key,
			    json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value)
							  : 0);
		return;
	}
	if (json_is_boolean(value)) {
		mg_table_cell(t, MG_PLAIN, json_is_true(value) ? "yes" : "no");
		return;
	}
	if (json_is_string(value) || json_is_null(value)) {
		const char *known = json_string_value(value);

		mg_table_cell(t, MG_PLAIN, "%s", known && *known ? known : "-");
		return;
	}
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	mg_table_cell(t, MG_PLAIN, "%s", text ? text : "-");
	free(text);
}

void mg_show_session(const json_t *result)
{
	static const char *const heads[] = { "", "", NULL };
	struct mg_table *t = mg_table_new(heads);
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)result, key, value) {
		if (strcmp(key, "subflows") == 0)
			continue;
		mg_table_cell(t, MG_BOLD, "%s", key);
		if (strcmp(key, "id") == 0)
			mg_table_cell(t, MG_PLAIN, "%" JSON_INTEGER_FORMAT,
				      json_integer_value(value));
		else
			value_cell(t, key, value);
	}
	mg_table_print(t, 0, 0);
	mg_table_free(t);
	show_subflows(json_object_get(result, "subflows"));
}

/* A long list is read for what happened, so what did not happen is only counted. */
static size_t add_rows(struct mg_table *t, json_t *group)
{
	size_t n = json_object_size(group), zeros = 0, rows = 0;
	const char *key;
	json_t *value;

	json_object_foreach (group, key, value) {
		if (json_is_object(value))
			continue;
		rows++;
		if (n > LONG_GROUP && json_is_integer(value) && !json_integer_value(value)) {
			zeros++;
			continue;
		}
		mg_table_cell(t, MG_PLAIN, "  %s", key);
		value_cell(t, key, value);
	}
	if (zeros) {
		mg_table_cell(t, MG_DIM, "  %s", zeros == n ? "all" : "others");
		mg_table_cell(t, MG_DIM, "0");
	}
	return rows;
}

/* One block per innermost object; depth is what the daemon sends, two or three. */
static void show_group(const char *title, json_t *group, unsigned int depth)
{
	static const char *const heads[] = { "", ">", NULL };
	struct mg_table *t = mg_table_new(heads);
	const char *key;
	json_t *value;
	char inner[128];

	if (add_rows(t, group)) {
		if (*title) {
			mg_print_styled(MG_BOLD, title);
			putchar('\n');
		}
		mg_table_print(t, 0, 0);
	}
	mg_table_free(t);
	json_object_foreach (group, key, value) {
		if (!json_is_object(value) || depth == 4)
			continue;
		snprintf(inner, sizeof(inner), "%s%s%s", title, *title ? " " : "", key);
		show_group(inner, value, depth + 1);
	}
}

void mg_show_counters(const json_t *result)
{
	show_group("", (json_t *)result, 0);
}

void mg_show_config(const json_t *result)
{
	char *text;

	if (json_is_string(result)) {
		fputs(json_string_value(result), stdout);
		return;
	}
	text = json_dumps(result, JSON_ENCODE_ANY | JSON_INDENT(2));
	puts(text ? text : "-");
	free(text);
}
