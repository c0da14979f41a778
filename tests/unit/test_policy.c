// SPDX-License-Identifier: BSD-2-Clause
/* Where a Connect may go: what cannot be meant, what is ours, and the operator's lists. */
#include "mg_test.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/policy.h"

static enum mg_destination judge(const struct mg_policy *p, const char *peer)
{
	struct mg_ep ep = ep_of(peer);

	return mg_policy_destination(p, &ep);
}

static void nobody_can_mean_these(void **state)
{
	static const char *const bad[] = {
		"0.0.0.0:80",	"[::]:80",	"127.0.0.1:80",		 "127.255.255.254:80",
		"[::1]:80",	"224.0.0.1:80", "239.255.255.255:80",	 "255.255.255.255:80",
		"[ff02::1]:80", "[ff0e::1]:80", "[::ffff:127.0.0.1]:80", "[::ffff:224.0.0.1]:80",
	};
	struct mg_prefix everything[2] = { prefix_of("0.0.0.0/0"), prefix_of("::/0") };
	struct mg_config c = { 0 };
	struct mg_policy p = { .config = &c };
	struct mg_ep no_port = ep_of("10.0.0.1:80");

	(void)state;
	no_port.port = 0;
	for (int listed = 0; listed < 2; listed++) {
		/* What the operator allows or denies makes no difference to them. */
		c.destinations.allow = c.destinations.deny = everything;
		c.destinations.n_allow = c.destinations.n_deny = listed ? 2 : 0;
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			assert_int_equal(judge(&p, bad[i]), MG_DESTINATION_MALFORMED);
		assert_int_equal(mg_policy_destination(&p, &no_port), MG_DESTINATION_MALFORMED);
	}
}

static void the_rest_is_served_by_default(void **state)
{
	static const char *const good[] = {
		"1.0.0.1:1",	      "10.0.0.1:65535", "126.255.255.255:80", "128.0.0.1:80",
		"223.255.255.255:80", "240.0.0.1:80",	"255.255.255.254:80", "169.253.0.1:80",
		"[2001:db8::1]:443",  "[fd00::1]:443",	"[fec0::1]:80",	      "[::2]:80",
	};
	struct mg_config c = { 0 };
	struct mg_policy p = { .config = &c };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(judge(&p, good[i]), MG_DESTINATION_OK);
}

static void link_local_is_never_served(void **state)
{
	struct mg_prefix allow[] = { prefix_of("169.254.0.0/16"), prefix_of("fe80::/10") };
	struct mg_config c = { .destinations = { .allow = allow, .n_allow = 2 } };
	struct mg_policy p = { .config = &c };

	(void)state;
	assert_int_equal(judge(&p, "169.254.1.1:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "[fe80::1]:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "[febf::1]:80"), MG_DESTINATION_DENIED);
}

static void own_addresses_are_denied(void **state)
{
	static const char *const own_text[] = { "10.3.0.2",  "192.168.7.1", "2001:db8::1",
						"10.3.0.1",  "fd00:3::2",   "172.16.0.1",
						"255.0.0.1", "fdee::1" };
	enum { N = sizeof(own_text) / sizeof(own_text[0]) };
	struct mg_prefix all[2] = { prefix_of("0.0.0.0/0"), prefix_of("::/0") };
	struct mg_config c = { .destinations = { .allow = all, .n_allow = 2 } };
	struct in6_addr own[N];

	(void)state;
	for (size_t n = 0; n <= N; n++) {
		struct mg_policy p = { .config = &c, .own = n ? own : NULL, .n_own = n };

		for (size_t i = 0; i < n; i++)
			own[i] = ip_of(own_text[i]);
		qsort(own, n, sizeof(own[0]), mg_policy_compare_ip);
		for (size_t i = 0; i < N; i++) {
			struct mg_ep ep = { .ip = ip_of(own_text[i]), .port = 80 };

			assert_int_equal(mg_policy_destination(&p, &ep),
					 i < n ? MG_DESTINATION_DENIED : MG_DESTINATION_OK);
		}
		assert_int_equal(judge(&p, "10.3.0.3:80"), MG_DESTINATION_OK);
		assert_int_equal(judge(&p, "10.2.255.255:80"), MG_DESTINATION_OK);
	}
}

