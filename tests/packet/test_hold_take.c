// SPDX-License-Identifier: BSD-2-Clause
/*
 * A held SYN, brought back through the TAP device, is accepted by its worker's listener as if it
 * had never been away; and so are the joins that follow.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "base/addr.h"
#include "hold_live.h"
#include "lab.h"

#ifndef IP_TRANSPARENT
#define IP_TRANSPARENT 19
#endif
#define IPV6_TRANSPARENT_ 75
#define MPTCP_INFO_	  1 /* of level SOL_MPTCP, 284; its first byte counts further subflows */

/* The listener of worker, at the port; a host's own if worker is -1. */
static int listener(int worker, bool v6, uint16_t port)
{
	struct sockaddr_storage at;
	char ip[64];
	socklen_t len;
	int one = 1;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_MPTCP);

	assert_true(fd >= 0);
	if (worker < 0)
		snprintf(ip, sizeof(ip), v6 ? "::" : "0.0.0.0");
	else if (v6)
		snprintf(ip, sizeof(ip), "fd6d:7067:6174:6500::%x", worker + 1);
	else
		snprintf(ip, sizeof(ip), "127.109.0.%d", worker + 1);
	len = live_address(&at, ip, port);
	assert_int_equal(v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT_, &one, sizeof(one))
			    : setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)),
			 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int wait_accept(int from)
{
	struct pollfd p = { .fd = from, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 5000), 1);
	return accept4(from, NULL, NULL, SOCK_NONBLOCK);
}

static void wait_count(enum mg_hold_counter which, uint64_t n)
{
	for (int i = 0; i < TRIES && hold_counted(&live.run, which) < n; i++)
		usleep(2000);
	assert_int_equal(hold_counted(&live.run, which), n);
}

static int further_subflows(int fd)
{
	uint8_t info[256];
	socklen_t len = sizeof(info);

	return getsockopt(fd, 284, MPTCP_INFO_, info, &len) ? -1 : info[0];
}

static void assert_local_is_server(int fd, bool v6, uint16_t port)
{
	struct sockaddr_storage is, want;
	socklen_t len = sizeof(is);
	struct mg_ep ep, wanted;

	live_address(&want, v6 ? FAR6 : FAR4, port);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&is, &len), 0);
	assert_int_equal(mg_ep_from_sockaddr(&ep, (struct sockaddr *)&is), 0);
	assert_int_equal(mg_ep_from_sockaddr(&wanted, (struct sockaddr *)&want), 0);
	assert_true(mg_ep_equal(&ep, &wanted));
}

/* Once data came through, the client joins with its second address; only hints know of it. */
static void assert_joined(int server, int ue)
{
	for (int i = 0; i < TRIES && further_subflows(server) < 1; i++) {
		char byte = 'x';

		assert_int_equal(write(i & 1 ? ue : server, &byte, 1), 1);
		usleep(2000);
	}
	assert_int_equal(further_subflows(server), 1);
	assert_int_equal(further_subflows(ue), 1);
	assert_int_equal(hold_counted(&live.run, MG_HOLD_COUNT_JOINS), 1);
	assert_int_equal(hold_entries(live.run.skel->maps.mg_hints), 1);
}

static void take_over(bool v6, bool other_port)
{
	int ue = live_client(v6, IPPROTO_MPTCP, 0, PORT), server, at;
	const struct hold_record *r = live_record();
	struct mg_replay tail = live_trailer(r, MG_REPLAY_TAKE);
	struct mg_hold hold;

	assert_int_equal(r->head.kind, MG_HOLD_INTERCEPT);
	if (other_port) {
		struct mg_listen_key key = { .worker = (uint16_t)r->worker, .port = PORT };
		uint32_t port = PORT + 1;

		assert_int_equal(
			bpf_map_update_elem(bpf_map__fd(live.run.skel->maps.mg_listen_ports), &key,
					    &port, 0),
			0);
	}
	at = listener((int)r->worker, v6, other_port ? PORT + 1 : PORT);
	live_replay(r, &tail);
	server = wait_accept(at);
	assert_true(server >= 0);
	assert_local_is_server(server, v6, PORT);
	assert_int_equal(further_subflows(server), 0);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(live.run.skel->maps.mg_held),
					     &r->head.tuple, &hold),
			 0);
	assert_int_equal(hold.taken, 1);
	/* with another port than the connection's, the kernel takes no join */
	if (!other_port)
		assert_joined(server, ue);
	close(server);
	close(ue);
	close(at);
}

