// SPDX-License-Identifier: BSD-2-Clause
#include "sys/claim.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

static socklen_t claim_name(struct sockaddr_un *un, const char *name)
{
	int len;

	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	len = snprintf(un->sun_path + 1, sizeof(un->sun_path) - 1, "mpgated/%s", name);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

/* 0 when it cannot be told. */
static pid_t claim_owner(const struct sockaddr_un *un, socklen_t len)
{
	struct ucred cred = { 0 };
	socklen_t size = sizeof(cred);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return 0;
	if (connect(fd, (const struct sockaddr *)un, len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size))
		cred.pid = 0;
	close(fd);
	return cred.pid;
}

/* The descriptor, or -errno; *owner is the pid of who has it, 0 if nobody or not known. */
static int claim(const char *name, pid_t *owner)
{
	struct sockaddr_un un;
	socklen_t len = claim_name(&un, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	*owner = 0;
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&un, len) && !listen(fd, 1))
		return fd;
	err = errno == EADDRINUSE ? -EBUSY : -errno;
	if (fd >= 0)
		close(fd);
	if (err == -EBUSY)
		*owner = claim_owner(&un, len);
	return err;
}

int mg_claim(const char *interface, unsigned int ifindex)
{
	char name[32];
	pid_t owner;
	int fd;

	snprintf(name, sizeof(name), "interface/%u", ifindex);
	fd = claim(name, &owner);
	if (fd == -EBUSY)
		mg_error("interface %s is already attached to by mpgated, pid %d", interface,
			 owner);
	else if (fd < 0)
		mg_error("interface %s: cannot claim it: %s", interface, strerror(-fd));
	return fd;
}

int mg_claim_rules(pid_t *owner)
{
	return claim("rules", owner);
}

int mg_claim_hold(pid_t *owner)
{
	return claim("hold", owner);
}

int mg_claim_announce(pid_t *owner)
{
	return claim("announce", owner);
}
