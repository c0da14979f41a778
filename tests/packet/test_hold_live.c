// SPDX-License-Identifier: BSD-2-Clause
/*
 * Holding on real interfaces: a client behind px0, in a namespace of its own; its SYN held, brought
 * back through the TAP device and accepted; joins; frames that pass or answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/tcp.h>
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
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "base/addr.h"
#include "hold_run.h"
#include "lab.h"
#include "rows.h"
#include "sys/tap.h"
#include "sys/tc.h"
#include "wire/segment.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IP_TRANSPARENT
#define IP_TRANSPARENT 19
#endif
#define IPV6_TRANSPARENT_ 75
#define MPTCP_INFO_	  1 /* of level SOL_MPTCP, 284; its first byte counts further subflows */
#define PORT		  8080
#define TRIES		  500
#define TABLE		  "27239"
#define UE_MAC		  "02:00:00:00:00:11"

static struct hold_run run;
static struct mg_tap tap = { .fd = -1 };
static struct mg_tc on_px0, on_tap;
static int own_ns = -1, client_ns = -1;

static void enter(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

/* ue0 goes into a namespace of its own, with two addresses to make subflows from. */
static int make_client(void)
{
	char command[512];
	pid_t pid = fork();

	if (!pid) {
		if (unshare(CLONE_NEWNET))
			_exit(1);
		for (;;)
			pause();
	}
	own_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < TRIES; i++) {
		char mine[64], path[64], its[64];
		ssize_t n = readlink("/proc/self/ns/net", mine, sizeof(mine)), m;

		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
		m = readlink(path, its, sizeof(its));
		if (n > 0 && m > 0 && (n != m || memcmp(mine, its, (size_t)n) != 0)) {
			client_ns = open(path, O_RDONLY | O_CLOEXEC);
			break;
		}
		usleep(1000);
	}
	snprintf(command, sizeof(command), "ip link set ue0 netns %d", (int)pid);
	if (client_ns < 0 || lab_sh(command))
		return -1;
	enter(client_ns);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (lab_sh("sysctl -qw net.ipv4.tcp_congestion_control=reno && ip link set lo up && "
		   "ip link set ue0 address " UE_MAC " up && "
		   "ip addr add 10.3.0.1/24 dev ue0 && ip addr add 10.3.0.11/24 dev ue0 && "
		   "ip addr add fd00:3::1/64 dev ue0 nodad && "
		   "ip addr add fd00:3::11/64 dev ue0 nodad && "
		   "ip route add default via 10.3.0.2 && ip route add default via fd00:3::2 && "
		   "ip mptcp limits set subflow 4 add_addr_accepted 4 && "
		   "ip mptcp endpoint add 10.3.0.11 subflow && "
		   "ip mptcp endpoint add fd00:3::11 dev ue0 subflow"))
		return -1;
	enter(own_ns);
	/* Neighbour discovery waits until px0's own link-local address is no longer tentative. */
	return lab_sh("ip neigh replace fd00:3::1 lladdr " UE_MAC " dev px0 && "
		      "ip neigh replace fd00:3::11 lladdr " UE_MAC " dev px0");
}

static int attach(const struct bpf_program *door)
{
	return mg_tc_attach(&on_px0, "px0", if_nametoindex("px0"), bpf_program__fd(door));
}

static int set_up(void **state)
{
	(void)state;
	if (hold_run_open(&run) || make_client() || mg_tap_open(&tap))
		return -1;
	if (lab_sh("sysctl -qw net.ipv4.tcp_congestion_control=reno && "
		   "ip mptcp limits set subflow 4 add_addr_accepted 4 && "
		   "for f in -4 -6; do "
		   "ip $f rule add fwmark 0x6d670000 lookup " TABLE " pref 100 && "
		   "ip $f route add local default dev lo table " TABLE " || exit 1; done"))
		return -1;
	if (mg_tc_attach(&on_tap, MG_TAP_NAME, tap.ifindex,
			 bpf_program__fd(run.skel->progs.mg_replay)))
		return -1;
	return mg_tap_up(&tap) ? -1 : attach(run.skel->progs.mg_hold);
}

