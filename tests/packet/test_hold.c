// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which SYNs are held, which are not, and what the daemon is told of them.
 */
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "hold_run.h"
#include "lab.h"
#include "rows.h"

#define UNSPEC	 (-1)
#define CONSUMED 4
#define ISN	 0x89abcdef
#define PASSES	 (-1) /* instead of a kind */
#define NOTHING	 (-1) /* instead of a counter */

#define AO  29, 4, 1, 1
#define MD5 19, 18, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15

static struct hold_run run;

struct hold_row {
	const char *name;
	bool lan;
	int kind, counter;
	struct frame frame;
	uint16_t ip_offset, tcp_offset, payload_offset; /* 0: those of plain IPv4 or IPv6 */
};

/* A SYN on its way to FAR4 or FAR6, port 80 */
#define SYN4	  .flags = F_SYN, .seq = ISN, .dst = FAR4, .dport = 80
#define SYN6	  .v6 = true, .flags = F_SYN, .seq = ISN, .dst = FAR6, .dport = 80
#define HELD(k)	  .kind = MG_HOLD_##k, .counter = MG_HOLD_COUNT_HELD
#define UNTOUCHED .kind = PASSES, .counter = NOTHING
#define GUARDED	  .kind = PASSES, .counter = MG_HOLD_COUNT_PROTECTED

