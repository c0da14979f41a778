/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interfaces of the data plane: claimed, with their programs at XDP and TC, and looked after.
 * Inside of dp.c.
 */
#ifndef MG_SYS_DP_PORTS_H
#define MG_SYS_DP_PORTS_H

#include "sys/dp.h"
#include "sys/tc.h"
#include "sys/xdp.h"

struct mg_dp_port {
	char name[IFNAMSIZ];
	unsigned int ifindex;
	int claim;
	struct mg_xdp xdp;
	struct mg_tc tc;
};

struct mg_dp_ports {
	struct mg_dp_port *at; /* the interfaces, and behind them those of the LAN */
	size_t n_claimed;
	size_t n; /* the interfaces */
	struct mg_dp_interface *list;
};

/* Programs at TC by role; -1: none belongs there. */
struct mg_doors {
	const struct mg_xdp_door *xdp;
	int tc_access, tc_core, tc_lan;
};

/* Both: 0 or -errno, logged; mg_dp_ports_close is due in any case. */
int mg_dp_ports_claim(struct mg_dp_ports *p, const struct mg_config *cfg);
int mg_dp_ports_attach(struct mg_dp_ports *p, const struct mg_config *cfg,
		       const struct mg_doors *doors);
/* The XDP programs may stay. Claims are still held. */
void mg_dp_ports_detach(struct mg_dp_ports *p, bool leave_xdp);
void mg_dp_ports_close(struct mg_dp_ports *p);

/* Without a daemon: claims those that exist, and takes away what is left on them. 0 or -errno,
 * logged. */
int mg_dp_ports_clean(struct mg_dp_ports *p, const struct mg_config *cfg);

/* What uses the map of this id on interfaces other than these */
void mg_dp_ports_clean_others(const struct mg_dp_ports *p, uint32_t map_id);

/* Warns of what is not attached any more, once. */
void mg_dp_ports_look(struct mg_dp_ports *p);

#endif
