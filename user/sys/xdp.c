// SPDX-License-Identifier: BSD-2-Clause
#include "sys/xdp.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "base/log.h"

#define STALE_MAX 16  /* more than a dispatcher has room for */
#define MAPS_MAX  128 /* of a program */

/* What mpgated attaches */
static const char *const programs[] = { "mg_xdp", "mg_steer" };

static bool is_ours(const struct xdp_program *program)
{
	const char *name = program ? xdp_program__name(program) : NULL;

	for (size_t i = 0; name && i < sizeof(programs) / sizeof(*programs); i++)
		if (!strcmp(name, programs[i]))
			return true;
	return false;
}

struct maps {
	__u32 n, ids[MAPS_MAX];
};

static struct maps maps_of(uint32_t prog_id)
{
	struct maps maps = { 0 };
	struct bpf_prog_info info = { .nr_map_ids = MAPS_MAX,
				      .map_ids = (__u64)(uintptr_t)maps.ids };
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd < 0)
		return maps;
	if (!bpf_obj_get_info_by_fd(fd, &info, &size))
		maps.n = info.nr_map_ids > MAPS_MAX ? MAPS_MAX : info.nr_map_ids;
	close(fd);
	return maps;
}

static bool uses_map(uint32_t prog_id, uint32_t map_id)
{
	const struct maps maps = maps_of(prog_id);

	for (__u32 i = 0; i < maps.n; i++)
		if (maps.ids[i] == map_id)
			return true;
	return false;
}

struct stale {
	uint32_t map_id;  /* 0, or only what uses this map */
	uint32_t kept_id; /* 0, or the program that is to stay */
};

static bool is_stale(const struct xdp_program *program, const struct stale *which)
{
	uint32_t id = program ? xdp_program__id(program) : 0;

	return is_ours(program) && (!which->kept_id || id != which->kept_id) &&
	       (!which->map_id || uses_map(id, which->map_id));
}

/* True if one was found and taken away. */
static bool remove_one_stale(struct xdp_multiprog *mp, unsigned int ifindex,
			     const struct stale *which)
{
	enum xdp_attach_mode mode = xdp_multiprog__attach_mode(mp);

	if (xdp_multiprog__is_legacy(mp))
		return is_stale(xdp_multiprog__main_prog(mp), which) && !xdp_multiprog__detach(mp);
	for (struct xdp_program *p = xdp_multiprog__next_prog(NULL, mp); p;
	     p = xdp_multiprog__next_prog(p, mp))
		if (is_stale(p, which))
			return !xdp_program__detach(p, (int)ifindex, mode, 0);
	return false;
}

static void remove_stale(const char *interface, unsigned int ifindex, const struct stale *which)
{
	bool removed = true;

	for (int i = 0; removed && i < STALE_MAX; i++) {
		struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)ifindex);

		if (libxdp_get_error(mp))
			return;
		removed = remove_one_stale(mp, ifindex, which);
		xdp_multiprog__close(mp);
		if (removed)
			mg_debug("interface %s: took away a left-over XDP program", interface);
	}
}

void mg_xdp_remove_stale(const char *interface, unsigned int ifindex)
{
	remove_stale(interface, ifindex, &(struct stale){ 0 });
}

void mg_xdp_remove_user(const char *interface, unsigned int ifindex, uint32_t map_id)
{
	remove_stale(interface, ifindex, &(struct stale){ .map_id = map_id });
}

int mg_xdp_share_maps(struct bpf_object *obj, const struct bpf_object *from)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		const char *name = bpf_map__name(map);
		int err;

		if (bpf_map__is_internal(map) || !bpf_object__find_map_by_name(from, name))
			continue;
		err = bpf_map__reuse_fd(map, bpf_object__find_map_fd_by_name(from, name));
		if (err)
			return err;
	}
	return 0;
}

void mg_xdp_leave(struct mg_xdp *x)
{
	if (x->program)
		xdp_program__close(x->program);
	if (x->skel)
		x->door->destroy(x->skel);
	*x = (struct mg_xdp){ .mode = "off", .prog_fd = -1 };
}

/* Where to */
struct place {
	const struct mg_config_interface *ifc;
	unsigned int ifindex;
	const struct mg_xdp_door *door;
};

/* libxdp decides on its way whether the program runs behind a dispatcher: each try has its own. */
static int open_object(struct mg_xdp *x, const struct place *to, bool generic)
{
	*x = (struct mg_xdp){
		.door = to->door, .ifindex = to->ifindex, .generic = generic, .prog_fd = -1
	};
	x->obj = to->door->open(to->door, to->ifc->role, &x->skel);
	return x->obj ? 0 : -errno;
}

static struct bpf_program *program_of(const struct mg_xdp *x)
{
	return bpf_object__find_program_by_name(x->obj, x->door->program);
}

