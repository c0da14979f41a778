// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames through the XDP program: class, reason and verdict of each, the frame unchanged (but for
 * the window of a Convert SYN), and exactly one count in each list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/bpf.h>

#include "rows.h"
#include "xdp_run.h"

static struct xdp_run run;

static int set_up(void **state)
{
	struct mg_ep eps[2];
	int err = xdp_run_open(&run);

	(void)state;
	if (!err)
		err = mg_ep_parse(&eps[0], "10.3.0.2:5124");
	if (!err)
		err = mg_ep_parse(&eps[1], "[fd00:3::2]:5124");
	return err ? err : mg_dp_maps_set_converters(&run.maps, eps, 2, NULL, 0);
}

static int tear_down(void **state)
{
	(void)state;
	xdp_run_close(&run);
	return 0;
}

static uint32_t word(const uint8_t *at)
{
	return (uint32_t)(at[0] << 8 | at[1]);
}

/* A Convert SYN may come out with another TCP window, its checksum made to fit (RFC 1624). */
static void assert_only_window_mended(const uint8_t *out, const uint8_t *frame, size_t len)
{
	size_t at = 0;

	while (at < len && out[at] == frame[at])
		at++;
	if (at == len)
		return;
	at &= ~(size_t)1;
	assert_true(at + 4 <= len);
	assert_true(word(out + at) < word(frame + at));
	assert_int_equal((word(out + at) + word(out + at + 2)) % 0xffff,
			 (word(frame + at) + word(frame + at + 2)) % 0xffff);
	assert_memory_equal(out + at + 4, frame + at + 4, len - at - 4);
}

/* Runs a frame; everything but class and reason, which are returned, is asserted here. */
static void classify(const uint8_t *frame, size_t len, int *class, int *reason)
{
	static uint8_t out[FRAME_MAX];
	struct mg_dp_counters before, after;
	size_t out_len;

	assert_int_equal(mg_dp_maps_counters(&run.maps, &before), 0);
	assert_int_equal(xdp_run_frame(&run, frame, len, out, &out_len), XDP_PASS);
	assert_int_equal(mg_dp_maps_counters(&run.maps, &after), 0);
	assert_int_equal(out_len, len);
	*class = xdp_run_moved(before.class, after.class, MG_CLASS_COUNT);
	*reason = xdp_run_moved(before.reason, after.reason, MG_REASON_COUNT);
	assert_int_equal(xdp_run_moved(before.verdict, after.verdict, MG_VERDICT_COUNT),
			 MG_VERDICT_PASS);
	if (*class == MG_CLASS_CONVERT)
		assert_only_window_mended(out, frame, len);
	else
		assert_memory_equal(out, frame, len);
}

static void test_row(void **state)
{
	const struct row *row = *state;
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, &row->frame);
	int class, reason;

	classify(frame, len, &class, &reason);
	assert_string_equal(mg_reason_label((unsigned int)reason), mg_reason_label(row->reason));
	assert_string_equal(mg_class_label((unsigned int)class), mg_class_label(row->class));
}

static const struct frame whole[] = {
	{ .vlan = { 0x88a8, 0x8100 },
	  .ip_opts = B(1, 1, 1, 0),
	  .flags = F_SYN,
	  .opts = B(LINUX_SYN, MPC_V1),
	  .payload = B(CONVERT) },
	{ .v6 = true,
	  .ext = { EXT8(0), EXT8(60) },
	  .flags = F_SYN,
	  .opts = B(LINUX_SYN, MPC_V1),
	  .payload = B(CONVERT) },
};

/* Every length field still promises the whole: whatever is cut off must show. */
static void test_truncated(void **state)
{
	uint8_t frame[FRAME_MAX];
	int class, reason;

	(void)state;
	for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++) {
		size_t len = frame_build(frame, &whole[i]);

		classify(frame, len, &class, &reason);
		assert_int_equal(class, MG_CLASS_CONVERT);
		for (size_t cut = 14; cut < len; cut++) {
			classify(frame, cut, &class, &reason);
			assert_int_equal(class, MG_CLASS_MALFORMED);
			assert_true(mg_reason_is_malformed((enum mg_reason)reason));
		}
	}
}

static const struct frame honest = { .flags = F_SYN,
				     .opts = B(LINUX_SYN, MPC_V1),
				     .payload = B(CONVERT) };

