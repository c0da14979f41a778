// SPDX-License-Identifier: BSD-2-Clause
#include "sys/bpffs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"

#define BPFFS_HOME   "/sys/fs/bpf"
#define MOUNT_SOURCE "mpgate" /* marks the mounts that are ours to take away */
#define PIN_PREFIX   "mg_"
#define PIN_NEXT     "mg_next" /* of what is on its way to its place */
#define OPEN_TRIES   5
#define LIBXDP_BPFFS "LIBXDP_BPFFS"

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int make_dirs(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = path + 1;; slash++) {
		if (*slash && *slash != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0755) && errno != EEXIST)
			return -errno;
		if (!*slash)
			return 0;
	}
}

/* The directory itself, or the nearest one above it that exists. */
static bool lies_on_bpffs(const char *path)
{
	char part[PATH_MAX];
	struct stat st;

	snprintf(part, sizeof(part), "%s", path);
	while (stat(part, &st)) {
		char *slash = strrchr(part, '/');

		if (!slash || slash == part)
			return false;
		*slash = 0;
	}
	return is_bpffs(part);
}

/* Two daemons that start at once must not mount one over the other. */
static int mount_locked(const char *point)
{
	int fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX) ||
	    (!is_bpffs(point) && mount(MOUNT_SOURCE, point, "bpf", 0, "mode=0755")))
		err = -errno;
	else
		mg_info("bpffs on %s", point);
	close(fd);
	return err;
}

static int provide_bpffs(const char *dir)
{
	size_t home = strlen(BPFFS_HOME);
	int err;

	if (lies_on_bpffs(dir))
		return 0;
	if (!strncmp(dir, BPFFS_HOME, home) && dir[home] == '/')
		return mount_locked(BPFFS_HOME);
	err = make_dirs(dir);
	return err ? err : mount_locked(dir);
}

/* The mount below dir, if an mpgated made it. */
static void find_our_mount(struct mg_bpffs *b)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *m;

	if (!mounts)
		return;
	while ((m = getmntent(mounts))) {
		size_t len = strlen(m->mnt_dir);

		if (strncmp(b->dir, m->mnt_dir, len) != 0 || (b->dir[len] && b->dir[len] != '/'))
			continue;
		/* The last one that fits lies on top. */
		if (!strcmp(m->mnt_type, "bpf"))
			snprintf(b->mount_point, sizeof(b->mount_point), "%s",
				 strcmp(m->mnt_fsname, MOUNT_SOURCE) ? "" : m->mnt_dir);
	}
	endmntent(mounts);
}

static bool is_kept(const struct mg_bpffs_kept *kept, const char *name)
{
	return kept->keeps && kept->keeps(kept->ctx, name);
}

void mg_bpffs_clear(const struct mg_bpffs *b, const struct mg_bpffs_kept *kept)
{
	int fd = openat(b->lock_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, PIN_PREFIX, strlen(PIN_PREFIX)) &&
		    !is_kept(kept, e->d_name) && unlinkat(b->lock_fd, e->d_name, 0))
			mg_warn("cannot unpin %s/%s: %s", b->dir, e->d_name, strerror(errno));
	closedir(d);
}

