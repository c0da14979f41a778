// SPDX-License-Identifier: BSD-2-Clause
#include "sys/diag.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/mptcp.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
/* The kernel fills as much as is given, up to 32 KiB. */
#define DUMP_BYTES 32768

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

static struct inet_diag_req_v2 connection(const struct mg_ep *local, const struct mg_ep *peer,
					  uint32_t states)
{
	struct inet_diag_req_v2 req = {
		.sdiag_family = mg_ip_is_v4(&local->ip) ? AF_INET : AF_INET6,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = states,
		.id = { .idiag_sport = local->port,
			.idiag_dport = peer->port,
			.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
	};

	set_ip(req.id.idiag_src, &local->ip);
	set_ip(req.id.idiag_dst, &peer->ip);
	return req;
}

/* Where there is no such connection, the kernel finds who would accept it. */
static int judge_time_wait(uint8_t state)
{
	if (state == TCP_TIME_WAIT)
		return 0;
	return state == TCP_LISTEN ? -ENOENT : -EBUSY;
}

static int judge_living(uint8_t state)
{
	return state == TCP_LISTEN || state == TCP_TIME_WAIT ? -ENOENT : 0;
}

static int end(struct inet_diag_req_v2 *req, int (*judge)(uint8_t state))
{
	struct inet_diag_msg msg = { 0 };
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int err;

	if (!nl)
		return -errno;
	err = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0
		      ? -errno
		      : ask(nl, SOCK_DIAG_BY_FAMILY, 0, req, &msg);
	if (!err)
		err = judge(msg.idiag_state);
	if (!err) {
		/* By its cookie: this socket, and no other that came since. */
		req->id = msg.id;
		err = ask(nl, SOCK_DESTROY, NLM_F_ACK, req, &msg);
	}
	mnl_socket_close(nl);
	return err;
}

int mg_diag_end_time_wait(const struct mg_ep *local, const struct mg_ep *peer)
{
	struct inet_diag_req_v2 req = connection(local, peer, 1U << TCP_TIME_WAIT);

	return end(&req, judge_time_wait);
}

int mg_diag_end_connection(const struct mg_ep *local, const struct mg_ep *peer)
{
	struct inet_diag_req_v2 req = connection(local, peer, ~0U);

	return end(&req, judge_living);
}

/* ---- all at one address and port ---------------------------------------------------------------
 */
struct ender {
	struct mnl_socket *nl; /* another one than the dump comes on */
	struct inet_diag_req_v2 req;
	__be32 src[4];
	int n, err;
};

static int end_one(const struct nlmsghdr *nlh, void *data)
{
	struct ender *e = data;
	struct inet_diag_msg msg = { 0 };

	if (found(nlh, &msg) != MNL_CB_STOP)
		return MNL_CB_OK;
	/* Kernels differ in whether a dump goes by address and port. */
	if (msg.idiag_state != TCP_TIME_WAIT || msg.id.idiag_sport != e->req.id.idiag_sport ||
	    memcmp(msg.id.idiag_src, e->src, e->req.sdiag_family == AF_INET ? 4 : 16) != 0)
		return MNL_CB_OK;
	e->req.id = msg.id;
	e->err = ask(e->nl, SOCK_DESTROY, NLM_F_ACK, &e->req, &msg);
	e->n += !e->err;
	return e->err && e->err != -ENOENT ? MNL_CB_ERROR : MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, struct ender *e)
{
	char buf[32768];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	int more;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	memcpy(mnl_nlmsg_put_extra_header(nlh, sizeof(e->req)), &e->req, sizeof(e->req));
	more = mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0 ? -1 : 1;
	/* One part of the answer at a time; the kernel ends it. */
	while (more > 0) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));

		more = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, 0, 0, end_one, e);
	}
	return more < 0 ? -errno : 0;
}

int mg_diag_end_time_waits(const struct mg_ep *local)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct ender e = {
		.nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC),
		.req = {
			.sdiag_family = mg_ip_is_v4(&local->ip) ? AF_INET : AF_INET6,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = 1U << TCP_TIME_WAIT,
			.id = { .idiag_sport = local->port },
		},
	};
	int err = nl && e.nl ? 0 : -errno;

	set_ip(e.src, &local->ip);
	if (!err && (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
		     mnl_socket_bind(e.nl, 0, MNL_SOCKET_AUTOPID) < 0))
		err = -errno;
	if (!err)
		err = dump(nl, &e);
	if (e.nl)
		mnl_socket_close(e.nl);
	if (nl)
		mnl_socket_close(nl);
	if (e.err && e.err != -ENOENT)
		return e.err;
	return err ? err : e.n;
}

struct tokens {
	void (*fn)(void *ctx, uint32_t token);
	void *ctx;
};

/* Kernels differ in how much of the record they have. */
static int token_found(const struct nlmsghdr *nlh, void *data)
{
	const struct tokens *t = data;
	const struct nlattr *a;
	struct mptcp_info info = { 0 };
	size_t len;

	if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct inet_diag_msg))
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(struct inet_diag_msg))
	{
		if (mnl_attr_get_type(a) != INET_DIAG_INFO)
			continue;
		len = mnl_attr_get_payload_len(a);
		memcpy(&info, mnl_attr_get_payload(a), len < sizeof(info) ? len : sizeof(info));
	}
	if (info.mptcpi_token && !(info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK))
		t->fn(t->ctx, info.mptcpi_token);
	return MNL_CB_OK;
}

static int ask_for_tokens(struct mnl_socket *nl, uint8_t family, uint32_t seq)
{
	/* The protocol's number is too large for its field: an attribute says it. */
	const struct inet_diag_req_v2 req = {
		.sdiag_family = family,
		.sdiag_protocol = IPPROTO_RAW,
		.idiag_ext = 1U << (INET_DIAG_INFO - 1),
		.idiag_states = ~(1U << TCP_LISTEN | 1U << TCP_CLOSE | 1U << TCP_TIME_WAIT),
	};
	char buf[MNL_ALIGN(sizeof(struct nlmsghdr)) + MNL_ALIGN(sizeof(req)) + 64] = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	memcpy(mnl_nlmsg_put_extra_header(nlh, sizeof(req)), &req, sizeof(req));
	mnl_attr_put_u32(nlh, INET_DIAG_REQ_PROTOCOL, IPPROTO_MPTCP);
	return mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0 ? -errno : 0;
}

static int read_tokens(struct mnl_socket *nl, uint32_t seq, struct tokens *t)
{
	char *buf = malloc(DUMP_BYTES);
	int more = buf ? MNL_CB_OK : MNL_CB_ERROR;
	int err = buf ? 0 : -ENOMEM;

	while (more > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, DUMP_BYTES);

		more = n < 0 ? MNL_CB_ERROR
			     : mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl),
					  token_found, t);
		if (more < 0)
			err = -errno;
	}
	free(buf);
	return err;
}

int mg_diag_mptcp_tokens(void (*fn)(void *ctx, uint32_t token), void *ctx)
{
	/* Of the socket: IPv4 at one for both counts as IPv6. */
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct tokens t = { fn, ctx };
	uint32_t seq = (uint32_t)time(NULL);
	int err;

	if (!nl)
		return -errno;
	err = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	for (size_t i = 0; !err && i < sizeof(families); i++) {
		err = ask_for_tokens(nl, families[i], ++seq);
		if (!err)
			err = read_tokens(nl, seq, &t);
	}
	mnl_socket_close(nl);
	return err;
}
