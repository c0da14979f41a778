// SPDX-License-Identifier: BSD-2-Clause
#include "xdp_run.h"

#include <errno.h>
#include <stdio.h>

#include <bpf/bpf.h>

#include "packet.h"

static int print_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

int xdp_run_open(struct xdp_run *r)
{
	libbpf_set_print(print_warning);
	*r = (struct xdp_run){ .skel = mg_xdp_bpf__open_and_load() };
	if (!r->skel)
		return -errno;
	r->maps = (struct mg_dp_maps){
		.converters = bpf_map__fd(r->skel->maps.mg_converters),
		.classes = bpf_map__fd(r->skel->maps.mg_classes),
		.verdicts = bpf_map__fd(r->skel->maps.mg_verdicts),
		.reasons = bpf_map__fd(r->skel->maps.mg_reasons),
		.event_stats = bpf_map__fd(r->skel->maps.mg_event_stats),
		.synack = -1,
		.n_cpus = (unsigned int)libbpf_num_possible_cpus(),
	};
	return 0;
}

void xdp_run_close(struct xdp_run *r)
{
	mg_xdp_bpf__destroy(r->skel);
	r->skel = NULL;
}

int xdp_run_frame(const struct xdp_run *r, const void *frame, size_t len, void *out,
		  size_t *out_len)
{
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
			    .data_out = out, .data_size_out = FRAME_MAX, .repeat = 1);

	if (bpf_prog_test_run_opts(bpf_program__fd(r->skel->progs.mg_xdp), &opts))
		return -errno;
	*out_len = opts.data_size_out;
	return (int)opts.retval;
}

int xdp_run_moved(const uint64_t *before, const uint64_t *after, size_t n)
{
	int moved = -1;

	for (size_t i = 0; i < n; i++) {
		if (after[i] == before[i])
			continue;
		if (after[i] != before[i] + 1 || moved >= 0)
			return -1;
		moved = (int)i;
	}
	return moved;
}
