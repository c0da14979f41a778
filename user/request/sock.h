/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket calls of a connection attempt. None of them waits, whatever the socket's blocking
 * mode. Addresses are given in the family of the socket: an IPv6 socket may be told to speak IPv4.
 */
#ifndef MG_REQUEST_SOCK_H
#define MG_REQUEST_SOCK_H

#include <linux/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/addr.h"

/* 0 when it is under way, or -errno. */
int mg_csock_connect(int fd, const struct mg_ep *peer);
/* With data for the SYN: how many bytes the kernel took for it (0 without fast open), or -errno. */
ssize_t mg_csock_connect_with(int fd, const struct mg_ep *peer, const void *data, size_t len);
/* How the handshake stands: 0, or the error it ended with. */
int mg_csock_tcp_info(int fd, struct tcp_info *info);
bool mg_csock_speaks_mptcp(int fd);

#endif
