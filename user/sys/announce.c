// SPDX-License-Identifier: BSD-2-Clause
#include "sys/announce.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/mptcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/claim.h"
#include "sys/diag.h"
#include "sys/endpoints.h"
#include "sys/sock.h"
#include "sys/sysctl.h"

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

static struct mg_pm_endpoint wanted(const struct mg_announce *a, size_t i)
{
	struct mg_pm_endpoint one = { .id = (uint8_t)(MG_ANNOUNCE_ID + i),
				      .ep = a->signal[i].ep,
				      .flags = MPTCP_PM_ADDR_FLAG_SIGNAL };

	if (a->signal[i].alone)
		one.ep.port = 0;
	return one;
}

static bool is_wanted(const struct mg_announce *a, const struct mg_pm_endpoint *one)
{
	size_t i = (size_t)(one->id - MG_ANNOUNCE_ID);
	struct mg_pm_endpoint want;

	if (i >= a->n_signal)
		return false;
	want = wanted(a, i);
	return mg_ep_equal(&one->ep, &want.ep) && (one->flags & MPTCP_PM_ADDR_FLAG_SIGNAL);
}

/* What was left and is to be announced again stays: subflows may well be on it. */
static void remove_left(struct mg_announce *a, struct mg_genl *g)
{
	struct mg_pm_endpoints have = { .n = 0 };

	if (mg_pm_endpoints_read(g, &have))
		return;
	for (size_t i = 0; i < have.n; i++) {
		if (have.at[i].id < MG_ANNOUNCE_ID)
			continue;
		if (a && is_wanted(a, &have.at[i]))
			a->signal[have.at[i].id - MG_ANNOUNCE_ID].there = true;
		else
			mg_pm_endpoint_del(g, have.at[i].id);
	}
}

void mg_announce_clear(void)
{
	pid_t owner;
	int claim = mg_claim_announce(&owner);
	struct mg_genl g;

	if (claim < 0)
		return;
	if (!mg_genl_open(&g, MPTCP_PM_NAME, MPTCP_PM_VER, NULL)) {
		remove_left(NULL, &g);
		mg_genl_close(&g);
	}
	close(claim);
}

/* The kernel's listener is refused what closed subflows still hold. */
static int add(struct mg_genl *g, const struct mg_pm_endpoint *one)
{
	int err = mg_pm_endpoint_add(g, one);

	if (err == -EADDRINUSE && mg_diag_end_time_waits(&one->ep) > 0)
		err = mg_pm_endpoint_add(g, one);
	return err;
}

/* Who does not join has nothing to do here. */
static void turn_away(struct mg_io *io, uint32_t events)
{
	struct mg_ep peer;
	bool mptcp;
	int fd;

	(void)events;
	fd = mg_sock_accept(io->fd, &peer, &mptcp);
	if (fd >= 0)
		mg_sock_abort(fd);
}

static int listen_for_joins(struct mg_announce *a, struct mg_signal *s)
{
	bool mptcp;
	int err;

	if (!s->alone || s->io.fd >= 0)
		return 0;
	s->io = (struct mg_io){ .fd = mg_sock_listen(&s->ep, 0, &mptcp), .ready = turn_away };
	if (s->io.fd < 0)
		return s->io.fd;
	err = mg_loop_add(a->loop, &s->io, EPOLLIN);
	if (err) {
		close(s->io.fd);
		s->io.fd = -1;
	}
	return err;
}

static void announce_signal(struct mg_announce *a, struct mg_genl *g, size_t i, bool again)
{
	const struct mg_pm_endpoint one = wanted(a, i);
	struct mg_signal *s = &a->signal[i];
	int err = listen_for_joins(a, s);
	char text[MG_EP_STRLEN];

	mg_ep_format(text, &s->ep);
	if (!err && !s->there) {
		err = add(g, &one);
		s->there = !err;
		if (!err)
			mg_info("mptcp: announcing %s, where further subflows join", text);
	}
	if (err && !again)
		mg_error("converter.signal: %s cannot be announced: %s; trying on (ip mptcp "
			 "endpoint shows what is: the kernel has room for eight)",
			 text, strerror(-err));
}

