// SPDX-License-Identifier: BSD-2-Clause
/*
 * A host that is a proxy as well: what stays, what another may have instead, what is learned for
 * itself. And the question where a packet would go, which changes nothing.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "lab.h"
#include "rows.h"
#include "steer_world.h"

#define ISN   1
#define TOKEN 0xe3881c92

static const uint8_t key_a[] = { 0xaf, 0x7e, 0x91, 0xbb, 0x31, 0x75, 0x0c, 0x9f };
static const uint8_t key_b[] = { 0xe2, 0x8a, 0x8e, 0xee, 0x04, 0x3b, 0x34, 0x0b };

static struct world w;

static int fresh(void **state)
{
	(void)state;
	world_reset(&w);
	return 0;
}

static struct frame to_virtual(bool v6, uint8_t flags, struct bytes opts)
{
	return (struct frame){
		.v6 = v6,
		.dst = v6 ? VIRTUAL6 : VIRTUAL4,
		.flags = flags,
		.seq = ISN,
		.opts = opts,
	};
}

/* ---- whose it is ----------------------------------------------------------------------------- */

struct connection {
	int listener, client, server;
};

static int at(bool v6, const char *ip, uint16_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	if (v6) {
		assert_int_equal(inet_pton(AF_INET6, ip, &six.sin6_addr), 1);
		assert_int_equal(bind(fd, (struct sockaddr *)&six, sizeof(six)), 0);
	} else {
		assert_int_equal(inet_pton(AF_INET, ip, &four.sin_addr), 1);
		assert_int_equal(bind(fd, (struct sockaddr *)&four, sizeof(four)), 0);
	}
	return fd;
}

/* The connection of frames from UE to the virtual address, with a socket of this host at its end */
static struct connection connection(bool v6)
{
	struct connection c = {
		.listener = at(v6, v6 ? VIRTUAL6 : VIRTUAL4, 5124),
		.client = at(v6, v6 ? UE6 : UE4, 40000),
	};
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);

	assert_int_equal(listen(c.listener, 1), 0);
	assert_int_equal(getsockname(c.listener, (struct sockaddr *)&name, &len), 0);
	assert_int_equal(connect(c.client, (struct sockaddr *)&name, len), 0);
	c.server = accept4(c.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(c.server >= 0);
	return c;
}

static void reset(const struct connection *c)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(c->server, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(c->server);
	close(c->client);
	close(c->listener);
}

/* The packet goes to this proxy, or to the host's own stack. */
static void assert_goes(enum mg_side side, const struct frame *f, uint16_t proxy)
{
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	const uint8_t mac[6] = PX_MAC((uint8_t)proxy);
	size_t len = frame_build(frame, f), out_len;
	int action = steer_run_bytes(&w.run, side, frame, len, out, &out_len);

	assert_int_equal(out_len, len);
	if (proxy == HERE) {
		assert_int_equal(action, XDP_PASS);
		assert_memory_equal(out, frame, len);
		return;
	}
	assert_int_equal(action, side == MG_SIDE_CORE ? XDP_TX : XDP_REDIRECT);
	assert_memory_equal(out, mac, sizeof(mac));
	assert_memory_equal(out + 14, frame + 14, len - 14);
}

static void put_flow(const struct frame *f, uint16_t proxy, uint16_t second, uint8_t flags)
{
	const struct mg_steer_flow flow = {
		.proxy = proxy, .second = second, .flags = flags, .isn = ISN
	};
	const struct mg_tuple tuple = steer_tuple(f);

	steer_put_flow(&w.run, &tuple, &flow);
}

/* Two may have it, this host being one: its sockets know, whoever was to be asked first. */
static void own_data(bool v6, bool here_first)
{
	const uint16_t first = here_first ? HERE : 2, second = here_first ? 2 : HERE;
	struct frame mine = to_virtual(v6, F_ACK, opt_times), other = mine;
	struct connection c = connection(v6);

	other.sport = 40001;
	put_flow(&mine, first, second, MG_FLOW_JOIN);
	put_flow(&other, first, second, MG_FLOW_JOIN);
	steer_run_look(&w.run);
	assert_goes(MG_SIDE_ACCESS, &mine, HERE);
	assert_int_equal(steer_run_counted(&w.run, MG_STEER_COUNT_SECOND_HOP), 0);
	assert_goes(MG_SIDE_ACCESS, &other, 2);
	assert_int_equal(steer_run_counted(&w.run, MG_STEER_COUNT_SECOND_HOP), here_first);
	reset(&c);
	assert_goes(MG_SIDE_ACCESS, &mine, 2); /* nor does a socket that is gone */
}

