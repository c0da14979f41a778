// SPDX-License-Identifier: BSD-2-Clause
#include "steer_run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "base/addr.h"
#include "lab.h"

static void size_maps(struct mg_steer_bpf *skel, uint32_t entries)
{
	bpf_map__set_max_entries(skel->maps.mg_flows, entries);
	bpf_map__set_max_entries(skel->maps.mg_pushed, entries);
	bpf_map__set_max_entries(skel->maps.mg_learned, entries);
	bpf_map__set_max_entries(skel->maps.mg_ring, STEER_GROUPS * MG_RING_SLOTS);
}

const struct bpf_object *steer_run_from;

/* Names of maps that hold the object's variables have a dot in them. */
static int share_maps(struct mg_steer_bpf *to, const struct bpf_object *from)
{
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, to->obj)
	{
		const char *name = bpf_map__name(map);
		const struct bpf_map *its = bpf_object__find_map_by_name(from, name);

		if (!err && its && !strchr(name, '.'))
			err = bpf_map__reuse_fd(map, bpf_map__fd(its));
	}
	return err;
}

static int load(struct steer_run *r, enum mg_side side, uint32_t entries)
{
	struct mg_steer_bpf *skel = mg_steer_bpf__open();
	int err = 0;

	if (!skel)
		return -errno;
	r->side[side] = skel;
	skel->rodata->mg_side = side;
	size_maps(skel, entries);
	if (steer_run_from)
		err = share_maps(skel, steer_run_from);
	if (!err && side != MG_SIDE_ACCESS)
		err = share_maps(skel, r->side[MG_SIDE_ACCESS]->obj);
	return err ? err : mg_steer_bpf__load(skel);
}

int steer_run_open(struct steer_run *r)
{
	return steer_run_open_sized(r, STEER_FLOWS);
}

int steer_run_open_sized(struct steer_run *r, uint32_t entries)
{
	int err = lab_enter();

	*r = (struct steer_run){ .px0 = if_nametoindex("px0"), .px1 = if_nametoindex("px1") };
	if (!err)
		err = load(r, MG_SIDE_ACCESS, entries);
	return err ? err : load(r, MG_SIDE_CORE, entries);
}

void steer_run_close(struct steer_run *r)
{
	mg_steer_bpf__destroy(r->side[MG_SIDE_CORE]);
	mg_steer_bpf__destroy(r->side[MG_SIDE_ACCESS]);
}

static void empty(int map)
{
	uint8_t key[64];

	while (!bpf_map_get_next_key(map, NULL, key))
		assert_int_equal(bpf_map_delete_elem(map, key), 0);
}

void steer_put(int map, const void *key, const void *value)
{
	assert_int_equal(bpf_map_update_elem(map, key, value, BPF_ANY), 0);
}

static void clear(int map, uint32_t entries)
{
	static const uint8_t none[1 << 20]; /* of all CPUs */

	for (uint32_t i = 0; i < entries; i++)
		steer_put(map, &i, none);
}

/* Through its memory, as the daemon does: slot by slot it would take most of a test's time. */
static void clear_ring(struct steer_run *r)
{
	size_t bytes = STEER_GROUPS * MG_RING_SLOTS * sizeof(struct mg_slot);
	void *slots =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, STEER_MAP(r, mg_ring), 0);

	assert_ptr_not_equal(slots, MAP_FAILED);
	memset(slots, 0, bytes);
	munmap(slots, bytes);
}

void steer_run_reset(struct steer_run *r)
{
	const int hashes[] = { STEER_MAP(r, mg_flows),	    STEER_MAP(r, mg_pushed),
			       STEER_MAP(r, mg_learned),    STEER_MAP(r, mg_virtual),
			       STEER_MAP(r, mg_neighbours), STEER_MAP(r, mg_mine),
			       STEER_MAP(r, mg_peers),	    STEER_MAP(r, mg_paths),
			       STEER_MAP(r, mg_converters) };

	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		empty(hashes[i]);
	clear(STEER_MAP(r, mg_gateway), 1);
	clear(STEER_MAP(r, mg_proxies), MG_PROXIES_MAX);
	clear(STEER_MAP(r, mg_groups), MG_GROUPS_MAX);
	clear(STEER_MAP(r, mg_rules), MG_RULES_MAX);
	clear(STEER_MAP(r, mg_learn_rate), 1);
	clear(STEER_MAP(r, mg_answers), 1);
	clear_ring(r);
	steer_run_look(r);
}

static struct xdp_md context(const struct steer_run *r, enum mg_side side, size_t len)
{
	return (struct xdp_md){ .data_end = (__u32)len,
				.ingress_ifindex = side == MG_SIDE_ACCESS ? r->px0 : r->px1 };
}

/* NOLINTBEGIN(readability-non-const-parameter): the kernel writes to out */
int steer_run_bytes(struct steer_run *r, enum mg_side side, const uint8_t *frame, size_t len,
		    uint8_t *out, size_t *out_len)
