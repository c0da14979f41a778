// SPDX-License-Identifier: BSD-2-Clause
#include "hold_run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "base/addr.h"
#include "lab.h"
#include "sys/xdp.h"

const struct bpf_object *hold_run_from;

static int on_record(void *ctx, void *data, size_t len)
{
	struct hold_run *r = ctx;
	struct hold_record *to = &r->got[r->n_got];

	if (r->discard)
		return 0;
	assert_true(r->n_got < sizeof(r->got) / sizeof(r->got[0]));
	assert_true(len >= sizeof(to->head));
	memcpy(&to->head, data, sizeof(to->head));
	assert_int_equal(len, sizeof(to->head) + to->head.frame_bytes);
	memcpy(to->frame, (uint8_t *)data + sizeof(to->head), to->head.frame_bytes);
	r->n_got++;
	return 0;
}

static void put(const struct bpf_map *map, const void *key, const void *value)
{
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY), 0);
}

static int open_ring(struct hold_run *r, uint32_t worker)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, MG_HOLD_RING_BYTES, NULL);
	int err = fd < 0 ? fd
			 : bpf_map_update_elem(bpf_map__fd(r->skel->maps.mg_hold_rings), &worker,
					       &fd, BPF_ANY);

	if (!err)
		r->rings[worker] = ring_buffer__new(fd, on_record, r, NULL);
	if (fd >= 0)
		close(fd);
	return err ? err : r->rings[worker] ? 0 : -errno;
}

int hold_run_open(struct hold_run *r)
{
	int err = lab_enter();

	if (!err)
		err = lab_sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
			     "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.px0.rp_filter=0 && "
			     "ip -6 addr add fd00:3::2/64 dev px0 nodad && "
			     "ip -6 addr add fd00:4::2/64 dev px1 nodad");
	if (err)
		return err;
	*r = (struct hold_run){ .skel = mg_hold_bpf__open() };
	if (!r->skel)
		return -errno;
	bpf_map__set_max_entries(r->skel->maps.mg_held, HOLD_HELD);
	if (hold_run_from)
		err = mg_xdp_share_maps(r->skel->obj, hold_run_from);
	if (!err)
		err = mg_hold_bpf__load(r->skel);
	for (uint32_t w = 0; !err && w < HOLD_WORKERS; w++)
		err = open_ring(r, w);
	return err;
}

void hold_run_close(struct hold_run *r)
{
	for (uint32_t w = 0; w < HOLD_WORKERS; w++)
		ring_buffer__free(r->rings[w]);
	mg_hold_bpf__destroy(r->skel);
}

static void empty(const struct bpf_map *map)
{
	uint8_t key[64];

	while (!bpf_map_get_next_key(bpf_map__fd(map), NULL, key))
		bpf_map_delete_elem(bpf_map__fd(map), key);
}

void hold_run_reset(struct hold_run *r)
{
	struct mg_hold_counters none[256] = { 0 };
	struct mg_intercept wanted = hold_wanted();
	const struct bpf_map *maps[] = {
		r->skel->maps.mg_held,	     r->skel->maps.mg_held_subs,   r->skel->maps.mg_passed,
		r->skel->maps.mg_servers,    r->skel->maps.mg_tokens,	   r->skel->maps.mg_hints,
		r->skel->maps.mg_converters, r->skel->maps.mg_listen_ports
	};
	uint64_t any = UINT64_MAX;
	uint32_t zero = 0;

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		empty(maps[i]);
	put(r->skel->maps.mg_hold_stats, &zero, none);
	for (uint32_t word = 0; word < MG_PORT_WORDS; word++)
		put(r->skel->maps.mg_ports, &word, &any);
	hold_run_want(r, &wanted);
	hold_run_beat(r, 0);
	r->discard = true;
	hold_run_read(r);
	r->discard = false;
	r->n_got = 0;
}

struct mg_intercept hold_wanted(void)
{
	return (struct mg_intercept){
		.mode = MG_MODE_TAKE_OVER,
		.n_workers = HOLD_WORKERS,
		.held_per_subscriber = 100,
		.beat_stale_ms = 60000,
		.learn_ttl_ns = 600000000000ULL,
		.convert = 1,
		.cpe = 1,
	};
}

void hold_run_want(struct hold_run *r, const struct mg_intercept *wanted)
{
	uint32_t zero = 0;

	put(r->skel->maps.mg_intercept, &zero, wanted);
}

uint64_t hold_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void hold_run_beat(struct hold_run *r, uint64_t ago_ns)
{
	uint64_t then = hold_now_ns() - ago_ns;

	for (uint32_t w = 0; w < HOLD_WORKERS; w++)
		put(r->skel->maps.mg_beats, &w, &then);
}

int hold_run_bytes(struct hold_run *r, const struct bpf_program *door, const uint8_t *frame,
		   size_t len, uint32_t *mark)
{
	static uint8_t out[FRAME_MAX];
	struct __sk_buff before = { .mark = HOLD_MARK, .ifindex = if_nametoindex("px0") };
	struct __sk_buff after = { 0 };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
			    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &before,
			    .ctx_size_in = sizeof(before), .ctx_out = &after,
			    .ctx_size_out = sizeof(after), .repeat = 1);

	(void)r;
	if (mark && *mark)
		before.mark = *mark;
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(door), &opts), 0);
	if (mark)
		*mark = after.mark;
	/* whatever becomes of a frame, nothing in it is changed; but for the trailer, cut off */
	assert_true(opts.data_size_out == len ||
		    opts.data_size_out == len - sizeof(struct mg_replay));
	assert_memory_equal(out, frame, opts.data_size_out);
	return (int)opts.retval;
}

