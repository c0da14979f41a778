// SPDX-License-Identifier: BSD-2-Clause
/*
 * Answers on real interfaces, native and generic: a SYN goes in on px0, its RST comes back out, and
 * is what the interface's own checksum would have been.
 */
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "gate_run.h"
#include "lab.h"

#define PATIENCE_MS 5000

static struct gate_run r;
static uint8_t frame[FRAME_MAX], heard[FRAME_MAX];

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

/* The next TCP segment with a RST that comes in; its length */
static size_t hear_reset(int fd, bool v6)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t tcp = v6 ? 54 : 34;

	while (poll(&p, 1, PATIENCE_MS) == 1) {
		struct sockaddr_ll from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n =
			recvfrom(fd, heard, sizeof(heard), 0, (struct sockaddr *)&from, &from_len);

		if (n > (ssize_t)tcp + 13 && from.sll_pkttype != PACKET_OUTGOING &&
		    heard[v6 ? 20 : 23] == 6 && (heard[tcp + 13] & F_RST))
			return (size_t)n;
	}
	fail_msg("no RST");
	return 0;
}

static void answers(__u32 mode, enum gate_syn_kind kind, bool v6, uint16_t tcprst)
{
	struct frame f = gate_syn(kind, v6);
	size_t len = frame_build(frame, &f), n;
	int fd = listen_on("ue0");

	assert_int_equal(bpf_xdp_attach((int)if_nametoindex("px0"),
					bpf_program__fd(r.side[MG_SIDE_ACCESS]->progs.mg_xdp), mode,
					NULL),
			 0);
	assert_int_equal(lab_send("ue0", frame, len), 0);
	n = hear_reset(fd, v6);
	gate_assert_reset(heard, n, frame, tcprst);
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex("px0"), -1, mode, NULL), 0);
	close(fd);
}

static void all(__u32 mode)
{
	struct admit_tables *t = admit_tables();

	gate_run_reset(&r);
	t->terms[0].mode = MG_TERMS_MODE_DEFAULT;
	t->terms[0].refuse = MG_REFUSE_RESET;
	t->terms[0].refuse_join = MG_REFUSE_RESET;
	admit_put(&r.admit, t);
	gate_open_session(&r, UE4, PEER4);
	t->terms[0].deny = 1;
	admit_put(&r.admit, t);
	for (int v6 = 0; v6 < 2; v6++) {
		answers(mode, SERVER_SYN, v6, 0);
		answers(mode, JOIN_SYN, v6, 0x8003);
	}
}

static void test_native(void **state)
{
	(void)state;
	all(XDP_FLAGS_DRV_MODE);
}

static void test_generic(void **state)
{
	(void)state;
	all(XDP_FLAGS_SKB_MODE);
}

static int set_up(void **state)
{
	int err = gate_run_open(&r);

	(void)state;
	/* veth takes what XDP sends back only if the peer has NAPI, as with a program of its own */
	return err ? err : lab_attach_foreign_xdp("ue0");
}

static int tear_down(void **state)
{
	(void)state;
	gate_run_close(&r);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_generic),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
