// SPDX-License-Identifier: BSD-2-Clause
/* Gateways, for people. */
#include "ctl/ctl.h"

#include <string.h>
#include <time.h>

#include "ctl/table.h"

static enum mg_style state_style(const char *state)
{
	if (strcmp(state, "up") == 0)
		return MG_GREEN;
	return strcmp(state, "down") == 0 ? MG_RED : MG_YELLOW;
}

static void number_or_dash(struct mg_table *t, const json_t *object, const char *key)
{
	char buf[MG_HUMAN_STRLEN];

	if (json_is_integer(json_object_get(object, key)))
		mg_table_cell(t, MG_PLAIN, "%s", mg_human_count(buf, mg_get_number(object, key)));
	else
		mg_table_cell(t, MG_DIM, "-");
}

static void percent(struct mg_table *t, const json_t *object, const char *key)
{
	double share = json_number_value(json_object_get(object, key));

	mg_table_cell(t, share > 0 ? MG_PLAIN : MG_DIM, "%.2f %%", share * 100);
}

static void way_cell(struct mg_table *t, const json_t *at)
{
	const json_t *way = json_object_get(at, "way");

	mg_table_cell(t, json_is_false(way) ? MG_RED : MG_PLAIN, "%s%s", mg_get_text(at, "deliver"),
		      json_is_false(way) ? " (no way)" : "");
}

void mg_show_proxies(const json_t *result)
{
	static const char *const heads[] = { "NAME",	  "ADDRESS", ">WEIGHT", "STATE",
					     ">SESSIONS", ">SHARE",  "KIND",	"LOCATION",
					     "DELIVER",	  "FAULT",   NULL };
	struct mg_table *t = mg_table_new(heads);
	const json_t *at;
	size_t i;

	if (!json_array_size(result)) {
		puts("no proxies");
		mg_table_free(t);
		return;
	}
	json_array_foreach (result, i, at) {
		const char *state = mg_get_text(at, "state");

		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "name"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "address"));
		number_or_dash(t, at, "weight");
		mg_table_cell(t, state_style(state), "%s", state);
		number_or_dash(t, at, "sessions");
		percent(t, at, "share");
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "kind"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "location"));
		way_cell(t, at);
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "fault"));
	}
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

void mg_show_tokens(const json_t *result)
{
	static const char *const heads[] = { "TOKEN", "PROXY", "ORIGIN", ">AGE", NULL };
	struct mg_table *t = mg_table_new(heads);
	char buf[MG_HUMAN_STRLEN];
	const json_t *at;
	size_t i;

	if (!json_array_size(result)) {
		puts("no tokens");
		mg_table_free(t);
		return;
	}
	json_array_foreach (result, i, at) {
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "token"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "proxy"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "origin"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_human_s(buf, mg_get_number(at, "age_s")));
	}
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

void mg_show_ring(const json_t *result)
{
	static const char *const heads[] = { "MEMBER", ">SLOTS", ">SHARE", ">BEFORE", NULL };
	struct mg_table *t = mg_table_new(heads);
	char slots[MG_HUMAN_STRLEN], ago[MG_HUMAN_STRLEN];
	uint64_t changed_s = mg_get_number(result, "changed_s"), now_s = (uint64_t)time(NULL);
	const json_t *at;
	size_t i;

	mg_print_styled(MG_BOLD, mg_get_text(result, "group"));
	printf("  hash %s, %s slots", mg_get_text(result, "hash"),
	       mg_human_count(slots, mg_get_number(result, "slots")));
	if (changed_s)
		printf(", changed %s ago",
		       mg_human_s(ago, now_s > changed_s ? now_s - changed_s : 0));
	putchar('\n');
	json_array_foreach (json_object_get(result, "members"), i, at) {
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "name"));
		number_or_dash(t, at, "slots");
		percent(t, at, "share");
		number_or_dash(t, at, "previous_slots");
	}
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

static void located_row(struct mg_table *t, const char *name, const json_t *value)
{
	if (!value || json_is_null(value))
		return;
	mg_table_cell(t, MG_BOLD, "%s", name);
	if (json_is_integer(value))
		mg_table_cell(t, MG_PLAIN, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		mg_table_cell(t, MG_PLAIN, "%s",
			      json_is_string(value) ? json_string_value(value) : "-");
}

void mg_show_located(const json_t *result)
{
	static const char *const heads[] = { "", "", NULL };
	static const char *const keys[] = { "what",   "why",	 "reason",  "proxy",
					    "second", "deliver", "address", "group",
					    "slot",   "rule",	 "token" };
	struct mg_table *t = mg_table_new(heads);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		located_row(t, keys[i], json_object_get(result, keys[i]));
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

void mg_show_gateway(const json_t *gateway)
{
	const json_t *proxies = json_object_get(gateway, "proxies");
	bool reachable = json_is_true(json_object_get(gateway, "reachable"));
	char a[MG_HUMAN_STRLEN], b[MG_HUMAN_STRLEN];

	if (!json_is_object(gateway))
		return;
	putchar('\n');
	mg_print_styled(MG_BOLD, json_is_true(json_object_get(gateway, "steers"))
					 ? "GATEWAY"
					 : "BEHIND GATEWAYS");
	printf("\nstore      %s, ", mg_get_text(gateway, "store"));
	mg_print_styled(reachable ? MG_GREEN : MG_RED, reachable ? "reachable" : "not reachable");
	printf("\ntokens     %s of %s\n", mg_human_count(a, mg_get_number(gateway, "tokens")),
	       mg_human_count(b, mg_get_number(gateway, "tokens_max")));
	if (mg_get_number(gateway, "collisions"))
		printf("collisions %s\n", mg_human_count(a, mg_get_number(gateway, "collisions")));
	if (!json_is_true(json_object_get(gateway, "steers")))
		return;
	printf("proxies    %llu up, %llu draining, %llu down\n",
	       (unsigned long long)mg_get_number(proxies, "up"),
	       (unsigned long long)mg_get_number(proxies, "draining"),
	       (unsigned long long)mg_get_number(proxies, "down"));
	printf("flows      %s at most\n", mg_human_count(a, mg_get_number(gateway, "flows_max")));
	printf("joins      unknown: %s, learning %s\n", mg_get_text(gateway, "unknown_join"),
	       json_is_true(json_object_get(gateway, "learn")) ? "on" : "off");
}
