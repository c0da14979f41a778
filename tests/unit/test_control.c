// SPDX-License-Identifier: BSD-2-Clause
/* The control protocol: every command there and back, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "wire/control.h"

static int parse(struct mg_control_request *req, const char *line, char why[128])
{
	why[0] = '\0';
	return mg_control_parse_request(req, line, strlen(line), why, 128);
}

/* Those that each command needs, and most that it may have. */
static void set_arguments(struct mg_control_request *in)
{
	if (in->cmd == MG_CMD_SESSION || in->cmd == MG_CMD_CLOSE)
		in->id = 0x123456789abcdefULL;
	if (in->cmd == MG_CMD_LOG_LEVEL)
		in->level = MG_LOG_DEBUG;
	if (in->cmd == MG_CMD_FORGET)
		assert_int_equal(mg_control_parse_server(in, "[2001:db8::1]:443"), 0);
	if (in->cmd == MG_CMD_RING)
		strcpy(in->group, "metro");
	if (in->cmd == MG_CMD_DRAIN || in->cmd == MG_CMD_UNDRAIN)
		strcpy(in->proxy, "px1");
	if (in->cmd == MG_CMD_TOKENS || in->cmd == MG_CMD_LOCATE) {
		in->has_token = true;
		in->token = 0x00a1b2c3;
	}
	if (in->cmd == MG_CMD_LOCATE) {
		assert_int_equal(mg_ep_parse(&in->client, "10.1.0.2:40000"), 0);
		assert_int_equal(mg_ep_parse(&in->to, "10.9.0.1:5124"), 0);
		strcpy(in->interface, "eth0");
		in->kind = MG_LOCATE_JOIN;
	}
	if (in->cmd == MG_CMD_LIMITS)
		strcpy(in->subscriber, "2001:db8::/64");
	if (in->cmd == MG_CMD_POLICY_TEST) {
		assert_int_equal(mg_ip_parse(&in->address, "10.1.0.2"), 0);
		assert_int_equal(mg_ep_parse(&in->to, "[2001:db8::1]:443"), 0);
		strcpy(in->via, "wl0");
	}
	if (in->cmd == MG_CMD_COOKIE)
		assert_int_equal(mg_ip_parse(&in->address, "2001:db8::7"), 0);
	if (in->cmd == MG_CMD_POLICY_SET)
		strcpy(in->policy, "name: p1\nmode: \"deny\"\n");
	if (in->cmd == MG_CMD_POLICY_DEL)
		strcpy(in->name, "p1");
	if (in->cmd == MG_CMD_ACCESS_SET || in->cmd == MG_CMD_ACCESS_DEL)
		in->has_prefix = mg_prefix_parse(&in->prefix, "10.1.0.0/24") == 0;
	if (in->cmd == MG_CMD_ACCESS_SET) {
		strcpy(in->access, "wlan");
		strcpy(in->subscriber, "001010123456789");
		in->ttl_s = UINT32_MAX;
	}
}

static void test_every_command_there_and_back(void **state)
{
	char why[128];

	(void)state;
	for (int i = 0; i < MG_CMD_COUNT; i++) {
		struct mg_control_request in = { .cmd = (enum mg_command)i }, out;
		char *line;

		set_arguments(&in);
		line = mg_control_format_request(&in);
		assert_non_null(line);
		assert_int_equal(line[strlen(line) - 1], '\n');
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		assert_int_equal(
			mg_control_parse_request(&out, line, strlen(line) - 1, why, sizeof(why)),
			0);
		assert_int_equal(out.cmd, in.cmd);
		assert_true(out.id == in.id);
		assert_int_equal(out.level, in.level);
		assert_false(out.all);
		assert_true(mg_ep_equal(&out.server, &in.server));
		assert_string_equal(out.group, in.group);
		assert_string_equal(out.proxy, in.proxy);
		assert_string_equal(out.interface, in.interface);
		assert_int_equal(out.has_token, in.has_token);
		assert_int_equal(out.token, in.token);
		assert_int_equal(out.kind, in.kind);
		assert_true(mg_ep_equal(&out.client, &in.client));
		assert_true(mg_ep_equal(&out.to, &in.to));
		assert_true(mg_ip_equal(&out.address, &in.address));
		assert_string_equal(out.subscriber, in.subscriber);
		assert_string_equal(out.via, in.via);
		assert_string_equal(out.policy, in.policy);
		assert_string_equal(out.name, in.name);
		free(line);
	}
}

