// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "ctl/table.h"

#define INTERVAL_MS 1000

struct sample {
	uint64_t id;
	uint64_t up;
	uint64_t down;
	double up_rate; /* bytes per second; below 0: not known yet */
	double down_rate;
	const json_t *session; /* of the answer it came from */
};

struct samples {
	struct sample *list; /* by id */
	size_t n;
	uint64_t taken_ms;
};

struct screen {
	bool redraws; /* a terminal that can: its own page, cleared every time */
	bool has_keys;
	struct termios saved;
	int signals;
	sigset_t mask_before;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int by_id(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int by_rate(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	double left = x->up_rate + x->down_rate, right = y->up_rate + y->down_rate;

	if (left != right)
		return left < right ? 1 : -1;
	return by_id(a, b);
}

/* Against the last sample; a session younger than that began from nothing. */
static void set_rates(struct sample *s, const struct samples *last, uint64_t elapsed_ms)
{
	struct sample key = { .id = s->id }, none = { 0 };
	const struct sample *before = NULL;

	s->up_rate = s->down_rate = -1;
	if (!last->list || !elapsed_ms)
		return;
	before = bsearch(&key, last->list, last->n, sizeof(key), by_id);
	if (!before) {
		if (mg_get_number(s->session, "age_ms") > elapsed_ms)
			return;
		before = &none;
	}
	if (s->up < before->up || s->down < before->down)
		return;
	s->up_rate = (double)(s->up - before->up) * 1000 / (double)elapsed_ms;
	s->down_rate = (double)(s->down - before->down) * 1000 / (double)elapsed_ms;
}

static int take(struct samples *out, const json_t *sessions, const struct samples *last)
{
	const json_t *at;
	size_t i;

	out->n = json_array_size(sessions);
	out->taken_ms = now_ms();
	out->list = calloc(out->n ? out->n : 1, sizeof(*out->list));
	if (!out->list)
		return -ENOMEM;
	json_array_foreach (sessions, i, at) {
		struct sample *s = &out->list[i];

		s->session = at;
		s->id = mg_get_number(at, "id");
		s->up = mg_get_number(at, "bytes_up");
		s->down = mg_get_number(at, "bytes_down");
		set_rates(s, last, out->taken_ms - last->taken_ms);
	}
	return 0;
}

static void rate_cell(struct mg_table *t, double rate)
{
	char buf[MG_HUMAN_STRLEN];

	if (rate < 0)
		mg_table_cell(t, MG_DIM, "-");
	else
		mg_table_cell(t, rate > 0 ? MG_GREEN : MG_DIM, "%s", mg_human_rate(buf, rate));
}

/* How many, and what each of a few sent lately, in per cent. */
static void paths_cell(struct mg_table *t, const json_t *subflows)
{
	size_t n = json_array_size(subflows), used = 0, i;
	const json_t *at;
	char text[32];

	json_array_foreach (subflows, i, at) {
		const json_t *share = json_object_get(at, "share_permille");

		if (n < 2 || n > 4 || !json_is_integer(share))
			break;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%lld", i ? ":" : " ",
					 ((long long)json_integer_value(share) + 5) / 10);
		if (used >= sizeof(text))
			break;
	}
	mg_table_cell(t, MG_PLAIN, "%zu%s", n, used && used < sizeof(text) ? text : "");
}

static struct mg_table *build_table(const struct samples *now, size_t rows)
{
	static const char *const heads[] = { ">ID",    ">UP",	 ">DOWN",  ">PATHS", "KIND", "MODE",
					     "CLIENT", "SERVER", ">TOTAL", ">AGE",   NULL };
	struct mg_table *t = mg_table_new(heads);
	char buf[MG_HUMAN_STRLEN];

