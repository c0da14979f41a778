// SPDX-License-Identifier: BSD-2-Clause
/*
 * The first of two that are asked: what is its own stays, by token or by socket.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "hop_rig.h"
#include "rows.h"
#include "wrap.h"

#define TOKEN 0xe3881c92 /* that of JOIN */

static uint8_t frame[FRAME_MAX], out[FRAME_MAX], wanted[FRAME_MAX];
static const uint8_t join[] = { JOIN };

static void put_owners(int map, uint16_t proxy, uint16_t second)
{
	struct mg_owners owners = { .proxy = proxy, .second = second };
	uint32_t token = TOKEN;

	steer_put(map, &token, &owners);
}

static void test_own_by_token(void **state)
{
	const int maps[] = { STEER_MAP(&rig.run, mg_pushed), STEER_MAP(&rig.run, mg_learned) };

	(void)state;
	for (int n = 0; n < 4; n++) {
		struct frame f = { .flags = F_SYN, .v6 = n / 2, .opts = { join, sizeof(join) } };
		struct mg_gateway g = { .self = SELF }, nobody = { 0 };

		hop_fresh(NULL);
		put_owners(maps[n % 2], SELF, 0);
		hop_own(&f, NEAR4);
		put_owners(maps[n % 2], 3, SELF);
		hop_own(&f, NEAR6);
		put_owners(maps[n % 2], 3, 4);
		hop_sent_on(&f, NEAR4, hop_near_mac);
		/* who ends no sessions owns none */
		put_owners(maps[n % 2], 0, 0);
		steer_put_gateway(&rig.run, &nobody);
		hop_sent_on(&f, NEAR4, hop_near_mac);
		steer_put_gateway(&rig.run, &g);
		/* a token says nothing of what is no join */
		put_owners(maps[n % 2], SELF, 0);
		f.flags = F_ACK;
		hop_sent_on(&f, NEAR4, hop_near_mac);
	}
}

struct pair {
	int listener, client, server;
	struct sockaddr_storage client_at, server_at;
};

static socklen_t loopback(struct sockaddr_storage *at, bool v6)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)at;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)at;

	memset(at, 0, sizeof(*at));
	at->ss_family = v6 ? AF_INET6 : AF_INET;
	if (v6)
		in6->sin6_addr = in6addr_loopback;
	else
		in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return v6 ? sizeof(*in6) : sizeof(*in4);
}

/* A connection of this host with itself: what the client sends is `server`'s. */
static void pair_open(struct pair *p, bool v6)
{
	socklen_t len = loopback(&p->server_at, v6);

	p->listener = socket(p->server_at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	p->client = socket(p->server_at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&p->server_at, len), 0);
	assert_int_equal(listen(p->listener, 1), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&p->server_at, &len), 0);
	assert_int_equal(connect(p->client, (struct sockaddr *)&p->server_at, len), 0);
	assert_int_equal(getsockname(p->client, (struct sockaddr *)&p->client_at, &len), 0);
	p->server = accept(p->listener, NULL, NULL);
	assert_true(p->server >= 0);
}

static void pair_close(const struct pair *p)
{
	close(p->client);
	close(p->server);
	close(p->listener);
}

static uint16_t port_of(const struct sockaddr_storage *at)
{
	return ntohs(at->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)at)->sin6_port
					       : ((const struct sockaddr_in *)at)->sin_port);
}

static struct frame pair_segment(const struct pair *p, uint8_t flags)
{
	bool v6 = p->server_at.ss_family == AF_INET6;
	struct frame f = hop_segment(v6);

	f.flags = flags;
	f.src = f.dst = v6 ? "::1" : "127.0.0.1";
	f.sport = port_of(&p->client_at);
	f.dport = port_of(&p->server_at);
	return f;
}

static void test_own_by_socket(void **state)
{
	(void)state;
	for (int v6 = 0; v6 <= 1; v6++) {
		struct frame f, other;
		struct pair p = { 0 };

		pair_open(&p, v6);
		f = pair_segment(&p, F_ACK);
		hop_own(&f, NEAR4);
		hop_own(&f, NEAR6);
		f.flags = F_RST;
		hop_own(&f, NEAR4);
		/* no other of the same listener: it is not the listener that owns */
		other = f;
		other.sport = (uint16_t)(f.sport ^ 1);
		hop_sent_on(&other, NEAR4, hop_near_mac);
		other.flags = F_SYN;
		hop_sent_on(&other, NEAR4, hop_near_mac);
		pair_close(&p);
	}
}

/* An ICMP error about what one of our sockets sent, or about what none did */
static void test_own_by_icmp(void **state)
{
	(void)state;
	for (int v6 = 0; v6 <= 1; v6++) {
		uint8_t body[128] = { v6 ? 1 : 3, 1 };
		struct frame quoted, f = { .v6 = v6, .protocol = v6 ? 58 : 1 };
		struct pair p = { 0 };
		size_t len;

		pair_open(&p, v6);
		quoted = pair_segment(&p, F_ACK);
		/* the server's own segment: from its port to the client's */
		quoted.sport = port_of(&p.server_at);
		quoted.dport = port_of(&p.client_at);
		quoted.payload.len = 0;
		for (int i = 0; i < 2; i++) {
			len = frame_build(frame, &quoted) - 14;
			memcpy(body + 8, frame + 14, len);
			f.body = (struct bytes){ body, 8 + len };
			f.dst = v6 ? "::1" : "127.0.0.1";
			if (i)
				hop_sent_on(&f, NEAR4, hop_near_mac);
			else
				hop_own(&f, NEAR4);
			quoted.dport ^= 1;
		}
		pair_close(&p);
	}
}

/* ---- on a gateway that is one of the two ----------------------------------------------------- */

static void test_local(void **state)
{
	struct pair p = { 0 };
	struct frame f;

	(void)state;
	pair_open(&p, false);
	f = pair_segment(&p, F_ACK);
	for (int n = 0; n < 4; n++) {
		bool second = n / 2;
		struct deliver_way way = { .deliver = MG_DELIVER_IPIP, .second = 4 };
		struct deliver_way alone = { .deliver = MG_DELIVER_IPIP };
		size_t len, out_len = 0, wanted_len;

		deliver_fresh(NULL);
		deliver_way_put(&way);
		rig.proxy[second ? 2 : 1].deliver = MG_DELIVER_LOCAL;
		deliver_proxy_put(second ? 2 : 1);
		if (n % 2)
			f.sport ^= 1;
		deliver_flow_put(&f, true);
		len = frame_build(frame, &f);
		if (n % 2 == 0) {
			/* ours, whichever we are */
			assert_int_equal(hop_run(frame, len, out, &out_len), XDP_PASS);
			deliver_same("local", out, out_len, frame, len);
			continue;
		}
		memcpy(wanted, frame, len);
		wanted_len = second ? deliver_expected(wanted, len, &alone)
				    : wrap_frame(wanted, len, GATEWAY4, deliver_address(2, false));
		if (!second)
			wrap_set_macs(wanted, rig.proxy[2].dmac, rig.proxy[2].smac);
		assert_int_equal(hop_run(frame, len, out, &out_len), XDP_REDIRECT);
		deliver_same("the other", out, out_len, wanted, wanted_len);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), !second);
		f.sport ^= 1;
	}
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_own_by_token, hop_fresh),
		cmocka_unit_test_setup(test_own_by_socket, hop_fresh),
		cmocka_unit_test_setup(test_own_by_icmp, hop_fresh),
		cmocka_unit_test_setup(test_local, deliver_fresh),
	};

	return cmocka_run_group_tests(tests, hop_set_up, deliver_tear_down);
}
