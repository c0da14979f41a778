// SPDX-License-Identifier: BSD-2-Clause
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

#define EXIT_USAGE  2
#define HELP_COLUMN 33 /* where help says what a command does, less the indent */

/* Options without a letter */
enum {
	OPTION_IN = 256,
	OPTION_JOIN,
	OPTION_CAPABLE,
	OPTION_SYN,
	OPTION_DATA,
	OPTION_SUBSCRIBER,
	OPTION_TTL,
	OPTION_FROM,
	OPTION_TO,
	OPTION_VIA
};

struct subcommand {
	enum mg_command cmd;
	const char *words; /* as they are typed; NULL: the command's name */
	const char *arg;   /* as help shows it, in brackets if it may be left out; NULL: none */
	const char *what;
	void (*show)(const json_t *result); /* NULL: `done` says it */
	const char *done;
};

static const struct subcommand subcommands[] = {
	{ MG_CMD_STATUS, NULL, NULL, "what runs, and how", mg_show_status, NULL },
	{ MG_CMD_SESSIONS, NULL, NULL, "all sessions; live with --top", mg_show_sessions, NULL },
	{ MG_CMD_SESSION, NULL, "ID", "one session, with its subflows", mg_show_session, NULL },
	{ MG_CMD_SERVERS, NULL, NULL, "servers known to speak MPTCP, or not to", mg_show_servers,
	  NULL },
	{ MG_CMD_FORGET, "servers forget", "ADDR:PORT|all", "ask that server, or all, anew", NULL,
	  "forgotten" },
	{ MG_CMD_PROXIES, NULL, NULL, "the proxies this gateway steers to", mg_show_proxies, NULL },
	{ MG_CMD_TOKENS, NULL, "[HEX]", "which proxy owns which token", mg_show_tokens, NULL },
	{ MG_CMD_RING, NULL, "GROUP", "who of a group takes new sessions", mg_show_ring, NULL },
	{ MG_CMD_LOCATE, NULL, "CLIENT:PORT SERVER:PORT", "where a packet goes, and why",
	  mg_show_located, NULL },
	{ MG_CMD_COUNTERS, NULL, NULL, "everything that is counted", mg_show_counters, NULL },
	{ MG_CMD_LIMITS, NULL, "[SUBSCRIBER]", "who has how many sessions, and was refused",
	  mg_show_limits, NULL },
	{ MG_CMD_POLICY_TEST, "policy test", NULL, "which policy holds, and why",
	  mg_show_policy_test, NULL },
	{ MG_CMD_COOKIE, NULL, "ADDRESS", "the cookie that is valid for it now", mg_show_cookie,
	  NULL },
	{ MG_CMD_POLICIES, NULL, NULL, "who may what, first what goes first", mg_show_policies,
	  NULL },
	{ MG_CMD_POLICY_SET, "policy set", "YAML", "a policy more, or another one of its name",
	  mg_show_changed, NULL },
	{ MG_CMD_POLICY_DEL, "policy del", "NAME", "a policy less", mg_show_changed, NULL },
	{ MG_CMD_ACCESS, NULL, "[PREFIX]", "who is where", mg_show_access, NULL },
	{ MG_CMD_ACCESS_SET, "access set", "PREFIX NAME", "clients of PREFIX are there", NULL,
	  "set" },
	{ MG_CMD_ACCESS_DEL, "access del", "PREFIX", "forget what was said of it", NULL,
	  "forgotten" },
	{ MG_CMD_CONFIG, NULL, NULL, "the running configuration", mg_show_config, NULL },
	{ MG_CMD_RELOAD, NULL, NULL, "take the configuration file again", mg_show_changed, NULL },
	{ MG_CMD_DRAIN, NULL, "[PROXY]", "no new sessions; without PROXY, then end", NULL,
	  "draining" },
	{ MG_CMD_UNDRAIN, NULL, "PROXY", "it takes new sessions again", NULL, "no longer drained" },
	{ MG_CMD_CLOSE, NULL, "ID", "reset one session", NULL, "closed" },
	{ MG_CMD_LOG_LEVEL, NULL, "LEVEL", "error, warning, info or debug", NULL, "log level set" },
};

#define N_SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

