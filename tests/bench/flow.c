// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bulk transfer: a source and a sink on plain TCP, and a client that gets from one or puts to the
 * other, straight or through a proxy.
 *
 *   flow serve sink ADDR:PORT
 *   flow serve source ADDR:PORT BYTES [MBIT_S]
 *   flow get|put [--tcp] [--convert SERVER [--late]] ADDR:PORT BYTES
 *
 * The sink answers with the number of bytes it got, so that the client knows they all arrived. The
 * client prints one JSON object. The Convert message is in the SYN, or with --late after the
 * handshake.
 */
#include <pthread.h>
#include <signal.h>

#include "bench.h"

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif

#define CHUNK_BYTES (256 * 1024)
#define PACED_BYTES (64 * 1024)
#define MBIT_S_MAX  1000000
#define BYTES_MAX   (1ULL << 44)

static uint64_t source_bytes;  /* 0: a sink */
static uint64_t source_mbit_s; /* what it offers; 0: as much as goes */

/* 0, or -1 when the peer went away. */
static int write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Until so many bytes are due. Who is late sends on at once. */
static void pace(double start_s, uint64_t sent)
{
	double wait_s;

	if (!source_mbit_s)
		return;
	wait_s = start_s + (double)sent * 8 / ((double)source_mbit_s * 1e6) - bench_now_s();
	if (wait_s > 0)
		usleep((useconds_t)(wait_s * 1e6));
}

static int send_bytes(int fd, uint64_t total)
{
	static const uint8_t zero[CHUNK_BYTES];
	size_t most = source_mbit_s ? PACED_BYTES : sizeof(zero);
	double start = bench_now_s();

	for (uint64_t left = total; left > 0;) {
		size_t n = left < most ? (size_t)left : most;

		if (write_all(fd, zero, n))
			return -1;
		left -= n;
		pace(start, total - left);
	}
	return 0;
}

/* Reads to the end; what came in all. A connection that breaks is told, and ends there. */
static uint64_t drain(int fd)
{
	uint8_t *buf = malloc(CHUNK_BYTES);
	uint64_t total = 0;

	if (!buf)
		BENCH_DIE("malloc");
	for (;;) {
		ssize_t n = read(fd, buf, CHUNK_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fprintf(stderr, "after %llu bytes: %s\n", (unsigned long long)total,
				strerror(errno));
		if (n <= 0)
			break;
		total += (uint64_t)n;
	}
	free(buf);
	return total;
}

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint64_t got;

	if (source_bytes) {
		if (!send_bytes(fd, source_bytes))
			shutdown(fd, SHUT_WR);
		drain(fd);
	} else {
		got = drain(fd);
		(void)!write(fd, &got, sizeof(got));
	}
	close(fd);
	return NULL;
}

static int serve(const struct mg_ep *ep)
{
	int listener = bench_listen(ep, false, 0);

	printf("listening\n");
	fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t t;

		if (fd < 0)
			BENCH_DIE("accept");
		if (pthread_create(&t, NULL, serve_one, (void *)(intptr_t)fd))
			BENCH_DIE("thread");
		pthread_detach(t);
	}
}

static void say_connect(int fd, const struct sockaddr_storage *ss, socklen_t ss_len,
			const uint8_t *message, size_t len, bool late)
{
	const struct sockaddr *sa = (const struct sockaddr *)ss;
	ssize_t n;

	if (late) {
		if (connect(fd, sa, ss_len))
			BENCH_DIE("connect");
		n = send(fd, message, len, 0);
	} else {
		n = sendto(fd, message, len, MSG_FASTOPEN, sa, ss_len);
	}
	if (n != (ssize_t)len)
		BENCH_DIE("Convert message");
}

/* Connects, through a converter if there is one; what came after its answer is counted in *early.
 */
static int open_flow(const struct mg_ep *to, const struct mg_ep *server, bool late, bool mptcp,
		     uint64_t *early)
{
	uint8_t buf[MG_CONVERT_MAX_BYTES + CHUNK_BYTES];
	struct sockaddr_storage ss;
	socklen_t ss_len = mg_ep_to_sockaddr(to, &ss);
	int fd = bench_socket(to, mptcp, 0);
	size_t len, have = 0, answer = 0;

	*early = 0;
	if (!server) {
		if (connect(fd, (struct sockaddr *)&ss, ss_len))
			BENCH_DIE("connect");
		return fd;
	}
	len = bench_connect_message(buf, server);
	say_connect(fd, &ss, ss_len, buf, len, late);
	while (!answer) {
		ssize_t n = read(fd, buf + have, sizeof(buf) - have);

		if (n <= 0)
			BENCH_DIE("no answer from the converter");
		have += (size_t)n;
		answer = bench_answer_bytes(buf, have);
	}
	*early = have - answer;
	return fd;
}

static int transfer(bool get, const struct mg_ep *to, const struct mg_ep *server, bool late,
		    bool mptcp, uint64_t bytes)
{
	uint64_t got, early;
	double start, seconds;
	bool speaks;
	int fd, subflows;

	start = bench_now_s();
	fd = open_flow(to, server, late, mptcp, &early);
	if (get) {
		got = early + drain(fd);
	} else {
		if (send_bytes(fd, bytes) || shutdown(fd, SHUT_WR))
			BENCH_DIE("send");
		if (read(fd, &got, sizeof(got)) != sizeof(got))
			BENCH_DIE("the sink's count");
	}
	seconds = bench_now_s() - start;
	speaks = bench_speaks_mptcp(fd, &subflows);
	close(fd);
	printf("{\"bytes\": %llu, \"seconds\": %.6f, \"mptcp\": %s, \"subflows\": %d}\n",
	       (unsigned long long)got, seconds, speaks ? "true" : "false",
	       speaks ? subflows + 1 : 1);
	if (got != bytes) {
		fprintf(stderr, "%llu bytes of %llu arrived\n", (unsigned long long)got,
			(unsigned long long)bytes);
		return 1;
	}
	return 0;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: flow serve sink ADDR:PORT | flow serve source ADDR:PORT BYTES [MBIT_S] |\n"
		"       flow get|put [--tcp] [--convert SERVER [--late]] ADDR:PORT BYTES\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct mg_ep to, server;
	bool mptcp = true, convert = false, late = false, get;
	int i = 2;

	signal(SIGPIPE, SIG_IGN);
	if (argc >= 4 && !strcmp(argv[1], "serve")) {
		to = bench_ep(argv[3]);
		if (!strcmp(argv[2], "source") && (argc == 5 || argc == 6))
			source_bytes = bench_number(argv[4], BYTES_MAX);
		else if (strcmp(argv[2], "sink") != 0 || argc != 4)
			return usage();
		if (argc == 6)
			source_mbit_s = bench_number(argv[5], MBIT_S_MAX);
		return serve(&to);
	}
	if (argc < 4 || (strcmp(argv[1], "get") != 0 && strcmp(argv[1], "put") != 0))
		return usage();
	get = !strcmp(argv[1], "get");
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--tcp")) {
			mptcp = false;
		} else if (!strcmp(argv[i], "--late")) {
			late = true;
		} else if (!strcmp(argv[i], "--convert") && i + 1 < argc) {
			convert = true;
			server = bench_ep(argv[++i]);
		} else {
			return usage();
		}
	}
	if (argc - i != 2)
		return usage();
	to = bench_ep(argv[i]);
	return transfer(get, &to, convert ? &server : NULL, late, mptcp,
			bench_number(argv[i + 1], BYTES_MAX));
}
