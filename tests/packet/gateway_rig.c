// SPDX-License-Identifier: BSD-2-Clause
#include "gateway_rig.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>
#include <linux/if_link.h>
#include <xdp/libxdp.h>

#include "base/log.h"
#include "packet.h"
#include "rows.h"

struct mg_config *gw_cfg;
struct mg_dp *gw_dp;
struct mg_steer *gw_steer;

static struct mg_config *config(void)
{
	struct mg_config *cfg = lab_config("px0", "px1");

	cfg->steer.is_gateway = true;
	cfg->steer.n_proxies = 1;
	cfg->steer.n_groups = GW_GROUPS;
	cfg->steer.gateway.flows_max = GW_FLOWS;
	cfg->steer.gateway.tokens_max = GW_TOKENS;
	return cfg;
}

struct mg_ep gw_ep(const char *text)
{
	struct mg_ep ep;

	assert_int_equal(mg_ep_parse(&ep, text), 0);
	return ep;
}

void gw_fill(struct mg_steer *s)
{
	struct mg_steer_proxy proxy = {
		.used = 1,
		.deliver = MG_DELIVER_L2,
		.state = MG_MEMBER_UP,
		.ifindex = if_nametoindex("px1"),
		.dmac = { 2, 0, 0, 0, 1, 1 },
		.smac = { 2, 0, 0, 0, 0, 3 },
		.name = "one",
	};
	struct mg_steer_group group = { .used = 1, .n_up = 1, .name = "all" };
	struct mg_gateway gateway = { .steers = 1, .unknown_join = MG_UNKNOWN_DROP };
	const struct mg_ep eps[] = { gw_ep("10.9.0.1:5124"), gw_ep("[fd00:9::1]:5124") };
	const uint16_t groups[] = { 1, 1 };
	struct mg_slot *ring = mg_steer_ring(s, 1);

	memcpy(proxy.ip, gw_ep("10.3.1.9:1").ip.s6_addr, 16);
	assert_int_equal(mg_steer_set_proxy(s, 1, &proxy), 0);
	for (uint32_t i = 0; i < MG_RING_SLOTS; i++)
		ring[i] = (struct mg_slot){ .current = 1 };
	assert_int_equal(mg_steer_set_group(s, 1, &group), 0);
	assert_int_equal(mg_steer_set_virtual(s, eps, groups, 2), 0);
	assert_int_equal(mg_steer_set_gateway(s, &gateway), 0);
}

int gw_map(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", gw_cfg->bpffs, name);
	return bpf_obj_get(path);
}

uint32_t gw_map_id(const char *name)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	int fd = gw_map(name);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	close(fd);
	return info.id;
}

long gw_entries(const char *name)
{
	int fd = gw_map(name);
	unsigned char key[64], *last = NULL;
	long n = 0;

	assert_true(fd >= 0);
	while (!bpf_map_get_next_key(fd, last, key)) {
		last = key;
		n++;
	}
	close(fd);
	return n;
}

static void note(char name[32], const struct xdp_program *p)
{
	if (p && !strncmp(xdp_program__name(p), "mg_", 3))
		snprintf(name, 32, "%s", xdp_program__name(p));
}

const char *gw_program(const char *interface)
{
	static char name[32];
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)if_nametoindex(interface));
	struct xdp_program *p = NULL;

	name[0] = 0;
	if (libxdp_get_error(mp))
		return name;
	if (xdp_multiprog__is_legacy(mp))
		note(name, xdp_multiprog__main_prog(mp));
	else
		while ((p = xdp_multiprog__next_prog(p, mp)))
			note(name, p);
	xdp_multiprog__close(mp);
	return name;
}

void gw_take_off(const char *interface)
{
	int ifindex = (int)if_nametoindex(interface);

	bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL);
	bpf_xdp_detach(ifindex, XDP_FLAGS_SKB_MODE, NULL);
	assert_int_equal(lab_xdp_id(interface), 0);
	/* What libxdp pinned for its dispatcher would stay. */
	libxdp_clean_references(ifindex);
}

int gw_enter(void **state)
{
	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
	/* The peer of a veth takes what XDP redirects to it only if it polls. */
	return lab_enter() || lab_sh("ethtool -K ue1 gro on") ? -1 : 0;
}

struct mg_dp *gw_run(void)
{
	assert_int_equal(mg_dp_open(&gw_dp, gw_cfg), 0);
	gw_steer = mg_dp_steer(gw_dp);
	return gw_dp;
}

void gw_stop(struct mg_dp *dp)
{
	gw_dp = NULL;
	mg_dp_close(dp);
}

int gw_set_up(void **state)
{
	(void)state;
	gw_cfg = config();
	return 0;
}

int gw_set_up_running(void **state)
{
	gw_set_up(state);
	return gw_run() ? 0 : -1;
}

int gw_set_up_maps(void **state)
{
	gw_set_up(state);
	gw_cfg->interfaces[0].xdp = gw_cfg->interfaces[1].xdp = MG_XDP_OFF;
	return gw_run() ? 0 : -1;
}

void gw_reopen(void)
{
	gw_stop(gw_dp);
	gw_run();
}

