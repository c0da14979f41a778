// SPDX-License-Identifier: BSD-2-Clause
/* Requests that change the running configuration, and the findings that they are answered with. */
#include "daemon/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/put.h"

static int change(struct mg_daemon *d, const struct mg_control_request *req, FILE *findings)
{
	switch (req->cmd) {
	case MG_CMD_POLICY_SET:
		return mg_daemon_set_policy(d, req->policy, findings);
	case MG_CMD_POLICY_DEL:
		return mg_daemon_del_policy(d, req->name, findings);
	default:
		return mg_daemon_reload(d, findings);
	}
}

static char *changed(const struct mg_daemon *d, const struct mg_control_request *req)
{
	json_t *o = json_object();

	put_bool(o, "done", true);
	if (req->cmd == MG_CMD_RELOAD)
		put_text(o, "file", d->config_path);
	else
		put_text(o, "note",
			 "in the running configuration only: the file is not touched, and what it "
			 "says holds again after a reload or a restart");
	return mg_control_format_result(o);
}

static char *refused(int err, char *findings)
{
	size_t len = strlen(findings);

	if (len && findings[len - 1] == '\n')
		findings[len - 1] = '\0';
	return mg_control_format_error(err, *findings ? findings : strerror(-err));
}

bool mg_control_is_change(enum mg_command cmd)
{
	return cmd == MG_CMD_RELOAD || cmd == MG_CMD_POLICY_SET || cmd == MG_CMD_POLICY_DEL;
}

char *mg_control_change(struct mg_daemon *d, const struct mg_control_request *req)
{
	char *findings = NULL, *answer;
	size_t len = 0;
	FILE *out = open_memstream(&findings, &len);
	int err;

	if (!out)
		return mg_control_format_error(-ENOMEM, "out of memory");
	err = change(d, req, out);
	fclose(out);
	answer = err ? refused(err, findings) : changed(d, req);
	free(findings);
	return answer;
}
