// SPDX-License-Identifier: BSD-2-Clause
/*
 * Policies into force: tables are compiled, written into maps of the set that nobody reads, and the
 * set is made the one in force by one word. What is freed then, nobody reads any more.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "skel/policy.skel.h"
#include "sys/admission_maps.h"

#define MANY 4096 /* prefixes whose table is not kept for another time */

struct apply {
	struct mg_admission *a;
	const struct mg_config *cfg;
	mg_admission_group_fn *group;
	mg_admission_ready_fn *ready;
	void *ctx;
	struct mg_policy_tables tables;
	struct mg_in_force next;
};

void mg_in_force_free(struct mg_in_force *f)
{
	for (int kind = 0; kind < MG_KIND_COUNT; kind++) {
		free(f->places[kind]);
		f->places[kind] = NULL;
		f->n_places[kind] = 0;
	}
}

/* ---- compiling ------------------------------------------------------------------------------- */

static uint32_t group_of(void *ctx, size_t group)
{
	const struct apply *ap = ctx;

	if (!ap->group || group >= ap->cfg->steer.n_groups)
		return 0;
	return ap->group(ap->ctx, ap->cfg->steer.groups[group].name);
}

static uint32_t ifindex_of(void *ctx, const char *name)
{
	uint32_t ifindex = if_nametoindex(name);

	(void)ctx;
	if (!ifindex)
		mg_warn("access_networks: there is no interface %s", name);
	return ifindex;
}

static int compile(struct apply *ap)
{
	const struct mg_policy_input in = {
		.policies = &ap->cfg->policies, .group = group_of, .ifindex = ifindex_of, .ctx = ap
	};
	struct mg_admission *a = ap->a;
	char why[MG_POLICY_WHY] = "";
	int err;

	for (int kind = 0; kind < MG_KIND_COUNT; kind++)
		mg_policy_names_copy(&a->staged[kind], &a->names[kind]);
	err = mg_admission_hold_numbers(a, a->generation + 1);
	if (!err)
		err = mg_policy_compile(&ap->tables, a->staged, a->generation + 1, &in, why);
	if (err)
		mg_error("policies: %s", *why ? why : strerror(-err));
	return err;
}

static size_t listed(const struct mg_config_policies *p, enum mg_policy_kind kind)
{
	switch (kind) {
	case MG_KIND_CLASS:
		return p->n_subscribers;
	case MG_KIND_SERVICE:
		return p->n_services;
	case MG_KIND_ACCESS:
		return p->n_access;
	case MG_KIND_POLICY:
		return p->n_policies;
	case MG_KIND_COUNT:
		break;
	}
	return 0;
}

static int note_places(struct apply *ap)
{
	for (int kind = 0; kind < MG_KIND_COUNT; kind++) {
		uint32_t n = ap->a->staged[kind].n;
		size_t *places = calloc(n, sizeof(*places));

		if (!places)
			return -ENOMEM;
		for (uint32_t i = 0; i < n; i++)
			places[i] = MG_CONFIG_NONE;
		for (size_t i = 0; i < listed(&ap->cfg->policies, (enum mg_policy_kind)kind); i++)
			places[ap->tables.numbers[kind][i]] = i;
		ap->next.places[kind] = places;
		ap->next.n_places[kind] = n;
	}
	return 0;
}

/* ---- maps ------------------------------------------------------------------------------------ */

/* As the pattern that came with the program, but of this size */
static int make_inner(const struct mg_inner_pattern *pattern, uint32_t entries)
{
	DECLARE_LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = pattern->flags);
	int fd = bpf_map_create(pattern->type, "mg_policies", pattern->key_size,
				pattern->value_size, entries, &opts);

	return fd < 0 ? -errno : fd;
}

static int write_prefixes(const struct apply *ap)
{
	const struct mg_policy_tables *t = &ap->tables;
	__u32 count = (__u32)t->n_prefixes;
	int map = ap->a->inner[ap->next.set][MG_INNER_PREFIXES];

	return count && bpf_map_update_batch(map, t->keys, t->values, &count, NULL) ? -errno : 0;
}

