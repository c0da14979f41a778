// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "skel/steer.skel.h"
#include "sys/admission_maps.h"
#include "sys/steer_maps.h"

/* Of a host that only unwraps: its own sessions, as gateways send them. */
#define FLOWS_OF_PROXY 65536

/* Whose sizes the configuration says */
static const char *const sized[MG_STEER_OLDS] = { "mg_ring", "mg_flows", "mg_pushed",
						  "mg_learned" };

bool mg_steer_is_wanted(const struct mg_config *cfg)
{
	return cfg->steer.n_proxies || cfg->steer.n_gateways;
}

struct bpf_object *mg_steer_object(const struct mg_steer *s)
{
	return s->bpf[MG_SIDE_ACCESS]->obj;
}

static struct bpf_map *map_of(const struct mg_steer *s, const char *name)
{
	return bpf_object__find_map_by_name(mg_steer_object(s), name);
}

/* Groups keep their numbers while they are used, also if there are fewer by now. */
static uint32_t highest_group(const struct mg_bpffs *bpffs)
{
	int map = mg_bpffs_get(bpffs, "mg_groups");
	struct mg_steer_group g;
	uint32_t highest = 0;

	for (uint32_t i = 1; map >= 0 && i < MG_GROUPS_MAX; i++)
		if (!bpf_map_lookup_elem(map, &i, &g) && g.used)
			highest = i;
	if (map >= 0)
		close(map);
	return highest;
}

static int set_sizes(struct mg_steer *s, const struct mg_config *cfg, const struct mg_bpffs *bpffs)
{
	const struct mg_config_gateway *g = &cfg->steer.gateway;
	uint32_t used = s->is_gateway ? highest_group(bpffs) : 0;
	uint32_t sizes[MG_STEER_OLDS] = {
		[MG_STEER_OLD_FLOWS] = s->is_gateway ? g->flows_max : FLOWS_OF_PROXY,
		[MG_STEER_OLD_PUSHED] = g->tokens_max,
		[MG_STEER_OLD_LEARNED] = s->is_gateway ? g->tokens_max : FLOWS_OF_PROXY,
	};
	int err = 0;

	s->n_rings = (uint32_t)cfg->steer.n_groups > used ? (uint32_t)cfg->steer.n_groups : used;
	if (s->n_rings >= MG_GROUPS_MAX)
		return -E2BIG;
	sizes[MG_STEER_OLD_RING] = (s->n_rings + 1) * MG_RING_SLOTS;
	for (size_t i = 0; i < MG_STEER_OLDS && !err; i++)
		err = bpf_map__set_max_entries(map_of(s, sized[i]), sizes[i]);
	return err;
}

/* How many it has room for, if its entries fit into the map, but not it itself; or 0. */
static uint32_t can_be_copied(int fd, const struct bpf_map *map)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size) || info.type != (__u32)bpf_map__type(map) ||
	    info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map) ||
	    info.max_entries == bpf_map__max_entries(map))
		return 0;
	return info.max_entries;
}

static void keep_old(struct mg_steer *s, const struct mg_bpffs *bpffs)
{
	for (size_t i = 0; i < MG_STEER_OLDS; i++) {
		const struct bpf_map *map = map_of(s, sized[i]);
		int fd = mg_bpffs_get(bpffs, sized[i]);
		uint32_t room = fd < 0 ? 0 : can_be_copied(fd, map);

		s->old[i].is_larger = room > bpf_map__max_entries(map);
		if (room)
			s->old[i].fd = fd;
		else if (fd >= 0)
			close(fd);
	}
}

/* What a former daemon left goes on; of a host that was no gateway, only its counters do. */
static void adopt_maps(struct mg_steer *s, const struct mg_bpffs *bpffs,
		       const struct bpf_object *shared, const struct bpf_object *admission)
{
	struct bpf_map *map;

	if (!s->is_gateway) {
		mg_bpffs_adopt(bpffs, map_of(s, "mg_steer_stats"));
		return;
	}
	keep_old(s, bpffs);
	bpf_object__for_each_map(map, mg_steer_object(s))
	{
		if (!bpf_map__is_internal(map) &&
		    !bpf_object__find_map_by_name(shared, bpf_map__name(map)) &&
		    !bpf_object__find_map_by_name(admission, bpf_map__name(map)))
			mg_bpffs_adopt(bpffs, map);
	}
}

