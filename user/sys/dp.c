// SPDX-License-Identifier: BSD-2-Clause
/*
 * The corridor: claim, bpffs, maps, pins, XDP, TC, sockops in this order, and back in the reverse.
 */
#include "sys/dp.h"

#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "base/log.h"
#include "skel/hold.skel.h"
#include "skel/sockops.skel.h"
#include "skel/tc.skel.h"
#include "skel/xdp.skel.h"
#include "sys/bpffs.h"
#include "sys/cgroup.h"
#include "sys/claim.h"
#include "sys/dp_maps.h"
#include "sys/holder.h"
#include "sys/tc.h"
#include "sys/xdp.h"

struct port {
	char name[IFNAMSIZ];
	unsigned int ifindex;
	int claim;
	struct mg_xdp xdp;
	struct mg_tc tc;
};

struct mg_dp {
	struct mg_bpffs bpffs;
	struct mg_xdp_bpf *shared; /* its maps are everybody's; its program stays unloaded */
	struct mg_tc_bpf *tc;
	struct mg_sockops_bpf *sockops;
	struct mg_cgroup cgroup;
	struct mg_dp_maps maps;
	struct ring_buffer *ring;
	void (*on_syn)(void *ctx, const struct mg_dp_syn *syn);
	void *on_syn_ctx;
	struct mg_holder *holder; /* NULL: no SYN is held */
	size_t n_ports;		  /* the interfaces, and behind them those of the LAN */
	struct port *ports;
	size_t n; /* the interfaces */
	struct mg_dp_interface *list;
};

static void log_line(const char *fmt, va_list ap)
{
	char line[1024];
	size_t len;

	vsnprintf(line, sizeof(line), fmt, ap);
	len = strcspn(line, "\n");
	if (len)
		mg_debug("%.*s", (int)len, line);
}

/* What matters of it is said again, once, where the error stops. */
static int log_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level != LIBBPF_DEBUG && mg_log_get_level() >= MG_LOG_DEBUG)
		log_line(fmt, ap);
	return 0;
}

static int log_libxdp(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	if (level != LIBXDP_DEBUG && mg_log_get_level() >= MG_LOG_DEBUG)
		log_line(fmt, ap);
	return 0;
}

static int on_record(void *ctx, void *record, size_t len)
{
	struct mg_dp *dp = ctx;
	struct mg_dp_syn syn;

	if (dp->on_syn && !mg_dp_maps_read_syn(&syn, record, len))
		dp->on_syn(dp->on_syn_ctx, &syn);
	return 0;
}

static int claim_port(struct mg_dp *dp, const char *name)
{
	struct port *p = &dp->ports[dp->n_ports];

	*p = (struct port){ .ifindex = if_nametoindex(name) };
	if (!p->ifindex) {
		int err = -errno;

		mg_error("interface %s: %s", name, strerror(-err));
		return err;
	}
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->claim = mg_claim(name, p->ifindex);
	if (p->claim < 0)
		return p->claim;
	dp->n_ports++;
	return 0;
}

static int claim_ports(struct mg_dp *dp, const struct mg_config *cfg)
{
	int err = 0;

	dp->ports = calloc(cfg->n_interfaces + cfg->cpe.n_lan + 1, sizeof(*dp->ports));
	dp->list = calloc(cfg->n_interfaces + 1, sizeof(*dp->list));
	if (!dp->ports || !dp->list)
		return -ENOMEM;
	for (size_t i = 0; !err && i < cfg->n_interfaces; i++)
		err = claim_port(dp, cfg->interfaces[i].name);
	for (size_t i = 0; !err && i < cfg->cpe.n_lan; i++)
		err = claim_port(dp, cfg->cpe.lan[i]);
	if (!err)
		dp->n = cfg->n_interfaces;
	return err;
}