static int tear_down(void **state)
{
	(void)state;
	mg_tc_detach(&on_px0);
	mg_tc_detach(&on_tap);
	mg_tap_close(&tap);
	hold_run_close(&run);
	close(client_ns);
	close(own_ns);
	return 0;
}

static int fresh(void **state)
{
	(void)state;
	hold_run_reset(&run);
	return 0;
}

static socklen_t address(struct sockaddr_storage *to, const char *text, uint16_t port)
{
	struct mg_ep ep = { .port = htons(port) };

	assert_int_equal(mg_ip_parse(&ep.ip, text), 0);
	return mg_ep_to_sockaddr(&ep, to);
}

/* The listener of worker, at the port; a host's own if worker is -1. */
static int listener(int worker, bool v6, uint16_t port)
{
	struct sockaddr_storage at;
	char ip[64];
	socklen_t len;
	int one = 1;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_MPTCP);

	assert_true(fd >= 0);
	if (worker < 0)
		snprintf(ip, sizeof(ip), v6 ? "::" : "0.0.0.0");
	else if (v6)
		snprintf(ip, sizeof(ip), "fd6d:7067:6174:6500::%x", worker + 1);
	else
		snprintf(ip, sizeof(ip), "127.109.0.%d", worker + 1);
	len = address(&at, ip, port);
	assert_int_equal(v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT_, &one, sizeof(one))
			    : setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)),
			 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* A socket of the client's that has begun to connect, from its first address. */
static int client(bool v6, int protocol, uint16_t from, uint16_t to)
{
	struct sockaddr_storage at;
	socklen_t len;
	int fd, one = 1;

	enter(client_ns);
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, protocol);
	enter(own_ns);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	len = address(&at, v6 ? "fd00:3::1" : "10.3.0.1", from);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	len = address(&at, v6 ? FAR6 : FAR4, to);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static const struct hold_record *wait_record(void)
{
	unsigned int had = run.n_got;

	for (int i = 0; i < TRIES && !hold_run_read(&run); i++)
		usleep(2000);
	assert_int_equal(run.n_got, had + 1);
	return &run.got[had];
}

/* Brings a frame back with this trailer, checksums put right as the daemon does. */
static void replay(const struct hold_record *r, const struct mg_replay *tail)
{
	static uint8_t frame[MG_HELD_FRAME_BYTES];
	const struct mg_held *h = &r->head;
	struct mg_segment s;
	struct mg_tap_tag tag = { .proto = h->vlan_proto, .tci = h->vlan_tci };

	memcpy(frame, r->frame, h->frame_bytes);
	assert_int_equal(mg_segment_at(&s, frame, h->frame_bytes, h->ip_offset, h->tcp_offset,
				       h->payload_offset),
			 0);
	assert_int_equal(mg_segment_sums(&s), 0);
	assert_int_equal(mg_tap_write(&tap, frame, h->frame_bytes, tag, tail, sizeof(*tail)), 0);
}

static struct mg_replay trailer(const struct hold_record *r, enum mg_replay_how how)
{
	return (struct mg_replay){ .magic = MG_REPLAY_MAGIC,
				   .how = how,
				   .ifindex = r->head.ifindex,
				   .worker = r->worker };
}

static int wait_accept(int from)
{
	struct pollfd p = { .fd = from, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 5000), 1);
	return accept4(from, NULL, NULL, SOCK_NONBLOCK);
}

static void wait_count(enum mg_hold_counter which, uint64_t n)
{
	for (int i = 0; i < TRIES && hold_counted(&run, which) < n; i++)
		usleep(2000);
	assert_int_equal(hold_counted(&run, which), n);
}

static int further_subflows(int fd)
{
	uint8_t info[256];
	socklen_t len = sizeof(info);

	return getsockopt(fd, 284, MPTCP_INFO_, info, &len) ? -1 : info[0];
}

