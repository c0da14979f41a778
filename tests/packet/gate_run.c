// SPDX-License-Identifier: BSD-2-Clause
#include "gate_run.h"

#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "base/addr.h"
#include "lab.h"
#include "rows.h"
#include "sys/xdp.h"
#include "wire/cookie.h"
#include "wrap.h"
#include "xdp_run.h"

static const uint8_t keys[2][16] = { "the key of now", "the key before" };

static void put(const struct bpf_map *map, const void *key, const void *value)
{
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY), 0);
}

static int load(struct gate_run *r, enum mg_side side)
{
	struct mg_xdp_bpf *s = mg_xdp_bpf__open();
	int err;

	if (!s)
		return -errno;
	r->side[side] = s;
	s->rodata->mg_side = side;
	err = mg_xdp_share_maps(s->obj, r->admit.skel->obj);
	if (!err && side != MG_SIDE_ACCESS)
		err = mg_xdp_share_maps(s->obj, r->side[MG_SIDE_ACCESS]->obj);
	return err ? err : mg_xdp_bpf__load(s);
}

static int set_converters(struct gate_run *r)
{
	static const char *const texts[] = { CONVERTER4 ":5124", "[" CONVERTER6 "]:5124",
					     SIGNAL4 ":5125", "[" SIGNAL6 "]:5125" };
	struct mg_ep eps[4];
	int err = 0;

	for (size_t i = 0; i < 4 && !err; i++)
		err = mg_ep_parse(&eps[i], texts[i]);
	return err ? err : mg_dp_maps_set_converters(&r->maps, eps, 2, eps + 2, 2);
}

int gate_run_open(struct gate_run *r)
{
	int err = lab_enter();

	*r = (struct gate_run){ .maps.synack = -1 };
	if (!err)
		err = lab_sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 && "
			     "ip -6 addr add fd00:3::2/64 dev px0 nodad && "
			     "ip -6 addr add fd00:4::2/64 dev px1 nodad");
	if (!err)
		err = admit_run_open(&r->admit);
	for (int side = 0; side < 2 && !err; side++)
		err = load(r, (enum mg_side)side);
	if (err)
		return err;
	r->maps.converters = bpf_map__fd(r->side[0]->maps.mg_converters);
	r->maps.classes = bpf_map__fd(r->side[0]->maps.mg_classes);
	r->maps.verdicts = bpf_map__fd(r->side[0]->maps.mg_verdicts);
	r->maps.reasons = bpf_map__fd(r->side[0]->maps.mg_reasons);
	r->maps.event_stats = bpf_map__fd(r->side[0]->maps.mg_event_stats);
	r->maps.n_cpus = (unsigned int)libbpf_num_possible_cpus();
	return set_converters(r);
}

void gate_run_close(struct gate_run *r)
{
	mg_xdp_bpf__destroy(r->side[1]);
	mg_xdp_bpf__destroy(r->side[0]);
	admit_run_close(&r->admit);
}

static void empty(const struct bpf_map *map)
{
	uint8_t key[64];

	while (!bpf_map_get_next_key(bpf_map__fd(map), NULL, key))
		bpf_map_delete_elem(bpf_map__fd(map), key);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void gate_run_want(struct gate_run *r, enum mg_mode mode)
{
	const struct mg_intercept wanted = {
		.mode = mode,
		.n_workers = 1,
		.held_per_subscriber = 100,
		.beat_stale_ms = 60000,
		.learn_ttl_ns = 600000000000ULL,
		.convert = 1,
	};
	uint64_t all = UINT64_MAX, now = now_ns();
	uint32_t zero = 0;

	put(r->side[0]->maps.mg_intercept, &zero, &wanted);
	put(r->side[0]->maps.mg_beats, &zero, &now);
	for (uint32_t word = 0; word < MG_PORT_WORDS; word++)
		put(r->side[0]->maps.mg_ports, &word, &all);
}

void gate_run_reset(struct gate_run *r)
{
	struct mg_xdp_bpf *s = r->side[0];
	const struct bpf_map *hashes[] = { s->maps.mg_held, s->maps.mg_held_subs,
					   s->maps.mg_servers, s->maps.mg_passed };

	admit_run_reset(&r->admit);
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		empty(hashes[i]);
	gate_run_want(r, MG_MODE_TAKE_OVER);
}

const struct gate_said *gate_run_bytes(struct gate_run *r, enum mg_side side, const uint8_t *frame,
				       size_t len)
{
	static struct gate_said said;
	struct mg_dp_counters before, after;
	struct xdp_md ctx = {
		.data_end = (__u32)len,
		.ingress_ifindex = if_nametoindex(side == MG_SIDE_ACCESS ? "px0" : "px1"),
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
		    .data_out = said.bytes, .data_size_out = sizeof(said.bytes), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);

	assert_int_equal(mg_dp_maps_counters(&r->maps, &before), 0);
	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(r->side[side]->progs.mg_xdp), &opts), 0);
	assert_int_equal(mg_dp_maps_counters(&r->maps, &after), 0);
	said.action = (int)opts.retval;
	said.len = opts.data_size_out;
	said.class = xdp_run_moved(before.class, after.class, MG_CLASS_COUNT);
	said.verdict = xdp_run_moved(before.verdict, after.verdict, MG_VERDICT_COUNT);
	said.reason = xdp_run_moved(before.reason, after.reason, MG_REASON_COUNT);
	assert_true(said.class >= 0 && said.verdict >= 0 && said.reason >= 0);
	return &said;
}

