// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames of SYNs: sums put right, windows mended, answers to the byte. The frames were made by
 * another program, from the RFCs; 10.1.0.2:40000 (2001:db8:1::2) to 10.4.0.2:80 (2001:db8:4::2).
 */
#include <errno.h>

#include "hex.h"
#include "mg_test.h"
#include "wire/segment.h"

#define MACS	  "020000000001020000000002"
#define MACS_BACK "020000000002020000000001"
/* IPv4 header of the SYN with options, without and with five bytes of data; IPv6 likewise */
#define V4          \
	MACS "0800" \
	     "45000040123440003f06157c0a0100020a040002"
#define V4_DATA     \
	MACS "0800" \
	     "45000045123440003f0615770a0100020a040002"
#define V6          \
	MACS "86dd" \
	     "60000000002c063f20010db800010000000000000000000220010db8000400000000000000000002"
#define V6_DATA     \
	MACS "86dd" \
	     "600000000031063f20010db800010000000000000000000220010db8000400000000000000000002"
#define PORTS "9c4000500102030400000000"
#define OPTS  "020405b40402080a0000000100000000010303071e040100"
#define HELLO "68656c6c6f"
/* A SYN with an MSS option only */
#define V4_PLAIN_IP "4500002c123440003f0615900a0100020a040002"
#define V4_PLAIN    V4_PLAIN_IP PORTS "6002faf0e8960000020405b4"
#define V6_PLAIN_IP \
	"600000000018063f20010db800010000000000000000000220010db8000400000000000000000002"
#define V6_PLAIN V6_PLAIN_IP PORTS "6002faf0a1240000020405b4"

struct shot {
	struct mg_segment s;
	uint8_t *frame;
	size_t len;
};

static int look(struct shot *f, const char *hex)
{
	size_t ip = 14, tcp, payload;

	f->frame = hex_bytes(hex, &f->len);
	while (f->frame[ip - 2] == 0x81)
		ip += 4;
	tcp = ip + (f->frame[ip] >> 4 == 6 ? 40 : 20);
	payload = tcp + (tcp + 12 < f->len ? (size_t)(f->frame[tcp + 12] >> 4) * 4 : 20);
	return mg_segment_at(&f->s, f->frame, f->len, ip, tcp, payload);
}

static void is_bytes(const uint8_t *got, size_t len, const char *hex)
{
	size_t n;
	uint8_t *want = hex_bytes(hex, &n);

	assert_int_equal(len, n);
	assert_memory_equal(got, want, n);
	free(want);
}

static void sums_make(const char *from, const char *to)
{
	struct shot f;

	assert_int_equal(look(&f, from), 0);
	assert_int_equal(mg_segment_sums(&f.s), 0);
	is_bytes(f.frame, f.len, to);
	free(f.frame);
}

