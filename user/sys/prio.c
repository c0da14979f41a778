// SPDX-License-Identifier: BSD-2-Clause
#include "sys/prio.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/mptcp.h>
#include <string.h>

#include "base/log.h"
#include "sys/sysctl.h"

/* The same as path_manager, by number, and in older kernels as well. */
#define PM_TYPE	     "net/mptcp/pm_type"
#define PM_KERNEL    0
#define PM_USERSPACE 1
#define DISCARD_PORT 9

bool mg_prio_is_possible(void)
{
	return mg_sysctl_read(PM_TYPE, -1) >= 0;
}

int mg_prio_open(struct mg_prio *p)
{
	int err;

	memset(p, 0, sizeof(*p));
	pthread_mutex_init(&p->lock, NULL);
	err = mg_genl_open(&p->genl, MPTCP_PM_NAME, MPTCP_PM_VER, NULL);
	if (!err && !mg_prio_is_possible())
		err = -EOPNOTSUPP;
	p->open = p->works = !err;
	/* A killed daemon left it, perhaps: without one of its own, nothing is announced then. */
	p->on = p->open && mg_sysctl_read(PM_TYPE, PM_KERNEL) == PM_USERSPACE;
	return err;
}

void mg_prio_close(struct mg_prio *p)
{
	if (p->on)
		mg_sysctl_write(PM_TYPE, PM_KERNEL);
	if (p->open)
		mg_genl_close(&p->genl);
	p->on = p->open = false;
}

int mg_prio_manage(struct mg_prio *p, bool on)
{
	int err = p->open ? 0 : -EOPNOTSUPP;

	if (on == p->on)
		return 0;
	if (!err)
		err = mg_sysctl_write(PM_TYPE, on ? PM_USERSPACE : PM_KERNEL);
	if (err) {
		mg_warn("sysctl: net.mptcp.path_manager cannot be %s (%s): no subflow is made a "
			"backup; steering but by split is done by pacing alone",
			on ? "userspace" : "kernel", strerror(-err));
		p->works = false;
		return err;
	}
	p->on = on;
	mg_info("sysctl: net.mptcp.path_manager is %s: %s", on ? "userspace" : "kernel",
		on ? "policies say which subflows of a session are for backup"
		   : "no policy says which subflows are for backup");
	return 0;
}

static void put_address(struct nlmsghdr *nlh, uint16_t attribute, const struct mg_ep *ep,
			uint8_t id, uint32_t flags)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, attribute);
	bool v4 = mg_ip_is_v4(&ep->ip);

	mnl_attr_put_u16(nlh, MPTCP_PM_ADDR_ATTR_FAMILY, v4 ? AF_INET : AF_INET6);
	if (id)
		mnl_attr_put_u8(nlh, MPTCP_PM_ADDR_ATTR_ID, id);
	if (v4)
		mnl_attr_put(nlh, MPTCP_PM_ADDR_ATTR_ADDR4, 4, ep->ip.s6_addr + 12);
	else
		mnl_attr_put(nlh, MPTCP_PM_ADDR_ATTR_ADDR6, 16, &ep->ip);
	if (ep->port)
		mnl_attr_put_u16(nlh, MPTCP_PM_ADDR_ATTR_PORT, ntohs(ep->port));
	if (flags)
		mnl_attr_put_u32(nlh, MPTCP_PM_ADDR_ATTR_FLAGS, flags);
	mnl_attr_nest_end(nlh, nest);
}

static int set_flags_locked(struct mg_prio *p, uint32_t token, const struct mg_ep *local,
			    const struct mg_ep *remote, bool backup)
{
	struct nlmsghdr *nlh = mg_genl_request(&p->genl, MPTCP_PM_CMD_SET_FLAGS, NLM_F_ACK);

	mnl_attr_put_u32(nlh, MPTCP_PM_ATTR_TOKEN, token);
	put_address(nlh, MPTCP_PM_ATTR_ADDR, local, 0, backup ? MPTCP_PM_ADDR_FLAG_BACKUP : 0);
	put_address(nlh, MPTCP_PM_ATTR_ADDR_REMOTE, remote, 0, 0);
	return mg_genl_talk(&p->genl, nlh, NULL, NULL);
}

static int set_flags(struct mg_prio *p, uint32_t token, const struct mg_ep *local,
		     const struct mg_ep *remote, bool backup)
{
	int err;

	if (!p->open)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&p->lock);
	err = set_flags_locked(p, token, local, remote, backup);
	pthread_mutex_unlock(&p->lock);
	return err;
}

int mg_prio_set(struct mg_prio *p, uint32_t token, const struct mg_ep *local,
		const struct mg_ep *remote, bool backup)
{
	int err = set_flags(p, token, local, remote, backup);

	/* A session of the kernel's path manager, or a subflow that is gone */
	return err == -EINVAL ? -EOPNOTSUPP : err;
}

