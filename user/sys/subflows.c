// SPDX-License-Identifier: BSD-2-Clause
#include "sys/subflows.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/mptcp.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sys/endpoints.h"

/* As many as the kernel has room for */
#define SUBFLOWS_MAX 8
/* A proxy on the path may name an address of its own for further subflows, in each family. */
#define ADD_ADDRS 2

/* Addresses that are not to be used, not yet, or not for long. With IPv4 the bit of the temporary
 * ones says that there is another one of the same network. */
#define UNFIT_V4 (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)
#define UNFIT_V6 (UNFIT_V4 | IFA_F_TEMPORARY)

struct mg_subflows {
	struct mg_genl genl;
	char (*names)[IFNAMSIZ]; /* the access interfaces */
	size_t n_names;
	bool complained; /* of an endpoint that cannot be had */
};

/* One of a port of its own is another matter. */
static const struct mg_pm_endpoint *find(const struct mg_pm_endpoints *l, const struct in6_addr *ip)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!l->at[i].ep.port && mg_ip_equal(&l->at[i].ep.ip, ip))
			return &l->at[i];
	}
	return NULL;
}

/* ---- the addresses of the access interfaces -------------------------------------------------- */

struct reader {
	const struct mg_subflows *s;
	struct mg_pm_endpoints *l;
};

static bool is_access(const struct mg_subflows *s, uint32_t ifindex)
{
	for (size_t i = 0; i < s->n_names; i++) {
		if (if_nametoindex(s->names[i]) == ifindex)
			return true;
	}
	return false;
}

static int one_address(const struct nlmsghdr *nlh, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct mg_pm_endpoint ep = { .ifindex = (int)ifa->ifa_index };
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
			mg_pm_endpoint_set_ip(&ep.ep.ip, a);
		local |= type == IFA_LOCAL;
		if (type == IFA_FLAGS)
			flags = mnl_attr_get_u32(a);
	}
	if (ifa->ifa_scope == RT_SCOPE_UNIVERSE && !(flags & unfit) &&
	    is_access(r->s, ifa->ifa_index))
		mg_pm_endpoints_append(r->l, &ep);
	return MNL_CB_OK;
}

static int read_addresses(const struct mg_subflows *s, struct mg_pm_endpoints *wanted)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct reader r = { s, wanted };
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

static void raise_limits(struct mg_subflows *s, uint32_t subflows)
{
	struct limits now = { 0 }, next;
	struct nlmsghdr *nlh = mg_genl_request(&s->genl, MPTCP_PM_CMD_GET_LIMITS, NLM_F_ACK);
	int err = mg_genl_talk(&s->genl, nlh, limits_answer, &now);

	if (subflows > SUBFLOWS_MAX)
		subflows = SUBFLOWS_MAX;
	next.subflows = now.subflows > subflows ? now.subflows : subflows;
	next.add_addrs = now.add_addrs > ADD_ADDRS ? now.add_addrs : ADD_ADDRS;
	if (!err && next.subflows == now.subflows && next.add_addrs == now.add_addrs)
		return;
	if (!err) {
		nlh = mg_genl_request(&s->genl, MPTCP_PM_CMD_SET_LIMITS, NLM_F_ACK);
		mnl_attr_put_u32(nlh, MPTCP_PM_ATTR_RCV_ADD_ADDRS, next.add_addrs);
		mnl_attr_put_u32(nlh, MPTCP_PM_ATTR_SUBFLOWS, next.subflows);
		err = mg_genl_talk(&s->genl, nlh, NULL, NULL);
	}
	if (err)
		mg_warn("mptcp: cannot raise the limits: %s", strerror(-err));
	else
		mg_info("mptcp: raised limits: subflows %u to %u, add_addr_accepted %u to %u",
			now.subflows, next.subflows, now.add_addrs, next.add_addrs);
}

/* ---- all together ---------------------------------------------------------------------------- */

static bool is_ours(const struct mg_pm_endpoint *one)
{
	return one->id >= MG_SUBFLOWS_ID && one->id <= MG_SUBFLOWS_ID_LAST;
}

static void drop(struct mg_subflows *s, const struct mg_pm_endpoint *one)
{
	int err = mg_pm_endpoint_del(&s->genl, one->id);
	char ip[MG_IP_STRLEN];

	mg_ip_format(ip, &one->ep.ip);
	if (err)
		mg_warn("mptcp: cannot remove endpoint %u, %s: %s", one->id, ip, strerror(-err));
	else
		mg_info("mptcp: removed endpoint %u, %s", one->id, ip);
}

