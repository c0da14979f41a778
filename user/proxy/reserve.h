/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions that are held for subscribers who asked for them (the Provision TLV), until they open
 * them, give them back, or the time is over. How many are left of each is the kernel's to count
 * (struct mg_account): a session that is opened uses one up. Here is whose they are, and how long.
 *
 * Shared by all workers; nothing is kept of who has none.
 */
#ifndef MG_PROXY_RESERVE_H
#define MG_PROXY_RESERVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "abi/policy.h"
#include "sys/admission.h"

#define MG_RESERVE_BUCKETS 4096
#define MG_RESERVE_MAX	   65536 /* subscribers at a time */

struct mg_reservation;

struct mg_reserve {
	pthread_mutex_t lock;
	_Atomic size_t n;
	struct mg_reservation *buckets[MG_RESERVE_BUCKETS];
};

void mg_reserve_init(struct mg_reserve *r);
/* Forgets all, and gives nothing back. */
void mg_reserve_free(struct mg_reserve *r);

/*
 * That so many are held for the ticket's subscriber for `seconds` from now on, instead of what was.
 * All of it, or what was stays; 0 of either ends the reservation.
 */
void mg_reserve_set(struct mg_reserve *r, struct mg_admission *a, const struct mg_ticket *ticket,
		    uint32_t n, uint32_t seconds, uint64_t now_ms);
/* Seconds until it is over, rounded up; 0: there is none. */
uint32_t mg_reserve_left_s(struct mg_reserve *r, const struct mg_subscriber *who, uint64_t now_ms);
/* Gives back what is over. To be called often, at intervals within which any session that is being
 * opened is through with it. */
void mg_reserve_expire(struct mg_reserve *r, struct mg_admission *a, uint64_t now_ms);

#endif
