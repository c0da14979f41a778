// SPDX-License-Identifier: BSD-2-Clause
/*
 * Many short connections, each with one byte there and back.
 *
 *   connect serve [--mptcp] ADDR:PORT                           an echo server
 *   connect run [OPTION...] ADDR:PORT COUNT AT_ONCE
 *   connect hold [OPTION...] ADDR:PORT COUNT AT_ONCE
 *
 * `run` closes each connection after its byte; `hold` keeps them all and, after its report, waits
 * for the end of stdin. Both print one JSON object.
 *
 *   --tcp             sockets of plain TCP
 *   --convert SERVER  the Convert message and the byte travel in the SYN
 *   --spread N        connections go to N addresses in turn, ADDR and those after it
 *   --times           the report has every connection's time to the first byte, in microseconds
 *   --per-s N         so many are begun a second, while AT_ONCE are not exceeded
 */
#include <signal.h>
#include <sys/epoll.h>

#include "bench.h"

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif

#define COUNT_MAX    1000000
#define SPREAD_MAX   60000
#define STALL_S	     30
#define ANSWER_BYTES (MG_CONVERT_MAX_BYTES + 1)

/* One connection of the client: what is still to be sent, what came. */
struct conn {
	int fd;
	bool sent, done;
	double start_s;
	struct conn *next_idle;
	size_t have;
	uint8_t in[ANSWER_BYTES];
};

struct load {
	struct mg_ep to;
	bool mptcp, convert, hold, times;
	uint32_t spread;			   /* addresses */
	uint8_t message[MG_CONVERT_MAX_BYTES + 1]; /* Convert message if any, and the byte */
	size_t message_len;
	size_t count, at_once;
	size_t per_s; /* 0: as fast as they end */

	int epoll;
	double begun_s, ended_s; /* the first, and the latest end of any */
	struct conn *conns;	 /* at_once of them, or count with hold */
	struct conn *idle;	 /* those that are done with, with per_s */
	size_t n_conns;
	size_t started, done, open, fell_back, failed;
	double *first_byte_s; /* of `done - failed` connections */
};

/* Where connection number `nth` goes. */
static socklen_t target(const struct load *l, size_t nth, struct sockaddr_storage *ss)
{
	struct mg_ep ep = l->to;
	uint16_t low;

	memcpy(&low, &ep.ip.s6_addr[14], sizeof(low));
	low = htons((uint16_t)(ntohs(low) + nth % l->spread));
	memcpy(&ep.ip.s6_addr[14], &low, sizeof(low));
	return mg_ep_to_sockaddr(&ep, ss);
}

static void start_one(struct load *l, struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
	struct sockaddr_storage ss;
	socklen_t ss_len = target(l, l->started, &ss);
	ssize_t n;

	c->fd = bench_socket(&l->to, l->mptcp, SOCK_NONBLOCK);
	c->have = 0;
	c->sent = c->done = false;
	c->start_s = bench_now_s();
	if (l->convert) {
		n = sendto(c->fd, l->message, l->message_len, MSG_FASTOPEN, (struct sockaddr *)&ss,
			   ss_len);
		if (n < 0 && errno != EINPROGRESS)
			BENCH_DIE("connect with data");
		if (n > 0 && (size_t)n != l->message_len)
			BENCH_DIE("only %zd bytes in the SYN", n);
		c->sent = n > 0;
	} else if (connect(c->fd, (struct sockaddr *)&ss, ss_len) && errno != EINPROGRESS) {
		BENCH_DIE("connect");
	}
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev))
		BENCH_DIE("epoll_ctl");
	l->started++;
	l->open++;
}

/* When the next one is to begin, seconds after the first */
static double next_due_s(const struct load *l)
{
	return l->per_s ? (double)l->started / (double)l->per_s : 0;
}

static void next_or_rest(struct load *l, struct conn *c)
{
	int more;

	if (c->have)
		l->first_byte_s[l->done - l->failed] = bench_now_s() - c->start_s;
	if (c->have && l->mptcp && !bench_speaks_mptcp(c->fd, &more))
		l->fell_back++;
	l->done++;
	l->ended_s = bench_now_s();
	c->done = true;
	if (l->hold && c->have)
		return;
	close(c->fd);
	c->fd = -1;
	l->open--;
	if (l->per_s) {
		c->next_idle = l->idle;
		l->idle = c;
	} else if (!l->hold && l->started < l->count) {
		start_one(l, c);
	}
}

/* True once the byte is back. */
static bool complete(const struct load *l, const struct conn *c)
{
	size_t answer = 0;

	if (l->convert) {
		answer = bench_answer_bytes(c->in, c->have);
		if (!answer)
			return false;
	}
	return c->have > answer;
}

