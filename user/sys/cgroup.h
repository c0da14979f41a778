/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sockops program on the daemon's cgroup (version 2). A daemon in the root cgroup makes itself
 * one below it first, so that other processes' sockets are left alone.
 */
#ifndef MG_SYS_CGROUP_H
#define MG_SYS_CGROUP_H

#include <limits.h>

struct bpf_link;
struct bpf_program;

struct mg_cgroup {
	struct bpf_link *link; /* NULL: not attached; the kernel detaches it if the daemon dies */
	char child[PATH_MAX];  /* the cgroup that was made; empty if none was */
	int root_procs_fd;     /* to go back by; -1 */
};

/* `name` tells daemons on one host apart (their runtime_dir). 0, or -errno, unlogged: without
 * cgroup2 the daemon does without. */
int mg_cgroup_attach(struct mg_cgroup *c, struct bpf_program *program, const char *name);
void mg_cgroup_detach(struct mg_cgroup *c);

#endif