static void copy_old(struct mg_steer *s, size_t i, bool only_missing)
{
	long lost = s->old[i].fd < 0 ? 0 : mg_map_copy(s->old[i].fd, s->old[i].next, only_missing);

	/* A ring is refilled by the daemon, and what it has no room for is no group any more. */
	if (lost < 0)
		mg_warn("%s: what is known cannot be copied to the new map: %s", sized[i],
			strerror((int)-lost));
	else if (lost && i != MG_STEER_OLD_RING)
		mg_warn("%s: no room for %ld entries of the former map", sized[i], lost);
}

static void copy_all(struct mg_steer *s)
{
	for (size_t i = 0; i < MG_STEER_OLDS; i++) {
		s->old[i].next = bpf_map__fd(map_of(s, sized[i]));
		if (s->old[i].fd >= 0)
			mg_info("%s: made anew, with another size", sized[i]);
		copy_old(s, i, false);
	}
}

/* Where there is less room now, that would drive out others that are as good. */
static void copy_missing(struct mg_steer *s, size_t i)
{
	if (!s->old[i].is_larger)
		copy_old(s, i, true);
}

void mg_steer_settle(struct mg_steer *s)
{
	copy_missing(s, MG_STEER_OLD_FLOWS);
	copy_missing(s, MG_STEER_OLD_LEARNED);
	for (size_t i = 0; i < MG_STEER_OLDS; i++) {
		if (s->old[i].fd >= 0)
			close(s->old[i].fd);
		s->old[i].fd = -1;
	}
}

static struct mg_steer_bpf *open_side(enum mg_side side)
{
	struct mg_steer_bpf *bpf = mg_steer_bpf__open();

	if (bpf)
		bpf->rodata->mg_side = side;
	return bpf;
}

static enum mg_side side_of(enum mg_role role)
{
	return role == MG_ROLE_CORE ? MG_SIDE_CORE : MG_SIDE_ACCESS;
}

/* One that is attached, of an interface of its own */
static struct bpf_object *open_door(const struct mg_xdp_door *door, enum mg_role role, void **skel)
{
	const struct mg_steer *s = door->ctx;
	struct mg_steer_bpf *bpf = open_side(side_of(role));
	int err;

	*skel = bpf;
	if (!bpf)
		return NULL;
	bpf_program__set_autoload(bpf->progs.mg_locate, false);
	err = mg_xdp_share_maps(bpf->obj, mg_steer_object(s));
	if (!err)
		return bpf->obj;
	mg_steer_bpf__destroy(bpf);
	*skel = NULL;
	errno = -err;
	return NULL;
}

static void close_door(void *skel)
{
	mg_steer_bpf__destroy(skel);
}

static int load_side(struct mg_steer *s, enum mg_side side, const struct bpf_object *maps)
{
	struct mg_steer_bpf *bpf = s->bpf[side];
	int err = mg_xdp_share_maps(bpf->obj, maps);

	bpf_program__set_autoload(bpf->progs.mg_steer, false);
	if (!err)
		err = mg_steer_bpf__load(bpf);
	return err;
}

static int map_ring(struct mg_steer *s)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = ((size_t)s->n_rings + 1) * MG_RING_SLOTS * sizeof(*s->ring);
	void *at;

	bytes = (bytes + page - 1) / page * page;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		  bpf_map__fd(map_of(s, "mg_ring")), 0);
	if (at == MAP_FAILED)
		return -errno;
	s->ring = at;
	s->ring_bytes = bytes;
	return 0;
}

