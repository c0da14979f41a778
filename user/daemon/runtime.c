// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"

static int make_dirs(const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (char *c = path + 1;; c++) {
		bool end = *c == '\0';

		if (*c != '/' && !end)
			continue;
		*c = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		if (end)
			return 0;
		*c = '/';
	}
}

int mg_runtime_lock(const char *dir)
{
	char path[PATH_MAX], pid[32] = "";
	int err = make_dirs(dir);
	int fd, n;

	if (err) {
		mg_error("runtime_dir: cannot make %s: %s", dir, strerror(-err));
		return err;
	}
	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		err = -errno;
		mg_error("runtime_dir: cannot open %s: %s", path, strerror(-err));
		return err;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (read(fd, pid, sizeof(pid) - 1) < 0)
			pid[0] = '\0';
		mg_error("runtime_dir: %s is in use by another mpgated, pid %s", dir,
			 pid[0] ? pid : "unknown");
		close(fd);
		return -EBUSY;
	}
	n = snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)n, 0) != n)
		mg_warn("runtime_dir: cannot write my pid to %s: %s", path, strerror(errno));
	return fd;
}

void mg_runtime_unlock(const char *dir, int lock_fd)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/lock", dir);
	unlink(path);
	close(lock_fd);
	rmdir(dir); /* stays if somebody else has something there */
}
