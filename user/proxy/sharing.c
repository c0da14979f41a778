// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/sharing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/siphash.h"

#define BUCKETS_FIRST 256
/* So many addresses are asked for a free block, one after the other. */
#define ADDRESSES_MAX 4096
/* So many ports of a block are tried, a system call or three each, before it counts as full. */
#define PORTS_TRIED_MAX	 512
#define PORTS_TRIED_FULL 8 /* while it does */
#define FULL_MS		 1000
#define HOST_BITS_MAX	 32 /* an IPv6 prefix may have more addresses than anyone counts */

struct mg_sharing_holder {
	struct mg_sharing_holder *next;
	struct mg_subscriber who;
	struct in6_addr ip;
	uint16_t first, last;
	bool v4;
	bool stale; /* its address left the pool: nothing new is of it */
	uint32_t sessions;
	_Atomic uint32_t turn; /* of its ports */
	_Atomic uint64_t full_until_ms;
};

struct mg_sharing_address {
	struct mg_sharing_address *next;
	struct in6_addr ip;
	uint32_t n_free;
	/* Per block of the layout, how many have ports in it: after a reload more than one may. */
	uint16_t taken[];
};

/* ---- the pool -------------------------------------------------------------------------------- */

static bool prefix_is_v4(const struct mg_prefix *p)
{
	return p->len >= 96 && mg_ip_is_v4(&p->ip);
}

/* ::0 of a prefix is its routers' (RFC 4291 section 2.6.1). */
static uint64_t first_host(const struct mg_prefix *p)
{
	return !prefix_is_v4(p) && p->len < 128;
}

static uint64_t size_of(const struct mg_prefix *p)
{
	unsigned int bits = 128U - p->len;

	return (1ULL << (bits > HOST_BITS_MAX ? HOST_BITS_MAX : bits)) - first_host(p);
}

static uint64_t pool_size(const struct mg_config_sharing *cfg, bool v4)
{
	uint64_t n = 0;

	for (size_t i = 0; i < cfg->n_pool; i++)
		n += prefix_is_v4(&cfg->pool[i]) == v4 ? size_of(&cfg->pool[i]) : 0;
	return n;
}

static struct in6_addr pool_address(const struct mg_config_sharing *cfg, bool v4, uint64_t at)
{
	struct in6_addr ip = IN6ADDR_ANY_INIT;

	for (size_t i = 0; i < cfg->n_pool; i++) {
		const struct mg_prefix *p = &cfg->pool[i];
		uint64_t n = size_of(p);
		uint32_t host;

		if (prefix_is_v4(p) != v4)
			continue;
		if (at >= n) {
			at -= n;
			continue;
		}
		ip = p->ip;
		host = ntohl(ip.s6_addr32[3]) + (uint32_t)(at + first_host(p));
		ip.s6_addr32[3] = htonl(host);
		break;
	}
	return ip;
}

static bool in_pool(const struct mg_config_sharing *cfg, const struct in6_addr *ip)
{
	for (size_t i = 0; i < cfg->n_pool; i++) {
		if (mg_prefix_contains(&cfg->pool[i], ip))
			return true;
	}
	return false;
}

/* The same on every proxy and after every restart. */
static uint64_t hash_of(const void *data, size_t len, uint8_t what)
{
	const uint8_t key[16] = { what };

	return mg_siphash24(key, data, (uint32_t)len);
}

enum { HASH_ADDRESS, HASH_BLOCK, HASH_BUCKET };

/* ---- tables ---------------------------------------------------------------------------------- */

static struct mg_sharing_holder **holder_bucket(const struct mg_sharing *sh,
						const struct mg_subscriber *who)
{
	return &sh->holders[hash_of(who, sizeof(*who), HASH_BUCKET) % sh->n_holder_buckets];
}

static struct mg_sharing_address **address_bucket(const struct mg_sharing *sh,
						  const struct in6_addr *ip)
{
	return &sh->addresses[hash_of(ip, sizeof(*ip), HASH_BUCKET) % sh->n_address_buckets];
}

