// SPDX-License-Identifier: BSD-2-Clause
/* Addresses: text both ways, what is refused, both families in one shape, prefixes bit by bit. */
#include "mg_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

struct text_case {
	const char *text, *back;
};

static void ip_text_goes_round(void **state)
{
	static const struct text_case cases[] = {
		{ "0.0.0.0", "0.0.0.0" },
		{ "10.1.2.3", "10.1.2.3" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
		{ "fe80::1:2", "fe80::1:2" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		/* The wire's form of an IPv4 address is that address. */
		{ "::ffff:10.1.2.3", "10.1.2.3" },
		{ "::ffff:a01:203", "10.1.2.3" },
		/* Neighbours of the mapped range are not in it. */
		{ "::fffe:a01:203", "::fffe:a01:203" },
		{ "::1:ffff:a01:203", "::1:ffff:a01:203" },
		{ "::10.1.2.3", "::10.1.2.3" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct in6_addr ip = ip_of(cases[i].text), again;
		char buf[MG_IP_STRLEN];

		assert_ptr_equal(mg_ip_format(buf, &ip), buf);
		assert_string_equal(buf, cases[i].back);
		assert_int_equal(mg_ip_parse(&again, buf), 0);
		assert_true(mg_ip_equal(&ip, &again));
	}
}

static void bad_ips_are_refused(void **state)
{
	static const char *const bad[] = { "",
					   " ",
					   "*",
					   "localhost",
					   "1",
					   "1.2.3",
					   "1.2.3.4.",
					   "1.2.3.256",
					   "01.2.3.4",
					   " 1.2.3.4",
					   "1.2.3.4 ",
					   "1.2.3.4/32",
					   "[::1]",
					   ":",
					   ":::",
					   "::1::",
					   "1:2:3:4:5:6:7",
					   "1:2:3:4:5:6:7:8:9",
					   "12345::",
					   "g::",
					   "::1%lo",
					   "::ffff:1.2.3" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct in6_addr ip;

		if (mg_ip_parse(&ip, bad[i]) != -EINVAL)
			fail_msg("took '%s'", bad[i]);
	}
}

static void endpoint_text_goes_round(void **state)
{
	static const struct text_case cases[] = {
		{ "10.1.2.3:80", "10.1.2.3:80" },
		{ "10.1.2.3:1", "10.1.2.3:1" },
		{ "255.255.255.255:65535", "255.255.255.255:65535" },
		{ "[::1]:443", "[::1]:443" },
		{ "[::]:5124", "[::]:5124" },
		{ "[::ffff:10.1.2.3]:80", "10.1.2.3:80" },
		{ "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mg_ep ep = ep_of(cases[i].text), again;
		char buf[MG_EP_STRLEN];

		assert_ptr_equal(mg_ep_format(buf, &ep), buf);
		assert_string_equal(buf, cases[i].back);
		assert_int_equal(mg_ep_parse(&again, buf), 0);
		assert_true(mg_ep_equal(&ep, &again));
	}
	assert_int_equal(ep_of("1.2.3.4:258").port, htons(258));
}

static void bad_endpoints_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		":80",
		"[]:80",
		"10.1.2.3",
		"10.1.2.3:",
		"10.1.2.3:0",
		"10.1.2.3:65536",
		"10.1.2.3:-1",
		"10.1.2.3:+80",
		"10.1.2.3: 80",
		"10.1.2.3:80 ",
		"10.1.2.3:8o",
		"10.1.2.3:0x50",
		"10.1.2.3:99999999999999999999999",
		"*:80",
		"host:80",
		"::1",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[::1:80",
		"::1]:80",
		"[10.1.2.3]:80",
		"[10.1.2.3:80",
		"[[::1]]:80",
		"[::1]:",
		"[::1]:0",
		"[::1]x:80",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80",
		/* longer than any address, with and without brackets */
		"1111111111111111111111111111111111111111111111111111111111111111111:80",
		"[1111111111111111111111111111111111111111111111111111111111111111111]:80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mg_ep ep;

		if (mg_ep_parse(&ep, bad[i]) != -EINVAL)
			fail_msg("took '%s'", bad[i]);
	}
}

static void prefix_text_goes_round(void **state)
{
	static const struct text_case cases[] = {
		{ "10.0.0.0/8", "10.0.0.0/8" },
		{ "10.9.8.7/8", "10.0.0.0/8" },
		{ "10.1.2.3", "10.1.2.3/32" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "255.255.255.255/32", "255.255.255.255/32" },
		{ "255.255.255.255/31", "255.255.255.254/31" },
		{ "255.255.255.255/1", "128.0.0.0/1" },
		{ "::/0", "::/0" },
		{ "::1", "::1/128" },
		{ "2001:db8:ffff::/33", "2001:db8:8000::/33" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127" },
		/* Mapped addresses: from /96 on an IPv4 prefix, above it an IPv6 one. */
		{ "::ffff:10.0.0.0/104", "10.0.0.0/8" },
		{ "::ffff:0.0.0.0/96", "0.0.0.0/0" },
		{ "::ffff:10.0.0.0/95", "::fffe:0:0/95" },
		{ "::ffff:10.0.0.0/80", "::/80" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mg_prefix p = prefix_of(cases[i].text), again;
		char buf[MG_PREFIX_STRLEN];

		assert_ptr_equal(mg_prefix_format(buf, &p), buf);
		assert_string_equal(buf, cases[i].back);
		assert_int_equal(mg_prefix_parse(&again, buf), 0);
		assert_true(mg_ip_equal(&p.ip, &again.ip));
		assert_int_equal(p.len, again.len);
	}
	assert_int_equal(prefix_of("10.0.0.0/8").len, 104);
	assert_int_equal(prefix_of("0.0.0.0/0").len, 96);
}

static void bad_prefixes_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/ 8",
		"10.0.0.0/8 ",
		"10.0.0.0/8/8",
		"10.0.0/8",
		"10.0.0.0/+8",
		"::/129",
		"::/",
		"[::]/0",
		"10.0.0.0/18446744073709551624",
		"10.0.0.0:80/8",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/8",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mg_prefix p;

		if (mg_prefix_parse(&p, bad[i]) != -EINVAL)
			fail_msg("took '%s'", bad[i]);
	}
}

static void flip(struct in6_addr *ip, unsigned int bit)
{
	ip->s6_addr[bit / 8] ^= (unsigned char)(0x80U >> (bit % 8));
}

/* For every length: an address that differs in one bit is inside exactly when the bit is behind
 * the prefix. */
static void check_every_bit(const struct in6_addr *ip, unsigned int first)
{
	char text[MG_IP_STRLEN + 4], digits[MG_IP_STRLEN];

	for (unsigned int len = first; len <= 128; len++) {
		struct mg_prefix p;

		snprintf(text, sizeof(text), "%s/%u", mg_ip_format(digits, ip), len - first);
		p = prefix_of(text);
		assert_true(mg_prefix_contains(&p, ip));
		for (unsigned int bit = first; bit < 128; bit++) {
			struct in6_addr other = *ip;

			flip(&other, bit);
			assert_int_equal(mg_prefix_contains(&p, &other), bit >= len);
		}
	}
}

static void contains_is_exact_at_every_bit(void **state)
{
	struct in6_addr v6 = ip_of("2001:db8:a5a5:5a5a:ff00:ff:1234:8001");
	struct in6_addr v4 = ip_of("10.165.90.129");

	(void)state;
	check_every_bit(&v6, 0);
	check_every_bit(&v4, 96);
}

static void the_families_do_not_contain_each_other(void **state)
{
	struct mg_prefix all6 = prefix_of("::/0"), all4 = prefix_of("0.0.0.0/0");
	struct mg_prefix zeros = prefix_of("::/64");
	struct in6_addr v4 = ip_of("10.1.2.3"), v6 = ip_of("::1"), far = ip_of("2001:db8::1");

	(void)state;
	assert_true(mg_prefix_contains(&all4, &v4));
	assert_true(mg_prefix_contains(&all6, &v6));
	assert_true(mg_prefix_contains(&all6, &far));
	assert_true(mg_prefix_contains(&zeros, &v6));
	assert_false(mg_prefix_contains(&all4, &v6));
	assert_false(mg_prefix_contains(&all4, &far));
	/* The mapped range lies inside ::/0 only by its notation. */
	assert_false(mg_prefix_contains(&all6, &v4));
	assert_false(mg_prefix_contains(&zeros, &v4));
}

static void sockaddrs_go_round(void **state)
{
	struct mg_ep v4 = ep_of("10.1.2.3:80"), v6 = ep_of("[2001:db8::1]:443"), back;
	struct sockaddr_storage ss;
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)state;
	memset(&ss, 0xa5, sizeof(ss));
	assert_int_equal(mg_ep_to_sockaddr(&v4, &ss), sizeof(*in));
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(in->sin_port, htons(80));
	assert_int_equal(in->sin_addr.s_addr, htonl(0x0a010203));
	assert_int_equal(mg_ep_from_sockaddr(&back, (struct sockaddr *)&ss), 0);
	assert_true(mg_ep_equal(&back, &v4));

	memset(&ss, 0xa5, sizeof(ss));
	assert_int_equal(mg_ep_to_sockaddr(&v6, &ss), sizeof(*in6));
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(in6->sin6_port, htons(443));
	assert_int_equal(in6->sin6_flowinfo, 0);
	assert_int_equal(in6->sin6_scope_id, 0);
	assert_int_equal(mg_ep_from_sockaddr(&back, (struct sockaddr *)&ss), 0);
	assert_true(mg_ep_equal(&back, &v6));

	/* What a dual-stack socket reports of an IPv4 peer is the IPv4 peer. */
	in6->sin6_addr = ip_of("10.1.2.3");
	in6->sin6_port = htons(80);
	assert_int_equal(mg_ep_from_sockaddr(&back, (struct sockaddr *)&ss), 0);
	assert_true(mg_ep_equal(&back, &v4));

	assert_int_equal(mg_ep_from_sockaddr(&back, (struct sockaddr *)&un), -EAFNOSUPPORT);
	assert_int_equal(back.port, 0);
}

static void endpoints_differ_in_either_part(void **state)
{
	struct mg_ep a = ep_of("10.1.2.3:80"), port = ep_of("10.1.2.3:81"),
		     ip = ep_of("10.1.2.4:80"), same = ep_of("[::ffff:10.1.2.3]:80");

	(void)state;
	assert_true(mg_ep_equal(&a, &same));
	assert_false(mg_ep_equal(&a, &port));
	assert_false(mg_ep_equal(&a, &ip));
}

struct kind_case {
	const char *ip;
	const char *
		kinds; /* 4 v4, u unspecified, l loopback, m multicast, b broadcast, k link-local */
};

static void addresses_know_their_kind(void **state)
{
	static const struct kind_case cases[] = {
		{ "0.0.0.0", "4u" },
		{ "0.0.0.1", "4" },
		{ "126.255.255.255", "4" },
		{ "127.0.0.0", "4l" },
		{ "127.255.255.255", "4l" },
		{ "128.0.0.0", "4" },
		{ "223.255.255.255", "4" },
		{ "224.0.0.0", "4m" },
		{ "239.255.255.255", "4m" },
		{ "240.0.0.0", "4" },
		{ "255.255.255.254", "4" },
		{ "255.255.255.255", "4b" },
		{ "169.253.255.255", "4" },
		{ "169.254.0.0", "4k" },
		{ "169.254.255.255", "4k" },
		{ "169.255.0.0", "4" },
		{ "::", "u" },
		{ "::1", "l" },
		{ "::2", "" },
		{ "::127.0.0.1", "" },
		{ "feff::", "" },
		{ "ff00::", "m" },
		{ "ff02::1", "m" },
		{ "fe7f::1", "" },
		{ "fe80::1", "k" },
		{ "febf::1", "k" },
		{ "fec0::1", "" },
		{ "2001:db8::255", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct in6_addr ip = ip_of(cases[i].ip);
		char kinds[8];

		snprintf(kinds, sizeof(kinds), "%s%s%s%s%s%s", mg_ip_is_v4(&ip) ? "4" : "",
			 mg_ip_is_unspecified(&ip) ? "u" : "", mg_ip_is_loopback(&ip) ? "l" : "",
			 mg_ip_is_multicast(&ip) ? "m" : "", mg_ip_is_broadcast(&ip) ? "b" : "",
			 mg_ip_is_linklocal(&ip) ? "k" : "");
		if (strcmp(kinds, cases[i].kinds) != 0)
			fail_msg("%s is '%s', expected '%s'", cases[i].ip, kinds, cases[i].kinds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_text_goes_round),
		cmocka_unit_test(bad_ips_are_refused),
		cmocka_unit_test(endpoint_text_goes_round),
		cmocka_unit_test(bad_endpoints_are_refused),
		cmocka_unit_test(prefix_text_goes_round),
		cmocka_unit_test(bad_prefixes_are_refused),
		cmocka_unit_test(contains_is_exact_at_every_bit),
		cmocka_unit_test(the_families_do_not_contain_each_other),
		cmocka_unit_test(sockaddrs_go_round),
		cmocka_unit_test(endpoints_differ_in_either_part),
		cmocka_unit_test(addresses_know_their_kind),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
