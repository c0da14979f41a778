// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a whole converter carries: exact bytes both ways, slow readers, MPTCP clients, and several
 * workers at once.
 */
#include "session_rig.h"

#include <pthread.h>

struct stream {
	int fd;
	size_t total, piece;
	bool good;
};

static void *writes(void *arg)
{
	struct stream *s = arg;
	unsigned char data[PATTERN_BYTES];
	size_t at = 0;

	test_thread = true;
	while (at < s->total) {
		size_t n = s->piece;
		ssize_t sent;

		for (size_t i = 0; i < n; i++)
			data[i] = rig_byte(at + i);
		n = s->total - at < n ? s->total - at : n;
		sent = send(s->fd, data, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return NULL;
		at += (size_t)sent;
	}
	shutdown(s->fd, SHUT_WR);
	s->good = true;
	return NULL;
}

static void *reads(void *arg)
{
	struct stream *s = arg;
	unsigned char data[PATTERN_BYTES];
	size_t at = 0;
	ssize_t n;

	test_thread = true;
	while ((n = recv(s->fd, data, s->piece, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (data[i] != rig_byte(at + (size_t)i))
				return NULL;
		}
		at += (size_t)n;
	}
	s->good = n == 0 && at == s->total;
	return NULL;
}

/* Both ways at once, in pieces of different sizes, with small socket buffers in between. */
static void carry(struct rig *r, size_t up_bytes, size_t up_piece, size_t down_bytes,
		  size_t down_piece)
{
	pthread_t t[4];
	struct stream s[4];

	rig_relay(r);
	s[0] = (struct stream){ r->client, up_bytes, up_piece, false };
	s[1] = (struct stream){ r->server, up_bytes, down_piece, false };
	s[2] = (struct stream){ r->server, down_bytes, down_piece, false };
	s[3] = (struct stream){ r->client, down_bytes, up_piece, false };
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, i % 2 ? reads : writes, &s[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 4; i++)
		assert_true(s[i].good);
	rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);
	assert_int_equal(r->last.bytes_up, up_bytes);
	assert_int_equal(r->last.bytes_down, down_bytes);
}

static void bytes_both_ways(void **state)
{
	carry(*state, 20000000, PATTERN_BYTES, 10000000, 1999);
}

static void single_bytes_both_ways(void **state)
{
	carry(*state, 20000, 1, 10000, 1);
}

/* A reader that never reads holds one buffer of ours, and the sender. */
static void a_stuck_reader_holds_one_buffer(void **state)
{
	struct rig *r = *state;
	struct mg_session_row *rows = NULL;
	unsigned char data[PATTERN_BYTES] = { 0 };
	struct rig_kept k = { .w = &r->proxy.workers[0] };
	int quiet = 0;

	rig_relay(r);
	while (quiet < 50) {
		bool sent = send(r->client, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0;

		quiet = sent ? 0 : quiet + 1;
		if (!sent)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	mg_loop_call(&k.w->loop, rig_look, &k);
	assert_int_equal(k.lent, 2);
	assert_int_equal(mg_proxy_sessions(&r->proxy, &rows), 1);
	assert_in_range(rows[0].held_bytes, 1, MG_POOL_BUF_BYTES);
	free(rows);
	/* The other way goes on meanwhile. */
	rig_say(r->server, "down", 4);
	rig_hear(r->client, "down");
}

static void mptcp_client(void **state)
{
	struct rig *r = *state;
	struct mg_session_row *rows = NULL;

	r->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (r->client < 0)
		skip();
	rig_close(&r->client);
	for (int way = 0; way < 3; way++) {
		r->client = rig_connect(CONVERTER, IPPROTO_MPTCP);
		rig_ask(r->client, SERVER);
		r->server = rig_accept(r->listener);
		rig_hear_connected(r->client);
		rig_assert_relays(r);
		assert_int_equal(mg_proxy_sessions(&r->proxy, &rows), 1);
		assert_true(rows[0].mptcp && !rows[0].fallback && rows[0].token);
		assert_int_equal(rows[0].n_subflows, 1);
		free(rows);
		if (way == 0) { /* DATA_FIN <=> FIN */
			shutdown(r->client, SHUT_WR);
			rig_hear_end(r->server);
			rig_close(&r->server);
			rig_hear_end(r->client);
			rig_close(&r->client);
			rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);
		} else if (way == 1) { /* MP_FASTCLOSE => RST */
			rig_abort(&r->client);
			rig_hear_reset(r->server);
			rig_close(&r->server);
			rig_ends(r, MG_CLOSE_CLIENT_RESET, NO_ERROR);
		} else { /* RST => MP_FASTCLOSE */
			rig_abort(&r->server);
			rig_hear_reset(r->client);
			rig_close(&r->client);
			rig_ends(r, MG_CLOSE_SERVER_RESET, NO_ERROR);
		}
	}
	assert_int_equal(rig_stats(r).fallbacks, 0);
}

/* The data plane saw MP_CAPABLE, the socket is plain TCP: it fell back, and is counted once. */
static void a_fallback_is_counted_once(void **state)
{
	struct rig *r = *state;
	struct mg_session_row *rows = NULL;
	struct mg_ep me;

	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	assert_int_equal(mg_sock_local(r->client, &me), 0);
	mg_offers_note(&r->proxy.offers, &me);
	rig_ask(r->client, SERVER);
	r->server = rig_accept(r->listener);
	rig_hear_connected(r->client);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mg_proxy_sessions(&r->proxy, &rows), 1);
		assert_true(rows[0].fallback && !rows[0].mptcp);
		free(rows);
	}
	rig_close(&r->client);
	rig_hear_end(r->server);
	rig_close(&r->server);
	rig_ends(r, MG_CLOSE_FINISHED, NO_ERROR);
	assert_int_equal(r->last.fallbacks, 1);
}

