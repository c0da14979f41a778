// SPDX-License-Identifier: BSD-2-Clause
/* What an Error TLV means to a program that knows nothing of converters. */
#include "mpgate/mpgate.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "wire/convert.h"

const char *mpgate_error_text(unsigned int code)
{
	return mg_convert_error_text(code);
}

/* As the kernel reads the codes of ICMP type 3 for a connecting socket. */
static int icmp4_errno(unsigned int code)
{
	switch (code) {
	case ICMP_NET_UNREACH:
	case ICMP_NET_UNKNOWN:
	case ICMP_NET_ANO:
	case ICMP_NET_UNR_TOS:
		return ENETUNREACH;
	case ICMP_PROT_UNREACH:
		return ENOPROTOOPT;
	case ICMP_PORT_UNREACH:
		return ECONNREFUSED;
	default:
		return EHOSTUNREACH;
	}
}

/* And those of ICMPv6 type 1. */
static int icmp6_errno(unsigned int code)
{
	switch (code) {
	case ICMP6_DST_UNREACH_NOROUTE:
		return ENETUNREACH;
	case ICMP6_DST_UNREACH_ADMIN:
	case 5: /* source address failed policy */
	case 6: /* reject route */
		return EACCES;
	case ICMP6_DST_UNREACH_NOPORT:
		return ECONNREFUSED;
	default:
		return EHOSTUNREACH;
	}
}

int mpgate_error_errno(unsigned int code, const void *value, size_t value_len, int family)
{
	unsigned int first = value_len > 0 ? *(const uint8_t *)value : 0;

	switch (code) {
	case MG_CE_MISSING_COOKIE:
	case MG_CE_NOT_AUTHORIZED:
		return EACCES;
	case MG_CE_UNSUPPORTED_TCP_OPTION:
		return ENOPROTOOPT;
	case MG_CE_RESOURCE_EXCEEDED:
		return ENOBUFS;
	case MG_CE_NETWORK_FAILURE:
		return ETIMEDOUT;
	case MG_CE_CONNECTION_RESET:
		return ECONNREFUSED;
	case MG_CE_DEST_UNREACHABLE:
		if (value_len == 0)
			return EHOSTUNREACH;
		return family == AF_INET ? icmp4_errno(first) : icmp6_errno(first);
	default:
		return EPROTO;
	}
}