int hold_run_frame(struct hold_run *r, const struct bpf_program *door, const struct frame *f)
{
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, f);

	return hold_run_bytes(r, door, frame, len, NULL);
}

unsigned int hold_run_read(struct hold_run *r)
{
	unsigned int n = r->n_got;

	for (uint32_t w = 0; w < HOLD_WORKERS; w++) {
		unsigned int from = r->n_got;

		assert_true(ring_buffer__consume(r->rings[w]) >= 0);
		for (; from < r->n_got; from++)
			r->got[from].worker = w;
	}
	return r->n_got - n;
}

static struct mg_endpoint endpoint(const char *ip, bool v6, uint16_t port)
{
	struct mg_endpoint ep = { .port = port };

	if (v6) {
		assert_int_equal(inet_pton(AF_INET6, ip, ep.ip), 1);
		return ep;
	}
	ep.ip[10] = ep.ip[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, ip, ep.ip + 12), 1);
	return ep;
}

struct mg_tuple hold_tuple(const struct frame *f)
{
	const char *src = f->src ? f->src : f->v6 ? "fd00:1::1" : "10.1.0.1";

	return (struct mg_tuple){
		.client = endpoint(src, f->v6, f->sport ? f->sport : 40000),
		.server = endpoint(f->dst, f->v6, f->dport),
	};
}

bool hold_is_held(struct hold_run *r, const struct frame *f, struct mg_hold *hold)
{
	struct mg_tuple t = hold_tuple(f);
	struct mg_hold found;

	return !bpf_map_lookup_elem(bpf_map__fd(r->skel->maps.mg_held), &t, hold ? hold : &found);
}

uint32_t hold_charged(struct hold_run *r, bool v6)
{
	struct mg_subscriber sub = { { 0 } };
	uint32_t n = 0;
	struct mg_endpoint ep = endpoint(v6 ? "fd00:1::" : "10.1.0.1", v6, 0);

	memcpy(sub.ip, ep.ip, sizeof(sub.ip));
	if (!bpf_map_lookup_elem(bpf_map__fd(r->skel->maps.mg_held_subs), &sub, &n))
		assert_int_not_equal(n, 0);
	return n;
}

long hold_entries(const struct bpf_map *map)
{
	uint8_t key[64], next[64];
	long n = 0;
	int fd = bpf_map__fd(map), err = bpf_map_get_next_key(fd, NULL, next);

	for (; !err; n++) {
		memcpy(key, next, sizeof(key));
		err = bpf_map_get_next_key(fd, key, next);
	}
	return n;
}

static void read_counters(struct hold_run *r, uint64_t sum[MG_HOLD_COUNTER_COUNT])
{
	static uint64_t per_cpu[256][MG_HOLD_COUNTER_COUNT];
	uint32_t zero = 0;

	memset(sum, 0, sizeof(uint64_t) * MG_HOLD_COUNTER_COUNT);
	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(r->skel->maps.mg_hold_stats), &zero, per_cpu), 0);
	for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
		for (int i = 0; i < MG_HOLD_COUNTER_COUNT; i++)
			sum[i] += per_cpu[cpu][i];
}

uint64_t hold_counted(struct hold_run *r, enum mg_hold_counter which)
{
	uint64_t sum[MG_HOLD_COUNTER_COUNT];

	read_counters(r, sum);
	return sum[which];
}

uint64_t hold_counted_all(struct hold_run *r)
{
	uint64_t sum[MG_HOLD_COUNTER_COUNT], all = 0;

	read_counters(r, sum);
	for (int i = 0; i < MG_HOLD_COUNTER_COUNT; i++)
		all += sum[i];
	return all;
}

void hold_server_put(struct hold_run *r, const struct frame *f, bool mptcp, int64_t expires_in_ns)
{
	struct mg_tuple t = hold_tuple(f);
	struct mg_server server = {
		.expires_ns = hold_now_ns() + (uint64_t)expires_in_ns,
		.mptcp = mptcp,
		.source = MG_SERVER_PROBE,
	};

	put(r->skel->maps.mg_servers, &t.server, &server);
}

bool hold_server_get(struct hold_run *r, const struct frame *f, struct mg_server *server)
{
	struct mg_tuple t = hold_tuple(f);

	return !bpf_map_lookup_elem(bpf_map__fd(r->skel->maps.mg_servers), &t.server, server);
}

bool hold_passed_get(struct hold_run *r, const struct frame *f, struct mg_passed *passed)
{
	struct mg_tuple t = hold_tuple(f);

	return !bpf_map_lookup_elem(bpf_map__fd(r->skel->maps.mg_passed), &t, passed);
}

int hold_release(struct hold_run *r, const struct frame *f, uint32_t how, uint32_t why)
{
	struct mg_release what = { .tuple = hold_tuple(f), .isn = f->seq, .how = how, .why = why };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &what, .ctx_size_in = sizeof(what));

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(r->skel->progs.mg_release), &opts),
			 0);
	return (int)opts.retval;
}
