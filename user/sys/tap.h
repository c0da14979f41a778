/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TAP device of our own, the way back in for frames that TC took out. It has no address and no
 * route, and nothing leaves by it; the kernel takes it away with the process that made it.
 */
#ifndef MG_SYS_TAP_H
#define MG_SYS_TAP_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MG_TAP_NAME "mpgate0"

struct mg_tap {
	int fd; /* -1: none; stays the same while the device is made again */
	unsigned int ifindex;
};

/* Makes the device, down; one per network namespace. 0 or -errno, logged. */
int mg_tap_open(struct mg_tap *t);
/* To be called once what is to be attached to it is. 0 or -errno, logged. */
int mg_tap_up(const struct mg_tap *t);
void mg_tap_close(struct mg_tap *t);
/* Somebody may have deleted it, or set it down. */
bool mg_tap_exists(const struct mg_tap *t);
bool mg_tap_is_up(const struct mg_tap *t);
/* Makes it again, down, while other threads write. 0 or -errno, logged. */
int mg_tap_make(struct mg_tap *t);

/* A tag that goes back into a frame; proto 0: none. */
struct mg_tap_tag {
	__be16 proto;
	uint16_t tci;
};

/* The frame comes in on the device, with the tag put in and `tail` added. Any thread. 0 or -errno.
 */
int mg_tap_write(const struct mg_tap *t, const void *frame, size_t bytes, struct mg_tap_tag tag,
		 const void *tail, size_t tail_bytes);

#endif
