// SPDX-License-Identifier: BSD-2-Clause
/*
 * mpgate-run: starts a program with libmpgate-preload.so in front of libc. Settings come from the
 * options, else from the environment, else from /etc/mpgate/client.conf, and reach the library as
 * MPGATE_ variables.
 */
#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "client/run/quota.h"

#define PRELOAD	     "libmpgate-preload.so"
#define CLIENT_CONF  "/etc/mpgate/client.conf"
#define EXIT_USAGE   64
#define EXIT_NO_EXEC 126
#define EXIT_NO_FILE 127

const char *argp_program_version = "mpgate-run " MG_VERSION;

enum key {
	KEY_NO_0RTT = 256,
	KEY_NO_MPTCP,
	KEY_DIRECT,
	KEY_TIMEOUT,
	KEY_QUOTA,
	KEY_RESERVE,
	KEY_FOR,
	KEY_JSON
};

struct wish {
	char **command;
	struct run_quota quota;
};

static const struct argp_option options[] = {
	{ "converter", 'c', "ADDR:PORT", 0, "Transport Converter to go through", 0 },
	{ "cookie", 'k', "HEX", 0, "cookie to show to the converter", 0 },
	{ "fallback", 'f', NULL, 0, "connect directly when the converter is of no use", 0 },
	{ "log", 'l', NULL, 0, "a line to stderr for each connection", 0 },
	{ "direct", KEY_DIRECT, "PREFIX,…", 0, "leave connections to these addresses alone", 0 },
	{ "timeout", KEY_TIMEOUT, "MS", 0, "wait so long for the converter's answer", 0 },
	{ "no-0rtt", KEY_NO_0RTT, NULL, 0, "send the message after the handshake", 0 },
	{ "no-mptcp", KEY_NO_MPTCP, NULL, 0, "speak plain TCP to the converter", 0 },
	{ "quota", KEY_QUOTA, NULL, 0, "run nothing; ask the converter what may be used", 0 },
	{ "reserve", KEY_RESERVE, "N", 0, "with --quota: hold N sessions (0: give them back)", 0 },
	{ "for", KEY_FOR, "S", 0, "with --reserve: for so many seconds; default 60", 0 },
	{ "json", KEY_JSON, NULL, 0, "with --quota: print JSON", 0 },
	{ 0 },
};

/* The settings of the configuration file, and the variables they become. */
static const struct {
	const char *name, *variable;
} settings[] = {
	{ "converter", "MPGATE_CONVERTER" }, { "cookie", "MPGATE_COOKIE" },
	{ "fallback", "MPGATE_FALLBACK" },   { "log", "MPGATE_LOG" },
	{ "direct", "MPGATE_DIRECT" },	     { "timeout_ms", "MPGATE_TIMEOUT_MS" },
	{ "no_0rtt", "MPGATE_NO_0RTT" },     { "no_mptcp", "MPGATE_NO_MPTCP" },
};

static void set(const char *variable, const char *value)
{
	if (setenv(variable, value, 1) < 0) {
		fprintf(stderr, "mpgate-run: %s: %s\n", variable, strerror(errno));
		exit(EXIT_USAGE);
	}
}

static int small_number(struct argp_state *state, const char *option, const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (!*text || *end || n < 0 || n > UINT16_MAX)
		argp_error(state, "%s '%s': expected 0 to %u", option, text, UINT16_MAX);
	return (int)n;
}

static error_t on_quota_option(int key, const char *arg, struct argp_state *state)
{
	struct run_quota *quota = &((struct wish *)state->input)->quota;

	switch (key) {
	case KEY_QUOTA:
		quota->wanted = true;
		break;
	case KEY_RESERVE:
		quota->reserve = small_number(state, "--reserve", arg);
		break;
	case KEY_FOR:
		quota->seconds = small_number(state, "--for", arg);
		break;
	case KEY_JSON:
		quota->json = true;
		break;
	case ARGP_KEY_END:
		if (!quota->wanted && (quota->reserve >= 0 || quota->seconds >= 0 || quota->json))
			argp_error(state, "--reserve, --for and --json go with --quota");
		if (quota->seconds >= 0 && quota->reserve < 0)
			argp_error(state, "--for goes with --reserve");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct wish *wish = state->input;

	switch (key) {
	case 'c':
		set("MPGATE_CONVERTER", arg);
		break;
	case 'k':
		set("MPGATE_COOKIE", arg);
		break;
	case 'f':
		set("MPGATE_FALLBACK", "1");
		break;
	case 'l':
		set("MPGATE_LOG", "1");
		break;
	case KEY_DIRECT:
		set("MPGATE_DIRECT", arg);
		break;
	case KEY_TIMEOUT:
		set("MPGATE_TIMEOUT_MS", arg);
		break;
	case KEY_NO_0RTT:
		set("MPGATE_NO_0RTT", "1");
		break;
	case KEY_NO_MPTCP:
		set("MPGATE_NO_MPTCP", "1");
		break;
	case ARGP_KEY_ARG:
		/* the first word of the command: the rest is not ours to look at */
		if (wish->quota.wanted)
			argp_error(state, "--quota runs no program");
		wish->command = &state->argv[state->next - 1];
		state->next = state->argc;
		break;
	case ARGP_KEY_NO_ARGS:
		if (!wish->quota.wanted)
			argp_usage(state);
		break;
	default:
		return on_quota_option(key, arg, state);
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = on_option,
	.args_doc = "CMD [ARG…]\n--quota",
	.doc = "Run CMD with its TCP connections going through a Transport Converter (RFC 8803).",
};

/* ---- the configuration file ---------------------------------------------------------------- */

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

static bool apply_line(char *line)
{
	char *hash = strchr(line, '#'), *equals, *name;

	if (hash)
		*hash = '\0';
	line = trim(line);
	if (!*line)
		return true;
	equals = strchr(line, '=');
	if (!equals)
		return false;
	*equals = '\0';
	name = trim(line);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (strcmp(settings[i].name, name) == 0)
			/* what the environment says already, stays */
			return setenv(settings[i].variable, trim(equals + 1), 0) == 0;
	return false;
}

static int read_config(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[512];
	int n = 0, err = 0;

	if (!f)
		return 0;
	while (!err && fgets(line, sizeof(line), f)) {
		n++;
		if (!apply_line(line)) {
			fprintf(stderr,
				"mpgate-run: %s:%d: expected one of the settings, as in "
				"converter = 192.0.2.1:5124\n",
				path, n);
			err = -EINVAL;
		}
	}
	fclose(f);
	return err;
}

/* ---- what the library will find ------------------------------------------------------------ */

static bool is_hex(const char *text)
{
	size_t n = strspn(text, "0123456789abcdefABCDEF");

	return n > 0 && n % 2 == 0 && !text[n];
}

static bool are_prefixes(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, ",");
		char one[MG_PREFIX_STRLEN];
		struct mg_prefix p;

		if (n >= sizeof(one))
			return false;
		memcpy(one, text, n);
		one[n] = '\0';
		if (mg_prefix_parse(&p, one))
			return false;
		text += n + (text[n] == ',');
	}
	return true;
}

