// SPDX-License-Identifier: BSD-2-Clause
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "daemon/daemon.h"

#define DEFAULT_CONFIG "/etc/mpgate/mpgate.yaml"

/* The library looks for it by name. */
__attribute__((visibility("default"))) const char *argp_program_version = "mpgated " MG_VERSION;

struct arguments {
	const char *config;
	bool check, detach;
};

#define KEY_DETACH 0x100 /* no short form */

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "Configuration (default " DEFAULT_CONFIG ")", 0 },
	{ "check", 'n', NULL, 0, "Check the configuration against this host, and end", 0 },
	{ "detach", KEY_DETACH, NULL, 0,
	  "Remove what a gateway left in force when it ended, and end", 0 },
	{ "debug", 'd', NULL, 0, "Log everything from the start", 0 },
	{ 0 },
};

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's type */
static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'c':
		a->config = arg;
		return 0;
	case 'n':
		a->check = true;
		return 0;
	case KEY_DETACH:
		a->detach = true;
		return 0;
	case 'd':
		mg_log_set_level(MG_LOG_DEBUG);
		return 0;
	case ARGP_KEY_ARG:
		argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse, NULL, "mpgated: hybrid MPTCP proxy, a Transport Converter (RFC 8803).",
	NULL,	 NULL,	NULL
};

static int run(const struct arguments *args)
{
	static struct mg_daemon daemon;
	int err;

	if (mg_config_load(&daemon.config, args->config, stderr))
		return -EINVAL;
	if (args->detach) {
		/* Interfaces that are named there may be gone. */
		err = mg_daemon_detach(daemon.config);
		mg_config_free(daemon.config);
		return err;
	}
	err = mg_config_check_host(daemon.config, stderr);
	daemon.config_path = args->config;
	if (!err && !args->check) {
		err = mg_daemon_start(&daemon);
		if (!err)
			mg_daemon_run(&daemon);
		mg_daemon_stop(&daemon);
		if (!err)
			mg_info("mpgated ends");
	}
	mg_config_free(daemon.config);
	return err;
}

int main(int argc, char **argv)
{
	struct arguments args = { .config = DEFAULT_CONFIG };

	argp_err_exit_status = 2;
	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return 2;
	return run(&args) ? EXIT_FAILURE : EXIT_SUCCESS;
}
