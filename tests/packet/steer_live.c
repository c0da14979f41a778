// SPDX-License-Identifier: BSD-2-Clause
#include "steer_live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

struct mg_config *live_config(void)
{
	struct mg_config *cfg = lab_config("px0", "px1");

	cfg->steer.is_gateway = true;
	cfg->steer.n_proxies = 1;
	cfg->steer.n_groups = LIVE_GROUPS;
	cfg->steer.gateway.flows_max = LIVE_FLOWS;
	cfg->steer.gateway.tokens_max = LIVE_TOKENS;
	return cfg;
}

struct mg_dp *live_open(const struct mg_config *cfg)
{
	struct mg_dp *dp;

	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	return dp;
}

struct mg_ep live_ep(const char *text)
{
	struct mg_ep ep;

	assert_int_equal(mg_ep_parse(&ep, text), 0);
	return ep;
}

void live_fill(struct mg_steer *s)
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
	const struct mg_ep eps[] = { live_ep("10.9.0.1:5124"), live_ep("[fd00:9::1]:5124") };
	const uint16_t groups[] = { 1, 1 };
	struct mg_slot *ring = mg_steer_ring(s, 1);

	memcpy(proxy.ip, live_ep("10.3.1.9:1").ip.s6_addr, 16);
	assert_int_equal(mg_steer_set_proxy(s, 1, &proxy), 0);
	for (uint32_t i = 0; i < MG_RING_SLOTS; i++)
		ring[i] = (struct mg_slot){ .current = 1 };
	assert_int_equal(mg_steer_set_group(s, 1, &group), 0);
	assert_int_equal(mg_steer_set_virtual(s, eps, groups, 2), 0);
	assert_int_equal(mg_steer_set_gateway(s, &gateway), 0);
}

int live_map(const struct mg_config *cfg, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", cfg->bpffs, name);
	return bpf_obj_get(path);
}

uint32_t live_map_id(const struct mg_config *cfg, const char *name)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	int fd = live_map(cfg, name);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	close(fd);
	return info.id;
}

long live_entries(const struct mg_config *cfg, const char *name)
{
	int fd = live_map(cfg, name);
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

const char *live_program(const char *interface)
{
	static struct bpf_prog_info info;
	__u32 size = sizeof(info);
	uint32_t id = lab_xdp_id(interface);
	int fd = id ? bpf_prog_get_fd_by_id(id) : -1;

	info = (struct bpf_prog_info){ 0 };
	if (fd < 0)
		return "";
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	close(fd);
	return info.name;
}
