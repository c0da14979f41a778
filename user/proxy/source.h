/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server, and whoever asks later, sees of a session with a shared address: the external
 * address and port it has, the log of it, and the PROXY header that tells the client's own.
 */
#ifndef MG_PROXY_SOURCE_H
#define MG_PROXY_SOURCE_H

#include <stdbool.h>

struct mg_session;

/* Starts connecting from an address of the pool, or, without a pool, from this host's own. As
 * mg_sock_connect; -EUSERS: no port is left for this subscriber. */
int mg_source_connect(struct mg_session *s);
/* The session is over: its address is given back, its last line written. */
void mg_source_leave(struct mg_session *s);
/* The server accepted: the PROXY header goes first, if a policy or a service wants it. False
 * without memory. */
bool mg_source_introduce(struct mg_session *s);

#endif
