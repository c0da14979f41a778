// SPDX-License-Identifier: BSD-2-Clause
#include "steer_live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>
#include <linux/if_link.h>
#include <xdp/libxdp.h>

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

static void note(char name[32], const struct xdp_program *p)
{
	if (p && !strncmp(xdp_program__name(p), "mg_", 3))
		snprintf(name, 32, "%s", xdp_program__name(p));
}

const char *live_program(const char *interface)
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

void live_take_off(const char *interface)
{
	int ifindex = (int)if_nametoindex(interface);

	bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL);
	bpf_xdp_detach(ifindex, XDP_FLAGS_SKB_MODE, NULL);
	assert_int_equal(lab_xdp_id(interface), 0);
	/* What libxdp pinned for its dispatcher would stay. */
	libxdp_clean_references(ifindex);
}
