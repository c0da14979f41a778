// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/control_ask.h"

#include <errno.h>
#include <string.h>

#include "daemon/report_policy.h"

static char *limits_error(int err, const char *subscriber)
{
	char text[MG_CONTROL_SUBSCRIBER + 96];

	if (err == -EINVAL)
		snprintf(text, sizeof(text), "%s is no address, prefix or identity", subscriber);
	else if (err == -E2BIG)
		snprintf(text, sizeof(text), "too many subscribers to list them all, ask for one");
	else
		snprintf(text, sizeof(text), "cannot read the counts: %s", strerror(-err));
	return mg_control_format_error(err, text);
}

static char *test_error(int err, const char *via)
{
	char text[96];

	if (err == -ENODEV)
		snprintf(text, sizeof(text), "there is no interface %s", via);
	else
		snprintf(text, sizeof(text), "cannot run the program: %s", strerror(-err));
	return mg_control_format_error(err, text);
}

char *mg_control_ask(struct mg_daemon *d, const struct mg_control_request *req)
{
	json_t *result = NULL;
	int err = 0;

	if (req->cmd == MG_CMD_LIMITS)
		result = mg_report_limits(d, req->subscriber, &err);
	else if (req->cmd == MG_CMD_POLICY_TEST)
		result = mg_report_policy_test(d, req, &err);
	else
		result = mg_report_cookie(d, &req->address);
	if (result)
		return mg_control_format_result(result);
	if (err)
		return req->cmd == MG_CMD_LIMITS ? limits_error(err, req->subscriber)
						 : test_error(err, req->via);
	return mg_control_format_error(-ENOMEM, "out of memory");
}
