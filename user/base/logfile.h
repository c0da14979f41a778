/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that only grows, by whole lines, and makes room for a new one when it is large: FILE
 * becomes FILE.1, that becomes FILE.2, and the oldest goes. One thread at a time.
 */
#ifndef MG_BASE_LOGFILE_H
#define MG_BASE_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mg_logfile {
	char *path;
	int fd;
	uint64_t bytes;	   /* in it */
	uint64_t limit;	   /* in bytes; 0: none */
	unsigned int keep; /* old ones */
	bool moved;	   /* it has an old one's name, and none is there in its place yet */
};

/* Appends to what is there. 0 or -errno. */
int mg_logfile_open(struct mg_logfile *f, const char *path, uint64_t limit, unsigned int keep);
/* Before lines of so many bytes are written: renames if they would not fit, and begins a new file
 * also if somebody deleted this one. If that cannot be, goes on with the file there is: 0, or
 * -errno. */
int mg_logfile_make_room(struct mg_logfile *f, size_t len);
/* How many of the bytes are written: fewer, or -errno, if the disk is full or worse. */
long mg_logfile_write(struct mg_logfile *f, const void *data, size_t len);
/* Harmless twice. */
void mg_logfile_close(struct mg_logfile *f);

#endif
