// SPDX-License-Identifier: BSD-2-Clause
/*
 * The TC program on return packets: what belongs to a socket of this host that uses an address
 * which is not local gets the mark, everything else stays as it is.
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
#include <linux/bpf.h>

#include "lab.h"
#include "rows.h"
#include "skel/tc.skel.h"
#include "sys/dp.h"

/* The UE's addresses, which nobody here owns, and the server's */
#define UE4	 "10.99.0.1"
#define UE6	 "fd00:99::1"
#define SERVER4	 "10.3.0.9"
#define SERVER6	 "fd00:3::9"
#define UE_PORT	 40000
#define WEB_PORT 80

#ifndef IP_TRANSPARENT
#define IP_TRANSPARENT 19
#endif
#define IPV6_TRANSPARENT_ 75

static const uint8_t linux_syn[] = { LINUX_SYN };
static struct mg_tc_bpf *skel;
static int sock4 = -1, sock6 = -1, listener = -1;

/* A socket from a UE's address that waits for the server's SYN+ACK, which never comes. */
static int connect_as(const char *ue, const char *server)
{
	struct sockaddr_storage from, to;
	struct mg_ep ep;
	char text[MG_EP_STRLEN + 8];
	bool v6 = strchr(ue, ':') != NULL;
	socklen_t len;
	int fd, one = 1;

	snprintf(text, sizeof(text), v6 ? "[%s]:%d" : "%s:%d", ue, UE_PORT);
	assert_int_equal(mg_ep_parse(&ep, text), 0);
	mg_ep_to_sockaddr(&ep, &from);
	snprintf(text, sizeof(text), v6 ? "[%s]:%d" : "%s:%d", server, WEB_PORT);
	assert_int_equal(mg_ep_parse(&ep, text), 0);
	len = mg_ep_to_sockaddr(&ep, &to);

	fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT_, &one, sizeof(one))
			    : setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)),
			 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static int set_up(void **state)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(8080) };
	int err = lab_enter(), one = 1;

	(void)state;
	if (err)
		return err;
	if (lab_sh("ip -6 addr add fd00:3::2/64 dev px0 nodad"))
		return -1;
	sock4 = connect_as(UE4, SERVER4);
	sock6 = connect_as(UE6, SERVER6);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (setsockopt(listener, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)) ||
	    bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 1))
		return -1;
	skel = mg_tc_bpf__open_and_load();
	return skel ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	close(sock4);
	close(sock6);
	close(listener);
	mg_tc_bpf__destroy(skel);
	return 0;
}

/* The mark the frame leaves with; that nothing else happens to it is asserted here. */
static uint32_t mark_of(const uint8_t *frame, size_t len)
{
	static uint8_t out[FRAME_MAX];
	struct __sk_buff before = { .mark = 7 }, after = { 0 };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
			    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &before,
			    .ctx_size_in = sizeof(before), .ctx_out = &after,
			    .ctx_size_out = sizeof(after), .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.mg_tc), &opts), 0);
	assert_int_equal((int)opts.retval, -1); /* TC_ACT_UNSPEC: whoever is next */
	assert_int_equal(opts.data_size_out, len);
	assert_memory_equal(out, frame, len);
	return after.mark;
}

static void check(const struct frame *f, bool marked)
{
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, f);

	assert_int_equal(mark_of(frame, len), marked ? MG_DP_MARK : 7);
}

static struct frame answer4(void)
{
	return (struct frame){ .src = SERVER4,
			       .dst = UE4,
			       .sport = WEB_PORT,
			       .dport = UE_PORT,
			       .flags = F_SYN | F_ACK };
}

static struct frame answer6(void)
{
	return (struct frame){ .v6 = true,
			       .src = SERVER6,
			       .dst = UE6,
			       .sport = WEB_PORT,
			       .dport = UE_PORT,
			       .flags = F_SYN | F_ACK };
}

static void test_answers_are_marked(void **state)
{
	struct frame f4 = answer4(), f6 = answer6();

	(void)state;
	check(&f4, true);
	check(&f6, true);
	f4.vlan[0] = 0x8100;
	check(&f4, true);
	f6.ext[0] = (struct extension){ .kind = 60, .len = 16 };
	check(&f6, true);
}

static void test_strangers_are_not(void **state)
{
	struct frame f;

	(void)state;
	f = answer4();
	f.sport = WEB_PORT + 1;
	check(&f, false);
	f = answer4();
	f.dport = UE_PORT + 1;
	check(&f, false);
	f = answer4();
	f.src = "10.3.0.10";
	check(&f, false);
	f = answer4();
	f.dst = "10.99.0.2";
	check(&f, false);
	f = answer6();
	f.dst = "fd00:99::2";
	check(&f, false);
	/* a listener would take any destination */
	f = answer4();
	f.flags = F_SYN;
	f.dport = 8080;
	check(&f, false);
	f = answer4();
	f.protocol = 17;
	f.body = (struct bytes)B(0, 80, 0x9c, 0x40, 0, 8, 0, 0);
	check(&f, false);
	f = answer4();
	f.frag = 0x2000;
	check(&f, false);
	f = answer4();
	f.ethertype = 0x0806;
	check(&f, false);
}