/* NOLINTEND(readability-non-const-parameter) */
{
	struct xdp_md ctx = context(r, side, len);
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
			    .data_out = out, .data_size_out = FRAME_MAX, .ctx_in = &ctx,
			    .ctx_size_in = sizeof(ctx), .repeat = 1);

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(r->side[side]->progs.mg_steer), &opts), 0);
	*out_len = opts.data_size_out;
	return (int)opts.retval;
}

int steer_run_frame(struct steer_run *r, enum mg_side side, const struct frame *f)
{
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t len = frame_build(frame, f), out_len = 0;
	int action = steer_run_bytes(r, side, frame, len, out, &out_len);

	assert_int_equal(out_len, len);
	assert_memory_equal(out, frame, len);
	return action;
}

struct mg_decision steer_run_locate(struct steer_run *r, enum mg_side side, const struct frame *f)
{
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t len = frame_build(frame, f);
	struct xdp_md ctx = context(r, side, len);
	struct mg_decision d;
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
			    .data_out = out, .data_size_out = FRAME_MAX, .ctx_in = &ctx,
			    .ctx_size_in = sizeof(ctx), .repeat = 1);

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(r->side[side]->progs.mg_locate), &opts), 0);
	assert_int_equal(opts.retval, XDP_PASS);
	assert_true(opts.data_size_out >= sizeof(d));
	memcpy(&d, out, sizeof(d));
	return d;
}

static void sum_up(int map, uint64_t *out, size_t n)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *each = calloc((size_t)cpus * n, sizeof(*each));
	uint32_t zero = 0;

	assert_non_null(each);
	assert_int_equal(bpf_map_lookup_elem(map, &zero, each), 0);
	memset(out, 0, n * sizeof(*out));
	for (size_t i = 0; i < (size_t)cpus * n; i++)
		out[i % n] += each[i];
	free(each);
}

void steer_run_look(struct steer_run *r)
{
	sum_up(STEER_MAP(r, mg_steer_stats), r->steer, MG_STEER_COUNTER_COUNT);
	sum_up(STEER_MAP(r, mg_classes), r->classes, MG_CLASS_COUNT);
	sum_up(STEER_MAP(r, mg_verdicts), r->verdicts, MG_VERDICT_COUNT);
	sum_up(STEER_MAP(r, mg_reasons), r->reasons, MG_REASON_COUNT);
}

uint64_t steer_run_counted(struct steer_run *r, enum mg_steer_counter which)
{
	uint64_t now[MG_STEER_COUNTER_COUNT], n;

	sum_up(STEER_MAP(r, mg_steer_stats), now, MG_STEER_COUNTER_COUNT);
	n = now[which] - r->steer[which];
	r->steer[which] = now[which];
	return n;
}

static int moved(int map, uint64_t *before, size_t n)
{
	uint64_t after[MG_REASON_COUNT];
	int at = -1;

	assert_true(n <= MG_REASON_COUNT);
	sum_up(map, after, n);
	for (size_t i = 0; i < n; i++) {
		if (after[i] == before[i])
			continue;
		assert_int_equal(after[i], before[i] + 1);
		assert_int_equal(at, -1);
		at = (int)i;
	}
	memcpy(before, after, n * sizeof(*before));
	return at;
}

void steer_run_expect(struct steer_run *r, enum mg_class class, enum mg_verdict verdict,
		      enum mg_reason reason)
{
	assert_int_equal(moved(STEER_MAP(r, mg_classes), r->classes, MG_CLASS_COUNT), class);
	assert_int_equal(moved(STEER_MAP(r, mg_verdicts), r->verdicts, MG_VERDICT_COUNT), verdict);
	assert_int_equal(moved(STEER_MAP(r, mg_reasons), r->reasons, MG_REASON_COUNT), reason);
}

void steer_put_gateway(struct steer_run *r, const struct mg_gateway *g)
{
	uint32_t zero = 0;

	steer_put(STEER_MAP(r, mg_gateway), &zero, g);
}

void steer_put_proxy(struct steer_run *r, uint32_t number, const struct mg_steer_proxy *p)
{
	steer_put(STEER_MAP(r, mg_proxies), &number, p);
}

void steer_put_flow(struct steer_run *r, const struct mg_tuple *tuple,
		    const struct mg_steer_flow *flow)
{
	steer_put(STEER_MAP(r, mg_flows), tuple, flow);
}

void steer_ip(uint8_t to[16], const char *text)
{
	struct in6_addr ip;

	assert_int_equal(mg_ip_parse(&ip, text), 0);
	memcpy(to, &ip, sizeof(ip));
}

struct mg_tuple steer_tuple(const struct frame *f)
{
	struct mg_tuple t = {
		.client.port = f->sport ? f->sport : 40000,
		.server.port = f->dport ? f->dport : 5124,
	};

	steer_ip(t.client.ip, f->src ? f->src : f->v6 ? "fd00:1::1" : "10.1.0.1");
	steer_ip(t.server.ip, f->dst ? f->dst : f->v6 ? "fd00:3::2" : "10.3.0.2");
	return t;
}