static int attach_by_libxdp(struct mg_xdp *x)
{
	const struct bpf_program *p = program_of(x);
	int err;

	x->program = xdp_program__from_bpf_obj(x->obj, p ? bpf_program__section_name(p) : "");
	err = (int)libxdp_get_error(x->program);
	if (err) {
		x->program = NULL;
		return err;
	}
	err = xdp_program__attach(x->program, (int)x->ifindex,
				  x->generic ? XDP_MODE_SKB : XDP_MODE_NATIVE, 0);
	if (!err)
		x->prog_fd = xdp_program__fd(x->program);
	return err;
}

static __u32 mode_flag(bool generic)
{
	return generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

/* libxdp puts nothing in the place of a program that is alone. old_id 0: only if there is none. */
static int attach_alone(struct mg_xdp *x, uint32_t old_id)
{
	__u32 how = old_id ? XDP_FLAGS_REPLACE : XDP_FLAGS_UPDATE_IF_NOEXIST;
	DECLARE_LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	int err = bpf_object__load(x->obj);

	if (err)
		return err;
	x->prog_fd = bpf_program__fd(program_of(x));
	if (old_id)
		opts.old_prog_fd = bpf_prog_get_fd_by_id(old_id);
	if (x->prog_fd < 0 || opts.old_prog_fd < 0)
		return -errno;
	err = bpf_xdp_attach((int)x->ifindex, x->prog_fd, how | mode_flag(x->generic),
			     old_id ? &opts : NULL);
	if (old_id)
		close(opts.old_prog_fd);
	return err;
}

static bool is_occupied(unsigned int ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)ifindex);

	if (libxdp_get_error(mp))
		return false;
	xdp_multiprog__close(mp);
	return true;
}

/*
 * The dispatcher of libxdp before 1.5.5 consists of functions that leave a packet's length alone,
 * and newer kernels (6.14; of 6.12 the stable releases) let nothing take their place that does not.
 * What was refused like that is not loaded; what the driver refused is.
 */
static bool is_refused(const struct mg_xdp *x, int err)
{
	return err && err != -EBUSY && err != -EEXIST && x->obj && program_of(x) &&
	       bpf_program__fd(program_of(x)) < 0;
}

static int attach_refused(struct mg_xdp *x, const struct place *to, int why)
{
	bool generic = x->generic;
	int err;

	mg_xdp_leave(x);
	x->refused = is_occupied(to->ifindex);
	if (x->refused)
		return -EBUSY;
	err = open_object(x, to, generic);
	if (!err)
		err = attach_alone(x, 0);
	if (!err)
		mg_info("interface %s: libxdp's dispatcher does not take %s (%s): attached alone",
			to->ifc->name, to->door->program, strerror(-why));
	return err;
}

static int attach_in(struct mg_xdp *x, const struct place *to, bool generic, uint32_t old_id)
{
	int err = open_object(x, to, generic);
	bool refused;

	if (!err)
		err = old_id ? attach_alone(x, old_id) : attach_by_libxdp(x);
	if (!old_id && is_refused(x, err))
		err = attach_refused(x, to, err);
	refused = x->refused;
	if (err)
		mg_xdp_leave(x);
	x->refused = refused;
	return err;
}

/* What an earlier daemon left, whose place can be taken */
struct left {
	bool found, generic, alone;
	uint32_t id;
	char name[BPF_OBJ_NAME_LEN];
};

static void note_left(struct left *left, const struct xdp_program *program)
{
	if (left->found || !is_ours(program))
		return;
	left->found = true;
	left->id = xdp_program__id(program);
	snprintf(left->name, sizeof(left->name), "%s", xdp_program__name(program));
}

static struct left look(unsigned int ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)ifindex);
	struct xdp_program *p = NULL;
	struct left left = { 0 };

	if (libxdp_get_error(mp))
		return left;
	left.generic = xdp_multiprog__attach_mode(mp) == XDP_MODE_SKB;
	left.alone = xdp_multiprog__is_legacy(mp);
	if (left.alone)
		note_left(&left, xdp_multiprog__main_prog(mp));
	else
		while ((p = xdp_multiprog__next_prog(p, mp)))
			note_left(&left, p);
	xdp_multiprog__close(mp);
	return left;
}

bool mg_xdp_each_map(unsigned int ifindex, const char *program,
		     void (*fn)(void *ctx, int fd, const char *name), void *ctx)
{
	struct left left = look(ifindex);
	struct maps maps;

	if (!left.found || strcmp(left.name, program) != 0)
		return false;
	maps = maps_of(left.id);
	for (__u32 i = 0; i < maps.n; i++) {
		int fd = bpf_map_get_fd_by_id(maps.ids[i]);
		struct bpf_map_info info = { 0 };
		__u32 size = sizeof(info);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size))
			fn(ctx, fd, info.name);
		if (fd >= 0)
			close(fd);
	}
	return maps.n > 0;
}

