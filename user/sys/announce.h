/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another way in for further subflows, for connections whose own port this host itself listens on:
 * the kernel takes an MP_JOIN only at a listener of the connection's port, or at an address and
 * port that it has announced. So this announces one of this host's own addresses in each family,
 * with a port (`signal` endpoints of the kernel's path manager, which listens there itself), and
 * has the handshake tell clients to join nowhere else (the C flag, RFC 8684 section 3.1). Both are
 * for all sessions of the network namespace alike.
 */
#ifndef MG_SYS_ANNOUNCE_H
#define MG_SYS_ANNOUNCE_H

#include <pthread.h>

#include "config/config.h"

/* Endpoints with this id and up are ours, whoever left them; those before are of sys/subflows.h. */
#define MG_ANNOUNCE_ID 240

struct mg_announce {
	pthread_mutex_t lock;
	char (*names)[IFNAMSIZ]; /* the access interfaces: it is their addresses */
	size_t n_names;
	bool on;
};

/* Removes what a killed daemon left. The caller knows that there is no living one. */
void mg_announce_clear(void);

/* 0 or -ENOMEM */
int mg_announce_init(struct mg_announce *a, const struct mg_config *cfg);
/* Any thread, any number of times; what it did, and could not do, is logged the first time. Needs
 * CAP_NET_ADMIN. */
void mg_announce_on(struct mg_announce *a);
void mg_announce_free(struct mg_announce *a);

#endif
