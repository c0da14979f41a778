// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who still speaks of numbers whose names are gone: counts of services, open sessions, and where
 * addresses were seen last.
 */
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "skel/policy.skel.h"
#include "sys/admission_maps.h"
#include "sys/steer_maps.h"

/* ---- numbers that are not given -------------------------------------------------------------- */

/* Sessions count against the number of their service, which so stays its own. */
static void hold_services(struct mg_admission *a, uint32_t generation)
{
	struct mg_policy_names *names = &a->staged[MG_KIND_SERVICE];
	int counts = bpf_map__fd(a->bpf->maps.mg_svc_count);

	for (uint32_t i = 1; i < names->n; i++) {
		__u32 sessions = 0;

		if (!bpf_map_lookup_elem(counts, &i, &sessions) && sessions)
			mg_policy_names_hold(names, i, generation);
	}
}

struct holding {
	struct mg_admission *a;
	uint32_t generation;
};

static int hold_ticket(void *ctx, const void *key, const void *value)
{
	const struct mg_charge *charge = value;
	const struct holding *h = ctx;

	(void)key;
	mg_policy_names_hold(&h->a->staged[MG_KIND_POLICY], charge->policy, h->generation);
	mg_policy_names_hold(&h->a->staged[MG_KIND_ACCESS], charge->access, h->generation);
	return 0;
}

/* Is there a number that only such a session may have? */
static bool any_without_a_name(const struct mg_admission *a, enum mg_policy_kind kind)
{
	for (uint32_t i = 1; i < a->now.n_places[kind]; i++)
		if (a->now.places[kind][i] == MG_CONFIG_NONE)
			return true;
	return false;
}

int mg_admission_hold_numbers(struct mg_admission *a, uint32_t generation)
{
	struct holding h = { a, generation };

	hold_services(a, generation);
	if (!any_without_a_name(a, MG_KIND_POLICY) && !any_without_a_name(a, MG_KIND_ACCESS))
		return 0;
	return mg_map_each(bpf_map__fd(a->bpf->maps.mg_tickets), hold_ticket, &h);
}

/* ---- where an address was seen --------------------------------------------------------------- */

struct forgetting {
	const struct mg_in_force *now;
	int map;
};

static size_t place_of(const struct mg_in_force *f, uint32_t access)
{
	return access < f->n_places[MG_KIND_ACCESS] ? f->places[MG_KIND_ACCESS][access]
						    : MG_CONFIG_NONE;
}

static int forget_one(void *ctx, const void *key, const void *value)
{
	const struct forgetting *f = ctx;

	if (place_of(f->now, *(const __u32 *)value) == MG_CONFIG_NONE)
		bpf_map_delete_elem(f->map, key);
	return 0;
}

void mg_admission_forget_access(struct mg_admission *a, const struct mg_in_force *last)
{
	struct forgetting f = { &a->now, bpf_map__fd(a->bpf->maps.mg_seen_at) };
	bool any = false;
	int err;

	for (uint32_t i = 1; i < last->n_places[MG_KIND_ACCESS]; i++)
		any |= place_of(last, i) != MG_CONFIG_NONE &&
		       place_of(&a->now, i) == MG_CONFIG_NONE;
	err = any ? mg_map_each(f.map, forget_one, &f) : 0;
	if (err)
		mg_warn("access_networks: where addresses were seen is not forgotten: %s",
			strerror(-err));
}
