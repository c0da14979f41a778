// SPDX-License-Identifier: BSD-2-Clause
#include "sys/sysctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct setting {
	const char *path;
	long bits; /* must be set; 0: the value must be `value` */
	long value;
	long unfit;    /* if not 0, only this value has to go */
	bool optional; /* not in every kernel that can run mpgate */
	bool more;     /* more than `value` is as well */
	bool mild;     /* another one still works, only less well */
	const char *why;
};

static const struct setting needed[] = {
	{ "net/ipv4/tcp_fastopen", 0x2, 0, 0, false, false, false,
	  "to take Convert messages in the SYN" },
	/* 2 answers every SYN with a cookie, and forgets what it brought. */
	{ "net/ipv4/tcp_syncookies", 0, 1, 2, true, false, false,
	  "to take Convert messages in the SYN" },
	{ "net/mptcp/enabled", 0, 1, 0, true, false, false, "to speak MPTCP" },
	/* A longer queue is answered with cookies, which keep neither MPTCP nor what a SYN brought.
	 */
	{ "net/core/somaxconn", 0, 65535, 0, true, true, true,
	  "to keep MPTCP when many connections come in at once" },
	/* Or one server that drops MP_CAPABLE, which a client may well have for the purpose, has
	 * the kernel offer MPTCP to none for an hour. */
	{ "net/mptcp/blackhole_timeout", 0, 0, 0, true, false, true,
	  "to offer MPTCP to servers whatever another one does" },
};

static int open_setting(const char *path, int flags)
{
	char full[320];

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

int mg_sysctl_write(const char *path, long value)
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

static const struct setting join_anywhere = {
	.path = MG_SYSCTL_JOIN_ANYWHERE,
	.value = 1,
	.optional = true,
	.why = "to let further subflows join at the converter's address",
};
static const struct setting join_as_told = {
	.path = MG_SYSCTL_JOIN_ANYWHERE,
	.value = 0,
	.optional = true,
	.why = "to have further subflows join at converter.signal only",
};

static int prepare(const struct setting *s)
{
	long now = mg_sysctl_read(s->path, -1);
	long want = s->bits ? now | s->bits : s->value;
	char name[128];
	int err;

	if (now < 0 && s->optional)
		return 0;
	if (s->unfit && now != s->unfit)
		return 0;
	if (now < 0)
		want = s->bits ? s->bits : s->value;
	if (now == want || (s->more && now > want))
		return 0;
	err = mg_sysctl_write(s->path, want);
	dotted(name, s->path);
	if (!err) {
		mg_info("sysctl: set %s from %ld to %ld %s", name, now, want, s->why);
		return 0;
	}
	mg_log(s->mild ? MG_LOG_WARNING : MG_LOG_ERROR,
	       "sysctl: %s is %ld and may not be changed from here (%s); %s run: sysctl -w %s=%ld",
	       name, now, strerror(-err), s->why, name, want);
	return s->mild ? 0 : -EPERM;
}

int mg_sysctl_prepare(bool deny_initial_joins)
{
	int err = prepare(deny_initial_joins ? &join_as_told : &join_anywhere);

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (prepare(&needed[i]))
			err = -EPERM;
	}
	return err;
}

/*
 * With src_valid_mark the reverse path of a marked packet is looked up by its mark, which leads to
 * this host: the kernel then drops it as coming from itself. Without it rp_filter sees the client's
 * real route, and needs no change.
 */
static void look_at_marks(void)
{
	const char *dir = "/proc/sys/net/ipv4/conf";
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[300];

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || !strcmp(e->d_name, "default"))
			continue;
		snprintf(path, sizeof(path), "net/ipv4/conf/%s/src_valid_mark", e->d_name);
		if (mg_sysctl_read(path, 0))
			mg_warn("sysctl: net.ipv4.conf.%s.src_valid_mark is 1: packets of "
				"intercepted connections will be dropped; run: sysctl -w "
				"net.ipv4.conf.%s.src_valid_mark=0",
				e->d_name, e->d_name);
	}
	closedir(d);
}

void mg_sysctl_look_at_forwarding(void)
{
	static const struct {
		const char *path, *name;
	} forwarding[] = {
		{ "net/ipv4/ip_forward", "net.ipv4.ip_forward" },
		{ "net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding" },
	};

	for (size_t i = 0; i < sizeof(forwarding) / sizeof(*forwarding); i++) {
		if (!mg_sysctl_read(forwarding[i].path, 1))
			mg_warn("sysctl: %s is 0: this host forwards nothing of that family, and "
				"so intercepts nothing; if it is a router, run: sysctl -w %s=1",
				forwarding[i].name, forwarding[i].name);
	}
	look_at_marks();
}
