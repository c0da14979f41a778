// SPDX-License-Identifier: BSD-2-Clause
/*
 * What policies cost a SYN in mg_xdp, and a reload the daemon: nanoseconds from BPF_PROG_TEST_RUN,
 * less those of a program that does nothing, and beside those of mg_xdp without policies. Prints
 * JSON.
 *
 * `cold`: each SYN from another subscriber, at random, run once; so it also pays for what the
 * system call before it drove out of the caches, as a packet pays that comes alone. `hot`: the same
 * one again and again. The three programs take turns, packet by packet.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <jansson.h>

#include "../packet/admission_rig.h"
#include "../packet/packet.h"
#include "base/log.h"
#include "skel/xdp.skel.h"

#define ROUNDS	  15
#define PER_ROUND 1000
#define IN_A_ROW  20000
#define RELOADS	  5
#define FEW	  1000
#define MANY	  1000000
#define SERVICES  64

/* Where the frames differ: Ethernet and IPv4 come first, then TCP with MP_CAPABLE. */
#define SOURCE_AT  26
#define MESSAGE_AT (54 + 4)
#define COOKIE_AT  (MESSAGE_AT + 4 + 20 + 4)

enum { EMPTY, WITHOUT, WITH, PROGRAMS };

struct gate {
	struct mg_admission *admission;
	struct mg_xdp_bpf *xdp;
	int program;
};

struct bench {
	struct gate without, with;
	int programs[PROGRAMS];
	struct rig_config rig;
	struct mg_config_match match[SERVICES];
	struct mg_cookie_keys keys;
	uint32_t entries;
	uint64_t random;
};

struct packet {
	uint8_t data[256];
	size_t len;
};

struct arm {
	const char *name;
	uint32_t net; /* whose clients are such */
	bool cookie;
	int action; /* of mg_xdp with policies */
	uint32_t policies[ROUNDS], all[ROUNDS], empty[ROUNDS];
	uint32_t hot_policies, hot_all;
};

/* Third parties are in 172.16.0.0/12, who is denied in 192.168.0.0/16. */
static struct arm arms[] = {
	{ .name = "admitted", .net = 0x0a000000, .action = XDP_PASS },
	{ .name = "denied", .net = 0xc0a80000, .action = XDP_DROP },
	{ .name = "third_party_cookie", .net = 0xac100000, .cookie = true, .action = XDP_PASS },
	{ .name = "third_party_no_cookie", .net = 0xac100000, .action = XDP_DROP },
};
#define N_ARMS (sizeof(arms) / sizeof(*arms))

/* ---- packets --------------------------------------------------------------------------------- */

static uint64_t next_random(struct bench *b) /* splitmix64 */
{
	uint64_t z = b->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void put32(uint8_t *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* A Connect for 203.0.113.7:443, and a cookie (RFC 8803 sections 6.2.5 and 6.2.7) */
static void build(struct bench *b, struct packet *p, const struct arm *arm)
{
	static uint8_t frame[FRAME_MAX];
	const struct frame f = {
		.flags = F_SYN,
		.opts = B(30, 4, 0x01, 0x01),
		.payload = B(1, 10, 0x22, 0x63, 10, 5, 1, 187, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
			     0xff, 203, 0, 113, 7, 22, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
	};
	uint32_t hosts = arm->net == 0x0a000000 ? b->entries : 65536;
	uint32_t client = arm->net + (uint32_t)(next_random(b) % hosts);
	struct in6_addr ip = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	p->len = frame_build(frame, &f);
	assert_true(p->len == COOKIE_AT + MG_COOKIE_BYTES);
	memcpy(p->data, frame, p->len);
	put32(p->data + SOURCE_AT, client);
	put32(ip.s6_addr + 12, client);
	if (arm->cookie)
		mg_cookie_make(p->data + COOKIE_AT, &b->keys, &ip);
	else
		p->data[COOKIE_AT - 4] = 0xff; /* a TLV that nobody knows */
}

/* ---- the host -------------------------------------------------------------------------------- */

static void open_gate(struct gate *g, const struct mg_config *cfg)
{
	struct mg_converter converter = { 0 };
	struct mg_endpoint at = { .port = 5124 };
	struct in6_addr ip;

	assert_int_equal(mg_admission_open(&g->admission, cfg), 0);
	assert_int_equal(mg_admission_apply(g->admission, cfg, NULL, NULL), 0);
	g->xdp = mg_xdp_bpf__open();
	assert_non_null(g->xdp);
	assert_int_equal(mg_admission_share(g->admission, g->xdp->obj), 0);
	assert_int_equal(mg_xdp_bpf__load(g->xdp), 0);
	assert_int_equal(mg_ip_parse(&ip, "10.3.0.2"), 0);
	memcpy(at.ip, &ip, sizeof(at.ip));
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(g->xdp->maps.mg_converters), &at,
					     &converter, BPF_ANY),
			 0);
	g->program = bpf_program__fd(g->xdp->progs.mg_xdp);
}

static int load_empty(void)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", pass, 2, NULL);
}

static struct mg_prefix prefix(const char *text)
{
	struct mg_prefix p;

	assert_int_equal(mg_prefix_parse(&p, text), 0);
	return p;
}

