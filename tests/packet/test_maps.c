// SPDX-License-Identifier: BSD-2-Clause
/*
 * The daemon's side of the maps: converters, events, SYN+ACK options.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "abi/event.h"
#include "base/log.h"
#include "lab.h"
#include "rows.h"
#include "sys/dp.h"
#include "xdp_run.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct xdp_run run;
static struct ring_buffer *ring;
static struct mg_dp_syn last;
static size_t n_events;

static int on_record(void *ctx, void *record, size_t len)
{
	(void)ctx;
	n_events++;
	return mg_dp_maps_read_syn(&last, record, len);
}

static int set_up(void **state)
{
	int err;

	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
	err = lab_enter();
	if (!err)
		err = xdp_run_open(&run);
	if (err)
		return err;
	ring = ring_buffer__new(bpf_map__fd(run.skel->maps.mg_events), on_record, NULL, NULL);
	return ring ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	ring_buffer__free(ring);
	xdp_run_close(&run);
	return 0;
}

static void set_converters(size_t n, const char *const *texts)
{
	struct mg_ep eps[8];

	for (size_t i = 0; i < n; i++)
		assert_int_equal(mg_ep_parse(&eps[i], texts[i]), 0);
	assert_int_equal(mg_dp_maps_set_converters(&run.maps, eps, n, NULL, 0), 0);
}

static void send_frame(const struct frame *f)
{
	static uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t len = frame_build(frame, f), out_len;

	assert_int_equal(xdp_run_frame(&run, frame, len, out, &out_len), XDP_PASS);
}

static bool is_convert(const struct frame *f)
{
	struct mg_dp_counters before, after;

	assert_int_equal(mg_dp_maps_counters(&run.maps, &before), 0);
	send_frame(f);
	assert_int_equal(mg_dp_maps_counters(&run.maps, &after), 0);
	return after.class[MG_CLASS_CONVERT] != before.class[MG_CLASS_CONVERT];
}

static const struct frame to_v4 = { .flags = F_SYN, .opts = B(MPC_V1), .payload = B(CONVERT) };
static const struct frame to_v6 = { .v6 = true, .flags = F_SYN, .payload = B(CONVERT) };
static const struct frame to_other = { .flags = F_SYN, .dport = 5125, .payload = B(CONVERT) };
static const struct frame empty_syn = { .flags = F_SYN, .opts = B(MPC_V1) };
static const struct frame join_syn = { .flags = F_SYN, .opts = B(JOIN) };
static const struct frame ack = { .flags = F_ACK, .payload = B(CONVERT) };

static void test_converters_are_replaced(void **state)
{
	static const char *const both[] = { "10.3.0.2:5124", "[fd00:3::2]:5124" };
	static const char *const changed[] = { "[fd00:3::2]:5124", "10.3.0.2:5125" };

	(void)state;
	assert_false(is_convert(&to_v4));
	set_converters(2, both);
	assert_true(is_convert(&to_v4));
	assert_true(is_convert(&to_v6));
	assert_false(is_convert(&to_other));
	set_converters(2, changed);
	assert_false(is_convert(&to_v4));
	assert_true(is_convert(&to_v6));
	assert_true(is_convert(&to_other));
	set_converters(0, NULL);
	assert_false(is_convert(&to_v4));
	assert_false(is_convert(&to_v6));
	assert_false(is_convert(&to_other));
}

/* The whole set may change at once, at its largest. */
static void test_converters_to_the_limit(void **state)
{
	static struct mg_ep eps[MG_CONVERTERS_MAX + 1];

	(void)state;
	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 0; i <= MG_CONVERTERS_MAX; i++) {
			assert_int_equal(mg_ep_parse(&eps[i], "10.3.0.2:1"), 0);
			eps[i].port = htons((uint16_t)(20000 * (round + 1) + i));
		}
		assert_int_equal(
			mg_dp_maps_set_converters(&run.maps, eps, MG_CONVERTERS_MAX + 1, NULL, 0),
			-E2BIG);
		assert_int_equal(
			mg_dp_maps_set_converters(&run.maps, eps, MG_CONVERTERS_MAX, eps, 1),
			-E2BIG);
		assert_int_equal(
			mg_dp_maps_set_converters(&run.maps, eps, MG_CONVERTERS_MAX, NULL, 0), 0);
	}
	set_converters(0, NULL);
}

static void test_events(void **state)
{
	static const char *const one[] = { "10.3.0.2:5124" };
	char text[MG_EP_STRLEN];

	(void)state;
	set_converters(1, one);
	ring_buffer__consume(ring);
	n_events = 0;
	send_frame(&to_v4);
	ring_buffer__consume(ring);
	assert_int_equal(n_events, 1);
	assert_string_equal(mg_ep_format(text, &last.client), "10.1.0.1:40000");
	assert_string_equal(mg_ep_format(text, &last.converter), "10.3.0.2:5124");
	assert_int_equal(last.class, MG_CLASS_CONVERT);
	assert_true(last.mp_capable);
	assert_int_equal(last.payload_bytes, 24);

	send_frame(&empty_syn);
	ring_buffer__consume(ring);
	assert_int_equal(n_events, 2);
	assert_int_equal(last.class, MG_CLASS_MP_CAPABLE);
	assert_int_equal(last.payload_bytes, 0);

	send_frame(&join_syn);
	ring_buffer__consume(ring);
	assert_int_equal(n_events, 3);
	assert_int_equal(last.class, MG_CLASS_MP_JOIN);
	assert_false(last.mp_capable);

	/* of others than opening SYNs to a converter the daemon hears nothing */
	send_frame(&to_v6);
	send_frame(&to_other);
	send_frame(&ack);
	ring_buffer__consume(ring);
	assert_int_equal(n_events, 3);
	set_converters(0, NULL);
}

