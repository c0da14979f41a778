// SPDX-License-Identifier: BSD-2-Clause
#include "sys/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "base/log.h"

#define CHILD_PREFIX "mpgated-"

static int find_mount(char path[PATH_MAX])
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	int err = -ENOENT;

	if (!mounts)
		return -errno;
	while (err && (m = getmntent(mounts)))
		if (!strcmp(m->mnt_type, "cgroup2") && strlen(m->mnt_dir) < PATH_MAX) {
			snprintf(path, PATH_MAX, "%s", m->mnt_dir);
			err = 0;
		}
	endmntent(mounts);
	return err;
}

/* This process's cgroup below the mount: "/" or "/a/b". */
static int find_own(char path[PATH_MAX])
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX + 8];
	int err = -ENOENT;

	if (!f)
		return -errno;
	while (err && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "0::", 3) != 0)
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(path, PATH_MAX, "%.*s", PATH_MAX - 1, line + 3);
		err = 0;
	}
	fclose(f);
	return err;
}

static int join(char path[PATH_MAX], const char *a, const char *b)
{
	return snprintf(path, PATH_MAX, "%s%s", a, b) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int move_in(int procs_fd)
{
	/* 0 stands for the writer */
	return write(procs_fd, "0", 1) == 1 ? 0 : -errno;
}

static void leave_child(struct mg_cgroup *c)
{
	int err;

	if (!c->child[0])
		return;
	err = move_in(c->root_procs_fd);
	if (!err && rmdir(c->child))
		err = -errno;
	/* EBUSY: a process the daemon started, or another daemon of this name, is still in it. */
	if (err)
		mg_debug("cgroup %s stays: %s", c->child, strerror(-err));
	close(c->root_procs_fd);
	c->root_procs_fd = -1;
	c->child[0] = 0;
}

/* Makes <mount>/mpgated-run-mpgate for "/run/mpgate", and moves this process there. */
static int enter_child(struct mg_cgroup *c, const char *mount, const char *name)
{
	char procs[PATH_MAX];
	size_t start;
	int fd, err;

	while (*name == '/')
		name++;
	start = strlen(mount) + 1 + strlen(CHILD_PREFIX);
	if (snprintf(c->child, sizeof(c->child), "%s/" CHILD_PREFIX "%s", mount, name) >=
	    (int)sizeof(c->child)) {
		c->child[0] = 0;
		return -ENAMETOOLONG;
	}
	for (char *p = c->child + start; *p; p++)
		if (*p == '/')
			*p = '-';
	err = mkdir(c->child, 0755) && errno != EEXIST ? -errno : 0;
	if (!err)
		err = join(procs, mount, "/cgroup.procs");
	if (err) {
		c->child[0] = 0;
		return err;
	}
	c->root_procs_fd = open(procs, O_WRONLY | O_CLOEXEC);
	err = c->root_procs_fd < 0 ? -errno : join(procs, c->child, "/cgroup.procs");
	if (err)
		goto fail;
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	err = fd < 0 ? -errno : move_in(fd);
	if (fd >= 0)
		close(fd);
	if (!err)
		return 0;
fail:
	rmdir(c->child);
	if (c->root_procs_fd >= 0)
		close(c->root_procs_fd);
	c->root_procs_fd = -1;
	c->child[0] = 0;
	return err;
}

int mg_cgroup_attach(struct mg_cgroup *c, struct bpf_program *program, const char *name)
{
	char mount[PATH_MAX], own[PATH_MAX], path[PATH_MAX];
	int fd, err;

	*c = (struct mg_cgroup){ .root_procs_fd = -1 };
	err = find_mount(mount);
	if (!err)
		err = find_own(own);
	if (!err && !strcmp(own, "/")) {
		err = enter_child(c, mount, name);
		snprintf(path, sizeof(path), "%s", c->child);
	} else if (!err) {
		err = join(path, mount, own);
	}
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		goto fail;
	}
	c->link = bpf_program__attach_cgroup(program, fd);
	err = c->link ? 0 : -errno;
	close(fd);
	if (!err)
		return 0;
fail:
	leave_child(c);
	return err;
}

void mg_cgroup_detach(struct mg_cgroup *c)
{
	bpf_link__destroy(c->link);
	c->link = NULL;
	leave_child(c);
}