/* All of it: behind the n that there are, zeros. */
static int write_array(const struct apply *ap, enum mg_inner inner, const void *values, size_t n)
{
	uint32_t entries = ap->a->entries[ap->next.set][inner];
	size_t value_size = ap->a->patterns[inner].value_size;
	__u32 *keys = calloc(entries, sizeof(*keys)), count = entries;
	void *all = calloc(entries, value_size);
	int err = keys && all ? 0 : -ENOMEM;

	for (__u32 i = 0; !err && i < entries; i++)
		keys[i] = i;
	if (!err && n)
		memcpy(all, values, n * value_size);
	if (!err &&
	    bpf_map_update_batch(ap->a->inner[ap->next.set][inner], keys, all, &count, NULL))
		err = -errno;
	free(keys);
	free(all);
	return err;
}

static int fill_inner(const struct apply *ap, enum mg_inner inner)
{
	const struct mg_policy_tables *t = &ap->tables;

	switch (inner) {
	case MG_INNER_PREFIXES:
		return write_prefixes(ap);
	case MG_INNER_RANGES:
		return write_array(ap, inner, t->ranges, t->n_ranges);
	case MG_INNER_CELLS:
		return write_array(ap, inner, t->cells, t->n_cells);
	case MG_INNER_TERMS:
		return write_array(ap, inner, t->terms, t->n_terms);
	case MG_INNER_LIMITS:
		return write_array(ap, inner, t->limits, t->n_limits);
	case MG_INNER_COUNT:
		break;
	}
	return 0;
}

/* Each of these waits until no packet is under way that may have seen what was there. */
static int put_inner(const struct mg_admission *a, enum mg_inner inner, uint32_t set)
{
	return bpf_map_update_elem(bpf_map__fd(mg_admission_outer(a, inner)), &set,
				   &a->inner[set][inner], BPF_ANY)
		       ? -errno
		       : 0;
}

static int replace_inner(struct mg_admission *a, enum mg_inner inner, uint32_t set,
			 uint32_t entries)
{
	int map = make_inner(&a->patterns[inner], entries);

	if (map < 0)
		return map;
	if (a->inner[set][inner] >= 0)
		close(a->inner[set][inner]);
	a->inner[set][inner] = map;
	a->entries[set][inner] = entries;
	return put_inner(a, inner, set);
}

/* Hash tables are made anew: that is quicker than to empty them. Arrays are, if they have too
 * little room, or far too much. */
static bool can_stay(const struct mg_admission *a, enum mg_inner inner, uint32_t set, size_t need)
{
	uint32_t has = a->entries[set][inner];

	return inner != MG_INNER_PREFIXES && a->inner[set][inner] >= 0 && has >= need &&
	       has <= 4 * need + 64;
}

/* Nobody reads this set, so that tables are where they belong before they are full. */
static int write_all(struct apply *ap)
{
	const struct mg_policy_tables *t = &ap->tables;
	const size_t need[MG_INNER_COUNT] = { t->n_prefixes, t->n_ranges, t->n_cells, t->n_terms,
					      t->n_limits };
	int err = 0;

	for (int i = 0; i < MG_INNER_COUNT && !err; i++) {
		enum mg_inner inner = (enum mg_inner)i;

		if (!can_stay(ap->a, inner, ap->next.set, need[i]))
			err = replace_inner(ap->a, inner, ap->next.set,
					    need[i] ? (uint32_t)need[i] : 1);
		if (!err)
			err = fill_inner(ap, inner);
	}
	return err;
}

/* ---- into force ------------------------------------------------------------------------------ */

/* Written beside the count, which the programs change at any time */
static void set_proxy_limit(const struct mg_admission *a, uint32_t limit)
{
	__atomic_store_n(&a->proxy_count->limit, limit, __ATOMIC_RELAXED);
}

static int flip(const struct apply *ap)
{
	const struct mg_policy_bpf *b = ap->a->bpf;
	__u32 zero = 0;

	if (bpf_map_update_elem(bpf_map__fd(b->maps.mg_policy_set), &ap->next.set, &ap->tables.set,
				BPF_ANY) ||
	    bpf_map_update_elem(bpf_map__fd(b->maps.mg_policy_now), &zero, &ap->next.set, BPF_ANY))
		return -errno;
	return 0;
}

/* Waits until no packet is at work with the last set, by an update that changes nothing. Then, a
 * large table of it goes; what is small serves again. */
