// SPDX-License-Identifier: BSD-2-Clause
#include "sys/probe.h"

#include <arpa/inet.h>
#include <linux/mptcp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/mptcp.h"
#include "sys/sock.h"

#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define PROBE_WAIT_MS 500

static const struct {
	const char *label, *lost;
} features[] = {
#define X(sym, label, lost) [MG_FEATURE_##sym] = { #label, lost },
	MG_FEATURES(X)
#undef X
};

static bool acknowledged_syn_data(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct tcp_info info = { 0 };
	struct mg_mptcp_state m;
	socklen_t len = sizeof(info);

	return poll(&p, 1, PROBE_WAIT_MS) == 1 &&
	       !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       (info.tcpi_options & TCPI_OPT_SYN_DATA) && !mg_mptcp_read(fd, &m) && !m.fallback;
}

/* One connection over loopback, just as a UE's would be; the answer proves that it is MPTCP. */
static bool probe_syn_data(void)
{
	const int on = 1;
	struct mg_ep ep, peer;
	struct sockaddr_storage ss;
	struct pollfd p = { .events = POLLIN };
	bool mptcp = false, good = false;
	int listener, client, server = -1;
	socklen_t len;

	mg_ip_parse(&ep.ip, "127.0.0.1");
	ep.port = 0;
	listener = mg_sock_listen(&ep, 8, &mptcp);
	if (listener < 0)
		return false;
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (client >= 0 && mptcp && !mg_sock_local(listener, &ep) &&
	    !setsockopt(client, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &on, sizeof(on))) {
		len = mg_ep_to_sockaddr(&ep, &ss);
		p.fd = listener;
		if (sendto(client, "?", 1, MSG_FASTOPEN | MSG_DONTWAIT, (struct sockaddr *)&ss,
			   len) == 1 &&
		    poll(&p, 1, PROBE_WAIT_MS) == 1)
			server = mg_sock_accept(listener, &peer, &mptcp);
		good = server >= 0 && mptcp && send(server, "!", 1, MSG_NOSIGNAL) == 1 &&
		       acknowledged_syn_data(client);
	}
	if (server >= 0)
		mg_sock_abort(server);
	if (client >= 0)
		mg_sock_abort(client);
	close(listener);
	return good;
}

void mg_probe_sockets(struct mg_features *f)
{
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	f->have[MG_FEATURE_MPTCP] = fd >= 0;
	if (fd >= 0)
		close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	f->have[MG_FEATURE_TRANSPARENT_SOURCE] =
		fd >= 0 && !setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on));
	if (fd >= 0)
		close(fd);
	f->have[MG_FEATURE_MPTCP_SYN_DATA] = f->have[MG_FEATURE_MPTCP] && probe_syn_data();
}

const char *mg_feature_label(enum mg_feature feature)
{
	return features[feature].label;
}

const char *mg_feature_lost(enum mg_feature feature)
{
	return features[feature].lost;
}

void mg_features_log(const struct mg_features *f)
{
	for (int i = 0; i < MG_FEATURE_COUNT; i++) {
		if (!f->have[i])
			mg_info("feature %s is missing here: %s", features[i].label,
				features[i].lost);
	}
}