static void test_own_data(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		world_reset(&w);
		own_data(i & 1, i & 2);
	}
}

/* A listener has nobody's connection. */
static void test_listener(void **state)
{
	struct frame f = to_virtual(false, F_ACK, opt_times);
	int fd = at(false, VIRTUAL4, 5124);

	(void)state;
	assert_int_equal(listen(fd, 1), 0);
	put_flow(&f, HERE, 2, MG_FLOW_JOIN);
	assert_goes(MG_SIDE_ACCESS, &f, 2);
	close(fd);
}

/* No socket knows a join yet: its token does. */
static void test_own_join(void **state)
{
	struct frame f = to_virtual(false, F_SYN, opt_join(TOKEN));

	(void)state;
	w.gateway.self = HERE;
	world_gateway(&w);
	world_learned(&w, TOKEN, HERE, 2);
	assert_goes(MG_SIDE_ACCESS, &f, HERE);
	/* told of both: now the one, now the other, by the flow */
	world_push(&w, TOKEN, HERE, 2);
	for (uint16_t port = 40100; port < 40120; port++) {
		f.sport = port;
		assert_goes(MG_SIDE_ACCESS, &f, steer_run_locate(&w.run, MG_SIDE_ACCESS, &f).proxy);
	}
	/* it was this host's when it was last said */
	f.sport = 40200;
	put_flow(&f, HERE, 2, MG_FLOW_JOIN);
	world_push(&w, TOKEN, 2, 0);
	world_learned(&w, TOKEN, 2, 0);
	assert_goes(MG_SIDE_ACCESS, &f, 2);
}

/* An error goes to where the connection is that it is about. */
static void test_own_icmp(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct frame back = { .v6 = v6,
				      .src = v6 ? VIRTUAL6 : VIRTUAL4,
				      .dst = v6 ? UE6 : UE4,
				      .sport = 5124,
				      .dport = 40000,
				      .flags = F_ACK },
			     f = to_virtual(v6, F_ACK, opt_times), error;
		struct connection c = connection(v6);

		world_reset(&w);
		error = (struct frame){ .v6 = v6,
					.dst = back.src,
					.protocol = icmp_protocol(v6),
					.body = icmp_about(&back, v6 ? 1 : 3, 1, 0) };
		put_flow(&f, HERE, 2, MG_FLOW_JOIN);
		assert_goes(MG_SIDE_ACCESS, &error, HERE);
		reset(&c);
		assert_goes(MG_SIDE_ACCESS, &error, 2);
	}
}

/* ---- what stays, stays what it was ----------------------------------------------------------- */

/* A Convert SYN for this host's converter is seen to; one for another's leaves as it came. */
static void test_converter(void **state)
{
	struct frame f = to_virtual(false, F_SYN, opt_capable);
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	struct mg_endpoint ep = { .port = 5124 };
	struct mg_converter converter = { 0 };
	size_t len, out_len;

	(void)state;
	f.payload = convert_message;
	len = frame_build(frame, &f);
	steer_ip(ep.ip, VIRTUAL4);
	steer_put(STEER_MAP(&w.run, mg_converters), &ep, &converter);
	world_ring(&w, GROUP, HERE, 0);
	assert_int_equal(steer_run_bytes(&w.run, MG_SIDE_ACCESS, frame, len, out, &out_len),
			 XDP_PASS);
	steer_run_expect(&w.run, MG_CLASS_CONVERT, MG_VERDICT_PASS, MG_REASON_CONVERT_SYN);
	assert_int_equal(out[48] << 8 | out[49], 65535 >> 7); /* the window is mended */
	world_ring(&w, GROUP, 2, 0);
	f.sport = 40001;
	assert_goes(MG_SIDE_ACCESS, &f, 2);
	steer_run_expect(&w.run, MG_CLASS_MP_CAPABLE, MG_VERDICT_STEER, MG_REASON_MP_CAPABLE);
}

