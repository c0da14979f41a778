// SPDX-License-Identifier: BSD-2-Clause
#include "sys/dp_former.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "abi/steer.h"
#include "base/log.h"
#include "sys/announce.h"

#define GATEWAY "mg_gateway"

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

void mg_dp_log_libraries(void)
{
	libbpf_set_print(log_libbpf);
	libxdp_set_print(log_libxdp);
}

struct mg_dp_former mg_dp_former_look(const struct mg_bpffs *bpffs)
{
	int fd = mg_bpffs_get(bpffs, GATEWAY);
	struct mg_dp_former former = { 0 };
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info), zero = 0;
	struct mg_gateway g;

	if (fd < 0)
		return former;
	if (!bpf_obj_get_info_by_fd(fd, &info, &size) && info.value_size == sizeof(g) &&
	    !bpf_map_lookup_elem(fd, &zero, &g))
		former.steers = g.steers;
	former.map_id = info.id;
	close(fd);
	return former;
}

static void pin_map(void *ctx, int fd, const char *name)
{
	const struct mg_bpffs *bpffs = ctx;

	/* .rodata belongs to one program. */
	if (!strchr(name, '.') && !mg_bpffs_pin(bpffs, fd, name))
		mg_debug("%s/%s: pinned again", bpffs->dir, name);
}

void mg_dp_former_pin(const struct mg_bpffs *bpffs, const struct mg_dp_ports *ports)
{
	int fd = mg_bpffs_get(bpffs, GATEWAY);

	if (fd >= 0) {
		close(fd);
		return;
	}
	for (size_t i = 0; i < ports->n; i++)
		if (mg_xdp_each_map(ports->at[i].ifindex, "mg_steer", pin_map, (void *)bpffs))
			return;
}

int mg_dp_detach(const struct mg_config *cfg)
{
	const struct mg_bpffs_kept none = { 0 };
	struct mg_dp_ports ports = { 0 };
	struct mg_dp_former former;
	struct mg_bpffs bpffs;
	int err;

	mg_dp_log_libraries();
	err = mg_bpffs_open(&bpffs, cfg->bpffs);
	if (!err)
		err = mg_dp_ports_clean(&ports, cfg);
	if (!err) {
		former = mg_dp_former_look(&bpffs);
		if (former.map_id)
			mg_dp_ports_clean_others(&ports, former.map_id);
		mg_announce_clear();
		mg_bpffs_close(&bpffs, &none);
	}
	if (bpffs.lock_fd >= 0)
		close(bpffs.lock_fd);
	mg_dp_ports_close(&ports);
	return err;
}