/* An ICMP error of `type` from a router on the way, about `about` cut to `quoted` bytes of IP. */
static size_t icmp_error(uint8_t *frame, uint8_t type, const struct frame *about, size_t quoted)
{
	static uint8_t inner[FRAME_MAX], body[FRAME_MAX];
	size_t len = frame_build(inner, about);
	struct frame f = {
		.v6 = about->v6,
		.src = about->v6 ? "fd00:3::fe" : "10.3.0.254",
		.dst = about->src,
		.protocol = about->v6 ? 58 : 1,
		.body = { body, 8 + quoted },
	};

	assert_true(14 + quoted <= len);
	memset(body, 0, 8);
	body[0] = type;
	memcpy(body + 8, inner + 14, quoted);
	return frame_build(frame, &f);
}

static struct frame sent4(void)
{
	return (struct frame){ .src = UE4,
			       .dst = SERVER4,
			       .sport = UE_PORT,
			       .dport = WEB_PORT,
			       .flags = F_SYN,
			       .opts = { linux_syn, sizeof(linux_syn) } };
}

static struct frame sent6(void)
{
	return (struct frame){ .v6 = true,
			       .src = UE6,
			       .dst = SERVER6,
			       .sport = UE_PORT,
			       .dport = WEB_PORT,
			       .flags = F_SYN,
			       .opts = { linux_syn, sizeof(linux_syn) } };
}

static void test_icmp_errors_are_marked(void **state)
{
	static const uint8_t types4[] = { 3, 11, 12 }, types6[] = { 1, 2, 3, 4 };
	struct frame f4 = sent4(), f6 = sent6();
	uint8_t frame[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(types4); i++) {
		assert_int_equal(mark_of(frame, icmp_error(frame, types4[i], &f4, 28)), MG_DP_MARK);
		assert_int_equal(mark_of(frame, icmp_error(frame, types4[i], &f4, 60)), MG_DP_MARK);
	}
	for (size_t i = 0; i < sizeof(types6); i++)
		assert_int_equal(mark_of(frame, icmp_error(frame, types6[i], &f6, 60)), MG_DP_MARK);
}

static void test_other_icmp_is_not(void **state)
{
	struct frame f4 = sent4(), f6 = sent6();
	uint8_t frame[FRAME_MAX];

	(void)state;
	/* echo, redirect; echo, neighbour solicitation */
	assert_int_equal(mark_of(frame, icmp_error(frame, 8, &f4, 28)), 7);
	assert_int_equal(mark_of(frame, icmp_error(frame, 5, &f4, 28)), 7);
	assert_int_equal(mark_of(frame, icmp_error(frame, 128, &f6, 60)), 7);
	assert_int_equal(mark_of(frame, icmp_error(frame, 135, &f6, 60)), 7);
	/* cut before the ports */
	for (size_t quoted = 0; quoted < 28; quoted++)
		assert_int_equal(mark_of(frame, icmp_error(frame, 3, &f4, quoted)), 7);
	for (size_t quoted = 0; quoted < 48; quoted++)
		assert_int_equal(mark_of(frame, icmp_error(frame, 1, &f6, quoted)), 7);
	/* about somebody else's connection, another protocol, a later fragment */
	f4.sport = UE_PORT + 1;
	assert_int_equal(mark_of(frame, icmp_error(frame, 3, &f4, 28)), 7);
	f4 = sent4();
	f4.protocol = 17;
	f4.body = (struct bytes)B(0x9c, 0x40, 0, 80, 0, 8, 0, 0);
	assert_int_equal(mark_of(frame, icmp_error(frame, 3, &f4, 28)), 7);
	f4 = sent4();
	f4.frag = 0x0010;
	assert_int_equal(mark_of(frame, icmp_error(frame, 3, &f4, 28)), 7);
	/* ICMP of the other family */
	f4 = sent4();
	f4.protocol = 58;
	check(&f4, false);
}

static void test_truncated(void **state)
{
	struct frame f4 = answer4(), f6 = answer6();
	uint8_t frame[FRAME_MAX];
	size_t len;

	(void)state;
	len = frame_build(frame, &f4);
	for (size_t cut = 14 + 20; cut < len; cut++)
		assert_int_equal(mark_of(frame, cut), 7);
	len = frame_build(frame, &f6);
	for (size_t cut = 14 + 40; cut < len; cut++)
		assert_int_equal(mark_of(frame, cut), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_are_marked),
		cmocka_unit_test(test_strangers_are_not),
		cmocka_unit_test(test_icmp_errors_are_marked),
		cmocka_unit_test(test_other_icmp_is_not),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