/* clang-format off */
static const struct hold_row table[] = {
	{ "MP_CAPABLE", HELD(INTERCEPT), .frame = { SYN4, .opts = B(LINUX_SYN, MPC_V1) } },
	{ "MP_CAPABLE, IPv6", HELD(INTERCEPT), .frame = { SYN6, .opts = B(LINUX_SYN, MPC_V1) } },
	{ "MP_CAPABLE alone", HELD(INTERCEPT), .frame = { SYN4, .opts = B(MPC_V1) } },
	{ "MP_CAPABLE with data", HELD(INTERCEPT),
	  .frame = { SYN4, .opts = B(MPC_V1), .payload = B('G', 'E', 'T') } },
	{ "MP_CAPABLE, one tag", HELD(INTERCEPT), .ip_offset = 18, .tcp_offset = 38,
	  .payload_offset = 62, .frame = { SYN4, .vlan = { 0x8100 }, .opts = B(MPC_V1) } },
	{ "MP_CAPABLE, two tags", HELD(INTERCEPT), .ip_offset = 22, .tcp_offset = 62,
	  .payload_offset = 86, .frame = { SYN6, .vlan = { 0x88a8, 0x8100 }, .opts = B(MPC_V1) } },
	{ "MP_CAPABLE, IPv4 options", HELD(INTERCEPT), .ip_offset = 14, .tcp_offset = 42,
	  .payload_offset = 66,
	  .frame = { SYN4, .ip_opts = B(1, 1, 1, 1, 1, 1, 1, 0), .opts = B(MPC_V1) } },
	{ "MP_CAPABLE, extension headers", HELD(INTERCEPT), .ip_offset = 14, .tcp_offset = 86,
	  .payload_offset = 110,
	  .frame = { SYN6, .ext = { EXT8(0), { .kind = 60, .len = 16 }, EXT8(44) },
		     .opts = B(MPC_V1) } },
	{ "MP_CAPABLE, padded frame", HELD(INTERCEPT),
	  .frame = { SYN4, .opts = B(MPC_V1), .pad = 9 } },
	{ "plain", UNTOUCHED, .frame = { SYN4, .opts = B(LINUX_SYN) } },
	{ "plain, IPv6, no options", UNTOUCHED, .frame = { SYN6 } },
	{ "MPTCP version 0", UNTOUCHED, .frame = { SYN4, .opts = B(MPC_V0) } },
	{ "capable and join at once", UNTOUCHED, .frame = { SYN4, .opts = B(MPC_V1, JOIN) } },
	{ "join of nobody we know", UNTOUCHED, .frame = { SYN4, .opts = B(JOIN) } },
	{ "option overrun", UNTOUCHED, .frame = { SYN4, .opts = B(MPC_V1, 8, 1, 1, 1) } },
	{ "TCP-AO", GUARDED, .frame = { SYN4, .opts = B(MPC_V1, AO) } },
	{ "TCP-MD5", GUARDED, .frame = { SYN6, .opts = B(MD5, MPC_V1) } },
	{ "TCP-AO, plain", UNTOUCHED, .frame = { SYN4, .opts = B(AO) } },
	{ "fragment", UNTOUCHED, .frame = { SYN4, .frag = 0x2000, .opts = B(MPC_V1) } },
	{ "fragment, IPv6", UNTOUCHED,
	  .frame = { SYN6, .ext = { { .kind = 44, .len = 8, .frag = 1 } }, .opts = B(MPC_V1) } },
	{ "data offset lies", UNTOUCHED, .frame = { SYN4, .doff = 15, .opts = B(MPC_V1) } },
	{ "three tags", UNTOUCHED,
	  .frame = { SYN4, .vlan = { 0x8100, 0x8100, 0x8100 }, .opts = B(MPC_V1) } },
	{ "UDP", UNTOUCHED, .frame = { SYN4, .protocol = 17, .body = B(0, 1, 0, 80, 0, 8, 0, 0) } },
	{ "SYN+ACK", UNTOUCHED, .frame = { .flags = F_SYN | F_ACK, .dst = FAR4, .dport = 80,
					   .opts = B(MPC_V1) } },
	{ "SYN+FIN", UNTOUCHED, .frame = { .flags = F_SYN | F_FIN, .dst = FAR4, .dport = 80,
					   .opts = B(MPC_V1) } },
	{ "SYN+RST", UNTOUCHED, .frame = { .flags = F_SYN | F_RST, .dst = FAR4, .dport = 80,
					   .opts = B(MPC_V1) } },
	{ "ACK", UNTOUCHED, .frame = { .flags = F_ACK, .dst = FAR4, .dport = 80 } },
	{ "RST of nothing held", UNTOUCHED, .frame = { .flags = F_RST, .dst = FAR4, .dport = 80 } },
	{ "port left out", UNTOUCHED,
	  .frame = { .flags = F_SYN, .dst = FAR4, .dport = 22, .opts = B(MPC_V1) } },
	{ "to this host", UNTOUCHED,
	  .frame = { .flags = F_SYN, .dst = "10.3.0.2", .dport = 80, .opts = B(MPC_V1) } },
	{ "to this host, IPv6", UNTOUCHED, .frame = { .v6 = true, .flags = F_SYN,
	  .dst = "fd00:3::2", .dport = 80, .opts = B(MPC_V1) } },
	{ "no way to go", UNTOUCHED,
	  .frame = { .flags = F_SYN, .dst = "192.0.2.1", .dport = 80, .opts = B(MPC_V1) } },
	{ "Convert", HELD(CONVERT), .frame = { .flags = F_SYN, .seq = ISN, .dst = "10.3.0.2",
	  .dport = 5124, .opts = B(MPC_V1), .payload = B(CONVERT) } },
	{ "Convert, IPv6, TCP", HELD(CONVERT), .frame = { .v6 = true, .flags = F_SYN, .seq = ISN,
	  .dst = "fd00:3::2", .dport = 5124, .opts = B(LINUX_SYN), .payload = B(CONVERT) } },
	{ "Convert, no message", UNTOUCHED, .frame = { .flags = F_SYN, .dst = "10.3.0.2",
	  .dport = 5124, .opts = B(MPC_V1) } },
	{ "Convert, three bytes", UNTOUCHED, .frame = { .flags = F_SYN, .dst = "10.3.0.2",
	  .dport = 5124, .opts = B(MPC_V1), .payload = B(1, 6, 0x22) } },
	{ "Convert, something else", UNTOUCHED, .frame = { .flags = F_SYN, .dst = "10.3.0.2",
	  .dport = 5124, .opts = B(MPC_V1), .payload = B('G', 'E', 'T', ' ') } },
	{ "Convert, TCP-AO", GUARDED, .frame = { .flags = F_SYN, .dst = "10.3.0.2",
	  .dport = 5124, .opts = B(MPC_V1, AO), .payload = B(CONVERT) } },
	{ "LAN: plain", true, HELD(CPE), .frame = { SYN4, .opts = B(LINUX_SYN) } },
	{ "LAN: plain, IPv6", true, HELD(CPE), .frame = { SYN6 } },
	{ "LAN: MPTCP version 0", true, HELD(CPE), .frame = { SYN4, .opts = B(MPC_V0) } },
	{ "LAN: MP_CAPABLE", true, UNTOUCHED, .frame = { SYN4, .opts = B(MPC_V1) } },
	{ "LAN: join", true, UNTOUCHED, .frame = { SYN4, .opts = B(JOIN) } },
	{ "LAN: TCP-MD5", true, GUARDED, .frame = { SYN4, .opts = B(MD5) } },
	{ "LAN: to this host", true, UNTOUCHED,
	  .frame = { .flags = F_SYN, .dst = "10.3.0.2", .dport = 80 } },
	{ "LAN: port left out", true, UNTOUCHED, .frame = { .flags = F_SYN, .dst = FAR4, .dport = 22 } },
};
/* clang-format on */

