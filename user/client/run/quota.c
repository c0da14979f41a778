// SPDX-License-Identifier: BSD-2-Clause
#include "client/run/quota.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <jansson.h>

#include "mpgate/mpgate.h"

#define DEFAULT_SECONDS 60

static const char *number(char buf[16], uint32_t n)
{
	if (n == MPGATE_UNLIMITED)
		return "unlimited";
	snprintf(buf, 16, "%" PRIu32, n);
	return buf;
}

static void print_access(const struct mpgate_quota *q)
{
	printf("access networks:      ");
	if (q->any_access)
		printf("any");
	else if (!q->n_access)
		printf("none");
	for (unsigned int i = 0; i < q->n_access; i++)
		printf("%s%s", i ? ", " : "", q->access[i]);
	printf("%s\n", q->access_cut ? ", ..." : "");
}

static void print_text(const struct mpgate_quota *q)
{
	char left[16], limit[16], subflows[16];

	printf("sessions left:        %s", number(left, q->sessions_left));
	if (q->sessions_limit != MPGATE_UNLIMITED)
		printf(" of %s", number(limit, q->sessions_limit));
	printf("\nsubflows per session: %s\n", number(subflows, q->subflows));
	if (q->wait_s)
		printf("next session:         in %" PRIu32 " s\n", q->wait_s);
	else
		printf("next session:         %s\n", q->sessions_left ? "now" : "when one ends");
	print_access(q);
	if (q->reservation)
		printf("reserved:             %u for %u s\n", q->reserved, q->reserved_s);
}

static json_t *json_number(uint32_t n)
{
	return n == MPGATE_UNLIMITED ? json_null() : json_integer(n);
}

static void print_json(const struct mpgate_quota *q)
{
	json_t *o = json_object(), *access = q->any_access ? json_null() : json_array();

	for (unsigned int i = 0; i < q->n_access && !q->any_access; i++)
		json_array_append_new(access, json_string(q->access[i]));
	json_object_set_new(o, "sessions_left", json_number(q->sessions_left));
	json_object_set_new(o, "sessions_limit", json_number(q->sessions_limit));
	json_object_set_new(o, "subflows_per_session", json_number(q->subflows));
	json_object_set_new(o, "wait_s", json_integer(q->wait_s));
	json_object_set_new(o, "access", access);
	json_object_set_new(o, "access_cut", json_boolean(q->access_cut));
	json_object_set_new(o, "reserved", json_integer(q->reserved));
	json_object_set_new(o, "reserved_s", json_integer(q->reserved_s));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

int run_quota(const struct run_quota *how)
{
	struct mpgate_quota quota = { .size = sizeof(quota) };
	struct mpgate_result result = { .size = sizeof(result) };
	int seconds = how->seconds < 0 ? DEFAULT_SECONDS : how->seconds;
	struct mpgate_options options;
	int err;

	mpgate_options_init(&options);
	err = mpgate_options_from_env(&options);
	if (!err)
		err = mpgate_quota(&options, how->reserve, (unsigned int)seconds, &quota, &result);
	if (err) {
		fprintf(stderr, "mpgate-run: %s: %s%s%s\n", getenv("MPGATE_CONVERTER"),
			result.why ? result.why : "", result.why ? ": " : "", strerror(-err));
		return EX_UNAVAILABLE;
	}
	if (how->json)
		print_json(&quota);
	else
		print_text(&quota);
	/* What was asked for was not granted, or less. */
	return how->reserve > quota.reserved ? EX_TEMPFAIL : EXIT_SUCCESS;
}
