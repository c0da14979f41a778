// SPDX-License-Identifier: BSD-2-Clause
#include "sys/policy_tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V4_BITS	   96
#define NS_PER_SEC 1000000000ULL

/* ---- numbers --------------------------------------------------------------------------------- */

struct list {
	const char *what;
	const char *names;
	size_t stride, n;
};

#define LIST(p, what, field, n_field)                                                         \
	{                                                                                     \
		what, (p)->field ? (p)->field->name : NULL, sizeof(*(p)->field), (p)->n_field \
	}

static int assign(struct mg_policy_tables *t, struct mg_policy_names names[MG_KIND_COUNT],
		  uint32_t generation, const struct mg_config_policies *p, char why[MG_POLICY_WHY])
{
	const struct list lists[MG_KIND_COUNT] = {
		[MG_KIND_CLASS] = LIST(p, "subscribers", subscribers, n_subscribers),
		[MG_KIND_SERVICE] = LIST(p, "services", services, n_services),
		[MG_KIND_ACCESS] = LIST(p, "access_networks", access, n_access),
		[MG_KIND_POLICY] = LIST(p, "policies", policies, n_policies),
	};

	for (int kind = 0; kind < MG_KIND_COUNT; kind++) {
		const struct list *l = &lists[kind];
		size_t lacking = 0;
		int err;

		t->numbers[kind] = calloc(l->n + 1, sizeof(*t->numbers[kind]));
		if (!t->numbers[kind])
			return -ENOMEM;
		err = mg_policy_names_assign(&names[kind], generation, l->names, l->stride, l->n,
					     t->numbers[kind], &lacking);
		if (err == -ENOSPC)
			snprintf(why, MG_POLICY_WHY,
				 "%s: no number for %.63s: %u are in use, or were until lately",
				 l->what, l->names + lacking * l->stride, names[kind].max - 1);
		if (err)
			return err == -ENOSPC ? -E2BIG : err;
	}
	return 0;
}

static uint32_t highest(const uint32_t *numbers, size_t n)
{
	uint32_t most = 0;

	for (size_t i = 0; i < n; i++)
		if (numbers[i] > most)
			most = numbers[i];
	return most;
}

/* ---- access networks ------------------------------------------------------------------------- */

static int add_interface(struct mg_policy_set *set, uint32_t ifindex, uint32_t access)
{
	for (uint32_t i = 0; i < set->n_interfaces; i++)
		if (set->interfaces[i].ifindex == ifindex)
			return 0;
	if (set->n_interfaces == MG_ACCESS_INTERFACES_MAX)
		return -E2BIG;
	set->interfaces[set->n_interfaces++] =
		(struct mg_access_interface){ .ifindex = ifindex, .access = access };
	return 0;
}

static int set_access(struct mg_policy_tables *t, const struct mg_policy_input *in,
		      char why[MG_POLICY_WHY])
{
	const struct mg_config_policies *p = in->policies;

	for (size_t i = 0; i < p->n_access; i++) {
		const struct mg_config_access *from = &p->access[i];
		uint32_t number = t->numbers[MG_KIND_ACCESS][i];

		t->set.access[number] = (struct mg_access_network){
			.used = 1, .trust = (uint8_t)from->trust, .drop_transit = from->drop_transit
		};
		for (size_t j = 0; j < from->n_interfaces; j++) {
			uint32_t ifindex = in->ifindex(in->ctx, from->interfaces[j]);

			if (ifindex && add_interface(&t->set, ifindex, number)) {
				snprintf(why, MG_POLICY_WHY,
					 "access_networks: more than %d interfaces",
					 MG_ACCESS_INTERFACES_MAX);
				return -E2BIG;
			}
		}
	}
	return 0;
}

/* ---- terms and limits ------------------------------------------------------------------------ */

static void set_rate(struct mg_terms *to, const struct mg_config_policy *from)
{
	if (!from->new_per_s)
		return;
	/* Rounded up: never more than the configured rate. */
	to->interval_ns = (NS_PER_SEC + from->new_per_s - 1) / from->new_per_s;
	to->burst_ns = from->burst ? (from->burst - 1) * to->interval_ns : 0;
}

