/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP program on an interface, through libxdp: behind its dispatcher where the kernel has
 * program extensions, so that other programs share the interface, alone where it has not.
 */
#ifndef MG_SYS_XDP_H
#define MG_SYS_XDP_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

struct mg_xdp_bpf;
struct xdp_program;

struct mg_xdp {
	struct mg_xdp_bpf *skel; /* NULL: nothing attached */
	struct xdp_program *program;
	unsigned int ifindex;
	bool generic;
	bool alone;	  /* not behind a dispatcher */
	const char *mode; /* as in struct mg_dp_interface */
	uint32_t prog_id;
};

/*
 * Loads a program of its own that uses the maps of `maps`, and attaches it. Replaces what a killed
 * daemon left; the caller holds the claim on the interface. 0 or -errno, logged; *x is then empty.
 */
int mg_xdp_attach(struct mg_xdp *x, const struct mg_config_interface *ifc, unsigned int ifindex,
		  const struct mg_xdp_bpf *maps);
/* False once someone took the program off, or the interface is gone. */
bool mg_xdp_is_attached(const struct mg_xdp *x);
/* Needs CAP_NET_ADMIN; behind a dispatcher CAP_BPF and CAP_SYS_ADMIN too, to find it by its id. */
void mg_xdp_detach(struct mg_xdp *x);

#endif
