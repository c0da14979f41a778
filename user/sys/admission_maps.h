/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of admission share: the object, the numbers, the set that is in force.
 * admission.c makes and removes it. Inside of user/sys.
 */
#ifndef MG_SYS_ADMISSION_MAPS_H
#define MG_SYS_ADMISSION_MAPS_H

#include <pthread.h>
#include <stdatomic.h>

#include <linux/bpf.h>

#include "sys/admission.h"
#include "sys/policy_tables.h"

struct mg_policy_bpf;

/* Tables that exist once for each set, in a map of their own each */
enum mg_inner {
	MG_INNER_PREFIXES,
	MG_INNER_RANGES,
	MG_INNER_CELLS,
	MG_INNER_TERMS,
	MG_INNER_LIMITS,
	MG_INNER_COUNT
};

/* As the program wants them; of any size */
struct mg_inner_pattern {
	enum bpf_map_type type;
	uint32_t key_size, value_size, flags;
};

/* What is in force, as this side needs it */
struct mg_in_force {
	const struct mg_config *config; /* only to be compared */
	uint32_t set;			/* 0 or 1 */
	struct mg_policy_set record;
	/* Places in the configuration's lists, by number; MG_CONFIG_NONE */
	size_t *places[MG_KIND_COUNT];
	uint32_t n_places[MG_KIND_COUNT];
};

struct mg_admission {
	struct mg_policy_bpf *bpf;
	unsigned int n_cpus;
	struct mg_inner_pattern patterns[MG_INNER_COUNT];
	/* By set. What is not in force is written anew, in place if it has about the right size. */
	int inner[MG_SETS][MG_INNER_COUNT]; /* -1: none */
	uint32_t entries[MG_SETS][MG_INNER_COUNT];
	struct mg_proxy_count *proxy_count; /* the map's, in memory */
	struct mg_policy_names names[MG_KIND_COUNT];
	struct mg_policy_names staged[MG_KIND_COUNT]; /* room for the next ones */
	uint32_t generation;
	bool early; /* what is in force was put there by mg_admission_apply_early() */
	struct mg_in_force now;
	/* For who runs a program, and who looks at `now`, reading; for who changes it, writing.
	 * RCU does not wait for programs of this type: who gets the lock for writing knows that
	 * none of them is at work with an old set. */
	pthread_rwlock_t lock;
	struct mg_feed_lengths feed_lengths;
	uint32_t feed_counts[MG_FAMILY_COUNT][129]; /* entries by length */
	pthread_mutex_t pace_lock;
	uint64_t n_paces;
};

/*
 * admission_apply.c, for dp.c: before programs are attached, so that no packet is let in that the
 * configuration refuses. The numbers of groups are those that a former daemon left, if any. The
 * next mg_admission_apply of the same configuration costs nothing if they turn out to be right.
 */
int mg_admission_apply_early(struct mg_admission *a, const struct mg_config *cfg,
			     mg_admission_group_fn *group, void *ctx);
void mg_in_force_free(struct mg_in_force *f);
/*
 * admission_numbers.c. Numbers without a name that services' counts or open sessions have are not
 * given to others in this generation; 0 or -errno. And once no packet is at work with the `last`
 * set any more: addresses that were seen in access networks that are gone were not.
 */
int mg_admission_hold_numbers(struct mg_admission *a, uint32_t generation);
void mg_admission_forget_access(struct mg_admission *a, const struct mg_in_force *last);
struct bpf_map *mg_admission_outer(const struct mg_admission *a, enum mg_inner inner);
/* For the daemon's pins */
struct bpf_object *mg_admission_object(const struct mg_admission *a);

#endif
