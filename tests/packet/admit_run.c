// SPDX-License-Identifier: BSD-2-Clause
#include "admit_run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "base/addr.h"

#define LOCAL_IP   "10.3.0.2"
#define LOCAL_PORT 5124

static void put(int map, const void *key, const void *value)
{
	assert_int_equal(bpf_map_update_elem(map, key, value, BPF_ANY), 0);
}

static int share_maps(struct mg_doors_bpf *to, const struct mg_policy_bpf *from)
{
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, to->obj)
	{
		const char *name = bpf_map__name(map);
		const struct bpf_map *its = bpf_object__find_map_by_name(from->obj, name);

		if (!err && its && !strchr(name, '.'))
			err = bpf_map__reuse_fd(map, bpf_map__fd(its));
	}
	return err;
}

/* Tests walk through them again and again. */
static void size_maps(struct mg_policy_bpf *s)
{
	struct bpf_map *maps[] = { s->maps.mg_accounts, s->maps.mg_svc_subs, s->maps.mg_tickets,
				   s->maps.mg_sessions, s->maps.mg_subflows, s->maps.mg_rates,
				   s->maps.mg_refused,	s->maps.mg_feed,     s->maps.mg_seen_at };

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		bpf_map__set_max_entries(maps[i], ADMIT_ENTRIES);
}

int admit_run_open(struct admit_run *r)
{
	int err;

	*r = (struct admit_run){ .skel = mg_policy_bpf__open() };
	if (!r->skel)
		return -errno;
	size_maps(r->skel);
	err = mg_policy_bpf__load(r->skel);
	if (err)
		return err;
	r->doors = mg_doors_bpf__open();
	if (!r->doors)
		return -errno;
	err = share_maps(r->doors, r->skel);
	return err ? err : mg_doors_bpf__load(r->doors);
}

void admit_run_close(struct admit_run *r)
{
	mg_doors_bpf__destroy(r->doors);
	mg_policy_bpf__destroy(r->skel);
}

static void empty(const struct bpf_map *map)
{
	uint8_t key[64];

	while (!bpf_map_get_next_key(bpf_map__fd(map), NULL, key))
		bpf_map_delete_elem(bpf_map__fd(map), key);
}

static void clear(const struct bpf_map *map, uint32_t entries)
{
	static const uint8_t none[1 << 16]; /* of all CPUs */

	for (uint32_t i = 0; i < entries; i++)
		put(bpf_map__fd(map), &i, none);
}

void admit_run_reset(struct admit_run *r)
{
	struct mg_policy_bpf *s = r->skel;
	const struct bpf_map *hashes[] = { s->maps.mg_accounts, s->maps.mg_svc_subs,
					   s->maps.mg_tickets,	s->maps.mg_sessions,
					   s->maps.mg_subflows, s->maps.mg_rates,
					   s->maps.mg_refused,	s->maps.mg_feed,
					   s->maps.mg_seen_at };

	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		empty(hashes[i]);
	clear(s->maps.mg_svc_count, ADMIT_SERVICE);
	clear(s->maps.mg_proxy_count, 1);
	clear(s->maps.mg_admit_stats, 1);
	clear(s->maps.mg_feed_lengths, 1);
	clear(s->maps.mg_cookie_keys, MG_COOKIE_KEYS);
	clear(s->maps.mg_cookie_now, 1);
	clear(s->maps.mg_policy_set, MG_SETS);
}

/* ---- tables ---------------------------------------------------------------------------------- */

struct admit_tables *admit_tables(void)
{
	static struct admit_tables t;

	memset(&t, 0, sizeof(t));
	t.set.generation = 1;
	t.set.active = 1;
	t.set.n_classes = ADMIT_CLASSES;
	t.set.n_services = ADMIT_SERVICE;
	t.set.n_access = ADMIT_ACCESS;
	t.set.key_bits[MG_FAMILY_V4] = 128;
	t.set.key_bits[MG_FAMILY_V6] = 64;
	t.set.answers_per_s = 4;
	t.terms[0].used = 1;
	return &t;
}

