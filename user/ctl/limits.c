// SPDX-License-Identifier: BSD-2-Clause
/* Who has how much, which policy holds, and cookies: asked for, and shown to people. */
#include "ctl/ctl.h"

#include <string.h>

#include "ctl/table.h"

/* "over_rate 12, denied 3" */
static void refused_cell(struct mg_table *t, const json_t *refused)
{
	char text[512] = "", count[MG_HUMAN_STRLEN];
	const char *reason;
	json_t *n;
	size_t len = 0;

	json_object_foreach ((json_t *)refused, reason, n) {
		if (len < sizeof(text))
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, "%s%s %s", len ? ", " : "", reason,
				mg_human_count(count, (uint64_t)json_integer_value(n)));
	}
	mg_table_cell(t, len ? MG_YELLOW : MG_DIM, "%s", len ? text : "-");
}

static void limit_cell(struct mg_table *t, uint64_t limit, uint64_t has)
{
	char buf[MG_HUMAN_STRLEN];

	mg_table_cell(t,
		      !limit	     ? MG_DIM
		      : has >= limit ? MG_RED
				     : MG_PLAIN,
		      "%s", limit ? mg_human_count(buf, limit) : "-");
}

void mg_show_limits(const json_t *result)
{
	static const char *const heads[] = { "SUBSCRIBER", "POLICY",	">SESSIONS",
					     ">OF",	   ">RESERVED", ">SUBFLOWS",
					     ">OF",	   "REFUSED",	NULL };
	struct mg_table *t = mg_table_new(heads);
	char buf[MG_HUMAN_STRLEN];
	const json_t *at;
	size_t i;

	if (!json_array_size(result)) {
		puts("no subscriber has sessions, or was refused");
		mg_table_free(t);
		return;
	}
	json_array_foreach (result, i, at) {
		uint64_t sessions = mg_get_number(at, "sessions");
		uint64_t subflows = mg_get_number(at, "subflows");

		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "subscriber"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "policy"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_human_count(buf, sessions));
		limit_cell(t, mg_get_number(at, "sessions_limit"), sessions);
		mg_table_cell(t, MG_PLAIN, "%s",
			      mg_human_count(buf, mg_get_number(at, "reserved")));
		mg_table_cell(t, MG_PLAIN, "%s", mg_human_count(buf, subflows));
		limit_cell(t, mg_get_number(at, "subflows_limit"), subflows);
		refused_cell(t, json_object_get(at, "refused"));
	}
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

/* ---- policy test ----------------------------------------------------------------------------- */

static void text_row(struct mg_table *t, const json_t *result, const char *key)
{
	mg_table_cell(t, MG_BOLD, "%s", key);
	mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(result, key));
}

/* What is there of it, and of how much */
static void count_row(struct mg_table *t, const json_t *result, const char *limit, const char *now)
{
	uint64_t most = mg_get_number(json_object_get(result, "limits"), limit);
	const json_t *has = json_object_get(json_object_get(result, "now"), now ? now : "");
	char a[MG_HUMAN_STRLEN], b[MG_HUMAN_STRLEN];

	if (!most)
		return;
	mg_table_cell(t, MG_BOLD, "%s", limit);
	if (has)
		mg_table_cell(t, MG_PLAIN, "%s of %s",
			      mg_human_count(a, (uint64_t)json_integer_value(has)),
			      mg_human_count(b, most));
	else
		mg_table_cell(t, MG_PLAIN, "%s", mg_human_count(b, most));
}

static void refusal_row(struct mg_table *t, const json_t *result, const char *key,
			const char *why_key, const char *head)
{
	const json_t *refused = json_object_get(result, key);

	if (!refused)
		return;
	mg_table_cell(t, MG_BOLD, "%s", head);
	if (json_is_string(refused))
		mg_table_cell(t, MG_RED, "refused: %s (%s)", json_string_value(refused),
			      mg_get_text(result, why_key));
	else
		mg_table_cell(t, MG_GREEN, "admitted");
}

void mg_show_policy_test(const json_t *result)
{
	static const char *const heads[] = { "", "", NULL };
	static const char *const texts[] = { "policy",	"why",	  "subscriber", "class",
					     "service", "access", "trust",	"mode",
					     "group",	"refuse", "refuse_join" };
	static const char *const counts[][2] = {
		{ "sessions", "sessions" },
		{ "new_per_s", NULL },
		{ "burst", NULL },
		{ "held", NULL },
		{ "subflows", "subflows" },
		{ "subflows_per_session", NULL },
		{ "service_sessions", "service_sessions" },
		{ "service_sessions_per_subscriber", "service_subscriber_sessions" },
		{ "proxy_sessions", "proxy_sessions" },
	};
	struct mg_table *t = mg_table_new(heads);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		text_row(t, result, texts[i]);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		count_row(t, result, counts[i][0], counts[i][1]);
	refusal_row(t, result, "refused", "refused_why", "a session now");
	refusal_row(t, result, "refused_with_cookie", "refused_with_cookie_why", "with a cookie");
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}

void mg_show_cookie(const json_t *result)
{
	printf("%s\n", mg_get_text(result, "cookie"));
	fprintf(stderr, "for %s, epoch %llu, valid until %s%s\n", mg_get_text(result, "address"),
		(unsigned long long)mg_get_number(result, "epoch"),
		mg_get_text(result, "valid_until"),
		json_is_true(json_object_get(result, "survives_restart"))
			? ""
			: " or a restart of mpgated (there is no converter.cookie_key_file)");
}

/* ---- what they are asked with ---------------------------------------------------------------- */

static int copy_text(char *to, size_t size, const char *text)
{
	if (!*text || strlen(text) >= size)
		return -1;
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

const char *mg_ctl_policy_test(struct mg_control_request *req, const char *from, const char *to,
			       const char *via)
{
	if (!from || mg_ip_parse(&req->address, from))
		return "--from and an address";
	if (!to || mg_ep_parse(&req->to, to))
		return "--to and an address and port";
	if (via && copy_text(req->via, sizeof(req->via), via))
		return "the name of an interface with --via";
	return NULL;
}

const char *mg_ctl_limits(struct mg_control_request *req, const char *subscriber)
{
	return copy_text(req->subscriber, sizeof(req->subscriber), subscriber)
		       ? "an address, a prefix or an identity"
		       : NULL;
}

const char *mg_ctl_cookie(struct mg_control_request *req, const char *address)
{
	return mg_ip_parse(&req->address, address) ? "an address" : NULL;
}