static uint8_t free_id(const struct mg_pm_endpoints *have)
{
	for (unsigned int id = MG_SUBFLOWS_ID; id <= MG_SUBFLOWS_ID_LAST; id++) {
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
static void drop_unwanted(struct mg_subflows *s, struct mg_pm_endpoints *have,
			  const struct mg_pm_endpoints *wanted)
{
	struct mg_pm_endpoints kept = { .n = 0 };

	for (size_t i = 0; i < have->n; i++) {
		const struct mg_pm_endpoint *ep = &have->at[i], *want = find(wanted, &ep->ep.ip);
		bool implicit = want && !ep->ep.port && (ep->flags & MPTCP_PM_ADDR_FLAG_IMPLICIT);
		bool stale = is_ours(ep) && (!want || want->ifindex != ep->ifindex ||
					     ep->flags != MPTCP_PM_ADDR_FLAG_SUBFLOW);

		if (implicit || stale)
			drop(s, ep);
		else
			mg_pm_endpoints_append(&kept, ep);
	}
	*have = kept;
}

static void add_missing(struct mg_subflows *s, struct mg_pm_endpoints *have,
			const struct mg_pm_endpoints *wanted)
{
	bool complained = s->complained;

	s->complained = false;
	for (size_t i = 0; i < wanted->n; i++) {
		struct mg_pm_endpoint ep = wanted->at[i];
		char ip[MG_IP_STRLEN], dev[IFNAMSIZ] = "?";
		int err;

		if (find(have, &ep.ep.ip))
			continue;
		ep.id = free_id(have);
		ep.flags = MPTCP_PM_ADDR_FLAG_SUBFLOW;
		err = ep.id ? mg_pm_endpoint_add(&s->genl, &ep) : -ENOSPC;
		mg_ip_format(ip, &ep.ep.ip);
		if_indextoname((unsigned int)ep.ifindex, dev);
		if (!err) {
			mg_pm_endpoints_append(have, &ep);
			mg_info("mptcp: added endpoint %u, %s on %s, for further subflows", ep.id,
				ip, dev);
			continue;
		}
		if (!complained && !s->complained)
			mg_warn("mptcp: cannot add an endpoint for %s on %s: %s", ip, dev,
				strerror(-err));
		s->complained = true;
	}
}

void mg_subflows_look(struct mg_subflows *s)
{
	struct mg_pm_endpoints wanted = { .n = 0 }, have = { .n = 0 };
	int err;

	if (!s)
		return;
	err = read_addresses(s, &wanted);
	if (!err)
		err = mg_pm_endpoints_read(&s->genl, &have);
	if (err) {
		mg_warn("mptcp: cannot read addresses or endpoints: %s", strerror(-err));
		return;
	}
	drop_unwanted(s, &have, &wanted);
	add_missing(s, &have, &wanted);
	raise_limits(s, (uint32_t)wanted.n);
}

int mg_subflows_open(struct mg_subflows **out, const struct mg_config *cfg)
{
	struct mg_subflows *s = calloc(1, sizeof(*s));
	int err = s ? mg_genl_open(&s->genl, MPTCP_PM_NAME, MPTCP_PM_VER, NULL) : -ENOMEM;

	if (!err) {
		s->names = calloc(cfg->n_interfaces, sizeof(*s->names));
		err = s->names ? 0 : -ENOMEM;
	}
	if (err) {
		mg_error("mptcp: no endpoints for further subflows: %s", strerror(-err));
		if (s)
			mg_genl_close(&s->genl);
		free(s);
		return err;
	}
	for (size_t i = 0; i < cfg->n_interfaces; i++) {
		if (cfg->interfaces[i].role == MG_ROLE_ACCESS)
			memcpy(s->names[s->n_names++], cfg->interfaces[i].name, IFNAMSIZ);
	}
	mg_subflows_look(s);
	*out = s;
	return 0;
}

void mg_subflows_close(struct mg_subflows *s)
{
	struct mg_pm_endpoints have = { .n = 0 };

	if (!s)
		return;
	if (!mg_pm_endpoints_read(&s->genl, &have)) {
		for (size_t i = 0; i < have.n; i++) {
			if (is_ours(&have.at[i]))
				drop(s, &have.at[i]);
		}
	}
	mg_genl_close(&s->genl);
	free(s->names);
	free(s);
}