static void test_what_may_be_left_out(void **state)
{
	static const struct {
		struct mg_control_request req;
		const char *line;
	} cases[] = {
		{ { .cmd = MG_CMD_DRAIN }, "{\"cmd\":\"drain\"}\n" },
		{ { .cmd = MG_CMD_DRAIN, .proxy = "px1" },
		  "{\"cmd\":\"drain\",\"proxy\":\"px1\"}\n" },
		{ { .cmd = MG_CMD_TOKENS }, "{\"cmd\":\"tokens\"}\n" },
		{ { .cmd = MG_CMD_LIMITS }, "{\"cmd\":\"limits\"}\n" },
		{ { .cmd = MG_CMD_TOKENS, .has_token = true },
		  "{\"cmd\":\"tokens\",\"token\":\"00000000\"}\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *line = mg_control_format_request(&cases[i].req), why[128];
		struct mg_control_request out;

		assert_string_equal(line, cases[i].line);
		assert_int_equal(parse(&out, line, why), 0);
		assert_memory_equal(&out, &cases[i].req, sizeof(out));
		free(line);
	}
}

static void test_locate_by_hand(void **state)
{
	struct mg_control_request req;
	char why[128];

	(void)state;
	assert_int_equal(parse(&req,
			       "{\"cmd\":\"locate\",\"client\":\"10.1.0.2:1\","
			       "\"to\":\"10.9.0.1:5124\"}",
			       why),
			 0);
	assert_int_equal(req.kind, MG_LOCATE_CAPABLE);
	assert_false(req.has_token);
	assert_string_equal(req.interface, "");
}

static void test_forget_all(void **state)
{
	struct mg_control_request in = { .cmd = MG_CMD_FORGET, .all = true }, out;
	char *line = mg_control_format_request(&in), why[128];

	(void)state;
	assert_string_equal(line, "{\"cmd\":\"servers-forget\",\"server\":\"all\"}\n");
	assert_int_equal(parse(&out, line, why), 0);
	assert_int_equal(out.cmd, MG_CMD_FORGET);
	assert_true(out.all);
	free(line);
}

static void test_who_may(void **state)
{
	(void)state;
	assert_false(mg_command_needs_root(MG_CMD_STATUS));
	assert_false(mg_command_needs_root(MG_CMD_SESSIONS));
	assert_false(mg_command_needs_root(MG_CMD_SESSION));
	assert_false(mg_command_needs_root(MG_CMD_COUNTERS));
	assert_false(mg_command_needs_root(MG_CMD_CONFIG));
	assert_false(mg_command_needs_root(MG_CMD_PROXIES));
	assert_false(mg_command_needs_root(MG_CMD_TOKENS));
	assert_false(mg_command_needs_root(MG_CMD_RING));
	assert_false(mg_command_needs_root(MG_CMD_LOCATE));
	assert_false(mg_command_needs_root(MG_CMD_LIMITS));
	assert_false(mg_command_needs_root(MG_CMD_POLICY_TEST));
	assert_true(mg_command_needs_root(MG_CMD_COOKIE));
	assert_true(mg_command_needs_root(MG_CMD_DRAIN));
	assert_true(mg_command_needs_root(MG_CMD_UNDRAIN));
	assert_true(mg_command_needs_root(MG_CMD_CLOSE));
	assert_false(mg_command_needs_root(MG_CMD_SERVERS));
	assert_true(mg_command_needs_root(MG_CMD_FORGET));
	assert_true(mg_command_needs_root(MG_CMD_LOG_LEVEL));
	assert_string_equal(mg_command_name(MG_CMD_LOG_LEVEL), "log-level");
}

struct refused {
	const char *line, *why;
};

static void assert_refused(const struct refused *bad, size_t n)
{
	struct mg_control_request req;
	char why[128];

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(parse(&req, bad[i].line, why), -EINVAL);
		if (!strstr(why, bad[i].why))
			fail_msg("%s gave: %s", bad[i].line, why);
	}
}

