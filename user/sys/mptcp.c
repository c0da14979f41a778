// SPDX-License-Identifier: BSD-2-Clause
#include "sys/mptcp.h"

#include <errno.h>
#include <linux/mptcp.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sys/sock.h"

#ifndef SOL_MPTCP
#define SOL_MPTCP 284
#endif

int mg_mptcp_read(int fd, struct mg_mptcp_state *state)
{
	struct mptcp_info info = { 0 };
	socklen_t len = sizeof(info);

	*state = (struct mg_mptcp_state){ 0 };
	if (getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &len))
		return -errno;
	state->fallback = info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK;
	state->token = info.mptcpi_token;
	return 0;
}

int mg_mptcp_received_bytes(int fd, uint64_t *bytes)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return -errno;
	if (len < offsetof(struct tcp_info, tcpi_bytes_received) +
			    sizeof(info.tcpi_bytes_received) ||
	    !info.tcpi_bytes_received)
		return -EOPNOTSUPP;
	*bytes = info.tcpi_bytes_received - 1; /* the FIN counts as one */
	return 0;
}

int mg_mptcp_subflows(int fd, struct mg_mptcp_subflow *list, size_t max)
{
	struct {
		struct mptcp_subflow_data head;
		struct mptcp_subflow_addrs addrs[MG_MPTCP_SUBFLOWS_MAX];
	} reply = { .head = { .size_subflow_data = sizeof(reply.head),
			      .size_user = sizeof(reply.addrs[0]) } };
	socklen_t len = sizeof(reply);
	size_t n;

	if (getsockopt(fd, SOL_MPTCP, MPTCP_SUBFLOW_ADDRS, &reply, &len)) {
		if (errno != EOPNOTSUPP && errno != ENOPROTOOPT)
			return -errno;
		if (max < 1 || mg_sock_local(fd, &list[0].local) ||
		    mg_sock_peer(fd, &list[0].remote))
			return 0;
		return 1;
	}
	n = reply.head.num_subflows;
	if (n > max)
		n = max;
	if (n > MG_MPTCP_SUBFLOWS_MAX)
		n = MG_MPTCP_SUBFLOWS_MAX;
	for (size_t i = 0; i < n; i++) {
		struct sockaddr_storage ss;

		memcpy(&ss, &reply.addrs[i].ss_local, sizeof(ss));
		mg_ep_from_sockaddr(&list[i].local, (struct sockaddr *)&ss);
		memcpy(&ss, &reply.addrs[i].ss_remote, sizeof(ss));
		mg_ep_from_sockaddr(&list[i].remote, (struct sockaddr *)&ss);
	}
	return (int)n;
}

static void read_path(struct mg_mptcp_path *p, const struct tcp_info *info)
{
	p->sent_bytes = info->tcpi_bytes_sent;
	p->resent_bytes = info->tcpi_bytes_retrans;
	p->received_bytes = info->tcpi_bytes_received;
	p->unsent_bytes = info->tcpi_notsent_bytes;
	p->held_bytes = p->unsent_bytes + (uint64_t)info->tcpi_unacked * info->tcpi_snd_mss;
	p->rtt_us = info->tcpi_rtt;
	p->timeouts = info->tcpi_unacked ? info->tcpi_retransmits : 0;
	p->silent_ms = info->tcpi_last_ack_recv;
}

int mg_mptcp_paths(int fd, struct mg_mptcp_path *list, size_t max)
{
	struct {
		struct mptcp_subflow_data head;
		struct tcp_info info[MG_MPTCP_SUBFLOWS_MAX];
	} reply = { .head = { .size_subflow_data = sizeof(reply.head),
			      .size_user = sizeof(reply.info[0]) } };
	struct mg_mptcp_subflow ends[MG_MPTCP_SUBFLOWS_MAX];
	socklen_t len = sizeof(reply);
	int n;

	if (getsockopt(fd, SOL_MPTCP, MPTCP_TCPINFO, &reply, &len))
		return errno == EOPNOTSUPP || errno == ENOPROTOOPT ? 0 : -errno;
	n = mg_mptcp_subflows(fd, ends, MG_MPTCP_SUBFLOWS_MAX);
	/* Both go through them in the same order. One more or one less: the next look tells. */
	if (n < 0 || n != (int)reply.head.num_subflows)
		return n < 0 ? n : 0;
	if ((size_t)n > max)
		n = (int)max;
	for (int i = 0; i < n; i++) {
		list[i].ends = ends[i];
		read_path(&list[i], &reply.info[i]);
	}
	return n;
}

uint64_t mg_mptcp_unsent_bytes(int fd)
{
	int bytes = 0;

	return !ioctl(fd, SIOCOUTQNSD, &bytes) && bytes > 0 ? (uint64_t)bytes : 0;
}

int mg_mptcp_set_send_buffer(int fd, uint32_t bytes)
{
	int half = (int)(bytes / 2); /* the kernel doubles what it is told */

	return setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &half, sizeof(half)) ? -errno : 0;
}
