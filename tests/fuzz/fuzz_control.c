// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arbitrary bytes as a request and as an answer:
 *   - an accepted request, written again and read again, is the same request;
 *   - a refused one comes with a reason that can be sent as an answer and arrives unchanged;
 *   - an accepted answer can be sent again, on one line.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "wire/control.h"

static void one_line(const char *line)
{
	FUZZ_CHECK(line && strchr(line, '\n') == line + strlen(line) - 1);
}

static void as_request(const char *bytes, size_t len)
{
	struct mg_control_request req, again;
	char why[256] = "", back[256] = "", *line;
	json_t *result;
	int err = mg_control_parse_request(&req, bytes, len, why, sizeof(why));

	if (err) {
		FUZZ_CHECK(err == -EINVAL && *why);
		line = mg_control_format_error(err, why);
		one_line(line);
		FUZZ_CHECK(mg_control_parse_answer(&result, line, strlen(line), back,
						   sizeof(back)) == -EINVAL);
		FUZZ_CHECK(strlen(back) == strlen(why));
	} else {
		line = mg_control_format_request(&req);
		one_line(line);
		FUZZ_CHECK(mg_control_parse_request(&again, line, strlen(line), why, sizeof(why)) ==
			   0);
		FUZZ_CHECK(again.cmd == req.cmd && again.id == req.id && again.level == req.level);
		FUZZ_CHECK(strcmp(again.name, req.name) == 0 &&
			   strcmp(again.policy, req.policy) == 0);
		FUZZ_CHECK(again.all == req.all && mg_ep_equal(&again.server, &req.server));
	}
	free(line);
}

static void as_answer(const char *bytes, size_t len)
{
	char why[256] = "", *line;
	json_t *result, *again;
	int err = mg_control_parse_answer(&result, bytes, len, why, sizeof(why));

	FUZZ_CHECK((err == 0) == (result != NULL));
	if (err)
		return;
	line = mg_control_format_result(json_incref(result));
	one_line(line);
	FUZZ_CHECK(mg_control_parse_answer(&again, line, strlen(line), why, sizeof(why)) == 0);
	FUZZ_CHECK(json_equal(result, again));
	json_decref(result);
	json_decref(again);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	as_request((const char *)data, len);
	as_answer((const char *)data, len);
	return 0;
}