static void good_sums_stay(void **state)
{
	static const char *const good[] = {
		V4 PORTS "b002faf069670000" OPTS,
		V6 PORTS "b002faf021f50000" OPTS,
		V4_DATA PORTS "b002faf025900000" OPTS HELLO,
		MACS "0800" V4_PLAIN,
		MACS "0800" V4_PLAIN "0000", /* padded by the link */
		MACS "81000007"
		     "0800" V4_PLAIN,
		MACS "86dd" V6_PLAIN,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		sums_make(good[i], good[i]);
}

static void partial_sums_are_completed(void **state)
{
	(void)state;
	sums_make(V4 PORTS "b002faf0143b0000" OPTS, V4 PORTS "b002faf069670000" OPTS);
	sums_make(V6 PORTS "b002faf05bad0000" OPTS, V6 PORTS "b002faf021f50000" OPTS);
	sums_make(V4_DATA PORTS "b002faf014400000" OPTS HELLO,
		  V4_DATA PORTS "b002faf025900000" OPTS HELLO);
}

/* XDP mends the window before the sum is complete */
static void partial_sums_of_mended_windows_too(void **state)
{
	(void)state;
	sums_make(V4_DATA PORTS "b00201f50d3c0000" OPTS HELLO,
		  V4_DATA PORTS "b00201f51e8c0000" OPTS HELLO);
	sums_make(V6_DATA PORTS "b00201f554ae0000" OPTS HELLO,
		  V6_DATA PORTS "b00201f5d7190000" OPTS HELLO);
}

static void damaged_ones_are_found(void **state)
{
	static const char *const damaged[] = {
		V4 PORTS "b002faf069660000" OPTS,
		V4 PORTS "b002faf0143c0000" OPTS,
		V6 PORTS "b002faf021f40000" OPTS,
		V4_DATA PORTS "b002faf025900000" OPTS "68656c6c70",
		/* as if mended, but it brings no data: XDP never does that */
		V4 PORTS "b00201f50d370000" OPTS,
		/* the difference is not that of windows */
		V4_DATA PORTS "b00201f51e3c0000" OPTS HELLO,
		/* the sum of the IPv4 header */
		MACS "0800"
		     "4500002c123440003e0615900a0100020a040002" PORTS "6002faf0e8960000020405b4",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
		struct shot f;

		assert_int_equal(look(&f, damaged[i]), 0);
		assert_int_equal(mg_segment_sums(&f.s), -EBADMSG);
		is_bytes(f.frame, f.len, damaged[i]);
		free(f.frame);
	}
}

static void every_flipped_bit_is_found(void **state)
{
	size_t len;
	uint8_t *good = hex_bytes(V6 PORTS "b002faf021f50000" OPTS, &len);

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		uint8_t *f = malloc(len);
		struct mg_segment s;

		assert_non_null(f);
		memcpy(f, good, len);
		f[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		/* MACs, traffic class, flow label and hop limit are in no sum of IPv6's */
		if (!mg_segment_at(&s, f, len, 14, 54, 98) && !mg_segment_sums(&s))
			assert_true(bit / 8 < 18 || bit / 8 == 21);
		free(f);
	}
	free(good);
}

static void lies_are_refused(void **state)
{
	static const char *const lies[] = {
		/* longer than the frame, shorter than its headers, another version, a fragment */
		MACS "0800"
		     "4500002d123440003f06158f0a0100020a040002" PORTS "6002faf0e8960000020405b4",
		MACS "0800"
		     "45000027123440003f0615950a0100020a040002" PORTS "6002faf0e8960000020405b4",
		MACS "0800"
		     "6500002c123440003f0615900a0100020a040002" PORTS "6002faf0e8960000020405b4",
		MACS "0800"
		     "4500002c123420003f0635900a0100020a040002" PORTS "6002faf0e8960000020405b4",
		MACS "0800"
		     "4400002c123440003f0616900a0100020a040002" PORTS "6002faf0e8960000020405b4",
		MACS "86dd"
		     "600000000019063f20010db800010000000000000000000220010db800040000000000"
		     "0000000002" PORTS "6002faf0a1240000020405b4",
		/* UDP; SYN+ACK; a data offset below five */
		MACS "0800"
		     "4500002c123440003f1115850a0100020a040002" PORTS "6002faf0e8960000020405b4",
		MACS "0800" V4_PLAIN_IP PORTS "6012faf0e8860000020405b4",
		MACS "0800" V4_PLAIN_IP PORTS "4002faf008970000020405b4",
	};
	struct shot f;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		assert_int_equal(look(&f, lies[i]), -EBADMSG);
		free(f.frame);
	}
}

static void offsets_are_checked(void **state)
{
	size_t len;
	uint8_t *frame = hex_bytes(MACS "0800" V4_PLAIN, &len);
	struct mg_segment s;

	(void)state;
	for (size_t ip = 0; ip <= len + 2; ip++)
		for (size_t tcp = 0; tcp <= len + 2; tcp++)
			for (size_t payload = 0; payload <= len + 2; payload++)
				assert_int_equal(mg_segment_at(&s, frame, len, ip, tcp, payload),
						 ip == 14 && tcp == 34 && payload == 58 ? 0
											: -EBADMSG);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *less = malloc(cut ? cut : 1);

		assert_non_null(less);
		memcpy(less, frame, cut);
		assert_int_equal(mg_segment_at(&s, less, cut, 14, 34, 58), -EBADMSG);
		free(less);
	}
	free(frame);
}

