// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tables of policies, read as the kernel's side reads them, beside a model that goes through
 * the configuration line by line; on random configurations, whose few addresses and ports lie
 * within each other in every way.
 */
#include "policy_rig.h"

#define LISTED	 12 /* of each kind */
#define PREFIXES 24
#define ROUNDS	 200
#define PACKETS	 400

/* ---- random configurations ------------------------------------------------------------------- */

struct world {
	struct chance chance;
	struct mg_config_policies p;
	struct mg_config_access access[LISTED];
	struct mg_config_service services[LISTED];
	struct mg_config_subscribers subscribers[LISTED];
	struct mg_config_policy policies[LISTED];
	struct mg_prefix prefixes[2 * LISTED][PREFIXES];
	struct mg_config_match match[LISTED][PREFIXES];
	char interfaces[LISTED][4][IFNAMSIZ];
	size_t lists[3 * LISTED][LISTED];
};

static uint32_t below(struct world *w, uint32_t n)
{
	return (uint32_t)(chance_next(&w->chance) >> 33) % n;
}

/* Few that differ, and those in bits that prefixes of all lengths tell apart */
static struct in6_addr any_ip(struct world *w)
{
	struct in6_addr ip = ip_of("10.0.0.0");

	if (below(w, 2))
		ip = ip_of("2001:db8::");
	for (int i = 0; i < 3; i++)
		ip.s6_addr[12 + below(w, 4)] ^= (uint8_t)(1U << below(w, 8));
	if (ip.s6_addr[0])
		ip.s6_addr[below(w, 12)] ^= (uint8_t)(1U << below(w, 8));
	return ip;
}

/* Not masked: who wrote the file may not have, either. IPv4 with all its lengths, of IPv6 a few, as
 * more are refused. */
static struct mg_prefix any_prefix(struct world *w)
{
	static const uint8_t six[] = { 0, 1, 16, 32, 48, 64, 90, 96, 97, 120, 127, 128 };
	struct mg_prefix p = { .ip = any_ip(w) };

	if (mg_ip_is_v4(&p.ip))
		p.len = (uint8_t)(96 + below(w, 33));
	else
		p.len = six[below(w, sizeof(six))];
	return p;
}

static uint16_t any_port(struct world *w)
{
	static const uint16_t edges[] = { 0, 1, 65534, 65535 };

	return below(w, 4) ? (uint16_t)(100 + below(w, 16)) : edges[below(w, 4)];
}

static struct mg_config_match any_match(struct world *w)
{
	struct mg_config_match m = { .prefix = any_prefix(w), .last = 65535 };

	if (below(w, 4)) {
		m.first = any_port(w);
		m.last = below(w, 2) ? m.first : any_port(w);
	}
	if (m.first > m.last) {
		uint16_t first = m.last;

		m.last = m.first;
		m.first = first;
	}
	return m;
}

static size_t list_of(struct world *w, size_t list[LISTED], size_t n_all)
{
	size_t n = n_all && below(w, 2) ? 1 + below(w, (uint32_t)n_all) : 0;

	for (size_t i = 0; i < n; i++)
		list[i] = below(w, (uint32_t)n_all);
	return n;
}

static void make_lists(struct world *w)
{
	for (size_t i = 0; i < w->p.n_subscribers; i++) {
		struct mg_config_subscribers *s = &w->subscribers[i];

		*s = (struct mg_config_subscribers){ .prefixes = w->prefixes[i] };
		name_it(s->name, "class", i);
		s->n_prefixes = below(w, PREFIXES);
		for (size_t j = 0; j < s->n_prefixes; j++)
			s->prefixes[j] = any_prefix(w);
	}
	for (size_t i = 0; i < w->p.n_services; i++) {
		struct mg_config_service *s = &w->services[i];

		*s = (struct mg_config_service){ .match = w->match[i], .sessions = below(w, 9) };
		name_it(s->name, "service", i);
		s->n_match = below(w, PREFIXES);
		for (size_t j = 0; j < s->n_match; j++)
			s->match[j] = any_match(w);
	}
	for (size_t i = 0; i < w->p.n_access; i++) {
		struct mg_config_access *a = &w->access[i];

		*a = (struct mg_config_access){ .prefixes = w->prefixes[LISTED + i],
						.interfaces = w->interfaces[i],
						.trust = below(w, 2) ? MG_TRUST_TRUSTED
								     : MG_TRUST_THIRD_PARTY };
		name_it(a->name, "access", i);
		a->n_prefixes = below(w, PREFIXES);
		for (size_t j = 0; j < a->n_prefixes; j++)
			a->prefixes[j] = any_prefix(w);
		a->n_interfaces = below(w, 4);
		for (size_t j = 0; j < a->n_interfaces; j++)
			snprintf(w->interfaces[i][j], IFNAMSIZ, "if%u", 1 + below(w, 8));
	}
}