static void set_term(struct mg_terms *to, const struct mg_config_policy *from,
		     const struct mg_policy_input *in)
{
	*to = (struct mg_terms){
		.used = 1,
		.deny = from->deny,
		.mode = from->has_mode ? (uint8_t)from->mode : MG_TERMS_MODE_DEFAULT,
		.refuse = (uint8_t)from->refuse,
		.refuse_join = (uint8_t)from->refuse_join,
		.sessions = from->sessions,
		.subflows = from->subflows,
		.held = from->held,
		.subflows_per_session = from->subflows_per_session,
	};
	if (from->group != MG_CONFIG_NONE && in->group)
		to->group = in->group(in->ctx, from->group);
	set_rate(to, from);
	/* Cut short: it is for whoever reads the map. */
	memcpy(to->name, from->name, strnlen(from->name, sizeof(to->name) - 1));
}

static int set_terms(struct mg_policy_tables *t, const struct mg_policy_input *in)
{
	const struct mg_config_policies *p = in->policies;
	const uint32_t *numbers = t->numbers[MG_KIND_POLICY];

	t->n_terms = highest(numbers, p->n_policies) + 1U;
	t->terms = calloc(t->n_terms, sizeof(*t->terms));
	if (!t->terms)
		return -ENOMEM;
	set_term(&t->terms[0], &p->fallback, in);
	for (size_t i = 0; i < p->n_policies; i++)
		set_term(&t->terms[numbers[i]], &p->policies[i], in);
	/* Then joins to servers may be steered too. */
	for (size_t i = 0; i < t->n_terms; i++)
		t->set.steers |= t->terms[i].group != 0;
	return 0;
}

static int set_limits(struct mg_policy_tables *t, const struct mg_config_policies *p)
{
	const uint32_t *numbers = t->numbers[MG_KIND_SERVICE];

	t->n_limits = highest(numbers, p->n_services) + 1U;
	t->limits = calloc(t->n_limits, sizeof(*t->limits));
	if (!t->limits)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_services; i++)
		t->limits[numbers[i]] = (struct mg_service_limits){
			.sessions = p->services[i].sessions,
			.sessions_per_subscriber = p->services[i].sessions_per_subscriber,
		};
	return 0;
}

/* ---- cells ----------------------------------------------------------------------------------- */

/* What a policy says of one dimension: some numbers, or (n 0) any */
struct dimension {
	const size_t *listed;
	size_t n;
	const uint32_t *numbers;
	uint32_t bound;
};

struct painter {
	struct mg_policy_tables *t;
	uint8_t *done; /* of this tier: what an earlier policy names too is that one's */
};

static size_t count_of(const struct dimension *d)
{
	return d->n ? d->n : 1;
}

/* The i-th number a policy names; 0 where it names none */
static uint32_t named(const struct dimension *d, size_t i)
{
	return d->n ? d->numbers[d->listed[i]] : 0;
}

/* All cells of one triple of which some may be "any" */
static void paint(struct mg_policy_tables *t, const struct dimension d[3], const uint32_t at[3],
		  uint32_t policy)
{
	uint32_t from[3], to[3];

	for (int i = 0; i < 3; i++) {
		from[i] = d[i].n ? at[i] : 0;
		to[i] = d[i].n ? at[i] + 1 : d[i].bound;
	}
	for (uint32_t c = from[0]; c < to[0]; c++)
		for (uint32_t s = from[1]; s < to[1]; s++)
			for (uint32_t a = from[2]; a < to[2]; a++)
				t->cells[((size_t)c * d[1].bound + s) * d[2].bound + a] = policy;
}

static void paint_policy(struct painter *p, const struct dimension d[3], uint32_t policy)
{
	for (size_t i = 0; i < count_of(&d[0]); i++) {
		for (size_t j = 0; j < count_of(&d[1]); j++) {
			for (size_t k = 0; k < count_of(&d[2]); k++) {
				const uint32_t at[3] = { named(&d[0], i), named(&d[1], j),
							 named(&d[2], k) };
				uint8_t *done =
					&p->done[((size_t)at[0] * d[1].bound + at[1]) * d[2].bound +
						 at[2]];

				if (!*done)
					paint(p->t, d, at, policy);
				*done = 1;
			}
		}
	}
}

