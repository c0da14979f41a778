/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Behind store.h: what every kind of store keeps, and what a kind has to do. Of gateway/store*.c.
 */
#ifndef MG_GATEWAY_STORE_KIND_H
#define MG_GATEWAY_STORE_KIND_H

#include "abi/steer.h"
#include "gateway/store.h"
#include "gateway/tokenset.h"
#include "wire/store_url.h"

/* Of members and of drain flags: more names than proxies can have numbers. Who writes to the store
 * cannot fill our memory. */
#define MG_STORE_NAMES_MAX 1024

struct mg_store_flag {
	char name[MG_MEMBER_NAME];
	bool on;
	bool untold;	/* set here, and the store has not confirmed it */
	bool unsaid;	/* nor was it asked to, for want of room */
	bool found;	/* by the look that is under way */
	uint64_t stamp; /* of the last change */
};

struct mg_store_ops {
	void (*close)(struct mg_store *s); /* all but the base */
	void (*join)(struct mg_store *s);
	void (*own)(struct mg_store *s, uint32_t token);
	void (*own_all)(struct mg_store *s);
	void (*drain)(struct mg_store *s, struct mg_store_flag *flag);
};

struct mg_store {
	const struct mg_store_ops *ops;
	struct mg_loop *loop;
	struct mg_store_listener listener;
	struct mg_store_status status;
	bool listens;		   /* somebody wants to know what others tell */
	char self[MG_MEMBER_NAME]; /* "": no member */
	uint32_t heartbeat_ms;
	struct mg_tokenset own;
	struct mg_store_flag *flags;
	size_t n_flags;
	uint64_t stamp;
	bool short_of_memory; /* said once */
};

int mg_store_init(struct mg_store *s, const struct mg_store_ops *ops, struct mg_loop *loop,
		  const struct mg_store_listener *listener);
void mg_store_free(struct mg_store *s);

/* To the listener, if it cares. */
void mg_store_tell_token(struct mg_store *s, const char *proxy, uint32_t token, bool owned);
void mg_store_tell_resync(struct mg_store *s, const char *proxy, bool done);
void mg_store_tell_member(struct mg_store *s, const char *name, uint64_t sessions, bool alive);
void mg_store_tell_self(struct mg_store *s);
void mg_store_tell_reachable(struct mg_store *s, bool yes);

/* Makes or changes the flag of the name, and tells if that is a change. NULL: too many names. */
struct mg_store_flag *mg_store_flag(struct mg_store *s, const char *name, bool on);
/* Any order may follow. */
void mg_store_forget_flag(struct mg_store *s, struct mg_store_flag *flag);

int mg_store_redis_open(struct mg_store **out, struct mg_loop *loop, const struct mg_store_url *url,
			const struct mg_store_listener *listener);

#endif