void mg_prio_joins(struct mg_prio *p, uint32_t token, const struct mg_ep *local, bool backup)
{
	struct mg_ep nobody = *local;

	/* The kernel keeps the flag with the address before it looks for the subflow, and does not
	 * find this one. */
	nobody.port = htons(DISCARD_PORT);
	set_flags(p, token, local, &nobody, backup);
}

int mg_prio_announce(struct mg_prio *p, uint32_t token, uint8_t id, const struct mg_ep *ep,
		     bool backup)
{
	uint32_t flags = MPTCP_PM_ADDR_FLAG_SIGNAL | (backup ? MPTCP_PM_ADDR_FLAG_BACKUP : 0);
	struct nlmsghdr *nlh;
	int err;

	if (!p->open)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&p->lock);
	nlh = mg_genl_request(&p->genl, MPTCP_PM_CMD_ANNOUNCE, NLM_F_ACK);
	mnl_attr_put_u32(nlh, MPTCP_PM_ATTR_TOKEN, token);
	put_address(nlh, MPTCP_PM_ATTR_ADDR, ep, id, flags);
	err = mg_genl_talk(&p->genl, nlh, NULL, NULL);
	pthread_mutex_unlock(&p->lock);
	return err;
}

static struct mg_prio_waiting **bucket(struct mg_prio *p, uint32_t token)
{
	return &p->waiting[token % MG_PRIO_BUCKETS];
}

void mg_prio_wait(struct mg_prio *p, struct mg_prio_waiting *w, uint32_t token)
{
	if (w->listed || !p->open)
		return;
	pthread_mutex_lock(&p->lock);
	w->token = token;
	w->next = *bucket(p, token);
	*bucket(p, token) = w;
	w->listed = true;
	pthread_mutex_unlock(&p->lock);
}

void mg_prio_wait_no_more(struct mg_prio *p, struct mg_prio_waiting *w)
{
	struct mg_prio_waiting **at;

	if (!w->listed)
		return;
	pthread_mutex_lock(&p->lock);
	for (at = bucket(p, w->token); *at && *at != w; at = &(*at)->next)
		;
	if (*at)
		*at = w->next;
	w->listed = false;
	pthread_mutex_unlock(&p->lock);
}

static struct mg_ep *find(struct mg_ep *list, unsigned int n, const struct mg_ep *remote)
{
	for (unsigned int i = 0; i < n; i++) {
		if (mg_ep_equal(&list[i], remote))
			return &list[i];
	}
	return NULL;
}

static struct mg_ep *find_asked(struct mg_prio_waiting *w, const struct mg_ep *remote)
{
	return find(w->asked, w->n_asked, remote);
}

static void note_asked(struct mg_prio_waiting *w, const struct mg_ep *remote)
{
	if (find_asked(w, remote))
		return;
	/* With no room left, whoever looks at them has long seen the old ones. */
	if (w->n_asked == MG_PRIO_CARRY_MAX)
		w->n_asked = 0;
	w->asked[w->n_asked++] = *remote;
}

void mg_prio_carries(struct mg_prio *p, struct mg_prio_waiting *w, const struct mg_ep *remote,
		     bool carries)
{
	struct mg_ep *found, *asked;

	if (!p->open)
		return;
	pthread_mutex_lock(&p->lock);
	found = find(w->carries, w->n_carries, remote);
	asked = find_asked(w, remote);
	if (asked && carries)
		*asked = w->asked[--w->n_asked];
	if (found && !carries)
		*found = w->carries[--w->n_carries];
	/* With no room left, an old one's event has come and gone. */
	if (!found && carries && w->n_carries == MG_PRIO_CARRY_MAX)
		w->n_carries = 0;
	if (!found && carries)
		w->carries[w->n_carries++] = *remote;
	pthread_mutex_unlock(&p->lock);
}

void mg_prio_joined(struct mg_prio *p, uint32_t token, const struct mg_ep *local,
		    const struct mg_ep *remote)
{
	struct mg_prio_waiting *w;

	if (!p->open)
		return;
	/* Locked until it is said, so that nobody says the opposite in between. */
	pthread_mutex_lock(&p->lock);
	for (w = *bucket(p, token); w && w->token != token; w = w->next)
		;
	if (w && !find(w->carries, w->n_carries, remote) &&
	    !set_flags_locked(p, token, local, remote, true))
		note_asked(w, remote);
	pthread_mutex_unlock(&p->lock);
}

bool mg_prio_was_asked(struct mg_prio *p, struct mg_prio_waiting *w, const struct mg_ep *remote)
{
	bool asked;

	if (!p->open)
		return false;
	pthread_mutex_lock(&p->lock);
	asked = find_asked(w, remote);
	pthread_mutex_unlock(&p->lock);
	return asked;
}