static void without_port_22(void)
{
	uint64_t bits = ~(1ULL << 22);
	uint32_t word = 0;

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(run.skel->maps.mg_ports), &word, &bits, 0),
			 0);
}

static void add_converter(const char *ip, bool v6)
{
	struct frame f = { .v6 = v6, .dst = ip, .dport = 5124 };
	struct mg_tuple t = hold_tuple(&f);
	struct mg_converter value = { 0 };

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(run.skel->maps.mg_converters), &t.server,
					     &value, 0),
			 0);
}

static int fresh(void **state)
{
	(void)state;
	hold_run_reset(&run);
	without_port_22();
	add_converter("10.3.0.2", false);
	add_converter("fd00:3::2", true);
	return 0;
}

static const struct bpf_program *door(bool lan)
{
	return lan ? run.skel->progs.mg_hold_lan : run.skel->progs.mg_hold;
}

static bool has_capable(const struct frame *f)
{
	const uint8_t *o = f->opts.data;

	for (size_t i = 0; i + 4 <= f->opts.len; i++)
		if (o[i] == 30 && o[i + 1] == 4)
			return true;
	return false;
}

static void assert_told(const struct hold_row *row, const uint8_t *frame, size_t len)
{
	const struct frame *f = &row->frame;
	struct mg_tuple tuple = hold_tuple(f);
	const struct mg_held *h = &run.got[0].head;
	uint16_t ip = row->ip_offset ? row->ip_offset : 14;
	uint16_t tcp = row->tcp_offset ? row->tcp_offset : ip + (f->v6 ? 40 : 20);
	struct mg_hold hold;

	assert_int_equal(run.n_got, 1);
	assert_int_equal(h->type, MG_HELD_SYN);
	assert_int_equal(h->kind, row->kind);
	assert_int_equal(h->mode, MG_MODE_TAKE_OVER);
	assert_int_equal(h->known, MG_KNOWN_NOTHING);
	assert_int_equal(h->mp_capable, has_capable(f));
	assert_int_equal(h->vlan_proto, 0); /* a tag is still in the frame */
	assert_int_equal(h->ip_offset, ip);
	assert_int_equal(h->tcp_offset, tcp);
	assert_int_equal(h->payload_offset, row->payload_offset
						    ? row->payload_offset
						    : tcp + 20 + (f->opts.len + 3) / 4 * 4);
	assert_int_equal(h->time_wait, 0);
	assert_int_equal(h->ifindex, if_nametoindex("px0"));
	assert_int_equal(h->isn, ISN);
	assert_memory_equal(&h->tuple, &tuple, sizeof(tuple));
	assert_int_equal(h->frame_bytes, len);
	assert_memory_equal(run.got[0].frame, frame, len);

	assert_true(hold_is_held(&run, f, &hold));
	assert_int_equal(hold.isn, ISN);
	assert_int_equal(hold.worker, run.got[0].worker);
	assert_int_equal(hold.kind, row->kind);
	assert_int_equal(hold_charged(&run, f->v6), 1);
}

static void test_row(void **state)
{
	const struct hold_row *row = *state;
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, &row->frame);
	uint32_t mark = 0;
	int verdict;

	fresh(NULL);
	verdict = hold_run_bytes(&run, door(row->lan), frame, len, &mark);
	hold_run_read(&run);
	assert_int_equal(mark, HOLD_MARK);
	assert_int_equal(verdict, row->kind == PASSES ? UNSPEC : CONSUMED);
	if (row->counter != NOTHING)
		assert_int_equal(hold_counted(&run, (enum mg_hold_counter)row->counter), 1);
	assert_int_equal(hold_counted_all(&run), row->counter != NOTHING);
	if (row->kind != PASSES) {
		assert_told(row, frame, len);
		return;
	}
	assert_int_equal(run.n_got, 0);
	assert_int_equal(hold_entries(run.skel->maps.mg_held), 0);
	assert_int_equal(hold_entries(run.skel->maps.mg_held_subs), 0);
	assert_int_equal(hold_entries(run.skel->maps.mg_passed), 0);
}

static const uint8_t mpc[] = { LINUX_SYN, MPC_V1 };

static struct frame capable(void)
{
	return (struct frame){ SYN4, .opts = { mpc, sizeof(mpc) } };
}