static void configure(struct bench *b)
{
	struct rig_config *r = &b->rig;

	rig_configure(r);
	r->blocked[0] = prefix("192.168.0.0/16");
	r->cellular[0] = prefix("172.16.0.0/12");
	r->access[0].trust = MG_TRUST_THIRD_PARTY;
	r->access[1].n_interfaces = 0; /* all packets of this program come in on lo */
	r->policies[0].sessions = 1000;
	r->policies[0].new_per_s = 1000000;
	r->policies[0].burst = 1000000;
	r->c.policies.answers_per_s = 0;
	for (int i = 0; i < SERVICES; i++) {
		b->match[i] = (struct mg_config_match){ prefix("203.0.113.0/24"), 443, 443 };
		b->match[i].prefix.ip.s6_addr[14] = (uint8_t)(113 + i);
	}
	r->services[0].match = b->match;
	r->services[0].n_match = SERVICES;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare_seconds(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The median of a few reloads, in milliseconds: policies of so many subscribers */
static double fill(struct bench *b, uint32_t entries)
{
	double seconds[RELOADS];
	struct mg_prefix *all = rig_prefixes(entries);

	b->entries = entries;
	b->rig.subscribers[0].prefixes = all;
	b->rig.subscribers[0].n_prefixes = entries;
	for (int i = 0; i < RELOADS; i++) {
		double from = now_s();

		assert_int_equal(mg_admission_apply(b->with.admission, &b->rig.c, NULL, NULL), 0);
		seconds[i] = now_s() - from;
	}
	free(all);
	qsort(seconds, RELOADS, sizeof(seconds[0]), compare_seconds);
	return seconds[RELOADS / 2] * 1000;
}

static void open_bench(struct bench *b)
{
	static struct rig_config none;
	const uint8_t key[16] = { 1, 2, 3 };

	rig_configure(&none);
	none.c.policies.any = false;
	open_gate(&b->without, &none.c);
	configure(b);
	open_gate(&b->with, &b->rig.c);
	mg_cookie_keys_init(&b->keys, 1, key);
	assert_int_equal(mg_admission_set_cookies(b->with.admission, &b->keys), 0);
	b->programs[EMPTY] = load_empty();
	b->programs[WITHOUT] = b->without.program;
	b->programs[WITH] = b->with.program;
	assert_true(b->programs[EMPTY] >= 0);
}

/* ---- measuring ------------------------------------------------------------------------------- */

static uint32_t run(const struct bench *b, int which, const struct packet *p, uint32_t repeat,
		    int action)
{
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->data,
			    .data_size_in = (__u32)p->len, .repeat = (int)repeat);

	assert_int_equal(bpf_prog_test_run_opts(b->programs[which], &opts), 0);
	/* Or the figure would be of something else. */
	assert_int_equal(opts.retval, which == WITH ? action : XDP_PASS);
	return opts.duration;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint32_t median(uint32_t *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

static uint32_t difference(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

static void measure(struct bench *b, struct arm *arm, int round)
{
	static uint32_t ns[PROGRAMS][PER_ROUND];
	struct packet p;

	for (int i = 0; i < PER_ROUND; i++) {
		build(b, &p, arm);
		for (int which = 0; which < PROGRAMS; which++)
			ns[which][i] = run(b, which, &p, 1, arm->action);
	}
	arm->empty[round] = median(ns[EMPTY], PER_ROUND);
	arm->all[round] = median(ns[WITH], PER_ROUND);
	arm->policies[round] = difference(arm->all[round], median(ns[WITHOUT], PER_ROUND));
	arm->all[round] = difference(arm->all[round], arm->empty[round]);
}

static void measure_in_a_row(struct bench *b, struct arm *arm)
{
	uint32_t all[ROUNDS], policies[ROUNDS];
	struct packet p;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t ns[PROGRAMS];

		build(b, &p, arm);
		for (int which = 0; which < PROGRAMS; which++)
			ns[which] = run(b, which, &p, IN_A_ROW, arm->action);
		all[i] = difference(ns[WITH], ns[EMPTY]);
		policies[i] = difference(ns[WITH], ns[WITHOUT]);
	}
	arm->hot_all = median(all, ROUNDS);
	arm->hot_policies = median(policies, ROUNDS);
}

static json_t *measure_all(struct bench *b)
{
	json_t *out = json_object();

	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < N_ARMS; i++)
			measure(b, &arms[i], round);
	for (size_t i = 0; i < N_ARMS; i++) {
		struct arm *arm = &arms[i];
		uint32_t middle = median(arm->policies, ROUNDS);

		measure_in_a_row(b, arm);
		json_object_set_new(out, arm->name,
				    json_pack("{s:{s:i, s:i, s:i, s:i}, s:{s:i, s:i}}", "cold",
					      "policies", middle, "least", arm->policies[0], "most",
					      arm->policies[ROUNDS - 1], "above_empty_program",
					      median(arm->all, ROUNDS), "hot", "policies",
					      arm->hot_policies, "above_empty_program",
					      arm->hot_all));
	}
	return out;
}

int main(void)
{
	static struct bench b;
	static const uint32_t sizes[] = { FEW, 100000, MANY };
	json_t *by_prefixes = json_object(), *reloads = json_object(), *top;

	libbpf_set_print(NULL);
	mg_log_set_level(MG_LOG_ERROR);
	open_bench(&b);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", sizes[i]);
		json_object_set_new(reloads, name, json_real(fill(&b, sizes[i])));
		if (sizes[i] != 100000)
			json_object_set_new(by_prefixes, name, measure_all(&b));
	}
	top = json_pack("{s:{s:s, s:i, s:i, s:o, s:o}}", "policy_cost", "unit",
			"ns per SYN: policies, above mg_xdp without them", "rounds", ROUNDS,
			"packets_per_round", PER_ROUND, "by_subscriber_prefixes", by_prefixes,
			"reload_ms", reloads);
	json_dumpf(top, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
	putchar('\n');
	json_decref(top);
	mg_xdp_bpf__destroy(b.with.xdp);
	mg_xdp_bpf__destroy(b.without.xdp);
	mg_admission_close(b.with.admission);
	mg_admission_close(b.without.admission);
	return 0;
}
