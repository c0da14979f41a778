// SPDX-License-Identifier: BSD-2-Clause
/*
 * The first of two that are asked: what is its own stays, by token or by socket; the rest goes to
 * the second, over real routes.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver_rig.h"
#include "lab.h"
#include "rows.h"
#include "wrap.h"

/* The second's addresses: on px1's network, and beyond a router there, and where nobody is known */
#define NEAR4	 "10.3.1.77"
#define NEAR6	 "fd00:4::77"
#define FAR4	 "10.77.0.1"
#define FAR6	 "fd00:77::1"
#define UNKNOWN4 "10.3.1.78"
#define SELF	 7
#define TOKEN	 0xe3881c92 /* that of JOIN */

static const uint8_t near_mac[6] = { 2, 0, 0, 0, 0x77, 4 }, router_mac[6] = { 2, 0, 0, 0, 0x77, 1 };
static uint8_t px1_mac[6];
static uint8_t frame[FRAME_MAX], out[FRAME_MAX], wanted[FRAME_MAX];
static const uint8_t data[] = "whose is this?", join[] = { JOIN };

static int set_up(void **state)
{
	struct ifreq px1 = { .ifr_name = "px1" };
	int fd, err;

	if (deliver_set_up(state))
		return -1;
	if (lab_sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 && "
		   "ip -6 addr add fd00:4::2/64 dev px1 nodad && "
		   "ip neigh replace 10.3.1.77 lladdr 02:00:00:00:77:04 dev px1 && "
		   "ip neigh replace fd00:4::77 lladdr 02:00:00:00:77:04 dev px1 && "
		   "ip neigh replace 10.3.1.1 lladdr 02:00:00:00:77:01 dev px1 && "
		   "ip neigh replace fd00:4::1 lladdr 02:00:00:00:77:01 dev px1 && "
		   "ip route add 10.77.0.0/16 via 10.3.1.1 && "
		   "ip -6 route add fd00:77::/32 via fd00:4::1 && "
		   "ip route add blackhole 10.78.0.0/16"))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	err = fd < 0 ? -1 : ioctl(fd, SIOCGIFHWADDR, &px1);
	close(fd);
	memcpy(px1_mac, px1.ifr_hwaddr.sa_data, sizeof(px1_mac));
	return err;
}

static int hop_fresh(void **state)
{
	struct mg_gateway g = { .self = SELF };
	uint8_t ip[16], one = 1;

	deliver_fresh(state);
	steer_put_gateway(&rig.run, &g);
	for (int v6 = 0; v6 <= 1; v6++) {
		struct mg_peer_key key = { .bits = 128 };

		steer_ip(ip, deliver_address(1, v6));
		steer_put(STEER_MAP(&rig.run, mg_mine), ip, &one);
		steer_ip(key.ip, deliver_source(v6));
		steer_put(STEER_MAP(&rig.run, mg_peers), &key, &one);
	}
	steer_run_look(&rig.run);
	return 0;
}

/* What is in the tunnels, as it was; ends up in `wanted` */
static size_t put_inside(const struct frame *f)
{
	size_t len = frame_build(frame, f);

	memcpy(wanted, frame, len);
	return len;
}

/* The frame as it comes from a gateway that asks us before `second`; by l2 without our header */
static size_t put_tunnels(size_t len, const char *second, bool l2)
{
	bool v6 = strchr(second, ':');

	len = wrap_frame(frame, len, deliver_source(v6), second);
	return l2 ? len : wrap_frame(frame, len, deliver_source(!v6), deliver_address(1, !v6));
}

static int run(size_t len, size_t *out_len)
{
	steer_run_look(&rig.run);
	return steer_run_bytes(&rig.run, MG_SIDE_ACCESS, frame, len, out, out_len);
}

static void expect_own(const struct frame *f, const char *second)
{
	for (int l2 = 0; l2 <= 1; l2++) {
		size_t inner = put_inside(f), out_len = 0, len = put_tunnels(inner, second, l2);

		assert_int_equal(run(len, &out_len), XDP_PASS);
		deliver_same("own", out, out_len, wanted, inner);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_DECAP), 1);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), 0);
	}
}

/* One hop later, by the book */
static void spend_hop(uint8_t *ip)
{
	if (ip[0] >> 4 == 6) {
		ip[7]--;
		return;
	}
	ip[8]--;
	wrap_set_class(ip, ip[1]);
}