static void test_modes(void **state)
{
	static const int verdicts[MG_MODE_COUNT] = { UNSPEC, CONSUMED, UNSPEC, CONSUMED };
	struct frame f = capable(), message = { .flags = F_SYN,
						.dst = "10.3.0.2",
						.dport = 5124,
						.opts = { mpc, sizeof(mpc) },
						.payload = B(CONVERT) };

	(void)state;
	for (uint32_t mode = 0; mode < MG_MODE_COUNT; mode++) {
		struct mg_intercept wanted = hold_wanted();

		hold_run_reset(&run);
		add_converter("10.3.0.2", false);
		wanted.mode = mode;
		hold_run_want(&run, &wanted);
		assert_int_equal(hold_run_frame(&run, door(false), &f), verdicts[mode]);
		assert_int_equal(hold_run_read(&run), verdicts[mode] == CONSUMED);
		if (run.n_got)
			assert_int_equal(run.got[0].head.mode, mode);
		/* the modes are about neither Convert nor the LAN */
		assert_int_equal(hold_run_frame(&run, door(false), &message), CONSUMED);
		f.opts.len = sizeof(mpc) - 4;
		f.sport = 40001;
		assert_int_equal(hold_run_frame(&run, door(true), &f), CONSUMED);
		f = capable();
	}
}

static void test_what_is_not_wanted(void **state)
{
	struct mg_intercept wanted = hold_wanted();
	struct frame plain = { SYN4 }, message = { .flags = F_SYN,
						   .dst = "10.3.0.2",
						   .dport = 5124,
						   .opts = { mpc, sizeof(mpc) },
						   .payload = B(CONVERT) };

	(void)state;
	wanted.cpe = wanted.convert = 0;
	hold_run_want(&run, &wanted);
	assert_int_equal(hold_run_frame(&run, door(true), &plain), UNSPEC);
	assert_int_equal(hold_run_frame(&run, door(false), &message), UNSPEC);
	assert_int_equal(hold_run_read(&run), 0);
	assert_int_equal(hold_counted_all(&run), 0);
}

static void test_known_servers(void **state)
{
	struct mg_intercept hybrid = hold_wanted();
	struct frame f = capable();
	struct mg_passed passed;

	(void)state;
	hybrid.mode = MG_MODE_HYBRID;
	hold_run_want(&run, &hybrid);

	hold_server_put(&run, &f, true, 60000000000);
	assert_int_equal(hold_run_frame(&run, door(false), &f), UNSPEC);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_PASSES), 1);
	assert_true(hold_passed_get(&run, &f, &passed));
	assert_int_equal(passed.why, MG_PASSED_KNOWN);
	assert_int_equal(passed.isn, ISN);
	/* its repetition is not counted again; a new attempt is */
	assert_int_equal(hold_run_frame(&run, door(false), &f), UNSPEC);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_PASSES), 1);
	f.seq++;
	assert_int_equal(hold_run_frame(&run, door(false), &f), UNSPEC);
	assert_int_equal(hold_counted(&run, MG_HOLD_COUNT_PASSES), 2);
	assert_int_equal(hold_run_read(&run), 0);

	f.seq++;
	hold_server_put(&run, &f, true, -1);
	assert_int_equal(hold_run_frame(&run, door(false), &f), CONSUMED);
	hold_server_put(&run, &f, false, 60000000000);
	f.sport = 40001;
	assert_int_equal(hold_run_frame(&run, door(false), &f), CONSUMED);
	hybrid.mode = MG_MODE_TAKE_OVER;
	hold_run_want(&run, &hybrid);
	hold_server_put(&run, &f, true, 60000000000);
	f.sport = 40002;
	assert_int_equal(hold_run_frame(&run, door(false), &f), CONSUMED);
	assert_int_equal(hold_run_read(&run), 3);
	for (unsigned int i = 0; i < 3; i++) {
		const struct mg_held *h = &run.got[i].head;

		assert_int_equal(h->known, h->tuple.client.port == 40000   ? MG_KNOWN_NOTHING
					   : h->tuple.client.port == 40001 ? MG_KNOWN_PLAIN
									   : MG_KNOWN_MPTCP);
	}
}

static int set_up(void **state)
{
	(void)state;
	return hold_run_open(&run);
}

static int tear_down(void **state)
{
	(void)state;
	hold_run_close(&run);
	return 0;
}

int main(void)
{
	enum { N = sizeof(table) / sizeof(table[0]) };
	struct CMUnitTest tests[N + 3] = {
		cmocka_unit_test_setup(test_modes, fresh),
		cmocka_unit_test_setup(test_what_is_not_wanted, fresh),
		cmocka_unit_test_setup(test_known_servers, fresh),
	};

	for (size_t i = 0; i < N; i++)
		tests[i + 3] = (struct CMUnitTest){
			.name = table[i].name,
			.test_func = test_row,
			.initial_state = (void *)&table[i],
		};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
