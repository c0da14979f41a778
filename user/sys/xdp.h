/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP program on an interface, through libxdp: behind its dispatcher where the kernel has
 * program extensions and takes ours for one, so that other programs share the interface; else
 * alone.
 */
#ifndef MG_SYS_XDP_H
#define MG_SYS_XDP_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

struct bpf_object;
struct xdp_program;

/* Which program, and where one comes from: each interface has an object of its own. */
struct mg_xdp_door {
	const char *program;
	/* Opened, with the maps that all share, not loaded; NULL and errno. *skel is for destroy.
	 */
	struct bpf_object *(*open)(const struct mg_xdp_door *door, enum mg_role role, void **skel);
	void (*destroy)(void *skel);
	void *ctx;
	bool steady; /* never without a program, not even to see if native works by now */
};

struct mg_xdp {
	const struct mg_xdp_door *door;
	void *skel; /* NULL: nothing attached */
	struct bpf_object *obj;
	struct xdp_program *program; /* NULL: it took another's place without libxdp */
	int prog_fd;
	unsigned int ifindex;
	bool generic;
	bool alone;	  /* not behind a dispatcher */
	bool refused;	  /* by a dispatcher that has other programs */
	const char *mode; /* as in struct mg_dp_interface */
	uint32_t prog_id;
};

/*
 * Loads a program of its own and attaches it. Takes the place of what an earlier daemon left, with
 * no packet in between that none of them sees, unless that ran in another mode; behind a dispatcher
 * a few packets are seen by both. The caller holds the claim on the interface. 0 or -errno, logged;
 * *x is then empty (but for `refused`), and what was left may still be there.
 */
int mg_xdp_attach(struct mg_xdp *x, const struct mg_config_interface *ifc, unsigned int ifindex,
		  const struct mg_xdp_door *door);
/* False once someone took the program off, or the interface is gone. */
bool mg_xdp_is_attached(const struct mg_xdp *x);
/* Needs CAP_NET_ADMIN; behind a dispatcher CAP_BPF and CAP_SYS_ADMIN too, to find it by its id. */
void mg_xdp_detach(struct mg_xdp *x);
/* Forgets it, and leaves it attached. */
void mg_xdp_leave(struct mg_xdp *x);

/* Takes away what an earlier daemon left on the interface. */
void mg_xdp_remove_stale(const char *interface, unsigned int ifindex);
/* The same, if it uses the map of this id. */
void mg_xdp_remove_user(const char *interface, unsigned int ifindex, uint32_t map_id);

/* The maps of the program of ours of this name on the interface; false if there is none. */
bool mg_xdp_each_map(unsigned int ifindex, const char *program,
		     void (*fn)(void *ctx, int fd, const char *name), void *ctx);

/* The maps of obj that are in `from` too, by name, become those. 0 or -errno. */
int mg_xdp_share_maps(struct bpf_object *obj, const struct bpf_object *from);

#endif
