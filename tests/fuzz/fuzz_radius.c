// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arbitrary bytes as a RADIUS request:
 *   - what is parsed lies within the packet, prefixes are masked, none is everybody, none twice;
 *   - padding changes nothing;
 *   - an answer is a RADIUS packet no longer than the request, with its Proxy-States alone;
 *   - a request is true with at most one of two secrets.
 */
#include <string.h>

#include "fuzz.h"
#include "wire/radius.h"

static const uint8_t secret[] = "secret", other[] = "another";

static void check_span(const struct mg_radius_request *r, struct mg_span s)
{
	if (!s.len)
		return;
	FUZZ_CHECK(s.data >= r->packet.data + MG_RADIUS_MIN_BYTES);
	FUZZ_CHECK(s.data + s.len <= r->packet.data + r->packet.len);
}

static void check_prefixes(const struct mg_radius_request *r)
{
	FUZZ_CHECK(r->n_prefixes <= MG_RADIUS_PREFIXES_MAX);
	for (size_t i = 0; i < r->n_prefixes; i++) {
		const struct mg_prefix *p = &r->prefixes[i].prefix;

		FUZZ_CHECK(p->len > 0 && p->len <= 128);
		for (unsigned int bit = p->len; bit < 128; bit++)
			FUZZ_CHECK(!(p->ip.s6_addr[bit / 8] >> (7 - bit % 8) & 1));
		for (size_t j = 0; j < i; j++)
			FUZZ_CHECK(p->len != r->prefixes[j].prefix.len ||
				   !mg_ip_equal(&p->ip, &r->prefixes[j].prefix.ip));
	}
}

static void check_answer(const struct mg_radius_request *r)
{
	uint8_t out[MG_RADIUS_MAX_BYTES];
	size_t len = mg_radius_answer(out, r, secret, sizeof(secret) - 1), at = MG_RADIUS_MIN_BYTES;

	FUZZ_CHECK(len >= MG_RADIUS_MIN_BYTES && len <= r->packet.len);
	FUZZ_CHECK(out[0] == 5 && out[1] == r->id && (size_t)(out[2] << 8 | out[3]) == len);
	while (at < len) {
		FUZZ_CHECK(out[at] == 33 && out[at + 1] >= 2);
		at += out[at + 1];
	}
	FUZZ_CHECK(at == len);
}

static void check_padding(const struct mg_radius_request *r, const uint8_t *data, size_t len)
{
	uint8_t *longer = calloc(1, len + 64);
	struct mg_radius_request again;

	if (!longer)
		return;
	memcpy(longer, data, len);
	FUZZ_CHECK(mg_radius_parse(&again, longer, len + 64) == MG_RADIUS_OK);
	FUZZ_CHECK(again.packet.len == r->packet.len && again.n_prefixes == r->n_prefixes);
	FUZZ_CHECK(again.status == r->status && again.session_id.len == r->session_id.len);
	free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct mg_radius_request r;
	enum mg_radius_error error = mg_radius_parse(&r, data, len);

	FUZZ_CHECK(*mg_radius_error_label(error));
	if (error)
		return 0;
	FUZZ_CHECK(r.packet.len <= len && r.authenticator == data + 4);
	check_span(&r, r.session_id);
	check_span(&r, r.user_name);
	check_span(&r, r.calling_station);
	check_span(&r, r.imsi);
	check_span(&r, r.nas_identifier);
	FUZZ_CHECK(!r.message_at || r.message_at + 16 <= r.packet.len);
	check_prefixes(&r);
	check_answer(&r);
	check_padding(&r, data, len);
	FUZZ_CHECK(mg_radius_verify(&r, secret, sizeof(secret) - 1) != MG_RADIUS_OK ||
		   mg_radius_verify(&r, other, sizeof(other) - 1) != MG_RADIUS_OK);
	return 0;
}
