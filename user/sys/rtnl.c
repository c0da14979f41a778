// SPDX-License-Identifier: BSD-2-Clause
#include "sys/rtnl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/log.h"

static const int families[] = { AF_INET, AF_INET6 };

/* Sends one request and waits for the kernel's word on it. */
static int request(struct nlmsghdr *nlh)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buf[1024];
	ssize_t n;
	int err;

	if (!nl)
		return -errno;
	nlh->nlmsg_seq = (uint32_t)time(NULL);
	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0) {
		err = -errno;
	} else {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		err = n < 0 ? -errno : 0;
		if (!err && mnl_cb_run(buf, (size_t)n, nlh->nlmsg_seq, mnl_socket_get_portid(nl),
				       NULL, NULL) < 0)
			err = -errno;
	}
	mnl_socket_close(nl);
	return err;
}

static int rule(int family, uint32_t mark, bool add)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct fib_rule_hdr *frh;

	nlh->nlmsg_type = add ? RTM_NEWRULE : RTM_DELRULE;
	nlh->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
	frh = mnl_nlmsg_put_extra_header(nlh, sizeof(*frh));
	frh->family = (uint8_t)family;
	frh->action = FR_ACT_TO_TBL;
	frh->table = RT_TABLE_UNSPEC;
	mnl_attr_put_u32(nlh, FRA_TABLE, MG_RTNL_TABLE);
	mnl_attr_put_u32(nlh, FRA_PRIORITY, MG_RTNL_PRIORITY);
	mnl_attr_put_u32(nlh, FRA_FWMARK, mark);
	mnl_attr_put_u32(nlh, FRA_FWMASK, UINT32_MAX);
	return request(nlh);
}

static int local_default(int family, bool add)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm;

	nlh->nlmsg_type = add ? RTM_NEWROUTE : RTM_DELROUTE;
	nlh->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = (unsigned char)family;
	rtm->rtm_table = RT_TABLE_UNSPEC;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_LOCAL;
	mnl_attr_put_u32(nlh, RTA_TABLE, MG_RTNL_TABLE);
	mnl_attr_put_u32(nlh, RTA_OIF, if_nametoindex("lo"));
	return request(nlh);
}

/* Not in the kernel; or by sysctl, disable_ipv6. */
static bool is_off(int err)
{
	return err == -EAFNOSUPPORT || err == -EOPNOTSUPP || err == -EACCES;
}

int mg_rtnl_add_local_rules(uint32_t mark)
{
	for (size_t i = 0; i < 2; i++) {
		int err = local_default(families[i], true);

		/* A host without IPv6 has no IPv6 clients either. */
		if (families[i] == AF_INET6 && is_off(err))
			continue;
		if (!err || err == -EEXIST)
			err = rule(families[i], mark, true);
		if (err && err != -EEXIST) {
			mg_error("routing: cannot add the rule for mark 0x%x, table %d, IPv%d: %s",
				 mark, MG_RTNL_TABLE, families[i] == AF_INET ? 4 : 6,
				 strerror(-err));
			mg_rtnl_del_local_rules(mark);
			return err;
		}
	}
	mg_info("routing: added rule %d: fwmark 0x%x lookup %d, and local default dev lo in it",
		MG_RTNL_PRIORITY, mark, MG_RTNL_TABLE);
	return 0;
}

void mg_rtnl_del_local_rules(uint32_t mark)
{
	for (size_t i = 0; i < 2; i++) {
		rule(families[i], mark, false);
		local_default(families[i], false);
	}
}
