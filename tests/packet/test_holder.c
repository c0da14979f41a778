// SPDX-License-Identifier: BSD-2-Clause
/*
 * A held SYN's way from a client's link to the daemon and back, on real interfaces: what the daemon
 * is told, and what the client's link (ue0) and the server's (ue1) see then, to the byte.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "lab.h"
#include "rows.h"
#include "sys/dp.h"
#include "sys/hold.h"
#include "sys/sock.h"

#define UE_MAC	   "02:00:00:00:00:01"
#define SERVER_MAC "02:00:00:00:01:01"
#define WAIT_MS	   3000
#define QUIET_MS   60
#define ISN	   0x01020304U

#define ETH_BYTES  14
#define TAG_BYTES  4
#define F_RST_ACK  0x14
#define F_SYN_ACK  0x12
#define OPT_OFFSET 20

static const uint8_t mp_capable[] = { LINUX_SYN, MPC_V1 };
static uint8_t px0_mac[6];
static int outside = -1, ue0 = -1, ue1 = -1;
static struct mg_dp *dp;
static struct mg_holder *holder;

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

static size_t l4_of(const uint8_t *ip)
{
	return ip[0] >> 4 == 6 ? 40 : 20;
}

static bool sums_are_good(const uint8_t *ip, size_t bytes)
{
	size_t at = l4_of(ip), l4 = bytes - at;
	uint32_t head = ip[0] >> 4 == 4 && ip[9] == IPPROTO_ICMP ? 0 : pseudo_sum(ip, l4);

	return (at == 40 || folded(sum_of(ip, at)) == 0xffff) &&
	       folded(head + sum_of(ip + at, l4)) == 0xffff;
}

/* A SYN as the client's host puts it on the wire; `partial`: as veth carries it. */
static size_t build(uint8_t *out, const struct frame *f, bool partial)
{
	size_t len = frame_build(out, f), at = ETH_BYTES + (f->vlan[0] ? TAG_BYTES : 0), l4;
	uint8_t *ip = out + at, *sum;

	memcpy(out, px0_mac, 6);
	if (!f->v6)
		store16(ip + 10, (uint16_t)~folded(sum_of(ip, 20)));
	l4 = len - at - l4_of(ip);
	sum = ip + l4_of(ip) + 16;
	if (partial)
		store16(sum, folded(pseudo_sum(ip, l4)));
	else
		store16(sum, (uint16_t)~folded(pseudo_sum(ip, l4) + sum_of(ip + l4_of(ip), l4)));
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

static int read_mac(void)
{
	FILE *f = popen("cat /sys/class/net/px0/address 2>/dev/null || "
			"ip -o link show px0 | sed 's/.*ether \\([^ ]*\\).*/\\1/'",
			"re"); /* NOLINT(cert-env33-c): no input from outside */
	unsigned int b[6] = { 0 };
	int n = f ? fscanf(f, "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) : 0;

	if (f)
		pclose(f);
	for (int i = 0; i < 6; i++)
		px0_mac[i] = (uint8_t)b[i];
	return n == 6 ? 0 : -1;
}

static int enter(void **state)
{
	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
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
	return read_mac();
}

static struct mg_config *config(void)
{
	struct mg_config *cfg = lab_config("px0", "px1");

	cfg->workers = 1;
	cfg->interfaces[0].xdp = MG_XDP_OFF;
	cfg->interfaces[1].xdp = MG_XDP_OFF;
	cfg->intercept = (struct mg_config_intercept){
		.mode = MG_MODE_TAKE_OVER,
		.any_port = true,
		.source = MG_SOURCE_PRESERVED,
		.learn_ttl_s = 600,
		.held_max = 1024,
		.held_per_subscriber = 16,
		.stale_ms = 60000,
	};
	return cfg;
}

static int take_all(int fd, uint8_t *frame);

static int open_with(const struct mg_config *cfg)
{
	static uint8_t frame[FRAME_MAX];
	int err = mg_dp_open(&dp, cfg);

	if (err)
		return err;
	holder = mg_dp_holder(dp);
	if (!holder)
		return -1;
	mg_hold_beat(holder, 0);
	while (take_all(ue0, frame) > 0 || take_all(ue1, frame) > 0)
		;
	return 0;
}

static int open_dp(void **state)
{
	(void)state;
	return open_with(config());
}

static int close_dp(void **state)
{
	(void)state;
	mg_dp_close(dp);
	dp = NULL;
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
static int take_all(int fd, uint8_t *frame)
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

static size_t ip_at(const uint8_t *frame)
{
	return frame[12] == 0x81 && !frame[13] ? ETH_BYTES + TAG_BYTES : ETH_BYTES;
}

/* TCP, or an ICMP error: no neighbour discovery and the like */
static bool is_about_us(const uint8_t *frame, int n)
{
	const uint8_t *ip = frame + ip_at(frame);

	if (n < 54)
		return false;
	if (ip[-2] == 0x08 && !ip[-1])
		return ip[9] == IPPROTO_TCP || ip[9] == IPPROTO_ICMP;
	return ip[-2] == 0x86 && ip[-1] == 0xdd &&
	       (ip[6] == IPPROTO_TCP || (ip[6] == IPPROTO_ICMPV6 && ip[40] < 128));
}

static int next_frame(int fd, uint8_t *frame, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec t;
	int64_t end, now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec * 1000 + t.tv_nsec / 1000000;
	for (end = now + wait_ms; now < end;) {
		int n;

		poll(&p, 1, (int)(end - now));
		n = take_all(fd, frame);
		if (n > 0 && is_about_us(frame, n))
			return n;
		clock_gettime(CLOCK_MONOTONIC, &t);
		now = t.tv_sec * 1000 + t.tv_nsec / 1000000;
	}
	return 0;
}

static void nothing_at(int fd)
{
	uint8_t frame[FRAME_MAX];

	assert_int_equal(next_frame(fd, frame, QUIET_MS), 0);
}

/* ---- what the daemon is told ------------------------------------------------------------------
 */
struct told {
	int n;
	struct mg_held_syn syn;
	struct mg_frame *frame;
};

static void note(void *ctx, const struct mg_held_syn *syn)
{
	struct told *t = ctx;

	t->n++;
	t->syn = *syn;
	free(t->frame);
	t->frame = syn->frame ? mg_frame_copy(syn->frame) : NULL;
}

static struct told told_within(int wait_ms)
{
	struct pollfd p = { .fd = mg_hold_fd(holder, 0), .events = POLLIN };
	struct told t = { 0 };

	if (poll(&p, 1, wait_ms) == 1)
		assert_true(mg_hold_read(holder, 0, note, &t) >= 0);
	return t;
}

static void send_from_ue(const uint8_t *frame, size_t len)
{
	assert_int_equal(send(ue0, frame, len, 0), (ssize_t)len);
}

static struct frame syn4(void)
{
	return (struct frame){ .dst = "10.4.0.2",
			       .dport = 80,
			       .seq = ISN,
			       .flags = F_SYN,
			       .opts = { mp_capable, sizeof(mp_capable) } };
}

static struct frame syn6(void)
{
	struct frame f = syn4();

	f.v6 = true;
	f.dst = "fd00:4::2";
	return f;
}

/* Sends it, and is told of it. */
static struct told held(const struct frame *f, bool partial, uint8_t *frame, size_t *len)
{
	struct told t;

	*len = build(frame, f, partial);
	send_from_ue(frame, *len);
	t = told_within(WAIT_MS);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.syn.type, MG_HELD_SYN);
	assert_int_equal(t.syn.isn, ISN);
	assert_non_null(t.frame);
	return t;
}

static void forget(struct told *t)
{
	mg_hold_release(holder, &t->syn.client, &t->syn.server, t->syn.isn);
	free(t->frame);
}

static void check_told(const struct frame *f, const char *client, const char *server)
{
	uint8_t frame[FRAME_MAX];
	struct mg_ep ep;
	size_t len;
	struct told t = held(f, true, frame, &len);

	assert_int_equal(t.syn.kind, MG_HOLD_INTERCEPT);
	assert_int_equal(t.syn.mode, MG_MODE_TAKE_OVER);
	assert_int_equal(t.syn.known, MG_KNOWN_NOTHING);
	assert_true(t.syn.mp_capable);
	assert_int_equal(mg_ep_parse(&ep, client), 0);
	assert_true(mg_ep_equal(&t.syn.client, &ep));
	assert_int_equal(mg_ep_parse(&ep, server), 0);
	assert_true(mg_ep_equal(&t.syn.server, &ep));
	/* the frame as it was sent, its sum whole */
	build(frame, f, false);
	assert_int_equal(t.frame->bytes, len);
	assert_memory_equal(t.frame->data, frame, len);
	assert_int_equal(t.frame->ifindex, if_nametoindex("px0"));
	nothing_at(ue1);
	forget(&t);
}

static void test_told(void **state)
{
	struct frame f4 = syn4(), f6 = syn6();

	(void)state;
	check_told(&f4, "10.1.0.1:40000", "10.4.0.2:80");
	check_told(&f6, "[fd00:1::1]:40000", "[fd00:4::2]:80");
}

static void test_damaged_is_dropped(void **state)
{
	struct frame f = syn4();
	uint8_t frame[FRAME_MAX];
	size_t len = build(frame, &f, false);
	struct told t;

	(void)state;
	frame[ETH_BYTES + 20 + OPT_OFFSET + 9] ^= 1; /* in the timestamp */
	send_from_ue(frame, len);
	assert_int_equal(told_within(200).n, 0);
	nothing_at(ue1);
	/* it is not held: the same again, undamaged, is new */
	t = held(&f, false, frame, &len);
	forget(&t);
}

/* What was sent, but for what a router changes. */
static void is_forwarded(const uint8_t *frame, size_t len)
{
	uint8_t got[FRAME_MAX];
	size_t ip = ETH_BYTES;
	int n = next_frame(ue1, got, WAIT_MS);

	assert_int_equal(n, len);
	if (frame[ip] >> 4 == 4) {
		assert_int_equal(got[ip + 8], frame[ip + 8] - 1);
		assert_memory_equal(got + ip, frame + ip, 8);
		assert_memory_equal(got + ip + 12, frame + ip + 12, len - ip - 12);
	} else {
		assert_int_equal(got[ip + 7], frame[ip + 7] - 1);
		assert_memory_equal(got + ip, frame + ip, 7);
		assert_memory_equal(got + ip + 8, frame + ip + 8, len - ip - 8);
	}
	nothing_at(ue1);
}

static void check_pass(const struct frame *f)
{
	uint8_t frame[FRAME_MAX];
	size_t len;
	struct told t = held(f, true, frame, &len);

	assert_int_equal(mg_hold_pass(holder, &t.syn.client, &t.syn.server, t.syn.isn,
				      MG_PASSED_PROBED, t.frame),
			 0);
	build(frame, f, false);
	is_forwarded(frame, len);
	/* its repetition needs no decision */
	send_from_ue(frame, len);
	is_forwarded(frame, len);
	assert_int_equal(told_within(QUIET_MS).n, 0);
	nothing_at(ue0);
	free(t.frame);
}

static void test_pass(void **state)
{
	struct frame f4 = syn4(), f6 = syn6();

	(void)state;
	check_pass(&f4);
	check_pass(&f6);
}

static void test_repetition_is_consumed(void **state)
{
	struct frame f = syn4();
	struct mg_hold_counters before, after;
	uint8_t frame[FRAME_MAX];
	size_t len;
	struct told t = held(&f, false, frame, &len);

	(void)state;
	assert_int_equal(mg_hold_counters_read(holder, &before), 0);
	send_from_ue(frame, len);
	assert_int_equal(told_within(QUIET_MS).n, 0);
	nothing_at(ue1);
	assert_int_equal(mg_hold_counters_read(holder, &after), 0);
	assert_int_equal(after.repeated, before.repeated + 1);
	assert_int_equal(after.held, before.held);
	forget(&t);
}

/* Between the addresses and ports of the SYN, the other way. */
static void is_answer(const uint8_t *got, const uint8_t *syn, uint8_t protocol)
{
	size_t at = ip_at(syn), v6 = syn[at] >> 4 == 6;
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
	struct told t = held(f, true, frame, &len);
	const uint8_t *ack = (const uint8_t[]){ 1, 2, 3, 5 };
	int n;

	assert_int_equal(mg_hold_reset(holder, t.frame), 0);
	n = next_frame(ue0, got, WAIT_MS);
	at = ip_at(frame);
	l4 = at + l4_of(frame + at);
	assert_int_equal(n, l4 + 20);
	is_answer(got, frame, IPPROTO_TCP);
	assert_true(sums_are_good(got + at, (size_t)n - at));
	assert_memory_equal(got + l4, frame + l4 + 2, 2);
	assert_memory_equal(got + l4 + 2, frame + l4, 2);
	assert_memory_equal(got + l4 + 4, ((uint8_t[4]){ 0 }), 4);
	assert_memory_equal(got + l4 + 8, ack, 4);
	assert_int_equal(got[l4 + 13], F_RST_ACK);
	nothing_at(ue0);
	nothing_at(ue1);
	forget(&t);
}

static void test_reset(void **state)
{
	struct frame f4 = syn4(), f6 = syn6();

	(void)state;
	check_reset(&f4);
	check_reset(&f6);
}

/* Routed as untagged, as the tag is no part of the route; what matters is that it comes back. */
static void test_reset_of_a_tagged_one(void **state)
{
	struct frame f = syn4();

	(void)state;
	f.vlan[0] = ETH_P_8021Q;
	check_reset(&f);
}

static void check_unreachable(const struct frame *f, uint8_t code, const char *from)
{
	uint8_t frame[FRAME_MAX], got[FRAME_MAX];
	size_t len, at, l4;
	struct told t = held(f, true, frame, &len);
	struct in6_addr ip;
	int n;

	assert_int_equal(mg_ip_parse(&ip, from), 0);
	assert_int_equal(mg_hold_unreachable(holder, t.frame, code, &ip), 0);
	n = next_frame(ue0, got, WAIT_MS);
	build(frame, f, false);
	at = ip_at(frame);
	l4 = at + l4_of(frame + at);
	assert_int_equal(n, l4 + 8 + len - at);
	is_answer(got, frame, f->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	assert_true(sums_are_good(got + at, (size_t)n - at));
	assert_int_equal(got[l4], f->v6 ? 1 : 3);
	assert_int_equal(got[l4 + 1], code);
	assert_memory_equal(got + l4 + 8, frame + at, len - at);
	assert_memory_equal(got + at + (f->v6 ? 8 : 12), ip.s6_addr + (f->v6 ? 0 : 12),
			    f->v6 ? 16 : 4);
	nothing_at(ue1);
	forget(&t);
}

static void test_unreachable(void **state)
{
	struct frame f4 = syn4(), f6 = syn6();

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
	t = held(f, true, frame, &len);
	assert_int_equal(mg_hold_take(holder, t.frame, 0), 0);
	n = next_frame(ue0, got, WAIT_MS);
	at = ip_at(frame);
	l4 = at + l4_of(frame + at);
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
	nothing_at(ue1);
	forget(&t);
	close(fd);
}

static void test_take(void **state)
{
	struct frame f4 = syn4(), f6 = syn6();

	(void)state;
	check_take(&f4);
	check_take(&f6);
}

/* No listener any more: dropped, and never forwarded. */
static void test_take_without_listener(void **state)
{
	struct frame f = syn4();
	struct mg_hold_counters c;
	uint8_t frame[FRAME_MAX];
	size_t len;
	struct told t = held(&f, true, frame, &len);

	(void)state;
	assert_int_equal(mg_hold_take(holder, t.frame, 0), 0);
	nothing_at(ue0);
	nothing_at(ue1);
	assert_int_equal(mg_hold_counters_read(holder, &c), 0);
	assert_int_equal(c.lost, 1);
	forget(&t);
}

/* Without a sign of life nothing is held. */
static void test_no_beat(void **state)
{
	struct mg_config *cfg = config();
	struct frame f = syn4();
	struct mg_hold_counters c;
	uint8_t frame[FRAME_MAX];
	size_t len = build(frame, &f, false);

	(void)state;
	cfg->intercept.stale_ms = 1;
	assert_int_equal(mg_dp_set_intercept(dp, cfg), 0);
	usleep(20000);
	send_from_ue(frame, len);
	is_forwarded(frame, len);
	assert_int_equal(told_within(QUIET_MS).n, 0);
	cfg->intercept.on_failure = MG_FAILURE_CLOSED;
	assert_int_equal(mg_dp_set_intercept(dp, cfg), 0);
	f.sport = 40001;
	len = build(frame, &f, false);
	send_from_ue(frame, len);
	nothing_at(ue1);
	assert_int_equal(mg_hold_counters_read(holder, &c), 0);
	assert_int_equal(c.unattended, 2);
}

static void passes_now(struct frame f, uint16_t sport)
{
	uint8_t frame[FRAME_MAX];
	size_t len;

	f.sport = sport;
	len = build(frame, &f, false);
	send_from_ue(frame, len);
	is_forwarded(frame, len);
	assert_int_equal(told_within(QUIET_MS).n, 0);
}

static void test_reload(void **state)
{
	static uint16_t eighty[] = { 80 };
	struct mg_config *cfg = config();
	struct frame f = syn4();
	uint8_t frame[FRAME_MAX];
	struct told t;
	size_t len;

	(void)state;
	cfg->intercept.except = eighty;
	cfg->intercept.n_except = 1;
	assert_int_equal(mg_dp_set_intercept(dp, cfg), 0);
	passes_now(f, 41000);
	cfg->intercept.n_except = 0;
	cfg->intercept.any_port = false;
	assert_int_equal(mg_dp_set_intercept(dp, cfg), 0);
	passes_now(f, 41001);
	cfg->intercept.ports = eighty;
	cfg->intercept.n_ports = 1;
	assert_int_equal(mg_dp_set_intercept(dp, cfg), 0);
	f.sport = 41002;
	t = held(&f, false, frame, &len);
	forget(&t);
	cfg->intercept.mode = MG_MODE_TRANSPARENT;
	assert_int_equal(mg_dp_set_intercept(dp, cfg), 0);
	passes_now(syn4(), 41003);
	cfg->intercept.mode = MG_MODE_TAKE_OVER;
	assert_int_equal(mg_dp_set_intercept(dp, cfg), 0);
	mg_dp_stop_holding(dp);
	passes_now(syn4(), 41004);
}

static void test_limit(void **state)
{
	struct mg_config *cfg = config();
	struct frame f = syn4();
	uint8_t frame[FRAME_MAX];
	struct told one, again;
	size_t len;

	(void)state;
	cfg->intercept.held_per_subscriber = 1;
	assert_int_equal(mg_dp_set_intercept(dp, cfg), 0);
	one = held(&f, false, frame, &len);
	passes_now(f, 42000);
	forget(&one);
	f.sport = 42001;
	again = held(&f, false, frame, &len);
	forget(&again);
}

/* What no worker came to read passes when the data plane is taken down. */
static void test_unread_passes_at_the_end(void **state)
{
	struct frame f = syn4();
	uint8_t frame[FRAME_MAX];
	size_t len = build(frame, &f, false);

	(void)state;
	send_from_ue(frame, len);
	nothing_at(ue1);
	mg_dp_close(dp);
	dp = NULL;
	is_forwarded(frame, len);
}

static void test_servers(void **state)
{
	struct mg_server_row *rows_now;
	struct mg_ep a, b;
	long n;

	(void)state;
	mg_ep_parse(&a, "10.4.0.2:80");
	mg_ep_parse(&b, "[fd00:4::2]:443");
	assert_int_equal(mg_hold_servers(holder, &rows_now), 0);
	free(rows_now);
	assert_int_equal(mg_hold_forget(holder, &a), -ENOENT);
	assert_int_equal(mg_hold_learn(holder, &a, false), 0);
	assert_int_equal(mg_hold_learn(holder, &b, true), 0);
	n = mg_hold_servers(holder, &rows_now);
	assert_int_equal(n, 2);
	for (long i = 0; i < n; i++) {
		assert_true(mg_ep_equal(&rows_now[i].server, rows_now[i].mptcp ? &b : &a));
		assert_int_equal(rows_now[i].source, MG_SERVER_PROBE);
		assert_true(rows_now[i].expires_ms > 590000 && rows_now[i].expires_ms <= 600000);
	}
	assert_int_not_equal(rows_now[0].mptcp, rows_now[1].mptcp);
	free(rows_now);
	assert_int_equal(mg_hold_forget(holder, &a), 0);
	assert_int_equal(mg_hold_servers(holder, &rows_now), 1);
	assert_true(rows_now[0].mptcp);
	free(rows_now);
	assert_int_equal(mg_hold_learn(holder, &a, true), 0);
	assert_int_equal(mg_hold_forget_all(holder), 0);
	assert_int_equal(mg_hold_servers(holder, &rows_now), 0);
	free(rows_now);
}

static void test_hybrid_knows(void **state)
{
	struct mg_config *cfg = config();
	struct frame f = syn4();
	uint8_t frame[FRAME_MAX];
	struct mg_ep server;
	struct told t;
	size_t len;

	(void)state;
	cfg->intercept.mode = MG_MODE_HYBRID;
	assert_int_equal(mg_dp_set_intercept(dp, cfg), 0);
	mg_ep_parse(&server, "10.4.0.2:80");
	assert_int_equal(mg_hold_learn(holder, &server, false), 0);
	t = held(&f, false, frame, &len);
	assert_int_equal(t.syn.known, MG_KNOWN_PLAIN);
	assert_int_equal(t.syn.mode, MG_MODE_HYBRID);
	forget(&t);
	assert_int_equal(mg_hold_learn(holder, &server, true), 0);
	passes_now(f, 43000);
}

static void test_second_holder_is_refused(void **state)
{
	struct mg_config *cfg = lab_config("lo", NULL);
	struct mg_dp *second;
	struct mg_ep listen;
	char other[64];

	(void)state;
	snprintf(other, sizeof(other), "%s-second", cfg->bpffs);
	cfg->bpffs = other;
	cfg->interfaces[0].xdp = MG_XDP_OFF;
	cfg->intercept.mode = MG_MODE_TAKE_OVER;
	cfg->intercept.held_max = 16;
	assert_int_equal(mg_dp_open(&second, cfg), -EBUSY);
	/* a converter does without */
	mg_ep_parse(&listen, "10.3.0.2:5124");
	cfg->intercept.mode = MG_MODE_OFF;
	cfg->converter.listen = &listen;
	cfg->converter.n_listen = 1;
	assert_int_equal(mg_dp_open(&second, cfg), 0);
	assert_null(mg_dp_holder(second));
	mg_dp_close(second);
}

static void test_nothing_is_left(void **state)
{
	(void)state;
	assert_false(lab_shows("ip link", "mpgate0"));
	assert_int_equal(open_dp(NULL), 0);
	assert_true(lab_shows("ip link", "mpgate0"));
	assert_true(lab_shows("tc filter show dev px0 ingress", "mg_hold"));
	assert_true(lab_shows("tc filter show dev px1 ingress", "mg_hold_core"));
	assert_true(lab_is_pinned(config(), "mg_servers"));
	assert_false(lab_shows("ip -6 addr show dev mpgate0", "inet6"));
	close_dp(NULL);
	assert_false(lab_shows("ip link", "mpgate0"));
	assert_false(lab_shows("tc qdisc show", "clsact"));
	assert_false(lab_is_pinned(config(), "mg_servers"));
}

/* What a killed daemon learned is still known; its filters and its device are not there twice. */
static void test_killed(void **state)
{
	struct mg_server_row *rows_now;
	struct mg_config *cfg = config();
	struct mg_ep server;
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		mg_ep_parse(&server, "10.4.0.2:80");
		_exit(open_with(cfg) || mg_hold_learn(holder, &server, true) || raise(SIGKILL));
	}
	assert_true(pid > 0);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_true(lab_is_pinned(config(), "mg_servers"));
	assert_int_equal(open_dp(NULL), 0);
	assert_int_equal(mg_hold_servers(holder, &rows_now), 1);
	assert_true(rows_now[0].mptcp);
	free(rows_now);
	assert_int_equal(lab_sh("test $(tc filter show dev px0 ingress | grep -c handle) = 1"), 0);
	close_dp(NULL);
	assert_false(lab_shows("tc qdisc show", "clsact"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_left),
		cmocka_unit_test_setup_teardown(test_told, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_damaged_is_dropped, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_pass, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_repetition_is_consumed, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_reset, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_reset_of_a_tagged_one, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_unreachable, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_take, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_take_without_listener, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_no_beat, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_reload, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_limit, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_unread_passes_at_the_end, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_servers, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_hybrid_knows, open_dp, close_dp),
		cmocka_unit_test_setup_teardown(test_second_holder_is_refused, open_dp, close_dp),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