struct options {
	const char *socket;
	bool json;
	bool top;
	const char *in; /* of locate, as the next two */
	const char *join;
	const char *kind;
	const char *from, *to, *via;  /* of policy test */
	const char *subscriber, *ttl; /* of access set */
	const char *first; /* word of a command of two, the second of which is still to come */
	const struct subcommand *sub;
	const char *arg;
	const char *arg2;
	struct mg_control_request req;
};

/* The library looks for it by name. */
__attribute__((visibility("default"))) const char *argp_program_version = "mpgatectl " MG_VERSION;

static const struct argp_option option_table[] = {
	{ "socket", 's', "PATH", 0, "control socket (" MG_CTL_DEFAULT_SOCKET ")", 0 },
	{ "json", 'j', NULL, 0, "print the daemon's JSON", 0 },
	{ "top", 't', NULL, 0, "with sessions: redraw every second, busiest first; q quits", 0 },
	{ "in", OPTION_IN, "INTERFACE", 0, "with locate: it comes in there", 0 },
	{ "join", OPTION_JOIN, "HEX", 0, "with locate: an MP_JOIN with that token", 0 },
	{ "capable", OPTION_CAPABLE, NULL, 0, "with locate: a SYN with MP_CAPABLE (default)", 0 },
	{ "syn", OPTION_SYN, NULL, 0, "with locate: a SYN of plain TCP", 0 },
	{ "data", OPTION_DATA, NULL, 0, "with locate: a packet of a connection", 0 },
	{ "from", OPTION_FROM, "ADDRESS", 0, "with policy test: a client's address", 0 },
	{ "to", OPTION_TO, "ADDRESS:PORT", 0, "with policy test: the server it means", 0 },
	{ "via", OPTION_VIA, "INTERFACE", 0, "with policy test: it comes in there", 0 },
	{ "subscriber", OPTION_SUBSCRIBER, "ID", 0, "with access set: whose they are", 0 },
	{ "ttl", OPTION_TTL, "SECONDS", 0, "with access set: for so long", 0 },
	{ 0 },
};

static const char *words_of(const struct subcommand *s)
{
	return s->words ? s->words : mg_command_name(s->cmd);
}

static const struct subcommand *find_subcommand(const char *words)
{
	for (size_t i = 0; i < N_SUBCOMMANDS; i++) {
		if (strcmp(words_of(&subcommands[i]), words) == 0)
			return &subcommands[i];
	}
	return NULL;
}

/* `servers forget`, `policy set`: a command of two words. */
static const struct subcommand *find_longer(const char *first, const char *second)
{
	char words[64];

	snprintf(words, sizeof(words), "%s %s", first, second);
	return find_subcommand(words);
}

/* The first word of a command of two, which is none by itself. */
static bool begins_command(const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < N_SUBCOMMANDS; i++) {
		if (strncmp(words_of(&subcommands[i]), word, len) == 0 &&
		    words_of(&subcommands[i])[len] == ' ')
			return true;
	}
	return false;
}

static int parse_id(uint64_t *id, const char *text)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*id = strtoull(text, &end, 10);
	return errno || *end || *id < 1 || *id > INT64_MAX ? -EINVAL : 0;
}

