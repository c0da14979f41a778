// SPDX-License-Identifier: BSD-2-Clause
/* A line of the log of sessions: as documented, and never longer than there is room for. */
#include "mg_test.h"

#include <string.h>

#include "proxy/sessionlog.h"

static void lines_are_as_documented(void **state)
{
	struct mg_sessionlog_record r = { .time_ms = 1795292947123,
					  .session = 7,
					  .event = MG_SESSIONLOG_CONNECT,
					  .subscriber_bits = 128,
					  .client = ep_of("10.1.0.2:40001"),
					  .external = ep_of("198.51.100.7:2048"),
					  .server = ep_of("[2001:db8::1]:443") };
	char line[MG_SESSIONLOG_LINE_MAX_BYTES];
	int n;

	(void)state;
	memcpy(r.subscriber.ip, &r.client.ip, 16);
	n = mg_sessionlog_format(line, &r, NULL);
	assert_string_equal(line, "{\"time\":\"2026-11-21T20:29:07.123Z\",\"event\":\"connect\","
				  "\"session\":7,\"subscriber\":\"10.1.0.2\","
				  "\"client\":\"10.1.0.2:40001\","
				  "\"external\":\"198.51.100.7:2048\","
				  "\"server\":\"[2001:db8::1]:443\"}\n");
	assert_int_equal(n, strlen(line));
	r.event = MG_SESSIONLOG_CLOSE;
	r.reason = "finished";
	r.bytes_up = 1;
	r.bytes_down = UINT64_MAX;
	memcpy(r.subscriber.ip, "\xffmpgatei\0\0\0\0\0\0\x01\xab", 16);
	n = mg_sessionlog_format(line, &r, NULL);
	assert_non_null(strstr(line, "\"subscriber\":\"id:00000000000001ab\""));
	assert_non_null(strstr(line, ",\"reason\":\"finished\",\"bytes_up\":1,"
				     "\"bytes_down\":18446744073709551615}\n"));
	assert_int_equal(n, strlen(line));
	r.client = ep_of("[2001:db8:1:2:3:4:5:6]:40001");
	r.subscriber_bits = 64;
	memset(r.subscriber.ip, 0, 16);
	memcpy(r.subscriber.ip, &r.client.ip, 8);
	mg_sessionlog_format(line, &r, NULL);
	assert_non_null(strstr(line, "\"subscriber\":\"2001:db8:1:2::/64\""));
}

static void the_longest_line_fits(void **state)
{
	struct mg_sessionlog_record r = { .time_ms = 1795292947123,
					  .session = UINT64_MAX,
					  .event = MG_SESSIONLOG_CLOSE,
					  .reason = "a_reason_longer_than_any_there_is",
					  .bytes_up = UINT64_MAX,
					  .bytes_down = UINT64_MAX };
	char line[MG_SESSIONLOG_LINE_MAX_BYTES];

	(void)state;
	memset(&r.client.ip, 0xfd, 16);
	memset(&r.client.port, 0xff, 2);
	r.external = r.server = r.client;
	memcpy(r.subscriber.ip, &r.client.ip, 16);
	assert_true(mg_sessionlog_format(line, &r, NULL) < (int)sizeof(line) - 100);
	assert_string_equal(line + strlen(line) - 2, "}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_as_documented),
		cmocka_unit_test(the_longest_line_fits),
	};

	return cmocka_run_group_tests_name("sessionlog_lines", tests, NULL, NULL);
}
