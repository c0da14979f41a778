/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a proxy says of the subflows of one session: which of them are for backup (MP_PRIO, RFC 8684
 * section 3.3.8), and where more of them may join (ADD_ADDR, section 3.4.1).
 *
 * The kernel lets a process say so for sessions that began while net.mptcp.path_manager was
 * `userspace`; its own path manager only knows endpoints, for all sessions alike. Joins are
 * accepted either way. What the daemon's endpoints announce to all, mg_prio_announce() then has to.
 *
 * Any thread may call these.
 */
#ifndef MG_SYS_PRIO_H
#define MG_SYS_PRIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "sys/genl.h"

#define MG_PRIO_BUCKETS 1024
/* The address a session began at, if it is no endpoint: below those of sys/announce.h */
#define MG_PRIO_OWN_ID	  239
#define MG_PRIO_CARRY_MAX 16

/* A session whose subflows are for backup until somebody says otherwise; inside the caller's. */
struct mg_prio_waiting {
	struct mg_prio_waiting *next;
	uint32_t token;
	bool listed;
	struct mg_ep carries[MG_PRIO_CARRY_MAX]; /* remotes of those that are no backups */
	unsigned int n_carries;
	struct mg_ep asked[MG_PRIO_CARRY_MAX]; /* remotes of those made backups as they joined */
	unsigned int n_asked;
};

struct mg_prio {
	pthread_mutex_t lock;
	struct mg_genl genl;
	bool open;  /* there is a netlink socket */
	bool on;    /* sessions that begin now are ours to manage */
	bool works; /* nothing has failed yet that should not */
	struct mg_prio_waiting *waiting[MG_PRIO_BUCKETS];
};

/* Whether this kernel has a path manager of user space. */
bool mg_prio_is_possible(void);
/* 0, or -errno where the kernel knows nothing of this; then all below say -EOPNOTSUPP. */
int mg_prio_open(struct mg_prio *p);
/* Gives the sysctl back to the kernel's path manager. Harmless if never opened. */
void mg_prio_close(struct mg_prio *p);
/* Whether sessions that begin from now on are to be managed here. 0 or -errno, logged. */
int mg_prio_manage(struct mg_prio *p, bool on);

/* 0; -EOPNOTSUPP for a session that began under the kernel's path manager, or -errno. */
int mg_prio_set(struct mg_prio *p, uint32_t token, const struct mg_ep *local,
		const struct mg_ep *remote, bool backup);
/* Later joins at this address begin as backups, where the kernel can do that (6.11 and those that
 * were mended): before a byte is on them. Needs mg_prio_announce() of it, once. */
void mg_prio_joins(struct mg_prio *p, uint32_t token, const struct mg_ep *local, bool backup);
int mg_prio_announce(struct mg_prio *p, uint32_t token, uint8_t id, const struct mg_ep *ep,
		     bool backup);

/* Whether what joins this session is a backup at once, mg_prio_joined() seeing to it. */
void mg_prio_wait(struct mg_prio *p, struct mg_prio_waiting *w, uint32_t token);
void mg_prio_wait_no_more(struct mg_prio *p, struct mg_prio_waiting *w);
/* Before mg_prio_set() says so: an event that comes late changes nothing any more. */
void mg_prio_carries(struct mg_prio *p, struct mg_prio_waiting *w, const struct mg_ep *remote,
		     bool carries);
/* Whether that subflow was made a backup as it joined, and nobody has said otherwise since. */
bool mg_prio_was_asked(struct mg_prio *p, struct mg_prio_waiting *w, const struct mg_ep *remote);
/* The path manager told of a subflow. */
void mg_prio_joined(struct mg_prio *p, uint32_t token, const struct mg_ep *local,
		    const struct mg_ep *remote);

#endif