static int create_maps(struct mg_dp *dp)
{
	struct mg_xdp_bpf *s = mg_xdp_bpf__open();
	int err;

	if (!s)
		return -errno;
	dp->shared = s;
	bpf_program__set_autoload(s->progs.mg_xdp, false);
	mg_bpffs_adopt(&dp->bpffs, s->maps.mg_classes);
	mg_bpffs_adopt(&dp->bpffs, s->maps.mg_verdicts);
	mg_bpffs_adopt(&dp->bpffs, s->maps.mg_reasons);
	mg_bpffs_adopt(&dp->bpffs, s->maps.mg_event_stats);
	err = mg_xdp_bpf__load(s);
	if (err) {
		mg_error("cannot create the BPF maps: %s", strerror(-err));
		return err;
	}
	dp->maps = (struct mg_dp_maps){
		.converters = bpf_map__fd(s->maps.mg_converters),
		.classes = bpf_map__fd(s->maps.mg_classes),
		.verdicts = bpf_map__fd(s->maps.mg_verdicts),
		.reasons = bpf_map__fd(s->maps.mg_reasons),
		.event_stats = bpf_map__fd(s->maps.mg_event_stats),
		.synack = -1,
		.n_cpus = (unsigned int)libbpf_num_possible_cpus(),
	};
	dp->ring = ring_buffer__new(bpf_map__fd(s->maps.mg_events), on_record, dp, NULL);
	return dp->ring ? 0 : -errno;
}

/* But for those it shares with an object that is pinned already. */
static int pin_maps(const struct mg_dp *dp, const struct bpf_object *obj,
		    const struct bpf_object *pinned)
{
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, obj)
	{
		if (err || bpf_map__is_internal(map) ||
		    (pinned && bpf_object__find_map_by_name(pinned, bpf_map__name(map))))
			continue;
		err = mg_bpffs_pin(&dp->bpffs, bpf_map__fd(map), bpf_map__name(map));
	}
	return err;
}

static void remove_holder(struct mg_dp *dp)
{
	if (!dp->holder)
		return;
	mg_holder_close(dp->holder);
	free(dp->holder);
	dp->holder = NULL;
}

/* What is intercepted depends on it, a converter does without. */
static int start_holder(struct mg_dp *dp, const struct mg_config *cfg)
{
	bool needed = mg_holder_is_needed(cfg);
	int err;

	if (!mg_holder_is_wanted(cfg)) {
		mg_holder_clear();
		return 0;
	}
	dp->holder = calloc(1, sizeof(*dp->holder));
	if (!dp->holder)
		return -ENOMEM;
	err = mg_holder_open(dp->holder, cfg, &dp->bpffs, dp->maps.converters);
	if (!err)
		return 0;
	if (err == -EBUSY && dp->holder->rival)
		mg_log(needed ? MG_LOG_ERROR : MG_LOG_WARNING,
		       "SYNs are already held in this network namespace by mpgated, pid %d",
		       dp->holder->rival);
	remove_holder(dp);
	if (needed)
		return err;
	mg_warn("no SYN is held (%s): converter.reply is at-once", strerror(-err));
	return 0;
}

/* Packets from servers to addresses of clients; those a hybrid learns from. */
static bool wants_core(const struct mg_config *cfg)
{
	return cfg->converter.source == MG_SOURCE_PRESERVED || cfg->intercept.mode != MG_MODE_OFF;
}

static int load_tc(struct mg_dp *dp)
{
	int err;

	dp->tc = mg_tc_bpf__open_and_load();
	if (dp->tc)
		return 0;
	err = -errno;
	mg_error("cannot load the TC program: %s", strerror(-err));
	return err;
}

static int start_programs(struct mg_dp *dp, const struct mg_config *cfg)
{
	int err = start_holder(dp, cfg);

	/* What a killed daemon left is taken over by now, or not wanted. */
	mg_bpffs_clear(&dp->bpffs);
	if (!err)
		err = pin_maps(dp, dp->shared->obj, NULL);
	if (!err && dp->holder)
		err = pin_maps(dp, dp->holder->bpf->obj, dp->shared->obj);
	if (!err && wants_core(cfg) && !dp->holder)
		err = load_tc(dp);
	return err;
}

/* The program that belongs at the ingress of an interface; -1: none does. */
static int tc_program(const struct mg_dp *dp, const struct mg_config *cfg, enum mg_role role)
{
	const struct mg_hold_bpf *hold = dp->holder ? dp->holder->bpf : NULL;

	if (role == MG_ROLE_CORE) {
		if (!wants_core(cfg))
			return -1;
		return bpf_program__fd(hold ? hold->progs.mg_hold_core : dp->tc->progs.mg_tc);
	}
	return hold && mg_holder_is_for_access(cfg) ? bpf_program__fd(hold->progs.mg_hold) : -1;
}

