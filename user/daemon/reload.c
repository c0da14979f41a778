// SPDX-License-Identifier: BSD-2-Clause
/* A configuration in the place of the one that runs. */
#include "daemon/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"

/* Findings come as lines of text; each becomes a line of the log. */
static void log_lines(char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		mg_error("%s", line);
}

static int load_next(struct mg_daemon *d, struct mg_config **next, FILE *errors)
{
	int err = mg_config_load(next, d->config_path, errors);

	return err ? err : mg_config_check_host(*next, errors);
}

static int put(struct mg_daemon *d, struct mg_config *c)
{
	int err = mg_sessionlog_set(d->proxy.log, &c->policies.sharing);

	if (!err)
		err = mg_gate_reload(d->gate, c);
	if (!err)
		err = mg_dp_set_intercept(d->dp, c);
	/* What policies speak of is there by now. */
	if (!err)
		err = mg_daemon_set_policies(d, c);
	if (!err)
		err = mg_access_reload(&d->access, c);
	if (err)
		return err;
	d->config = c;
	return mg_daemon_apply(d);
}

/* It was in force before; what fails nevertheless is logged there. Workers know what tickets of
 * both mean until the kernel's side gives those of this one. */
static void put_back(struct mg_daemon *d, struct mg_config *c)
{
	d->config = c;
	mg_daemon_set_policies(d, c);
	mg_daemon_apply(d);
	mg_daemon_drop_bridge(d);
	mg_access_reload(&d->access, c);
	mg_dp_set_intercept(d->dp, c);
	mg_gate_reload(d->gate, c);
	mg_sessionlog_set(d->proxy.log, &c->policies.sharing);
}

/* All of it or nothing: what the kernel's side was told already is taken back. */
static int put_in_force(struct mg_daemon *d, struct mg_config *next)
{
	const struct mg_pm_event all_anew = { .kind = MG_PM_LOST };
	struct mg_config *last = d->config;
	bool ended_sessions = d->gate && d->gate->self;
	int err = put(d, next);

	if (err)
		put_back(d, last);
	else if (!ended_sessions)
		mg_publish_event(d->publish, &all_anew, false);
	mg_config_free(err ? next : last);
	return err;
}

/* What becomes of the running configuration: the file anew, or one policy more or less. */
struct change {
	const char *what; /* for the log */
	const char *set;  /* a policy's text… */
	const char *del;  /* …or its name; neither: the file */
};

/* What replies to others' addresses take was there from the start, or is not. */
static int check_rules(const struct mg_daemon *d, const struct mg_config *next, FILE *errors)
{
	if (d->rules_claim >= 0 || !mg_config_borrows(next))
		return 0;
	fputs("source: preserved and sharing.pool: there was no policy when mpgated started, or "
	      "another "
	      "mpgated has the routing rules for them; expected a restart\n",
	      errors);
	return -EBUSY;
}

static int make_next(struct mg_daemon *d, const struct change *how, struct mg_config **next,
		     FILE *errors)
{
	int err;

	if (how->set)
		err = mg_config_set_policy(d->config, how->set, next, errors);
	else if (how->del)
		err = mg_config_del_policy(d->config, how->del, next, errors);
	else
		err = load_next(d, next, errors);
	if (!err)
		err = mg_config_check_reload(d->config, *next, errors);
	return err ? err : check_rules(d, *next, errors);
}

static int change(struct mg_daemon *d, const struct change *how, FILE *findings)
{
	struct mg_config *next = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *errors = open_memstream(&text, &len);
	int err;

	if (!errors)
		return -ENOMEM;
	err = make_next(d, how, &next, errors);
	if (err) {
		mg_config_free(next);
	} else {
		err = put_in_force(d, next);
		if (err)
			fprintf(errors, "cannot be put in force: %s\n", strerror(-err));
	}
	fclose(errors);
	if (findings)
		fputs(text, findings);
	log_lines(text);
	free(text);
	if (err)
		mg_error("reload: %s changes nothing, the running configuration stays", how->what);
	else
		mg_info("reload: %s is in force", how->what);
	return err;
}

int mg_daemon_reload(struct mg_daemon *d, FILE *findings)
{
	const struct change how = { .what = d->config_path };
	int err;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)mg_clock_ms() * 1000);
	err = change(d, &how, findings);
	sd_notify(0, "READY=1");
	return err;
}

int mg_daemon_set_policy(struct mg_daemon *d, const char *text, FILE *findings)
{
	return change(d, &(struct change){ .what = "the policy", .set = text }, findings);
}

int mg_daemon_del_policy(struct mg_daemon *d, const char *name, FILE *findings)
{
	return change(d, &(struct change){ .what = "the rest without that policy", .del = name },
		      findings);
}
