// SPDX-License-Identifier: BSD-2-Clause
/*
 * The corridor: claim, bpffs, maps, pins, XDP, TC, sockops in this order, and back in the reverse.
 * But for what steers: that stays.
 */
#include "sys/dp.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
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
#include "sys/admission_maps.h"
#include "sys/bpffs.h"
#include "sys/cgroup.h"
#include "sys/dp_former.h"
#include "sys/dp_maps.h"
#include "sys/dp_ports.h"
#include "sys/holder.h"
#include "sys/steer_maps.h"

struct mg_dp {
	struct mg_bpffs bpffs;
	struct mg_admission *admission; /* its maps are all programs' */
	struct mg_xdp_bpf *shared;	/* its maps are everybody's; its program stays unloaded */
	struct mg_tc_bpf *tc;
	struct mg_sockops_bpf *sockops;
	struct mg_cgroup cgroup;
	struct mg_dp_maps maps;
	struct ring_buffer *ring;
	void (*on_syn)(void *ctx, const struct mg_dp_syn *syn);
	void *on_syn_ctx;
	struct mg_holder *holder; /* NULL: no SYN is held */
	struct mg_steer *steer;	  /* NULL: this host neither steers nor is steered to */
	struct mg_dp_former former;
	bool inherits; /* what that steers goes on */
	struct mg_xdp_door door;
	struct mg_dp_ports ports;
};

static int on_record(void *ctx, void *record, size_t len)
{
	struct mg_dp *dp = ctx;
	struct mg_dp_syn syn;

	if (dp->on_syn && !mg_dp_maps_read_syn(&syn, record, len))
		dp->on_syn(dp->on_syn_ctx, &syn);
	return 0;
}

static int create_maps(struct mg_dp *dp, const struct mg_config *cfg)
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
	err = mg_holder_prepare(s->obj, cfg, &dp->bpffs);
	if (!err)
		err = mg_admission_share(dp->admission, s->obj);
	if (!err)
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

static bool has_map(const struct bpf_object *obj, const struct bpf_map *map)
{
	return obj && bpf_object__find_map_by_name(obj, bpf_map__name(map));
}