static void endpoints_are_told(void **state)
{
	struct mg_ep from, to, want;
	struct shot f;

	(void)state;
	assert_int_equal(look(&f, MACS "0800" V4_PLAIN), 0);
	mg_segment_endpoints(&f.s, &from, &to);
	want = ep_of("10.1.0.2:40000");
	assert_true(mg_ep_equal(&from, &want));
	want = ep_of("10.4.0.2:80");
	assert_true(mg_ep_equal(&to, &want));
	free(f.frame);
	assert_int_equal(look(&f, MACS "86dd" V6_PLAIN), 0);
	mg_segment_endpoints(&f.s, &from, &to);
	want = ep_of("[2001:db8:1::2]:40000");
	assert_true(mg_ep_equal(&from, &want));
	want = ep_of("[2001:db8:4::2]:80");
	assert_true(mg_ep_equal(&to, &want));
	free(f.frame);
}

static void mends(const char *from, const char *to)
{
	struct shot f;

	assert_int_equal(look(&f, from), 0);
	mg_segment_mend_window(&f.s);
	is_bytes(f.frame, f.len, to);
	assert_int_equal(mg_segment_sums(&f.s), 0);
	is_bytes(f.frame, f.len, to);
	free(f.frame);
}

static void windows_are_mended(void **state)
{
	(void)state;
	mends(V4_DATA PORTS "b002faf025900000" OPTS HELLO,
	      V4_DATA PORTS "b00201f51e8c0000" OPTS HELLO);
}

static void other_windows_stay(void **state)
{
	static const char *const stay[] = {
		V4 PORTS "b002faf069670000" OPTS, /* no data */
		MACS "0800" V4_PLAIN,		  /* nor any option */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(stay) / sizeof(*stay); i++)
		mends(stay[i], stay[i]);
}

static void resets(const char *syn, const char *rst)
{
	uint8_t out[MG_SEGMENT_ANSWER_MAX];
	struct shot f;

	assert_int_equal(look(&f, syn), 0);
	is_bytes(out, mg_segment_reset(out, &f.s), rst);
	free(f.frame);
}

static void resets_are_those_of_a_closed_port(void **state)
{
	(void)state;
	resets(V4_DATA PORTS "b002faf025900000" OPTS HELLO,
	       MACS_BACK "0800"
			 "4500002800004000400626c80a0400020a010002"
			 "00509c40000000000102030a50140000fb2b0000");
	resets(V6 PORTS "b002faf021f50000" OPTS,
	       MACS_BACK "86dd"
			 "600000000014064020010db800040000000000000000000220010db80001000000000000"
			 "0000000200509c40000000000102030550140000b3be0000");
	resets(MACS "81000007"
		    "0800" V4_PLAIN,
	       MACS_BACK "81000007"
			 "0800"
			 "4500002800004000400626c80a0400020a010002"
			 "00509c40000000000102030550140000fb300000");
}

static size_t unreachable(uint8_t *out, const char *syn, uint8_t code, const char *from)
{
	struct in6_addr ip;
	struct shot f;
	size_t len;

	if (from)
		ip = ip_of(from);
	assert_int_equal(look(&f, syn), 0);
	len = mg_segment_unreachable(out, &f.s, code, from ? &ip : NULL);
	free(f.frame);
	return len;
}