static void note_maps(struct mg_steer *s)
{
	const struct mg_steer_bpf *b = s->bpf[MG_SIDE_ACCESS];

	s->gateway = bpf_map__fd(b->maps.mg_gateway);
	s->proxies = bpf_map__fd(b->maps.mg_proxies);
	s->groups = bpf_map__fd(b->maps.mg_groups);
	s->virtuals = bpf_map__fd(b->maps.mg_virtual);
	s->rules = bpf_map__fd(b->maps.mg_rules);
	s->neighbours = bpf_map__fd(b->maps.mg_neighbours);
	s->mine = bpf_map__fd(b->maps.mg_mine);
	s->peers = bpf_map__fd(b->maps.mg_peers);
	s->pushed = bpf_map__fd(b->maps.mg_pushed);
	s->learned = bpf_map__fd(b->maps.mg_learned);
	s->stats = bpf_map__fd(b->maps.mg_steer_stats);
	s->n_cpus = (unsigned int)libbpf_num_possible_cpus();
}

static int note_ports(struct mg_steer *s, const struct mg_config *cfg)
{
	s->ports = calloc(cfg->n_interfaces + 1, sizeof(*s->ports));
	if (!s->ports)
		return -ENOMEM;
	for (size_t i = 0; i < cfg->n_interfaces; i++) {
		const struct mg_config_interface *ifc = &cfg->interfaces[i];
		struct mg_steer_port *p = &s->ports[s->n_ports];

		if (ifc->xdp == MG_XDP_OFF)
			continue;
		memcpy(p->name, ifc->name, sizeof(p->name));
		p->ifindex = if_nametoindex(ifc->name);
		p->side = side_of(ifc->role);
		s->n_ports++;
	}
	return 0;
}

static int load(struct mg_steer *s, const struct mg_config *cfg, const struct mg_bpffs *bpffs,
		const struct bpf_object *shared, struct mg_admission *admission)
{
	int err = set_sizes(s, cfg, bpffs);

	if (!err) {
		adopt_maps(s, bpffs, shared, mg_admission_object(admission));
		err = mg_admission_share(admission, mg_steer_object(s));
	}
	if (!err)
		err = load_side(s, MG_SIDE_ACCESS, shared);
	if (!err)
		err = load_side(s, MG_SIDE_CORE, mg_steer_object(s));
	if (err)
		return err;
	note_maps(s);
	copy_all(s);
	err = map_ring(s);
	return err ? err : note_ports(s, cfg);
}

int mg_steer_open(struct mg_steer *s, const struct mg_config *cfg, const struct mg_bpffs *bpffs,
		  const struct bpf_object *shared, struct mg_admission *admission)
{
	int err = 0;

	*s = (struct mg_steer){
		.is_gateway = cfg->steer.is_gateway,
		.door = { .program = "mg_steer",
			  .open = open_door,
			  .destroy = close_door,
			  .ctx = s,
			  .steady = cfg->steer.is_gateway },
	};
	for (size_t i = 0; i < MG_STEER_OLDS; i++)
		s->old[i].fd = -1;
	for (int side = 0; side < 2; side++) {
		s->bpf[side] = open_side((enum mg_side)side);
		if (!s->bpf[side])
			err = -errno;
	}
	if (!err)
		err = load(s, cfg, bpffs, shared, admission);
	if (err)
		mg_error("cannot load the programs that steer: %s", strerror(-err));
	return err;
}

void mg_steer_close(struct mg_steer *s)
{
	for (size_t i = 0; i < MG_STEER_OLDS; i++)
		if (s->old[i].fd >= 0)
			close(s->old[i].fd);
	if (s->ring)
		munmap(s->ring, s->ring_bytes);
	mg_steer_bpf__destroy(s->bpf[MG_SIDE_CORE]);
	mg_steer_bpf__destroy(s->bpf[MG_SIDE_ACCESS]);
	free(s->ports);
	*s = (struct mg_steer){ 0 };
}

bool mg_steer_persists(const struct mg_steer *s)
{
	struct mg_gateway g;
	__u32 zero = 0;

	/* One that never came so far as to steer leaves nothing. */
	return s->is_gateway && s->ring && !bpf_map_lookup_elem(s->gateway, &zero, &g) && g.steers;
}

bool mg_steer_keeps(const void *s, const char *map)
{
	return map_of(s, map) != NULL;
}
