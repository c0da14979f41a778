// SPDX-License-Identifier: BSD-2-Clause
#include "sys/endpoints.h"

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <string.h>

void mg_pm_endpoints_append(struct mg_pm_endpoints *l, const struct mg_pm_endpoint *one)
{
	if (l->n < MG_PM_ENDPOINTS_MAX)
		l->at[l->n++] = *one;
}

void mg_pm_endpoint_set_ip(struct in6_addr *ip, const struct nlattr *a)
{
	size_t len = mnl_attr_get_payload_len(a);

	if (len != 4 && len != 16)
		return;
	if (len == 4)
		memset(ip->s6_addr + 10, 0xff, 2);
	memcpy(ip->s6_addr + 16 - len, mnl_attr_get_payload(a), len);
}

static void set_attribute(struct mg_pm_endpoint *one, const struct nlattr *a)
{
	switch (mnl_attr_get_type(a)) {
	case MPTCP_PM_ADDR_ATTR_ID:
		one->id = mnl_attr_get_u8(a);
		break;
	case MPTCP_PM_ADDR_ATTR_FLAGS:
		one->flags = mnl_attr_get_u32(a);
		break;
	case MPTCP_PM_ADDR_ATTR_IF_IDX:
		one->ifindex = (int)mnl_attr_get_u32(a);
		break;
	case MPTCP_PM_ADDR_ATTR_PORT:
		one->ep.port = htons(mnl_attr_get_u16(a));
		break;
	case MPTCP_PM_ADDR_ATTR_ADDR4:
	case MPTCP_PM_ADDR_ATTR_ADDR6:
		mg_pm_endpoint_set_ip(&one->ep.ip, a);
		break;
	default:
		break;
	}
}

static int one_endpoint(const struct nlmsghdr *nlh, void *data)
{
	struct mg_pm_endpoint one = { 0 };
	const struct nlattr *addr, *a;

	mnl_attr_for_each(addr, nlh, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(addr) != MPTCP_PM_ATTR_ADDR)
			continue;
		mnl_attr_for_each_nested(a, addr) set_attribute(&one, a);
		mg_pm_endpoints_append(data, &one);
	}
	return MNL_CB_OK;
}

int mg_pm_endpoints_read(struct mg_genl *g, struct mg_pm_endpoints *l)
{
	return mg_genl_talk(g, mg_genl_request(g, MPTCP_PM_CMD_GET_ADDR, NLM_F_DUMP), one_endpoint,
			    l);
}

int mg_pm_endpoint_add(struct mg_genl *g, const struct mg_pm_endpoint *one)
{
	struct nlmsghdr *nlh = mg_genl_request(g, MPTCP_PM_CMD_ADD_ADDR, NLM_F_ACK);
	struct nlattr *addr = mnl_attr_nest_start(nlh, MPTCP_PM_ATTR_ADDR);
	bool v4 = mg_ip_is_v4(&one->ep.ip);

	mnl_attr_put_u16(nlh, MPTCP_PM_ADDR_ATTR_FAMILY, v4 ? AF_INET : AF_INET6);
	mnl_attr_put_u8(nlh, MPTCP_PM_ADDR_ATTR_ID, one->id);
	if (v4)
		mnl_attr_put(nlh, MPTCP_PM_ADDR_ATTR_ADDR4, 4, one->ep.ip.s6_addr + 12);
	else
		mnl_attr_put(nlh, MPTCP_PM_ADDR_ATTR_ADDR6, 16, &one->ep.ip);
	if (one->ep.port)
		mnl_attr_put_u16(nlh, MPTCP_PM_ADDR_ATTR_PORT, ntohs(one->ep.port));
	mnl_attr_put_u32(nlh, MPTCP_PM_ADDR_ATTR_FLAGS, one->flags);
	if (one->ifindex)
		mnl_attr_put_u32(nlh, MPTCP_PM_ADDR_ATTR_IF_IDX, (uint32_t)one->ifindex);
	mnl_attr_nest_end(nlh, addr);
	return mg_genl_talk(g, nlh, NULL, NULL);
}

int mg_pm_endpoint_del(struct mg_genl *g, uint8_t id)
{
	struct nlmsghdr *nlh = mg_genl_request(g, MPTCP_PM_CMD_DEL_ADDR, NLM_F_ACK);
	struct nlattr *addr = mnl_attr_nest_start(nlh, MPTCP_PM_ATTR_ADDR);

	mnl_attr_put_u8(nlh, MPTCP_PM_ADDR_ATTR_ID, id);
	mnl_attr_nest_end(nlh, addr);
	return mg_genl_talk(g, nlh, NULL, NULL);
}
