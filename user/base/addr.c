// SPDX-License-Identifier: BSD-2-Clause
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char v4_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void from_v4(struct in6_addr *ip, const void *v4)
{
	memcpy(ip->s6_addr, v4_mapped, sizeof(v4_mapped));
	memcpy(ip->s6_addr + sizeof(v4_mapped), v4, 4);
}

int mg_ip_parse(struct in6_addr *ip, const char *text)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		from_v4(ip, &v4);
		return 0;
	}
	return inet_pton(AF_INET6, text, ip) == 1 ? 0 : -EINVAL;
}

/* Digits only: strtoul would take a sign and blanks. */
static int parse_number(unsigned long *out, const char *text, unsigned long max)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoul(text, &end, 10);
	return errno || *end || *out > max ? -EINVAL : 0;
}

int mg_ep_parse(struct mg_ep *ep, const char *text)
{
	const char *colon = strrchr(text, ':');
	char ip[MG_EP_STRLEN];
	unsigned long port;
	size_t n;
	bool bracketed = text[0] == '[';

	if (!colon || parse_number(&port, colon + 1, 65535) || port == 0)
		return -EINVAL;
	n = (size_t)(colon - text);
	if (bracketed) {
		if (n < 2 || text[n - 1] != ']')
			return -EINVAL;
		text++;
		n -= 2;
	}
	if (n >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, n);
	ip[n] = '\0';
	/* "::1:80" could be read two ways, so IPv6 needs its brackets. */
	if (bracketed != (strchr(ip, ':') != NULL) || mg_ip_parse(&ep->ip, ip))
		return -EINVAL;
	ep->port = htons((uint16_t)port);
	return 0;
}

int mg_prefix_parse(struct mg_prefix *p, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long len, base, bit;
	char ip[MG_IP_STRLEN];

	if (n >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, n);
	ip[n] = '\0';
	if (mg_ip_parse(&p->ip, ip))
		return -EINVAL;
	base = strchr(ip, ':') ? 0 : 96;
	len = 128 - base;
	if (slash && parse_number(&len, slash + 1, 128 - base))
		return -EINVAL;
	p->len = (unsigned char)(base + len);
	for (bit = p->len; bit < 128; bit++)
		p->ip.s6_addr[bit / 8] &= (unsigned char)~(0x80U >> (bit % 8));
	return 0;
}

const char *mg_ip_format(char buf[MG_IP_STRLEN], const struct in6_addr *ip)
{
	if (mg_ip_is_v4(ip))
		return inet_ntop(AF_INET, ip->s6_addr + 12, buf, MG_IP_STRLEN);
	return inet_ntop(AF_INET6, ip, buf, MG_IP_STRLEN);
}

const char *mg_ep_format(char buf[MG_EP_STRLEN], const struct mg_ep *ep)
{
	char ip[MG_IP_STRLEN];

	snprintf(buf, MG_EP_STRLEN, mg_ip_is_v4(&ep->ip) ? "%s:%u" : "[%s]:%u",
		 mg_ip_format(ip, &ep->ip), ntohs(ep->port));
	return buf;
}

const char *mg_prefix_format(char buf[MG_PREFIX_STRLEN], const struct mg_prefix *p)
{
	/* A mapped address under a prefix shorter than 96 is an IPv6 prefix all the same. */
	bool v4 = mg_ip_is_v4(&p->ip) && p->len >= 96;
	char ip[MG_IP_STRLEN];

	if (v4)
		mg_ip_format(ip, &p->ip);
	else
		inet_ntop(AF_INET6, &p->ip, ip, sizeof(ip));
	snprintf(buf, MG_PREFIX_STRLEN, "%s/%u", ip, p->len - (v4 ? 96U : 0U));
	return buf;
}

int mg_ep_from_sockaddr(struct mg_ep *ep, const struct sockaddr *sa)
{
	memset(ep, 0, sizeof(*ep));
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		from_v4(&ep->ip, &in.sin_addr);
		ep->port = in.sin_port;
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		ep->ip = in6.sin6_addr;
		ep->port = in6.sin6_port;
		return 0;
	}
	return -EAFNOSUPPORT;
}

socklen_t mg_ep_to_sockaddr(const struct mg_ep *ep, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (mg_ip_is_v4(&ep->ip)) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, ep->ip.s6_addr + 12, 4);
		in->sin_port = ep->port;
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	in6->sin6_family = AF_INET6;
	in6->sin6_addr = ep->ip;
	in6->sin6_port = ep->port;
	return sizeof(*in6);
}

bool mg_ip_is_v4(const struct in6_addr *ip)
{
	return memcmp(ip->s6_addr, v4_mapped, sizeof(v4_mapped)) == 0;
}

bool mg_ip_is_unspecified(const struct in6_addr *ip)
{
	static const unsigned char zero[16];

	return memcmp(ip->s6_addr, zero, 16) == 0 ||
	       (mg_ip_is_v4(ip) && memcmp(ip->s6_addr + 12, zero, 4) == 0);
}

bool mg_ip_is_loopback(const struct in6_addr *ip)
{
	return mg_ip_is_v4(ip) ? ip->s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(ip);
}

bool mg_ip_is_multicast(const struct in6_addr *ip)
{
	return mg_ip_is_v4(ip) ? (ip->s6_addr[12] & 0xf0) == 0xe0 : ip->s6_addr[0] == 0xff;
}

bool mg_ip_is_broadcast(const struct in6_addr *ip)
{
	static const unsigned char ones[4] = { 255, 255, 255, 255 };

	return mg_ip_is_v4(ip) && memcmp(ip->s6_addr + 12, ones, 4) == 0;
}

bool mg_ip_is_linklocal(const struct in6_addr *ip)
{
	if (mg_ip_is_v4(ip))
		return ip->s6_addr[12] == 169 && ip->s6_addr[13] == 254;
	return ip->s6_addr[0] == 0xfe && (ip->s6_addr[1] & 0xc0) == 0x80;
}

bool mg_ip_equal(const struct in6_addr *a, const struct in6_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool mg_ep_equal(const struct mg_ep *a, const struct mg_ep *b)
{
	return a->port == b->port && mg_ip_equal(&a->ip, &b->ip);
}

bool mg_prefix_contains(const struct mg_prefix *p, const struct in6_addr *ip)
{
	size_t bytes = p->len / 8, bits = p->len % 8;

	/* ::/0 is all of IPv6, and no IPv4 address, though these are written inside of it. */
	if (p->len < 96 && mg_ip_is_v4(ip))
		return false;
	if (memcmp(p->ip.s6_addr, ip->s6_addr, bytes) != 0)
		return false;
	return bits == 0 ||
	       ((p->ip.s6_addr[bytes] ^ ip->s6_addr[bytes]) & (0xff00U >> bits) & 0xff) == 0;
}