static void release(struct mg_admission *a, uint32_t last_set)
{
	int err = put_inner(a, MG_INNER_PREFIXES, !last_set);
	int *prefixes = &a->inner[last_set][MG_INNER_PREFIXES];

	if (!err && *prefixes >= 0 && a->entries[last_set][MG_INNER_PREFIXES] >= MANY) {
		if (bpf_map_delete_elem(bpf_map__fd(a->bpf->maps.mg_prefixes), &last_set))
			err = -errno;
		close(*prefixes);
		*prefixes = -1;
	}
	if (err)
		mg_warn("policies: the last ones stay in memory: %s", strerror(-err));
}

/* Who has been running a program with the last set is through when the lock is had. */
static void commit(struct apply *ap)
{
	struct mg_admission *a = ap->a;
	struct mg_in_force last;

	pthread_rwlock_wrlock(&a->lock);
	last = a->now;
	a->now = ap->next;
	a->generation++;
	for (int kind = 0; kind < MG_KIND_COUNT; kind++)
		mg_policy_names_copy(&a->names[kind], &a->staged[kind]);
	pthread_rwlock_unlock(&a->lock);
	release(a, last.set);
	mg_admission_forget_access(a, &last);
	mg_in_force_free(&last);
}

static int tell_who_waits(const struct apply *ap)
{
	const struct mg_in_force *next = &ap->next;
	const struct mg_admission_coming coming = {
		.generation = ap->tables.set.generation,
		.policies = next->places[MG_KIND_POLICY],
		.services = next->places[MG_KIND_SERVICE],
		.n_policies = next->n_places[MG_KIND_POLICY],
		.n_services = next->n_places[MG_KIND_SERVICE],
	};

	return ap->ready ? ap->ready(ap->ctx, &coming) : 0;
}

static int put_in_force(struct apply *ap)
{
	int err = compile(ap);

	if (err)
		return err;
	ap->next = (struct mg_in_force){ .config = ap->cfg,
					 .set = !ap->a->now.set,
					 .record = ap->tables.set };
	err = note_places(ap);
	if (!err)
		err = write_all(ap);
	if (!err)
		err = tell_who_waits(ap);
	if (!err)
		err = flip(ap);
	if (!err) {
		set_proxy_limit(ap->a, ap->cfg->converter.max_sessions);
		commit(ap);
	} else {
		mg_error("policies: cannot put them in force: %s", strerror(-err));
		mg_in_force_free(&ap->next);
	}
	mg_policy_tables_free(&ap->tables);
	return err;
}

/* Do policies' groups have the numbers that were taken for theirs? */
static bool groups_are_right(struct apply *ap)
{
	const struct mg_config_policies *p = &ap->cfg->policies;
	int terms = ap->a->inner[ap->a->now.set][MG_INNER_TERMS];

	for (size_t i = 0; i <= p->n_policies; i++) {
		const struct mg_config_policy *policy =
			i < p->n_policies ? &p->policies[i] : &p->fallback;
		__u32 number =
			i < p->n_policies
				? mg_policy_names_find(&ap->a->names[MG_KIND_POLICY], policy->name)
				: 0;
		uint32_t group = policy->group == MG_CONFIG_NONE ? 0 : group_of(ap, policy->group);
		struct mg_terms t;

		if (bpf_map_lookup_elem(terms, &number, &t) || t.group != group)
			return false;
	}
	return true;
}

int mg_admission_apply_ready(struct mg_admission *a, const struct mg_config *cfg,
			     mg_admission_group_fn *group, mg_admission_ready_fn *ready, void *ctx)
{
	struct apply ap = { .a = a, .cfg = cfg, .group = group, .ready = ready, .ctx = ctx };
	bool early = a->early && a->now.config == cfg;

	a->early = false;
	return early && groups_are_right(&ap) ? 0 : put_in_force(&ap);
}

int mg_admission_apply(struct mg_admission *a, const struct mg_config *cfg,
		       mg_admission_group_fn *group, void *ctx)
{
	return mg_admission_apply_ready(a, cfg, group, NULL, ctx);
}

int mg_admission_apply_early(struct mg_admission *a, const struct mg_config *cfg,
			     mg_admission_group_fn *group, void *ctx)
{
	int err = mg_admission_apply(a, cfg, group, ctx);

	a->early = !err;
	return err;
}
