// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a decision of mg_steer costs: nanoseconds from BPF_PROG_TEST_RUN, less those of a program
 * that does nothing. Prints JSON.
 *
 * No two packets of a round are alike, and each is run once: a repeated one would be found in the
 * flow table, in the caches, or in its tunnel already. So every packet also pays for code and maps
 * that the system call before it drove out of the caches, as a packet pays that comes alone. What
 * one costs among many is in `in_a_row`: the same packet again and again, delivered by MAC address,
 * so that it can be repeated.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <jansson.h>

#include "../packet/rows.h"
#include "../packet/steer_world.h"

#define ROUNDS	   15
#define PER_ROUND  2000
#define IN_A_ROW   50000
#define FEW	   1000
#define MANY	   1000000
#define ROOM	   1310720 /* for these, and for what is new: nothing is to be evicted */
#define BATCH	   1000
#define CLIENT_NET 0x0b000000 /* 11.0.0.0: one address for each flow in the table */
#define NEW_NET	   0x16000000 /* 22.0.0.0: and for each that is new */

/* Where the frames differ: Ethernet, IPv4 and TCP without options come before those of opt_join
 * and opt_keys. */
#define SOURCE_AT 26
#define TOKEN_AT  (54 + 8)
#define KEY_AT	  (54 + 14)

struct bench {
	struct world w;
	int steer, empty; /* programs */
	uint32_t entries; /* in the flow table; as many tokens in mg_pushed */
	uint32_t n_new;	  /* clients that have been new so far */
	uint64_t random;
};

struct packet {
	uint8_t data[256];
	size_t len;
};

struct arm {
	const char *name;
	/* The next packet. What has to come before it, is run. */
	void (*next)(struct bench *b, struct packet *p);
	enum mg_steer_counter counter; /* moves once for each */
	enum mg_delivery deliver;
	uint32_t above[ROUNDS], empty[ROUNDS]; /* medians */
};

/* ---- packets --------------------------------------------------------------------------------- */

