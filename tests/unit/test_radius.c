// SPDX-License-Identifier: BSD-2-Clause
/*
 * RADIUS accounting packets. Those that are signed were made by tests/tools/radius.py, which knows
 * Python's hashlib and nothing of ours: the keys it was given stand beside them.
 */
#include "mg_test.h"

#include <stdio.h>
#include <string.h>

#include "hex.h"
#include "wire/radius.h"

#define SECRET (const uint8_t *)"s3cr3t", 6

/* hex secret=s3cr3t id=7 status=1 session=0001 user=alice ip=10.1.2.3 port=19 nas=192.0.2.9 */
#define START                                                              \
	"04070039d71369b41982cb703c4d925d9cad9ae22806000000012c0630303031" \
	"0107616c69636508060a0102033d06000000130406c0000209"
#define START_ANSWER "05070014714834db8e5b6a54a8c2288e7e77c481"

/* … id=9 status=3 session=0001 imsi=001010123456789 rat=6 prefix6=2001:db8:1::/64
 * delegated6=2001:db8:2::/56 address6=2001:db8::5 calling=49170 time=1790000000 delay=3
 * proxy=0102 proxy=aa */
#define INTERIM                                                            \
	"0409007d361fb1eb2bf139f3a76e04fa5d0500eb2806000000032c0630303031" \
	"610c004020010db8000100007b0b003820010db8000200a81220010db8000000" \
	"0000000000000000051f07343931373037066ab13b8029060000000321040102" \
	"2103aa1a1a000028af0111303031303130313233343536373839150306"
#define INTERIM_ANSWER "0509001b79e026ae9ae96ee3c18a62d7f7a66859210401022103aa"

/* … id=1 status=2 session=x cause=1 message=1 user=bob */
#define MESSAGE                                                            \
	"0401003a9113345799ee28f2e5bf59d789f5a4562806000000022c0378310600" \
	"0000010105626f6250125ec5461593a903b21e4a9303e21db464"

struct packet {
	uint8_t *bytes;
	size_t len;
	struct mg_radius_request r;
	enum mg_radius_error error;
};

static struct packet parse(const char *hex)
{
	struct packet p = { .bytes = hex_bytes(hex, &p.len) };

	p.error = mg_radius_parse(&p.r, p.bytes, p.len);
	return p;
}

/* Attributes in a packet whose authenticator nobody looks at. */
static struct packet parse_attributes(const char *hex)
{
	static const char zeros[] = "00000000000000000000000000000000";
	char text[2048];

	snprintf(text, sizeof(text), "0401%04zx%s%s", 20 + strlen(hex) / 2, zeros, hex);
	return parse(text);
}

static void assert_text(struct mg_span s, const char *text)
{
	assert_int_equal(s.len, strlen(text));
	assert_memory_equal(s.data, text, s.len);
}

static void assert_prefix(const struct packet *p, size_t i, const char *text)
{
	char buf[MG_PREFIX_STRLEN];

	assert_true(i < p->r.n_prefixes);
	assert_string_equal(mg_prefix_format(buf, &p->r.prefixes[i].prefix), text);
}

static void assert_answer(const struct packet *p, const char *hex)
{
	uint8_t out[MG_RADIUS_MAX_BYTES];
	size_t len;
	uint8_t *expected = hex_bytes(hex, &len);

	assert_int_equal(mg_radius_answer(out, &p->r, SECRET), len);
	assert_memory_equal(out, expected, len);
	free(expected);
}

static void a_start_is_read(void **state)
{
	struct packet p = parse(START);
	struct in6_addr nas = ip_of("192.0.2.9");

	(void)state;
	assert_int_equal(p.error, MG_RADIUS_OK);
	assert_int_equal(p.r.id, 7);
	assert_int_equal(p.r.status, MG_RADIUS_START);
	assert_text(p.r.session_id, "0001");
	assert_text(p.r.user_name, "alice");
	assert_int_equal(p.r.imsi.len, 0);
	assert_true(p.r.has_nas_ip && mg_ip_equal(&p.r.nas_ip, &nas));
	assert_true(p.r.has_nas_port_type && p.r.nas_port_type == 19);
	assert_false(p.r.has_rat_type || p.r.has_delay || p.r.has_event_time || p.r.has_cause);
	assert_int_equal(p.r.n_prefixes, 1);
	assert_prefix(&p, 0, "10.1.2.3/32");
	free(p.bytes);
}

static void an_interim_of_3gpp_is_read(void **state)
{
	struct packet p = parse(INTERIM);

	(void)state;
	assert_int_equal(p.error, MG_RADIUS_OK);
	assert_text(p.r.imsi, "001010123456789");
	assert_text(p.r.calling_station, "49170");
	assert_true(p.r.has_rat_type && p.r.rat_type == 6);
	assert_true(p.r.has_event_time && p.r.event_time_s == 1790000000);
	assert_true(p.r.has_delay && p.r.delay_s == 3);
	assert_int_equal(p.r.n_prefixes, 3);
	assert_prefix(&p, 0, "2001:db8:1::/64");
	assert_prefix(&p, 1, "2001:db8:2::/56");
	assert_prefix(&p, 2, "2001:db8::5/128");
	assert_int_equal(p.r.prefixes[0].attribute, 97);
	assert_int_equal(p.r.prefixes[1].attribute, 123);
	free(p.bytes);
}