static void add_length(struct mg_lengths *l, uint8_t bits)
{
	unsigned int at = 0;

	while (at < l->n && l->bits[at] > bits)
		at++;
	if (at < l->n && l->bits[at] == bits)
		return;
	assert_true(l->n < MG_LENGTHS_MAX);
	memmove(l->bits + at + 1, l->bits + at, l->n - at);
	l->bits[at] = bits;
	l->n++;
}

static struct mg_prefix_key key_of(const char *prefix, enum mg_table table, bool *v6)
{
	struct mg_prefix_key key = { .table = (uint8_t)table };
	struct mg_prefix p;

	assert_int_equal(mg_prefix_parse(&p, prefix), 0);
	*v6 = !IN6_IS_ADDR_V4MAPPED(&p.ip);
	key.bits = (uint8_t)p.len;
	memcpy(key.ip, &p.ip, sizeof(key.ip));
	return key;
}

static struct admit_prefix *add_prefix(struct admit_tables *t, enum mg_table table,
				       const char *prefix)
{
	struct admit_prefix *p = &t->prefixes[t->n_prefixes++];
	bool v6;

	assert_true(t->n_prefixes <= sizeof(t->prefixes) / sizeof(t->prefixes[0]));
	p->key = key_of(prefix, table, &v6);
	add_length(&t->set.lengths[table][v6 ? MG_FAMILY_V6 : MG_FAMILY_V4], p->key.bits);
	return p;
}

void admit_prefix(struct admit_tables *t, enum mg_table table, const char *prefix, uint32_t number)
{
	add_prefix(t, table, prefix)->value.number = number;
}

void admit_service(struct admit_tables *t, const char *prefix, const struct mg_port_range *ranges)
{
	struct admit_prefix *p = add_prefix(t, MG_TABLE_SERVICE, prefix);

	p->value.number = (uint32_t)t->n_ranges;
	for (; ranges->service; ranges++) {
		assert_true(t->n_ranges < sizeof(t->ranges) / sizeof(t->ranges[0]));
		t->ranges[t->n_ranges++] = *ranges;
		p->value.n++;
	}
}

struct mg_terms *admit_terms(struct admit_tables *t, uint32_t policy)
{
	assert_true(policy < ADMIT_TERMS);
	t->terms[policy].used = 1;
	return &t->terms[policy];
}

void admit_cell(struct admit_tables *t, uint32_t c, uint32_t s, uint32_t a, uint32_t policy)
{
	t->cells[(c * ADMIT_SERVICE + s) * ADMIT_ACCESS + a] = policy;
}

static int inner(enum bpf_map_type type, uint32_t key_bytes, uint32_t bytes, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts,
		    .map_flags = type == BPF_MAP_TYPE_ARRAY ? BPF_F_INNER_MAP : 0);
	int fd = bpf_map_create(type, "inner", key_bytes, bytes, entries ? entries : 1, &opts);

	assert_true(fd >= 0);
	return fd;
}

static void hang(const struct bpf_map *outer, uint32_t set, int fd)
{
	put(bpf_map__fd(outer), &set, &fd);
	close(fd);
}

static void hang_array(const struct bpf_map *outer, uint32_t set, const void *values,
		       uint32_t bytes, uint32_t n)
{
	int fd = inner(BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), bytes, n);

	for (uint32_t i = 0; i < n; i++)
		put(fd, &i, (const uint8_t *)values + (size_t)i * bytes);
	hang(outer, set, fd);
}

static void hang_prefixes(const struct bpf_map *outer, uint32_t set, const struct admit_tables *t)
{
	int fd = inner(BPF_MAP_TYPE_HASH, sizeof(struct mg_prefix_key),
		       sizeof(struct mg_prefix_value), (uint32_t)t->n_prefixes);

	for (size_t i = 0; i < t->n_prefixes; i++)
		put(fd, &t->prefixes[i].key, &t->prefixes[i].value);
	hang(outer, set, fd);
}

#define DIFFERS(t, was, what) (memcmp((t)->what, (was)->what, sizeof((t)->what)) != 0)