const struct gate_said *gate_run_frame(struct gate_run *r, enum mg_side side, const struct frame *f)
{
	static uint8_t frame[FRAME_MAX];

	return gate_run_bytes(r, side, frame, frame_build(frame, f));
}

/* ---- frames ---------------------------------------------------------------------------------- */

#define BYTES(array) ((struct bytes){ (array), sizeof(array) })

static const uint8_t convert_bytes[] = { CONVERT };
static const uint8_t capable_bytes[] = { LINUX_SYN, MPC_V1 };
/* GATE_TOKEN's */
static const uint8_t join_bytes[] = { NOP, NOP, 30, 12, 0x10, 2, 1, 2, 3, 4, 9, 9, 9, 9 };

struct frame gate_syn(enum gate_syn_kind kind, bool v6)
{
	struct frame f = {
		.v6 = v6,
		.dst = v6 ? CONVERTER6 : CONVERTER4,
		.flags = F_SYN,
		.seq = GATE_ISN,
		.opts = BYTES(capable_bytes),
	};

	if (kind == CONVERT_SYN)
		f.payload = BYTES(convert_bytes);
	if (kind == SERVER_SYN) {
		f.dst = v6 ? FAR6 : FAR4;
		f.dport = 443;
	}
	if (kind == JOIN_SYN) {
		f.opts = BYTES(join_bytes);
		f.sport = 41000; /* the session's first has 40000 */
	}
	return f;
}

void gate_open_session(struct gate_run *r, const char *client, const char *server)
{
	struct mg_admit ask = { .flags = MG_ADMIT_COOKIE };

	assert_int_equal(admit_open(&r->admit, &ask, client, server), MG_ADMITTED);
	assert_int_equal(admit_token(&r->admit, &ask, GATE_TOKEN), 0);
}

/* ---- what is expected ------------------------------------------------------------------------ */

static const char *client_of(const struct frame *f)
{
	return f->src ? f->src : f->v6 ? UE6 : UE4;
}

/* Does it join a session that is here? Then it is a matter of that one's subscriber. */
static bool joins(struct gate_run *r, const struct frame *f, struct mg_subscriber *who)
{
	struct mg_session_account e;
	uint32_t token = GATE_TOKEN;

	if (f->opts.data != join_bytes ||
	    bpf_map_lookup_elem(bpf_map__fd(r->admit.skel->maps.mg_sessions), &token, &e))
		return false;
	*who = e.subscriber;
	return true;
}

static uint64_t refused(struct gate_run *r, const struct frame *f, enum mg_refusal refusal)
{
	struct mg_subscriber who = admit_subscriber(client_of(f));

	if (!joins(r, f, &who) && f->v6)
		memset(who.ip + 8, 0, 8); /* who is counted is a /64 */
	return admit_refused(&r->admit, &who, refusal);
}

static enum mg_reason reason_of(enum mg_refusal refusal)
{
	return (enum mg_reason)(MG_REASON_DENIED + ((int)refusal - MG_REFUSAL_DENIED));
}

void gate_expect_pass(struct gate_run *r, const struct frame *f)
{
	static uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, f);
	const struct gate_said *said = gate_run_bytes(r, MG_SIDE_ACCESS, frame, len);

	assert_int_equal(said->action, XDP_PASS);
	assert_int_equal(said->verdict, MG_VERDICT_PASS);
	assert_true(said->reason < MG_REASON_DENIED);
	assert_int_equal(said->len, len);
	if (said->class != MG_CLASS_CONVERT)
		assert_memory_equal(said->bytes, frame, len);
}