/* What an MPTCP connection left behind says nothing about TCP from the same port later. */
static void an_old_offer_is_no_fallback(void **state)
{
	struct rig *r = *state;
	struct mg_ep me;

	r->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (r->client < 0)
		skip();
	rig_close(&r->client);
	r->client = rig_connect(CONVERTER, IPPROTO_MPTCP);
	assert_int_equal(mg_sock_local(r->client, &me), 0);
	mg_offers_note(&r->proxy.offers, &me);
	rig_ask(r->client, SERVER);
	r->server = rig_accept(r->listener);
	rig_hear_connected(r->client);
	rig_abort(&r->client);
	rig_hear_reset(r->server);
	rig_close(&r->server);
	rig_ends(r, MG_CLOSE_CLIENT_RESET, NO_ERROR);
	assert_int_equal(r->last.fallbacks, 0);
	assert_false(mg_offers_take(&r->proxy.offers, &me));
}

/* ---- several workers, and others asking them meanwhile --------------------------------------- */

#define CLIENTS	 3
#define REQUESTS 150

static void *asks_again_and_again(void *arg)
{
	int *unanswered = arg;

	test_thread = true;
	for (int i = 0; i < REQUESTS; i++) {
		int fd = rig_connect(CONVERTER, IPPROTO_TCP);
		uint8_t byte;

		rig_ask(fd, i % 2 ? "10.9.2.1:9" : OWN ":80");
		*unanswered += recv(fd, &byte, 1, 0) != 1;
		close(fd);
	}
	return NULL;
}

static void workers_are_asked_while_they_work(void **state)
{
	struct rig *r = *state;
	struct mg_policy other;
	int unanswered[CLIENTS] = { 0 };
	pthread_t t[CLIENTS];

	rig_stop(r);
	rig_start(r, 3);
	other = r->policy;
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, asks_again_and_again, &unanswered[i]),
				 0);
	while (rig_stats(r).closed < CLIENTS * REQUESTS / 2) {
		struct mg_session_row *rows = NULL;
		long n = mg_proxy_sessions(&r->proxy, &rows);

		for (long i = 1; i < n; i++)
			assert_true(rows[i - 1].id < rows[i].id);
		free(rows);
		mg_proxy_set_policy(&r->proxy, &other);
		mg_proxy_set_policy(&r->proxy, &r->policy);
	}
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(t[i], NULL);
	assert_true(wait_until(rig_stats(r).active == 0));
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(unanswered[i], 0);
	r->last = rig_stats(r);
	assert_int_equal(r->last.closed, CLIENTS * REQUESTS);
	assert_int_equal(r->last.opened, CLIENTS * REQUESTS);
	assert_int_equal(r->last.closed_by[MG_CLOSE_REFUSED], CLIENTS * REQUESTS);
	assert_int_equal(r->last.errors[MG_ERROR_INDEX_NOT_AUTHORIZED], CLIENTS * REQUESTS / 2);
	assert_int_equal(r->last.errors[MG_ERROR_INDEX_CONNECTION_RESET], CLIENTS * REQUESTS / 2);
	rig_assert_empty(r);
}

/* The clock stands still: only the number of bytes can end it. */
static void sending_on_after_an_error_is_cut_off(void **state)
{
	struct rig *r = *state;
	static const unsigned char chatter[65536];
	uint64_t sent = 0;

	r->client = rig_connect(CONVERTER, IPPROTO_TCP);
	rig_ask(r->client, OWN ":80");
	rig_hear_error(r->client, MG_CE_NOT_AUTHORIZED, NULL);
	while (sent < 1ULL << 30) {
		ssize_t n = send(r->client, chatter, sizeof(chatter), MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (uint64_t)n;
	}
	assert_in_range(sent, 16 << 20, 64 << 20);
	rig_close(&r->client);
	rig_ends(r, MG_CLOSE_REFUSED, MG_CE_NOT_AUTHORIZED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(bytes_both_ways),
		RIG_TEST(single_bytes_both_ways),
		RIG_TEST(a_stuck_reader_holds_one_buffer),
		RIG_TEST(mptcp_client),
		RIG_TEST(a_fallback_is_counted_once),
		RIG_TEST(an_old_offer_is_no_fallback),
		RIG_TEST(sending_on_after_an_error_is_cut_off),
		RIG_TEST(workers_are_asked_while_they_work),
	};

	return rig_main("relay", tests);
}
