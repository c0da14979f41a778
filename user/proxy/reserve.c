// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/reserve.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define ALL ((int)MG_COUNTS_MASK) /* to give back: what there is */

struct mg_reservation {
	struct mg_reservation *next;
	struct mg_ticket ticket;
	uint64_t expires_ms;
	bool given_back; /* by the last sweep */
};

void mg_reserve_init(struct mg_reserve *r)
{
	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
}

void mg_reserve_free(struct mg_reserve *r)
{
	for (size_t i = 0; i < MG_RESERVE_BUCKETS; i++) {
		while (r->buckets[i]) {
			struct mg_reservation *one = r->buckets[i];

			r->buckets[i] = one->next;
			free(one);
		}
	}
	r->n = 0;
}

/* Who chooses its own address to fill a bucket waits in it, and so do a few others. */
static struct mg_reservation **find(struct mg_reserve *r, const struct mg_subscriber *who)
{
	struct mg_reservation **at;
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < sizeof(who->ip); i++)
		hash = (hash ^ who->ip[i]) * 16777619U;
	at = &r->buckets[hash % MG_RESERVE_BUCKETS];
	while (*at && memcmp(&(*at)->ticket.subscriber, who, sizeof(*who)) != 0)
		at = &(*at)->next;
	return at;
}

static void end(struct mg_reserve *r, struct mg_reservation **at)
{
	struct mg_reservation *over = *at;

	*at = over->next;
	free(over);
	r->n--;
}

static int give_back(struct mg_admission *a, struct mg_ticket *ticket, int n)
{
	int err = mg_admission_reserve(a, ticket, -n);

	if (err < 0)
		mg_error("reservation: cannot be given back: %s", strerror(-err));
	return err;
}

static uint32_t held_for(struct mg_admission *a, const struct mg_subscriber *who)
{
	struct mg_account_row row = { 0 };

	return a && !mg_admission_account(a, who, &row) ? row.account.reserved : 0;
}

static struct mg_reservation *begin(struct mg_reserve *r, struct mg_reservation **at)
{
	if (*at || r->n == MG_RESERVE_MAX)
		return *at;
	*at = calloc(1, sizeof(**at));
	if (*at)
		r->n++;
	return *at;
}

void mg_reserve_set(struct mg_reserve *r, struct mg_admission *a, const struct mg_ticket *ticket,
		    uint32_t n, uint32_t seconds, uint64_t now_ms)
{
	struct mg_ticket asking = *ticket;
	struct mg_reservation **at, *one;
	uint32_t has;
	int err = 0;

	pthread_mutex_lock(&r->lock);
	has = held_for(a, &ticket->subscriber);
	at = find(r, &ticket->subscriber);
	if (!n || !seconds) {
		if (has)
			err = give_back(a, &asking, ALL);
		if (*at && err >= 0)
			(*at)->expires_ms = now_ms;
	} else if ((one = begin(r, at)) != NULL) {
		bool fresh = !one->expires_ms;

		if (n < has)
			give_back(a, &asking, (int)(has - n));
		else if (n > has)
			err = mg_admission_reserve(a, &asking, (int)(n - has));
		if (!err || fresh) {
			one->ticket = asking;
			one->expires_ms = now_ms + seconds * 1000ULL;
			one->given_back = false;
		}
		/* A new one that was refused holds nothing. */
		if (err && !has && fresh)
			end(r, at);
	}
	pthread_mutex_unlock(&r->lock);
}

uint32_t mg_reserve_left_s(struct mg_reserve *r, const struct mg_subscriber *who, uint64_t now_ms)
{
	const struct mg_reservation *one;
	uint32_t left_s = 0;

	pthread_mutex_lock(&r->lock);
	one = *find(r, who);
	if (one && one->expires_ms > now_ms)
		left_s = (uint32_t)((one->expires_ms - now_ms + 999) / 1000);
	pthread_mutex_unlock(&r->lock);
	return left_s;
}

/*
 * Is it over and done with? A session that took a place just before and was refused for something
 * else holds it again just after all were given back: so a sweep later one looks once more. What
 * cannot be given back now is tried again.
 */
static bool is_done(struct mg_reservation *one, struct mg_admission *a, uint64_t now_ms)
{
	if (one->expires_ms > now_ms)
		return false;
	if (one->given_back && !held_for(a, &one->ticket.subscriber))
		return true;
	one->given_back = give_back(a, &one->ticket, ALL) >= 0;
	return false;
}

void mg_reserve_expire(struct mg_reserve *r, struct mg_admission *a, uint64_t now_ms)
{
	if (!r->n)
		return;
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < MG_RESERVE_BUCKETS; i++) {
		struct mg_reservation **at = &r->buckets[i];

		while (*at) {
			if (is_done(*at, a, now_ms))
				end(r, at);
			else
				at = &(*at)->next;
		}
	}
	pthread_mutex_unlock(&r->lock);
}
