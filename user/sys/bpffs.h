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

struct mg_bpffs {
	char dir[PATH_MAX];
	char mount_point[PATH_MAX]; /* that an mpgated made; empty if somebody else did */
	int lock_fd;		    /* the directory; its lock tells a living owner */
};

/* Takes the directory, and removes the pins of a killed daemon. 0 or -errno, logged. */
int mg_bpffs_open(struct mg_bpffs *b, const char *dir);
/* Removes pins, directory and mount, as far as they are ours. Unmounting needs CAP_SYS_ADMIN. */
void mg_bpffs_close(struct mg_bpffs *b);

int mg_bpffs_pin(const struct mg_bpffs *b, int fd, const char *name);

#endif