static void the_secret_has_to_be_right(void **state)
{
	static const char *const all[] = { START, INTERIM, MESSAGE };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct packet p = parse(all[i]);

		assert_int_equal(mg_radius_verify(&p.r, SECRET), MG_RADIUS_OK);
		assert_int_equal(mg_radius_verify(&p.r, (const uint8_t *)"s3cr3T", 6),
				 MG_RADIUS_BAD_AUTHENTICATOR);
		for (size_t bit = 8; bit < p.len * 8; bit++) {
			enum mg_radius_error error;

			p.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
			error = mg_radius_parse(&p.r, p.bytes, p.len);
			assert_true(error || mg_radius_verify(&p.r, SECRET));
			p.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
		free(p.bytes);
	}
}

/* … id=1 status=2 session=x raw=5012 and 16 zeros: signed, with a Message-Authenticator that is not
 */
#define BAD_MESSAGE                                                        \
	"0401002f0f95440d055e5d32c80d7925db0bc9ea2806000000022c0378501200" \
	"000000000000000000000000000000"

static void a_message_authenticator_is_looked_at(void **state)
{
	struct packet good = parse(MESSAGE), bad = parse(BAD_MESSAGE);

	(void)state;
	assert_int_equal(good.r.message_at, good.len - 16);
	assert_true(good.r.has_cause && good.r.cause == 1);
	assert_int_equal(mg_radius_verify(&good.r, SECRET), MG_RADIUS_OK);
	assert_int_equal(bad.error, MG_RADIUS_OK);
	assert_int_equal(mg_radius_verify(&bad.r, SECRET), MG_RADIUS_BAD_MESSAGE);
	free(good.bytes);
	free(bad.bytes);
}

static void answers_carry_proxy_states(void **state)
{
	struct packet start = parse(START), interim = parse(INTERIM);

	(void)state;
	assert_answer(&start, START_ANSWER);
	assert_answer(&interim, INTERIM_ANSWER);
	free(start.bytes);
	free(interim.bytes);
}

static enum mg_radius_error parse_head(uint8_t *big, uint8_t code, uint16_t len)
{
	struct mg_radius_request r;

	big[0] = code;
	big[2] = (uint8_t)(len >> 8);
	big[3] = (uint8_t)len;
	return mg_radius_parse(&r, big, 8192);
}

static void lengths_are_those_of_the_rfc(void **state)
{
	struct packet padded = parse(START "0000ff"), cut = parse("04070039d71369b4"), p;
	uint8_t *big = calloc(1, 8192);

	(void)state;
	assert_int_equal(padded.error, MG_RADIUS_OK);
	assert_int_equal(padded.r.packet.len, padded.len - 3);
	assert_int_equal(mg_radius_verify(&padded.r, SECRET), MG_RADIUS_OK);
	assert_int_equal(cut.error, MG_RADIUS_BAD_LENGTH);
	free(padded.bytes);
	free(cut.bytes);
	p = parse(START);
	for (size_t len = 0; len < p.len; len++)
		assert_int_equal(mg_radius_parse(&p.r, p.bytes, len), MG_RADIUS_BAD_LENGTH);
	free(p.bytes);
	assert_int_equal(parse_head(big, 4, 4097), MG_RADIUS_BAD_LENGTH);
	assert_int_equal(parse_head(big, 4, 19), MG_RADIUS_BAD_LENGTH);
	assert_int_equal(parse_head(big, 1, 20), MG_RADIUS_BAD_CODE);
	free(big);
}

