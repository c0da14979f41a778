// SPDX-License-Identifier: BSD-2-Clause
#include "sys/announce.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/genl.h"
#include "sys/sock.h"
#include "sys/sysctl.h"

#define JOIN_ANYWHERE "net/mptcp/allow_join_initial_addr_port"

static bool is_access(const struct mg_announce *a, const char *name)
{
	for (size_t i = 0; i < a->n_names; i++) {
		if (!strcmp(a->names[i], name))
			return true;
	}
	return false;
}

/* The first address of the family that the clients' side can reach. */
static int find_address(const struct mg_announce *a, bool v4, struct mg_ep *found)
{
	struct ifaddrs *all, *i;
	int err = -EADDRNOTAVAIL;

	if (getifaddrs(&all))
		return -errno;
	for (i = all; i && err; i = i->ifa_next) {
		if (i->ifa_addr && is_access(a, i->ifa_name) &&
		    !mg_ep_from_sockaddr(found, i->ifa_addr) && mg_ip_is_v4(&found->ip) == v4 &&
		    !mg_ip_is_linklocal(&found->ip))
			err = 0;
	}
	freeifaddrs(all);
	return err;
}

/* One that is free now; the kernel is to listen there. */
static int find_port(struct mg_ep *ep)
{
	bool mptcp;
	int fd, err;

	ep->port = 0;
	fd = mg_sock_listen(ep, 0, &mptcp);
	if (fd < 0)
		return fd;
	err = mg_sock_local(fd, ep);
	close(fd);
	return err;
}

static int add(struct mg_genl *g, const struct mg_ep *ep, uint8_t id)
{
	struct nlmsghdr *nlh = mg_genl_request(g, MPTCP_PM_CMD_ADD_ADDR, NLM_F_ACK);
	struct nlattr *addr = mnl_attr_nest_start(nlh, MPTCP_PM_ATTR_ADDR);
	bool v4 = mg_ip_is_v4(&ep->ip);

	mnl_attr_put_u16(nlh, MPTCP_PM_ADDR_ATTR_FAMILY, v4 ? AF_INET : AF_INET6);
	mnl_attr_put_u8(nlh, MPTCP_PM_ADDR_ATTR_ID, id);
	if (v4)
		mnl_attr_put(nlh, MPTCP_PM_ADDR_ATTR_ADDR4, 4, ep->ip.s6_addr + 12);
	else
		mnl_attr_put(nlh, MPTCP_PM_ADDR_ATTR_ADDR6, 16, &ep->ip);
	mnl_attr_put_u16(nlh, MPTCP_PM_ADDR_ATTR_PORT, ntohs(ep->port));
	mnl_attr_put_u32(nlh, MPTCP_PM_ADDR_ATTR_FLAGS, MPTCP_PM_ADDR_FLAG_SIGNAL);
	mnl_attr_nest_end(nlh, addr);
	return mg_genl_talk(g, nlh, NULL, NULL);
}

struct ids {
	uint8_t at[UINT8_MAX];
	size_t n;
};

static int one_endpoint(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *addr, *a;
	struct ids *ids = data;

	mnl_attr_for_each(addr, nlh, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(addr) != MPTCP_PM_ATTR_ADDR)
			continue;
		mnl_attr_for_each_nested(a, addr)
		{
			if (mnl_attr_get_type(a) == MPTCP_PM_ADDR_ATTR_ID &&
			    mnl_attr_get_u8(a) >= MG_ANNOUNCE_ID && ids->n < UINT8_MAX)
				ids->at[ids->n++] = mnl_attr_get_u8(a);
		}
	}
	return MNL_CB_OK;
}

static void remove_ours(struct mg_genl *g)
{
	struct ids ids = { .n = 0 };

	if (mg_genl_talk(g, mg_genl_request(g, MPTCP_PM_CMD_GET_ADDR, NLM_F_DUMP), one_endpoint,
			 &ids))
		return;
	for (size_t i = 0; i < ids.n; i++) {
		struct nlmsghdr *nlh = mg_genl_request(g, MPTCP_PM_CMD_DEL_ADDR, NLM_F_ACK);
		struct nlattr *addr = mnl_attr_nest_start(nlh, MPTCP_PM_ATTR_ADDR);

		mnl_attr_put_u8(nlh, MPTCP_PM_ADDR_ATTR_ID, ids.at[i]);
		mnl_attr_nest_end(nlh, addr);
		mg_genl_talk(g, nlh, NULL, NULL);
	}
}

void mg_announce_clear(void)
{
	struct mg_genl g;

	if (mg_genl_open(&g, MPTCP_PM_NAME, MPTCP_PM_VER, NULL))
		return;
	remove_ours(&g);
	mg_genl_close(&g);
}

int mg_announce_init(struct mg_announce *a, const struct mg_config *cfg)
{
	*a = (struct mg_announce){ 0 };
	pthread_mutex_init(&a->lock, NULL);
	a->names = calloc(cfg->n_interfaces + 1, sizeof(*a->names));
	if (!a->names)
		return -ENOMEM;
	for (size_t i = 0; i < cfg->n_interfaces; i++) {
		if (cfg->interfaces[i].role == MG_ROLE_ACCESS)
			memcpy(a->names[a->n_names++], cfg->interfaces[i].name, IFNAMSIZ);
	}
	return 0;
}

static int announce(const struct mg_announce *a, struct mg_genl *g, bool v4)
{
	char text[MG_EP_STRLEN];
	struct mg_ep ep;
	int err = find_address(a, v4, &ep);

	if (!err)
		err = find_port(&ep);
	if (!err)
		err = add(g, &ep, v4 ? MG_ANNOUNCE_ID : MG_ANNOUNCE_ID + 1);
	if (!err)
		mg_info("mptcp: announcing %s, where further subflows join",
			mg_ep_format(text, &ep));
	return err;
}

static void switch_on(struct mg_announce *a)
{
	struct mg_genl g;
	int err = mg_genl_open(&g, MPTCP_PM_NAME, MPTCP_PM_VER, NULL), err6;

	if (!err) {
		err = announce(a, &g, true);
		err6 = announce(a, &g, false);
		err = err && err6 ? err : 0;
		mg_genl_close(&g);
	}
	if (err) {
		mg_warn("mptcp: cannot announce an address to join at: %s; sessions on ports that "
			"this host listens on keep one subflow",
			strerror(-err));
		return;
	}
	err = mg_sysctl_write(JOIN_ANYWHERE, 0);
	if (err)
		mg_warn("sysctl: net.mptcp.allow_join_initial_addr_port may not be set to 0: %s; "
			"clients may try to join where they cannot",
			strerror(-err));
	else
		mg_info("sysctl: set net.mptcp.allow_join_initial_addr_port to 0: new sessions "
			"tell clients to join at what is announced only");
}

void mg_announce_on(struct mg_announce *a)
{
	pthread_mutex_lock(&a->lock);
	if (!a->on)
		switch_on(a);
	a->on = true;
	pthread_mutex_unlock(&a->lock);
}

void mg_announce_free(struct mg_announce *a)
{
	if (a->on) {
		mg_announce_clear();
		mg_sysctl_write(JOIN_ANYWHERE, 1);
	}
	free(a->names);
	pthread_mutex_destroy(&a->lock);
	*a = (struct mg_announce){ 0 };
}