int gw_tear_down(void **state)
{
	(void)state;
	gw_stop(gw_dp);
	return mg_dp_detach(config());
}

void gw_check_nothing_is_left(void)
{
	assert_int_equal(lab_xdp_id("px0"), 0);
	assert_int_equal(lab_xdp_id("px1"), 0);
	assert_false(lab_is_pinned(gw_cfg, "mg_flows"));
	assert_false(lab_is_bpffs("/sys/fs/bpf"));
}

void gw_check_in_force(void)
{
	assert_string_equal(gw_program("px0"), "mg_steer");
	assert_string_equal(gw_program("px1"), "mg_steer");
	assert_true(lab_is_pinned(gw_cfg, "mg_flows"));
	assert_true(lab_is_pinned(gw_cfg, "mg_classes"));
	assert_true(lab_is_bpffs("/sys/fs/bpf"));
}

/* A gateway that was, and is not gw_dp */
void gw_leave_one(void)
{
	struct mg_dp *dp = gw_run();

	gw_fill(mg_dp_steer(dp));
	gw_stop(dp);
	gw_check_in_force();
}

/* ---- tokens -----------------------------------------------------------------------------------
 */
uint32_t gw_token(uint32_t i)
{
	return i * 2654435761U;
}

int gw_push(uint32_t i)
{
	struct mg_owners owners = { .proxy = (uint16_t)(i % 200 + 1), .second = 3, .since_s = i };

	return mg_steer_push(gw_steer, gw_token(i), &owners);
}

struct seen {
	uint8_t times[GW_TOKENS];
	unsigned int n, strange;
};

static void see(void *ctx, uint32_t token, const struct mg_owners *owners)
{
	struct seen *s = ctx;

	s->n++;
	if (owners->since_s < GW_TOKENS && token == gw_token(owners->since_s))
		s->times[owners->since_s]++;
	else
		s->strange++;
}

void gw_check_tokens(bool learned, uint32_t n)
{
	struct seen *s = calloc(1, sizeof(*s));

	assert_int_equal(mg_steer_each(gw_steer, learned, see, s), 0);
	assert_int_equal(s->n, n);
	assert_int_equal(s->strange, 0);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(s->times[i], 1);
	free(s);
}

/* ---- packets --------------------------------------------------------------------------------- */
/* What comes by an interface, after XDP */
int gw_tap(const char *interface)
{
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	int on = 1, room = 256 << 20; /* a start takes its time on slow machines */

	assert_true(fd >= 0);
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

/* Of those: SYNs to a virtual address; reads for as long as they come. */
uint32_t gw_read_syns(int fd)
{
	uint8_t frame[FRAME_MAX];
	uint32_t n = 0;
	ssize_t len;

	while ((len = recv(fd, frame, sizeof(frame), 0)) > 0)
		n += len >= 54 && frame[12] == 8 && frame[13] == 0 && frame[23] == 6 &&
		     frame[30] == 10 && frame[31] == 9;
	return n;
}

uint32_t gw_wait_for_syns(int fd, uint32_t wanted)
{
	uint32_t n = 0;

	for (int i = 0; i < 1000 && n < wanted; i++) {
		n += gw_read_syns(fd);
		if (n < wanted)
			usleep(1000);
	}
	return n;
}

static const struct frame virtual_syn = { .dst = "10.9.0.1", .flags = F_SYN, .opts = B(MPC_V1) };

size_t gw_build_syn(uint8_t *frame)
{
	return frame_build(frame, &virtual_syn);
}

int gw_send_syn(int fd, uint8_t *frame, size_t len, uint32_t number)
{
	/* sequence number and source port: another session each time */
	memcpy(frame + 34, &number, 2);
	memcpy(frame + 38, &number, 4);
	return send(fd, frame, len, 0) == (ssize_t)len ? 0 : -1;
}

int gw_far_end(const char *interface)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

static void send_syns(uint32_t n)
{
	uint8_t frame[FRAME_MAX];
	size_t len = gw_build_syn(frame);
	int fd = gw_far_end("ue0");

	for (uint32_t i = 1; i <= n; i++)
		assert_int_equal(gw_send_syn(fd, frame, len, i), 0);
	close(fd);
}

/* Sent by px1 to the proxy there, none goes to the kernel. */
void gw_check_steers(void)
{
	int at_proxy = gw_tap("ue1"), at_kernel = gw_tap("px0");

	send_syns(10);
	assert_int_equal(gw_wait_for_syns(at_proxy, 10), 10);
	assert_int_equal(gw_read_syns(at_kernel), 0);
	close(at_proxy);
	close(at_kernel);
}

uint64_t gw_counted(enum mg_steer_counter which)
{
	int cpus = libbpf_num_possible_cpus(), fd = gw_map("mg_steer_stats");
	struct mg_steer_counters *values = calloc((size_t)cpus, sizeof(*values));
	uint32_t zero = 0;
	uint64_t sum = 0;

	assert_int_equal(bpf_map_lookup_elem(fd, &zero, values), 0);
	for (int c = 0; c < cpus; c++)
		sum += ((uint64_t *)&values[c])[which];
	free(values);
	close(fd);
	return sum;
}
