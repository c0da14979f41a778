// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is learned in passing: about servers from SYN+ACKs on core interfaces. And what a core
 * interface and an access interface mark as this host's own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "base/addr.h"
#include "hold_run.h"
#include "rows.h"

#define UNSPEC (-1)
#define ISN    100
#define KEY    1, 2, 3, 4, 5, 6, 7, 8

#ifndef IP_TRANSPARENT
#define IP_TRANSPARENT 19
#endif
#define IPV6_TRANSPARENT_ 75

static struct hold_run run;
static const uint8_t mpc_syn[] = { LINUX_SYN, MPC_V1 };
static const uint8_t mpc_synack[] = { MSS, SACK_OK, TIMESTAMPS, NOP, WSCALE, 30, 12, 1, 1, KEY };
static const uint8_t plain_synack[] = { LINUX_SYN };
static const uint8_t v0_synack[] = { MSS, 30, 12, 0, 1, KEY };
static const uint8_t short_synack[] = { MSS, 30, 4, 1, 1 };

static int fresh(void **state)
{
	struct mg_intercept wanted = hold_wanted();

	(void)state;
	hold_run_reset(&run);
	wanted.mode = MG_MODE_HYBRID;
	hold_run_want(&run, &wanted);
	return 0;
}

static struct frame syn(bool v6)
{
	return (struct frame){ .v6 = v6,
			       .flags = F_SYN,
			       .seq = ISN,
			       .dst = v6 ? FAR6 : FAR4,
			       .dport = 80,
			       .opts = { mpc_syn, sizeof(mpc_syn) } };
}

static struct frame synack(const struct frame *to, const uint8_t *opts, size_t len)
{
	return (struct frame){ .v6 = to->v6,
			       .flags = F_SYN | F_ACK,
			       .ack = to->seq + 1,
			       .src = to->dst,
			       .dst = to->v6 ? "fd00:1::1" : "10.1.0.1",
			       .sport = to->dport,
			       .dport = to->sport ? to->sport : 40000,
			       .opts = { opts, len } };
}

static void core(const struct frame *f, uint32_t mark)
{
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, f);
	uint32_t left = 0;

	assert_int_equal(hold_run_bytes(&run, run.skel->progs.mg_hold_core, frame, len, &left),
			 UNSPEC);
	assert_int_equal(left, mark);
	assert_int_equal(hold_run_read(&run), 0);
}

static int access_door(const struct frame *f)
{
	return hold_run_frame(&run, run.skel->progs.mg_hold, f);
}

/* The SYN was let pass for this reason. */
static void pass(const struct frame *f, enum mg_passed_why why)
{
	hold_release(&run, f, MG_RELEASE_PASSED, why);
}

static void assert_server(const struct frame *f, bool mptcp, enum mg_server_source source,
			  uint64_t at_least_ns)
{
	struct mg_server server;

	assert_true(hold_server_get(&run, f, &server));
	assert_int_equal(server.mptcp, mptcp);
	assert_int_equal(server.source, source);
	assert_true(server.expires_ns >= at_least_ns);
	assert_true(server.expires_ns <= hold_now_ns() + hold_wanted().learn_ttl_ns);
}

static void assert_unknown(const struct frame *f)
{
	struct mg_server server;

	assert_false(hold_server_get(&run, f, &server));
}

static void test_learned(void **state)
{
	static const enum mg_passed_why whys[] = { MG_PASSED_PROBED, MG_PASSED_OVERLOAD,
						   MG_PASSED_FAILURE };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct frame s = syn(i & 1), a = synack(&s, mpc_synack, sizeof(mpc_synack));
		uint64_t then = hold_now_ns();

		fresh(NULL);
		pass(&s, whys[i / 2]);
		core(&a, HOLD_MARK);
		assert_server(&s, true, MG_SERVER_PASSIVE, then + hold_wanted().learn_ttl_ns);
		assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_LEARNED), 1);
		/* …and the other way round when it says otherwise */
		a = synack(&s, plain_synack, sizeof(plain_synack));
		core(&a, HOLD_MARK);
		assert_server(&s, false, MG_SERVER_PASSIVE, then + hold_wanted().learn_ttl_ns);
		assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_LEARNED), 2);
		/* so that the next client goes straight through */
		a = synack(&s, mpc_synack, sizeof(mpc_synack));
		core(&a, HOLD_MARK);
		s.sport = 40001;
		assert_int_equal(access_door(&s), UNSPEC);
		assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_PASSES), 1);
	}
}

static void test_refreshed_and_forgotten(void **state)
{
	struct frame s = syn(false), a = synack(&s, mpc_synack, sizeof(mpc_synack));
	uint64_t then = hold_now_ns();

	(void)state;
	hold_server_put(&run, &s, true, 1000000000);
	assert_int_equal(access_door(&s), UNSPEC);
	core(&a, HOLD_MARK);
	assert_server(&s, true, MG_SERVER_PROBE, then + hold_wanted().learn_ttl_ns);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_LEARNED), 1);

	a = synack(&s, plain_synack, sizeof(plain_synack));
	core(&a, HOLD_MARK);
	assert_unknown(&s);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_FORGOTTEN), 1);
	core(&a, HOLD_MARK);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_FORGOTTEN), 1);

	/* what is out of date and new again is news */
	hold_server_put(&run, &s, true, -1);
	pass(&s, MG_PASSED_PROBED);
	a = synack(&s, mpc_synack, sizeof(mpc_synack));
	core(&a, HOLD_MARK);
	assert_server(&s, true, MG_SERVER_PASSIVE, then);
}