static bool is_done(const struct mg_signal *s)
{
	return s->there && (!s->alone || s->io.fd >= 0);
}

/*
 * The kernel announces those with a port first, the latest one before the others: IPv4 is to come
 * before IPv6, as a client that has both can use it on any connection, and an IPv6 address with a
 * port that finds no room is waited for in vain by all behind it.
 */
static bool announce_all(struct mg_announce *a, struct mg_genl *g, bool again)
{
	bool missing = false;

	for (int v4 = 0; v4 < 2; v4++) {
		for (size_t i = a->n_signal; i-- > 0;) {
			if (mg_ip_is_v4(&a->signal[i].ep.ip) != v4)
				continue;
			announce_signal(a, g, i, again);
			missing |= !is_done(&a->signal[i]);
		}
	}
	return missing;
}

static bool announce_signals(struct mg_announce *a, bool again)
{
	bool missing = false;
	struct mg_genl g;
	int err;

	for (size_t i = 0; i < a->n_signal; i++)
		missing |= !is_done(&a->signal[i]);
	if (!missing && again)
		return false;
	err = mg_genl_open(&g, MPTCP_PM_NAME, MPTCP_PM_VER, NULL);
	if (err) {
		if (missing && !again)
			mg_error("converter.signal: nothing can be announced: %s", strerror(-err));
		return missing;
	}
	if (!again)
		remove_left(a, &g);
	missing = announce_all(a, &g, again);
	mg_genl_close(&g);
	return missing;
}

static bool listens_on(const struct mg_config_converter *c, in_port_t port)
{
	for (size_t i = 0; i < c->n_listen; i++) {
		if (c->listen[i].port == port && !mg_ip_is_v4(&c->listen[i].ip))
			return true;
	}
	return false;
}

static void read_signals(struct mg_announce *a, const struct mg_config_converter *c)
{
	bool has_room = mg_sysctl_read("net/mptcp/add_addr_v6_port_drop_ts", 0) == 1;
	char text[MG_EP_STRLEN];

	for (size_t i = 0; i < c->n_signal && i < MG_ANNOUNCE_MAX; i++) {
		const struct mg_ep *ep = &c->signal[i];
		bool tight = !has_room && !mg_ip_is_v4(&ep->ip);

		a->signal[a->n_signal++] = (struct mg_signal){
			.ep = *ep, .alone = tight && listens_on(c, ep->port), .io.fd = -1
		};
		if (tight && !listens_on(c, ep->port))
			mg_warn("converter.signal: %s: with TCP timestamps this kernel tells no "
				"port of an IPv6 address, so that few clients will hear of it; "
				"the port of an IPv6 address in converter.listen needs not be told",
				mg_ep_format(text, ep));
	}
}

int mg_announce_open(struct mg_announce *a, const struct mg_config *cfg, struct mg_loop *loop)
{
	const struct mg_config_converter *c = &cfg->converter;
	pid_t owner;

	*a = (struct mg_announce){ .claim = -1, .loop = loop, .deny = c->deny_initial_joins };
	pthread_mutex_init(&a->lock, NULL);
	a->names = calloc(cfg->n_interfaces + 1, sizeof(*a->names));
	if (!a->names)
		return -ENOMEM;
	for (size_t i = 0; i < cfg->n_interfaces; i++) {
		if (cfg->interfaces[i].role == MG_ROLE_ACCESS)
			memcpy(a->names[a->n_names++], cfg->interfaces[i].name, IFNAMSIZ);
	}
	read_signals(a, c);
	a->claim = mg_claim_announce(&owner);
	if (a->claim < 0 && a->n_signal) {
		mg_error("converter.signal: addresses are announced in this network namespace by "
			 "mpgated, pid %d: %s",
			 owner, strerror(-a->claim));
		return a->claim;
	}
	if (a->claim >= 0)
		announce_signals(a, false);
	return 0;
}

