// SPDX-License-Identifier: BSD-2-Clause
#include "sys/nexthop.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"

#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)
#define ANSWER_MAX 8192

struct ask {
	struct mnl_socket *nl;
	struct mg_nexthop *out;
	struct in6_addr via; /* whose MAC is wanted */
	uint8_t route_type;
	uint16_t nud;
	bool has_mac;
	uint16_t link_type;
};

/* ---- one question, one answer ---------------------------------------------------------------- */
static int ask(struct ask *a, struct nlmsghdr *nlh, mnl_cb_t fn)
{
	char buf[ANSWER_MAX];
	unsigned int port = mnl_socket_get_portid(a->nl);
	ssize_t n;

	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = (uint32_t)time(NULL);
	if (mnl_socket_sendto(a->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	for (int more = MNL_CB_OK; more == MNL_CB_OK;) {
		n = mnl_socket_recvfrom(a->nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		more = mnl_cb_run(buf, (size_t)n, nlh->nlmsg_seq, port, fn, a);
		if (more < 0)
			return -errno;
	}
	return 0;
}

static uint8_t family_of(const struct in6_addr *ip)
{
	return mg_ip_is_v4(ip) ? AF_INET : AF_INET6;
}

static void put_ip(struct nlmsghdr *nlh, uint16_t type, const struct in6_addr *ip)
{
	if (mg_ip_is_v4(ip))
		mnl_attr_put(nlh, type, 4, ip->s6_addr + 12);
	else
		mnl_attr_put(nlh, type, 16, ip);
}

static bool get_ip(struct in6_addr *ip, const void *bytes, size_t len)
{
	if (len != 4 && len != 16)
		return false;
	*ip = (struct in6_addr){ 0 };
	if (len == 4)
		memset(ip->s6_addr + 10, 0xff, 2);
	memcpy(ip->s6_addr + 16 - len, bytes, len);
	return true;
}

/* ---- the route ------------------------------------------------------------------------------- */
static void get_metrics(struct mg_nexthop *out, const struct nlattr *metrics)
{
	const struct nlattr *m;

	mnl_attr_for_each_nested(m, metrics)
	{
		if (mnl_attr_get_type(m) == RTAX_MTU && mnl_attr_get_payload_len(m) == 4)
			out->mtu_bytes = mnl_attr_get_u32(m);
	}
}

/* A router of the other family (RFC 8950) comes as RTA_VIA. */
static void get_via(struct ask *a, const struct nlattr *attr)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);

	if (len > sizeof(*via) && get_ip(&a->via, via->rtvia_addr, len - sizeof(*via)))
		a->out->on_link = false;
}

static int on_route(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct ask *a = data;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	a->route_type = rtm->rtm_type;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		const void *bytes = mnl_attr_get_payload(attr);
		size_t len = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			if (len == 4)
				a->out->ifindex = mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			if (get_ip(&a->via, bytes, len))
				a->out->on_link = false;
			break;
		case RTA_VIA:
			get_via(a, attr);
			break;
		case RTA_PREFSRC:
			get_ip(&a->out->source, bytes, len);
			break;
		case RTA_METRICS:
			get_metrics(a->out, attr);
			break;
		}
	}
	return MNL_CB_OK;
}

static int find_route(struct ask *a, const struct in6_addr *to)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm;
	int err;

	nlh->nlmsg_type = RTM_GETROUTE;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = family_of(to);
	rtm->rtm_dst_len = mg_ip_is_v4(to) ? 32 : 128;
	put_ip(nlh, RTA_DST, to);
	a->via = *to;
	a->out->on_link = true;
	err = ask(a, nlh, on_route);
	if (err)
		return err;
	if (a->route_type == RTN_LOCAL)
		return 0;
	return a->route_type == RTN_UNICAST && a->out->ifindex ? 0 : -ENETUNREACH;
}

