/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network namespace and a mount namespace of the test's own: px0 with its peer ue0, px1 with ue1,
 * all here, lo up, no bpffs on /sys/fs/bpf.
 */
#ifndef MG_TESTS_LAB_H
#define MG_TESTS_LAB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"

/* 0, or -EIO if the command failed. */
int lab_sh(const char *command);
/* Is the text in what the command prints? */
bool lab_shows(const char *command, const char *text);

/* 0 or -errno; for the rest of this process's life. */
int lab_enter(void);

/* A configuration of one interface, or two if b is not NULL; to be changed as needed. */
struct mg_config *lab_config(const char *a, const char *b);

bool lab_is_bpffs(const char *path);
/* Is this map pinned in the configuration's bpffs? */
bool lab_is_pinned(const struct mg_config *cfg, const char *map);

/* Sends a frame out of an interface; its peer receives it. */
int lab_send(const char *interface, const void *frame, size_t len);

/* Program id attached by XDP, 0 if none. */
uint32_t lab_xdp_id(const char *interface);
int lab_attach_foreign_xdp(const char *interface);
void lab_detach_xdp(const char *interface);

/* A child that opens the data plane and then waits, for SIGKILL; -errno if it could not open. */
pid_t lab_daemon(const struct mg_config *cfg);
void lab_kill(pid_t pid);

#endif
