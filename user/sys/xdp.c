// SPDX-License-Identifier: BSD-2-Clause
#include "sys/xdp.h"

#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include <bpf/bpf.h>
#include <xdp/libxdp.h>

#include "base/log.h"
#include "skel/xdp.skel.h"

#define PROGRAM_NAME	"mg_xdp"
#define PROGRAM_SECTION "xdp.frags"
#define STALE_MAX	16 /* more than a dispatcher has room for */

static bool is_ours(const struct xdp_program *program)
{
	const char *name = program ? xdp_program__name(program) : NULL;

	return name && !strcmp(name, PROGRAM_NAME);
}

/* True if one was found and taken away. */
static bool remove_one_stale(struct xdp_multiprog *mp, unsigned int ifindex)
{
	enum xdp_attach_mode mode = xdp_multiprog__attach_mode(mp);

	if (xdp_multiprog__is_legacy(mp))
		return is_ours(xdp_multiprog__main_prog(mp)) && !xdp_multiprog__detach(mp);
	for (struct xdp_program *p = xdp_multiprog__next_prog(NULL, mp); p;
	     p = xdp_multiprog__next_prog(p, mp))
		if (is_ours(p))
			return !xdp_program__detach(p, (int)ifindex, mode, 0);
	return false;
}

static void remove_stale(const char *interface, unsigned int ifindex)
{
	bool removed = true;

	for (int i = 0; removed && i < STALE_MAX; i++) {
		struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)ifindex);

		if (libxdp_get_error(mp))
			return;
		removed = remove_one_stale(mp, ifindex);
		xdp_multiprog__close(mp);
		if (removed)
			mg_debug("interface %s: took away a left-over XDP program", interface);
	}
}

static int share_maps(struct mg_xdp_bpf *skel, const struct mg_xdp_bpf *maps)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
	{
		int fd = bpf_object__find_map_fd_by_name(maps->obj, bpf_map__name(map));
		int err = fd < 0 ? fd : bpf_map__reuse_fd(map, fd);

		if (err)
			return err;
	}
	return 0;
}

static void release(struct mg_xdp *x)
{
	if (x->program)
		xdp_program__close(x->program);
	mg_xdp_bpf__destroy(x->skel);
	*x = (struct mg_xdp){ .mode = "off" };
}

/* libxdp decides on its way whether the program runs behind a dispatcher: each try has its own. */
static int attach_in(struct mg_xdp *x, unsigned int ifindex, bool generic,
		     const struct mg_xdp_bpf *maps)
{
	int err;

	*x = (struct mg_xdp){ .ifindex = ifindex, .generic = generic };
	x->skel = mg_xdp_bpf__open();
	if (!x->skel)
		return -errno;
	err = share_maps(x->skel, maps);
	if (err)
		goto fail;
	x->program = xdp_program__from_bpf_obj(x->skel->obj, PROGRAM_SECTION);
	err = (int)libxdp_get_error(x->program);
	if (err) {
		x->program = NULL;
		goto fail;
	}
	err = xdp_program__attach(x->program, (int)ifindex,
				  generic ? XDP_MODE_SKB : XDP_MODE_NATIVE, 0);
	if (!err)
		return 0;
fail:
	release(x);
	return err;
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
	if (!bpf_obj_get_info_by_fd(xdp_program__fd(x->program), &info, &size))
		x->prog_id = info.id;
}

static void log_failure(const char *interface, int err)
{
	if (err == -EBUSY || err == -EEXIST)
		mg_error("interface %s: another XDP program is attached, not behind libxdp's "
			 "dispatcher; detach it or load it with xdp-loader",
			 interface);
	else
		mg_error("interface %s: cannot attach XDP: %s", interface, strerror(-err));
}

int mg_xdp_attach(struct mg_xdp *x, const struct mg_config_interface *ifc, unsigned int ifindex,
		  const struct mg_xdp_bpf *maps)
{
	int err;

	*x = (struct mg_xdp){ .mode = "off" };
	remove_stale(ifc->name, ifindex);
	if (ifc->xdp == MG_XDP_OFF)
		return 0;
	err = attach_in(x, ifindex, ifc->xdp == MG_XDP_GENERIC, maps);
	if (err && ifc->xdp == MG_XDP_AUTO && err != -EBUSY && err != -EEXIST) {
		mg_warn("interface %s: no native XDP (%s), falling back to generic", ifc->name,
			strerror(-err));
		err = attach_in(x, ifindex, true, maps);
	}
	if (err) {
		log_failure(ifc->name, err);
		return err;
	}
	describe(x);
	mg_info("interface %s: XDP attached, %s, program %u", ifc->name, x->mode, x->prog_id);
	return 0;
}

bool mg_xdp_is_attached(const struct mg_xdp *x)
{
	__u32 id = 0;

	if (bpf_xdp_query_id((int)x->ifindex, x->generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
			     &id))
		return false;
	/* Behind a dispatcher the interface shows the dispatcher's. */
	return x->alone ? id == x->prog_id : id != 0;
}

/* libxdp would look for the program by its id, which takes CAP_SYS_ADMIN. */
static int detach_alone(const struct mg_xdp *x)
{
	DECLARE_LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = xdp_program__fd(x->program));

	return bpf_xdp_detach((int)x->ifindex, x->generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
			      &opts);
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
	release(x);
}
