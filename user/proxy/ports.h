/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's listeners for held SYNs that are let in: one per port and family, opened when the
 * first such SYN is, and closed when no session used it for a while. MP_JOINs of a session need the
 * listener of its port for as long as the session lives (the kernel resets them otherwise).
 */
#ifndef MG_PROXY_PORTS_H
#define MG_PROXY_PORTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/timer.h"

#define MG_PORTS_BUCKETS 256

struct mg_port;
struct mg_worker;

struct mg_ports {
	struct mg_port *buckets[MG_PORTS_BUCKETS];
	struct mg_list idle; /* oldest first */
	struct mg_list dead; /* closed in this round of events, freed at its end */
	size_t n, n_idle;
	struct mg_timer age;
};

void mg_ports_init(struct mg_ports *ports);
/*
 * The listener of this port is used by one more session; -errno after logging, once per port. With
 * `joined` the session may be MPTCP, and the socket has to be on the very port, for joins. Without,
 * it is kept off it: programs of this host's own may want to listen there.
 */
int mg_ports_use(struct mg_worker *w, struct mg_port **out, bool v4, in_port_t port, bool joined);
void mg_ports_done(struct mg_worker *w, struct mg_port *p);
/* Frees what was closed, at the end of a round of events. */
void mg_ports_reap(struct mg_ports *ports);
/* All sessions must be done with theirs. */
void mg_ports_close(struct mg_worker *w);

#endif