static void expect_counted(struct gate_run *r, const struct gate_said *said,
			   enum mg_refusal refusal, uint64_t all)
{
	assert_string_equal(mg_reason_label((unsigned int)said->reason),
			    mg_reason_label(reason_of(refusal)));
	assert_int_equal(admit_counted(&r->admit, refusal), all + 1);
}

void gate_expect_drop(struct gate_run *r, const struct frame *f, enum mg_refusal refusal)
{
	uint64_t all = admit_counted(&r->admit, refusal), his = refused(r, f, refusal);
	const struct gate_said *said = gate_run_frame(r, MG_SIDE_ACCESS, f);

	assert_int_equal(said->action, XDP_DROP);
	assert_int_equal(said->verdict, MG_VERDICT_DROP);
	expect_counted(r, said, refusal, all);
	assert_int_equal(refused(r, f, refusal), his + 1);
}

static uint32_t word_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void gate_assert_reset(const uint8_t *out, size_t out_len, const uint8_t *frame, uint16_t tcprst)
{
	bool v6;
	size_t link = wrap_link(frame, &v6), head = v6 ? 40 : 20, tcp_bytes = tcprst ? 24 : 20;
	const uint8_t *was = frame + link, *ip = out + link, *tcp = ip + head;
	const uint8_t *syn = was + (v6 ? 40 : (was[0] & 15) * 4);
	size_t payload = wrap_ip_bytes(was) - (size_t)(syn - was) - (size_t)(syn[12] >> 4) * 4;
	size_t addresses = v6 ? 16 : 4, from = v6 ? 8 : 12;

	/* Behind what IP covers is padding. */
	assert_true(out_len >= link + head + tcp_bytes);
	assert_memory_equal(out, frame + 6, 6);
	assert_memory_equal(out + 6, frame, 6);
	assert_memory_equal(out + 12, frame + 12, link - 12);
	assert_int_equal(ip[0], v6 ? 0x60 : 0x45);
	assert_int_equal(wrap_ip_bytes(ip), head + tcp_bytes);
	assert_int_equal(ip[v6 ? 6 : 9], 6);
	assert_int_equal(ip[v6 ? 7 : 8], 64);
	assert_memory_equal(ip + from, was + from + addresses, addresses);
	assert_memory_equal(ip + from + addresses, was + from, addresses);
	if (!v6)
		assert_int_equal(wrap_fold(wrap_add(0, ip, 20)), 0xffff);
	assert_memory_equal(tcp, syn + 2, 2);
	assert_memory_equal(tcp + 2, syn, 2);
	assert_int_equal(word_at(tcp + 4), 0);
	assert_int_equal(word_at(tcp + 8), (uint32_t)(word_at(syn + 4) + 1 + payload));
	assert_int_equal(tcp[12], tcp_bytes / 4 << 4);
	assert_int_equal(tcp[13], F_RST | F_ACK);
	assert_int_equal(wrap_sum(ip, 6), 0xffff);
	if (tcprst)
		assert_int_equal(word_at(tcp + 20), 0x1e040000U | tcprst);
}

void gate_expect_reset(struct gate_run *r, const struct frame *f, enum mg_refusal refusal,
		       uint16_t tcprst)
{
	static uint8_t frame[FRAME_MAX];
	uint64_t all = admit_counted(&r->admit, refusal), his = refused(r, f, refusal);
	size_t len = frame_build(frame, f);
	const struct gate_said *said = gate_run_bytes(r, MG_SIDE_ACCESS, frame, len);

	assert_int_equal(said->action, XDP_TX);
	assert_int_equal(said->verdict, MG_VERDICT_ANSWER);
	expect_counted(r, said, refusal, all);
	assert_int_equal(refused(r, f, refusal), his + 1);
	gate_assert_reset(said->bytes, said->len, frame, tcprst);
}

/* ---- cookies --------------------------------------------------------------------------------- */

void gate_put_cookie_keys(struct gate_run *r)
{
	struct mg_cookie_epochs epochs = { .epoch = 7, .n = 2 };
	uint32_t zero = 0;

	memcpy(epochs.key, keys, sizeof(epochs.key));
	put(r->admit.skel->maps.mg_cookie_keys, &zero, &epochs);
}

void gate_cookie(uint8_t cookie[12], const char *client, uint32_t epoch)
{
	struct mg_cookie_keys k;
	struct in6_addr ip;

	assert_int_equal(mg_ip_parse(&ip, client), 0);
	mg_cookie_keys_init(&k, epoch, keys[epoch == 7 ? 0 : 1]);
	mg_cookie_make(cookie, &k, &ip);
}
