// SPDX-License-Identifier: BSD-2-Clause
#include "sys/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/sysctl.h"

#define TUN_DEVICE "/dev/net/tun"
#define MAC_BYTES  12
/* A killed daemon's claims may be gone a moment before its device is. */
#define OPEN_TRIES   20
#define OPEN_WAIT_NS 50000000

static int make_device(int fd)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	const struct timespec wait = { .tv_nsec = OPEN_WAIT_NS };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", MG_TAP_NAME);
	for (int i = 0;; i++) {
		if (!ioctl(fd, TUNSETIFF, &ifr))
			return 0;
		if (errno != EBUSY || i == OPEN_TRIES)
			return -errno;
		nanosleep(&wait, NULL);
	}
}

int mg_tap_make(struct mg_tap *t)
{
	int err = make_device(t->fd);

	t->ifindex = err ? 0 : if_nametoindex(MG_TAP_NAME);
	if (!err && !t->ifindex)
		err = -errno;
	if (err) {
		mg_error("cannot make the TAP device %s: %s", MG_TAP_NAME, strerror(-err));
		return err;
	}
	/* No link-local address, no router solicitations. Without IPv6 there are none anyway. */
	mg_sysctl_write("net/ipv6/conf/" MG_TAP_NAME "/disable_ipv6", 1);
	return 0;
}

int mg_tap_open(struct mg_tap *t)
{
	int err;

	*t = (struct mg_tap){ .fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC) };
	if (t->fd < 0) {
		err = -errno;
		mg_error("cannot open %s: %s", TUN_DEVICE, strerror(-err));
		return err;
	}
	err = mg_tap_make(t);
	if (err)
		mg_tap_close(t);
	return err;
}

static int flags_of_device(short *flags)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", MG_TAP_NAME);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr))
		err = -errno;
	if (fd >= 0)
		close(fd);
	*flags = ifr.ifr_flags;
	return err;
}

bool mg_tap_exists(const struct mg_tap *t)
{
	struct ifreq ifr = { 0 };

	return t->ifindex && !ioctl(t->fd, TUNGETIFF, &ifr);
}

bool mg_tap_is_up(const struct mg_tap *t)
{
	short flags;

	return mg_tap_exists(t) && !flags_of_device(&flags) && flags & IFF_UP;
}

int mg_tap_up(const struct mg_tap *t)
{
	struct ifreq ifr = { .ifr_flags = IFF_UP | IFF_NOARP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	(void)t;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", MG_TAP_NAME);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr)) {
		err = -errno;
		mg_error("cannot set the TAP device %s up: %s", MG_TAP_NAME, strerror(-err));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

void mg_tap_close(struct mg_tap *t)
{
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct mg_tap){ .fd = -1 };
}

int mg_tap_write(const struct mg_tap *t, const void *frame, size_t bytes, struct mg_tap_tag tag,
		 const void *tail, size_t tail_bytes)
{
	const __be16 tag_bytes[2] = { tag.proto, htons(tag.tci) };
	const struct iovec parts[] = {
		{ (void *)frame, MAC_BYTES },
		{ (void *)tag_bytes, tag.proto ? sizeof(tag_bytes) : 0 },
		{ (char *)frame + MAC_BYTES, bytes - MAC_BYTES },
		{ (void *)tail, tail_bytes },
	};

	if (bytes < MAC_BYTES)
		return -EINVAL;
	return writev(t->fd, parts, sizeof(parts) / sizeof(*parts)) < 0 ? -errno : 0;
}
