// SPDX-License-Identifier: BSD-2-Clause
/*
 * What ICMP teaches about tunnels of our own: from whom, how little, how long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <bpf/bpf.h>

#include "deliver_limit.h"
#include "wrap.h"

struct complaint {
	bool v6;
	uint8_t type, code;
	uint32_t mtu;
	const char *quoted_from, *quoted_to, *to;
	uint8_t protocol; /* quoted; 0: 4 */
	enum mg_side side;
};

/* An ICMP error about what the gateway sent to proxy 1, through the program: its action. */
static uint32_t complain_action(const struct complaint *c)
{
	static const uint8_t carried[28];
	uint8_t body[8 + 68] = { c->type, c->code };
	struct frame inner = { .flags = F_ACK, .v6 = c->v6, .protocol = c->protocol };
	struct frame f = { .v6 = c->v6,
			   .protocol = c->v6 ? 58 : 1,
			   .body = { body, sizeof(body) } };
	size_t header = c->v6 ? 40 : 20;
	uint8_t made[FRAME_MAX];

	inner.protocol = c->protocol ? c->protocol : 4;
	inner.src = c->quoted_from ? c->quoted_from : c->v6 ? GATEWAY6 : GATEWAY4;
	inner.dst = c->quoted_to ? c->quoted_to : deliver_address(1, c->v6);
	inner.body = (struct bytes){ carried, sizeof(carried) };
	frame_build(made, &inner);
	memcpy(body + 8, made + 14, header + 28);
	for (int i = 0; i < 4; i++)
		body[4 + i] = (uint8_t)(c->mtu >> (24 - 8 * i));
	f.body.len = 8 + header + 28;
	f.src = c->v6 ? "fd00:9::1" : "10.9.9.1";
	f.dst = c->to ? c->to : c->v6 ? GATEWAY6 : GATEWAY4;
	return steer_run_frame(&rig.run, c->side, &f);
}

static void complain(const struct complaint *c)
{
	assert_int_equal(complain_action(c), XDP_PASS);
}

static uint32_t heard(uint32_t proxy)
{
	struct mg_path path = { 0 };

	if (bpf_map_lookup_elem(STEER_MAP(&rig.run, mg_paths), &proxy, &path))
		return 0;
	return path.mtu_bytes;
}

#define COMPLAINT(mtu_)                                                   \
	{                                                                 \
		.type = 3, .code = 4, .mtu = (mtu_), .side = MG_SIDE_CORE \
	}

static void test_too_big_teaches(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct complaint c = COMPLAINT(1400);
	struct frame f = limit_segment(false, 1381, 0);

	(void)state;
	limit_fresh(&f, &way, 0);
	limit_fits(&f);
	complain(&c);
	assert_int_equal(heard(1), 1400);
	assert_int_equal(heard(2), 0);
	steer_run_look(&rig.run);
	limit_answer(&f, 1380);
	f = limit_segment(false, 1380, 0);
	limit_fits(&f);
	/* longer is old news, shorter is not; never below what every path takes */
	c.mtu = 1450;
	complain(&c);
	assert_int_equal(heard(1), 1400);
	c.mtu = 900;
	complain(&c);
	assert_int_equal(heard(1), 900);
	c.mtu = 68;
	complain(&c);
	assert_int_equal(heard(1), 576);
	steer_run_look(&rig.run);
	f = limit_segment(false, 556, 0);
	limit_fits(&f);
	f = limit_segment(false, 557, 0);
	limit_answer(&f, 556);
}

static void test_too_big_teaches_ip6(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .v6 = true };
	struct complaint c = {
		.v6 = true, .type = 2, .mtu = 1400, .protocol = 41, .side = MG_SIDE_CORE
	};
	struct frame f = limit_segment(true, 1361, 0);

	(void)state;
	limit_fresh(&f, &way, 1500);
	complain(&c);
	assert_int_equal(heard(1), 1400);
	steer_run_look(&rig.run);
	limit_answer(&f, 1360);
	c.mtu = 1000;
	complain(&c);
	assert_int_equal(heard(1), 1280);
}

/* The tunnel to the second is heard of by its own name. */
static void test_too_big_of_second(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .second = 4 };
	struct complaint c = COMPLAINT(1300);
	struct frame f = limit_segment(false, 1281, 0);

	(void)state;
	limit_fresh(&f, &way, 1500);
	c.quoted_to = deliver_address(2, false);
	complain(&c);
	assert_int_equal(heard(2), 1300);
	steer_run_look(&rig.run);
	limit_answer(&f, 1280);
	f = limit_segment(false, 1280, 0);
	limit_fits(&f);
}

