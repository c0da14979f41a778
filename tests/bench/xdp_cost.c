// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the XDP program costs, per class of packet: nanoseconds from BPF_PROG_TEST_RUN, less those
 * of a program that does nothing. Both take turns; medians of all rounds. Prints JSON.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <jansson.h>

#include "abi/verdict.h"
#include "skel/xdp.skel.h"
#include "sys/dp_maps.h"

#define ROUNDS 31
#define REPEAT 50000

#define ETH	 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0
#define IP(n, p) 0x45, 0, 0, (n), 0, 0, 0x40, 0, 64, (p), 0, 0, 10, 1, 0, 1, 10, 3, 0, 2
/* port 5124; data offset in words; flags */
#define TCP(off, flags) \
	0x9c, 0x40, 0x14, 0x04, 0, 0, 0, 1, 0, 0, 0, 1, (off) << 4, (flags), 0xff, 0xff, 0, 0, 0, 0
#define OPTIONS 2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7
#define CAPABLE 30, 4, 1, 1
#define JOIN	30, 12, 0x10, 2, 0xe3, 0x88, 0x1c, 0x92, 9, 9, 9, 9
#define MESSAGE \
	1, 6, 0x22, 0x63, 0x0a, 5, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 4, 0, 2

static const uint8_t other[] = { ETH, IP(28, 17), 0x9c, 0x40, 0, 53, 0, 8, 0, 0 };
static const uint8_t data[] = { ETH, IP(40, 6), TCP(5, 0x10) };
static const uint8_t syn[] = { ETH, IP(60, 6), TCP(10, 0x02), OPTIONS };
static const uint8_t mp_capable[] = { ETH, IP(64, 6), TCP(11, 0x02), OPTIONS, CAPABLE };
static const uint8_t mp_join[] = { ETH, IP(72, 6), TCP(13, 0x02), OPTIONS, JOIN };
static const uint8_t convert[] = { ETH, IP(88, 6), TCP(11, 0x02), OPTIONS, CAPABLE, MESSAGE };
static const uint8_t malformed[] = { ETH, IP(40, 6), TCP(4, 0x10) };

struct sample {
	enum mg_class class;
	const uint8_t *frame;
	size_t len;
	bool to_converter;
	uint32_t with[ROUNDS], without[ROUNDS];
};

#define SAMPLE(sym, name, conv)                                  \
	{                                                        \
		MG_CLASS_##sym, name, sizeof(name), conv, { 0 }, \
		{                                                \
			0                                        \
		}                                                \
	}
static struct sample samples[] = {
	SAMPLE(OTHER, other, false),
	SAMPLE(DATA, data, false),
	SAMPLE(SYN, syn, false),
	SAMPLE(MP_CAPABLE, mp_capable, false),
	SAMPLE(MP_JOIN, mp_join, false),
	SAMPLE(CONVERT, convert, true),
	SAMPLE(MALFORMED, malformed, false),
};
#define N_SAMPLES (sizeof(samples) / sizeof(*samples))

static int load_empty(void)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", pass, 2, NULL);
}

/* Nanoseconds a packet, as TEST_RUN rounds them. */
static int run(int prog, const struct sample *s, uint32_t *ns)
{
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = s->frame,
			    .data_size_in = (__u32)s->len, .repeat = REPEAT);

	if (bpf_prog_test_run_opts(prog, &opts))
		return -errno;
	*ns = opts.duration;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t median(uint32_t values[ROUNDS])
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

/* The sample's class is what it is meant to be, or the figure would be of something else. */
static int check_class(const struct mg_dp_maps *maps, int prog, const struct sample *s)
{
	struct mg_dp_counters before, after;
	uint32_t ns;
	int err = mg_dp_maps_counters(maps, &before);

	if (!err)
		err = run(prog, s, &ns);
	if (!err)
		err = mg_dp_maps_counters(maps, &after);
	if (!err && after.class[s->class] - before.class[s->class] != REPEAT) {
		fprintf(stderr, "xdp_cost: the packet for %s is not of that class\n",
			mg_class_label(s->class));
		err = -EINVAL;
	}
	return err;
}

static int set_converter(const struct mg_dp_maps *maps, bool on)
{
	struct mg_ep ep;
	int err = mg_ep_parse(&ep, "10.3.0.2:5124");

	return err ? err : mg_dp_maps_set_converters(maps, &ep, on ? 1 : 0, NULL, 0);
}

static int measure(const struct mg_dp_maps *maps, int prog, int empty, struct sample *s)
{
	int err = set_converter(maps, s->to_converter);

	if (!err)
		err = check_class(maps, prog, s);
	for (int i = 0; !err && i < ROUNDS; i++) {
		err = run(empty, s, &s->without[i]);
		if (!err)
			err = run(prog, s, &s->with[i]);
	}
	return err;
}

static void print(void)
{
	json_t *by_class = json_object(), *empty = json_object(), *top;

	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct sample *s = &samples[i];
		uint32_t with = median(s->with), without = median(s->without);

		json_object_set_new(by_class, mg_class_label(s->class),
				    json_integer((json_int_t)with - without));
		json_object_set_new(empty, mg_class_label(s->class), json_integer(without));
	}
	top = json_pack("{s:{s:s, s:i, s:i, s:o, s:o}}", "xdp_cost", "unit", "ns per packet",
			"rounds", ROUNDS, "packets_per_round", REPEAT, "above_empty_program",
			by_class, "empty_program", empty);
	json_dumpf(top, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(top);
}

int main(void)
{
	struct mg_xdp_bpf *skel;
	struct mg_dp_maps maps;
	int empty = load_empty(), err = 0;

	libbpf_set_print(NULL);
	skel = mg_xdp_bpf__open_and_load();
	if (!skel || empty < 0) {
		fprintf(stderr, "xdp_cost: cannot load: %s\n", strerror(errno));
		return 1;
	}
	maps = (struct mg_dp_maps){
		.converters = bpf_map__fd(skel->maps.mg_converters),
		.classes = bpf_map__fd(skel->maps.mg_classes),
		.verdicts = bpf_map__fd(skel->maps.mg_verdicts),
		.reasons = bpf_map__fd(skel->maps.mg_reasons),
		.event_stats = bpf_map__fd(skel->maps.mg_event_stats),
		.synack = -1,
		.n_cpus = (unsigned int)libbpf_num_possible_cpus(),
	};
	for (size_t i = 0; !err && i < N_SAMPLES; i++)
		err = measure(&maps, bpf_program__fd(skel->progs.mg_xdp), empty, &samples[i]);
	if (err)
		fprintf(stderr, "xdp_cost: %s\n", strerror(-err));
	else
		print();
	mg_xdp_bpf__destroy(skel);
	return err ? 1 : 0;
}