static void test_refused_requests(void **state)
{
	static const struct refused bad[] = {
		{ "", "not one JSON object" },
		{ "status", "not one JSON object" },
		{ "[\"status\"]", "not one JSON object" },
		{ "{\"cmd\":\"status\"} {}", "not one JSON object" },
		{ "{\"cmd\":\"status\",\"cmd\":\"drain\"}", "not one JSON object" },
		{ "{\"cmd\":\"status\\u0000\"}", "not one JSON object" },
		{ "{}", "\"cmd\" is missing" },
		{ "{\"cmd\":1}", "\"cmd\" is missing" },
		{ "{\"cmd\":\"reboot\"}", "unknown command \"reboot\"" },
		{ "{\"cmd\":\"status\",\"id\":1}", "status takes no argument" },
		{ "{\"cmd\":\"session\"}", "session needs \"id\"" },
		{ "{\"cmd\":\"session\",\"id\":\"1\"}", "session needs \"id\"" },
		{ "{\"cmd\":\"session\",\"id\":1.5}", "session needs \"id\"" },
		{ "{\"cmd\":\"close\",\"id\":0}", "close needs \"id\"" },
		{ "{\"cmd\":\"close\",\"id\":-1}", "close needs \"id\"" },
		{ "{\"cmd\":\"close\",\"id\":9223372036854775808}", "not one JSON object" },
		{ "{\"cmd\":\"close\",\"id\":1,\"force\":true}", "close takes \"id\" and nothing" },
		{ "{\"cmd\":\"log-level\",\"level\":\"loud\"}", "log-level needs \"level\"" },
		{ "{\"cmd\":\"log-level\",\"level\":3}", "log-level needs \"level\"" },
		{ "{\"cmd\":\"log-level\"}", "log-level needs \"level\"" },
		{ "{\"cmd\":\"servers\",\"server\":\"all\"}", "servers takes no argument" },
		{ "{\"cmd\":\"servers-forget\"}", "servers-forget needs \"server\"" },
		{ "{\"cmd\":\"servers-forget\",\"server\":7}", "servers-forget needs \"server\"" },
		{ "{\"cmd\":\"servers-forget\",\"server\":\"everything\"}",
		  "servers-forget needs \"server\"" },
		{ "{\"cmd\":\"servers-forget\",\"server\":\"10.0.0.1\"}",
		  "servers-forget needs \"server\"" },
	};

	(void)state;
	assert_refused(bad, sizeof(bad) / sizeof(bad[0]));
}