/* Without memory they stay as they are, only slower. */
static void grow_holders(struct mg_sharing *sh)
{
	struct mg_sharing bigger = { .n_holder_buckets = sh->n_holder_buckets * 2 };

	bigger.holders = calloc(bigger.n_holder_buckets, sizeof(struct mg_sharing_holder *));
	if (!bigger.holders)
		return;
	for (size_t i = 0; i < sh->n_holder_buckets; i++) {
		struct mg_sharing_holder *h = sh->holders[i], *next;

		for (; h; h = next) {
			struct mg_sharing_holder **at = holder_bucket(&bigger, &h->who);

			next = h->next;
			h->next = *at;
			*at = h;
		}
	}
	free(sh->holders);
	sh->holders = bigger.holders;
	sh->n_holder_buckets = bigger.n_holder_buckets;
}

static void grow_addresses(struct mg_sharing *sh)
{
	struct mg_sharing bigger = { .n_address_buckets = sh->n_address_buckets * 2 };

	bigger.addresses = calloc(bigger.n_address_buckets, sizeof(struct mg_sharing_address *));
	if (!bigger.addresses)
		return;
	for (size_t i = 0; i < sh->n_address_buckets; i++) {
		struct mg_sharing_address *a = sh->addresses[i], *next;

		for (; a; a = next) {
			struct mg_sharing_address **at = address_bucket(&bigger, &a->ip);

			next = a->next;
			a->next = *at;
			*at = a;
		}
	}
	free(sh->addresses);
	sh->addresses = bigger.addresses;
	sh->n_address_buckets = bigger.n_address_buckets;
}

int mg_sharing_init(struct mg_sharing *sh)
{
	memset(sh, 0, sizeof(*sh));
	sh->n_holder_buckets = sh->n_address_buckets = BUCKETS_FIRST;
	sh->holders = calloc(BUCKETS_FIRST, sizeof(struct mg_sharing_holder *));
	sh->addresses = calloc(BUCKETS_FIRST, sizeof(struct mg_sharing_address *));
	pthread_mutex_init(&sh->lock, NULL);
	if (sh->holders && sh->addresses)
		return 0;
	mg_sharing_free(sh);
	return -ENOMEM;
}

static void forget_addresses(struct mg_sharing *sh)
{
	for (size_t i = 0; i < sh->n_address_buckets; i++) {
		while (sh->addresses[i]) {
			struct mg_sharing_address *a = sh->addresses[i];

			sh->addresses[i] = a->next;
			free(a);
		}
	}
	sh->n_addresses = 0;
}