static int attach_tc(struct port *p, int prog_fd)
{
	if (prog_fd >= 0)
		return mg_tc_attach(&p->tc, p->name, p->ifindex, prog_fd);
	mg_tc_remove_stale(p->ifindex);
	return 0;
}

static int attach_port(struct mg_dp *dp, size_t i, const struct mg_config *cfg)
{
	const struct mg_config_interface *ifc = &cfg->interfaces[i];
	struct mg_dp_interface *shown = &dp->list[i];
	struct port *p = &dp->ports[i];
	int err = mg_xdp_attach(&p->xdp, ifc, p->ifindex, dp->shared);

	if (err)
		return err;
	err = attach_tc(p, tc_program(dp, cfg, ifc->role));
	*shown = (struct mg_dp_interface){
		.role = ifc->role,
		.xdp_mode = p->xdp.mode,
		.prog_id = p->xdp.prog_id,
	};
	memcpy(shown->name, ifc->name, sizeof(shown->name));
	return err;
}

static int attach_ports(struct mg_dp *dp, const struct mg_config *cfg)
{
	int err = 0;

	for (size_t i = 0; !err && i < dp->n; i++)
		err = attach_port(dp, i, cfg);
	for (size_t i = dp->n; !err && i < dp->n_ports; i++)
		err = attach_tc(&dp->ports[i], bpf_program__fd(dp->holder->bpf->progs.mg_hold_lan));
	return err;
}

/* Without it Extended TCP Header TLVs stay empty; nothing else depends on it.
 */
static void start_sockops(struct mg_dp *dp, const char *runtime_dir)
{
	int err;

	dp->sockops = mg_sockops_bpf__open_and_load();
	err = dp->sockops ? 0 : -errno;
	if (!err)
		err = mg_cgroup_attach(&dp->cgroup, dp->sockops->progs.mg_sockops, runtime_dir);
	if (!err)
		err = pin_maps(dp, dp->sockops->obj, NULL);
	if (!err) {
		dp->maps.synack = bpf_map__fd(dp->sockops->maps.mg_synack);
		return;
	}
	mg_warn("sockops: %s; servers' SYN+ACK options will not be known", strerror(-err));
	mg_cgroup_detach(&dp->cgroup);
	mg_sockops_bpf__destroy(dp->sockops);
	dp->sockops = NULL;
}

int mg_dp_open(struct mg_dp **out, const struct mg_config *cfg)
{
	struct mg_dp *dp = calloc(1, sizeof(*dp));
	int err;

	*out = NULL;
	if (!dp)
		return -ENOMEM;
	dp->bpffs.lock_fd = -1;
	dp->cgroup.root_procs_fd = -1;
	libbpf_set_print(log_libbpf);
	libxdp_set_print(log_libxdp);

	err = claim_ports(dp, cfg);
	if (!err)
		err = mg_bpffs_open(&dp->bpffs, cfg->bpffs);
	if (!err)
		err = create_maps(dp);
	if (!err)
		err = start_programs(dp, cfg);
	if (!err)
		err = attach_ports(dp, cfg);
	if (err) {
		mg_dp_close(dp);
		return err;
	}
	start_sockops(dp, cfg->runtime_dir);
	*out = dp;
	return 0;
}

void mg_dp_close(struct mg_dp *dp)
{
	if (!dp)
		return;
	if (dp->holder)
		mg_holder_pass_all(dp->holder);
	mg_cgroup_detach(&dp->cgroup);
	for (size_t i = dp->n_ports; i-- > 0;) {
		mg_tc_detach(&dp->ports[i].tc);
		mg_xdp_detach(&dp->ports[i].xdp);
	}
	ring_buffer__free(dp->ring);
	mg_sockops_bpf__destroy(dp->sockops);
	mg_tc_bpf__destroy(dp->tc);
	remove_holder(dp);
	mg_xdp_bpf__destroy(dp->shared);
	mg_bpffs_close(&dp->bpffs);
	/* Last: a successor must find everything gone. */
	for (size_t i = 0; i < dp->n_ports; i++)
		close(dp->ports[i].claim);
	free(dp->ports);
	free(dp->list);
	free(dp);
}

