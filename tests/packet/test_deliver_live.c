// SPDX-License-Identifier: BSD-2-Clause
/*
 * Steering on real interfaces, native and generic: frames that go in on px0 come out of px1, or
 * back to where they came from, or go on to the stack without their tunnel.
 */
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "deliver_rig.h"
#include "lab.h"
#include "wrap.h"

#define PATIENCE_MS 5000

static uint8_t frame[FRAME_MAX], wanted[FRAME_MAX], payload[1500];

static int set_up(void **state)
{
	if (deliver_set_up(state))
		return -1;
	/* veth gives what XDP sends only to who can take it in bulk: who has XDP, too */
	return lab_attach_foreign_xdp("ue0") || lab_attach_foreign_xdp("ue1") ? -1 : 0;
}

static int attach(__u32 mode)
{
	return bpf_xdp_attach((int)rig.run.px0,
			      bpf_program__fd(rig.run.side[MG_SIDE_ACCESS]->progs.mg_steer), mode,
			      NULL);
}

static void detach(__u32 mode)
{
	assert_int_equal(bpf_xdp_attach((int)rig.run.px0, -1, mode, NULL), 0);
}

static int listen_on(const char *interface)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

/* Does this frame come in, among others, and to the stack as of this protocol? */
static bool comes(int fd, const uint8_t *bytes, size_t len, size_t from_offset, uint16_t protocol)
{
	static uint8_t got[FRAME_MAX];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, PATIENCE_MS) == 1) {
		struct sockaddr_ll from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&from, &from_len);

		if (from.sll_pkttype == PACKET_OUTGOING || ntohs(from.sll_protocol) != protocol)
			continue;
		if (n == (ssize_t)len &&
		    !memcmp(got + from_offset, bytes + from_offset, len - from_offset))
			return true;
	}
	return false;
}

static struct frame segment(bool v6, size_t ip_bytes)
{
	struct frame f = { .v6 = v6, .flags = F_ACK };

	f.payload = (struct bytes){ payload, ip_bytes - (v6 ? 60 : 40) };
	return f;
}

static void one_way(const struct deliver_way *way, bool v6)
{
	struct frame f = segment(v6, 200);
	size_t len = frame_build(frame, &f), wanted_len;
	int far = listen_on("ue1");

	deliver_fresh(NULL);
	deliver_way_put(way);
	deliver_flow_put(&f, way->second);
	memcpy(wanted, frame, len);
	wanted_len = deliver_expected(wanted, len, way);
	assert_int_equal(lab_send("ue0", frame, len), 0);
	assert_true(comes(far, wanted, wanted_len, 0, (uint16_t)(wanted[12] << 8 | wanted[13])));
	close(far);
}

/* What does not fit comes back as ICMP, to where it came in. */
static void one_answer(bool v6)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = segment(v6, 1481);
	size_t len = frame_build(frame, &f), header = v6 ? 40 : 20, quote = v6 ? 1200 : 512;
	int near = listen_on("ue0");

	deliver_fresh(NULL);
	deliver_way_put(&way);
	rig.proxy[1].mtu_bytes = 1500;
	deliver_proxy_put(1);
	deliver_flow_put(&f, false);
	assert_int_equal(lab_send("ue0", frame, len), 0);
	memcpy(wanted + 14 + header + 8, frame + 14, quote);
	assert_true(comes(near, wanted, 14 + header + 8 + quote, 14 + header + 8,
			  v6 ? ETH_P_IPV6 : ETH_P_IP));
	close(near);
}

/* The stack gets what was in the tunnel, and takes it for what it is. */
static void one_unwrapped(bool v6, bool outer_v6)
{
	struct mg_peer_key key = { .bits = 128 };
	struct frame f = segment(v6, 200);
	size_t len = frame_build(frame, &f), wrapped;
	int here = listen_on("px0");
	uint8_t ip[16], one = 1;

	deliver_fresh(NULL);
	steer_ip(ip, deliver_address(1, outer_v6));
	steer_put(STEER_MAP(&rig.run, mg_mine), ip, &one);
	steer_ip(key.ip, deliver_source(outer_v6));
	steer_put(STEER_MAP(&rig.run, mg_peers), &key, &one);
	memcpy(wanted, frame, len);
	wrapped = wrap_frame(frame, len, deliver_source(outer_v6), deliver_address(1, outer_v6));
	assert_int_equal(lab_send("ue0", frame, wrapped), 0);
	assert_true(comes(here, wanted, len, 0, v6 ? ETH_P_IPV6 : ETH_P_IP));
	close(here);
}

static void one_mode(__u32 mode)
{
	assert_int_equal(attach(mode), 0);
	for (int v6 = 0; v6 <= 1; v6++) {
		for (unsigned int n = 0; n < 8; n++) {
			struct deliver_way way = { .deliver =
							   n % 2 ? MG_DELIVER_IPIP : MG_DELIVER_L2,
						   .v6 = n / 2 % 2,
						   .second = n / 4 % 2 ? 6 : 0 };

			one_way(&way, v6);
		}
		one_answer(v6);
		one_unwrapped(v6, false);
		one_unwrapped(v6, true);
	}
	detach(mode);
}

static void test_native(void **state)
{
	(void)state;
	one_mode(XDP_FLAGS_DRV_MODE);
}

static void test_generic(void **state)
{
	(void)state;
	one_mode(XDP_FLAGS_SKB_MODE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_native, deliver_fresh),
		cmocka_unit_test_setup(test_generic, deliver_fresh),
	};

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 17);
	return cmocka_run_group_tests(tests, set_up, deliver_tear_down);
}
