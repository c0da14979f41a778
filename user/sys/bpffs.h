/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory on a bpffs where maps are pinned, held by one living daemon at a time.
 *
 * Where no bpffs is, one is mounted: on /sys/fs/bpf if the directory lies right below it, else on
 * the directory itself. Such a mount goes away with the last mpgated that uses it, and only when
 * nothing is left on it. A mount belongs to the mount namespace it was made in.
 */
#ifndef MG_SYS_BPFFS_H
#define MG_SYS_BPFFS_H

#include <limits.h>
#include <stdbool.h>

struct bpf_map;

struct mg_bpffs {
	char dir[PATH_MAX];
	char mount_point[PATH_MAX]; /* that an mpgated made; empty if somebody else did */
	int lock_fd;		    /* the directory; its lock tells a living owner */
};

/* Takes the directory. The pins of a killed daemon are there still. 0 or -errno, logged. */
int mg_bpffs_open(struct mg_bpffs *b, const char *dir);
/* For a map that is not loaded yet: takes over what a killed daemon left pinned under its name, if
 * it is of the same type and size. */
void mg_bpffs_adopt(const struct mg_bpffs *b, struct bpf_map *map);
/* A descriptor of what is pinned under that name, or -errno. */
int mg_bpffs_get(const struct mg_bpffs *b, const char *name);

/* Which pins stay; NULL for `keeps`: none. */
struct mg_bpffs_kept {
	bool (*keeps)(const void *ctx, const char *name);
	const void *ctx;
};
/* Removes all pins but those. */
void mg_bpffs_clear(const struct mg_bpffs *b, const struct mg_bpffs_kept *kept);
/* Removes pins, directory and mount, as far as they are ours, and empty. Unmounting needs
 * CAP_SYS_ADMIN. */
void mg_bpffs_close(struct mg_bpffs *b, const struct mg_bpffs_kept *kept);

/* In the place of what is pinned there, in one step. */
int mg_bpffs_pin(const struct mg_bpffs *b, int fd, const char *name);

#endif