	for (size_t i = 0; t && i < now->n && i < rows; i++) {
		const struct sample *s = &now->list[i];
		const char *mode = mg_session_mode(s->session);

		mg_table_cell(t, MG_PLAIN, "%llu", (unsigned long long)s->id);
		rate_cell(t, s->up_rate);
		rate_cell(t, s->down_rate);
		paths_cell(t, json_object_get(s->session, "subflows"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(s->session, "kind"));
		mg_table_cell(t, strcmp(mode, "mptcp") == 0 ? MG_GREEN : MG_YELLOW, "%s", mode);
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(s->session, "client"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_get_text(s->session, "server"));
		mg_table_cell(t, MG_PLAIN, "%s", mg_human_bytes(buf, s->up + s->down));
		mg_table_cell(t, MG_PLAIN, "%s",
			      mg_human_ms(buf, mg_get_number(s->session, "age_ms")));
	}
	return t;
}

static void print_summary(const struct samples *now, const struct screen *screen, size_t width)
{
	char line[160], up_text[MG_HUMAN_STRLEN], down_text[MG_HUMAN_STRLEN];
	double up = 0, down = 0;

	for (size_t i = 0; i < now->n; i++) {
		up += now->list[i].up_rate > 0 ? now->list[i].up_rate : 0;
		down += now->list[i].down_rate > 0 ? now->list[i].down_rate : 0;
	}
	snprintf(line, sizeof(line), "%zu session%s  up %s  down %s%s", now->n,
		 now->n == 1 ? "" : "s", mg_human_rate(up_text, up), mg_human_rate(down_text, down),
		 screen->has_keys ? "  (q quits)" : "");
	printf("%s%.*s%s\n\n", mg_style_on(MG_BOLD), width ? (int)width : 160, line,
	       mg_style_off(MG_BOLD));
}

static void draw(struct samples *now, const struct screen *screen)
{
	struct winsize size = { 0 };
	size_t rows = SIZE_MAX, width = 0;
	struct mg_table *t;

	if (screen->redraws && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row) {
		/* The summary, a blank line, the heads, and the line the cursor rests on. */
		rows = size.ws_row > 4 ? size.ws_row - 4U : 1;
		width = size.ws_col;
	}
	qsort(now->list, now->n, sizeof(*now->list), by_rate);
	if (screen->redraws)
		fputs("\033[H\033[J", stdout);
	print_summary(now, screen, width);
	t = build_table(now, rows);
	if (now->n)
		mg_table_print(t, 0, width);
	mg_table_free(t);
	if (!screen->redraws)
		putchar('\n');
	/* The next sample is compared by id. */
	qsort(now->list, now->n, sizeof(*now->list), by_id);
}

static int screen_open(struct screen *s)
{
	const char *term = getenv("TERM");
	struct termios raw;
	sigset_t mask;

	s->redraws = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
	s->has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &s->saved) == 0;
	/* A reader that left must not take us along before the terminal is as it was. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGWINCH);
	sigprocmask(SIG_BLOCK, &mask, &s->mask_before);
	s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return -errno;
	if (s->has_keys) {
		raw = s->saved;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		/* Stopped in the middle, the terminal would stay as it is now. */
		raw.c_cc[VSUSP] = _POSIX_VDISABLE;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	if (s->redraws)
		fputs("\033[?1049h\033[?25l", stdout);
	return 0;
}

static void screen_close(struct screen *s)
{
	if (s->redraws)
		fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (s->has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &s->saved);
	if (s->signals >= 0)
		close(s->signals);
	sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
}

static bool quit_by_key(struct screen *s)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n <= 0) {
		/* The terminal is gone; signals tell what comes next. */
		s->has_keys = false;
		return n == 0;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == 4)
			return true;
	}
	return false;
}

static bool quit_by_signal(const struct screen *s)
{
	struct signalfd_siginfo info;
	bool quit = false;

	while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		quit |= info.ssi_signo != SIGWINCH;
	return quit;
}

/* Until the next sample is due, or the window has another size. */
static bool wait_or_quit(struct screen *s, uint64_t until_ms)
{
	struct pollfd fds[2] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->has_keys ? STDIN_FILENO : -1, .events = POLLIN },
	};
	uint64_t now;

	while ((now = now_ms()) < until_ms) {
		int n = poll(fds, 2, (int)(until_ms - now));

		if (n <= 0)
			continue;
		if (fds[1].revents && quit_by_key(s))
			return true;
		if (!s->has_keys)
			fds[1].fd = -1;
		if (fds[0].revents && quit_by_signal(s))
			return true;
		if (fds[0].revents)
			return false;
	}
	return false;
}

int mg_top(int fd, char *why, size_t why_size)
{
	const struct mg_control_request req = { .cmd = MG_CMD_SESSIONS };
	struct samples last = { 0 };
	struct screen screen;
	int err;

	err = screen_open(&screen);
	while (!err) {
		struct samples now = { 0 };
		json_t *sessions;

		err = mg_ctl_ask(fd, &req, &sessions, why, why_size);
		if (err)
			break;
		err = take(&now, sessions, &last);
		if (!err)
			draw(&now, &screen);
		json_decref(sessions);
		free(last.list);
		last = now;
		/* Nobody reads any more: as good as q. */
		if (err || fflush(stdout) || wait_or_quit(&screen, now.taken_ms + INTERVAL_MS))
			break;
	}
	if (err && !*why)
		snprintf(why, why_size, "%s", strerror(-err));
	screen_close(&screen);
	free(last.list);
	return err;
}
