// SPDX-License-Identifier: BSD-2-Clause
/*
 * Held frames with arbitrary bytes, behind their three offsets (a byte for IP's, one for TCP's, two
 * for the payload's):
 *   - what is said to fit lies inside the frame;
 *   - sums that were put right are right the second time, and stay so when a window is mended;
 *   - answers fit their room, and name the frame's two ends the other way round.
 */
#include <string.h>

#include "fuzz.h"
#include "wire/segment.h"

#define OFFSETS_BYTES 4

static void check_answers(const struct mg_segment *s)
{
	static uint8_t out[MG_SEGMENT_ANSWER_MAX];
	size_t addresses = s->v6 ? 8 : 12, len = s->v6 ? 16 : 4;
	size_t bytes[] = { mg_segment_reset(out, s), 0 };

	FUZZ_CHECK(bytes[0] == s->ip + (s->v6 ? 40 : 20) + 20);
	FUZZ_CHECK(!memcmp(out + s->ip + addresses, s->frame + s->ip + addresses + len, len));
	FUZZ_CHECK(!memcmp(out + s->ip + addresses + len, s->frame + s->ip + addresses, len));
	bytes[1] = mg_segment_unreachable(out, s, 1, NULL);
	FUZZ_CHECK(bytes[1] <= sizeof(out));
	FUZZ_CHECK(!bytes[1] || bytes[1] >= s->ip + (s->v6 ? 48 : 28));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t bytes = len - OFFSETS_BYTES;
	struct mg_segment s;
	struct mg_ep from, to;
	uint8_t *frame;

	if (len < OFFSETS_BYTES)
		return 0;
	/* At its exact size, so that a sanitizer sees what goes beyond. */
	frame = malloc(bytes ? bytes : 1);
	if (!frame)
		return 0;
	memcpy(frame, data + OFFSETS_BYTES, bytes);
	if (!mg_segment_at(&s, frame, bytes, data[0], data[1], (size_t)(data[2] << 8 | data[3]))) {
		FUZZ_CHECK(s.ip < s.tcp && s.tcp + 20 <= s.payload);
		FUZZ_CHECK(s.payload <= s.end && s.end <= bytes);
		mg_segment_endpoints(&s, &from, &to);
		FUZZ_CHECK(mg_ip_is_v4(&from.ip) || s.v6);
		check_answers(&s);
		if (!mg_segment_sums(&s)) {
			FUZZ_CHECK(!mg_segment_sums(&s));
			mg_segment_mend_window(&s);
			FUZZ_CHECK(!mg_segment_sums(&s));
		}
	}
	free(frame);
	return 0;
}