static void assert_local_is_server(int fd, bool v6, uint16_t port)
{
	struct sockaddr_storage is, want;
	socklen_t len = sizeof(is);
	struct mg_ep ep, wanted;

	address(&want, v6 ? FAR6 : FAR4, port);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&is, &len), 0);
	assert_int_equal(mg_ep_from_sockaddr(&ep, (struct sockaddr *)&is), 0);
	assert_int_equal(mg_ep_from_sockaddr(&wanted, (struct sockaddr *)&want), 0);
	assert_true(mg_ep_equal(&ep, &wanted));
}

/* Once data came through, the client joins with its second address; only hints know of it. */
static void assert_joined(int server, int ue)
{
	for (int i = 0; i < TRIES && further_subflows(server) < 1; i++) {
		char byte = 'x';

		assert_int_equal(write(i & 1 ? ue : server, &byte, 1), 1);
		usleep(2000);
	}
	assert_int_equal(further_subflows(server), 1);
	assert_int_equal(further_subflows(ue), 1);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_JOINS), 1);
	assert_int_equal(hold_entries(run.skel->maps.mg_hints), 1);
}

static void take_over(bool v6, bool other_port)
{
	int ue = client(v6, IPPROTO_MPTCP, 0, PORT), server, at;
	const struct hold_record *r = wait_record();
	struct mg_replay tail = trailer(r, MG_REPLAY_TAKE);

	assert_int_equal(r->head.kind, MG_HOLD_INTERCEPT);
	if (other_port) {
		struct mg_listen_key key = { .worker = (uint16_t)r->worker, .port = PORT };
		uint32_t port = PORT + 1;

		assert_int_equal(bpf_map_update_elem(bpf_map__fd(run.skel->maps.mg_listen_ports),
						     &key, &port, 0),
				 0);
	}
	at = listener((int)r->worker, v6, other_port ? PORT + 1 : PORT);
	replay(r, &tail);
	server = wait_accept(at);
	assert_true(server >= 0);
	assert_local_is_server(server, v6, PORT);
	assert_int_equal(further_subflows(server), 0);
	/* with another port than the connection's, the kernel takes no join */
	if (!other_port)
		assert_joined(server, ue);
	close(server);
	close(ue);
	close(at);
}

static void test_take(void **state)
{
	(void)state;
	take_over(false, false);
}

static void test_take_v6(void **state)
{
	(void)state;
	take_over(true, false);
}

static void test_take_at_another_port(void **state)
{
	int host = listener(-1, false, PORT);

	(void)state;
	take_over(false, true);
	close(host);
}

/* No listener, or only one that the host has on all addresses: nothing gets in. */
static void test_lost(void **state)
{
	int host = listener(-1, false, PORT), ue = client(false, IPPROTO_MPTCP, 0, PORT);
	const struct hold_record *r = wait_record();
	struct mg_replay tail = trailer(r, MG_REPLAY_TAKE);
	struct pollfd p = { .fd = host, .events = POLLIN };

	(void)state;
	replay(r, &tail);
	wait_count(MG_HOLD_COUNT_LOST, 1);
	assert_int_equal(poll(&p, 1, 50), 0);
	close(ue);
	close(host);
}

/* The client uses its port again while we remember its last connection. */
static void test_time_wait(void **state)
{
	int ue, server, at = -1;

	(void)state;
	assert_int_equal(attach(run.skel->progs.mg_hold_lan), 0);
	for (int i = 0; i < 2; i++) {
		const struct hold_record *r;
		struct mg_replay tail;
		struct pollfd p;
		struct mg_release release;
		char byte;
		DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &release,
				    .ctx_size_in = sizeof(release));

		ue = client(false, 0, 41000, PORT);
		r = wait_record();
		assert_int_equal(r->head.kind, MG_HOLD_CPE);
		assert_int_equal(r->head.time_wait, i);
		if (i)
			break;
		at = listener((int)r->worker, false, PORT);
		tail = trailer(r, MG_REPLAY_TAKE);
		replay(r, &tail);
		server = wait_accept(at);
		assert_true(server >= 0);
		release = (struct mg_release){ .tuple = r->head.tuple, .isn = r->head.isn };
		assert_int_equal(
			bpf_prog_test_run_opts(bpf_program__fd(run.skel->progs.mg_release), &opts),
			0);
		assert_int_equal(opts.retval, 1);
		/* we close first, and so do the waiting */
		close(server);
		p = (struct pollfd){ .fd = ue, .events = POLLIN };
		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_int_equal(read(ue, &byte, 1), 0);
		close(ue);
		for (int t = 0; t < TRIES && !lab_shows("ss -tan state time-wait", ":41000"); t++)
			usleep(2000);
	}
	close(ue);
	close(at);
	assert_int_equal(attach(run.skel->progs.mg_hold), 0);
}

