// SPDX-License-Identifier: BSD-2-Clause
#include "sys/admission.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "skel/policy.skel.h"
#include "sys/admission_maps.h"
#include "sys/xdp.h"

static const uint32_t numbers_max[MG_KIND_COUNT] = {
	[MG_KIND_CLASS] = MG_CLASSES_MAX,
	[MG_KIND_SERVICE] = MG_SERVICES_MAX,
	[MG_KIND_ACCESS] = MG_ACCESS_MAX,
	[MG_KIND_POLICY] = MG_POLICIES_MAX,
};

static int init_lock(struct mg_admission *a)
{
	pthread_rwlockattr_t attr;
	int err = pthread_rwlockattr_init(&attr);

	/* Workers that ask all the time must not keep a reload waiting. */
	if (!err)
		err = pthread_rwlockattr_setkind_np(&attr,
						    PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	if (!err)
		err = pthread_rwlock_init(&a->lock, &attr);
	if (!err)
		err = pthread_mutex_init(&a->pace_lock, NULL);
	return -err;
}

static int init_names(struct mg_admission *a)
{
	int err = 0;

	for (int kind = 0; kind < MG_KIND_COUNT && !err; kind++) {
		err = mg_policy_names_init(&a->names[kind], numbers_max[kind]);
		if (!err)
			err = mg_policy_names_init(&a->staged[kind], numbers_max[kind]);
		/* What remembers a policy lives long, and no table grows with their numbers. */
		a->names[kind].spread = a->staged[kind].spread = kind == MG_KIND_POLICY;
	}
	return err;
}

/*
 * Tables take memory for as many entries as they have room for, if only for their buckets; a home
 * router has no use for those of an operator. max_sessions may grow to ROOM times by reloads;
 * policies may come by one, and then the few rates forget who came longest ago.
 */
#define ROOM	   4
#define ROOM_LEAST 16384
#define RATES_FEW  65536
#define FEED_FEW   65536

static uint32_t room_for(uint64_t n, uint32_t most)
{
	return n < ROOM_LEAST ? ROOM_LEAST : n > most ? most : (uint32_t)n;
}

static int set_sizes(struct mg_policy_bpf *b, const struct mg_config *cfg)
{
	uint64_t sessions = (uint64_t)cfg->converter.max_sessions * ROOM;
	bool any = cfg->policies.any;
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
		{ b->maps.mg_sessions, room_for(sessions, MG_SESSIONS_MAX) },
		{ b->maps.mg_tickets, room_for(sessions, MG_SESSIONS_MAX) },
		{ b->maps.mg_accounts, room_for(sessions, MG_ACCOUNTS_MAX) },
		{ b->maps.mg_svc_subs, room_for(sessions, MG_ACCOUNTS_MAX) },
		{ b->maps.mg_subflows, room_for(2 * sessions, MG_SUBFLOWS_MAX) },
		{ b->maps.mg_rates, any ? MG_RATES_MAX : RATES_FEW },
		{ b->maps.mg_seen_at, any ? MG_SEEN_AT_MAX : RATES_FEW },
		{ b->maps.mg_feed, any ? MG_FEED_MAX : FEED_FEW },
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !err; i++)
		err = bpf_map__set_max_entries(sizes[i].map, sizes[i].entries);
	return err;
}

/* The limit of all sessions stands beside their count, which programs change at any time: so it is
 * written through memory, and the rest of the entry is left alone. */
static int map_proxy_count(struct mg_admission *a)
{
	void *at = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(a->bpf->maps.mg_proxy_count), 0);

	if (at == MAP_FAILED)
		return -errno;
	a->proxy_count = at;
	return 0;
}

struct bpf_map *mg_admission_outer(const struct mg_admission *a, enum mg_inner inner)
{
	switch (inner) {
	case MG_INNER_PREFIXES:
		return a->bpf->maps.mg_prefixes;
	case MG_INNER_RANGES:
		return a->bpf->maps.mg_ranges;
	case MG_INNER_CELLS:
		return a->bpf->maps.mg_cells;
	case MG_INNER_TERMS:
		return a->bpf->maps.mg_terms;
	case MG_INNER_LIMITS:
		return a->bpf->maps.mg_svc_limits;
	case MG_INNER_COUNT:
		break;
	}
	return NULL;
}

/* libbpf forgets them when it loads. */
static void note_patterns(struct mg_admission *a)
{
	for (int i = 0; i < MG_INNER_COUNT; i++) {
		const struct bpf_map *inner =
			bpf_map__inner_map(mg_admission_outer(a, (enum mg_inner)i));

		a->patterns[i] = (struct mg_inner_pattern){
			.type = bpf_map__type(inner),
			.key_size = bpf_map__key_size(inner),
			.value_size = bpf_map__value_size(inner),
			.flags = bpf_map__map_flags(inner),
		};
	}
}

