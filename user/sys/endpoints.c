// SPDX-License-Identifier: BSD-2-Clause
#include "sys/endpoints.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/mptcp.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sys/genl.h"

/* The kernel has room for 8 endpoints; a list may be longer before they are chosen. */
#define KERNEL_MAX 8
#define LIST_MAX   64
/* A proxy on the path may name an address of its own for further subflows, in each family. */
#define ADD_ADDRS 2

/* Addresses that are not to be used, not yet, or not for long. With IPv4 the bit of the temporary
 * ones says that there is another one of the same network. */
#define UNFIT_V4 (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)
#define UNFIT_V6 (UNFIT_V4 | IFA_F_TEMPORARY)

struct endpoint {
	struct in6_addr ip;
	int ifindex;
	uint8_t id;
	uint32_t flags;
};

struct list {
	struct endpoint at[LIST_MAX];
	size_t n;
};

struct mg_endpoints {
	struct mg_genl genl;
	char (*names)[IFNAMSIZ]; /* the access interfaces */
	size_t n_names;
	bool complained; /* of an endpoint that cannot be had */
};

static void append(struct list *l, const struct endpoint *ep)
{
	if (l->n < LIST_MAX)
		l->at[l->n++] = *ep;
}

static const struct endpoint *find(const struct list *l, const struct in6_addr *ip)
{
	for (size_t i = 0; i < l->n; i++) {
		if (mg_ip_equal(&l->at[i].ip, ip))
			return &l->at[i];
	}
	return NULL;
}

static void set_ip(struct in6_addr *ip, const struct nlattr *a)
{
	size_t len = mnl_attr_get_payload_len(a);

	if (len != 4 && len != 16)
		return;
	if (len == 4)
		memset(ip->s6_addr + 10, 0xff, 2);
	memcpy(ip->s6_addr + 16 - len, mnl_attr_get_payload(a), len);
}

/* ---- the addresses of the access interfaces -------------------------------------------------- */

struct reader {
	const struct mg_endpoints *e;
	struct list *l;
};

static bool is_access(const struct mg_endpoints *e, uint32_t ifindex)
{
	for (size_t i = 0; i < e->n_names; i++) {
		if (if_nametoindex(e->names[i]) == ifindex)
			return true;
	}
	return false;
}

static int one_address(const struct nlmsghdr *nlh, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct endpoint ep = { .ifindex = (int)ifa->ifa_index };
	uint32_t unfit = ifa->ifa_family == AF_INET ? UNFIT_V4 : UNFIT_V6;
	uint32_t flags = ifa->ifa_flags;
	const struct reader *r = data;
	bool local = false;
	const struct nlattr *a;

	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(*ifa))
	{
		uint16_t type = mnl_attr_get_type(a);

		/* On a point-to-point link the other one is the peer's. */
		if (type == IFA_LOCAL || (type == IFA_ADDRESS && !local))
			set_ip(&ep.ip, a);
		local |= type == IFA_LOCAL;
		if (type == IFA_FLAGS)
			flags = mnl_attr_get_u32(a);
	}
	if (ifa->ifa_scope == RT_SCOPE_UNIVERSE && !(flags & unfit) &&
	    is_access(r->e, ifa->ifa_index))
		append(r->l, &ep);
	return MNL_CB_OK;
}

static int read_addresses(const struct mg_endpoints *e, struct list *wanted)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct reader r = { e, wanted };
	char buf[32768];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;
	int more;

	if (!nl)
		return -errno;
	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = AF_UNSPEC;
	more = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
			       mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0
		       ? -1
		       : 1;
	while (more > 0) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));

		more = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, 0, 0, one_address, &r);
	}
	more = more < 0 ? -errno : 0;
	mnl_socket_close(nl);
	return more;
}

/* ---- the kernel's endpoints ------------------------------------------------------------------ */

static int one_endpoint(const struct nlmsghdr *nlh, void *data)
{
	struct endpoint ep = { 0 };
	const struct nlattr *addr, *a;

	mnl_attr_for_each(addr, nlh, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(addr) != MPTCP_PM_ATTR_ADDR)
			continue;
		mnl_attr_for_each_nested(a, addr)
		{
			switch (mnl_attr_get_type(a)) {
			case MPTCP_PM_ADDR_ATTR_ID:
				ep.id = mnl_attr_get_u8(a);
				break;
			case MPTCP_PM_ADDR_ATTR_FLAGS:
				ep.flags = mnl_attr_get_u32(a);
				break;
			case MPTCP_PM_ADDR_ATTR_IF_IDX:
				ep.ifindex = (int)mnl_attr_get_u32(a);
				break;
			case MPTCP_PM_ADDR_ATTR_ADDR4:
			case MPTCP_PM_ADDR_ATTR_ADDR6:
				set_ip(&ep.ip, a);
				break;
			default:
				break;
			}
		}
		append(data, &ep);
	}
	return MNL_CB_OK;
}

