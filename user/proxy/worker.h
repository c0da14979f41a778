/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread with its own loop, listeners, sessions and buffers. Workers share nothing on the data
 * path; what the daemon wants of them it asks through mg_loop_call.
 */
#ifndef MG_PROXY_WORKER_H
#define MG_PROXY_WORKER_H

#include <pthread.h>

#include "base/loop.h"
#include "base/pool.h"
#include "proxy/account.h"
#include "proxy/held.h"
#include "proxy/policy.h"
#include "proxy/ports.h"

struct mg_listener;
struct mg_proxy;

/* Takes over the client's socket. Without room for a session it has to be turned away. */
typedef void mg_accepted_fn(struct mg_listener *l, int fd, const struct mg_ep *client, bool mptcp,
			    bool room);

struct mg_listener {
	struct mg_io io;
	struct mg_worker *worker;
	struct mg_ep ep;
	struct mg_timer rest; /* armed while the listener is left alone */
	mg_accepted_fn *accepted;
};

struct mg_worker {
	struct mg_proxy *proxy;
	unsigned int index;
	pthread_t thread;
	struct mg_loop loop;
	struct mg_listener *listeners;
	size_t n_listeners;
	struct mg_held_in held;
	struct mg_ports ports;
	const struct mg_policy *policy; /* swapped between events, never during one */
	struct mg_list sessions;
	struct mg_list ready; /* sessions that had their turn and could go on */
	struct mg_list dead;  /* closed in this round, freed at its end */
	uint64_t next_id;
	struct mg_pool pool;
	struct mg_pool_buf *scratch; /* what is read lands here first */
	int spare_fd;		     /* given up to tell a client that descriptors ran out */
	struct mg_stats stats;
};

int mg_worker_start(struct mg_worker *w, struct mg_proxy *proxy, unsigned int index);
/* Ends every session that is left, and the thread. */
void mg_worker_stop(struct mg_worker *w);

/* listen.c: one listener per converter address. -errno after logging the address. */
int mg_listen_open(struct mg_worker *w);
void mg_listen_close(struct mg_worker *w);
/* One listener, for a socket that listens: 0, or -errno with the socket still the caller's. */
int mg_listener_open(struct mg_listener *l, struct mg_worker *w, int fd, const struct mg_ep *ep,
		     mg_accepted_fn *accepted);
void mg_listener_close(struct mg_listener *l);

#endif
