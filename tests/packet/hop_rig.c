// SPDX-License-Identifier: BSD-2-Clause
#include "hop_rig.h"

#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lab.h"
#include "wrap.h"

const uint8_t hop_near_mac[6] = { 2, 0, 0, 0, 0x77, 4 };
const uint8_t hop_router_mac[6] = { 2, 0, 0, 0, 0x77, 1 };
uint8_t hop_px1_mac[6];

static uint8_t frame[FRAME_MAX], out[FRAME_MAX], wanted[FRAME_MAX];
static const uint8_t data[] = "whose is this?";

int hop_set_up(void **state)
{
	struct ifreq px1 = { .ifr_name = "px1" };
	int fd, err;

	if (deliver_set_up(state))
		return -1;
	if (lab_sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 && "
		   "ip -6 addr add fd00:4::2/64 dev px1 nodad && "
		   "ip neigh replace 10.3.1.77 lladdr 02:00:00:00:77:04 dev px1 && "
		   "ip neigh replace fd00:4::77 lladdr 02:00:00:00:77:04 dev px1 && "
		   "ip neigh replace 10.3.1.1 lladdr 02:00:00:00:77:01 dev px1 && "
		   "ip neigh replace fd00:4::1 lladdr 02:00:00:00:77:01 dev px1 && "
		   "ip route add 10.77.0.0/16 via 10.3.1.1 && "
		   "ip -6 route add fd00:77::/32 via fd00:4::1 && "
		   "ip route add blackhole 10.78.0.0/16"))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	err = fd < 0 ? -1 : ioctl(fd, SIOCGIFHWADDR, &px1);
	close(fd);
	memcpy(hop_px1_mac, px1.ifr_hwaddr.sa_data, sizeof(hop_px1_mac));
	return err;
}

int hop_fresh(void **state)
{
	struct mg_gateway g = { .self = SELF };
	uint8_t ip[16], one = 1;

	deliver_fresh(state);
	steer_put_gateway(&rig.run, &g);
	for (int v6 = 0; v6 <= 1; v6++) {
		struct mg_peer_key key = { .bits = 128 };

		steer_ip(ip, deliver_address(1, v6));
		steer_put(STEER_MAP(&rig.run, mg_mine), ip, &one);
		steer_ip(key.ip, deliver_source(v6));
		steer_put(STEER_MAP(&rig.run, mg_peers), &key, &one);
	}
	steer_run_look(&rig.run);
	return 0;
}

/* What is in the tunnels, as it was; ends up in `wanted` */
static size_t hop_inside(const struct frame *f)
{
	size_t len = frame_build(frame, f);

	memcpy(wanted, frame, len);
	return len;
}

/* The frame as it comes from a gateway that asks us before `second`; by l2 without our header */
size_t hop_tunnels(uint8_t *bytes, size_t len, const char *second, bool l2)
{
	bool v6 = strchr(second, ':');

	len = wrap_frame(bytes, len, deliver_source(v6), second);
	return l2 ? len : wrap_frame(bytes, len, deliver_source(!v6), deliver_address(1, !v6));
}

int hop_run(const uint8_t *bytes, size_t len, uint8_t *to, size_t *to_len)
{
	steer_run_look(&rig.run);
	return steer_run_bytes(&rig.run, MG_SIDE_ACCESS, bytes, len, to, to_len);
}

void hop_own(const struct frame *f, const char *second)
{
	for (int l2 = 0; l2 <= 1; l2++) {
		size_t inner = hop_inside(f), out_len = 0,
		       len = hop_tunnels(frame, inner, second, l2);

		assert_int_equal(hop_run(frame, len, out, &out_len), XDP_PASS);
		deliver_same("own", out, out_len, wanted, inner);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_DECAP), 1);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), 0);
	}
}

/* One hop later, by the book */
void hop_spend(uint8_t *ip)
{
	if (ip[0] >> 4 == 6) {
		ip[7]--;
		return;
	}
	ip[8]--;
	wrap_set_class(ip, ip[1]);
}

void hop_sent_on(const struct frame *f, const char *second, const uint8_t mac[6])
{
	for (int l2 = 0; l2 <= 1; l2++) {
		size_t inner = hop_inside(f), out_len = 0, len, wanted_len;
		bool v6 = strchr(second, ':');
		int action;

		len = hop_tunnels(frame, inner, second, l2);
		wanted_len = wrap_frame(wanted, inner, deliver_source(v6), second);
		hop_spend(wanted + 14);
		wrap_set_macs(wanted, mac, hop_px1_mac);
		action = hop_run(frame, len, out, &out_len);
		if (action != XDP_REDIRECT)
			fprintf(stderr, "# to %s, l2 %d: action %d\n", second, l2, action);
		assert_int_equal(action, XDP_REDIRECT);
		deliver_same("sent on", out, out_len, wanted, wanted_len);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_DECAP), !l2);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), 1);
	}
}

/* Left to the kernel to send on, our header taken off */
void hop_left(const struct frame *f, const char *second)
{
	for (int l2 = 0; l2 <= 1; l2++) {
		size_t inner = hop_inside(f), out_len = 0, len, wanted_len;
		bool v6 = strchr(second, ':');

		len = hop_tunnels(frame, inner, second, l2);
		wanted_len = wrap_frame(wanted, inner, deliver_source(v6), second);
		assert_int_equal(hop_run(frame, len, out, &out_len), XDP_PASS);
		deliver_same("left", out, out_len, wanted, wanted_len);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), 1);
	}
}

struct frame hop_segment(bool v6)
{
	return (struct frame){ .v6 = v6, .flags = F_ACK, .payload = { data, sizeof(data) } };
}