static int read_endpoints(struct mg_endpoints *e, struct list *l)
{
	return mg_genl_talk(&e->genl, mg_genl_request(&e->genl, MPTCP_PM_CMD_GET_ADDR, NLM_F_DUMP),
			    one_endpoint, l);
}

static int add(struct mg_endpoints *e, const struct endpoint *ep)
{
	struct nlmsghdr *nlh = mg_genl_request(&e->genl, MPTCP_PM_CMD_ADD_ADDR, NLM_F_ACK);
	struct nlattr *addr = mnl_attr_nest_start(nlh, MPTCP_PM_ATTR_ADDR);
	bool v4 = mg_ip_is_v4(&ep->ip);

	mnl_attr_put_u16(nlh, MPTCP_PM_ADDR_ATTR_FAMILY, v4 ? AF_INET : AF_INET6);
	mnl_attr_put_u8(nlh, MPTCP_PM_ADDR_ATTR_ID, ep->id);
	if (v4)
		mnl_attr_put(nlh, MPTCP_PM_ADDR_ATTR_ADDR4, 4, ep->ip.s6_addr + 12);
	else
		mnl_attr_put(nlh, MPTCP_PM_ADDR_ATTR_ADDR6, 16, &ep->ip);
	mnl_attr_put_u32(nlh, MPTCP_PM_ADDR_ATTR_FLAGS, ep->flags);
	mnl_attr_put_u32(nlh, MPTCP_PM_ADDR_ATTR_IF_IDX, (uint32_t)ep->ifindex);
	mnl_attr_nest_end(nlh, addr);
	return mg_genl_talk(&e->genl, nlh, NULL, NULL);
}

/* Its subflows are closed. */
static void del(struct mg_endpoints *e, const struct endpoint *ep)
{
	struct nlmsghdr *nlh = mg_genl_request(&e->genl, MPTCP_PM_CMD_DEL_ADDR, NLM_F_ACK);
	struct nlattr *addr = mnl_attr_nest_start(nlh, MPTCP_PM_ATTR_ADDR);
	char ip[MG_IP_STRLEN];
	int err;

	mnl_attr_put_u8(nlh, MPTCP_PM_ADDR_ATTR_ID, ep->id);
	mnl_attr_nest_end(nlh, addr);
	err = mg_genl_talk(&e->genl, nlh, NULL, NULL);
	mg_ip_format(ip, &ep->ip);
	if (err)
		mg_warn("mptcp: cannot remove endpoint %u, %s: %s", ep->id, ip, strerror(-err));
	else
		mg_info("mptcp: removed endpoint %u, %s", ep->id, ip);
}

/* ---- limits ---------------------------------------------------------------------------------- */

struct limits {
	uint32_t add_addrs, subflows;
};

static int limits_answer(const struct nlmsghdr *nlh, void *data)
{
	struct limits *l = data;
	const struct nlattr *a;

	mnl_attr_for_each(a, nlh, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(a) == MPTCP_PM_ATTR_RCV_ADD_ADDRS)
			l->add_addrs = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == MPTCP_PM_ATTR_SUBFLOWS)
			l->subflows = mnl_attr_get_u32(a);
	}
	return MNL_CB_OK;
}

static void raise_limits(struct mg_endpoints *e, uint32_t subflows)
{
	struct limits now = { 0 }, next;
	struct nlmsghdr *nlh = mg_genl_request(&e->genl, MPTCP_PM_CMD_GET_LIMITS, NLM_F_ACK);
	int err = mg_genl_talk(&e->genl, nlh, limits_answer, &now);

	if (subflows > KERNEL_MAX)
		subflows = KERNEL_MAX;
	next.subflows = now.subflows > subflows ? now.subflows : subflows;
	next.add_addrs = now.add_addrs > ADD_ADDRS ? now.add_addrs : ADD_ADDRS;
	if (!err && next.subflows == now.subflows && next.add_addrs == now.add_addrs)
		return;
	if (!err) {
		nlh = mg_genl_request(&e->genl, MPTCP_PM_CMD_SET_LIMITS, NLM_F_ACK);
		mnl_attr_put_u32(nlh, MPTCP_PM_ATTR_RCV_ADD_ADDRS, next.add_addrs);
		mnl_attr_put_u32(nlh, MPTCP_PM_ATTR_SUBFLOWS, next.subflows);
		err = mg_genl_talk(&e->genl, nlh, NULL, NULL);
	}
	if (err)
		mg_warn("mptcp: cannot raise the limits: %s", strerror(-err));
	else
		mg_info("mptcp: raised limits: subflows %u to %u, add_addr_accepted %u to %u",
			now.subflows, next.subflows, now.add_addrs, next.add_addrs);
}