static int copy_name(char *to, size_t size, const char *text)
{
	if (!*text || strlen(text) >= size)
		return -EINVAL;
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static void parse_locate(struct argp_state *state, struct options *o)
{
	if (!o->arg2)
		argp_error(state, "locate needs CLIENT:PORT SERVER:PORT");
	else if (mg_ep_parse(&o->req.client, o->arg))
		argp_error(state, "locate needs an address and port, not \"%s\"", o->arg);
	else if (mg_ep_parse(&o->req.to, o->arg2))
		argp_error(state, "locate needs an address and port, not \"%s\"", o->arg2);
	else if (o->in && copy_name(o->req.interface, sizeof(o->req.interface), o->in))
		argp_error(state, "--in needs the name of an interface, not \"%s\"", o->in);
	else if (o->join && mg_control_parse_token(&o->req.token, o->join))
		argp_error(state, "--join needs a token in hex, not \"%s\"", o->join);
	o->req.has_token = o->join != NULL;
	if (o->kind)
		mg_control_parse_kind(&o->req.kind, o->kind);
}

/* What the one argument of a command has to be; NULL: it is. */
static const char *wrong_argument(struct options *o)
{
	switch (o->sub->cmd) {
	case MG_CMD_SESSION:
	case MG_CMD_CLOSE:
		return parse_id(&o->req.id, o->arg) ? "the number of a session" : NULL;
	case MG_CMD_FORGET:
		return mg_control_parse_server(&o->req, o->arg)
			       ? "a server's address and port, or all"
			       : NULL;
	case MG_CMD_LOG_LEVEL:
		return mg_log_level_parse(&o->req.level, o->arg) ? "error, warning, info or debug"
								 : NULL;
	case MG_CMD_TOKENS:
		o->req.has_token = true;
		return mg_control_parse_token(&o->req.token, o->arg) ? "a token in hex" : NULL;
	case MG_CMD_RING:
		return copy_name(o->req.group, sizeof(o->req.group), o->arg) ? "the name of a group"
									     : NULL;
	case MG_CMD_DRAIN:
	case MG_CMD_UNDRAIN:
		return copy_name(o->req.proxy, sizeof(o->req.proxy), o->arg) ? "the name of a proxy"
									     : NULL;
	case MG_CMD_POLICY_SET:
		return copy_name(o->req.policy, sizeof(o->req.policy), o->arg)
			       ? "a policy of less than 16000 bytes"
			       : NULL;
	case MG_CMD_ACCESS:
	case MG_CMD_ACCESS_DEL:
		o->req.has_prefix = true;
		return mg_prefix_parse(&o->req.prefix, o->arg) ? "an address or a prefix" : NULL;
	case MG_CMD_LIMITS:
		return mg_ctl_limits(&o->req, o->arg);
	case MG_CMD_COOKIE:
		return mg_ctl_cookie(&o->req, o->arg);
	case MG_CMD_POLICY_DEL:
		return copy_name(o->req.name, sizeof(o->req.name), o->arg) ? "the name of a policy"
									   : NULL;
	default:
		return NULL;
	}
}

static void parse_argument(struct argp_state *state, struct options *o)
{
	const char *name = words_of(o->sub), *wrong;

	o->req.cmd = o->sub->cmd;
	if (o->sub->cmd == MG_CMD_POLICY_TEST) {
		wrong = mg_ctl_policy_test(&o->req, o->from, o->to, o->via);
		if (wrong)
			argp_error(state, "policy test needs %s", wrong);
		return;
	}
	if (!o->sub->arg || (!o->arg && *o->sub->arg == '['))
		return;
	if (!o->arg) {
		argp_error(state, "%s needs %s", name, o->sub->arg);
		return;
	}
	if (o->sub->cmd == MG_CMD_LOCATE) {
		parse_locate(state, o);
		return;
	}
	if (o->sub->cmd == MG_CMD_ACCESS_SET) {
		const char *why =
			mg_ctl_access_set(&o->req, o->arg, o->arg2, o->subscriber, o->ttl);

		if (why)
			argp_error(state, "access set needs %s", why);
		return;
	}
	wrong = wrong_argument(o);
	if (wrong)
		argp_error(state, "%s needs %s, not \"%s\"", name, wrong, o->arg);
}

static void check_combination(struct argp_state *state, struct options *o)
{
	if (!o->sub) {
		argp_error(state, o->first ? "%s what?" : "which command?", o->first);
		return;
	}
	if (o->top && o->sub->cmd != MG_CMD_SESSIONS)
		argp_error(state, "--top goes with sessions only");
	if (o->top && o->json)
		argp_error(state, "--top and --json do not go together");
	if ((o->in || o->kind) && o->sub->cmd != MG_CMD_LOCATE)
		argp_error(state, "--in, --join, --capable, --syn and --data go with locate only");
	if ((o->subscriber || o->ttl) && o->sub->cmd != MG_CMD_ACCESS_SET)
		argp_error(state, "--subscriber and --ttl go with access set only");
	if ((o->from || o->to || o->via) && o->sub->cmd != MG_CMD_POLICY_TEST)
		argp_error(state, "--from, --to and --via go with policy test only");
	parse_argument(state, o);
}

static void on_word(struct argp_state *state, struct options *o, const char *word)
{
	const char *first = o->sub && !o->arg ? words_of(o->sub) : o->first;
	const struct subcommand *longer = first && !o->arg ? find_longer(first, word) : NULL;

	if (longer) {
		o->sub = longer;
		o->first = NULL;
	} else if (!o->sub && o->first) {
		argp_error(state, "unknown command \"%s %s\"", o->first, word);
	} else if (!o->sub) {
		o->sub = find_subcommand(word);
		o->first = !o->sub && begins_command(word) ? word : NULL;
		if (!o->sub && !o->first)
			argp_error(state, "unknown command \"%s\"", word);
	} else if (o->sub->arg && !o->arg) {
		o->arg = word;
	} else if ((o->sub->cmd == MG_CMD_LOCATE || o->sub->cmd == MG_CMD_ACCESS_SET) && !o->arg2) {
		o->arg2 = word;
	} else {
		argp_error(state, "%s does not take \"%s\"", words_of(o->sub), word);
	}
}

static void set_kind(struct argp_state *state, struct options *o, const char *kind)
{
	if (o->kind)
		argp_error(state, "locate is about one kind of packet");
	o->kind = kind;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 's':
		o->socket = arg;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 't':
		o->top = true;
		return 0;
	case OPTION_IN:
		o->in = arg;
		return 0;
	case OPTION_JOIN:
		o->join = arg;
		set_kind(state, o, "join");
		return 0;
	case OPTION_SUBSCRIBER:
		o->subscriber = arg;
		return 0;
	case OPTION_TTL:
		o->ttl = arg;
		return 0;
	case OPTION_FROM:
		o->from = arg;
		return 0;
	case OPTION_TO:
		o->to = arg;
		return 0;
	case OPTION_VIA:
		o->via = arg;
		return 0;
	case OPTION_CAPABLE:
		set_kind(state, o, "capable");
		return 0;
	case OPTION_SYN:
		set_kind(state, o, "syn");
		return 0;
	case OPTION_DATA:
		set_kind(state, o, "data");
		return 0;
	case ARGP_KEY_ARG:
		on_word(state, o, arg);
		return 0;
	case ARGP_KEY_END:
		check_combination(state, o);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The list of commands, between the first line of help and the options. */
static char *add_commands(int key, const char *text, void *input)
{
	char *all = NULL;
	size_t len;
	FILE *f;

	(void)input;
	if (key != ARGP_KEY_HELP_PRE_DOC)
		return (char *)text;
	f = open_memstream(&all, &len);
	if (!f)
		return (char *)text;
	fprintf(f, "%s\n\nCommands:\n", text);
	for (size_t i = 0; i < N_SUBCOMMANDS; i++) {
		const struct subcommand *s = &subcommands[i];
		const char *words = words_of(s), *arg = s->arg ? s->arg : "";
		int rest = HELP_COLUMN - (int)strlen(words);

		fprintf(f, "  %s %-*s%s\n", words, rest > 0 ? rest : 0, arg, s->what);
	}
	fputs("\nOptions:", f);
	return fclose(f) == 0 ? all : (char *)text;
}

static const struct argp argp = {
	.options = option_table,
	.parser = on_option,
	.args_doc = "COMMAND [ARGUMENT]",
	.doc = "Ask a running mpgated, and tell it what to do.",
	.help_filter = add_commands,
};

static void show(const struct options *o, const json_t *result)
{
	if (o->json) {
		json_dumpf(result, stdout,
			   JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
		putchar('\n');
	} else if (o->sub->show) {
		o->sub->show(result);
	} else if (o->arg) {
		printf("%s: %s\n", o->sub->done, o->arg);
	} else {
		puts(o->sub->done);
	}
}

static int run(const struct options *o, char *why, size_t why_size)
{
	json_t *result;
	int fd, err;

	fd = mg_ctl_connect(o->socket, why, why_size);
	if (fd < 0)
		return fd;
	if (o->top) {
		err = mg_top(fd, why, why_size);
	} else {
		err = mg_ctl_ask(fd, &o->req, &result, why, why_size);
		if (!err)
			show(o, result);
		json_decref(result);
	}
	close(fd);
	if (!err && !o->top && (fflush(stdout) || ferror(stdout))) {
		err = -errno;
		snprintf(why, why_size, "cannot write: %s", strerror(-err));
	}
	return err;
}

int main(int argc, char **argv)
{
	struct options o = { .socket = MG_CTL_DEFAULT_SOCKET };
	static char why[65536]; /* a hundred findings fit */

	argp_err_exit_status = EXIT_USAGE;
	/* Messages begin with the name alone, wherever the program lies. */
	if (argc > 0)
		argv[0] = program_invocation_short_name;
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (run(&o, why, sizeof(why))) {
		fprintf(stderr, "mpgatectl: %s\n", why);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