static void expect_sent_on(const struct frame *f, const char *second, const uint8_t mac[6])
{
	for (int l2 = 0; l2 <= 1; l2++) {
		size_t inner = put_inside(f), out_len = 0, len, wanted_len;
		bool v6 = strchr(second, ':');
		int action;

		len = put_tunnels(inner, second, l2);
		wanted_len = wrap_frame(wanted, inner, deliver_source(v6), second);
		spend_hop(wanted + 14);
		wrap_set_macs(wanted, mac, px1_mac);
		action = run(len, &out_len);
		if (action != XDP_REDIRECT)
			fprintf(stderr, "# to %s, l2 %d: action %d\n", second, l2, action);
		assert_int_equal(action, XDP_REDIRECT);
		deliver_same("sent on", out, out_len, wanted, wanted_len);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_DECAP), !l2);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), 1);
	}
}

/* Left to the kernel to send on, our header taken off */
static void expect_left(const struct frame *f, const char *second)
{
	for (int l2 = 0; l2 <= 1; l2++) {
		size_t inner = put_inside(f), out_len = 0, len, wanted_len;
		bool v6 = strchr(second, ':');

		len = put_tunnels(inner, second, l2);
		wanted_len = wrap_frame(wanted, inner, deliver_source(v6), second);
		assert_int_equal(run(len, &out_len), XDP_PASS);
		deliver_same("left", out, out_len, wanted, wanted_len);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), 1);
	}
}

static struct frame segment(bool v6)
{
	return (struct frame){ .v6 = v6, .flags = F_ACK, .payload = { data, sizeof(data) } };
}

/* ---- not ours -------------------------------------------------------------------------------- */

static void test_sent_on(void **state)
{
	(void)state;
	for (int v6 = 0; v6 <= 1; v6++) {
		struct frame f = segment(v6);

		expect_sent_on(&f, NEAR4, near_mac);
		expect_sent_on(&f, NEAR6, near_mac);
		expect_sent_on(&f, FAR4, router_mac);
		expect_sent_on(&f, FAR6, router_mac);
		/* a join nobody told us of, a SYN of nobody's, an end */
		f.flags = F_SYN;
		f.opts = (struct bytes){ join, sizeof(join) };
		expect_sent_on(&f, NEAR4, near_mac);
		f.opts.len = 0;
		expect_sent_on(&f, NEAR6, near_mac);
		f.flags = F_RST;
		expect_sent_on(&f, NEAR4, near_mac);
	}
}

/* Back out where it came in */
static void test_same_interface(void **state)
{
	struct frame f = segment(false);
	size_t out_len = 0, len = put_tunnels(put_inside(&f), NEAR4, false);

	(void)state;
	assert_int_equal(steer_run_bytes(&rig.run, MG_SIDE_CORE, frame, len, out, &out_len),
			 XDP_TX);
	steer_run_expect(&rig.run, MG_CLASS_DATA, MG_VERDICT_STEER, MG_REASON_TCP_SEGMENT);
	assert_memory_equal(out, near_mac, 6);
	assert_memory_equal(out + 6, px1_mac, 6);
}

static void test_left_to_the_kernel(void **state)
{
	static uint8_t long_data[1480];
	struct frame f = segment(false);

	(void)state;
	expect_left(&f, UNKNOWN4);
	expect_left(&f, "10.78.0.1"); /* blackhole */
	expect_left(&f, "192.0.2.1"); /* no route */
	f.vlan[0] = 0x8100;
	for (int l2 = 0; l2 <= 1; l2++) {
		size_t inner = put_inside(&f), out_len = 0, len = put_tunnels(inner, NEAR4, l2);
		size_t wanted_len = wrap_frame(wanted, inner, GATEWAY4, NEAR4);

		assert_int_equal(run(len, &out_len), XDP_PASS);
		deliver_same("tagged", out, out_len, wanted, wanted_len);
	}
	/* too long for the way to the second: the kernel knows what to say */
	f = segment(false);
	f.payload = (struct bytes){ long_data, 1440 };
	expect_sent_on(&f, NEAR4, near_mac);
	f.payload.len = 1441;
	expect_left(&f, NEAR4);
	assert_int_equal(lab_sh("sysctl -qw net.ipv4.conf.px0.forwarding=0"), 0);
	f = segment(false);
	expect_left(&f, NEAR4);
	assert_int_equal(lab_sh("sysctl -qw net.ipv4.conf.px0.forwarding=1"), 0);
	expect_sent_on(&f, NEAR4, near_mac);
}

/* The last hop's is not sent on from here; the one before is. */
static void test_hops(void **state)
{
	(void)state;
	for (int v6 = 0; v6 <= 1; v6++) {
		for (uint8_t hops = 0; hops <= 2; hops++) {
			struct frame f = segment(false);
			size_t len = wrap_frame(frame, put_inside(&f), deliver_source(v6),
						v6 ? NEAR6 : NEAR4);
			size_t out_len = 0;

			frame[14 + (v6 ? 7 : 8)] = hops;
			wrap_set_class(frame + 14, 0);
			memcpy(wanted, frame, len);
			if (hops > 1)
				spend_hop(wanted + 14);
			len = wrap_frame(frame, len, GATEWAY4, deliver_address(1, false));
			assert_int_equal(run(len, &out_len), hops > 1 ? XDP_REDIRECT : XDP_PASS);
			assert_int_equal(out_len, len - 20);
			assert_memory_equal(out + 14, wanted + 14, out_len - 14);
		}
	}
}