static void test_refused_about_gateways(void **state)
{
	static const struct refused bad[] = {
		{ "{\"cmd\":\"drain\",\"proxy\":\"\"}", "drain needs \"proxy\"" },
		{ "{\"cmd\":\"drain\",\"proxy\":7}", "drain needs \"proxy\"" },
		{ "{\"cmd\":\"drain\",\"group\":\"px1\"}", "drain takes \"proxy\" and nothing" },
		{ "{\"cmd\":\"undrain\"}", "undrain needs \"proxy\"" },
		{ "{\"cmd\":\"undrain\",\"proxy\":\"0123456789012345678901234567890123456789"
		  "012345678901234567890123\"}",
		  "undrain needs \"proxy\"" },
		{ "{\"cmd\":\"ring\"}", "ring needs \"group\"" },
		{ "{\"cmd\":\"tokens\",\"token\":1}", "tokens needs \"token\"" },
		{ "{\"cmd\":\"tokens\",\"token\":\"\"}", "tokens needs \"token\"" },
		{ "{\"cmd\":\"tokens\",\"token\":\"0x12\"}", "tokens needs \"token\"" },
		{ "{\"cmd\":\"tokens\",\"token\":\"123456789\"}", "tokens needs \"token\"" },
		{ "{\"cmd\":\"locate\",\"client\":\"10.1.0.2:1\"}", "locate needs \"to\"" },
		{ "{\"cmd\":\"locate\",\"client\":\"10.1.0.2\",\"to\":\"10.9.0.1:1\"}",
		  "locate needs \"client\"" },
		{ "{\"cmd\":\"locate\",\"client\":\"10.1.0.2:1\",\"to\":\"10.9.0.1:1\","
		  "\"kind\":\"fin\"}",
		  "locate needs \"kind\"" },
		{ "{\"cmd\":\"locate\",\"client\":\"10.1.0.2:1\",\"to\":\"10.9.0.1:1\","
		  "\"kind\":\"join\"}",
		  "locate takes \"token\" for a join" },
		{ "{\"cmd\":\"locate\",\"client\":\"10.1.0.2:1\",\"to\":\"10.9.0.1:1\","
		  "\"token\":\"1\"}",
		  "locate takes \"token\" for a join" },
		{ "{\"cmd\":\"locate\",\"client\":\"10.1.0.2:1\",\"to\":\"10.9.0.1:1\","
		  "\"in\":\"0123456789abcdef\"}",
		  "locate needs \"in\"" },
		{ "{\"cmd\":\"locate\",\"server\":\"10.9.0.1:1\"}",
		  "locate takes \"client\", \"to\", \"in\", \"kind\", \"token\" and nothing" },
	};

	(void)state;
	assert_refused(bad, sizeof(bad) / sizeof(bad[0]));
}

static void test_refused_about_policies(void **state)
{
	static const struct refused bad[] = {
		{ "{\"cmd\":\"limits\",\"subscriber\":\"\"}", "limits needs \"subscriber\"" },
		{ "{\"cmd\":\"limits\",\"subscriber\":7}", "limits needs \"subscriber\"" },
		{ "{\"cmd\":\"limits\",\"address\":\"10.1.0.2\"}", "limits takes \"subscriber\"" },
		{ "{\"cmd\":\"policy-test\",\"from\":\"10.1.0.2\"}", "policy-test needs \"to\"" },
		{ "{\"cmd\":\"policy-test\",\"from\":\"10.1.0.2:1\",\"to\":\"10.9.0.1:1\"}",
		  "policy-test needs \"from\"" },
		{ "{\"cmd\":\"policy-test\",\"from\":\"10.1.0.2\",\"to\":\"10.9.0.1:1\","
		  "\"via\":\"\"}",
		  "policy-test needs \"via\"" },
		{ "{\"cmd\":\"access\",\"prefix\":7}", "access needs \"prefix\"" },
		{ "{\"cmd\":\"access\",\"access\":\"wlan\"}", "access takes \"prefix\"" },
		{ "{\"cmd\":\"access-del\"}", "access-del needs \"prefix\"" },
		{ "{\"cmd\":\"access-set\",\"prefix\":\"10.1.0.0/33\",\"access\":\"wlan\"}",
		  "access-set needs \"prefix\"" },
		{ "{\"cmd\":\"access-set\",\"prefix\":\"10.1.0.0/16\"}",
		  "access-set needs \"access\"" },
		{ "{\"cmd\":\"access-set\",\"prefix\":\"10.1.0.0/16\",\"access\":\"\"}",
		  "access-set needs \"access\"" },
		{ "{\"cmd\":\"access-set\",\"prefix\":\"::1\",\"access\":\"w\",\"ttl_s\":0}",
		  "access-set needs \"ttl_s\"" },
		{ "{\"cmd\":\"access-set\",\"prefix\":\"::1\",\"access\":\"w\",\"ttl_s\":"
		  "4294967296}",
		  "access-set needs \"ttl_s\"" },
		{ "{\"cmd\":\"access-set\",\"prefix\":\"::1\",\"access\":\"w\",\"ttl_s\":\"1\"}",
		  "access-set needs \"ttl_s\"" },
		{ "{\"cmd\":\"cookie\"}", "cookie needs \"address\"" },
		{ "{\"cmd\":\"cookie\",\"address\":\"10.1.0.0/16\"}", "cookie needs \"address\"" },
	};

	(void)state;
	assert_refused(bad, sizeof(bad) / sizeof(bad[0]));
}

