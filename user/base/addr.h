/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses as the whole product speaks of them.
 *
 * One shape for both families: 16 bytes, IPv4 as ::ffff:a.b.c.d, just as RFC 8803 section 6.2.5
 * puts them on the wire. Text form is "a.b.c.d:port" and "[ip6]:port".
 */
#ifndef MG_BASE_ADDR_H
#define MG_BASE_ADDR_H

#include <linux/types.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#define MG_IP_STRLEN	 INET6_ADDRSTRLEN
#define MG_EP_STRLEN	 (INET6_ADDRSTRLEN + 8)
#define MG_PREFIX_STRLEN (INET6_ADDRSTRLEN + 4)

struct mg_ep {
	struct in6_addr ip;
	__be16 port;
};

struct mg_prefix {
	struct in6_addr ip;
	unsigned char len; /* 0..128; IPv4 prefixes count from 96 */
};

/* 0, or -EINVAL. An endpoint needs a port; "*" and names are not accepted. */
int mg_ip_parse(struct in6_addr *ip, const char *text);
int mg_ep_parse(struct mg_ep *ep, const char *text);
int mg_prefix_parse(struct mg_prefix *p, const char *text); /* "10.0.0.0/8", "::1", "10.1.2.3" */

/* Write into buf and return it, so that they nest in a log call. */
const char *mg_ip_format(char buf[MG_IP_STRLEN], const struct in6_addr *ip);
const char *mg_ep_format(char buf[MG_EP_STRLEN], const struct mg_ep *ep);
const char *mg_prefix_format(char buf[MG_PREFIX_STRLEN], const struct mg_prefix *p);

/* 0, or -EAFNOSUPPORT for anything but AF_INET and AF_INET6. */
int mg_ep_from_sockaddr(struct mg_ep *ep, const struct sockaddr *sa);
/* AF_INET for v4-mapped addresses, AF_INET6 for the rest; returns the length to pass on. */
socklen_t mg_ep_to_sockaddr(const struct mg_ep *ep, struct sockaddr_storage *ss);

bool mg_ip_is_v4(const struct in6_addr *ip);
bool mg_ip_is_unspecified(const struct in6_addr *ip);
bool mg_ip_is_loopback(const struct in6_addr *ip);
bool mg_ip_is_multicast(const struct in6_addr *ip);
bool mg_ip_is_broadcast(const struct in6_addr *ip); /* 255.255.255.255 only */
bool mg_ip_is_linklocal(const struct in6_addr *ip);

bool mg_ip_equal(const struct in6_addr *a, const struct in6_addr *b);
bool mg_ep_equal(const struct mg_ep *a, const struct mg_ep *b);
/* An IPv6 prefix, ::/0 included, contains no IPv4 address. */
bool mg_prefix_contains(const struct mg_prefix *p, const struct in6_addr *ip);

#endif
