// SPDX-License-Identifier: BSD-2-Clause
/*
 * One direction of a session over socket pairs: exact bytes under any schedule of reads and writes,
 * one buffer at most, and every way it can end. send, recv and malloc are the test's (see the
 * Makefile): they cut short, fail, or go on to the real ones.
 */
#include "mg_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/flow.h"
#include "proxy/worker.h"

#define TURN_READS 16

static struct {
	struct chance c;
	bool random;		/* shorter counts, EAGAIN and EINTR at random */
	int send_err, recv_err; /* for one call, then 0 */
	bool no_memory;
	bool endless; /* recv fills any buffer, send takes any */
	size_t recvs;
} rig;

ssize_t __real_send(int fd, const void *data, size_t len, int flags);
ssize_t __real_recv(int fd, void *data, size_t len, int flags);
void *__real_malloc(size_t n);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t len, int flags);
void *__wrap_malloc(size_t n);

/* True if the call is to fail with errno. */
static bool injected(int *once)
{
	static const int soft[] = { EAGAIN, EINTR };

	errno = *once;
	*once = 0;
	if (errno)
		return true;
	if (!rig.random || chance_below(&rig.c, 8))
		return false;
	errno = soft[chance_below(&rig.c, 2)];
	return true;
}

static size_t cut(size_t len)
{
	if (!rig.random || chance_below(&rig.c, 3) == 0)
		return len;
	return 1 + chance_below(&rig.c, chance_below(&rig.c, 2) ? len : (len < 9 ? len : 9));
}

ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
	if (injected(&rig.send_err))
		return -1;
	return rig.endless ? (ssize_t)len : __real_send(fd, data, cut(len), flags);
}

ssize_t __wrap_recv(int fd, void *data, size_t len, int flags)
{
	rig.recvs++;
	if (injected(&rig.recv_err))
		return -1;
	if (rig.endless)
		return (ssize_t)len;
	return __real_recv(fd, data, cut(len), flags);
}

void *__wrap_malloc(size_t n)
{
	return rig.no_memory ? NULL : __real_malloc(n);
}

struct bench {
	struct mg_worker w;
	struct mg_session s;
	int source, sink; /* our ends */
};

static void pair(int *ours, int *theirs)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	*ours = sv[0];
	*theirs = sv[1];
}

static int setup(void **state)
{
	static struct bench b;

	memset(&rig, 0, sizeof(rig));
	rig.c.x = 1;
	memset(&b, 0, sizeof(b));
	b.w.scratch = mg_pool_get(&b.w.pool);
	b.w.loop.now_ms = 1000;
	b.s.worker = &b.w;
	pair(&b.source, &b.s.client.io.fd);
	pair(&b.sink, &b.s.server.io.fd);
	b.s.client.readable = b.s.server.writable = true;
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	memset(&rig, 0, sizeof(rig));
	mg_flow_drop(&b->s, &b->s.up);
	mg_flow_drop(&b->s, &b->s.down);
	assert_int_equal(b->w.pool.n_lent, 1);
	mg_pool_put(&b->w.pool, b->w.scratch);
	mg_pool_free(&b->w.pool);
	close(b->s.client.io.fd);
	close(b->s.server.io.fd);
	if (b->source >= 0)
		close(b->source);
	if (b->sink >= 0)
		close(b->sink);
	return 0;
}

static enum mg_flow_state pump(struct bench *b)
{
	enum mg_flow_state said = mg_flow_pump(&b->s, &b->s.up, &b->s.client, &b->s.server);

	/* Whatever happens: one buffer at most, and none when nothing waits. */
	assert_int_equal(b->w.pool.n_lent, b->s.up.len ? 2 : 1);
	assert_true(b->s.up.off + b->s.up.len <= MG_POOL_BUF_BYTES);
	assert_true((b->s.up.buf != NULL) == (b->s.up.len != 0));
	return said;
}

/* What epoll would say sooner or later */
static void edges(struct bench *b)
{
	b->s.client.readable = true;
	b->s.server.writable = true;
}