static void make_policies(struct world *w)
{
	for (size_t i = 0; i < w->p.n_policies; i++) {
		struct mg_config_policy *p = &w->policies[i];

		*p = (struct mg_config_policy){ .subscribers = w->lists[3 * i],
						.services = w->lists[3 * i + 1],
						.access = w->lists[3 * i + 2],
						.group = MG_CONFIG_NONE,
						.sessions = below(w, 1000) };
		name_it(p->name, "policy", i);
		p->n_subscribers = list_of(w, p->subscribers, w->p.n_subscribers);
		p->n_services = list_of(w, p->services, w->p.n_services);
		p->n_access = list_of(w, p->access, w->p.n_access);
	}
}

static void make_world(struct world *w)
{
	w->p = (struct mg_config_policies){
		.access = w->access,
		.n_access = below(w, LISTED),
		.services = w->services,
		.n_services = below(w, LISTED),
		.subscribers = w->subscribers,
		.n_subscribers = below(w, LISTED),
		.policies = w->policies,
		.n_policies = below(w, LISTED),
		.fallback = { .group = MG_CONFIG_NONE },
		.any = true,
		.key_ipv4_bits = 32,
		.key_ipv6_bits = 64,
	};
	name_it(w->p.fallback.name, "default", 0);
	make_lists(w);
	make_policies(w);
}

/* ---- what the configuration says ------------------------------------------------------------- */

#define NONE MG_CONFIG_NONE

static size_t model_prefix(const struct in6_addr *ip, const struct mg_prefix *prefixes, size_t n,
			   size_t i, size_t best, int *best_len)
{
	for (size_t j = 0; j < n; j++)
		if (mg_prefix_contains(&prefixes[j], ip) && prefixes[j].len > *best_len) {
			*best_len = prefixes[j].len;
			best = i;
		}
	return best;
}

static size_t model_class(const struct world *w, const struct in6_addr *ip)
{
	size_t best = NONE;
	int len = -1;

	for (size_t i = 0; i < w->p.n_subscribers; i++)
		best = model_prefix(ip, w->subscribers[i].prefixes, w->subscribers[i].n_prefixes, i,
				    best, &len);
	return best;
}

static size_t model_access(const struct world *w, const struct in6_addr *ip, uint32_t ifindex)
{
	size_t best = NONE;
	int len = -1;

	for (size_t i = 0; i < w->p.n_access; i++)
		best = model_prefix(ip, w->access[i].prefixes, w->access[i].n_prefixes, i, best,
				    &len);
	for (size_t i = 0; best == NONE && i < w->p.n_access; i++)
		for (size_t j = 0; j < w->access[i].n_interfaces; j++)
			if (strtoul(w->access[i].interfaces[j] + 2, NULL, 10) == ifindex)
				return i;
	return best;
}

static size_t model_service(const struct world *w, const struct in6_addr *ip, uint16_t port)
{
	int best_len = -1, best_ports = 0;
	size_t best = NONE;

	for (size_t i = 0; i < w->p.n_services; i++) {
		for (size_t j = 0; j < w->services[i].n_match; j++) {
			const struct mg_config_match *m = &w->services[i].match[j];
			int ports = m->last - m->first;

			if (!mg_prefix_contains(&m->prefix, ip) || port < m->first ||
			    port > m->last || m->prefix.len < best_len ||
			    (m->prefix.len == best_len && ports >= best_ports))
				continue;
			best_len = m->prefix.len;
			best_ports = ports;
			best = i;
		}
	}
	return best;
}

static bool lists(const size_t *list, size_t n, size_t one)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == one)
			return true;
	return !n;
}

static size_t model_policy(const struct world *w, size_t class, size_t service, size_t access)
{
	size_t best = NONE;
	int best_rank = -1;

	for (size_t i = 0; i < w->p.n_policies; i++) {
		const struct mg_config_policy *p = &w->policies[i];
		int rank = (p->n_subscribers ? 4 : 0) + (p->n_services ? 2 : 0) +
			   (p->n_access ? 1 : 0);

		if (rank <= best_rank || !lists(p->subscribers, p->n_subscribers, class) ||
		    !lists(p->services, p->n_services, service) ||
		    !lists(p->access, p->n_access, access))
			continue;
		best_rank = rank;
		best = i;
	}
	return best;
}

/* ---- what the tables say --------------------------------------------------------------------- */

static const struct mg_prefix_value *find(const struct mg_policy_tables *t, enum mg_table table,
					  const struct in6_addr *ip)
{
	enum mg_family family = mg_ip_is_v4(ip) ? MG_FAMILY_V4 : MG_FAMILY_V6;
	const struct mg_lengths *l = &t->set.lengths[table][family];

	for (int i = 0; i < l->n; i++) {
		struct mg_prefix prefix = { .ip = *ip, .len = l->bits[i] };
		struct mg_prefix_key key;

		assert_true(i == 0 || l->bits[i] < l->bits[i - 1]);
		mg_policy_key(&key, table, &prefix);
		for (size_t j = 0; j < t->n_prefixes; j++)
			if (!memcmp(&t->keys[j], &key, sizeof(key)))
				return &t->values[j];
	}
	return NULL;
}