static void test_not_mptcp(void **state)
{
	static const struct bytes not [] = { { v0_synack, sizeof(v0_synack) },
					     { short_synack, sizeof(short_synack) },
					     { NULL, 0 } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct frame s = syn(false), a = synack(&s, not [i].data, not [i].len);

		fresh(NULL);
		pass(&s, MG_PASSED_OVERLOAD);
		core(&a, HOLD_MARK);
		assert_server(&s, false, MG_SERVER_PASSIVE, 0);
	}
}

static void test_what_teaches_nothing(void **state)
{
	struct frame s = syn(false), a = synack(&s, mpc_synack, sizeof(mpc_synack)), f;

	(void)state;
	core(&a, HOLD_MARK); /* nobody asked */
	pass(&s, MG_PASSED_GAVE_UP);
	core(&a, HOLD_MARK);
	pass(&s, MG_PASSED_OVERLOAD);
	f = a;
	f.ack = ISN;
	core(&f, HOLD_MARK);
	f.ack = ISN + 0x10001;
	core(&f, HOLD_MARK);
	f = a;
	f.dport++;
	core(&f, HOLD_MARK);
	f = a;
	f.src = "10.3.1.10";
	core(&f, HOLD_MARK);
	f = a;
	f.flags = F_ACK;
	core(&f, HOLD_MARK);
	f = a;
	f.doff = 15;
	core(&f, HOLD_MARK);
	f = a;
	f.opts = (struct bytes)B(30, 12, 1, 1, 8, 9, 0, 0);
	core(&f, HOLD_MARK);
	f = a;
	f.frag = 0x2000;
	core(&f, HOLD_MARK);
	assert_unknown(&s);
	assert_int_equal(hold_counted_all(&run), 0);

	/* a client that falls back to TCP after its SYN passed: its answer says nothing of MPTCP */
	f = s;
	f.opts.len = sizeof(plain_synack);
	assert_int_equal(access_door(&f), UNSPEC);
	a = synack(&s, plain_synack, sizeof(plain_synack));
	core(&a, HOLD_MARK);
	assert_unknown(&s);
	/* the SYN brought data, and the server took it */
	pass(&s, MG_PASSED_OVERLOAD);
	a.ack += 500;
	core(&a, HOLD_MARK);
	assert_server(&s, false, MG_SERVER_PASSIVE, 0);
}

/* A socket that holds the connection from `local`, which may be anybody's, to `peer`. */
static int connect_from(const char *local, const char *peer)
{
	struct sockaddr_storage from, to;
	struct mg_ep ep;
	bool v6 = local[0] == '[';
	socklen_t len;
	int one = 1, fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(mg_ep_parse(&ep, local), 0);
	mg_ep_to_sockaddr(&ep, &from);
	assert_int_equal(mg_ep_parse(&ep, peer), 0);
	len = mg_ep_to_sockaddr(&ep, &to);
	assert_int_equal(v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT_, &one, sizeof(one))
			    : setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)),
			 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

/* Both doors: what comes in for a socket of ours, whoever it is addressed to, gets the mark. */
static void test_own_is_marked(void **state)
{
	const struct bpf_program *doors[] = { run.skel->progs.mg_hold, run.skel->progs.mg_hold_lan,
					      run.skel->progs.mg_hold_core };
	int v4 = connect_from("10.1.0.1:40000", FAR4 ":80"),
	    v6 = connect_from("[fd00:1::1]:40000", "[" FAR6 "]:80");
	struct frame frames[6], s4 = syn(false), s6 = syn(true);
	uint8_t frame[FRAME_MAX];

	(void)state;
	frames[0] = synack(&s4, mpc_synack, sizeof(mpc_synack));
	frames[1] = synack(&s6, mpc_synack, sizeof(mpc_synack));
	frames[2] = frames[0];
	frames[2].flags = F_ACK;
	frames[3] = frames[1];
	frames[3].flags = F_RST;
	frames[4] = frames[0];
	frames[4].vlan[0] = 0x8100;
	/* a repeated SYN to a socket that is not a listener is the socket's, not ours to hold */
	frames[5] = frames[0];
	frames[5].flags = F_SYN;
	frames[5].opts = (struct bytes){ mpc_syn, sizeof(mpc_syn) };
	pass(&s4, MG_PASSED_OVERLOAD);
	for (size_t i = 0; i < 6; i++) {
		size_t len = frame_build(frame, &frames[i]);

		for (size_t d = 0; d < 3; d++) {
			uint32_t mark = 0;

			assert_int_equal(hold_run_bytes(&run, doors[d], frame, len, &mark), UNSPEC);
			assert_int_equal(mark, MG_ABI_MARK);
		}
	}
	assert_int_equal(hold_run_read(&run), 0);
	assert_unknown(&s4);
	close(v4);
	close(v6);
}

static int set_up(void **state)
{
	(void)state;
	return hold_run_open(&run);
}

static int tear_down(void **state)
{
	(void)state;
	hold_run_close(&run);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_learned, fresh),
		cmocka_unit_test_setup(test_refreshed_and_forgotten, fresh),
		cmocka_unit_test_setup(test_not_mptcp, fresh),
		cmocka_unit_test_setup(test_what_teaches_nothing, fresh),
		cmocka_unit_test_setup(test_own_is_marked, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