static bool is_timeout(const char *text)
{
	char *end;
	long ms = strtol(text, &end, 10);

	return *text && !*end && ms > 0 && ms <= 3600 * 1000;
}

static bool is_flag(const char *text)
{
	return !*text || strcmp(text, "0") == 0 || strcmp(text, "1") == 0;
}

/* Said here once, rather than by every program that is started. */
static int check(void)
{
	static const char *const flags[] = { "MPGATE_FALLBACK", "MPGATE_LOG", "MPGATE_NO_0RTT",
					     "MPGATE_NO_MPTCP" };
	const char *converter = getenv("MPGATE_CONVERTER"), *text;
	struct mg_ep ep;

	if (!converter || !*converter) {
		fprintf(stderr, "mpgate-run: no converter: give --converter, MPGATE_CONVERTER or "
				"'converter' in " CLIENT_CONF "\n");
		return -EINVAL;
	}
	if (mg_ep_parse(&ep, converter)) {
		fprintf(stderr, "mpgate-run: converter '%s': expected ADDR:PORT or [ADDR6]:PORT\n",
			converter);
		return -EINVAL;
	}
	text = getenv("MPGATE_COOKIE");
	if (text && *text && !is_hex(text)) {
		fprintf(stderr, "mpgate-run: cookie '%s': expected pairs of hex digits\n", text);
		return -EINVAL;
	}
	text = getenv("MPGATE_DIRECT");
	if (text && !are_prefixes(text)) {
		fprintf(stderr, "mpgate-run: direct '%s': expected prefixes like 10.0.0.0/8\n",
			text);
		return -EINVAL;
	}
	text = getenv("MPGATE_TIMEOUT_MS");
	if (text && *text && !is_timeout(text)) {
		fprintf(stderr, "mpgate-run: timeout '%s': expected 1 to 3600000 (ms)\n", text);
		return -EINVAL;
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		text = getenv(flags[i]);
		if (text && !is_flag(text)) {
			fprintf(stderr, "mpgate-run: %s '%s': expected 0 or 1\n", flags[i], text);
			return -EINVAL;
		}
	}
	return 0;
}

/* Beside this program (a build tree), or in the library directory of its prefix. */
static int find_preload(char *out, size_t size)
{
	static const char *const places[] = { "%s/" PRELOAD, "%s/../lib/mpgate/" PRELOAD };
	char self[PATH_MAX], dir[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return -errno;
	self[n] = '\0';
	snprintf(dir, sizeof(dir), "%s", dirname(self));
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char path[PATH_MAX * 2], real[PATH_MAX];

		snprintf(path, sizeof(path), places[i], dir);
		if (realpath(path, real) && (size_t)snprintf(out, size, "%s", real) < size)
			return 0;
	}
	return -ENOENT;
}

/* Behind what is preloaded already. */
static int preload(void)
{
	const char *others = getenv("LD_PRELOAD");
	char path[PATH_MAX], *all;
	int err = find_preload(path, sizeof(path));

	if (err) {
		fprintf(stderr, "mpgate-run: " PRELOAD ": %s\n", strerror(-err));
		return err;
	}
	/* the loader splits the list at blanks and colons */
	if (strpbrk(path, " :")) {
		fprintf(stderr, "mpgate-run: %s: the path has a blank or a colon\n", path);
		return -EINVAL;
	}
	if (others && strstr(others, path))
		return 0;
	if (asprintf(&all, "%s%s%s", others ? others : "", others && *others ? ":" : "", path) < 0)
		return -ENOMEM;
	set("LD_PRELOAD", all);
	free(all);
	return 0;
}

int main(int argc, char **argv)
{
	struct wish wish = { .quota = { .reserve = -1, .seconds = -1 } };
	char since[32];
	struct timespec now;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &wish);
	if (read_config(CLIENT_CONF) || check())
		return EXIT_USAGE;
	if (wish.quota.wanted)
		return run_quota(&wish.quota);
	if (preload())
		return EXIT_USAGE;
	/* A converter that was put aside before gets a new chance. */
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(since, sizeof(since), "%" PRId64,
		 (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	set("MPGATE_SINCE", since);
	execvp(wish.command[0], wish.command);
	fprintf(stderr, "mpgate-run: %s: %s\n", wish.command[0], strerror(errno));
	return errno == ENOENT ? EXIT_NO_FILE : EXIT_NO_EXEC;
}
