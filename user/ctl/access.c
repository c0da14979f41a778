// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool copy(char *to, size_t size, const char *text)
{
	if (!*text || strlen(text) >= size)
		return false;
	memcpy(to, text, strlen(text) + 1);
	return true;
}

static bool read_seconds(uint32_t *seconds, const char *text)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	*seconds = (uint32_t)n;
	return !errno && !*end && n >= 1 && n <= UINT32_MAX;
}

const char *mg_ctl_access_set(struct mg_control_request *req, const char *prefix, const char *name,
			      const char *subscriber, const char *ttl)
{
	req->has_prefix = true;
	if (mg_prefix_parse(&req->prefix, prefix))
		return "an address or a prefix";
	if (!name || !copy(req->access, sizeof(req->access), name))
		return "the name of an access network";
	if (subscriber && !copy(req->subscriber, sizeof(req->subscriber), subscriber))
		return "an identity of 1 to 255 bytes for --subscriber";
	if (ttl && !read_seconds(&req->ttl_s, ttl))
		return "a number of seconds for --ttl, at least 1";
	return NULL;
}

void mg_show_access(const json_t *result)
{
	static const char *const heads[] = { "PREFIX", "ACCESS", "SUBSCRIBER",
					     "SOURCE", ">TTL",	 NULL };
	struct mg_table *t = mg_table_new(heads);
	char buf[MG_HUMAN_STRLEN];
	const json_t *at;
	size_t i;

	if (!json_array_size(result)) {
		puts("nothing is known");
		mg_table_free(t);
		return;
	}
	json_array_foreach (result, i, at) {
		bool ends = json_is_integer(json_object_get(at, "ttl_s"));

		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "prefix"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "access"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "subscriber"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(at, "source"));
		mg_table_cell(t, ends ? MG_PLAIN : MG_DIM, "%s",
			      ends ? mg_human_s(buf, mg_get_number(at, "ttl_s")) : "-");
	}
	mg_table_print(t, 0, 0);
	mg_table_free(t);
}
