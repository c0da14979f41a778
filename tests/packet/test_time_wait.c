// SPDX-License-Identifier: BSD-2-Clause
/*
 * A client that uses its port again at once: what its last connection left here in TIME_WAIT goes,
 * and nothing else does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lab.h"
#include "sys/diag.h"
#include "sys/sock.h"

struct pair {
	struct mg_ep server, client;
	int listener, accepted, fd;
};

static int enter(void **state)
{
	(void)state;
	return lab_enter() || lab_sh("ip -6 addr add fd00:9::1/128 dev lo nodad && ip addr add "
				     "10.9.0.1/32 dev lo");
}

static struct mg_ep ep_of(const char *text)
{
	struct mg_ep ep;

	assert_int_equal(mg_ep_parse(&ep, text), 0);
	return ep;
}

/* From the client's exact address and port; the connection is made when this returns. */
static void join_up(struct pair *p, bool mptcp)
{
	struct pollfd ready = { .fd = p->listener, .events = POLLIN };
	struct mg_ep peer;
	bool is_mptcp;

	assert_int_equal(mg_sock_connect_exact(&p->fd, &p->server, &p->client, mptcp), 0);
	assert_int_equal(poll(&ready, 1, 3000), 1);
	p->accepted = mg_sock_accept(p->listener, &peer, &is_mptcp);
	assert_true(p->accepted >= 0);
	assert_true(mg_ep_equal(&peer, &p->client));
	assert_int_equal(is_mptcp, mptcp);
}

static struct pair connected(const char *server, const char *client)
{
	struct pair p = { .server = ep_of(server), .client = ep_of(client) };
	bool mptcp;

	p.listener = mg_sock_listen_transparent(&p.server, 4, &mptcp);
	assert_true(p.listener >= 0);
	join_up(&p, false);
	return p;
}

/* The client's side closes first, and so is the one that waits. */
static void part(struct pair *p)
{
	struct pollfd end = { .fd = p->accepted, .events = POLLIN };
	char byte;

	close(p->fd);
	assert_int_equal(poll(&end, 1, 3000), 1);
	while (read(p->accepted, &byte, 1) == 1)
		poll(&end, 1, 3000);
	close(p->accepted);
}

static bool waits(void)
{
	for (int i = 0; i < 300; i++) {
		if (lab_shows("ss -Htn state time-wait", "10.9.0.1") ||
		    lab_shows("ss -Htn state time-wait", "fd00:9::1"))
			return true;
		usleep(10000);
	}
	return false;
}

static void check(const char *server, const char *client)
{
	struct pair p = connected(server, client);
	struct mg_ep stranger = p.client;

	/* a connection that lives is left alone */
	assert_int_equal(mg_diag_end_time_wait(&p.client, &p.server), -EBUSY);
	assert_int_equal(send(p.fd, "x", 1, MSG_NOSIGNAL), 1);
	part(&p);
	assert_true(waits());
	stranger.port = htons(ntohs(stranger.port) + 1);
	assert_int_equal(mg_diag_end_time_wait(&stranger, &p.server), -ENOENT);
	assert_int_equal(mg_diag_end_time_wait(&p.server, &p.client), -ENOENT);
	assert_int_equal(mg_diag_end_time_wait(&p.client, &p.server), 0);
	assert_int_equal(mg_diag_end_time_wait(&p.client, &p.server), -ENOENT);
	assert_false(lab_shows("ss -Htn state time-wait", client));
	close(p.listener);
}

static void test_ends_what_waits(void **state)
{
	(void)state;
	check("127.0.0.1:8080", "10.9.0.1:40000");
	check("[::1]:8080", "[fd00:9::1]:40000");
}

static void test_the_exact_port_again(void **state)
{
	struct pair p = connected("127.0.0.1:8081", "10.9.0.1:40001");

	(void)state;
	for (int i = 0; i < 3; i++) {
		part(&p);
		assert_true(waits());
		join_up(&p, i % 2);
	}
	close(p.fd);
	close(p.accepted);
	close(p.listener);
}

/* While the connection lives its port is taken, and no other is used instead. */
static void test_the_exact_port_or_none(void **state)
{
	struct pair p = connected("127.0.0.1:8082", "10.9.0.1:40002");
	int second = -1;

	(void)state;
	assert_int_equal(mg_sock_connect_exact(&second, &p.server, &p.client, false),
			 -EADDRNOTAVAIL);
	assert_int_equal(second, -1);
	assert_int_equal(send(p.fd, "x", 1, MSG_NOSIGNAL), 1);
	close(p.fd);
	close(p.accepted);
	close(p.listener);
}

/* What was accepted ends, whoever has it, and the peer hears a reset. */
static void check_living(const char *server, const char *client)
{
	struct pair p = connected(server, client);
	struct pollfd end = { .fd = p.fd, .events = POLLIN };
	struct mg_ep stranger = p.client;
	char byte;

	stranger.port = htons(ntohs(stranger.port) + 1);
	assert_int_equal(mg_diag_end_connection(&p.server, &stranger), -ENOENT);
	assert_int_equal(send(p.fd, "x", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(mg_diag_end_connection(&p.server, &p.client), 0);
	assert_int_equal(poll(&end, 1, 3000), 1);
	assert_int_equal(read(p.fd, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(mg_diag_end_connection(&p.server, &p.client), -ENOENT);
	close(p.fd);
	close(p.accepted);
	close(p.listener);
}

static void test_ends_what_lives(void **state)
{
	(void)state;
	check_living("127.0.0.1:8085", "10.9.0.1:40005");
	check_living("[::1]:8085", "[fd00:9::1]:40005");
}

/* A listener of one's own, alone on its port. */
static void test_transparent_listeners(void **state)
{
	struct mg_ep ep = ep_of("127.109.0.1:8083"), v6 = ep_of("[fd6d:7067:6174:6500::1]:8083"),
		     any = ep_of("127.0.0.1:8083");
	bool mptcp;
	int fd = mg_sock_listen_transparent(&ep, 4, &mptcp), fd6, wild;
	struct sockaddr_in all = { .sin_family = AF_INET, .sin_port = htons(8084) };

	(void)state;
	any.port = htons(8084);
	assert_true(fd >= 0);
	assert_int_equal(mg_sock_listen_transparent(&ep, 4, &mptcp), -EADDRINUSE);
	fd6 = mg_sock_listen_transparent(&v6, 4, &mptcp);
	assert_true(fd6 >= 0);
	wild = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(wild, (struct sockaddr *)&all, sizeof(all)), 0);
	assert_int_equal(listen(wild, 1), 0);
	assert_int_equal(mg_sock_listen_transparent(&any, 4, &mptcp), -EADDRINUSE);
	close(wild);
	close(fd);
	close(fd6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_what_waits),
		cmocka_unit_test(test_ends_what_lives),
		cmocka_unit_test(test_the_exact_port_again),
		cmocka_unit_test(test_the_exact_port_or_none),
		cmocka_unit_test(test_transparent_listeners),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