/* ---- on the proxy itself --------------------------------------------------------------------- */

static struct frame wrapped(const struct frame *f)
{
	static uint8_t inner[4][FRAME_MAX];
	static unsigned int next;
	uint8_t *at = inner[next++ % 4];
	size_t len = frame_build(at, f);

	return (struct frame){ .src = "10.3.0.9",
			       .protocol = f->v6 ? 41 : 4,
			       .body = { at + 14, len - 14 } };
}

static void run(const struct frame *f)
{
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t len = frame_build(frame, f), out_len;

	assert_int_equal(steer_run_bytes(&w.run, MG_SIDE_ACCESS, frame, len, out, &out_len),
			 XDP_PASS);
	assert_true(out_len < len);
}

/* What comes out of a tunnel is not steered; but this host's own tokens are learned from it. */
static void test_unwrapped(void **state)
{
	struct mg_peer_key peer = { .bits = 128 };
	uint8_t mine[16], one = 1;
	struct mg_owners owners;

	(void)state;
	w.gateway.self = HERE;
	steer_ip(mine, "10.3.0.2");
	steer_ip(peer.ip, "10.3.0.9");
	steer_put(STEER_MAP(&w.run, mg_mine), mine, &one);
	steer_put(STEER_MAP(&w.run, mg_peers), &peer, &one);
	for (int v6 = 0; v6 < 2; v6++) {
		struct frame f = to_virtual(v6, F_SYN, opt_capable), ack = f, tunnel;

		ack.flags = F_ACK;
		ack.seq++;
		ack.opts = opt_keys(v6 ? key_b : key_a, 0);
		w.gateway.steers = (uint8_t)v6; /* a gateway or not */
		world_gateway(&w);
		tunnel = wrapped(&f);
		run(&tunnel);
		steer_run_expect(&w.run, MG_CLASS_MP_CAPABLE, MG_VERDICT_PASS,
				 MG_REASON_MP_CAPABLE);
		tunnel = wrapped(&ack);
		run(&tunnel);
		steer_run_expect(&w.run, MG_CLASS_DATA, MG_VERDICT_PASS, MG_REASON_TCP_SEGMENT);
		assert_int_equal(steer_run_counted(&w.run, MG_STEER_COUNT_LEARNED), 1);
		assert_true(world_is_learned(&w, v6 ? 0xc783daac : TOKEN, &owners));
		assert_int_equal(owners.proxy, HERE);
	}
	assert_int_equal(steer_run_counted(&w.run, MG_STEER_COUNT_FLOW), 0);
}

/* ---- only asked ------------------------------------------------------------------------------ */

struct dump {
	int map;
	size_t key_bytes, value_bytes, n;
	uint8_t *bytes;
};

/* Everything in a map, of all CPUs */
static struct dump dump(const struct bpf_map *map)
{
	const size_t cpus = (size_t)libbpf_num_possible_cpus();
	const bool per_cpu = bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY;
	struct dump d = {
		.map = bpf_map__fd(map),
		.key_bytes = bpf_map__key_size(map),
		.value_bytes = per_cpu ? cpus * ((bpf_map__value_size(map) + 7) / 8 * 8)
				       : bpf_map__value_size(map),
	};
	size_t each = d.key_bytes + d.value_bytes;
	uint8_t *before = NULL, key[64];

	d.bytes = malloc(each * 1024);
	assert_non_null(d.bytes);
	while (!bpf_map_get_next_key(d.map, before, key)) {
		uint8_t *here = d.bytes + d.n * each;

		assert_true(d.n < 1024);
		memcpy(here, key, d.key_bytes);
		assert_int_equal(bpf_map_lookup_elem(d.map, key, here + d.key_bytes), 0);
		before = here;
		d.n++;
	}
	return d;
}

static bool is_dumped(const struct bpf_map *map)
{
	/* Where a program works on a packet holds nothing; the ring is read only, and long. */
	static const char *const left_out[] = { "mg_steer_room", "mg_tunnel_room", "mg_gate_room",
						"mg_ring", "mg_events" };
	const char *name = bpf_map__name(map);

	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (!strcmp(name, left_out[i]))
			return false;
	return !strchr(name, '.') && bpf_map__type(map) != BPF_MAP_TYPE_LPM_TRIE &&
	       bpf_map__type(map) != BPF_MAP_TYPE_ARRAY_OF_MAPS;
}