static void test_policy_requests(void **state)
{
	static const struct refused bad[] = {
		{ "{\"cmd\":\"policies\",\"name\":\"p1\"}", "policies takes no argument" },
		{ "{\"cmd\":\"policy-set\"}", "policy-set needs \"policy\"" },
		{ "{\"cmd\":\"policy-set\",\"policy\":\"\"}", "policy-set needs \"policy\"" },
		{ "{\"cmd\":\"policy-set\",\"policy\":{\"name\":\"p1\"}}",
		  "policy-set needs \"policy\"" },
		{ "{\"cmd\":\"policy-set\",\"policy\":\"a\\u0001b\"}",
		  "policy-set needs \"policy\"" },
		{ "{\"cmd\":\"policy-del\",\"name\":\"\"}", "policy-del needs \"name\"" },
		{ "{\"cmd\":\"policy-del\",\"policy\":\"p1\"}", "policy-del takes \"name\"" },
		{ "{\"cmd\":\"reload\",\"name\":\"p1\"}", "reload takes no argument" },
	};
	static const char *const good[] = {
		"{\"cmd\":\"policies\"}",
		"{\"cmd\":\"policy-set\",\"policy\":\"{ name: p1,\\n\\tmode: deny }\"}",
		"{\"cmd\":\"policy-del\",\"name\":\"p1\"}",
		"{\"cmd\":\"reload\"}",
	};
	struct mg_control_request req;
	char why[128], *line;

	(void)state;
	assert_refused(bad, sizeof(bad) / sizeof(bad[0]));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse(&req, good[i], why), 0);
		assert_int_equal(mg_command_needs_root(req.cmd), i != 0);
		line = mg_control_format_request(&req);
		assert_int_equal(strlen(line), strlen(good[i]) + 1);
		assert_memory_equal(line, good[i], strlen(good[i]));
		free(line);
	}
}

/* The longest policy there is fits a request, however much of it JSON quotes. */
static void test_longest_policy(void **state)
{
	struct mg_control_request req = { .cmd = MG_CMD_POLICY_SET }, again;
	char why[128], *line;

	(void)state;
	memset(req.policy, '"', sizeof(req.policy) - 1);
	line = mg_control_format_request(&req);
	assert_int_equal(mg_control_parse_request(&again, line, strlen(line), why, sizeof(why)), 0);
	assert_string_equal(again.policy, req.policy);
	free(line);
}

static void test_length_limit(void **state)
{
	char line[MG_CONTROL_REQUEST_MAX_BYTES + 1], why[128];
	struct mg_control_request req;
	const char *text = "{\"cmd\":\"status\"}";

	(void)state;
	for (size_t i = 0; i < sizeof(line); i++)
		line[i] = i < strlen(text) ? text[i] : ' ';
	assert_int_equal(mg_control_parse_request(&req, line, sizeof(line) - 1, why, sizeof(why)),
			 0);
	assert_int_equal(mg_control_parse_request(&req, line, sizeof(line), why, sizeof(why)),
			 -EINVAL);
	assert_non_null(strstr(why, "longer than 32768"));
}

