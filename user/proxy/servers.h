/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asks which server whether it speaks MPTCP, over all workers: one session opens a connection
 * to see, the others to the same server wait for what it finds.
 *
 * A verdict stays for a moment, for SYNs that were held before the kernel knew it, and for those
 * alone: of all others the kernel knows better (sys/hold.h).
 */
#ifndef MG_PROXY_SERVERS_H
#define MG_PROXY_SERVERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/hold.h"
#include "base/addr.h"
#include "base/list.h"
#include "base/loop.h"

struct mg_probe;

/* Where the verdicts for one thread's askers arrive. */
struct mg_inbox {
	struct mg_io io;     /* eventfd */
	struct mg_list told; /* askers, under the servers' lock */
};

/* One session's part in it; lives in the session. All zero: has none. */
struct mg_asker {
	struct mg_list node;	/* waits at the probe, or in the inbox */
	struct mg_inbox *inbox; /* while it waits */
	bool asks;		/* it is the one whose connection will tell */
	bool told;		/* taken out of the inbox */
	enum mg_known verdict;	/* what was told; NOTHING if the probe failed */
};

struct mg_servers {
	pthread_mutex_t lock;
	uint8_t key[16]; /* clients choose servers, so they must not choose buckets */
	struct mg_probe **buckets;
	size_t n_buckets, n;
	struct mg_list kept; /* probes that were answered, oldest first */
	_Atomic uint64_t n_told;
};

enum mg_ask {
	MG_ASK_PROBE, /* open a connection and tell */
	MG_ASK_WAIT,  /* the verdict comes to the inbox */
	MG_ASK_KNOWN, /* asker->verdict, found a moment ago */
	MG_ASK_ALONE, /* no memory: open a connection; nobody waits for it */
};

/* 0 or -errno */
int mg_servers_init(struct mg_servers *s);
/* All askers must have left. */
void mg_servers_free(struct mg_servers *s);

/* `known`: what mg_servers_told gave before the SYN was held, at the latest when its ring was last
 * seen empty. Verdicts from before then the kernel had, and has dropped. */
enum mg_ask mg_servers_ask(struct mg_servers *s, struct mg_asker *a, struct mg_inbox *inbox,
			   const struct mg_ep *server, uint64_t known, uint64_t now_ms);
/* How many verdicts there were. */
uint64_t mg_servers_told(struct mg_servers *s);
/* MG_KNOWN_PLAIN or MG_KNOWN_MPTCP, by whoever found out. */
void mg_servers_tell(struct mg_servers *s, const struct mg_ep *server, enum mg_known verdict,
		     uint64_t now_ms);
/* Out of it, in whatever part; harmless for who has none. Who was to tell and did not, failed. */
void mg_servers_leave(struct mg_servers *s, struct mg_asker *a, const struct mg_ep *server);
/* The same, but for a reason that says nothing of the server: of those that wait one is to tell
 * from now on (MG_KNOWN_NOTHING comes to its inbox), the others wait for it. */
void mg_servers_hand_on(struct mg_servers *s, struct mg_asker *a, const struct mg_ep *server);
/* Forgets verdicts: of this server, or (NULL) of all. */
void mg_servers_forget(struct mg_servers *s, const struct mg_ep *server);

/* 0 or -errno. `ready` calls mg_inbox_take until it gives NULL. */
int mg_inbox_open(struct mg_inbox *in, void (*ready)(struct mg_io *io, uint32_t events));
void mg_inbox_close(struct mg_inbox *in);
/* The next asker whose verdict came. */
struct mg_asker *mg_inbox_take(struct mg_servers *s, struct mg_inbox *in);

#endif
