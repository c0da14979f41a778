// SPDX-License-Identifier: BSD-2-Clause
#include "sys/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static const struct {
	const char *path;
	long bits; /* must be set; 0: the value must be `value` */
	long value;
	long unfit;    /* if not 0, only this value has to go */
	bool optional; /* not in every kernel that can run mpgate */
	const char *why;
} needed[] = {
	{ "net/ipv4/tcp_fastopen", 0x2, 0, 0, false, "to take Convert messages in the SYN" },
	/* 2 answers every SYN with a cookie, and forgets what it brought. */
	{ "net/ipv4/tcp_syncookies", 0, 1, 2, true, "to take Convert messages in the SYN" },
	{ "net/mptcp/enabled", 0, 1, 0, true, "to speak MPTCP" },
	{ "net/mptcp/allow_join_initial_addr_port", 0, 1, 0, true,
	  "to let further subflows join at the converter's address" },
};

static int open_setting(const char *path, int flags)
{
	char full[128];

	snprintf(full, sizeof(full), "/proc/sys/%s", path);
	return open(full, flags | O_CLOEXEC);
}

long mg_sysctl_read(const char *path, long missing)
{
	int fd = open_setting(path, O_RDONLY);
	char text[32] = "";
	ssize_t n;

	if (fd < 0)
		return missing;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? strtol(text, NULL, 10) : missing;
}

static int write_setting(const char *path, long value)
{
	int fd = open_setting(path, O_WRONLY);
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld", value);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)n) != n)
		err = -errno;
	close(fd);
	return err;
}

/* "net/ipv4/x" as people and sysctl(8) write it */
static const char *dotted(char buf[128], const char *path)
{
	snprintf(buf, 128, "%s", path);
	for (char *c = buf; *c; c++) {
		if (*c == '/')
			*c = '.';
	}
	return buf;
}

int mg_sysctl_prepare(void)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		long now = mg_sysctl_read(needed[i].path, -1);
		long want = needed[i].bits ? now | needed[i].bits : needed[i].value;
		char name[128];
		int set;

		if (now < 0 && needed[i].optional)
			continue;
		if (needed[i].unfit && now != needed[i].unfit)
			continue;
		if (now < 0)
			want = needed[i].bits ? needed[i].bits : needed[i].value;
		if (now == want)
			continue;
		set = write_setting(needed[i].path, want);
		dotted(name, needed[i].path);
		if (!set) {
			mg_info("sysctl: set %s from %ld to %ld %s", name, now, want,
				needed[i].why);
			continue;
		}
		mg_error("sysctl: %s is %ld and may not be changed from here (%s); %s run: "
			 "sysctl -w %s=%ld",
			 name, now, strerror(-set), needed[i].why, name, want);
		err = -EPERM;
	}
	return err;
}
