// SPDX-License-Identifier: BSD-2-Clause
#include "sys/pm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <stdlib.h>
#include <string.h>

#include "sys/genl.h"

/* Bursts of short sessions: room for about ten thousand events. */
#define RECEIVE_BYTES (4 * 1024 * 1024)

struct mg_pm {
	struct mg_genl genl;
};

int mg_pm_open(struct mg_pm **out)
{
	struct mg_pm *pm = calloc(1, sizeof(*pm));
	int bytes = RECEIVE_BYTES, err;

	if (!pm)
		return -ENOMEM;
	err = mg_genl_open(&pm->genl, MPTCP_PM_NAME, MPTCP_PM_VER, MPTCP_PM_EV_GRP_NAME);
	if (!err && mnl_socket_setsockopt(pm->genl.nl, NETLINK_ADD_MEMBERSHIP, &pm->genl.group,
					  sizeof(pm->genl.group)))
		err = -errno;
	if (err) {
		mg_pm_close(pm);
		return err;
	}
	if (setsockopt(mg_pm_fd(pm), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(mg_pm_fd(pm), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	fcntl(mg_pm_fd(pm), F_SETFL, O_NONBLOCK);
	*out = pm;
	return 0;
}

void mg_pm_close(struct mg_pm *pm)
{
	if (!pm)
		return;
	mg_genl_close(&pm->genl);
	free(pm);
}

int mg_pm_fd(const struct mg_pm *pm)
{
	return mnl_socket_get_fd(pm->genl.nl);
}

static void set_v4(struct mg_ep *ep, const struct nlattr *a)
{
	if (mnl_attr_get_payload_len(a) != 4)
		return;
	memset(ep->ip.s6_addr, 0, 10);
	memset(ep->ip.s6_addr + 10, 0xff, 2);
	memcpy(ep->ip.s6_addr + 12, mnl_attr_get_payload(a), 4);
}

static void set_v6(struct mg_ep *ep, const struct nlattr *a)
{
	if (mnl_attr_get_payload_len(a) == sizeof(ep->ip))
		memcpy(&ep->ip, mnl_attr_get_payload(a), sizeof(ep->ip));
}

static void set_attribute(struct mg_pm_event *ev, const struct nlattr *a)
{
	switch (mnl_attr_get_type(a)) {
	case MPTCP_ATTR_TOKEN:
		ev->token = mnl_attr_get_u32(a);
		break;
	case MPTCP_ATTR_SADDR4:
		set_v4(&ev->local, a);
		break;
	case MPTCP_ATTR_DADDR4:
		set_v4(&ev->remote, a);
		break;
	case MPTCP_ATTR_SADDR6:
		set_v6(&ev->local, a);
		break;
	case MPTCP_ATTR_DADDR6:
		set_v6(&ev->remote, a);
		break;
	case MPTCP_ATTR_SPORT:
		ev->local.port = mnl_attr_get_u16(a);
		break;
	case MPTCP_ATTR_DPORT:
		ev->remote.port = mnl_attr_get_u16(a);
		break;
	case MPTCP_ATTR_BACKUP:
		ev->backup = mnl_attr_get_u8(a);
		break;
	case MPTCP_ATTR_SERVER_SIDE:
		ev->server_side = mnl_attr_get_u8(a);
		break;
	default:
		break;
	}
}

static bool kind_of(uint8_t cmd, enum mg_pm_kind *kind)
{
	switch (cmd) {
	case MPTCP_EVENT_CREATED:
		*kind = MG_PM_CREATED;
		return true;
	case MPTCP_EVENT_ESTABLISHED:
		*kind = MG_PM_ESTABLISHED;
		return true;
	case MPTCP_EVENT_CLOSED:
		*kind = MG_PM_CLOSED;
		return true;
	case MPTCP_EVENT_SUB_ESTABLISHED:
		*kind = MG_PM_SUBFLOW_UP;
		return true;
	case MPTCP_EVENT_SUB_CLOSED:
		*kind = MG_PM_SUBFLOW_DOWN;
		return true;
	case MPTCP_EVENT_SUB_PRIORITY:
		*kind = MG_PM_SUBFLOW_PRIORITY;
		return true;
	default:
		return false;
	}
}

struct reader {
	void (*fn)(void *ctx, const struct mg_pm_event *ev);
	void *ctx;
};

static int one_event(const struct nlmsghdr *nlh, void *data)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);
	struct mg_pm_event ev = { 0 };
	const struct reader *r = data;
	const struct nlattr *a;

	if (!kind_of(genl->cmd, &ev.kind))
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(*genl)) set_attribute(&ev, a);
	r->fn(r->ctx, &ev);
	return MNL_CB_OK;
}

void mg_pm_read(struct mg_pm *pm, void (*fn)(void *ctx, const struct mg_pm_event *ev), void *ctx)
{
	struct reader r = { fn, ctx };

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(pm->genl.nl, pm->genl.buf, sizeof(pm->genl.buf));

		if (n > 0) {
			mnl_cb_run(pm->genl.buf, (size_t)n, 0, 0, one_event, &r);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			struct mg_pm_event lost = { .kind = MG_PM_LOST };

			fn(ctx, &lost);
			continue;
		}
		return;
	}
}
