// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arbitrary bytes as the value of a Provision TLV, as a request and as an answer, and as a whole
 * message that may hold one:
 *   - what was accepted, built again, is the same but for padding;
 *   - names lie inside the value and are as long as they may be;
 *   - who does not know the TLV never sees one, and says nothing else of messages without it.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "wire/provision.h"

static void as_request(const uint8_t *data, size_t len)
{
	struct mg_provision_request req;
	uint8_t back[MG_PROVISION_REQUEST_BYTES];
	int err = mg_provision_parse_request(&req, (struct mg_span){ data, len });

	FUZZ_CHECK(!err || err == -EBADMSG || err == -EPROTONOSUPPORT);
	if (err)
		return;
	FUZZ_CHECK(mg_provision_build_request(back, &req) == len);
	FUZZ_CHECK(memcmp(back, data, len) == 0);
}

static void as_answer(const uint8_t *data, size_t len)
{
	static uint8_t back[MG_PROVISION_VALUE_MAX_BYTES];
	struct mg_provision_answer a;
	int err = mg_provision_parse_answer(&a, (struct mg_span){ data, len });
	size_t n;

	FUZZ_CHECK(!err || err == -EBADMSG || err == -EPROTONOSUPPORT);
	if (err)
		return;
	FUZZ_CHECK(a.n_access <= MG_PROVISION_NAMES_MAX);
	for (size_t i = 0; i < a.n_access; i++) {
		FUZZ_CHECK(a.access[i].len > 0 && a.access[i].len <= MG_PROVISION_NAME_MAX_BYTES);
		FUZZ_CHECK(a.access[i].data >= data &&
			   a.access[i].data + a.access[i].len <= data + len);
	}
	n = mg_provision_build_answer(back, &a);
	if (len > MG_PROVISION_VALUE_MAX_BYTES)
		return;
	FUZZ_CHECK(n <= len && len - n <= 3 && memcmp(back, data, n) == 0);
}

static void as_message(const uint8_t *data, size_t len)
{
	static const enum mg_convert_from both[] = { MG_FROM_CLIENT, MG_FROM_CONVERTER };

	for (int i = 0; i < 2; i++) {
		struct mg_convert_msg with, without;
		enum mg_convert_error error, plain;
		int ret = mg_convert_parse_provision(&with, &error, both[i], data, len);

		FUZZ_CHECK(mg_convert_parse(&without, &plain, both[i], data, len) == ret);
		FUZZ_CHECK(!without.provision_present);
		if (with.provision_present) {
			FUZZ_CHECK(plain != MG_CE_NONE);
			FUZZ_CHECK(with.provision.data > data &&
				   with.provision.data + with.provision.len <= data + len);
		} else {
			FUZZ_CHECK(plain == error);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	as_request(data, len);
	as_answer(data, len);
	as_message(data, len);
	return 0;
}