static unsigned char byte_at(size_t i)
{
	return (unsigned char)((i * 2654435761U) >> 13);
}

static void put_bytes(struct bench *b, size_t *at, size_t n)
{
	unsigned char data[4096];
	ssize_t sent;

	for (size_t i = 0; i < n; i++)
		data[i] = byte_at(*at + i);
	sent = __real_send(b->source, data, n, MSG_NOSIGNAL);
	*at += sent > 0 ? (size_t)sent : 0;
}

/* Reads at most n bytes and checks them. False at the end of the data. */
static bool check_bytes(struct bench *b, size_t *at, size_t n)
{
	unsigned char data[4096];
	ssize_t got = __real_recv(b->sink, data, n, 0);

	for (ssize_t i = 0; i < got; i++)
		assert_int_equal(data[i], byte_at(*at + (size_t)i));
	*at += got > 0 ? (size_t)got : 0;
	return got != 0;
}

static void small_buffers(struct bench *b)
{
	const int bytes = 4096;

	assert_int_equal(setsockopt(b->s.server.io.fd, SOL_SOCKET, SO_SNDBUF, &bytes, 4), 0);
}

#define SCHEDULE_BYTES ((size_t)400000)

static void every_schedule_keeps_the_bytes(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct bench *b = *state;
		size_t written = 0, read_back = 0;
		bool ended = false;

		rig.random = true;
		rig.c.x = seed * 77;
		if (seed % 2)
			small_buffers(b);
		for (;;) {
			enum mg_flow_state said;

			if (chance_below(&rig.c, 3) == 0 && written < SCHEDULE_BYTES)
				put_bytes(b, &written, 1 + chance_below(&rig.c, 4096));
			if (written >= SCHEDULE_BYTES && !ended) {
				shutdown(b->source, SHUT_WR);
				ended = true;
			}
			if (chance_below(&rig.c, 2))
				b->s.client.readable = true;
			if (chance_below(&rig.c, 2))
				b->s.server.writable = true;
			said = pump(b);
			assert_true(said == MG_FLOW_WAIT || said == MG_FLOW_MORE ||
				    (said == MG_FLOW_ENDED && ended));
			if (said == MG_FLOW_ENDED)
				break;
			if (chance_below(&rig.c, 2))
				check_bytes(b, &read_back, 1 + chance_below(&rig.c, 4096));
		}
		/* Ended means that all of it is with the receiver. */
		assert_int_equal(b->s.up.bytes, written);
		shutdown(b->s.server.io.fd, SHUT_WR);
		while (check_bytes(b, &read_back, 4096))
			;
		assert_int_equal(read_back, written);
		assert_int_equal(b->w.stats.bytes_up, written);
		teardown(state);
		setup(state);
	}
}

static void a_stuck_receiver_stops_the_sender(void **state)
{
	struct bench *b = *state;
	size_t written = 0, last, read_back = 0;

	do {
		last = written;
		for (int i = 0; i < 32; i++)
			put_bytes(b, &written, 4096);
		b->s.client.readable = true;
		while (pump(b) == MG_FLOW_MORE)
			;
	} while (written > last);
	assert_int_equal(pump(b), MG_FLOW_WAIT);
	assert_false(b->s.server.writable);
	/* While it is stuck, not a byte more is read. */
	rig.recvs = 0;
	for (int i = 0; i < 10; i++) {
		b->s.client.readable = true;
		assert_int_equal(pump(b), MG_FLOW_WAIT);
	}
	assert_int_equal(rig.recvs, 0);
	shutdown(b->source, SHUT_WR);
	while (read_back < written) {
		check_bytes(b, &read_back, 4096);
		edges(b);
		pump(b);
	}
	assert_int_equal(pump(b), MG_FLOW_ENDED);
}