uint64_t mg_dp_extra_caps(const struct mg_dp *dp)
{
	uint64_t caps = 0;

	for (size_t i = 0; i < dp->n; i++)
		if (dp->ports[i].xdp.skel && !dp->ports[i].xdp.alone)
			caps |= 1ULL << CAP_SYS_ADMIN;
	if (dp->bpffs.mount_point[0])
		caps |= 1ULL << CAP_SYS_ADMIN;
	if (dp->cgroup.child[0])
		caps |= 1ULL << CAP_DAC_OVERRIDE;
	return caps;
}

static void look_at_xdp(struct mg_dp *dp)
{
	for (size_t i = 0; i < dp->n; i++) {
		struct mg_dp_interface *shown = &dp->list[i];

		if (!shown->prog_id || mg_xdp_is_attached(&dp->ports[i].xdp))
			continue;
		shown->xdp_mode = "lost";
		shown->prog_id = 0;
		mg_warn("interface %s: the XDP program is not attached any more; restart "
			"mpgated "
			"to have it back",
			shown->name);
	}
}

static void look_at_tc(struct mg_tc *tc, const char *interface)
{
	if (!tc->ifindex || mg_tc_is_attached(tc))
		return;
	mg_warn("interface %s: the TC filter is not attached any more; restart "
		"mpgated to have it "
		"back",
		interface);
	*tc = (struct mg_tc){ 0 };
}

void mg_dp_look(struct mg_dp *dp)
{
	look_at_xdp(dp);
	for (size_t i = 0; i < dp->n_ports; i++)
		look_at_tc(&dp->ports[i].tc, dp->ports[i].name);
	if (dp->holder)
		mg_holder_look(dp->holder);
}

unsigned int mg_dp_workers(const struct mg_config *cfg)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	long n = cfg->workers ? (long)cfg->workers : cpus;

	return n < 1 ? 1 : n > MG_WORKERS_MAX ? MG_WORKERS_MAX : (unsigned int)n;
}

struct mg_holder *mg_dp_holder(struct mg_dp *dp)
{
	return dp->holder;
}

void mg_dp_stop_holding(struct mg_dp *dp)
{
	if (dp && dp->holder)
		mg_holder_stop(dp->holder);
}

bool mg_dp_can_hold(const struct mg_dp *dp)
{
	return dp->holder || mg_holder_loads();
}

int mg_dp_set_intercept(struct mg_dp *dp, const struct mg_config *cfg)
{
	return dp->holder ? mg_holder_set(dp->holder, cfg) : 0;
}

int mg_dp_set_converters(struct mg_dp *dp, const struct mg_ep *eps, size_t n)
{
	int err = mg_dp_maps_set_converters(&dp->maps, eps, n);

	if (err)
		mg_error("cannot tell the data plane its %zu converter addresses: %s", n,
			 strerror(-err));
	return err;
}

size_t mg_dp_interfaces(const struct mg_dp *dp, const struct mg_dp_interface **list)
{
	*list = dp->list;
	return dp->n;
}

int mg_dp_counters_read(struct mg_dp *dp, struct mg_dp_counters *out)
{
	return mg_dp_maps_counters(&dp->maps, out);
}

bool mg_dp_has_synack(const struct mg_dp *dp)
{
	return dp->maps.synack >= 0;
}

int mg_dp_synack_take(struct mg_dp *dp, const struct mg_ep *local, const struct mg_ep *peer,
		      uint8_t opts[40])
{
	return mg_dp_maps_synack_take(&dp->maps, local, peer, opts);
}

int mg_dp_events_fd(const struct mg_dp *dp)
{
	return ring_buffer__epoll_fd(dp->ring);
}

int mg_dp_events_poll(struct mg_dp *dp, void (*on_syn)(void *ctx, const struct mg_dp_syn *syn),
		      void *ctx)
{
	dp->on_syn = on_syn;
	dp->on_syn_ctx = ctx;
	return ring_buffer__consume(dp->ring);
}