/* A second header that no gateway made stays; so does what is not of gateways inside of both. */
static void test_not_of_a_gateway(void **state)
{
	static const uint8_t dns[] = { 0, 53, 0, 53, 0, 8, 0, 0 };
	struct frame f = segment(false);
	struct frame udp = { .protocol = 17, .body = { dns, sizeof(dns) } };
	size_t out_len = 0, len;

	(void)state;
	len = wrap_frame(frame, frame_build(frame, &f), "10.1.0.1", NEAR4);
	assert_int_equal(run(len, &out_len), XDP_PASS);
	deliver_same("l2", out, out_len, frame, len);
	len = wrap_frame(frame, len, GATEWAY4, deliver_address(1, false));
	assert_int_equal(run(len, &out_len), XDP_PASS);
	deliver_same("ipip", out, out_len, frame, len);
	for (int l2 = 0; l2 <= 1; l2++) {
		len = put_tunnels(frame_build(frame, &udp), NEAR4, l2);
		assert_int_equal(run(len, &out_len), XDP_PASS);
		deliver_same("UDP", out, out_len, frame, len);
	}
	/* by l2 there is one header, no more */
	len = put_tunnels(frame_build(frame, &f), NEAR4, true);
	len = wrap_frame(frame, len, GATEWAY6, NEAR6);
	assert_int_equal(run(len, &out_len), XDP_PASS);
	deliver_same("l2, two headers", out, out_len, frame, len);
	assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), 0);
}

/* ---- ours ------------------------------------------------------------------------------------ */

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
		expect_own(&f, NEAR4);
		put_owners(maps[n % 2], 3, SELF);
		expect_own(&f, NEAR6);
		put_owners(maps[n % 2], 3, 4);
		expect_sent_on(&f, NEAR4, near_mac);
		/* who ends no sessions owns none */
		put_owners(maps[n % 2], 0, 0);
		steer_put_gateway(&rig.run, &nobody);
		expect_sent_on(&f, NEAR4, near_mac);
		steer_put_gateway(&rig.run, &g);
		/* a token says nothing of what is no join */
		put_owners(maps[n % 2], SELF, 0);
		f.flags = F_ACK;
		expect_sent_on(&f, NEAR4, near_mac);
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
	struct frame f = segment(v6);

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
		expect_own(&f, NEAR4);
		expect_own(&f, NEAR6);
		f.flags = F_RST;
		expect_own(&f, NEAR4);
		/* no other of the same listener: it is not the listener that owns */
		other = f;
		other.sport = (uint16_t)(f.sport ^ 1);
		expect_sent_on(&other, NEAR4, near_mac);
		other.flags = F_SYN;
		expect_sent_on(&other, NEAR4, near_mac);
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
				expect_sent_on(&f, NEAR4, near_mac);
			else
				expect_own(&f, NEAR4);
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
			assert_int_equal(run(len, &out_len), XDP_PASS);
			deliver_same("local", out, out_len, frame, len);
			continue;
		}
		memcpy(wanted, frame, len);
		wanted_len = second ? deliver_expected(wanted, len, &alone)
				    : wrap_frame(wanted, len, GATEWAY4, deliver_address(2, false));
		if (!second)
			wrap_set_macs(wanted, rig.proxy[2].dmac, rig.proxy[2].smac);
		assert_int_equal(run(len, &out_len), XDP_REDIRECT);
		deliver_same("the other", out, out_len, wanted, wanted_len);
		assert_int_equal(steer_run_counted(&rig.run, MG_STEER_COUNT_SECOND_HOP), !second);
		f.sport ^= 1;
	}
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sent_on, hop_fresh),
		cmocka_unit_test_setup(test_same_interface, hop_fresh),
		cmocka_unit_test_setup(test_left_to_the_kernel, hop_fresh),
		cmocka_unit_test_setup(test_hops, hop_fresh),
		cmocka_unit_test_setup(test_not_of_a_gateway, hop_fresh),
		cmocka_unit_test_setup(test_own_by_token, hop_fresh),
		cmocka_unit_test_setup(test_own_by_socket, hop_fresh),
		cmocka_unit_test_setup(test_own_by_icmp, hop_fresh),
		cmocka_unit_test_setup(test_local, deliver_fresh),
	};

	return cmocka_run_group_tests(tests, set_up, deliver_tear_down);
}