/* The more it names, and the further to the left, the later it is painted: over the others. */
static unsigned int tier_of(const struct mg_config_policy *policy)
{
	return (policy->n_subscribers ? 4U : 0) | (policy->n_services ? 2U : 0) |
	       (policy->n_access ? 1U : 0);
}

static void paint_all(struct painter *p, const struct mg_config_policies *c)
{
	struct mg_policy_tables *t = p->t;

	for (unsigned int tier = 0; tier < 8; tier++) {
		memset(p->done, 0, t->n_cells);
		for (size_t i = 0; i < c->n_policies; i++) {
			const struct mg_config_policy *policy = &c->policies[i];
			const struct dimension d[3] = {
				{ policy->subscribers, policy->n_subscribers,
				  t->numbers[MG_KIND_CLASS], t->set.n_classes },
				{ policy->services, policy->n_services, t->numbers[MG_KIND_SERVICE],
				  t->set.n_services },
				{ policy->access, policy->n_access, t->numbers[MG_KIND_ACCESS],
				  t->set.n_access },
			};

			if (tier_of(policy) == tier)
				paint_policy(p, d, t->numbers[MG_KIND_POLICY][i]);
		}
	}
}

static int set_cells(struct mg_policy_tables *t, const struct mg_config_policies *p,
		     char why[MG_POLICY_WHY])
{
	struct painter painter = { .t = t };
	int err;

	t->set.n_classes = highest(t->numbers[MG_KIND_CLASS], p->n_subscribers) + 1U;
	t->set.n_services = highest(t->numbers[MG_KIND_SERVICE], p->n_services) + 1U;
	t->set.n_access = highest(t->numbers[MG_KIND_ACCESS], p->n_access) + 1U;
	t->n_cells = (size_t)t->set.n_classes * t->set.n_services * t->set.n_access;
	if (t->n_cells > MG_POLICY_CELLS_MAX) {
		snprintf(why, MG_POLICY_WHY,
			 "%u subscribers x %u services x %u access_networks are %zu cells, %d at "
			 "most",
			 t->set.n_classes, t->set.n_services, t->set.n_access, t->n_cells,
			 MG_POLICY_CELLS_MAX);
		return -E2BIG;
	}
	t->cells = calloc(t->n_cells, sizeof(*t->cells));
	painter.done = malloc(t->n_cells);
	err = t->cells && painter.done ? 0 : -ENOMEM;
	if (!err)
		paint_all(&painter, p);
	free(painter.done);
	return err;
}

/* ---- all ------------------------------------------------------------------------------------- */

int mg_policy_compile(struct mg_policy_tables *t, struct mg_policy_names names[MG_KIND_COUNT],
		      uint32_t generation, const struct mg_policy_input *in,
		      char why[MG_POLICY_WHY])
{
	const struct mg_config_policies *p = in->policies;
	int err;

	*t = (struct mg_policy_tables){
		.set = { .generation = generation,
			 .active = p->any,
			 .answers_per_s = p->answers_per_s,
			 .key_bits = { [MG_FAMILY_V4] = (uint8_t)(V4_BITS + p->key_ipv4_bits),
				       [MG_FAMILY_V6] = p->key_ipv6_bits } },
	};
	why[0] = '\0';
	err = assign(t, names, generation, p, why);
	if (!err)
		err = set_access(t, in, why);
	if (!err)
		err = set_terms(t, in);
	if (!err)
		err = set_limits(t, p);
	if (!err)
		err = set_cells(t, p, why);
	if (!err)
		err = mg_policy_prefixes(t, p, why);
	if (err)
		mg_policy_tables_free(t);
	return err;
}

void mg_policy_tables_free(struct mg_policy_tables *t)
{
	free(t->keys);
	free(t->values);
	free(t->ranges);
	free(t->cells);
	free(t->terms);
	free(t->limits);
	for (int kind = 0; kind < MG_KIND_COUNT; kind++)
		free(t->numbers[kind]);
	*t = (struct mg_policy_tables){ 0 };
}