/* ---- all together ---------------------------------------------------------------------------- */

static bool is_ours(const struct endpoint *ep)
{
	return ep->id >= MG_ENDPOINT_ID;
}

static uint8_t free_id(const struct list *have)
{
	for (unsigned int id = MG_ENDPOINT_ID; id < UINT8_MAX; id++) {
		size_t i = 0;

		while (i < have->n && have->at[i].id != id)
			i++;
		if (i == have->n)
			return (uint8_t)id;
	}
	return 0;
}

/* What of the kernel's list stays: all of the operator's, and of ours what is still wanted. What
 * the kernel made up itself for a join makes room, too. */
static void drop_unwanted(struct mg_endpoints *e, struct list *have, const struct list *wanted)
{
	struct list kept = { .n = 0 };

	for (size_t i = 0; i < have->n; i++) {
		const struct endpoint *ep = &have->at[i], *want = find(wanted, &ep->ip);
		bool implicit = want && (ep->flags & MPTCP_PM_ADDR_FLAG_IMPLICIT);
		bool stale = is_ours(ep) && (!want || want->ifindex != ep->ifindex ||
					     ep->flags != MPTCP_PM_ADDR_FLAG_SUBFLOW);

		if (implicit || stale)
			del(e, ep);
		else
			append(&kept, ep);
	}
	*have = kept;
}

static void add_missing(struct mg_endpoints *e, struct list *have, const struct list *wanted)
{
	bool complained = e->complained;

	e->complained = false;
	for (size_t i = 0; i < wanted->n; i++) {
		struct endpoint ep = wanted->at[i];
		char ip[MG_IP_STRLEN], dev[IFNAMSIZ] = "?";
		int err;

		if (find(have, &ep.ip))
			continue;
		ep.id = free_id(have);
		ep.flags = MPTCP_PM_ADDR_FLAG_SUBFLOW;
		err = ep.id ? add(e, &ep) : -ENOSPC;
		mg_ip_format(ip, &ep.ip);
		if_indextoname((unsigned int)ep.ifindex, dev);
		if (!err) {
			append(have, &ep);
			mg_info("mptcp: added endpoint %u, %s on %s, for further subflows", ep.id,
				ip, dev);
			continue;
		}
		if (!complained && !e->complained)
			mg_warn("mptcp: cannot add an endpoint for %s on %s: %s", ip, dev,
				strerror(-err));
		e->complained = true;
	}
}

void mg_endpoints_look(struct mg_endpoints *e)
{
	struct list wanted = { .n = 0 }, have = { .n = 0 };
	int err;

	if (!e)
		return;
	err = read_addresses(e, &wanted);
	if (!err)
		err = read_endpoints(e, &have);
	if (err) {
		mg_warn("mptcp: cannot read addresses or endpoints: %s", strerror(-err));
		return;
	}
	drop_unwanted(e, &have, &wanted);
	add_missing(e, &have, &wanted);
	raise_limits(e, (uint32_t)wanted.n);
}

int mg_endpoints_open(struct mg_endpoints **out, const struct mg_config *cfg)
{
	struct mg_endpoints *e = calloc(1, sizeof(*e));
	int err = e ? mg_genl_open(&e->genl, MPTCP_PM_NAME, MPTCP_PM_VER, NULL) : -ENOMEM;

	if (!err) {
		e->names = calloc(cfg->n_interfaces, sizeof(*e->names));
		err = e->names ? 0 : -ENOMEM;
	}
	if (err) {
		mg_error("mptcp: no endpoints for further subflows: %s", strerror(-err));
		if (e)
			mg_genl_close(&e->genl);
		free(e);
		return err;
	}
	for (size_t i = 0; i < cfg->n_interfaces; i++) {
		if (cfg->interfaces[i].role == MG_ROLE_ACCESS)
			memcpy(e->names[e->n_names++], cfg->interfaces[i].name, IFNAMSIZ);
	}
	mg_endpoints_look(e);
	*out = e;
	return 0;
}

void mg_endpoints_close(struct mg_endpoints *e)
{
	struct list have = { .n = 0 };

	if (!e)
		return;
	if (!read_endpoints(e, &have)) {
		for (size_t i = 0; i < have.n; i++) {
			if (is_ours(&have.at[i]))
				del(e, &have.at[i]);
		}
	}
	mg_genl_close(&e->genl);
	free(e->names);
	free(e);
}