/* To hang a map waits for all who may look at the one before: it stays if it holds the same. */
void admit_put(struct admit_run *r, const struct admit_tables *t)
{
	struct mg_policy_bpf *s = r->skel;
	uint32_t set = 1 - r->now, zero = 0;
	const struct admit_tables *was = &r->holds[set];
	bool all = !was->set.active;

	if (all || was->n_prefixes != t->n_prefixes || DIFFERS(t, was, prefixes))
		hang_prefixes(s->maps.mg_prefixes, set, t);
	if (all || was->n_ranges != t->n_ranges || DIFFERS(t, was, ranges))
		hang_array(s->maps.mg_ranges, set, t->ranges, sizeof(t->ranges[0]),
			   (uint32_t)t->n_ranges);
	if (all || DIFFERS(t, was, cells))
		hang_array(s->maps.mg_cells, set, t->cells, sizeof(t->cells[0]),
			   ADMIT_CLASSES * ADMIT_SERVICE * ADMIT_ACCESS);
	if (all || DIFFERS(t, was, terms))
		hang_array(s->maps.mg_terms, set, t->terms, sizeof(t->terms[0]), ADMIT_TERMS);
	if (all || DIFFERS(t, was, limits))
		hang_array(s->maps.mg_svc_limits, set, t->limits, sizeof(t->limits[0]),
			   ADMIT_SERVICE);
	put(bpf_map__fd(s->maps.mg_policy_set), &set, &t->set);
	put(bpf_map__fd(s->maps.mg_policy_now), &zero, &set);
	r->holds[set] = *t;
	r->now = set;
}

void admit_feed(struct admit_run *r, const char *prefix, const struct mg_feed_entry *entry)
{
	int map = bpf_map__fd(r->skel->maps.mg_feed_lengths);
	struct mg_feed_lengths lengths;
	struct mg_prefix_key key;
	uint32_t zero = 0;
	bool v6;

	key = key_of(prefix, MG_TABLE_ACCESS, &v6);
	assert_int_equal(bpf_map_lookup_elem(map, &zero, &lengths), 0);
	add_length(&lengths.family[v6 ? MG_FAMILY_V6 : MG_FAMILY_V4], key.bits);
	put(map, &zero, &lengths);
	put(bpf_map__fd(r->skel->maps.mg_feed), &key, entry);
}

/* ---- questions ------------------------------------------------------------------------------- */

struct mg_endpoint admit_ep(const char *ip, uint16_t port)
{
	struct mg_endpoint ep = { .port = port };
	struct in6_addr addr;

	assert_int_equal(mg_ip_parse(&addr, ip), 0);
	memcpy(ep.ip, &addr, sizeof(ep.ip));
	return ep;
}

int admit_do(const struct bpf_program *prog, struct mg_admit *ask)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ask, .ctx_size_in = sizeof(*ask));

	do
		assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(prog), &opts), 0);
	while ((int)opts.retval == -EAGAIN);
	return (int)opts.retval;
}

int admit_ask(const struct bpf_program *prog, struct mg_question *q)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = q, .data_size_in = sizeof(*q),
		    .data_out = q, .data_size_out = sizeof(*q), .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(prog), &opts), 0);
	return (int)opts.retval - MG_SAID;
}

int admit_open(struct admit_run *r, struct mg_admit *ask, const char *client, const char *server)
{
	uint32_t flags = ask->flags, ifindex = ask->ifindex;

	*ask = (struct mg_admit){ .client = admit_ep(client, 40000),
				  .server = admit_ep(server, 443),
				  .ifindex = ifindex,
				  .flags = flags };
	return admit_do(r->skel->progs.mg_session_open, ask);
}

int admit_token(struct admit_run *r, struct mg_admit *ask, uint32_t token)
{
	ask->token = token;
	ask->local = admit_ep(LOCAL_IP, LOCAL_PORT);
	return admit_do(r->skel->progs.mg_session_token, ask);
}

int admit_close(struct admit_run *r, struct mg_admit *ask)
{
	return admit_do(r->skel->progs.mg_session_close, ask);
}

int admit_joined(struct admit_run *r, uint32_t token, const char *client, uint16_t port)
{
	struct mg_admit ask = { .client = admit_ep(client, port),
				.local = admit_ep(LOCAL_IP, LOCAL_PORT),
				.token = token };

	return admit_do(r->skel->progs.mg_subflow_join, &ask);
}

