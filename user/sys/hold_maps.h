/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maps that holding SYNs needs, by their descriptors, and the conversions between their records
 * and the daemon's shapes. Inside of hold.c and holder.c.
 */
#ifndef MG_SYS_HOLD_MAPS_H
#define MG_SYS_HOLD_MAPS_H

#include "config/config.h"
#include "sys/hold.h"

struct mg_hold_maps {
	int intercept, ports, held, rings, servers, tokens, listen_ports, stats;
	unsigned int n_cpus;
};

/* What the configuration says, for n_workers workers, and where the daemon's beacon is. */
int mg_hold_maps_set(const struct mg_hold_maps *m, const struct mg_config *cfg,
		     unsigned int n_workers, uint16_t beacon);
/* As if the configuration asked for nothing. */
int mg_hold_maps_set_nothing(const struct mg_hold_maps *m, unsigned int n_workers);
int mg_hold_maps_set_ring(const struct mg_hold_maps *m, unsigned int worker, int ring);

int mg_hold_maps_learn(const struct mg_hold_maps *m, const struct mg_ep *server, bool mptcp,
		       uint64_t expires_ns);
int mg_hold_maps_forget(const struct mg_hold_maps *m, const struct mg_ep *server);
int mg_hold_maps_forget_all(const struct mg_hold_maps *m);
long mg_hold_maps_servers(const struct mg_hold_maps *m, uint64_t now_ns,
			  struct mg_server_row **rows);

#endif
