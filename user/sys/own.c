// SPDX-License-Identifier: BSD-2-Clause
#include "sys/rtnl.h"

#include <errno.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM_FIRST 16

/* Room for one more of `size` bytes behind n; the room is always a power of two, or none. */
static void *grown(void *list, size_t n, size_t size)
{
	if (n && (n < ROOM_FIRST || (n & (n - 1))))
		return list;
	return realloc(list, (n ? n * 2 : ROOM_FIRST) * size);
}

static int add_ip(struct mg_rtnl_own *own, const struct in6_addr *ip)
{
	struct in6_addr *ips = grown(own->ips, own->n_ips, sizeof(*ips));

	if (!ips)
		return -ENOMEM;
	own->ips = ips;
	ips[own->n_ips++] = *ip;
	return 0;
}

static int add_net(struct mg_rtnl_own *own, const struct mg_prefix *net)
{
	struct mg_prefix *nets;

	if (net->len == 128)
		return add_ip(own, &net->ip);
	nets = grown(own->nets, own->n_nets, sizeof(*nets));
	if (!nets)
		return -ENOMEM;
	own->nets = nets;
	nets[own->n_nets++] = *net;
	return 0;
}

static int read_addresses(struct mg_rtnl_own *own)
{
	struct ifaddrs *all, *a;
	int err = 0;

	if (getifaddrs(&all))
		return -errno;
	for (a = all; a && !err; a = a->ifa_next) {
		struct mg_ep ep;

		if (a->ifa_addr && !mg_ep_from_sockaddr(&ep, a->ifa_addr))
			err = add_ip(own, &ep.ip);
	}
	freeifaddrs(all);
	return err;
}

static bool is_local(const struct nlmsghdr *nlh)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	return rtm->rtm_type == RTN_LOCAL && rtm->rtm_table == RT_TABLE_LOCAL;
}

static int one_route(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	bool v4 = rtm->rtm_family == AF_INET;
	struct mg_prefix net = { .len = (unsigned char)(rtm->rtm_dst_len + (v4 ? 96 : 0)) };
	struct mg_rtnl_own *own = data;
	const struct nlattr *a;
	int err;

	if (nlh->nlmsg_type != RTM_NEWROUTE || !is_local(nlh) || net.len > 128)
		return MNL_CB_OK;
	if (v4)
		memset(net.ip.s6_addr + 10, 0xff, 2);
	mnl_attr_for_each(a, nlh, sizeof(*rtm))
	{
		if (mnl_attr_get_type(a) == RTA_DST && mnl_attr_get_payload_len(a) == (v4 ? 4 : 16))
			memcpy(net.ip.s6_addr + (v4 ? 12 : 0), mnl_attr_get_payload(a),
			       v4 ? 4 : 16);
	}
	err = add_net(own, &net);
	if (err)
		errno = -err;
	return err ? MNL_CB_ERROR : MNL_CB_OK;
}

static int read_answer(struct mnl_socket *nl, struct mg_rtnl_own *own)
{
	char buf[32768];

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		int more = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, 0, 0, one_route, own);

		if (more > 0)
			continue;
		/* There is no such table before there is an address. */
		return !more || errno == ENOENT || errno == EAFNOSUPPORT || errno == EOPNOTSUPP
			       ? 0
			       : -errno;
	}
}

/* Only the local table: a router may have a million routes in the others. */
static int read_routes(struct mg_rtnl_own *own, unsigned char family)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buf[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	int on = 1, err = 0;
	struct rtmsg *rtm;

	if (!nl)
		return -errno;
	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = family;
	rtm->rtm_table = RT_TABLE_LOCAL;
	rtm->rtm_type = RTN_LOCAL;
	setsockopt(mnl_socket_get_fd(nl), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		err = -errno;
	else
		err = read_answer(nl, own);
	mnl_socket_close(nl);
	return err;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct in6_addr));
}

int mg_rtnl_own(struct mg_rtnl_own *own)
{
	int err;

	*own = (struct mg_rtnl_own){ 0 };
	err = read_addresses(own);
	if (!err)
		err = read_routes(own, AF_INET);
	if (!err)
		err = read_routes(own, AF_INET6);
	if (err)
		mg_rtnl_own_free(own);
	else if (own->n_ips)
		qsort(own->ips, own->n_ips, sizeof(*own->ips), compare);
	return err;
}

void mg_rtnl_own_free(struct mg_rtnl_own *own)
{
	free(own->ips);
	free(own->nets);
	*own = (struct mg_rtnl_own){ 0 };
}

int mg_rtnl_watch_own(void)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK,
				  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
					       RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
					       RTMGRP_IPV6_ROUTE };
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

static int one_change(const struct nlmsghdr *nlh, void *data)
{
	bool *changed = data;

	if (nlh->nlmsg_type == RTM_NEWROUTE || nlh->nlmsg_type == RTM_DELROUTE)
		*changed |= is_local(nlh);
	else
		*changed = true;
	return MNL_CB_OK;
}

bool mg_rtnl_watch_drain(int fd)
{
	bool changed = false;
	char buf[8192];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) >= 0 || errno == ENOBUFS) {
		/* What got lost may have been it. */
		if (n < 0 || mnl_cb_run(buf, (size_t)n, 0, 0, one_change, &changed) < 0)
			changed = true;
	}
	return changed;
}
