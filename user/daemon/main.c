// SPDX-License-Identifier: BSD-2-Clause
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "daemon/daemon.h"

#define DEFAULT_CONFIG "/etc/mpgate/mpgate.yaml"

/* The library looks for it by name. */
__attribute__((visibility("default"))) const char *argp_program_version = "mpgated " MG_VERSION;

struct arguments {
	const char *config;
	bool check;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "Configuration (default " DEFAULT_CONFIG ")", 0 },
	{ "check", 'n', NULL, 0, "Check the configuration against this host, and end", 0 },
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

int main(int argc, char **argv)
{
	struct arguments args = { .config = DEFAULT_CONFIG };
	static struct mg_daemon daemon;
	int err;

	argp_err_exit_status = 2;
	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return 2;
	if (mg_config_load(&daemon.config, args.config, stderr) ||
	    mg_config_check_host(daemon.config, stderr)) {
		mg_config_free(daemon.config);
		return EXIT_FAILURE;
	}
	daemon.config_path = args.config;
	err = 0;
	if (!args.check) {
		err = mg_daemon_start(&daemon);
		if (!err)
			mg_daemon_run(&daemon);
		mg_daemon_stop(&daemon);
		if (!err)
			mg_info("mpgated ends");
	}
	mg_config_free(daemon.config);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
