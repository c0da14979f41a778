/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses with a port where further subflows join, told to every client (ADD_ADDR, RFC 8684
 * section 3.4.1): `signal` endpoints of the kernel's path manager, which listens there itself. With
 * the C flag (section 3.1) clients are to join nowhere else. Both are for all sessions of the
 * network namespace alike, so one mpgated in it announces.
 *
 * There are those of converter.signal, from the start on. With TCP timestamps an ADD_ADDR of an
 * IPv6 address has room for a port only if the kernel leaves them out for once. One that does not
 * is told the address alone, if the port is that of an IPv6 listener of the converter: clients then
 * join at the port of their connection (section 3.4.1), where this listens itself, for joins only.
 *
 * And there is another way in for connections whose own port this host itself listens on: the
 * kernel takes an MP_JOIN only at a listener of the connection's port, or at what it has announced.
 * So mg_announce_on() adds, in each family that converter.signal left out, one of this host's own
 * addresses, and sets the C flag.
 */
#ifndef MG_SYS_ANNOUNCE_H
#define MG_SYS_ANNOUNCE_H

#include <pthread.h>

#include "base/loop.h"
#include "config/config.h"
#include "sys/endpoints.h"

struct mg_genl;

/* Endpoints with this id and up are ours, whoever left them; those before are of sys/subflows.h. */
#define MG_ANNOUNCE_ID	240
#define MG_ANNOUNCE_MAX (256 - MG_ANNOUNCE_ID - 2)

struct mg_announce {
	pthread_mutex_t lock;
	int claim;		 /* -1: another mpgated's */
	char (*names)[IFNAMSIZ]; /* the access interfaces: it is their addresses */
	size_t n_names;
	struct mg_loop *loop;
	struct mg_signal {
		struct mg_ep ep;
		bool alone;	 /* without its port */
		struct mg_io io; /* then: where it is listened; fd -1 */
		bool there;	 /* or still to be announced */
	} signal[MG_ANNOUNCE_MAX];
	size_t n_signal;
	bool deny; /* the C flag is the configuration's wish */
	bool on;
	struct mg_pm_endpoint own[2]; /* by mg_announce_on; id 0: none */
};

/*
 * Announces converter.signal; what a killed daemon left is taken over or removed. 0, also if
 * something cannot be announced yet, which is logged, and left to mg_announce_look; -EBUSY, logged:
 * another mpgated announces here; -ENOMEM. *a is to be closed in any case. Needs CAP_NET_ADMIN, as
 * do all below. The loop is the caller's thread's.
 */
int mg_announce_open(struct mg_announce *a, const struct mg_config *cfg, struct mg_loop *loop);
/* Once more what could not be announced. Is there anything left of that? */
bool mg_announce_look(struct mg_announce *a);
/* Any thread, any number of times; what it did, and could not do, is logged the first time. */
void mg_announce_on(struct mg_announce *a);
/* What is announced, for sessions that the kernel does not tell of it (sys/prio.h): how many, at
 * most MG_ANNOUNCE_MAX + 2. Any thread. */
size_t mg_announce_list(struct mg_announce *a, struct mg_pm_endpoint *list);
void mg_announce_close(struct mg_announce *a);
/* Removes what a killed daemon left, unless there is a living one. */
void mg_announce_clear(void);

#endif
