// SPDX-License-Identifier: BSD-2-Clause
/* This host's own tokens, from the kernel's events and from its list of sessions; real sockets. */
#include "mg_test.h"

#include <errno.h>
#include <linux/mptcp.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/publish.h"
#include "gateway/tokenset.h"
#include "sys/diag.h"
#include "sys/mptcp.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define PAIRS 40 /* of each family */

struct pair {
	int client, server;
	uint32_t token; /* the server's */
};

static int listener_of(const struct mg_ep *at)
{
	struct sockaddr_storage ss;
	socklen_t len = mg_ep_to_sockaddr(at, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM, IPPROTO_MPTCP), one = 1;

	assert_true(fd >= 0);
	/* Connections of the test before are in TIME_WAIT. */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, PAIRS), 0);
	return fd;
}

static void open_pair(struct pair *p, int listener, const struct mg_ep *at, int protocol)
{
	struct mg_mptcp_state state = { 0 };
	struct sockaddr_storage ss;
	socklen_t len = mg_ep_to_sockaddr(at, &ss);
	char byte = 'x';

	p->client = socket(ss.ss_family, SOCK_STREAM, protocol);
	assert_true(p->client >= 0);
	assert_int_equal(connect(p->client, (struct sockaddr *)&ss, len), 0);
	p->server = accept(listener, NULL, NULL);
	assert_true(p->server >= 0);
	/* The first data says that both have understood. */
	assert_int_equal(send(p->client, &byte, 1, 0), 1);
	assert_int_equal(recv(p->server, &byte, 1, 0), 1);
	p->token = 0;
	if (protocol != IPPROTO_MPTCP)
		return;
	assert_int_equal(mg_mptcp_read(p->server, &state), 0);
	assert_false(state.fallback);
	p->token = state.token;
}

/* ---- what is told ---------------------------------------------------------------------------- */

struct world {
	struct mg_loop loop;
	struct mg_pm *pm;
	struct mg_io pm_io;
	struct mg_publish *publish;
	struct mg_tokenset own;
	uint32_t alls;
	struct mg_timer stop;
	struct pair pairs[2 * PAIRS];
	int listeners[2];
};

static void own(void *ctx, uint32_t token, bool owned)
{
	struct world *w = ctx;

	if (owned)
		mg_tokenset_add(&w->own, token);
	else
		mg_tokenset_del(&w->own, token);
}

static void own_all(void *ctx, const uint32_t *tokens, size_t n)
{
	struct world *w = ctx;

	mg_tokenset_free(&w->own);
	for (size_t i = 0; i < n; i++)
		mg_tokenset_add(&w->own, tokens[i]);
	w->alls++;
}

static void path_event(void *ctx, const struct mg_pm_event *ev)
{
	mg_publish_event(((struct world *)ctx)->publish, ev, false);
}

static void pm_ready(struct mg_io *io, uint32_t events)
{
	struct world *w = mg_container_of(io, struct world, pm_io);

	(void)events;
	mg_pm_read(w->pm, path_event, w);
}

static void time_is_up(struct mg_timer *t)
{
	mg_container_of(t, struct world, stop)->loop.stop = true;
}

static void run_a_moment(struct world *w)
{
	w->loop.stop = false;
	mg_timer_arm(&w->loop.timers, &w->stop, mg_clock_ms() + 5);
	mg_loop_run(&w->loop);
}

static size_t servers_known(struct world *w)
{
	size_t n = 0;

	run_a_moment(w);
	for (size_t i = 0; i < sizeof(w->pairs) / sizeof(w->pairs[0]); i++)
		n += w->pairs[i].token && mg_tokenset_has(&w->own, w->pairs[i].token);
	return n;
}