static uint64_t next_random(struct bench *b) /* splitmix64 */
{
	uint64_t z = b->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* Every token once: each step can be undone. */
static uint32_t token_of(uint32_t i)
{
	i = (i ^ (i >> 16)) * 0x7feb352d;
	i = (i ^ (i >> 15)) * 0x846ca68b;
	return i ^ (i >> 16);
}

static void put32(uint8_t *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void build(struct packet *p, const struct frame *f, uint32_t client)
{
	static uint8_t frame[FRAME_MAX];

	p->len = frame_build(frame, f);
	assert_true(p->len <= sizeof(p->data));
	memcpy(p->data, frame, p->len);
	put32(p->data + SOURCE_AT, client);
}

static struct frame data_frame(void)
{
	return (struct frame){ .dst = VIRTUAL4, .flags = F_ACK, .opts = opt_times };
}

static uint32_t any_client(struct bench *b)
{
	return CLIENT_NET + (uint32_t)(next_random(b) % b->entries);
}

static uint32_t new_client(struct bench *b)
{
	return NEW_NET + b->n_new++;
}

static void next_data(struct bench *b, struct packet *p)
{
	const struct frame f = data_frame();

	build(p, &f, any_client(b));
}

/* One more subflow of a session that a proxy told of. */
static void next_join(struct bench *b, struct packet *p)
{
	const struct frame f = { .dst = VIRTUAL4, .flags = F_SYN, .opts = opt_join(0) };

	build(p, &f, new_client(b));
	put32(p->data + TOKEN_AT, token_of((uint32_t)(next_random(b) % b->entries)));
}

static void next_convert(struct bench *b, struct packet *p)
{
	const struct frame f = {
		.dst = VIRTUAL4, .flags = F_SYN, .opts = opt_capable, .payload = convert_message
	};

	build(p, &f, new_client(b));
}

static uint32_t run(struct bench *b, int prog, const struct packet *p, uint32_t repeat);

/* The third ACK of a handshake whose SYN has just come by; no key comes twice. */
static void next_third(struct bench *b, struct packet *p)
{
	static const uint8_t none[8];
	struct frame f = { .dst = VIRTUAL4, .flags = F_SYN, .opts = opt_capable };
	uint64_t key = next_random(b);
	uint32_t client = new_client(b);

	build(p, &f, client);
	run(b, b->steer, p, 1);
	f.flags = F_ACK;
	f.seq++;
	f.opts = opt_keys(none, 0);
	build(p, &f, client);
	memcpy(p->data + KEY_AT, &key, sizeof(key));
}

static struct arm arms[] = {
	{ "data_l2", next_data, MG_STEER_COUNT_FLOW, MG_DELIVER_L2 },
	{ "data_ipip", next_data, MG_STEER_COUNT_FLOW, MG_DELIVER_IPIP },
	{ "join_ipip", next_join, MG_STEER_COUNT_TOKEN_PUSHED, MG_DELIVER_IPIP },
	{ "new_convert_ipip", next_convert, MG_STEER_COUNT_NEW, MG_DELIVER_IPIP },
	{ "learning_ipip", next_third, MG_STEER_COUNT_LEARNED, MG_DELIVER_IPIP },
};
#define N_ARMS (sizeof(arms) / sizeof(*arms))

/* ---- the gateway ----------------------------------------------------------------------------- */

static void set_delivery(struct bench *b, enum mg_delivery deliver)
{
	struct mg_steer_proxy p = {
		.used = 1,
		.deliver = (uint8_t)deliver,
		.ifindex = b->w.run.px1,
		.dmac = PX_MAC(1),
		.smac = { 2, 0, 0, 0, 8, 1 },
	};

	steer_ip(p.ip, "10.3.1.11");
	steer_ip(p.source, "10.3.1.1");
	steer_put_proxy(&b->w.run, 1, &p);
}

static void put_batch(int map, const void *keys, const void *values)
{
	__u32 n = BATCH;

	assert_int_equal(bpf_map_update_batch(map, keys, values, &n, NULL), 0);
}

/* As many flows, and tokens, as wanted; there were b->entries. */
static void fill(struct bench *b, uint32_t entries)
{
	static struct mg_tuple tuples[BATCH];
	static struct mg_steer_flow flows[BATCH];
	static uint32_t tokens[BATCH];
	static struct mg_owners owners[BATCH];
	const struct frame f = data_frame();

	for (; b->entries < entries; b->entries += BATCH) {
		for (uint32_t i = 0; i < BATCH; i++) {
			tuples[i] = steer_tuple(&f);
			put32(tuples[i].client.ip + 12, CLIENT_NET + b->entries + i);
			flows[i] = (struct mg_steer_flow){ .proxy = 1 };
			tokens[i] = token_of(b->entries + i);
			owners[i] = (struct mg_owners){ .proxy = 1 };
		}
		put_batch(STEER_MAP(&b->w.run, mg_flows), tuples, flows);
		put_batch(STEER_MAP(&b->w.run, mg_pushed), tokens, owners);
	}
}

static int load_empty(void)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", pass, 2, NULL);
}

static void open_bench(struct bench *b)
{
	if (steer_run_open_sized(&b->w.run, ROOM))
		fail_msg("cannot load");
	world_reset(&b->w);
	b->w.gateway.learn_per_second = UINT32_MAX;
	world_gateway(&b->w);
	b->steer = bpf_program__fd(b->w.run.side[MG_SIDE_ACCESS]->progs.mg_steer);
	b->empty = load_empty();
	assert_true(b->empty >= 0);
}

/* ---- measuring ------------------------------------------------------------------------------- */

static uint32_t run(struct bench *b, int prog, const struct packet *p, uint32_t repeat)
{
	struct xdp_md ctx = { .data_end = (__u32)p->len, .ingress_ifindex = b->w.run.px0 };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->data,
			    .data_size_in = (__u32)p->len, .ctx_in = &ctx,
			    .ctx_size_in = sizeof(ctx), .repeat = (int)repeat);

	assert_int_equal(bpf_prog_test_run_opts(prog, &opts), 0);
	return opts.duration;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t median(uint32_t *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

static uint32_t difference(uint32_t with, uint32_t without)
{
	return with > without ? with - without : 0;
}

/* Whose turn it is first changes with every packet: the second finds its frame in the cache. */
static void measure(struct bench *b, struct arm *arm, int round)
{
	static uint32_t with[PER_ROUND], without[PER_ROUND];
	struct packet p;
	uint64_t counted;

	set_delivery(b, arm->deliver);
	steer_run_look(&b->w.run);
	for (uint32_t i = 0; i < PER_ROUND; i++) {
		arm->next(b, &p);
		if (i & 1)
			without[i] = run(b, b->empty, &p, 1);
		with[i] = run(b, b->steer, &p, 1);
		if (!(i & 1))
			without[i] = run(b, b->empty, &p, 1);
	}
	/* Or the figure would be of something else. */
	counted = steer_run_counted(&b->w.run, arm->counter);
	if (counted != PER_ROUND)
		fail_msg("%s, %u entries: %llu of %d packets were such", arm->name, b->entries,
			 (unsigned long long)counted, PER_ROUND);
	arm->empty[round] = median(without, PER_ROUND);
	arm->above[round] = difference(median(with, PER_ROUND), arm->empty[round]);
}

static uint32_t measure_in_a_row(struct bench *b, void (*next)(struct bench *, struct packet *))
{
	uint32_t above[ROUNDS];
	struct packet p;

	set_delivery(b, MG_DELIVER_L2);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t without;

		next(b, &p);
		without = run(b, b->empty, &p, IN_A_ROW);
		above[i] = difference(run(b, b->steer, &p, IN_A_ROW), without);
	}
	return median(above, ROUNDS);
}

static void next_foreign(struct bench *b, struct packet *p)
{
	struct frame f = data_frame();

	f.dst = SERVER4;
	build(p, &f, any_client(b));
}

static json_t *measure_all(struct bench *b)
{
	json_t *out = json_object();

	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < N_ARMS; i++)
			measure(b, &arms[i], round);
	for (size_t i = 0; i < N_ARMS; i++) {
		uint32_t *above = arms[i].above, middle = median(above, ROUNDS);

		json_object_set_new(out, arms[i].name,
				    json_pack("{s:i, s:i, s:i, s:i}", "median", middle, "least",
					      above[0], "most", above[ROUNDS - 1], "empty_program",
					      median(arms[i].empty, ROUNDS)));
	}
	return out;
}

int main(void)
{
	static struct bench b;
	json_t *few, *many, *top;
	uint32_t data, foreign;

	libbpf_set_print(NULL);
	open_bench(&b);
	fill(&b, FEW);
	data = measure_in_a_row(&b, next_data);
	foreign = measure_in_a_row(&b, next_foreign);
	few = measure_all(&b);
	fill(&b, MANY);
	many = measure_all(&b);
	top = json_pack("{s:{s:s, s:i, s:i, s:{s:o, s:o}, s:{s:i, s:i}}}", "steer_cost", "unit",
			"ns per decision, above an empty program", "rounds", ROUNDS,
			"packets_per_round", PER_ROUND, "by_entries", "1000", few, "1000000", many,
			"in_a_row", "data_l2", data, "passing", foreign);
	json_dumpf(top, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(top);
	world_close(&b.w);
	return 0;
}
