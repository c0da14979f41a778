/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What steering takes: its maps, which outlive the daemon on a gateway, and the programs that are
 * asked where a packet would go. steer_load.c makes and removes it, steer.c and steer_probe.c use
 * it. Inside of dp.c.
 */
#ifndef MG_SYS_STEER_MAPS_H
#define MG_SYS_STEER_MAPS_H

#include "config/config.h"
#include "sys/bpffs.h"
#include "sys/steer.h"
#include "sys/xdp.h"

struct bpf_object;
struct mg_admission;
struct mg_steer_bpf;

struct mg_steer_port {
	char name[IFNAMSIZ];
	uint32_t ifindex;
	enum mg_side side;
};

/* A map of an earlier daemon's that could not be used as it is */
struct mg_steer_old {
	int fd; /* -1: none */
	bool is_larger;
	int next; /* what takes its place */
};

enum {
	MG_STEER_OLD_RING,
	MG_STEER_OLD_FLOWS,
	MG_STEER_OLD_PUSHED,
	MG_STEER_OLD_LEARNED,
	MG_STEER_OLDS
};

struct mg_steer {
	struct mg_steer_bpf *bpf[2]; /* by side; the first one's maps are everybody's */
	struct mg_xdp_door door;
	struct mg_steer_old old[MG_STEER_OLDS];
	int gateway, proxies, groups, virtuals, rules, neighbours, mine, peers;
	int pushed, learned, stats;
	unsigned int n_cpus;
	bool is_gateway;
	struct mg_slot *ring;
	size_t ring_bytes;
	uint32_t n_rings; /* the highest group with one */
	struct mg_steer_port *ports;
	size_t n_ports;
};

bool mg_steer_is_wanted(const struct mg_config *cfg);
/*
 * On a gateway the maps that are pinned are taken over, or copied where the configuration wants
 * another size. `shared` has those that mg_xdp uses too, and `admission` its own, which are never a
 * former daemon's. 0 or -errno, logged; *s is to be closed in any case.
 */
int mg_steer_open(struct mg_steer *s, const struct mg_config *cfg, const struct mg_bpffs *bpffs,
		  const struct bpf_object *shared, struct mg_admission *admission);
/* With its programs attached: what was learned in the meantime comes over too. */
void mg_steer_settle(struct mg_steer *s);
void mg_steer_close(struct mg_steer *s);
/* Is there something that has to go on without a daemon? */
bool mg_steer_persists(const struct mg_steer *s);
/* Of a map that stays pinned then */
bool mg_steer_keeps(const void *s, const char *map);
struct bpf_object *mg_steer_object(const struct mg_steer *s);

/* steer_copy.c: entries of a map to another one with the same keys and values; only_missing: those
 * that are not there. How many had no room, or -errno. */
long mg_map_copy(int from, int to, bool only_missing);
/* All entries of a hash map; fn may stop it by returning an error. 0 or -errno. */
int mg_map_each(int map, int (*fn)(void *ctx, const void *key, const void *value), void *ctx);

#endif