/* Each would store something, learn something, count something. */
static void test_locate_changes_nothing(void **state)
{
	const struct bpf_object *obj = w.run.side[MG_SIDE_ACCESS]->obj;
	struct frame again = to_virtual(false, F_SYN, opt_capable);
	struct frame upstream = { .dst = SERVER4, .flags = F_SYN, .opts = opt_plain };
	const struct {
		enum mg_side side;
		struct frame frame;
	} asked[] = {
		{ MG_SIDE_ACCESS,
		  { .dst = VIRTUAL4, .sport = 7, .flags = F_SYN, .opts = opt_capable } },
		{ MG_SIDE_ACCESS,
		  { .dst = VIRTUAL4, .sport = 8, .flags = F_SYN, .opts = opt_join(TOKEN) } },
		{ MG_SIDE_ACCESS,
		  { .dst = VIRTUAL4, .sport = 9, .flags = F_SYN, .opts = opt_join(1) } },
		{ MG_SIDE_ACCESS, { .dst = VIRTUAL4, .sport = 7, .flags = F_ACK } },
		{ MG_SIDE_ACCESS,
		  { .dst = VIRTUAL4, .seq = ISN + 1, .flags = F_ACK, .opts = opt_keys(key_b, 0) } },
		{ MG_SIDE_CORE, upstream },
	};
	struct dump before[64];
	struct bpf_map *map;
	size_t n = 0;

	(void)state;
	world_expect(&w, MG_SIDE_ACCESS, &again, GOES(RING, NEW, 1));
	world_push(&w, TOKEN, 2, 3);
	world_neighbour(&w, 2);
	bpf_object__for_each_map(map, obj) if (is_dumped(map) && n < 64) before[n++] = dump(map);
	assert_true(n > 15);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		steer_run_locate(&w.run, asked[i].side, &asked[i].frame);
	n = 0;
	bpf_object__for_each_map(map, obj)
	{
		struct dump after;

		if (!is_dumped(map))
			continue;
		after = dump(map);
		assert_int_equal(after.n, before[n].n);
		assert_memory_equal(after.bytes, before[n].bytes,
				    after.n * (after.key_bytes + after.value_bytes));
		free(after.bytes);
		free(before[n++].bytes);
	}
}

/* What it says is all there is to say. */
static void test_located(void **state)
{
	struct frame f = to_virtual(false, F_SYN, opt_join(TOKEN));
	const struct mg_rule rule = { .group = GROUP_OTHER };
	struct mg_decision d;

	(void)state;
	world_push(&w, TOKEN, 4, 0);
	d = steer_run_locate(&w.run, MG_SIDE_ACCESS, &f);
	assert_int_equal(d.token, TOKEN);
	assert_false(d.has_slot);
	assert_int_equal(d.rule, 0);
	world_rules(&w, &rule, 1);
	f = (struct frame){ .dst = SERVER4, .flags = F_SYN, .opts = opt_capable };
	d = steer_run_locate(&w.run, MG_SIDE_ACCESS, &f);
	assert_int_equal(d.rule, 1);
	assert_int_equal(d.group, GROUP_OTHER);
	assert_true(d.has_slot);
	assert_int_equal(d.token, 0);
}

static int set_up(void **state)
{
	int err = world_open(&w);

	(void)state;
	return err ? err
		   : lab_sh("ip addr add 10.9.0.1/32 dev lo && ip addr add 10.1.0.1/32 dev lo && "
			    "ip -6 addr add fd00:9::1/128 dev lo nodad && "
			    "ip -6 addr add fd00:1::1/128 dev lo nodad");
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_own_data, fresh),
		cmocka_unit_test_setup(test_listener, fresh),
		cmocka_unit_test_setup(test_own_join, fresh),
		cmocka_unit_test_setup(test_own_icmp, fresh),
		cmocka_unit_test_setup(test_converter, fresh),
		cmocka_unit_test_setup(test_unwrapped, fresh),
		cmocka_unit_test_setup(test_locate_changes_nothing, fresh),
		cmocka_unit_test_setup(test_located, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