static void test_take(void **state)
{
	(void)state;
	take_over(false, false);
}

static void test_take_v6(void **state)
{
	(void)state;
	take_over(true, false);
}

static void test_take_at_another_port(void **state)
{
	int host = listener(-1, false, PORT);

	(void)state;
	take_over(false, true);
	close(host);
}

/* No listener, or only one that the host has on all addresses: nothing gets in. */
static void test_lost(void **state)
{
	int host = listener(-1, false, PORT), ue = live_client(false, IPPROTO_MPTCP, 0, PORT);
	const struct hold_record *r = live_record();
	struct mg_replay tail = live_trailer(r, MG_REPLAY_TAKE);
	struct pollfd p = { .fd = host, .events = POLLIN };

	(void)state;
	live_replay(r, &tail);
	wait_count(MG_HOLD_COUNT_LOST, 1);
	assert_int_equal(poll(&p, 1, 50), 0);
	close(ue);
	close(host);
}

/* What was let in came to nothing: the client's repetition goes the same way. */
static void test_repeated(void **state)
{
	int ue = live_client(false, IPPROTO_MPTCP, 0, PORT), server, at;
	const struct hold_record *r = live_record();
	int held = bpf_map__fd(live.run.skel->maps.mg_held);
	struct mg_hold hold;

	(void)state;
	at = listener((int)r->worker, false, PORT);
	assert_int_equal(bpf_map_lookup_elem(held, &r->head.tuple, &hold), 0);
	assert_int_equal(hold.taken, 0);
	hold.taken = 1;
	assert_int_equal(bpf_map_update_elem(held, &r->head.tuple, &hold, BPF_EXIST), 0);
	server = wait_accept(at); /* 1 s, as Linux repeats */
	assert_true(server >= 0);
	assert_int_equal(further_subflows(server), 0);
	assert_int_equal(hold_counted(&live.run, MG_HOLD_COUNT_REPEATED), 1);
	close(server);
	close(ue);
	close(at);
}

/* The client uses its port again while we remember its last connection. */
static void test_time_wait(void **state)
{
	int ue, server, at = -1;

	(void)state;
	assert_int_equal(live_attach(live.run.skel->progs.mg_hold_lan), 0);
	for (int i = 0; i < 2; i++) {
		const struct hold_record *r;
		struct mg_replay tail;
		struct pollfd p;
		struct mg_release release;
		char byte;
		DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &release,
				    .ctx_size_in = sizeof(release));

		ue = live_client(false, 0, 41000, PORT);
		r = live_record();
		assert_int_equal(r->head.kind, MG_HOLD_CPE);
		assert_int_equal(r->head.time_wait, i);
		if (i)
			break;
		at = listener((int)r->worker, false, PORT);
		tail = live_trailer(r, MG_REPLAY_TAKE);
		live_replay(r, &tail);
		server = wait_accept(at);
		assert_true(server >= 0);
		release = (struct mg_release){ .tuple = r->head.tuple, .isn = r->head.isn };
		assert_int_equal(bpf_prog_test_run_opts(
					 bpf_program__fd(live.run.skel->progs.mg_release), &opts),
				 0);
		assert_int_equal(opts.retval, 1);
		/* we close first, and so do the waiting */
		close(server);
		p = (struct pollfd){ .fd = ue, .events = POLLIN };
		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_int_equal(read(ue, &byte, 1), 0);
		close(ue);
		for (int t = 0; t < TRIES && !lab_shows("ss -tan state time-wait", ":41000"); t++)
			usleep(2000);
	}
	close(ue);
	close(at);
	assert_int_equal(live_attach(live.run.skel->progs.mg_hold), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_take, live_fresh),
		cmocka_unit_test_setup(test_take_v6, live_fresh),
		cmocka_unit_test_setup(test_take_at_another_port, live_fresh),
		cmocka_unit_test_setup(test_lost, live_fresh),
		cmocka_unit_test_setup(test_repeated, live_fresh),
		cmocka_unit_test_setup(test_time_wait, live_fresh),
	};

	return cmocka_run_group_tests(tests, live_set_up, live_tear_down);
}
