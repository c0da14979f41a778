/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stream sockets, MPTCP or TCP, the way mpgate uses them: never blocking, closed on exec.
 */
#ifndef MG_SYS_SOCK_H
#define MG_SYS_SOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * An MPTCP listener (TCP where the kernel has no MPTCP) that shares its port with the listeners of
 * other workers and takes SYN data without a cookie, `fastopen_queue` such SYNs at a time.
 * Returns the fd or -errno; *mptcp tells which it became.
 */
int mg_sock_listen(const struct mg_ep *ep, int fastopen_queue, bool *mptcp);
/*
 * The same, but alone on its port, and for connections to any address (IP_TRANSPARENT; needs
 * CAP_NET_ADMIN): those that TC assigns to it. -EADDRINUSE when the host itself listens there.
 */
int mg_sock_listen_transparent(const struct mg_ep *ep, int fastopen_queue, bool *mptcp);

/*
 * Sessions leave the last descriptors of RLIMIT_NOFILE to the daemon itself (control clients,
 * netlink, files): an eighth, 128 at most. Nothing is kept before this is called, once, with one
 * thread.
 */
void mg_sock_keep_reserve(void);
bool mg_sock_in_reserve(int fd);
/* May so many more be opened, without the reserve? */
bool mg_sock_has_room(unsigned int more);

/* The fd or -errno; *mptcp: the client's handshake carried MP_CAPABLE. */
int mg_sock_accept(int listen_fd, struct mg_ep *peer, bool *mptcp);

/* A socket towards peer, TCP where the kernel has no MPTCP, not connected yet; or -errno. */
int mg_sock_new(const struct mg_ep *peer, bool mptcp);
/*
 * Starts connecting to `peer`. With `source`, from that address and, if it is free, that port
 * (IP_TRANSPARENT: the address need not be ours; needs CAP_NET_ADMIN); families must agree.
 * Returns 0 (connected or on the way) with *fd, or -errno.
 */
int mg_sock_connect(int *fd, const struct mg_ep *peer, const struct mg_ep *source, bool mptcp);
/* From that address, and any port that is free towards this peer: -EADDRNOTAVAIL if none is. */
int mg_sock_connect_from(int *fd, const struct mg_ep *peer, const struct in6_addr *source,
			 bool mptcp);
/* From exactly that address and port, or not at all: -EADDRINUSE, -EADDRNOTAVAIL, -EACCES. */
int mg_sock_connect_port(int *fd, const struct mg_ep *peer, const struct mg_ep *source, bool mptcp);
/* The same, where a connection that was before, and is over, gives way. */
int mg_sock_connect_exact(int *fd, const struct mg_ep *peer, const struct mg_ep *source,
			  bool mptcp);

/* Why a connection did not come about. */
struct mg_sock_failure {
	int err;	   /* positive errno; 0: it did come about */
	bool icmp;	   /* an ICMP error said so… */
	uint8_t icmp_code; /* …with this code, as received (ICMPv4 or ICMPv6) */
};
/* From here on an ICMP error is only what TCP makes of it. */
void mg_sock_connect_result(int fd, struct mg_sock_failure *why);
/* How often the SYN of a connection that just came about was repeated; 0 if that cannot be told.
 * From net.mptcp.syn_retrans_before_tcp_fallback on Linux repeats it without MP_CAPABLE. */
unsigned int mg_sock_syn_repeats(int fd);
/* The ICMP code closest to an errno, for where no ICMP message was seen. */
uint8_t mg_sock_icmp_code(int err, bool v4);

/*
 * A connection accepted at its SYN (SYN data) is usable before its handshake is over. MPTCP keeps
 * what is written until then, and does not look at it again when the third ACK comes: epoll tells
 * of that (EPOLLOUT, if the send buffer has room), and mg_sock_push sends what was kept.
 */
bool mg_sock_in_handshake(int fd);
void mg_sock_push(int fd);

/* Closes with RST, or MP_FASTCLOSE on all subflows. */
void mg_sock_abort(int fd);
/* Bytes the peer has not acknowledged yet; 0 if that cannot be told. */
int mg_sock_unacked_bytes(int fd);

int mg_sock_local(int fd, struct mg_ep *ep);
int mg_sock_peer(int fd, struct mg_ep *ep);

#endif