/* -EAGAIN: a daemon that was closing took it away under us. */
static int take_directory(struct mg_bpffs *b)
{
	struct stat here, there;
	int err = provide_bpffs(b->dir);

	if (!err)
		err = make_dirs(b->dir);
	/* EPERM: the mount went away in between, and sysfs allows no directories */
	if (err)
		return err == -EPERM && !lies_on_bpffs(b->dir) ? -EAGAIN : err;
	b->lock_fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->lock_fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (flock(b->lock_fd, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (fstat(b->lock_fd, &here) || stat(b->dir, &there) || here.st_ino != there.st_ino ||
		 here.st_dev != there.st_dev || !is_bpffs(b->dir))
		err = -EAGAIN;
	if (err) {
		close(b->lock_fd);
		b->lock_fd = -1;
	}
	return err;
}

/*
 * libxdp pins its dispatchers on a bpffs too, by default on that of every XDP tool. It looks for
 * its directory there once and for all; on a bpffs that came after that, the directory is missing.
 */
static void make_libxdp_dir(const char *dir)
{
	char path[PATH_MAX + 32];
	const char *bpffs;

	if (!is_bpffs(BPFFS_HOME))
		setenv(LIBXDP_BPFFS, dir, 0);
	bpffs = getenv(LIBXDP_BPFFS);
	snprintf(path, sizeof(path), "%s/xdp", bpffs ? bpffs : BPFFS_HOME);
	if (mkdir(path, 0700) && errno != EEXIST)
		mg_debug("cannot make %s: %s", path, strerror(errno));
}

int mg_bpffs_open(struct mg_bpffs *b, const char *dir)
{
	int err = -EAGAIN;

	*b = (struct mg_bpffs){ .lock_fd = -1 };
	if (dir[0] != '/' || strlen(dir) >= sizeof(b->dir)) {
		mg_error("bpffs: %s is not an absolute path", dir);
		return -EINVAL;
	}
	snprintf(b->dir, sizeof(b->dir), "%s", dir);
	for (size_t len = strlen(b->dir); len > 1 && b->dir[len - 1] == '/'; len--)
		b->dir[len - 1] = 0;
	for (int i = 0; i < OPEN_TRIES && err == -EAGAIN; i++)
		err = take_directory(b);
	if (err == -EBUSY) {
		mg_error("bpffs: %s is in use by another mpgated", dir);
		return err;
	}
	if (err) {
		mg_error("bpffs: cannot use %s: %s", dir, strerror(-err));
		return err;
	}
	find_our_mount(b);
	make_libxdp_dir(b->dir);
	return 0;
}

static bool has_shape_of(const struct bpf_map *map, const struct bpf_map_info *info)
{
	return info->type == (__u32)bpf_map__type(map) &&
	       info->key_size == bpf_map__key_size(map) &&
	       info->value_size == bpf_map__value_size(map) &&
	       info->max_entries == bpf_map__max_entries(map) &&
	       info->map_flags == bpf_map__map_flags(map);
}

int mg_bpffs_get(const struct mg_bpffs *b, const char *name)
{
	char path[PATH_MAX + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

void mg_bpffs_adopt(const struct mg_bpffs *b, struct bpf_map *map)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	const char *name = bpf_map__name(map);
	int fd = mg_bpffs_get(b, name);

	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &size) || !has_shape_of(map, &info))
		mg_info("%s/%s has another shape than it should, and is made new", b->dir, name);
	else if (!bpf_map__reuse_fd(map, fd))
		mg_debug("%s/%s is taken over", b->dir, name);
	close(fd);
}

int mg_bpffs_pin(const struct mg_bpffs *b, int fd, const char *name)
{
	char path[PATH_MAX + 32];
	int err;

	snprintf(path, sizeof(path), "%s/%s", b->dir, PIN_NEXT);
	unlinkat(b->lock_fd, PIN_NEXT, 0);
	if (!bpf_obj_pin(fd, path) && !renameat(b->lock_fd, PIN_NEXT, b->lock_fd, name))
		return 0;
	err = -errno;
	mg_error("cannot pin %s/%s: %s", b->dir, name, strerror(-err));
	return err;
}

static bool is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool empty = true;

	if (!d)
		return false;
	while (empty && (e = readdir(d)))
		/* the kernel's own iterators, there on every bpffs of the first user namespace */
		empty = e->d_name[0] == '.' || !strcmp(e->d_name, "maps.debug") ||
			!strcmp(e->d_name, "progs.debug");
	closedir(d);
	return empty;
}

/* libxdp leaves its directory behind; with something in it, it is still in use. */
static void remove_libxdp_dir(const char *bpffs)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/xdp", bpffs);
	rmdir(path);
}

void mg_bpffs_close(struct mg_bpffs *b, const struct mg_bpffs_kept *kept)
{
	if (b->lock_fd < 0)
		return;
	mg_bpffs_clear(b, kept);
	remove_libxdp_dir(b->dir);
	if (strcmp(b->dir, b->mount_point) != 0 && rmdir(b->dir) && errno != ENOTEMPTY)
		mg_debug("bpffs: %s stays: %s", b->dir, strerror(errno));
	close(b->lock_fd);
	b->lock_fd = -1;
	if (!b->mount_point[0])
		return;
	remove_libxdp_dir(b->mount_point);
	if (!is_empty(b->mount_point))
		return;
	/* EBUSY: another mpgated has its directory there, and will see to it. */
	if (umount2(b->mount_point, UMOUNT_NOFOLLOW))
		mg_debug("bpffs: %s stays mounted: %s", b->mount_point, strerror(errno));
	else
		mg_debug("bpffs: %s unmounted", b->mount_point);
}