static void test_strange_records_are_refused(void **state)
{
	struct mg_event_syn e = { .event = { .type = MG_EVENT_SYN, .bytes = sizeof(e) } };
	struct mg_dp_syn syn;

	(void)state;
	assert_int_equal(mg_dp_maps_read_syn(&syn, &e, sizeof(e)), 0);
	assert_int_equal(mg_dp_maps_read_syn(&syn, &e, sizeof(e) - 1), -EBADMSG);
	e.class = MG_CLASS_COUNT;
	assert_int_equal(mg_dp_maps_read_syn(&syn, &e, sizeof(e)), -EBADMSG);
	e.class = 0;
	e.event.type = 99;
	assert_int_equal(mg_dp_maps_read_syn(&syn, &e, sizeof(e)), -EBADMSG);
}

/* A flood: the bound holds per CPU and window, what is over it is counted, all SYNs are classed. */
static void test_flood(void **state)
{
	static const char *const one[] = { "10.3.0.2:5124" };
	const uint32_t burst = 20000;
	struct mg_dp_counters before, after;
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, &to_v4);
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
			    .repeat = (int)burst);

	(void)state;
	set_converters(1, one);
	ring_buffer__consume(ring);
	n_events = 0;
	assert_int_equal(mg_dp_maps_counters(&run.maps, &before), 0);
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(run.skel->progs.mg_xdp), &opts), 0);
	ring_buffer__consume(ring);
	assert_int_equal(mg_dp_maps_counters(&run.maps, &after), 0);
	assert_int_equal(after.class[MG_CLASS_CONVERT] - before.class[MG_CLASS_CONVERT], burst);
	assert_int_equal(n_events + (after.events_lost - before.events_lost), burst);
	assert_in_range(n_events, 1,
			(1 + (uint64_t)opts.duration * burst / MG_EVENT_WINDOW_NS + 1) *
				MG_EVENTS_PER_WINDOW);
	set_converters(0, NULL);
}

/* A listener on 127.0.0.1 or ::1; its address in ss. */
static int listen_on(int family, int protocol, struct mg_ep *ep)
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)family };
	socklen_t len = sizeof(ss);
	int fd = socket(family, SOCK_STREAM, protocol);

	if (fd < 0)
		return -errno;
	if (family == AF_INET)
		((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&ss)->sin6_addr = in6addr_loopback;
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, sizeof(ss)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(mg_ep_from_sockaddr(ep, (struct sockaddr *)&ss), 0);
	return fd;
}

static int connect_to(const struct mg_ep *peer, int protocol, struct mg_ep *local)
{
	struct sockaddr_storage ss;
	socklen_t len = mg_ep_to_sockaddr(peer, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM, protocol);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	len = sizeof(ss);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(mg_ep_from_sockaddr(local, (struct sockaddr *)&ss), 0);
	return fd;
}

static bool has_option(const uint8_t *opts, int len, uint8_t kind)
{
	for (int at = 0; at < len && opts[at] != 0;) {
		if (opts[at] == kind)
			return true;
		at += opts[at] == 1 ? 1 : opts[at + 1];
	}
	return false;
}

static void check_synack(struct mg_dp *dp, int family, int protocol)
{
	struct mg_ep server, local;
	uint8_t opts[MG_SYNACK_OPTIONS];
	int listener = listen_on(family, protocol, &server), fd, len;

	if (listener < 0)
		skip();
	fd = connect_to(&server, protocol, &local);
	len = mg_dp_synack_take(dp, &local, &server, opts);
	assert_in_range(len, 4, MG_SYNACK_OPTIONS);
	assert_int_equal(len % 4, 0);
	assert_true(has_option(opts, len, 2));
	assert_int_equal(has_option(opts, len, 30), protocol == IPPROTO_MPTCP);
	/* taken is forgotten; and the other direction never was there */
	assert_int_equal(mg_dp_synack_take(dp, &local, &server, opts), -ENOENT);
	assert_int_equal(mg_dp_synack_take(dp, &server, &local, opts), -ENOENT);
	close(fd);
	close(listener);
}

static void test_synack(void **state)
{
	struct mg_config *cfg = lab_config("px0", NULL);
	struct mg_dp *dp;

	(void)state;
	cfg->interfaces[0].xdp = MG_XDP_OFF;
	assert_int_equal(mg_dp_open(&dp, cfg), 0);
	if (!mg_dp_has_synack(dp)) {
		mg_dp_close(dp);
		skip();
	}
	check_synack(dp, AF_INET, IPPROTO_TCP);
	check_synack(dp, AF_INET6, IPPROTO_TCP);
	check_synack(dp, AF_INET, IPPROTO_MPTCP);
	mg_dp_close(dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_converters_are_replaced),
		cmocka_unit_test(test_converters_to_the_limit),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_strange_records_are_refused),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_synack),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
