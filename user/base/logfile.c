// SPDX-License-Identifier: BSD-2-Clause
#include "base/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0640 /* who used which address when is nobody else's business */

int mg_logfile_open(struct mg_logfile *f, const char *path, uint64_t limit, unsigned int keep)
{
	struct stat st = { 0 };
	int err = 0;

	*f = (struct mg_logfile){ .fd = -1, .limit = limit, .keep = keep };
	f->path = strdup(path);
	if (!f->path)
		return -ENOMEM;
	f->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, MODE);
	if (f->fd < 0 || fstat(f->fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL; /* it could neither be renamed nor relied upon */
	if (err)
		mg_logfile_close(f);
	else
		f->bytes = (uint64_t)st.st_size;
	return err;
}

/* FILE.n; FILE itself is number 0. */
static int numbered(const struct mg_logfile *f, unsigned int n, char path[PATH_MAX])
{
	int len = n ? snprintf(path, PATH_MAX, "%s.%u", f->path, n)
		    : snprintf(path, PATH_MAX, "%s", f->path);

	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int shift(const struct mg_logfile *f)
{
	char from[PATH_MAX], to[PATH_MAX];
	int err = 0;

	for (unsigned int n = f->keep; n > 0 && !err; n--) {
		err = numbered(f, n - 1, from);
		if (!err)
			err = numbered(f, n, to);
		if (!err && rename(from, to) && errno != ENOENT)
			err = -errno;
	}
	if (!f->keep && unlink(f->path) && errno != ENOENT)
		err = -errno;
	return err;
}

/* Deleted; nobody will ever read what is written to it. */
static bool is_gone(const struct mg_logfile *f)
{
	struct stat st;

	return !fstat(f->fd, &st) && !st.st_nlink;
}

int mg_logfile_make_room(struct mg_logfile *f, size_t len)
{
	bool full = f->limit && f->bytes && f->bytes + len > f->limit, gone = is_gone(f);
	int err, fd;

	if (!full && !gone)
		return 0;
	/* Once only: each further time would cost the oldest file, for nothing. */
	err = f->moved || gone ? 0 : shift(f);
	if (err)
		return err;
	f->moved = true;
	fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, MODE);
	if (fd < 0)
		return -errno;
	close(f->fd);
	f->fd = fd;
	f->bytes = 0;
	f->moved = false;
	return 0;
}

long mg_logfile_write(struct mg_logfile *f, const void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(f->fd, (const char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !done)
			return -errno;
		if (n <= 0)
			break;
		done += (size_t)n;
		f->bytes += (uint64_t)n;
	}
	return (long)done;
}

void mg_logfile_close(struct mg_logfile *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	free(f->path);
	f->path = NULL;
}