/* ---- the link -------------------------------------------------------------------------------- */
static int on_link(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct ask *a = data;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	a->link_type = ifi->ifi_type;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		uint16_t type = mnl_attr_get_type(attr), len = mnl_attr_get_payload_len(attr);

		if (type == IFLA_ADDRESS && len == sizeof(a->out->smac))
			memcpy(a->out->smac, mnl_attr_get_payload(attr), len);
		if (type == IFLA_MTU && len == 4 &&
		    (!a->out->mtu_bytes || mnl_attr_get_u32(attr) < a->out->mtu_bytes))
			a->out->mtu_bytes = mnl_attr_get_u32(attr);
	}
	return MNL_CB_OK;
}

static int find_link(struct ask *a)
{
	char buf[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;
	int err;

	nlh->nlmsg_type = RTM_GETLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)a->out->ifindex;
	err = ask(a, nlh, on_link);
	if (err)
		return err;
	/* No other link has the header that is written in front of what goes out. */
	return a->link_type == ARPHRD_ETHER ? 0 : -EOPNOTSUPP;
}

/* ---- the neighbour --------------------------------------------------------------------------- */
static int on_neighbour(const struct nlmsghdr *nlh, void *data)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct ask *a = data;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWNEIGH)
		return MNL_CB_OK;
	a->nud = ndm->ndm_state;
	mnl_attr_for_each(attr, nlh, sizeof(*ndm))
	{
		if (mnl_attr_get_type(attr) != NDA_LLADDR ||
		    mnl_attr_get_payload_len(attr) != sizeof(a->out->dmac))
			continue;
		memcpy(a->out->dmac, mnl_attr_get_payload(attr), sizeof(a->out->dmac));
		a->has_mac = true;
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *neighbour_message(char buf[256], const struct ask *a, uint16_t type,
					  uint8_t ntf)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	nlh->nlmsg_type = type;
	ndm->ndm_family = family_of(&a->via);
	ndm->ndm_ifindex = (int)a->out->ifindex;
	ndm->ndm_flags = ntf;
	put_ip(nlh, NDA_DST, &a->via);
	return nlh;
}

/* As a packet to it would: the kernel asks, or sees whether it is still there. */
static int prod(struct ask *a)
{
	char buf[256];
	struct nlmsghdr *nlh = neighbour_message(buf, a, RTM_NEWNEIGH, NTF_USE);

	nlh->nlmsg_flags = NLM_F_CREATE;
	return ask(a, nlh, NULL);
}

static int find_neighbour(struct ask *a)
{
	char buf[256];
	struct nlmsghdr *nlh = neighbour_message(buf, a, RTM_GETNEIGH, 0);
	int err = ask(a, nlh, on_neighbour);

	if (err && err != -ENOENT)
		return err;
	if (!err && a->has_mac && a->nud & NUD_USABLE) {
		/* XDP's packets do not count as use: without this it would grow stale, and old. */
		if (a->nud & NUD_STALE)
			prod(a);
		return 0;
	}
	err = prod(a);
	return err ? err : -EAGAIN;
}

static int find(struct ask *a, const struct in6_addr *to)
{
	int err = find_route(a, to);

	if (err)
		return err;
	if (a->route_type == RTN_LOCAL) {
		*a->out = (struct mg_nexthop){ .local = true, .source = *to };
		return 0;
	}
	err = find_link(a);
	return err ? err : find_neighbour(a);
}

int mg_nexthop_find(const struct in6_addr *to, struct mg_nexthop *out)
{
	struct ask a = { .out = out };
	int err;

	*out = (struct mg_nexthop){ 0 };
	a.nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!a.nl)
		return -errno;
	err = mnl_socket_bind(a.nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : find(&a, to);
	mnl_socket_close(a.nl);
	return err;
}

/* ---- changes --------------------------------------------------------------------------------- */
int mg_nexthop_watch(void)
{
	struct sockaddr_nl sa = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |
			     RTMGRP_IPV4_RULE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

bool mg_nexthop_watch_drain(int fd)
{
	bool changed = false;
	char buf[ANSWER_MAX];

	/* ENOBUFS: what got lost may have mattered. */
	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		changed = true;
	return changed;
}
