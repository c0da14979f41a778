/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an earlier daemon left in force: found, and removed. Inside of dp.c, which takes it over.
 */
#ifndef MG_SYS_DP_FORMER_H
#define MG_SYS_DP_FORMER_H

#include <stdbool.h>
#include <stdint.h>

#include "sys/bpffs.h"
#include "sys/dp_ports.h"

struct mg_dp_former {
	uint32_t map_id; /* of mg_gateway, which all its programs use; 0: none is pinned */
	bool steers;	 /* as a gateway */
};

struct mg_dp_former mg_dp_former_look(const struct mg_bpffs *bpffs);
/* Pins may have gone with a mount namespace or a bpffs: then the maps of what is attached to the
 * interfaces are pinned again. */
void mg_dp_former_pin(const struct mg_bpffs *bpffs, const struct mg_dp_ports *ports);

/* What libbpf and libxdp say goes to the log, at debug. */
void mg_dp_log_libraries(void);

#endif