static int setup(void **state)
{
	static struct world w;
	const struct mg_publish_to to = { .ctx = &w, .own = own, .own_all = own_all };
	struct mg_ep at[] = { ep_of("127.0.0.1:5124"), ep_of("[::1]:5124") };

	w = (struct world){ .stop.fire = time_is_up };
	mg_tokenset_init(&w.own);
	assert_int_equal(mg_loop_init(&w.loop, NULL, NULL), 0);
	assert_int_equal(mg_pm_open(&w.pm), 0);
	w.pm_io = (struct mg_io){ .fd = mg_pm_fd(w.pm), .ready = pm_ready };
	assert_int_equal(mg_loop_add(&w.loop, &w.pm_io, EPOLLIN), 0);
	for (int i = 0; i < 2; i++) {
		w.listeners[i] = listener_of(&at[i]);
		for (int j = 0; j < PAIRS; j++)
			open_pair(&w.pairs[i * PAIRS + j], w.listeners[i], &at[i], IPPROTO_MPTCP);
	}
	assert_int_equal(mg_publish_open(&w.publish, &w.loop, &to), 0);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < 2 * PAIRS; i++) {
		close(w->pairs[i].client);
		close(w->pairs[i].server);
	}
	close(w->listeners[0]);
	close(w->listeners[1]);
	mg_publish_close(w->publish);
	mg_pm_close(w->pm);
	mg_loop_free(&w->loop);
	mg_tokenset_free(&w->own);
	return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void count(void *ctx, uint32_t token)
{
	assert_int_not_equal(token, 0);
	++*(size_t *)ctx;
}

/* Both ends of every session are here, and nothing else. */
static void test_the_list_is_complete(void **state)
{
	struct world *w = *state;
	struct mg_ep at = ep_of("127.0.0.1:5124");
	struct pair plain;
	size_t n = 0;

	open_pair(&plain, w->listeners[0], &at, 0);
	assert_int_equal(mg_diag_mptcp_tokens(count, &n), 0);
	assert_int_equal(n, 4 * PAIRS);
	close(plain.client);
	close(plain.server);
}

static void test_all_are_told_at_the_start(void **state)
{
	struct world *w = *state;

	assert_true(wait_until(servers_known(w) == 2 * PAIRS));
	assert_true(w->alls >= 1);
}

static void reopen(struct world *w, size_t i)
{
	struct mg_ep at = ep_of(i < PAIRS ? "127.0.0.1:5124" : "[::1]:5124");
	uint32_t last = w->pairs[i].token;

	close(w->pairs[i].client);
	close(w->pairs[i].server);
	assert_true(wait_until((run_a_moment(w), !mg_tokenset_has(&w->own, last))));
	open_pair(&w->pairs[i], w->listeners[i < PAIRS ? 0 : 1], &at, IPPROTO_MPTCP);
}

static void test_events_are_followed(void **state)
{
	struct world *w = *state;

	assert_true(wait_until(servers_known(w) == 2 * PAIRS));
	reopen(w, 0);
	reopen(w, PAIRS);
	assert_true(wait_until(servers_known(w) == 2 * PAIRS));
}

/* What is in the queue beside the loss is older than the list, and must not win over it. */
static void test_lost_events_are_made_up_for(void **state)
{
	struct world *w = *state;
	const struct mg_pm_event lost = { .kind = MG_PM_LOST };
	const struct mg_pm_event stale = { .kind = MG_PM_CREATED, .token = 7, .server_side = true };
	uint32_t alls;

	assert_true(wait_until(servers_known(w) == 2 * PAIRS));
	alls = w->alls;
	mg_tokenset_free(&w->own);
	mg_publish_event(w->publish, &lost, false);
	mg_publish_event(w->publish, &stale, false);
	assert_true(mg_tokenset_has(&w->own, 7));
	assert_true(wait_until(servers_known(w) == 2 * PAIRS));
	assert_false(mg_tokenset_has(&w->own, 7));
	assert_int_equal(w->alls, alls + 1);
}

/* A session that this host began is nobody's to join from outside. */
static void test_only_what_began_here(void **state)
{
	struct world *w = *state;
	struct mg_pm_event ev = { .kind = MG_PM_CREATED, .token = 9 };

	mg_publish_event(w->publish, &ev, false);
	assert_false(mg_tokenset_has(&w->own, 9));
	mg_publish_event(w->publish, &ev, true);
	assert_true(mg_tokenset_has(&w->own, 9));
	ev.kind = MG_PM_SUBFLOW_UP;
	ev.token = 10;
	mg_publish_event(w->publish, &ev, true);
	assert_false(mg_tokenset_has(&w->own, 10));
	ev.kind = MG_PM_CLOSED;
	ev.token = 9;
	mg_publish_event(w->publish, &ev, false);
	assert_false(mg_tokenset_has(&w->own, 9));
	mg_publish_event(NULL, &ev, true);
}

static int own_network(void **state)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, err;

	(void)state;
	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	err = ioctl(fd, SIOCSIFFLAGS, &lo) ? -errno : 0;
	close(fd);
	return err;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_list_is_complete, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_are_told_at_the_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events_are_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_events_are_made_up_for, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_what_began_here, setup, teardown),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