void mg_sharing_free(struct mg_sharing *sh)
{
	if (sh->addresses)
		forget_addresses(sh);
	free(sh->addresses);
	free(sh->holders);
	memset(sh, 0, sizeof(*sh));
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static struct mg_sharing_layout layout_of(const struct mg_config_sharing *cfg)
{
	struct mg_sharing_layout l = { .ports = cfg->ports_per_subscriber,
				       .first = cfg->first_port };

	if (l.ports && cfg->last_port >= cfg->first_port)
		l.n = (cfg->last_port - cfg->first_port + 1U) / l.ports;
	return l;
}

static struct mg_sharing_address *find_address(struct mg_sharing *sh, const struct in6_addr *ip)
{
	struct mg_sharing_address *a = *address_bucket(sh, ip);

	while (a && !mg_ip_equal(&a->ip, ip))
		a = a->next;
	return a;
}

static struct mg_sharing_address *need_address(struct mg_sharing *sh, const struct in6_addr *ip)
{
	struct mg_sharing_address *a = find_address(sh, ip), **at;

	if (a)
		return a;
	a = calloc(1, sizeof(*a) + sh->layout.n * sizeof(a->taken[0]));
	if (!a)
		return NULL;
	a->ip = *ip;
	a->n_free = sh->layout.n;
	at = address_bucket(sh, ip);
	a->next = *at;
	*at = a;
	if (++sh->n_addresses > sh->n_address_buckets)
		grow_addresses(sh);
	return a;
}

static void drop_address(struct mg_sharing *sh, struct mg_sharing_address *a)
{
	struct mg_sharing_address **at = address_bucket(sh, &a->ip);

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	sh->n_addresses--;
	free(a);
}

/* The blocks of the layout that ports first…last touch: [*from, *to) */
static void blocks_of(const struct mg_sharing_layout *l, uint32_t first, uint32_t last,
		      uint32_t *from, uint32_t *to)
{
	*from = first > l->first ? (first - l->first) / l->ports : 0;
	*to = last >= l->first ? (last - l->first) / l->ports + 1 : 0;
	if (*to > l->n)
		*to = l->n;
}

static int mark(struct mg_sharing *sh, const struct mg_sharing_holder *h)
{
	struct mg_sharing_address *a;
	uint32_t from, to;

	if (!h->first || !sh->layout.ports)
		return 0;
	a = need_address(sh, &h->ip);
	if (!a)
		return -ENOMEM;
	blocks_of(&sh->layout, h->first, h->last, &from, &to);
	for (; from < to; from++)
		a->n_free -= !a->taken[from]++;
	return 0;
}

static void unmark(struct mg_sharing *sh, const struct mg_sharing_holder *h)
{
	struct mg_sharing_address *a =
		h->first && sh->layout.ports ? find_address(sh, &h->ip) : NULL;
	uint32_t from, to;

	if (!a)
		return;
	blocks_of(&sh->layout, h->first, h->last, &from, &to);
	for (; from < to; from++)
		a->n_free += !--a->taken[from];
	if (a->n_free == sh->layout.n)
		drop_address(sh, a);
}

/* After a reload: what is taken, in terms of the new blocks. */
static int lay_out(struct mg_sharing *sh, const struct mg_sharing_layout *l)
{
	int err = 0;

	if (sh->layout.ports == l->ports && sh->layout.first == l->first && sh->layout.n == l->n)
		return 0;
	forget_addresses(sh);
	sh->layout = *l;
	for (size_t i = 0; i < sh->n_holder_buckets && !err; i++) {
		for (struct mg_sharing_holder *h = sh->holders[i]; h && !err; h = h->next)
			err = mark(sh, h);
	}
	if (err) {
		/* To be tried again by the next. */
		forget_addresses(sh);
		memset(&sh->layout, 0, sizeof(sh->layout));
	}
	return err;
}

static bool find_block(struct mg_sharing *sh, struct mg_sharing_holder *h)
{
	const struct mg_sharing_layout *l = &sh->layout;
	const struct mg_sharing_address *a = find_address(sh, &h->ip);
	uint32_t at;

	if (!l->n || (a && !a->n_free))
		return false;
	at = (uint32_t)(hash_of(&h->who, sizeof(h->who), HASH_BLOCK) % l->n);
	while (a && a->taken[at])
		at = (at + 1) % l->n;
	h->first = (uint16_t)(l->first + at * l->ports);
	h->last = (uint16_t)(h->first + l->ports - 1);
	return true;
}

/* ---- who has what ---------------------------------------------------------------------------- */

static int choose(struct mg_sharing *sh, const struct mg_config_sharing *cfg,
		  struct mg_sharing_holder *h)
{
	uint64_t n = pool_size(cfg, h->v4);
	uint64_t home = hash_of(&h->who, sizeof(h->who), HASH_ADDRESS);

	if (!cfg->ports_per_subscriber) {
		h->ip = pool_address(cfg, h->v4, home % n);
		return 0;
	}
	for (uint64_t i = 0; i < n && i < ADDRESSES_MAX; i++) {
		h->ip = pool_address(cfg, h->v4, (home + i) % n);
		if (find_block(sh, h))
			return mark(sh, h);
	}
	return -EUSERS;
}

static struct mg_sharing_holder *find_holder(struct mg_sharing *sh,
					     const struct mg_config_sharing *cfg,
					     const struct mg_subscriber *who, bool v4)
{
	struct mg_sharing_holder *h = *holder_bucket(sh, who);

	while (h && (h->stale || h->v4 != v4 || memcmp(&h->who, who, sizeof(*who)) != 0))
		h = h->next;
	if (!h || in_pool(cfg, &h->ip))
		return h;
	h->stale = true;
	return NULL;
}

static int new_holder(struct mg_sharing *sh, const struct mg_config_sharing *cfg,
		      const struct mg_subscriber *who, bool v4, struct mg_sharing_holder **out)
{
	struct mg_sharing_holder *h = calloc(1, sizeof(*h)), **at;
	int err = h ? 0 : -ENOMEM;

	if (!err) {
		h->who = *who;
		h->v4 = v4;
		err = choose(sh, cfg, h);
	}
	if (err) {
		free(h);
		return err;
	}
	at = holder_bucket(sh, who);
	h->next = *at;
	*at = h;
	if (++sh->n_holders > sh->n_holder_buckets)
		grow_holders(sh);
	*out = h;
	return 0;
}

static int take_paired(struct mg_sharing *sh, const struct mg_config_sharing *cfg,
		       const struct mg_subscriber *who, bool v4, struct mg_lease *lease)
{
	const struct mg_sharing_layout l = layout_of(cfg);
	struct mg_sharing_holder *h;
	int err;

	pthread_mutex_lock(&sh->lock);
	err = lay_out(sh, &l);
	h = err ? NULL : find_holder(sh, cfg, who, v4);
	if (!h && !err)
		err = new_holder(sh, cfg, who, v4, &h);
	if (!err) {
		h->sessions++;
		*lease = (struct mg_lease){
			.holder = h, .ip = h->ip, .first = h->first, .last = h->last
		};
	}
	pthread_mutex_unlock(&sh->lock);
	return err;
}

int mg_sharing_take(struct mg_sharing *sh, const struct mg_config_sharing *cfg,
		    const struct mg_subscriber *who, bool v4, struct mg_lease *lease)
{
	uint64_t n = pool_size(cfg, v4);

	memset(lease, 0, sizeof(*lease));
	if (!n)
		return -ENOENT;
	/* A block is a subscriber's, so that blocks make pairs of their own. */
	if (cfg->paired || cfg->ports_per_subscriber)
		return take_paired(sh, cfg, who, v4, lease);
	lease->ip = pool_address(cfg, v4, atomic_fetch_add(&sh->turn, 1) % n);
	return 0;
}

void mg_sharing_give_back(struct mg_sharing *sh, struct mg_lease *lease)
{
	struct mg_sharing_holder *h = lease->holder, **at;

	memset(lease, 0, sizeof(*lease));
	if (!h)
		return;
	pthread_mutex_lock(&sh->lock);
	if (!--h->sessions) {
		unmark(sh, h);
		at = holder_bucket(sh, &h->who);
		while (*at != h)
			at = &(*at)->next;
		*at = h->next;
		sh->n_holders--;
		free(h);
	}
	pthread_mutex_unlock(&sh->lock);
}

uint16_t mg_sharing_port(const struct mg_lease *lease)
{
	uint32_t n = lease->last - lease->first + 1U;

	return (uint16_t)(lease->first + atomic_fetch_add(&lease->holder->turn, 1) % n);
}

static bool counts_as_full(const struct mg_lease *lease, uint64_t now_ms)
{
	return now_ms < atomic_load(&lease->holder->full_until_ms);
}

uint32_t mg_sharing_tries(const struct mg_lease *lease, uint64_t now_ms)
{
	uint32_t n = lease->last - lease->first + 1U;
	uint32_t max = counts_as_full(lease, now_ms) ? PORTS_TRIED_FULL : PORTS_TRIED_MAX;

	return n < max ? n : max;
}

void mg_sharing_none_free(const struct mg_lease *lease, uint64_t now_ms)
{
	/* A few that were tried say nothing of the others. */
	if (!counts_as_full(lease, now_ms))
		atomic_store(&lease->holder->full_until_ms, now_ms + FULL_MS);
}