/* The very first thing on the wire, before what already waits to be read. */
static void prepended_bytes_go_first(void **state)
{
	static const char answer[] = "CONVERT";
	struct bench *b = *state;
	size_t written = 0, read_back = 0;
	char got[sizeof(answer)] = "";

	put_bytes(b, &written, 1000);
	b->s.server.writable = false;
	assert_int_equal(mg_flow_prepend(&b->s, &b->s.up, answer, 7), 0);
	assert_int_equal(pump(b), MG_FLOW_WAIT);
	assert_int_equal(b->s.up.len, 7);
	edges(b);
	assert_int_equal(pump(b), MG_FLOW_WAIT);
	assert_int_equal(__real_recv(b->sink, got, 7, 0), 7);
	assert_string_equal(got, answer);
	check_bytes(b, &read_back, 4096);
	assert_int_equal(read_back, 1000);
}

static void our_own_bytes_are_not_the_users(void **state)
{
	struct bench *b = *state;
	struct mg_session *s = &b->s;
	size_t written = 0;

	put_bytes(b, &written, 1000);
	s->answer_bytes = 12;
	assert_int_equal(mg_flow_prepend(s, &s->down, "0123456789ab", 12), 0);
	/* This way round the source is the server. */
	rig.send_err = EAGAIN;
	assert_int_equal(mg_flow_pump(s, &s->down, &s->client, &s->server), MG_FLOW_WAIT);
	edges(b);
	assert_int_equal(mg_flow_pump(s, &s->down, &s->client, &s->server), MG_FLOW_WAIT);
	assert_int_equal(s->down.bytes, 1000);
	assert_int_equal(b->w.stats.bytes_down, 1000);
	assert_int_equal(s->answer_bytes, 0);
}

static void flush_takes_only_the_buffer(void **state)
{
	struct bench *b = *state;
	struct mg_session *s = &b->s;
	size_t written = 0;
	char got[16];

	put_bytes(b, &written, 1000);
	assert_int_equal(mg_flow_prepend(s, &s->up, "abc", 3), 0);
	assert_int_equal(mg_flow_flush(s, &s->up, &s->server), MG_FLOW_ENDED);
	assert_null(s->up.buf);
	assert_int_equal(__real_recv(b->sink, got, sizeof(got), 0), 3);
	assert_int_equal(mg_flow_flush(s, &s->up, &s->server), MG_FLOW_ENDED);
	s->server.failed = true;
	assert_int_equal(mg_flow_prepend(s, &s->up, "abc", 3), 0);
	assert_int_equal(mg_flow_flush(s, &s->up, &s->server), MG_FLOW_TO_FAILED);
	mg_flow_drop(s, &s->up);
	mg_flow_drop(s, &s->up);
	assert_int_equal(b->w.pool.n_lent, 1);
}

static void an_empty_end_is_an_end(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pump(b), MG_FLOW_WAIT);
	assert_false(b->s.client.readable);
	shutdown(b->source, SHUT_WR);
	assert_int_equal(pump(b), MG_FLOW_WAIT); /* not before epoll says so */
	b->s.client.readable = true;
	assert_int_equal(pump(b), MG_FLOW_ENDED);
	assert_true(b->s.client.ended);
	/* and stays one */
	b->s.client.readable = true;
	assert_int_equal(pump(b), MG_FLOW_ENDED);
}

static void what_was_sent_before_an_error_arrives(void **state)
{
	struct bench *b = *state;
	size_t written = 0, read_back = 0;

	put_bytes(b, &written, 4000);
	b->s.client.failed = true; /* as EPOLLERR says it */
	b->s.server.writable = false;
	assert_int_equal(pump(b), MG_FLOW_WAIT);
	edges(b);
	rig.random = true;
	while (read_back < written) {
		assert_int_not_equal(pump(b), MG_FLOW_TO_FAILED);
		edges(b);
		check_bytes(b, &read_back, 4096);
	}
	rig.random = false;
	rig.recv_err = ECONNRESET;
	assert_int_equal(pump(b), MG_FLOW_FROM_FAILED);
	assert_int_equal(b->s.client.err, ECONNRESET);
	/* The kernel reports an end after the error; that is none. */
	shutdown(b->source, SHUT_WR);
	b->s.client.readable = true;
	assert_int_equal(pump(b), MG_FLOW_FROM_FAILED);
}