static void serve_conn(struct load *l, struct conn *c, uint32_t events)
{
	ssize_t n;

	if (!c->sent && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		n = send(c->fd, l->message, l->message_len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		c->sent = n == (ssize_t)l->message_len;
		if (!c->sent)
			goto failed;
	}
	while (c->have < sizeof(c->in)) {
		n = recv(c->fd, c->in + c->have, sizeof(c->in) - c->have, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			goto failed;
		c->have += (size_t)n;
		if (complete(l, c)) {
			next_or_rest(l, c);
			return;
		}
	}
failed:
	l->failed++;
	c->have = 0;
	next_or_rest(l, c);
}

static void load_begin(struct load *l)
{
	l->n_conns = l->hold ? l->count : l->at_once;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0)
		BENCH_DIE("epoll");
	l->conns = calloc(l->n_conns, sizeof(*l->conns));
	l->first_byte_s = calloc(l->count, sizeof(*l->first_byte_s));
	if (!l->conns || !l->first_byte_s)
		BENCH_DIE("calloc");
	l->begun_s = l->ended_s = bench_now_s();
}

/* Begins those that are due; how many milliseconds until the next is, or it is too late for any. */
static int start_due(struct load *l, size_t *fresh)
{
	struct conn *c;

	while ((*fresh < l->n_conns || l->idle) && l->started < l->count &&
	       l->started - l->done < l->at_once) {
		double ms = (l->begun_s + next_due_s(l) - bench_now_s()) * 1e3;

		if (ms > 0)
			return (int)ms + 1;
		c = l->idle ? l->idle : &l->conns[(*fresh)++];
		if (c == l->idle)
			l->idle = c->next_idle;
		start_one(l, c);
	}
	return STALL_S * 1000;
}

static void load_run(struct load *l)
{
	struct epoll_event events[256];
	size_t fresh = 0;

	load_begin(l);
	while (l->done < l->count) {
		int n = epoll_wait(l->epoll, events, 256, start_due(l, &fresh));

		if (n < 0 && errno != EINTR)
			BENCH_DIE("epoll_wait");
		if (n == 0 && bench_now_s() - l->ended_s > STALL_S) {
			errno = ETIMEDOUT;
			BENCH_DIE("%zu of %zu done", l->done, l->count);
		}
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (!c->done)
				serve_conn(l, c, events[i].events);
		}
	}
}

static int load_main(struct load *l)
{
	double start = bench_now_s();
	char c;

	load_run(l);
	printf("{\"count\": %zu, \"seconds\": %.6f, \"failed\": %zu, \"fell_back\": %zu, "
	       "\"open\": %zu",
	       l->count, bench_now_s() - start, l->failed, l->fell_back, l->open);
	if (l->times) {
		printf(", \"first_byte_us\": [");
		for (size_t i = 0; i < l->done - l->failed; i++)
			printf("%s%.1f", i ? ", " : "", l->first_byte_s[i] * 1e6);
		printf("]");
	}
	printf("}\n");
	fflush(stdout);
	while (l->hold && read(STDIN_FILENO, &c, 1) > 0)
		;
	return l->failed ? 1 : 0;
}

static int serve(const struct mg_ep *ep, bool mptcp)
{
	struct epoll_event events[256], ev = { .events = EPOLLIN };
	int listener = bench_listen(ep, mptcp, SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);

	ev.data.fd = listener;
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev))
		BENCH_DIE("epoll");
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, 256, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			char byte;

			if (fd != listener) {
				if (read(fd, &byte, 1) != 1 || write(fd, &byte, 1) != 1)
					close(fd);
				continue;
			}
			fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			ev.data.fd = fd;
			if (fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev))
				BENCH_DIE("epoll_ctl");
		}
	}
}

static int usage(void)
{
	fprintf(stderr,
		"usage: connect serve [--mptcp] ADDR:PORT |\n"
		"       connect run|hold [--tcp] [--convert SERVER] [--spread N] [--times]\n"
		"                        [--per-s N] ADDR:PORT COUNT AT_ONCE\n");
	return 2;
}

/* The options of a load; the index behind them, -1 for what is none. */
static int load_options(struct load *l, int argc, char **argv)
{
	struct mg_ep server;
	int i = 2;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--tcp")) {
			l->mptcp = false;
		} else if (!strcmp(argv[i], "--times")) {
			l->times = true;
		} else if (!strcmp(argv[i], "--spread") && i + 1 < argc) {
			l->spread = (uint32_t)bench_number(argv[++i], SPREAD_MAX);
		} else if (!strcmp(argv[i], "--per-s") && i + 1 < argc) {
			l->per_s = bench_number(argv[++i], COUNT_MAX);
		} else if (!strcmp(argv[i], "--convert") && i + 1 < argc) {
			l->convert = true;
			server = bench_ep(argv[++i]);
			l->message_len = bench_connect_message(l->message, &server);
		} else {
			return -1;
		}
	}
	return i;
}

int main(int argc, char **argv)
{
	static struct load l = { .mptcp = true, .spread = 1 };
	bool mptcp;
	int i;

	signal(SIGPIPE, SIG_IGN);
	if (argc >= 3 && !strcmp(argv[1], "serve")) {
		mptcp = argc == 4 && !strcmp(argv[2], "--mptcp");
		if (argc != (mptcp ? 4 : 3))
			return usage();
		l.to = bench_ep(argv[argc - 1]);
		return serve(&l.to, mptcp);
	}
	if (argc < 5 || (strcmp(argv[1], "run") != 0 && strcmp(argv[1], "hold") != 0))
		return usage();
	l.hold = !strcmp(argv[1], "hold");
	i = load_options(&l, argc, argv);
	if (i < 0 || argc - i != 3)
		return usage();
	l.message[l.message_len++] = 'x';
	l.to = bench_ep(argv[i]);
	l.count = bench_number(argv[i + 1], COUNT_MAX);
	l.at_once = bench_number(argv[i + 2], COUNT_MAX);
	return load_main(&l);
}
