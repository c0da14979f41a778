// SPDX-License-Identifier: BSD-2-Clause
/*
 * A held SYN's way from a client's link to the daemon and back, on real interfaces: what the daemon
 * is told, and what the client's link (ue0) and the server's (ue1) see then, to the byte.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "holder_rig.h"
#include "sys/sock.h"

#define F_RST_ACK  0x14
#define F_SYN_ACK  0x12
#define OPT_OFFSET 20

static void check_told(const struct frame *f, const char *client, const char *server)
{
	uint8_t frame[FRAME_MAX];
	struct mg_ep ep;
	size_t len;
	struct told t = rig_held(f, true, frame, &len);

	assert_int_equal(t.syn.kind, MG_HOLD_INTERCEPT);
	assert_int_equal(t.syn.mode, MG_MODE_TAKE_OVER);
	assert_int_equal(t.syn.known, MG_KNOWN_NOTHING);
	assert_true(t.syn.mp_capable);
	assert_int_equal(mg_ep_parse(&ep, client), 0);
	assert_true(mg_ep_equal(&t.syn.client, &ep));
	assert_int_equal(mg_ep_parse(&ep, server), 0);
	assert_true(mg_ep_equal(&t.syn.server, &ep));
	/* the frame as it was sent, its sum whole */
	far_build(frame, f, false);
	assert_int_equal(t.frame->bytes, len);
	assert_memory_equal(t.frame->data, frame, len);
	assert_int_equal(t.frame->ifindex, if_nametoindex("px0"));
	far_nothing_at(ue1);
	rig_forget(&t);
}

static void test_told(void **state)
{
	struct frame f4 = rig_syn4(), f6 = rig_syn6();

	(void)state;
	check_told(&f4, "10.1.0.1:40000", "10.4.0.2:80");
	check_told(&f6, "[fd00:1::1]:40000", "[fd00:4::2]:80");
}

static void test_damaged_is_dropped(void **state)
{
	struct frame f = rig_syn4();
	uint8_t frame[FRAME_MAX];
	size_t len = far_build(frame, &f, false);
	struct told t;

	(void)state;
	frame[ETH_BYTES + 20 + OPT_OFFSET + 9] ^= 1; /* in the timestamp */
	rig_send(frame, len);
	assert_int_equal(rig_told(200).n, 0);
	far_nothing_at(ue1);
	/* it is not held: the same again, undamaged, is new */
	t = rig_held(&f, false, frame, &len);
	rig_forget(&t);
}

static void check_pass(const struct frame *f)
{
	uint8_t frame[FRAME_MAX];
	size_t len;
	struct told t = rig_held(f, true, frame, &len);

	assert_int_equal(mg_hold_pass(rig_holder, &t.syn.client, &t.syn.server, t.syn.isn,
				      MG_PASSED_PROBED, t.frame),
			 0);
	far_build(frame, f, false);
	rig_is_forwarded(frame, len);
	/* its repetition needs no decision */
	rig_send(frame, len);
	rig_is_forwarded(frame, len);
	assert_int_equal(rig_told(QUIET_MS).n, 0);
	far_nothing_at(ue0);
	free(t.frame);
}

static void test_pass(void **state)
{
	struct frame f4 = rig_syn4(), f6 = rig_syn6();

	(void)state;
	check_pass(&f4);
	check_pass(&f6);
}

static void test_repetition_is_consumed(void **state)
{
	struct frame f = rig_syn4();
	struct mg_hold_counters before, after;
	uint8_t frame[FRAME_MAX];
	size_t len;
	struct told t = rig_held(&f, false, frame, &len);

	(void)state;
	assert_int_equal(mg_hold_counters_read(rig_holder, &before), 0);
	rig_send(frame, len);
	assert_int_equal(rig_told(QUIET_MS).n, 0);
	far_nothing_at(ue1);
	assert_int_equal(mg_hold_counters_read(rig_holder, &after), 0);
	assert_int_equal(after.repeated, before.repeated + 1);
	assert_int_equal(after.held, before.held);
	rig_forget(&t);
}

/* Between the addresses and ports of the SYN, the other way. */
static void is_answer(const uint8_t *got, const uint8_t *syn, uint8_t protocol)
{
	size_t at = far_ip_at(syn), v6 = syn[at] >> 4 == 6;
	const uint8_t *ip = got + at, *sent = syn + at;

	assert_memory_equal(got, syn + 6, 6);
	assert_memory_equal(got + 6, syn, 6);
	assert_memory_equal(got + 12, syn + 12, at - 12);
	assert_int_equal(v6 ? ip[6] : ip[9], protocol);
	assert_memory_equal(ip + (v6 ? 24 : 16), sent + (v6 ? 8 : 12), v6 ? 16 : 4);
}

