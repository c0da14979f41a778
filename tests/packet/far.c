// SPDX-License-Identifier: BSD-2-Clause
#include "far.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lab.h"
#include "packet.h"

#define UE_MAC	   "02:00:00:00:00:01"
#define SERVER_MAC "02:00:00:00:01:01"
#define TAG_BYTES  4
#define ETH_BYTES  14

int ue0 = -1, ue1 = -1;
static int outside = -1;

/* ---- sums, from RFC 1071 and not from what is tested ------------------------------------------
 */
static uint32_t sum_of(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void store16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint32_t pseudo_sum(const uint8_t *ip, size_t l4_bytes)
{
	if (ip[0] >> 4 == 6)
		return sum_of(ip + 8, 32) + ip[6] + (uint32_t)l4_bytes;
	return sum_of(ip + 12, 8) + ip[9] + (uint32_t)l4_bytes;
}

size_t far_l4_of(const uint8_t *ip)
{
	return ip[0] >> 4 == 6 ? 40 : 20;
}

bool far_sums_are_good(const uint8_t *ip, size_t bytes)
{
	size_t at = far_l4_of(ip), l4 = bytes - at;
	uint32_t head = ip[0] >> 4 == 4 && ip[9] == IPPROTO_ICMP ? 0 : pseudo_sum(ip, l4);

	return (at == 40 || folded(sum_of(ip, at)) == 0xffff) &&
	       folded(head + sum_of(ip + at, l4)) == 0xffff;
}

/* A SYN as the client's host puts it on the wire; `partial`: as veth carries it. */
size_t far_build(uint8_t *out, const struct frame *f, bool partial)
{
	size_t len = frame_build(out, f), at = ETH_BYTES + (f->vlan[0] ? TAG_BYTES : 0), l4;
	uint8_t *ip = out + at, *sum;

	if (!f->v6)
		store16(ip + 10, (uint16_t)~folded(sum_of(ip, 20)));
	l4 = len - at - far_l4_of(ip);
	sum = ip + far_l4_of(ip) + 16;
	if (partial)
		store16(sum, folded(pseudo_sum(ip, l4)));
	else
		store16(sum,
			(uint16_t)~folded(pseudo_sum(ip, l4) + sum_of(ip + far_l4_of(ip), l4)));
	return len;
}

/* ---- the world --------------------------------------------------------------------------------
 */
static int link_socket(const char *interface)
{
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	int on = 1;

	/* Tags come beside the frame otherwise, and what is sent as well. */
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&ll, sizeof(ll)) ? -1 : fd;
}

/* The far ends of both links go to a namespace of their own, where nobody answers. */
static int move_far_ends(void)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	char command[256];

	if (here < 0 || unshare(CLONE_NEWNET))
		return -1;
	outside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (setns(here, CLONE_NEWNET))
		return -1;
	snprintf(command, sizeof(command),
		 "for i in 0 1; do ip link set ue$i netns /proc/%d/fd/%d || exit 1; done",
		 (int)getpid(), outside);
	if (lab_sh(command) || setns(outside, CLONE_NEWNET))
		return -1;
	if (lab_sh("sysctl -q -w net.ipv6.conf.default.disable_ipv6=1 "
		   "net.ipv6.conf.all.disable_ipv6=1 && "
		   "ip link set ue0 address " UE_MAC " && ip link set ue1 address " SERVER_MAC
		   " && ip link set ue0 up && ip link set ue1 up"))
		return -1;
	ue0 = link_socket("ue0");
	ue1 = link_socket("ue1");
	return setns(here, CLONE_NEWNET) || close(here) || ue0 < 0 || ue1 < 0 ? -1 : 0;
}

int far_enter(void)
{
	if (lab_enter() || lab_sh("ip link set px0 address 02:00:00:00:00:02") || move_far_ends())
		return -1;
	if (lab_sh("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
		   "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.px0.rp_filter=0 "
		   "net.ipv6.conf.px0.accept_dad=0 net.ipv6.conf.px1.accept_dad=0 && "
		   "ip -6 addr add fd00:3::2/64 dev px0 nodad && "
		   "ip -6 addr add fd00:4::1/64 dev px1 nodad && "
		   "ip route add 10.1.0.0/24 dev px0 && ip route add 10.4.0.0/24 dev px1 && "
		   "ip -6 route add fd00:1::/64 dev px0 && "
		   "ip neigh add 10.1.0.1 lladdr " UE_MAC " dev px0 nud permanent && "
		   "ip neigh add 10.4.0.2 lladdr " SERVER_MAC " dev px1 nud permanent && "
		   "ip neigh add fd00:1::1 lladdr " UE_MAC " dev px0 nud permanent && "
		   "ip neigh add fd00:4::2 lladdr " SERVER_MAC " dev px1 nud permanent && "
		   "ip rule add pref 100 fwmark 0x6d670000 lookup 28007 && "
		   "ip -6 rule add pref 100 fwmark 0x6d670000 lookup 28007 && "
		   "ip route add local default dev lo table 28007 && "
		   "ip -6 route add local default dev lo table 28007"))
		return -1;
	/* The link-local address is there, and what it has to say is said. */
	for (int i = 0; i < 200 && !lab_shows("ip -6 addr show dev px0", "fe80"); i++)
		usleep(10000);
	return 0;
}

/* ---- what the far ends see --------------------------------------------------------------------
 */
static void put_tag_back(const struct msghdr *msg, uint8_t *frame, ssize_t *n)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
			continue;
		memmove(frame + 16, frame + 12, (size_t)*n - 12);
		store16(frame + 12, aux.tp_vlan_tpid);
		store16(frame + 14, aux.tp_vlan_tci);
		*n += TAG_BYTES;
	}
}

/* The next frame, whatever it is; 0 if there is none. */
int far_take(int fd, uint8_t *frame)
{
	char control[256];
	struct iovec iov = { frame, FRAME_MAX - TAG_BYTES };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	if (n < ETH_BYTES)
		return 0;
	put_tag_back(&msg, frame, &n);
	return (int)n;
}

size_t far_ip_at(const uint8_t *frame)
{
	return frame[12] == 0x81 && !frame[13] ? ETH_BYTES + TAG_BYTES : ETH_BYTES;
}

/* TCP, or an ICMP error: no neighbour discovery and the like */
static bool is_about_us(const uint8_t *frame, int n)
{
	const uint8_t *ip = frame + far_ip_at(frame);

	if (n < 54)
		return false;
	if (ip[-2] == 0x08 && !ip[-1])
		return ip[9] == IPPROTO_TCP || ip[9] == IPPROTO_ICMP;
	return ip[-2] == 0x86 && ip[-1] == 0xdd &&
	       (ip[6] == IPPROTO_TCP || (ip[6] == IPPROTO_ICMPV6 && ip[40] < 128));
}

int far_next(int fd, uint8_t *frame, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec t;
	int64_t end, now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec * 1000 + t.tv_nsec / 1000000;
	for (end = now + wait_ms; now < end;) {
		int n;

		poll(&p, 1, (int)(end - now));
		n = far_take(fd, frame);
		if (n > 0 && is_about_us(frame, n))
			return n;
		clock_gettime(CLOCK_MONOTONIC, &t);
		now = t.tv_sec * 1000 + t.tv_nsec / 1000000;
	}
	return 0;
}

void far_nothing_at(int fd)
{
	uint8_t frame[FRAME_MAX];

	assert_int_equal(far_next(fd, frame, QUIET_MS), 0);
}
