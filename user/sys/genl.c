// SPDX-License-Identifier: BSD-2-Clause
#include "sys/genl.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <stddef.h>
#include <string.h>

struct wanted {
	struct mg_genl *g;
	const char *group;
};

/* The attributes of a family's multicast groups, CTRL_ATTR_MCAST_GROUPS. */
static void find_group(const struct nlattr *groups, struct wanted *w)
{
	const struct nlattr *group, *a;

	mnl_attr_for_each_nested(group, groups)
	{
		const char *name = "";
		uint32_t id = 0;

		mnl_attr_for_each_nested(a, group)
		{
			if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GRP_NAME)
				name = mnl_attr_get_str(a);
			else if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GRP_ID)
				id = mnl_attr_get_u32(a);
		}
		if (w->group && strcmp(name, w->group) == 0)
			w->g->group = id;
	}
}

static int family_answer(const struct nlmsghdr *nlh, void *data)
{
	struct wanted *w = data;
	const struct nlattr *a;

	mnl_attr_for_each(a, nlh, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID)
			w->g->family = mnl_attr_get_u16(a);
		else if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GROUPS)
			find_group(a, w);
	}
	return MNL_CB_OK;
}

static int resolve(struct mg_genl *g, const char *family, const char *group)
{
	struct wanted w = { g, group };
	struct nlmsghdr *nlh;
	int err;

	g->family = GENL_ID_CTRL;
	nlh = mg_genl_request(g, CTRL_CMD_GETFAMILY, NLM_F_ACK);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, family);
	err = mg_genl_talk(g, nlh, family_answer, &w);
	return !err && group && !g->group ? -ENOENT : err;
}

int mg_genl_open(struct mg_genl *g, const char *family, uint8_t version, const char *group)
{
	int err = 0;

	memset(g, 0, offsetof(struct mg_genl, buf));
	g->nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!g->nl)
		return -errno;
	g->version = 1; /* the controller's */
	if (mnl_socket_bind(g->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		err = -errno;
	if (!err)
		err = resolve(g, family, group);
	g->version = version;
	if (err)
		mg_genl_close(g);
	return err;
}

void mg_genl_close(struct mg_genl *g)
{
	if (g->nl)
		mnl_socket_close(g->nl);
	g->nl = NULL;
}

struct nlmsghdr *mg_genl_request(struct mg_genl *g, uint8_t command, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(g->buf);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = g->family;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++g->seq;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = command;
	genl->version = g->version;
	return nlh;
}

int mg_genl_talk(struct mg_genl *g, struct nlmsghdr *nlh, mnl_cb_t fn, void *ctx)
{
	unsigned int port = mnl_socket_get_portid(g->nl);
	uint32_t seq = nlh->nlmsg_seq;
	int more;

	if (mnl_socket_sendto(g->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t n = mnl_socket_recvfrom(g->nl, g->buf, sizeof(g->buf));

		more = n < 0 ? -1 : mnl_cb_run(g->buf, (size_t)n, seq, port, fn, ctx);
	} while (more > 0);
	return more < 0 ? -errno : 0;
}