static void test_truncated_at_every_byte(void **state)
{
	const char *text = "{\"cmd\":\"log-level\",\"level\":\"debug\"}";
	struct mg_control_request req;
	char why[128];

	(void)state;
	for (size_t n = 0; n < strlen(text); n++)
		assert_int_equal(mg_control_parse_request(&req, text, n, why, sizeof(why)),
				 -EINVAL);
}

static void test_result(void **state)
{
	char *line = mg_control_format_result(json_pack("[{s:i},{s:i}]", "id", 1, "id", 2));
	json_t *result;
	char why[128];

	(void)state;
	assert_string_equal(line, "{\"ok\":true,\"result\":[{\"id\":1},{\"id\":2}]}\n");
	assert_int_equal(mg_control_parse_answer(&result, line, strlen(line), why, sizeof(why)), 0);
	assert_int_equal(json_array_size(result), 2);
	json_decref(result);
	free(line);
	assert_null(mg_control_format_result(NULL));
}

static void test_multi_line_result_is_one_line(void **state)
{
	char *line = mg_control_format_result(json_string("node: px1\nworkers: 0\n"));
	json_t *result;
	char why[128];

	(void)state;
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	assert_int_equal(mg_control_parse_answer(&result, line, strlen(line), why, sizeof(why)), 0);
	assert_string_equal(json_string_value(result), "node: px1\nworkers: 0\n");
	json_decref(result);
	free(line);
}

static void answered(int err, const char *text, int want, const char *want_text)
{
	char *line = mg_control_format_error(err, text);
	json_t *result;
	char why[128];

	assert_int_equal(mg_control_parse_answer(&result, line, strlen(line), why, sizeof(why)),
			 want);
	assert_null(result);
	assert_string_equal(why, want_text);
	free(line);
}

static void test_errors(void **state)
{
	char *line = mg_control_format_error(-ENOENT, "no session 7");

	(void)state;
	assert_string_equal(line,
			    "{\"ok\":false,\"error\":\"no session 7\",\"code\":\"ENOENT\"}\n");
	free(line);
	answered(-ENOENT, "no session 7", -ENOENT, "no session 7");
	answered(EPERM, "only root may", -EPERM, "only root may");
	answered(-EINVAL, "caf\xe9", -EINVAL, "caf?");
	answered(-100000, "odd", -EPROTO, "odd");
}

static void test_nonsense_answers(void **state)
{
	static const char *const bad[] = { "",
					   "{}",
					   "[]",
					   "null",
					   "{\"ok\":true}",
					   "{\"ok\":false}",
					   "{\"ok\":1,\"result\":{}}",
					   "{\"ok\":false,\"error\":7}",
					   "{\"result\":{}}",
					   "{\"ok\":true,\"result\":{}" };
	json_t *result;
	char why[128];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
			mg_control_parse_answer(&result, bad[i], strlen(bad[i]), why, sizeof(why)),
			-EPROTO);
		assert_null(result);
		assert_string_equal(why, "the answer makes no sense");
	}
	assert_int_equal(mg_control_parse_answer(&result, "{\"ok\":false,\"error\":\"x\"}", 24, why,
						 sizeof(why)),
			 -EPROTO);
	assert_string_equal(why, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_command_there_and_back),
		cmocka_unit_test(test_what_may_be_left_out),
		cmocka_unit_test(test_locate_by_hand),
		cmocka_unit_test(test_forget_all),
		cmocka_unit_test(test_who_may),
		cmocka_unit_test(test_refused_requests),
		cmocka_unit_test(test_refused_about_gateways),
		cmocka_unit_test(test_refused_about_policies),
		cmocka_unit_test(test_policy_requests),
		cmocka_unit_test(test_longest_policy),
		cmocka_unit_test(test_length_limit),
		cmocka_unit_test(test_truncated_at_every_byte),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_multi_line_result_is_one_line),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_nonsense_answers),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
