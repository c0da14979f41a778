/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection attempt through a converter, as a state machine that never blocks:
 *
 *   CONNECTING  SYN sent (with the Convert message), waiting for the handshake
 *   TALKING     the rest of the message goes out, the answer comes in
 *   DIRECT      the converter is of no use, MPGATE_FALLBACK: plain TCP to the destination
 *   DONE/FAILED
 *
 * An attempt may be repeated on a new socket (cookie asked for, cookie expired, fallback). The
 * socket comes from the hooks, so that the preload shim can put it where the program expects it.
 */
#ifndef MG_CLIENT_CONN_H
#define MG_CLIENT_CONN_H

#include "mpgate/mpgate.h"
#include "wire/convert.h"

struct mg_conn_hooks {
	/*
	 * A stream socket, of any blocking mode. old is the socket it takes the place of, to be
	 * closed with a reset, or -1. Returns the new one or -errno (old is then closed as well).
	 */
	int (*open)(void *arg, int family, int protocol, int old);
	/* The last socket of a failed attempt: to be closed with a reset. */
	void (*close)(void *arg, int fd);
	void *arg;
};

/* As mpgate_start; hooks may be NULL for plain sockets. */
int mg_conn_start(struct mpgate_conn **conn, const struct mpgate_options *options,
		  const struct sockaddr *dest, const void *data, size_t data_len,
		  const struct mg_conn_hooks *hooks);

/* Asks what may be used, `ask` being the value of a Provision TLV that outlives conn; there is no
 * connection at the end of it, only what mg_conn_answer gives. */
int mg_conn_ask(struct mpgate_conn **conn, const struct mpgate_options *options,
		struct mg_span ask);
/* When mpgate_step said 0; it lies in conn. */
struct mg_span mg_conn_answer(const struct mpgate_conn *conn);

/* 0, or what mpgate_start says of arguments that make no sense. */
int mg_options_check(const struct mpgate_options *o, const struct sockaddr *dest, size_t data_len);

/* The outcome so far, without ending anything. */
void mg_conn_result(const struct mpgate_conn *conn, struct mpgate_result *result);

/* Frees conn alone; the socket stays as it is. */
void mg_conn_free(struct mpgate_conn *conn);

#endif
