/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policies and limits in the kernel (include/abi/policy.h): putting them in force, asking them,
 * charging them. The maps and programs of bpf/policy.bpf.c, which all other objects share.
 *
 * What names a ticket may be called by any thread; all else by the daemon's own.
 */
#ifndef MG_SYS_ADMISSION_H
#define MG_SYS_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/policy.h"
#include "base/addr.h"
#include "config/config.h"
#include "wire/cookie.h"

struct mg_admission;
struct bpf_object;

/* Loads the object; its maps are pinned by mg_dp_open, as all are. Nothing is in force yet:
 * everything is admitted. Of an earlier daemon nothing is taken over: its sessions are gone, so all
 * counts begin at 0. 0 or -errno, logged. */
int mg_admission_open(struct mg_admission **out, const struct mg_config *cfg);
/* NULL is allowed. */
void mg_admission_close(struct mg_admission *a);
/* Before another object is loaded: its maps that are also ours become ours. 0 or -errno. */
int mg_admission_share(struct mg_admission *a, struct bpf_object *obj);

/* The number of a steering group for policies' `group`; 0: none of that name. */
typedef uint32_t mg_admission_group_fn(void *ctx, const char *name);

/*
 * Puts a configuration's policies in force, all at once: a packet sees the old ones or the new
 * ones. Sessions keep their tickets; policies, classes, services and access networks of the same
 * name keep their numbers. 0; -EINVAL, -E2BIG for more than the tables hold, or -errno, logged,
 * with the old ones in force.
 */
int mg_admission_apply(struct mg_admission *a, const struct mg_config *cfg,
		       mg_admission_group_fn *group, void *ctx);

/* What tickets will say of a configuration that is about to be in force: places in its lists, by
 * number, or MG_CONFIG_NONE */
struct mg_admission_coming {
	uint32_t generation;
	const size_t *policies, *services;
	uint32_t n_policies, n_services;
};
/* Not 0: the old ones stay in force. */
typedef int mg_admission_ready_fn(void *ctx, const struct mg_admission_coming *coming);

/* mg_admission_apply, which before the first packet sees the new ones calls `ready`, so that
 * whoever is to understand tickets knows what theirs will mean. If what is in force turns out to be
 * right, `ready` is not called. */
int mg_admission_apply_ready(struct mg_admission *a, const struct mg_config *cfg,
			     mg_admission_group_fn *group, mg_admission_ready_fn *ready, void *ctx);
/* The keys that cookies in SYNs are checked with. 0 or -errno. */
int mg_admission_set_cookies(struct mg_admission *a, const struct mg_cookie_keys *keys);

/* Numbers as the kernel's side has them, back to what the configuration in force says of them: an
 * index into its lists, or MG_CONFIG_NONE (policy: the default one). Any thread, in between two
 * calls of apply. */
size_t mg_admission_policy(const struct mg_admission *a, uint32_t number);
size_t mg_admission_access(const struct mg_admission *a, uint32_t number);
size_t mg_admission_service(const struct mg_admission *a, uint32_t number);
size_t mg_admission_class(const struct mg_admission *a, uint32_t number);
/* Names, also of what is no longer configured but still has a number; "" for none. */
const char *mg_admission_access_name(const struct mg_admission *a, uint32_t number);
uint32_t mg_admission_access_number(const struct mg_admission *a, const char *name); /* 0: none */
uint32_t mg_admission_class_number(const struct mg_admission *a, const char *name);  /* 0: none */

/* ---- one session ----------------------------------------------------------------------------- */

/* enum mg_refusal (0: admitted, and charged), or -errno. See struct mg_admit for what is asked and
 * what comes back. `a` NULL: admitted, by a ticket of nothing. */
int mg_admission_open_session(struct mg_admission *a, struct mg_admit *ask);
/* Its token is known: from here on its subflows count. */
int mg_admission_token(struct mg_admission *a, const struct mg_ticket *ticket, uint32_t token,
		       const struct mg_ep *client, const struct mg_ep *local);
/* Harmless for a ticket that is not charged; clears it. token 0: none was told. */
void mg_admission_close_session(struct mg_admission *a, struct mg_ticket *ticket, uint32_t token);
/* n sessions more (or, negative, fewer) held in advance: enum mg_refusal or -errno. */
int mg_admission_reserve(struct mg_admission *a, struct mg_ticket *ticket, int n);
/* Which policy and why, asked of the very program; nothing is charged. */
int mg_admission_test(struct mg_admission *a, struct mg_admit *ask);

/* ---- subflows, by the path manager's events -------------------------------------------------- */

/* enum mg_refusal: not 0 says that it has to be ended. */
int mg_admission_joined(struct mg_admission *a, uint32_t token, const struct mg_ep *local,
			const struct mg_ep *remote);
void mg_admission_parted(struct mg_admission *a, const struct mg_ep *local,
			 const struct mg_ep *remote);
/* To be called every second: what was charged for joins that never came to anything. */
void mg_admission_sweep(struct mg_admission *a);

/* ---- the access feed ------------------------------------------------------------------------- */

struct mg_feed_row {
	struct mg_prefix prefix;
	uint32_t access;   /* number; 0: none */
	uint64_t identity; /* 0: none */
	uint32_t class;	   /* number; 0: by address */
	uint64_t ttl_ms;   /* from now; 0: for ever */
};
/* In force with the next packet. Replaces what was said of the same prefix. 0, -ENOSPC, -errno. */
int mg_admission_feed_set(struct mg_admission *a, const struct mg_feed_row *row);
int mg_admission_feed_del(struct mg_admission *a, const struct mg_prefix *prefix); /* -ENOENT */
/* The access network of an address, as the kernel's side would say; 0: none. Any thread. */
uint32_t mg_admission_access_of(struct mg_admission *a, const struct in6_addr *ip);

/* ---- to be shown ----------------------------------------------------------------------------- */

struct mg_account_row {
	struct mg_subscriber subscriber;
	struct mg_account account; /* zeros: it was refused, and has no sessions now */
	uint8_t key_bits;	   /* of mg_account_entry; 0 with those zeros */
	uint64_t refused[MG_REFUSAL_COUNT];
};
/* All subscribers that have sessions or were refused; *rows is for free(). Their number or -errno.
 */
long mg_admission_accounts(struct mg_admission *a, struct mg_account_row **rows);
/* The same of one. 0; -ENOENT, with zeros: it has no sessions and was not refused lately. */
int mg_admission_account(struct mg_admission *a, const struct mg_subscriber *subscriber,
			 struct mg_account_row *row);
int mg_admission_counters(struct mg_admission *a, struct mg_admit_counters *out);
/* Sessions of a service now */
uint32_t mg_admission_service_sessions(struct mg_admission *a, uint32_t number);

/* ---- pacing ---------------------------------------------------------------------------------- */

/* UINT64_MAX: no limit. Any thread. 0 or -errno. */
int mg_admission_pace(struct mg_admission *a, const struct mg_ep *local, const struct mg_ep *remote,
		      uint64_t bytes_per_s);
void mg_admission_pace_del(struct mg_admission *a, const struct mg_ep *local,
			   const struct mg_ep *remote);

#endif