static void errors_are_told_apart(void **state)
{
	static const int hard[] = { ECONNRESET, ETIMEDOUT, EPIPE, EHOSTUNREACH, ENOTCONN };

	for (size_t i = 0; i < sizeof(hard) / sizeof(hard[0]); i++) {
		struct bench *b = *state;
		size_t written = 0;

		rig.recv_err = hard[i];
		assert_int_equal(pump(b), MG_FLOW_FROM_FAILED);
		assert_true(b->s.client.failed && !b->s.server.failed);
		assert_int_equal(b->s.client.err, hard[i]);
		teardown(state);
		setup(state);
		put_bytes(b, &written, 100);
		rig.send_err = hard[i];
		assert_int_equal(pump(b), MG_FLOW_TO_FAILED);
		assert_true(b->s.server.failed && !b->s.client.failed);
		assert_int_equal(b->s.server.err, hard[i]);
		assert_int_equal(b->s.up.bytes, 0);
		assert_int_equal(pump(b), MG_FLOW_TO_FAILED);
		teardown(state);
		setup(state);
	}
}

static void a_closed_receiver_is_noticed(void **state)
{
	struct bench *b = *state;
	size_t written = 0;

	put_bytes(b, &written, 100);
	close(b->sink);
	b->sink = -1;
	assert_int_equal(pump(b), MG_FLOW_TO_FAILED);
	assert_int_equal(b->s.server.err, EPIPE);
}

/* Out of kernel memory, the socket stays writable: no edge will come, so the flow has to ask for
 * another turn. */
static void no_buffer_space_is_tried_again(void **state)
{
	struct bench *b = *state;
	size_t written = 0, read_back = 0;

	put_bytes(b, &written, 1000);
	rig.send_err = ENOBUFS;
	assert_int_equal(pump(b), MG_FLOW_MORE);
	rig.send_err = ENOBUFS;
	assert_int_equal(pump(b), MG_FLOW_MORE);
	assert_int_equal(pump(b), MG_FLOW_WAIT);
	check_bytes(b, &read_back, 4096);
	assert_int_equal(read_back, 1000);
}

static void no_memory_breaks_the_flow(void **state)
{
	struct bench *b = *state;
	size_t written = 0;

	put_bytes(b, &written, 100);
	rig.send_err = EAGAIN;
	rig.no_memory = true;
	assert_int_equal(mg_flow_pump(&b->s, &b->s.up, &b->s.client, &b->s.server),
			 MG_FLOW_TO_FAILED);
	assert_int_equal(b->s.server.err, ENOMEM);
	assert_non_null(b->w.scratch);
	assert_int_equal(mg_flow_prepend(&b->s, &b->s.down, "abc", 3), -ENOMEM);
	assert_int_equal(b->w.pool.n_lent, 1);
}

static void a_turn_has_a_limit(void **state)
{
	struct bench *b = *state;

	/* Neither end has a limit here: only the budget ends the turn. */
	rig.endless = true;
	for (size_t turn = 1; turn <= 3; turn++) {
		rig.recvs = 0;
		assert_int_equal(pump(b), MG_FLOW_MORE);
		assert_int_equal(rig.recvs, TURN_READS);
		assert_int_equal(b->s.up.bytes, turn * TURN_READS * MG_POOL_BUF_BYTES);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_schedule_keeps_the_bytes),
		TEST(a_stuck_receiver_stops_the_sender),
		TEST(prepended_bytes_go_first),
		TEST(our_own_bytes_are_not_the_users),
		TEST(flush_takes_only_the_buffer),
		TEST(an_empty_end_is_an_end),
		TEST(what_was_sent_before_an_error_arrives),
		TEST(errors_are_told_apart),
		TEST(a_closed_receiver_is_noticed),
		TEST(no_buffer_space_is_tried_again),
		TEST(no_memory_breaks_the_flow),
		TEST(a_turn_has_a_limit),
	};

	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
