// SPDX-License-Identifier: BSD-2-Clause
#include "hold_live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "base/addr.h"
#include "lab.h"
#include "sys/tap.h"
#include "sys/tc.h"
#include "wire/segment.h"

#define TABLE  "27239"
#define UE_MAC "02:00:00:00:00:11"

struct hold_live live = { .own_ns = -1, .client_ns = -1 };
static struct mg_tap tap = { .fd = -1 };
static struct mg_tc on_px0, on_tap;

void live_enter(int ns)
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
	live.own_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < TRIES; i++) {
		char mine[64], path[64], its[64];
		ssize_t n = readlink("/proc/self/ns/net", mine, sizeof(mine)), m;

		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
		m = readlink(path, its, sizeof(its));
		if (n > 0 && m > 0 && (n != m || memcmp(mine, its, (size_t)n) != 0)) {
			live.client_ns = open(path, O_RDONLY | O_CLOEXEC);
			break;
		}
		usleep(1000);
	}
	snprintf(command, sizeof(command), "ip link set ue0 netns %d", (int)pid);
	if (live.client_ns < 0 || lab_sh(command))
		return -1;
	live_enter(live.client_ns);
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
	live_enter(live.own_ns);
	/* Neighbour discovery waits until px0's own link-local address is no longer tentative. */
	return lab_sh("ip neigh replace fd00:3::1 lladdr " UE_MAC " dev px0 && "
		      "ip neigh replace fd00:3::11 lladdr " UE_MAC " dev px0");
}

int live_attach(const struct bpf_program *door)
{
	return mg_tc_attach(&on_px0, "px0", if_nametoindex("px0"), bpf_program__fd(door));
}

int live_set_up(void **state)
{
	(void)state;
	if (hold_run_open(&live.run) || make_client() || mg_tap_open(&tap))
		return -1;
	if (lab_sh("sysctl -qw net.ipv4.tcp_congestion_control=reno && "
		   "ip mptcp limits set subflow 4 add_addr_accepted 4 && "
		   "for f in -4 -6; do "
		   "ip $f rule add fwmark 0x6d670000 lookup " TABLE " pref 100 && "
		   "ip $f route add local default dev lo table " TABLE " || exit 1; done"))
		return -1;
	if (mg_tc_attach(&on_tap, MG_TAP_NAME, tap.ifindex,
			 bpf_program__fd(live.run.skel->progs.mg_replay)))
		return -1;
	return mg_tap_up(&tap) ? -1 : live_attach(live.run.skel->progs.mg_hold);
}

int live_tear_down(void **state)
{
	(void)state;
	mg_tc_detach(&on_px0);
	mg_tc_detach(&on_tap);
	mg_tap_close(&tap);
	hold_run_close(&live.run);
	close(live.client_ns);
	close(live.own_ns);
	return 0;
}

int live_fresh(void **state)
{
	(void)state;
	hold_run_reset(&live.run);
	return 0;
}

socklen_t live_address(struct sockaddr_storage *to, const char *text, uint16_t port)
{
	struct mg_ep ep = { .port = htons(port) };

	assert_int_equal(mg_ip_parse(&ep.ip, text), 0);
	return mg_ep_to_sockaddr(&ep, to);
}

int live_client(bool v6, int protocol, uint16_t from, uint16_t to)
{
	struct sockaddr_storage at;
	socklen_t len;
	int fd, one = 1;

	live_enter(live.client_ns);
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, protocol);
	live_enter(live.own_ns);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	len = live_address(&at, v6 ? "fd00:3::1" : "10.3.0.1", from);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	len = live_address(&at, v6 ? FAR6 : FAR4, to);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

void live_send(const uint8_t *frame, size_t len)
{
	int err;

	live_enter(live.client_ns);
	err = lab_send("ue0", frame, len);
	live_enter(live.own_ns);
	assert_int_equal(err, 0);
}

const struct hold_record *live_record(void)
{
	unsigned int had = live.run.n_got;

	for (int i = 0; i < TRIES && !hold_run_read(&live.run); i++)
		usleep(2000);
	assert_int_equal(live.run.n_got, had + 1);
	return &live.run.got[had];
}

void live_replay(const struct hold_record *r, const struct mg_replay *tail)
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

struct mg_replay live_trailer(const struct hold_record *r, enum mg_replay_how how)
{
	return (struct mg_replay){ .magic = MG_REPLAY_MAGIC,
				   .how = how,
				   .ifindex = r->head.ifindex,
				   .worker = r->worker };
}
