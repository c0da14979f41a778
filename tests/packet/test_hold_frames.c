// SPDX-License-Identifier: BSD-2-Clause
/*
 * Held frames as frames: back on their way, or back to where they came from; tags; the longest.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hold_live.h"
#include "lab.h"
#include "rows.h"

/* A packet socket on an interface, for what comes in there. */
static int tap_into(int ns, const char *interface)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd;

	live_enter(ns);
	fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	ll.sll_ifindex = (int)if_nametoindex(interface);
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	live_enter(live.own_ns);
	return fd;
}

/* Does a frame come in with these bytes from `offset` on, within a while? */
static bool comes(int fd, const uint8_t *bytes, size_t offset, size_t len, int ms)
{
	uint8_t frame[FRAME_MAX];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, ms) == 1) {
		struct sockaddr_ll from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n =
			recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &from_len);

		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		if (n >= (ssize_t)(offset + len) && !memcmp(frame + offset, bytes, len))
			return true;
	}
	return false;
}

static void test_pass_and_answer(void **state)
{
	int ue = live_client(false, IPPROTO_MPTCP, 0, PORT), far = tap_into(live.own_ns, "ue1"),
	    near = tap_into(live.client_ns, "ue0");
	const struct hold_record *r = live_record();
	struct mg_replay tail = live_trailer(r, MG_REPLAY_PASS), bad = tail;
	const uint8_t *tcp = r->frame + r->head.tcp_offset;

	(void)state;
	assert_int_equal(lab_sh("ip neigh replace " FAR4 " lladdr 02:00:00:00:00:09 dev px1"), 0);
	/* forged or broken trailers go nowhere */
	bad.magic++;
	live_replay(r, &bad);
	bad = tail;
	bad.how = 4;
	live_replay(r, &bad);
	bad = tail;
	bad.worker = MG_WORKERS_MAX;
	live_replay(r, &bad);
	bad = tail;
	bad.ifindex = 9999;
	live_replay(r, &bad);
	assert_false(comes(far, tcp, r->head.tcp_offset, 16, 50));
	/* out of px1 it goes, its TCP header as the client made it */
	live_replay(r, &tail);
	assert_true(comes(far, tcp, r->head.tcp_offset, 16, 5000));
	assert_int_equal(hold_run_read(&live.run), 0);
	/* …or back to where it came from */
	assert_false(comes(near, tcp, r->head.tcp_offset, 16, 0));
	tail.how = MG_REPLAY_ANSWER;
	live_replay(r, &tail);
	assert_true(comes(near, tcp, r->head.tcp_offset, 16, 5000));
	close(ue);
	close(far);
	close(near);
}

/* The kernel keeps a frame's tag beside it. */
static void test_tag(void **state)
{
	static const uint8_t mpc[] = { MPC_V1 };
	struct frame f = { .flags = F_SYN,
			   .dst = FAR4,
			   .dport = 80,
			   .vlan = { 0x8100 },
			   .opts = { mpc, sizeof(mpc) } };
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, &f);
	const struct hold_record *r;

	(void)state;
	live_send(frame, len);
	r = live_record();
	assert_int_equal(ntohs(r->head.vlan_proto), 0x8100);
	assert_int_equal(r->head.vlan_tci, 100);
	assert_int_equal(r->head.ip_offset, 14);
	assert_int_equal(r->head.frame_bytes, len - 4);
	assert_memory_equal(r->frame + 12, frame + 16, len - 16);
}

/* As long as may be is held, longer is not; neither is in one piece in memory. */
static void test_jumbo(void **state)
{
	static uint8_t frame[MG_HELD_FRAME_BYTES + 1], data[MG_HELD_FRAME_BYTES];
	static const uint8_t mpc[] = { MPC_V1 };
	size_t headers = 14 + 20 + 24;
	struct frame f = { .flags = F_SYN,
			   .dst = FAR4,
			   .dport = 80,
			   .opts = { mpc, sizeof(mpc) },
			   .payload = { data, MG_HELD_FRAME_BYTES - headers } };
	const struct hold_record *r;

	(void)state;
	assert_int_equal(lab_sh("ip link set px0 mtu 16000"), 0);
	live_enter(live.client_ns);
	assert_int_equal(lab_sh("ip link set ue0 mtu 16000"), 0);
	live_enter(live.own_ns);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	f.payload.len++;
	assert_int_equal(frame_build(frame, &f), sizeof(frame));
	live_send(frame, sizeof(frame));
	f.payload.len--;
	f.sport = 40001;
	assert_int_equal(frame_build(frame, &f), sizeof(frame) - 1);
	live_send(frame, sizeof(frame) - 1);
	r = live_record();
	assert_int_equal(r->head.tuple.client.port, 40001);
	assert_int_equal(r->head.frame_bytes, MG_HELD_FRAME_BYTES);
	assert_memory_equal(r->frame, frame, MG_HELD_FRAME_BYTES);
	assert_int_equal(hold_entries(live.run.skel->maps.mg_held), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pass_and_answer, live_fresh),
		cmocka_unit_test_setup(test_tag, live_fresh),
		cmocka_unit_test_setup(test_jumbo, live_fresh),
	};

	return cmocka_run_group_tests(tests, live_set_up, live_tear_down);
}