static bool suits(const struct left *left, enum mg_xdp_want want, const struct mg_xdp_door *door)
{
	if (want == MG_XDP_AUTO)
		return !left->generic || door->steady;
	return left->generic == (want == MG_XDP_GENERIC);
}

static void describe(struct mg_xdp *x)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)x->ifindex);
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);

	x->alone = true;
	if (!libxdp_get_error(mp)) {
		x->alone = xdp_multiprog__is_legacy(mp);
		xdp_multiprog__close(mp);
	}
	if (x->generic)
		x->mode = x->alone ? "generic" : "generic+dispatcher";
	else
		x->mode = x->alone ? "native" : "native+dispatcher";
	if (!bpf_obj_get_info_by_fd(x->prog_fd, &info, &size))
		x->prog_id = info.id;
}

static void log_failure(const char *interface, const struct mg_xdp *x, int err)
{
	if (x->refused)
		mg_error("interface %s: another XDP program is attached, and libxdp's dispatcher "
			 "takes "
			 "none beside it that changes a packet's length (that of libxdp 1.5.5 may)",
			 interface);
	else if (err == -EBUSY || err == -EEXIST)
		mg_error("interface %s: another XDP program is attached, not behind libxdp's "
			 "dispatcher; detach it or load it with xdp-loader",
			 interface);
	else
		mg_error("interface %s: cannot attach XDP: %s", interface, strerror(-err));
}

/* In the place of what was left; -ENOENT: there is nothing whose place could be taken. */
static int take_place(struct mg_xdp *x, const struct place *to)
{
	struct left left = look(to->ifindex);

	if (!left.found || !suits(&left, to->ifc->xdp, to->door))
		return -ENOENT;
	return attach_in(x, to, left.generic, left.alone ? left.id : 0);
}

static int attach_anew(struct mg_xdp *x, const struct place *to)
{
	const struct mg_config_interface *ifc = to->ifc;
	int err;

	mg_xdp_remove_stale(ifc->name, to->ifindex);
	err = attach_in(x, to, ifc->xdp == MG_XDP_GENERIC, 0);
	if (!err || ifc->xdp != MG_XDP_AUTO || err == -EBUSY || err == -EEXIST)
		return err;
	mg_warn("interface %s: no native XDP (%s), falling back to generic", ifc->name,
		strerror(-err));
	return attach_in(x, to, true, 0);
}

int mg_xdp_attach(struct mg_xdp *x, const struct mg_config_interface *ifc, unsigned int ifindex,
		  const struct mg_xdp_door *door)
{
	const struct place to = { .ifc = ifc, .ifindex = ifindex, .door = door };
	int err;

	*x = (struct mg_xdp){ .mode = "off", .prog_fd = -1 };
	if (ifc->xdp == MG_XDP_OFF) {
		mg_xdp_remove_stale(ifc->name, ifindex);
		return 0;
	}
	err = take_place(x, &to);
	/* The program that is in the way may be our own. */
	if (err == -ENOENT || (err && x->refused))
		err = attach_anew(x, &to);
	if (err) {
		log_failure(ifc->name, x, err);
		return err;
	}
	describe(x);
	remove_stale(ifc->name, ifindex, &(struct stale){ .kept_id = x->prog_id });
	mg_info("interface %s: XDP attached, %s, program %u", ifc->name, x->mode, x->prog_id);
	return 0;
}

bool mg_xdp_is_attached(const struct mg_xdp *x)
{
	__u32 id = 0;

	if (bpf_xdp_query_id((int)x->ifindex, (int)mode_flag(x->generic), &id))
		return false;
	/* Behind a dispatcher the interface shows the dispatcher's. */
	return x->alone ? id == x->prog_id : id != 0;
}

/* libxdp would look for the program by its id, which takes CAP_SYS_ADMIN. */
static int detach_alone(const struct mg_xdp *x)
{
	DECLARE_LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = x->prog_fd);

	return bpf_xdp_detach((int)x->ifindex, mode_flag(x->generic), &opts);
}

void mg_xdp_detach(struct mg_xdp *x)
{
	int err;

	if (!x->skel)
		return;
	err = x->alone ? detach_alone(x)
		       : xdp_program__detach(x->program, (int)x->ifindex,
					     x->generic ? XDP_MODE_SKB : XDP_MODE_NATIVE, 0);
	/* The interface may be gone, and the program with it. */
	if (err && err != -ENODEV && err != -ENOENT)
		mg_warn("interface %u: cannot detach XDP: %s", x->ifindex, strerror(-err));
	mg_xdp_leave(x);
}
