/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sock_diag: what a closed connection leaves behind for a minute, and which MPTCP sessions there
 * are.
 */
#ifndef MG_SYS_DIAG_H
#define MG_SYS_DIAG_H

#include <stdint.h>

#include "base/addr.h"

/*
 * Ends the TIME_WAIT of the TCP connection local -> peer of this network namespace. The peer has
 * begun a new one from the same port, which it may (RFC 9293 section 3.6.1); TC's own ways in do
 * not know of that. 0, -ENOENT if there is none, -EBUSY if it is in another
 * state, or -errno: kernels without SOCK_DESTROY, or without it for TIME_WAIT, say -EOPNOTSUPP.
 * Needs CAP_NET_ADMIN.
 */
int mg_diag_end_time_wait(const struct mg_ep *local, const struct mg_ep *peer);

/*
 * Ends a TCP connection, or a subflow of MPTCP, whoever has its socket: the peer gets a RST (of a
 * subflow with MP_TCPRST where the kernel puts one there), its owner ECONNABORTED, an MPTCP session
 * one subflow less. 0, -ENOENT or -errno as above. Any thread.
 */
int mg_diag_end_connection(const struct mg_ep *local, const struct mg_ep *peer);

/*
 * Our token of each MPTCP session of this network namespace that still is one: neither listening
 * nor fallen back to TCP. 0, -ENOENT on kernels without it, or -errno, in the middle too: what fn
 * was told then is not all.
 */
int mg_diag_mptcp_tokens(void (*fn)(void *ctx, uint32_t token), void *ctx);
/* All of them at one address and port, so that it can be listened at: who set no SO_REUSEADDR, as
 * the kernel itself does not, is refused it otherwise. How many, or -errno as above. */
int mg_diag_end_time_waits(const struct mg_ep *local);

#endif