static uint32_t table_number(const struct mg_policy_tables *t, enum mg_table table,
			     const struct in6_addr *ip)
{
	const struct mg_prefix_value *v = find(t, table, ip);

	return v ? v->number : 0;
}

static uint32_t table_service(const struct mg_policy_tables *t, const struct in6_addr *ip,
			      uint16_t port)
{
	const struct mg_prefix_value *v = find(t, MG_TABLE_SERVICE, ip);

	for (uint32_t i = 0; v && i < v->n; i++) {
		const struct mg_port_range *r = &t->ranges[v->number + i];

		assert_true(r->first <= r->last && r->service);
		assert_true(i == 0 || r->first > r[-1].last);
		if (port >= r->first && port <= r->last)
			return r->service;
	}
	return 0;
}

static uint32_t table_access(const struct mg_policy_tables *t, const struct in6_addr *ip,
			     uint32_t ifindex)
{
	uint32_t number = table_number(t, MG_TABLE_ACCESS, ip);

	for (uint32_t i = 0; !number && i < t->set.n_interfaces; i++)
		if (t->set.interfaces[i].ifindex == ifindex)
			number = t->set.interfaces[i].access;
	return number;
}

static uint32_t table_policy(const struct mg_policy_tables *t, uint32_t c, uint32_t s, uint32_t a)
{
	size_t cell = ((size_t)c * t->set.n_services + s) * t->set.n_access + a;

	assert_true(c < t->set.n_classes && s < t->set.n_services && a < t->set.n_access);
	assert_true(cell < t->n_cells);
	return t->cells[cell];
}

/* ---- beside each other ----------------------------------------------------------------------- */

static uint32_t number_of(const struct mg_policy_tables *t, enum mg_policy_kind kind, size_t i)
{
	return i == NONE ? 0 : t->numbers[kind][i];
}

static void compare(struct world *w, const struct mg_policy_tables *t)
{
	struct in6_addr client = any_ip(w), server = any_ip(w);
	uint16_t port = any_port(w);
	uint32_t ifindex = below(w, 10), c, s, a;
	size_t class = model_class(w, &client), service = model_service(w, &server, port),
	       access = model_access(w, &client, ifindex);

	c = table_number(t, MG_TABLE_CLASS, &client);
	s = table_service(t, &server, port);
	a = table_access(t, &client, ifindex);
	assert_int_equal(c, number_of(t, MG_KIND_CLASS, class));
	assert_int_equal(s, number_of(t, MG_KIND_SERVICE, service));
	assert_int_equal(a, number_of(t, MG_KIND_ACCESS, access));
	assert_int_equal(table_policy(t, c, s, a),
			 number_of(t, MG_KIND_POLICY, model_policy(w, class, service, access)));
}

static void all_that_is_by_number(const struct world *w, const struct mg_policy_tables *t)
{
	for (size_t i = 0; i < w->p.n_policies; i++) {
		const struct mg_terms *terms = &t->terms[t->numbers[MG_KIND_POLICY][i]];

		assert_int_equal(terms->used, 1);
		assert_int_equal(terms->sessions, w->policies[i].sessions);
		assert_string_equal(terms->name, w->policies[i].name);
	}
	for (size_t i = 0; i < w->p.n_services; i++)
		assert_int_equal(t->limits[t->numbers[MG_KIND_SERVICE][i]].sessions,
				 w->services[i].sessions);
	for (size_t i = 0; i < w->p.n_access; i++) {
		const struct mg_access_network *a = &t->set.access[t->numbers[MG_KIND_ACCESS][i]];

		assert_int_equal(a->used, 1);
		assert_int_equal(a->trust, w->access[i].trust);
	}
	for (size_t i = 0; i < t->n_prefixes; i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(&t->keys[i], &t->keys[j], sizeof(t->keys[i]));
}

static void tables_say_what_the_configuration_says(void **state)
{
	static struct world w = { .chance = { 88172645463325252ULL } };
	struct mg_policy_names names[MG_KIND_COUNT];
	struct mg_policy_tables t;
	char why[MG_POLICY_WHY];

	(void)state;
	names_init(names);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		make_world(&w);
		assert_int_equal(compile(&t, names, round, &w.p, why), 0);
		all_that_is_by_number(&w, &t);
		for (int i = 0; i < PACKETS; i++)
			compare(&w, &t);
		mg_policy_tables_free(&t);
	}
	names_free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_say_what_the_configuration_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