static const struct {
	const char *name, *attributes, *prefix;
	enum mg_radius_error error;
} cases[] = {
#define OPEN "2806000000012c0378"
	{ "a plain start", OPEN, NULL, MG_RADIUS_OK },
	{ "no status", "2c0378", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "no session", "280600000001", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "an empty session", "2806000000012c02", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "on needs no session", "280600000007", NULL, MG_RADIUS_OK },
	{ "a status from elsewhere needs none", "28060000000f", NULL, MG_RADIUS_OK },
	{ "length 0", OPEN "0100", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "length 1", OPEN "0101", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "beyond the end", OPEN "010461", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "half an attribute", OPEN "01", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "an empty name", OPEN "0102", NULL, MG_RADIUS_OK },
	{ "an attribute nobody knows", OPEN "fe0400ff", NULL, MG_RADIUS_OK },
	{ "an address of 3 bytes", OPEN "08050a0101", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "an address the user chooses", OPEN "0806ffffffff", NULL, MG_RADIUS_OK },
	{ "an address the NAS chooses", OPEN "0806fffffffe", NULL, MG_RADIUS_OK },
	{ "no address", OPEN "080600000000", NULL, MG_RADIUS_OK },
	{ "a host on a link", OPEN "08060a0102030906ffffff00", "10.1.2.3/32", MG_RADIUS_OK },
	{ "a network", OPEN "0906ffffff0008060a010200", "10.1.2.0/24", MG_RADIUS_OK },
	{ "a mask with holes", OPEN "08060a0102000906ff00ff00", "10.1.2.0/32", MG_RADIUS_OK },
	{ "a mask of nothing", OPEN "08060a010200090600000000", "10.1.2.0/32", MG_RADIUS_OK },
	{ "a mask alone", OPEN "0906ffffff00", NULL, MG_RADIUS_OK },
	{ "an IPv6 prefix", OPEN "610c004020010db800010000", "2001:db8:1::/64", MG_RADIUS_OK },
	{ "its loose bits go", OPEN "610c003020010db80001ffff", "2001:db8:1::/48", MG_RADIUS_OK },
	{ "everybody is no prefix", OPEN "61040000", NULL, MG_RADIUS_OK },
	{ "a prefix with too few bytes", OPEN "6108004020010db8", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "a prefix of 129",
	  OPEN "61140081"
	       "20010db8000000000000000000000001",
	  NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "a prefix of one byte", OPEN "610300", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "an IPv6 address of 15", OPEN "a81120010db80000000000000000000000", NULL,
	  MG_RADIUS_BAD_ATTRIBUTE },
	{ "a vendor's without a vendor", OPEN "1a0600002800", NULL, MG_RADIUS_BAD_ATTRIBUTE },
	{ "another vendor's", OPEN "1a0900000009010302", NULL, MG_RADIUS_OK },
	{ "a Message-Authenticator of 15", OPEN "5011000000000000000000000000000000", NULL,
	  MG_RADIUS_BAD_ATTRIBUTE },
};

static void attributes_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct packet p = parse_attributes(cases[i].attributes);

		if (p.error != cases[i].error)
			fail_msg("%s: %s", cases[i].name, mg_radius_error_label(p.error));
		if (!p.error) {
			if (p.r.n_prefixes != (cases[i].prefix ? 1 : 0))
				fail_msg("%s: %zu prefixes", cases[i].name, p.r.n_prefixes);
			if (cases[i].prefix)
				assert_prefix(&p, 0, cases[i].prefix);
		}
		free(p.bytes);
	}
}

static void malformed_vsas_are_passed_over(void **state)
{
	/* IMSI "12", RAT type 6 in one attribute; then what each flaw leaves */
	static const struct {
		const char *vsa;
		size_t imsi, malformed;
		bool rat;
	} flaws[] = {
		{ "1a0d000028af01043132150306", 2, 0, true },
		{ "1a0d000028af15030601053132", 0, 1, true },
		{ "1a0b000028af0104313215", 2, 1, false },
		{ "1a0c000028af010431321502", 2, 1, false },
		{ "1a0c000028af010431321500", 2, 1, false },
		{ "1a0e000028af0104313215040606", 2, 1, false },
		{ "1a0d000028af01053132001503"
		  "1a09000028af150306",
		  2, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++) {
		char text[128];
		struct packet p;

		snprintf(text, sizeof(text), OPEN "%s", flaws[i].vsa);
		p = parse_attributes(text);
		assert_int_equal(p.error, MG_RADIUS_OK);
		assert_int_equal(p.r.imsi.len, flaws[i].imsi);
		assert_int_equal(p.r.has_rat_type, flaws[i].rat);
		assert_int_equal(p.r.vsas_malformed, flaws[i].malformed);
		free(p.bytes);
	}
}

static void prefixes_are_counted_once_and_bounded(void **state)
{
	char text[1024];
	struct packet p;
	size_t len;

	(void)state;
	len = (size_t)snprintf(text, sizeof(text),
			       OPEN "610c004020010db800010000"
				    "7b0c004020010db800010000");
	p = parse_attributes(text);
	assert_int_equal(p.error, MG_RADIUS_OK);
	assert_int_equal(p.r.n_prefixes, 1);
	free(p.bytes);
	for (int i = 0; i < 12; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "610c004020010db8%04x0000",
					0x100 + i);
	p = parse_attributes(text);
	assert_int_equal(p.error, MG_RADIUS_OK);
	assert_int_equal(p.r.n_prefixes, MG_RADIUS_PREFIXES_MAX);
	free(p.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_is_read),
		cmocka_unit_test(an_interim_of_3gpp_is_read),
		cmocka_unit_test(the_secret_has_to_be_right),
		cmocka_unit_test(a_message_authenticator_is_looked_at),
		cmocka_unit_test(answers_carry_proxy_states),
		cmocka_unit_test(lengths_are_those_of_the_rfc),
		cmocka_unit_test(attributes_are_judged),
		cmocka_unit_test(malformed_vsas_are_passed_over),
		cmocka_unit_test(prefixes_are_counted_once_and_bounded),
	};

	return cmocka_run_group_tests_name("radius", tests, NULL, NULL);
}