static void unreachables_quote_the_syn(void **state)
{
	uint8_t out[MG_SEGMENT_ANSWER_MAX];

	(void)state;
	is_bytes(out, unreachable(out, MACS "0800" V4_PLAIN "0000", 13, "10.4.0.1"),
		 MACS_BACK "0800"
			   "45c0004800004000400125ee0a0400010a010002"
			   "030d111a00000000" V4_PLAIN);
	is_bytes(out, unreachable(out, MACS "0800" V4_PLAIN, 1, NULL),
		 MACS_BACK "0800"
			   "45c0004800004000400125ed0a0400020a010002"
			   "0301112600000000" V4_PLAIN);
	is_bytes(out, unreachable(out, MACS "86dd" V6_PLAIN, 3, "2001:db8:4::1"),
		 MACS_BACK "86dd"
			   "6000000000483a4020010db800040000000000000000000120010db800010000000000"
			   "000000000201033cc700000000" V6_PLAIN);
}

/* 1400 bytes of data: the quote ends where the least MTU does */
static void unreachables_are_cut(void **state)
{
	static uint8_t frame[14 + 40 + 20 + 1400] = { 2 };
	uint8_t out[MG_SEGMENT_ANSWER_MAX];
	struct mg_segment s;

	(void)state;
	frame[12] = 0x86;
	frame[13] = 0xdd;
	frame[14] = 0x60;
	frame[18] = 1420 >> 8;
	frame[19] = 1420 & 0xff;
	frame[20] = 6;
	frame[14 + 8] = 0x20;
	frame[14 + 24] = 0x20;
	frame[14 + 40 + 12] = 0x50;
	frame[14 + 40 + 13] = 0x02;
	assert_int_equal(mg_segment_at(&s, frame, sizeof(frame), 14, 54, 74), 0);
	assert_int_equal(mg_segment_unreachable(out, &s, 0, NULL), 14 + 1280);
	frame[12] = 0x08;
	frame[13] = 0x00;
	memset(frame + 14, 0, 40);
	frame[14] = 0x45;
	frame[16] = 1440 >> 8;
	frame[17] = 1440 & 0xff;
	frame[23] = 6;
	frame[26] = frame[30] = 10;
	frame[14 + 20 + 12] = 0x50;
	frame[14 + 20 + 13] = 0x02;
	assert_int_equal(mg_segment_at(&s, frame, sizeof(frame), 14, 34, 54), 0);
	assert_int_equal(mg_segment_unreachable(out, &s, 1, NULL), 14 + 576);
}

static void some_are_not_told(void **state)
{
	static const char *const silent[] = {
		/* from nobody, from many, from here, to many, to many on the link */
		MACS "0800"
		     "4500002c123440003f061f93000000000a040002" PORTS "6002faf0e8960000020405b4",
		MACS "0800"
		     "4500002c123440003f063f92e00000010a040002" PORTS "6002faf0e8960000020405b4",
		MACS "0800"
		     "4500002c123440003f06a0927f0000010a040002" PORTS "6002faf0e8960000020405b4",
		MACS "0800"
		     "4500002c123440003f063f960a010002e0000001" PORTS "6002faf0e8960000020405b4",
		"030000000001020000000002"
		"0800" V4_PLAIN,
	};
	uint8_t out[MG_SEGMENT_ANSWER_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(silent) / sizeof(*silent); i++)
		assert_int_equal(unreachable(out, silent[i], 1, NULL), 0);
	/* a router of the other family */
	assert_int_equal(unreachable(out, MACS "0800" V4_PLAIN, 1, "2001:db8::1"), 0);
	assert_int_equal(unreachable(out, MACS "86dd" V6_PLAIN, 1, "10.4.0.1"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_sums_stay),
		cmocka_unit_test(partial_sums_are_completed),
		cmocka_unit_test(partial_sums_of_mended_windows_too),
		cmocka_unit_test(damaged_ones_are_found),
		cmocka_unit_test(every_flipped_bit_is_found),
		cmocka_unit_test(lies_are_refused),
		cmocka_unit_test(offsets_are_checked),
		cmocka_unit_test(endpoints_are_told),
		cmocka_unit_test(windows_are_mended),
		cmocka_unit_test(other_windows_stay),
		cmocka_unit_test(resets_are_those_of_a_closed_port),
		cmocka_unit_test(unreachables_quote_the_syn),
		cmocka_unit_test(unreachables_are_cut),
		cmocka_unit_test(some_are_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
