// SPDX-License-Identifier: BSD-2-Clause
#include "sys/announce.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/mptcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/endpoints.h"
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

static void remove_ours(struct mg_genl *g)
{
	struct mg_pm_endpoints have = { .n = 0 };

	if (mg_pm_endpoints_read(g, &have))
		return;
	for (size_t i = 0; i < have.n; i++) {
		if (have.at[i].id >= MG_ANNOUNCE_ID)
			mg_pm_endpoint_del(g, have.at[i].id);
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
	struct mg_pm_endpoint one = { .id = v4 ? MG_ANNOUNCE_ID : MG_ANNOUNCE_ID + 1,
				      .flags = MPTCP_PM_ADDR_FLAG_SIGNAL };
	int err = find_address(a, v4, &one.ep);
	char text[MG_EP_STRLEN];

	if (!err)
		err = find_port(&one.ep);
	if (!err)
		err = mg_pm_endpoint_add(g, &one);
	if (!err)
		mg_info("mptcp: announcing %s, where further subflows join",
			mg_ep_format(text, &one.ep));
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