/* A packet socket on an interface, for what comes in there. */
static int tap_into(int ns, const char *interface)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd;

	enter(ns);
	fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	ll.sll_ifindex = (int)if_nametoindex(interface);
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	enter(own_ns);
	return fd;
}

/* Does a frame come in with these bytes from `offset` on, within a while? */
static bool comes(int fd, const uint8_t *bytes, size_t offset, size_t len, int ms)
{
	uint8_t frame[FRAME_MAX];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, ms) == 1) {
		struct sockaddr_ll from;
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
	int ue = client(false, IPPROTO_MPTCP, 0, PORT), far = tap_into(own_ns, "ue1"),
	    near = tap_into(client_ns, "ue0");
	const struct hold_record *r = wait_record();
	struct mg_replay tail = trailer(r, MG_REPLAY_PASS), bad = tail;
	const uint8_t *tcp = r->frame + r->head.tcp_offset;

	(void)state;
	assert_int_equal(lab_sh("ip neigh replace " FAR4 " lladdr 02:00:00:00:00:09 dev px1"), 0);
	/* forged or broken trailers go nowhere */
	bad.magic++;
	replay(r, &bad);
	bad = tail;
	bad.how = 4;
	replay(r, &bad);
	bad = tail;
	bad.worker = MG_WORKERS_MAX;
	replay(r, &bad);
	bad = tail;
	bad.ifindex = 9999;
	replay(r, &bad);
	assert_false(comes(far, tcp, r->head.tcp_offset, 16, 50));
	/* out of px1 it goes, its TCP header as the client made it */
	replay(r, &tail);
	assert_true(comes(far, tcp, r->head.tcp_offset, 16, 5000));
	assert_int_equal(hold_run_read(&run), 0);
	/* …or back to where it came from */
	assert_false(comes(near, tcp, r->head.tcp_offset, 16, 0));
	tail.how = MG_REPLAY_ANSWER;
	replay(r, &tail);
	assert_true(comes(near, tcp, r->head.tcp_offset, 16, 5000));
	close(ue);
	close(far);
	close(near);
}

static void send_from_client(const uint8_t *frame, size_t len)
{
	int err;

	enter(client_ns);
	err = lab_send("ue0", frame, len);
	enter(own_ns);
	assert_int_equal(err, 0);
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
	send_from_client(frame, len);
	r = wait_record();
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
	enter(client_ns);
	assert_int_equal(lab_sh("ip link set ue0 mtu 16000"), 0);
	enter(own_ns);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	f.payload.len++;
	assert_int_equal(frame_build(frame, &f), sizeof(frame));
	send_from_client(frame, sizeof(frame));
	f.payload.len--;
	f.sport = 40001;
	assert_int_equal(frame_build(frame, &f), sizeof(frame) - 1);
	send_from_client(frame, sizeof(frame) - 1);
	r = wait_record();
	assert_int_equal(r->head.tuple.client.port, 40001);
	assert_int_equal(r->head.frame_bytes, MG_HELD_FRAME_BYTES);
	assert_memory_equal(r->frame, frame, MG_HELD_FRAME_BYTES);
	assert_int_equal(hold_entries(run.skel->maps.mg_held), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_take, fresh),
		cmocka_unit_test_setup(test_take_v6, fresh),
		cmocka_unit_test_setup(test_take_at_another_port, fresh),
		cmocka_unit_test_setup(test_lost, fresh),
		cmocka_unit_test_setup(test_time_wait, fresh),
		cmocka_unit_test_setup(test_pass_and_answer, fresh),
		cmocka_unit_test_setup(test_tag, fresh),
		cmocka_unit_test_setup(test_jumbo, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