bool mg_announce_look(struct mg_announce *a)
{
	bool missing;

	if (a->claim < 0)
		return false;
	pthread_mutex_lock(&a->lock);
	missing = announce_signals(a, true);
	pthread_mutex_unlock(&a->lock);
	return missing;
}

static bool has_signal(const struct mg_announce *a, bool v4)
{
	for (size_t i = 0; i < a->n_signal; i++) {
		if (a->signal[i].there && mg_ip_is_v4(&a->signal[i].ep.ip) == v4)
			return true;
	}
	return false;
}

static int announce_own(struct mg_announce *a, struct mg_genl *g, bool v4)
{
	struct mg_pm_endpoint one = { .id = (uint8_t)(MG_ANNOUNCE_ID + a->n_signal + !v4),
				      .flags = MPTCP_PM_ADDR_FLAG_SIGNAL };
	char text[MG_EP_STRLEN];
	int err;

	if (has_signal(a, v4))
		return 0;
	err = find_address(a, v4, &one.ep);
	if (!err)
		err = find_port(&one.ep);
	if (!err)
		err = mg_pm_endpoint_add(g, &one);
	if (err)
		return err;
	a->own[v4] = one;
	mg_info("mptcp: announcing %s, where further subflows join", mg_ep_format(text, &one.ep));
	return 0;
}

static int announce_both(struct mg_announce *a)
{
	struct mg_genl g;
	int err, err6;

	if (a->claim < 0)
		return -EBUSY;
	err = mg_genl_open(&g, MPTCP_PM_NAME, MPTCP_PM_VER, NULL);
	if (err)
		return err;
	err = announce_own(a, &g, true);
	err6 = announce_own(a, &g, false);
	mg_genl_close(&g);
	return err && err6 ? err : 0;
}

static void switch_on(struct mg_announce *a)
{
	int err = announce_both(a);

	if (err) {
		mg_warn("mptcp: cannot announce an address to join at: %s; sessions on ports that "
			"this host listens on keep one subflow",
			strerror(-err));
		return;
	}
	if (a->deny)
		return;
	err = mg_sysctl_write(MG_SYSCTL_JOIN_ANYWHERE, 0);
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

size_t mg_announce_list(struct mg_announce *a, struct mg_pm_endpoint *list)
{
	size_t n = 0;

	if (a->claim < 0)
		return 0;
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->n_signal; i++) {
		if (is_done(&a->signal[i]))
			list[n++] = wanted(a, i);
	}
	for (size_t i = 0; i < 2; i++) {
		if (a->own[i].id)
			list[n++] = a->own[i];
	}
	pthread_mutex_unlock(&a->lock);
	return n;
}

void mg_announce_close(struct mg_announce *a)
{
	struct mg_genl g;

	/* Never opened. */
	if (!a->names)
		return;
	if (a->claim >= 0 && (a->on || a->n_signal) &&
	    !mg_genl_open(&g, MPTCP_PM_NAME, MPTCP_PM_VER, NULL)) {
		remove_left(NULL, &g);
		mg_genl_close(&g);
	}
	for (size_t i = 0; i < a->n_signal; i++) {
		if (a->signal[i].io.fd < 0)
			continue;
		mg_loop_remove(a->loop, &a->signal[i].io);
		close(a->signal[i].io.fd);
	}
	if (a->claim >= 0 && (a->on || a->deny))
		mg_sysctl_write(MG_SYSCTL_JOIN_ANYWHERE, 1);
	if (a->claim >= 0)
		close(a->claim);
	free(a->names);
	pthread_mutex_destroy(&a->lock);
	*a = (struct mg_announce){ .claim = -1 };
}