static void check_reset(const struct frame *f)
{
	uint8_t frame[FRAME_MAX], got[FRAME_MAX];
	size_t len, at, l4;
	struct told t = rig_held(f, true, frame, &len);
	const uint8_t *ack = (const uint8_t[]){ 1, 2, 3, 5 };
	int n;

	assert_int_equal(mg_hold_reset(rig_holder, t.frame), 0);
	n = far_next(ue0, got, WAIT_MS);
	at = far_ip_at(frame);
	l4 = at + far_l4_of(frame + at);
	assert_int_equal(n, l4 + 20);
	is_answer(got, frame, IPPROTO_TCP);
	assert_true(far_sums_are_good(got + at, (size_t)n - at));
	assert_memory_equal(got + l4, frame + l4 + 2, 2);
	assert_memory_equal(got + l4 + 2, frame + l4, 2);
	assert_memory_equal(got + l4 + 4, ((uint8_t[4]){ 0 }), 4);
	assert_memory_equal(got + l4 + 8, ack, 4);
	assert_int_equal(got[l4 + 13], F_RST_ACK);
	far_nothing_at(ue0);
	far_nothing_at(ue1);
	rig_forget(&t);
}

static void test_reset(void **state)
{
	struct frame f4 = rig_syn4(), f6 = rig_syn6();

	(void)state;
	check_reset(&f4);
	check_reset(&f6);
}

/* Routed as untagged, as the tag is no part of the route; what matters is that it comes back. */
static void test_reset_of_a_tagged_one(void **state)
{
	struct frame f = rig_syn4();

	(void)state;
	f.vlan[0] = ETH_P_8021Q;
	check_reset(&f);
}

static void check_unreachable(const struct frame *f, uint8_t code, const char *from)
{
	uint8_t frame[FRAME_MAX], got[FRAME_MAX];
	size_t len, at, l4;
	struct told t = rig_held(f, true, frame, &len);
	struct in6_addr ip;
	int n;

	assert_int_equal(mg_ip_parse(&ip, from), 0);
	assert_int_equal(mg_hold_unreachable(rig_holder, t.frame, code, &ip), 0);
	n = far_next(ue0, got, WAIT_MS);
	far_build(frame, f, false);
	at = far_ip_at(frame);
	l4 = at + far_l4_of(frame + at);
	assert_int_equal(n, l4 + 8 + len - at);
	is_answer(got, frame, f->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	assert_true(far_sums_are_good(got + at, (size_t)n - at));
	assert_int_equal(got[l4], f->v6 ? 1 : 3);
	assert_int_equal(got[l4 + 1], code);
	assert_memory_equal(got + l4 + 8, frame + at, len - at);
	assert_memory_equal(got + at + (f->v6 ? 8 : 12), ip.s6_addr + (f->v6 ? 0 : 12),
			    f->v6 ? 16 : 4);
	far_nothing_at(ue1);
	rig_forget(&t);
}

static void test_unreachable(void **state)
{
	struct frame f4 = rig_syn4(), f6 = rig_syn6();

	(void)state;
	check_unreachable(&f4, 1, "10.4.0.1");
	check_unreachable(&f6, 3, "fd00:4::1");
}

static void check_take(const struct frame *f)
{
	uint8_t frame[FRAME_MAX], got[FRAME_MAX];
	struct mg_ep ep = { .port = htons(80) };
	size_t len, at, l4;
	bool mptcp, answered = false;
	struct told t;
	int n, fd;

	mg_hold_listen_ip(&ep.ip, 0, !f->v6);
	fd = mg_sock_listen_transparent(&ep, 16, &mptcp);
	assert_true(fd >= 0);
	t = rig_held(f, true, frame, &len);
	assert_int_equal(mg_hold_take(rig_holder, t.frame, 0), 0);
	n = far_next(ue0, got, WAIT_MS);
	at = far_ip_at(frame);
	l4 = at + far_l4_of(frame + at);
	assert_true(n > (int)l4 + OPT_OFFSET);
	is_answer(got, frame, IPPROTO_TCP);
	assert_int_equal(got[l4 + 13], F_SYN_ACK);
	assert_memory_equal(got + l4 + 8, ((uint8_t[]){ 1, 2, 3, 5 }), 4);
	for (size_t i = l4 + OPT_OFFSET; i + 1 < (size_t)n && got[i];)
		if (got[i] == 30 && got[i + 1] == 12) {
			answered = true;
			break;
		} else {
			i += got[i] == 1 ? 1 : got[i + 1];
		}
	if (mptcp)
		assert_true(answered);
	far_nothing_at(ue1);
	rig_forget(&t);
	close(fd);
}

static void test_take(void **state)
{
	struct frame f4 = rig_syn4(), f6 = rig_syn6();

	(void)state;
	/* They stay half open for a while. */
	f4.sport = f6.sport = 45000;
	check_take(&f4);
	check_take(&f6);
}

/* No listener any more: dropped, and never forwarded. */
static void test_take_without_listener(void **state)
{
	struct frame f = rig_syn4();
	struct mg_hold_counters c;
	uint8_t frame[FRAME_MAX];
	struct told t;
	size_t len;

	(void)state;
	t = rig_held(&f, true, frame, &len);
	assert_int_equal(mg_hold_take(rig_holder, t.frame, 0), 0);
	far_nothing_at(ue0);
	far_nothing_at(ue1);
	assert_int_equal(mg_hold_counters_read(rig_holder, &c), 0);
	assert_int_equal(c.lost, 1);
	rig_forget(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_told, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_damaged_is_dropped, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_pass, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_repetition_is_consumed, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_reset, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_reset_of_a_tagged_one, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_unreachable, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_take, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_take_without_listener, rig_open, rig_close),
	};

	return cmocka_run_group_tests(tests, rig_enter, NULL);
}