static void deny_wins_over_allow(void **state)
{
	struct mg_prefix allow[] = { prefix_of("10.0.0.0/8"), prefix_of("2001:db8::/32") };
	struct mg_prefix deny[] = { prefix_of("10.1.0.0/16"), prefix_of("2001:db8:1::/48") };
	struct mg_config c = { .destinations = { allow, 2, deny, 2 } };
	struct mg_policy p = { .config = &c };

	(void)state;
	assert_int_equal(judge(&p, "10.2.0.1:80"), MG_DESTINATION_OK);
	assert_int_equal(judge(&p, "10.0.255.255:80"), MG_DESTINATION_OK);
	assert_int_equal(judge(&p, "10.1.0.0:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "10.1.255.255:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "11.0.0.1:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "[2001:db8::1]:80"), MG_DESTINATION_OK);
	assert_int_equal(judge(&p, "[2001:db8:1::1]:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "[2001:db9::1]:80"), MG_DESTINATION_DENIED);
	/* The same prefix on both lists */
	deny[0] = allow[0];
	assert_int_equal(judge(&p, "10.2.0.1:80"), MG_DESTINATION_DENIED);
}

static void an_empty_allow_list_is_everything(void **state)
{
	struct mg_prefix deny[] = { prefix_of("10.0.0.0/8") };
	struct mg_config c = { .destinations = { NULL, 0, deny, 1 } };
	struct mg_policy p = { .config = &c };

	(void)state;
	assert_int_equal(judge(&p, "10.2.0.1:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "11.0.0.1:80"), MG_DESTINATION_OK);
	assert_int_equal(judge(&p, "[2001:db8::1]:80"), MG_DESTINATION_OK);
}

static void one_family_can_be_switched_off(void **state)
{
	struct mg_prefix all6 = prefix_of("::/0"), all4 = prefix_of("0.0.0.0/0");
	struct mg_config c = { .destinations = { .deny = &all6, .n_deny = 1 } };
	struct mg_policy p = { .config = &c };

	(void)state;
	assert_int_equal(judge(&p, "10.2.0.1:80"), MG_DESTINATION_OK);
	assert_int_equal(judge(&p, "[2001:db8::1]:80"), MG_DESTINATION_DENIED);
	c.destinations.deny = &all4;
	assert_int_equal(judge(&p, "10.2.0.1:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "[2001:db8::1]:80"), MG_DESTINATION_OK);
}

static void whole_networks_may_be_ours(void **state)
{
	struct mg_prefix nets[] = { prefix_of("192.0.2.0/24"), prefix_of("2001:db8::/64") };
	struct mg_config c = { 0 };
	struct mg_policy p = { .config = &c, .own_nets = nets, .n_own_nets = 2 };

	(void)state;
	assert_int_equal(judge(&p, "192.0.2.0:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "192.0.2.255:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "192.0.3.0:80"), MG_DESTINATION_OK);
	assert_int_equal(judge(&p, "[2001:db8::ffff]:80"), MG_DESTINATION_DENIED);
	assert_int_equal(judge(&p, "[2001:db8:0:1::]:80"), MG_DESTINATION_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_can_mean_these),
		cmocka_unit_test(the_rest_is_served_by_default),
		cmocka_unit_test(link_local_is_never_served),
		cmocka_unit_test(own_addresses_are_denied),
		cmocka_unit_test(deny_wins_over_allow),
		cmocka_unit_test(an_empty_allow_list_is_everything),
		cmocka_unit_test(one_family_can_be_switched_off),
		cmocka_unit_test(whole_networks_may_be_ours),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