int admit_join_syn(struct admit_run *r, uint32_t token, const char *client, uint16_t port)
{
	struct mg_question q = { .tuple = { .client = admit_ep(client, port),
					    .server = admit_ep(LOCAL_IP, LOCAL_PORT) },
				 .token = token };

	return admit_ask(r->doors->progs.mg_ask_join, &q);
}

int admit_part(struct admit_run *r, const char *client, uint16_t port)
{
	struct mg_admit ask = { .client = admit_ep(client, port),
				.local = admit_ep(LOCAL_IP, LOCAL_PORT) };

	return admit_do(r->skel->progs.mg_subflow_part, &ask);
}

int admit_reserve(struct admit_run *r, const struct mg_admit *of, int n)
{
	struct mg_admit ask = { .ticket = of->ticket, .n = n };
	int ret = admit_do(r->skel->progs.mg_reserve, &ask);

	return n < 0 && !ret ? ask.n : ret;
}

int admit_sweep(struct admit_run *r)
{
	struct mg_admit ask = { 0 };

	assert_int_equal(admit_do(r->skel->progs.mg_sweep, &ask), 0);
	return ask.n;
}

/* ---- what is counted ------------------------------------------------------------------------- */

struct mg_subscriber admit_subscriber(const char *ip)
{
	struct mg_endpoint ep = admit_ep(ip, 0);
	struct mg_subscriber who;

	memcpy(who.ip, ep.ip, sizeof(who.ip));
	return who;
}

struct mg_account admit_account(struct admit_run *r, const struct mg_subscriber *who)
{
	struct mg_account_entry e = { 0 };

	bpf_map_lookup_elem(bpf_map__fd(r->skel->maps.mg_accounts), who, &e);
	return mg_account_read(&e);
}

long admit_entries(const struct bpf_map *map)
{
	uint8_t key[64], next[64];
	int fd = bpf_map__fd(map), err = bpf_map_get_next_key(fd, NULL, next);
	long n = 0;

	for (; !err; n++) {
		memcpy(key, next, sizeof(key));
		err = bpf_map_get_next_key(fd, key, next);
	}
	return n;
}

uint32_t admit_u32(const struct bpf_map *map, uint32_t key)
{
	uint32_t value[2] = { 0 };

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(map), &key, value), 0);
	return value[0];
}

uint64_t admit_counted(struct admit_run *r, uint32_t refusal)
{
	static uint64_t per_cpu[256][MG_REFUSAL_COUNT];
	uint32_t zero = 0;
	uint64_t sum = 0;

	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(r->skel->maps.mg_admit_stats), &zero, per_cpu), 0);
	for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
		sum += per_cpu[cpu][refusal];
	return sum;
}

uint64_t admit_refused(struct admit_run *r, const struct mg_subscriber *who, uint32_t refusal)
{
	struct mg_refused refused = { 0 };

	bpf_map_lookup_elem(bpf_map__fd(r->skel->maps.mg_refused), who, &refused);
	return refused.by[refusal];
}

void admit_proxy_limit(struct admit_run *r, uint32_t limit)
{
	int map = bpf_map__fd(r->skel->maps.mg_proxy_count);
	struct mg_proxy_count count;
	uint32_t zero = 0;

	assert_int_equal(bpf_map_lookup_elem(map, &zero, &count), 0);
	count.limit = limit;
	put(map, &zero, &count);
}

void admit_assert_nothing(struct admit_run *r)
{
	const struct mg_policy_bpf *s = r->skel;

	assert_int_equal(admit_entries(s->maps.mg_accounts), 0);
	assert_int_equal(admit_entries(s->maps.mg_svc_subs), 0);
	assert_int_equal(admit_entries(s->maps.mg_tickets), 0);
	assert_int_equal(admit_entries(s->maps.mg_sessions), 0);
	assert_int_equal(admit_entries(s->maps.mg_subflows), 0);
	for (uint32_t i = 0; i < ADMIT_SERVICE; i++)
		assert_int_equal(admit_u32(s->maps.mg_svc_count, i), 0);
	assert_int_equal(admit_u32(s->maps.mg_proxy_count, 0), 0);
}