static int load(struct mg_admission *a, const struct mg_config *cfg)
{
	struct mg_policy_bpf *b = mg_policy_bpf__open();
	int err;

	if (!b)
		return -errno;
	a->bpf = b;
	note_patterns(a);
	err = bpf_map__set_map_flags(b->maps.mg_proxy_count, BPF_F_MMAPABLE);
	if (!err)
		err = set_sizes(b, cfg);
	if (!err)
		err = mg_policy_bpf__load(b);
	return err ? err : map_proxy_count(a);
}

int mg_admission_open(struct mg_admission **out, const struct mg_config *cfg)
{
	struct mg_admission *a = calloc(1, sizeof(*a));
	int err;

	*out = NULL;
	if (!a)
		return -ENOMEM;
	memset(a->inner, -1, sizeof(a->inner));
	a->n_cpus = (unsigned int)libbpf_num_possible_cpus();
	err = init_lock(a);
	if (!err)
		err = init_names(a);
	if (!err)
		err = load(a, cfg);
	if (err) {
		mg_error("cannot load the programs that admit sessions: %s", strerror(-err));
		mg_admission_close(a);
		return err;
	}
	*out = a;
	return 0;
}

void mg_admission_close(struct mg_admission *a)
{
	if (!a)
		return;
	mg_in_force_free(&a->now);
	for (int i = 0; i < MG_SETS * MG_INNER_COUNT; i++)
		if (a->inner[i / MG_INNER_COUNT][i % MG_INNER_COUNT] >= 0)
			close(a->inner[i / MG_INNER_COUNT][i % MG_INNER_COUNT]);
	for (int kind = 0; kind < MG_KIND_COUNT; kind++) {
		mg_policy_names_free(&a->names[kind]);
		mg_policy_names_free(&a->staged[kind]);
	}
	if (a->proxy_count)
		munmap(a->proxy_count, (size_t)sysconf(_SC_PAGESIZE));
	mg_policy_bpf__destroy(a->bpf);
	pthread_rwlock_destroy(&a->lock);
	pthread_mutex_destroy(&a->pace_lock);
	free(a);
}

struct bpf_object *mg_admission_object(const struct mg_admission *a)
{
	return a->bpf->obj;
}

int mg_admission_share(struct mg_admission *a, struct bpf_object *obj)
{
	return mg_xdp_share_maps(obj, a->bpf->obj);
}

int mg_admission_set_cookies(struct mg_admission *a, const struct mg_cookie_keys *keys)
{
	struct mg_cookie_epochs epochs = { .epoch = keys->epoch, .n = keys->have_previous ? 2 : 1 };
	int now = bpf_map__fd(a->bpf->maps.mg_cookie_now);
	__u32 zero = 0, at;

	memcpy(epochs.key, keys->key, sizeof(epochs.key));
	if (bpf_map_lookup_elem(now, &zero, &at))
		return -errno;
	/* No packet is still at work with keys of two rotations ago. */
	at = !at;
	if (bpf_map_update_elem(bpf_map__fd(a->bpf->maps.mg_cookie_keys), &at, &epochs, BPF_ANY) ||
	    bpf_map_update_elem(now, &zero, &at, BPF_ANY))
		return -errno;
	return 0;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static size_t place_of(const struct mg_admission *a, enum mg_policy_kind kind, uint32_t number)
{
	pthread_rwlock_t *lock = (pthread_rwlock_t *)&a->lock;
	size_t place = MG_CONFIG_NONE;

	pthread_rwlock_rdlock(lock);
	if (number < a->now.n_places[kind])
		place = a->now.places[kind][number];
	pthread_rwlock_unlock(lock);
	return place;
}

size_t mg_admission_policy(const struct mg_admission *a, uint32_t number)
{
	return place_of(a, MG_KIND_POLICY, number);
}

size_t mg_admission_access(const struct mg_admission *a, uint32_t number)
{
	return place_of(a, MG_KIND_ACCESS, number);
}

size_t mg_admission_service(const struct mg_admission *a, uint32_t number)
{
	return place_of(a, MG_KIND_SERVICE, number);
}

size_t mg_admission_class(const struct mg_admission *a, uint32_t number)
{
	return place_of(a, MG_KIND_CLASS, number);
}

const char *mg_admission_access_name(const struct mg_admission *a, uint32_t number)
{
	const struct mg_policy_names *names = &a->names[MG_KIND_ACCESS];

	return number && number < names->max ? names->name[number] : "";
}

/* Of what the configuration in force names */
static uint32_t number_of(const struct mg_admission *a, enum mg_policy_kind kind, const char *name)
{
	uint32_t number = mg_policy_names_find(&a->names[kind], name);

	return place_of(a, kind, number) == MG_CONFIG_NONE ? 0 : number;
}

uint32_t mg_admission_access_number(const struct mg_admission *a, const char *name)
{
	return number_of(a, MG_KIND_ACCESS, name);
}

uint32_t mg_admission_class_number(const struct mg_admission *a, const char *name)
{
	return number_of(a, MG_KIND_CLASS, name);
}