static void test_too_big_not_believed(void **state)
{
	static const struct complaint wrong[] = {
		{ .type = 3, .code = 3, .mtu = 1400, .side = MG_SIDE_CORE },
		{ .type = 11, .code = 0, .mtu = 1400, .side = MG_SIDE_CORE },
		{ .type = 3, .code = 4, .mtu = 0, .side = MG_SIDE_CORE },
		{ .type = 3, .code = 4, .mtu = 1400, .protocol = 17, .side = MG_SIDE_CORE },
		{ .type = 3, .code = 4, .mtu = 1400, .protocol = 47, .side = MG_SIDE_CORE },
		{ .type = 3,
		  .code = 4,
		  .mtu = 1400,
		  .quoted_to = "10.8.0.77",
		  .side = MG_SIDE_CORE },
		{ .type = 3,
		  .code = 4,
		  .mtu = 1400,
		  .quoted_from = "10.8.0.77",
		  .side = MG_SIDE_CORE },
		{ .type = 3,
		  .code = 4,
		  .mtu = 1400,
		  .quoted_from = "10.8.0.77",
		  .to = "10.8.0.77",
		  .side = MG_SIDE_CORE },
		{ .v6 = true, .type = 1, .mtu = 1400, .side = MG_SIDE_CORE },
	};
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct frame f = limit_segment(false, 100, 0);

	(void)state;
	limit_fresh(&f, &way, 1500);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		complain(&wrong[i]);
		assert_int_equal(heard(1), 0);
	}
}

/*
 * From the side of the UEs, to which no tunnel leads: not a word, and none through us to another
 * gateway, whose tunnel it may speak of.
 */
static void test_too_big_of_clients(void **state)
{
	static const struct complaint forged[] = {
		{ .type = 3, .code = 4, .mtu = 1400, .side = MG_SIDE_ACCESS },
		{ .type = 3,
		  .code = 4,
		  .mtu = 1400,
		  .quoted_from = "10.8.0.77",
		  .to = "10.8.0.77",
		  .side = MG_SIDE_ACCESS },
		{ .v6 = true, .type = 2, .mtu = 1400, .protocol = 41, .side = MG_SIDE_ACCESS },
	};
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct complaint c = COMPLAINT(1400);

	(void)state;
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		struct frame f = limit_segment(forged[i].v6, 100, 0);

		way.v6 = forged[i].v6;
		limit_fresh(&f, &way, 1500);
		assert_int_equal(complain_action(&forged[i]), XDP_DROP);
		assert_int_equal(heard(1), 0);
	}
	c.side = MG_SIDE_ACCESS;
	c.quoted_to = "10.8.0.78";
	complain(&c);
	/* one interface may well be both */
	c.quoted_to = NULL;
	way.v6 = false;
	deliver_way_put(&way);
	rig.proxy[1].ifindex = rig.run.px0;
	deliver_proxy_put(1);
	c.side = MG_SIDE_ACCESS;
	complain(&c);
	assert_int_equal(heard(1), 1400);
}

static void test_heard_expires(void **state)
{
	struct deliver_way way = { .deliver = MG_DELIVER_IPIP };
	struct mg_path path = { .mtu_bytes = 1400 };
	struct frame f = limit_segment(false, 1400, 0);
	uint64_t now = deliver_now_ns();
	uint32_t one = 1;

	(void)state;
	limit_fresh(&f, &way, 1500);
	path.since_ns = now - MG_PATH_TTL_NS + 60000000000ULL;
	steer_put(STEER_MAP(&rig.run, mg_paths), &one, &path);
	limit_answer(&f, 1380);
	path.since_ns = now - MG_PATH_TTL_NS - 1000000000ULL;
	steer_put(STEER_MAP(&rig.run, mg_paths), &one, &path);
	limit_fits(&f);
	assert_int_equal(heard(1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_too_big_teaches, deliver_fresh),
		cmocka_unit_test_setup(test_too_big_teaches_ip6, deliver_fresh),
		cmocka_unit_test_setup(test_too_big_of_second, deliver_fresh),
		cmocka_unit_test_setup(test_too_big_not_believed, deliver_fresh),
		cmocka_unit_test_setup(test_too_big_of_clients, deliver_fresh),
		cmocka_unit_test_setup(test_heard_expires, deliver_fresh),
	};

	return cmocka_run_group_tests(tests, deliver_set_up, deliver_tear_down);
}