/* But for those it shares with an object that is pinned already; that of admission is the first. */
static int pin_maps(const struct mg_dp *dp, const struct bpf_object *obj,
		    const struct bpf_object *pinned)
{
	const struct bpf_object *first = mg_admission_object(dp->admission);
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, obj)
	{
		if (err || bpf_map__is_internal(map) || has_map(pinned, map) ||
		    (obj != first && has_map(first, map)))
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

	if (!mg_holder_is_wanted(cfg))
		return 0;
	dp->holder = calloc(1, sizeof(*dp->holder));
	if (!dp->holder)
		return -ENOMEM;
	err = mg_holder_open(dp->holder, cfg, &dp->bpffs, dp->shared->obj);
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

/* Packets from servers to addresses of clients or of a pool; those a hybrid learns from. */
static bool wants_core(const struct mg_config *cfg)
{
	return mg_config_may_borrow(cfg) || cfg->intercept.mode != MG_MODE_OFF;
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

static bool steers(const struct mg_steer *steer)
{
	return steer && mg_steer_persists(steer);
}

/* Without maps of our own to tell: all that is there. */
static bool keeps(const void *ctx, const char *name)
{
	const struct mg_dp *dp = ctx;

	return !dp->steer || !dp->steer->ring || mg_steer_keeps(dp->steer, name);
}

static int start_steering(struct mg_dp *dp, const struct mg_config *cfg)
{
	if (!mg_steer_is_wanted(cfg))
		return 0;
	dp->steer = calloc(1, sizeof(*dp->steer));
	return dp->steer ? mg_steer_open(dp->steer, cfg, &dp->bpffs, dp->shared->obj, dp->admission)
			 : -ENOMEM;
}

/* As a former daemon has numbered it */
static uint32_t group_of(void *ctx, const char *name)
{
	const struct mg_dp *dp = ctx;
	struct mg_steer_group g;

	for (uint16_t i = 1; dp->steer && i < MG_GROUPS_MAX; i++)
		if (!mg_steer_get_group(dp->steer, i, &g) && g.used &&
		    !strncmp(g.name, name, sizeof(g.name)))
			return i;
	return 0;
}

static int start_programs(struct mg_dp *dp, const struct mg_config *cfg)
{
	const struct mg_bpffs_kept kept = { .keeps = dp->inherits ? keeps : NULL, .ctx = dp };
	int err = start_holder(dp, cfg);

	if (!err)
		err = start_steering(dp, cfg);
	if (!err)
		err = mg_admission_apply_early(dp->admission, cfg, group_of, dp);
	/* What a killed daemon left is taken over by now, or not wanted. */
	if (!err)
		mg_bpffs_clear(&dp->bpffs, &kept);
	if (!err)
		err = pin_maps(dp, mg_admission_object(dp->admission), NULL);
	if (!err)
		err = pin_maps(dp, dp->shared->obj, NULL);
	if (!err && dp->holder)
		err = pin_maps(dp, dp->holder->bpf->obj, dp->shared->obj);
	if (!err && wants_core(cfg) && !dp->holder)
		err = load_tc(dp);
	return err;
}

static struct bpf_object *open_door(const struct mg_xdp_door *door, enum mg_role role, void **skel)
{
	struct mg_xdp_bpf *bpf = mg_xdp_bpf__open();
	const struct mg_dp *dp = door->ctx;
	int err;

	*skel = bpf;
	if (!bpf)
		return NULL;
	bpf->rodata->mg_side = role == MG_ROLE_CORE ? MG_SIDE_CORE : MG_SIDE_ACCESS;
	err = mg_xdp_share_maps(bpf->obj, dp->shared->obj);
	if (!err)
		err = mg_admission_share(dp->admission, bpf->obj);
	if (!err)
		return bpf->obj;
	mg_xdp_bpf__destroy(bpf);
	*skel = NULL;
	errno = -err;
	return NULL;
}

static void close_door(void *skel)
{
	mg_xdp_bpf__destroy(skel);
}

/* The programs that belong at the ingress of an interface; -1: none does. */
static struct mg_doors doors_of(struct mg_dp *dp, const struct mg_config *cfg)
{
	const struct mg_hold_bpf *hold = dp->holder ? dp->holder->bpf : NULL;
	struct mg_doors doors = { .tc_access = -1, .tc_core = -1, .tc_lan = -1 };

	dp->door = (struct mg_xdp_door){
		.program = "mg_xdp", .open = open_door, .destroy = close_door, .ctx = dp
	};
	doors.xdp = dp->steer ? &dp->steer->door : &dp->door;
	if (wants_core(cfg))
		doors.tc_core =
			bpf_program__fd(hold ? hold->progs.mg_hold_core : dp->tc->progs.mg_tc);
	if (hold && mg_holder_is_for_access(cfg))
		doors.tc_access = bpf_program__fd(hold->progs.mg_hold);
	if (hold)
		doors.tc_lan = bpf_program__fd(hold->progs.mg_hold_lan);
	return doors;
}

static int attach_all(struct mg_dp *dp, const struct mg_config *cfg)
{
	const struct mg_doors doors = doors_of(dp, cfg);
	int err = mg_dp_ports_attach(&dp->ports, cfg, &doors);

	if (!err && dp->former.map_id)
		mg_dp_ports_clean_others(&dp->ports, dp->former.map_id);
	if (err || !dp->steer)
		return err;
	mg_steer_settle(dp->steer);
	return pin_maps(dp, mg_steer_object(dp->steer), dp->shared->obj);
}

/* Without it Extended TCP Header TLVs stay empty; nothing else depends on it.
 */
static void start_sockops(struct mg_dp *dp, const char *runtime_dir)
{
	int err;

	dp->sockops = mg_sockops_bpf__open();
	err = dp->sockops ? mg_admission_share(dp->admission, dp->sockops->obj) : -errno;
	if (!err)
		err = mg_sockops_bpf__load(dp->sockops);
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

static void look_back(struct mg_dp *dp, const struct mg_config *cfg)
{
	if (cfg->steer.is_gateway)
		mg_dp_former_pin(&dp->bpffs, &dp->ports);
	dp->former = mg_dp_former_look(&dp->bpffs);
	dp->inherits = dp->former.steers && cfg->steer.is_gateway;
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
	mg_dp_log_libraries();
	err = mg_dp_ports_claim(&dp->ports, cfg);
	if (!err)
		err = mg_bpffs_open(&dp->bpffs, cfg->bpffs);
	if (!err) {
		look_back(dp, cfg);
		err = mg_admission_open(&dp->admission, cfg);
	}
	if (!err)
		err = create_maps(dp, cfg);
	if (!err)
		err = start_programs(dp, cfg);
	if (!err)
		err = attach_all(dp, cfg);
	if (err) {
		mg_dp_close(dp);
		return err;
	}
	start_sockops(dp, cfg->runtime_dir);
	*out = dp;
	return 0;
}

static void remove_steering(struct mg_dp *dp)
{
	if (dp->steer)
		mg_steer_close(dp->steer);
	free(dp->steer);
}

void mg_dp_close(struct mg_dp *dp)
{
	struct mg_bpffs_kept kept = { .ctx = dp };
	bool stays;

	if (!dp)
		return;
	stays = dp->inherits || steers(dp->steer);
	kept.keeps = stays ? keeps : NULL;
	if (dp->holder)
		mg_holder_pass_all(dp->holder);
	mg_cgroup_detach(&dp->cgroup);
	mg_dp_ports_detach(&dp->ports, stays);
	ring_buffer__free(dp->ring);
	mg_sockops_bpf__destroy(dp->sockops);
	mg_tc_bpf__destroy(dp->tc);
	remove_holder(dp);
	mg_xdp_bpf__destroy(dp->shared);
	mg_bpffs_close(&dp->bpffs, &kept);
	remove_steering(dp);
	mg_admission_close(dp->admission);
	/* Last: a successor must find everything gone. */
	mg_dp_ports_close(&dp->ports);
	free(dp);
}

uint64_t mg_dp_extra_caps(const struct mg_dp *dp)
{
	bool stays = dp->steer && dp->steer->is_gateway;
	uint64_t caps = 0;

	for (size_t i = 0; i < dp->ports.n && !stays; i++)
		if (dp->ports.at[i].xdp.skel && !dp->ports.at[i].xdp.alone)
			caps |= 1ULL << CAP_SYS_ADMIN;
	if (dp->bpffs.mount_point[0] && !stays)
		caps |= 1ULL << CAP_SYS_ADMIN;
	if (dp->cgroup.child[0])
		caps |= 1ULL << CAP_DAC_OVERRIDE;
	return caps;
}

void mg_dp_look(struct mg_dp *dp)
{
	mg_dp_ports_look(&dp->ports);
	if (dp->holder)
		mg_holder_look(dp->holder);
}

unsigned int mg_dp_workers(const struct mg_config *cfg)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	long n = cfg->workers ? (long)cfg->workers : cpus;

	return n < 1 ? 1 : n > MG_WORKERS_MAX ? MG_WORKERS_MAX : (unsigned int)n;
}

struct mg_steer *mg_dp_steer(struct mg_dp *dp)
{
	return dp->steer;
}

struct mg_admission *mg_dp_admission(struct mg_dp *dp)
{
	return dp->admission;
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

int mg_dp_set_converters(struct mg_dp *dp, const struct mg_ep *eps, size_t n,
			 const struct mg_ep *joins, size_t n_joins)
{
	int err = mg_dp_maps_set_converters(&dp->maps, eps, n, joins, n_joins);

	if (err)
		mg_error("cannot tell the data plane its %zu converter addresses: %s", n + n_joins,
			 strerror(-err));
	return err;
}

size_t mg_dp_interfaces(const struct mg_dp *dp, const struct mg_dp_interface **list)
{
	*list = dp->ports.list;
	return dp->ports.n;
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
