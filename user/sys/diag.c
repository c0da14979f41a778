// SPDX-License-Identifier: BSD-2-Clause
#include "sys/diag.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>

static void set_ip(__be32 to[4], const struct in6_addr *ip)
{
	if (mg_ip_is_v4(ip))
		memcpy(to, ip->s6_addr + 12, 4);
	else
		memcpy(to, ip, sizeof(*ip));
}

static int found(const struct nlmsghdr *nlh, void *data)
{
	if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct inet_diag_msg))
		return MNL_CB_OK;
	memcpy(data, mnl_nlmsg_get_payload(nlh), sizeof(struct inet_diag_msg));
	return MNL_CB_STOP;
}

/* One request; the answer, if it is a socket, in *out. */
static int ask(struct mnl_socket *nl, uint16_t type, uint16_t flags,
	       const struct inet_diag_req_v2 *req, struct inet_diag_msg *out)
{
	char buf[4096];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	unsigned int seq = (unsigned int)time(NULL) + type;
	ssize_t n;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = seq;
	memcpy(mnl_nlmsg_put_extra_header(nlh, sizeof(*req)), req, sizeof(*req));
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (n < 0 || mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), found, out) < 0)
		return -errno;
	return 0;
}

int mg_diag_end_time_wait(const struct mg_ep *local, const struct mg_ep *peer)
{
	struct inet_diag_req_v2 req = {
		.sdiag_family = mg_ip_is_v4(&local->ip) ? AF_INET : AF_INET6,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = 1U << TCP_TIME_WAIT,
		.id = { .idiag_sport = local->port,
			.idiag_dport = peer->port,
			.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
	};
	struct inet_diag_msg msg = { 0 };
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int err;

	if (!nl)
		return -errno;
	set_ip(req.id.idiag_src, &local->ip);
	set_ip(req.id.idiag_dst, &peer->ip);
	err = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0
		      ? -errno
		      : ask(nl, SOCK_DIAG_BY_FAMILY, 0, &req, &msg);
	/* Where there is no such connection, the kernel finds who would accept it. */
	if (!err && msg.idiag_state != TCP_TIME_WAIT)
		err = msg.idiag_state == TCP_LISTEN ? -ENOENT : -EBUSY;
	if (!err) {
		/* By its cookie: this socket, and no other that came since. */
		req.id = msg.id;
		err = ask(nl, SOCK_DESTROY, NLM_F_ACK, &req, &msg);
	}
	mnl_socket_close(nl);
	return err;
}