/* The same with the IP length corrected at each cut: the SYN ends early, but honestly. */
static void test_truncated_honestly(void **state)
{
	const size_t options_end = 14 + 20 + 20 + 24, header_end = options_end + 4;
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, &honest);
	int class, reason;

	(void)state;
	for (size_t cut = 14 + 20; cut <= len; cut++) {
		frame[16] = (uint8_t)((cut - 14) >> 8);
		frame[17] = (uint8_t)(cut - 14);
		classify(frame, cut, &class, &reason);
		if (cut < options_end)
			assert_int_equal(class, MG_CLASS_MALFORMED);
		else if (cut < header_end)
			assert_int_equal(class, MG_CLASS_MP_CAPABLE);
		else
			assert_int_equal(class, MG_CLASS_CONVERT);
	}
}

static const struct frame tagged = {
	.vlan = { 0x8100 }, .flags = F_SYN, .opts = B(LINUX_SYN, MPC_V1), .payload = B(CONVERT)
};

/* Any single byte changed: some class, one reason that goes with it, and never anything else. */
static void test_corrupted(void **state)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	uint8_t frame[FRAME_MAX];
	size_t len = frame_build(frame, &tagged);
	int class, reason;

	(void)state;
	for (size_t at = 12; at < len; at++) {
		uint8_t was = frame[at];

		for (size_t v = 0; v < sizeof(values); v++) {
			frame[at] = values[v];
			classify(frame, len, &class, &reason);
			assert_in_range(class, 0, MG_CLASS_COUNT - 1);
			assert_in_range(reason, 0, MG_REASON_COUNT - 1);
			assert_int_equal(class == MG_CLASS_MALFORMED,
					 mg_reason_is_malformed((enum mg_reason)reason));
		}
		frame[at] = was;
	}
}

static const struct {
	uint8_t scale;
	uint16_t before, after;
} windows[] = {
	{ 0, 65535, 65535 }, { 7, 65535, 511 }, { 14, 65535, 3 },
	{ 15, 65535, 3 },    { 255, 65535, 3 }, { 7, 1, 1 },
};
static const struct frame scaled = { .flags = F_SYN,
				     .opts = B(MPC_V1, NOP, WSCALE),
				     .payload = B(CONVERT) };
static const struct frame scaled_tcp = { .flags = F_SYN,
					 .opts = B(WSCALE, NOP),
					 .payload = B(CONVERT) };
static const struct frame scaled_elsewhere = {
	.flags = F_SYN, .opts = B(MPC_V1, NOP, WSCALE), .payload = B(CONVERT), .dport = 80
};

/* See window.bpf.h for why. */
static void test_window(void **state)
{
	const size_t window_at = 14 + 20 + 14, scale_at = 14 + 20 + 20 + 7;
	uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t len = frame_build(frame, &scaled), out_len;

	(void)state;
	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		frame[window_at] = (uint8_t)(windows[i].before >> 8);
		frame[window_at + 1] = (uint8_t)windows[i].before;
		frame[scale_at] = windows[i].scale;
		assert_int_equal(xdp_run_frame(&run, frame, len, out, &out_len), XDP_PASS);
		assert_int_equal(word(out + window_at), windows[i].after);
		assert_only_window_mended(out, frame, len);
	}
	len = frame_build(frame, &scaled_tcp);
	assert_int_equal(xdp_run_frame(&run, frame, len, out, &out_len), XDP_PASS);
	assert_memory_equal(out, frame, len);
	len = frame_build(frame, &scaled_elsewhere);
	assert_int_equal(xdp_run_frame(&run, frame, len, out, &out_len), XDP_PASS);
	assert_memory_equal(out, frame, len);
}

static bool is_reason_tested(enum mg_reason reason)
{
	for (size_t i = 0; i < n_rows; i++)
		if (rows[i].reason == reason)
			return true;
	return false;
}

/* Said by the steering program only: test_steer_*, test_tunnel*, test_deliver* */
static bool is_of_steering(enum mg_reason reason)
{
	return reason >= MG_REASON_UNKNOWN_JOIN && reason <= MG_REASON_TUNNEL_TOO_BIG;
}

/* Said where there are policies: test_gate_* */
static bool is_of_admission(enum mg_reason reason)
{
	return reason >= MG_REASON_DENIED && reason <= MG_REASON_UNREADABLE;
}

static void test_every_reason_has_a_row(void **state)
{
	(void)state;
	for (enum mg_reason r = 0; r < MG_REASON_COUNT; r++)
		if (!is_of_steering(r) && !is_of_admission(r) && !is_reason_tested(r))
			fail_msg("no packet for reason %s", mg_reason_label(r));
}

int main(void)
{
	static struct CMUnitTest tests[N_ROWS_MAX + 5];
	size_t n = 0;

	for (; n < n_rows && n < N_ROWS_MAX; n++)
		tests[n] = (struct CMUnitTest){
			.name = rows[n].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[n],
		};
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_truncated);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_truncated_honestly);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_corrupted);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_window);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_every_reason_has_a_row);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
