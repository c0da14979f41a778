/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maps of the data plane, by their descriptors, and the conversions between their records and
 * the daemon's shapes. Inside of dp.c; the first three are hold_maps.c's too.
 */
#ifndef MG_SYS_DP_MAPS_H
#define MG_SYS_DP_MAPS_H

#include "sys/dp.h"

struct mg_dp_maps {
	int converters, classes, verdicts, reasons, event_stats;
	int synack; /* -1 without sockops */
	unsigned int n_cpus;
};

/* Between the two shapes of an address and a port. */
void mg_endpoint_from_ep(struct mg_endpoint *to, const struct mg_ep *from);
void mg_endpoint_to_ep(const struct mg_endpoint *from, struct mg_ep *to);
/* Adds up a map of one value of `n` counters per CPU. 0 or -errno; *sum is then partly added up. */
int mg_map_sum(int map, unsigned int n_cpus, uint64_t *sum, size_t n);

int mg_dp_maps_set_converters(const struct mg_dp_maps *m, const struct mg_ep *eps, size_t n,
			      const struct mg_ep *joins, size_t n_joins);
int mg_dp_maps_counters(const struct mg_dp_maps *m, struct mg_dp_counters *out);
int mg_dp_maps_synack_take(const struct mg_dp_maps *m, const struct mg_ep *local,
			   const struct mg_ep *peer, uint8_t opts[MG_SYNACK_OPTIONS]);
/* 0, or -EBADMSG for a record of another type or size. */
int mg_dp_maps_read_syn(struct mg_dp_syn *syn, const void *record, size_t len);

#endif
